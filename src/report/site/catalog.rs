//! The migrations with their spread over the fleet and the findings of lint, and one with its SQL.

use std::sync::Arc;

use maud::{Markup, html};
use serde_json::{Value, json};

use super::frame::{Frame, Part, address, pair};
use super::{Form, Look};
use crate::check::doctor::Severity;
use crate::check::lint::{Finding, Linted};
use crate::model::schema::{Direction, Execution, Script};
use crate::report::history::CatalogRow;
use crate::report::outcome::shares;
use crate::report::style::{clean, cleaned};
use crate::report::{json, label};

/// The catalog.
pub(crate) struct CatalogView<'a> {
    pub(crate) rows: &'a [CatalogRow],
    pub(crate) linted: &'a Linted,
    pub(crate) look: &'a Look,
    /// The tenants that could be read.
    pub(crate) read: usize,
}

impl CatalogView<'_> {
    pub(crate) fn render(&self, form: Form) -> String {
        match form {
            Form::Json => {
                let Linted { findings, not_analysed, statements } = self.linted;
                json::document(json!({
                    "tenants": self.read, "migrations": self.rows, "statements": statements, "findings": findings, "not_analysed": not_analysed,
                    "read_at": label::moment(self.look.read_at_ms), "read_at_ms": self.look.read_at_ms,
                }))
            }
            Form::Page => self.page(),
        }
    }

    fn page(&self) -> String {
        let open = self.linted.counted(Severity::Warning);
        let content = html! {
            header class=(if open > 0 { "left" } else { "good" }) {
                h1 { (label::count(self.rows.len(), "migration")) }
                p { (label::count(self.linted.statements, "statement")) " read, " (label::count(open, "finding")) " of a warning or more." }
                p.dim { "On how many of " (self.read) " tenants each is: read at " (label::moment(self.look.read_at_ms)) "." }
            }
            section {
                div.wide { table {
                    thead { tr { th { "Migration" } th.more { "Kind" } th.more { "Description" } th.marks { "Tenants" } th.n { "Findings" } } }
                    tbody { @for row in self.rows {
                        @let n = findings(self.linted, &row.name).filter(|f| f.suppressed.is_none() && f.severity <= Severity::Warning).count();
                        tr {
                            td.name { @if row.kind == "unknown" { (clean(&row.name)) } @else { a href=(address("/catalog", &row.name)) { (clean(&row.name)) } } }
                            td.more { (row.kind) }
                            td.more { (clean(&row.description)) }
                            td.marks { (row.have) " of " (self.read) (shares(&[("good", "have it", row.have), ("left", "do not", self.read.saturating_sub(row.have))])) }
                            td.n { @if n > 0 { span.tag { (n) } } }
                        }
                    } }
                } }
            }
        };
        Frame { title: "Migrations", part: Part::Catalog, follows: None }.around(content)
    }
}

fn findings<'a>(linted: &'a Linted, name: &str) -> impl Iterator<Item = &'a Finding> {
    linted.findings.iter().filter(move |finding| finding.place.migration == name)
}

/// One migration.
pub(crate) struct MigrationView<'a> {
    pub(crate) name: &'a str,
    pub(crate) linted: &'a Linted,
    /// Its scripts, both ways on each engine.
    pub(crate) scripts: &'a [Arc<Script>],
}

impl MigrationView<'_> {
    pub(crate) fn render(&self, form: Form) -> String {
        match form {
            Form::Json => json::document(self.fields()),
            Form::Page => self.page(),
        }
    }

    fn fields(&self) -> Value {
        json!({ "name": self.name, "scripts": self.scripts, "findings": findings(self.linted, self.name).collect::<Vec<_>>() })
    }

    fn page(&self) -> String {
        let found: Vec<&Finding> = findings(self.linted, self.name).collect();
        let content = html! {
            header { p.aim { "Migration" } h1 { (clean(self.name)) } p { a href=(format!("/?q=&group=version")) { "Who is at which version" } } }
            @if !found.is_empty() {
                section {
                    h2 { "Findings" }
                    @for f in found {
                        article class=(if f.suppressed.is_some() { "quiet" } else { f.severity.name() }) {
                            h3 { span.tag { (f.severity.name()) } " " (f.rule) " " span.dim { (f.place.direction) ", statement " (f.place.statement) ", " (f.engines.iter().map(|e| e.name()).collect::<Vec<_>>().join(", ")) } }
                            p { (clean(&f.what)) }
                            p.dim { "Instead: " (f.instead) }
                            @if let Some(why) = &f.suppressed { p.dim { "Allowed: " (clean(why)) } }
                        }
                    }
                }
            }
            @for direction in [Direction::Up, Direction::Down] {
                section {
                    h2 { @if direction == Direction::Up { "The way up" } @else { "The way down" } }
                    @for script in self.scripts.iter().filter(|script| script.direction == direction) { (sql(script)) }
                }
            }
        };
        Frame { title: self.name, part: Part::Catalog, follows: None }.around(content)
    }
}

fn sql(script: &Script) -> Markup {
    let how = match &script.execution {
        Execution::Compiled { transaction: true } => "in one transaction with its history row".to_owned(),
        Execution::Compiled { transaction: false } => "without a transaction".to_owned(),
        Execution::Native { reason, .. } => format!("as Rust code: {reason}"),
        Execution::Irreversible { reason } => format!("it can't run: {reason}"),
    };
    html! {
        details open[script.direction == Direction::Up] {
            summary { (script.variant()) span.dim { ", " (label::count(script.statements.len(), "statement")) ", " (clean(&how)) } }
            @for statement in &script.statements { pre { @for line in statement.lines() { (cleaned(line)) "\n" } } }
            dl { (pair("SHA-256", html! { code { (script.sha256) } })) @if let Some(source) = &script.source { (pair("File", html! { (clean(&source.file)) })) } }
        }
    }
}
