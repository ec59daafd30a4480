//! The locks that a script takes on tables that others use, by its words.
//!
//! It knows the manuals, not the server: a lock that a trigger or a function takes is not among them.

use std::ops::Range;

use super::known::Known;
use super::statement::Statement;
use super::{rules, step};
use crate::model::engine::EngineMap;
use crate::model::schema::{Execution, Script};

/// The lock of a statement in words, with the table; `None`: nobody waits for it.
type Look = fn(&Statement<'_>) -> Option<String>;

/// <https://www.postgresql.org/docs/15/explicit-locking.html>,
/// <https://dev.mysql.com/doc/refman/8.4/en/metadata-locking.html>.
static LOOKS: EngineMap<Look> = EngineMap { sqlite: |_| None, postgres, mysql };

/// The locks of a script, each once, in order.
pub(crate) fn locks(script: &Script) -> Vec<String> {
    if let Execution::Irreversible { .. } = script.execution {
        return Vec::new();
    }
    if !script.engine.capabilities().server {
        return if script.statements.is_empty() { Vec::new() } else { vec![FILE.to_owned()] };
    }
    let nothing = Known::default();
    let step = step(script, script, &nothing, &nothing);
    let mut all: Vec<String> = Vec::new();
    for statement in step.statements.iter().filter(|statement| !statement.is_just_made) {
        let lock = match statement.not_read() {
            Some(why) => Some(format!("not known: {why}")),
            None => LOOKS[script.engine](statement),
        };
        all.extend(lock.filter(|lock| !all.contains(lock)));
    }
    if matches!(script.execution, Execution::Native { .. }) {
        all.push("not known: what its Rust code takes besides".to_owned());
    }
    all
}

const FILE: &str = "the whole file: no other writer, and without a write-ahead log no reader, until the commit";

fn postgres(s: &Statement<'_>) -> Option<String> {
    let has = |word: &str| s.has_outside(word);
    let concurrently = has("concurrently");
    let (mode, effect) = match s.verb().as_str() {
        "alter" if s.target.is_some() => alters(s),
        "create" if s.is("create", "index") && concurrently => SHARE_UPDATE,
        "create" if s.is("create", "index") => ("SHARE", "writers wait"),
        "create" if s.is("create", "table") => return refers(s),
        "drop" if s.is("drop", "index") && concurrently => SHARE_UPDATE,
        "refresh" if concurrently => ("EXCLUSIVE", "readers go on"),
        "drop" | "truncate" | "cluster" | "reindex" | "refresh" | "alter" => ACCESS,
        "lock" => ("the mode that it names", "as it says"),
        "insert" | "update" | "delete" | "with" => ("ROW EXCLUSIVE", "who changes the same rows waits"),
        _ => return None,
    };
    Some(format!("{mode} on {} ({effect})", on(s)))
}

const ACCESS: (&str, &str) = ("ACCESS EXCLUSIVE", "readers and writers wait");
const SHARE_UPDATE: (&str, &str) = ("SHARE UPDATE EXCLUSIVE", "readers and writers go on");

/// The strongest lock of an `ALTER TABLE`.
fn alters(s: &Statement<'_>) -> (&'static str, &'static str) {
    let is_light = |action: &Range<usize>| {
        s.words.is(action.start, "validate")
            || s.has_in(action, &["statistics"])
            || s.words.is(action.start, "attach")
            || s.words.is(action.start, "set") && s.words.is_symbol(action.start + 1, b'(')
    };
    let is_key = |action: &Range<usize>| s.words.is(action.start, "add") && s.has_in(action, &["foreign"]);
    let actions = s.actions();
    if !actions.is_empty() && actions.iter().all(is_light) {
        return SHARE_UPDATE;
    }
    if !actions.is_empty() && actions.iter().all(|action| is_light(action) || is_key(action)) {
        return ("SHARE ROW EXCLUSIVE", "writers wait, there and on the table that it refers to");
    }
    ACCESS
}

/// The lock on the tables that a new one refers to.
fn refers(s: &Statement<'_>) -> Option<String> {
    let words = &s.words;
    let mut names: Vec<String> = Vec::new();
    for at in (0..words.len()).filter(|&at| words.is(at, "references")) {
        let name = if words.is_symbol(at + 2, b'.') { words.name(at + 3) } else { words.name(at + 1) };
        let name = name.map(|name| name.to_lowercase()).filter(|name| Some(name) != s.target.as_ref());
        names.extend(name.filter(|name| !names.contains(name)));
    }
    (!names.is_empty()).then(|| format!("SHARE ROW EXCLUSIVE on {} (writers wait)", names.join(", ")))
}

fn mysql(s: &Statement<'_>) -> Option<String> {
    match s.verb().as_str() {
        "alter" | "create" | "drop" if s.target.is_some() && rules::copies_table(s) => {
            Some(format!("metadata lock on {}; it may copy the table, and writers wait meanwhile", on(s)))
        }
        "create" if s.is("create", "table") => {
            refers(s).map(|refers| refers.replace("SHARE ROW EXCLUSIVE", "metadata lock"))
        }
        "create" if s.target.is_none() => None,
        "alter" | "drop" | "truncate" | "rename" | "create" => Some(format!(
            "metadata lock on {} (readers and writers wait for a moment, once old transactions end)",
            on(s)
        )),
        "lock" => Some(format!("the locks that it names on {}", on(s))),
        "insert" | "update" | "delete" | "replace" | "with" => {
            Some(format!("row locks on {} (who changes the same rows waits)", on(s)))
        }
        _ => None,
    }
}

fn on(s: &Statement<'_>) -> String {
    let several = s.listed_tables();
    match &s.target {
        _ if !several.is_empty() => several.join(", "),
        Some(table) => table.clone(),
        None => format!("what `{}` names", s.text(0..s.words.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::lint::rules::tests::pair;
    use crate::model::engine::Engine;

    fn of(engine: Engine, sql: &str) -> Vec<String> {
        locks(&pair(engine, sql, "0001").up)
    }

    #[test]
    fn a_statement_takes_the_lock_of_the_manual() {
        let pg = |sql: &str| of(Engine::Postgres, sql).join("; ");
        for (sql, lock) in [
            ("ALTER TABLE users ADD COLUMN plan text", "ACCESS EXCLUSIVE on users"),
            ("ALTER TABLE users VALIDATE CONSTRAINT c", "SHARE UPDATE EXCLUSIVE on users"),
            ("ALTER TABLE a ADD CONSTRAINT c FOREIGN KEY (b) REFERENCES b (id)", "SHARE ROW EXCLUSIVE on a"),
            ("CREATE INDEX i ON users (plan)", "SHARE on users"),
            ("CREATE INDEX CONCURRENTLY i ON users (plan)", "SHARE UPDATE EXCLUSIVE on users"),
            ("CREATE TABLE t (id int REFERENCES users (id))", "SHARE ROW EXCLUSIVE on users"),
            ("UPDATE users SET plan = 'a'", "ROW EXCLUSIVE on users"),
            ("DO $$ BEGIN END $$", "not known"),
        ] {
            assert!(pg(sql).starts_with(lock), "{sql}: {}", pg(sql));
        }
        assert_eq!(pg("CREATE TABLE t (id int)"), "", "nobody waits for a new table");
        let my = |sql: &str| of(Engine::Mysql, sql).join("; ");
        assert!(
            my("ALTER TABLE users MODIFY plan text").contains("copy"),
            "{}",
            my("ALTER TABLE users MODIFY plan text")
        );
        assert!(my("ALTER TABLE users ADD COLUMN plan text").starts_with("metadata lock on users ("));
        assert!(of(Engine::Sqlite, "UPDATE users SET plan = 'a'")[0].starts_with("the whole file"));
    }

    #[test]
    fn a_table_of_the_same_script_has_no_readers() {
        let made = "CREATE TABLE t (id int);\nALTER TABLE t ADD COLUMN a int;\nINSERT INTO t VALUES (1)";
        assert_eq!(of(Engine::Postgres, made), Vec::<String>::new());
    }
}
