//! The findings of `fleet lint`: for people, for programs, and as the annotations of code hosts; and the page of the rules.
//!
//! It judges nothing; the order of the findings is kept.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::causes::group_by;
use super::sheet::Sheet;
use super::style::{Tone, clean, fold, paragraph, width};
use super::{Format, Style, json, label};
use crate::check::doctor::Severity;
use crate::check::lint::live::Asked;
use crate::check::lint::rules::{self, DOWN, LEFT_OUT, Rule};
use crate::check::lint::{Finding, Linted, NotAnalysed, Place};
use crate::model::engine::Engine;
use crate::model::program;
use crate::model::schema::Direction;
use crate::model::text::hex;

/// Maximum number of lines of a finding, and of its remedy.
const MOST_LINES: usize = 12;

/// The result of a lint.
pub(crate) struct LintView<'a> {
    pub(crate) linted: &'a Linted,
    /// The engines that were linted.
    pub(crate) engines: &'a [Engine],
    /// The tenants that were asked, if they were.
    pub(crate) asked: Option<&'a Asked>,
    /// The lowest severity that is shown to people; none: no finding.
    pub(crate) least: Option<Severity>,
}

impl LintView<'_> {
    /// The text in the form asked for.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        match format {
            Format::Sarif => pretty(&self.sarif()),
            Format::Gitlab => pretty(&self.gitlab()),
            Format::Github => self.github(),
            _ => format.write(|| self.text(style), || self.fields(), || self.sheet()),
        }
    }

    fn shown(&self) -> impl Iterator<Item = &Finding> {
        let least = self.least;
        let is_shown = move |f: &&Finding| least.is_some_and(|least| f.severity <= least) && f.suppressed.is_none();
        self.linted.findings.iter().filter(is_shown)
    }

    fn fields(&self) -> Value {
        let Linted { findings, not_analysed, statements } = self.linted;
        let mut all = json!({ "engines": self.engines, "statements": statements, "findings": findings, "not_analysed": not_analysed });
        if let Some(asked) = self.asked {
            all["live"] = json!(asked);
        }
        all
    }

    fn sheet(&self) -> Sheet {
        Sheet::of(self.shown())
            .column("Severity", |f| f.severity.name())
            .column("Rule", |f| f.rule)
            .column("Engines", |f| engines(&f.engines))
            .column("Migration", |f| &f.place.migration)
            .column("Direction", |f| f.place.direction)
            .column("Place", |f| place(&f.place))
            .column("Finding", |f| &f.what)
            .column("Instead", |f| f.instead)
            .sheet()
    }

    fn text(&self, style: &Style) -> String {
        let mut out = String::new();
        // Findings that differ only in their places share their words.
        for ((_, what, instead, _), alike) in
            group_by(self.shown(), |f| (f.rule, &f.what, f.instead, f.severity.name()))
        {
            for f in alike {
                let name = style.paint(tone(f.severity), f.severity.name());
                let place = format!("{} ({})", clean(&place(&f.place)), engines(&f.engines));
                let needs = f.severity.name().len() + f.rule.len() + width(&place) + 4;
                let _ = match style.room().filter(|room| *room < needs) {
                    // On lines of its own it is broken at its own seams.
                    Some(room) => {
                        let folded = fold(&place, room.saturating_sub(4)).replace('\n', "\n    ");
                        writeln!(out, "{name}  {}\n    {folded}", f.rule)
                    }
                    None => writeln!(out, "{name}  {}  {place}", f.rule),
                };
            }
            out.push_str(&paragraph(what, "    ", MOST_LINES, style));
            out.push_str(&paragraph(&format!("instead: {instead}"), "    ", MOST_LINES, style));
        }
        let shows_all = self.least == Some(Severity::Info);
        for note in self.linted.not_analysed.iter().filter(|_| shows_all) {
            let _ = writeln!(out, "not analysed  {} ({})", clean(&place(&note.place)), engines(&note.engines));
            out.push_str(&paragraph(&note.why, "    ", MOST_LINES, style));
        }
        if !out.is_empty() {
            out.push('\n');
        }
        let summary = self.summary(shows_all);
        out.push_str(&match style.room() {
            Some(_) => paragraph(&summary, "", MOST_LINES, style),
            None => summary + "\n",
        });
        out + &self.asked_in_words(style)
    }

    /// The tenants that were asked, and why some were not: without them nothing is green.
    fn asked_in_words(&self, style: &Style) -> String {
        let Some(Asked { tenants, failed }) = self.asked else { return String::new() };
        let mut out = format!("{} asked, {} could not be\n", label::count(*tenants, "tenant"), failed.len());
        for (why, of) in group_by(failed.iter(), |(_, why)| why) {
            let names = label::names(of.iter().map(|(tenant, _)| tenant), 48, style);
            out.push_str(&paragraph(&format!("{names}: {why}"), "    ", MOST_LINES, style));
        }
        out
    }

    fn summary(&self, shows_all: bool) -> String {
        let Linted { findings, not_analysed, statements } = self.linted;
        let count = |severity| findings.iter().filter(|f| f.severity == severity && f.suppressed.is_none()).count();
        let suppressed = findings.iter().filter(|f| f.suppressed.is_some()).count();
        let infos = count(Severity::Info);
        let more = if shows_all || (infos == 0 && not_analysed.is_empty()) { "" } else { "; --show info has them all" };
        format!(
            "{} on {}: {}, {}, {infos} of severity info, {suppressed} suppressed, {} not analysed{more}",
            label::count(*statements, "statement"),
            engines(self.engines),
            label::count(count(Severity::Error), "error"),
            label::count(count(Severity::Warning), "warning"),
            not_analysed.len(),
        )
    }

    /// <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>
    fn sarif(&self) -> Value {
        let level = |severity: Severity| if severity == Severity::Info { "note" } else { severity.name() };
        let rule = |rule: &Rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.why },
                "help": { "text": format!("Instead: {}.", rule.instead) },
                "defaultConfiguration": { "level": level(rule.severity) },
            })
        };
        let location = |place: &Place| match &place.file {
            Some(file) => json!([{ "physicalLocation": {
                "artifactLocation": { "uri": file }, "region": { "startLine": place.line.max(1) } } }]),
            None => {
                json!([{ "logicalLocations": [{ "name": place.migration, "fullyQualifiedName": self::place(place) }] }])
            }
        };
        let finding = |f: &Finding| {
            let mut result = json!({
                "ruleId": f.rule,
                "level": level(f.severity),
                "message": { "text": sentence(f) },
                "locations": location(&f.place),
            });
            if let Some(reason) = &f.suppressed {
                result["suppressions"] = json!([{ "kind": "inSource", "justification": reason }]);
            }
            result
        };
        let note = |n: &NotAnalysed| {
            let text = format!("{}: not analysed on {}: {}", place(&n.place), engines(&n.engines), n.why);
            json!({ "ruleId": "not-analysed", "level": "note", "message": { "text": text }, "locations": location(&n.place) })
        };
        let results: Vec<Value> =
            self.linted.findings.iter().map(finding).chain(self.linted.not_analysed.iter().map(note)).collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": format!("{} lint", program::name()),
                    "version": program::version(),
                    "rules": rules::all().iter().map(rule).collect::<Vec<_>>(),
                } },
                "results": results,
            }],
        })
    }

    /// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>
    fn github(&self) -> String {
        let data = |text: &str| clean(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
        let line = |(kind, place, title, text): (&str, &Place, &str, String)| {
            let file = place.file.as_ref().map(|file| format!("file={},line={},", property(file), place.line.max(1)));
            format!("::{kind} {}title={}::{}\n", file.unwrap_or_default(), property(title), data(&text))
        };
        let findings = self.shown().map(|f| {
            let kind = if f.severity == Severity::Info { "notice" } else { f.severity.name() };
            (kind, &f.place, f.rule, sentence(f))
        });
        let notes = self
            .linted
            .not_analysed
            .iter()
            .filter(|_| self.least == Some(Severity::Info))
            .map(|n| ("notice", &n.place, "not-analysed", format!("{}: not analysed: {}", place(&n.place), n.why)));
        findings.chain(notes).map(line).collect()
    }

    /// <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>
    fn gitlab(&self) -> Value {
        let finding = |f: &Finding| {
            let severity = match f.severity {
                Severity::Error => "critical",
                Severity::Warning => "major",
                Severity::Info => "info",
            };
            // The line is left out: a finding that has moved is the same.
            let key = format!("{}\n{}\n{}\n{}", f.rule, f.place.migration, f.place.direction, f.what);
            let fingerprint = hex(&Sha256::digest(key));
            let path = f.place.file.as_deref().unwrap_or(&f.place.migration);
            json!({
                "description": sentence(f),
                "check_name": f.rule,
                "fingerprint": fingerprint,
                "severity": severity,
                "location": { "path": path, "lines": { "begin": f.place.line.max(1) } },
            })
        };
        self.shown().map(finding).collect()
    }
}

fn pretty(value: &Value) -> String {
    json::escape(&serde_json::to_string_pretty(value).expect("a value always serialises")) + "\n"
}

/// A finding by itself, with its place.
fn sentence(f: &Finding) -> String {
    format!("{} on {}: {}. Instead: {}.", place(&f.place), engines(&f.engines), f.what, f.instead)
}

fn engines(all: &[Engine]) -> String {
    all.iter().map(|engine| engine.name()).collect::<Vec<_>>().join(", ")
}

/// File and line, or migration and statement; the way down is said.
fn place(place: &Place) -> String {
    let down = if place.direction == Direction::Down { ", down" } else { "" };
    match (&place.file, place.line, place.statement) {
        (Some(file), 0, _) => format!("{file}{down}"),
        (Some(file), line, _) => format!("{file}:{line}{down}"),
        (None, _, 0) => format!("{}{down}", place.migration),
        (None, _, statement) => format!("{}, statement {statement}{down}", place.migration),
    }
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Warning,
        Severity::Info => Tone::Dim,
    }
}

/// The page of the rules, from their metadata. `made`: the line that says who wrote it.
pub(crate) fn reference(made: &str) -> String {
    let all = rules::all();
    let mut out = format!(
        "# Lint rules\n\n{made}\n\nThe rules of `fleet lint`, their severity and the engines that they are for. Each example is a test: \
         the first is found, the second is not. {} of {} come from [squawk](https://squawkhq.com), as marked; see \
         [Lint migrations](../guide/lint.md).\n\n| rule | severity | engines |\n|---|---|---|\n",
        all.iter().filter(|rule| rule.is_of_squawk()).count(),
        all.len()
    );
    for rule in &all {
        let _ = writeln!(out, "| [`{0}`](#{0}) | {1} | {2} |", rule.id, rule.severity.name(), engines(&rule.on()));
    }
    out.push_str("\n## Not used\n\n| rule of squawk | reason |\n|---|---|\n");
    for (id, why) in LEFT_OUT {
        let _ = writeln!(out, "| `{id}` | {why} |");
    }
    for rule in &all {
        let squawk = if rule.is_of_squawk() { "; a rule of squawk" } else { "" };
        let _ = write!(
            out,
            "\n## {}\n\n{}, on {}{squawk}. {}\n\n```sql\n{};\n```\n\nInstead: {}.\n\n```sql\n{};\n```\n",
            rule.id,
            capital(rule.severity.name()),
            engines(&rule.on()),
            linked(rule.why),
            example(rule.bad),
            rule.instead,
            example(rule.good),
        );
    }
    out
}

/// An example as a reader writes it: the ways are files of their own.
fn example(text: &str) -> String {
    text.replace(&format!("\n{DOWN}"), "\n\n-- the way down:\n")
}

/// Addresses as links.
fn linked(text: &str) -> String {
    text.split(' ')
        .map(|word| match word.strip_prefix("(https://").and_then(|rest| rest.split_once(')')) {
            Some((address, rest)) => format!("(<https://{address}>){rest}"),
            None => word.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn capital(word: &str) -> String {
    word[..1].to_uppercase() + &word[1..]
}
