//! A careful operator who learns that a MariaDB tenant is in doubt: reads the output of `runs resolve`, inspects the
//! tenant, and types one of the printed commands.
//!
//! It never reads fleet's own tables: it knows only the program's output and the tenant's own rows.

use crate::process::{Fleet, Ran, finish};

/// The statements of a migration in order, each with the query that shows it happened and the statement that reverts
/// it.
const STATEMENTS: [(&str, &[(&str, &str)]); 4] = [
    (
        "m2_interest",
        &[
            ("accounts WHERE id = 1 AND balance = 107", "UPDATE accounts SET balance = balance - 7"),
            ("bookings WHERE why = 'm2_interest'", "DELETE FROM bookings WHERE why = 'm2_interest'"),
        ],
    ),
    (
        "m3_currency",
        &[
            (
                "information_schema.columns WHERE table_schema = database() AND column_name = 'currency'",
                "ALTER TABLE accounts DROP COLUMN currency",
            ),
            (
                "information_schema.statistics WHERE table_schema = database() AND index_name = 'ix_bookings_account'",
                "DROP INDEX ix_bookings_account ON bookings",
            ),
            ("bookings WHERE why = 'm3_currency'", "DELETE FROM bookings WHERE why = 'm3_currency'"),
            (
                "information_schema.tables WHERE table_schema = database() AND table_name = 'currencies'",
                "DROP TABLE currencies",
            ),
            ("currencies WHERE code = 'EUR'", "DELETE FROM currencies"),
        ],
    ),
    ("m4_counted", &[("bookings WHERE why = 'm4_counted'", "DELETE FROM bookings WHERE why = 'm4_counted'")]),
    (
        "m5_fees",
        &[
            ("information_schema.tables WHERE table_schema = database() AND table_name = 'fees'", "DROP TABLE fees"),
            ("fees WHERE amount = 3", "DELETE FROM fees"),
            ("accounts WHERE id = 1 AND balance = 104", "UPDATE accounts SET balance = balance + 3"),
            ("bookings WHERE why = 'm5_fees'", "DELETE FROM bookings WHERE why = 'm5_fees'"),
        ],
    ),
];

/// Settles a tenant as `runs resolve` says, and migrates it as printed there. The tenant file has been written.
pub(crate) fn settle(fleet: &Fleet, tenant: &str) {
    let told = run(fleet, &["runs", "resolve", tenant]).exits(2);
    let words: Vec<&str> = told.err.split_whitespace().collect();
    let word_before = |mark: &str| words.iter().position(|word| *word == mark).map(|at| words[at - 1]);
    let migration = word_before("(up)").unwrap_or_else(|| panic!("no migration is named: {told:?}"));
    let statements = STATEMENTS.iter().find(|(name, _)| *name == migration).unwrap().1;
    let happened = statements.iter().take_while(|(sign, _)| there(fleet, tenant, sign)).count();
    let flag = if told.err.contains("it ran as Rust code") {
        by_hand(fleet, tenant, statements, happened)
    } else {
        let in_question = word_before("may").unwrap().parse::<usize>().unwrap();
        assert!([in_question - 1, in_question].contains(&happened), "{happened} happened in {tenant}: {}", told.err);
        let flag = match happened {
            0 => "--not-applied".to_owned(),
            n if n == statements.len() => "--applied".to_owned(),
            n => format!("--resume-at {}", n + 1),
        };
        // The program's statement about this must be true.
        if let Some((_, said)) = told.err.split_once("happen: ").or_else(|| told.err.split_once("happened: ")) {
            assert_eq!(
                said.split(['\n']).next().unwrap().trim(),
                flag,
                "{happened} happened in {tenant}: {}",
                told.err
            );
        }
        flag
    };
    // Each line has a meaning, and behind it the command.
    let ways = || told.out.lines().filter_map(|line| line.trim().rsplit_once("  ")).map(|(_, command)| command);
    let way = ways().find(|way| way.ends_with(&flag)).or_else(|| ways().find(|way| way.ends_with("--resume-at K")));
    let typed = way.unwrap_or_else(|| panic!("{flag}: {}", told.out)).replace("--resume-at K", &flag);
    let settled = run(fleet, &arguments(&typed)).exits(0);
    let next = settled.out.split_once("next: ").unwrap_or_else(|| panic!("{settled:?}")).1;
    run(fleet, &arguments(next)).exits(0);
}

/// Code that ran natively has no statement to resume at: either all of it is in place, or its effects are reverted.
fn by_hand(fleet: &Fleet, tenant: &str, statements: &[(&str, &str)], happened: usize) -> String {
    let whole = happened == statements.len() && {
        // The only migration whose code may stop midway books a row for each account.
        let rows = fleet.ask(tenant, "SELECT CAST(count(*) AS char(20)) FROM bookings WHERE why = 'm4_counted'");
        statements.len() > 1 || rows[0] == crate::books::ACCOUNTS.to_string()
    };
    if whole {
        return "--applied".to_owned();
    }
    for (_, undo) in statements[..happened].iter().rev() {
        fleet.ask(tenant, undo);
    }
    "--not-applied".to_owned()
}

fn there(fleet: &Fleet, tenant: &str, sign: &str) -> bool {
    fleet.ask(tenant, &format!("SELECT CAST(count(*) AS char(20)) FROM {sign}"))[0] != "0"
}

/// A printed command as arguments, with the answer to its prompt.
fn arguments(command: &str) -> Vec<String> {
    command.split_whitespace().skip(1).chain(["--yes"]).map(str::to_owned).collect()
}

pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(fleet: &Fleet, arguments: &[S]) -> Ran {
    finish(&mut fleet.program(arguments))
}
