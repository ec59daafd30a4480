//! One folder per case, as a user would write it.

use std::path::Path;

use super::*;
use crate::model::engine::Engine;
use crate::model::tenant::Engine::{Mysql, Postgres, Sqlite};

/// Creates a folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn good(files: &[(&str, &str)]) -> SqlFolder {
    read(folder(files).path()).unwrap_or_else(|wrong| panic!("{files:?}: {wrong:#?}"))
}

/// The errors as an operator reads them, without the folder's path.
fn wrong(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    match read(folder.path()) {
        Ok(good) => panic!("{files:?}: {good:#?}"),
        Err(mistakes) => text(folder.path(), &mistakes),
    }
}

fn text(folder: &Path, mistakes: &[ScriptMistake]) -> String {
    let prefix = format!("{}/", folder.display());
    mistakes.iter().map(|mistake| mistake.to_string().replace(&prefix, "") + "\n").collect()
}

fn names(folder: &SqlFolder) -> Vec<&str> {
    folder.scripts.iter().map(|script| &*script.name).collect()
}

fn sql(part: &SqlPart) -> Vec<&str> {
    part.statements.iter().map(|statement| statement.sql.as_str()).collect()
}

/// The one script of a folder with one file, for an engine.
fn part(name: &str, text: &str, engine: Engine) -> SqlPart {
    SqlPart::clone(good(&[(name, text)]).scripts[0].up.get(engine).unwrap())
}

const S: &str = "select 1;";

#[test]
fn the_head_of_a_file_may_have_time_limits() {
    let text = "-- fleet: lock_timeout=500ms statement_timeout=0s\nselect 1;";
    let limits = part("1_a.sql", text, Mysql).limits;
    assert_eq!(limits.lock, Some(std::time::Duration::from_millis(500)));
    assert_eq!(limits.statement, Some(std::time::Duration::ZERO));
    let text = wrong(&[
        ("1_zero.sql", "-- fleet: lock_timeout=0s\nselect 1;"),
        ("2_bare.sql", "-- fleet: lock_timeout=5\nselect 1;"),
        ("3_late.sql", "select 1;\n-- fleet: lock_timeout=5s\nselect 2;"),
        ("4_twice.sql", "-- fleet: lock_timeout=5s\n-- fleet: lock_timeout=6s\nselect 2;"),
    ]);
    for said in [
        "1_zero.sql:1: a lock that",
        "2_bare.sql:1: '5' is not",
        "3_late.sql:2: `lock_timeout`",
        "4_twice.sql:2: the head",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn versions_come_in_their_order_and_repeatable_scripts_behind_them() {
    let read = good(&[
        ("R__b.sql", S),
        ("R__a.sql", S),
        ("10_ten.sql", S),
        ("9_nine.sql", S),
        ("V1.10__later.sql", S),
        ("V1_9__sooner.sql", S),
        ("V1__first.sql", S),
        ("README.md", "no SQL"),
        ("20260101000000_x.up.sql", S),
    ]);
    assert_eq!(
        names(&read),
        ["V1__first", "V1_9__sooner", "V1.10__later", "9_nine", "10_ten", "20260101000000_x", "R__a", "R__b"]
    );
    assert_eq!(read.scripts[0].kind, ScriptKind::Versioned);
    assert_eq!(read.scripts[7].kind, ScriptKind::Repeatable);
}

#[tokio::test]
async fn a_folder_of_sqlx_is_read_as_sqlx_reads_it() {
    use sqlx::migrate::MigrationSource as _;
    let folder = folder(&[
        ("20260101_users.up.sql", "-- no-transaction\nselect 1"),
        ("20260101_users.down.sql", "select 2"),
        ("0002_my_orders.sql", "-- first\n-- no-transaction\nselect 1"),
        ("3_.sql", "select 1"),
        ("notes.txt", ""),
        ("seed", ""),
    ]);
    std::fs::create_dir(folder.path().join("4_folder.sql")).unwrap();
    let theirs = folder.path().resolve().await.unwrap();
    let ours = read(folder.path()).unwrap();
    assert_eq!(names(&ours), ["0002_my_orders", "3_", "20260101_users"]);
    let up: Vec<_> = theirs.iter().filter(|migration| migration.migration_type.is_up_migration()).collect();
    assert_eq!(ours.scripts.len(), up.len());
    for (ours, theirs) in ours.scripts.iter().zip(up) {
        let (version, name) = ours.name.split_once('_').unwrap();
        assert_eq!((version.parse(), name.replace('_', " ")), (Ok(theirs.version), theirs.description.to_string()));
        assert_eq!(!ours.down.is_empty(), theirs.migration_type.is_reversible());
        assert_eq!(ours.up.get(Postgres).unwrap().transaction, !theirs.no_tx);
    }
}

#[test]
fn an_engine_gets_its_own_file_or_the_general_one() {
    let read = good(&[
        ("1_x.up.sql", "select 'general'"),
        ("1_x.mariadb.up.sql", "select 'mysql'"),
        ("1_x.sqlite.down.sql", "select 'down'"),
        ("V2__y.postgres.sql", "select 'postgres'"),
        ("U2__z.sql", "select 'undo'"),
        ("R__r.sql", S),
        ("R__r.mysql.down.sql", S),
    ]);
    let [x, y, r] = read.scripts.as_slice() else { panic!("{read:?}") };
    let first = |variants: &Variants, engine| variants.get(engine).map(|part| part.statements[0].sql.clone());
    assert_eq!(first(&x.up, Mysql).as_deref(), Some("select 'mysql'"));
    assert_eq!(first(&x.up, Sqlite).as_deref(), Some("select 'general'"));
    assert_eq!(x.up.get(Mysql).unwrap().file.file_name().unwrap(), "1_x.mariadb.up.sql");
    assert_eq!((first(&x.down, Sqlite).as_deref(), first(&x.down, Mysql)), (Some("select 'down'"), None));
    assert_eq!((&*y.name, y.up.get(Sqlite), y.up.iter().count()), ("V2__y", None, 1));
    assert_eq!(first(&y.down, Postgres).as_deref(), Some("select 'undo'"));
    assert_eq!((&*r.name, r.down.iter().count()), ("R__r", 1));
}

#[test]
fn a_part_for_mariadb_stands_beside_one_for_mysql() {
    let read = good(&[
        ("1_x.mysql.up.sql", "select 'mysql'"),
        ("1_x.mariadb.up.sql", "select 'mariadb'"),
        ("1_x.mariadb.down.sql", S),
        ("2_y.mariadb.sql", "select 'both'"),
        ("2_y.sql", "select 'general'"),
        ("3_z.mysql.up.sql", S),
        ("3_z.mariadb.up.sql", S),
        ("3_z.mysql.down.sql", S),
    ]);
    let [x, y, z] = read.scripts.as_slice() else { panic!("{read:?}") };
    let sql = |variants: &Variants, variant: Variant| variants.get(variant).map(|part| part.statements[0].sql.clone());
    assert_eq!(sql(&x.up, Mysql.into()).as_deref(), Some("select 'mysql'"));
    assert_eq!(sql(&x.up, Variant::MariaDb).as_deref(), Some("select 'mariadb'"));
    assert_eq!((x.up.iter().count(), sql(&x.up, Sqlite.into())), (2, None));
    assert!(sql(&x.down, Variant::MariaDb).is_some() && sql(&x.down, Mysql.into()).is_none());
    assert!(sql(&z.down, Mysql.into()).is_some() && sql(&z.down, Variant::MariaDb).is_none());
    assert_eq!(sql(&y.up, Mysql.into()).as_deref(), Some("select 'both'"));
    assert_eq!(sql(&y.up, Variant::MariaDb).as_deref(), Some("select 'both'"));
    assert!(x.has_flavours() && !y.has_flavours());
}

#[test]
fn the_checksum_is_that_of_the_file_with_plain_line_ends() {
    // printf 'select 1;\nselect 2;\n' | sha256sum
    let wanted = "061e995aebcb765888ac7580f67ee3815a03b9b9c3fd5ff2dbb40db98b53a737";
    let plain = part("1_x.sql", "select 1;\nselect 2;\n", Sqlite);
    let windows = part("1_x.sql", "\u{feff}select 1;\r\nselect 2;\r\n", Sqlite);
    assert_eq!((plain.checksum.as_str(), windows.checksum.as_str()), (wanted, wanted));
    assert_eq!(plain.statements, windows.statements);
    assert_eq!(plain.statements[1], SqlStatement { sql: "select 2".into(), line: 2 });
}

#[test]
fn any_tool_may_say_that_there_is_no_transaction() {
    for head in [
        "-- fleet: transaction=false\n",
        "-- why\n/* fleet: transaction=false */\n",
        "-- no-transaction\n",
        "-- migrate:up transaction:false\n",
        "-- +goose Up\n-- +goose NO TRANSACTION\n",
    ] {
        let text = format!("{head}vacuum;");
        assert!(!part("1_x.sql", &text, Postgres).transaction, "{head}");
    }
    let files = [("V1__x.sql", "vacuum;"), ("V1__x.sql.conf", "# why\nexecuteInTransaction = FALSE\n")];
    assert!(!good(&files).scripts[0].up.get(Sqlite).unwrap().transaction);
    assert!(part("1_x.sql", "-- fleet: transaction=true\nselect 1", Mysql).transaction);
}

#[test]
fn a_setting_of_the_transaction_that_fleet_begins_is_refused_where_it_stands() {
    for (sql, name) in [
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;", "SET TRANSACTION"),
        ("set transaction not deferrable;", "SET TRANSACTION"),
        ("SET LOCAL transaction_isolation = 'serializable';", "SET LOCAL"),
    ] {
        for (open, close, line) in [("", "", 1), ("BEGIN;\n", "\nCOMMIT;", 2)] {
            let text = format!("{open}{sql}\nSELECT 1;{close}");
            let told = wrong(&[("1_x.postgres.sql", &text)]);
            let said = format!("1_x.postgres.sql:{line}: `{name}` comes too late: the transaction is fleet's own");
            assert!(told.starts_with(&said) && !told.contains("transaction=false"), "{told}");
        }
    }
    let told = wrong(&[("1_x.postgres.sql", "-- fleet: transaction=false\nSET TRANSACTION READ WRITE;\nSELECT 1;")]);
    assert!(told.starts_with("1_x.postgres.sql:2: `SET TRANSACTION` sets nothing in a script without"), "{told}");
    good(&[("1_x.postgres.sql", "SET TRANSACTION READ ONLY; SELECT 1;")]);
    good(&[("1_x.mysql.sql", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SELECT 1;")]);
    let told = wrong(&[("1_x.sql", "SELECT 1\\G\n")]);
    assert!(told.contains("`\\G` is a command of the mysql client"), "{told}");
}

#[test]
fn a_statement_of_sqlite_that_does_nothing_in_a_transaction_is_refused() {
    for (sql, name) in [
        ("PRAGMA foreign_keys = ON;\nPRAGMA journal_mode = WAL;", "PRAGMA journal_mode"),
        ("select 1;\nPRAGMA main.synchronous(1);", "PRAGMA synchronous"),
        ("select 1;\nPRAGMA temp_store = MEMORY;", "PRAGMA temp_store"),
        ("select 1;\nPRAGMA wal_checkpoint;", "PRAGMA wal_checkpoint"),
        ("select 1;\nATTACH 'x.db' AS x;", "ATTACH"),
        ("select 1;\nDETACH DATABASE x;", "DETACH"),
    ] {
        for file in ["1_x.sql", "1_x.sqlite.sql"] {
            let said = format!("{file}:2: `{name}` can't run in a transaction; write `-- fleet: transaction=false`");
            let told = wrong(&[(file, sql)]);
            assert!(told.starts_with(&said), "{told}");
            good(&[(file, &format!("-- fleet: transaction=false\n{sql}"))]);
        }
    }
    good(&[("1_x.sql", "PRAGMA journal_mode; PRAGMA synchronous; PRAGMA foreign_keys = ON; PRAGMA user_version = 3")]);
}

/// Texts that one engine reads otherwise, or that only look like a mistake.
#[test]
fn what_is_no_mistake_for_an_engine_is_none() {
    for text in [
        "insert into c values ('C:\\temp\\','{{x}}');",
        "select 1 where a like '%\\_%' escape '\\' and b = '${name}';",
        "insert into tpl values ('a');\n-- x\ninsert into c values ('C:\\temp\\','\nGO\n');",
    ] {
        assert_eq!(part("1_x.sql", text, Sqlite).mistakes, [], "{text}");
    }
    let html = "insert into tpl values ($html$<p>{{user}}</p>$html$);";
    assert_eq!(part("1_x.sql", html, Postgres).mistakes, []);
    let told = "DO $$ BEGIN RAISE NOTICE 'run VACUUM later; CREATE INDEX CONCURRENTLY too; commit is not needed'; END $$;\n\
                DO $$ BEGIN INSERT INTO s VALUES ('set lock_timeout = 0'); UPDATE n SET lock_timeout = '0'; END $$;";
    assert_eq!(part("1_x.postgres.sql", told, Postgres).mistakes, []);
    assert_eq!(part("1_x.sql", told, Postgres).mistakes, []);
    let dump = "/*M!999999\\- enable the sandbox mode */ \n/*!40101 SET NAMES utf8mb4 */;\ncreate table t (i int);";
    assert_eq!(part("1_x.mysql.sql", dump, Mysql).mistakes, []);
}

#[test]
fn a_begin_and_commit_around_everything_are_taken_off() {
    let text = "-- head\nBEGIN;\ncreate table t (i int);\ndrop table t;\nCOMMIT;\n";
    for engine in Engine::ALL {
        assert_eq!(sql(&part("1_x.sql", text, engine)), ["create table t (i int)", "drop table t"]);
    }
    let frame =
        "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\ncreate table t (i int);\nCOMMIT;\nPRAGMA foreign_keys=ON;";
    let kept = ["PRAGMA foreign_keys=OFF", "create table t (i int)", "PRAGMA foreign_keys=ON"];
    assert_eq!(sql(&part("1_x.sqlite.sql", frame, Sqlite)), kept);
    for (text, line) in [
        ("begin; select 1; commit; select 2", 1),
        ("begin isolation level serializable;\nselect 1;\ncommit", 1),
        ("begin;\nselect 1;\nrollback", 1),
        ("-- fleet: transaction=false\nbegin; select 1; commit", 2),
        ("select 1;\nsavepoint a", 2),
    ] {
        let told = wrong(&[("1_x.sql", text)]);
        assert!(told.starts_with(&format!("1_x.sql:{line}: `")) && told.contains("leave it out"), "{text}: {told}");
    }
    assert!(wrong(&[("1_x.sql", "begin; commit;")]).contains("no SQL"));
}

#[test]
fn a_view_and_its_refresh() {
    let made = "-- fleet: view=totals group=daily\ncreate materialized view totals as select 1;\n";
    let folder = good(&[("R__totals.sql", made)]);
    let of = |engine| folder.scripts[0].up.get(engine).unwrap();
    let view = ViewNote { name: "totals".into(), group: RefreshGroup::Daily };
    assert_eq!(of(Postgres).view, Some(view));
    let default = "REFRESH MATERIALIZED VIEW CONCURRENTLY \"totals\"";
    assert_eq!(of(Postgres).refresh, [SqlStatement { sql: default.into(), line: 1 }]);
    assert!(of(Postgres).mistakes.is_empty());
    assert!(of(Mysql).mistakes[0].what.contains("on mysql nothing says how"), "{:?}", of(Mysql).mistakes);
    assert!(wrong(&[("R__totals.sqlite.sql", made)]).contains("R__totals.sqlite.sql:1: on sqlite nothing says how"));

    let own = format!(
        "{made}create index i on totals (a);\n-- fleet: refresh\ndelete from totals;\ninsert into totals select 1;"
    );
    let part = part("R__totals.sql", &own, Mysql);
    assert_eq!((part.statements.len(), part.refresh.len(), part.mistakes.len()), (2, 2, 0));
    assert_eq!(part.refresh[0], SqlStatement { sql: "-- fleet: refresh\ndelete from totals".into(), line: 5 });
    assert_eq!("weekly".parse(), Ok(RefreshGroup::Weekly));
    assert_eq!(serde_json::to_string(&RefreshGroup::Weekly).unwrap(), "\"weekly\"");
}

#[test]
fn statements_may_be_batches_and_reports_and_a_file_empty_on_purpose() {
    let text = "-- fleet: transaction=false\n-- fleet: batch\nupdate t set a = 1;\n/* fleet: report */ select 1";
    for engine in Engine::ALL {
        let part = part("1_x.sql", text, engine);
        let told: Vec<_> = part.statements.iter().map(|s| crate::sql::directive(&s.sql)).collect();
        use crate::sql::Directive::{Batch, Report};
        assert_eq!(told, [Some(Batch), Some(Report)]);
    }
    assert_eq!(sql(&part("1_x.sqlite.sql", "-- fleet: nothing\n", Sqlite)), [""; 0]);
}

#[test]
fn bodies_are_whole_for_their_engine() {
    let trigger = "create trigger t after insert on a for each row begin delete from b; delete from c; end;\nselect 1;";
    assert_eq!(part("1_x.mysql.sql", trigger, Mysql).statements.len(), 2);
    let trigger = "create trigger t after insert on a begin delete from b; delete from c; end;\nselect 1;";
    assert_eq!(part("1_x.sql", trigger, Sqlite).statements.len(), 2);
}

#[test]
fn what_only_one_engine_minds_waits_for_a_tenant_of_that_engine() {
    let folder = good(&[("1_x.sql", "select 'a\\', 'b';\n"), ("2_y.sql", "select `a;\n"), ("2_y.sqlite.sql", S)]);
    let mistakes = |script: usize, engine| {
        let part = folder.scripts[script].up.get(engine).unwrap();
        part.mistakes.iter().map(|m| (m.line, m.what.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(mistakes(0, Postgres), []);
    assert_eq!(mistakes(0, Mysql), [(Some(1), "a text in quotes ('…') begins here and never ends")]);
    assert_eq!(mistakes(1, Mysql), [(Some(1), "a name in quotes (`…`) begins here and never ends")]);
    assert_eq!(mistakes(1, Sqlite), []);
    // An engine's own file is parsed for that engine only.
    assert!(wrong(&[("1_x.mysql.sql", "select 'a\\', 'b';")]).starts_with("1_x.mysql.sql:1: a text in quotes"));
}

#[test]
fn every_mistake_is_told_with_its_file_and_line_and_a_way_out() {
    let folder = folder(&[
        ("add_users.sql", S),
        ("0001_a.sql", "create table a (i int);\ncreate index concurrently i on a (i);"),
        ("V1.0__b.sql", S),
        ("2_c.sql", S),
        ("2_c.up.sql", S),
        ("2_c.mysql.sql", S),
        ("2_c.mariadb.sql", S),
        ("3_d.down.sql", S),
        ("U4__e.sql", S),
        ("5_f.sql", "-- nothing here\n"),
        (
            "6_g.sql",
            "-- fleet: transation=false\n-- fleet: view=v\n-- Fleet: batch\n-- fleet: view=v group=dayly\nselect 1;",
        ),
        ("7_h.sql", "select 1;\n-- fleet: transaction=false\n-- fleet: batch\nupdate t set a = 1;\n-- fleet: batch\n"),
        ("8_i.sql", "-- +goose Up\nselect 1;\n-- +goose Down\nselect 2;\n"),
        ("9_j.sql", "-- migrate:up\nselect 1;\n-- migrate:down\n"),
        ("10_k.sql", "DELIMITER //\ncreate procedure p() begin select 1; end //\nDELIMITER ;\n"),
        ("11_l.sql", "\\i other.sql\nselect 1;\nselect 2; \\gexec\n"),
        ("12_m.sql", "select 1;\nCOPY t (a) FROM STDIN;\n1\tit's\n\\.\n"),
        ("22_x.sql", "select 1;\nCOPY (select 1) TO STDOUT;\n"),
        ("13_n.sql", "select 1;\n\nselect 'open;\n"),
        ("14_o.sql", "create table t (i int);\ncommit;\nselect 1"),
        ("15_p.sql", "vacuum"),
        ("15_p.sql.conf", "shouldExecute=false\n"),
        ("16_q.sql", "select 1;\n-- fleet: refresh\nselect 2;\n"),
        ("17_r.sql", "-- fleet: nothing\nselect 1"),
        ("18_s.postgres.sql", S),
        ("18_s.mysql.down.sql", "-- fleet: view=v group=daily\nselect 1"),
        ("19_t.down.sql", S),
        ("19_u.sql", S),
        ("20_v.sqlite3.sql", S),
    ]);
    std::fs::write(folder.path().join("21_w.sql"), b"select 1;\nselect '\xe4'").unwrap();
    let mistakes = read(folder.path()).unwrap_err();
    insta::assert_snapshot!(text(folder.path(), &mistakes), @r#"
    0001_a.sql:2: `CREATE INDEX CONCURRENTLY` can't run in a transaction; write `-- fleet: transaction=false` at the head of the file, best in a script of its own
    10_k.sql:1: `DELIMITER` is a command of the mysql client; leave such lines out and end each body with `;`: bodies are understood without it
    11_l.sql:1: `\i` is a command of psql; leave it out, and put what it would bring into the file as SQL
    11_l.sql:3: `\gexec` is a command of psql; leave it out, and put what it would bring into the file as SQL
    12_m.sql:2: `COPY … FROM STDIN` needs data from a client program; write the rows as INSERT statements
    13_n.sql:3: a text in quotes ('…') begins here and never ends; close it
    14_o.sql:2: `COMMIT` is in the way of the transaction that fleet itself begins and ends; leave it out (only a plain BEGIN at the very beginning and COMMIT at the end may stay)
    15_p.sql:1: `VACUUM` can't run in a transaction; write `-- fleet: transaction=false` at the head of the file, best in a script of its own
    15_p.sql.conf:1: `shouldExecute=false` has no meaning here; only `executeInTransaction=true` or `=false` is understood
    16_q.sql:2: `refresh` in a script that names no view; write `-- fleet: view=NAME group=daily` at the head of the file
    17_r.sql:1: `nothing` in a file that holds SQL; leave one of them out
    18_s.mysql.down.sql: it takes back a script that has no part for mysql; add that part, or remove this one
    18_s.mysql.down.sql:1: a view is noted where it is made; move this to the up part
    19_t.down.sql: it has the same version as 19_u.sql but another name; give it another version, or the same name if they belong together
    20_v.sqlite3.sql: `.sqlite3` is not how an engine is written here; name it `20_v.sqlite.sql`
    21_w.sql:2: it is not UTF-8; save it as UTF-8
    22_x.sql:2: `COPY … TO STDOUT` gives data to a client program; leave it out; a script changes a database
    2_c.up.sql: it is the same part as 2_c.sql; remove one of them
    3_d.down.sql: it takes back a script that is not here; add the part that is applied, or remove this one
    5_f.sql: it holds no SQL that would be run; write `-- fleet: nothing` into it if that is on purpose
    6_g.sql:1: unknown directive `transation=false`; did you mean `transaction=false`?
    6_g.sql:2: `view` and `group` go together; write `-- fleet: view=NAME group=hourly|daily|weekly|monthly|changes`
    6_g.sql:3: a directive begins with `fleet:`; write it so, in lower case and without a space
    6_g.sql:4: unknown group 'dayly'; it is one of hourly, daily, weekly, monthly, changes; did you mean `group=daily`?
    7_h.sql:2: `transaction` belongs to the head of the file; move it above the first statement
    7_h.sql:3: a batch is repeated, and each time is to be committed, but this script has a transaction; write `-- fleet: transaction=false` at the head of the file
    7_h.sql:5: `batch` stands before no statement; put it directly before one
    8_i.sql:3: up and down parts in one file are not supported; split the file: what is above this line goes into `….up.sql`, the rest into `….down.sql`
    9_j.sql:3: up and down parts in one file are not supported; split the file: what is above this line goes into `….up.sql`, the rest into `….down.sql`
    U4__e.sql: it takes back a script that is not here; add the part that is applied, or remove this one
    V1.0__b.sql: it has the same version as 0001_a.sql but another name; give it another version, or the same name if they belong together
    add_users.sql: its name fits no convention of SQL scripts; name it like `0001_add_users.sql` (applied once) or `R__add_users.sql` (whenever it changes)
    "#);
}

#[test]
fn a_file_that_would_change_what_fleet_holds_is_refused() {
    let none = "-- fleet: transaction=false\n";
    let mistakes = wrong(&[
        ("01_do.sql", "select 1;\nDO $$ BEGIN SET LOCAL lock_timeout = 0; ALTER TABLE t ADD c int; END $$;"),
        ("02_do.sql", &format!("{none}DO $$ BEGIN PERFORM set_config('lock_timeout', '0', true); END $$;")),
        (
            "03_f.postgres.sql",
            "CREATE FUNCTION app.grow() RETURNS void LANGUAGE sql SET lock_timeout = 0 AS $$ SELECT 1 $$;\nSELECT app.grow();",
        ),
        ("04_strings.postgres.sql", "SET standard_conforming_strings = off;\nselect 'a\\b';"),
        ("05_discard.postgres.sql", &format!("{none}DISCARD ALL;")),
        ("06_block.postgres.sql", &format!("{none}DO $$ BEGIN EXECUTE 'DROP INDEX CONCURRENTLY ix'; END $$;")),
        ("07_ends.postgres.sql", "DO $$ BEGIN DELETE FROM t; COMMIT; END $$;"),
        ("08_cluster.postgres.sql", "CLUSTER;"),
        ("09_set.mysql.sql", "SELECT 1;\nSET STATEMENT lock_wait_timeout = 600 FOR ALTER TABLE t ADD c int;"),
        ("10_wait.mysql.sql", "ALTER ONLINE TABLE t WAIT 600 ADD c int;"),
        ("11_flush.mysql.sql", "FLUSH TABLES t WITH READ LOCK;"),
    ]);
    let expected = [
        "01_do.sql:2",
        "02_do.sql:2",
        "03_f.postgres.sql:1",
        "04_strings.postgres.sql:1",
        "05_discard",
        "06_block",
        "07_ends",
        "08_cluster",
        "09_set.mysql.sql:2",
        "10_wait",
        "11_flush",
    ];
    let lines: Vec<&str> = mistakes.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{mistakes}");
    assert!(lines.iter().zip(expected).all(|(line, start)| line.starts_with(start)), "{mistakes}");
    assert!(lines[0].contains("-- fleet: lock_timeout=2s"), "{mistakes}");
    // A routine for the application is no business of the run; nor is a block that only reads the limit.
    good(&[
        (
            "1_f.postgres.sql",
            "CREATE FUNCTION grow() RETURNS void LANGUAGE sql SET lock_timeout = 0 AS $$ SELECT 1 $$;\nGRANT EXECUTE ON FUNCTION grow() TO x;",
        ),
        ("2_do.postgres.sql", "DO $$ BEGIN RAISE NOTICE '%', current_setting('lock_timeout'); END $$;"),
        ("3_ends.postgres.sql", &format!("{none}DO $$ BEGIN DELETE FROM t; COMMIT; END $$;")),
        (
            "5_wait.mysql.sql",
            "SET STATEMENT max_statement_time = 1 FOR DROP TABLE t NOWAIT;\nFLUSH TABLES;\nALTER TABLE t ADD wait int;",
        ),
        ("4_head.sql", "SET lock_timeout = 0;\nSET standard_conforming_strings = on;\nselect 1;"),
    ]);
}

#[test]
fn a_folder_that_is_not_there_is_a_mistake() {
    let told = read(Path::new("/nowhere/at all")).unwrap_err();
    assert_eq!(told.len(), 1);
    assert!(told[0].to_string().starts_with("/nowhere/at all: it can't be read ("), "{}", told[0]);
}

#[test]
fn a_folder_for_each_migration_is_read_as_its_tool_reads_it() {
    let read = good(&[
        ("20230101000000_init/migration.sql", "select 'prisma';"),
        ("migration_lock.toml", "provider = \"postgresql\""),
        ("2024-01-01-120000_posts/up.sql", "select 'diesel';"),
        ("2024-01-01-120000_posts/down.sql", "select 'diesel down';"),
        ("2024-01-01-120000_posts/up.mysql.sql", "select 'diesel on mysql';"),
        ("2024-01-01-120000_posts/metadata.toml", "run_in_transaction = false\n"),
        ("1617181723_hasura/up.sql", S),
        ("20250101000000_plain.sql", S),
        ("seeds/README.md", "no SQL"),
        (".git/hooks/x.sql", S),
        ("._0001_x.sql", "left by a file manager"),
    ]);
    assert_eq!(
        names(&read),
        ["1617181723_hasura", "20230101000000_init", "2024-01-01-120000_posts", "20250101000000_plain"]
    );
    let diesel = &read.scripts[2];
    assert!(diesel.up.get(Postgres).unwrap().file.ends_with("2024-01-01-120000_posts/up.sql"));
    assert_eq!(sql(diesel.up.get(Mysql).unwrap()), ["select 'diesel on mysql'"]);
    assert!(!diesel.up.get(Postgres).unwrap().transaction && !diesel.down.get(Postgres).unwrap().transaction);
    let plain = part("1_x.sql", "select 'prisma';", Postgres).checksum;
    assert_eq!(read.scripts[1].up.get(Postgres).unwrap().checksum, plain, "that of the file");
}

#[test]
fn sql_that_would_be_passed_over_is_a_mistake() {
    let folder = folder(&[
        ("0001_a.sql", S),
        ("2026/0003_nested.sql", S),
        ("2026/q1/0004_deeper.SQL", S),
        ("migrations/20230101000000_init/migration.sql", S),
        ("users/up.sql", S),
        ("0005_b/up.sql", S),
        ("0005_b/seed.sql", S),
        ("0005_b/more/0006_c.sql", S),
        ("0007_d/data.sql", S),
        ("0007_e.ddl", S),
        ("0008_f/up.sql", S),
        ("0008_f/metadata.toml", "run_in_transaction = maybe"),
    ]);
    std::os::unix::fs::symlink(folder.path(), folder.path().join("2026/loop")).unwrap();
    let mistakes = text(folder.path(), &read(folder.path()).unwrap_err());
    let place = folder.path().display().to_string();
    insta::assert_snapshot!(mistakes.replace(&place, "FOLDER"), @r#"
    0005_b/more/0006_c.sql: it is in a folder inside the folder of scripts, where no script is looked for; move it to FOLDER, or name 0005_b/more as `scripts`
    0005_b/seed.sql: in the folder of a migration only migration.sql, up.sql and down.sql are looked at; name it so, or move it out of this folder
    0007_d/data.sql: it is in a folder inside the folder of scripts, where no script is looked for; move it to FOLDER, or name 0007_d as `scripts`
    0007_e.ddl: it is named like a script but does not end with `.sql`; name it `0007_e.sql` if it is one, else give it another name or move it out of this folder
    0008_f/metadata.toml:1: `run_in_transaction = maybe` has no meaning here; only `run_in_transaction=true` or `=false` is understood
    2026/0003_nested.sql: it (and 9 more) is in a folder inside the folder of scripts, where no script is looked for; move it to FOLDER, or name 2026 as `scripts`
    migrations/20230101000000_init/migration.sql: it is in a folder inside the folder of scripts, where no script is looked for; move it to FOLDER, or name migrations as `scripts`
    users/up.sql: it is in a folder inside the folder of scripts, where no script is looked for; name its folder like `0001_add_users`, or move it to FOLDER, or name users as `scripts`
    "#);
}

#[test]
fn links_are_followed_and_broken_ones_are_told() {
    let elsewhere = folder(&[("shared.sql", S), ("up.sql", S)]);
    let folder = folder(&[("0001_a.sql", S)]);
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(elsewhere.path().join(to), folder.path().join(name)).unwrap();
    };
    link("shared.sql", "0002_b.sql");
    link("", "0003_c");
    let mistakes = text(folder.path(), &read(folder.path()).unwrap_err());
    assert!(mistakes.starts_with("0003_c/shared.sql: in the folder of a migration only"), "{mistakes}");
    std::fs::remove_file(elsewhere.path().join("shared.sql")).unwrap();
    let mistakes = text(folder.path(), &read(folder.path()).unwrap_err());
    assert!(mistakes.starts_with("0002_b.sql: it can't be read"), "{mistakes}");
    std::fs::remove_file(folder.path().join("0002_b.sql")).unwrap();
    assert_eq!(names(&read(folder.path()).unwrap()), ["0001_a", "0003_c"]);
}

#[test]
fn the_way_down_by_another_tools_name_is_told_how_it_is_called_here() {
    let two = |name: &str| said(&[("0001_x.sql", S), (name, S)]);
    for name in ["0001_x_rollback.sql", "0001_x-down.sql", "1_x_undo.sql"] {
        let told = two(name);
        let remedy = format!("if {name} is the way down, name it `0001_x.down.sql`");
        assert_eq!(told.contains(&remedy), name != "1_x_undo.sql", "{told}");
        assert!(told.contains("the same version as"), "{told}");
    }
}

/// A pipe would be waited for without end.
#[test]
fn a_pipe_or_a_socket_among_scripts_is_told() {
    let folder = folder(&[("0001_a.sql", S)]);
    let pipe = |name: &str| {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.path().join(name),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap()
    };
    pipe("0002_b.sql");
    pipe("0001_a.sql.conf");
    pipe("notes");
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("0003_c.sql")).unwrap();
    std::os::unix::fs::symlink("0004_d.sql", folder.path().join("0004_d.sql")).unwrap();
    let mistakes = text(folder.path(), &read(folder.path()).unwrap_err());
    for told in [
        "0001_a.sql.conf: it can't be read (it is a pipe and no file)",
        "0002_b.sql: it can't be read (it is a pipe and no file)",
        "0003_c.sql: it can't be read (it is a socket and no file)",
        "0004_d.sql: it can't be read (Too many levels of symbolic links",
    ] {
        assert!(mistakes.contains(told), "{told}: {mistakes}");
    }
}

#[test]
fn a_folder_without_a_script_is_a_mistake() {
    let folder = folder(&[("README.md", "none yet"), ("sub/notes.txt", "")]);
    let told = text(folder.path(), &read(folder.path()).unwrap_err());
    assert!(told.contains(": this folder of scripts holds no script; add one, or leave `scripts` out"), "{told}");
    assert!(told.contains("`-- fleet: nothing`"), "{told}");
}

#[test]
fn annotations_of_other_tools_are_read_or_refused() {
    for head in [
        "-- +migrate Up notransaction\n",
        "-- atlas:txmode none\n\n",
        "--liquibase formatted sql\n--changeset dev:1 runInTransaction:false\n",
        "-- flyway:executeInTransaction=false\n",
    ] {
        assert!(!part("1_x.postgres.sql", &format!("{head}vacuum;"), Postgres).transaction, "{head}");
    }
    let text = wrong(&[
        (
            "01_a.sql",
            "--liquibase formatted sql\n--changeset dev:1 context:test\ncreate table only_in_test (id int);\n",
        ),
        ("02_b.sql", "-- Up Migration\nselect 1;\n-- Down Migration\nselect 2;\n"),
        ("03_c.sql", "-- rambler up\nselect 1;\n-- rambler down\nselect 2;\n"),
        ("04_d.sql", "# --- !Ups\nselect 1;\n# --- !Downs\nselect 2;\n"),
        ("05_e.sql", "-- +migrate Up\nselect 1;\n-- +migrate Down\nselect 2;\n"),
        ("06_f.sql", "-- +goose Up\n-- +goose ENVSUB ON\nselect '${HOME}';\n"),
        ("07_g.sql", "-- liquibase formatted sql\n-- changeset a:1\nselect 1;\n-- rollback drop table x;\n"),
        ("08_h.sql", "select 1;\n-- atlas:txmode none\nselect 2;\n"),
        ("09_i.sql", "insert into s values ('${flyway:defaultSchema}');\n"),
        ("V10__j.sql", "insert into s values ('https://${tenant_host}/');\n"),
        ("11_k.sql", "grant usage on schema ${schema} to ${role};\n"),
        ("12_l.sql", "select 1\nGO\nselect 2\nGO\n"),
        ("13_m.sql", "source other.sql\n"),
    ]);
    insta::assert_snapshot!(text, @r#"
    01_a.sql:2: `changeset dev:1 context:test`: this changeset is only for some environments, and fleet would run it on all; keep it out of this folder, or leave the word out where all tenants are to have it
    02_b.sql:3: up and down parts in one file are not supported; split the file: what is above this line goes into `….up.sql`, the rest into `….down.sql`
    03_c.sql:3: up and down parts in one file are not supported; split the file: what is above this line goes into `….up.sql`, the rest into `….down.sql`
    04_d.sql:1: `!Ups`: a file of Play's evolutions has both ways in it, and writes `;;` for `;`; move the part below `!Ups` to `….up.sql` and the one below `!Downs` to `….down.sql`, with plain `;`, and leave these lines out
    04_d.sql:3: `!Downs`: a file of Play's evolutions has both ways in it, and writes `;;` for `;`; move the part below `!Ups` to `….up.sql` and the one below `!Downs` to `….down.sql`, with plain `;`, and leave these lines out
    05_e.sql:3: up and down parts in one file are not supported; split the file: what is above this line goes into `….up.sql`, the rest into `….down.sql`
    06_f.sql:2: `+goose ENVSUB ON`: it would put variables of the environment into the text; write their values, and leave the line out
    07_g.sql:4: `rollback drop table x;`: Liquibase's way back has a file of its own here; move its SQL to `….down.sql`, and leave the line out
    08_h.sql:2: this belongs to the head of the file; move it above the first statement
    09_i.sql:1: Flyway would put a value here, and `${flyway:defaultSchema}` would be sent as it stands; write the value; or, if it is meant as it stands, write `-- fleet: literal` at the head of the file
    11_k.sql:1: `${role}` is a placeholder of another program, and no SQL; write the value
    11_k.sql:1: `${schema}` is a placeholder of another program, and no SQL; write the value
    12_l.sql:2: `GO` is a command of sqlcmd; leave it out, and end the statement before it with `;`
    12_l.sql:4: `GO` is a command of sqlcmd; leave it out, and end the statement before it with `;`
    13_m.sql:1: `SOURCE` is a command of the mysql client; leave it out, and put what it would bring into the file as SQL
    V10__j.sql:1: Flyway would put a value here, and `${tenant_host}` would be sent as it stands; write the value; or, if it is meant as it stands, write `-- fleet: literal` at the head of the file
    "#);
}

#[test]
fn a_placeholder_that_may_be_meant_is_warned_of() {
    let text = "insert into s values ('https://${tenant_host}/');\n";
    let read = good(&[("1_a.sql", text), ("2_b.sql", "-- fleet: literal\nselect '${x}';")]);
    let [warning] = &read.warnings[..] else { panic!("{:?}", read.warnings) };
    assert!(warning.file.ends_with("1_a.sql") && warning.line == Some(1), "{warning}");
    assert_eq!(warning.what, "`${tenant_host}` is sent as it stands");
    assert_eq!(sql(read.scripts[0].up.get(Sqlite).unwrap()), [text.trim_end().trim_end_matches(';')]);
    good(&[("V1__a.sql", &format!("-- fleet: literal\n{text}"))]);
}

proptest::proptest! {
    #[test]
    fn any_text_is_survived(text in "(-- fleet: |batch|refresh|\\$\\{|\\{\\{|:|-- \\+goose |--changeset a:1 |GO\n|view=a |group=daily|begin|commit|;|\n|'|/\\*|\\*/|\\$\\$|\\PC){0,30}") {
        let folder = folder(&[("1_x.sql", &text), ("R__y.mysql.sql", &text), ("R__y.down.sql", &text)]);
        let _ = read(folder.path());
    }
}

/// The mistakes of a folder of general files, and those kept for PostgreSQL.
fn said(files: &[(&str, &str)]) -> String {
    let folder = folder(files);
    read(folder.path()).map_or_else(|mistakes| text(folder.path(), &mistakes), |_| String::new())
}

#[test]
fn a_comment_that_is_prose_is_told_once_and_none_of_its_words_is_a_directive() {
    let prose = said(&[("1_a.sql", "-- fleet: this adds a report, nothing else\nselect 1;")]);
    let prose = prose.trim();
    assert!(prose.starts_with("1_a.sql:1: unknown directive `this adds a report, nothing else`"), "{prose}");
    assert_eq!(prose.lines().count(), 1, "{prose}");
    let near = said(&[("1_a.sql", "-- fleet: transation=false lock_timeout=2s\nselect 1;")]);
    assert!(near.contains("did you mean `transaction=false`?"), "{near}");
    assert_eq!(
        said(&[("1_a.sql", "-- fleet: view=v group=daily\ncreate table v (i int);\n-- fleet: refresh\nselect 1;")]),
        ""
    );
}

#[test]
fn backslashes_behind_a_mode_without_escapes_are_refused_and_nothing_else_is() {
    let mode = "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES';\n";
    let wrong =
        said(&[("1_a.mysql.sql", &format!("{mode}insert into t values ('C:\\');\ninsert into t values ('x');"))]);
    assert!(
        wrong.contains("1_a.mysql.sql:1: backslashes") && wrong.contains("leave NO_BACKSLASH_ESCAPES out"),
        "{wrong}"
    );
    assert_eq!(
        said(&[("1_a.mysql.sql", &format!("insert into t values ('a\\n');\n{mode}insert into t values ('x');"))]),
        ""
    );
}

#[test]
fn what_only_another_engine_refuses_is_no_mistake_of_a_general_file() {
    for sql in ["CREATE DATABASE IF NOT EXISTS other;", "DROP DATABASE other;"] {
        let folder = folder(&[("1_a.sql", sql)]);
        let scripts = read(folder.path()).unwrap().scripts;
        let kept = |engine| scripts[0].part(engine, Direction::Up).unwrap().mistakes.len();
        assert_eq!((kept(Engine::Mysql), kept(Engine::Postgres)), (0, 1), "{sql}");
    }
    assert!(said(&[("1_a.sql", "CREATE INDEX CONCURRENTLY i ON t (a);")]).contains("can't run in a transaction"));
}

#[test]
fn transactions_of_a_files_own_are_refused_with_their_own_remedy() {
    for begin in ["BEGIN IMMEDIATE", "begin exclusive transaction", "BEGIN DEFERRED"] {
        assert_eq!(said(&[("1_a.sqlite.sql", &format!("{begin};\nselect 1;\nCOMMIT;"))]), "", "{begin}");
    }
    let savepoint = said(&[("1_a.sql", "SAVEPOINT s;\nselect 1;\nRELEASE s;")]);
    assert!(savepoint.contains("a script takes effect as a whole"), "{savepoint}");
    let lock = said(&[("1_a.mysql.sql", "LOCK TABLES t WRITE;\ninsert into t values (1);\nUNLOCK TABLES;")]);
    assert!(lock.contains("lock fleet's own tables out") && lock.contains("UNLOCK TABLES"), "{lock}");
    assert!(!lock.contains("transaction"), "{lock}");
}

#[test]
fn a_squash_may_name_what_an_earlier_squash_stood_for() {
    let folder = folder(&[("4_s.sql", "-- fleet: replaces=3_s(1_a,2_b),4_c\nselect 1;")]);
    let replaced = read(folder.path()).unwrap().scripts[0].replaces();
    assert_eq!(replaced.iter().map(|name| &**name).collect::<Vec<_>>(), ["3_s(1_a,2_b)", "4_c"]);
    assert!(said(&[("4_s.sql", "-- fleet: replaces=3_s(1_a,2_b\nselect 1;")]).contains("in parentheses"));
}

#[test]
fn a_file_with_both_ways_in_it_is_refused_or_warned_of() {
    for line in ["---- create above / drop below ----", "-- ==== DOWN ===="] {
        let told = said(&[("1_a.sql", &format!("create table x (i int);\n{line}\ndrop table x;"))]);
        assert!(told.contains("1_a.sql:2: up and down parts in one file"), "{told}");
    }
    let warnings = |text: &str| read(folder(&[("1_a.sql", text)]).path()).unwrap().warnings.len();
    for line in ["-- ROLLBACK", "-- revert", "-- undo --", "/* x */ -- Backward:"] {
        assert_eq!(warnings(&format!("create table x (i int);\n{line}\ndrop table x;")), 1, "{line}");
    }
    for text in ["-- undo\ndrop table x;", "create table x (i int);\n-- undo", "select 1; -- undo of 1\nselect 2;"] {
        assert_eq!(warnings(text), 0, "{text}");
    }
}

#[test]
fn names_and_texts_that_mean_something_else_are_refused() {
    let told = said(&[("1_a.sqlite.postgres.sql", "select 1;")]);
    assert!(told.contains("two engines") && told.contains("`1_a.sqlite.sql` and `1_a.postgres.sql`"), "{told}");
    let wide: String = "select 1;\nselect 2;".chars().flat_map(|c| [c, '\0']).collect();
    assert!(said(&[("1_a.sql", &wide)]).contains("1_a.sql:1: it has a character NUL"));
    for name in ["0001_a.sql", "'0001_a'", "0001_a()"] {
        let told = said(&[("2_s.sql", &format!("-- fleet: replaces={name}\nselect 1;"))]);
        assert!(told.contains("`replaces` takes names"), "{told}");
    }
    let load = said(&[("1_a.mysql.sql", "LOAD DATA LOCAL INFILE '/a' INTO TABLE t;")]);
    assert!(load.contains("needs a file of a client program"), "{load}");
    assert_eq!(said(&[("1_a.mysql.sql", "LOAD DATA INFILE '/a' INTO TABLE t;")]), "");
}
