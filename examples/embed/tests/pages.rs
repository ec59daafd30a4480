//! The pages that show this example: its files word for word, and its sessions run again.

#![expect(clippy::unwrap_used, reason = "a test ends with the first thing that is not as it should be")]

#[path = "../../../tests/support/pages.rs"]
#[expect(dead_code, reason = "the pages of this program need less of it than the book does")]
mod pages;

use pages::{Page, Stage, play, root};

#[test]
fn a_page_that_shows_a_module_says_where_its_file_is() {
    let page = Page::read("docs/book/src/embed.md");
    let modules: Vec<&str> =
        page.text.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).collect();
    assert_eq!(modules, ["migrations", "migrator"]);
    for module in modules {
        let files = [format!("`src/{module}.rs`"), format!("`src/{module}/mod.rs`")];
        assert!(files.iter().any(|file| page.text.contains(file)), "no file of `mod {module};` is shown");
    }
}

#[test]
fn the_pages_show_this_example() {
    let shown: Vec<Page> = Page::all().into_iter().filter(|page| page.fixture() == Some("embed")).collect();
    assert!(shown.len() >= 2, "the README and the page on migrations of one's own are about this example");
    let mut wrong = Vec::new();
    for page in shown {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(root().join("examples/embed/tenants.toml"), folder.path().join("tenants.toml")).unwrap();
        let mut findings = play(&page, &mut Stage::new(folder.path(), env!("CARGO_BIN_EXE_embed")));
        findings.extend(page.stale_files());
        wrong.extend(page.conclude(findings));
    }
    assert!(wrong.is_empty(), "`REWRITE_BOOK=1 cargo test -p embed` writes the pages anew:\n{}", wrong.join("\n"));
}
