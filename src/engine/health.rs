//! The health of a database and its server; one implementation per engine.
//!
//! It only reads, takes no lock visible to another session, and judges nothing.

use async_trait::async_trait;

use crate::model::fault::Fault;
use crate::model::health::{Health, Questions};
use crate::model::load::ServerLoad;

/// Reads the health of a database.
#[async_trait]
pub(crate) trait HealthCheck: Send {
    /// The health of the database and its server, with answers to `ask`. Read-only; locks nothing.
    ///
    /// # Errors
    /// A [`Fault`] when the health can't be read.
    async fn health(&mut self, ask: &Questions) -> Result<Health, Fault>;

    /// The load of the server, in a few small queries. Read-only; locks nothing.
    ///
    /// # Errors
    /// A [`Fault`] when nothing of it can be read.
    async fn server_load(&mut self) -> Result<ServerLoad, Fault>;
}

/// Why the free space of a server is not known.
pub(super) const UNSEEN_FOLDER: &str = "the server does not tell, and its folder can't be looked at from here";

/// Whether a host, or the folder of a socket, is on this machine. A tunnel may end here too, so a caller that wants a
/// server's own folder must verify that it belongs to that server.
pub(crate) fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.starts_with('/')
        || host == "localhost"
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The major and minor version: the first two numbers of a version string.
pub(crate) fn number(version: &str) -> (u32, u32) {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_this_machine_is_local() {
        for host in ["localhost", "127.0.0.1", "::1", "[::1]", "/var/run/postgresql"] {
            assert!(super::is_local(host), "{host}");
        }
        assert!(!super::is_local("db7") && !super::is_local("10.0.0.7"));
    }

    #[test]
    fn a_version_is_its_first_two_numbers() {
        assert_eq!(super::number("10.11.6-MariaDB-0+deb12u1"), (10, 11));
        assert_eq!(super::number("15.4 (Debian 15.4-1)"), (15, 4));
        assert_eq!(super::number("17beta1"), (17, 1));
        assert_eq!(super::number(""), (0, 0));
    }
}
