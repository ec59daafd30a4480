//! `depends_on`: its valid values, and checking a fleet of any shape in one pass.

use super::*;

/// A file of these tenants with their dependencies.
fn file<'a>(tenants: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let table = |(id, on): (&str, &str)| tenant(id, &format!("url = \"sqlite:{id}.db\"\ndepends_on = [{on}]"));
    tenants.into_iter().map(table).collect()
}

#[test]
fn it_is_a_list_of_ids_each_once() {
    let fleet = good(&file([("acme", "'shared', 'auth', 'shared'"), ("auth", "'shared'"), ("shared", "")]), []);
    let on: Vec<Vec<&str>> =
        fleet.tenants.iter().map(|t| t.depends_on.iter().map(|id| id.as_str()).collect()).collect();
    assert_eq!(on, [vec!["shared", "auth"], vec!["shared"], vec![]]);
}

#[test]
fn all_its_mistakes_come_at_once_with_their_places() {
    let text = file([
        ("acme", "'acme', 'shard', 'b'"),
        ("b", "'c'"),
        ("c", "'d', 'acme'"),
        ("d", "'b'"),
        ("shared", "'*', 'a\\u{200b}'"),
        ("z", ""),
    ]);
    let text = text.replace("'a\\u{200b}'", "'a\u{200b}'").replace("depends_on = []", "depends_on = 7");
    let found: Vec<String> =
        mistakes(&text, []).into_iter().map(|(line, at, text)| format!("{line}:{at} {text}")).collect();
    assert_eq!(
        found,
        [
            "4:15 tenant `acme` depends on itself",
            "4:23 `depends_on` names the tenant `shard`, which is not in the file",
            "12:20 tenants wait for each other: acme -> b -> c -> acme",
            "16:15 tenants wait for each other: b -> c -> d -> b",
            "20:15 `depends_on` names the tenant `*`, which is not in the file",
            "20:20 a text in `depends_on` holds the unprintable character U+200B",
            "24:14 `depends_on` must be a list of texts: [\"a\", \"b\"], not this number",
        ]
    );
    let shown = parse(&text, []).unwrap_err().render(false);
    assert!(shown.contains("did you mean `shared`?"), "{shown}");
}

#[test]
fn a_tenant_of_a_later_wave_can_not_be_waited_for() {
    let waves =
        "[[wave]]\nname = \"canary\"\ntenants = [\"a\"]\n[[wave]]\nname = \"early\"\ntenants = [\"b\", \"c\"]\n";
    let text = format!("{waves}{}", file([("a", "'b', 'd'"), ("b", "'a', 'c'"), ("c", ""), ("d", "'a', 'c'")]));
    // A cycle is reported first: with it the waves could not be corrected.
    assert_eq!(mistakes(&text, []).len(), 2);
    let text = format!("{waves}{}", file([("a", "'b', 'd'"), ("b", "'c'"), ("c", ""), ("d", "'c'")]));
    let found = mistakes(&text, []);
    assert_eq!(
        found,
        [
            (10, 15, "`a` of wave canary depends on `b`, whose wave early comes later".to_owned()),
            (10, 20, "`a` of wave canary depends on `d`, whose wave rest comes later".to_owned()),
        ]
    );
}

/// Stack and time grow at most linearly with the length of a chain, in either direction.
#[test]
fn a_chain_and_a_circle_of_a_hundred_thousand_tenants_are_checked_at_once() {
    const N: usize = 100_000;
    let entry =
        |of: usize, on: usize| dependencies::Dependency { of: format!("t{of}"), on: format!("t{on}"), at: of..of + 1 };
    let ids: Vec<String> = (0..N).map(|i| format!("t{i}")).collect();
    let known = ids.iter().map(String::as_str).collect();
    let check = |entries: &[dependencies::Dependency]| {
        let mut drafts = crate::inputs::Diagnostics::default();
        dependencies::check(entries, &known, &mut drafts);
        drafts.finish(Path::new("t"), &" ".repeat(N + 1))
    };
    let mut chain: Vec<_> = (1..N).map(|i| entry(i - 1, i)).collect();
    assert!(check(&chain).is_ok());
    assert!(check(&chain.iter().rev().cloned().collect::<Vec<_>>()).is_ok());
    chain.push(entry(N - 1, 0));
    let found = check(&chain).unwrap_err();
    let [circle] = found.list() else { panic!("{} mistakes", found.list().len()) };
    assert!(
        circle.message.starts_with("tenants wait for each other: t0 -> t1 -> ")
            && circle.message.ends_with(" -> t99999 -> t0")
    );
    assert!(circle.message.contains(" -> ... 99976 more ... -> ") && circle.message.len() < 400, "{}", circle.message);
    // Every one leads back to the first.
    chain.extend((1..N - 1).map(|i| entry(i, 0)));
    assert_eq!(check(&chain).unwrap_err().list().len(), N - 1);
    let strangers: Vec<_> = (0..N).map(|i| dependencies::Dependency { on: format!("x{i}"), ..entry(i, 0) }).collect();
    assert_eq!(check(&strangers).unwrap_err().list().len(), N);
}
