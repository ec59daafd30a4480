//! The liveness check of a server that is silent while it works on a tenant, over a separate connection.
//!
//! It gives up a connection, never a tenant: the next attempt reads the result from the tenant itself.

use std::time::Duration;

use tokio::time::Instant;

use super::unit::Assignment;
use crate::engine::{Liveness, Probe};
use crate::model::fault::{Fault, FaultClass};
use crate::policy::format_duration;

impl Assignment {
    /// Completes only when the connection has to be given up, with the reason. Waiting for a lock, or a statement that
    /// takes hours, counts as work.
    pub(super) async fn abandoned(&self, probe: Option<Probe>) -> Fault {
        let Some(probe) = probe else { return std::future::pending().await };
        let limit = self.timeouts.silence;
        let every = (limit / 4).max(Duration::from_millis(1));
        let mut quiet: Option<Instant> = None;
        loop {
            tokio::time::sleep(every).await;
            let for_now = quiet.map_or(Duration::ZERO, |since| since.elapsed());
            let sign = probe(every, for_now >= limit).await;
            // The first answer concerns the tenant's lock and history, which may have to wait for a lock themselves.
            let most = if sign == Liveness::Unheard { limit + self.timeouts.lock } else { limit };
            if sign == Liveness::Works {
                quiet = None;
            } else if for_now >= most {
                return Fault::new(FaultClass::ConnectionLost, reason(sign, for_now));
            } else {
                quiet.get_or_insert_with(Instant::now);
            }
        }
    }
}

fn reason(sign: Liveness, quiet: Duration) -> String {
    let rest = match sign {
        Liveness::Gone => ", and it says that the session is gone",
        Liveness::Silent => ", and a new connection is not answered either",
        Liveness::Waits => ", and it says that it waits for us: the session was ended",
        Liveness::Unheard | Liveness::Works => "",
    };
    format!("nothing came from the server for {}{rest}", format_duration(Duration::from_secs(quiet.as_secs())))
}
