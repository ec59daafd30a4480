//! The SQL sent to each engine for the sample, compared byte for byte with the files in `../../golden`: proof that a
//! refactoring does not change it.
//!
//! The program under test (`../../src`) is the whole command line with the sample's migrations and scripts. PostgreSQL
//! and MariaDB are reached through a TCP relay, and the record is what arrives there: logins, queries, parses, binds,
//! prepares and the end of each connection. For SQLite it is each statement that SQLite starts, on every connection to
//! a tenant, as SQLite's own trace reports it. SQLite's record lacks statements that fail to compile (a read of a
//! missing table), and does not show which statements went in one call.
//!
//! Values that differ per run are replaced by fixed words (`normalize.rs`): names of databases (`DATABASE`), seconds
//! since 1970 within the test (`TIME`), run ids (`RUN`) and the random part of session names (`NAME`). User names and
//! passwords are left out. All else is compared verbatim. The files abbreviate: a line of more than 900 bytes, a long
//! line that was there before in the same file, and in `up`, `down` and `refresh` the statements of each migration are
//! represented by their length and the first 64 bits of their SHA-256. The full texts are written to `target/tmp/sent`;
//! compare those of two commits with `diff -r`.
//!
//! The program runs with its fullest log, which must change none of this and hold each text (`logged.rs`).
//!
//! Two servers are needed: `eval "$(scripts/servers start)"` sets the variables. To record the files anew:
//!
//! ```sh
//! SENT_RECORD=1 cargo nextest run -p sent && git diff tests/sent/golden
//! ```
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod golden;
mod logged;
mod normalize;
#[path = "../../../support/process.rs"]
#[expect(dead_code, reason = "the tests of the whole program use the rest")]
mod process;
mod server_log;
#[path = "../../../support/own_servers.rs"]
#[expect(dead_code, reason = "the tests of the whole program use the rest")]
mod servers;
mod tap;
mod tenants;
mod wire;

use normalize::Detail::{Folded, Full};
use tenants::{Engine, Tenants};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_sent");

/// The migration before the first one without a transaction.
const BEFORE_ALONE: &str = "m20251001_000001_multi_platform_orders";

/// A versioned script.
const VERSIONED: &str = "0005_sale_lines.up.sql";
/// A script that is applied again when its text changes.
const REPEATABLE: &str = "R__order_status_overview.sql";

/// The whole sample up, up to date, with edited scripts, and down again.
fn the_sample(engine: Engine) {
    let mut tenants = Tenants::new(engine);
    tenants.case("up", Folded, |case| {
        case.run("the whole sample, from nothing", &["migrate", "--tenant", "one", "--yes"], 0);
    });
    tenants.case("up_to_date", Full, |case| {
        case.run("migrate with nothing to do", &["migrate", "--tenant", "one", "--yes"], 0);
        case.run("plan", &["plan", "--tenant", "one"], 0);
        case.run("status", &["status", "--tenant", "one"], 0);
        case.run("doctor", &["doctor", "--tenant", "one"], 0);
    });
    tenants.case("refresh", Folded, |case| {
        case.run("all views are refreshed", &["refresh", "--tenant", "one", "--no-preflight", "--yes"], 0);
        case.run("times of the last refreshes", &["refresh", "--status", "--tenant", "one"], 0);
    });
    tenants.case("edited", Full, |case| {
        case.edit(REPEATABLE);
        case.run("a repeatable script is applied again", &change(&["migrate"]), 0);
        case.edit(VERSIONED);
        case.run("the checksum of an edited script is accepted", &change(&["scripts", "repair", "0005_sale_lines"]), 0);
    });
    tenants.case("down", Folded, |case| {
        case.run("the last three steps down", &change(&["rollback", "--steps", "3"]), 0);
        case.run("all other steps down", &change(&["rollback", "--all"]), 0);
    });
    let stamp = |to| change(&["stamp", "--to", to, "--reason", "r", "--no-check"]);
    tenants.case("stamp", Full, |case| {
        case.run("a version is recorded", &stamp(VERSIONED.trim_end_matches(".up.sql")), 0);
        case.run("and an earlier one", &stamp(BEFORE_ALONE), 0);
    });
    tenants.finish();
}

/// Single steps: native, without a transaction, and stopped half way.
fn single_steps(engine: Engine) {
    let mut tenants = Tenants::new(engine);
    let (up, down) = (change(&["migrate", "--steps", "1"]), change(&["rollback", "--steps", "1"]));
    let native = |command| change(&[command, "--steps", "1", "--native"]);
    tenants.case("native", Full, |case| {
        case.run("the first migration natively", &native("migrate"), 0);
        case.run("and down again", &native("rollback"), 0);
    });
    tenants.prepare(&change(&["migrate", "--to", BEFORE_ALONE]));
    tenants.case("stopped", Full, |case| {
        case.sql("ALTER TABLE order_items RENAME COLUMN quantity TO away");
        case.run("a step without a transaction stops half way", &up, 100);
        case.run("status", &["status", "--tenant", "one"], 0);
        case.sql("ALTER TABLE order_items RENAME COLUMN away TO quantity");
        case.run("the step is settled by hand", &["runs", "resolve", "one", "--resume-at", "4", "--yes"], 0);
        case.run("the step is resumed", &up, 0);
    });
    tenants.case("alone", Full, |case| {
        case.run("a step without a transaction, down", &down, 0);
        case.run("and up again", &up, 0);
    });
    tenants.case("native_alone", Full, |case| {
        case.run("the step natively, down", &native("rollback"), 0);
        case.run("and up again", &native("migrate"), 0);
    });
    tenants.case("two_tenants", Full, |case| {
        let first = ["migrate", "--steps", "1", "--tenant", "two", "--no-preflight", "--yes"];
        case.run("a tenant whose file or schema is created", &first, 0);
        case.run("the histories of two tenants", &["matrix", "--all", "--concurrency", "1"], 0);
    });
    tenants.finish();
}

/// Bytes that somebody may mistake for others on the way: white space at the edges of lines, line breaks of both kinds, characters
/// of each length, and everything that may hide a semicolon.
const BYTES: &str = "-- Blanks, \ttabs and a line break of two bytes:  \t \r\n\r\n\tCREATE TABLE bytes (id integer PRIMARY KEY,\r\n\t\
    text varchar(80) );   \n\n\n  INSERT INTO bytes VALUES (1, ' a;\n\tb\r\n  ''c'' \"d\" é漢🚀 \t');\n/* e;\n\t*/ UPDATE bytes\n\
    SET text = concat(text, '--;') -- f;\nWHERE id = 1;\n\n";

/// `plan --sql --wire` says byte for byte what is sent: from nothing, by steps without a transaction, and down.
fn planned(mut tenants: Tenants) {
    tenants.wired("from nothing", &["migrate", "--to", BEFORE_ALONE]);
    tenants.wired("a step without a transaction", &["migrate", "--steps", "1"]);
    tenants.wired("and down", &["rollback", "--steps", "1"]);
    tenants.wired("the rest", &["migrate"]);
    tenants.script("0007_bytes.sql", BYTES);
    tenants.wired("odd bytes", &["migrate"]);
    tenants.finish();
}

/// The same of online forms, of steps that share a transaction, and of fleet's own texts around Rust code.
fn planned_otherwise(new: impl Fn() -> Tenants) {
    let mut tenants = new();
    tenants.wired("online", &["migrate", "--to", BEFORE_ALONE, "--online"]);
    tenants.wired("online, without a transaction", &["migrate", "--steps", "1", "--online"]);
    tenants.script("0007_fill.sql", "CREATE TABLE fill (id integer PRIMARY KEY, total integer);\n");
    tenants.prepare(&change(&["migrate"]));
    tenants.script("0008_fill.sql", "UPDATE fill SET total = id + 1 WHERE total IS NULL;\n");
    tenants.wired("a backfill in batches", &["migrate", "--online"]);
    tenants.finish();
    let mut tenants = new();
    tenants.wired("natively", &["migrate", "--steps", "1", "--native"]);
    tenants.wired("natively down", &["rollback", "--steps", "1", "--native"]);
    tenants.wired("in one transaction", &["migrate", "--to", BEFORE_ALONE, "--transaction", "tenant"]);
    tenants.wired("natively, without a transaction", &["migrate", "--steps", "1", "--native"]);
    tenants.finish();
}

#[test]
fn a_plan_says_what_sqlite_is_sent() {
    planned(Tenants::new(Engine::Sqlite));
}

#[test]
fn a_plan_in_other_forms_says_what_sqlite_is_sent() {
    planned_otherwise(|| Tenants::new(Engine::Sqlite));
}

#[test]
fn a_plan_in_other_forms_says_what_postgres_is_sent() {
    planned_otherwise(|| Tenants::new(Engine::Postgres));
}

#[test]
fn a_plan_in_other_forms_says_what_a_postgres_schema_is_sent() {
    planned_otherwise(|| Tenants::new(Engine::PostgresSchema));
}

#[test]
fn a_plan_in_other_forms_says_what_mariadb_is_sent() {
    planned_otherwise(|| Tenants::new(Engine::Mariadb));
}

#[test]
fn a_plan_says_what_postgres_is_sent() {
    planned(Tenants::new(Engine::Postgres));
}

#[test]
fn a_plan_says_what_a_postgres_schema_is_sent() {
    planned(Tenants::new(Engine::PostgresSchema));
}

#[test]
fn a_plan_says_what_mariadb_is_sent() {
    planned(Tenants::new(Engine::Mariadb));
}

mod mysql {
    use super::*;

    #[test]
    fn a_plan_says_what_it_is_sent() {
        planned(Tenants::new(Engine::Mysql));
    }

    #[test]
    fn a_plan_in_other_forms_says_what_it_is_sent() {
        planned_otherwise(|| Tenants::new(Engine::Mysql));
    }
}

/// The same against what each server logs by itself, which knows nothing of the relay.
mod own_servers {
    use std::rc::Rc;

    use crate::server_log::ServerLog;
    use crate::tenants::{Engine, Tenants};
    use crate::{planned, planned_otherwise};

    fn logged(log: ServerLog, engines: &[Engine]) {
        let log = Rc::new(log);
        for engine in engines {
            planned(Tenants::logged(*engine, &log));
            planned_otherwise(|| Tenants::logged(*engine, &log));
        }
    }

    #[test]
    fn a_plan_says_what_postgres_logs() {
        logged(ServerLog::postgres(), &[Engine::Postgres, Engine::PostgresSchema]);
    }

    #[test]
    fn a_plan_says_what_mariadb_logs() {
        logged(ServerLog::mariadb(), &[Engine::Mariadb]);
    }

    mod mysql {
        use super::*;

        #[test]
        fn a_plan_says_what_it_logs() {
            logged(ServerLog::mysql(), &[Engine::Mysql]);
        }
    }
}

/// A command that changes tenant `one`, without the preflight.
fn change<'a>(command: &[&'a str]) -> Vec<&'a str> {
    [command, &["--tenant", "one", "--no-preflight", "--yes"]].concat()
}

#[test]
fn the_sample_on_sqlite() {
    the_sample(Engine::Sqlite);
}

#[test]
fn the_sample_on_postgres() {
    the_sample(Engine::Postgres);
}

#[test]
fn the_sample_in_a_postgres_schema() {
    the_sample(Engine::PostgresSchema);
}

#[test]
fn the_sample_on_mariadb() {
    the_sample(Engine::Mariadb);
}

#[test]
fn single_steps_on_sqlite() {
    single_steps(Engine::Sqlite);
}

#[test]
fn single_steps_on_postgres() {
    single_steps(Engine::Postgres);
}

#[test]
fn single_steps_in_a_postgres_schema() {
    single_steps(Engine::PostgresSchema);
}

#[test]
fn single_steps_on_mariadb() {
    single_steps(Engine::Mariadb);
}
