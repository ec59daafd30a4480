//! What a database says of itself and of its server: one file an engine.
//!
//! It only reads, takes no lock that another session could notice, and judges nothing.

pub(super) mod mysql;
pub(super) mod postgres;
pub(super) mod sqlite;

/// Major and minor of a version's text: its first two numbers.
fn number(version: &str) -> (u32, u32) {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_version_is_its_first_two_numbers() {
        assert_eq!(super::number("10.11.6-MariaDB-0+deb12u1"), (10, 11));
        assert_eq!(super::number("15.4 (Debian 15.4-1)"), (15, 4));
        assert_eq!(super::number("17beta1"), (17, 1));
        assert_eq!(super::number(""), (0, 0));
    }
}
