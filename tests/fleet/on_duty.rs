//! A person at night who does what the program says: each next step leads on, on every engine, and none contradicts another.

use crate::dumps::{run, run_id};
use crate::support::{Fleet, all, mysql};

const HEAD: &str = "[fleet]\nscripts = \"sql\"\nattempts = 1\nconcurrency = 1\n";

fn script(fleet: &Fleet, name: &str, text: &str) {
    std::fs::create_dir_all(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql").join(name), text).unwrap();
}

/// The words of the proposed command that has these words, with `--yes`.
#[track_caller]
fn proposed(text: &str, words: &str) -> Vec<String> {
    let mut commands =
        text.lines().filter_map(|line| Some(line.split_once("small ")?.1)).flat_map(|line| line.split("; "));
    let command = commands.find(|command| command.contains(words));
    let command = command.unwrap_or_else(|| panic!("no {words:?} is proposed in:\n{text}"));
    let words = command.split_whitespace().map(|word| word.trim_matches('\'').to_owned());
    words.chain(["--yes".to_owned()]).collect()
}

#[test]
fn a_tenant_in_the_middle_of_a_step_is_led_on_the_same_way_by_every_command() {
    let fleet = Fleet::new().head(HEAD).sqlite(1).postgres(1).schemas(1).mariadb(1).mysql_where_there(1);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);");
    script(&fleet, "0001_a.down.sql", "DROP TABLE a;");
    fleet.run(&["migrate", "--yes", "-q"]).exits(0);
    script(&fleet, "0002_b.sql", "-- fleet: transaction=false\nCREATE TABLE b1 (i int);\nCREATE TABLE b2 (i int);");
    script(&fleet, "0002_b.down.sql", "DROP TABLE b1;\nDROP TABLE b2;");
    for tenant in &fleet.tenants {
        let (id, flag) = (tenant.id.as_str(), format!("--tenant={}", tenant.id));
        fleet.ask(id, "CREATE TABLE b2 (i int)");
        let failed = fleet.run(&["migrate", "--yes", &flag]).exits(100);
        failed.shows(&["statement 1 of 0002_b has stayed, and nothing behind", "exists already: the first statements"]);
        let failed = fleet.run(&["runs", "show", "last"]).exits(0);
        assert!(!failed.out.contains("stamp"), "a stamp is refused: {}", failed.out);
        failed.shows(&["statement 1 of 0002_b has stayed, and nothing behind"]);
        let refusals: [&[&str]; 3] = [
            &["stamp", "--to", "0002_b", "--reason", "x", "--no-check", "--yes", &flag],
            &["rollback", "--steps", "1", "--yes", &flag],
            &["rollback", "--to", "0001_a", "--yes", &flag],
        ];
        for refused in refusals {
            let told = fleet.run(refused).exits(100);
            assert!(!told.out.contains("small rollback"), "{refused:?} on {id}: {}", told.out);
            told.shows(&["partially applied", "the next migrate goes on there", &format!("migrate --tenant {id}")]);
        }
        let told = fleet.run(refusals[0]).exits(100).out;
        fleet.ask(id, "DROP TABLE b2");
        fleet.run(&proposed(&told, "migrate --tenant")).exits(0);
        assert!(fleet.has_table(id, "b1") && fleet.has_table(id, "b2"), "{id}");
    }
    fleet.run(&["status", "--exit-code"]).exits(0);
}

#[test]
fn databases_can_be_asked_while_a_script_of_the_working_copy_is_unfinished() {
    let fleet = Fleet::new().head(HEAD).sqlite(1).postgres(1).mariadb(1);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);");
    fleet.run(&["migrate", "--yes", "-q"]).exits(0);
    script(&fleet, "0002_b.sql", "");
    let asked = fleet.run(&["exec", "SELECT count(*) AS n FROM a", "--format", "csv"]).exits(0);
    assert_eq!(asked.out.lines().filter(|line| line.ends_with(",0")).count(), 3, "{}", asked.out);
    asked.tells(&["0002_b.sql", "this command goes on without them"]);
    fleet.run(&["status"]).exits(0).shows(&["behind        3"]).tells(&["0002_b.sql"]);
    for refused in [&["exec", "--write", "DELETE FROM a", "--yes"][..], &["plan"], &["migrate", "--yes"]] {
        fleet.run(refused).exits(78).tells(&["0002_b.sql"]);
    }
}

/// Neither a backup nor what puts it back, nor a look at a tenant, asks for a script.
#[test]
fn tenants_are_backed_up_and_restored_while_a_script_of_the_working_copy_is_unfinished() {
    let fleet = Fleet::new().head(HEAD).sqlite(1).postgres(1).mariadb(1);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);");
    fleet.run(&["migrate", "--yes", "-q"]).exits(0);
    for broken in ["0002_b.sql", "noversion.sql"] {
        fleet.run(&["new", "b", "--sql"]).exits(0);
        script(&fleet, broken, "");
        let made = run_id(&run(&fleet, &["backup"], 0));
        for tenant in &fleet.tenants {
            fleet.ask(&tenant.id, "DROP TABLE a");
        }
        let dry = fleet.run(&["restore", "--run", &made, "--dry-run"]).exits(0);
        dry.tells(&[broken, "this command goes on without them"]);
        fleet.run(&["restore", "--latest", "--dry-run"]).exits(0);
        run(&fleet, &["restore", "--run", &made, "--yes"], 0);
        assert!(fleet.tenants.iter().all(|tenant| fleet.has_table(&tenant.id, "a")), "{broken}");
        for answers in [
            &["backup", "list"][..],
            &["backup", "prune", "--keep", "1", "--dry-run"],
            &["verify", "--row-counts", "--save", "counts.json"],
            &["locks"],
            &["tenants", "list"],
            &["runs", "list"],
            &["runs", "show", "last"],
        ] {
            fleet.run(answers).exits(0);
        }
        fleet.run(&["migrate", "--yes"]).exits(78).tells(&[broken]);
        for part in [broken, "0002_b.up.sql", "0002_b.down.sql"] {
            std::fs::remove_file(fleet.path("sql").join(part)).unwrap();
        }
    }
}

#[test]
fn what_stayed_of_a_failed_step_is_known_to_who_comes_later() {
    let fleet = Fleet::new().head(HEAD).sqlite(1).postgres(1).mariadb(1).mysql_where_there(1);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);\nCREATE TABLE b (i int);");
    for tenant in &fleet.tenants {
        fleet.ask(
            &tenant.id,
            if tenant.url.starts_with("mysql") { "CREATE TABLE a (i int)" } else { "CREATE TABLE b (i int)" },
        );
    }
    let live = fleet.run(&["migrate", "--yes", "--max-failures", "unlimited"]).exits(100);
    let words = ["0001_a was rolled back whole", "nothing of 0001_a has stayed"];
    live.shows(&words);
    fleet.run(&["runs", "show", "last"]).exits(0).shows(&words);
}

#[test]
fn the_last_run_that_left_nothing_names_an_earlier_one_that_did() {
    let fleet = Fleet::new().head(HEAD).sqlite(3);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);");
    fleet.ask("lite-000", "CREATE TABLE a (i int)");
    let stopped = run_id(&run(&fleet, &["migrate", "--yes", "--max-failures", "0"], 101));
    fleet.ask("lite-000", "DROP TABLE a");
    fleet.run(&["migrate", "--failed-of", "last", "--yes"]).exits(0);
    let told = fleet.run(&["runs", "resume", "last", "--yes"]).exits(5);
    let told = told
        .tells(&["left nothing", &format!("run {stopped}, before it, ended with 2 tenants that it did not get to")]);
    fleet.run(&proposed(&told.err, "runs resume")).exits(0).shows(&["2 migrated"]);
    fleet.run(&["runs", "resume", "last", "--yes"]).exits(0).tells(&["left nothing"]);
}

#[test]
fn each_way_to_resolve_says_what_it_means_for_this_tenant() {
    let fleet = Fleet::new().head(HEAD).sqlite(1).postgres(1).mariadb(1).mysql_where_there(1);
    let three =
        "-- fleet: transaction=false\nCREATE TABLE a (i int);\nCREATE TABLE b (i int);\nCREATE TABLE c (i int);";
    script(&fleet, "0001_a.sql", three);
    for tenant in &fleet.tenants {
        let (id, flag) = (tenant.id.as_str(), format!("--tenant={}", tenant.id));
        fleet.ask(id, "CREATE TABLE b (i int)");
        fleet.run(&["migrate", "--yes", &flag]).exits(100);
        let resolve = |flag: &str| format!("small runs resolve {id} {flag}");
        let looked = fleet.run(&["runs", "resolve", id]).exits(2).out;
        let way = format!("  {:29}  {}\n", "statement 2 did not happen", resolve("--resume-at 2"));
        assert!(looked.contains(&way), "{looked}");
        fleet.ask(id, "UPDATE fleet_journal SET state = 'running'");
        let looked = fleet.run(&["runs", "resolve", id]).exits(2).out;
        let ways = [
            ("statement 2 did not happen", "--resume-at 2"),
            ("statement 2 happened, and none behind it", "--resume-at 3"),
            ("all 3 statements are in place", "--applied"),
            ("none of the 3 is in place", "--not-applied"),
        ];
        let lines = ways.map(|(meaning, flag)| format!("\n  {meaning:40}  {}", resolve(flag)));
        assert!(looked.ends_with(&(lines.concat() + "\n")), "{id}: {looked}");
    }
}

#[test]
fn tables_that_no_history_knows_are_told_before_anything_is_made_beside_them() {
    let fleet = Fleet::new().sqlite(2).postgres(2).schemas(2).mariadb(2);
    let made: Vec<&str> =
        fleet.tenants.iter().map(|tenant| tenant.id.as_str()).filter(|id| id.ends_with("-000")).collect();
    for id in &made {
        fleet.ask(id, "CREATE TABLE of_others (i int)");
    }
    let doctor = fleet.run(&["doctor"]).exits(0);
    let plan = fleet.run(&["plan", "--format", "json"]).exits(0).json().to_string();
    for id in &made {
        doctor
            .out
            .lines()
            .find(|line| line.contains(&format!("baseline VERSION --dry-run --tenant {id}")))
            .unwrap_or_else(|| {
                panic!("{id}: {}", doctor.out);
            });
    }
    assert_eq!(doctor.out.matches("1 table and no history").count(), made.len(), "{}", doctor.out);
    assert_eq!(
        plan.matches("1 table and no history: if something else has made them: small baseline VERSION").count(),
        made.len()
    );
    // A look has made nothing.
    for id in &made {
        assert!(!fleet.has_table(id, "seaql_migrations"), "{id}");
    }
    // The history alone is no table of others.
    fleet.run(&["migrate", "--yes", "--tenant", "*-001"]).exits(0);
    fleet.run(&["rollback", "--all", "--yes", "--tenant", "*-001"]).exits(0);
    assert_eq!(fleet.run(&["doctor"]).exits(0).out.matches("and no history").count(), made.len());
}

#[test]
fn a_restore_says_what_it_brings_back_and_how_to_go_on() {
    let mut fleet = Fleet::new().sqlite(2).postgres(1).mariadb(1);
    fleet.run(&["migrate", "--yes", "--to", &all()[2]]).exits(0);
    fleet.run(&["backup"]).exits(0);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let restored = fleet.run(&["restore", "--latest", "--yes", "--tenant", "*-000"]).exits(0);
    let newest = all().last().unwrap();
    restored.shows(&[&format!("are at {} now, the newest is {newest}: ", all()[2]), "small migrate --tenant lite-000"]);
    fleet.run(&["migrate", "--yes"]).exits(0);
    let newer = run_id(&run(&fleet, &["backup"], 0));
    let again = fleet.run(&["restore", "--run", &newer, "--yes", "--tenant", "lite-000"]).exits(0);
    assert!(!again.out.contains("the newest is"), "{}", again.out);
    // Under its new name, a tenant has its backup still.
    fleet.tenant_mut("lite-001").id = "renamed".to_owned();
    let told = fleet.run(&["restore", "--latest", "--yes", "--tenant", "renamed"]).exits(4);
    told.tells(&[
        &format!("run {newer} has a backup of the database of renamed under the id lite-001"),
        "tenants rename renamed lite-001",
        &format!("restore --run {newer} --tenant lite-001"),
        "tenants rename lite-001 renamed",
    ]);
}

#[test]
fn a_new_tenant_is_brought_in_by_the_commands_told_where_plans_are_approved() {
    let fleet = Fleet::new().head("[fleet]\nrequire_approval = true\n").sqlite(1);
    let told = fleet.run(&["tenants", "provision", "newco", "--url", "sqlite:new.db", "--tag", "plan=pro", "--yes"]);
    let told = told.exits(2).tells(&["newco can't be provisioned", "nothing was made"]);
    assert!(!fleet.path("new.db").exists());
    let typed = |words: &str| {
        let mut command = proposed(&told.err, words);
        command.pop();
        command.iter_mut().filter(|word| *word == "NAME").for_each(|word| "Kim".clone_into(word));
        command
    };
    let then = |command: &[String]| crate::support::finish(&mut fleet.program(command));
    fleet.write();
    then(&typed("tenants add")).exits(0);
    then(&typed("--save")).exits(0);
    let shown = then(&["plan", "show", "plan.json"].map(str::to_owned)).exits(0);
    shown.shows(&["up ", "1 tenant", "from no version: ", "newco", &all()[0], "plan approve plan.json --by NAME"]);
    then(&typed("plan approve")).exits(0);
    let mut last = typed("migrate --plan");
    last.push("--yes".to_owned());
    then(&last).exits(0).shows(&["1 migrated"]);
}

#[test]
fn a_plan_that_was_carried_out_is_told_in_a_line() {
    let fleet = Fleet::new().sqlite(4);
    fleet.run(&["plan", "--save", "plan.json"]).exits(0);
    fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(0);
    let told = fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(2);
    told.tells(&["4 tenants are at ", "planned from no version: they have moved since (lite-000, lite-001, ...)"]);
}

#[test]
fn a_run_without_failures_names_one_that_has_some() {
    let fleet = Fleet::new().head(HEAD).sqlite(2);
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);");
    fleet.ask("lite-000", "CREATE TABLE a (i int)");
    let failed = run_id(&run(&fleet, &["migrate", "--yes", "--max-failures", "unlimited"], 100));
    fleet.run(&["backup", "--tenant", "lite-001"]).exits(0);
    let told = fleet.run(&["backup", "--failed-of", "last"]).exits(4);
    told.tells(&["has no failures", &format!("--failed-of {failed}")]);
}

#[test]
fn a_syntax_error_does_not_show_what_stands_behind_the_statement() {
    let fleet = Fleet::new().head(HEAD).mariadb(1).mysql_where_there(usize::from(mysql::is_there()));
    script(&fleet, "0001_a.sql", "CREATE TABLE a (i int);\nCREATE INDEX ix ON a (i);");
    script(&fleet, "0001_a.down.sql", "DROP INDEX ix;\nDROP TABLE a;");
    fleet.run(&["migrate", "--yes"]).exits(0);
    let failed = fleet.run(&["rollback", "--steps", "1", "--yes", "--max-failures", "unlimited"]).exits(100);
    let failed = failed.shows(&["at the end of the statement", "DROP INDEX ix"]);
    assert!(!failed.out.contains("fleet_journal"), "{}", failed.out);
}

#[test]
fn a_tenant_that_is_not_reached_is_told_before_the_run() {
    let mut fleet = Fleet::new().sqlite(2);
    fleet.tenant_mut("lite-001").url = "sqlite:nowhere.db".to_owned();
    fleet.run(&["migrate", "--yes"]).exits(100).tells(&["not reached, of those asked before the run: lite-001"]);
}

#[test]
fn a_dry_run_of_a_baseline_has_its_refusals_whole_in_a_narrow_terminal() {
    let fleet = Fleet::new().sqlite(1);
    fleet.run(&["migrate", "--yes", "--to", &all()[1]]).exits(0);
    let told = fleet.run(&["baseline", &all()[2], "--no-check", "--dry-run", "--width", "80"]).exits(100);
    let text: String = told.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(&format!("stamp --to {} --reason TEXT", all()[2])), "{}", told.out);
}
