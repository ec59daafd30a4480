//! Tenants that depend on others: their start order, and the outcome of tenants whose predecessor fails.

use super::*;
use crate::model::outcome::OutcomeKind;

/// Tenants of one wave, with the tenants that each depends on, by id.
async fn dependent(direction: Direction, tenants: &[(&str, &[&str])], cap: usize) -> RunPlan {
    let members: Vec<(&str, &str)> = tenants.iter().map(|(id, _)| (*id, "s")).collect();
    let mut plan = plan_of(direction, &[(&members, FREE)], cap, cap).await;
    for (tenant, (_, on)) in plan.tenants.iter_mut().zip(tenants) {
        let depends_on = on.iter().map(|id| TenantId::from(*id)).collect();
        *tenant = Arc::new(Tenant { depends_on, ..Tenant::clone(tenant) });
    }
    plan
}

/// Starts (`+id`) and ends (`-id`) in the order of their events.
fn moments(events: &[Event]) -> Vec<String> {
    let moment = |event: &Event| match event {
        Event::AttemptStarted { tenant, .. } => Some(format!("+{tenant}")),
        Event::TenantFinished(record) => Some(format!("-{}", record.tenant)),
        _ => None,
    };
    events.iter().filter_map(moment).collect()
}

#[tokio::test(start_paused = true)]
async fn nobody_starts_before_those_it_depends_on_have_ended_and_on_the_way_back_nobody_after() {
    let tenants: [(&str, &[&str]); 4] =
        [("app", &["shared", "auth"]), ("auth", &["shared"]), ("lone", &[]), ("shared", &[])];
    for (direction, first, expected) in [
        (Direction::Up, vec![], ["shared", "auth", "app"]),
        (Direction::Down, vec!["m1", "m2"], ["app", "auth", "shared"]),
    ] {
        let database = Arc::new(Scripted::default());
        for (id, _) in tenants {
            database.set_history(id, &first);
        }
        let (stats, _, events) = run(dependent(direction, &tenants, 4).await, &database, Cancel::default()).await;
        assert_eq!((stats.verdict(), stats.finished()), (Verdict::AllAtTarget, 4), "{direction}");
        let moments = moments(&events);
        let at = |what: String| moments.iter().position(|m| *m == what).unwrap();
        for pair in expected.windows(2) {
            assert!(at(format!("-{}", pair[0])) < at(format!("+{}", pair[1])), "{direction}: {moments:?}");
        }
        assert!(at("+lone".to_owned()) < at(format!("-{}", expected[0])), "it waits for nobody: {moments:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_in_vain_are_not_started_and_told_for_whom_they_waited() {
    let tenants: [(&str, &[&str]); 5] = [
        ("top", &["middle"]),
        ("middle", &["bad", "good"]),
        ("bad", &[]),
        ("good", &[]),
        ("free", &["good", "elsewhere"]),
    ];
    let database = Arc::new(Scripted::default());
    database.act("bad", [Act::Stops(FaultClass::Syntax, PartialState::Nothing)]);
    let (stats, records, events) = run(dependent(Direction::Up, &tenants, 1).await, &database, Cancel::default()).await;
    assert_eq!(names(&records), ["not_started", "not_started", "failed", "migrated", "migrated"]);
    let waited_for = |i: usize| match &records[i].outcome {
        Outcome::NotStarted { reason: NotStarted::Dependency, waited_for: Some(other) } => other.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!((waited_for(0), waited_for(1)), ("middle".to_owned(), "bad".to_owned()));
    assert_eq!((stats.verdict(), stats.stopped), (Verdict::Failures, None), "the run itself was not stopped");
    assert!(!moments(&events).iter().any(|m| m == "+top" || m == "+middle"));
}

#[tokio::test(start_paused = true)]
async fn a_wait_reaches_over_waves_and_an_interrupted_run_says_so() {
    let mut plan = dependent(Direction::Up, &[("bad", &[]), ("late", &["bad"]), ("other", &[])], 4).await;
    let second = PlannedWave { name: "second".into(), tenants: vec![1, 2], ..plan.waves[0].clone() };
    plan.waves[0].tenants = vec![0];
    plan.waves.push(second);
    let database = Arc::new(Scripted::default());
    database.act("bad", [Act::Stops(FaultClass::Syntax, PartialState::Nothing)]);
    let (_, records, _) = run(plan, &database, Cancel::default()).await;
    assert_eq!(names(&records), ["failed", "not_started", "migrated"]);

    let cancel = Cancel::default();
    cancel.drain(NotStarted::Interrupted);
    let plan = dependent(Direction::Up, &[("a", &["b"]), ("b", &[])], 4).await;
    let (_, records, _) = run(plan, &Arc::new(Scripted::default()), cancel).await;
    for record in records {
        assert_eq!(record.outcome, NotStarted::Interrupted.outcome());
    }
}

/// A chain as long as a large fleet: no deep stack, and time linear in its length.
#[tokio::test(start_paused = true)]
async fn a_chain_of_all_tenants_is_run_link_by_link_and_falls_as_a_whole() {
    const N: usize = 3_000;
    let ids: Vec<String> = (0..N).map(|i| format!("t{i}")).collect();
    let on: Vec<Vec<&str>> = (0..N).map(|i| ids.get(i + 1).map(String::as_str).into_iter().collect()).collect();
    let tenants: Vec<(&str, &[&str])> = ids.iter().map(String::as_str).zip(on.iter().map(Vec::as_slice)).collect();
    let plan = dependent(Direction::Up, &tenants, 8).await;
    let (stats, _, events) = run(plan, &Arc::new(Scripted::default()), Cancel::default()).await;
    assert_eq!(stats.outcomes[OutcomeKind::Migrated], N);
    let expected: Vec<String> = ids.iter().rev().flat_map(|id| [format!("+{id}"), format!("-{id}")]).collect();
    assert_eq!(moments(&events), expected);

    let database = Arc::new(Scripted::default());
    database.act(&ids[N - 1], [Act::Stops(FaultClass::Syntax, PartialState::Nothing)]);
    let (stats, _, _) = run(dependent(Direction::Up, &tenants, 8).await, &database, Cancel::default()).await;
    assert_eq!((stats.failures(), stats.outstanding()), (1, N - 1));
}
