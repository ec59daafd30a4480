//! Time limits as they are configured and planned, and tenants that stopped.

use serde_json::Value;
use sqlx::{Connection, Executor};

use crate::killed::read_until;
use crate::support::{Fleet, all, block_on, mariadb_url, postgres_url, record, signal, sql, wait_for_end};

/// What `locks` lists, once somebody holds a lock and somebody waits for it.
fn holder_and_waiter(fleet: &Fleet) -> Vec<Value> {
    let begun = std::time::Instant::now();
    loop {
        let json = fleet.run(&["locks", "--format", "json"]).exits(0).json();
        let rows = json["locks"].as_array().unwrap().clone();
        if rows.len() == 2 {
            return rows;
        }
        assert!(begun.elapsed().as_secs() < 60, "nobody waits: {rows:#?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn the_plan_says_which_time_limits_are_not_the_fleets() {
    let mut fleet = Fleet::new().sqlite(2);
    let migration = &all()[1];
    fleet.head = format!(
        "[fleet]\nlock_timeout = \"2s\"\n[migrations.\"{migration}\"]\nlock_timeout = \"300ms\"\nstatement_timeout = \"9s\"\n\
         [[wave]]\nname = \"canary\"\ntenants = [\"lite-000\"]\nlock_timeout = \"1s\""
    );
    fleet.tenant_mut("lite-001").more = "lock_timeout = \"700ms\"".to_owned();
    let plan = fleet.run(&["plan"]).exits(0);
    plan.shows(&[
        "wave canary: lock_timeout 1.0s",
        "tenant lite-001: lock_timeout 700ms",
        &format!("{migration} on sqlite: lock_timeout 300ms, statement_timeout 9.0s"),
    ]);
    let json = fleet.run(&["plan", "--format", "json"]).exits(0).json();
    assert_eq!(json["limits"][0]["of"], "wave canary");
    fleet.run(&["migrate", "--yes"]).exits(0);
}

#[test]
fn a_limit_for_a_migration_that_does_not_exist_is_refused_at_the_start() {
    let mut fleet = Fleet::new().sqlite(1);
    let misspelt = format!("{}x", all()[1]);
    fleet.head = format!("[migrations.\"{misspelt}\"]\nlock_timeout = \"300ms\"");
    fleet.run(&["migrate", "--yes"]).exits(78).tells(&[&misspelt, &format!("did you mean \"{}\"", all()[1])]);
    assert_eq!(fleet.history("lite-000"), None);
}

/// The engine definitely rejected a statement: the tenant is not in doubt, and the next run continues there.
#[test]
fn a_stopped_tenant_is_planned_and_goes_on() {
    let fleet = Fleet::new().mariadb(1);
    fleet.ask("my-000", "CREATE TABLE users (id int)");
    fleet.run(&["migrate", "--yes"]).exits(100);
    let shown = fleet.run(&["status"]).exits(0);
    drop(shown.shows(&["partially applied", "stopped before statement", "; the next migrate goes on there"]));
    fleet.run(&["plan"]).exits(0).shows(&["1 to migrate"]);
    fleet.run(&["runs", "resolve", "my-000"]).tells(&["my-000 is partially applied"]);
    fleet.ask("my-000", "DROP TABLE users");
    fleet.run(&["migrate", "--yes"]).exits(0);
    assert_eq!(fleet.history("my-000").unwrap(), all());
}

/// A reader in an open transaction on each server, and a migration that waits for it.
#[test]
fn locks_tells_who_holds_and_who_waits() {
    let fleet = Fleet::new().postgres(1).mariadb(1).mysql_where_there(1).sqlite(1);
    let held: Vec<&str> = fleet.tenants.iter().map(|tenant| &*tenant.id).filter(|id| !id.starts_with("lite")).collect();
    fleet.run(&["migrate", "--to", "tenant_features", "--yes"]).exits(0);
    fleet.run(&["locks"]).exits(0).shows(&["0 sessions"]);
    let (pg, mys) = block_on(async {
        let mut pg = sqlx::PgConnection::connect(&fleet.tenant("pg-000").url).await.unwrap();
        pg.execute("BEGIN; LOCK TABLE inventory_items IN ACCESS SHARE MODE").await.unwrap();
        let mut mys = Vec::new();
        for id in &held[1..] {
            let mut my = sqlx::MySqlConnection::connect(&fleet.tenant(id).url).await.unwrap();
            my.execute("BEGIN; SELECT count(*) FROM inventory_items").await.unwrap();
            mys.push(my);
        }
        (pg, mys)
    });
    // Before any session waits, and between two tries: the sessions that the next try will wait for.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let open = fleet.run(&["locks", "--exit-code"]).exits(0);
    let all = held.len();
    let told = format!("{all} sessions: 0 waiting, {all} in open transactions that nobody waits for");
    open.shows(&held).shows(&["open", &told]);
    let mut child = fleet.program(&["migrate", "--yes", "--lock-timeout", "100s"]).spawn().unwrap();
    read_until(&mut child, |line| line.contains("lite-000  migrated"));
    let begun = std::time::Instant::now();
    let rows = loop {
        let json = fleet.run(&["locks", "--format", "json"]).exits(0).json();
        let rows = json["locks"].as_array().unwrap().clone();
        if rows.len() >= 2 * all || begun.elapsed().as_secs() > 60 {
            break rows;
        }
    };
    for tenant in held {
        let of: Vec<_> = rows.iter().filter(|row| row["tenants"][0] == tenant).collect();
        let holds = of.iter().find(|row| row["is_holder"] == true).unwrap();
        let waits = of.iter().find(|row| row["waits_for"] != serde_json::json!([])).unwrap();
        assert_eq!(waits["waits_for"][0], holds["id"], "{rows:#?}");
    }
    let altered = |row: &serde_json::Value| row["query"].as_str().is_some_and(|q| q.starts_with("ALTER TABLE"));
    assert!(rows.iter().any(altered), "{rows:#?}");
    fleet.run(&["locks", "--exit-code"]).exits(2).shows(&["holds", "waits for"]);
    block_on(async {
        pg.close().await.unwrap();
        for my in mys {
            my.close().await.unwrap();
        }
    });
    assert_eq!(wait_for_end(&mut child), Some(0));
}

/// Another login to the same server may be answered, so the message says whose was not.
#[test]
fn a_server_that_does_not_answer_is_told_with_the_tenant_it_was_asked_as() {
    let mut fleet = Fleet::new();
    fleet.add("shut", "postgres://nobody@127.0.0.1:1/d");
    fleet.run(&["locks"]).exits(100).shows(&["as shut: "]);
}

mod mysql {
    use super::*;

    /// One session has a row, another wants it: both are told, with the wait for it, and nobody who has nothing to do with it.
    #[test]
    fn the_holder_of_a_row_and_who_waits_for_it_are_told() {
        let fleet = Fleet::new().mysql(1);
        let url = fleet.tenant("mysql-000").url.clone();
        sql(&url, "CREATE TABLE orders (id int PRIMARY KEY, n int); INSERT INTO orders VALUES (1, 0), (2, 0)");
        let mut holder = block_on(sqlx::MySqlConnection::connect(&url)).unwrap();
        block_on(holder.execute("BEGIN; UPDATE orders SET n = 1 WHERE id = 1")).unwrap();
        let id = block_on(async {
            let row = sqlx::query("SELECT CONNECTION_ID()").fetch_one(&mut holder).await.unwrap();
            sqlx::Row::get::<u64, _>(&row, 0)
        });
        let waiting = std::thread::spawn(move || sql(&url, "UPDATE orders SET n = 2 WHERE id = 1"));
        let rows = holder_and_waiter(&fleet);
        fleet.run(&["locks", "--exit-code"]).exits(2).shows(&["holds", "waits for", "2 sessions: 1 waiting"]);
        block_on(holder.close()).unwrap();
        waiting.join().unwrap();
        assert_eq!(rows.len(), 2, "{rows:#?}");
        let holds = rows.iter().find(|row| row["is_holder"] == true).unwrap();
        let waits = rows.iter().find(|row| row["is_holder"] != true).unwrap();
        assert_eq!((&holds["id"], &holds["certain"]), (&id.into(), &true.into()), "{rows:#?}");
        assert_eq!(waits["waits_for"], serde_json::json!([id]), "{rows:#?}");
        assert!(waits["query"].as_str().unwrap().starts_with("UPDATE orders SET n = 2"), "{rows:#?}");
    }
}

/// The queries of a superuser are hidden from the tenant's own user, the locks are not: `locks` must not report that
/// all is well.
#[test]
fn sessions_that_are_hidden_from_the_user_are_listed_at_their_locks() {
    let mut fleet = Fleet::new().postgres(1);
    let url = fleet.tenant("pg-000").url.clone();
    let role = fleet.unique("owner");
    sql(&postgres_url(), &format!("CREATE ROLE {role} LOGIN PASSWORD 'x'"));
    sql(&postgres_url(), &format!("ALTER DATABASE {} OWNER TO {role}", url.rsplit_once('/').unwrap().1));
    fleet.at_end(&postgres_url(), &format!("DROP ROLE {role}"));
    let (scheme, rest) = url.split_once("://").unwrap();
    fleet.tenant_mut("pg-000").url = format!("{scheme}://{role}:x@{}", rest.split_once('@').unwrap().1);
    sql(&url, "CREATE TABLE orders (id int)");
    let mut holder = block_on(sqlx::PgConnection::connect(&url)).unwrap();
    block_on(holder.execute("BEGIN; LOCK TABLE orders")).unwrap();
    let open = fleet.run(&["locks", "--exit-code"]).exits(0);
    open.shows(&["open", "hidden from this user, who lacks pg_read_all_stats", "1 in open transactions"]);
    let waiting = std::thread::spawn(move || sql(&url, "SELECT id::text FROM orders"));
    let rows = holder_and_waiter(&fleet);
    fleet.run(&["locks", "--exit-code"]).exits(2).shows(&["holds", "waits for", "2 sessions: 1 waiting"]);
    block_on(holder.close()).unwrap();
    waiting.join().unwrap();
    assert_eq!(rows.len(), 2, "{rows:#?}");
    assert_eq!(rows[0]["is_holder"], true, "{rows:#?}");
    assert_eq!(rows[1]["waits_for"][0], rows[0]["id"], "{rows:#?}");
    assert_eq!((&rows[0]["certain"], &rows[1]["certain"]), (&true.into(), &true.into()), "{rows:#?}");
}

/// Without the plugin it is unknown which of two readers holds the table: neither is named as the holder.
#[test]
fn who_holds_a_table_of_mariadb_is_only_probable_without_the_plugin() {
    let fleet = Fleet::new().mariadb(1);
    let url = fleet.tenant("my-000").url.clone();
    sql(&url, "CREATE TABLE orders (id int)");
    sql(&url, "CREATE TABLE products (id int)");
    let reader = |query: &'static str| {
        let mut reader = block_on(sqlx::MySqlConnection::connect(&url)).unwrap();
        block_on(reader.execute("BEGIN")).unwrap();
        block_on(reader.execute(query)).unwrap();
        reader
    };
    let readers = [reader("SELECT count(*) FROM orders"), reader("SELECT count(*) FROM products")];
    let alter = url.clone();
    let waiting = std::thread::spawn(move || sql(&alter, "ALTER TABLE orders ADD c int"));
    let begun = std::time::Instant::now();
    let rows = loop {
        let json = fleet.run(&["locks", "--format", "json"]).exits(0).json();
        let rows = json["locks"].as_array().unwrap().clone();
        if rows.len() == 3 || begun.elapsed().as_secs() > 30 {
            break rows;
        }
    };
    fleet.run(&["locks", "--exit-code"]).exits(2).shows(&["may hold", "waits, maybe for", "3 sessions: 1 waiting"]);
    for reader in readers {
        block_on(reader.close()).unwrap();
    }
    waiting.join().unwrap();
    assert_eq!(rows.iter().filter(|row| row["is_holder"] == true).count(), 2, "{rows:#?}");
    assert!(rows.iter().all(|row| row["certain"] == false), "{rows:#?}");
}

/// The user may not terminate the sessions of others: the missing privilege is reported, and the lock timeout applies
/// as usual.
#[test]
fn a_blocker_that_may_not_be_terminated_is_told_with_the_missing_right() {
    let mut fleet = Fleet::new().head("[fleet]\nlock_wait = \"4s\"").postgres(1).mariadb(1);
    let urls = ["pg-000", "my-000"].map(|id| fleet.tenant(id).url.clone());
    let names = urls.each_ref().map(|url| url.rsplit_once('/').unwrap().1.to_owned());
    let (role, user) = (fleet.unique("weak"), format!("w{:x}", std::process::id()));
    let [pg, my] = [postgres_url(), mariadb_url()];
    sql(&pg, &format!("CREATE ROLE {role} LOGIN PASSWORD 'x'"));
    sql(&pg, &format!("ALTER DATABASE {} OWNER TO {role}", names[0]));
    sql(&my, &format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'x'"));
    sql(&my, &format!("GRANT ALL ON `{}`.* TO '{user}'@'%'", names[1]));
    fleet.at_end(&pg, &format!("DROP ROLE {role}"));
    fleet.at_end(&my, &format!("DROP USER '{user}'@'%'"));
    for (id, name) in [("pg-000", &role), ("my-000", &user)] {
        let (scheme, rest) = fleet.tenant(id).url.split_once("://").unwrap();
        fleet.tenant_mut(id).url = format!("{scheme}://{name}:x@{}", rest.split_once('@').unwrap().1);
    }
    fleet.run(&["migrate", "--to", "tenant_features", "--yes"]).exits(0);
    let (pg_holder, my_holder) = block_on(async {
        let mut pg = sqlx::PgConnection::connect(&urls[0]).await.unwrap();
        pg.execute("BEGIN; LOCK TABLE inventory_items IN ACCESS SHARE MODE").await.unwrap();
        let mut my = sqlx::MySqlConnection::connect(&urls[1]).await.unwrap();
        my.execute("BEGIN; SELECT count(*) FROM inventory_items").await.unwrap();
        (pg, my)
    });
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    let kill = || {
        let run = ["migrate", "--yes", "--lock-timeout", "2s", "--kill-blockers", "older-than=1s", "--attempts", "2"];
        let ran = fleet.run(&[&run[..], &["--format", "json"]].concat()).exits(100);
        let report = ran.json();
        for id in ["pg-000", "my-000"] {
            assert_eq!(record(&report, id)["outcome"], "lock_timeout", "{report:#}");
        }
        let note = |id: &str| record(&report, id)["notes"].as_array().unwrap().clone();
        (note("pg-000"), note("my-000"), ran.err)
    };
    let (pg_notes, my_notes, err) = kill();
    assert_eq!((pg_notes.len(), my_notes.len()), (1, 1), "each is told once: {pg_notes:?} {my_notes:?}");
    assert!(
        pg_notes[0].as_str().unwrap().contains("was not terminated: this user lacks pg_read_all_stats"),
        "{pg_notes:?}"
    );
    assert!(my_notes[0].as_str().unwrap().contains("who lacks PROCESS"), "{my_notes:?}");
    for words in ["pg_read_all_stats", "who lacks PROCESS"] {
        assert!(err.contains(words), "no {words} in {err}");
    }
    sql(&pg, &format!("GRANT pg_read_all_stats TO {role}"));
    sql(&my, &format!("GRANT PROCESS ON *.* TO '{user}'@'%'"));
    let (pg_notes, my_notes, err) = kill();
    assert!(pg_notes[0].as_str().unwrap().contains("lacks pg_signal_backend"), "{pg_notes:?}");
    assert!(my_notes[0].as_str().unwrap().contains("does not tell who holds the lock"), "{my_notes:?}");
    assert!(err.contains("pg_signal_backend") && err.contains("does not tell who holds"), "{err}");
    drop((pg_holder, my_holder));
}

/// Another process holds the file; it is named where the system reports it.
#[test]
fn the_process_that_holds_a_file_is_named() {
    let fleet = Fleet::new().sqlite(1).head("[fleet]\nlock_timeout = \"1s\"\nlock_wait = \"0s\"");
    fleet.write();
    let file = fleet.path("lite-000.db");
    let python = "import sqlite3,sys,time;c=sqlite3.connect(sys.argv[1],isolation_level=None);c.execute('BEGIN IMMEDIATE');\
                  print('held',flush=True);time.sleep(60)";
    let mut holder = std::process::Command::new("python3");
    let mut holder = holder
        .args(["-c", python])
        .arg(&file)
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.as_mut().unwrap()), &mut line).unwrap();
    let locks = fleet.run(&["locks"]).exits(0);
    let outcome = fleet.run(&["migrate", "--yes"]).exits(100);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let pid = holder.id().to_string();
    locks.shows(&["lite-000", "holds", &pid, "python3"]);
    outcome.shows(&[&format!("connection {pid}"), "python3"]);
}

/// The reader of a pipe goes away, or the terminal does: the work in flight ends, and is recorded.
#[test]
fn a_closed_pipe_or_terminal_leaves_no_tenant_half_done() {
    use std::process::Stdio;
    for hangup in [false, true] {
        let fleet = Fleet::new().sqlite(30).postgres(2).mariadb(2).head("[fleet]\nconcurrency = 2");
        fleet.write();
        let mut command = fleet.program(&["migrate", "--yes", "--format", "jsonl"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        // Both ends that we had are closed from here on.
        drop(child.stderr.take());
        if hangup {
            signal(&child, "HUP");
        }
        let code = wait_for_end(&mut child);
        for tenant in &fleet.tenants {
            let history = fleet.history(&tenant.id).unwrap_or_default();
            assert!(history.is_empty() || history == all(), "{} is half done: {history:?}", tenant.id);
        }
        let run = fleet.run(&["runs", "list", "--format", "json"]).exits(0).json()["runs"][0].clone();
        assert_eq!(run["status"], "finished", "{run:#}");
        assert_eq!(code, Some(if hangup { 143 } else { 0 }), "{run:#}");
    }
}

/// The terminal itself goes away: the program leads its session there, gets SIGHUP, and can write nowhere any more.
#[test]
fn a_terminal_that_goes_away_leaves_no_tenant_half_done() {
    let fleet = Fleet::new().sqlite(40).postgres(2).mariadb(2).head("[fleet]\nconcurrency = 2");
    fleet.write();
    let python = "import os,pty,sys,time\n\
                  pid,fd=pty.fork()\n\
                  if pid==0: os.execv(sys.argv[1],sys.argv[1:])\n\
                  seen=b''\n\
                  while seen.count(b'\\n')<3 and b'/44' not in seen: seen+=os.read(fd,4096)\n\
                  os.close(fd)\n\
                  print(os.waitstatus_to_exitcode(os.waitpid(pid,0)[1]))";
    let inner = fleet.program(&["migrate", "--yes"]);
    let mut outer = std::process::Command::new("python3");
    outer.args(["-c", python]).arg(inner.get_program()).args(inner.get_args()).current_dir(fleet.folder.path());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    let ended = outer.output().unwrap();
    let code = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
    for tenant in &fleet.tenants {
        let history = fleet.history(&tenant.id).unwrap_or_default();
        assert!(history.is_empty() || history == all(), "{} is half done: {history:?}", tenant.id);
    }
    let run = fleet.run(&["runs", "list", "--format", "json"]).exits(0).json()["runs"][0].clone();
    assert_eq!(run["status"], "finished", "{code}: {run:#}");
    assert_eq!(code, "143", "{ended:?} {run:#}");
}
