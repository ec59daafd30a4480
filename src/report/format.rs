//! The output formats. One list: each command and flag accepts some of them.

use serde_json::Value;

use super::json;
use super::sheet::Sheet;

/// An output format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Format {
    /// For a person at a terminal.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object per line while a run goes on. A finished text is a single document instead.
    Jsonl,
    /// Comma-separated values with a header line.
    Csv,
    /// GitHub-flavoured Markdown.
    Md,
    /// JUnit XML, of the outcome of a run. Any other text is the JSON document instead.
    Junit,
    /// One page for a browser, of the outcome of a run. Any other text is the JSON document instead.
    Html,
    /// Findings as code scanners exchange them, SARIF 2.1.0. Any other text is the JSON document instead.
    Sarif,
    /// Findings as annotations of a GitHub workflow.
    Github,
    /// Findings as a code quality report of GitLab.
    Gitlab,
}

impl Format {
    /// The forms of a finished text.
    pub(crate) const FINISHED: &[Format] = &[Format::Table, Format::Json, Format::Csv, Format::Md];
    /// The forms of a run on stdout.
    pub(crate) const RUN: &[Format] = &[Format::Table, Format::Json, Format::Jsonl, Format::Csv, Format::Md];
    /// The forms of a report in a file.
    pub(crate) const REPORT: &[Format] = &[Format::Html, Format::Junit, Format::Json, Format::Csv, Format::Md];

    /// The forms of findings in files.
    pub(crate) const FINDINGS: &[Format] =
        &[Format::Table, Format::Json, Format::Csv, Format::Md, Format::Sarif, Format::Github, Format::Gitlab];

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }

    /// The format among `forms` with this name.
    pub(crate) fn named(name: &str, forms: &[Format]) -> Option<Format> {
        forms.iter().copied().find(|form| form.name() == name)
    }

    /// A finished text: the table and the JSON are the view's own, CSV and Markdown come from its sheet.
    pub(super) fn write(
        self,
        table: impl FnOnce() -> String,
        fields: impl FnOnce() -> Value,
        sheet: impl FnOnce() -> Sheet,
    ) -> String {
        match self {
            Format::Table => table(),
            Format::Csv => sheet().csv(),
            Format::Md => sheet().markdown(),
            _ => json::document(fields()),
        }
    }
}
