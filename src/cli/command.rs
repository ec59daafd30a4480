//! What every command is: something that runs on a program and ends with an exit code.

use super::exit::CliError;
use super::setup::Program;

pub(super) trait Run {
    /// Does it. Returns the exit code.
    ///
    /// # Errors
    /// [`CliError`], which has an exit code of its own, where it could not be done or not be begun.
    async fn run(self, program: &Program) -> Result<u8, CliError>;
}
