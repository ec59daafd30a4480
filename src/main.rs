//! The `fleet` binary, wired to this repository's own migrations and entities.

fn main() -> std::process::ExitCode {
    fleet::cli::set_sample();
    fleet::cli::main_with(migration::Migrator, entity::register)
}
