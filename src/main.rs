//! The `fleet` binary, wired to this repository's own migrations.

fn main() -> std::process::ExitCode {
    fleet::cli::main(migration::Migrator)
}
