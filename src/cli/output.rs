//! The form of what a command writes, and where it goes.

use super::args::{Output, RunOutput};
use super::exit::CliError;
use super::setup::Program;
use super::terminal;
use crate::report::Style;

impl Output {
    /// How stdout may look, or the file in its place.
    pub(super) fn style(&self, program: &Program) -> Style {
        program.terminal.style(self.output.as_deref())
    }

    pub(super) fn deliver(&self, text: &str) -> Result<(), CliError> {
        terminal::deliver(text, self.output.as_deref())
    }
}

impl RunOutput {
    /// How stdout may look, or the file in its place.
    pub(super) fn style(&self, program: &Program) -> Style {
        program.terminal.style(self.output.as_deref())
    }

    pub(super) fn deliver(&self, text: &str) -> Result<(), CliError> {
        terminal::deliver(text, self.output.as_deref())
    }
}
