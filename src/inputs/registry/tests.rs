//! Tests of whole tenant files: their results, and the messages for wrong ones.

use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::*;
use crate::inputs::diagnostics::{Diagnostic, Mistakes};
use crate::inputs::registry::file::FILE_NAME;
use crate::inputs::{Overrides, Variables};
use crate::model::tenant::{Address, Engine, Tenant};
use crate::policy::FailureBudget;

fn parse<const N: usize>(text: &str, variables: [(&str, &str); N]) -> Result<Registry, Mistakes> {
    let path = Path::new("/fleet/tenants.toml");
    Registry::parse(text, path, &Overrides::default(), &Variables::from(variables))
}

fn good<const N: usize>(text: &str, variables: [(&str, &str); N]) -> Registry {
    parse(text, variables).unwrap_or_else(|e| panic!("{e}"))
}

/// Line, column and message of every mistake.
fn mistakes<const N: usize>(text: &str, variables: [(&str, &str); N]) -> Vec<(usize, usize, String)> {
    let found = parse(text, variables).expect_err("the text is wrong");
    let place = |m: &Diagnostic| m.place.map_or((0, 0), |p| (p.line, p.column));
    found.list().iter().map(|m| (place(m).0, place(m).1, m.message.clone())).collect()
}

fn address(address: &Address) -> String {
    match address {
        Address::File(path) => path.display().to_string(),
        Address::Url(url) => url.expose_secret().to_owned(),
        Address::Unusable(reason) => format!("unusable: {reason}"),
    }
}

mod depends_on;

/// A file with everything in it.
const WHOLE: &str = r#"
[fleet]
name = "sample"
concurrency = 4

[defaults]
create_missing = true
single_writer = true
password = { env = "DBPASS" }
tags = { region = "eu", plan = "free" }

[[wave]]
name = "canary"
tags = { ring = "canary" }
tenants = ["b-*"]
concurrency = 2
max_failures = 0

[[wave]]
name = "early"
percent = 5
max_failures = "10%"

[[tenant]]
id = "acme"
url = "postgres://app:${PGPASS}@db7:5432/acme"
schema = "acme"
server = "pg-7"
tags = { plan = "pro", ring = "canary" }
migration_url = "postgresql://app@direct7/acme"
create_missing = false
single_writer = false

[[tenant]]
id = "b-1"
url = "mariadb://app@DB8/b1"

[[tenant]]
id = "c"
url = "sqlite:data/c.db"
"#;

#[test]
fn a_whole_file_is_read() {
    let fleet = good(WHOLE, [("PGPASS", "p@ss/w#rd"), ("DBPASS", "100%/x")]);
    assert_eq!(fleet.settings.name.as_deref(), Some("sample"));
    assert_eq!(fleet.settings.concurrency().global.get(), 4);
    let [acme, b, c] = &fleet.tenants[..] else { panic!("{fleet:?}") };
    assert_eq!(address(&acme.address), "postgres://app:p%40ss%2Fw%23rd@db7:5432/acme");
    let migrations = address(acme.address_for_migrations());
    assert_eq!(
        migrations, "postgres://app:100%25%2Fx@direct7/acme",
        "the default password, one spelling of the scheme"
    );
    assert_eq!((&*acme.server, acme.schema.as_deref(), acme.create_missing), ("pg-7", Some("acme"), false));
    assert_eq!(
        acme.tags.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(),
        ["plan=pro", "region=eu", "ring=canary"]
    );
    assert_eq!([acme.single_writer, b.single_writer], [false, true]);
    assert_eq!((b.engine, &*b.server, b.create_missing), (Engine::Mysql, "DB8:3306", true));
    assert_eq!(address(&b.address), "mysql://app:100%25%2Fx@DB8/b1");
    assert_eq!((c.engine, &*c.server, address(&c.address)), (Engine::Sqlite, "local", "/fleet/data/c.db".to_owned()));
    let [canary, early] = &fleet.waves[..] else { panic!("{fleet:?}") };
    assert_eq!(canary.members.pick(&fleet.tenants), [true, true, false]);
    assert_eq!((canary.concurrency.map(usize::from), canary.max_failures), (Some(2), Some(FailureBudget::NONE)));
    assert_eq!((early.members.percent, early.max_failures), (Some(5), Some("10%".parse().unwrap())));
    assert!(fleet.warnings.is_empty());
}

/// One tenant table with this content.
fn tenant(id: &str, rest: &str) -> String {
    format!("[[tenant]]\nid = \"{id}\"\n{rest}\n")
}

#[test]
fn all_mistakes_come_at_once_and_in_file_order() {
    let text = r#"
[fleet]
conncurrency = 3
lock_timeout = "3"

[[wave]]
name = "canary"

[[wave]]
name = "canary"
percent = 101

[[wave]]
name = "rest"
count = 0

[[tenant]]
id = "a"
url = "postgres://db/x"

[[tenant]]
id = "a"
url = "oracle://db/y"

[[tenant]]
url = "mysql://u:${NOPE}@db/z"
tags = { plan = 3 }

[[tenant]]
id = "d"
url = "postgresql://other@DB:5432/x"

[[tenant]]
id = "e"
schema = "e"

[[tenant]]
id = "f"
url = "sqlite:f.db?mode=rwc"
password = { env = "P", file = "x" }

[[tenant]]
id = "g"
url = "g.db"
schema = "g"
create_missing = "yes"
"#;
    let found: Vec<String> =
        mistakes(text, []).into_iter().map(|(line, column, message)| format!("{line}:{column} {message}")).collect();
    insta::assert_snapshot!(found.join("\n"), @r#"
    3:1 unknown key `conncurrency` in [fleet]
    4:16 `lock_timeout` must be a duration of at most a day with its unit, such as "500ms", "5s" or "2m"
    6:1 this wave has no members
    10:8 a second wave has the name `canary`
    11:11 `percent` must be a whole number, 0 to 100, without quotes, not this number
    14:8 the name `rest` is taken by the last wave
    15:9 `count` must be a whole number, 1 or more, without quotes, not this number
    22:6 a second tenant has the id `a`
    23:7 `url` has the unknown scheme `oracle`
    25:1 this tenant has no id
    26:18 the environment variable NOPE is not set
    27:17 `plan` must be a text in quotes, not this number
    31:7 tenants `a` and `d` are one database
    33:1 this tenant has no url
    39:7 `url` has parameters behind a question mark
    40:12 `password` must have exactly one of env, file and command
    45:10 `schema` has no meaning for sqlite
    46:18 `create_missing` must be true or false, without quotes, not a text
    "#);
}

#[test]
fn two_tenants_on_one_database_show_both_lines() {
    let text = tenant("a", "url = \"data/../x.db\"") + &tenant("b", "url = \"sqlite:///fleet/x.db\"");
    let shown = parse(&text, []).unwrap_err().render(false);
    insta::assert_snapshot!(shown, @r#"
    error: tenants `a` and `b` are one database
     --> /fleet/tenants.toml:6:7
      |
    6 | url = "sqlite:///fleet/x.db"
      |       ^^^^^^^^^^^^^^^^^^^^^^
      |
     ::: /fleet/tenants.toml:3:7
      |
    3 | url = "data/../x.db"
      |       -------------- `a` is here
      |
      = help: give each tenant a database of its own, or on PostgreSQL a schema

    /fleet/tenants.toml: 1 mistake; nothing was started
    "#);
}

#[test]
fn schemas_of_one_database_and_the_database_itself_are_different_tenants() {
    let url = "url = \"postgres://h/app\"";
    let text = tenant("a", url)
        + &tenant("b", &format!("{url}\nschema = \"b\""))
        + &tenant("c", &format!("{url}\nschema = \"B\""));
    assert_eq!(good(&text, []).tenants.len(), 3);
    let text = text + &tenant("d", &format!("{url}\nschema = \"b\""));
    assert_eq!(mistakes(&text, [])[0].2, "tenants `b` and `d` are one database");
    // Nothing said is `public`, and the URL may say a schema.
    let text = tenant("a", url) + &tenant("b", &format!("{url}\nschema = \"public\""));
    assert_eq!(mistakes(&text, [])[0].2, "tenants `a` and `b` are one database");
    for option in ["options[search_path]=b,x", "options=-c%20search_path%3Db"] {
        let text = tenant("a", &format!("{url}\nschema = \"b\""))
            + &tenant("b", &format!("url = \"postgres://h/app?{option}\""));
        assert_eq!(mistakes(&text, [])[0].2, "tenants `a` and `b` are one database", "{option}");
    }
}

#[test]
fn a_pooler_name_does_not_hide_that_two_tenants_are_one_database() {
    let of = |id: &str| tenant(id, &format!("url = \"postgres://pool/{id}\"\nmigration_url = \"postgres://direct/x\""));
    assert_eq!(mistakes(&(of("a") + &of("b")), [])[0].2, "tenants `a` and `b` are one database");
}

#[test]
fn ids_are_any_printable_text() {
    for good_id in ["Ünï çødé 客户", "a/b:c", "a b", &"x".repeat(128)] {
        assert_eq!(good(&tenant(good_id, "url = \"a.db\""), []).tenants[0].id.as_str(), good_id);
    }
    for bad in ["", "  ", "a\\u0000", "a\\n", "a\\u202Eb", &"x".repeat(129)] {
        assert!(parse(&tenant(bad, "url = \"a.db\""), []).is_err(), "{bad:?}");
    }
}

#[test]
fn a_missing_variable_is_shown_where_it_stands() {
    let text = tenant("a", "url = \"postgres://app:${PGPASS}@db7/acme\"");
    insta::assert_snapshot!(parse(&text, []).unwrap_err().render(false), @r#"
    error: the environment variable PGPASS is not set
     --> /fleet/tenants.toml:3:23
      |
    3 | url = "postgres://app:${PGPASS}@db7/acme"
      |                       ^^^^^^^^^
      |
      = help: set it before the command: export PGPASS=...

    /fleet/tenants.toml: 1 mistake; nothing was started
    "#);
}

/// A regression: two of these ended as "unreachable", tenant by tenant.
#[test]
fn a_url_parameter_with_a_wrong_value_is_a_mistake_of_the_file() {
    let text = tenant("a", "url = \"postgres://app@db7/acme?sslmode=verfy-full\"")
        + &tenant("b", "url = \"mysql://app@db7/acme?sslmode=require\"");
    let expected = [
        (3, 7, "`url` has the unknown value `verfy-full` for `sslmode`".to_owned()),
        (6, 7, "`url` has the unknown value `require` for `sslmode`".to_owned()),
    ];
    assert_eq!(mistakes(&text, []), expected);
}

#[test]
fn a_missing_default_password_is_one_mistake_for_all_who_need_it() {
    let text = "[defaults]\npassword = { env = \"P\" }\n".to_owned()
        + &tenant("a", "url = \"mysql://u@h/a\"")
        + &tenant("b", "url = \"mysql://u@h/b\"");
    assert_eq!(mistakes(&text, []), [(2, 12, "the environment variable P is not set (used by 2 tenants)".to_owned())]);
    let empty = mistakes(&text, [("P", "")]);
    assert_eq!(empty[0].2, "the environment variable P is empty (used by 2 tenants)", "somebody forgot it");
    let files = "[defaults]\npassword = { env = \"P\" }\n".to_owned() + &tenant("a", "url = \"a.db\"");
    assert_eq!(good(&files, []).tenants.len(), 1, "nobody needs it");
}

/// A regression: there was one block per tenant, so that the other mistakes were lost among them.
#[test]
fn a_missing_variable_is_one_mistake_for_all_tenants_that_name_it() {
    let own = |id: &str| tenant(id, &format!("url = \"mysql://u@h/{id}\"\npassword = {{ env = \"P\" }}"));
    let in_url = |id: &str| {
        let url = format!("url = \"postgres://u:${{P}}@h/{id}\"\nmigration_url = \"postgres://u:${{P}}@d/{id}\"");
        tenant(id, &url)
    };
    let text = own("a") + &in_url("b") + &own("c") + &tenant("d", "url = \"postgres://u:${Q}@h/d\"");
    let expected = [
        (4, 12, "the environment variable P is not set (used by 3 tenants, the first here)".to_owned()),
        (15, 21, "the environment variable Q is not set".to_owned()),
    ];
    assert_eq!(mistakes(&text, []), expected);
}

#[test]
fn an_empty_fleet_and_wrong_brackets_are_mistakes() {
    assert_eq!(mistakes("", [])[0].2, "the file has no tenant");
    assert_eq!(mistakes("[tenant]\nid = \"a\"", [])[0].2, "`tenant` must be a list of tables");
    assert_eq!(mistakes("[[tenants]]\nid = \"a\"", [])[0].2, "unknown key `tenants` in the file");
}

#[test]
fn syntax_mistakes_do_not_hide_what_comes_behind_them() {
    let text = "[fleet]\nname = sample\nconcurrency 3\n[[tenant]\nid = \"a\"\nurl = postgres://u@h/d\n\
                [[tenant]]\nid = \"b\nurl = \"b.db\"\n[[tenant]]\nid = \"c\"\nurll = \"c.db\"\n";
    let lines: Vec<usize> = mistakes(text, []).into_iter().map(|(line, ..)| line).collect();
    assert_eq!(lines, [2, 3, 4, 6, 8, 12]);
}

/// Valid and invalid texts with a secret in every possible place.
#[test]
fn no_mistake_ever_shows_a_secret() {
    for rest in [
        "url = \"postgres://u:s3cret@h/db?sslmod=x\"",
        "url = \"postgres://u:s3cret/w#rd@h/db\"",
        "url = \"postgres://u:s3cret\"",
        "url = \"oracle://u:s3cret@h/db\"",
        "url = \"u:s3cret@h/db\"",
        "url = \"postgres://h/db?password=s3cret\"",
        "url = postgres://u:s3cret@h/db",
        "url = \"postgres://u:s3\"cret@h/db\" # s3cret",
        "url = \"postgres://u:${S}@h/db?x=1\"",
        "url = \"${S}\"",
        "url = [\"mysql://u:s3cret@h/db\"]",
        "url = \"mysql://u@h/db\"\npassword = \"s3cret\"",
        "url = \"mysql://u@h/db\"\npasword = \"s3cret\"",
        "url = \"mysql://u@h/db\"\npassword = { value = \"s3cret\" }",
        "url = \"mysql://u@h/db\"\npassword = { command = \"print s3cret\" }",
        "url = \"mysql://u@h/db\"\npassword = { command = [\"x\", 3, \"s3cret\"] }",
        "url = \"mysql://u@h/db\"\n[tenant.password]\nvalue = \"s3cret\"",
        "url = \"mysql://u@h/db\"\npassword = s3cret",
        "url = \"mysql://u@h/db\"\npassword s3cret",
        "url = \"mysql://u:s3cret@h/db\"\npassword = { env = \"S\" }",
        "url = \"\"\"\npostgres://u:s3cret@h/db\"\"\"",
        "url = \"\"\"\npostgres://u:s3cret@h/db",
    ] {
        let text = tenant("a", rest) + &tenant("a", "");
        let mistakes = parse(&text, [("S", "mysql://u:s3cret#@h/db")]).unwrap_err();
        for shown in [mistakes.render(false), mistakes.render(true), format!("{mistakes:?}")] {
            assert!(!shown.contains("s3cret") && !shown.contains("cret@"), "{rest}\n{shown}");
        }
    }
}

#[tokio::test]
async fn passwords_are_fetched_for_whom_they_are_asked_and_once() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pw"), "p%41/ss\r\n").unwrap();
    let text = "[defaults]\npassword = { command = [\"sh\", \"-c\", \"echo ran >> log; printf 'a b@c\\\\n'\"] }\n"
        .to_owned()
        + &tenant("a", "url = \"mysql://u@h/a\"")
        + &tenant("b", "url = \"mysql://u@h/b\"")
        + &tenant("c", "url = \"mysql://u@h/c\"\npassword = { file = \"pw\" }")
        + &tenant("d", "url = \"mysql://u@h/d\"\npassword = { file = \"nosuch\" }")
        + &tenant(
            "e",
            "url = \"mysql://u@h/e\"\npassword = { command = [\"sh\", \"-c\", \"echo s3cret; exit 3\", \"s3cret\"] }",
        )
        + &tenant("f", "url = \"mysql://u:own@h/f\"")
        + &tenant("g", "url = \"mysql://u@h/g\"\npassword = { command = [\"no-such-program\"] }");
    let path = dir.path().join("tenants.toml");
    let fleet = Registry::parse(&text, &path, &Overrides::default(), &Variables::default()).unwrap();
    assert!(matches!(&fleet.tenants[0].address, Address::Unusable(_)), "nothing connects without its password");
    assert!(!dir.path().join("log").exists());
    let mut all: Vec<Arc<Tenant>> = fleet.tenants.clone();
    fleet.passwords.resolve(&mut all).await;
    fleet.passwords.resolve(&mut all).await;
    let shown: Vec<String> = all.iter().map(|t| address(&t.address)).collect();
    assert_eq!(shown[0], "mysql://u:a%20b%40c@h/a");
    assert_eq!(shown[1], "mysql://u:a%20b%40c@h/b");
    assert_eq!(shown[2], "mysql://u:p%2541%2Fss@h/c");
    assert!(shown[3].contains("nosuch can't be read"), "{}", shown[3]);
    assert!(shown[4].contains("the password command sh … failed (exit status: 3); run it"), "{}", shown[4]);
    assert!(!shown[4].contains("s3cret"), "{}", shown[4]);
    assert_eq!(shown[5], "mysql://u:own@h/f");
    assert!(shown[6].contains("no-such-program can't be started"), "{}", shown[6]);
    assert_eq!(std::fs::read_to_string(dir.path().join("log")).unwrap(), "ran\n", "one command runs once");
}

/// The address of a tenant whose password comes from this command.
async fn fetched(command: &str) -> String {
    let text = tenant("a", &format!("url = \"mysql://u@h/a\"\npassword = {{ command = {command} }}"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenants.toml");
    let fleet = Registry::parse(&text, &path, &Overrides::default(), &Variables::default()).unwrap();
    let mut all = fleet.tenants.clone();
    fleet.passwords.resolve(&mut all).await;
    address(&all[0].address)
}

/// A regression: the message was only "exit status: 1".
#[tokio::test]
async fn a_failing_command_is_told_with_the_last_line_of_its_stderr_and_nothing_of_its_stdout() {
    let long = "printf '%0300d' 1 >&2; exit 1".to_owned();
    for (script, expected) in [
        (
            "echo first >&2; printf '\\\\033[31mpermission\\\\007 denied\\\\033[0m\\\\n\\\\n' >&2; exit 2",
            "the password command sh … failed (exit status: 2): permission denied; run it by hand to see why"
                .to_owned(),
        ),
        ("echo hunter; echo no hunter today >&2; exit 1", "failed (exit status: 1): no *** today; run".to_owned()),
        (&long, format!("failed (exit status: 1): {}…; run", "0".repeat(200))),
        ("yes warning | head -c 300000 >&2; echo over >&2; exit 1", "failed (exit status: 1): over; run".to_owned()),
        // A process left behind by the command holds its stderr open and is not waited for.
        ("sleep 5 > /dev/null & echo gone >&2; exit 1", "failed (exit status: 1); run it".to_owned()),
    ] {
        let told = fetched(&format!("[\"sh\", \"-c\", \"{script}\"]")).await;
        assert!(told.contains(&expected), "{script}: {told}");
    }
}

#[tokio::test]
async fn warnings_of_a_command_that_works_are_not_waited_for() {
    let begun = std::time::Instant::now();
    let told = fetched("[\"sh\", \"-c\", \"sleep 8 > /dev/null & echo careful >&2; echo pw\"]").await;
    assert_eq!(told, "mysql://u:pw@h/a");
    assert!(begun.elapsed() < std::time::Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_command_that_hangs_is_given_up() {
    let told = fetched("[\"sleep\", \"600\"]").await;
    assert!(told.contains("no answer within 10 s"), "{told}");
}

#[test]
fn the_file_is_found_upward_and_a_missing_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    assert!(find(&below).is_none_or(|found| !found.starts_with(dir.path())));
    std::fs::write(dir.path().join(FILE_NAME), tenant("a", "url = \"a.db\"")).unwrap();
    assert_eq!(find(&below), Some(dir.path().join(FILE_NAME)));
    let missing = load(&below.join("x.toml"), &Overrides::default(), None).unwrap_err().to_string();
    assert!(missing.contains("can't read") && missing.contains("--config"), "{missing}");
    std::fs::write(below.join("x.toml"), b"a\n\xff").unwrap();
    let bytes = load(&below.join("x.toml"), &Overrides::default(), None).unwrap_err().to_string();
    assert!(bytes.contains("line 2") && bytes.contains("UTF-8"), "{bytes}");
}

#[cfg(unix)]
#[test]
fn passwords_that_others_can_read_are_warned_of() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let text = tenant("a", "url = \"mysql://u:s3cret@h/a\"") + &tenant("b", "url = \"mysql://u@h/b\"");
    std::fs::write(&path, text).unwrap();
    let warnings = |mode: u32| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        load(&path, &Overrides::default(), None).unwrap().warnings
    };
    assert!(warnings(0o600).is_empty());
    let told = warnings(0o640).concat();
    assert!(told.contains("mode 640") && told.contains("tenant a") && told.contains("chmod 600"), "{told}");
    assert!(!told.contains("s3cret"));
}

#[test]
fn a_wave_that_names_a_stranger_is_warned_of() {
    let text = "[[wave]]\nname = \"w\"\ntenants = [\"acmee\"]\n".to_owned() + &tenant("acme", "url = \"a.db\"");
    let warnings = good(&text, []).warnings;
    let expected = [
        "wave w names the tenant acmee, which is not in the file; did you mean acme?",
        "wave w takes no tenant: the tenants it names are not in the file",
    ];
    assert_eq!(warnings, expected);
}

/// A regression: a misspelt tag silently emptied the canary.
#[test]
fn a_wave_that_takes_no_tenant_is_warned_of_with_the_reason() {
    for (members, expected) in [
        ("tags = { ring = \"canray\" }", "no tenant has the tag ring=canray (did you mean ring=canary?)"),
        ("tags = { ring = \"canary\", plan = \"zz-top\" }", "no tenant has the tag plan=zz-top"),
        ("tags = { ring = \"canary\", plan = \"pro\" }", "no tenant has all of the tags ring=canary, plan=pro"),
        ("tenants = [\"a*\"]", "no tenant matches a*"),
        (
            "tags = { x = \"yy\" }\ntenants = [\"a*\", \"?\"]",
            "no tenant has the tag x=yy, and no tenant matches a* or ?",
        ),
        ("percent = 0", "its percent is 0"),
    ] {
        let text = format!("[[wave]]\nname = \"canary\"\n{members}\n")
            + &tenant("b-1", "url = \"b1.db\"\ntags = { ring = \"canary\" }")
            + &tenant("b-2", "url = \"b2.db\"\ntags = { plan = \"pro\" }");
        assert_eq!(good(&text, []).warnings, [format!("wave canary takes no tenant: {expected}")], "{members}");
    }
    let text = "[[wave]]\nname = \"canary\"\ntags = { x = \"y\" }\ntenants = [\"b*\"]\n".to_owned();
    assert!(good(&(text + &tenant("b", "url = \"b.db\"")), []).warnings.is_empty(), "one part that fits is enough");
}

/// Each check is one look into a hash map: a comparison of all with all would not end here.
#[test]
fn a_large_fleet_is_compared_in_one_pass() {
    let url = |i: usize| format!("url = \"postgres://u@db{}/d{i}\"\ntags = {{ n = \"{i}\" }}", i % 50);
    let of = |i: usize| tenant(&format!("t{i}"), &url(i));
    let mut text: String = (0..20_000).map(of).collect();
    assert_eq!(good(&text, []).tenants.len(), 20_000);
    text.push_str(&of(19_999));
    text.push_str(&tenant("new", &url(5)));
    let found: Vec<String> = mistakes(&text, []).into_iter().map(|(.., message)| message).collect();
    assert_eq!(found, ["a second tenant has the id `t19999`", "tenants `t5` and `new` are one database"]);
}

#[test]
fn dashboards_are_read_in_order_and_wrong_ones_are_mistakes() {
    let text = "[[tenant]]\nid = \"a\"\nurl = \"sqlite:a.db\"\n[[dashboard]]\nname = \"x\"\nviews = [\"v\", \"w\"]\n\
                [[dashboard]]\nname = \"y\"\nabout = \"all\"\nviews = [\"v\"]\n";
    let read = good(text, []).dashboards;
    let shown: Vec<(&str, &str, usize)> = read.iter().map(|d| (&*d.name, &*d.about, d.views.len())).collect();
    assert_eq!(shown, [("x", "", 2), ("y", "all", 1)]);
    for (wrong, message) in [
        ("[[dashboard]]\nname = \"x\"\n", "this dashboard has no `views`"),
        ("[[dashboard]]\nviews = [\"v\"]\n", "this dashboard has no `name`"),
        ("[[dashboard]]\nname = \"x\"\nviews = []\n", "this dashboard shows no view"),
        ("[[dashboard]]\nname = \"x\"\nviews = [\"v\"]\n".repeat(2).as_str(), "the dashboard x is there twice"),
        ("[dashboard]\nname = \"x\"\n", "`dashboard` must be a list of tables"),
    ] {
        let found = mistakes(&format!("[[tenant]]\nid = \"a\"\nurl = \"sqlite:a.db\"\n{wrong}"), []);
        assert_eq!(found.iter().map(|(.., message)| &**message).collect::<Vec<_>>(), [message], "{wrong}");
    }
}
