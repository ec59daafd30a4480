//! One word for one state in every command, and a way out of each state by the commands that the program proposes.

use serde_json::Value;
use sqlx::{Connection as _, Executor as _};

use crate::interrupted::Held;
use crate::support::{Fleet, block_on, wait_for_end};

const HEAD: &str = "[fleet]\nscripts = \"sql\"\nattempts = 1\nlock_timeout = \"1s\"\n";

fn script(fleet: &Fleet, name: &str, text: &str) {
    std::fs::create_dir_all(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql").join(name), text).unwrap();
}

/// Types a command that the program proposed: the last one in the text that has this word.
#[track_caller]
fn proposed(text: &str, word: &str) -> Vec<String> {
    let mut all = text.lines().filter_map(|line| line.split_once("small ").map(|(_, command)| command));
    let command = all.rfind(|command| command.contains(word));
    let command = command.unwrap_or_else(|| panic!("no {word:?} is proposed in:\n{text}"));
    let end = command.find("; or ").unwrap_or(command.len());
    command[..end].split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect()
}

fn and_yes(mut command: Vec<String>) -> Vec<String> {
    command.push("--yes".to_owned());
    command
}

/// MariaDB tenants whose second statement of 0002_b was refused.
fn stopped(n: usize) -> Fleet {
    let fleet = Fleet::new().head(HEAD).mariadb(n);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);");
    script(&fleet, "0001_a.down.sql", "DROP TABLE a;");
    script(&fleet, "0002_b.sql", "CREATE TABLE b1 (i int);\nCREATE TABLE b2 (i int);");
    script(&fleet, "0002_b.down.sql", "DROP TABLE b1;\nDELETE FROM a WHERE i = 1;\nDROP TABLE b2;");
    fleet.run(&["migrate", "--yes", "--to", "0001_a"]).exits(0);
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, "CREATE TABLE b2 (i int)");
    }
    fleet
}

#[test]
fn a_tenant_that_stopped_half_way_is_called_the_same_by_every_command() {
    let fleet = stopped(1);
    let failed = fleet.run(&["migrate", "--yes", "--format", "json"]).exits(100).json();
    assert_eq!(failed["tenants"][0]["version"], "0001_a");
    fleet.run(&["status"]).exits(0).shows(&["partially applied (1): my-000", "0001_a"]);
    let matrix = fleet.run(&["matrix"]).exits(0).shows(&["partially applied", "0001_a"]);
    assert!(!matrix.out.contains("in doubt"), "{}", matrix.out);
    let rollback = fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(100);
    assert!(!rollback.out.contains("IN DOUBT"), "{}", rollback.out);
    rollback.shows(&["partially applied: stopped before statement 2 of 0002_b", "now at   0001_a"]);
    let dry = fleet.run(&["rollback", "--all", "--dry-run"]).exits(100);
    dry.shows(&["partially applied: stopped before statement 2 of 0002_b"]);
    fleet.run(&["runs", "resolve", "my-000"]).exits(2).tells(&["tenant my-000 is partially applied"]);
    fleet.run(&["doctor"]).exits(2).shows(&["stopped at statement 2 of 0002_b"]);
    // The refusal names the command that goes on, and that one does once the cause is gone.
    let out = fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(100).out;
    fleet.ask("my-000", "DROP TABLE b2");
    fleet.run(&and_yes(proposed(&out, "migrate"))).exits(0);
    fleet.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn a_rollback_that_stopped_leads_on_by_the_command_that_migrate_proposes() {
    let fleet = stopped(1);
    fleet.ask("my-000", "DROP TABLE b2");
    fleet.run(&["migrate", "--yes"]).exits(0);
    // A guard that refuses the second statement of the way down.
    fleet.ask("my-000", "CREATE TRIGGER keep BEFORE DELETE ON a FOR EACH ROW SIGNAL SQLSTATE '45000'");
    fleet.ask("my-000", "INSERT INTO a VALUES (1)");
    let back = fleet.run(&["rollback", "--steps", "1", "--yes"]).exits(100);
    proposed(&back.out, "rollback --failed-of");
    fleet.run(&["status"]).exits(0).shows(&["partially applied", "the next rollback goes on there"]);
    let up = fleet.run(&["migrate", "--yes"]).exits(100);
    up.shows(&["partially applied: stopped before statement 2 of 0002_b; the next rollback goes on there"]);
    let up = fleet.run(&["migrate", "--yes"]);
    assert!(!up.out.contains("migrate --failed-of"), "the same again does not help: {}", up.out);
    let resolve = fleet.run(&["runs", "resolve", "my-000"]).exits(2);
    assert!(resolve.err.contains("my-000 is partially applied"), "{}", resolve.err);
    fleet.ask("my-000", "DROP TRIGGER keep");
    fleet.run(&and_yes(proposed(&up.out, "rollback --steps 1"))).exits(0);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["status", "--exit-code"]).exits(0);
    assert!(fleet.has_table("my-000", "b1") && fleet.has_table("my-000", "b2"));
}

#[test]
fn several_tenants_in_doubt_are_resolved_in_one_call() {
    let fleet = stopped(3);
    let mut ids: Vec<&str> = fleet.tenants.iter().map(|tenant| tenant.id.as_str()).collect();
    fleet.run(&["migrate", "--yes"]).exits(100);
    for id in &ids {
        fleet.ask(id, "UPDATE fleet_journal SET state = 'running'");
    }
    let doubt = fleet.run(&["migrate", "--yes"]).exits(100).shows(&["IN DOUBT"]);
    let command = proposed(&doubt.out, "runs resolve");
    fleet.run(&command).exits(2).tells(&["my-000 is in doubt", "my-001 is in doubt", "my-002 is in doubt"]);
    fleet.run(&and_yes([command, vec!["--resume-at".into(), "2".into()]].concat())).exits(0);
    ids.sort_unstable();
    for id in &ids {
        fleet.ask(id, "DROP TABLE b2");
    }
    fleet.run(&["runs", "resolve", "my-000", "my-001"]).exits(2).tells(&["my-000 is partially", "my-001 is partially"]);
    fleet.run(&["runs", "resolve"]).exits(64);
    fleet.run(&["migrate", "--yes"]).exits(0);
}

/// The states of a tenant. That none is missing is checked where they are declared, in `src/model/schema/catalog.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Planted {
    Empty,
    Behind,
    AtTarget,
    Ahead,
    Gap,
    Edited,
    InDoubt,
    Stopped,
    Migrating,
    Unreachable,
}

impl Planted {
    const ALL: [Planted; 10] = [
        Planted::Empty,
        Planted::Behind,
        Planted::AtTarget,
        Planted::Ahead,
        Planted::Gap,
        Planted::Edited,
        Planted::InDoubt,
        Planted::Stopped,
        Planted::Migrating,
        Planted::Unreachable,
    ];

    /// Its name in `status`.
    fn name(self) -> &'static str {
        match self {
            Planted::Empty => "empty",
            Planted::Behind => "behind",
            Planted::AtTarget => "at_target",
            Planted::Ahead => "ahead",
            Planted::Gap => "out_of_order",
            Planted::Edited => "checksum_mismatch",
            Planted::InDoubt => "in_doubt",
            Planted::Stopped => "partially_applied",
            Planted::Migrating => "migrating",
            Planted::Unreachable => "unreachable",
        }
    }
}

const LATER: &str = "CREATE TABLE later (i int);";

/// A tenant of each kind, with scripts whose second one stops where a table is in its way.
fn of_each_kind() -> Fleet {
    let fleet = Fleet::new().head(HEAD).sqlite(1).postgres(1).schemas(1).mariadb(1).mysql_where_there(1);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);");
    script(&fleet, "0002_b.sql", "-- fleet: transaction=false\nCREATE TABLE b1 (i int);\nCREATE TABLE b2 (i int);");
    fleet
}

fn on_all(fleet: &Fleet, sql: &str) {
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, sql);
    }
}

/// What a step of 0002_b waits for when its journal is open: a table of its name that is being made, and the history.
fn held_in_the_step(url: &str) -> Held {
    block_on(async {
        if url.starts_with("postgres") {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            connection.execute("BEGIN; CREATE TABLE b1 (i int)").await.unwrap();
            Held::Postgres(connection)
        } else {
            let mut connection = sqlx::MySqlConnection::connect(url).await.unwrap();
            connection.execute("LOCK TABLES fleet_scripts READ").await.unwrap();
            Held::Mysql(connection)
        }
    })
}

/// Brings all tenants into a state; returns what holds them there, and the addresses that they have lost.
fn plant(fleet: &mut Fleet, state: Planted) -> (Vec<Held>, Vec<String>) {
    let migrate = |fleet: &Fleet, more: &[&str], code: i32| {
        fleet.run(&[&["migrate", "--yes"][..], more].concat()).exits(code);
    };
    match state {
        Planted::Empty => {}
        Planted::Behind => migrate(fleet, &["--to", "0001_a"], 0),
        Planted::AtTarget => migrate(fleet, &[], 0),
        Planted::Ahead => {
            script(fleet, "0009_later.sql", LATER);
            migrate(fleet, &[], 0);
            std::fs::remove_file(fleet.path("sql/0009_later.sql")).unwrap();
        }
        Planted::Gap => {
            migrate(fleet, &[], 0);
            on_all(fleet, "DELETE FROM fleet_scripts WHERE version = '0001_a'");
            on_all(fleet, "DROP TABLE a");
        }
        Planted::Edited => {
            migrate(fleet, &[], 0);
            script(fleet, "0001_a.sql", "CREATE TABLE a (i int); -- a note");
        }
        Planted::InDoubt | Planted::Stopped => {
            migrate(fleet, &["--to", "0001_a"], 0);
            on_all(fleet, "CREATE TABLE b2 (i int)");
            migrate(fleet, &[], 100);
            if state == Planted::InDoubt {
                on_all(fleet, "UPDATE fleet_journal SET state = 'running'");
            }
        }
        Planted::Migrating => {
            // Nobody can stop a step of SQLite between its journal and its end; and a schema is like a database here.
            fleet.tenants.retain(|tenant| tenant.schema.is_none() && !tenant.url.starts_with("sqlite"));
            migrate(fleet, &["--to", "0001_a"], 0);
            return (fleet.tenants.iter().map(|tenant| held_in_the_step(&tenant.url)).collect(), Vec::new());
        }
        Planted::Unreachable => {
            migrate(fleet, &["--to", "0001_a"], 0);
            let gone = |url: &String| format!("{}_gone", url.trim_end_matches(".db"));
            let urls: Vec<String> = fleet.tenants.iter().map(|tenant| tenant.url.clone()).collect();
            fleet.tenants.iter_mut().for_each(|tenant| tenant.url = gone(&tenant.url));
            return (Vec::new(), urls);
        }
    }
    (Vec::new(), Vec::new())
}

/// An operator takes the cause away, where there is one, and types what the program proposes.
fn lead_out(fleet: &mut Fleet, state: Planted, (held, urls): (Vec<Held>, Vec<String>)) {
    // A look ahead would refuse the run where all tenants of a fleet can't be reached.
    let first = fleet.run(&["migrate", "--yes", "--hold-wait", "0s", "--no-preflight"]);
    let typed = |fleet: &Fleet, text: &str, word: &str| fleet.run(&and_yes(proposed(text, word)));
    match state {
        Planted::Empty | Planted::Behind | Planted::AtTarget => drop(first.exits(0)),
        Planted::Ahead => {
            let first = first.exits(100);
            drop(first.shows(&["ahead: migrate them with the program that has what their histories have"]));
            script(fleet, "0009_later.sql", LATER);
        }
        Planted::Gap => drop(typed(fleet, &first.exits(100).out, "--out-of-order").exits(0)),
        Planted::Edited => {
            let out = first.exits(100).out;
            typed(fleet, &out, "scripts repair").exits(0);
            typed(fleet, &out, "--failed-of").exits(0);
        }
        Planted::InDoubt => {
            let command = proposed(&first.exits(100).out, "runs resolve");
            let told = fleet.run(&command).exits(2);
            assert!(told.out.contains("--resume-at 2"), "{}", told.out);
            on_all(fleet, "DROP TABLE b2");
            let settled = fleet.run(&and_yes([command, vec!["--resume-at".into(), "2".into()]].concat())).exits(0);
            // A line for each tenant.
            let all: Vec<&str> = settled.out.lines().filter(|line| line.contains("next: ")).collect();
            assert_eq!(all.len(), fleet.tenants.len(), "{}", settled.out);
            all.iter().for_each(|line| drop(typed(fleet, line, "migrate").exits(0)));
        }
        Planted::Stopped => {
            on_all(fleet, "DROP TABLE b2");
            typed(fleet, &first.exits(100).out, "migrate --failed-of").exits(0);
        }
        // The other run ends by itself; see below.
        Planted::Migrating => {
            held.into_iter().for_each(Held::release);
        }
        Planted::Unreachable => {
            let first = first.exits(100);
            fleet.run(&["doctor"]).exits(2).shows(&["not reached"]);
            for (tenant, url) in fleet.tenants.iter_mut().zip(urls) {
                tenant.url = url;
            }
            fleet.run(&["doctor"]).exits(0);
            typed(fleet, &first.out, "migrate --failed-of").exits(0);
        }
    }
}

#[test]
fn from_every_state_of_a_tenant_what_is_proposed_leads_to_the_target() {
    for state in Planted::ALL {
        let mut fleet = of_each_kind();
        let causes = plant(&mut fleet, state);
        fleet.write();
        let other = (state == Planted::Migrating).then(|| {
            let run = ["migrate", "--yes", "--lock-timeout", "300s", "--ledger", "other.db"];
            fleet.program(&run).spawn().unwrap()
        });
        let all = fleet.tenants.len();
        let begun = std::time::Instant::now();
        let told = loop {
            let told = fleet.run(&["status", "--format", "json"]).exits(0).json();
            let is_so = told["summary"]["by_state"][state.name()] == all;
            if is_so || other.is_none() || begun.elapsed().as_secs() > 90 {
                break told;
            }
        };
        assert_eq!(told["summary"]["by_state"][state.name()], all, "{state:?}: {told:#}");
        lead_out(&mut fleet, state, causes);
        if let Some(mut other) = other {
            assert_eq!(wait_for_end(&mut other), Some(0), "{state:?}");
        }
        fleet.run(&["status", "--exit-code"]).exits(0);
    }
}

#[test]
fn from_each_state_of_a_history_the_fix_of_doctor_leads_to_the_target() {
    let fleet = Fleet::new().head(HEAD).sqlite(2).postgres(2).mariadb(2);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);");
    script(&fleet, "0002_b.sql", "CREATE TABLE b (i int);");
    fleet.run(&["migrate", "--yes"]).exits(0);
    for kind in ["lite", "pg", "my"] {
        fleet.ask(&format!("{kind}-000"), "DELETE FROM fleet_scripts WHERE version = '0001_a'");
        fleet.ask(&format!("{kind}-000"), "DROP TABLE a");
        fleet.ask(&format!("{kind}-001"), "UPDATE fleet_scripts SET checksum = 'x' WHERE version = '0001_a'");
    }
    let report = fleet.run(&["doctor", "--format", "json"]).exits(2).json();
    let fixes: Vec<&Value> =
        report["findings"].as_array().unwrap().iter().filter(|f| f["severity"] == "error").collect();
    assert_eq!(fixes.len(), 6, "{report:#}");
    for finding in fixes {
        let command = proposed(finding["fix"].as_str().unwrap(), "--tenant");
        fleet.run(&and_yes(command)).exits(0);
    }
    fleet.run(&["doctor"]).exits(0);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn what_is_proposed_repeats_the_run_as_it_was() {
    let fleet = Fleet::new().head("[fleet]\nscripts = \"sql\"").sqlite(3);
    script(&fleet, "0001_bad.sql", "INSERT INTO no_such_table VALUES (1);");
    let flags = ["--native", "--lock-timeout", "2s", "--attempts", "1", "--max-failures", "0", "--concurrency", "1"];
    let backup = ["--backup", "--on-failure", "restore"];
    let command = [&["migrate", "--yes", "--format", "json"][..], &flags, &backup].concat();
    let report = fleet.run(&command).exits(101).json();
    let (run, rerun) = (report["run"].as_str().unwrap(), report["rerun"].as_str().unwrap());
    // In the order of the help.
    for flag in ["--native", "--lock-timeout 2s", "--attempts 1", "--max-failures 0", "--backup --on-failure restore"] {
        assert!(rerun.contains(flag), "{flag}: {rerun}");
    }
    assert!(rerun.contains(&format!("migrate --failed-of {run}")), "{rerun}");
    let shown = fleet.run(&["runs", "show", "last"]).exits(0).out;
    let resume = proposed(&shown, "runs resume");
    assert!(resume.contains(&"--native".to_owned()) && resume.contains(&"--max-failures".to_owned()), "{resume:?}");
    let again: Vec<String> = rerun.split_once("small ").unwrap().1.split(' ').map(str::to_owned).collect();
    fleet.run(&and_yes(again)).exits(100);
}

#[test]
fn nothing_is_proposed_that_can_not_help() {
    let fleet = Fleet::new().head(HEAD).sqlite(2);
    let view = "-- fleet: view=v group=daily\nCREATE TABLE v AS SELECT 1 AS i;\n-- fleet: refresh\nDELETE FROM v;";
    script(&fleet, "0001_v.sql", view);
    fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(0);
    fleet.ask("lite-000", "INSERT INTO seaql_migrations VALUES ('m99999999_000001_later', 1)");
    let ahead = fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(100);
    assert!(!ahead.out.contains("--failed-of"), "{}", ahead.out);
    ahead.shows(&["\nNext\n  ahead: migrate them with the program that has what their histories have: lite-000\n"]);
    // A tenant that is behind has nothing to refresh: it is to be migrated.
    let refresh = fleet.run(&["refresh", "--yes", "--tenant", "lite-001"]);
    fleet.run(&and_yes(proposed(&refresh.out, "migrate --tenant lite-001"))).exits(0);
    fleet.run(&["refresh", "--yes", "--tenant", "lite-001"]).exits(0).shows(&["refreshed"]);
}

#[test]
fn backups_are_found_kept_and_restored_by_tenant() {
    let fleet = Fleet::new().sqlite(2);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let list = |more: &[&str]| {
        let report = fleet.run(&[&["backup", "list", "--format", "json"][..], more].concat()).exits(0).json();
        let runs = report["backups"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned());
        runs.collect::<Vec<_>>()
    };
    let backup = |more: &[&str]| {
        let before = list(&[]);
        fleet.run(&[&["backup"][..], more].concat()).exits(0);
        list(&[]).into_iter().find(|run| !before.contains(run)).unwrap()
    };
    let both = backup(&[]);
    let one = backup(&["--tenant", "lite-000"]);
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, "CREATE TABLE later (i int)");
    }
    // The last run of all made no backups.
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["restore", "--run", "last", "--yes"]).exits(0);
    assert!(!fleet.has_table("lite-000", "later") && fleet.has_table("lite-001", "later"));
    fleet.ask("lite-000", "CREATE TABLE later (i int)");
    fleet.run(&["restore", "--latest", "--yes"]).exits(0);
    assert!(!fleet.has_table("lite-000", "later") && !fleet.has_table("lite-001", "later"));

    assert_eq!(list(&["--tenant", "lite-001"]), std::slice::from_ref(&both));
    assert_eq!(list(&["--tenant", "lite-000"]).len(), 2);
    let prune = |more: &[&str]| fleet.run(&[&["backup", "prune", "--yes"][..], more].concat());
    prune(&[]).exits(64);
    prune(&["--keep", "1", "--dry-run"]).exits(0).shows(&[&format!("kept {both}: one of the newest 1 of lite-001")]);
    let newer = backup(&["--tenant", "lite-001"]);
    prune(&["--keep", "2", "--dry-run"]).exits(0).shows(&["nothing to remove"]);
    prune(&["--keep", "1", "--dry-run"]).exits(0).shows(&[&format!("would remove {both}")]);
    assert_eq!(list(&[]).len(), 3, "nothing was removed");
    prune(&["--older-than", "0s"]).exits(0).shows(&[&format!("removed {both}")]);
    prune(&["--older-than", "0s"]).exits(0).shows(&["nothing to remove"]);
    let mut left = list(&[]);
    left.sort();
    assert_eq!(left, [one, newer]);
}

#[test]
fn a_run_that_would_fail_again_is_not_proposed_without_what_helps() {
    let fleet = Fleet::new().head(HEAD).sqlite(3).postgres(1);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);");
    script(&fleet, "0003_c.sql", "CREATE TABLE c (i int);");
    script(&fleet, "R__paid.sql", "CREATE VIEW paid AS SELECT i FROM a;");
    fleet.run(&["migrate", "--yes"]).exits(0);
    let next = |out: &str| out.split("\nNext\n").nth(1).unwrap_or_else(|| panic!("no Next in {out}")).to_owned();
    // A repeatable script is no version to be stamped.
    script(&fleet, "R__paid.sql", "CREATE VIEW paid AS SELECT i + 1 AS i FROM a;");
    let ran = fleet.run(&["migrate", "--yes", "--tenant", "pg-000"]).exits(100);
    if ran.out.contains("already_exists") {
        assert!(next(&ran.out).contains("R__paid") && next(&ran.out).contains("DROP ... IF EXISTS"), "{}", ran.out);
        assert!(!next(&ran.out).contains("stamp"), "{}", ran.out);
    }
    let again = "DROP VIEW IF EXISTS paid;\nCREATE VIEW paid AS SELECT i + 1 AS i FROM a;";
    script(&fleet, "R__paid.sql", again);
    // What ran is named where the version is the one before.
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&["0003_c; it got R__paid"]);

    script(&fleet, "0002_b.sql", "CREATE TABLE b (i int);");
    let ran = fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(100);
    assert!(next(&ran.out).starts_with("  out of order: "), "{}", ran.out);
    fleet.run(&and_yes(proposed(&ran.out, "--out-of-order"))).exits(0).shows(&["0003_c; it got 0002_b"]);

    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int); -- a note");
    let ran = fleet.run(&["migrate", "--yes", "--tenant", "lite-000"]).exits(100);
    let text = next(&ran.out);
    assert!(
        text.starts_with("  edited: ") && text.contains("small scripts repair 0001_a --tenant lite-000\n"),
        "{text}"
    );
    fleet.run(&["scripts", "repair", "0001_a", "--tenant", "lite-000", "--yes"]).exits(0);
    fleet.run(&and_yes(proposed(&text, "--failed-of"))).exits(0);
}

#[test]
fn a_resume_past_a_tenant_that_is_ahead_says_what_comes_first() {
    let waves = "[fleet]\n[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\"]\n";
    let fleet = Fleet::new().head(waves).sqlite(2);
    fleet.run(&["migrate", "--yes", "--canary"]).exits(5);
    fleet.ask("lite-000", "INSERT INTO seaql_migrations VALUES ('m99999999_000001_later', 1)");
    let ran = fleet.run(&["migrate", "--yes"]).exits(101);
    assert!(ran.out.contains("\nNext\n  ahead: "), "{}", ran.out);
    let resume = fleet.run(&["runs", "resume", "last", "--yes"]).exits(101);
    resume.tells(&["first: ahead: migrate them with the program that has what their histories have: lite-000\n"]);
}

#[test]
fn a_dry_run_names_the_command_that_shows_its_own_sql() {
    let fleet = Fleet::new().sqlite(2);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let dry = fleet.run(&["rollback", "--steps", "1", "--tenant", "lite-000", "--dry-run"]).exits(0);
    let command = dry.out.split("that is sent: `small ").nth(1).unwrap().split('`').next().unwrap().to_owned();
    assert_eq!(command, "plan --down --steps 1 --tenant=lite-000 --sql");
    let words: Vec<&str> = command.split(' ').collect();
    fleet.run(&words).exits(0).shows(&["lite-000", "DROP"]);
}

/// The server refused a statement behind a variable that only its session had: it is known what has stayed.
#[test]
fn a_refusal_behind_a_variable_of_the_session_is_not_in_doubt_and_has_a_way_on() {
    let fleet = Fleet::new().head(HEAD).mariadb(1).mysql_where_there(1);
    let text = "CREATE TABLE zz (a int PRIMARY KEY, b datetime);\nSET @n = NOW();\nINSERT INTO zz VALUES (1, @n);\n\
                INSERT INTO zz VALUES (1, @n);";
    script(&fleet, "0001_x.sql", text);
    let ran = fleet.run(&["migrate", "--yes"]).exits(100).shows(&[
        "[1062]",
        "constraint_violation",
        "partially applied: look at",
    ]);
    let told = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = "statements 1 to 3 of 0001_x have stayed, and nothing behind; no run goes on there by itself, because the state of its \
                 session is gone: @n (read by statement 4) tried";
    assert!(told.contains(words), "{}", ran.out);
    assert!(!ran.out.to_lowercase().contains("in doubt"), "{}", ran.out);
    fleet.run(&["status"]).exits(0).shows(&["partially applied"]);
    let again = fleet.run(&["migrate", "--yes"]).exits(100);
    again.shows(&["partially applied: stopped before statement 4 of 0001_x, refused in run"]);
    for tenant in &fleet.tenants {
        let looked = fleet.run(&["runs", "resolve", &tenant.id]).exits(2);
        looked.tells(&["is partially applied", "a run sends these again first", "2: SET @n = NOW()"]);
        fleet.ask(&tenant.id, "DELETE FROM zz");
        fleet.run(&["runs", "resolve", &tenant.id, "--resume-at", "4", "--yes"]).exits(0);
        fleet.run(&["migrate", "--yes", "--tenant", &tenant.id]).exits(0);
        assert_eq!(fleet.ask(&tenant.id, "SELECT a FROM zz WHERE b IS NOT NULL"), ["1"]);
    }
}

#[test]
fn an_index_that_a_build_left_invalid_is_named_with_what_to_type() {
    let fleet = Fleet::new().head(HEAD).postgres(1);
    script(&fleet, "0001_x.sql", "CREATE TABLE zz (a int);\nINSERT INTO zz VALUES (1), (1);");
    script(&fleet, "0002_y.sql", "-- fleet: transaction=false\nCREATE UNIQUE INDEX CONCURRENTLY ux ON zz (a);");
    let ran = fleet.run(&["migrate", "--yes"]).exits(100);
    assert!(!ran.out.contains("0002_y was rolled back whole"), "{}", ran.out);
    ran.shows(&["[23505]", "the invalid index", "the next run of this script drops it", "DROP INDEX CONCURRENTLY"]);
    std::fs::remove_file(fleet.path("sql/0002_y.sql")).unwrap();
    fleet.run(&["doctor"]).shows(&["invalid indexes", "DROP INDEX CONCURRENTLY"]);
    fleet.ask("pg-000", "DROP INDEX CONCURRENTLY ux");
    let healthy = fleet.run(&["doctor"]);
    assert!(!healthy.out.contains("invalid indexes"), "{}", healthy.out);
}

#[test]
fn a_new_value_of_an_enum_that_is_used_at_once_is_told_to_go_into_a_script_of_its_own() {
    let fleet = Fleet::new().head(HEAD).postgres(1);
    script(&fleet, "0001_x.sql", "CREATE TYPE mood AS ENUM ('a');\nCREATE TABLE zz (m mood);");
    script(&fleet, "0002_y.sql", "ALTER TYPE mood ADD VALUE 'b';\nINSERT INTO zz VALUES ('b');");
    let ran = fleet.run(&["migrate", "--yes"]).exits(100);
    ran.shows(&["[55P04]", "(transaction)", "put ALTER TYPE .. ADD VALUE into a script of its own,"]);
}
