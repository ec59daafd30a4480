//! Wrong command lines, and the sources of settings.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use crate::support::{Fleet, finish, program};

#[test]
fn nothing_is_changed_without_a_yes() {
    let fleet = Fleet::new().sqlite(2);
    let refused = "this changes databases and stdin is not a terminal; pass --yes to confirm";
    for command in [&["migrate"][..], &["rollback", "--all"]] {
        fleet.run(command).exits(64).tells(&[refused, "or --dry-run to see the plan"]);
    }
    let ran = fleet.run(&["seed"]).exits(64).tells(&[refused]);
    assert!(!ran.err.contains("--dry-run"), "a task has no plan to show: {}", ran.err);
    assert!(fleet.history("lite-000").is_none() && !fleet.path("fleet-ledger.db").exists());
}

/// The program in a terminal of its own (`script` of util-linux), up to the question; then this is typed.
fn in_a_terminal(fleet: &Fleet, before: &str, answer: &str) -> String {
    let program = fleet.program(&["migrate"]);
    let words = std::iter::once(program.get_program()).chain(program.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line.join(" "), "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.current_dir(program.get_current_dir().unwrap()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    input.write_all(before.as_bytes()).unwrap();
    let (mut shown, mut byte) = (Vec::new(), [0]);
    while !shown.ends_with(b"[y/N] ") && output.read(&mut byte).unwrap() > 0 {
        shown.push(byte[0]);
    }
    input.write_all(answer.as_bytes()).unwrap();
    drop(input);
    output.read_to_end(&mut shown).unwrap();
    child.wait().unwrap();
    String::from_utf8_lossy(&shown).into_owned()
}

#[test]
fn the_question_says_what_will_happen_and_takes_no_answer_typed_before_it() {
    let fleet = Fleet::new().sqlite(2);
    fleet.write();
    let shown = in_a_terminal(&fleet, "y\n", "");
    for words in
        ["Migrate 2 of 2 tenants", "Steps: 12, at most 6 a tenant", "Not atomic", "migrate_transactions (sqlite)"]
    {
        assert!(shown.contains(words), "no {words:?} in:\n{shown}");
    }
    assert!(shown.contains("nothing was done") && fleet.history("lite-000").is_none(), "{shown}");
    let shown = in_a_terminal(&fleet, "", "y\n");
    assert!(shown.contains("2 migrated"), "{shown}");
}

#[test]
fn nobody_matched() {
    let fleet = Fleet::new().sqlite(2);
    for command in [vec!["migrate", "--yes"], vec!["plan"], vec!["matrix"], vec!["tenants", "list"]] {
        let arguments = [command, vec!["--tenant", "acme"]].concat();
        fleet.run(&arguments).exits(4).tells(&["no tenant matched", "acme", "matches no tenant"]);
    }
    assert!(!fleet.path("fleet-ledger.db").exists());
}

#[test]
fn all_mistakes_of_the_tenant_file_are_told_at_once_with_their_places() {
    let mut fleet = Fleet::new().head("[fleet]\nconcurency = 4\nlock_timeout = \"soon\"").sqlite(1);
    fleet.add("lite-000", "sqlite:other.db");
    fleet.add("paper", "oracle://somewhere/x");
    let ran = fleet.run(&["migrate", "--yes"]).exits(78);
    let ran = ran.tells(&["concurency", "did you mean", "concurrency", "lock_timeout", "lite-000", "oracle"]);
    assert!(ran.err.starts_with("error: unknown key"), "{}", ran.err);
    for place in ["tenants.toml:2:1", "tenants.toml:3:"] {
        assert!(ran.err.contains(place), "no {place} in:\n{}", ran.err);
    }
    assert!(ran.out.is_empty());
    fleet.run(&["plan"]).exits(78);
    finish(fleet.program(&["plan", "--config", "elsewhere.toml"]).current_dir("/"))
        .exits(78)
        .tells(&["elsewhere.toml"]);
    finish(fleet.program(&["plan"]).current_dir("/")).exits(78).tells(&["tenants.toml", "--config"]);
}

#[test]
fn an_unknown_argument_is_a_usage_error() {
    let fleet = Fleet::new().sqlite(1);
    fleet.run(&["migrat"]).exits(64).tells(&["migrate"]);
    fleet.run(&["migrate", "--yess"]).exits(64).tells(&["--yes"]);
    fleet.run(&["migrate", "--yes", "--max-failures", "many"]).exits(64).tells(&["many"]);
    fleet.run(&["help-exit-codes"]).exits(0).shows(&["130", "101"]);
    fleet.run(&["runs", "list"]).exits(64).tells(&["no run has been recorded"]);
}

#[test]
fn the_former_names_of_commands_work_and_are_not_shown() {
    let fleet = Fleet::new().sqlite(1);
    for (room, former, now) in [("runs", "settle", "resolve"), ("scripts", "accept", "repair")] {
        let help = |arguments: &[&str]| fleet.run(arguments).exits(0).out;
        assert_eq!(help(&[room, former, "--help"]), help(&[room, now, "--help"]));
        let all = help(&[room, "--help"]);
        assert!(all.contains(&format!("  {now} ")) && !all.contains(former), "{all}");
    }
}

#[test]
fn settings_come_in_layers_and_config_tells_which() {
    let fleet = Fleet::new().head("[fleet]\nlock_timeout = \"4s\"\nattempts = 3").sqlite(1);
    let line = |out: &str, key: &str| {
        let found = out.lines().find(|l| l.split_whitespace().next() == Some(key));
        found.unwrap_or_else(|| panic!("no {key} in:\n{out}")).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let ran = fleet.run(&["config"]).exits(0);
    assert_eq!(line(&ran.out, "lock_timeout"), ["lock_timeout", "4s", "file"]);
    assert_eq!(line(&ran.out, "per_server").last().unwrap(), "default");

    let ran = finish(fleet.program(&["config"]).env("FLEET_LOCK_TIMEOUT", "5s")).exits(0);
    let found = line(&ran.out, "lock_timeout").join(" ");
    assert!(found.starts_with("lock_timeout 5s") && found.contains("FLEET_LOCK_TIMEOUT"), "{found}");

    let ran = finish(fleet.program(&["config", "--lock-timeout", "6s"]).env("FLEET_LOCK_TIMEOUT", "5s")).exits(0);
    let found = line(&ran.out, "lock_timeout").join(" ");
    assert!(found.starts_with("lock_timeout 6s") && found.contains("flag"), "{found}");

    finish(fleet.program(&["config"]).env("FLEET_LOCK_TIMEOUT", "soon")).exits(78).tells(&[
        "FLEET_LOCK_TIMEOUT",
        "duration",
        "unset",
    ]);
}

#[test]
fn the_old_form_and_a_misspelt_variable_are_refused_and_those_of_others_are_passed_over() {
    let fleet = Fleet::new().sqlite(1);
    fleet.write();
    let with = |name: &str| finish(fleet.program(&["config"]).env(name, "7s"));
    with("FLEET__FLEET__LOCK_TIMEOUT")
        .exits(78)
        .tells(&["FLEET__FLEET__LOCK_TIMEOUT has the form", "FLEET_LOCK_TIMEOUT"]);
    with("FLEET_LOCK_TIMOUT").exits(78).tells(&["FLEET_LOCK_TIMOUT names no key", "did you mean FLEET_LOCK_TIMEOUT?"]);
    with("FLEET_STAGE").exits(0).tells(&["FLEET_STAGE is not read; did you mean FLEET_OUTAGE?"]);
    for (name, words) in [
        ("FLEET_CONFG", "FLEET_CONFG is not read; did you mean FLEET_CONFIG?"),
        ("FLEET_CONFIGURATION", "FLEET_CONFIGURATION is not read; did you mean FLEET_CONFIG?"),
        ("FLEET_LEDGER_URL", "FLEET_LEDGER_URL is not read; did you mean FLEET_LEDGER?"),
        ("FLEET_TIMEOUT", "FLEET_TIMEOUT is not read: it is no setting of fleet"),
        ("FLEET_WAVE__CANARY", "FLEET_WAVE__CANARY is not read"),
        ("FLEET_SERVER_ADDRESS", "FLEET_SERVER_ADDRESS is not read"),
    ] {
        let ran = with(name).exits(0).tells(&[words]);
        assert!(ran.err.matches(name).count() == 1 && !ran.out.contains("7s"), "{}{}", ran.err, ran.out);
    }
    for name in ["FLEET_SERVERS_STATE", "FLEET_TEST_X", "FLEET_LOG"] {
        assert!(with(name).exits(0).err.is_empty(), "{name}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let lost = finish(program(elsewhere.path(), &["status"]).env("FLEET_CONFG", "there.toml")).exits(78);
    drop(lost.tells(&["no tenants.toml", "did you mean FLEET_CONFIG?"]));
}

#[test]
fn only_a_variable_in_capitals_is_a_setting() {
    let fleet = Fleet::new().sqlite(1);
    fleet.write();
    let mut both = fleet.program(&["config"]);
    let ran = finish(both.env("FLEET_LOCK_TIMEOUT", "1s").env("fleet_lock_timeout", "9s")).exits(0);
    let ran = ran.shows(&["1s"]).tells(&["fleet_lock_timeout is not read; did you mean FLEET_LOCK_TIMEOUT?"]);
    assert!(!ran.out.contains("9s"), "{}", ran.out);
}

#[test]
fn a_list_of_no_runs_is_not_asked_for() {
    let fleet = Fleet::new().sqlite(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.run(&["runs", "list", "--limit", "0"]).exits(64).tells(&["--limit", "0"]);
    fleet.run(&["runs", "list", "--limit", "1"]).exits(0).shows(&["all at target"]);
}

#[test]
fn the_selection_of_a_run_is_kept_however_it_was_written() {
    let fleet = Fleet::new().sqlite(2);
    let forms: [&[&str]; 5] =
        [&["-tlite-000"], &["-t=lite-000"], &["-t", "lite-000"], &["--tenant=lite-000"], &["-yqtlite-000"]];
    for form in forms {
        fleet.run(&[&["migrate", "--yes"][..2 - usize::from(form[0].starts_with("-y"))], form].concat()).exits(0);
        let shown = fleet.run(&["runs", "show", "last", "--format", "json"]).exits(0).json();
        assert_eq!(shown["selection"], serde_json::json!(["--tenant=lite-000"]), "{form:?}");
    }
}

#[test]
fn the_settings_are_told_to_programs_too() {
    let fleet = Fleet::new().head("[fleet]\nattempts = 3").sqlite(1);
    fleet.write();
    let config = |format: &str| finish(fleet.program(&["config", "--format", format]).env("FLEET_LOCK_TIMEOUT", "5s"));
    let told = config("json").exits(0).json();
    let of = |key: &str| told["settings"].as_array().unwrap().iter().find(|row| row["setting"] == key).unwrap().clone();
    assert_eq!((of("attempts")["value"].as_str(), of("attempts")["from"].as_str()), (Some("3"), Some("file")));
    assert_eq!(of("lock_timeout")["variable"], "FLEET_LOCK_TIMEOUT");
    assert_eq!(of("outage")["from"], "default");
    config("csv").exits(0).shows(&[
        "setting,value,from\n",
        "attempts,3,file\n",
        "lock_timeout,5s,FLEET_LOCK_TIMEOUT\n",
    ]);
    config("md").exits(0).shows(&["| Setting | Value | From |", "| attempts | 3 | file |"]);

    let page = finish(fleet.program(&["help-reference", "settings"]).current_dir("/")).exits(0);
    page.shows(&["# Settings", "| `--attempts` | `FLEET_ATTEMPTS` |", "| none | `FLEET_OUTAGE` |"]);
}

/// The flags of settings are made from a table: help shows them where they belong, and wrong ones are reported like
/// others.
#[test]
fn the_flags_of_settings_are_flags_like_all_others() {
    let fleet = Fleet::new().sqlite(1);
    let help = fleet.run(&["migrate", "--help"]).exits(0).out;
    let run = help.split("\nRun:\n").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    let flags: Vec<&str> = run.lines().filter_map(|line| line.trim().strip_prefix("--")?.split(' ').next()).collect();
    let wanted = [
        "concurrency",
        "per-server",
        "connect-timeout",
        "lock-timeout",
        "statement-timeout",
        "attempts",
        "hold-wait",
        "lock-wait",
        "max-failures",
        "run-max-failures",
        "ledger",
        "scripts",
        "backups",
        "restore-trial",
        "log-format",
        "log-dir",
        "no-preflight",
        "fail-fast",
        "keep-going",
    ];
    assert_eq!(flags, wanted, "{help}");
    assert!(help.contains("\n      --on-failure <WHAT>") && !run.contains("on-failure"), "{help}");
    assert!(!fleet.run(&["status", "--help"]).exits(0).out.contains("on-failure"));
    fleet.run(&["config", "--lock-timeout", "soon"]).exits(64).tells(&["--lock-timeout <DURATION>", "500ms"]);
    fleet
        .run(&["config", "--lock-timeout", "0s"])
        .exits(78)
        .tells(&["--lock-timeout must be a duration of more than 0s"]);
    fleet.run(&["migrate", "--on-failure", "cry"]).exits(78).tells(&["--on-failure must be \"leave\" or \"restore\""]);
    fleet.run(&["migrate", "--yes", "--on-failure", "restore"]).exits(64).tells(&["--backup"]);
}

/// A path in the tenant file means the same file wherever fleet is started, as that of an SQLite file does.
#[test]
fn tls_files_are_looked_for_beside_the_tenant_file() {
    let mut fleet = Fleet::new().postgres(1).mariadb(1);
    for (id, parameters) in [
        ("pg-000", "sslmode=verify-ca&sslrootcert=certificates/ca.pem"),
        ("my-000", "ssl-mode=verify_ca&ssl-ca=certificates/ca.pem"),
    ] {
        let url = format!("{}?{parameters}", fleet.tenant(id).url);
        fleet.tenant_mut(id).url = url;
    }
    fleet.write();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = fleet.path("tenants.toml").display().to_string();
    let check = || finish(&mut program(elsewhere.path(), &["status", "--config", &file, "--width", "400"])).exits(0);
    let wanted = std::fs::canonicalize(fleet.folder.path()).unwrap().join("certificates/ca.pem");
    check().shows(&[
        &format!("the file {} that `sslrootcert` names can't be read", wanted.display()),
        "that `ssl-ca` names",
    ]);
    std::fs::create_dir(fleet.path("certificates")).unwrap();
    std::fs::write(&wanted, "no certificate").unwrap();
    let found = check();
    assert!(!found.out.contains("can't be read"), "{}", found.out);
}
