//! Saved plans: `plan --save`, `plan approve`, and `--plan` of `migrate` and `rollback`.
//!
//! A saved plan is made again before it is run, and has to be the same: what was approved is what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use clap::{Args as _, FromArgMatches as _};
use uuid::Uuid;

use super::args::{ApprovePlan, Change, Selection as SelectionArgs, ShowPlan};
use super::exit::CliError;
use super::inspect::{self, Planned, Planning};
use super::plan_settings::SETTINGS;
use super::rollback_run::Undo;
use super::setup::{Program, quoted};
use super::start::Intent;
use super::{files, goals, migrate, origin, plan_settings, rollback_run, runs, session, strata};
use crate::compile::MigrationSet;
use crate::engine::place;
use crate::inputs::Origin;
use crate::inputs::select::Selection;
use crate::ledger::Ledger;
use crate::model::approval::Approval;
use crate::model::clock::now_ms;
use crate::model::observation::Observation;
use crate::model::plan::{Goal, Target};
use crate::model::run_summary::RunFilter;
use crate::model::saved_plan::{
    LATE, LateJoiners, NoPlan, SavedPlan, SavedScript, SavedTenant, SavedWave, Sealed, hash, short,
};
use crate::model::schema::Direction;
use crate::model::tenant::{Tenant, TenantId};
use crate::policy::format_duration;
use crate::report::plan::PlanRow;
use crate::report::{clean, count, moment};

/// The plan as it is saved.
fn of(planning: &Planning<'_>, planned: &Planned, selection: Vec<String>) -> SavedPlan {
    let Planning { program, set, goal, native, undoes, .. } = planning;
    let catalog = set.catalog();
    let (to, steps) = match goal.target {
        _ if undoes.is_some() => (None, None),
        Target::Migration(place) => (catalog.migrations.get(place).map(ToString::to_string), None),
        Target::Steps(n) => (None, u32::try_from(n).ok()),
        Target::End => (None, None),
    };
    let rows = planned.waves.iter().zip(&planning.selection.waves);
    let mut observations = planned.observations.iter();
    let waves = rows.map(|((_, rows), wave)| {
        let tenants = rows.iter().zip(&wave.tenants).zip(observations.by_ref());
        let tenants = tenants.map(|((row, tenant), seen)| saved_tenant(program, row, tenant, seen)).collect();
        SavedWave { name: wave.name.clone(), settings: plan_settings::of_wave(program, wave), tenants }
    });
    let waves = waves.collect();
    let scripts = planned.scripts().iter().chain(planned.aside()).map(|script| SavedScript {
        migration: script.migration.to_string(),
        engine: script.engine,
        direction: script.direction,
        online: script.is_online(),
        sha256: script.sha256.clone(),
    });
    let scripts: BTreeSet<SavedScript> = scripts.collect();
    SavedPlan {
        form: SavedPlan::FORM,
        fleet: program.settings().name.clone(),
        direction: goal.direction,
        goal: planning.goal_text(),
        to,
        steps,
        out_of_order: goal.out_of_order,
        native: *native,
        undoes: *undoes,
        selection,
        settings: plan_settings::of_run(planning, planned),
        waves,
        scripts: scripts.into_iter().collect(),
    }
}

fn saved_tenant(program: &Program, row: &PlanRow, tenant: &Tenant, seen: &Observation) -> SavedTenant {
    let texts = [
        ("lock_timeout", tenant.lock_timeout.map(format_duration)),
        ("transaction", tenant.transaction.map(|scope| format!("{scope:?}").to_lowercase())),
        ("online", tenant.online.map(|online| online.to_string())),
        ("depends_on", (!tenant.depends_on.is_empty()).then(|| names(&tenant.depends_on))),
        ("quarantine", tenant.hold.quarantine.as_ref().map(ToString::to_string)),
        ("freeze_at", tenant.hold.freeze_at.clone()),
        ("migration_url", tenant.migration_address.as_ref().map(|_| short(&hash(&place(tenant).1)).to_owned())),
    ];
    let own = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?)));
    let tags = tenant.tags.iter().map(|(key, value)| (format!("tag {key}"), value.clone()));
    SavedTenant {
        tenant: row.tenant.clone(),
        engine: row.engine,
        database: hash(&program.place_of(tenant)),
        version: seen.version.clone(),
        run: row.steps.clone(),
        settings: own.chain(tags).collect(),
    }
}

fn names(ids: &[TenantId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Saves a plan. One that would refuse a tenant, or could not read it, is not saved: nobody could say what it means.
///
/// `failed_of` is the id of the run whose failures it is for: `last` would be another one by then.
pub(super) fn save(
    planning: &Planning<'_>,
    planned: &Planned,
    failed_of: Option<&str>,
    file: &Path,
) -> Result<String, CliError> {
    let program = planning.program;
    let rows = planned.rows();
    let trouble: BTreeSet<TenantId> =
        rows.iter().filter(|row| row.refusal.is_some() || row.error.is_some()).map(|row| row.tenant.clone()).collect();
    if !trouble.is_empty() {
        return Err(CliError::CanNotStart(format!(
            "{} can't be migrated now: {}; nothing was saved: see `{}`, or leave them out (--exclude)",
            count(trouble.len(), "tenant"),
            program.terminal.names(&trouble),
            program.command("plan")
        )));
    }
    let mut words = selection_words();
    for word in words.iter_mut().filter(|word| word.starts_with("--failed-of=")) {
        failed_of.into_iter().for_each(|run| *word = format!("--failed-of={run}"));
    }
    let sealed = of(planning, planned, words).seal();
    files::write(file, &sealed.text())?;
    let named = quoted(&file.to_string_lossy());
    Ok(format!(
        "saved {}: {}, digest {}\nto approve it: {}\nto run it: {}\n",
        file.display(),
        count(rows.len(), "tenant"),
        sealed.digest,
        program.command(&format!("plan approve {named} --by NAME")),
        to_run(program, &sealed.plan, file)
    ))
}

/// The flags that give a run the limits which a plan was saved with, where the settings say something else.
fn limits(program: &Program, saved: &SavedPlan) -> Vec<String> {
    let flag = |(key, value, origin): &(String, String, Origin)| -> Option<String> {
        let planned = saved.settings.get(key).filter(|_| SETTINGS.contains(&key.as_str()))?;
        let is_otherwise = *origin == Origin::Flag || value != planned;
        is_otherwise.then(|| origin::Flag::of_setting(key, planned)).flatten().map(|flag| flag.text())
    };
    program.settings().origins.iter().filter_map(flag).collect()
}

/// The command that runs a plan with its limits.
fn to_run(program: &Program, saved: &SavedPlan, file: &Path) -> String {
    let verb = if saved.direction == Direction::Up { "migrate" } else { "rollback" };
    let plan = format!("--plan {}", quoted(&file.to_string_lossy()));
    let words = [verb.to_owned(), plan].into_iter().chain(limits(program, saved));
    program.command(&words.collect::<Vec<_>>().join(" "))
}

/// The flags that select tenants; a run that is undone is a field of its own.
fn selection_words() -> Vec<String> {
    let mut words = origin::selection();
    words.retain(|word| !word.starts_with("--run="));
    words
}

/// Reads a saved plan.
fn read(program: &Program, file: &Path) -> Result<(Sealed, String), CliError> {
    let unread = |why: String| CliError::Usage(format!("{}: {why}; nothing was touched", file.display()));
    let text = crate::external::file::read_text(file).map_err(|error| unread(format!("it can't be read: {error}")))?;
    let sealed = Sealed::read(&text).map_err(|error| match error {
        // `plan -o` and `plan > FILE` write it to be read by people and programs.
        NoPlan::Unreadable(_) => {
            let save = program.command(&format!("plan --save {}", quoted(&file.to_string_lossy())));
            unread(format!("{error}; a plan that can be carried out is written by: {save}"))
        }
        error => CliError::PlanRefused(unread(error.to_string()).to_string()),
    })?;
    Ok((sealed, text))
}

/// `plan show`.
pub(super) fn show(program: &Program, args: &ShowPlan) -> Result<u8, CliError> {
    let (sealed, _) = read(program, &args.file)?;
    let plan = &sealed.plan;
    let tenants = count(plan.waves.iter().map(|wave| wave.tenants.len()).sum(), "tenant");
    let mut lines =
        vec![format!("plan {}", sealed.digest), format!("{} {}, {tenants}", plan.direction, clean(&plan.goal))];
    lines.extend(plan.fleet.iter().map(|name| format!("fleet {}", clean(name))));
    let settings = |of: &BTreeMap<String, String>, indent: &str| -> Vec<String> {
        of.iter().map(|(key, value)| format!("{indent}{}: {}", clean(key), clean(value))).collect()
    };
    lines.extend(settings(&plan.settings, "  "));
    for wave in &plan.waves {
        lines.push(format!("\nwave {} ({})", clean(&wave.name), count(wave.tenants.len(), "tenant")));
        lines.extend(settings(&wave.settings, "  "));
        // Most tenants are at a few versions, and get the same from there.
        let mut alike = BTreeMap::<_, BTreeSet<TenantId>>::new();
        for tenant in &wave.tenants {
            let from = tenant.version.clone().unwrap_or_else(|| "no version".to_owned());
            let steps = if tenant.run.is_empty() { "nothing".to_owned() } else { tenant.run.join(", ") };
            alike.entry((from, steps, &tenant.settings)).or_default().insert(tenant.tenant.clone());
        }
        for ((from, steps, own), ids) in alike {
            let names: Vec<String> = ids.iter().map(|id| clean(id.as_str())).collect();
            lines.push(format!("  from {}: {}\n    {}", clean(&from), clean(&steps), names.join(", ")));
            lines.extend(settings(own, "    "));
        }
    }
    if !plan.scripts.is_empty() {
        lines.push("\nscripts".to_owned());
    }
    lines.extend(plan.scripts.iter().map(|script| {
        let online = if script.online { ", online" } else { "" };
        let SavedScript { migration, engine, direction, sha256, .. } = script;
        format!("  {} ({engine}, {direction}{online})  {}", clean(migration), clean(sha256))
    }));
    let file = quoted(&args.file.to_string_lossy());
    lines.push(format!("\nto approve it: {}", program.command(&format!("plan approve {file} --by NAME"))));
    super::terminal::print(&lines.join("\n"))?;
    Ok(0)
}

/// `plan approve`.
pub(super) async fn approve(program: &Program, args: &ApprovePlan) -> Result<u8, CliError> {
    let (sealed, text) = read(program, &args.file)?;
    let by = args.by.trim();
    if by.is_empty() {
        return Err(CliError::Usage("--by is empty; name the person who approves".to_owned()));
    }
    session::refuse_tenant(program)?;
    let ledger = Ledger::open(&program.settings().ledger).await.map_err(CliError::Ledger)?;
    let approval = Approval {
        digest: sealed.digest.clone(),
        by: by.to_owned(),
        origin: origin::started_by(),
        at_ms: now_ms(),
        plan: text,
    };
    let approved = ledger.approve(&approval).await.map_err(CliError::Ledger);
    ledger.close().await;
    approved?;
    super::terminal::print(&format!(
        "{} approved the plan {} ({}, {})\nto run it: {}",
        clean(by),
        sealed.digest,
        clean(&sealed.plan.goal),
        count(sealed.plan.waves.iter().map(|wave| wave.tenants.len()).sum(), "tenant"),
        to_run(program, &sealed.plan, &args.file)
    ))?;
    Ok(0)
}

/// The run of a saved plan, which is refused where the plan that is made today differs from it.
pub(super) async fn intent(
    program: &Program,
    set: &Arc<MigrationSet>,
    args: &Change,
    direction: Direction,
) -> Result<Option<Intent>, CliError> {
    let Some(file) = &args.plan else { return Ok(None) };
    let (sealed, _) = read(program, file)?;
    let saved = &sealed.plan;
    if saved.direction != direction {
        let verb = if saved.direction == Direction::Up { "migrate" } else { "rollback" };
        let named = quoted(&file.to_string_lossy());
        let text = format!("{} is a plan that goes {}; use: ", file.display(), saved.direction);
        return Err(CliError::Usage(text + &program.command(&format!("{verb} --plan {named}"))));
    }
    let late = args.late_joiners.unwrap_or_default();
    if late == LateJoiners::Migrate && program.settings().require_approval {
        let text = "--late-joiners migrate takes tenants that nobody has approved, and the tenant file says require_approval; \
                    leave them out with --late-joiners report, or save and approve a new plan";
        return Err(CliError::Usage(text.to_owned()));
    }
    let mut intent = made_again(program, set, saved).await?;
    strata::complete(program, set, &mut intent).await;
    let Some(goal) = intent.kind.goal() else { return Ok(None) };
    goals::order(program, &mut intent.selection, goal.direction)?;
    let native = saved.native;
    let planning = Planning { native, ..intent.planning(program, set, &goal) };
    let planned = inspect::planned(&planning).await;
    let today = of(&planning, &planned, saved.selection.clone());
    let unread: BTreeSet<TenantId> =
        planned.rows().iter().filter(|row| row.error.is_some()).map(|row| row.tenant.clone()).collect();
    let mut differences: Vec<String> =
        unread.iter().map(|id| format!("tenant {id} can't be read, so that its version is not known")).collect();
    let told = saved.differences(&today, late);
    differences.extend(
        told.into_iter().filter(|line| !unread.iter().any(|id| line.starts_with(&format!("tenant {id} is at")))),
    );
    if !differences.is_empty() {
        return Err(refusal(program, &sealed, file, differences));
    }
    let starts = planned.observations.iter().map(|seen| (seen.tenant.clone(), seen.version.clone())).collect();
    let joined: BTreeSet<TenantId> = saved.late_joiners(&today).into_iter().collect();
    if !joined.is_empty() {
        let what = if late == LateJoiners::Report { "left out" } else { "migrated with the others" };
        program.terminal.warn(&format!(
            "{} came into the fleet after the plan, {what}: {}",
            count(joined.len(), "tenant"),
            program.terminal.names(&joined)
        ));
    }
    if late == LateJoiners::Report {
        leave_out(&mut intent.selection, &joined);
    }
    intent.kind = intent.kind.planned(sealed.digest.clone());
    let seen = planned.observations.into_iter().map(|seen| (seen.tenant.clone(), seen)).collect();
    Ok(Some(Intent { starts, seen, native, dry_run: args.dry_run, ..intent }))
}

/// The plan that the same command makes today.
async fn made_again(program: &Program, set: &Arc<MigrationSet>, saved: &SavedPlan) -> Result<Intent, CliError> {
    let unknown =
        |error: clap::Error| CliError::Usage(format!("the plan selects with flags that are not known: {error}"));
    let command = SelectionArgs::augment_args(clap::Command::new("plan").no_binary_name(true));
    let matches = command.try_get_matches_from(&saved.selection).map_err(unknown)?;
    let selection = SelectionArgs::from_arg_matches(&matches).map_err(unknown)?;
    let target = goals::target(set.catalog(), saved.to.as_deref(), saved.steps)?;
    let goal = Goal { direction: saved.direction, target, out_of_order: saved.out_of_order };
    if let Some(run) = &selection.failed_of {
        let recorded = program.previous_run(run).await?.goal(set.catalog())?;
        let named = (saved.undoes.is_none() && recorded.target != target).then_some(target);
        return migrate::selected(program, set, &selection, (goal, named)).await;
    }
    if let Some(run) = saved.undoes {
        let undo = Undo { run: &run.to_string(), waves: None, filter: &selection.filter };
        return rollback_run::intent(program, set, undo).await;
    }
    let joins = Some(selection.filter.clone());
    Ok(Intent { joins, ..Intent::migrate(goal, program.select(&selection).await?) })
}

/// More runs than anybody starts between an approval and its use.
const RUNS: usize = 10_000;

/// The last run of the plan with this digest since a moment.
async fn run_of(program: &Program, digest: &str, since_ms: i64) -> Result<Option<Uuid>, CliError> {
    let since = RunFilter { since_ms: Some(since_ms), ..RunFilter::default() };
    let read = async |ledger: &Ledger| ledger.runs_of(&since, RUNS).await.map_err(CliError::Ledger);
    let runs = program.read_ledger_if_any(read).await?.unwrap_or_default();
    Ok(runs.iter().find(|run| run.kind.plan() == Some(digest)).map(|run| run.run))
}

fn leave_out(selection: &mut Selection, joined: &BTreeSet<TenantId>) {
    for wave in &mut selection.waves {
        wave.tenants.retain(|tenant| !joined.contains(&tenant.id));
    }
    selection.waves.retain(|wave| !wave.tenants.is_empty());
    selection.held_back += joined.len();
}

fn refusal(program: &Program, sealed: &Sealed, file: &Path, differences: Vec<String>) -> CliError {
    const SHOWN: usize = 20;
    let more = differences.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    let joined = differences.iter().any(|line| line.ends_with(LATE));
    let late = if joined { "\nto run it without tenants that came later: --late-joiners report" } else { "" };
    let limits = match limits(program, &sealed.plan).is_empty() {
        true => String::new(),
        false => {
            format!("\nto run it with the limits that it was saved with: {}", to_run(program, &sealed.plan, file))
        }
    };
    let lines: Vec<String> = differences.iter().take(SHOWN).map(|line| clean(line)).collect();
    CliError::PlanRefused(format!(
        "the plan {} (digest {}) does not hold any more, and nothing was touched:\n  {}{more}\nput right what differs, or save a \
         new plan: {}{limits}{late}",
        file.display(),
        short(&sealed.digest),
        lines.join("\n  "),
        program.command(&again(&sealed.plan, file))
    ))
}

/// The command that saves such a plan again.
fn again(saved: &SavedPlan, file: &Path) -> String {
    let mut words = vec!["plan".to_owned()];
    words.extend((saved.direction == Direction::Down && saved.undoes.is_none()).then(|| "--down".to_owned()));
    words.extend(saved.undoes.map(|run| format!("--run {run}")));
    words.extend(saved.to.as_ref().map(|to| format!("--to {}", quoted(to))));
    words.extend(saved.steps.map(|steps| format!("--steps {steps}")));
    words.extend(saved.out_of_order.then(|| "--out-of-order".to_owned()));
    words.extend(saved.native.then(|| "--native".to_owned()));
    words.extend(saved.selection.iter().map(|flag| quoted(flag)));
    words.push(format!("--save {}", quoted(&file.to_string_lossy())));
    words.join(" ")
}

/// Refuses a migration or rollback without an approved plan where the tenant file says `require_approval`. A resumed run has
/// the plan of the run that it goes on with; its scripts have to be those of the plan.
pub(super) async fn refuse_unapproved(
    program: &Program,
    set: &Arc<MigrationSet>,
    intent: &Intent,
) -> Result<(), CliError> {
    let Some(goal) = intent.kind.goal() else { return Ok(()) };
    let is_required = program.settings().require_approval;
    let Some(digest) = intent.kind.plan() else {
        if !is_required {
            return Ok(());
        }
        let command = inspect::command(&intent.planning(program, set, &goal));
        return Err(CliError::PlanRefused(format!(
            "the tenant file says require_approval, so nothing is run without an approved plan, and nothing was touched\nsave \
             one: {command} --save plan.json\nthen have it approved: {}\nthen run it: {}",
            program.command("plan approve plan.json --by NAME"),
            program.command(&format!(
                "{} --plan plan.json",
                if goal.direction == Direction::Up { "migrate" } else { "rollback" }
            ))
        )));
    };
    let read = async |ledger: &Ledger| ledger.approvals(digest).await.map_err(CliError::Ledger);
    let approvals = program.read_ledger_if_any(read).await?.unwrap_or_default();
    if is_required
        && intent.resumes.is_none()
        && let Some(last) = approvals.last()
        && let Some(run) = run_of(program, digest, last.at_ms).await?
    {
        return Err(CliError::PlanRefused(format!(
            "run {run} has used the approval of the plan {} by {} at {}, and the tenant file says require_approval; nothing was \
             touched\nto go on with that run: {}\nto approve the plan once more: {}",
            short(digest),
            clean(&last.by),
            moment(last.at_ms),
            runs::way_on(program, run).await,
            program.command(&format!("plan approve {} --by NAME", origin::plan_file()))
        )));
    }
    let Some(approval) = approvals.first() else {
        if !is_required {
            return Ok(());
        }
        return Err(CliError::PlanRefused(format!(
            "nobody has approved the plan {}, and the tenant file says require_approval; nothing was touched\nto approve it: {}",
            short(digest),
            program.command(&format!("plan approve {} --by NAME", origin::plan_file()))
        )));
    };
    if intent.resumes.is_none() {
        return Ok(());
    }
    let Ok(sealed) = Sealed::read(&approval.plan) else { return Ok(()) };
    let planning = intent.planning(program, set, &goal);
    let today = of(&planning, &inspect::planned(&planning).await, Vec::new());
    let edited: Vec<String> = today
        .scripts
        .iter()
        .filter(|now| !sealed.plan.scripts.contains(now))
        .map(|now| format!("{} ({}, {})", now.migration, now.engine, now.direction))
        .collect();
    let others = if is_required { sealed.plan.other_settings(&today) } else { Vec::new() };
    let (what, remedy) = match (edited.is_empty(), others.is_empty()) {
        (true, true) => return Ok(()),
        (false, _) => (edited.join(", ") + " is", ": put the texts back, or save and approve a new plan".to_owned()),
        (true, false) => {
            let lines: Vec<String> = others.iter().map(|line| clean(line)).collect();
            let remedy = "give those of the plan, or save and approve a new plan";
            ("a setting is".to_owned(), format!(":\n  {}\n{remedy}", lines.join("\n  ")))
        }
    };
    Err(CliError::PlanRefused(format!(
        "{what} not as in the plan {} that {} approved at {}; nothing was touched{remedy}",
        short(digest),
        clean(&approval.by),
        moment(approval.at_ms)
    )))
}
