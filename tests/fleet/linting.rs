//! `fleet lint`: no tenant is needed, only the engines that the file names.

use serde_json::Value;

use crate::support::{Fleet, Ran};

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
