//! The findings of `fleet doctor`, each with its remedy.
//!
//! It judges nothing; the order of the findings is kept.

use serde_json::json;

use crate::check::doctor::{Finding, Severity};
use crate::model::program;
use crate::model::tenant::TenantId;

use super::sheet::Sheet;
use super::style::{Tone, clean, paragraph};
use super::{Format, Style, label};

/// Maximum number of tenants named; the rest are counted.
const NAMED: usize = 8;

/// Maximum number of lines of a finding, and of its remedy.
const MOST_LINES: usize = 12;

/// The findings in the form asked for. `tenants`: number of tenants examined.
pub(crate) fn render(findings: &[Finding], tenants: usize, format: Format, style: &Style) -> String {
    let fields = || json!({ "tenants": tenants, "findings": findings });
    format.write(|| text(findings, tenants, style), fields, || sheet(findings))
}

fn sheet(findings: &[Finding]) -> Sheet {
    Sheet::of(findings)
        .column("Severity", |f| f.severity.name())
        .column("Server", |f| &f.server)
        .column("Tenants", |f| f.tenants.iter().map(TenantId::as_str).collect::<Vec<_>>().join(" "))
        .column("Finding", |f| &f.what)
        .column("Fix", |f| &f.fix)
        .sheet()
}

/// One line per finding, and one for its remedy: for a run that goes on in spite of them.
pub(crate) fn lines(findings: &[Finding]) -> Vec<String> {
    let line = |finding: &Finding| {
        let fix = if finding.fix.is_empty() { String::new() } else { format!(" ({})", clean(&finding.fix)) };
        format!("{}: {}{fix}", place(finding), clean(&finding.what))
    };
    findings.iter().map(line).collect()
}

fn place(finding: &Finding) -> String {
    let server = if finding.server.is_empty() { "this machine".to_owned() } else { clean(&finding.server) };
    if finding.tenants.is_empty() {
        return server;
    }
    let named: Vec<String> = finding.tenants.iter().take(NAMED).map(|id| clean(id.as_str())).collect();
    let more = finding.tenants.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{server}, {}{more}", named.join(", "))
}

/// A remedy that ends in a command, apart from it: a command that is broken over two lines is two commands.
fn with_command(fix: &str) -> (&str, Option<&str>) {
    let name = format!(": {} ", program::name());
    match fix.rfind(&name).map(|at| fix.split_at(at + 2)) {
        Some((words, command)) if !command.contains("; ") => (words.trim_end(), Some(command)),
        _ => (fix, None),
    }
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Warning,
        Severity::Info => Tone::Dim,
    }
}

fn text(findings: &[Finding], tenants: usize, style: &Style) -> String {
    let mut out = String::new();
    for finding in findings {
        let name = style.paint(tone(finding.severity), finding.severity.name());
        out.push_str(&format!("{name}  {}\n{}", place(finding), paragraph(&finding.what, "    ", MOST_LINES, style)));
        if !finding.fix.is_empty() {
            let fix = format!("fix: {}", finding.fix);
            let (words, command) = with_command(&fix);
            out.push_str(&paragraph(words, "    ", MOST_LINES, style));
            out.push_str(&command.map(|command| format!("      {}\n", clean(command))).unwrap_or_default());
        }
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let blank = if findings.is_empty() { "" } else { "\n" };
    format!(
        "{out}{blank}{}, {}, on {}\n",
        label::count(errors, "error"),
        label::count(warnings, "warning"),
        label::count(tenants, "tenant")
    )
}
