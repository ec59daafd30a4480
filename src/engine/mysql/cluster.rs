//! Clusters whose nodes all take writes: the lock that keeps two runs apart (`GET_LOCK`) holds on one node only.
//!
//! It reads settings and changes nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::settings::Settings;
use crate::model::fault::{Fault, FaultClass, bounded};

/// Servers, by host and port, and the kind of cluster of each: asked once in a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clusters(Arc<Mutex<HashMap<String, Option<&'static str>>>>);

impl MysqlSession {
    /// Refuses a tenant of such a cluster, unless its file says that all runs use one node. Dying here, nothing was
    /// touched.
    pub(crate) async fn check_writers(&mut self) -> Result<(), Fault> {
        if self.door.tenant.single_writer {
            return Ok(());
        }
        let server = format!("{}:{}", self.options.get_host(), self.options.get_port());
        let clusters = self.door.clusters.0.clone();
        let known = clusters.lock().expect("nobody panics while holding it").get(&server).copied();
        let cluster = match known {
            Some(cluster) => cluster,
            None => {
                let found = Settings::of_server(self).await?.cluster();
                clusters.lock().expect("nobody panics while holding it").insert(server, found);
                found
            }
        };
        match cluster {
            Some(cluster) => {
                let (what, fix) = many_writers(cluster);
                Err(Fault::new(FaultClass::Other, format!("{what}; nothing was changed; {fix}")))
            }
            None => Ok(()),
        }
    }
}

/// The reason why a tenant of a cluster is refused, and the way out.
pub(in crate::engine) fn many_writers(cluster: &str) -> (String, &'static str) {
    let what = format!(
        "the server is {cluster}, where GET_LOCK holds on one node only: runs by two nodes would change the tenant at once"
    );
    (
        what,
        "if all runs and the application use one node, say so: single_writer = true for this tenant or in [defaults]",
    )
}

/// The fault of a server that refuses the lock itself, as Percona XtraDB Cluster does in its strict mode
/// (<https://docs.percona.com/percona-xtradb-cluster/8.0/strict-mode.html#explicit-table-locking>).
pub(in crate::engine) fn refused_lock(fault: Fault) -> Fault {
    let is_passing = fault.class.is_transient() || fault.class == FaultClass::Cancelled || fault.code.is_none();
    if is_passing {
        return fault;
    }
    let text = format!(
        "the server refuses GET_LOCK, by which two runs are kept apart: {}; nothing was changed; on Percona XtraDB Cluster, as an \
         administrator: SET GLOBAL pxc_strict_mode = PERMISSIVE, and single_writer = true for its tenants",
        fault.message
    );
    Fault { message: bounded(text), ..fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_refused_is_told_apart_from_one_that_passes() {
        let text = "Percona-XtraDB-Cluster prohibits use of GET_LOCK with pxc_strict_mode = ENFORCING";
        let told = refused_lock(Fault::with_code(FaultClass::Other, "1105", text));
        assert!(told.message.contains(text) && told.message.contains("pxc_strict_mode = PERMISSIVE"), "{told}");
        assert_eq!(told.code.as_deref(), Some("1105"));
        let lost = Fault::with_code(FaultClass::ConnectionLost, "2013", "lost");
        assert_eq!(refused_lock(lost.clone()), lost);
    }
}
