//! What an outage is: so many tenants that can't be reached that no run should start.
//!
//! It asks nobody.

use crate::model::fault::Fault;
use crate::model::tenant::TenantId;

/// What asking some tenants of a server came to.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    /// The server key.
    pub(crate) server: String,
    /// How many tenants are selected on it.
    pub(crate) tenants: usize,
    /// How many of them were asked.
    pub(crate) asked: usize,
    /// Those that could not be reached, with the reason.
    pub(crate) unreachable: Vec<(TenantId, Fault)>,
}

impl Probe {
    /// How many of the server's tenants are taken for unreachable: the share of those that were asked.
    fn presumed(&self) -> usize {
        (self.tenants * self.unreachable.len()).checked_div(self.asked).unwrap_or(0)
    }
}

/// Below this many tenants nothing is called an outage: each has its own outcome.
pub(crate) const LEAST_TENANTS: usize = 5;

/// Why no run should start, where more than `share` percent of the tenants seem to be unreachable; one line a server.
pub(crate) fn outage(probes: &[Probe], share: u8) -> Option<String> {
    let all: usize = probes.iter().map(|probe| probe.tenants).sum();
    let gone: usize = probes.iter().map(Probe::presumed).sum();
    if all < LEAST_TENANTS || gone * 100 <= all * usize::from(share) {
        return None;
    }
    let mut lines = vec![format!(
        "about {gone} of {all} tenants can't be reached, more than the {share}% that `outage` allows; nothing was started"
    )];
    for probe in probes.iter().filter(|probe| probe.presumed() > 0) {
        if let Some((tenant, fault)) = probe.unreachable.first() {
            let n = probe.presumed();
            lines.push(format!("  {}: {n} of {} tenants, such as {tenant}: {fault}", probe.server, probe.tenants));
        }
    }
    Some(lines.join("\n"))
}
