//! The definition of an outage: too many unreachable tenants for a run to start.
//!
//! No database is queried here.

use crate::model::fault::Fault;
use crate::model::tenant::TenantId;

/// The result of probing some tenants of a server.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    /// The server key.
    pub(crate) server: String,
    /// Number of selected tenants on it.
    pub(crate) tenants: usize,
    /// Number of tenants probed.
    pub(crate) asked: usize,
    /// Probed tenants that could not be reached, with the reason.
    pub(crate) unreachable: Vec<(TenantId, Fault)>,
}

impl Probe {
    /// Estimated number of unreachable tenants on the server, from the share of those probed.
    fn presumed(&self) -> usize {
        (self.tenants * self.unreachable.len()).checked_div(self.asked).unwrap_or(0)
    }
}

/// Minimum number of tenants for an outage: below it, each tenant has its own outcome.
pub(crate) const LEAST_TENANTS: usize = 5;

/// The reason not to start a run, where more than `share` percent of the tenants seem to be unreachable; one line per
/// server.
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
