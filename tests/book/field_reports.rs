//! The page of field reports: every row names a test that exists.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

use crate::none;
use crate::pages::{Page, root};

/// The names of all test functions and modules below a folder: `on_every_site!` makes a module of each behaviour.
fn tests(folder: &Path, names: &mut BTreeSet<String>) {
    let name = Regex::new(r"fn (\w+)\(").unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests(&path, names);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            names.extend(name.captures_iter(&text).map(|found| found[1].to_owned()));
        }
    }
}

#[test]
fn every_field_report_names_a_test_that_exists() {
    let page = Page::read("docs/book/src/reference/field-reports.md");
    let mut known = BTreeSet::new();
    for folder in ["src", "tests", "fleet-seed/src"] {
        tests(&root().join(folder), &mut known);
    }
    let rows: Vec<&str> = page.text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let mut unknown = Vec::new();
    for row in &rows {
        let tests = row.trim_end().trim_end_matches('|').rsplit('|').next().unwrap();
        for test in tests.split(',').map(|test| test.trim().trim_matches('`')) {
            if !known.contains(test) {
                unknown.push(format!("{test}: {row}"));
            }
        }
    }
    none("these tests do not exist", &unknown);
    assert!(rows.len() >= 40, "{} rows", rows.len());
}

/// The lines of tables that a blank line has cut off from their header: Markdown shows them as text.
fn cut_off(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let is_row = |n: usize| lines.get(n).is_some_and(|line| line.starts_with('|'));
    let begins = |n: usize| is_row(n) && !n.checked_sub(1).is_some_and(is_row);
    let has_header = |n: usize| lines.get(n + 1).is_some_and(|line| line.starts_with("|--") || line.starts_with("|:-"));
    let cut = (0..lines.len()).filter(|n| begins(*n) && !has_header(*n));
    cut.map(|n| format!("line {}: {}", n + 1, lines[n].chars().take(60).collect::<String>())).collect()
}

#[test]
fn every_row_of_a_table_is_below_its_header() {
    let mut found = Vec::new();
    for page in Page::all() {
        found.extend(cut_off(&page.text).into_iter().map(|line| format!("{} {line}", page.path)));
    }
    none("rows without a header", &found);

    let table = "| a | b |\n|---|---|\n| 1 | 2 |\n";
    assert_eq!(cut_off(&format!("text\n\n{table}\ntext\n\n{table}")), [""; 0]);
    assert_eq!(cut_off(&format!("{table}\n| 3 | 4 |\n| 5 | 6 |\n")), ["line 5: | 3 | 4 |"]);
}
