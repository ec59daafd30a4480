//! Every command of fleet for the catalog of many small migrations.

use std::process::ExitCode;

use fleet_bench::many::ManyMigrator;

fn main() -> ExitCode {
    fleet::cli::main(ManyMigrator)
}
