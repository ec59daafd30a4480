//! The time zone and date style that the database's own clients have: the driver sends its own at the start of a session, which beat
//! those of the database, of the role and of the URL's options.
//!
//! The order is the server's: role in the database, role, database, everybody, command line, file, built in. The first four are
//! asked for in each database, where any role may read them (<https://www.postgresql.org/docs/15/catalog-pg-db-role-setting.html>);
//! the others, which take longer, once for each server and user as long as it runs with the same configuration.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use sqlx::postgres::PgConnection;

use crate::engine::queries::{Queries as _, TextRow};
use crate::model::fault::Fault;

/// A value for each of [`FORCED`], where it is known.
pub(super) type Values = [Option<String>; 2];

/// The values that servers have for all of their databases, as far as this process asked for them, by the text that [`of_database`] has for server and user.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerSettings(Arc<Mutex<HashMap<String, Values>>>);

impl ServerSettings {
    /// All values, from the answer to [`of_database`]. What that has none for is asked over the connection, unless it is known.
    pub(super) async fn all(&self, row: Option<&TextRow>, connection: &mut PgConnection) -> Result<Values, Fault> {
        let of_database = values(row);
        if of_database.iter().all(Option::is_some) {
            return Ok(of_database);
        }
        let server = row.map(|row| row.must(2)).unwrap_or_default();
        let known = self.known().get(&server).cloned();
        let of_server = match known {
            Some(known) => known,
            None => {
                let asked = values(connection.rows(OF_SERVER.to_owned()).await?.first());
                self.known().insert(server, asked.clone());
                asked
            }
        };
        let mut of_server = of_server.into_iter();
        Ok(of_database.map(|value| of_server.next().and_then(|of_server| value.or(of_server))))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Values>> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

fn values(row: Option<&TextRow>) -> Values {
    [0, 1].map(|column| row?.text(column).filter(|value| !value.is_empty()))
}

/// The settings that are known and differ from the driver's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClientSettings {
    /// Name and value.
    values: Vec<(&'static str, String)>,
    /// The names of those that nobody could tell: the driver's value stays.
    pub(crate) unknown: Vec<&'static str>,
}

/// The settings, each with the value that the driver sends.
const FORCED: [(&str, &str); 2] = [("TimeZone", "UTC"), ("DateStyle", "ISO, MDY")];

impl ClientSettings {
    /// Names and values.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.values.iter().cloned()
    }

    /// From the startup options of a URL, or else what the server has for them.
    pub(super) fn read(options: Option<&str>, of_server: Values) -> Self {
        let mut read = ClientSettings::default();
        for ((name, drivers), of_server) in FORCED.into_iter().zip(of_server) {
            match option(options.unwrap_or_default(), name).or(of_server) {
                Some(value) if value.eq_ignore_ascii_case(drivers) => {}
                Some(value) => read.values.push((name, value)),
                None => read.unknown.push(name),
            }
        }
        read
    }
}

/// The last value of a setting among the options of a server process (`-c name=value`, `--name=value`), in which a
/// backslash protects a space (<https://www.postgresql.org/docs/15/libpq-connect.html>).
fn option(options: &str, wanted: &str) -> Option<String> {
    let (mut words, mut word, mut chars) = (Vec::new(), String::new(), options.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    let mut settings = words.iter().rev().filter_map(|word| {
        let word = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).unwrap_or(word);
        word.split_once('=')
    });
    let last = settings.find(|(name, _)| name.replace('-', "_").eq_ignore_ascii_case(wanted));
    last.map(|(_, value)| value.to_owned())
}

/// The query of one row: the values that the database or the role has, and a text that differs where [`OF_SERVER`] may.
pub(super) fn of_database() -> String {
    let value = |name: &str| {
        format!(
            "(SELECT substr(c, strpos(c, '=') + 1) FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c WHERE \
             lower(split_part(c, '=', 1)) = lower('{name}') AND s.setdatabase IN (0, d.oid) AND s.setrole IN (0, r.oid) ORDER BY \
             s.setrole = 0, s.setdatabase = 0 LIMIT 1)"
        )
    };
    format!(
        "SELECT {}, session_user || ' ' || extract(epoch FROM pg_postmaster_start_time()) || ' ' || extract(epoch FROM \
         pg_conf_load_time()) FROM pg_catalog.pg_database d, pg_catalog.pg_roles r WHERE d.datname = current_database() AND \
         r.rolname = session_user",
        FORCED.map(|(name, _)| value(name)).join(", ")
    )
}

/// One row: the values of the command line, of the file, or built in; empty where this role may not know them.
const OF_SERVER: &str = "DO $fleet_guard$ DECLARE wanted text; found text; BEGIN \
     FOREACH wanted IN ARRAY ARRAY['TimeZone', 'DateStyle'] LOOP found := NULL; \
     IF has_function_privilege('pg_read_file(text)', 'EXECUTE') AND \
     has_function_privilege('pg_show_all_file_settings()', 'EXECUTE') AND has_table_privilege('pg_file_settings', 'SELECT') \
     THEN BEGIN EXECUTE 'SELECT coalesce(substring(pg_read_file(''postmaster.opts'') from $2), (SELECT setting FROM \
     pg_file_settings WHERE lower(name) = lower($1) AND applied ORDER BY seqno DESC LIMIT 1), (SELECT boot_val FROM \
     pg_settings WHERE name = $1))' INTO found USING wanted, '(?i)\"(?:-c|--)?' || wanted || '=([^\"]*)\"'; \
     EXCEPTION WHEN OTHERS THEN NULL; END; END IF; \
     PERFORM set_config('fleet.' || wanted, coalesce(found, ''), true); END LOOP; END $fleet_guard$; \
     SELECT current_setting('fleet.TimeZone'), current_setting('fleet.DateStyle')";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_of_the_url_is_read_as_the_server_reads_it() {
        let options = r"-c fleet.direct=yes -c TimeZone=UTC --timezone=America/Sao_Paulo -cDateStyle=SQL,\ DMY";
        assert_eq!(option(options, "TimeZone").as_deref(), Some("America/Sao_Paulo"));
        assert_eq!(option(options, "DateStyle").as_deref(), Some("SQL, DMY"));
        assert_eq!(option("-c log_timezone=x", "TimeZone"), None);
        let read = ClientSettings::read(Some("-c TimeZone=UTC"), Values::default());
        assert_eq!((read.values.len(), read.unknown), (0, vec!["DateStyle"]));
    }
}
