//! `fleet lint`: no tenant is needed, only the engines that the file names.

use serde_json::Value;

use crate::support::{Fleet, Ran, mysql};

const HEAD: &str = "[fleet]\nscripts = \"sql\"\n";

fn fleet() -> Fleet {
    let fleet = Fleet::new().head(HEAD).sqlite(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    fleet
}

fn write(fleet: &Fleet, file: &str, text: &str) {
    std::fs::write(fleet.path("sql").join(file), text).unwrap();
}

const ALL: [&str; 7] = ["lint", "--engine", "sqlite", "--engine", "postgres", "--engine", "mysql"];

fn lint(fleet: &Fleet, more: &[&str]) -> Ran {
    fleet.run(&[&ALL[..], more].concat())
}

/// The rules of the findings about a migration, without what is suppressed.
fn rules(document: &Value, migration: &str) -> Vec<String> {
    let all = document["findings"].as_array().unwrap().iter().filter(|f| f.get("suppressed").is_none());
    let all = all.filter(|f| f["migration"] == migration);
    all.map(|f| f["rule"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_migration_is_linted_and_suppressed_with_a_reason() {
    let fleet = fleet();
    write(&fleet, "0001_drop.up.sql", "SELECT 1;\n\nALTER TABLE inventory_items DROP COLUMN created_at;\n");
    write(&fleet, "0001_drop.down.sql", "ALTER TABLE inventory_items ADD COLUMN created_at varchar(200);\n");
    let told = lint(&fleet, &["0001"]).exits(2);
    told.shows(&[
        "warning  ban-drop-column  sql/0001_drop.up.sql:3 (sqlite, postgres, mysql)",
        "drops created_at of inventory_items",
        "instead: ",
    ]);
    // Findings that differ only in their places have their words once.
    write(&fleet, "0002_drop.up.sql", "ALTER TABLE inventory_items DROP COLUMN created_at;\n");
    let both = lint(&fleet, &["0001", "0002"]).exits(2);
    assert_eq!(both.out.matches("ban-drop-column  sql/").count(), 2, "{}", both.out);
    assert_eq!(both.out.matches("drops created_at of inventory_items").count(), 1, "{}", both.out);
    std::fs::remove_file(fleet.path("sql/0002_drop.up.sql")).unwrap();
    lint(&fleet, &["0001", "--fail-on", "error"]).exits(0);
    lint(&fleet, &["0001", "--fail-on", "never"]).exits(0);
    lint(&fleet, &["--since", "m20250109"]).exits(2);
    lint(&fleet, &["--since", "0001"]).exits(0);
    lint(&fleet, &["nope"]).exits(64);

    write(
        &fleet,
        "0001_drop.up.sql",
        "SELECT 1;\n-- fleet: allow=ban-drop-column\nALTER TABLE inventory_items DROP COLUMN created_at;\n",
    );
    lint(&fleet, &["0001"]).exits(78).tells(&["0001_drop.up.sql:2: a suppression without a reason"]);
    write(
        &fleet,
        "0001_drop.up.sql",
        "SELECT 1;\n-- fleet: allow=ban-drop-column nobody reads it\nALTER TABLE inventory_items DROP COLUMN created_at;\n",
    );
    lint(&fleet, &["0001"]).exits(0).shows(&["1 suppressed"]);
    let document = lint(&fleet, &["0001", "--format", "json"]).exits(0).json();
    assert_eq!(document["findings"][0]["suppressed"], "nobody reads it", "{document}");
    // The script itself still runs.
    fleet.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn a_rust_migration_is_suppressed_in_the_tenant_file() {
    let fleet = fleet();
    write(&fleet, "0001_nothing.sql", "SELECT 1;\n");
    let name = "m20250110_000002_add_tenant_features";
    let document = lint(&fleet, &["--format", "json", "--show", "info"]).json();
    let finding = document["findings"].as_array().unwrap().iter().find(|f| f["rule"] == "foreign-key-without-index");
    let finding = finding.unwrap_or_else(|| panic!("{document}"));
    assert_eq!(
        (&finding["migration"], &finding["statement"], &finding["file"]),
        (&name.into(), &2.into(), &Value::Null)
    );

    let allow = |reason: &str| {
        format!(
            "{HEAD}[migrations.{name}]\nallow = {{ foreign-key-without-index = \"{reason}\", lock-tables = \"x\" }}\n"
        )
    };
    let fleet = fleet.head(&allow(" "));
    lint(&fleet, &[]).exits(78).tells(&["`allow` of foreign-key-without-index has no reason"]);
    let fleet = fleet.head(&allow("few keys"));
    let document = lint(&fleet, &["--format", "json"]).exits(2).json();
    let left = rules(&document, name);
    assert!(!left.contains(&"foreign-key-without-index".to_owned()), "{left:?}");
    assert!(left.contains(&"unused-suppression".to_owned()), "{left:?}");
}

#[test]
fn findings_are_written_as_code_hosts_read_them() {
    let fleet = fleet();
    write(&fleet, "0001_drop.up.sql", "ALTER TABLE inventory_items DROP COLUMN created_at;\nFROBNICATE users;\n");
    write(&fleet, "0001_drop.down.sql", "ALTER TABLE inventory_items ADD COLUMN created_at varchar(200);\n");
    let sarif = lint(&fleet, &["0001", "--format", "sarif"]).exits(2).json();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    let known: Vec<&Value> = run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|r| &r["id"]).collect();
    let drop = results.iter().find(|r| r["ruleId"] == "ban-drop-column").unwrap();
    assert!(known.contains(&&drop["ruleId"]));
    let place = &drop["locations"][0]["physicalLocation"];
    assert_eq!(
        (&place["artifactLocation"]["uri"], &place["region"]["startLine"]),
        (&"sql/0001_drop.up.sql".into(), &1.into())
    );
    assert!(results.iter().any(|r| r["ruleId"] == "not-analysed" && r["level"] == "note"), "{results:?}");

    let begin = "::warning file=sql/0001_drop.up.sql,line=1,title=ban-drop-column::";
    lint(&fleet, &["0001", "--format", "github"]).exits(2).shows(&[begin]);

    let report = fleet.path("quality.json");
    lint(&fleet, &["0001", "--format", "gitlab", "--output", report.to_str().unwrap()]).exits(2);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(report).unwrap()).unwrap();
    let finding = report.as_array().unwrap().iter().find(|f| f["check_name"] == "ban-drop-column").unwrap();
    assert_eq!((&finding["location"]["path"], &finding["severity"]), (&"sql/0001_drop.up.sql".into(), &"major".into()));
    assert_eq!(finding["fingerprint"].as_str().unwrap().len(), 64);
    for (format, part) in [("csv", "warning,ban-drop-column,"), ("md", "| warning | ban-drop-column | ")] {
        lint(&fleet, &["0001", "--format", format]).exits(2).shows(&[part]);
    }
}

fn git(fleet: &Fleet, arguments: &[&str]) {
    let own =
        ["-c", "user.name=a", "-c", "user.email=a@x", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"];
    let mut command = std::process::Command::new("git");
    let done = command.arg("-C").arg(fleet.folder.path()).args(own).args(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn only_what_a_revision_does_not_have_is_linted() {
    let fleet = fleet();
    let old = "ALTER TABLE inventory_items DROP COLUMN created_at;\n";
    write(&fleet, "0001_old.sql", old);
    write(&fleet, "R__totals.sql", "DELETE FROM api_keys;\nINSERT INTO api_keys SELECT id, 1 FROM users;\n");
    let name = "m20250110_000002_add_tenant_features";
    std::fs::write(fleet.path("lib.rs"), small_names().replace(name, "")).unwrap();
    git(&fleet, &["init", "-q"]);
    git(&fleet, &["add", "sql", "lib.rs"]);
    git(&fleet, &["commit", "-qm", "base"]);
    git(&fleet, &["tag", "release-1"]);
    let since = |revision: &str| {
        lint(&fleet, &["--since", revision, "--format", "json", "--show", "info", "--fail-on", "never"])
    };
    let of = |document: &Value, what: &str| rules(document, what);
    let document = since("release-1").exits(0).json();
    assert_eq!(
        (of(&document, "0001_old"), of(&document, "R__totals")),
        (Vec::<String>::new(), Vec::new()),
        "{document}"
    );
    // A Rust migration is known by its name: this one is in no file of the revision.
    assert!(of(&document, name).contains(&"foreign-key-without-index".to_owned()), "{document}");
    assert!(of(&document, "m20250110_000001_initial_schema").is_empty(), "{document}");
    // A new script, and a statement that is new in an old one.
    write(&fleet, "0002_new.sql", "ALTER TABLE users DROP COLUMN email;\n");
    write(
        &fleet,
        "R__totals.sql",
        "DELETE FROM api_keys;\nINSERT INTO api_keys SELECT id, 1 FROM users;\nUPDATE users SET email = 'x';\n",
    );
    let document = since("main").exits(0).json();
    assert!(of(&document, "0002_new").contains(&"ban-drop-column".to_owned()), "{document}");
    let found = document["findings"].as_array().unwrap().iter().filter(|f| f["migration"] == "R__totals");
    let statements: Vec<&Value> = found.filter(|f| f["statement"] != 0).map(|f| &f["statement"]).collect();
    assert!(!statements.is_empty() && statements.iter().all(|statement| **statement == 3), "{document}");
    assert!(of(&document, "0001_old").is_empty(), "{document}");
    // A migration is a base as before.
    assert!(of(&since("0001_old").exits(0).json(), "0002_new").contains(&"ban-drop-column".to_owned()));
    since("relase-1").exits(64).tells(&["no revision of git either", "release-1"]);
}

/// A text that has the names of all migrations of the small catalog.
fn small_names() -> String {
    crate::support::all().join("\n")
}

#[test]
fn live_tenants_say_how_many_rows_there_are_and_who_still_runs_the_version_before() {
    let mut fleet = Fleet::new().head(&format!("{HEAD}[[wave]]\nname = \"canary\"\ntenants = [\"pg-000\"]\n"));
    fleet = fleet.postgres(2).sqlite(1).mariadb(1);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    write(&fleet, "0001_nothing.sql", "SELECT 1;\n");
    fleet.run(&["migrate", "--yes"]).exits(0);
    write(&fleet, "0002_drop.postgres.sql", "ALTER TABLE users DROP COLUMN email;\n");
    write(&fleet, "0003_index.postgres.sql", "CREATE INDEX ix_quantity ON inventory_items (quantity);\n");
    fleet.run(&["migrate", "--to", "0002_drop", "--tenant", "pg-000", "--yes"]).exits(0);
    let live = ["lint", "--engine", "postgres", "--live", "0002_drop", "0003_index"];
    let lowered = "inventory_items is empty on 2 tenants, as the engine estimates, so it was lowered from warning";
    let ran = fleet.run(&[&live[..], &["--show", "info"]].concat()).exits(2);
    let flat = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in
        [lowered, "1 of 2 tenants still run the version before it (waves rest)", "2 tenants asked, 0 could not be"]
    {
        assert!(flat.contains(said), "no {said:?} in {flat}");
    }
    for id in ["pg-000", "pg-001"] {
        fleet.ask(id, "INSERT INTO inventory_items (id, name) SELECT n, 'x' FROM generate_series(1, 3000) n");
    }
    // Rows without statistics are not known, and nothing is lowered.
    fleet.ask("pg-000", "ALTER TABLE inventory_items SET (autovacuum_enabled = false)");
    fleet.ask("pg-001", "ANALYZE inventory_items");
    let json = fleet.run(&[&live[..], &["--format", "json"]].concat()).exits(2).json();
    let index =
        json["findings"].as_array().unwrap().iter().find(|f| f["rule"] == "require-concurrent-index-creation").unwrap();
    assert_eq!((&index["severity"], &index["table"]), (&"warning".into(), &"inventory_items".into()), "{json}");
    assert!(index["what"].as_str().unwrap().contains("the largest about 3k (pg-001)"), "{index}");
    // A tenant that can't be read makes nothing green.
    let quiet = ["lint", "--engine", "sqlite", "--live", "0001_nothing"];
    fleet.run(&quiet).exits(0);
    std::fs::write(fleet.path("lite-000.db"), "this is no database, and long enough to be read as one").unwrap();
    fleet.run(&quiet).exits(2).shows(&["1 tenant asked, 1 could not be", "lite-000: "]);
    fleet.run(&["lint", "--tenant", "pg-000"]).exits(64).tells(&["add --live"]);
}

#[test]
fn live_tenants_of_the_other_engines_are_asked_too() {
    let fleet = Fleet::new().head(HEAD).sqlite(2).mariadb(2).mysql_where_there(2);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    write(&fleet, "0001_t.sql", "CREATE TABLE t (i int PRIMARY KEY, c int);\nCREATE TABLE few (i int PRIMARY KEY);\n");
    fleet.run(&["migrate", "--yes"]).exits(0);
    write(&fleet, "0002_drop.sql", "ALTER TABLE t DROP COLUMN c;\nUPDATE t SET i = i + 0;\nDELETE FROM few;\n");
    let values = |n: usize| (1..=n).map(|i| format!("({i}, {i})")).collect::<Vec<_>>().join(", ");
    for (engine, small, large, about) in [
        ("sqlite", "lite-000", "lite-001", "the largest about 3k (lite-001)"),
        ("mysql", "my-000", "my-001", "the largest about "),
        ("mysql", "mysql-000", "mysql-001", "the largest about "),
    ] {
        if mysql::is_left_out(small) {
            continue;
        }
        fleet.run(&["migrate", "--yes", "--tenant", small]).exits(0);
        fleet.ask(large, &format!("INSERT INTO t VALUES {}", values(3_000)));
        if engine == "mysql" {
            for tenant in [small, large] {
                fleet.ask(tenant, "ANALYZE TABLE t");
                fleet.ask(tenant, "ANALYZE TABLE few");
            }
        }
        let live = ["lint", "--engine", engine, "--live", "0002_drop", "--tenant", small, "--tenant", large];
        let json = fleet.run(&[&live[..], &["--format", "json"]].concat()).exits(2).json();
        let of = |rule: &str, table: &str| {
            let all = json["findings"].as_array().unwrap();
            let found = all.iter().find(|f| f["rule"] == rule && f["table"] == table);
            let found = found.unwrap_or_else(|| panic!("no {rule} of {table} in {json:#}"));
            (found["what"].as_str().unwrap().to_owned(), found["severity"].as_str().unwrap().to_owned())
        };
        let (rows, severity) = of("unbatched-change", "t");
        assert!(rows.contains("2 tenants under 1M rows of t") && rows.contains(about), "{large}: {rows}");
        assert!(rows.contains(&format!("({large})")) && severity == "warning", "{rows}");
        let (versions, _) = of("ban-drop-column", "t");
        assert!(versions.contains("1 of 2 tenants still run the version before it"), "{large}: {versions}");
        let (empty, severity) = of("unbatched-change", "few");
        let lowered = "few is empty on 2 tenants, as the engine estimates, so it was lowered from warning";
        assert!(empty.contains(lowered) && severity == "info", "{large}: {empty}");
    }
}

#[test]
fn findings_that_are_only_notes_fail_it_where_that_is_asked_for() {
    let fleet = fleet();
    write(&fleet, "0001_t.up.sql", "CREATE TABLE t (i int PRIMARY KEY);\n");
    let only = ["lint", "--engine", "sqlite", "0001"];
    fleet.run(&only).exits(0);
    let noted = fleet.run(&[&only[..], &["--fail-on", "info", "--show", "info"]].concat()).exits(2);
    noted.shows(&["missing-way-down", "0 errors, 0 warnings"]);
    fleet.run(&[&only[..], &["--fail-on", "never"]].concat()).exits(0);
}
