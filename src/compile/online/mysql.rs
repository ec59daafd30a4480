//! MySQL and MariaDB: `LOCK=NONE`, with which the server takes the best algorithm that lets others read and write, and
//! refuses the statement before anything happens (1845, 1846) where there is none.
//!
//! An `ALGORITHM` is not named: MySQL takes `LOCK=NONE` with none but the `INPLACE` one, and would then not try `INSTANT`.

use std::collections::BTreeSet;

use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnDef, ColumnOption, ObjectName, ObjectType, Statement,
    TableConstraint,
};
use sqlparser::dialect::MySqlDialect;
use sqlparser::parser::Parser;

use super::Rewritten;
use super::rows::{self, Relations};
use crate::model::engine::Engine;
use crate::sql::first_words;
use crate::sql::lex::{self, Kind};

pub(super) fn rewrite(engine: Engine, statements: &[String], views: &BTreeSet<String>) -> Vec<Rewritten> {
    let mut new = BTreeSet::new();
    let mut one = |sql: &String| {
        let changes_schema =
            first_words(engine, sql).next().is_some_and(|verb| ["create", "alter", "drop"].contains(&&*verb));
        if !changes_schema {
            return rows::of_all_rows(engine, sql, Relations { new: &new, views }).unwrap_or(Rewritten::Same);
        }
        match Parser::parse_sql(&MySqlDialect {}, sql) {
            Err(_) => unread(engine, sql),
            Ok(parsed) => match parsed.as_slice() {
                [Statement::CreateTable(table)] => {
                    new.insert(last(&table.name));
                    Rewritten::Same
                }
                [parsed] => {
                    statement(engine, sql, (parsed, &new)).unwrap_or_else(|why| Rewritten::Kept(why.to_owned()))
                }
                _ => Rewritten::Kept("it holds several statements".to_owned()),
            },
        }
    };
    statements.iter().map(&mut one).collect()
}

/// Only a statement on a table or an index could have another form.
fn unread(engine: Engine, sql: &str) -> Rewritten {
    let words: Vec<String> = first_words(engine, sql).take(3).collect();
    let is_index = words.iter().any(|word| word == "index");
    match is_index || words.starts_with(&["alter".to_owned(), "table".to_owned()]) {
        true => Rewritten::Kept("the parser does not know it".to_owned()),
        false => Rewritten::Same,
    }
}

fn last(name: &ObjectName) -> String {
    let part = name.0.last().and_then(|part| part.as_ident());
    part.map(|ident| ident.value.to_lowercase()).unwrap_or_default()
}

fn statement(
    engine: Engine,
    sql: &str,
    (parsed, new): (&Statement, &BTreeSet<String>),
) -> Result<Rewritten, &'static str> {
    let with = |lock: &str| Ok(Rewritten::Into(vec![appended(engine, sql, lock)]));
    match parsed {
        Statement::AlterTable(AlterTable { name, operations, .. }) if !new.contains(&last(name)) => {
            let is_said = |op: &AlterTableOperation| {
                matches!(op, AlterTableOperation::Lock { .. } | AlterTableOperation::Algorithm { .. })
            };
            if operations.iter().any(is_said) {
                return Ok(Rewritten::Same);
            }
            let mut is_short = true;
            for operation in operations {
                is_short &= has_short_lock(operation)?;
            }
            if is_short { with(", LOCK=NONE") } else { Ok(Rewritten::Same) }
        }
        Statement::CreateIndex(index) if !new.contains(&last(&index.table_name)) && index.alter_options.is_empty() => {
            with(" LOCK=NONE")
        }
        // MariaDB knows no LOCK behind DROP INDEX.
        Statement::Drop { object_type: ObjectType::Index, names, table: Some(table), if_exists, .. }
            if !new.contains(&last(table)) =>
        {
            let [name] = names.as_slice() else { return Err("it drops several indexes") };
            let there = if *if_exists { "IF EXISTS " } else { "" };
            Ok(Rewritten::Into(vec![format!("ALTER TABLE {table} DROP INDEX {there}{name}, LOCK=NONE")]))
        }
        _ => Ok(Rewritten::Same),
    }
}

/// Changes of columns and of the primary key with `LOCK=NONE`: beside a full-text index they are neither instant nor done in place
/// while others write (<https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-limitations.html>).
pub(super) fn refused_beside_full_text(_: Engine, statements: &[String]) -> Vec<(usize, String)> {
    let is_refused = |op: &AlterTableOperation| {
        matches!(
            op,
            AlterTableOperation::AddColumn { .. }
                | AlterTableOperation::DropColumn { .. }
                | AlterTableOperation::AddConstraint { constraint: TableConstraint::PrimaryKey(_), .. }
        )
    };
    let of = |(at, sql): (usize, &String)| {
        let parsed = Parser::parse_sql(&MySqlDialect {}, sql).ok()?;
        let [Statement::AlterTable(AlterTable { name, operations, .. })] = parsed.as_slice() else { return None };
        let has_lock = operations.iter().any(|op| matches!(op, AlterTableOperation::Lock { .. }));
        (has_lock && operations.iter().any(is_refused)).then(|| (at + 1, last(name)))
    };
    statements.iter().enumerate().filter_map(of).collect()
}

/// A text with another one behind its code, before the comments at its end.
fn appended(engine: Engine, sql: &str, text: &str) -> String {
    let code = lex::tokens(engine, sql).filter(|token| !matches!(token.kind, Kind::Space | Kind::Comment));
    let end = code.last().map_or(sql.len(), |token| token.end);
    format!("{}{text}{}", &sql[..end], &sql[end..])
}

/// Whether the servers carry it out while others read and write; false: it is not known to be long, and stays as it is.
fn has_short_lock(operation: &AlterTableOperation) -> Result<bool, &'static str> {
    match operation {
        AlterTableOperation::AddColumn { column_def, .. } => new_column(column_def),
        AlterTableOperation::DropColumn { .. }
        | AlterTableOperation::RenameColumn { .. }
        | AlterTableOperation::DropIndex { .. }
        | AlterTableOperation::DropForeignKey { .. }
        | AlterTableOperation::AlterColumn {
            op: AlterColumnOperation::SetDefault { .. } | AlterColumnOperation::DropDefault,
            ..
        }
        | AlterTableOperation::AddConstraint {
            constraint: TableConstraint::Unique(_) | TableConstraint::Index(_) | TableConstraint::PrimaryKey(_),
            ..
        } => Ok(true),
        AlterTableOperation::AddConstraint { constraint: TableConstraint::ForeignKey(_), .. } => {
            Err("a new foreign key is checked while nobody may write")
        }
        AlterTableOperation::AddConstraint { constraint: TableConstraint::Check(_), .. } => {
            Err("a new check is made by copying the table, while nobody may write")
        }
        AlterTableOperation::AddConstraint { .. } => Err("such an index is built while nobody may write"),
        AlterTableOperation::ModifyColumn { .. } | AlterTableOperation::ChangeColumn { .. } => {
            Err("a change of type may copy the table, while nobody may write")
        }
        AlterTableOperation::DropPrimaryKey { .. } => {
            Err("without a primary key the table is copied, while nobody may write")
        }
        _ => Ok(false),
    }
}

fn new_column(column: &ColumnDef) -> Result<bool, &'static str> {
    for option in &column.options {
        match &option.option {
            ColumnOption::Generated { generation_expr_mode, .. } if generation_expr_mode.is_some_and(is_stored) => {
                return Err("a stored column is computed for all rows, while nobody may write");
            }
            ColumnOption::Check(_) => return Err("a new check is made by copying the table, while nobody may write"),
            ColumnOption::ForeignKey(_) => return Err("a new foreign key is checked while nobody may write"),
            ColumnOption::DialectSpecific(tokens)
                if tokens.iter().any(|token| token.to_string().eq_ignore_ascii_case("AUTO_INCREMENT")) =>
            {
                return Err("rows get their numbers while nobody may write");
            }
            _ => {}
        }
    }
    Ok(true)
}

fn is_stored(mode: sqlparser::ast::GeneratedExpressionMode) -> bool {
    mode == sqlparser::ast::GeneratedExpressionMode::Stored
}
