//! Links, anchors and the table of contents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::none;
use crate::pages::{Page, Part, root};

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
        plain
    })
}

/// The anchors of a page, as mdBook and GitHub make them from its headings.
fn anchors(page: &Page) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = page.parts.iter().filter_map(|part| match part {
        Part::Heading(text) => Some(text),
        _ => None,
    });
    let anchor = |text: &String| -> String {
        let kept = text.to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    let unique = |anchor: String| {
        let count = seen.entry(anchor.clone()).and_modify(|n| *n += 1).or_default();
        if *count == 0 { anchor } else { format!("{anchor}-{count}") }
    };
    headings.map(anchor).map(unique).collect()
}

/// The wrong links of a page, given the anchors of all pages.
fn wrong(page: &Page, anchors: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let book = Path::new("docs/book/src");
    let mut wrong = Vec::new();
    for part in &page.parts {
        let Part::Link { target, at } = part else { continue };
        if target.starts_with("http://") || target.starts_with("https://") {
            continue;
        }
        let (file, anchor) = target.split_once('#').map_or((&**target, None), |(file, anchor)| (file, Some(anchor)));
        let path = match file {
            "" => PathBuf::from(&page.path),
            file => plain(&Path::new(&page.path).parent().unwrap().join(file)),
        };
        let name = path.to_string_lossy().into_owned();
        let place = page.line(*at);
        if !root().join(&path).exists() {
            wrong.push(format!("{place}: there is no {name}"));
        } else if page.path.starts_with("docs/book") && !path.starts_with(book) {
            wrong.push(format!("{place}: {name} is outside the book, where its rendered pages can't lead to"));
        } else if let Some(anchor) = anchor
            && !anchors.get(&name).is_some_and(|known| known.contains(anchor))
        {
            wrong.push(format!("{place}: {name} has no heading #{anchor}"));
        }
    }
    wrong
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = Page::all();
    pages.extend(["CONTRIBUTING.md", "CHANGELOG.md", "examples/embed/README.md"].map(Page::read));
    let anchors: BTreeMap<String, BTreeSet<String>> = pages.iter().map(|p| (p.path.clone(), anchors(p))).collect();
    none("wrong links", &pages.iter().flat_map(|page| wrong(page, &anchors)).collect::<Vec<_>>());

    let links = pages.iter().flat_map(|page| &page.parts).filter(|part| matches!(part, Part::Link { .. })).count();
    assert!(links > 100, "only {links} links were found");
    let text = "# A `b`, c\n\n[x](y.md) [x](#a-b-c) [x](#d) [x](../../../Cargo.toml)\n".to_owned();
    let page = Page::of("docs/book/src/concepts.md", text);
    let known = BTreeMap::from([(page.path.clone(), self::anchors(&page))]);
    let found = wrong(&page, &known);
    assert!(found.len() == 3 && !found.iter().any(|text| text.contains("#a-b-c")), "{found:?}");
}

#[test]
fn the_table_of_contents_has_every_page_once() {
    let summary = Page::read("docs/book/src/SUMMARY.md");
    let mut listed: Vec<&str> = Vec::new();
    for part in &summary.parts {
        if let Part::Link { target, .. } = part {
            listed.push(target);
        }
    }
    let pages = Page::all();
    let files: BTreeSet<&str> = pages.iter().filter_map(|page| page.path.strip_prefix("docs/book/src/")).collect();
    let unlisted: Vec<&&str> = files.iter().filter(|file| **file != "SUMMARY.md" && !listed.contains(file)).collect();
    none("not in SUMMARY.md", &unlisted);
    let missing: Vec<&&str> = listed.iter().filter(|file| !files.contains(**file)).collect();
    none("in SUMMARY.md, but not there", &missing);
    let distinct: BTreeSet<&&str> = listed.iter().collect();
    assert_eq!(distinct.len(), listed.len(), "a page is in SUMMARY.md twice");
    assert!(std::fs::read_to_string(root().join("docs/book/book.toml")).unwrap().contains("[book]"));
}

#[test]
fn the_readme_is_short() {
    let lines = Page::read("README.md").text.lines().count();
    assert!(lines <= 150, "README.md has {lines} lines; it says what fleet is, and the book says the rest");
}
