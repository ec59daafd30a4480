//! Tests of the selection on small fleets, and its laws on random ones.

use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::inputs::{Overrides, Variables};

fn registry(text: &str) -> Registry {
    let path = Path::new("/fleet/tenants.toml");
    Registry::parse(text, path, &Overrides::default(), &Variables::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// Ten tenants `t0` to `t9`; even ones are `pro`, the first two are in the ring `canary`, the last three on `db2`.
fn ten() -> String {
    let tenant = |i: usize| {
        let plan = if i.is_multiple_of(2) { "pro" } else { "free" };
        let ring = if i < 2 { "canary" } else { "main" };
        let server = if i < 7 { "db1" } else { "db2" };
        format!(
            "[[tenant]]\nid = \"t{i}\"\nurl = \"sqlite:t{i}.db\"\nserver = \"{server}\"\n\
             tags = {{ plan = \"{plan}\", ring = \"{ring}\" }}\n"
        )
    };
    let waves = "[[wave]]\nname = \"canary\"\ntags = { ring = \"canary\" }\nconcurrency = 1\n\
                 [[wave]]\nname = \"early\"\ntenants = [\"t0\", \"t[23]\"]\nmax_failures = 1\n";
    format!("[fleet]\nmax_failures = \"5%\"\n{waves}{}", (0..10).map(tenant).collect::<String>())
}

fn waves(selection: &Selection) -> Vec<(String, Vec<String>)> {
    let ids = |wave: &Wave| wave.tenants.iter().map(|t| t.id.to_string()).collect();
    selection.waves.iter().map(|wave| (wave.name.clone(), ids(wave))).collect()
}

fn ids(selection: &Selection) -> Vec<String> {
    selection.tenants().map(|t| t.id.to_string()).collect()
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|t| t.to_string()).collect()
}

#[test]
fn waves_take_their_first_match_and_the_rest_comes_last() {
    let selection = select(&registry(&ten()), &Filter::default()).unwrap();
    assert_eq!(
        waves(&selection),
        [
            ("canary".to_owned(), texts(&["t0", "t1"])),
            ("early".to_owned(), texts(&["t2", "t3"])),
            ("rest".to_owned(), texts(&["t4", "t5", "t6", "t7", "t8", "t9"])),
        ]
    );
    let budgets: Vec<_> = selection.waves.iter().map(|wave| wave.max_failures).collect();
    assert_eq!(budgets, ["0", "1", "5%"].map(|text| text.parse::<FailureBudget>().unwrap()));
    assert_eq!(selection.waves[0].concurrency, NonZeroUsize::new(1));
    assert_eq!((selection.len(), selection.held_back), (10, 0));
}

#[test]
fn a_stratified_wave_has_a_tenant_of_each_engine_and_server_that_no_earlier_wave_has() {
    let stratified = |rest: &str| ten().replace("tags = { ring = \"canary\" }\nconcurrency = 1", rest);
    let picked = |text: &str| {
        let selection = select(&registry(text), &Filter::default()).unwrap();
        selection.waves.iter().find(|wave| wave.name == "canary").unwrap().tenants.clone()
    };
    let names = |tenants: &[Arc<Tenant>]| tenants.iter().map(|t| t.id.to_string()).collect::<Vec<_>>();
    let two = picked(&stratified("stratified = true"));
    assert_eq!(two.iter().map(|t| &*t.server).collect::<Vec<_>>(), ["db1", "db2"]);
    // The same ones each time, whatever else the file has.
    let more = stratified("stratified = true") + "[[tenant]]\nid = \"x\"\nurl = \"postgres://h/x\"\nserver = \"db2\"\n";
    let with_x = [names(&two), texts(&["x"])].concat();
    assert_eq!(names(&picked(&more)), with_x, "another engine on a known server");
    assert_eq!(names(&picked(&stratified("tenants = [\"t0\", \"t9\"]\nstratified = true"))), ["t0", "t9"]);
    assert_eq!(names(&picked(&stratified("servers = [\"*2\"]"))), ["t7", "t8", "t9"]);
    let early = stratified("tenants = [\"nobody\"]").replace("tenants = [\"t0\", \"t[23]\"]", "stratified = true");
    let selection = select(&registry(&early), &Filter::default()).unwrap();
    assert_eq!(names(&selection.waves[0].tenants), names(&two));
}

#[test]
fn a_wave_has_its_own_order_and_a_limit_follows_it() {
    let text = ten().replace(
        "[[tenant]]\nid = \"t5\"",
        "[[wave]]\nname = \"big\"\nservers = [\"db?\"]\norder = \"tag:plan\"\n[[tenant]]\nid = \"t5\"",
    );
    let fleet = registry(&text);
    let selection = select(&fleet, &Filter::default()).unwrap();
    assert_eq!(waves(&selection)[2], ("big".to_owned(), texts(&["t5", "t7", "t9", "t4", "t6", "t8"])));
    let limit = select(&fleet, &Filter { limit: Some(5), ..Filter::default() }).unwrap();
    assert_eq!(ids(&limit), ["t0", "t1", "t2", "t3", "t5"]);
    let by_id = select(&registry(&text.replace("tag:plan", "id")), &Filter::default()).unwrap();
    assert_eq!(waves(&by_id)[2].1, texts(&["t4", "t5", "t6", "t7", "t8", "t9"]));
}

#[test]
fn an_only_wave_has_the_budget_of_the_fleet_and_empty_waves_are_dropped() {
    let filter = Filter { wave: texts(&["rest"]), ..Filter::default() };
    let selection = select(&registry(&ten()), &filter).unwrap();
    assert_eq!(selection.waves.len(), 1);
    assert_eq!(selection.waves[0].max_failures, "5%".parse().unwrap());
    assert_eq!(selection.mismatches.len(), 4);
    assert!(selection.mismatches.iter().all(|(_, why)| *why == Mismatch::Wave));
    assert_eq!(selection.held_back, 0);
}

#[test]
fn every_filter_leaves_its_reason() {
    let filter = Filter {
        tenants: texts(&["t*"]),
        exclude: texts(&["t4"]),
        tags: vec![("plan".into(), "pro".into()), ("plan".into(), "team".into()), ("ring".into(), "main".into())],
        servers: texts(&["db1"]),
        only: Some(["t2", "t8"].map(TenantId::from).into()),
        ..Filter::default()
    };
    let selection = select(&registry(&ten()), &filter).unwrap();
    assert_eq!(ids(&selection), ["t2"]);
    let why: HashMap<_, _> = selection.mismatches.iter().map(|(id, why)| (id.as_str(), why.to_string())).collect();
    assert_eq!(why["t0"], "it lacks the tag ring=main");
    assert_eq!(why["t3"], "it lacks the tag plan=pro|team");
    assert_eq!(why["t4"], "--exclude matches it");
    assert_eq!(why["t6"], "the run does not have it");
    assert_eq!(why["t8"], "it is on another server");
    assert_eq!(selection.held_back, 0);
}

#[test]
fn canaries_and_limits_hold_back_what_they_leave() {
    let fleet = registry(&ten());
    let canary = select(&fleet, &Filter { canary: true, ..Filter::default() }).unwrap();
    assert_eq!((ids(&canary), canary.held_back), (texts(&["t0", "t1"]), 8));
    let limit = select(&fleet, &Filter { limit: Some(3), ..Filter::default() }).unwrap();
    assert_eq!((ids(&limit), limit.held_back), (texts(&["t0", "t1", "t2"]), 7));
    let few = select(&fleet, &Filter { canary_percent: Some(30), ..Filter::default() }).unwrap();
    assert_eq!(few.waves.len(), 1);
    assert_eq!(few.waves[0].name, "canary");
    assert_eq!(few.len() + few.held_back, 10);
    assert!(few.len() < 10);
    let none = select(&fleet, &Filter { canary_percent: Some(0), ..Filter::default() }).unwrap();
    assert!(none.is_empty() && none.held_back == 10);
}

#[test]
fn a_word_that_fits_nothing_is_reported_with_what_was_meant() {
    let filter = Filter {
        tenants: texts(&["t1", "t11", "x*"]),
        exclude: texts(&["T2"]),
        servers: texts(&["db3"]),
        tags: vec![("plan".into(), "pr0".into())],
        ..Filter::default()
    };
    let selection = select(&registry(&ten()), &filter).unwrap();
    let shown: Vec<String> = selection.unmatched_patterns.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "--tenant t11 (did you mean t1?)",
            "--tenant x*",
            "--exclude T2 (did you mean t2?)",
            "--server db3 (did you mean db1?)",
            "--tag plan=pr0 (did you mean plan=pro?)",
        ]
    );
}

#[test]
fn a_filter_without_meaning_is_refused_with_what_there_is() {
    let fleet = registry(&ten());
    let plain = registry("[[tenant]]\nid = \"a\"\nurl = \"a.db\"");
    let error = |fleet: &Registry, filter: Filter| select(fleet, &filter).unwrap_err().to_string();
    let wave = error(&fleet, Filter { wave: texts(&["canari"]), ..Filter::default() });
    assert_eq!(wave, "--wave: there is no wave 'canari'; the waves are: canary, early, rest");
    let canary = error(&plain, Filter { canary: true, ..Filter::default() });
    assert!(canary.contains("(waves: rest)") && canary.contains("--canary-percent"), "{canary}");
    let glob = error(&fleet, Filter { exclude: texts(&["a[b"]), ..Filter::default() });
    assert!(glob.starts_with("--exclude: 'a[b'"), "{glob}");
    let both = Filter { canary: true, canary_percent: Some(5), ..Filter::default() };
    assert_eq!(select(&fleet, &both).unwrap_err(), SelectError::TwoCanaries);
}

#[test]
fn a_partition_is_written_as_in_nextest() {
    assert_eq!("hash:2/4".parse(), Ok(Partition { index: 2, of: 4 }));
    for bad in ["hash:0/4", "hash:5/4", "2/4", "hash:1/0", "hash:a/b", "slice:1/2"] {
        assert!(bad.parse::<Partition>().is_err(), "{bad}");
    }
    // bucket("acme") = 0x822b33ad87c148a0, which is 0 modulo 4.
    assert!("hash:1/4".parse::<Partition>().unwrap().contains("acme"));
}

fn random_fleet() -> impl Strategy<Value = String> {
    let tenant = (any::<bool>(), 0..3_usize);
    let wave = prop_oneof![
        Just("tags = { ring = \"r1\" }".to_owned()),
        Just("tenants = [\"t1*\"]".to_owned()),
        (0..=100_u8).prop_map(|p| format!("percent = {p}")),
        (1..5_usize).prop_map(|n| format!("count = {n}")),
    ];
    (proptest::collection::vec(tenant, 1..40), proptest::collection::vec(wave, 0..3)).prop_map(|(tenants, waves)| {
        let wave = |(i, members): (usize, &String)| format!("[[wave]]\nname = \"w{i}\"\n{members}\n");
        let tenant = |(i, (pro, ring)): (usize, &(bool, usize))| {
            let plan = if *pro { "pro" } else { "free" };
            format!(
                "[[tenant]]\nid = \"t{i}\"\nurl = \"t{i}.db\"\ntags = {{ plan = \"{plan}\", ring = \"r{ring}\" }}\n"
            )
        };
        let waves: String = waves.iter().enumerate().map(wave).collect();
        waves + &tenants.iter().enumerate().map(tenant).collect::<String>()
    })
}

fn random_filter() -> impl Strategy<Value = Filter> {
    let option = proptest::option::of::<proptest::strategy::BoxedStrategy<usize>>;
    (any::<[bool; 3]>(), option((0..=100_usize).boxed()), option((0..20_usize).boxed()), option((1..4_usize).boxed()))
        .prop_map(|([tenants, tags, exclude], percent, limit, part)| Filter {
            tenants: if tenants { texts(&["t1*", "t[2-5]"]) } else { vec![] },
            tags: if tags { vec![("plan".into(), "pro".into())] } else { vec![] },
            exclude: if exclude { texts(&["t3"]) } else { vec![] },
            canary_percent: percent.and_then(|p| u8::try_from(p).ok()),
            limit,
            partition: part.map(|i| format!("hash:{i}/3").parse().unwrap()),
            ..Filter::default()
        })
}

/// Reading and selecting take time in proportion: ten times the tenants are not a hundred times the work.
#[test]
fn a_hundred_thousand_tenants_are_read_and_selected() {
    let took = |n: usize| {
        let table = |i: usize| {
            let on = if i == 0 { String::new() } else { format!("depends_on = [\"t{:06}\"]\n", i - 1) };
            format!(
                "[[tenant]]\nid = \"t{i:06}\"\nurl = \"sqlite:d/t{i:06}.db\"\ntags = {{ k = \"v{}\" }}\n{on}",
                i % 10
            )
        };
        let text: String = (0..n).map(table).collect();
        let begun = std::time::Instant::now();
        let fleet = registry(&text);
        let filter = Filter {
            tenants: vec!["t0*".to_owned()],
            exclude: vec!["*7".to_owned()],
            tags: vec![("k".to_owned(), "v3".to_owned())],
            partition: Some("hash:1/1".parse().unwrap()),
            ..Filter::default()
        };
        let found = select(&fleet, &filter).unwrap();
        assert_eq!((ids(&found).len(), found.mismatches.len()), (n / 10, n - n / 10));
        begun.elapsed()
    };
    let (few, many) = (took(10_000), took(100_000));
    assert!(many < few * 30 + std::time::Duration::from_secs(5), "{few:?} for 10,000 and {many:?} for 100,000");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_tenant_is_there_exactly_once(text in random_fleet(), filter in random_filter()) {
        let fleet = registry(&text);
        let selection = select(&fleet, &filter).unwrap();
        let mut seen: Vec<String> = ids(&selection);
        seen.extend(selection.mismatches.iter().map(|(id, _)| id.to_string()));
        seen.sort();
        let mut all: Vec<String> = fleet.tenants.iter().map(|t| t.id.to_string()).collect();
        all.sort();
        prop_assert_eq!(seen, all);
        prop_assert!(selection.waves.iter().all(|wave| !wave.tenants.is_empty()));
    }

    #[test]
    fn the_order_is_that_of_the_waves_and_of_the_file(text in random_fleet(), filter in random_filter()) {
        let fleet = registry(&text);
        let whole = select(&fleet, &Filter::default()).unwrap();
        let part = select(&fleet, &Filter { canary_percent: None, ..filter }).unwrap();
        let taken = ids(&part);
        let expected: Vec<String> = ids(&whole).into_iter().filter(|id| taken.contains(id)).collect();
        prop_assert_eq!(taken, expected);
        let names = |s: &Selection| s.waves.iter().map(|w| w.name.clone()).collect::<Vec<_>>();
        let expected: Vec<String> = names(&whole).into_iter().filter(|name| names(&part).contains(name)).collect();
        prop_assert_eq!(names(&part), expected);
    }

    #[test]
    fn a_larger_percentage_includes_a_smaller(text in random_fleet(), a in 0..=100_u8, b in 0..=100_u8) {
        let fleet = registry(&text);
        let of = |percent| ids(&select(&fleet, &Filter { canary_percent: Some(percent), ..Filter::default() }).unwrap());
        let (small, large) = (of(a.min(b)), of(a.max(b)));
        prop_assert!(small.iter().all(|id| large.contains(id)), "{:?} {:?}", small, large);
        prop_assert!(a.max(b) == 0 || !large.is_empty());
    }

    #[test]
    fn partitions_are_disjoint_and_complete(text in random_fleet(), of in 1..5_u64) {
        let fleet = registry(&text);
        let part = |i: u64| Filter { partition: Some(Partition { index: i, of }), ..Filter::default() };
        let mut all: Vec<String> = (1..=of).flat_map(|i| ids(&select(&fleet, &part(i)).unwrap())).collect();
        all.sort();
        let mut expected = ids(&select(&fleet, &Filter::default()).unwrap());
        expected.sort();
        prop_assert_eq!(all, expected);
    }
}

#[test]
fn a_canary_alone_may_have_no_failure_unless_a_wave_or_a_flag_says_so() {
    let budget = |text: &str, filter: Filter| select(&registry(text), &filter).unwrap().waves[0].max_failures;
    let canary = || Filter { canary: true, ..Filter::default() };
    let named = |wave: &str| Filter { wave: vec![wave.to_owned()], ..Filter::default() };
    for filter in [
        canary(),
        named("canary"),
        Filter { canary_percent: Some(50), ..Filter::default() },
        Filter { tenants: vec!["t9".to_owned()], of_canary: true, ..Filter::default() },
    ] {
        assert_eq!(budget(&ten(), filter.clone()), FailureBudget::NONE, "{filter:?}");
    }
    assert_eq!(budget(&ten(), named("rest")), "5%".parse().unwrap());
    let own = ten().replace("concurrency = 1\n", "max_failures = 2\n");
    assert_eq!(budget(&own, canary()), "2".parse().unwrap());
    let path = Path::new("/fleet/tenants.toml");
    let flags = Overrides::from([("max_failures", "3")]);
    let flagged = Registry::parse(&ten(), path, &flags, &Variables::default()).unwrap();
    assert_eq!(select(&flagged, &canary()).unwrap().waves[0].max_failures, "3".parse().unwrap());
}
