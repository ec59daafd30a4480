//! The matrix and the status.

use serde_json::Value;

use super::*;
use crate::model::schema::{Direction, Unfinished};
use crate::report::Format;
use crate::report::matrix::MatrixView;
use crate::report::status::StatusView;

pub(super) fn forty() -> Catalog {
    let all: Vec<String> =
        (1..=40).map(|i| format!("m2024{:02}{:02}_000001_change_{i}", 1 + i / 28, 1 + i % 28)).collect();
    names(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

fn matrix(catalog: &Catalog, observations: &[Observation], all: bool, style: &Style) -> String {
    let text = MatrixView { catalog, observations, all }.render(Format::Table, style);
    assert_readable(&text, style);
    text
}

#[test]
fn five_hundred_tenants_stay_readable() {
    let (c, few) = (catalog(), large(&catalog()));
    for (name, style) in [("wide", WIDE), ("narrow", NARROW), ("ascii", ASCII)] {
        let text = matrix(&c, &few, false, &style);
        assert!(text.lines().count() < 40);
        insta::assert_snapshot!(format!("matrix_{name}"), text);
    }
}

#[test]
fn forty_migrations_fold_where_tenants_agree_and_say_what_is_left_out() {
    let c = forty();
    let fleet = large(&c);
    for (name, style) in [("wide", WIDE), ("narrow", NARROW)] {
        insta::assert_snapshot!(format!("matrix_forty_{name}"), matrix(&c, &fleet, false, &style));
    }
    let spread: Vec<Observation> = (0..41).map(|n| observed(&c, &format!("t{n}"), &first(&c, n))).collect();
    let text = matrix(&c, &spread, false, &NARROW);
    assert!(text.contains("for want of room"), "{text}");
}

#[test]
fn every_row_on_request() {
    let c = catalog();
    let fleet = large(&c);
    let text = matrix(&c, &fleet, true, &NARROW);
    let rows = fleet.iter().filter(|o| text.lines().any(|l| l.starts_with(&format!("{} ", o.tenant)))).count();
    assert_eq!(rows, 500);
    insta::assert_snapshot!("matrix_all", matrix(&c, &fleet[492..], true, &WIDE));
}

#[test]
fn a_tenant_in_doubt_is_marked_where_it_stopped() {
    let c = catalog();
    let mut o = observed(&c, "acme", &first(&c, 1));
    o.state = State::InDoubt(Unfinished {
        migration: c.migrations[1].to_string(),
        direction: Direction::Up,
        statement: Some(3),
        run: "0197".to_owned(),
        stopped: false,
        sha256: String::new(),
        is_gone: false,
        lost: String::new(),
        vouched: false,
    });
    insta::assert_snapshot!(matrix(&c, &[o], false, &NARROW));
}

#[test]
fn nothing_to_show_is_said() {
    assert_eq!(matrix(&catalog(), &[], false, &NARROW), "0 tenants\n");
    let none = names(&[]);
    let text = matrix(&none, &[observed(&none, "acme", &[])], false, &NARROW);
    assert!(text.contains("1 tenant: 1 at target"), "{text}");
    assert_eq!(StatusView { catalog: &none, observations: &[] }.render(Format::Table, &NARROW), "0 tenants\n");
}

#[test]
fn hostile_names_steer_nothing() {
    let c = names(&["m1\x1b[0m_a|b", "m2_<b>"]);
    let fleet = hostile(&c);
    for style in [NARROW, WIDE] {
        let text = matrix(&c, &fleet, true, &style) + &matrix(&c, &fleet, false, &style);
        assert!(text.contains("\\x1b[2J"), "{text}");
    }
    for format in [Format::Csv, Format::Md, Format::Json] {
        let text = MatrixView { catalog: &c, observations: &fleet, all: true }.render(format, &NARROW);
        assert!(text.lines().all(|l| l.chars().all(is_harmless)), "{text:?}");
    }
    insta::assert_snapshot!("matrix_hostile", matrix(&c, &fleet, false, &NARROW));
    let md = MatrixView { catalog: &c, observations: &fleet, all: false }.render(Format::Md, &NARROW);
    assert!(!md.contains("<script>") && !md.contains("@everyone"), "{md}");
    let csv = MatrixView { catalog: &c, observations: &fleet, all: false }.render(Format::Csv, &NARROW);
    assert!(csv.contains("\n'=cmd()"), "{csv}");
}

#[test]
fn machines_get_everything() {
    let c = catalog();
    let fleet: Vec<Observation> = large(&c).split_off(493);
    let view = MatrixView { catalog: &c, observations: &fleet, all: false };
    insta::assert_snapshot!("matrix_json", view.render(Format::Json, &NARROW));
    insta::assert_snapshot!("matrix_csv", view.render(Format::Csv, &NARROW));
    insta::assert_snapshot!("matrix_md", view.render(Format::Md, &NARROW));
    let exact: Value = serde_json::from_str(
        &MatrixView { catalog: &c, observations: &hostile(&c), all: false }.render(Format::Json, &NARROW),
    )
    .unwrap();
    assert_eq!(exact["tenants"][0]["id"], HOSTILE[0]);
}

#[test]
fn status_counts() {
    let c = catalog();
    let fleet = large(&c);
    let view = StatusView { catalog: &c, observations: &fleet };
    for (name, style) in [("narrow", NARROW), ("ascii", ASCII)] {
        let text = view.render(Format::Table, &style);
        assert_readable(&text, &style);
        insta::assert_snapshot!(format!("status_{name}"), text);
    }
    for format in [Format::Json, Format::Csv, Format::Md] {
        insta::assert_snapshot!(format!("status_{format}"), view.render(format, &NARROW));
    }
    let bad = hostile(&c);
    assert_readable(&StatusView { catalog: &c, observations: &bad }.render(Format::Table, &NARROW), &NARROW);
}
