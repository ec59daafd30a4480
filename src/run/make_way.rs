//! Repeatable scripts around the steps of one tenant: taken down for them, made again behind them, and brought back
//! where the steps failed.
//!
//! Which scripts these are is decided in `compile`; they go the way of all steps.

use super::unit::{Assignment, Attempt, AttemptEnd};
use crate::compile::Around;
use crate::engine::{Notice, PartialState, Session, Step, Work};
use crate::model::schema::Direction;

impl Assignment {
    /// Puts the scripts that stand in the way into the work: down before the steps, and up behind them.
    ///
    /// Dying between the two: the row of such a script goes in the step that takes it down, so that it is pending, and
    /// the next run makes it again.
    pub(super) async fn make_way(
        &self,
        session: &mut dyn Session,
        work: &mut Work,
        steps: &[usize],
    ) -> Result<Around, AttemptEnd> {
        let around = self.plan.scripts.around(&self.tenant, &work.history, steps).await;
        if around.taken.is_empty() {
            return Ok(around);
        }
        // A step that goes on in the middle has passed its begin: nothing comes before it.
        let goes_on = self.open_journal(session).await?.is_some_and(|unfinished| unfinished.goes_on());
        let at = around.at.max(usize::from(goes_on)).min(work.steps.len());
        let aside = |index, script| Step { is_aside: true, ..Step::new(index, script, self.limits(index)) };
        let names = self.plan.catalog.names(&work.history);
        let down: Vec<Step> = around
            .taken
            .iter()
            .map(|taken| aside(taken.index, taken.down.clone().under(&names[taken.index])))
            .collect();
        work.steps.splice(at..at, down);
        let again = |index: usize| !steps.contains(&index) && !self.is_edited(&work.history, index);
        let up = around.taken.iter().rev().filter(|taken| self.is_up() && again(taken.index));
        work.steps.extend(up.map(|taken| aside(taken.index, taken.up.clone())));
        // A new script may need one that is made again, so all of them come in the order of the catalog.
        let versions = steps.iter().filter(|&&index| !self.plan.catalog.is_repeatable(index)).count();
        if self.is_up() {
            work.steps[at.max(versions) + around.taken.len()..].sort_by_key(|step| step.index);
        }
        Ok(around)
    }

    fn is_up(&self) -> bool {
        self.goal.is_some_and(|goal| goal.direction == Direction::Up)
    }

    /// Whether a script was applied with another text than it has today: its text belongs to the head of the catalog.
    fn is_edited(&self, history: &[String], index: usize) -> bool {
        self.plan.catalog.missing(history, self.tenant.variant()).contains(&index)
    }

    /// Makes the scripts that were taken down again, after a rollback and where the steps failed and left nothing
    /// behind. The outcome stays that of the steps.
    ///
    /// Dying here: the scripts are pending, and the next run makes them again.
    pub(super) async fn make_again(&self, session: &mut dyn Session, mut attempt: Attempt, around: &Around) -> Attempt {
        let is_settled = match &attempt.end {
            AttemptEnd::Done | AttemptEnd::Cancelled { residue: PartialState::Nothing, .. } => true,
            AttemptEnd::Stopped { residue: PartialState::Nothing, fault, .. } => !fault.class.is_unreachable(),
            _ => false,
        };
        if around.taken.is_empty() || !is_settled {
            return attempt;
        }
        let limit = self.timeouts.connect + self.timeouts.lock;
        let Ok(Ok(mut history)) = tokio::time::timeout(limit, session.history()).await else { return attempt };
        let before = attempt.history.clone().unwrap_or_default();
        let (mut made, mut missing) = (Vec::new(), Vec::new());
        for taken in around.taken.iter().rev() {
            // Where nothing was dropped, the objects of an edited script are there still, and its new text might only
            // take them away.
            let is_still_there = taken.down.statements.is_empty() && self.is_edited(&before, taken.index);
            if self.plan.catalog.applied(&history).contains(&taken.index) || is_still_there {
                continue;
            }
            let mut work = self.empty_work(&history);
            work.steps.push(Step::new(taken.index, taken.up.clone(), self.limits(taken.index)));
            // A view may take its time, like any other work; a cancelled run gives it a moment.
            let why = if self.cancel.is_cancelled() {
                match tokio::time::timeout(limit, session.apply(&work)).await {
                    Ok(applied) => applied.err().map(|stop| stop.fault.to_string()),
                    Err(_) => Some("no answer".to_owned()),
                }
            } else {
                match self.carry_out(session, history.clone(), work).await.end {
                    AttemptEnd::Done => None,
                    // The reason without the way out.
                    AttemptEnd::Stopped { fault, .. } => fault.to_string().split(';').next().map(str::to_owned),
                    _ => Some("the run was cancelled".to_owned()),
                }
            };
            match why {
                None => {
                    taken.up.enter_into(&mut history);
                    attempt.aside.push(taken.up.clone());
                    made.push(&*taken.up.migration);
                }
                // The same view is often why the run stopped.
                Some(why) if is_told(&attempt.end, &why) => missing.push(taken.up.migration.to_string()),
                Some(why) => missing.push(format!("{} ({why})", taken.up.migration)),
            }
        }
        let lacks = format!("{} could not be made again; the next `migrate` makes it", missing.join(", "));
        match &mut attempt.end {
            AttemptEnd::Stopped { fault, .. } if !missing.is_empty() => {
                fault.message = format!("{}; {lacks}", fault.message);
            }
            _ if !missing.is_empty() => self.teller.tell(Notice::Note(lacks)),
            AttemptEnd::Stopped { .. } | AttemptEnd::Cancelled { .. } if !made.is_empty() => {
                self.teller.tell(Notice::Note(format!("{} is there again", made.join(", "))));
            }
            _ => {}
        }
        if matches!(attempt.end, AttemptEnd::Done) {
            let there = self.plan.catalog.applied(&history);
            around
                .in_words(|index| there.contains(&index))
                .into_iter()
                .for_each(|line| self.teller.tell(Notice::Note(line)));
        }
        attempt
    }
}

/// Whether the fault says so already.
fn is_told(end: &AttemptEnd, why: &str) -> bool {
    matches!(end, AttemptEnd::Stopped { fault, .. } if fault.to_string().contains(why))
}
