//! The trait of all commands: each runs on a program and ends with an exit code.

use super::exit::CliError;
use super::setup::Program;

pub(super) trait Run {
    /// Runs the command. Returns the exit code.
    ///
    /// # Errors
    /// [`CliError`], which has its own exit code, where the command failed or could not start.
    async fn run(self, program: &Program) -> Result<u8, CliError>;
}
