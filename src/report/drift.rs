//! Drift of live tenants: a readable difference for each group of tenants that differ alike.

use serde::Serialize;
use serde_json::json;

use super::sheet::{Cell, Column, Sheet};
use super::style::{Tone, cleaned, paragraph, shorten};
use super::{Format, Style, clean, label, names};
use crate::check::drift::{Drift, Group, Reference, Unmade};
use crate::model::shape::Difference;

/// The most differences of a group in a table; JSON has all.
const MOST: usize = 40;

/// The most columns of a form in a table.
const MOST_FORM: usize = 120;

/// The findings of all selected tenants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DriftView<'a> {
    pub(crate) drift: &'a Drift,
}

/// A difference with its line, for programs.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    group: &'a Group,
    text: Vec<String>,
}

impl DriftView<'_> {
    /// The text in the form asked for.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        let line = |group| Line { group, text: group.differences.iter().map(|d| words(d, group, None)).collect() };
        let Drift { equal, ignored, groups, not_compared, not_made, grants_not_compared, other_schemas } = self.drift;
        let groups: Vec<Line<'_>> = groups.iter().map(line).collect();
        let fields = || {
            json!({
                "equal": equal, "ignored": ignored, "groups": groups, "not_compared": not_compared,
                "without_schema_of_version": not_made, "grants_not_compared": grants_not_compared,
                "other_schemas": other_schemas,
            })
        };
        format.write(|| self.text(style), fields, || self.sheet())
    }

    /// One row for each difference of a tenant, and one for each tenant that was not compared.
    fn sheet(&self) -> Sheet {
        let titles = ["Tenant", "Engine", "Group", "Compared with", "Object", "Part", "Expected", "Found"];
        let mut sheet = Sheet::new(titles.map(Column::new));
        for (number, group) in self.drift.groups.iter().enumerate() {
            for tenant in &group.tenants {
                for d in &group.differences {
                    let (number, forms) = ((number + 1).to_string(), [&d.first, &d.second].map(|f| f.join("; ")));
                    let texts = [tenant.as_str(), group.engine.name(), &number, name(group.compared_with), &d.object];
                    let texts = texts.into_iter().chain([&*d.part, &*forms[0], &*forms[1]]);
                    sheet.row(texts.map(Cell::from));
                }
            }
        }
        for row in &self.drift.not_compared {
            let texts = [row.tenant.as_str(), row.engine.name(), "", "", &format!("not compared: {}", row.why)];
            sheet.row(texts.map(Cell::from));
        }
        sheet
    }

    fn text(&self, style: &Style) -> String {
        let mut out = String::new();
        for group in &self.drift.groups {
            out.push_str(&of_group(group, style));
            out.push('\n');
        }
        if !self.drift.not_compared.is_empty() {
            let sheet = Sheet::of(&self.drift.not_compared)
                .column(Column::new("Not compared").at_least(20), |row| &row.tenant)
                .column("Engine", |row| row.engine)
                .column("State", |row| Cell::from(super::summary::words(row.state)).tone(Tone::Bad))
                .column(Column::new("Why").at_least(30), |row| &row.why);
            out.push_str(&sheet.sheet().table(style));
            out.push('\n');
        }
        for Unmade { engine, version, tenants, why } in &self.drift.not_made {
            let (count, version) = (label::count(*tenants, "tenant"), clean(version));
            let text = format!(
                "{count} at {version} ({engine}) were compared only with what most of them have: {}",
                clean(why)
            );
            out.push_str(&paragraph(&text, "", 8, style));
        }
        for Unmade { engine, version, tenants, why } in &self.drift.grants_not_compared {
            let (count, version) = (label::count(*tenants, "tenant"), clean(version));
            let text =
                format!("grants and defaults of {count} at {version} ({engine}) were not compared: {}", clean(why));
            out.push_str(&paragraph(&text, "", 8, style));
        }
        if !self.drift.other_schemas.is_empty() {
            let names: Vec<String> = self.drift.other_schemas.iter().map(|name| clean(name)).collect();
            let text = format!(
                "not looked into: {} {}, which migrations make beside the schema of a tenant",
                if names.len() == 1 { "schema" } else { "schemas" },
                label::first(&names, 5)
            );
            out.push_str(&paragraph(&text, "", 8, style));
        }
        out + &self.summary()
    }

    fn summary(&self) -> String {
        let Drift { equal, ignored, groups, not_compared, .. } = self.drift;
        let drifted: usize = groups.iter().map(|group| group.tenants.len()).sum();
        let mut parts = vec![format!("{equal} as they should be")];
        if *ignored > 0 {
            parts[0].push_str(&format!(" ({ignored} with ignored differences)"));
        }
        if drifted > 0 {
            parts.push(format!("{drifted} with drift, of {}", label::count(groups.len(), "kind")));
        }
        if !not_compared.is_empty() {
            parts.push(format!("{} not compared", not_compared.len()));
        }
        let all = equal + drifted + not_compared.len();
        format!("{}: {}\n", label::count(all, "tenant"), parts.join(", "))
    }
}

fn of_group(group: &Group, style: &Style) -> String {
    let ids: Vec<String> = group.tenants.iter().map(|id| clean(id.as_str())).collect();
    let versions: Vec<String> = group.versions.iter().map(|version| clean(version)).collect();
    let majority = if group.of > 1 && group.tenants.len() * 2 > group.of { ", most of them" } else { "" };
    let title = format!("DRIFT  {}", names(ids.iter(), style.columns().saturating_sub(16), style));
    let where_ = format!(
        "{} of {} at {} ({}){majority}",
        group.tenants.len(),
        label::count(group.of, "tenant"),
        label::first(&versions, 3),
        group.engine
    );
    let mut out = format!("{}\n{}", style.paint(Tone::Bad, title), paragraph(&where_, "  ", 8, style));
    for difference in group.differences.iter().take(MOST) {
        out.push_str(&paragraph(&format!("- {}", words(difference, group, Some(style))), "  ", 8, style));
    }
    if group.differences.len() > MOST {
        out.push_str(&format!("  {} more; --format json has all\n", group.differences.len() - MOST));
    }
    if !group.fix_sql.is_empty() {
        out.push_str("  A suggestion, of which nothing was run; read it, and try it in `shell` on one tenant first:\n");
        for line in group.fix_sql.iter().flat_map(|text| text.lines()) {
            out.push_str(&format!("    {}\n", cleaned(line)));
        }
    }
    out
}

fn name(reference: Reference) -> &'static str {
    match reference {
        Reference::Version => "version",
        Reference::Majority => "majority",
    }
}

/// One line; with a style, forms are cut to the part in which they differ.
fn words(difference: &Difference, group: &Group, cut: Option<&Style>) -> String {
    let there = match group.compared_with {
        Reference::Version if !difference.is_of_most() => "in its version",
        Reference::Version | Reference::Majority => "on most tenants",
    };
    let title = difference.title();
    let (expected, found) = (difference.first.join("; "), difference.second.join("; "));
    let (expected, found) = match cut {
        Some(style) => narrowed(&expected, &found, style),
        None => (expected, found),
    };
    let form = |text: &str| if text.is_empty() { String::new() } else { format!(" ({text})") };
    let line = match (difference.first.is_empty(), difference.second.is_empty()) {
        (false, true) => format!("{title} is missing; {there} it is there{}", form(&expected)),
        (true, _) => format!("{title} is only here{}", form(&found)),
        _ if expected.is_empty() && found.is_empty() => {
            format!("{title} is here {} times, {there} {}", difference.second.len(), difference.first.len())
        }
        _ => format!("{title} is here {found}; {there} {expected}"),
    };
    if cut.is_some() { clean(&line) } else { line }
}

/// Two long forms cut to the part in which they differ, with some of the text around it.
fn narrowed(one: &str, other: &str, style: &Style) -> (String, String) {
    const AROUND: usize = 24;
    let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if a.len().max(b.len()) <= MOST_FORM || a.is_empty() || b.is_empty() {
        return (shorten(one, MOST_FORM, style.ellipsis()).into(), shorten(other, MOST_FORM, style.ellipsis()).into());
    }
    let alike = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let start = alike.saturating_sub(AROUND);
    let cut = |text: &[char]| {
        let mark = if start > 0 { style.ellipsis() } else { "" };
        let part: String = text[start.min(text.len())..].iter().collect();
        format!("{mark}{}", shorten(part, MOST_FORM, style.ellipsis()))
    };
    (cut(&a), cut(&b))
}
