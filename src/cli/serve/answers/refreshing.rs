//! The refreshes that the server begins by itself: of views at their times, and of those whose data changed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::super::listening::{Due, Listening, Taken, Wanted as Places};
use super::super::{changes, schedule};
use super::{Answers, refused};
use crate::cli::args::Selection as SelectionArgs;
use crate::cli::exit::CliError;
use crate::cli::previous_run::PreviousRun;
use crate::cli::setup::Program;
use crate::engine::{Changes, Database};
use crate::ledger::{Ledger, LedgerError};
use crate::model::clock::now_ms;
use crate::model::fault::{Fault, FaultClass};
use crate::model::outcome::{Outcome, TenantRecord};
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::RefreshGroup;
use crate::server::{Change, Refused};

/// The most tenants of one run for changes: each is a word of its command line.
const AT_ONCE: usize = 1_000;
/// The longest that the views of a time wait for a run of changed ones.
const IN_THE_WAY: Duration = Duration::from_secs(600);

/// The refreshes that the server begins by itself.
pub(in crate::cli::serve) struct Schedule {
    pub(in crate::cli::serve) listening: Listening,
    /// The most databases of one server that are listened to.
    pub(in crate::cli::serve) most: usize,
}

/// A program, and its means to reach databases.
pub(super) type Door = (Rc<Program>, Arc<dyn Database>);

impl Answers {
    /// Refreshes views at their times and for changes, for ever.
    pub(super) async fn by_itself(&self) {
        let Some(Schedule { listening, .. }) = &self.schedule else { return std::future::pending().await };
        let times = schedule::keep(now_ms, async |groups| self.refresh(groups).await);
        let look = async || self.places().await;
        let listen = async |tenant| self.listen(tenant).await;
        tokio::join!(times, listening.keep(look, listen, async |due: &Due| self.refresh_changed(due).await));
    }

    /// Refreshes the views of these groups on all tenants by one run, if there are any.
    async fn refresh(&self, groups: Vec<RefreshGroup>) {
        let refreshed = async {
            let program = self.again().await.map_err(refused)?;
            let set = program.set().await.map_err(refused)?;
            let has_views = |group: &&RefreshGroup| set.views().iter().any(|view| view.group == **group);
            let groups: Vec<String> = groups.iter().filter(has_views).map(|group| group.name().to_owned()).collect();
            if groups.is_empty() {
                return Ok(());
            }
            let reason = Some("its time".to_owned());
            let change = Change::Refresh { views: Vec::new(), groups, tenants: Vec::new(), reason };
            let _alone = tokio::time::timeout(IN_THE_WAY, self.refreshing.lock()).await;
            let made = changes::make(&program, change).await;
            self.views.forget().await;
            made.map(drop)
        };
        if let Err(why) = refreshed.await {
            let groups: Vec<&str> = groups.iter().map(|group| group.name()).collect();
            let text = format!("the {} views were not refreshed: {}", groups.join(", "), why.text());
            self.program().terminal.error(&text);
        }
    }

    /// The databases to listen to; `None`: the tenant file, a source or the scripts can't be read now.
    async fn places(&self) -> Option<Places> {
        let program = self.again().await.ok()?;
        let set = program.set().await.ok()?;
        let selection = program.select_to_show(&SelectionArgs::default()).await.ok()?;
        let most = self.schedule.as_ref()?.most;
        let door = program.door(&set);
        *self.door.borrow_mut() = Some((program, door));
        Some(Places::of(selection.tenants(), set.views(), most))
    }

    async fn listen(&self, tenant: Arc<Tenant>) -> Result<Box<dyn Changes>, Fault> {
        let unknown = || Fault::new(FaultClass::Other, "the engine tells nobody of changes");
        let (program, door) = self.door.borrow().clone().ok_or_else(unknown)?;
        let mut tenant = [tenant];
        program.registry.passwords.resolve(&mut tenant).await;
        door.listen(&tenant[0]).await?.ok_or_else(unknown)
    }

    /// Refreshes the views of the group `changes` on the first of these tenants that can be taken, by one run, and waits for its end.
    /// One that it did not get to, most of all because another run is at work on it, is not done with.
    async fn refresh_changed(&self, due: &Due) -> Taken {
        let _alone = self.refreshing.lock().await;
        let mut taken = Taken::new();
        let refreshed = self.refreshed(due, &mut taken).await;
        self.views.forget().await;
        if let Err(why) = refreshed {
            // Another run has begun meanwhile: they follow behind it.
            if !matches!(why, Refused::Conflict(_)) {
                let text = format!("the views of the group changes were not refreshed: {}", why.text());
                self.program().terminal.error(&text);
            }
            // It would be refused again, whatever is waited for.
            let is_in_vain = matches!(why, Refused::Wrong(_) | Refused::NotFound(_));
            taken.values_mut().for_each(|is_done| *is_done |= is_in_vain);
        }
        taken
    }

    async fn refreshed(&self, due: &Due, taken: &mut Taken) -> Result<(), Refused> {
        let program = self.again().await.map_err(refused)?;
        let known: HashMap<&TenantId, &Arc<Tenant>> =
            program.registry.tenants.iter().map(|tenant| (&tenant.id, tenant)).collect();
        taken.extend(due.keys().filter(|id| !known.contains_key(id)).map(|id| (id.clone(), true)));
        // A tenant in quarantine has its turn when it is back.
        let is_free = |id: &&TenantId| known.get(id).is_some_and(|tenant| tenant.hold.quarantine.is_none());
        let mut free: HashSet<&TenantId> = due.keys().filter(is_free).collect();
        // The run would be refused for one of them.
        let read = async |ledger: &Ledger| {
            while let Err(error) = ledger.refuse_held(&free).await {
                let LedgerError::Held { tenants: held, .. } = error else { return Err(CliError::Ledger(error)) };
                held.iter().for_each(|id| _ = free.remove(&TenantId::from(id.as_str())));
            }
            Ok(())
        };
        program.read_ledger_if_any(read).await.map_err(refused)?;
        let tenants: Vec<&TenantId> = due.keys().filter(|id| free.contains(id)).take(AT_ONCE).collect();
        if tenants.is_empty() {
            return Ok(());
        }
        taken.extend(tenants.iter().map(|id| ((*id).clone(), false)));
        let causes: BTreeSet<&str> = tenants.iter().map(|id| due[*id].into()).collect();
        let reason = Some(causes.into_iter().collect::<Vec<_>>().join(", "));
        let tenants: Vec<String> = tenants.into_iter().map(ToString::to_string).collect();
        let (views, groups) = (Vec::new(), vec![RefreshGroup::Changes.name().to_owned()]);
        let made = changes::make(&program, Change::Refresh { views, groups, tenants, reason }).await?;
        let Some((run, end)) = made.run else {
            taken.values_mut().for_each(|is_done| *is_done = true);
            return Ok(());
        };
        let _ = end.await;
        let read = async |ledger: &Ledger| PreviousRun::read(ledger, &run).await;
        let ended = program.read_ledger(read).await.map_err(refused)?;
        let is_left = |record: &TenantRecord| match &record.outcome {
            Outcome::NotStarted { .. } | Outcome::Interrupted => true,
            _ => record.error.as_ref().is_some_and(|fault| fault.class == FaultClass::TenantLocked),
        };
        let open = |record: &Option<TenantRecord>| record.as_ref().is_none_or(is_left);
        let left: HashSet<&TenantId> =
            ended.records.iter().filter(|(_, record)| open(record)).map(|(planned, _)| &planned.tenant).collect();
        taken.iter_mut().for_each(|(id, is_done)| *is_done = !left.contains(id));
        Ok(())
    }
}
