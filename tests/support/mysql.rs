//! The MySQL of the tests: whether they have one, and its address and programs. Nothing else reads its variables.
//!
//! `FLEET_TEST_WITHOUT=mysql` leaves it out. Tests that need it are named `mysql` or stand in a `mod mysql`, which the runner
//! then passes over; the others ask here and do without.

/// Whether the tests have a MySQL.
pub(crate) fn is_there() -> bool {
    !std::env::var("FLEET_TEST_WITHOUT").is_ok_and(|without| without.split(',').any(|word| word == "mysql"))
}

/// Whether this is the name of a MySQL, or of a tenant on one, that the tests have not got.
pub(crate) fn is_left_out(name: &str) -> bool {
    name.contains("mysql") && !is_there()
}

/// The URL of the server's own database.
pub(crate) fn url() -> String {
    of("FLEET_TEST_MYSQL_URL")
}

/// One of its own programs: those of this name in `PATH` are MariaDB's.
pub(crate) fn program(name: &str) -> String {
    format!("{}/{name}", of("FLEET_TEST_MYSQL_BIN"))
}

/// A `PATH` in which its own programs stand first, where there are any.
pub(crate) fn path() -> String {
    let path = std::env::var("PATH").unwrap();
    if is_there() { format!("{}:{path}", of("FLEET_TEST_MYSQL_BIN")) } else { path }
}

fn of(variable: &str) -> String {
    assert!(is_there(), "FLEET_TEST_WITHOUT leaves MySQL out; a test that needs it belongs into a `mod mysql`");
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set; run `eval \"$(scripts/servers start)\"` first"))
}
