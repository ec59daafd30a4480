//! The book and the README are correct: transcripts are run again, reference pages are the program's own, every link
//! has a target, every command exists.
//!
//! SQLite only. `REWRITE_BOOK=1 cargo test --test book` rewrites the pages where the program has changed.

#![expect(clippy::unwrap_used, reason = "a test ends with the first thing that is not as it should be")]

mod commands;
mod field_reports;
mod links;
#[path = "../support/pages.rs"]
mod pages;
mod picture;
mod reference;
mod transcripts;

use std::fmt::Display;
use std::process::Command;

/// The output of the program.
fn fleet(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet"));
    let output = command.args(arguments).env_remove("FLEET_CONFIG").current_dir(pages::root()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "fleet {}: {err}", arguments.join(" "));
    out.into_owned()
}

fn none<T: Display>(complaint: &str, found: &[T]) {
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{complaint}:\n{}", lines.join("\n"));
}
