//! `[[source]]`: tenants that databases, files, programs and Kubernetes know, and sources that lie.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{Fleet, Ran, all, finish, mariadb_url, mysql, postgres_url, sql};

/// A fleet with these sources, whose tenants are the SQLite files `a.db` and so on.
fn with(sources: &str, files: &[&str]) -> Fleet {
    let fleet = Fleet::new().head(sources);
    files.iter().for_each(|file| std::fs::write(fleet.path(&format!("{file}.db")), "").unwrap());
    fleet
}

/// A script in the fleet's folder.
fn script(fleet: &Fleet, name: &str, text: &str) {
    let path = fleet.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn listed(fleet: &Fleet) -> Value {
    let mut list = fleet.run(&["tenants", "list", "--format", "json"]).exits(0).json();
    list["tenants"].take()
}

/// The ids of a list, each with its source.
fn ids(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    list.as_array().unwrap().iter().map(|tenant| (text(&tenant["id"]), text(&tenant["source"]))).collect()
}

fn of(source: &str, names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), source.to_owned())).collect()
}

fn versions(fleet: &Fleet, file: &str) -> Vec<String> {
    sql(&format!("sqlite:{}", fleet.path(file).display()), "SELECT version FROM seaql_migrations ORDER BY version")
}

#[test]
fn a_query_on_each_engine_gives_tenants_that_are_like_those_of_the_file() {
    for engine in ["sqlite", "postgres", "mariadb", "mysql"] {
        if mysql::is_left_out(engine) {
            continue;
        }
        let mut fleet = Fleet::new().sqlite(1);
        let (url, told) = match engine {
            "sqlite" => (format!("sqlite:{}", fleet.path("control.db").display()), "sqlite:control.db".to_owned()),
            other => (fleet.database(other, "control"), String::new()),
        };
        if engine == "sqlite" {
            std::fs::write(fleet.path("control.db"), "").unwrap();
        }
        ["b", "a", "gone"].iter().for_each(|file| std::fs::write(fleet.path(&format!("{file}.db")), "").unwrap());
        sql(
            &url,
            "CREATE TABLE customer (code varchar(20), place varchar(200), labels varchar(200), alive int); \
             INSERT INTO customer VALUES ('b', 'sqlite:b.db', 'plan=pro,region=eu', 1), \
             ('a', 'sqlite:a.db', '{\"plan\": \"free\"}', 1), ('gone', 'sqlite:gone.db', NULL, 0)",
        );
        let told = if told.is_empty() { url.clone() } else { told };
        fleet.head = format!(
            "[[wave]]\nname = \"canary\"\ntags = {{ plan = \"pro\" }}\n[[source]]\nname = \"crm\"\n[source.query]\nurl = '{told}'\n\
             sql = \"SELECT code AS id, place AS url, labels AS tags, NULL AS server FROM customer WHERE alive = 1;\"\n"
        );
        let list = listed(&fleet);
        let wanted = [of("crm", &["b"]), of("-", &["lite-000"]), of("crm", &["a"])].concat();
        assert_eq!(ids(&list), wanted, "{engine}");
        assert_eq!((&list[0]["tags"], &list[0]["wave"]), (&json!({ "plan": "pro", "region": "eu" }), &"canary".into()));
        fleet.run(&["tenants", "list"]).exits(0).shows(&["SOURCE", "crm"]);
        fleet
            .run(&["plan", "--tag", "plan=pro"])
            .exits(0)
            .shows(&["1 tenant: 1 to migrate", "crm"])
            .tells(&["source crm: 2"]);
        let ran = fleet.run(&["migrate", "--yes"]).exits(0).tells(&["source crm: 2 tenants, noted for the first time"]);
        assert!(ran.out.contains("3 migrated"), "{}", ran.out);
        assert_eq!((versions(&fleet, "a.db"), versions(&fleet, "b.db")), (all().to_vec(), all().to_vec()));
        assert_eq!(std::fs::metadata(fleet.path("gone.db")).unwrap().len(), 0);
        let matrix = fleet.run(&["matrix", "--format", "json"]).exits(0).json();
        assert_eq!(matrix["tenants"][0]["source"], "crm");
        assert!(matrix["tenants"][1].get("source").is_none());
        fleet.run(&["matrix", "--format", "csv"]).exits(0).shows(&["error,source\n", ",crm\n"]);
        // A query can't write, whatever it says.
        fleet.head = fleet.head.replace("SELECT code", "DELETE FROM customer; SELECT code");
        fleet.run(&["status"]).exits(1).tells(&["source `crm` can't be asked", "no tenant was touched"]);
        assert_eq!(sql(&url, "SELECT code FROM customer").len(), 3, "{engine}");
    }
}

#[test]
fn schemas_and_databases_are_tenants_by_their_names() {
    let mut fleet = Fleet::new();
    let shared = fleet.database("postgres", "shared");
    sql(&shared, "CREATE SCHEMA t_one; CREATE SCHEMA t_two; CREATE SCHEMA t_test; CREATE SCHEMA other");
    fleet.head = format!(
        "[[source]]\nname = \"schemas\"\nschemas = {{ url = '{shared}', match = [\"t_*\"] }}\nexclude = [\"t_test\"]\n\
         prefix = \"eu-\"\n"
    );
    assert_eq!(ids(&listed(&fleet)), of("schemas", &["eu-t_one", "eu-t_two"]));
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&["2 migrated"]);
    for (schema, tables) in [("t_one", 1), ("t_two", 1), ("t_test", 0), ("other", 0)] {
        let text = format!(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = '{schema}' AND tablename = 'seaql_migrations'"
        );
        assert_eq!(sql(&shared, &text).len(), tables, "{schema}");
    }
    for engine in ["postgres", "mariadb", "mysql"] {
        if mysql::is_left_out(engine) {
            continue;
        }
        let mut fleet = Fleet::new();
        let urls: Vec<String> = ["x_one", "x_two", "x_old"].iter().map(|name| fleet.database(engine, name)).collect();
        let (pattern, old) = (fleet.unique("x_*"), fleet.unique("x_old"));
        // The URL of any database of the server will do, with its user, its password and its parameters.
        fleet.head = format!(
            "[[source]]\nname = \"servers\"\nexclude = [\"{old}\"]\n[source.databases]\nurl = '{}'\nmatch = [\"{pattern}\"]\n\
             [source.defaults]\nserver = \"db7\"\ntags = {{ tier = \"gold\" }}\n",
            urls[2]
        );
        let list = listed(&fleet);
        let (one, two) = (fleet.unique("x_one"), fleet.unique("x_two"));
        assert_eq!(ids(&list), of("servers", &[&one, &two]), "{engine}");
        assert_eq!((&list[0]["server"], &list[0]["tags"]), (&"db7".into(), &json!({ "tier": "gold" })));
        fleet.run(&["migrate", "--yes", "--server", "db7"]).exits(0).shows(&["2 migrated"]);
        for url in &urls[..2] {
            assert_eq!(sql(url, "SELECT version FROM seaql_migrations ORDER BY version"), all(), "{engine}");
        }
    }
}

#[test]
fn the_password_of_a_source_is_kept_elsewhere_and_its_databases_have_it_too() {
    let mut fleet = Fleet::new();
    let url = fleet.database("postgres", "secret");
    let role = fleet.unique("role");
    fleet.at_end(&postgres_url(), &format!("DROP ROLE {role}"));
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    sql(
        &postgres_url(),
        &format!("CREATE ROLE {role} LOGIN PASSWORD 'p@ss/w0rd'; ALTER DATABASE {name} OWNER TO {role}"),
    );
    let mut own = url::Url::parse(&url).unwrap();
    own.set_username(&role).unwrap();
    own.set_password(None).unwrap();
    for password in ["{ command = [\"cat\", \"pw\"] }", "{ file = \"pw\" }", "{ env = \"SOURCE_PW\" }"] {
        fleet.head = format!(
            "[[source]]\nname = \"servers\"\ndatabases = {{ url = '{own}', match = [\"{name}\"], password = {password} }}\n"
        );
        std::fs::write(fleet.path("pw"), "p@ss/w0rd\n").unwrap();
        fleet.write();
        let run = |words: &[&str]| finish(fleet.program(words).env("SOURCE_PW", "p@ss/w0rd"));
        let list = run(&["tenants", "list"]).exits(0).shows(&[&name]);
        let status = run(&["migrate", "--yes"]).exits(0);
        for text in [list.out, list.err, status.out, status.err] {
            assert!(!text.contains("p@ss") && !text.contains("p%40ss"), "{text}");
        }
        std::fs::write(fleet.path("pw"), "wrong\n").unwrap();
        let ran = finish(fleet.program(&["status"]).env("SOURCE_PW", "wrong")).exits(1);
        ran.tells(&["source `servers` can't be asked", "28P01"]);
    }
    finish(&mut fleet.program(&["status"])).exits(78).tells(&["SOURCE_PW is not set"]);
    fleet.head = format!("[[source]]\nname = \"servers\"\ndatabases = {{ url = '{url}', match = [\"{name}\"] }}\n");
    if url::Url::parse(&url).unwrap().password().is_some() {
        fleet.write();
        std::fs::set_permissions(fleet.path("tenants.toml"), PermissionsExt::from_mode(0o644)).unwrap();
        finish(&mut fleet.program(&["status"])).exits(0).tells(&["holds a password in a [[source]]"]);
    }
}

#[test]
fn files_programs_lists_and_kubernetes_are_sources() {
    let sources = "[[source]]\nname = \"folder\"\nfiles = \"data/**/*.db\"\nexclude = [\"old*\"]\n\
                   [[source]]\nname = \"program\"\ncommand = [\"bin/tenants\", \"--all\"]\n\
                   [[source]]\nname = \"json\"\nfile = \"list.json\"\n[[source]]\nname = \"lines\"\nfile = \"list.jsonl\"\n\
                   [[source]]\nname = \"csv\"\nfile = \"list.csv\"\n[[source]]\nname = \"toml\"\nfile = \"list.toml\"\n\
                   [[source]]\nname = \"k8s\"\nkubernetes = { label = \"app=tenant\", namespace = \"prod\", url_key = \"uri\" }\n\
                   [defaults]\ncreate_missing = true\n";
    let fleet = with(sources, &[]);
    for file in ["data/f b.db", "data/sub/f%a.db", "data/old.db", "data/f.db-wal"] {
        std::fs::create_dir_all(fleet.path(file).parent().unwrap()).unwrap();
        std::fs::write(fleet.path(file), "").unwrap();
    }
    script(
        &fleet,
        "bin/tenants",
        "test \"$1\" = --all || exit 9\nprintf '{\"id\": 7, \"url\": \"sqlite:p.db\", \"tags\": {\"n\": 1}}'",
    );
    for (file, text) in [
        ("list.json", "{\"tenants\": [{\"id\": \"j\", \"url\": \"sqlite:j.db\", \"depends_on\": [\"l\"]}]}"),
        ("list.jsonl", "{\"id\": \"l\", \"url\": \"sqlite:l.db\", \"quarantine\": \"half a restore\"}\n"),
        ("list.csv", "id,url,tags\nc,sqlite:c.db,\"plan=pro,region=eu\"\n"),
        ("list.toml", "[[tenant]]\nid = \"t\"\nurl = \"sqlite:t.db\"\ntags = { plan = \"pro\" }\n"),
    ] {
        std::fs::write(fleet.path(file), text).unwrap();
    }
    // `sqlite:k.db` in base64.
    let secrets = json!({ "kind": "List", "metadata": { "resourceVersion": "" }, "items": [
        { "metadata": { "name": "k", "labels": { "app": "tenant", "plan": "free" } }, "data": { "uri": "c3FsaXRlOmsuZGI=" } } ] });
    std::fs::write(fleet.path("secrets.json"), secrets.to_string()).unwrap();
    script(&fleet, "path/kubectl", "echo \"$@\" > called; cat secrets.json");
    let path = format!("{}:{}", fleet.path("path").display(), std::env::var("PATH").unwrap());
    fleet.write();
    let run = |words: &[&str]| finish(fleet.program(words).env("PATH", &path));
    let list = run(&["tenants", "list", "--format", "json"]).exits(0).json()["tenants"].take();
    let wanted = [
        of("folder", &["f b", "f%a"]),
        of("program", &["7"]),
        of("json", &["j"]),
        of("lines", &["l"]),
        of("csv", &["c"]),
        of("toml", &["t"]),
        of("k8s", &["k"]),
    ];
    assert_eq!(ids(&list), wanted.concat());
    let tags = |at: usize| list[at]["tags"].clone();
    assert_eq!((tags(2), tags(5)), (json!({ "n": "1" }), json!({ "plan": "pro", "region": "eu" })));
    assert_eq!((tags(6), tags(7)), (json!({ "plan": "pro" }), json!({ "app": "tenant", "plan": "free" })));
    let called = std::fs::read_to_string(fleet.path("called")).unwrap();
    assert_eq!(called, "get secrets --output json --selector app=tenant --namespace prod\n");
    // j depends on l, so it waits for it.
    let ran = run(&["migrate", "--yes"]).exits(5).shows(&["6 migrated", "in quarantine, left out: l: half a restore"]);
    let change_there = "the source `lines` says so: ";
    assert!(!format!("{}{}", ran.out, ran.err).contains("tenants release"), "{}\n{}", ran.out, ran.err);
    ran.shows(&[&format!("{change_there}to take one out of it, change it there")]);
    run(&["migrate", "--yes", "--tenant", "l"]).exits(64).tells(&[&format!("{change_there}change it there")]);
    assert_eq!((versions(&fleet, "data/sub/f%a.db"), versions(&fleet, "k.db")), (all().to_vec(), all().to_vec()));
    let sources = run(&["tenants", "sources"]).exits(0);
    sources.shows(&["SOURCE", "KIND", "folder", "files", "kubernetes", "run 0"]);
    // Commands that need no tenants ask no source, and neither do completions.
    std::fs::remove_file(fleet.path("called")).unwrap();
    run(&["runs", "show", "last"]).exits(0);
    run(&["runs", "list"]).exits(0);
    run(&["config"]).exits(0);
    finish(fleet.program(&["--", "fleet", "status", "--tenant", ""]).env("PATH", &path).env("FLEET_COMPLETE", "bash"));
    assert!(!fleet.path("called").exists());
}

/// The answer to a source that is a program with this text.
fn answer(text: &str, more: &str) -> Ran {
    let fleet = with(&format!("[[source]]\nname = \"cmdb\"\ncommand = [\"./tenants\"]\n{more}\n"), &["a"]);
    script(&fleet, "tenants", text);
    let ran = fleet.run(&["migrate", "--yes"]);
    assert_eq!(std::fs::metadata(fleet.path("a.db")).unwrap().len(), 0, "no tenant is touched");
    assert!(!fleet.path("fleet-ledger.db").exists(), "nothing is recorded");
    assert!(!ran.err.contains("s3cret"), "{}", ran.err);
    ran
}

#[test]
fn an_answer_that_is_not_whole_stops_everything() {
    let a = "echo '{\"id\": \"a\", \"url\": \"sqlite:a.db\"}'";
    let whole = ["source `cmdb`", "no tenant was touched", "without its [[source]] in tenants.toml"];
    for (text, wanted) in [
        (format!("{a}; echo 'no licence' >&2; exit 3"), "failed (exit status: 3): no licence"),
        (
            format!("{a}; printf '{{\"id\": \"b\", \"url\": \"postgres://u:s3cret@h'"),
            "line 2 is no JSON object, as if it was cut off",
        ),
        ("echo s3cret garbage".to_owned(), "line 1 is no JSON object"),
        ("echo '[1, 2]'".to_owned(), "line 1 is no JSON object"),
        (format!("{a}; printf '\\377\\n'"), "not UTF-8"),
        (format!("{a}; kill -9 $$"), "signal: 9"),
        ("echo '{\"id\": \"a\", \"url\": \"sqlite:a.db\", \"tags\": \"pro\"}'".to_owned(), "row 1: `tags` must be"),
    ] {
        answer(&text, "").exits(1).tells(&whole).tells(&[wanted]);
    }
    // A program that hangs, also one that has answered, and an endless stream.
    answer(&format!("{a}; sleep 60"), "timeout = \"1s\"")
        .exits(1)
        .tells(&whole)
        .tells(&["did not end within 1s and was killed"]);
    answer(&format!("(sleep 60) & {a}"), "timeout = \"1s\"").exits(1).tells(&["did not end within 1s and was killed"]);
    answer("yes '{\"id\": \"a\", \"url\": \"sqlite:a.db\"}'", "")
        .exits(1)
        .tells(&["printed more than 268435456 bytes"]);
    let fleet = with("[[source]]\nname = \"cmdb\"\nfile = \"list.csv\"\n", &["a"]);
    let list = fleet.path("list.csv");
    let pipe = std::process::Command::new("mkfifo").arg(&list).status().unwrap();
    assert!(pipe.success());
    fleet.run(&["migrate", "--yes"]).exits(1).tells(&whole).tells(&["list.csv: it is a pipe and no file"]);
    std::fs::remove_file(&list).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &list).unwrap();
    fleet.run(&["migrate", "--yes"]).exits(1).tells(&whole).tells(&["list.csv, which is no file"]);
    std::fs::remove_file(&list).unwrap();
    std::fs::File::create(&list).unwrap().set_len(268_435_457).unwrap();
    fleet.run(&["migrate", "--yes"]).exits(1).tells(&whole).tells(&["list.csv, which has more than 268435456 bytes"]);
    let fleet = with("[[source]]\nname = \"cmdb\"\ncommand = [\"./missing\"]\n", &[]);
    fleet.run(&["status"]).exits(1).tells(&["source `cmdb` `./missing` can't be started"]);
}

#[test]
fn rows_that_are_no_tenants_are_mistakes_with_their_source_and_row() {
    let row = |text: &str| format!("cat <<'EOF'\n{{\"id\": \"a\", \"url\": \"sqlite:a.db\"}}\n{text}\nEOF");
    for (text, wanted) in [
        (r#"{"id": "b"}"#, "source `cmdb`, row 2 (b): this tenant has no url"),
        (r#"{"url": "sqlite:b.db"}"#, "row 2: this tenant has no id"),
        (r#"{"id": null, "url": "sqlite:b.db"}"#, "row 2: this tenant has no id"),
        (r#"{"id": "  ", "url": "sqlite:b.db"}"#, "row 2 (  ): `id` is empty"),
        (r#"{"id": "b\u001b[2J", "url": "sqlite:b.db"}"#, "`id` holds the unprintable character U+001B"),
        (r#"{"id": "a", "url": "sqlite:b.db"}"#, "a second tenant has the id `a`"),
        (r#"{"id": "b", "url": "sqlite:./x/../a.db"}"#, "tenants `a` and `b` are one database"),
        (r#"{"id": "b", "url": "sqlite:b.db", "tag": {"x": "y"}}"#, "unknown key `tag` in a row"),
        (
            r#"{"id": "b", "url": "postgres://u:s3cret@h/b", "password": {"command": ["touch", "owned"]}}"#,
            "unknown key `password` in a row",
        ),
        (r#"{"id": "b", "url": "postgres://u:s3cret@h/a/b"}"#, "names no single database"),
        (r#"{"id": "b", "url": "oracle://u:s3cret@h/b"}"#, "has the unknown scheme `oracle`"),
        (r#"{"id": "b", "url": "sqlite:b.db", "depends_on": ["nobody"]}"#, "names the tenant `nobody`"),
        (r#"{"id": ["b"], "url": "sqlite:b.db"}"#, "`id` must be a text in quotes, not a list"),
    ] {
        answer(&row(text), "").exits(78).tells(&[wanted, "tenants.toml:", "nothing was started"]);
    }
    // An id with slashes is one as in the file, and a variable of this process is not for whoever writes a row.
    let fleet = with("[[source]]\nname = \"cmdb\"\ncommand = [\"./tenants\"]\n", &[]);
    script(&fleet, "tenants", &row("{\"id\": \"../b\", \"url\": \"postgres://u:${HOME}@h/d\"}"));
    let list = fleet.run(&["tenants", "list"]).exits(0).shows(&["../b"]);
    assert!(!list.out.contains(&std::env::var("HOME").unwrap()), "{}", list.out);
}

#[test]
fn ids_and_databases_are_unique_over_all_sources_and_the_file() {
    let mut fleet = Fleet::new().sqlite(1);
    fleet.head =
        "[[source]]\nname = \"one\"\nfile = \"one.csv\"\n[[source]]\nname = \"two\"\nfile = \"two.csv\"\n".to_owned();
    let lists = |one: &str, two: &str| {
        std::fs::write(fleet.path("one.csv"), format!("id,url\n{one}\n")).unwrap();
        std::fs::write(fleet.path("two.csv"), format!("id,url\n{two}\n")).unwrap();
        fleet.run(&["tenants", "list"])
    };
    lists("a,sqlite:a.db", "b,sqlite:b.db").exits(0);
    lists("a,sqlite:a.db", "a,sqlite:b.db")
        .exits(78)
        .tells(&["source `two`, row 1 (a): a second tenant has the id `a`"]);
    lists("a,sqlite:a.db", "lite-000,sqlite:b.db").exits(78).tells(&["a second tenant has the id `lite-000`"]);
    lists("a,sqlite:a.db", "b,sqlite:lite-000.db").exits(78).tells(&["tenants `lite-000` and `b` are one database"]);
    lists("a,postgres://x@DB7/d", "b,postgresql://y:s@db7:5432/d")
        .exits(78)
        .tells(&["tenants `a` and `b` are one database"]);
    lists("a,sqlite:a.db", "b,sqlite:b.db").exits(0);
    // A tenant that the file would get must not be one of a source.
    let add = |id: &str, url: &str| finish(&mut fleet.program(&["tenants", "add", id, "--url", url]));
    add("a", "sqlite:c.db").exits(78).tells(&["a second tenant has the id `a`", "the file was not changed"]);
    add("c", "sqlite:b.db").exits(78).tells(&["are one database", "the file was not changed"]);
    add("c", "sqlite:c.db").exits(0);
    for words in [&["tenants", "remove", "a"][..], &["tenants", "rename", "a", "z"], &["tenants", "release", "a"]] {
        finish(&mut fleet.program(words))
            .exits(64)
            .tells(&["tenant a comes from the source `one`", "exclude = [\"a\"]"]);
    }
    finish(&mut fleet.program(&["tenants", "remove", "nobody"])).exits(64).tells(&["there is no tenant nobody"]);
    // A source that is down keeps nobody from putting a tenant of the file aside.
    std::fs::remove_file(fleet.path("one.csv")).unwrap();
    finish(&mut fleet.program(&["tenants", "quarantine", "c", "--reason", "x"])).exits(0);
    finish(&mut fleet.program(&["tenants", "remove", "a"]))
        .exits(64)
        .tells(&["whether a source of the file has it is not known"]);
}

#[test]
fn the_declaration_of_a_source_is_checked_before_anything_is_asked() {
    let fleet = |text: &str| with(&format!("[[source]]\n{text}\n"), &[]).run(&["status"]).exits(78);
    fleet("name = \"x\"\n").tells(&["this source does not say where", "query, schemas, databases, files"]);
    fleet("files = \"*.db\"").tells(&["this source has no name"]);
    fleet("name = \"x\"\nfiles = \"*.db\"\nfile = \"a.csv\"").tells(&["this source has two kinds"]);
    fleet("name = \"x\"\nfile = \"a.txt\"").tells(&["says no known form", ".json, .jsonl, .csv or .toml"]);
    fleet("name = \"x\"\nfiles = \"*.db\"\nmax_gone = \"many\"").tells(&["`max_gone` must be a share"]);
    fleet("name = \"x\"\nfiles = \"*.db\"\nexlude = [\"a\"]").tells(&["did you mean `exclude`?"]);
    fleet("name = \"x\"\nfiles = \"*.db\"\n[[source]]\nname = \"x\"\nfiles = \"*.db\"")
        .tells(&["a second source has the name `x`"]);
    fleet("name = \"x\"\nquery = { url = \"sqlite:a.db\" }").tells(&["`query` has no `sql`"]);
    fleet("name = \"x\"\nquery = { sql = \"SELECT 1\" }").tells(&["`query` has no `url`"]);
    fleet("name = \"x\"\nschemas = { url = \"mysql://u@h/d\", match = [\"*\"] }")
        .tells(&["has no schemas in a database"]);
    fleet("name = \"x\"\ndatabases = { url = \"mysql://u@h/d\" }").tells(&["`databases` has no `match`"]);
    fleet("name = \"x\"\ndatabases = { url = \"sqlite:a.db\", match = [\"*\"] }").tells(&["needs a server"]);
    fleet("name = \"x\"\nkubernetes = { namespace = \"prod\" }").tells(&["`kubernetes` has no `label`"]);
    fleet("name = \"x\"\ncommand = [\"touch owned\"]\n[[tenant]]\nid = \"a\"").tells(&["this tenant has no url"]);
    let ran = fleet("name = \"x\"\nquery = { url = \"postgres://u:s3cret@h/a/b\", sql = \"x\" }");
    assert!(ran.err.contains("names no single database") && !ran.err.contains("s3cret"), "{}", ran.err);
}

#[test]
fn a_database_that_is_down_or_answers_for_ever_stops_everything() {
    let endless =
        "WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n) SELECT id, 'sqlite:a.db' AS url FROM n";
    for (url, sql_text, wanted) in [
        ("postgres://u:s3cret@127.0.0.1:1/d".to_owned(), "SELECT 1 AS id", "source `crm` can't be asked"),
        (postgres_url(), endless, "source `crm` has more than 500000 rows"),
        (postgres_url(), "SELECT pg_sleep(60)", "source `crm`"),
        (mariadb_url(), "SELECT sleep(60)", "source `crm`"),
        ("sqlite:c.db".to_owned(), endless, "source `crm` has more than 500000 rows"),
        (postgres_url(), "SELECT 'a' AS id, 'b' AS \"ID\"", "two columns with the name id"),
        (postgres_url(), "SELECT 1 AS id FROM no_such_table", "42P01"),
    ] {
        let limit = if sql_text == endless { "60s" } else { "2s" };
        let text = format!(
            "[[source]]\nname = \"crm\"\ntimeout = \"{limit}\"\nquery = {{ url = '{url}', sql = '''{sql_text}''' }}\n"
        );
        let fleet = with(&text, &["c"]);
        let ran = fleet.run(&["migrate", "--yes"]).exits(1).tells(&[wanted, "no tenant was touched"]);
        assert!(!ran.err.contains("s3cret"), "{}", ran.err);
    }
}

/// A list of tenants of one file each.
fn list(fleet: &Fleet, names: impl IntoIterator<Item = String>) {
    let mut text = "id,url\n".to_owned();
    names.into_iter().for_each(|name| text.push_str(&format!("{name},sqlite:data/{name}.db\n")));
    std::fs::write(fleet.path("list.csv"), text).unwrap();
}

#[test]
fn new_and_gone_tenants_are_told_and_too_many_gone_are_refused() {
    let head = "[[source]]\nname = \"crm\"\nfile = \"list.csv\"\n[defaults]\ncreate_missing = true\n";
    let mut fleet = Fleet::new().head(head);
    let names = |range: std::ops::Range<usize>| range.map(|i| format!("t{i:02}"));
    list(&fleet, names(0..20));
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&["20 migrated"]).tells(&["20 tenants, noted for the first time"]);
    // Two of twenty are not more than a tenth.
    list(&fleet, names(2..21));
    let told = ["2 of 20 tenants are gone since run", "t00, t01", "their databases are left as they are"];
    fleet.run(&["status"]).exits(0).tells(&told);
    fleet.run(&["tenants", "sources"]).exits(0).shows(&["1: t20", "2: t00, t01"]);
    let sources = fleet.run(&["tenants", "sources", "--format", "json"]).exits(0).json();
    let row = &sources["sources"][0];
    assert_eq!((&row["tenants"], &row["new"], &row["gone"]), (&19.into(), &json!(["t20"]), &json!(["t00", "t01"])));
    fleet.run(&["migrate", "--yes"]).exits(0).tells(&told).tells(&["19 tenants, 1 new, 2 gone since run"]);
    // Told once: the next run compares with this one.
    let ran = fleet.run(&["migrate", "--yes"]).exits(0).tells(&["0 new, 0 gone"]);
    assert!(!ran.err.contains("are gone"), "{}", ran.err);
    list(&fleet, names(5..21));
    fleet.run(&["plan"]).exits(0).tells(&["3 of 19 tenants are gone since run", "a run is refused"]);
    // What a pipeline asks says so as well, and what it shows does not fail.
    fleet.run(&["migrate", "--yes", "--dry-run"]).exits(1).tells(&["max_gone allows 10%"]);
    for look in ["plan", "status", "matrix", "current"] {
        fleet.run(&[look]).exits(0).tells(&["a run is refused"]);
        fleet.run(&[look, "--exit-code", "--tenant", "t05"]).exits(2);
    }
    fleet.run(&["plan", "--save", "plan.json"]).exits(1).tells(&["max_gone allows 10%"]);
    assert!(!fleet.path("plan.json").exists());
    let ran = fleet.run(&["migrate", "--yes"]).exits(1);
    ran.tells(&[
        "t02, t03, t04; max_gone allows 10%",
        "fleet tenants sources --accept crm".replace("fleet", "small").as_str(),
        "no tenant was touched",
    ]);
    fleet
        .run(&["tenants", "sources", "--accept", "cmr"])
        .exits(64)
        .tells(&["there is no source cmr; the sources are: crm"]);
    fleet.run(&["tenants", "sources", "--accept", "crm"]).exits(0).shows(&["accepted 16 tenants of source crm"]);
    fleet.run(&["plan", "--exit-code", "--tenant", "t05"]).exits(0);
    fleet.run(&["tenants", "sources"]).exits(0).shows(&["it was accepted at"]);
    fleet.run(&["migrate", "--yes"]).exits(0).tells(&["0 new, 0 gone since it was accepted"]);
    // All at once, as from a source that lost its rows.
    list(&fleet, []);
    fleet.run(&["migrate", "--yes"]).exits(1).tells(&["16 of 16 tenants are gone", "t14 and 6 more", "has no tenant"]);
    // A tenant that the file has now is not gone, and neither is a source that was taken out of it.
    list(&fleet, names(6..21));
    let moved = format!("{head}max_gone = \"0%\"\n[[tenant]]\nid = \"t05\"\nurl = \"sqlite:data/t05.db\"\n");
    let moved = moved
        .replace("create_missing = true\nmax_gone = \"0%\"", "create_missing = true")
        .replace("\"list.csv\"", "\"list.csv\"\nmax_gone = \"0%\"");
    fleet.head = moved;
    let ran = fleet.run(&["migrate", "--yes"]).exits(0);
    assert!(!ran.err.contains("gone since run") || ran.err.contains("0 gone"), "{}", ran.err);
    let left = "[[tenant]]\nid = \"t05\"\nurl = \"sqlite:data/t05.db\"\n";
    fleet.head = left.to_owned();
    fleet.run(&["migrate", "--yes"]).exits(0).shows(&["1 up to date"]);
}

#[test]
fn ten_thousand_that_are_gone_at_once_are_no_run() {
    let head = "[[source]]\nname = \"crm\"\nfile = \"list.csv\"\n[defaults]\ncreate_missing = true\n";
    let fleet = Fleet::new().head(head);
    list(&fleet, (0..10_000).map(|i| format!("t{i:05}")));
    // The first run takes one of them, and notes all.
    fleet.run(&["migrate", "--yes", "--tenant", "t00007"]).exits(0).shows(&["1 migrated"]);
    list(&fleet, ["t00007".to_owned()]);
    fleet.run(&["migrate", "--yes"]).exits(1).tells(&["9999 of 10000 tenants are gone", "and 9989 more"]);
}

#[test]
fn a_saved_plan_has_the_tenants_that_its_sources_had() {
    let head = "[[source]]\nname = \"crm\"\nfile = \"list.csv\"\n[defaults]\ncreate_missing = true\n";
    let fleet = Fleet::new().head(head);
    list(&fleet, ["a".to_owned(), "b".to_owned()]);
    fleet.run(&["plan", "--save", "plan.json"]).exits(0);
    list(&fleet, ["a".to_owned()]);
    fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(2).tells(&["tenant b", "nothing was touched"]);
    list(&fleet, ["a".to_owned(), "b".to_owned(), "c".to_owned()]);
    fleet.run(&["migrate", "--plan", "plan.json", "--yes"]).exits(2).tells(&["tenant c"]);
    let ran = fleet.run(&["migrate", "--plan", "plan.json", "--yes", "--late-joiners", "report"]).exits(5);
    ran.tells(&["1 tenant came into the fleet after the plan"]).shows(&["2 migrated"]);
}

#[test]
fn a_run_that_is_resumed_tells_who_is_gone() {
    let head =
        "[[source]]\nname = \"crm\"\nmax_gone = \"60%\"\nfile = \"list.csv\"\n[defaults]\ncreate_missing = true\n";
    let fleet = Fleet::new().head(head);
    list(&fleet, ["a".to_owned(), "b".to_owned()]);
    std::fs::create_dir_all(fleet.path("data")).unwrap();
    std::fs::write(fleet.path("data/b.db"), "no database").unwrap();
    fleet.run(&["migrate", "--yes"]).exits(100);
    list(&fleet, ["a".to_owned()]);
    fleet.run(&["migrate", "--yes", "--failed-of", "last"]).exits(4).tells(&["source `crm`: 1 of 2 tenants is gone"]);
}

#[test]
fn an_older_ledger_without_notes_is_no_obstacle() {
    let fleet = with("[[source]]\nname = \"here\"\nfiles = \"*.db\"\nexclude = [\"fleet-ledger\"]\n", &["newcomer"]);
    std::fs::write(fleet.path("fleet-ledger.db"), include_bytes!("../fixtures/ledger-v1.db")).unwrap();
    fleet.run(&["status"]).exits(0);
    fleet.run(&["migrate", "--yes"]).exits(0).tells(&["source here: 1 tenant, noted for the first time"]);
    fleet.run(&["migrate", "--yes"]).exits(0).tells(&["0 new, 0 gone"]);
    // A shared ledger.
    for engine in ["postgres", "mariadb", "mysql"] {
        if mysql::is_left_out(engine) {
            continue;
        }
        let mut fleet = with("[[source]]\nname = \"here\"\nfiles = \"*.db\"\n", &["a", "b"]);
        let url = fleet.database(engine, "ledger");
        let ledger = ["--ledger", &url];
        fleet.run(&[&["migrate", "--yes"][..], &ledger].concat()).exits(0).tells(&["noted for the first time"]);
        std::fs::remove_file(fleet.path("b.db")).unwrap();
        fleet.run(&[&["status"][..], &ledger].concat()).exits(0).tells(&["1 of 2 tenants is gone", "a run is refused"]);
        fleet.run(&[&["tenants", "sources", "--accept", "here"][..], &ledger].concat()).exits(0);
        fleet.run(&[&["migrate", "--yes"][..], &ledger].concat()).exits(0).tells(&["0 new, 0 gone"]);
    }
}

fn mkfifo(fleet: &Fleet, name: &str) {
    let made = std::process::Command::new("mkfifo").arg(fleet.path(name)).status().unwrap();
    assert!(made.success());
}

/// A pipe without a writer would be waited for without end.
#[test]
fn a_pipe_in_the_place_of_a_file_is_told_and_not_waited_for() {
    let mut fleet = Fleet::new().sqlite(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    mkfifo(&fleet, "pipe");
    fleet.run(&["status", "--config", "pipe"]).exits(78).tells(&["can't read pipe: it is a pipe and no file"]);
    fleet.run(&["tenants", "remove", "lite-000", "--config", "pipe"]).exits(78).tells(&["it is a pipe and no file"]);
    fleet.run(&["exec", "--file", "pipe"]).exits(64).tells(&["can't read pipe: it is a pipe and no file"]);
    fleet.run(&["migrate", "--plan", "pipe", "--yes"]).tells(&["it is a pipe and no file"]);
    fleet.head = "[fleet]\nverify = \"asserted\"\n".to_owned();
    std::fs::create_dir(fleet.path("asserted")).unwrap();
    mkfifo(&fleet, "asserted/a.sql");
    fleet.run(&["verify"]).exits(78).tells(&["it is a pipe and no file"]);
    fleet.head = "[[source]]\nname = \"crm\"\nfile = \"list.json\"\n".to_owned();
    mkfifo(&fleet, "list.json");
    fleet.run(&["status"]).tells(&["list.json: it is a pipe and no file"]);
    fleet.head = "[fleet]\nledger = \"sqlite:pipe\"\n".to_owned();
    assert_ne!(fleet.run(&["migrate", "--yes"]).code, Some(0), "a ledger that is a pipe");
    fleet.head = String::new();
    fleet.add("pipe", "sqlite:pipe");
    fleet.run(&["status"]).exits(0).shows(&["unreachable (1): pipe", "2 tenants: 1 at target, 1 unreachable"]);
}

#[test]
fn files_of_fleet_s_own_and_of_sqlite_are_no_tenants_whatever_a_pattern_matches() {
    let mut fleet = with("[[source]]\nname = \"here\"\nfiles = \"**/*.db*\"\n", &["a", "b"]);
    fleet.run(&["migrate", "--yes", "--backup"]).exits(0).shows(&["2 migrated"]);
    for (file, kept) in [("a.db", "-journal"), ("b.db", ".fleet-lock"), ("fleet-ledger.db", "-wal")] {
        std::fs::write(fleet.path(&format!("{file}{kept}")), "").unwrap();
    }
    let again = fleet.run(&["migrate", "--yes"]).exits(0);
    let again = again.shows(&["2 up to date"]);
    let ledger = fleet.path("fleet-ledger.db").display().to_string();
    again.tells(&[
        &format!("source `here`: {ledger} is the ledger, and no tenant; `exclude = [\"fleet-ledger\"]` says the same"),
        "is a backup, a template or a scratch database",
    ]);
    assert_eq!(ids(&listed(&fleet)), of("here", &["a", "b"]));
    assert!(!sql(&format!("sqlite:{ledger}"), "SELECT name FROM sqlite_master").contains(&"users".to_owned()));
    fleet.head = "[[source]]\nname = \"here\"\nfiles = \"*.db\"\nexclude = [\"fleet-*\"]\n".to_owned();
    let quiet = fleet.run(&["status"]).exits(0);
    assert!(!quiet.err.contains("is the ledger"), "{}", quiet.err);
    mkfifo(&fleet, "pipe.db");
    std::os::unix::fs::symlink("loop.db", fleet.path("loop.db")).unwrap();
    let [pipe, link] = ["pipe.db", "loop.db"].map(|name| fleet.path(name).display().to_string());
    fleet.run(&["status"]).exits(0).tells(&[
        &format!("source `here`: {pipe} is a pipe, a socket or a device, and no tenant"),
        &format!("source `here`: {link} is a link that leads nowhere, and no tenant"),
    ]);
    assert_eq!(ids(&listed(&fleet)), of("here", &["a", "b"]));

    let mut fleet = Fleet::new().sqlite(1);
    fleet.run(&["migrate", "--yes"]).exits(0);
    fleet.add("ledger", "sqlite:fleet-ledger.db");
    for command in [&["status"][..], &["plan"], &["migrate", "--yes"], &["doctor"]] {
        fleet.run(command).exits(78).tells(&["is the database of tenant ledger; set another place for the ledger"]);
    }
    std::fs::write(fleet.path("fleet-ledger.db-wal"), "").unwrap();
    fleet.tenant_mut("ledger").url = "sqlite:fleet-ledger.db-wal".to_owned();
    let refused = fleet.run(&["migrate", "--yes"]).exits(78);
    refused.tells(&["the file of tenant ledger", "keeps beside another database", "correct its url"]);
}
