//! Every command that a page names exists, and every command of the program is explained.

use std::collections::BTreeSet;
use std::process::Command;

use crate::pages::{Page, Part, root, shown};
use crate::{fleet, none};

const NESTED: [&str; 4] = ["backup", "runs", "scripts", "tenants"];

/// A mistake in a `fleet` command: a subcommand or a long flag that the program's help does not have.
fn mistake(command: &str) -> Option<String> {
    let command = command.split(['|', '>', ';', '#', '&']).next().unwrap();
    let words: Vec<&str> = command.split_whitespace().skip(1).collect();
    let plain: Vec<&str> = words.iter().copied().take_while(|word| !word.starts_with(['-', '[', '<'])).collect();
    let is_nested =
        plain.first().is_some_and(|first| NESTED.contains(first)) || plain.starts_with(&["plan", "approve"]);
    let depth = if is_nested { 2 } else { 1 };
    let subcommand = &plain[..depth.min(plain.len())];
    let mut program = Command::new(env!("CARGO_BIN_EXE_fleet"));
    let output = program.args(subcommand).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Some(format!("there is no `fleet {}`", subcommand.join(" ")));
    }
    let known: BTreeSet<&str> =
        help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|w| w.starts_with("--")).collect();
    let flags = words.iter().filter(|word| word.starts_with("--")).map(|word| word.split('=').next().unwrap());
    let unknown = flags.into_iter().find(|flag| !known.contains(flag))?;
    Some(format!("`fleet {}` has no flag {unknown}", subcommand.join(" ")))
}

#[test]
fn every_command_that_a_page_names_exists() {
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for page in Page::all() {
        let mut check = |command: &str, at: usize| {
            let script =
                command.split_whitespace().next().filter(|word| word.len() > 8 && word.starts_with("scripts/"));
            if let Some(script) = script.filter(|script| !root().join(script).is_file()) {
                wrong.push(format!("{}: there is no {script}", page.line(at)));
            }
            if command.starts_with("fleet ") && seen.insert(command.to_owned()) {
                wrong.extend(mistake(command).map(|text| format!("{}: {text}", page.line(at))));
            }
        };
        for part in &page.parts {
            match part {
                Part::Code { text, at } => check(text, *at),
                Part::Block { language, content } if language == "sh" => {
                    page.text[content.clone()].lines().for_each(|line| check(line, content.start));
                }
                Part::Block { language, content } if language == "yaml" => {
                    let commands = page.text[content.clone()]
                        .lines()
                        .filter_map(|line| line.find("fleet migrate ").map(|at| &line[at..]));
                    commands.for_each(|line| check(line, content.start));
                }
                Part::Block { language, content } if language == "console" => {
                    shown(&page, content).iter().for_each(|shown| check(&shown.command, shown.at));
                }
                _ => {}
            }
        }
    }
    none("wrong commands", &wrong);
    assert!(seen.len() > 60, "the pages name only {} commands", seen.len());

    assert!(mistake("fleet migrat --yes").is_some());
    assert!(mistake("fleet migrate --jes").is_some());
    assert!(mistake("fleet runs sho last").is_some());
    assert!(mistake("fleet migrate --canary --max-failures=3").is_none());
}

#[test]
fn every_command_of_the_program_is_explained() {
    let is_explanation = |page: &Page| !page.path.contains("/reference/") && !page.path.contains("/design/");
    let pages: Vec<String> = Page::all().into_iter().filter(is_explanation).map(|page| page.text).collect();
    let commands = |arguments: &[&str]| -> Vec<String> {
        let help = fleet(arguments);
        let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        lines.filter_map(|line| Some(line.strip_prefix("  ")?.split(' ').next()?.to_owned())).collect()
    };
    let mut all = commands(&["--help"]);
    assert!(all.len() > 8, "{all:?}");
    for nested in NESTED {
        // `backup` is a command by itself, too.
        all.retain(|name| name != nested || nested == "backup");
        all.extend(commands(&[nested, "--help"]).into_iter().map(|name| format!("{nested} {name}")));
    }
    let missing = |name: &&String| {
        !name.is_empty() && !name.ends_with("help") && !pages.iter().any(|text| text.contains(&format!("fleet {name}")))
    };
    none("on no page", &all.iter().filter(missing).collect::<Vec<_>>());
}
