//! The definers of objects in a MySQL or MariaDB dump, and the right that creating objects of other definers takes.
//!
//! It asks no server: dump lines, grants and versions are passed in.

use std::collections::BTreeSet;
use std::io::BufRead;

use crate::engine::health::number;
use crate::engine::mysql::flavour::Flavour;

/// A user and host; a role has no host.
pub(crate) type Account = (String, String);

/// The definers of the views, triggers, routines and events in a dump.
///
/// Row data can't be mistaken for such a line: every line break in it is escaped.
pub(crate) fn definers(mut dump: impl BufRead) -> std::io::Result<BTreeSet<Account>> {
    let (mut found, mut line) = (BTreeSet::new(), Vec::new());
    loop {
        line.clear();
        if dump.read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        if line.starts_with(b"CREATE") || line.starts_with(b"/*") {
            found.extend(definer(&String::from_utf8_lossy(&line)));
        }
    }
}

/// The definer in `CREATE DEFINER=…` or in `/*!50003 CREATE*/ /*!50017 DEFINER=…`.
fn definer(line: &str) -> Option<Account> {
    let mut rest = line;
    let account = loop {
        if let Some(account) = rest.strip_prefix("DEFINER=") {
            break account;
        }
        let (word, more) = rest.split_once(' ')?;
        if !matches!(word, "CREATE" | "CREATE*/" | "OR" | "REPLACE") && !word.starts_with("/*") {
            return None;
        }
        rest = more;
    };
    let (user, rest) = name(account)?;
    let host = rest.strip_prefix('@').and_then(name).map(|(host, _)| host);
    Some((user, host.unwrap_or_default()))
}

/// A name in backticks, and the text after it.
fn name(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('`')?;
    let mut name = String::new();
    loop {
        let (part, more) = rest.split_once('`')?;
        name.push_str(part);
        let Some(doubled) = more.strip_prefix('`') else { return Some((name, more)) };
        name.push('`');
        rest = doubled;
    }
}

/// The current user as the server reports it: `user@host`.
pub(crate) fn current(user: &str) -> Account {
    let (user, host) = user.rsplit_once('@').unwrap_or((user, ""));
    (user.to_owned(), host.to_owned())
}

/// The name of the right to create objects of other definers, on a server of this version.
pub(crate) fn right(version: &str) -> &'static str {
    Flavour::of(version).definer_privilege(number(version))
}

/// Whether a user with these grants, as `SHOW GRANTS` lists them, may create objects of other definers.
pub(crate) fn may_define(grants: &[String], version: &str) -> bool {
    let wanted = right(version);
    let is_super_enough = Flavour::of(version).super_defines(version);
    let privileges = |grant: &String| -> Option<String> {
        let (privileges, _) = grant.strip_prefix("GRANT ")?.split_once(" ON *.* TO ")?;
        Some(privileges.to_owned())
    };
    grants.iter().filter_map(privileges).any(|all| {
        all.split(',').map(str::trim).any(|p| p == "ALL PRIVILEGES" || p == wanted || (p == "SUPER" && is_super_enough))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definers_are_found_in_every_form_that_a_dump_has() {
        let dump = "\
            /*!50003 CREATE*/ /*!50017 DEFINER=`tr`@`%`*/ /*!50003 trigger t before insert on t for each row set a=1 */;;\n\
            /*!50106 CREATE*/ /*!50117 DEFINER=`ev`@`10.0.%`*/ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 YEAR DO select 1 */ ;;\n\
            CREATE DEFINER=`o``dd name`@`localhost` FUNCTION `f`() RETURNS int(11)\n\
            CREATE DEFINER=`role` PROCEDURE `p`()\n\
            /*!50001 CREATE ALGORITHM=UNDEFINED */\n\
            /*!50013 DEFINER=`vi`@`%` SQL SECURITY DEFINER */\n\
            CREATE TABLE `t` (\n\
            INSERT INTO `t` VALUES ('CREATE DEFINER=`row`@`%` FUNCTION');\n\
            /*!50003 SET @a = 'DEFINER=`set`@`%`' */;\n";
        let found = definers(dump.as_bytes()).unwrap();
        let found: Vec<String> = found.iter().map(|(user, host)| format!("{user}@{host}")).collect();
        assert_eq!(found, ["ev@10.0.%", "o`dd name@localhost", "role@", "tr@%", "vi@%"]);
        assert_eq!(current("a@b@%"), ("a@b".to_owned(), "%".to_owned()));
    }

    #[test]
    fn the_right_is_known_by_its_name_on_each_version() {
        let may = |grant: &str, version: &str| may_define(&[grant.to_owned()], version);
        let (old, new, mysql) = ("10.11.14-MariaDB-0+deb12u2", "11.4.2-MariaDB", "8.0.36");
        assert!(may("GRANT ALL PRIVILEGES ON *.* TO `a`@`%` WITH GRANT OPTION", new));
        assert!(may("GRANT SELECT, SET USER ON *.* TO `a`@`%`", new) && may("GRANT SUPER ON *.* TO `a`@`%`", old));
        assert!(!may("GRANT SUPER ON *.* TO `a`@`%`", new) && may("GRANT SET_USER_ID ON *.* TO `a`@`%`", mysql));
        assert!(!may("GRANT ALL PRIVILEGES ON `shop`.* TO `a`@`%`", old) && !may("GRANT USAGE ON *.* TO `a`@`%`", old));
        assert_eq!([right(old), right("10.4.1-MariaDB"), right("8.4.0")], ["SET USER", "SUPER", "SET_ANY_DEFINER"]);
    }
}
