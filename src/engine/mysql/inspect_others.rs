//! The objects of a MySQL or MariaDB database other than tables: partitions, triggers, routines, views, events,
//! sequences.
//!
//! Definers, creation times and the current values of sequences are left out: they differ between databases created
//! alike; and a time zone of an event that is the server's. So are the starts of events that are those of their creation, and the time of an event that happens once.

use std::collections::BTreeSet;

use crate::engine::inspect::{Gathered, unqualified};
use crate::engine::queries::TextRow;
use crate::model::shape::EVENT_START;
use crate::model::tenant::Engine;
use crate::sql::spaced;

pub(crate) const QUERIES: [&str; 6] = [
    "SELECT 'partition', p.* FROM information_schema.partitions p WHERE p.table_schema = DATABASE() AND p.partition_name IS \
     NOT NULL ORDER BY p.table_name, p.partition_ordinal_position, p.subpartition_ordinal_position",
    "SELECT 'trigger', t.* FROM information_schema.triggers t WHERE t.trigger_schema = DATABASE()",
    "SELECT 'parameter', p.* FROM information_schema.parameters p WHERE p.specific_schema = DATABASE() ORDER BY \
     p.specific_name, p.routine_type, p.ordinal_position",
    "SELECT 'routine', r.* FROM information_schema.routines r WHERE r.routine_schema = DATABASE()",
    "SELECT 'view', v.* FROM information_schema.views v WHERE v.table_schema = DATABASE()",
    "SELECT 'event', e.*, IF(e.time_zone IN ('SYSTEM', @@global.time_zone), NULL, e.time_zone) AS own_zone FROM information_schema.events e WHERE e.event_schema = DATABASE()",
];

/// The privileges on the database, its tables and their columns, as far as this user may see them; `*` stands for the grant
/// option. A database may have been named with escaped wildcards.
pub(crate) const GRANTS: [&str; 3] = [
    "SELECT 'grant', 'database', '', grantee, GROUP_CONCAT(CONCAT(privilege_type, IF(is_grantable = 'YES', '*', '')) ORDER BY \
     privilege_type SEPARATOR ', ') FROM information_schema.schema_privileges WHERE REPLACE(table_schema, CHAR(92), '') = \
     DATABASE() GROUP BY grantee",
    "SELECT 'grant', 'table', table_name, grantee, GROUP_CONCAT(CONCAT(privilege_type, IF(is_grantable = 'YES', '*', '')) ORDER \
     BY privilege_type SEPARATOR ', ') FROM information_schema.table_privileges WHERE table_schema = DATABASE() GROUP BY \
     table_name, grantee",
    "SELECT 'grant', 'column', CONCAT(table_name, '.', column_name), grantee, GROUP_CONCAT(privilege_type ORDER BY \
     privilege_type SEPARATOR ', ') FROM information_schema.column_privileges WHERE table_schema = DATABASE() GROUP BY \
     table_name, column_name, grantee",
];

/// Adds one row of these queries.
pub(crate) fn add(gathered: &mut Gathered, kind: &str, row: &TextRow, database: &str) {
    match kind {
        "partition" => partition(gathered, row),
        "trigger" => {
            let when = words(row, &["action_timing", "event_manipulation"]);
            let definition = format!("{when} {}", body(row, "action_statement"));
            let order = row.must_named("action_order");
            let name = format!("{}.{}", row.must_named("event_object_table"), row.must_named("trigger_name"));
            gathered.add_other("trigger", name, format!("{definition}\norder {order}\n{}", row.must_named("sql_mode")));
        }
        "parameter" => {
            let text = words(
                row,
                &["parameter_mode", "parameter_name", "dtd_identifier", "character_set_name", "collation_name"],
            );
            let kind = row.must_named("routine_type").to_lowercase();
            gathered.add_other(&kind, row.must_named("specific_name"), text);
        }
        "routine" => routine(gathered, row),
        "view" => {
            let text = unqualified(&row.must_named("view_definition"), database);
            let notes = format!(
                "check option {}, security {}",
                row.must_named("check_option"),
                row.must_named("security_type")
            );
            let algorithm = row.named("algorithm").map(|algorithm| format!("\nalgorithm {algorithm}"));
            let text = format!("{text}\n{notes}{}", algorithm.unwrap_or_default());
            gathered.add_other("view", row.must_named("table_name"), text);
        }
        "event" => {
            let every =
                words(row, &["event_type", "interval_value", "interval_field", "status", "on_completion", "own_zone"]);
            let text = format!("{every}\n{}\n{}", body(row, "event_definition"), row.must_named("sql_mode"));
            // An event without a start has the moment of its creation or of its last change.
            let is_given =
                |start: &String| ["created", "last_altered"].iter().all(|when| row.named(when).as_ref() != Some(start));
            let start = row.named("starts").filter(is_given).map(|start| format!("{EVENT_START}{start}\n"));
            let end = row.named("ends").map(|end| format!("ends {end} ")).unwrap_or_default();
            let text = format!("{}{end}{text}\n{}", start.unwrap_or_default(), row.must_named("event_comment"));
            gathered.add_other("event", row.must_named("event_name"), text);
        }
        _ => {}
    }
}

/// A stored body without the white space that means nothing in it.
fn body(row: &TextRow, column: &str) -> String {
    let text = row.must_named(column);
    // The catalog has the texts of a body without their escapes, so it can't be told where one ends.
    if text.contains(['\'', '"', '\\']) { text } else { spaced(Engine::Mysql, &text) }
}

fn words(row: &TextRow, columns: &[&str]) -> String {
    columns.iter().filter_map(|column| row.named(column)).collect::<Vec<_>>().join(" ")
}

fn partition(gathered: &mut Gathered, row: &TextRow) {
    let Some(table) = gathered.table(&row.must_named("table_name")) else { return };
    let columns = [
        "partition_name",
        "partition_method",
        "partition_expression",
        "partition_description",
        "subpartition_name",
        "subpartition_method",
        "subpartition_expression",
        "partition_comment",
    ];
    table.options.push(format!("partition {}", words(row, &columns)));
}

/// Adds a routine; its parameters came before, one row each.
fn routine(gathered: &mut Gathered, row: &TextRow) {
    let (kind, name) = (row.must_named("routine_type").to_lowercase(), row.must_named("routine_name"));
    let mut parameters = Vec::new();
    gathered.others.retain(|other| {
        let is_its = other.kind == kind && other.name == name;
        if is_its {
            parameters.push(other.definition.clone());
        }
        !is_its
    });
    let body = match row.named("routine_definition") {
        Some(_) => body(row, "routine_definition"),
        None => "(its body may not be read by this user)".to_owned(),
    };
    let traits = words(row, &["is_deterministic", "sql_data_access", "security_type", "sql_mode", "routine_comment"]);
    gathered.add_other(&kind, name, format!("({})\n{body}\n{traits}", parameters.join(", ")));
}

/// The queries for the statements that create these views: one row each.
pub(crate) fn view_queries(views: &[String]) -> String {
    views.iter().map(|name| format!("SHOW CREATE VIEW {};\n", Engine::Mysql.quote(name))).collect()
}

pub(crate) fn add_algorithms(gathered: &mut Gathered, views: &[String], rows: &[TextRow]) {
    for (name, row) in views.iter().zip(rows) {
        let text = row.must_named("create view");
        let algorithm = text.split_once("ALGORITHM=").and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default();
        let view = gathered.others.iter_mut().find(|other| other.kind == "view" && other.name == *name);
        view.expect("it was just read").definition.push_str(&format!("\nalgorithm {algorithm}"));
    }
}

/// The queries for the statements that create these tables: one row each.
pub(crate) fn table_queries(tables: &BTreeSet<String>) -> String {
    tables.iter().map(|name| format!("SHOW CREATE TABLE {};\n", Engine::Mysql.quote(name))).collect()
}

/// Adds the parsers of the indexes of full texts.
pub(crate) fn add_parsers(gathered: &mut Gathered, tables: &BTreeSet<String>, rows: &[TextRow]) {
    for (name, row) in tables.iter().zip(rows) {
        let text = row.must_named("create table");
        let lines = text.lines().filter(|line| line.contains("FULLTEXT KEY") && line.contains("WITH PARSER"));
        if let Some(table) = gathered.table(name) {
            table.options.extend(lines.map(|line| line.trim().trim_end_matches(',').to_owned()));
        }
    }
}

/// The queries for MariaDB's sequences: one row each.
pub(crate) fn sequence_queries(sequences: &[String]) -> String {
    let columns = "CONCAT_WS(' ', 'start', start_value, 'increment', increment, 'min', minimum_value, 'max', maximum_value, \
                   'cache', cache_size, IF(cycle_option, 'cycle', ''))";
    sequences.iter().map(|name| format!("SELECT {columns} FROM {};\n", Engine::Mysql.quote(name))).collect()
}

pub(crate) fn add_sequences(gathered: &mut Gathered, sequences: &[String], rows: &[TextRow]) {
    for (name, row) in sequences.iter().zip(rows) {
        gathered.add_other("sequence", name.clone(), row.must(0));
    }
}
