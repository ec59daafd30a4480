//! The `fleet` program, wired to the sample's migrations and entities like the repository's own `src/main.rs`, with a
//! trace of SQLite's statements where `SENT_TRACE` names a file.
//!
//! The trace changes nothing of the program's behaviour.

mod trace;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(file) = std::env::var_os("SENT_TRACE")
        && let Err(error) = trace::into(file.as_ref())
    {
        panic!("SQLite can't be traced: {error}");
    }
    fleet::cli::main_with(migration::Migrator, entity::register)
}
