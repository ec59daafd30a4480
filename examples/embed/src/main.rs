//! A service with migrations of its own, and with every command of `fleet`.

mod migrations;

fn main() -> std::process::ExitCode {
    fleet::cli::main(migrations::ServiceMigrator)
}
