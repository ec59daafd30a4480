//! PostgreSQL: constraints that are validated later, and indexes that are built beside the writers.
//!
//! Texts are read by squawk's parser. Each form ends with the same schema as the statement that it stands for.

use std::collections::BTreeSet;
use std::ops::Range;

use sha2::{Digest as _, Sha256};
use squawk_syntax::SourceFile;
use squawk_syntax::ast::{self, AlterColumnOption, AlterTableAction, AstNode, Constraint, ConstraintOption, Stmt};

use super::Rewritten;
use super::rows::{self, Relations};
use crate::compile::folder::batches;
use crate::model::engine::Engine;
use crate::model::text::hex;
use crate::sql::{Directive, directive, split};

pub(super) fn rewrite(engine: Engine, statements: &[String], views: &BTreeSet<String>) -> Vec<Rewritten> {
    let mut new = BTreeSet::new();
    let mut all = Vec::with_capacity(statements.len());
    for sql in statements {
        let parse = SourceFile::parse(sql);
        if !parse.errors().is_empty() {
            all.push(Rewritten::Kept("the parser does not know it".to_owned()));
            continue;
        }
        let parsed: Vec<Stmt> = parse.tree().stmts().collect();
        new.extend(parsed.iter().filter_map(created_table));
        let of_rows = |text: &str| rows::of_all_rows(engine, text, Relations { new: &new, views });
        all.push(match parsed.as_slice() {
            [Stmt::Update(_) | Stmt::Delete(_)] => of_rows(sql).unwrap_or(Rewritten::Same),
            [one] => statement(sql, one, &new).unwrap_or_else(|why| Rewritten::Kept(why.to_owned())),
            several if several.iter().any(|one| statement(sql, one, &new) != Ok(Rewritten::Same)) => {
                Rewritten::Kept("it holds several statements".to_owned())
            }
            [_, ..] if split(engine, sql).iter().any(|piece| of_rows(piece.text).is_some()) => {
                Rewritten::Kept("it holds several statements".to_owned())
            }
            _ => Rewritten::Same,
        });
    }
    all
}

type Outcome = Result<Rewritten, &'static str>;

fn statement(sql: &str, parsed: &Stmt, new: &BTreeSet<String>) -> Outcome {
    match parsed {
        Stmt::AlterTable(alter) => alter_table(sql, alter, new),
        Stmt::CreateIndex(index) => create_index(sql, index, new),
        Stmt::DropIndex(index) => drop_index(sql, index),
        Stmt::Do(_) => Err("the code of a DO block is not read"),
        Stmt::Cluster(_) => Err("CLUSTER rewrites its table"),
        Stmt::Reindex(reindex) if reindex.reindex_target().is_none_or(|of| of.concurrently_token().is_none()) => {
            Err("REINDEX; write REINDEX .. CONCURRENTLY in a migration without a transaction")
        }
        _ => Ok(Rewritten::Same),
    }
}

/// A table that the statement makes, as PostgreSQL folds its name: nobody else uses it yet, and its locks hold up nobody.
fn created_table(parsed: &Stmt) -> Option<String> {
    let name = match parsed {
        Stmt::CreateTable(table) => table.table_name()?,
        Stmt::CreateTableAs(table) => table.table_name()?,
        _ => return None,
    };
    Some(name.path()?.segment()?.text())
}

fn is_new(table: &ast::TableRelationName, new: &BTreeSet<String>) -> bool {
    let segment = table.table_name_ref().and_then(|name| name.path_ref()).and_then(|path| path.segment());
    segment.is_some_and(|segment| new.contains(&segment.text()))
}

/// The text of a node, without the space and the comments around it.
fn text_of(node: &squawk_syntax::SyntaxNode) -> String {
    let range = code_of(node);
    let begin = usize::from(node.text_range().start());
    node.text().to_string()[range.start - begin..range.end - begin].to_owned()
}

/// The place of a node in the statement, without the space and the comments around it.
fn code_of(node: &squawk_syntax::SyntaxNode) -> Range<usize> {
    let tokens = || node.descendants_with_tokens().filter_map(|part| part.into_token());
    let mut code = tokens().filter(|token| !token.kind().is_trivia());
    let first = code.next();
    let last = code.last().or_else(|| first.clone());
    let all = node.text_range();
    let begin = first.map_or(all.start(), |token| token.text_range().start());
    let end = last.map_or(all.end(), |token| token.text_range().end());
    begin.into()..end.into()
}

/// A text with other texts in the place of some of its ranges.
fn edited(sql: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    let mut out = sql.to_owned();
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    for (range, text) in edits {
        out.replace_range(range, &text);
    }
    out
}

fn create_index(sql: &str, index: &ast::CreateIndex, new: &BTreeSet<String>) -> Outcome {
    let table = index.table_relation_name().ok_or("its table is not clear")?;
    if index.concurrently_token().is_some() || is_new(&table, new) {
        return Ok(Rewritten::Same);
    }
    if table.only_token().is_some() {
        return Err("an index on ONLY a partitioned table can't be built CONCURRENTLY");
    }
    index.index().ok_or("the index has no name, by which a next run would know it")?;
    let word = index.index_token().ok_or("its form is not known")?.text_range().end().into();
    Ok(Rewritten::Into(vec![edited(sql, vec![(word..word, " CONCURRENTLY".to_owned())])]))
}

fn drop_index(sql: &str, index: &ast::DropIndex) -> Outcome {
    if index.concurrently_token().is_some() {
        return Ok(Rewritten::Same);
    }
    if matches!(index.drop_behavior(), Some(ast::DropBehavior::Cascade(_))) {
        return Err("DROP INDEX CONCURRENTLY has no CASCADE");
    }
    let word: usize = index.index_token().ok_or("its form is not known")?.text_range().end().into();
    let refs: Vec<Range<usize>> = index.index_refs().map(|index| code_of(index.syntax())).collect();
    let (Some(first), Some(last)) = (refs.first(), refs.last()) else { return Err("its form is not known") };
    // Each has a statement of its own: CONCURRENTLY takes one name.
    let one = |name: &Range<usize>| {
        let edits =
            vec![(word..word, " CONCURRENTLY".to_owned()), (first.start..last.end, sql[name.clone()].to_owned())];
        edited(sql, edits)
    };
    Ok(Rewritten::Into(refs.iter().map(one).collect()))
}

/// An `ALTER TABLE` with what goes before it and comes behind it.
#[derive(Default)]
struct Alter {
    /// Statements before: what it needs ready, so that its own lock is short.
    before: Vec<String>,
    edits: Vec<(Range<usize>, String)>,
    /// Statements behind: the long part, under a lock that lets others read and write.
    after: Vec<String>,
    /// The columns of which it has to be known that no row has NULL in them.
    not_null: Vec<String>,
}

fn alter_table(sql: &str, alter: &ast::AlterTable, new: &BTreeSet<String>) -> Outcome {
    let Some(table) = alter.table_relation_name() else { return Ok(Rewritten::Same) };
    if is_new(&table, new) {
        return Ok(Rewritten::Same);
    }
    let relation = text_of(table.syntax());
    let mut out = Alter::default();
    for action in alter.actions() {
        out.add(&action, &relation)?;
    }
    if !out.not_null.is_empty() {
        let is_set = |column: &String| format!("{column} IS NOT NULL");
        let check = out.not_null.iter().map(is_set).collect::<Vec<_>>().join(" AND ");
        let name = not_null_name(&relation, &check);
        let alter = |action: String| format!("ALTER TABLE {relation} {action}");
        let checked = [
            alter(format!("ADD CONSTRAINT {name} CHECK ({check}) NOT VALID")),
            alter(format!("VALIDATE CONSTRAINT {name}")),
        ];
        out.before.splice(0..0, checked);
        out.after.push(alter(format!("DROP CONSTRAINT {name}")));
    }
    if out.before.is_empty() && out.after.is_empty() {
        return Ok(Rewritten::Same);
    }
    if alter.if_exists().is_some() {
        return Err("IF EXISTS: the statements that it would become need the table");
    }
    if !out.before.is_empty() && alter.actions().any(|action| changes_columns(&action)) {
        return Err("what it needs ready before it depends on another change of the same statement; part the two");
    }
    let mut all = out.before;
    all.push(edited(sql, out.edits));
    all.extend(out.after);
    Ok(Rewritten::Into(all))
}

/// The same each time, so that the script is.
fn not_null_name(relation: &str, check: &str) -> String {
    let hash = Sha256::digest(format!("{relation}\n{check}"));
    format!("fleet_not_null_{}", hex(&hash[..6]))
}

/// Whether an action makes, drops, renames or retypes columns or keys, on which a statement before it could not build.
fn changes_columns(action: &AlterTableAction) -> bool {
    match action {
        AlterTableAction::AlterColumn(column) => !matches!(
            column.option(),
            Some(
                AlterColumnOption::SetNotNull(_) | AlterColumnOption::SetDefault(_) | AlterColumnOption::DropDefault(_)
            )
        ),
        AlterTableAction::AddConstraint(_) | AlterTableAction::ValidateConstraint(_) => false,
        _ => true,
    }
}

impl Alter {
    fn add(&mut self, action: &AlterTableAction, relation: &str) -> Result<(), &'static str> {
        match action {
            AlterTableAction::AddConstraint(add) => match add.constraint().ok_or("its constraint is not clear")? {
                of @ (Constraint::ForeignKeyConstraint(_) | Constraint::CheckConstraint(_)) => {
                    self.validate_later(&of, relation)
                }
                Constraint::UniqueConstraint(unique) if unique.using_index().is_none() => {
                    let word = unique.unique_token().ok_or("its form is not known")?;
                    let of = (unique.constraint_name_clause(), unique.index_parameters());
                    self.index_before((word.text_range().start().into(), "UNIQUE"), of, relation).map(drop)
                }
                Constraint::PrimaryKeyConstraint(key) if key.using_index().is_none() => {
                    let word = key.primary_token().ok_or("its form is not known")?;
                    let of = (key.constraint_name_clause(), key.index_parameters());
                    let columns = self.index_before((word.text_range().start().into(), "PRIMARY KEY"), of, relation)?;
                    self.not_null.extend(columns);
                    Ok(())
                }
                Constraint::ExcludeConstraint(_) => Err("an EXCLUDE constraint has no form with a short lock"),
                Constraint::NotNullConstraint(_) => Err("write SET NOT NULL, which has a form with a short lock"),
                _ => Ok(()),
            },
            AlterTableAction::AlterColumn(alter) => match alter.option() {
                Some(AlterColumnOption::SetNotNull(_)) => {
                    let column = alter.column_name_ref().ok_or("its column is not clear")?;
                    self.not_null.push(text_of(column.syntax()));
                    Ok(())
                }
                Some(AlterColumnOption::SetType(_)) => Err("a change of type may rewrite the table under its lock"),
                _ => Ok(()),
            },
            AlterTableAction::AddColumn(add) => match add.constraints().find(is_checked_at_once) {
                Some(_) => Err("a constraint within ADD COLUMN is checked at once; add it in a statement of its own"),
                None => Ok(()),
            },
            AlterTableAction::AttachPartition(_) => Err("ATTACH PARTITION reads the partition under its lock"),
            AlterTableAction::SetLogged(_)
            | AlterTableAction::SetUnlogged(_)
            | AlterTableAction::SetTablespace(_)
            | AlterTableAction::SetAccessMethod(_) => Err("it rewrites the table under its lock"),
            _ => Ok(()),
        }
    }

    /// `NOT VALID`, and the check of the rows behind it, under a lock that stops no reader and no writer.
    fn validate_later(&mut self, constraint: &Constraint, relation: &str) -> Result<(), &'static str> {
        let is_unchecked =
            |of: ConstraintOption| matches!(of, ConstraintOption::NotValid(_) | ConstraintOption::NotEnforced(_));
        if constraint.constraint_options().any(is_unchecked) {
            return Ok(());
        }
        let name = constraint.constraint_name().ok_or("the constraint has no name to be validated by")?;
        let end = code_of(constraint.syntax()).end;
        self.edits.push((end..end, " NOT VALID".to_owned()));
        self.after.push(format!("ALTER TABLE {relation} VALIDATE CONSTRAINT {}", text_of(name.syntax())));
        Ok(())
    }

    /// A unique index that is built before, and that the constraint takes over. Returns the columns of its key.
    fn index_before(
        &mut self,
        (begin, kind): (usize, &str),
        (name, parameters): (Option<ast::ConstraintNameClause>, Option<ast::IndexParameters>),
        relation: &str,
    ) -> Result<Vec<String>, &'static str> {
        let name = name.and_then(|name| name.constraint_name()).ok_or("the constraint has no name for its index")?;
        let name = text_of(name.syntax());
        let parameters = parameters.ok_or("its columns are not clear")?;
        let columns = parameters.column_list().ok_or("its columns are not clear")?;
        if columns.without_overlaps().is_some() || parameters.constraint_index_tablespace().is_some() {
            return Err("no index that is built before has WITHOUT OVERLAPS or a tablespace of the constraint");
        }
        let parts = [
            Some(columns.syntax().clone()),
            parameters.constraint_include_clause().map(|of| of.syntax().clone()),
            parameters.nulls_distinct_option().map(|of| of.syntax().clone()),
            parameters.with_params().map(|of| of.syntax().clone()),
        ];
        let parts: Vec<String> = parts.iter().flatten().map(text_of).collect();
        self.before.push(format!("CREATE UNIQUE INDEX CONCURRENTLY {name} ON {relation} {}", parts.join(" ")));
        let end = code_of(parameters.syntax()).end;
        self.edits.push((begin..end, format!("{kind} USING INDEX {name}")));
        Ok(columns.column_name_refs().map(|column| text_of(column.syntax())).collect())
    }
}

/// Whether a constraint of a new column makes an index, or reads or writes all rows.
fn is_checked_at_once(of: &Constraint) -> bool {
    matches!(
        of,
        Constraint::CheckConstraint(_)
            | Constraint::GeneratedConstraint(_)
            | Constraint::PrimaryKeyConstraint(_)
            | Constraint::UniqueConstraint(_)
    )
}

/// The statements that are repeated, by number from 1, each with its table as the text names it.
pub(super) fn in_batches(engine: Engine, statements: &[String]) -> Vec<(usize, String)> {
    let is_batch = |sql: &String| directive(sql) == Some(Directive::Batch);
    let table = |(at, sql): (usize, &String)| Some((at + 1, batches::table_of(engine, sql)?));
    statements.iter().enumerate().filter(|(_, sql)| is_batch(sql)).filter_map(table).collect()
}
