//! Just enough SQL for each engine: words, statements, bodies, and the effect of a statement.
//!
//! The lexer is lossless: a text is cut into parts and never rewritten, but for its white space (`spaced`). Nothing here runs SQL.

mod body;
pub(crate) mod computes;
pub(crate) mod dialect;
pub(crate) mod duplicates;
mod effect;
mod escapes;
pub(crate) mod extension;
pub(crate) mod foreign_keys;
pub(crate) mod guard;
pub(crate) mod left;
pub(crate) mod lex;
pub(crate) mod marks;
mod operator;
pub(crate) mod outside;
pub(crate) mod pragma;
pub(crate) mod prepared;
pub(crate) mod rights;
mod rows;
mod secrets;
pub(crate) mod server_wide;
mod session;
pub(crate) mod settings;
mod signature;
mod spacing;
pub(crate) mod split;
pub(crate) mod statement;
mod touch;
pub(crate) mod transaction;
pub(crate) mod words;

pub(crate) use effect::{DdlEffect, Named, SchemaObject, dropped, effect};
pub(crate) use escapes::escapes_read_only;
pub(crate) use operator::{is_of_rows, operator_statements};
pub(crate) use rows::{dropped_views, worked_on};
pub(crate) use secrets::{masked, without_passwords};
pub(crate) use session::{SessionUse, session_use};
pub(crate) use signature::signature;
pub(crate) use spacing::spaced;
pub(crate) use split::split;
pub(crate) use statement::{
    Directive, can_be_set_again, changes_session, directive, is_multiple, leaves_nothing, may_leave_a_part,
    moves_names, reads_session, tells_errors_in_rows,
};
pub(crate) use touch::{
    How, Made, MadeKind, Touch, made, mentions, mentions_outside_texts, reads_all_columns, touched,
};
pub(crate) use words::{first_words, unquoted};
