//! Faults of every kind in real runs on real databases, counted: the number injected, the reported outcome of each
//! tenant, and the work lost or done twice, which must be zero.
//!
//! Three servers are needed: `eval "$(scripts/servers start)"` gives the variables. `scripts/faults` runs it with the
//! finest steps and writes the figures into docs/book/src/design/reliability.md.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod after;
mod books;
mod cuts;
mod full_disk;
mod holders;
mod killed;
mod moments;
mod person;
#[path = "../../../support/process.rs"]
#[expect(dead_code, reason = "the tests of the whole program use the rest")]
mod process;
mod relay;
mod server;
mod tally;

/// The program under test: `fleet` with the catalog of ../../src/main.rs.
const PROGRAM: &str = env!("CARGO_BIN_EXE_faults");

/// The books themselves: without a fault nothing is missing, and a missing or duplicate row is detected.
#[test]
fn the_books_show_what_is_missing_and_what_is_too_much() {
    let fleet = process::Fleet::new().sqlite(1).postgres(1).schemas(1).mariadb(1).mysql_where_there(1);
    books::open(&fleet);
    fleet.run(&["migrate", "--yes"]).exits(0);
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap(), books::CATALOG);
        assert_eq!(books::audit(&fleet, &tenant.id), (0, 0), "{}", tenant.id);
        fleet.ask(&tenant.id, "INSERT INTO bookings (account, why, amount) VALUES (1, 'm2_interest', 0)");
        assert_eq!(books::audit(&fleet, &tenant.id), (0, 1), "{}", tenant.id);
        fleet.ask(&tenant.id, "DELETE FROM bookings WHERE why = 'm2_interest' AND account IN (1, 2)");
        // Two accounts no longer add up, and the rows of both are gone; one of them had two.
        assert_eq!(books::audit(&fleet, &tenant.id), (2, 2), "{}", tenant.id);
    }
}
