//! The settings of a MySQL or MariaDB server that refuse statements of a migration.
//!
//! It reads them and says what they refuse; it changes none.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::mysql::flavour::Flavour;
use crate::engine::queries::Queries;
use crate::model::fault::Fault;
use crate::model::health::Obstacle;

/// A server knows those of its product and release only, so they can't be named in a `SELECT`.
const SETTINGS: &str = "SHOW GLOBAL VARIABLES WHERE variable_name IN ('read_only', 'super_read_only', 'innodb_read_only', 'log_bin', \
                        'log_bin_trust_function_creators', 'sql_require_primary_key', 'innodb_force_primary_key', \
                        'wsrep_on', 'pxc_strict_mode', 'group_replication_group_name', 'group_replication_single_primary_mode')";

/// The user's own privileges on the whole server.
const PRIVILEGES: &str = "SELECT u.privilege_type FROM information_schema.user_privileges u WHERE \
                          u.grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')";

/// The settings of a server, and the privileges by which some of them do not hold.
pub(in crate::engine) struct Settings {
    values: BTreeMap<String, String>,
    privileges: BTreeSet<String>,
}

impl Settings {
    pub(in crate::engine) async fn read(queries: &mut dyn Queries) -> Result<Self, Fault> {
        let settings = Settings::of_server(queries).await?;
        let privileges = queries.rows(PRIVILEGES.to_owned()).await?;
        Ok(Settings { privileges: privileges.iter().filter_map(|row| row.text(0)).collect(), ..settings })
    }

    /// The settings alone, as if the user had no privileges.
    pub(in crate::engine) async fn of_server(queries: &mut dyn Queries) -> Result<Self, Fault> {
        let values = queries.rows(SETTINGS.to_owned()).await?;
        let values = values.iter().map(|row| (row.must(0).to_lowercase(), row.must(1))).collect();
        Ok(Settings { values, privileges: BTreeSet::new() })
    }

    /// The kind of cluster, where all of its nodes take writes.
    ///
    /// Sources: <https://galeracluster.com/library/documentation/mysql-wsrep-options.html#wsrep-on>,
    /// <https://dev.mysql.com/doc/refman/9.7/en/group-replication-limitations.html>.
    pub(in crate::engine) fn cluster(&self) -> Option<&'static str> {
        if self.is_on("wsrep_on") {
            Some("a node of a Galera cluster (wsrep_on)")
        } else if self.values.get("group_replication_group_name").is_some_and(|name| !name.is_empty())
            && !self.is_on("group_replication_single_primary_mode")
        {
            Some("a member of a replication group in multi-primary mode (group_replication_single_primary_mode is off)")
        } else {
            None
        }
    }

    fn is_on(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| !["OFF", "0", ""].contains(&value.as_str()))
    }

    fn has_one_of(&self, privileges: &[&str]) -> bool {
        privileges.iter().any(|privilege| self.privileges.contains(*privilege))
    }

    /// The settings by which this user can write nothing.
    pub(in crate::engine) fn read_only(&self, flavour: Flavour, release: (u32, u32)) -> Vec<String> {
        let holds = |name: &&str| {
            self.is_on(name) && (*name != "read_only" || !self.has_one_of(flavour.writes_when_read_only(release)))
        };
        ["read_only", "super_read_only", "innodb_read_only"].into_iter().filter(holds).map(str::to_owned).collect()
    }

    /// The settings that refuse some statements of this user, or should have.
    pub(in crate::engine) fn obstacles(&self, flavour: Flavour, release: (u32, u32)) -> Vec<Obstacle> {
        let mut found = Vec::new();
        if let Some(mode) =
            self.values.get("pxc_strict_mode").filter(|mode| ["ENFORCING", "MASTER"].contains(&mode.as_str()))
        {
            found.push(Obstacle {
                stops: true,
                concerns: &[],
                what: format!("GET_LOCK, by which two runs are kept apart, is refused: pxc_strict_mode is {mode}"),
                fix: "as an administrator: SET GLOBAL pxc_strict_mode = PERMISSIVE".to_owned(),
            });
        }
        if self.is_on("read_only") && self.has_one_of(flavour.writes_when_read_only(release)) {
            found.push(Obstacle {
                stops: false,
                concerns: &[],
                what: "read_only of the server is on, and this user may write nevertheless: it may be a replica"
                    .to_owned(),
                fix: "let the url of its tenants lead to the primary, or lift the setting".to_owned(),
            });
        }
        let is_logged = self.is_on("log_bin") && !self.is_on("log_bin_trust_function_creators");
        if is_logged && !self.has_one_of(flavour.makes_logged_functions()) {
            found.push(Obstacle {
                stops: false,
                concerns: &["TRIGGER", "CREATE ROUTINE"],
                what: "triggers and functions are refused (1419): the server writes a binary log, \
                       log_bin_trust_function_creators is off, and the user lacks SUPER"
                    .to_owned(),
                fix:
                    "as an administrator: SET GLOBAL log_bin_trust_function_creators = 1, and the same in the server's \
                      option file"
                        .to_owned(),
            });
        }
        for (name, number) in [("sql_require_primary_key", 3750), ("innodb_force_primary_key", 1173)] {
            if self.is_on(name) {
                found.push(Obstacle {
                    stops: false,
                    concerns: &[],
                    what: format!("tables without a primary key are refused ({number}): {name} is on"),
                    fix: format!(
                        "give each table of the migrations a primary key, or as an administrator: SET GLOBAL {name} = 0"
                    ),
                });
            }
        }
        found
    }
}
