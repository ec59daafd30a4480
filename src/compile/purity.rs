//! Whether a recording captures everything that the migration would ever do.
//!
//! When in doubt the answer is no: running natively is slower, never wrong.

use super::recorder::{Ending, Op, Recording};
use crate::model::schema::{Direction, NativeReason};
use crate::model::tenant::Engine;
use crate::model::text::excerpt;
use crate::sql::statement;

/// The verdict on the recordings of one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Judgement {
    Pure,
    Impure {
        reason: NativeReason,
        /// Whether the SQL itself begins or commits transactions.
        raw_transaction_control: bool,
    },
    Irreversible(String),
}

/// Compares two recordings of one migration.
pub(super) fn judge(engine: Engine, direction: Direction, first: &Recording, second: &Recording) -> Judgement {
    let raw_transaction_control = first.statements().iter().any(|sql| statement::controls_transactions(engine, sql));
    let impure = |reason| Judgement::Impure { reason, raw_transaction_control };
    if direction == Direction::Down && first.ops.is_empty() {
        // It failed before it asked anything, so it would fail on every tenant.
        match &first.ending {
            Ending::Failed(why) => return Judgement::Irreversible(why.clone()),
            Ending::Panicked(why) if why.starts_with("not implemented") || why.starts_with("not yet implemented") => {
                return Judgement::Irreversible(why.clone());
            }
            _ => {}
        }
    }
    if first.is_endless || second.is_endless {
        return impure(NativeReason::Endless);
    }
    // A query counts even when its error was swallowed (`has_table(..).unwrap_or(false)`).
    let query = first.ops.iter().find_map(|op| if let Op::Query(sql) = op { Some(sql) } else { None });
    if let Some(sql) = query {
        return impure(NativeReason::Queries(one_line(sql)));
    }
    if raw_transaction_control || first.ops.contains(&Op::Transaction) {
        return impure(NativeReason::OwnTransaction);
    }
    match &first.ending {
        Ending::Done => {}
        Ending::Failed(why) => return impure(NativeReason::Failed(one_line(why))),
        Ending::Panicked(why) => return impure(NativeReason::Panicked(one_line(why))),
    }
    if let Some(kind) = first.ops.iter().find_map(|op| if let Op::Inexact(kind) = op { Some(*kind) } else { None }) {
        return impure(NativeReason::Values(kind.to_owned()));
    }
    if first != second {
        let differing = first.ops.iter().zip(&second.ops).find(|(a, b)| a != b).map(|(a, _)| a);
        let what = match differing {
            Some(Op::Execute(sql) | Op::Query(sql)) => one_line(sql),
            _ => "one of them is longer".to_owned(),
        };
        return impure(NativeReason::Differs(what));
    }
    Judgement::Pure
}

fn one_line(text: &str) -> String {
    excerpt(&text.split_whitespace().collect::<Vec<_>>().join(" "), 120)
}
