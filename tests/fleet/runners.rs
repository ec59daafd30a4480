//! Several runners on one run: `migrate --enqueue` and `work`, on a ledger on PostgreSQL and tenants on three engines.
//!
//! Runners are killed and frozen: nothing is applied twice, each tenant has one outcome, and caps, as the servers see them, and
//! budgets hold over all of them. `FLEET_TEST_RUNNERS=full` has the long form: 300 tenants, 20 times; a number has it so often.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::crash_points::{content, dies_at, moments, points, resolve, scripted};
use crate::support::{
    Fleet, Ran, all, count, finish, mariadb_url, postgres_url, record, signal, sql, until, wait, with,
};

/// Up to the last migration before those in batches, which no engine can roll back as a whole; scripts come behind all.
const ENQUEUE: [&str; 3] = ["migrate", "--enqueue", "--yes"];

fn is_full() -> bool {
    times() > 1
}

/// The rounds of a test: one in the short form.
fn times() -> u64 {
    let form = std::env::var("FLEET_TEST_RUNNERS").unwrap_or_default();
    if form == "full" { 20 } else { form.parse().unwrap_or(1) }
}

/// A fleet whose ledger is on PostgreSQL, with its URL.
fn shared(head: &str, fleet: Fleet) -> (Fleet, String) {
    let mut fleet = fleet;
    let ledger = fleet.database("postgres", "ledger");
    fleet.head = format!("[fleet]\nledger = '{ledger}'\nretry_pause = \"20ms\"\n{head}");
    fleet.write();
    (fleet, ledger)
}

/// Enqueues a run; returns its id.
#[track_caller]
fn enqueued(fleet: &Fleet, more: &[&str]) -> String {
    let ran =
        fleet.run(&[&ENQUEUE[..], more].concat()).exits(0).tells(&["is enqueued", "nothing was touched yet", "work "]);
    ran.err.split_once("run ").unwrap().1.split(' ').next().unwrap().to_owned()
}

fn runner(fleet: &Fleet, more: &[&str]) -> Child {
    fleet.program(&[&["work"], more].concat()).spawn().unwrap()
}

fn outcomes(ledger: &str) -> usize {
    sql(ledger, "SELECT count(*)::text FROM fleet_outcome")[0].parse().unwrap()
}

fn shown(fleet: &Fleet, run: &str) -> Value {
    finish(&mut fleet.program(&["runs", "show", run, "--all", "--format", "json"])).exits(0).json()
}

/// The most tenants at once on the databases of a fleet, by server, as the servers tell it themselves.
struct Watched {
    stop: Arc<AtomicBool>,
    task: std::thread::JoinHandle<(usize, usize)>,
}

impl Watched {
    fn begin(fleet: &Fleet, ledger: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, prefix) = (stop.clone(), fleet.unique(""));
        let ledger = ledger.rsplit('/').next().unwrap().to_owned();
        let task = std::thread::spawn(move || {
            // Statements of tenants that are at work: a session that was closed may be listed for a moment still, and others look.
            let on_postgres = format!(
                "SELECT count(DISTINCT split_part(application_name, ':', 2))::text FROM pg_stat_activity WHERE starts_with(datname, '{prefix}') AND \
                 datname <> '{ledger}' AND state = 'active' AND wait_event = 'PgSleep'"
            );
            let on_mariadb = format!(
                "SELECT CAST(count(DISTINCT db) AS char) FROM information_schema.processlist WHERE db LIKE '{prefix}%' AND state = \
                 'User sleep'"
            );
            let (mut postgres, mut mariadb) = (0, 0);
            while !stopped.load(Ordering::Relaxed) {
                postgres = postgres.max(sql(&postgres_url(), &on_postgres)[0].parse().unwrap());
                mariadb = mariadb.max(sql(&mariadb_url(), &on_mariadb)[0].parse().unwrap());
                std::thread::sleep(Duration::from_millis(20));
            }
            (postgres, mariadb)
        });
        Watched { stop, task }
    }

    fn end(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.join().unwrap()
    }
}

/// A fleet with a script behind all others at which a tenant is seen to be at work.
fn seen(fleet: Fleet) -> Fleet {
    let fleet = scripted(fleet);
    std::fs::write(fleet.path("sql/0009_wait.sqlite.sql"), "SELECT 1;").unwrap();
    std::fs::write(fleet.path("sql/0009_wait.postgres.sql"), "SELECT pg_sleep(0.1);").unwrap();
    std::fs::write(fleet.path("sql/0009_wait.mysql.sql"), "DO SLEEP(0.1);").unwrap();
    fleet
}

/// Choices that a seed makes.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % end as u64).unwrap()
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(self.below(20) as u64));
    }
}

/// Three runners to the end of a run, of which one is killed and one is frozen for longer than its lease, at moments in the time
/// in which the first of these outcomes come.
fn three(fleet: &Fleet, (run, ledger): (&str, &str), first: usize, chance: &mut Chance) -> Vec<Ran> {
    let mut runners: Vec<Child> = (0..3).map(|_| runner(fleet, &[run, "--slots", "3"])).collect();
    let (killed, frozen, at) = (chance.below(3), chance.below(2), chance.below(first));
    until("the moment to kill", || outcomes(ledger) > at);
    chance.pause();
    let mut dead = runners.remove(killed);
    dead.kill().unwrap();
    dead.wait().unwrap();
    until("the moment to freeze", || outcomes(ledger) > at + 1);
    chance.pause();
    signal(&runners[frozen], "STOP");
    std::thread::sleep(Duration::from_millis(2_500));
    signal(&runners[frozen], "CONT");
    runners.into_iter().map(wait).collect()
}

fn told(ended: &[Ran]) -> String {
    ended.iter().map(|ran| format!("{}\n{}", ran.out, ran.err)).collect::<Vec<_>>().join("\n---\n")
}

/// Settles a tenant on MariaDB in whose statement a process died.
fn settle(fleet: &Fleet, id: &str) {
    let told = fleet.run(&["runs", "resolve", id]).exits(2).err;
    if told.contains("0009_wait") {
        // It changes nothing.
        fleet.run(&["runs", "resolve", id, "--applied", "--yes"]).exits(0);
    } else {
        resolve(fleet, id);
    }
}

/// What a tenant of each engine has when nothing disturbed it.
fn whole() -> BTreeMap<&'static str, Vec<String>> {
    let reference = seen(Fleet::new().sqlite(1).schemas(1).mariadb(1)).head("[fleet]\nscripts = \"sql\"\n");
    reference.run(&["migrate", "--yes"]).exits(0);
    ["lite", "schema", "my"].map(|kind| (kind, content(&reference, &format!("{kind}-000")))).into()
}

/// Three runners, of which one is killed and one is frozen for longer than its lease. Returns the ids of those in doubt.
fn disturbed(each: usize, whole: &BTreeMap<&str, Vec<String>>, mut chance: Chance) {
    let fleet = seen(Fleet::new().sqlite(each).schemas(each).mariadb(each));
    let head = "scripts = \"sql\"\nconcurrency = 6\nper_server = 2\nlease = \"1500ms\"\n";
    let (fleet, ledger) = shared(head, fleet);
    let run = enqueued(&fleet, &[]);
    assert!(fleet.tenants.iter().all(|tenant| fleet.history(&tenant.id).is_none()), "enqueueing touched a tenant");
    let watched = Watched::begin(&fleet, &ledger);
    let ended = three(&fleet, (&run, &ledger), each, &mut chance);
    let (postgres, mariadb) = watched.end();
    assert!(postgres <= 2 && mariadb <= 2, "{postgres} and {mariadb} at once\n{}", told(&ended));
    let (shown, tenants) = (shown(&fleet, &run), 3 * each);
    assert_eq!(outcomes(&ledger), tenants, "{}", told(&ended));
    assert_eq!(shown["tenants"].as_array().unwrap().len(), tenants);
    assert_eq!(sql(&ledger, "SELECT count(*)::text FROM fleet_claim"), ["0"]);
    // A statement on MariaDB in which a process died is a person's business.
    let in_doubt = with(&shown, "in_doubt");
    assert!(in_doubt.iter().all(|id| id.starts_with("my-")), "{in_doubt:?}\n{}", told(&ended));
    assert_eq!(count(&shown, "migrated") + count(&shown, "up_to_date") + in_doubt.len(), tenants, "{shown:#}");
    for ran in &ended {
        assert_eq!(ran.code, Some(if in_doubt.is_empty() { 0 } else { 100 }), "{}\n{}", ran.out, ran.err);
    }
    let names: BTreeSet<&str> =
        shown["tenants"].as_array().unwrap().iter().filter_map(|t| t["runner"].as_str()).collect();
    assert!((2..=3).contains(&names.len()), "each outcome says its runner: {names:?}");
    if !in_doubt.is_empty() {
        in_doubt.iter().for_each(|id| settle(&fleet, id));
        fleet.run(&["migrate", "--yes"]).exits(0);
    }
    for tenant in &fleet.tenants {
        let kind = tenant.id.split('-').next().unwrap();
        assert_eq!(
            content(&fleet, &tenant.id),
            whole[kind],
            "{}: something is missing, or was applied twice",
            tenant.id
        );
    }
}

#[test]
fn three_runners_of_which_one_is_killed_and_one_frozen_leave_no_trace() {
    let (whole, each) = (whole(), if is_full() { 100 } else { 10 });
    rounds(|chance| disturbed(each, &whole, chance));
}

/// The rounds of a test, each with other choices.
#[expect(clippy::print_stderr, reason = "the seed, for whoever wants the same choices again")]
fn rounds(round: impl Fn(Chance)) {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let seed = std::env::var("FLEET_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| u64::from(clock));
    for seed in seed..seed + times() {
        eprintln!("the seed is {seed}; FLEET_TEST_SEED={seed} makes the same choices");
        let begun = Instant::now();
        round(Chance(seed));
        eprintln!("held, after {:?}", begun.elapsed());
    }
}

/// Every second tenant fails, behind which the budget is spent. One whose runner was killed within a step without a
/// transaction is in doubt, and counts.
#[test]
fn a_budget_is_strict_over_runners_that_are_killed_and_frozen() {
    let each = if is_full() { 150 } else { 12 };
    rounds(|mut chance| {
        let mut fleet = Fleet::new().sqlite(each).schemas(each);
        let failing = |id: &str| id.ends_with(['1', '3', '5', '7', '9']);
        for id in fleet.tenants.iter().map(|tenant| tenant.id.clone()).filter(|id| failing(id)).collect::<Vec<_>>() {
            fleet.ask(&id, "CREATE TABLE users (id int)");
        }
        fleet.head = String::new();
        let budget = each / 2;
        let head =
            format!("concurrency = 6\nper_server = 3\nattempts = 1\nlease = \"1500ms\"\nmax_failures = \"{budget}\"\n");
        let (fleet, ledger) = shared(&head, fleet);
        let run = enqueued(&fleet, &[]);
        let ended = three(&fleet, (&run, &ledger), budget / 2, &mut chance);
        let shown = shown(&fleet, &run);
        let of = |outcome| count(&shown, outcome);
        assert_eq!(of("failed") + of("in_doubt"), budget + 1, "{shown:#}\n{}", told(&ended));
        let rest = of("not_started") + of("migrated") + of("up_to_date");
        assert_eq!((outcomes(&ledger), rest), (2 * each, 2 * each - budget - 1), "{shown:#}\n{}", told(&ended));
        assert!(ended.iter().all(|ran| ran.code == Some(101)), "{}", told(&ended));
        assert!(with(&shown, "not_started").iter().all(|id| fleet.history(id).is_none()));
        assert!(with(&shown, "failed").iter().all(|id| failing(id)));
    });
}

#[test]
fn the_cap_of_a_server_holds_over_all_runners() {
    let each = if is_full() { 100 } else { 12 };
    let fleet = Fleet::new().schemas(each).mariadb(each);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0001_wait.postgres.sql"), "SELECT pg_sleep(0.4);").unwrap();
    std::fs::write(fleet.path("sql/0001_wait.mysql.sql"), "DO SLEEP(0.4);").unwrap();
    let (fleet, ledger) = shared("scripts = \"sql\"\nconcurrency = 12\nper_server = 2\n", fleet);
    let run = enqueued(&fleet, &[]);
    let watched = Watched::begin(&fleet, &ledger);
    let runners: Vec<Child> = (0..3).map(|_| runner(&fleet, &["--slots", "8"])).collect();
    for ran in runners.into_iter().map(wait) {
        ran.exits(0).shows(&[&format!("{} migrated", 2 * each)]);
    }
    let (postgres, mariadb) = watched.end();
    assert!((1..=2).contains(&postgres) && (1..=2).contains(&mariadb), "{postgres} and {mariadb} at once");
    let shown = shown(&fleet, &run);
    assert_eq!(count(&shown, "migrated"), 2 * each);
    // One that starts late finds nothing left.
    assert!((2..=3).contains(&shown["runners"].as_array().unwrap().len()), "{shown:#}");
}

#[test]
fn a_budget_is_strict_over_all_runners() {
    let mut fleet = Fleet::new().sqlite(30);
    for n in 0..30 {
        fleet.ask(&format!("lite-{n:03}"), "CREATE TABLE users (id int)");
    }
    fleet.head = String::new();
    let (fleet, ledger) = shared("concurrency = 12\nattempts = 1\nmax_failures = \"3\"\n", fleet);
    let run = enqueued(&fleet, &[]);
    let runners: Vec<Child> = (0..3).map(|_| runner(&fleet, &["--slots", "8"])).collect();
    for ran in runners.into_iter().map(wait) {
        ran.exits(101).shows(&["not started"]);
    }
    let shown = shown(&fleet, &run);
    assert_eq!((count(&shown, "failed"), count(&shown, "not_started")), (4, 26), "{shown:#}");
    assert_eq!(outcomes(&ledger), 30);
    let untouched = with(&shown, "not_started");
    assert!(untouched.iter().all(|id| fleet.history(id).is_none()));
}

#[test]
fn a_gate_that_fails_stops_all_runners_and_one_that_pauses_waits_for_a_person() {
    let canary = "[[wave]]\nname = \"canary\"\ntenants = [\"*-000\"]\n[wave.gate]\n";
    let (fleet, _) = shared(&format!("{canary}command = [\"false\"]\n"), Fleet::new().sqlite(4).schemas(2).mariadb(2));
    let run = enqueued(&fleet, &[]);
    let runners: Vec<Child> = (0..2).map(|_| runner(&fleet, &[&run])).collect();
    for ran in runners.into_iter().map(wait) {
        ran.exits(101).shows(&["the gate of wave canary failed"]);
    }
    let shown = shown(&fleet, &run);
    assert_eq!((count(&shown, "migrated"), count(&shown, "not_started")), (3, 5), "{shown:#}");
    assert_eq!(record(&shown, "lite-001")["reason"], "gate_failed");

    let mut fleet = fleet;
    fleet.head = fleet.head.replace("command = [\"false\"]", "then = \"pause\"");
    // What is resumed is enqueued again.
    let ran = fleet.run(&["runs", "resume", &run, "--yes"]).exits(0).tells(&["is enqueued: 5 tenants"]);
    let second = ran.err.split_once("run ").unwrap().1.split(' ').next().unwrap().to_owned();
    wait(runner(&fleet, &[])).exits(5).shows(&["the run paused behind wave canary"]);
    assert_eq!(count(&self::shown(&fleet, &second), "not_started"), 5);
    fleet.run(&["runs", "approve", &second, "--by", "Ann B.", "--yes"]).exits(0).tells(&["is enqueued: 5 tenants"]);
    let runners: Vec<Child> = (0..2).map(|_| runner(&fleet, &[])).collect();
    let codes: Vec<Ran> = runners.into_iter().map(wait).collect();
    assert!(codes.iter().any(|ran| ran.code == Some(0) && ran.out.contains("5 migrated")), "{codes:?}");
    for tenant in &fleet.tenants {
        assert_eq!(fleet.history(&tenant.id).unwrap_or_default(), all(), "{}", tenant.id);
    }
    finish(&mut fleet.program(&["runs", "show", "last"])).exits(0).shows(&["approved by Ann B."]);
}

#[test]
fn a_runner_that_dies_at_any_point_is_gone_on_with_by_another() {
    let head = "scripts = \"sql\"\nconcurrency = 2\nlease = \"1s\"\n[[wave]]\nname = \"canary\"\ntenants = [\"*-000\"]\n\
                [wave.gate]\ncommand = [\"true\"]\n";
    let fleet = || shared(head, scripted(Fleet::new().sqlite(2).schemas(2)));
    let (first, _) = fleet();
    enqueued(&first, &[]);
    let points = points(&first, &["work"], 0);
    let whole: Vec<Vec<String>> = first.tenants.iter().map(|tenant| content(&first, &tenant.id)).collect();
    for wanted in ["taken:tenant", "handed_out:tenant", "told:gate_finished", "written:tenant_finished"] {
        assert!(points.contains_key(wanted), "{points:?}");
    }
    for moment in &moments(points.iter(), 12) {
        let (fleet, ledger) = fleet();
        let run = enqueued(&fleet, &[]);
        if !dies_at(&fleet, &["work"], moment) {
            continue;
        }
        let ran = finish(&mut fleet.program(&["work", &run]));
        assert_eq!(outcomes(&ledger), 4, "{moment}");
        // The process died in a statement of a migration that has no transaction.
        let in_doubt = with(&shown(&fleet, &run), "in_doubt");
        let code = if in_doubt.is_empty() { 0 } else { 100 };
        assert_eq!(ran.code, Some(code), "{moment}\n{}\n{}", ran.out, ran.err);
        if !in_doubt.is_empty() {
            in_doubt.iter().for_each(|id| resolve(&fleet, id));
            finish(&mut fleet.program(&["migrate", "--yes"])).exits(0);
        }
        for (tenant, whole) in fleet.tenants.iter().zip(&whole) {
            assert_eq!(content(&fleet, &tenant.id), *whole, "{moment}: {}", tenant.id);
        }
    }
}

#[test]
fn a_runner_that_is_told_to_stop_ends_its_tenants_and_leaves_the_rest_to_others() {
    let (fleet, ledger) = shared("concurrency = 2\n", Fleet::new().sqlite(60));
    let run = enqueued(&fleet, &[]);
    let first = runner(&fleet, &[]);
    until("the first outcome", || outcomes(&ledger) > 0);
    signal(&first, "INT");
    wait(first).exits(130).tells(&["this runner has stopped", &format!("work {run}")]);
    let before = outcomes(&ledger);
    assert!((1..60).contains(&before), "{before}");
    assert_eq!(
        sql(&ledger, "SELECT count(*)::text FROM fleet_claim WHERE until_ms > 0"),
        ["0"],
        "all was ended or given back"
    );
    // It does not wait for a lease of a minute.
    let begun = Instant::now();
    wait(runner(&fleet, &[])).exits(0).shows(&["60 migrated"]);
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

#[test]
fn what_runners_can_not_share_is_refused_before_anything_is_touched() {
    let on_file = Fleet::new().sqlite(1);
    on_file.run(&ENQUEUE).exits(64).tells(&["needs a ledger on PostgreSQL", "--partition"]);
    on_file.run(&["work"]).exits(64).tells(&["a ledger on PostgreSQL"]);
    assert!(!on_file.path("fleet-ledger.db").exists());

    let (mut fleet, _) = shared("", Fleet::new().sqlite(3));
    fleet.run(&["work"]).exits(0).tells(&["no run waits for runners"]);
    fleet.run(&["migrate", "--enqueue", "--yes", "--deadline", "5m"]).exits(64).tells(&["deadline"]);
    let head = fleet.head.clone();
    fleet.head = format!(
        "{head}[[wave]]\nname = \"first\"\ncount = 1\n[wave.gate]\ncommand = [\"true\"]\non_failure = \"rollback_wave\"\n"
    );
    fleet.run(&ENQUEUE).exits(64).tells(&["takes its wave back"]);
    fleet.head = head.clone();
    fleet.tenant_mut("lite-001").more = "depends_on = [\"lite-000\"]".to_owned();
    fleet.run(&ENQUEUE).exits(64).tells(&["depend on others"]);
    fleet.tenant_mut("lite-001").more = String::new();
    fleet.run(&["migrate", "--yes", "--tenant", "lite-002"]).exits(0);
    fleet.run(&["work", "last"]).exits(64).tells(&["was not enqueued"]);

    // A machine that would do something else.
    let run = enqueued(&fleet, &["--lock-timeout", "2s"]);
    fleet.head = head.replace("[fleet]\n", "[fleet]\nstatement_timeout = \"9s\"\n");
    let refused = fleet.run(&["work", &run]).exits(1);
    refused.tells(&["would not do what run", "statement_timeout: 0s in the run, 9s here"]);
    fleet.head = head;
    let other = fleet.tenants.pop().unwrap();
    fleet.run(&["work", &run]).exits(1).tells(&["tenants: "]);
    fleet.tenants.push(other);
    assert!(fleet.history("lite-000").is_none());
    // The flags of the run hold for its runners.
    fleet.run(&["work", &run]).exits(0).shows(&["2 migrated"]);
    fleet.run(&["work", &run]).exits(0).shows(&["2 migrated"]);
}

/// A file of `examples/runners`.
fn example(name: &str) -> String {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/runners");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// Runs a line of a shell as a pipeline does, with the program as `fleet`.
#[track_caller]
fn piped(fleet: &Fleet, script: &str, variables: &[(&str, String)]) {
    let bin = fleet.path("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(crate::PROGRAM, bin.join("fleet")).unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).current_dir(fleet.folder.path()).env("PATH", path);
    shell.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    finish(shell.envs(variables.iter().map(|(name, value)| (*name, value)))).exits(0);
}

#[test]
fn the_partitions_of_the_book_migrate_each_tenant_once() {
    let fleet = || {
        let fleet = Fleet::new().head("[[wave]]\nname = \"canary\"\ntenants = [\"lite-000\"]\n").sqlite(40);
        fleet.write();
        fleet
    };
    let is_whole = |fleet: &Fleet, what: &str| {
        let migrated = sql(
            &format!("sqlite:{}", fleet.path("fleet-ledger.db").display()),
            "SELECT tenant FROM fleet_outcome o \
            JOIN fleet_tenant t ON t.run = o.run AND t.place = o.place WHERE o.outcome = 'migrated' ORDER BY tenant",
        );
        let ids: Vec<String> = fleet.tenants.iter().map(|tenant| tenant.id.clone()).collect();
        assert_eq!(migrated, ids, "{what}");
    };
    let line_of = |text: &str, start: &str| {
        let line = text.lines().map(str::trim).find(|line| line.starts_with(start) && line.contains("--partition"));
        line.unwrap().strip_prefix(start).unwrap().to_owned()
    };

    let kubernetes = example("kubernetes-partition.yaml");
    let script = kubernetes.split_once("            - |\n").unwrap().1;
    let script: Vec<&str> = script.lines().map_while(|line| line.strip_prefix("              ")).collect();
    let jobs: usize = kubernetes.split_once("completions: ").unwrap().1.lines().next().unwrap().parse().unwrap();
    let of_job = fleet();
    for index in 0..jobs {
        piped(&of_job, &script.join("\n"), &[("JOB_COMPLETION_INDEX", index.to_string())]);
    }
    is_whole(&of_job, "kubernetes");

    let (github, gitlab) = (example("github-actions.yaml"), example("gitlab-ci.yaml"));
    let (by_github, by_gitlab) = (fleet(), fleet());
    for of in [&by_github, &by_gitlab] {
        piped(of, "fleet migrate --yes --wave canary || [ $? = 5 ]", &[]);
    }
    assert!([&github, &gitlab].iter().all(|text| text.contains("fleet migrate --yes --wave canary || [ $? = 5 ]")));
    for part in 1..=4 {
        let line = line_of(&github, "- run: ").replace("${{ matrix.part }}", &part.to_string());
        piped(&by_github, &line, &[]);
        let variables = [("CI_NODE_INDEX", part.to_string()), ("CI_NODE_TOTAL", "4".to_owned())];
        piped(&by_gitlab, &line_of(&gitlab, "- "), &variables);
    }
    is_whole(&by_github, "github");
    is_whole(&by_gitlab, "gitlab");
}
