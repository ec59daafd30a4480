//! The fault classes of MySQL and MariaDB error numbers.

use crate::model::fault::FaultClass;

/// Sources: <https://mariadb.com/kb/en/mariadb-error-code-reference/>,
/// <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>.
pub(in crate::engine) fn class(number: u16) -> FaultClass {
    use FaultClass as F;
    match number {
        1205 => F::LockTimeout,
        1213 => F::Deadlock,
        1040 | 1203 | 1226 => F::TooManyConnections,
        1044 | 1142 | 1143 | 1227 | 1370 => F::PermissionDenied,
        1045 | 1130 | 1251 | 1698 | 1820 | 1862 => F::Authentication,
        1049 => F::UnknownDatabase,
        1007 | 1050 | 1060 | 1061 | 1304 | 1359 | 1826 => F::AlreadyExists,
        1054 | 1091 | 1146 | 1305 | 1360 => F::Missing,
        1048 | 1062 | 1216 | 1217 | 1364 | 1406 | 1451 | 1452 | 3819 | 4025 => F::ConstraintViolation,
        1064 | 1065 | 1149 => F::Syntax,
        1290 | 1792 | 1836 => F::ReadOnly,
        1969 | 3024 => F::StatementTimeout,
        1317 => F::Cancelled,
        1021 | 1037 | 1041 | 1114 | 1153 => F::Resources,
        1053 | 1077 | 1079 | 1152 | 1927 | 2006 | 2013 => F::ConnectionLost,
        3159 => F::Tls,
        _ => F::Other,
    }
}
