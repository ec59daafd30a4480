//! The statements of an operator's text that may change a tenant, and the reason why one can't be sent in fleet's own
//! transaction. It runs nothing.

use super::foreign_keys::mentions;
use super::split::{Piece, scan};
use super::statement::is_transaction_control;
use super::transaction::{Hindrance, hindrance, name};
use super::words::first_words;
use crate::model::engine::Engine;

/// The statements of a text; `own` are the tables of fleet itself.
///
/// # Errors
/// Why the text can't be sent as it stands, as a sentence without its end.
pub(crate) fn operator_statements<'a>(engine: Engine, sql: &'a str, own: &[&str]) -> Result<Vec<Piece<'a>>, String> {
    let (pieces, unclosed) = scan(engine, sql);
    if let Some(unclosed) = unclosed {
        return Err(format!("line {}: {} begins here and never ends", unclosed.line, unclosed.what));
    }
    if pieces.is_empty() {
        return Err("there is no statement in it".to_owned());
    }
    let is_atomic = engine.capabilities().transactional_ddl;
    for piece in &pieces {
        let at = format!("line {}: `{}`", piece.line, name(engine, piece.text));
        if is_transaction_control(engine, piece.text) {
            return Err(format!(
                "{at} is in the way of the transaction that fleet itself begins and ends; leave it out"
            ));
        }
        if let Some((_, hindrance)) = hindrance(engine, piece.text) {
            return Err(match hindrance {
                Hindrance::Refused(instead) => format!("{at} ends what fleet itself holds in the session; {instead}"),
                _ => format!(
                    "{at} can't run in a transaction; write a script with `-- fleet: transaction=false`, which is journalled"
                ),
            });
        }
        // Such an engine may have committed it before anybody could look.
        if !is_atomic && let Some(table) = own.iter().find(|table| mentions(piece.text, &[table])) {
            return Err(format!(
                "{at} names {table}, a table of fleet's own, and {engine} might commit the change at once; `stamp` and \
                 `runs resolve` set a history right"
            ));
        }
    }
    Ok(pieces)
}

/// Whether a statement changes rows only: then it is part of a transaction on every engine.
pub(crate) fn is_of_rows(engine: Engine, sql: &str) -> bool {
    let first = first_words(engine, sql).next();
    first.is_some_and(|word| ["insert", "update", "delete", "replace", "select", "with", "values"].contains(&&*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::Engine::{Mysql, Postgres, Sqlite};

    #[test]
    fn statements_that_leave_the_transaction_are_refused_with_their_line() {
        let refused = |engine, sql| operator_statements(engine, sql, &["seaql_migrations"]).unwrap_err();
        for engine in Engine::ALL {
            for sql in ["UPDATE t SET a = 1;\nCOMMIT", "UPDATE t SET a = 1;\nROLLBACK;\nSELECT 1"] {
                assert!(refused(engine, sql).starts_with("line 2: `"), "{engine} {sql}");
            }
            assert_eq!(refused(engine, " -- nothing\n"), "there is no statement in it");
            assert!(refused(engine, "SELECT 'a").contains("never ends"), "{engine}");
            assert_eq!(operator_statements(engine, "UPDATE t SET a = ';';\nDELETE FROM t;", &[]).unwrap().len(), 2);
        }
        assert!(refused(Postgres, "VACUUM t").contains("can't run in a transaction"));
        assert!(refused(Mysql, "DELETE FROM `Seaql_Migrations`").contains("a table of fleet's own"));
        assert!(operator_statements(Sqlite, "DELETE FROM seaql_migrations", &["seaql_migrations"]).is_ok());
        assert!(is_of_rows(Mysql, "/* a */ insert into t values (1)") && !is_of_rows(Mysql, "CALL p()"));
    }
}
