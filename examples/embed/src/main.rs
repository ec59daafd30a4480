//! A service with migrations of its own, and with every command of `fleet`.

mod migrations;
mod migrator;

fn main() -> std::process::ExitCode {
    fleet::cli::main(migrator::ServiceMigrator)
}
