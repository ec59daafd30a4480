//! The fault classes of MySQL and MariaDB error numbers.

use crate::engine::errors::Code;
use crate::model::fault::{Fault, FaultClass, bounded};

use FaultClass as F;

/// The class of an error number; one that is not listed is of no class.
pub(in crate::engine) fn class(number: u16) -> FaultClass {
    let listed = CODES.iter().find(|(_, codes)| codes.iter().any(|(listed, _)| *listed == number));
    listed.map_or(F::Other, |(class, _)| *class)
}

/// The listed codes, for the book.
pub(in crate::engine) fn listed() -> impl Iterator<Item = Code> {
    CODES.iter().flat_map(|(class, codes)| {
        codes.iter().map(|(code, name)| Code { code: code.to_string(), name: (*name).to_owned(), class: *class })
    })
}

/// A syntax error quotes the text from where it is on, and what stands behind a statement in its message is fleet's own.
pub(in crate::engine) fn of_statement(message: &str) -> String {
    let quoted = message.find("near '").map(|at| at + "near '".len());
    let is_end = |end: &usize| is_own(&message[end + ";\n".len()..]);
    let end = quoted.and_then(|at| message[at..].match_indices(";\n").map(|(end, _)| at + end).find(is_end));
    match (quoted, end) {
        (Some(at), Some(end)) => match message[at..end].trim() {
            "" => format!("{}at the end of the statement", &message[..at - "near '".len()]),
            own => format!("{}{own}' at the end of the statement", &message[..at]),
        },
        _ => message.to_owned(),
    }
}

/// Whether a text, which the server may have cut short, begins with a statement that fleet puts behind one of a script.
fn is_own(text: &str) -> bool {
    const MARKER: &str = " AS fleet_part;";
    let marker = text.strip_prefix("SELECT ").map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    let cut = |rest: &str| rest.find('\'').map_or(rest.len(), |end| end).min(MARKER.len());
    marker.is_some_and(|rest| rest.starts_with(' ') && cut(rest) > 1 && MARKER.starts_with(&rest[..cut(rest)]))
        || text.starts_with("UPDATE `") && text.contains("`fleet_journal`")
}

/// An account's plugin is missing on the server; a statement of a migration may say so too, and is no login.
pub(in crate::engine) const PLUGIN_IS_NOT_LOADED: u16 = 1524;

/// The remedy for an account with a plugin that the driver or the server does not have.
pub(in crate::engine) const OTHER_PLUGIN: &str = "give the account a password that fleet can send; as an administrator: \
    ALTER USER name@host IDENTIFIED WITH caching_sha2_password BY '...' (MariaDB: IDENTIFIED VIA mysql_native_password \
    USING PASSWORD('...'))";

/// A refused login with its remedy: the numbers of one class have different ones.
pub(in crate::engine) fn login(fault: Fault, number: u16) -> Fault {
    let remedy = match number {
        1045 => {
            "correct the tenant's user or password; a user may come from the hosts of its accounts only: \
             SELECT user, host FROM mysql.user"
        }
        1129 => {
            "as an administrator, when the cause is mended: TRUNCATE performance_schema.host_cache (or FLUSH HOSTS)"
        }
        1130 => {
            "no account may come from this host; as an administrator: CREATE USER name@'this host', or connect from another"
        }
        1251 | PLUGIN_IS_NOT_LOADED => OTHER_PLUGIN,
        1698 => {
            "this account logs in without a password, from the server's own machine only (unix_socket); take another \
             user, or as an administrator: ALTER USER name@host IDENTIFIED BY '...'"
        }
        1820 | 1862 => {
            "log in as this user with the server's own client, type ALTER USER USER() IDENTIFIED BY '...' (MariaDB: SET \
             PASSWORD = PASSWORD('...')), and give fleet the new password"
        }
        3118 | 4151 => "as an administrator: ALTER USER name@host ACCOUNT UNLOCK",
        _ => return fault,
    };
    // The server's own text ends with a full stop, or without.
    Fault { message: bounded(format!("{}; {remedy}", fault.message.trim_end_matches('.'))), ..fault }
}

/// Each class with its numbers and their symbols. Sources: <https://mariadb.com/kb/en/mariadb-error-code-reference/>,
/// <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>.
const CODES: &[(FaultClass, &[(u16, &str)])] = &[
    (F::LockTimeout, &[(1205, "LOCK_WAIT_TIMEOUT"), (3572, "LOCK_NOWAIT")]),
    (F::Deadlock, &[(1213, "LOCK_DEADLOCK"), (1614, "XA_RBDEADLOCK"), (3058, "USER_LOCK_DEADLOCK")]),
    (
        F::Serialization,
        &[
            (1020, "CHECKREAD"),
            (1412, "TABLE_DEF_CHANGED"),
            (3100, "RUN_HOOK_ERROR"),
            (3101, "TRANSACTION_ROLLBACK_DURING_COMMIT"),
        ],
    ),
    (
        F::TooManyConnections,
        &[(1040, "CON_COUNT_ERROR"), (1203, "TOO_MANY_USER_CONNECTIONS"), (1226, "USER_LIMIT_REACHED")],
    ),
    (
        F::ConnectionRefused,
        &[
            (1047, "UNKNOWN_COM_ERROR (a cluster's node that is not ready)"),
            (3032, "SERVER_OFFLINE_MODE"),
            (3168, "SERVER_ISNT_AVAILABLE"),
        ],
    ),
    (
        F::PermissionDenied,
        &[
            (1044, "DBACCESS_DENIED_ERROR"),
            (1142, "TABLEACCESS_DENIED_ERROR"),
            (1143, "COLUMNACCESS_DENIED_ERROR"),
            (1227, "SPECIFIC_ACCESS_DENIED_ERROR"),
            (1370, "PROCACCESS_DENIED_ERROR"),
            (1410, "CANT_CREATE_USER_WITH_GRANT"),
            (1419, "BINLOG_CREATE_ROUTINE_NEED_SUPER"),
        ],
    ),
    (
        F::Authentication,
        &[
            (1045, "ACCESS_DENIED_ERROR"),
            (1129, "HOST_IS_BLOCKED"),
            (1130, "HOST_NOT_PRIVILEGED"),
            (1251, "NOT_SUPPORTED_AUTH_MODE"),
            (1698, "ACCESS_DENIED_NO_PASSWORD_ERROR"),
            (1820, "MUST_CHANGE_PASSWORD"),
            (1862, "MUST_CHANGE_PASSWORD_LOGIN"),
            (3118, "ACCOUNT_HAS_BEEN_LOCKED"),
            (4151, "ACCOUNT_HAS_BEEN_LOCKED (MariaDB)"),
        ],
    ),
    (F::UnknownDatabase, &[(1049, "BAD_DB_ERROR")]),
    (
        F::AlreadyExists,
        &[
            (1007, "DB_CREATE_EXISTS"),
            (1050, "TABLE_EXISTS_ERROR"),
            (1060, "DUP_FIELDNAME"),
            (1061, "DUP_KEYNAME"),
            (1304, "SP_ALREADY_EXISTS"),
            (1359, "TRG_ALREADY_EXISTS"),
            (1396, "CANNOT_USER"),
            (1517, "SAME_NAME_PARTITION"),
            (1537, "EVENT_ALREADY_EXISTS"),
            (1826, "FK_DUP_NAME"),
            (3822, "CHECK_CONSTRAINT_DUP_NAME"),
            (4127, "CONSTRAINT_NAME_EXISTS (MariaDB)"),
        ],
    ),
    (
        F::Missing,
        &[
            (1008, "DB_DROP_EXISTS"),
            (1051, "BAD_TABLE_ERROR"),
            (1054, "BAD_FIELD_ERROR"),
            (1072, "KEY_COLUMN_DOES_NOT_EXITS"),
            (1091, "CANT_DROP_FIELD_OR_KEY"),
            (1109, "UNKNOWN_TABLE"),
            (1115, "UNKNOWN_CHARACTER_SET"),
            (1146, "NO_SUCH_TABLE"),
            (1176, "KEY_DOES_NOT_EXITS"),
            (1193, "UNKNOWN_SYSTEM_VARIABLE"),
            (1273, "UNKNOWN_COLLATION"),
            (1286, "UNKNOWN_STORAGE_ENGINE"),
            (1298, "UNKNOWN_TIME_ZONE"),
            (1305, "SP_DOES_NOT_EXIST"),
            (1356, "VIEW_INVALID"),
            (1360, "TRG_DOES_NOT_EXIST"),
            (1449, "NO_SUCH_USER"),
            (1507, "DROP_PARTITION_NON_EXISTENT"),
            (1539, "EVENT_DOES_NOT_EXIST"),
            (1630, "FUNC_INEXISTENT_NAME_COLLISION"),
            (1824, "FK_CANNOT_OPEN_PARENT"),
            (3821, "CHECK_CONSTRAINT_NOT_FOUND"),
            (3940, "CONSTRAINT_NOT_FOUND"),
        ],
    ),
    (
        F::ConstraintViolation,
        &[
            (1022, "DUP_KEY"),
            (1048, "BAD_NULL_ERROR"),
            (1062, "DUP_ENTRY"),
            (1169, "DUP_UNIQUE"),
            (1216, "NO_REFERENCED_ROW"),
            (1217, "ROW_IS_REFERENCED"),
            (1364, "NO_DEFAULT_FOR_FIELD"),
            (1369, "VIEW_CHECK_FAILED"),
            (1451, "ROW_IS_REFERENCED_2"),
            (1452, "NO_REFERENCED_ROW_2"),
            (1526, "NO_PARTITION_FOR_GIVEN_VALUE"),
            (1557, "FOREIGN_DUPLICATE_KEY_OLD_UNUSED"),
            (1586, "DUP_ENTRY_WITH_KEY_NAME"),
            (1761, "FOREIGN_DUPLICATE_KEY_WITH_CHILD_INFO"),
            (1762, "FOREIGN_DUPLICATE_KEY_WITHOUT_CHILD_INFO"),
            (1859, "DUP_UNKNOWN_IN_INDEX"),
            (3819, "CHECK_CONSTRAINT_VIOLATED"),
            (4025, "CONSTRAINT_FAILED (MariaDB)"),
        ],
    ),
    (
        F::Data,
        &[
            (1138, "INVALID_USE_OF_NULL"),
            (1242, "SUBQUERY_NO_1_ROW"),
            (1264, "WARN_DATA_OUT_OF_RANGE"),
            (1265, "WARN_DATA_TRUNCATED"),
            (1292, "TRUNCATED_WRONG_VALUE"),
            (1300, "INVALID_CHARACTER_STRING"),
            (1365, "DIVISION_BY_ZERO"),
            (1366, "TRUNCATED_WRONG_VALUE_FOR_FIELD"),
            (1367, "ILLEGAL_VALUE_FOR_TYPE"),
            (1406, "DATA_TOO_LONG"),
            (1411, "WRONG_VALUE_FOR_TYPE"),
            (1416, "CANT_CREATE_GEOMETRY_OBJECT"),
            (1441, "DATETIME_FUNCTION_OVERFLOW"),
            (1467, "AUTOINC_READ_FAILED"),
            (1690, "DATA_OUT_OF_RANGE"),
            (3140, "INVALID_JSON_TEXT"),
            (3141, "INVALID_JSON_TEXT_IN_PARAM"),
            (3143, "INVALID_JSON_PATH"),
        ],
    ),
    (
        F::Syntax,
        &[
            (1052, "NON_UNIQ_ERROR"),
            (1055, "WRONG_FIELD_WITH_GROUP"),
            (1064, "PARSE_ERROR"),
            (1065, "EMPTY_QUERY"),
            (1067, "INVALID_DEFAULT"),
            (1068, "MULTIPLE_PRI_KEY"),
            (1069, "TOO_MANY_KEYS"),
            (1070, "TOO_MANY_KEY_PARTS"),
            (1071, "TOO_LONG_KEY"),
            (1074, "TOO_BIG_FIELDLENGTH"),
            (1075, "WRONG_AUTO_KEY"),
            (1089, "WRONG_SUB_KEY"),
            (1090, "CANT_REMOVE_ALL_FIELDS"),
            (1093, "UPDATE_TABLE_USED"),
            (1101, "BLOB_CANT_HAVE_DEFAULT"),
            (1103, "WRONG_TABLE_NAME"),
            (1111, "INVALID_GROUP_FUNC_USE"),
            (1117, "TOO_MANY_FIELDS"),
            (1118, "TOO_BIG_ROWSIZE"),
            (1120, "WRONG_OUTER_JOIN"),
            (1136, "WRONG_VALUE_COUNT_ON_ROW"),
            (1149, "SYNTAX_ERROR"),
            (1166, "WRONG_COLUMN_NAME"),
            (1170, "BLOB_KEY_WITHOUT_LENGTH"),
            (1171, "PRIMARY_CANT_HAVE_NULL"),
            (1215, "CANNOT_ADD_FOREIGN"),
            (1221, "WRONG_USAGE"),
            (1231, "WRONG_VALUE_FOR_VAR"),
            (1235, "NOT_SUPPORTED_YET"),
            (1248, "DERIVED_MUST_HAVE_ALIAS"),
            (1253, "COLLATION_CHARSET_MISMATCH"),
            (1267, "CANT_AGGREGATE_2COLLATIONS"),
            (1294, "INVALID_ON_UPDATE"),
            (1553, "DROP_INDEX_FK"),
            (1822, "FK_NO_INDEX_PARENT"),
            (1828, "FK_COLUMN_CANNOT_DROP"),
            (1832, "FK_COLUMN_CANNOT_CHANGE"),
            (1845, "ALTER_OPERATION_NOT_SUPPORTED"),
            (1846, "ALTER_OPERATION_NOT_SUPPORTED_REASON"),
            (1901, "function not allowed in a generated column (MariaDB)"),
            (3750, "TABLE_WITHOUT_PK"),
            (3780, "FK_INCOMPATIBLE_COLUMNS"),
        ],
    ),
    (
        F::Transaction,
        &[
            (1179, "CANT_DO_THIS_DURING_AN_TRANSACTION"),
            (1192, "LOCK_OR_ACTIVE_TRANSACTION"),
            (1399, "XAER_RMFAIL"),
            (1400, "XAER_OUTSIDE"),
            (1422, "COMMIT_NOT_ALLOWED_IN_SF_OR_TRG"),
            (1568, "CANT_CHANGE_TX_CHARACTERISTICS"),
        ],
    ),
    (F::ReadOnly, &[(1036, "OPEN_AS_READONLY"), (1792, "CANT_EXECUTE_IN_READ_ONLY_TRANSACTION")]),
    (F::ServerReadOnly, &[(1290, "OPTION_PREVENTS_STATEMENT"), (1836, "READ_ONLY_MODE")]),
    (F::StatementTimeout, &[(1969, "STATEMENT_TIMEOUT (MariaDB)"), (3024, "QUERY_TIMEOUT")]),
    (F::Cancelled, &[(1317, "QUERY_INTERRUPTED")]),
    (
        F::Resources,
        &[
            (1021, "DISK_FULL"),
            (1030, "GET_ERRNO"),
            (1037, "OUTOFMEMORY"),
            (1038, "OUT_OF_SORTMEMORY"),
            (1041, "OUT_OF_RESOURCES"),
            (1114, "RECORD_FILE_FULL"),
            (1135, "CANT_CREATE_THREAD"),
            (1153, "NET_PACKET_TOO_LARGE"),
            (1206, "LOCK_TABLE_FULL"),
            (1637, "TOO_MANY_CONCURRENT_TRXS"),
        ],
    ),
    (
        F::NotADatabase,
        &[(1034, "NOT_KEYFILE"), (1194, "CRASHED_ON_USAGE"), (1195, "CRASHED_ON_REPAIR"), (1712, "INDEX_CORRUPT")],
    ),
    (
        F::Foreign,
        &[
            (1296, "GET_ERRMSG"),
            (1429, "CONNECT_TO_FOREIGN_DATA_SOURCE"),
            (1430, "QUERY_ON_FOREIGN_DATA_SOURCE"),
            (1431, "FOREIGN_DATA_SOURCE_DOESNT_EXIST"),
        ],
    ),
    (
        F::ConnectionLost,
        &[
            (1053, "SERVER_SHUTDOWN"),
            (1077, "NORMAL_SHUTDOWN"),
            (1079, "SHUTDOWN_COMPLETE"),
            (1152, "ABORTING_CONNECTION"),
            (1158, "NET_READ_ERROR"),
            (1159, "NET_READ_INTERRUPTED"),
            (1160, "NET_ERROR_ON_WRITE"),
            (1161, "NET_WRITE_INTERRUPTED"),
            (1184, "NEW_ABORTING_CONNECTION"),
            (1927, "CONNECTION_KILLED"),
            (2006, "CR_SERVER_GONE_ERROR"),
            (2013, "CR_SERVER_LOST"),
            (4031, "CLIENT_INTERACTION_TIMEOUT"),
        ],
    ),
    (F::Tls, &[(3159, "SECURE_TRANSPORT_REQUIRED")]),
    (
        F::Other,
        &[
            (1005, "CANT_CREATE_TABLE"),
            (1025, "ERROR_ON_RENAME"),
            (1105, "UNKNOWN_ERROR"),
            (1172, "TOO_MANY_ROWS"),
            (1180, "ERROR_DURING_COMMIT"),
            (1418, "BINLOG_UNSAFE_ROUTINE"),
            (1442, "CANT_UPDATE_USED_TABLE_IN_SF_OR_TRG"),
            (1644, "SIGNAL_EXCEPTION"),
            (1815, "INTERNAL_ERROR"),
            (3098, "BEFORE_DML_VALIDATION_ERROR"),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syntax_error_quotes_no_more_than_the_statement() {
        let behind = ";\nUPDATE `u`.`fleet_journal` SET statement = 2 WHERE id = 1;\nALTER TABLE ...' at line 1";
        let syntax = "You have an error in your SQL syntax; check the manual for the right syntax to use near '";
        let told = of_statement(&format!("{syntax}{behind}"));
        assert!(told.ends_with("to use at the end of the statement"), "{told}");
        let told = of_statement(&format!("{syntax}frm a{behind}"));
        assert!(told.ends_with("to use near 'frm a' at the end of the statement"), "{told}");
        let marker = " INSERT INTO a VALUES (2) */;\nSELECT 25 AS fleet_part;\nUPDATE `u`.`fl' at line 1";
        let told = of_statement(&format!("{syntax}{marker}"));
        assert!(told.ends_with("near 'INSERT INTO a VALUES (2) */' at the end of the statement"), "{told}");
        let own = format!("{syntax}frm a;\nUPDATE b' at line 1");
        assert_eq!(of_statement(&own), own, "a body of a routine has semicolons");
    }

    #[test]
    fn each_number_has_one_class() {
        let mut once: Vec<u16> = CODES.iter().flat_map(|(_, codes)| codes.iter().map(|(code, _)| *code)).collect();
        let all = once.len();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), all);
        let passing = [1020, 1047, 1213, 1290, 1836, 3100, 3101, 4031];
        assert_eq!(passing.map(|number| class(number).is_transient()), [true; 8]);
        assert!(![1036, 1180, 1792].iter().any(|number| class(*number).is_transient()));
        assert_eq!(class(9_999), FaultClass::Other);
    }
}
