//! Assertions on tenants: who fails which, with the values; and tables whose number of rows changed.

use serde_json::json;

use super::sheet::{Cell, Column, Sheet};
use super::style::{Tone, paragraph, shorten};
use super::{Format, Style, clean, label};
use crate::check::verify::{Changed, Moved};
use crate::model::assertion::{Answer, Assertion, FirstRows};
use crate::model::fault::Fault;
use crate::model::tenant::{Engine, TenantId};

/// The most columns of a value in a table.
const MOST_VALUE: usize = 60;

/// A tenant with its answers, one for each assertion.
pub(crate) struct Verified {
    pub(crate) tenant: TenantId,
    pub(crate) engine: Engine,
    pub(crate) answers: Result<Vec<Answer>, Fault>,
}

impl Verified {
    /// Whether all assertions hold.
    pub(crate) fn is_good(&self) -> bool {
        self.answers.as_ref().is_ok_and(|answers| !answers.iter().any(Answer::is_bad))
    }
}

pub(crate) struct VerifyView<'a> {
    pub(crate) assertions: &'a [Assertion],
    pub(crate) tenants: &'a [Verified],
    /// Whether tenants on which all hold have a row, too.
    pub(crate) all: bool,
}

impl VerifyView<'_> {
    /// The text in the form asked for.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        format.write(|| self.text(style), || json!({ "tenants": self.json() }), || self.sheet())
    }

    fn json(&self) -> Vec<serde_json::Value> {
        let of = |tenant: &Verified| {
            let named = |answers: &Vec<Answer>| -> serde_json::Map<String, serde_json::Value> {
                let names = self.assertions.iter().map(|assertion| assertion.name.clone());
                names.zip(answers.iter().map(|answer| json!(answer))).collect()
            };
            let (answers, error) = (tenant.answers.as_ref().ok().map(named), tenant.answers.as_ref().err());
            json!({
                "tenant": tenant.tenant, "engine": tenant.engine, "holds": tenant.is_good(),
                "assertions": answers, "error": error,
            })
        };
        self.tenants.iter().map(of).collect()
    }

    /// One row for each answer.
    fn sheet(&self) -> Sheet {
        let titles = ["Tenant", "Engine", "Assertion", "Result", "Rows"];
        let mut sheet = Sheet::new(titles.map(Column::new));
        for tenant in self.tenants {
            let mut row = |name: &str, result: &str, values: String| {
                sheet.row([tenant.tenant.as_str(), tenant.engine.name(), name, result, &values].map(Cell::from));
            };
            match &tenant.answers {
                Err(fault) => row("", "error", fault.to_string()),
                Ok(answers) => {
                    for (assertion, answer) in self.assertions.iter().zip(answers) {
                        row(&assertion.name, word(answer), values(answer));
                    }
                }
            }
        }
        sheet
    }

    fn text(&self, style: &Style) -> String {
        let shown: Vec<&Verified> = self.tenants.iter().filter(|tenant| self.all || !tenant.is_good()).collect();
        let mut out = String::new();
        if !shown.is_empty() {
            let mut rows = Sheet::of(shown.clone())
                .column("Tenant", |row| &row.tenant)
                .column(Column::new("Engine").expendable(1), |row| row.engine);
            for (at, assertion) in self.assertions.iter().enumerate() {
                let rank = u8::try_from(at).unwrap_or(u8::MAX).saturating_add(2);
                rows = rows.column(Column::new(&assertion.name).verbatim().expendable(rank), |row| cell(row, at));
            }
            out = rows.sheet().table(style) + "\n";
        }
        for tenant in &shown {
            out.push_str(&self.details(tenant, style));
        }
        let good = self.tenants.iter().filter(|tenant| tenant.is_good()).count();
        let count = |n: usize, what: &str| label::count(n, what);
        let summary = match self.tenants.len() - good {
            0 => "all hold".to_owned(),
            bad => format!("all hold on {good}, not on {bad}"),
        };
        out + &format!(
            "{}, {}: {summary}\n",
            count(self.tenants.len(), "tenant"),
            count(self.assertions.len(), "assertion")
        )
    }

    /// The values of the assertions that a tenant fails.
    fn details(&self, tenant: &Verified, style: &Style) -> String {
        let title =
            |name: &str| format!("{}  {}\n", clean(tenant.tenant.as_str()), style.paint(Tone::Bold, clean(name)));
        match &tenant.answers {
            Err(fault) => title("") + &paragraph(&clean(&fault.to_string()), "  ", 8, style),
            Ok(answers) => {
                let bad = self.assertions.iter().zip(answers).filter(|(_, answer)| answer.is_bad());
                bad.map(|(assertion, answer)| {
                    title(&assertion.name)
                        + &match answer {
                            Answer::Fails(rows) => table(rows, style),
                            Answer::Error { error } => paragraph(&clean(&error.to_string()), "  ", 8, style),
                            _ => String::new(),
                        }
                        + "\n"
                })
                .collect()
            }
        }
    }
}

fn cell(tenant: &Verified, at: usize) -> Cell {
    match tenant.answers.as_ref().map(|answers| &answers[at]) {
        Ok(Answer::Fails(found)) => {
            let more = if found.more { "+" } else { "" };
            Cell::from(format!("{}{more} {}", found.rows.len(), if found.rows.len() == 1 { "row" } else { "rows" }))
                .tone(Tone::Bad)
        }
        Ok(answer @ Answer::Error { .. }) => Cell::from(word(answer)).tone(Tone::Bad),
        Ok(answer) => Cell::from(word(answer)),
        Err(_) => Cell::fixed("not read").tone(Tone::Bad),
    }
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Holds => "holds",
        Answer::Fails(_) => "fails",
        Answer::Error { .. } => "error",
        Answer::NotAsked => "-",
    }
}

/// The rows of an answer in one line.
fn values(answer: &Answer) -> String {
    match answer {
        Answer::Fails(found) => {
            let of = |row: &Vec<Option<String>>| {
                let pairs = found.columns.iter().zip(row);
                pairs
                    .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("NULL")))
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            found.rows.iter().map(of).collect::<Vec<_>>().join("; ") + if found.more { "; and more" } else { "" }
        }
        Answer::Error { error } => error.to_string(),
        Answer::Holds | Answer::NotAsked => String::new(),
    }
}

fn table(found: &FirstRows, style: &Style) -> String {
    let columns = found.columns.iter().map(|name| Column::new(name).verbatim().at_least(8));
    let value = |value: &Option<String>| {
        let text = value.as_deref().unwrap_or("NULL");
        Cell::from(shorten(text, MOST_VALUE, style.ellipsis()))
    };
    let sheet = Sheet::new(columns).rows(found.rows.iter().map(|row| row.iter().map(value).collect::<Vec<_>>()));
    sheet.indent(2).table(style) + if found.more { "  and more\n" } else { "" }
}

/// Tables whose number of rows changed, measures whose value changed, and tenants that could not be asked.
pub(crate) struct CountsView<'a> {
    pub(crate) changed: &'a [Changed],
    pub(crate) moved: &'a [Moved],
    pub(crate) failed: &'a [(TenantId, Fault)],
    /// Number of tenants counted.
    pub(crate) counted: usize,
    /// Whether rows were counted, and whether measures were asked.
    pub(crate) of: (bool, bool),
}

impl CountsView<'_> {
    /// The text in the form asked for.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        let failed = || self.failed.iter().map(|(tenant, error)| json!({ "tenant": tenant, "error": error }));
        let fields = || json!({ "counted": self.counted, "changed": self.changed, "measures": self.moved, "failed": failed().collect::<Vec<_>>() });
        format.write(|| self.text(style), fields, || self.sheet())
    }

    fn sheet(&self) -> Sheet {
        let second = match self.of {
            (true, true) => "Table or measure",
            (false, true) => "Measure",
            (_, false) => "Table",
        };
        let titles = ["Tenant", second, "Before", "Now"].map(Column::new);
        let mut sheet = Sheet::new(titles);
        for Changed { tenant, table, before, now } in self.changed {
            sheet.row([Cell::from(tenant), Cell::from(table), Cell::maybe(*before), Cell::maybe(*now)]);
        }
        for Moved { tenant, measure, before, now } in self.moved {
            let value = |value: &Option<Option<String>>| {
                Cell::maybe(value.as_ref().map(|value| value.clone().unwrap_or_else(|| "NULL".to_owned())))
            };
            sheet.row([Cell::from(tenant), Cell::from(measure), value(before), value(now)]);
        }
        for (tenant, fault) in self.failed {
            sheet.row([Cell::from(tenant), Cell::from(format!("not counted: {fault}")).tone(Tone::Bad)]);
        }
        sheet
    }

    fn text(&self, style: &Style) -> String {
        let sheet = self.sheet();
        let table = if sheet.is_empty() { String::new() } else { sheet.table(style) + "\n" };
        let said = |n: usize, what: &str| match n {
            0 => format!("no {what} changed"),
            n => format!("{} changed", label::count(n, what)),
        };
        let counts = self.of.0.then(|| said(self.changed.len(), "count"));
        let values = self.of.1.then(|| said(self.moved.len(), "measure"));
        let verb = if self.of.0 { "counted" } else { "measured" };
        let said: Vec<String> = counts.into_iter().chain(values).collect();
        format!("{table}{} {verb}: {}\n", label::count(self.counted, "tenant"), said.join(", "))
    }
}
