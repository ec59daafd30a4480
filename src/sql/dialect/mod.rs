//! The SQL syntax of each engine: the rules of its lexer, and its engine-specific statements.
//!
//! One file per engine. Nothing here runs SQL.

mod mysql;
mod postgres;
mod sqlite;

use super::body::Body;
use super::foreign_keys::ForeignKeys;
use crate::model::engine::{Engine, EngineMap};

/// The boundaries of quotes, comments and names: the rules of standard SQL, except for the flags set here.
#[derive(Debug)]
pub(crate) struct Lexis {
    /// A backslash escapes in every text literal.
    pub(crate) has_backslash_escapes: bool,
    /// `E'…'` has backslash escapes.
    pub(crate) has_escape_strings: bool,
    /// A server setting may change the meaning of a backslash in a quote.
    pub(crate) is_backslash_unsure: bool,
    /// Names may be quoted in backticks.
    pub(crate) has_backticks: bool,
    /// Names may be quoted in brackets.
    pub(crate) has_brackets: bool,
    /// `$tag$…$tag$` is a quote.
    pub(crate) has_dollar_quotes: bool,
    /// A parameter (`?`, `:name`, `@name`, `$name`) without a value is NULL.
    pub(crate) has_parameters: bool,
    /// `#` starts a comment.
    pub(crate) has_hash_comments: bool,
    /// `--` starts a comment only before a space.
    pub(crate) needs_space_after_dashes: bool,
    /// A carriage return alone ends a line.
    pub(crate) ends_lines_at_cr: bool,
    /// Block comments nest.
    pub(crate) nests_comments: bool,
    /// `/*!…*/` is code.
    pub(crate) has_executable_comments: bool,
    /// Unquoted names are folded to lower case.
    pub(crate) folds_names: bool,
    /// `END` ends a transaction.
    pub(crate) has_end: bool,
    /// `LOCK TABLE` is a lock of the session, as `LOCK TABLES` is.
    pub(crate) locks_for_session: bool,
    /// The first words of statements that act on the server, or may hide one that does or that ends the transaction.
    pub(crate) server_words: &'static [&'static str],
    /// The name of a trigger is one of its table, and `DROP TRIGGER` names both.
    pub(crate) triggers_belong_to_tables: bool,
    /// Whether routines of one name are told apart by their arguments.
    pub(crate) overloads_routines: bool,
    /// Statements that check or mend tables tell their errors in rows, and succeed.
    pub(crate) tells_errors_in_rows: bool,
    /// An engine-specific keyword that begins a statement which ends transactions.
    pub(crate) transaction_word: Option<&'static str>,
}

const STANDARD: Lexis = Lexis {
    has_backslash_escapes: false,
    has_escape_strings: false,
    is_backslash_unsure: false,
    has_backticks: false,
    has_brackets: false,
    has_dollar_quotes: false,
    has_parameters: false,
    has_hash_comments: false,
    needs_space_after_dashes: false,
    ends_lines_at_cr: false,
    nests_comments: false,
    has_executable_comments: false,
    folds_names: false,
    has_end: true,
    locks_for_session: false,
    server_words: &[],
    triggers_belong_to_tables: false,
    overloads_routines: false,
    tells_errors_in_rows: false,
    transaction_word: None,
};

/// The SQL text of an engine.
pub(crate) trait Syntax: Sync {
    /// The rules of its lexer.
    fn lexis(&self) -> &'static Lexis;

    /// The bodies of its triggers and routines, in the state before the first token of a statement.
    fn body(&self) -> Body;

    /// Whether a statement that the engine refuses may have taken partial effect.
    fn may_leave_a_part(&self, sql: &str) -> bool;

    /// Whether a statement can't run in a transaction; `words` are those of it, in lower case, none quoted.
    fn needs_no_transaction(&self, sql: &str, words: &[String]) -> bool;

    /// The part that foreign keys play in a script of these statements, where dropping a table deletes its rows.
    fn foreign_keys(&self, _statements: &[String]) -> ForeignKeys {
        ForeignKeys::Unmentioned
    }

    /// The way out for a statement of these words that no script may contain, because it ends what fleet itself holds.
    fn is_refused(&self, _words: &[String]) -> Option<&'static str> {
        None
    }

    /// The statement that refreshes an engine's own materialized view; `view` is quoted.
    fn refresh_view(&self, _view: &str) -> Option<String> {
        None
    }
}

static SYNTAX: EngineMap<&dyn Syntax> =
    EngineMap { sqlite: &sqlite::Sqlite, postgres: &postgres::Postgres, mysql: &mysql::Mysql };

/// The SQL syntax of an engine.
pub(crate) fn syntax(engine: Engine) -> &'static dyn Syntax {
    SYNTAX[engine]
}

/// Two engines that between them see every form of a comment: only MySQL has `#`, and all others accept `--` without a
/// following space.
pub(super) const ALL_COMMENTS: [Engine; 2] = [Engine::Mysql, Engine::Postgres];
