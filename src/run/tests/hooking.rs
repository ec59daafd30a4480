//! Hooks around a run, with paused time.

use std::sync::Mutex;

use super::*;
use crate::model::hook::{HookCall, HookPoint, Hooks};

/// Hooks at every place, some of which fail.
struct Noted {
    fails: Vec<HookPoint>,
    calls: Mutex<Vec<(HookPoint, Option<TenantId>)>>,
}

#[async_trait::async_trait]
impl Hooks for Noted {
    fn has(&self, _: HookPoint) -> bool {
        true
    }

    async fn call(&self, call: &HookCall) -> Result<(), String> {
        let tenant = call.tenant.as_ref().map(|tenant| tenant.tenant.clone());
        self.calls.lock().unwrap().push((call.hook, tenant));
        tokio::time::sleep(Duration::from_millis(70)).await;
        if self.fails.contains(&call.hook) { Err("scripted".to_owned()) } else { Ok(()) }
    }
}

const POINTS: [HookPoint; 6] = [
    HookPoint::BeforeRun,
    HookPoint::AfterRun,
    HookPoint::BeforeWave,
    HookPoint::AfterWave,
    HookPoint::BeforeTenant,
    HookPoint::AfterTenant,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn a_hook_in_front_stops_what_it_precedes_and_one_behind_changes_nothing(
        tenants in 1_usize..20,
        cap in 1_usize..6,
        fails in prop::collection::vec(any::<bool>(), 6),
    ) {
        let fails: Vec<HookPoint> = POINTS.into_iter().zip(fails).filter_map(|(point, fails)| fails.then_some(point)).collect();
        let fails_at = |point| fails.contains(&point);
        let hooks = Arc::new(Noted { fails: fails.clone(), calls: Mutex::default() });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (stats, records, events) = runtime.block_on(async {
            let ids: Vec<String> = (0..tenants).map(|i| format!("t{i:02}")).collect();
            let members: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), "s")).collect();
            let mut plan = plan_of(Direction::Up, &[(&members, FREE)], cap, cap).await;
            plan.hooks = Some(hooks.clone());
            run(plan, &Arc::new(Scripted::default()), Cancel::default()).await
        });
        prop_assert_eq!(records.len(), tenants, "each tenant has one outcome");
        let calls = hooks.calls.lock().unwrap();
        let called = |point: HookPoint| calls.iter().filter(|(hook, _)| *hook == point).count();
        let wanted = match () {
            () if fails_at(HookPoint::BeforeRun) || fails_at(HookPoint::BeforeWave) => Verdict::HookFailed,
            () if fails_at(HookPoint::BeforeTenant) => Verdict::Failures,
            () => Verdict::AllAtTarget,
        };
        prop_assert_eq!(stats.verdict(), wanted);
        prop_assert_eq!(called(HookPoint::BeforeRun), 1);
        prop_assert_eq!(called(HookPoint::AfterRun), usize::from(!fails_at(HookPoint::BeforeRun)));
        let touched = if wanted == Verdict::HookFailed { 0 } else { tenants };
        prop_assert_eq!(called(HookPoint::BeforeTenant), touched);
        prop_assert_eq!(called(HookPoint::AfterTenant), if wanted == Verdict::AllAtTarget { tenants } else { 0 });
        let failed = |event: &&Event| matches!(event, Event::HookFinished { error: Some(_), tenant: Some(_), .. });
        let told = if fails_at(HookPoint::AfterTenant) && wanted == Verdict::AllAtTarget { tenants } else { 0 };
        prop_assert_eq!(events.iter().filter(failed).count(), told, "each hook that failed behind a tenant is told");
        let is_last = matches!(events.last(), Some(Event::RunFinished { .. }));
        prop_assert!(is_last, "a hook is told before the end of its run");
    }
}
