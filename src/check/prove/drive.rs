//! The proof of all migrations on one engine: up, down and up again, each on the way to the next.
//!
//! Its cost grows linearly with the number of migrations, not quadratically: one database goes through all of them, and
//! a new one is created only after a migration left something behind. A second database runs all ups natively, and where
//! there are repeatable scripts, a third one has them from early on. A fourth one has the online forms, where they are asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::in_place::in_place;
use super::trial::Trial;
use super::verdict::{
    EngineProof, OtherPart, Proof, Verdict, not_repeated, not_restored, not_the_same_in_place, not_the_same_natively,
    not_the_same_online,
};
use super::{Bench, Fill};
use crate::compile::folder::SqlScript;
use crate::compile::{Form, LazyScripts, Scripts};
use crate::model::engine::Variant;
use crate::model::schema::{Direction, Execution, Script};
use crate::model::shape::Shape;
use crate::model::tenant::Tenant;

/// Proves every migration of the set on the engine of the bench. Stopping early returns the proofs up to that point.
pub(crate) async fn prove(bench: &Bench, fill: &dyn Fill) -> EngineProof {
    let (engine, count) = (bench.place.engine(), bench.set.catalog().migrations.len());
    let (compiled, native, online, old) = tokio::join!(
        up_and_down(bench, fill),
        alone(bench, fill, Form { native: true, online: None }),
        in_online_form(bench, fill),
        in_place(bench, fill)
    );
    let mut could_not = compiled.could_not.or(old.could_not);
    if let Some(online) = &online {
        could_not = could_not.or(online.could_not.clone());
    }
    let mut proofs = Vec::new();
    for mut round in compiled.rounds {
        let theirs = native.shapes.get(proofs.len());
        let mut why = match &round.verdict {
            Verdict::Failed { why } => why.clone(),
            Verdict::NotReached => {
                proofs.push(round.proof(bench));
                continue;
            }
            _ => Vec::new(),
        };
        match (&round.up, theirs) {
            (Some(up), Some(Ok(shape))) => why.extend(not_the_same_natively(up, shape)),
            (Some(_), Some(Err(error))) => why.push(format!("native execution failed: {error}")),
            (Some(_), None) if native.could_not.is_some() => {
                could_not = could_not.or(native.could_not.clone());
                // Only half of it was examined, so it is neither proven nor wrong.
                if why.is_empty() {
                    break;
                }
            }
            (Some(_), None) if why.is_empty() => {
                round.verdict = Verdict::NotReached;
                proofs.push(round.proof(bench));
                continue;
            }
            _ => {}
        }
        match (&round.up, online.as_ref().map(|online| online.shapes.get(proofs.len()))) {
            (Some(up), Some(Some(Ok(shape)))) => why.extend(not_the_same_online(up, shape)),
            (Some(_), Some(Some(Err(error)))) => why.push(format!("the online form failed: {error}")),
            (Some(_), Some(None)) if why.is_empty() => {
                round.verdict = Verdict::NotReached;
                proofs.push(round.proof(bench));
                continue;
            }
            _ => {}
        }
        if let Some((_, error)) = old.failed.as_ref().filter(|(index, _)| *index == round.index) {
            why.push(format!("up failed on a tenant that has the repeatable scripts: {error}"));
        }
        if let (Some(up), Some(shape)) = (&round.up, old.end.as_ref().filter(|_| round.index + 1 == count)) {
            why.extend(not_the_same_in_place(up, shape));
        }
        if !why.is_empty() {
            round.verdict = Verdict::Failed { why };
        }
        proofs.push(round.proof(bench));
    }
    EngineProof { engine, could_not, proofs, other_parts: other_parts(bench) }
}

/// One migration, up and down.
struct Round {
    index: usize,
    verdict: Verdict,
    /// The schema after its first up.
    up: Option<Shape>,
    rows: u64,
    took_ms: u64,
}

impl Round {
    fn proof(self, bench: &Bench) -> Proof {
        Proof {
            migration: bench.set.catalog().migrations[self.index].to_string(),
            engine: bench.place.engine(),
            verdict: self.verdict,
            rows: self.rows,
            took_ms: self.took_ms,
        }
    }
}

#[derive(Default)]
struct Rounds {
    rounds: Vec<Round>,
    could_not: Option<String>,
}

struct Both {
    up: Arc<Scripts>,
    down: Arc<Scripts>,
}

/// The parts of scripts for the product that the server of this bench is not: nothing of them was sent.
fn other_parts(bench: &Bench) -> Vec<OtherPart> {
    let is_other = |variant: &Variant| *variant != bench.variant && variant.engine() == bench.variant.engine();
    let others: Vec<Variant> = bench.set.variants().into_iter().filter(is_other).collect();
    let of = |script: &SqlScript| {
        let part = |direction| others.iter().find(|other| script.part(**other, direction).is_some());
        let other = [Direction::Up, Direction::Down].into_iter().find_map(part).filter(|_| script.has_flavours())?;
        Some(OtherPart { migration: script.name.to_string(), product: other.flavour()? })
    };
    bench.set.scripts().iter().filter_map(of).collect()
}

pub(super) fn script(scripts: &Scripts, index: usize) -> (usize, Arc<Script>) {
    (index, scripts.get(index).expect("all of the catalog was compiled").clone())
}

pub(super) const INTERRUPTED: &str = "interrupted";

async fn up_and_down(bench: &Bench, fill: &dyn Fill) -> Rounds {
    let variant = bench.variant;
    let count = bench.set.catalog().migrations.len();
    let compile = async |direction| LazyScripts::new(bench.set.clone(), direction, 0..count, false).get(variant).await;
    let scripts = Both { up: compile(Direction::Up).await, down: compile(Direction::Down).await };
    let mut all = Rounds::default();
    while all.rounds.len() < count && all.could_not.is_none() {
        let begun = all.rounds.len();
        // The rounds are kept outside, so that finished ones survive an interruption.
        let rounds = &mut all.rounds;
        let chain = async |tenant: Arc<Tenant>| chain(bench, &Means { fill, scripts: &scripts }, &tenant, rounds).await;
        let result = bench.place.with((bench.stop)(), &*bench.tell, chain).await;
        all.could_not = match result {
            Ok(Some(Ok(()))) if all.rounds.len() > begun => None,
            Ok(Some(Ok(()))) => Some("nothing was proven in a new scratch database".to_owned()),
            Ok(Some(Err(error))) => Some(error),
            Ok(None) => Some(INTERRUPTED.to_owned()),
            Err(fault) => Some(format!("no scratch database could be made: {fault}")),
        };
        let up_failed = all.rounds.last().is_some_and(|round| round.up.is_none());
        if up_failed && all.could_not.is_none() {
            let left = all.rounds.len()..count;
            all.rounds.extend(left.map(|index| Round {
                index,
                verdict: Verdict::NotReached,
                up: None,
                rows: 0,
                took_ms: 0,
            }));
        }
    }
    all
}

/// The rows and the scripts of a proof.
struct Means<'a> {
    fill: &'a dyn Fill,
    scripts: &'a Both,
}

/// Continues after `rounds` in an empty database, until a migration leaves something behind or all are done.
async fn chain(
    bench: &Bench,
    &Means { fill, scripts }: &Means<'_>,
    tenant: &Arc<Tenant>,
    rounds: &mut Vec<Round>,
) -> Result<(), String> {
    let mut trial = Trial::open(&bench.set, bench.timeouts, tenant).await?;
    let (first, derived) = (rounds.len(), bench.set.derived());
    for index in 0..first {
        // Filled before each migration, as in the rounds before: a migration may depend on existing rows.
        let _ = fill.fill(trial.session.as_mut()).await;
        trial.apply([script(&scripts.up, index)]).await?;
    }
    for index in first..bench.set.catalog().migrations.len() {
        let begun = Instant::now();
        if let Err(fault) = fill.fill(trial.session.as_mut()).await {
            (bench.tell)(format!("{}: no rows could be put in: {fault}", tenant.engine));
        }
        let mut round = round(&mut trial, scripts, index, &derived).await?;
        round.took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let is_clean = !matches!(round.verdict, Verdict::Failed { .. });
        rounds.push(round);
        bench.done.fetch_add(1, Ordering::Relaxed);
        if !is_clean {
            break;
        }
    }
    trial.close().await;
    Ok(())
}

/// One migration: up, down, up again.
async fn round(trial: &mut Trial, scripts: &Both, index: usize, derived: &[String]) -> Result<Round, String> {
    let before = trial.look().await?;
    let mut round = Round { index, verdict: Verdict::Proven, up: None, rows: before.rows.values().sum(), took_ms: 0 };
    let failed = |why: Vec<String>| Verdict::Failed { why };
    if let Err(error) = trial.apply([script(&scripts.up, index)]).await {
        round.verdict = failed(vec![format!("up failed: {error}")]);
        return Ok(round);
    }
    let first = trial.look().await?;
    round.up = Some(first.shape.clone());
    let down = script(&scripts.down, index);
    if let Execution::Irreversible { reason } = &down.1.execution {
        round.verdict = Verdict::Irreversible { reason: reason.clone() };
        return Ok(round);
    }
    if let Err(error) = trial.apply([down]).await {
        round.verdict = failed(vec![format!("down failed: {error}")]);
        return Ok(round);
    }
    let mut why = not_restored(&before, &trial.look().await?, derived);
    match trial.apply([script(&scripts.up, index)]).await {
        Ok(()) => why.extend(not_repeated(&first, &trial.look().await?)),
        Err(error) => why.push(format!("the second up failed: {error}")),
    }
    if !why.is_empty() {
        round.verdict = failed(why);
    }
    Ok(round)
}

/// All migrations in their online forms, where the fleet or a migration asks for them.
async fn in_online_form(bench: &Bench, fill: &dyn Fill) -> Option<Alone> {
    let is_wanted = bench.online || bench.set.asks_for_online(bench.variant);
    if !is_wanted {
        return None;
    }
    Some(alone(bench, fill, Form { native: false, online: Some(bench.online) }).await)
}

#[derive(Default)]
struct Alone {
    /// The schema after each migration; the last entry may be the error that ended the chain.
    shapes: Vec<Result<Shape, String>>,
    could_not: Option<String>,
}

/// All migrations in one form, one after the other, only up.
async fn alone(bench: &Bench, fill: &dyn Fill, form: Form) -> Alone {
    let count = bench.set.catalog().migrations.len();
    let scripts = bench.set.compile(bench.variant, Direction::Up, 0..count, form).await;
    let mut all = Alone::default();
    let shapes = &mut all.shapes;
    let work = async |tenant: Arc<Tenant>| -> Result<(), String> {
        let mut trial = Trial::open(&bench.set, bench.timeouts, &tenant).await?;
        for index in 0..count {
            // A table that can't be filled was reported when the compiled scripts ran.
            let _ = fill.fill(trial.session.as_mut()).await;
            let applied = trial.apply([script(&scripts, index)]).await;
            let failed = applied.is_err();
            shapes.push(match applied {
                Ok(()) => Ok(trial.shape().await?),
                Err(error) => Err(error),
            });
            if failed {
                break;
            }
        }
        trial.close().await;
        Ok(())
    };
    all.could_not = match bench.place.with((bench.stop)(), &*bench.tell, work).await {
        Ok(Some(result)) => result.err(),
        Ok(None) => Some(INTERRUPTED.to_owned()),
        Err(fault) => Some(format!("no scratch database could be made: {fault}")),
    };
    all
}
