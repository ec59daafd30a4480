//! Distinguishes MySQL from MariaDB, in this one place: by the version string of a server or program.

use sqlx::mysql::MySqlSslMode;

use crate::engine::dialect::Product;
use crate::engine::health::number;
use crate::engine::queries::{Queries, TextRow};
pub(in crate::engine) use crate::model::engine::Flavour;
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::Tenant;

/// The question which product a server is. Each product runs the comment that is for it, as it would in a script.
const ASK: &str = "SELECT VERSION(), 0 /*M! + 1 */, 0 /*!50701 + 1 */";

/// Finds out which part of a script the tenant is sent, over a connection to its server. A tenant that was taken for the
/// other product before is refused, and so is one whose server is neither for certain.
///
/// # Errors
/// A [`Fault`]; nothing was sent but the question.
pub(in crate::engine) async fn learn(tenant: &Tenant, connection: &mut dyn Queries) -> Result<(), Fault> {
    if !tenant.engine.capabilities().flavours {
        return Ok(());
    }
    let rows = connection.rows(ASK.to_owned()).await?;
    let found = rows.first().map(answered).unwrap_or_else(|| Err(String::new()));
    let unknown = |version: String| {
        let text = format!(
            "the server says neither that it is MySQL nor that it is MariaDB (version {version:?}), and a script has a part \
             for each; nothing was touched. Give it one part for both: leave one of the two files out"
        );
        Fault::new(FaultClass::BadAddress, text)
    };
    let found = found.map_err(unknown)?;
    let known = *tenant.flavour.get_or_init(|| found);
    if known == found {
        return Ok(());
    }
    let (is, was) = (found.product().name, known.product().name);
    Err(Fault::new(
        FaultClass::BadAddress,
        format!("the server is {is}, and was {was} when this command began; nothing was touched: start it again"),
    ))
}

/// The flavour by the answer to [`ASK`]; the server's version where that says nothing certain.
fn answered(row: &TextRow) -> Result<Flavour, String> {
    let version = row.text(0).unwrap_or_default();
    let ran = |column: usize| row.text(column).as_deref() == Some("1");
    Flavour::certain(&version, ran(1), ran(2)).ok_or(version)
}

impl Flavour {
    /// The flavour of a server of this version that ran MariaDB's comments, or those of MySQL 5.7 and later; `None`: its
    /// words and its ways do not fit each other.
    fn certain(version: &str, runs_mariadb: bool, runs_mysql: bool) -> Option<Self> {
        let by_ways = match (runs_mariadb, runs_mysql) {
            (true, false) => Flavour::MariaDb,
            (false, true) => Flavour::MySql,
            _ => return None,
        };
        (Flavour::of(version) == by_ways).then_some(by_ways)
    }

    /// The flavour of a version string, as a server (`SELECT VERSION()`) or a client program (`--version`) prints it.
    pub(in crate::engine) fn of(version: &str) -> Self {
        if version.contains("MariaDB") { Flavour::MariaDb } else { Flavour::MySql }
    }

    pub(in crate::engine) fn product(self) -> Product {
        match self {
            Flavour::MariaDb => {
                Product { name: "MariaDB", oldest: (10, 5), dump: Some("mariadb-dump"), own_dump: false }
            }
            Flavour::MySql => Product { name: "MySQL", oldest: (8, 0), dump: Some("mysqldump"), own_dump: true },
        }
    }

    /// Options that this product's dump program needs in addition to the common ones, for a server of this version.
    pub(in crate::engine) fn dump_options(self, server: &str) -> &'static [&'static str] {
        match self {
            // Under `LOCK TABLES` a default that takes from a sequence fails: the sequence is not locked with the table.
            // Only servers from 10.11 on load the former rows of a system-versioned table; older programs warn.
            Flavour::MariaDb if number(server) >= (10, 11) => &["--skip-add-locks", "--loose-dump-history"],
            Flavour::MariaDb => &["--skip-add-locks"],
            Flavour::MySql => &["--set-gtid-purged=OFF", "--column-statistics=0"],
        }
    }

    /// Whether a program of this flavour makes and loads the dumps of a server of that one: what MariaDB's dump writes of
    /// MySQL's generated columns and vectors can't be loaded again.
    pub(in crate::engine) fn dumps(self, server: Flavour) -> bool {
        self == server || !server.product().own_dump
    }

    /// Whether a role can be the definer of a view or a routine.
    pub(in crate::engine) fn has_defining_roles(self) -> bool {
        self == Flavour::MariaDb
    }

    /// The catalog has the text NULL as the default of a column without one.
    pub(in crate::engine) fn writes_null_defaults(self) -> bool {
        self == Flavour::MariaDb
    }

    /// The body of a trigger or an event that is one statement is stored with the semicolon behind it, when another
    /// statement follows in the same message (seen on MySQL 9.7; MariaDB 10.11 leaves it out).
    pub(in crate::engine) fn stores_end(self) -> bool {
        self == Flavour::MySql
    }

    /// The text of an expression in `information_schema`. MySQL escapes it once more, and puts the character set before
    /// each string.
    pub(in crate::engine) fn expression(self, text: String) -> String {
        if self == Flavour::MariaDb {
            return text;
        }
        let (mut plain, mut chars) = (String::with_capacity(text.len()), text.chars().peekable());
        while let Some(c) = chars.next() {
            let escaped = (c == '\\').then(|| chars.next_if(|next| matches!(next, '\'' | '\\'))).flatten();
            plain.push(escaped.unwrap_or(c));
        }
        plain.replace("_utf8mb4'", "'")
    }

    /// The query for the sessions that wait for row locks, and for the holders of these.
    ///
    /// Sources: <https://mariadb.com/kb/en/information-schema-innodb_lock_waits-table/>,
    /// <https://dev.mysql.com/doc/refman/9.7/en/performance-schema-data-lock-waits-table.html>.
    pub(in crate::engine) fn row_waits(self) -> &'static str {
        match self {
            Flavour::MariaDb => {
                "SELECT r.trx_mysql_thread_id, b.trx_mysql_thread_id FROM information_schema.innodb_lock_waits w JOIN \
                 information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id JOIN \
                 information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id"
            }
            Flavour::MySql => {
                "SELECT DISTINCT CAST(r.processlist_id AS SIGNED), CAST(b.processlist_id AS SIGNED) FROM \
                 performance_schema.data_lock_waits w JOIN performance_schema.threads r ON r.thread_id = \
                 w.requesting_thread_id JOIN performance_schema.threads b ON b.thread_id = w.blocking_thread_id"
            }
        }
    }

    /// The query for the metadata locks that sessions hold on tables of these databases: session, database, table, mode.
    ///
    /// Sources: <https://mariadb.com/kb/en/metadata-lock-info-plugin/>,
    /// <https://dev.mysql.com/doc/refman/9.7/en/performance-schema-metadata-locks-table.html>.
    pub(in crate::engine) fn table_locks(self, databases: &str) -> String {
        match self {
            Flavour::MariaDb => format!(
                "SELECT thread_id, table_schema, table_name, lock_mode FROM information_schema.metadata_lock_info WHERE \
                 lock_type = 'Table metadata lock' AND table_schema IN ({databases})"
            ),
            Flavour::MySql => format!(
                "SELECT CAST(t.processlist_id AS SIGNED), m.object_schema, m.object_name, m.lock_type FROM \
                 performance_schema.metadata_locks m JOIN performance_schema.threads t ON t.thread_id = m.owner_thread_id \
                 WHERE m.object_type = 'TABLE' AND m.lock_status = 'GRANTED' AND m.lock_duration <> 'STATEMENT' AND \
                 m.object_schema IN ({databases})"
            ),
        }
    }

    /// The query for the metadata locks that other sessions hold on tables of the current database: session, user, age in
    /// seconds, table, mode.
    pub(in crate::engine) fn locks_here(self) -> &'static str {
        match self {
            Flavour::MariaDb => {
                "SELECT CAST(m.thread_id AS CHAR), p.user, CAST(COALESCE(TIMESTAMPDIFF(SECOND, t.trx_started, NOW()), p.time) AS \
                 CHAR), m.table_name, m.lock_mode FROM information_schema.metadata_lock_info m JOIN \
                 information_schema.processlist p ON p.id = m.thread_id LEFT JOIN information_schema.innodb_trx t ON \
                 t.trx_mysql_thread_id = p.id WHERE m.lock_type = 'Table metadata lock' AND m.table_schema = DATABASE() AND \
                 m.thread_id <> CONNECTION_ID() ORDER BY t.trx_started, m.table_name LIMIT 10"
            }
            Flavour::MySql => {
                "SELECT CAST(p.processlist_id AS CHAR), p.processlist_user, CAST(COALESCE(TIMESTAMPDIFF(SECOND, t.trx_started, \
                 NOW()), p.processlist_time) AS CHAR), m.object_name, m.lock_type FROM performance_schema.metadata_locks m JOIN \
                 performance_schema.threads p ON p.thread_id = m.owner_thread_id LEFT JOIN information_schema.innodb_trx t ON \
                 t.trx_mysql_thread_id = p.processlist_id WHERE m.object_type = 'TABLE' AND m.lock_status = 'GRANTED' AND \
                 m.lock_duration <> 'STATEMENT' AND m.object_schema = DATABASE() AND p.processlist_id <> CONNECTION_ID() ORDER \
                 BY t.trx_started, m.object_name LIMIT 10"
            }
        }
    }

    /// The query for the bytes written to the binary log since the server was started, the column with them, and the right that it
    /// takes.
    ///
    /// Sources: <https://mariadb.com/kb/en/replication-and-binary-log-status-variables/#binlog_bytes_written>,
    /// <https://dev.mysql.com/doc/refman/9.7/en/performance-schema-file-summary-tables.html>.
    pub(in crate::engine) fn log_written(self) -> (&'static str, usize, &'static str) {
        match self {
            Flavour::MariaDb => ("SHOW GLOBAL STATUS LIKE 'Binlog_bytes_written'", 1, "SHOW GLOBAL STATUS"),
            Flavour::MySql => (
                "SELECT CAST(SUM(sum_number_of_bytes_write) AS CHAR) FROM \
                 performance_schema.file_summary_by_event_name WHERE event_name = 'wait/io/file/sql/binlog'",
                0,
                "GRANT SELECT ON performance_schema.*",
            ),
        }
    }

    /// The means by which a server tells who holds a lock on a table.
    pub(in crate::engine) fn tells_holders(self) -> &'static str {
        match self {
            Flavour::MariaDb => "INSTALL SONAME 'metadata_lock_info'",
            Flavour::MySql => "performance_schema = ON, and the right to read it: GRANT SELECT ON performance_schema.*",
        }
    }

    /// The privileges with which a user writes though `read_only` is on, in a release.
    ///
    /// Sources: <https://mariadb.com/kb/en/grant/#read_only-admin> (a part of `SUPER` up to 10.10),
    /// <https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_read_only>.
    pub(in crate::engine) fn writes_when_read_only(self, release: (u32, u32)) -> &'static [&'static str] {
        match self {
            Flavour::MariaDb if release < (10, 11) => &["SUPER", "READ_ONLY ADMIN", "READ ONLY ADMIN"],
            Flavour::MariaDb => &["READ_ONLY ADMIN", "READ ONLY ADMIN"],
            Flavour::MySql => &["SUPER", "CONNECTION_ADMIN"],
        }
    }

    /// The privileges with which a user makes triggers and functions where a binary log is written.
    ///
    /// Sources: <https://mariadb.com/kb/en/binary-logging-of-stored-routines/>,
    /// <https://dev.mysql.com/doc/refman/9.7/en/stored-programs-logging.html>.
    pub(in crate::engine) fn makes_logged_functions(self) -> &'static [&'static str] {
        match self {
            Flavour::MariaDb => &["SUPER", "BINLOG ADMIN"],
            Flavour::MySql => &["SUPER"],
        }
    }

    /// `SUPER` includes the privilege to make objects of others. From 11.0 on MariaDB no longer counts it in.
    pub(in crate::engine) fn super_defines(self, version: &str) -> bool {
        self != Flavour::MariaDb || version.starts_with("10.")
    }

    /// The privilege to make objects of others, in a release.
    ///
    /// Sources: <https://mariadb.com/kb/en/grant/#set-user> (10.5; a part of `SUPER` up to 10.11),
    /// <https://dev.mysql.com/doc/refman/8.4/en/privileges-provided.html> (`SET_ANY_DEFINER` since 8.2).
    pub(in crate::engine) fn definer_privilege(self, release: (u32, u32)) -> &'static str {
        match (self, release) {
            (Flavour::MariaDb, (10, 5..) | (11.., _)) => "SET USER",
            (Flavour::MySql, (8, 2..) | (9.., _)) => "SET_ANY_DEFINER",
            (Flavour::MySql, (8, _)) => "SET_USER_ID",
            _ => "SUPER",
        }
    }

    /// The client options for the TLS mode of a URL. `has_ca`: the options name an authority, which MariaDB's tools then check
    /// the chain against, and not the name (seen on 10.11; from 11.4 on they check the name too unless they are told not to).
    pub(in crate::engine) fn tls_options(
        self,
        mode: MySqlSslMode,
        is_encrypted: bool,
        has_ca: bool,
    ) -> &'static [&'static str] {
        use Flavour::{MariaDb, MySql};
        match (mode, self) {
            (MySqlSslMode::Disabled, MariaDb) => &["skip-ssl"],
            (MySqlSslMode::Preferred, MariaDb) if !is_encrypted => &["skip-ssl"],
            (MySqlSslMode::Preferred | MySqlSslMode::Required, MariaDb) => {
                &["ssl", "loose-skip-ssl-verify-server-cert"]
            }
            (MySqlSslMode::VerifyCa, MariaDb) if has_ca => &["ssl"],
            (MySqlSslMode::VerifyCa | MySqlSslMode::VerifyIdentity, MariaDb) => &["ssl", "ssl-verify-server-cert"],
            (MySqlSslMode::Disabled, MySql) => &["ssl-mode=DISABLED", "get-server-public-key"],
            (MySqlSslMode::Preferred, MySql) => &["ssl-mode=PREFERRED", "get-server-public-key"],
            (MySqlSslMode::Required, MySql) => &["ssl-mode=REQUIRED"],
            (MySqlSslMode::VerifyCa, MySql) => &["ssl-mode=VERIFY_CA"],
            (MySqlSslMode::VerifyIdentity, MySql) => &["ssl-mode=VERIFY_IDENTITY"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_says_whose_it_is() {
        for version in
            ["10.11.6-MariaDB-0+deb12u1", "mariadb-dump from 11.4.2-MariaDB, client 10.19", "MariaDB 10.11.6"]
        {
            assert_eq!(Flavour::of(version), Flavour::MariaDb, "{version}");
        }
        assert_eq!(Flavour::of("8.0.36"), Flavour::MySql);
    }

    #[test]
    fn a_server_is_what_it_says_and_does() {
        for (version, mariadb, mysql, is) in [
            ("10.11.6-MariaDB", true, false, Some(Flavour::MariaDb)),
            ("9.7.0", false, true, Some(Flavour::MySql)),
            ("8.0.11-TiDB-v7.5.0", false, true, Some(Flavour::MySql)),
            ("5.7.0", true, false, None),
            ("10.11.6-MariaDB", false, true, None),
            ("5.5.62", false, false, None),
            ("8.0.30", true, true, None),
        ] {
            assert_eq!(Flavour::certain(version, mariadb, mysql), is, "{version}");
        }
    }

    #[test]
    fn an_expression_of_mysql_is_unescaped() {
        let text = r"(`kind` in (_utf8mb4\'in\',_utf8mb4\'it\\\'s\',_utf8mb4\'a\\\\b\'))".to_owned();
        assert_eq!(Flavour::MariaDb.expression(text.clone()), text);
        assert_eq!(Flavour::MySql.expression(text), r"(`kind` in ('in','it\'s','a\\b'))");
    }
}
