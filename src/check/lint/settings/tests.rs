use super::super::rules::tests::found;
use crate::model::engine::Engine::{Mysql, Postgres, Sqlite};

const DUMP: &str = "/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;\n\
                    DROP TABLE IF EXISTS `o`;\nCREATE TABLE `o` (`id` int, `p` int, FOREIGN KEY (`p`) REFERENCES `o` (`id`));\n\
                    /*!40000 ALTER TABLE `o` DISABLE KEYS */;\nINSERT INTO `o` VALUES (1,1);\n\
                    /*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */";

#[test]
fn a_setting_is_found_however_it_is_written() {
    let (off, unlimited) = ("switched-off-checks", "unlimited-lock-wait");
    for (engine, sql, rule) in [
        (Postgres, "SET session_replication_role TO \"replica\"", off),
        (Postgres, "SET SESSION session_replication_role = 'REPLICA'", off),
        (Postgres, "SELECT set_config('session_replication_role', 'replica', true)", off),
        (Postgres, "ALTER ROLE app IN DATABASE shop SET session_replication_role = replica", off),
        (Postgres, "SET LOCAL lock_timeout TO '0'", unlimited),
        (Postgres, "SET lock_timeout = '0 s'", unlimited),
        (Postgres, "SET lock_timeout = '00'", unlimited),
        (Postgres, "SET lock_timeout = 0.0", unlimited),
        (Postgres, "SET lock_timeout = '0.4ms'", unlimited),
        (Postgres, "SET \"lock_timeout\" TO '24 d'", unlimited),
        (Postgres, "RESET lock_timeout", unlimited),
        (Postgres, "RESET ALL", unlimited),
        (Postgres, "SELECT pg_catalog.set_config('lock_timeout', '0', false)", unlimited),
        (Postgres, "WITH x AS (SELECT set_config('lock_timeout', '0s', true)) SELECT 1 FROM x", unlimited),
        (Postgres, "UPDATE pg_settings SET setting = '0' WHERE name = 'lock_timeout'", unlimited),
        (Postgres, "ALTER ROLE app SET lock_timeout = 0", unlimited),
        (Postgres, "ALTER DATABASE shop SET lock_timeout TO DEFAULT", unlimited),
        (Postgres, "ALTER DATABASE shop RESET lock_timeout", unlimited),
        (Postgres, "ALTER FUNCTION f() SET lock_timeout = 0", unlimited),
        (Mysql, "/*!40014 SET FOREIGN_KEY_CHECKS=0 */", off),
        (Mysql, "SET @@session.foreign_key_checks = OFF", off),
        (Mysql, "SET @@foreign_key_checks := FALSE", off),
        (Mysql, "SET GLOBAL unique_checks = 00", off),
        (Mysql, "SET @x = 1, SESSION check_constraint_checks = 0", off),
        (Mysql, "SET SESSION lock_wait_timeout = 31536000", unlimited),
        (Mysql, "SET @@global.lock_wait_timeout = 99999999", unlimited),
        (Mysql, "SET GLOBAL innodb_lock_wait_timeout = 1073741824", unlimited),
        (Mysql, "SET lock_wait_timeout = DEFAULT", unlimited),
        (Sqlite, "PRAGMA ignore_check_constraints = 1", off),
        (Sqlite, "pragma main.writable_schema(YES)", off),
    ] {
        let told = found(engine, &[sql]);
        assert!(told.contains(&rule), "{sql}: {told:?}");
    }
    for (engine, sql) in [
        (Postgres, "SET session_replication_role = origin"),
        (Postgres, "SELECT set_config('lock_timeout', '3s', true)"),
        (Postgres, "SET lock_timeout = 500"),
        (Postgres, "SET deadlock_timeout = 0"),
        (Postgres, "UPDATE o SET lock_timeout = 0 WHERE id = 1"),
        (Postgres, "RESET statement_timeout"),
        (Mysql, "SET @foreign_key_checks = 0"),
        (Mysql, "SET @old = @@foreign_key_checks, foreign_key_checks = @mine"),
        (Mysql, "SET lock_wait_timeout = 60, innodb_lock_wait_timeout = DEFAULT"),
        (Mysql, DUMP),
        (Sqlite, "PRAGMA ignore_check_constraints"),
        (Sqlite, "PRAGMA writable_schema = RESET"),
    ] {
        let told = found(engine, &[sql]);
        assert!(!told.contains(&off) && !told.contains(&unlimited), "{sql}: {told:?}");
    }
}

#[test]
fn a_dump_that_writes_more_than_its_own_tables_is_no_dump() {
    for (from, to) in [
        ("INSERT INTO `o`", "INSERT INTO `others`"),
        ("REFERENCES `o`", "REFERENCES `others`"),
        ("ALTER TABLE `o`", "ALTER TABLE `others`"),
        ("SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS", "SET UNIQUE_CHECKS=1"),
    ] {
        let told = found(Mysql, &[&DUMP.replace(from, to)]);
        assert!(told.contains(&"switched-off-checks"), "{to}: {told:?}");
    }
}
