//! A dump that can be loaded by any user into any database of its server.

use std::path::Path;

use crate::engine::backup::broken;
use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::backup::account;
use crate::engine::mysql::definers::{self, Account};
use crate::engine::mysql::trial::{Moved, find, replaced};
use crate::engine::queries::Queries as _;
use crate::model::fault::Fault;

impl MysqlSession {
    /// Takes the names of the database and of its user out of a dump. Dying in it: the file is partial.
    pub(super) async fn make_neutral(&mut self, file: &Path) -> Result<(), Fault> {
        let rows = self.rows("SELECT CURRENT_USER()".to_owned()).await?;
        let user = definers::current(&rows.first().map(|row| row.must(0)).unwrap_or_default());
        let database = self.door.namespace().unwrap_or_default();
        let lost = |error: std::io::Error| broken(format!("{}: {error}", file.display()));
        let text = neutral(&std::fs::read(file).map_err(lost)?, &database, &user);
        if find(&text, database.as_bytes()).is_some() {
            return Err(broken("its content names its own database in a way that no other one can have"));
        }
        std::fs::write(file, text).map_err(lost)
    }
}

/// Objects that belong to this user will belong to the one who loads them, as if its migrations had made them.
fn neutral(dump: &[u8], database: &str, user: &Account) -> Vec<u8> {
    let mut moved = Moved { database: database.to_owned(), scratch: None, is_inside: false };
    let definer = format!("DEFINER={}", account(user));
    let mut out = Vec::with_capacity(dump.len());
    // The program's own comments name the database.
    let is_told = |line: &&[u8]| !line.starts_with(b"-- ") || find(line, database.as_bytes()).is_none();
    for line in dump.split_inclusive(|byte| *byte == b'\n').filter(is_told) {
        let line = moved.line(line);
        // Row data can't be mistaken for such a line: every line break in it is escaped.
        match line.starts_with(b"CREATE DEFINER=") || line.starts_with(b"/*!50") {
            true => out.extend(replaced(&line, definer.as_bytes(), b"")),
            false => out.extend_from_slice(&line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_database_nor_user_is_left_in_a_dump_for_any_tenant() {
        let user = ("me".to_owned(), "%".to_owned());
        for (line, expected) in [
            ("-- Host: localhost    Database: s\n", ""),
            ("ALTER DATABASE `s` CHARACTER SET latin1 ;\n", "ALTER DATABASE CHARACTER SET latin1 ;\n"),
            ("CREATE DEFINER=`me`@`%` FUNCTION `f`() RETURNS int\n", "CREATE  FUNCTION `f`() RETURNS int\n"),
            ("CREATE DEFINER=`other`@`%` PROCEDURE `p`()\n", "CREATE DEFINER=`other`@`%` PROCEDURE `p`()\n"),
            ("/*!50013 DEFINER=`me`@`%` SQL SECURITY DEFINER */\n", "/*!50013  SQL SECURITY DEFINER */\n"),
            ("INSERT INTO `t` VALUES ('DEFINER=`me`@`%`');\n", "INSERT INTO `t` VALUES ('DEFINER=`me`@`%`');\n"),
            (
                "/*!50106 CREATE*/ /*!50117 DEFINER=`me`@`%`*/ /*!50106 EVENT `e` ON COMPLETION NOT PRESERVE ENABLE DO DELETE FROM s.t */ ;;\n",
                "/*!50106 CREATE*/ /*!50117 */ /*!50106 EVENT `e` ON COMPLETION NOT PRESERVE ENABLE DO DELETE FROM t */ ;;\n",
            ),
        ] {
            assert_eq!(String::from_utf8_lossy(&neutral(line.as_bytes(), "s", &user)), expected);
        }
    }
}
