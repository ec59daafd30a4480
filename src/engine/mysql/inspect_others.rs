//! The objects of a MySQL or MariaDB database other than tables: partitions, triggers, routines, views, events,
//! sequences.
//!
//! Definers, creation times and the current values of sequences are left out: they differ between databases created
//! alike. So are the dates of events, since an event without a date gets that of its creation.

use crate::engine::inspect::{Gathered, unqualified};
use crate::engine::queries::TextRow;
use crate::model::tenant::Engine;

pub(crate) const QUERIES: [&str; 6] = [
    "SELECT 'partition', p.* FROM information_schema.partitions p WHERE p.table_schema = DATABASE() AND p.partition_name IS \
     NOT NULL ORDER BY p.table_name, p.partition_ordinal_position, p.subpartition_ordinal_position",
    "SELECT 'trigger', t.* FROM information_schema.triggers t WHERE t.trigger_schema = DATABASE()",
    "SELECT 'parameter', p.* FROM information_schema.parameters p WHERE p.specific_schema = DATABASE() ORDER BY \
     p.specific_name, p.routine_type, p.ordinal_position",
    "SELECT 'routine', r.* FROM information_schema.routines r WHERE r.routine_schema = DATABASE()",
    "SELECT 'view', v.* FROM information_schema.views v WHERE v.table_schema = DATABASE()",
    "SELECT 'event', e.* FROM information_schema.events e WHERE e.event_schema = DATABASE()",
];

/// Adds one row of these queries.
pub(crate) fn add(gathered: &mut Gathered, kind: &str, row: &TextRow, database: &str) {
    match kind {
        "partition" => partition(gathered, row),
        "trigger" => {
            let definition = words(row, &["action_timing", "event_manipulation", "action_statement"]);
            let order = row.must_named("action_order");
            let name = format!("{}.{}", row.must_named("event_object_table"), row.must_named("trigger_name"));
            gathered.add_other("trigger", name, format!("{definition}\norder {order}\n{}", row.must_named("sql_mode")));
        }
        "parameter" => {
            let text = words(row, &["parameter_mode", "parameter_name", "dtd_identifier"]);
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
            gathered.add_other("view", row.must_named("table_name"), format!("{text}\n{notes}"));
        }
        "event" => {
            let every = words(row, &["event_type", "interval_value", "interval_field", "status", "on_completion"]);
            let text = format!("{every}\n{}\n{}", row.must_named("event_definition"), row.must_named("sql_mode"));
            gathered.add_other(
                "event",
                row.must_named("event_name"),
                format!("{text}\n{}", row.must_named("event_comment")),
            );
        }
        _ => {}
    }
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
    let body = row.named("routine_definition").unwrap_or("(its body may not be read by this user)".to_owned());
    let traits = words(row, &["is_deterministic", "sql_data_access", "security_type", "sql_mode", "routine_comment"]);
    gathered.add_other(&kind, name, format!("({})\n{body}\n{traits}", parameters.join(", ")));
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
