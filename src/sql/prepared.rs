//! Statements that run others: `SET STATEMENT … FOR`, `PREPARE` and `EXECUTE`, and the variables that hold their texts.
//!
//! It reads words only; a text that is put together at run time is in a variable, and not here.

use super::left::mentions_variable;
use super::lex::Kind;
use super::words::{Words, first_words};
use crate::model::engine::Engine;

/// The statement that MariaDB's `SET STATEMENT … FOR` runs with settings of its own.
pub(crate) fn of_set_statement(engine: Engine, sql: &str) -> Option<&str> {
    if !first_words(engine, sql).take(2).eq(["set", "statement"]) {
        return None;
    }
    let (words, mut depth) = (Words::of(engine, sql), 0_usize);
    for at in 2..words.len() {
        match words.kind(at) {
            Some(Kind::Symbol(b'(')) => depth += 1,
            Some(Kind::Symbol(b')')) => depth = depth.saturating_sub(1),
            _ if depth == 0 && words.is(at, "for") => return Some(&sql[words.start(at) + "for".len()..]),
            _ => {}
        }
    }
    None
}

/// The source of the text that an `EXECUTE` runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Executed {
    Text(String),
    /// A variable of the session, by its name.
    Variable(String),
}

/// The source of the text that the last of these statements runs, if it is an `EXECUTE` and those before it say so.
pub(crate) fn executed(engine: Engine, statements: &[String]) -> Option<Executed> {
    let (sql, before) = statements.split_last()?;
    let words = Words::of(engine, sql);
    if !words.is(0, "execute") {
        return None;
    }
    if words.is(1, "immediate") {
        return source(&words, 2);
    }
    let name = words.name(1)?;
    let (at, found) = before.iter().enumerate().rev().find_map(|(at, sql)| {
        let prepares = prepares(engine, sql).filter(|prepared| prepared.eq_ignore_ascii_case(&name));
        prepares.map(|_| (at, source(&Words::of(engine, sql), 3)))
    })?;
    // It may hold another text since.
    let is_kept = |variable: &str| !before[at + 1..].iter().any(|sql| mentions_variable(sql, &format!("@{variable}")));
    found.filter(|found| !matches!(found, Executed::Variable(variable) if !is_kept(variable)))
}

/// The text or the variable at the end of a statement, from this word on.
fn source(words: &Words<'_>, at: usize) -> Option<Executed> {
    let is_last = |at: usize| at >= words.len() || words.is_symbol(at, b';') || words.is(at, "using");
    if words.is_symbol(at, b'@') && is_last(at + 2) {
        return (words.kind(at + 1) == Some(Kind::Word)).then(|| Executed::Variable(words.word(at + 1)));
    }
    let text = words.as_written(at);
    let quote = ['\'', '"'].into_iter().find(|quote| text.len() > 1 && text.starts_with(*quote))?;
    let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
    (is_last(at + 1) && !inner.contains('\\'))
        .then(|| Executed::Text(inner.replace(&format!("{quote}{quote}"), &quote.to_string())))
}

/// The name of the statement that a `PREPARE … FROM` prepares.
fn prepares(engine: Engine, sql: &str) -> Option<String> {
    let words = Words::beginning(engine, sql, 4);
    if words.is(0, "prepare") && words.is(2, "from") { words.name(1) } else { None }
}

/// The variable of the session that a statement sets, if it sets nothing else.
fn sets(engine: Engine, sql: &str) -> Option<String> {
    let words = Words::of(engine, sql);
    let mut variables = (0..words.len()).filter(|&at| words.is_symbol(at, b'@') && !words.is_symbol(at + 1, b'@'));
    let (at, is_only) = (variables.next()?, variables.next().is_none());
    let is_set = words.is(0, "set") && at == 1 || words.is(0, "select") && words.is_after(at, "into");
    (is_only && is_set && words.kind(at + 1) == Some(Kind::Word)).then(|| words.word(at + 1))
}

/// Whether a statement is a `PREPARE` of a text that is written in it: another session that begins alike has the same of it.
pub(crate) fn prepares_text(engine: Engine, sql: &str) -> bool {
    prepares(engine, sql).is_some() && matches!(source(&Words::of(engine, sql), 3), Some(Executed::Text(_)))
}

/// Whether what this statement (from 0) has set in its session is needed by none from `from` on: it is a prepared statement, or the
/// variable of the text of one, that is prepared or set anew before it is used again.
pub(crate) fn is_spent(engine: Engine, statements: &[String], at: usize, from: usize) -> bool {
    let (sql, rest) = (&statements[at], &statements[from..]);
    if let Some(name) = prepares(engine, sql) {
        let of = |sql: &&String| Words::of(engine, sql).all().contains(&name.to_ascii_lowercase());
        return rest.iter().find(of).is_none_or(|next| prepares(engine, next).is_some());
    }
    let Some(variable) = sets_text(engine, statements, at) else { return false };
    let next = rest.iter().find(|sql| mentions_variable(sql, &format!("@{variable}")));
    next.is_none_or(|next| sets(engine, next).is_some_and(|set| set == variable))
}

/// Whether this statement (from 0) prepares another one, or sets the variable of its text, so that both can be sent again.
pub(crate) fn leads_to_execute(engine: Engine, statements: &[String], at: usize) -> bool {
    prepares(engine, &statements[at]).is_some() || sets_text(engine, statements, at).is_some()
}

/// The variable that a statement (from 0) sets, if any of these prepares or executes the text in it.
fn sets_text(engine: Engine, statements: &[String], at: usize) -> Option<String> {
    let variable = sets(engine, &statements[at])?;
    let wanted = Some(Executed::Variable(variable.clone()));
    let is_text_of = |sql: &String| match prepares(engine, sql) {
        Some(_) => source(&Words::of(engine, sql), 3) == wanted,
        None => executed(engine, std::slice::from_ref(sql)) == wanted,
    };
    statements.iter().any(is_text_of).then_some(variable)
}

/// The procedure that a `CALL` names, and its schema.
pub(crate) fn called(engine: Engine, sql: &str) -> Option<(Option<String>, String)> {
    let words = Words::beginning(engine, sql, 5);
    let (first, is_qualified) = (words.name(1).filter(|_| words.is(0, "call"))?, words.is_symbol(2, b'.'));
    match is_qualified {
        false => Some((None, first)),
        // A third part is a routine of a package.
        true => words.name(3).filter(|_| !words.is_symbol(4, b'.')).map(|name| (Some(first), name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::Engine::Mysql;

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|sql| (*sql).to_owned()).collect()
    }

    #[test]
    fn the_statement_behind_settings_is_found() {
        let inner = |sql| of_set_statement(Mysql, sql).map(str::trim);
        assert_eq!(inner("SET STATEMENT max_statement_time = 10 FOR DROP TABLE a, b"), Some("DROP TABLE a, b"));
        assert_eq!(inner("set /* x */ statement a = (SELECT 1 FOR UPDATE), b = 2 for CALL p()"), Some("CALL p()"));
        assert_eq!(inner("SET @statement = 1"), None);
        assert_eq!(inner("SET STATEMENT a = 1"), None);
    }

    #[test]
    fn the_text_that_is_executed_is_found_where_the_script_has_it() {
        let of = |all: &[&str]| executed(Mysql, &texts(all));
        let text = |text: &str| Some(Executed::Text(text.to_owned()));
        assert_eq!(of(&["EXECUTE IMMEDIATE 'INSERT INTO a VALUES (''x'')'"]), text("INSERT INTO a VALUES ('x')"));
        assert_eq!(of(&["PREPARE s FROM \"DROP TABLE a\"", "EXECUTE S;"]), text("DROP TABLE a"));
        assert_eq!(
            of(&["PREPARE s FROM 'SELECT 1'", "PREPARE s FROM 'SELECT ?'", "EXECUTE s USING @a"]),
            text("SELECT ?")
        );
        let variable = Some(Executed::Variable("q".to_owned()));
        assert_eq!(of(&["SET @Q = 'x'", "PREPARE s FROM @q", "EXECUTE s"]), variable);
        for unknown in [
            &["PREPARE s FROM @q", "SET @q = 'other'", "EXECUTE s"][..],
            &["EXECUTE s"],
            &["EXECUTE IMMEDIATE CONCAT('a', @b)"],
            &["EXECUTE IMMEDIATE 'a\\'b'"],
            &["PREPARE s FROM 'SELECT 1'", "SELECT 1"],
        ] {
            assert_eq!(of(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn what_a_prepared_statement_leaves_in_its_session_is_spent_where_it_is_made_anew() {
        let block = ["SET @q = IF((SELECT 1), 'a', 'b')", "PREPARE s FROM @q", "EXECUTE s", "DEALLOCATE PREPARE s"];
        let two = texts(&[block, block].concat());
        assert!(is_spent(Mysql, &two, 0, 4) && is_spent(Mysql, &two, 1, 4), "the second block makes both anew");
        assert!(!is_spent(Mysql, &two, 0, 5) && !is_spent(Mysql, &two, 1, 6), "it is in the middle of the second");
        let other = texts(&["SET @who = (SELECT 1)", "INSERT INTO a VALUES (1)"]);
        assert!(!is_spent(Mysql, &other, 0, 1), "a trigger may read it");
    }

    #[test]
    fn the_procedure_of_a_call_is_found() {
        let name = |name: &str| name.to_owned();
        assert_eq!(called(Mysql, "CALL p(1)"), Some((None, name("p"))));
        assert_eq!(called(Mysql, "call `d`.`p`"), Some((Some(name("d")), name("p"))));
        assert_eq!((called(Mysql, "CALL d.pack.p()"), called(Mysql, "SELECT 1")), (None, None));
    }
}
