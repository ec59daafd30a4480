//! The whole `fleet` program with the small catalog.

use std::process::ExitCode;

fn main() -> ExitCode {
    fleet::cli::main(small::Migrator)
}
