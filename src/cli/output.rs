//! The form of what a command writes, and where it goes.

use super::args::{Output, RunFormat, RunOutput, Shape};
use super::exit::CliError;
use super::setup::Program;
use super::terminal;
use crate::report::{Format, Style};

impl Output {
    pub(super) fn shape(&self) -> Format {
        match self.format {
            Shape::Table => Format::Table,
            Shape::Json => Format::Json,
            Shape::Csv => Format::Csv,
            Shape::Md => Format::Md,
        }
    }

    /// How stdout may look; a file gets no colours.
    pub(super) fn style(&self, program: &Program) -> Style {
        Style { colour: self.output.is_none() && program.terminal.out.colour, ..program.terminal.out }
    }

    pub(super) fn deliver(&self, text: &str) -> Result<(), CliError> {
        terminal::deliver(text, self.output.as_deref())
    }
}

impl RunOutput {
    /// `None` for a stream of events, which has no outcome at its end.
    pub(super) fn shape(&self) -> Option<Format> {
        match self.format {
            RunFormat::Table => Some(Format::Table),
            RunFormat::Json => Some(Format::Json),
            RunFormat::Csv => Some(Format::Csv),
            RunFormat::Md => Some(Format::Md),
            RunFormat::Jsonl => None,
        }
    }

    /// How stdout may look; a file gets no colours.
    pub(super) fn style(&self, program: &Program) -> Style {
        Style { colour: self.output.is_none() && program.terminal.out.colour, ..program.terminal.out }
    }

    pub(super) fn deliver(&self, text: &str) -> Result<(), CliError> {
        terminal::deliver(text, self.output.as_deref())
    }
}
