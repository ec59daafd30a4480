//! The format and destination of a command's output.

use super::args::{Output, RunOutput};
use super::exit::CliError;
use super::setup::Program;
use super::terminal;
use crate::report::Style;

impl Output {
    /// The style of stdout, or of the file in its place.
    pub(super) fn style(&self, program: &Program) -> Style {
        program.terminal.style(self.output.as_deref())
    }

    pub(super) fn deliver(&self, text: &str) -> Result<(), CliError> {
        terminal::deliver(text, self.output.as_deref())
    }
}

impl RunOutput {
    /// The style of stdout, or of the file in its place.
    pub(super) fn style(&self, program: &Program) -> Style {
        program.terminal.style(self.output.as_deref())
    }

    pub(super) fn deliver(&self, text: &str) -> Result<(), CliError> {
        terminal::deliver(text, self.output.as_deref())
    }
}
