//! `kill -9` at random moments, again and again: the fleet ends as if nothing had happened, and the ledger tells the story.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::crash_points::{content, go_on, runs};
use crate::support::{Fleet, finish, wait_for_end};

const KILLS: usize = 20;

/// Up to the last migration before those in batches, which no engine can roll back as a whole.
const GOAL: &str = "m20250930_000001_order_sale_fields";
const MIGRATE: [&str; 4] = ["migrate", "--to", GOAL, "--yes"];

/// As many tenants as a run may finish between a line that is read and its end.
const RESERVE: usize = 12;

/// Numbers from a seed (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end.max(1) as u64).unwrap()
    }
}

/// Kills a run at a random moment: after some tenants, so that enough are left for `kills` such ends, and up to 10 ms; or
/// before it says anything. Returns whether it was alive.
fn killed(fleet: &Fleet, arguments: &[&str], kills: usize, numbers: &mut Numbers) -> bool {
    let mut child = fleet.program(arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    if numbers.below(10) > 0 {
        // `run ID: up to head, 300 tenants in 2 waves`.
        let left = |line: String| line.split_once(" tenants in ")?.0.rsplit(' ').next()?.parse().ok();
        let left: usize = lines.find_map(left).unwrap_or(0);
        let spare = left.saturating_sub(RESERVE * kills);
        let done = numbers.below(spare.min(2 * spare / kills) + 1);
        if done > 0 {
            lines.by_ref().filter(|line| line.starts_with('[')).take(done).for_each(drop);
        }
    }
    std::thread::sleep(Duration::from_millis(numbers.below(10) as u64));
    child.kill().unwrap();
    wait_for_end(&mut child).is_none()
}

#[test]
fn twenty_kills_in_a_run_of_300_tenants_leave_no_trace_but_in_the_ledger() {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    let seed = std::env::var("FLEET_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| u64::from(clock));
    eprintln!("the seed is {seed}; FLEET_TEST_SEED={seed} makes the same choices");
    let mut numbers = Numbers(seed);
    let canary = "[[wave]]\nname = \"canary\"\ncount = 6\n[wave.gate]\nsoak = \"30ms\"\ncommand = [\"true\"]\n";
    let head = format!("[fleet]\nconcurrency = 4\nretry_pause = \"20ms\"\n{canary}");
    let fleet = Fleet::new().head(&head).sqlite(244).schemas(28).mariadb(28);
    fleet.write();
    let reference = Fleet::new().sqlite(1).schemas(1).mariadb(1);
    reference.run(&MIGRATE).exits(0);

    let mut begin = true;
    for kill in (1..=KILLS).rev() {
        let arguments = if begin { &MIGRATE[..] } else { &["runs", "resume", "last", "--yes"] };
        assert!(killed(&fleet, arguments, kill, &mut numbers), "seed {seed}: it ended before kill {}", 21 - kill);
        // A run that died before it was recorded has touched nothing.
        begin = begin && runs(&fleet).is_empty();
    }
    go_on(&fleet, &format!("seed {seed}"), &MIGRATE);

    let kinds = ["lite", "schema", "my"];
    let whole: BTreeMap<&str, Vec<String>> =
        kinds.map(|kind| (kind, content(&reference, &format!("{kind}-000")))).into();
    for tenant in &fleet.tenants {
        let kind = tenant.id.split('-').next().unwrap();
        assert_eq!(content(&fleet, &tenant.id), whole[kind], "seed {seed}: {}", tenant.id);
    }

    // Each run but the first resumes the one before, as far as they are recorded, and none is left out.
    let runs = runs(&fleet);
    let mut at_target = BTreeSet::new();
    for (place, listed) in runs.iter().enumerate() {
        let id = listed["run"].as_str().unwrap();
        let before = runs.get(place + 1).map_or(&Value::Null, |run| &run["run"]);
        let shown = finish(&mut fleet.program(&["runs", "show", id, "--format", "json"])).exits(0).json();
        // The last may be the one that was given again for tenants in doubt.
        assert!(shown["resumes"] == *before || place == 0, "seed {seed}: {shown:#}");
        for tenant in shown["tenants"].as_array().unwrap() {
            if tenant["outcome"] == "migrated" {
                let is_new = at_target.insert(tenant["tenant"].as_str().unwrap().to_owned());
                assert!(is_new, "seed {seed}: {} was migrated in two runs", tenant["tenant"]);
                assert_eq!(tenant["version"], GOAL);
            }
        }
        let is_over = ["died", "resumed later"].iter().any(|status| listed["status"] == *status);
        assert!(place == 0 || is_over, "seed {seed}: {listed:#}");
    }
    assert!(runs.len() > KILLS / 2, "seed {seed}: {} runs", runs.len());
    let first = runs.last().unwrap()["run"].as_str().unwrap();
    let told = finish(&mut fleet.program(&["runs", "show", first])).exits(0);
    told.shows(&["died", "resumed by", runs[runs.len() - 2]["run"].as_str().unwrap()]);
}
