use secrecy::ExposeSecret;

use super::*;
use crate::inputs::Mistakes;
use crate::inputs::document::with_document;
use crate::inputs::form::Form;
use crate::policy::Limits;

fn read<const N: usize>(text: &str, pairs: [(&str, &str); N], overrides: &Overrides) -> Result<Settings, Mistakes> {
    let mut drafts = Diagnostics::default();
    let variables = Variables::from(pairs);
    let sources = Sources { folder: Path::new("/fleet"), overrides, variables: &variables };
    let settings = with_document(text, &mut drafts, |document, drafts| read_settings(document, sources, drafts));
    drafts.finish(Path::new("tenants.toml"), text).map(|()| settings)
}

fn messages<const N: usize>(text: &str, pairs: [(&str, &str); N]) -> String {
    read(text, pairs, &Overrides::default()).unwrap_err().render(false)
}

#[test]
fn without_anything_the_policies_defaults_hold() {
    let s = read("", [], &Overrides::default()).unwrap();
    assert_eq!(s.concurrency(), Concurrency::default());
    assert_eq!(s.timeouts(), Timeouts::default());
    assert_eq!(s.retry(), RetryPolicy::default());
    assert_eq!(s.max_failures, FailureBudget::UNLIMITED);
    assert!(matches!(&s.ledger, LedgerLocation::File(p) if p == Path::new("/fleet/fleet-ledger.db")));
    assert!(s.origins.iter().all(|(_, _, origin)| *origin == Origin::Default));
}

#[test]
fn flags_beat_environment_beats_file_beats_defaults() {
    let text = "[fleet]\nlock_timeout = \"1s\"\nconcurrency = 4\nper_server = 2\nmax_failures = 3";
    let env = [("FLEET_LOCK_TIMEOUT", "2s"), ("FLEET_CONCURRENCY", "5"), ("FLEET_CONFIG", "x")];
    let flags = Overrides::from([("lock_timeout", "2s 500ms")]);
    let s = read(text, env, &flags).unwrap();
    assert_eq!(s.timeouts().lock, Duration::from_millis(2500));
    assert_eq!((s.concurrency.get(), s.per_server.get()), (5, 2));
    assert_eq!(s.max_failures, "3".parse().unwrap());
    let origin = |key: &str| s.origins.iter().find(|(k, ..)| k == key).map(|(_, v, o)| (v.as_str(), o.clone()));
    assert_eq!(origin("lock_timeout"), Some(("2s 500ms", Origin::Flag)));
    assert_eq!(origin("concurrency"), Some(("5", Origin::Environment("FLEET_CONCURRENCY".into()))));
    assert_eq!(origin("per_server"), Some(("2", Origin::File)));
    assert_eq!(origin("attempts"), Some(("5", Origin::Default)));
}

#[test]
fn a_migration_may_have_limits_of_its_own() {
    let text = "[migrations.\"m2 b\"]\nlock_timeout = \"500ms\"\nstatement_timeout = \"0s\"\n[migrations.m3]";
    let s = read(text, [], &Overrides::default()).unwrap();
    let limits = Limits { lock: Some(Duration::from_millis(500)), statement: Some(Duration::ZERO) };
    let of = |limits| OfMigration { limits, ..OfMigration::default() };
    assert_eq!(s.migrations, [("m2 b".to_owned(), of(limits)), ("m3".to_owned(), OfMigration::default())].into());
    let bad = messages("[migrations.m2]\nlock_timeout = \"0s\"\nlock_timout = \"1s\"", []);
    assert!(bad.contains("more than 0s") && bad.contains("did you mean `lock_timeout`"), "{bad}");
}

#[test]
fn a_text_that_looks_like_a_number_stays_a_text() {
    let s = read("", [("FLEET_NAME", "0123")], &Overrides::default()).unwrap();
    assert_eq!(s.name.as_deref(), Some("0123"));
}

#[test]
fn the_ledger_is_a_file_beside_the_tenants_or_a_url_that_is_never_shown() {
    let text = "[fleet]\nledger = \"postgres://u:${PW}@h/fleet\"";
    let s = read(text, [("PW", "s3c/ret")], &Overrides::default()).unwrap();
    assert!(matches!(&s.ledger, LedgerLocation::Url(u) if u.expose_secret() == "postgres://u:s3c%2Fret@h/fleet"));
    assert!(!format!("{s:?}").contains("s3c"), "{s:?}");
    let s = read("[fleet]\nledger = \"../l.db\"", [], &Overrides::default()).unwrap();
    assert!(matches!(&s.ledger, LedgerLocation::File(p) if p == Path::new("/l.db")));
    let bad = messages("[fleet]\nledger = \"postgres://u:s3c/ret@h/fleet\"", [("FLEET_LEDGER", "mysql://u:s3c#r@h/f")]);
    assert!(!bad.contains("s3c") && bad.contains("FLEET_LEDGER"), "{bad}");
}

#[test]
fn tenants_and_waves_are_never_set_by_environment() {
    for name in ["FLEET__TENANTS__ACME__URL", "FLEET__WAVE__CANARY", "FLEET__DEFAULTS__SERVER", "FLEET__LOCK_TIMEOUT"] {
        let text = messages("", [(name, "s3cret")]);
        assert!(text.contains(name) && text.contains("FLEET_LOCK_TIMEOUT") && !text.contains("s3cret"), "{text}");
    }
}

#[test]
fn all_mistakes_of_all_layers_come_at_once() {
    let text = "[fleet]\nconcurrency = 0\nlock_timeout = 3\nlock_timout = \"3s\"\nmax_failures = \"half\"\n";
    insta::assert_snapshot!(messages(text, [("FLEET_LOCK_TIMEOUT", "3"), ("FLEET_ATEMPTS", "3")]), @r#"
    error: `concurrency` must be a whole number, 1 to 1000000
     --> tenants.toml:2:15
      |
    2 | concurrency = 0
      |               ^

    error: `lock_timeout` must be a duration in quotes with its unit, such as "5s", not this number
     --> tenants.toml:3:16
      |
    3 | lock_timeout = 3
      |                ^

    error: unknown key `lock_timout` in [fleet]
     --> tenants.toml:4:1
      |
    4 | lock_timout = ***
      | ^^^^^^^^^^^
      |
      = help: did you mean `lock_timeout`?

    error: `max_failures` must be a count (3), a share ("5%") or "unlimited"
     --> tenants.toml:5:16
      |
    5 | max_failures = "half"
      |                ^^^^^^

    error: the environment variable FLEET_ATEMPTS names no key of [fleet]
     |
     = help: did you mean FLEET_ATTEMPTS?

    error: the environment variable FLEET_LOCK_TIMEOUT must be a duration of at most a day with its unit, such as "500ms", "5s" or "2m"
     |
     = help: correct it, or remove it with: unset FLEET_LOCK_TIMEOUT

    tenants.toml: 6 mistakes; nothing was started
    "#);
}

#[test]
fn settings_do_not_depend_on_the_tenants_of_the_file() {
    let text = "[fleet]\nname = \"sample\"\n[[tenant]]\nid = 3";
    let mut drafts = Diagnostics::default();
    let (overrides, variables) = (Overrides::default(), Variables::default());
    let sources = Sources { folder: Path::new("/fleet"), overrides: &overrides, variables: &variables };
    let read = with_document(text, &mut drafts, |document, drafts| read_settings(document, sources, drafts));
    assert_eq!((read.name.as_deref(), drafts.is_empty()), (Some("sample"), true));
}

#[test]
fn a_wrong_flag_is_told_by_its_name() {
    let overrides = Overrides::from([("concurrency", "0"), ("lock_timeout", "0s")]);
    let mistakes = read("", [], &overrides).unwrap_err();
    let messages: Vec<_> = mistakes.list().iter().map(|m| m.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "--concurrency must be a whole number, 1 to 1000000",
            "--lock-timeout must be a duration of more than 0s, such as \"3s\"",
        ]
    );
}

/// It also fails for a row of the table without its field, and for a field without its row.
#[test]
fn every_setting_can_be_set_in_every_layer() {
    for setting in &SETTINGS {
        let text = match setting.form {
            Form::Text | Form::Folder => "x",
            Form::Count => "7",
            Form::Duration { .. } => "7m 7s",
            Form::Budget | Form::Percent => "7%",
            Form::Rate => "7/min",
            Form::Size => "7GB",
            Form::Deadline => "7h",
            Form::Window => "22:00-04:00 UTC",
            Form::Choice(words) => words[words.len() - 1],
            Form::Ledger => "x.db",
            Form::Switch { .. } => "true",
        };
        let quote = if matches!(setting.form, Form::Count | Form::Switch { .. }) { "" } else { "\"" };
        let file = format!("[fleet]\n{} = {quote}{text}{quote}", setting.key);
        let (none, variable) = (Overrides::default(), setting.variable());
        let layers = [
            (read(&file, [], &none), Origin::File),
            (read("", [(variable.as_str(), text)], &none), Origin::Environment(variable.clone())),
            (read("", [], &Overrides::from([(setting.key, text)])), Origin::Flag),
        ];
        let layers = layers.into_iter().filter(|(_, of)| !setting.is_of_file() || *of == Origin::File);
        for (read, wanted) in layers {
            let origins = read.unwrap_or_else(|e| panic!("{}: {e}", setting.key)).origins;
            let set: Vec<_> = origins.iter().filter(|(.., origin)| *origin != Origin::Default).collect();
            assert_eq!(set.len(), 1, "{set:?}");
            assert!(set[0].0 == setting.key && set[0].1.contains(text) && set[0].2 == wanted, "{set:?}");
        }
    }
    let variables = [("FLEET_OUTAGE", "7%"), ("FLEET_ON_FAILURE", "restore"), ("FLEET_BACKUPS", "b")];
    let s = read("", variables, &Overrides::default()).unwrap();
    assert_eq!((s.outage, s.restore_on_failure(), s.backups.as_path()), (7, true, Path::new("/fleet/b")));
}

#[test]
fn a_variable_that_may_be_a_setting_is_told_and_stops_nothing() {
    let s = read("", [("FLEET_STAGE", "s3cret"), ("FLEET_SERVERS_STATE", "x")], &Overrides::default()).unwrap();
    assert_eq!(s.warnings, ["the environment variable FLEET_STAGE is not read; did you mean FLEET_OUTAGE?"]);
}
