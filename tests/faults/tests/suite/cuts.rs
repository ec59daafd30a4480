//! Connections that break, are reset, stall or are slow, at byte positions spread over the whole conversation of a run.
//!
//! Each tenant has a relay and a byte of its own, so that one run meets as many faults as it has tenants. The run's
//! report on each is compared with the tenant itself, over a connection that bypasses the relay; then the network is
//! repaired, and the commands that the program prints must bring every tenant to its target.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::books::{self, CATALOG};
use crate::person::{self, run};
use crate::process::{Fleet, Ran, json_file, record};
use crate::relay::{Fault, Kind, Relay, Way};
use crate::tally::{Tally, thorough};

const POSTGRES: &str = "PostgreSQL";
const SCHEMAS: &str = "PostgreSQL, schemas";
const MARIADB: &str = "MariaDB";
const MYSQL: &str = "MySQL";
const CUT: &str = "connection cut";
const RESET: &str = "connection reset";
const STALL: &str = "connection stalled";
const DELAY: &str = "connection slow";

/// The delay of each piece of data.
const SLOW: Duration = Duration::from_millis(20);

/// Maximum duration of a run, whatever its network does.
const LONGEST: Duration = Duration::from_secs(90);

/// Maximum number of rounds; none is begun after the time limit, so a busy machine injects fewer faults.
const MOST_ROUNDS: usize = 6;
const ENOUGH: Duration = Duration::from_secs(20);

/// Timeouts short enough for a test, and long enough for a busy machine.
const HEAD: &str = "[fleet]\nconcurrency = 12\nper_server = 12\nconnect_timeout = \"3s\"\nlock_timeout = \"20s\"\n\
                    attempts = 3\nretry_pause = \"20ms\"\nlongest_pause = \"200ms\"\nhold_wait = \"5s\"\n";

/// As above, with a short silence limit. Not too short: the liveness check uses a separate connection, and the relay
/// does not count a connection that opens meanwhile.
const HEAD_FOR_STALLS: &str = "[fleet]\nconcurrency = 12\nper_server = 12\nconnect_timeout = \"3s\"\n\
                               lock_timeout = \"4s\"\nsilence_timeout = \"4s\"\nattempts = 3\nretry_pause = \"20ms\"\n\
                               longest_pause = \"200ms\"\nhold_wait = \"5s\"\n";

/// One fault on one engine, at many byte positions.
#[derive(Clone, Copy)]
struct Sweep {
    kind: Kind,
    /// Its name in the table.
    fault: &'static str,
    engine: &'static str,
    make: fn(Fleet, usize) -> Fleet,
    head: &'static str,
    /// The number of byte positions per direction in one run.
    places: usize,
    /// The number of runs, each with its own byte positions, for each of the two ways in which migrations run.
    rounds: usize,
}

/// Tenants, each with a relay. The first is for the fault-free run that is measured.
struct Net {
    fleet: Fleet,
    relays: Vec<Relay>,
    direct: Vec<String>,
    through: Vec<String>,
    head: &'static str,
}

/// The state of a tenant itself, read past its relay.
#[derive(Debug)]
struct Seen {
    history: Vec<String>,
    open_journal: bool,
}

impl Sweep {
    fn run(self) {
        let mut tally = Tally::new(self.fault, self.engine);
        let mut net = self.net();
        for native in [false, true] {
            let first = Instant::now();
            for round in 0..self.rounds {
                if round > 0 && first.elapsed() > ENOUGH {
                    break;
                }
                net.open();
                let conversation = net.measure(native);
                net.set(|i| self.fault(&conversation, i, round));
                let begun = Instant::now();
                let (ran, report) = net.migrate(native);
                let took = begun.elapsed();
                assert!(took < LONGEST, "the run was held up for {took:?}: {ran:?}");
                let injected = net.injected();
                // A number may be a digit shorter than in the measured run, and on a busy machine connections open in
                // another order: only injected faults are counted.
                assert!(injected > 0, "no fault; measured: {conversation:?}");
                (0..injected).for_each(|_| tally.fault());
                tally.report(&report);
                net.is_honest(&ran, &report);
                if let Kind::Delay(_) = self.kind {
                    assert_eq!(ran.code, Some(0), "{ran:?}");
                }
                net.recover(&report, native);
                for tenant in &net.fleet.tenants {
                    let seen = net.look(&tenant.id);
                    assert_eq!(seen.history, CATALOG, "{}", tenant.id);
                    let (lost, twice) = books::compare(&net.fleet, &tenant.id, &seen.history);
                    tally.books(lost, twice);
                }
            }
        }
        tally.close();
    }

    /// The fault of the tenant at this index, from 0.
    fn fault(&self, conversation: &[[u64; 2]], tenant: usize, round: usize) -> Fault {
        let way = if tenant.is_multiple_of(2) { Way::ToServer } else { Way::ToClient };
        let i = tenant / 2;
        let (connection, at) = place(conversation, way, (i, self.places), round);
        let connection = if let Kind::Delay(_) = self.kind { None } else { Some(connection) };
        Fault { kind: self.kind, connection, way, at, lasts: (i + round) % 2 == 1 }
    }

    fn net(self) -> Net {
        let fleet = (self.make)(Fleet::new(), 1 + 2 * self.places);
        let direct: Vec<String> = fleet.tenants.iter().map(|tenant| tenant.url.clone()).collect();
        let (mut relays, mut through) = (Vec::new(), Vec::new());
        for url in &direct {
            let (before, rest) = url.rsplit_once('@').unwrap();
            let (server, database) = rest.split_once('/').unwrap();
            let relay = Relay::to(server);
            // Half of the bytes would be those of the handshake for TLS, which a MySQL offers by itself.
            let plain = if self.engine == MYSQL { "?ssl-mode=disabled" } else { "" };
            through.push(format!("{before}@127.0.0.1:{}/{database}{plain}", relay.port));
            relays.push(relay);
        }
        Net { fleet, relays, direct, through, head: self.head }
    }
}

impl Net {
    /// Brings all tenants to their first version, whatever their state, and writes a tenant file that leads through the
    /// relays.
    fn open(&mut self) {
        for tenant in &self.fleet.tenants {
            const TABLES: [&str; 6] =
                ["accounts", "bookings", "currencies", "fees", "seaql_migrations", "fleet_journal"];
            self.fleet.ask(&tenant.id, &format!("DROP TABLE IF EXISTS {}", TABLES.join(", ")));
        }
        self.relays.iter().for_each(|relay| relay.set(None));
        self.fleet.head = String::new();
        books::open(&self.fleet);
        self.fleet.head = self.head.to_owned();
        self.lead(&self.through.clone());
        self.fleet.write();
        self.lead(&self.direct.clone());
    }

    fn lead(&mut self, urls: &[String]) {
        for (tenant, url) in self.fleet.tenants.iter_mut().zip(urls) {
            tenant.url.clone_from(url);
        }
    }

    /// Sets the faults of all tenants but the first.
    fn set(&self, fault: impl Fn(usize) -> Fault) {
        for (i, relay) in self.relays[1..].iter().enumerate() {
            relay.set(Some(fault(i)));
        }
    }

    /// The bytes of each connection of a fault-free run.
    fn measure(&self, native: bool) -> Vec<[u64; 2]> {
        let mut arguments = vec!["migrate", "--yes", "--no-preflight", "--tenant", &self.fleet.tenants[0].id];
        arguments.extend(native.then_some("--native"));
        run(&self.fleet, &arguments).exits(0);
        assert_eq!(self.look(&self.fleet.tenants[0].id).history, CATALOG, "the run ended in success");
        let passed = self.relays[0].passed();
        assert!(passed.iter().flatten().sum::<u64>() > 1_000, "nothing went through the relay: {passed:?}");
        passed
    }

    /// The number of relays that passed their byte; the last bytes of a run may still be in transit when it has ended.
    fn injected(&self) -> usize {
        let count = || self.relays.iter().filter(|relay| relay.reached()).count();
        for _ in 0..10 {
            if count() + 1 < self.relays.len() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        count()
    }

    fn look(&self, id: &str) -> Seen {
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_name = 'fleet_journal'";
        let here = if self.direct[0].starts_with("postgres") { "current_schema()" } else { "database()" };
        let query = format!("SELECT version FROM seaql_migrations UNION ALL {tables} AND table_schema = {here}");
        let mut history = self.fleet.ask(id, &query);
        history.sort();
        let has_journal = history.first().is_some_and(|first| first == "fleet_journal");
        if has_journal {
            history.remove(0);
        }
        let open_journal = has_journal && !self.fleet.ask(id, "SELECT migration FROM fleet_journal").is_empty();
        Seen { history, open_journal }
    }

    /// Migrates all tenants but the first.
    fn migrate(&self, native: bool) -> (Ran, Value) {
        let but = ["--exclude", &self.fleet.tenants[0].id];
        let mut arguments = vec!["migrate", "--yes", "--no-preflight", "--report", "json=run.json"];
        arguments.extend(but);
        arguments.extend(native.then_some("--native"));
        let ran = run(&self.fleet, &arguments);
        let report = self.fleet.path("run.json");
        assert!(report.exists(), "{ran:?}");
        (ran, json_file(&report))
    }

    /// Compares the report of a run with the tenants themselves.
    fn is_honest(&self, ran: &Ran, report: &Value) {
        let tenants = report["tenants"].as_array().unwrap();
        let is_well = |record: &Value| record["outcome"] == "migrated" || record["outcome"] == "up_to_date";
        assert_eq!(ran.code == Some(0), tenants.iter().all(is_well), "{ran:?}");
        assert!([Some(0), Some(100)].contains(&ran.code), "{ran:?}");
        for record in tenants {
            let id = record["tenant"].as_str().unwrap();
            let seen = self.look(id);
            let lines: Vec<&str> = ran.err.lines().filter(|line| line.contains(id)).collect();
            let told = format!("{id} says {seen:?}, and the report says {record:#}\n{}", lines.join("\n"));
            let committed: Vec<&str> = strings(&record["committed"]);
            let has_come: Vec<&str> = seen.history[1..].iter().map(String::as_str).collect();
            if record["outcome"] == "in_doubt" {
                assert!(has_come.starts_with(&committed), "{told}");
                continue;
            }
            // The report on such a tenant allows no other state.
            assert_eq!(has_come, committed, "{told}");
            assert_eq!(seen.history == CATALOG, is_well(record), "{told}");
            assert!(!seen.open_journal, "{told}");
            assert_eq!(books::compare(&self.fleet, id, &seen.history), (0, 0), "{told}");
            if record["version_known"] == true {
                assert_eq!(record["version"].as_str(), seen.history.last().map(String::as_str), "{told}");
            }
        }
    }

    /// Repairs the network and runs the printed commands until every tenant is at its target.
    fn recover(&self, report: &Value, native: bool) {
        self.relays.iter().for_each(Relay::mend);
        let run_id = report["run"].as_str().unwrap();
        let mut arguments = vec!["runs", "resume", run_id, "--yes", "--report", "json=resumed.json"];
        arguments.extend(native.then_some("--native"));
        let resumed = run(&self.fleet, &arguments);
        let file = self.fleet.path("resumed.json");
        let resumed = file.exists().then(|| {
            let report = json_file(&file);
            std::fs::remove_file(&file).unwrap();
            self.is_honest_again(&resumed, &report);
            report
        });
        for record_before in report["tenants"].as_array().unwrap() {
            let id = record_before["tenant"].as_str().unwrap();
            if !self.look(id).open_journal {
                continue;
            }
            let last = resumed.as_ref().filter(|report| has(report, id)).map_or(record_before, |r| record(r, id));
            assert_eq!(last["outcome"], "in_doubt", "{id} has an open journal: {last:#}");
            person::settle(&self.fleet, id);
        }
        let (ran, _) = self.migrate(native);
        ran.exits(0);
    }

    /// As [`Net::is_honest`], for a run that starts midway.
    fn is_honest_again(&self, ran: &Ran, report: &Value) {
        for record in report["tenants"].as_array().unwrap() {
            let history = self.look(name(record)).history;
            let is_well = record["outcome"] == "migrated" || record["outcome"] == "up_to_date";
            assert_eq!(history == CATALOG, is_well, "{record:#}\n{ran:?}");
        }
    }
}

fn name(record: &Value) -> &str {
    record["tenant"].as_str().unwrap()
}

fn has(report: &Value, id: &str) -> bool {
    report["tenants"].as_array().unwrap().iter().any(|record| name(record) == id)
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// The connection, and the byte in it, of position `i` of `n`, spread evenly over all data in one direction; each round
/// uses bytes between those of the rounds before it.
fn place(conversation: &[[u64; 2]], way: Way, (i, n): (usize, usize), round: usize) -> (usize, u64) {
    const EIGHTHS: [u64; MOST_ROUNDS] = [0, 4, 2, 6, 1, 5];
    let all: u64 = conversation.iter().map(|passed| passed[way as usize]).sum();
    let (i, n) = (i as u64, n as u64);
    let mut at = if round == 0 { all * i / (n - 1) } else { all * (8 * i + EIGHTHS[round]) / (8 * n) };
    for (number, passed) in conversation.iter().enumerate() {
        let here = passed[way as usize];
        if at <= here {
            return (number, at);
        }
        at -= here;
    }
    unreachable!("it is at most the sum")
}

/// By default at a coarse step, so that this whole file takes a minute; otherwise at up to six times as many positions.
fn sweep(kind: Kind, fault: &'static str, engine: &'static str) -> Sweep {
    let rounds = if thorough() { MOST_ROUNDS } else { 1 };
    let (make, places): (fn(Fleet, usize) -> Fleet, usize) = match engine {
        // Each position is a database that is created and dropped, which takes as long as all the rest.
        POSTGRES => (Fleet::postgres, 4),
        SCHEMAS => (Fleet::schemas, 4),
        MYSQL => (Fleet::mysql_where_there, 4),
        _ => (Fleet::mariadb, 6),
    };
    match kind {
        Kind::Cut | Kind::Reset => Sweep { kind, fault, engine, make, head: HEAD, places, rounds },
        // A delay has no position, and always applies.
        Kind::Delay(_) => Sweep { kind, fault, engine, make, head: HEAD, places: 2, rounds: 1 },
        Kind::Stall => Sweep { kind, fault, engine, make, head: HEAD_FOR_STALLS, places, rounds },
    }
}

#[test]
fn postgres_connections_are_cut() {
    sweep(Kind::Cut, CUT, POSTGRES).run();
}

#[test]
fn postgres_schema_connections_are_cut() {
    sweep(Kind::Cut, CUT, SCHEMAS).run();
}

#[test]
fn postgres_connections_are_reset() {
    sweep(Kind::Reset, RESET, POSTGRES).run();
}

#[test]
fn mariadb_connections_are_cut() {
    sweep(Kind::Cut, CUT, MARIADB).run();
}

#[test]
fn mariadb_connections_are_reset() {
    sweep(Kind::Reset, RESET, MARIADB).run();
}

#[test]
fn postgres_connections_stall() {
    sweep(Kind::Stall, STALL, POSTGRES).run();
}

#[test]
fn postgres_schema_connections_stall() {
    sweep(Kind::Stall, STALL, SCHEMAS).run();
}

#[test]
fn mariadb_connections_stall() {
    sweep(Kind::Stall, STALL, MARIADB).run();
}

#[test]
fn postgres_connections_are_slow() {
    sweep(Kind::Delay(SLOW), DELAY, POSTGRES).run();
}

#[test]
fn mariadb_connections_are_slow() {
    sweep(Kind::Delay(SLOW), DELAY, MARIADB).run();
}

mod mysql {
    use super::*;

    #[test]
    fn connections_are_cut() {
        sweep(Kind::Cut, CUT, MYSQL).run();
    }

    #[test]
    fn connections_are_reset() {
        sweep(Kind::Reset, RESET, MYSQL).run();
    }

    #[test]
    fn connections_stall() {
        sweep(Kind::Stall, STALL, MYSQL).run();
    }

    #[test]
    fn connections_are_slow() {
        sweep(Kind::Delay(SLOW), DELAY, MYSQL).run();
    }

    #[test]
    fn settlements_that_are_lost_are_not_called_undone() {
        settlements_that_are_lost(MYSQL);
    }
}

#[test]
fn mariadb_settlements_that_are_lost_are_not_called_undone() {
    settlements_that_are_lost(MARIADB);
}

/// An operator's word on a tenant in doubt is a change like any other: if its answer is lost, fleet must not claim that
/// nothing was changed.
fn settlements_that_are_lost(engine: &'static str) {
    let head = "[fleet]\nconnect_timeout = \"1s\"\nlock_timeout = \"1s\"\n";
    let mut net = Sweep { places: 0, head, ..sweep(Kind::Stall, STALL, engine) }.net();
    net.open();
    let id = net.fleet.tenants[0].id.clone();
    let settle = ["runs", "resolve", &id, "--not-applied", "--yes"];
    let begun = "INSERT INTO fleet_journal VALUES (1, 'm2_interest', 'up', NULL, 'running', '', 'r', 0)";
    // Its first migration has left an empty journal there.
    net.fleet.ask(&id, begun);
    net.relays[0].set(None);
    run(&net.fleet, &settle).exits(0);
    let conversation = net.relays[0].passed();
    let (mut settled, mut undone) = (0, 0);
    // The distance from the end: the change and its answer come last, before the connection's close.
    let cuts: [(Way, Kind, &[u64]); 3] = [
        (Way::ToServer, Kind::Cut, &[1, 5, 6, 60, 200, u64::MAX]),
        (Way::ToClient, Kind::Cut, &[1, 8, 11, 20, 44, 60, u64::MAX]),
        (Way::ToClient, Kind::Stall, &[8, 200]),
    ];
    assert_eq!(conversation.len(), 1, "one session does all of it");
    for (way, kind, places) in cuts {
        for back in places {
            if !net.look(&id).open_journal {
                net.fleet.ask(&id, begun);
            }
            let at = conversation[0][way as usize].saturating_sub(*back);
            net.relays[0].set(Some(Fault { kind, connection: Some(0), way, at, lasts: false }));
            let begun = Instant::now();
            let ran = run(&net.fleet, &settle);
            assert!(begun.elapsed() < LONGEST, "{ran:?}");
            net.relays[0].mend();
            let is_open = net.look(&id).open_journal;
            let told = format!("{way:?} at {at} of {conversation:?}, still open: {is_open}: {ran:?}");
            if ran.code == Some(0) {
                assert!(!is_open, "{told}");
            } else if ran.err.contains("nothing was changed") {
                assert!(is_open, "{told}");
                undone += 1;
            } else {
                assert!(ran.err.contains(&format!("look again with `faults runs resolve {id}`")), "{told}");
                settled += usize::from(!is_open);
            }
        }
    }
    assert!(settled > 0 && undone > 0, "{settled} settled although the answer was lost, {undone} not");
}

/// The reverse of a silence limit: a working server is silent too.
#[test]
fn servers_that_work_for_long_are_waited_for() {
    let mut fleet = Fleet::new().postgres(1).mariadb(1).mysql_where_there(1);
    books::open(&fleet);
    // Twenty rows per statement, or natively twenty statements of one row: two seconds either way.
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END'; \
                CREATE TRIGGER slow BEFORE INSERT ON bookings FOR EACH ROW EXECUTE FUNCTION slow()";
    fleet.ask("pg-000", slow);
    for tenant in fleet.tenants.iter().filter(|tenant| tenant.id.starts_with("my")) {
        fleet.ask(&tenant.id, "CREATE TRIGGER slow BEFORE INSERT ON bookings FOR EACH ROW DO SLEEP(0.1)");
    }
    fleet.head = "[fleet]\nsilence_timeout = \"500ms\"\n".to_owned();
    fleet.run(&["migrate", "--yes", "--report", "json=run.json"]).exits(0);
    let report = json_file(&fleet.path("run.json"));
    for id in fleet.tenants.iter().map(|tenant| &*tenant.id) {
        let record = record(&report, id);
        assert_eq!(record["attempts"], 1, "{record:#}");
        assert!(record["duration_ms"].as_u64().unwrap() > 6_000, "{record:#}");
        assert_eq!(books::audit(&fleet, id), (0, 0));
    }
}
