//! The fault classes of PostgreSQL's SQLSTATEs.

use std::collections::HashSet;

use sqlx::postgres::{PgDatabaseError, PgErrorPosition, PgSeverity};

use crate::engine::errors::{self, Code};
use crate::model::engine::Engine;
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Script;

/// A server error. The driver's own Display adds a line number of the server's source; only the message is kept.
pub(in crate::engine) fn fault(error: &PgDatabaseError) -> Fault {
    let ends_session = matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic);
    // A migration that raises the code of a lock timeout itself waits for nobody, and would raise it again.
    let is_raised = error.code() == "55P03" && error.routine() == Some("exec_stmt_raise");
    let class = match () {
        () if is_race(error) => FaultClass::Serialization,
        () if is_raised => FaultClass::Other,
        () => class(error.code(), ends_session),
    };
    let detail = error.detail().map(|d| format!(" ({d})")).unwrap_or_default();
    // 25001 has two meanings, and only one routine of the server has the first: a statement can't run in a transaction, or a setting
    // of the transaction comes after its first query.
    let needs_none = matches!(error.routine(), Some("PreventInTransactionBlock" | "PreventTransactionChain"));
    let remedy = match error.code() {
        "25001" if !needs_none => OWN_TRANSACTION,
        "25001" | "2D000" => NO_TRANSACTION,
        "55P04" => NEW_VALUE,
        _ => "",
    };
    Fault::with_code(class, error.code(), format!("{}{detail}{remedy}", error.message()))
}

/// The fault of a commit that the server refused: the constraint or the trigger, and the statements of these scripts that name its table.
pub(in crate::engine) fn at_commit<'a>(
    error: &sqlx::Error,
    fault: Fault,
    scripts: impl Iterator<Item = &'a Script>,
) -> Fault {
    let told = match error {
        sqlx::Error::Database(inner) => inner.try_downcast_ref::<PgDatabaseError>(),
        _ => None,
    };
    let mut fault = errors::at_commit(fault);
    let Some(error) = told.filter(|_| !fault.class.is_transient()) else { return fault };
    if let Some(table) = error.table() {
        let statements: Vec<String> = scripts.flat_map(|script| named(script, table)).collect();
        fault.message.push_str(&match statements.is_empty() {
            true => format!("; no statement names {table}: code changed it, or a key of another table"),
            false => format!("; {table} is named by {}", statements.join(", ")),
        });
    } else if let Some(place) = error.r#where().and_then(|place| place.lines().next()) {
        fault.message.push_str(&format!("; in {place}"));
    }
    fault
}

/// The most statements that a message names.
const MOST_NAMED: usize = 5;

/// The places of the first statements of a script that name a table.
fn named(script: &Script, table: &str) -> Vec<String> {
    let names = |sql: &String| {
        let mut all = HashSet::new();
        crate::sql::mentions(Engine::Postgres, sql, &mut all);
        all.contains(&table.to_lowercase())
    };
    let place = |at: usize| match script.source.as_ref().and_then(|source| Some((&source.file, source.lines.get(at)?)))
    {
        Some((file, line)) => format!("{file}:{line}"),
        None => format!("statement {} of {}", at + 1, script.migration),
    };
    (0..script.statements.len()).filter(|&at| names(&script.statements[at])).take(MOST_NAMED).map(place).collect()
}

/// Whether another session has changed the same row of the catalog at the same time: schemas of one database share
/// extensions, functions and rights. The server names the catalog's own index, or has the code for errors that should
/// not happen (XX000) from the function that updates a row (`src/backend/access/heap/heapam.c`).
fn is_race(error: &PgDatabaseError) -> bool {
    match error.code() {
        "23505" => error.schema() == Some("pg_catalog"),
        "XX000" => matches!(error.routine(), Some("simple_heap_update" | "simple_heap_delete")),
        _ => false,
    }
}

/// The way out for a statement that the server refuses in a transaction.
const NO_TRANSACTION: &str = "; such a statement needs a migration without a transaction: `-- fleet: \
                              transaction=false` at the head of an SQL script, use_transaction() == Some(false) in \
                              Rust; `exec` always has one, `shell` has none";

/// The way out for a setting of a transaction that has begun.
const OWN_TRANSACTION: &str = "; fleet begins the transaction and has read in it: leave that statement out";

/// The way out for a value of an enum that its own transaction can't use yet.
const NEW_VALUE: &str = "; put ALTER TYPE .. ADD VALUE into a script of its own, before this one";

/// The class of a SQLSTATE. An error that does not end the session came over a living connection: a code of a lost one
/// then tells of another connection, which the statement itself had opened (dblink, a foreign table).
pub(in crate::engine) fn class(code: &str, ends_session: bool) -> FaultClass {
    let listed = CODES.iter().find(|(_, codes)| codes.iter().any(|(listed, _)| *listed == code));
    let class = listed.map_or_else(|| of_group(code), |(class, _)| *class);
    match class {
        FaultClass::ConnectionLost if !ends_session => FaultClass::Foreign,
        class => class,
    }
}

/// The class of a code that is not listed: a newer server's, by its first two characters.
fn of_group(code: &str) -> FaultClass {
    use FaultClass as F;
    match code.get(..2).unwrap_or_default() {
        "08" | "57" => F::ConnectionLost,
        "21" | "22" => F::Data,
        "23" => F::ConstraintViolation,
        "25" | "2D" => F::Transaction,
        "42" => F::Syntax,
        "53" | "54" | "58" => F::Resources,
        "HV" => F::Foreign,
        _ => F::Other,
    }
}

/// The listed codes, for the book.
pub(in crate::engine) fn listed() -> impl Iterator<Item = Code> {
    CODES.iter().flat_map(|(class, codes)| {
        codes.iter().map(|(code, name)| Code { code: (*code).to_owned(), name: (*name).to_owned(), class: *class })
    })
}

use FaultClass as F;

/// Each class with its codes and their names: the guards' own, and those of
/// <https://www.postgresql.org/docs/18/errcodes-appendix.html> except for successes and warnings.
const CODES: &[(FaultClass, &[(&str, &str)])] = &[
    (F::TenantLocked, &[("FL001", "fleet: another run holds the tenant")]),
    (F::HistoryMoved, &[("FL002", "fleet: the history changed after it was read")]),
    (
        F::WrongSchema,
        &[
            ("FL003", "fleet: not in the tenant's schema"),
            ("FL007", "fleet: an extension outside of a shared schema"),
            ("FL008", "fleet: code changed what is outside of the tenant's schema"),
            ("FL010", "fleet: a table that hides one of fleet's own"),
        ],
    ),
    (
        F::ConnectionLost,
        &[
            ("08000", "connection_exception"),
            ("08003", "connection_does_not_exist"),
            ("08006", "connection_failure"),
            ("08001", "sqlclient_unable_to_establish_sqlconnection"),
            ("08004", "sqlserver_rejected_establishment_of_sqlconnection"),
            ("08007", "transaction_resolution_unknown"),
            ("08P01", "protocol_violation"),
            ("25P03", "idle_in_transaction_session_timeout"),
            ("57000", "operator_intervention"),
            ("57P01", "admin_shutdown"),
            ("57P02", "crash_shutdown"),
            ("57P04", "database_dropped"),
            ("57P05", "idle_session_timeout"),
        ],
    ),
    (
        F::Syntax,
        &[
            ("0A000", "feature_not_supported"),
            ("42000", "syntax_error_or_access_rule_violation"),
            ("42601", "syntax_error"),
            ("42846", "cannot_coerce"),
            ("42803", "grouping_error"),
            ("42P20", "windowing_error"),
            ("42P19", "invalid_recursion"),
            ("42830", "invalid_foreign_key"),
            ("42602", "invalid_name"),
            ("42622", "name_too_long"),
            ("42939", "reserved_name"),
            ("42804", "datatype_mismatch"),
            ("42P18", "indeterminate_datatype"),
            ("42P21", "collation_mismatch"),
            ("42P22", "indeterminate_collation"),
            ("42809", "wrong_object_type"),
            ("428C9", "generated_always"),
            ("42712", "duplicate_alias"),
            ("42702", "ambiguous_column"),
            ("42725", "ambiguous_function"),
            ("42P08", "ambiguous_parameter"),
            ("42P09", "ambiguous_alias"),
            ("42P10", "invalid_column_reference"),
            ("42611", "invalid_column_definition"),
            ("42P11", "invalid_cursor_definition"),
            ("42P12", "invalid_database_definition"),
            ("42P13", "invalid_function_definition"),
            ("42P14", "invalid_prepared_statement_definition"),
            ("42P15", "invalid_schema_definition"),
            ("42P16", "invalid_table_definition"),
            ("42P17", "invalid_object_definition"),
        ],
    ),
    (
        F::Transaction,
        &[
            ("FL009", "fleet: constraints of one name that are declared differently"),
            ("0B000", "invalid_transaction_initiation"),
            ("25000", "invalid_transaction_state"),
            ("25001", "active_sql_transaction"),
            ("25002", "branch_transaction_already_active"),
            ("25008", "held_cursor_requires_same_isolation_level"),
            ("25003", "inappropriate_access_mode_for_branch_transaction"),
            ("25004", "inappropriate_isolation_level_for_branch_transaction"),
            ("25005", "no_active_sql_transaction_for_branch_transaction"),
            ("25007", "schema_and_data_statement_mixing_not_supported"),
            ("25P01", "no_active_sql_transaction"),
            ("25P02", "in_failed_sql_transaction"),
            ("2D000", "invalid_transaction_termination"),
            ("55P04", "unsafe_new_enum_value_usage"),
            ("3B000", "savepoint_exception"),
            ("3B001", "invalid_savepoint_specification"),
            ("40000", "transaction_rollback"),
        ],
    ),
    (
        F::PermissionDenied,
        &[
            ("0L000", "invalid_grantor"),
            ("0LP01", "invalid_grant_operation"),
            ("2F002", "modifying_sql_data_not_permitted"),
            ("2F003", "prohibited_sql_statement_attempted"),
            ("2F004", "reading_sql_data_not_permitted"),
            ("38001", "containing_sql_not_permitted"),
            ("38002", "modifying_sql_data_not_permitted"),
            ("38003", "prohibited_sql_statement_attempted"),
            ("38004", "reading_sql_data_not_permitted"),
            ("42501", "insufficient_privilege"),
        ],
    ),
    (
        F::Missing,
        &[
            ("0P000", "invalid_role_specification"),
            ("26000", "invalid_sql_statement_name"),
            ("34000", "invalid_cursor_name"),
            ("3F000", "invalid_schema_name"),
            ("42703", "undefined_column"),
            ("42883", "undefined_function"),
            ("42P01", "undefined_table"),
            ("42P02", "undefined_parameter"),
            ("42704", "undefined_object"),
        ],
    ),
    (
        F::Data,
        &[
            ("21000", "cardinality_violation"),
            ("22000", "data_exception"),
            ("2202E", "array_subscript_error"),
            ("22021", "character_not_in_repertoire"),
            ("22008", "datetime_field_overflow"),
            ("22012", "division_by_zero"),
            ("22005", "error_in_assignment"),
            ("2200B", "escape_character_conflict"),
            ("22022", "indicator_overflow"),
            ("22015", "interval_field_overflow"),
            ("2201E", "invalid_argument_for_logarithm"),
            ("22014", "invalid_argument_for_ntile_function"),
            ("22016", "invalid_argument_for_nth_value_function"),
            ("2201F", "invalid_argument_for_power_function"),
            ("2201G", "invalid_argument_for_width_bucket_function"),
            ("22018", "invalid_character_value_for_cast"),
            ("22007", "invalid_datetime_format"),
            ("22019", "invalid_escape_character"),
            ("2200D", "invalid_escape_octet"),
            ("22025", "invalid_escape_sequence"),
            ("22P06", "nonstandard_use_of_escape_character"),
            ("22010", "invalid_indicator_parameter_value"),
            ("22023", "invalid_parameter_value"),
            ("22013", "invalid_preceding_or_following_size"),
            ("2201B", "invalid_regular_expression"),
            ("2201W", "invalid_row_count_in_limit_clause"),
            ("2201X", "invalid_row_count_in_result_offset_clause"),
            ("2202H", "invalid_tablesample_argument"),
            ("2202G", "invalid_tablesample_repeat"),
            ("22009", "invalid_time_zone_displacement_value"),
            ("2200C", "invalid_use_of_escape_character"),
            ("2200G", "most_specific_type_mismatch"),
            ("22004", "null_value_not_allowed"),
            ("22002", "null_value_no_indicator_parameter"),
            ("22003", "numeric_value_out_of_range"),
            ("2200H", "sequence_generator_limit_exceeded"),
            ("22026", "string_data_length_mismatch"),
            ("22001", "string_data_right_truncation"),
            ("22011", "substring_error"),
            ("22027", "trim_error"),
            ("22024", "unterminated_c_string"),
            ("2200F", "zero_length_character_string"),
            ("22P01", "floating_point_exception"),
            ("22P02", "invalid_text_representation"),
            ("22P03", "invalid_binary_representation"),
            ("22P04", "bad_copy_file_format"),
            ("22P05", "untranslatable_character"),
            ("2200L", "not_an_xml_document"),
            ("2200M", "invalid_xml_document"),
            ("2200N", "invalid_xml_content"),
            ("2200S", "invalid_xml_comment"),
            ("2200T", "invalid_xml_processing_instruction"),
            ("22030", "duplicate_json_object_key_value"),
            ("22031", "invalid_argument_for_sql_json_datetime_function"),
            ("22032", "invalid_json_text"),
            ("22033", "invalid_sql_json_subscript"),
            ("22034", "more_than_one_sql_json_item"),
            ("22035", "no_sql_json_item"),
            ("22036", "non_numeric_sql_json_item"),
            ("22037", "non_unique_keys_in_a_json_object"),
            ("22038", "singleton_sql_json_item_required"),
            ("22039", "sql_json_array_not_found"),
            ("2203A", "sql_json_member_not_found"),
            ("2203B", "sql_json_number_not_found"),
            ("2203C", "sql_json_object_not_found"),
            ("2203D", "too_many_json_array_elements"),
            ("2203E", "too_many_json_object_members"),
            ("2203F", "sql_json_scalar_required"),
            ("2203G", "sql_json_item_cannot_be_cast_to_target_type"),
        ],
    ),
    (
        F::ConstraintViolation,
        &[
            ("23000", "integrity_constraint_violation"),
            ("23001", "restrict_violation"),
            ("23502", "not_null_violation"),
            ("23503", "foreign_key_violation"),
            ("23505", "unique_violation"),
            ("23514", "check_violation"),
            ("23P01", "exclusion_violation"),
            ("27000", "triggered_data_change_violation"),
            ("40002", "transaction_integrity_constraint_violation"),
            ("44000", "with_check_option_violation"),
        ],
    ),
    (F::ServerReadOnly, &[("25006", "read_only_sql_transaction")]),
    (F::StatementTimeout, &[("25P04", "transaction_timeout"), ("57014", "query_canceled")]),
    (F::Authentication, &[("28000", "invalid_authorization_specification"), ("28P01", "invalid_password")]),
    (F::UnknownDatabase, &[("3D000", "invalid_catalog_name")]),
    (F::Serialization, &[("40001", "serialization_failure")]),
    (F::Deadlock, &[("40P01", "deadlock_detected")]),
    (
        F::AlreadyExists,
        &[
            ("42701", "duplicate_column"),
            ("42P03", "duplicate_cursor"),
            ("42P04", "duplicate_database"),
            ("42723", "duplicate_function"),
            ("42P05", "duplicate_prepared_statement"),
            ("42P06", "duplicate_schema"),
            ("42P07", "duplicate_table"),
            ("42710", "duplicate_object"),
        ],
    ),
    (
        F::Resources,
        &[
            ("53000", "insufficient_resources"),
            ("53100", "disk_full"),
            ("53200", "out_of_memory"),
            ("53400", "configuration_limit_exceeded"),
            ("54000", "program_limit_exceeded"),
            ("54001", "statement_too_complex"),
            ("54011", "too_many_columns"),
            ("54023", "too_many_arguments"),
            ("58000", "system_error"),
            ("58030", "io_error"),
            ("58P01", "undefined_file"),
            ("58P02", "duplicate_file"),
        ],
    ),
    (F::TooManyConnections, &[("53300", "too_many_connections")]),
    (F::LockTimeout, &[("55P03", "lock_not_available")]),
    (F::ConnectionRefused, &[("57P03", "cannot_connect_now")]),
    (
        F::Foreign,
        &[
            ("HV000", "fdw_error"),
            ("HV005", "fdw_column_name_not_found"),
            ("HV002", "fdw_dynamic_parameter_value_needed"),
            ("HV010", "fdw_function_sequence_error"),
            ("HV021", "fdw_inconsistent_descriptor_information"),
            ("HV024", "fdw_invalid_attribute_value"),
            ("HV007", "fdw_invalid_column_name"),
            ("HV008", "fdw_invalid_column_number"),
            ("HV004", "fdw_invalid_data_type"),
            ("HV006", "fdw_invalid_data_type_descriptors"),
            ("HV091", "fdw_invalid_descriptor_field_identifier"),
            ("HV00B", "fdw_invalid_handle"),
            ("HV00C", "fdw_invalid_option_index"),
            ("HV00D", "fdw_invalid_option_name"),
            ("HV090", "fdw_invalid_string_length_or_buffer_length"),
            ("HV00A", "fdw_invalid_string_format"),
            ("HV009", "fdw_invalid_use_of_null_pointer"),
            ("HV014", "fdw_too_many_handles"),
            ("HV001", "fdw_out_of_memory"),
            ("HV00P", "fdw_no_schemas"),
            ("HV00J", "fdw_option_name_not_found"),
            ("HV00K", "fdw_reply_handle"),
            ("HV00Q", "fdw_schema_not_found"),
            ("HV00R", "fdw_table_not_found"),
            ("HV00L", "fdw_unable_to_create_execution"),
            ("HV00M", "fdw_unable_to_create_reply"),
            ("HV00N", "fdw_unable_to_establish_connection"),
        ],
    ),
    (
        F::Other,
        &[
            ("03000", "sql_statement_not_yet_complete"),
            ("09000", "triggered_action_exception"),
            ("0F000", "locator_exception"),
            ("0F001", "invalid_locator_specification"),
            ("0Z000", "diagnostics_exception"),
            ("0Z002", "stacked_diagnostics_accessed_without_active_handler"),
            ("20000", "case_not_found"),
            ("24000", "invalid_cursor_state"),
            ("2B000", "dependent_privilege_descriptors_still_exist"),
            ("2BP01", "dependent_objects_still_exist"),
            ("2F000", "sql_routine_exception"),
            ("2F005", "function_executed_no_return_statement"),
            ("38000", "external_routine_exception"),
            ("39000", "external_routine_invocation_exception"),
            ("39001", "invalid_sqlstate_returned"),
            ("39004", "null_value_not_allowed"),
            ("39P01", "trigger_protocol_violated"),
            ("39P02", "srf_protocol_violated"),
            ("39P03", "event_trigger_protocol_violated"),
            ("40003", "statement_completion_unknown"),
            ("55000", "object_not_in_prerequisite_state"),
            ("55006", "object_in_use"),
            ("55P02", "cant_change_runtime_param"),
            ("72000", "snapshot_too_old"),
            ("F0000", "config_file_error"),
            ("F0001", "lock_file_exists"),
            ("P0000", "plpgsql_error"),
            ("P0001", "raise_exception"),
            ("P0002", "no_data_found"),
            ("P0003", "too_many_rows"),
            ("P0004", "assert_failure"),
            ("XX000", "internal_error"),
            ("XX001", "data_corrupted"),
            ("XX002", "index_corrupted"),
        ],
    ),
];

/// The position in the message, in characters from 1, that PostgreSQL reports.
pub(in crate::engine) fn character(error: &sqlx::Error) -> Option<usize> {
    let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    match error.position()? {
        PgErrorPosition::Original(character) => Some(character),
        PgErrorPosition::Internal { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_are_classes() {
        assert_eq!(class("55P03", false), FaultClass::LockTimeout);
        assert_eq!(class("23505", false), FaultClass::ConstraintViolation);
        assert_eq!(class("57P01", true), FaultClass::ConnectionLost);
        assert_eq!(class("FL002", false), FaultClass::HistoryMoved);
        assert_eq!(class("", false), FaultClass::Other);
        assert_eq!(class("25099", false), FaultClass::Transaction, "a newer server's");
    }

    /// Only an error that ends the session is a lost connection: else the server has answered, and rolls back.
    #[test]
    fn an_answer_over_a_living_connection_is_no_lost_one() {
        let codes = || CODES.iter().flat_map(|(_, codes)| codes.iter().map(|(code, _)| *code));
        assert!(codes().all(|code| class(code, false) != FaultClass::ConnectionLost));
        for code in ["25001", "25P01", "25P02", "2D000"] {
            assert_eq!(class(code, false), FaultClass::Transaction);
        }
        assert_eq!([class("08001", false), class("08006", false)], [FaultClass::Foreign; 2]);
        assert_eq!(class("25P03", true), FaultClass::ConnectionLost);
        let mut once: Vec<&str> = codes().collect();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), codes().count(), "each code has one class");
    }
}
