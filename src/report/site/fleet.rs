//! The fleet: its counts, the tenants that need attention, and the matrix, filtered and grouped.
//!
//! A page has at most some hundred rows, however many tenants there are.

use std::time::Duration;

use maud::{Markup, html};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::frame::{Frame, Part, address};
use super::{Form, Look, Wanted, strip};
use crate::model::observation::Observation;
use crate::model::schema::State;
use crate::report::causes::group_by;
use crate::report::matrix::{self, Mark, MatrixView};
use crate::report::outcome::{shares, took};
use crate::report::status::StatusView;
use crate::report::style::{Tone, clean};
use crate::report::tenants::TenantRow;
use crate::report::{json, label, summary};

/// The rows of a page.
const ROWS: usize = 200;
/// The names of a group that are shown.
const NAMES: usize = 4;
/// The reasons for attention that are shown; the rest is counted.
const CONCERNS: usize = 12;
/// The ways of grouping, with their names; the first is the default.
pub(super) const GROUPS: [(&str, &str); 7] = [
    ("", "alike tenants together"),
    ("tenant", "each tenant"),
    ("server", "by server"),
    ("engine", "by engine"),
    ("wave", "by wave"),
    ("version", "by version"),
    ("state", "by state"),
];

/// A tenant with its place in the file and its state.
type Seen<'a> = (&'a TenantRow, &'a Observation);

/// A reading of the fleet, and the part of it that is wanted.
#[derive(Clone, Copy)]
pub(crate) struct FleetView<'a> {
    pub(crate) look: &'a Look,
    pub(crate) wanted: &'a Wanted,
    /// The present time, in milliseconds since 1970-01-01 UTC.
    pub(crate) now_ms: i64,
}

impl FleetView<'_> {
    /// The matrix.
    pub(crate) fn matrix(&self, form: Form) -> String {
        match form {
            Form::Json => {
                let (chosen, all) = self.chosen();
                let page = self.wanted.page(&chosen, 1_000);
                let observations = self.observations(page);
                let mut fields =
                    MatrixView { catalog: &self.look.catalog, observations: &observations, all: true }.fields();
                fields["summary"] = summary::fields(&self.look.catalog, &all);
                self.document(fields, chosen.len())
            }
            Form::Page => self.page(),
        }
    }

    /// The counts.
    pub(crate) fn status(&self) -> String {
        let (chosen, all) = self.chosen();
        let fields = StatusView { catalog: &self.look.catalog, observations: &all }.fields();
        self.document(fields, chosen.len())
    }

    fn document(&self, mut fields: Value, matched: usize) -> String {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        fields["matched"] = matched.into();
        fields["offset"] = self.wanted.offset.into();
        fields["read_at"] = label::moment(self.look.read_at_ms).into();
        fields["read_at_ms"] = self.look.read_at_ms.into();
        fields["age_ms"] = (self.now_ms - self.look.read_at_ms).max(0).into();
        fields["reading_took_ms"] = json!(ms(self.look.took));
        json::document(fields)
    }

    /// The places of the wanted tenants, and what was read of them.
    fn chosen(&self) -> (Vec<usize>, Vec<Observation>) {
        let chosen = self.wanted.choose(self.look);
        let observations = self.observations(&chosen);
        (chosen, observations)
    }

    fn observations(&self, places: &[usize]) -> Vec<Observation> {
        places.iter().map(|place| self.look.observations[*place].clone()).collect()
    }

    fn page(&self) -> String {
        let all = &self.look.observations;
        let chosen = self.wanted.choose(self.look);
        let seen: Vec<Seen<'_>> =
            chosen.iter().map(|at| (&self.look.rows[*at], &self.look.observations[*at])).collect();
        let counts = summary::by_state(all);
        let tone = counts
            .iter()
            .map(|(name, _)| tone_of(name, all))
            .max_by_key(|class| ["good", "left", "bad"].iter().position(|c| c == class));
        let parts: Vec<(&str, String, usize)> =
            counts.iter().map(|(name, n)| (tone_of(name, all), summary::words(name), *n)).collect();
        let parts: Vec<(&str, &str, usize)> = parts.iter().map(|(class, name, n)| (*class, &**name, *n)).collect();
        let content = html! {
            header class=(tone.unwrap_or("good")) {
                p.aim { "The fleet" @if let Some(head) = self.look.catalog.head() { ", newest version " code { (clean(head)) } } }
                h1 { (summary::total_line(all)) }
                (shares(&parts))
                div.numbers {
                    @for (name, n) in &counts {
                        a.(tone_of(name, all)) href=(self.wanted.query(&[("state", name), ("group", "tenant")])) { b { (n) } (summary::words(name)) }
                    }
                }
                p.dim { (self.age()) }
            }
            (self.concerns())
            section {
                h2 { "Who is at which migration" }
                (self.form())
                div #result aria-live="polite" { (self.result(&seen)) }
            }
        };
        Frame { title: "Fleet", part: Part::Fleet, follows: None }.around(content)
    }

    /// `Read 4s ago; that took 1.2s`.
    fn age(&self) -> String {
        let age = (self.now_ms - self.look.read_at_ms).max(0) / 1_000;
        format!("Read {age}s ago; that took {}", took(self.look.took))
    }

    fn concerns(&self) -> Markup {
        let concerns = summary::concerns(&self.look.observations);
        html! {
            @if !concerns.is_empty() {
                section {
                    h2 { "Needs attention" }
                    @for concern in concerns.iter().take(CONCERNS) {
                        article {
                            h3 { span.tag { (concern.state) } " " (label::count(concern.tenants.len(), "tenant")) }
                            p { (clean(&concern.why)) }
                            p.dim { (names(concern.tenants.iter().map(|id| id.as_str()), concern.tenants.len())) }
                        }
                    }
                    @if concerns.len() > CONCERNS {
                        p.dim { (label::count(concerns.len() - CONCERNS, "more reason")) "; " a href="/api/v1/status" { "all of them" } }
                    }
                }
            }
        }
    }

    /// The form works without a script; with it the rows follow what is typed.
    fn form(&self) -> Markup {
        let of = |key: &dyn Fn(&TenantRow) -> &str| {
            let mut all: Vec<&str> = self.look.rows.iter().map(key).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let states: Vec<&str> = summary::by_state(&self.look.observations).into_iter().map(|(name, _)| name).collect();
        let (engines, servers, waves) = (of(&|row| row.engine.name()), of(&|row| &row.server), of(&|row| &row.wave));
        html! {
            form #filter method="get" action="/" role="search" {
                label { "Search" input type="search" name="q" value=(self.wanted.q) placeholder="id, place or tag" accesskey="s"; }
                (choice("State", "state", &self.wanted.state, &states))
                (choice("Engine", "engine", &self.wanted.engine, &engines))
                (choice("Server", "server", &self.wanted.server, &servers))
                (choice("Wave", "wave", &self.wanted.wave, &waves))
                label { "Rows"
                    select name="group" {
                        @for (value, name) in GROUPS { option value=(value) selected[self.wanted.group == value] { (name) } }
                    }
                }
                @for (name, value) in [("version", &self.wanted.version), ("tag", &self.wanted.tag)] {
                    @if !value.is_empty() { input type="hidden" name=(name) value=(value); }
                }
                button { "Show" }
                @if self.wanted.is_filtered() { a href=(Wanted { group: self.wanted.group.clone(), ..Wanted::default() }.query(&[])) { "All tenants" } }
            }
        }
    }

    fn result(&self, seen: &[Seen<'_>]) -> Markup {
        let limits = [("version", &self.wanted.version), ("tag", &self.wanted.tag)];
        html! {
            p { b { (label::count(seen.len(), "tenant")) }
                @for (name, value) in limits { @if !value.is_empty() { ", " (name) " " code { (clean(value)) } } }
            }
            @match &*self.wanted.group {
                _ if seen.is_empty() => p.dim { "No tenant is like that." },
                "tenant" => (self.each(seen)),
                "server" => (self.grouped(seen, "server", |(row, _)| row.server.clone())),
                "engine" => (self.grouped(seen, "engine", |(row, _)| row.engine.name().to_owned())),
                "wave" => (self.grouped(seen, "wave", |(row, _)| row.wave.clone())),
                "version" => (self.grouped(seen, "version", |(_, o)| o.version.clone().unwrap_or_default())),
                "state" => (self.grouped(seen, "state", |(_, o)| o.state.name().to_owned())),
                _ => (self.alike(seen)),
            }
        }
    }

    fn name_of(&self, at: usize) -> String {
        format!("{} {}", label::number(at), clean(&self.look.catalog.migrations[at]))
    }

    fn strip(&self, marks: &[Mark]) -> Markup {
        strip::marks(marks, &|at| self.name_of(at))
    }

    fn each(&self, seen: &[Seen<'_>]) -> Markup {
        let page = self.wanted.page(seen, ROWS);
        let (from, to) = (self.wanted.offset.min(seen.len()), self.wanted.offset.min(seen.len()) + page.len());
        let link = |offset: usize| self.wanted.query(&[("offset", &*offset.to_string())]);
        html! {
            div.wide { table.matrix {
                thead { tr { th { "Tenant" } th { "State" } th.more { "Version" } th.marks { "Migrations" } th.more { "Server" } th.more { "Wave" } } }
                tbody {
                    @for (row, o) in page {
                        tr class=(class(&o.state)) {
                            td { a href=(address("/tenants", row.id.as_str())) { (clean(row.id.as_str())) } @if o.is_held() { " " span.held { "held" } } }
                            td { (summary::state_text(&o.state)) }
                            td.more { (version(o)) }
                            td.marks { (self.strip(&matrix::marks(&self.look.catalog, o))) }
                            td.more { (row.engine) " on " (clean(&row.server)) }
                            td.more { (clean(&row.wave)) }
                        }
                    }
                }
            } }
            @if page.len() < seen.len() {
                p.pager {
                    @if from > 0 { a rel="prev" href=(link(from.saturating_sub(ROWS))) { "Before" } }
                    span { (from + 1) " to " (to) " of " (seen.len()) }
                    @if to < seen.len() { a rel="next" href=(link(to)) { "After" } }
                }
            }
        }
    }

    fn alike(&self, seen: &[Seen<'_>]) -> Markup {
        let catalog = &self.look.catalog;
        let read: Vec<(Vec<Mark>, &Seen<'_>)> =
            seen.par_iter().map(|one| (matrix::marks(catalog, one.1), one)).collect();
        let mut groups = group_by(read, |(marks, (_, o))| (summary::rank(&o.state), o.version.clone(), marks.clone()));
        groups.sort_by_key(|((rank, ..), _)| std::cmp::Reverse(*rank));
        html! {
            div.wide { table.matrix {
                thead { tr { th.n { "Tenants" } th { "State" } th.more { "Version" } th.marks { "Migrations" } th { "Which" } } }
                tbody {
                    @for ((_, _, marks), members) in groups.iter().take(ROWS) {
                        @let o = members[0].1.1;
                        tr class=(class(&o.state)) {
                            td.n { (members.len()) }
                            td { (summary::state_text(&o.state)) }
                            td.more { (version(o)) }
                            td.marks { (self.strip(marks)) }
                            td {
                                (names(members.iter().map(|(_, (row, _))| row.id.as_str()), members.len()))
                                @if members.len() > NAMES {
                                    " " a href=(self.wanted.query(&[("state", o.state.name()), ("version", o.version.as_deref().unwrap_or("")), ("group", "tenant")])) { "all" }
                                }
                            }
                        }
                    }
                }
            } }
            @if groups.len() > ROWS { p.dim { (groups.len() - ROWS) " more kinds of tenants; filter them, or show each tenant" } }
            (self.key())
        }
    }

    /// The migrations behind the squares.
    fn key(&self) -> Markup {
        html! {
            details {
                summary { "The " (label::count(self.look.catalog.migrations.len(), "migration")) }
                ol.migrations { @for name in &self.look.catalog.migrations { li { a href=(address("/catalog", name)) { (clean(name)) } } } }
            }
        }
    }

    fn grouped(&self, seen: &[Seen<'_>], by: &'static str, key: impl Fn(&Seen<'_>) -> String) -> Markup {
        let mut groups = group_by(seen, |one| key(one));
        groups.sort_by(|(a, _), (b, _)| a.cmp(b));
        let all: Vec<(String, Vec<Observation>)> =
            groups.into_iter().map(|(name, of)| (name, of.into_iter().map(|(_, o)| (*o).clone()).collect())).collect();
        html! {
            div.wide { table.matrix {
                thead { tr { th { (by) } th.n { "Tenants" } th.marks { "States" } th.more { "In words" } } }
                tbody {
                    @for (name, of) in all.iter().take(ROWS) {
                        @let counts = summary::by_state(of);
                        @let parts: Vec<(&str, &str, usize)> = counts.iter().map(|(state, n)| (tone_of(state, of), *state, *n)).collect();
                        tr {
                            td {
                                @if name.is_empty() { "(none)" }
                                @else { a href=(self.wanted.query(&[(by, name), ("group", "tenant")])) { (clean(&if by == "state" { summary::words(name) } else { name.clone() })) } }
                            }
                            td.n { (of.len()) }
                            td.marks { (shares(&parts)) }
                            td.more { (summary::states_text(of)) }
                        }
                    }
                }
            } }
            @if all.len() > ROWS { p.dim { (all.len() - ROWS) " more; filter them" } }
        }
    }
}

/// The version of a tenant in words.
pub(super) fn version(o: &Observation) -> String {
    o.version.as_deref().map_or_else(
        || if o.state == State::Unreachable { "(not known)" } else { "(nothing applied)" }.to_owned(),
        clean,
    )
}

/// The class of a state.
pub(super) fn class(state: &State) -> &'static str {
    match summary::tone(state) {
        Tone::Good => "good",
        Tone::Bad => "bad",
        _ => "left",
    }
}

fn tone_of(name: &str, all: &[Observation]) -> &'static str {
    all.iter().find(|o| o.state.name() == name).map_or("left", |o| class(&o.state))
}

/// The first names as links, and how many more there are.
fn names<'a>(all: impl Iterator<Item = &'a str>, n: usize) -> Markup {
    html! {
        @for (at, id) in all.take(NAMES).enumerate() {
            @if at > 0 { ", " }
            a href=(address("/tenants", id)) { (clean(id)) }
        }
        @if n > NAMES { " and " (n - NAMES) " more" }
    }
}

fn choice(title: &str, name: &str, now: &str, all: &[&str]) -> Markup {
    html! {
        label { (title)
            select name=(name) {
                option value="" { "any" }
                @for value in all { option value=(value) selected[*value == now] { (clean(&if name == "state" { summary::words(value) } else { (*value).to_owned() })) } }
            }
        }
    }
}
