//! Reference pages are made by the program.

use crate::pages::{Page, Part, Stage, rewrites, root};
use crate::transcripts::sample;
use crate::{fleet, none};

#[test]
fn the_reference_is_the_program_s_own() {
    let mut stale = Vec::new();
    for page in ["commands", "settings", "exit-codes", "error-codes", "lint-rules"] {
        let path = format!("docs/book/src/reference/{page}.md");
        let now = fleet(&["help-reference", page]);
        if std::fs::read_to_string(root().join(&path)).unwrap_or_default() != now {
            match rewrites() {
                true => std::fs::write(root().join(&path), now).unwrap(),
                false => stale.push(path),
            }
        }
    }
    none("not what `fleet help-reference` prints; `REWRITE_BOOK=1 cargo test --test book` writes them", &stale);
}

/// The first cells of the rows of a table, without back-quotes.
fn first_cells(text: &str, head: &str) -> Vec<String> {
    let rows = text.lines().skip_while(|line| !line.starts_with(head)).skip(2).take_while(|line| line.starts_with('|'));
    let cell = |line: &str| line.trim_matches('|').split('|').next().unwrap().trim().replace('`', "");
    rows.map(cell).collect()
}

#[test]
fn the_tenant_file_s_keys_are_those_that_the_program_knows() {
    let page = Page::read("docs/book/src/reference/tenants-toml.md");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenants.toml");
    for (head, table) in [
        ("| `[defaults]` key |", "[defaults]"),
        ("| `[[tenant]]` key |", "[[tenant]]"),
        ("| `[[source]]` key |", "[[source]]"),
        ("| `[[wave]]` key |", "[[wave]]"),
        ("| `[[server]]` key |", "[[server]]"),
        ("| `[migrations.\"NAME\"]` key |", "[migrations.\"m20250109_000001_dependencies\"]"),
        ("| `[scratch]` key |", "[scratch]"),
        ("| `[seed]` key |", "[seed]"),
        ("| `[backup]` key |", "[backup]"),
        ("| `[hooks]` key |", "[hooks]"),
    ] {
        let keys = first_cells(&page.text, head);
        assert!(!keys.is_empty(), "{head}");
        std::fs::write(&file, format!("{table}\nno_such_key = 1\n")).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fleet"));
        let output = command.args(["tenants", "list", "--config"]).arg(&file).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let unknown: Vec<&String> = keys.iter().filter(|key| !told.contains(&**key)).collect();
        assert!(unknown.is_empty(), "{table}: {unknown:?} are not among\n{told}");
    }
    assert!(page.parts.iter().any(|part| matches!(part, Part::Heading(_))));
}

#[test]
fn the_json_documents_have_the_fields_that_the_page_names() {
    let folder = sample();
    let mut stage = Stage::new(folder.path(), env!("CARGO_BIN_EXE_fleet"));
    stage.run("fleet migrate --canary --yes -q");
    let page = Page::read("docs/book/src/reference/json.md");
    let rows = page.text.lines().skip_while(|line| *line != "| command | fields |").skip(2);
    let mut count = 0;
    let mut wrong = Vec::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let (commands, fields) = row.trim_matches('|').split_once('|').unwrap();
        let quoted = |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
        for command in quoted(commands) {
            let text = stage.run(&format!("{command} --format json"));
            let document: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
            let told: Vec<String> = document.as_object().unwrap().keys().skip(1).cloned().collect();
            if told != quoted(fields) {
                wrong.push(format!("`{command}` has: `{}`", told.join("`, `")));
            }
            count += 1;
        }
    }
    none("other fields than in reference/json.md", &wrong);
    assert!(count > 10, "only {count} documents");
}
