//! The marks of variables in a script: quoted texts and names that stand for a tenant's values.

use super::lex::{self, Kind};
use super::words::unquoted;
use crate::model::engine::Engine;
use crate::model::variable::Variable;

/// A statement with `value` for each mark; its second argument says whether a name stands there.
///
/// # Errors
/// The first that `value` returns.
pub(crate) fn with_values<E>(
    engine: Engine,
    sql: &str,
    mut value: impl FnMut(&Variable, bool) -> Result<String, E>,
) -> Result<String, E> {
    let (mut out, mut copied) = (String::with_capacity(sql.len()), 0);
    for token in lex::tokens(engine, sql).filter(|token| token.kind == Kind::Quote) {
        let quote = &sql[token.start..token.end];
        let text = quote.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        let (inside, is_name) = match text {
            Some(text) => (text.to_owned(), false),
            None => (unquoted(quote).unwrap_or_default(), true),
        };
        let Some(variable) = Variable::marked(&inside) else { continue };
        out.push_str(&sql[copied..token.start]);
        out.push_str(&value(&variable, is_name)?);
        copied = token.end;
    }
    out.push_str(&sql[copied..]);
    Ok(out)
}
