//! A run as one page for a browser: for somebody who was not there.
//!
//! It needs no script and no other file, and says in words what its colours say. Every text is escaped by `maud`, and what
//! could deceive a reader is made visible before that.

mod durations;
mod tenants;
mod timeline;

use std::collections::{BTreeMap, HashMap};

use maud::{DOCTYPE, Markup, PreEscaped, html};
use uuid::Uuid;

use super::group::{self, Group};
use super::view::{OutcomeView, took};
use super::{now, text};
use crate::model::approval::Approval;
use crate::model::event::Event;
use crate::model::outcome::{Standing, TenantRecord};
use crate::model::program;
use crate::model::run_summary::{RunStatus, RunSummary};
use crate::model::stats::Verdict;
use crate::report::causes::group_by;
use crate::report::label;
use crate::report::runs;
use crate::report::style::{Style, clean};
use crate::report::summary::words;

/// Causes with all that is known of them; the others have one line each.
const CAUSES: usize = 100;

/// Everything that could be loaded or run is forbidden, whatever a text of a tenant holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// A run with the times of its parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) outcome: OutcomeView<'a>,
    /// Its waves, the requests to stop it, and whatever else was recorded between the outcomes, with their times.
    pub(crate) events: &'a [(i64, Event)],
    /// When each outcome was recorded, by the tenant's place in the plan, in milliseconds since 1970-01-01 UTC.
    pub(crate) ended_at_ms: &'a HashMap<usize, i64>,
    pub(crate) status: RunStatus,
    /// The approvals of its plan.
    pub(crate) approvals: &'a [Approval],
    /// The runs that resumed it, oldest first.
    pub(crate) heirs: &'a [RunSummary],
    /// By these runs, who approved that they went on.
    pub(crate) approvers: &'a BTreeMap<Uuid, String>,
}

impl Page<'_> {
    /// The page as a text.
    pub(crate) fn render(&self) -> String {
        let header = self.outcome.header;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    title { (self.title()) }
                    style { (PreEscaped(include_str!("style.css"))) }
                }
                body {
                    main {
                        (self.overview(html! {}))
                        (self.details())
                    }
                    footer { "Run " code { (header.run) } ", made by " (program::name()) " " (clean(&header.program)) ". Times are UTC." }
                }
            }
        };
        page.into_string() + "\n"
    }

    /// The aim and the verdict.
    pub(in crate::report) fn title(&self) -> String {
        format!("{}: {}", self.aim(), self.headline())
    }

    /// The sections that change from one moment to the next while a run goes on, with `now` behind the first of them.
    pub(in crate::report) fn overview(&self, now: Markup) -> Markup {
        html! {
            (self.head(&self.aim()))
            (now)
            (self.numbers())
            (timeline::section(self))
            (self.causes())
            (self.next())
        }
    }

    /// The sections that tell of all tenants.
    pub(in crate::report) fn details(&self) -> Markup {
        html! {
            (self.migrations())
            (durations::section(self.outcome.records))
            (tenants::section(self))
        }
    }

    fn aim(&self) -> String {
        let header = self.outcome.header;
        label::aim(header.direction, &header.goal, header.kind.is_task())
    }

    /// The verdict in a sentence.
    fn headline(&self) -> String {
        let stats = self.outcome.stats;
        let all = label::count(stats.selected, "tenant");
        let (done, failed) =
            (format!("{} of {all}", stats.at_target()), format!("{} of {all} failed", stats.failures()));
        match (self.status, stats.verdict()) {
            (RunStatus::Running, _) => format!("The run goes on: {done} at the target so far"),
            (RunStatus::Dead | RunStatus::Unfinished, _) => {
                format!("The run died: {done} at the target, as far as is known")
            }
            (_, Verdict::AllAtTarget) => format!("All done: {all} at the target"),
            (_, Verdict::NothingSelected) => "There was nothing to do".to_owned(),
            (_, Verdict::Outstanding) => format!("No tenant failed, and work is left: {done} at the target"),
            (_, Verdict::Failures) => failed,
            (_, Verdict::Interrupted) => format!("The run was interrupted: {done} at the target"),
            (_, Verdict::LedgerLost) => format!("The ledger was lost: {done} at the target"),
            (_, Verdict::BudgetExhausted) => format!("The rollout was stopped: {failed}"),
            (_, Verdict::GateFailed) => format!("A gate stopped the rollout: {done} at the target"),
            (_, Verdict::HookFailed) => format!("A hook stopped the rollout: {done} at the target"),
        }
    }

    fn tone(&self) -> &'static str {
        match self.outcome.stats.verdict() {
            Verdict::AllAtTarget => "good",
            _ if self.outcome.stats.failures() > 0 => "bad",
            _ => "left",
        }
    }

    fn head(&self, aim: &str) -> Markup {
        let header = self.outcome.header;
        let by = &header.started_by;
        let stopped = text::stopped_and_held_back(&self.outcome);
        html! {
            header class=(self.tone()) {
                p.aim { (aim) }
                h1 { (self.headline()) }
                @for line in stopped.lines() { p { (clean(line)) } }
                dl {
                    dt { "Began" } dd { (label::moment(header.started_at_ms)) }
                    @if let Some(elapsed) = self.outcome.elapsed { dt { "Took" } dd { (took(elapsed)) } }
                    @if !by.host.is_empty() {
                        dt { "Started by" } dd { (clean(&by.user)) " on " (clean(&by.host)) }
                        dt { "Command" } dd { code { (clean(&by.command)) } }
                    }
                    @if let Some(plan) = header.kind.plan() { dt { "Plan" } dd { code { (clean(plan)) } } }
                    @for approval in self.approvals { dt { "Approved" } dd { (clean(&runs::approved(approval))) } }
                    @if let Some(run) = header.kind.undoes() { dt { "Takes back" } dd { code { (run) } } }
                    @if let Some(run) = header.resumes { dt { "Resumes" } dd { code { (run) } } }
                    @for heir in self.heirs { dt { "Resumed by" } dd { (clean(&runs::heir(heir, self.approvers))) } }
                }
            }
        }
    }

    fn numbers(&self) -> Markup {
        let stats = self.outcome.stats;
        let left = stats.selected.saturating_sub(stats.at_target() + stats.failures());
        let counts: Vec<_> = stats.by_name().into_iter().filter(|(_, n)| *n > 0).collect();
        let missing = stats.selected.saturating_sub(stats.finished());
        let parts = [("good", stats.at_target()), ("bad", stats.failures()), ("left", left)];
        html! {
            section.numbers {
                div { b { (stats.selected) } "tenants" }
                div.good[stats.at_target() > 0] { b { (stats.at_target()) } "at the target" }
                div.bad[stats.failures() > 0] { b { (stats.failures()) } "failed" }
                div.left[left > 0] { b { (left) } "left" }
                div { b { (stats.attempts) } (if stats.attempts == 1 { "attempt" } else { "attempts" }) }
            }
            @if stats.selected > 0 {
                (shares(&parts.map(|(class, n)| (class, class, n))))
            }
            p.dim {
                @for (i, (name, n)) in counts.iter().enumerate() { @if i > 0 { ", " } (n) " " (words(name)) }
                @if missing > 0 { @if !counts.is_empty() { ", " } (missing) " without an outcome" }
            }
        }
    }

    fn causes(&self) -> Markup {
        let groups = group::needing_attention(self.outcome.records);
        html! {
            @if !groups.is_empty() {
                section {
                    h2 { "Failures by cause" }
                    @for group in groups.iter().take(CAUSES) { (self.cause(group)) }
                    @if let Some(rest) = groups.get(CAUSES..).filter(|rest| !rest.is_empty()) {
                        details {
                            summary { (label::count(rest.len(), "more cause")) }
                            ul { @for group in rest { li { (group.names(200, &Style::FILE)) ": " (clean(&group.error_text())) } } }
                        }
                    }
                }
            }
        }
    }

    fn cause(&self, group: &Group<'_>) -> Markup {
        let first = group.first();
        let what = Some(group.error_text()).filter(|text| !text.is_empty()).or_else(|| now::reason(&first.outcome));
        let left = |r: &TenantRecord| {
            let left = now::left_behind(r, self.outcome.header.direction, self.outcome.scripts);
            [now::version_text(r), left].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; ")
        };
        html! {
            article {
                h3 {
                    span.tag { (words(first.outcome.name())) } " "
                    @match group.members.len() { 1 => (clean(first.tenant.as_str())), n => (label::count(n, "tenant")) }
                }
                @if let Some(what) = what { p.error { (clean(&what)) } }
                @if let Some(sql) = group.sql() { pre { @for line in sql.lines() { (clean(line)) "\n" } } }
                dl {
                    @if let Some(reason) = now::reason(&first.outcome).filter(|_| first.error.is_some()) {
                        dt { "Because" } dd { (clean(&reason)) }
                    }
                    @if let Some(at) = group.stopped() { dt { "Stopped at" } dd { (clean(&at)) } }
                    dt { "Now at" } dd { (clean(&group.tally(left))) }
                    dt { "Attempts" } dd { (group.attempts()) ", " (group.durations(&Style::FILE)) }
                    dt { "Waves" } dd { (clean(&group.tally(|r| r.wave.clone()))) }
                    dt { "Servers" } dd { (clean(&group.tally(|r| format!("{} on {}", r.engine, r.server)))) }
                }
                @if group.members.len() > 1 {
                    details {
                        summary { "Which " (group.members.len()) }
                        p { @for (i, r) in group.members.iter().enumerate() { @if i > 0 { ", " } (clean(r.tenant.as_str())) } }
                    }
                }
            }
        }
    }

    fn next(&self) -> Markup {
        let ways: Vec<&str> = self.outcome.rerun.into_iter().chain(self.outcome.ways.lines()).collect();
        html! {
            @if !ways.is_empty() {
                section { h2 { "Next" } @for way in ways { pre.next { (clean(way)) } } }
            }
        }
    }

    /// The migrations that were committed, or stopped at, in the order of the catalog.
    fn migrations(&self) -> Markup {
        let records = self.outcome.records;
        let committed = group_by(records.iter().flat_map(|r| &r.committed), |name| name.as_str());
        let stopped = records.iter().filter(|r| r.outcome.standing() == Standing::Failed);
        let stopped = group_by(stopped.filter_map(|r| r.stopped_at.as_deref()), |at| at.migration.as_str());
        let mut names: Vec<&str> = committed.iter().map(|(name, _)| *name).collect();
        names.extend(
            stopped.iter().map(|(name, _)| *name).filter(|name| !committed.iter().any(|(other, _)| other == name)),
        );
        names.sort_by_key(|name| self.outcome.header.catalog.iter().position(|other| other == name));
        let committed: HashMap<&str, usize> = committed.iter().map(|(name, all)| (*name, all.len())).collect();
        let stopped: HashMap<&str, usize> = stopped.iter().map(|(name, all)| (*name, all.len())).collect();
        let of = |counts: &HashMap<&str, usize>, name: &str| counts.get(name).copied().unwrap_or_default();
        html! {
            @if !names.is_empty() {
                section {
                    h2 { "Migrations" }
                    div.wide { table {
                        thead { tr { th { "Migration" } th.n { "Committed on" } th.n { "Stopped on" } } }
                        tbody {
                            @for name in names {
                                tr { td { (clean(name)) } td.n { (of(&committed, name)) } td.n { (of(&stopped, name)) } }
                            }
                        }
                    } }
                }
            }
        }
    }
}

/// The class of a standing, and the word for it.
fn class_of(standing: Standing) -> &'static str {
    match standing {
        Standing::AtTarget => "good",
        Standing::Failed => "bad",
        Standing::Outstanding => "left",
    }
}

/// A share of a whole in percent of a drawing's width.
#[expect(clippy::cast_precision_loss, reason = "times of a run are far below 2^52 ms")]
pub(in crate::report) fn percent(part: i64, whole: i64) -> f64 {
    (part.max(0) as f64 / whole.max(1) as f64 * 100.0).clamp(0.0, 100.0)
}

fn units(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Shares of a whole, each with its class and its name, as a bar. Sizes are attributes of SVG: the policy of the pages that a
/// server sends forbids styles in them.
pub(in crate::report) fn shares(parts: &[(&str, &str, usize)]) -> Markup {
    let all: usize = parts.iter().map(|(.., n)| n).sum();
    let mut from = 0;
    let label: Vec<String> = parts.iter().filter(|(.., n)| *n > 0).map(|(_, name, n)| format!("{n} {name}")).collect();
    html! {
        svg.shares width="100%" height="12" role="img" aria-label=(label.join(", ")) {
            @for (class, name, n) in parts.iter().filter(|(.., n)| *n > 0) {
                @let at = { let at = from; from += n; at };
                rect class=(class) x=(format!("{:.3}%", percent(units(at), units(all)))) width=(format!("{:.3}%", percent(units(*n), units(all)))) height="12" {
                    title { (n) " " (name) }
                }
            }
        }
    }
}
