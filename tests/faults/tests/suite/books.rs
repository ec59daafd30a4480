//! The books of a tenant: the required rows at each version of the catalog in ../../src/main.rs.

use crate::process::Fleet;

pub(crate) const CATALOG: [&str; 5] = ["m1_accounts", "m2_interest", "m3_currency", "m4_counted", "m5_fees"];

/// The number of accounts of a tenant at its first version.
pub(crate) const ACCOUNTS: u64 = 20;

/// The statements that fill the tables of a tenant at `m1_accounts`.
pub(crate) fn fill() -> String {
    let accounts: Vec<String> = (1..=ACCOUNTS).map(|id| format!("({id}, 100)")).collect();
    let bookings: Vec<String> = (1..=ACCOUNTS).map(|id| format!("({id}, 'opening', 100)")).collect();
    format!(
        "INSERT INTO accounts (id, balance) VALUES {}; INSERT INTO bookings (account, why, amount) VALUES {}",
        accounts.join(", "),
        bookings.join(", ")
    )
}

/// The number of missing and duplicate rows in a tenant, by its own history: `(lost, twice)`.
///
/// A tenant is also wrong if a balance is not the sum of its bookings.
pub(crate) fn audit(fleet: &Fleet, tenant: &str) -> (u64, u64) {
    compare(fleet, tenant, &fleet.history(tenant).unwrap_or_default())
}

/// As [`audit`], with a history that was just read. One query: connecting costs more than counting.
pub(crate) fn compare(fleet: &Fleet, tenant: &str, history: &[String]) -> (u64, u64) {
    let (query, wanted) = question(history);
    difference(&fleet.ask(tenant, &query), &wanted)
}

/// The query for a tenant with this history, and the expected numbers.
pub(crate) fn question(history: &[String]) -> (String, [u64; 7]) {
    let of = |name: &str| if history.iter().any(|applied| applied == name) { ACCOUNTS } else { 0 };
    let bookings = |why: &str| format!("bookings WHERE why = '{why}'");
    let unbalanced = "accounts a WHERE balance <> (SELECT sum(amount) FROM bookings b WHERE b.account = a.id)";
    let wanted = [
        ("accounts".to_owned(), ACCOUNTS),
        (bookings("opening"), ACCOUNTS),
        (bookings("m2_interest"), of("m2_interest")),
        (bookings("m3_currency"), of("m3_currency")),
        (bookings("m4_counted"), of("m4_counted")),
        (bookings("m5_fees"), of("m5_fees")),
        (unbalanced.to_owned(), 0),
    ];
    let counts: Vec<String> =
        (0..).zip(&wanted).map(|(i, (rows, _))| format!("SELECT {i} AS i, count(*) AS n FROM {rows}")).collect();
    let query = format!("SELECT CAST(n AS char(20)) FROM ({}) AS counts ORDER BY i", counts.join(" UNION ALL "));
    (query, wanted.map(|(_, wanted)| wanted))
}

/// The missing and the surplus rows of an answer.
pub(crate) fn difference(found: &[String], wanted: &[u64; 7]) -> (u64, u64) {
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    found.iter().zip(wanted).fold((0, 0), |(lost, twice), (found, wanted)| {
        let found = found.trim().parse::<u64>().unwrap();
        (lost + wanted.saturating_sub(found), twice + found.saturating_sub(*wanted))
    })
}

/// Brings tenants to the first version with rows in them.
pub(crate) fn open(fleet: &Fleet) {
    // The ledger may know them from an earlier step, before they were made anew.
    fleet.run(&["migrate", "--to", CATALOG[0], "--yes", "--recreate"]).exits(0);
    for tenant in &fleet.tenants {
        fleet.ask(&tenant.id, &fill());
    }
}
