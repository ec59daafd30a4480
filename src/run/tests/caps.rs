//! The caps of a wave: tenants at work in it at once, and on one of its servers.

use std::collections::HashMap;

use super::*;

/// The most tenants at work at once by wave, and by wave and server, from the first attempt of each to its outcome.
#[derive(Default)]
struct Most {
    waves: HashMap<String, usize>,
    servers: HashMap<(String, String), usize>,
}

fn most(plan: &RunPlan, events: &[Event]) -> Most {
    let (mut at_work, mut most) = (Vec::<usize>::new(), Most::default());
    let wave_of = |index: usize| plan.waves.iter().find(|wave| wave.tenants.contains(&index)).unwrap().name.clone();
    for event in events {
        match event {
            Event::AttemptStarted { index, attempt: 1, .. } => at_work.push(*index),
            Event::TenantFinished(record) => at_work.retain(|index| *index != record.index),
            _ => continue,
        }
        let (mut waves, mut servers) = (HashMap::<_, usize>::new(), HashMap::<_, usize>::new());
        for &index in &at_work {
            *waves.entry(wave_of(index)).or_default() += 1;
            *servers.entry((wave_of(index), plan.tenants[index].server.to_string())).or_default() += 1;
        }
        for (wave, now) in waves {
            let most = most.waves.entry(wave).or_default();
            *most = now.max(*most);
        }
        for (server, now) in servers {
            let most = most.servers.entry(server).or_default();
            *most = now.max(*most);
        }
    }
    most
}

/// Three waves of this many tenants over three servers.
async fn fleet(sizes: [usize; 3], cap: usize, per_server: usize) -> RunPlan {
    let names: Vec<Vec<(String, String)>> = sizes
        .iter()
        .enumerate()
        .map(|(wave, n)| (0..*n).map(|i| (format!("t{wave}-{i}"), format!("s{}", i % 3))).collect())
        .collect();
    let members: Vec<Vec<(&str, &str)>> =
        names.iter().map(|wave| wave.iter().map(|(id, server)| (id.as_str(), server.as_str())).collect()).collect();
    let waves: Vec<(&[(&str, &str)], FailureBudget)> = members.iter().map(|wave| (wave.as_slice(), FREE)).collect();
    plan_of(Direction::Up, &waves, cap, per_server).await
}

async fn conducted(plan: RunPlan) -> (RunPlan, Most) {
    let again = fleet(sizes(&plan), 1, 1).await;
    let db = Arc::new(Scripted { takes: Duration::from_millis(5), ..Scripted::default() });
    let (stats, _, events) = run(plan, &db, Cancel::default()).await;
    assert_eq!(stats.outcomes[OutcomeKind::Migrated], again.tenants.len());
    let most = most(&again, &events);
    (again, most)
}

fn sizes(plan: &RunPlan) -> [usize; 3] {
    std::array::from_fn(|wave| plan.waves[wave].tenants.len())
}

#[tokio::test(start_paused = true)]
async fn a_wave_is_as_wide_as_its_own_caps_and_those_of_the_run_allow() {
    let mut plan = fleet([9, 9, 9], 6, 4).await;
    plan.waves[0].concurrency = NonZeroUsize::new(1);
    plan.waves[1].per_server = NonZeroUsize::new(1);
    // Wider than the run: that is the cap.
    (plan.waves[2].concurrency, plan.waves[2].per_server) = (NonZeroUsize::new(8), NonZeroUsize::new(8));
    let (_, most) = conducted(plan).await;
    assert_eq!(["w0", "w1", "w2"].map(|wave| most.waves[wave]), [1, 3, 6]);
    let of = |wave: &str| ["s0", "s1", "s2"].map(|server| most.servers[&(wave.to_owned(), server.to_owned())]);
    assert_eq!([of("w0"), of("w1")], [[1; 3]; 2]);
    assert!(of("w2").iter().any(|most| *most > 1) && of("w2").iter().all(|most| *most <= 4), "{:?}", of("w2"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_caps_of_waves_hold_and_are_used(
        sizes in prop::array::uniform3(0_usize..12), (cap, per_server) in (1_usize..8, 1_usize..5),
        own in prop::array::uniform3((prop::option::of(1_usize..6), prop::option::of(1_usize..4)))
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (plan, most) = runtime.block_on(async {
            let mut plan = fleet(sizes, cap, per_server).await;
            for (wave, (concurrency, per_server)) in plan.waves.iter_mut().zip(own) {
                wave.concurrency = concurrency.and_then(NonZeroUsize::new);
                wave.per_server = per_server.and_then(NonZeroUsize::new);
            }
            conducted(plan).await
        });
        for ((wave, (concurrency, of_server)), n) in plan.waves.iter().zip(own).zip(sizes) {
            let of_server = of_server.unwrap_or(per_server).min(per_server);
            let on = |server: usize| (n + 2 - server) / 3;
            let wanted = (0..3).map(|server| on(server).min(of_server)).sum::<usize>().min(concurrency.unwrap_or(cap)).min(cap);
            prop_assert_eq!(most.waves.get(&wave.name).copied().unwrap_or(0), wanted, "wave {}", &wave.name);
            for server in ["s0", "s1", "s2"] {
                let now = most.servers.get(&(wave.name.clone(), server.to_owned())).copied().unwrap_or(0);
                prop_assert!(now <= of_server, "{now} on {server} in wave {}", &wave.name);
            }
        }
    }
}
