//! The books of a tenant: what its rows have to be at each version of the catalog in ../../src/main.rs.

use crate::process::{Fleet, sql};

pub(crate) const CATALOG: [&str; 5] = ["m1_accounts", "m2_interest", "m3_currency", "m4_counted", "m5_fees"];

/// So many accounts has a tenant at its first version.
pub(crate) const ACCOUNTS: u64 = 20;

/// What it takes to fill the tables of a tenant that is at `m1_accounts`.
pub(crate) fn fill() -> String {
    let accounts: Vec<String> = (1..=ACCOUNTS).map(|id| format!("({id}, 100)")).collect();
    let bookings: Vec<String> = (1..=ACCOUNTS).map(|id| format!("({id}, 'opening', 100)")).collect();
    format!(
        "INSERT INTO accounts (id, balance) VALUES {}; INSERT INTO bookings (account, why, amount) VALUES {}",
        accounts.join(", "),
        bookings.join(", ")
    )
}

/// Rows that are missing and rows that are too many in a tenant, by its own history: `(lost, twice)`.
///
/// A tenant counts as wrong, too, when a balance is not the sum of its bookings.
pub(crate) fn audit(fleet: &Fleet, tenant: &str) -> (u64, u64) {
    let history = fleet.history(tenant).unwrap_or_default();
    let mut lost = 0;
    let mut twice = 0;
    let mut hold = |found: u64, wanted: u64| {
        lost += wanted.saturating_sub(found);
        twice += found.saturating_sub(wanted);
    };
    let number = |query: &str| fleet.ask(tenant, query)[0].trim().parse::<u64>().unwrap();
    hold(number("SELECT CAST(count(*) AS char(20)) FROM accounts"), ACCOUNTS);
    let of = |name: &str| if history.iter().any(|applied| applied == name) { ACCOUNTS } else { 0 };
    for (why, wanted) in [
        ("opening", ACCOUNTS),
        ("m2_interest", of("m2_interest")),
        ("m3_currency", of("m3_currency")),
        ("m4_counted", of("m4_counted")),
        ("m5_fees", of("m5_fees")),
    ] {
        hold(number(&format!("SELECT CAST(count(*) AS char(20)) FROM bookings WHERE why = '{why}'")), wanted);
    }
    let unbalanced = "SELECT CAST(count(*) AS char(20)) FROM accounts a WHERE balance <> \
                      (SELECT sum(amount) FROM bookings b WHERE b.account = a.id)";
    hold(number(unbalanced), 0);
    (lost, twice)
}

/// Brings tenants to the first version with rows in them.
pub(crate) fn open(fleet: &Fleet) {
    fleet.run(&["migrate", "--to", CATALOG[0], "--yes"]).exits(0);
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, &fill());
    }
}
