//! Transcripts of the book, run again.

use std::path::Path;
use std::sync::Mutex;

use tempfile::TempDir;

use crate::none;
use crate::pages::{Page, Part, Stage, play, root};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// A folder whose path has the length of that in the pages, so that tables have the same widths.
fn folder() -> TempDir {
    tempfile::Builder::new().prefix("").rand_bytes("fleet".len()).tempdir_in("/tmp").unwrap()
}

/// The sample fleet of this repository, untouched.
pub(crate) fn sample() -> TempDir {
    let folder = folder();
    std::fs::copy(root().join("tenants.toml"), folder.path().join("tenants.toml")).unwrap();
    copy(&root().join("migration/sql"), &folder.path().join("migration/sql"));
    std::fs::copy(root().join("migration/seed.toml"), folder.path().join("migration/seed.toml")).unwrap();
    folder
}

#[test]
fn every_transcript_is_what_the_program_prints() {
    let program = env!("CARGO_BIN_EXE_fleet");
    let migrated = sample();
    let output = Stage::new(migrated.path(), program).run("fleet migrate --yes -q");
    assert!(output.contains("12 migrated"), "{output}");

    let pages: Vec<Page> =
        Page::all().into_iter().filter(|page| !page.path.starts_with("docs/book/src/design")).collect();
    let run = |page: &Page| -> Vec<String> {
        let folder = match page.fixture() {
            Some("sample") => sample(),
            Some("migrated") => {
                let folder = folder();
                copy(migrated.path(), folder.path());
                folder
            }
            // The test of the example has its program.
            Some("embed") => return Vec::new(),
            Some(other) => return vec![format!("{}: there is no fixture {other}", page.path)],
            None => {
                let is_transcript = |part: &Part| matches!(part, Part::Block { language, .. } if language == "console");
                let untested = page.parts.iter().any(is_transcript);
                let complaint = || format!("{}: a `console` block, and no fixture to run it in", page.path);
                return untested.then(complaint).into_iter().collect();
            }
        };
        let mut findings = play(page, &mut Stage::new(folder.path(), program));
        findings.extend(page.stale_files());
        page.conclude(findings)
    };
    // Most of a page is waiting for a program that it started.
    let rest = Mutex::new(pages.iter());
    let next = || rest.lock().unwrap().next();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let worker = || std::iter::from_fn(next).flat_map(run).collect::<Vec<_>>();
        let workers: Vec<_> = (0..6).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    none("not what the program prints; `REWRITE_BOOK=1 cargo test --test book` writes the pages anew", &wrong);
}
