//! The plan.

use super::outcome::script;
use super::*;
use crate::model::schema::{Direction, Execution, NativeReason, Script};
use crate::report::Format;
use crate::report::plan::{Detail, PlanRow, PlanView};

pub(super) fn row(tenant: &str, engine: Engine, state: &str, steps: &[&str]) -> PlanRow {
    PlanRow {
        flavour: None,
        tenant: TenantId::from(tenant),
        engine,
        server: "db7:5432".to_owned(),
        source: None,
        state: state.to_owned(),
        steps: steps.iter().map(|s| (*s).to_owned()).collect(),
        online: false,
        refusal: None,
        note: None,
        error: None,
        after: Vec::new(),
    }
}

pub(super) fn waves(c: &Catalog) -> Vec<(String, Vec<PlanRow>)> {
    let all = first(c, 3);
    let rest: Vec<PlanRow> = (0..40)
        .map(|i| {
            row(
                &format!("tenant-{i}"),
                if i % 2 == 0 { Engine::Postgres } else { Engine::Mysql },
                "behind 2",
                &all[1..],
            )
        })
        .chain([
            row("done", Engine::Postgres, "at target", &[]),
            PlanRow {
                refusal: Some("its history has m99_x, which this program does not know".to_owned()),
                ..row("new", Engine::Postgres, "ahead 1", &[])
            },
            PlanRow {
                error: Some(Fault::with_code(
                    FaultClass::Authentication,
                    "28P01",
                    "password authentication failed for user \"lost\"",
                )),
                ..row("lost", Engine::Postgres, "unreachable", &[])
            },
        ])
        .collect();
    vec![("canary".to_owned(), vec![row("acme", Engine::Sqlite, "empty", &all)]), ("rest".to_owned(), rest)]
}

pub(super) fn scripts() -> Vec<Script> {
    let native = NativeReason::Queries("SELECT count(*) FROM orders".to_owned());
    vec![
        script(0, Engine::Sqlite),
        script(1, Engine::Postgres),
        script(1, Engine::Mysql),
        Script { execution: Execution::Native { transaction: true, reason: native }, ..script(2, Engine::Postgres) },
        Script {
            execution: Execution::Irreversible { reason: "down is not written".to_owned() },
            statements: vec![],
            ..script(2, Engine::Mysql)
        },
    ]
}

pub(super) fn view<'a>(
    catalog: &'a Catalog,
    waves: &'a [(String, Vec<PlanRow>)],
    scripts: &'a [Script],
) -> PlanView<'a> {
    PlanView {
        servers: &[],
        notes: &[],
        command: "fleet plan",
        catalog,
        direction: Direction::Up,
        goal: "head",
        waves,
        scripts,
        aside: &[],
        limits: &[],
        hooks: &[],
        issues: &[],
        locks: &[],
        wires: &[],
        detail: Detail::Summary,
    }
}

#[test]
fn a_plan_for_a_person() {
    let (c, s) = (catalog(), scripts());
    let w = waves(&c);
    for (name, style) in [("wide", WIDE), ("narrow", NARROW), ("ascii", ASCII)] {
        let text = view(&c, &w, &s).render(Format::Table, &style);
        assert_readable(&text, &style);
        insta::assert_snapshot!(format!("plan_{name}"), text);
        let text = PlanView { detail: Detail::Scripts, ..view(&c, &w, &s) }.render(Format::Table, &style);
        assert_readable(&text, &style);
        insta::assert_snapshot!(format!("plan_scripts_{name}"), text);
    }
}

#[test]
fn a_plan_for_machines() {
    let (c, s) = (catalog(), scripts());
    let w = waves(&c);
    insta::assert_snapshot!("plan_md", view(&c, &w, &s).render(Format::Md, &NARROW));
    let json: serde_json::Value = serde_json::from_str(&view(&c, &w, &s).render(Format::Json, &NARROW)).unwrap();
    assert_eq!(json["scripts"][2]["atomic"], false);
    assert_eq!(json["scripts"][1]["statements"][0], s[1].statements[0]);
    assert_eq!(json["summary"]["to_run"], 41);
    let csv = view(&c, &w, &s).render(Format::Csv, &NARROW);
    assert_eq!(csv.lines().count(), 1 + 44);
}

#[test]
fn the_sql_is_what_is_sent() {
    let c = catalog();
    let statements = vec![
        "CREATE TABLE \"a\" (\n\t\"x\" text DEFAULT 'a;b'\n)".to_owned(),
        "UPDATE a SET x = 1 -- all".to_owned(),
        "SELECT 1;".to_owned(),
        "SELECT 'user\u{202e} -- nimda'".to_owned(),
    ];
    let s = [Script { statements: statements.clone(), ..script(1, Engine::Postgres) }];
    let view = PlanView { detail: Detail::Sql, ..view(&c, &[], &s) };
    let text = view.render(Format::Table, &NARROW);
    assert!(statements[..3].iter().all(|s| text.contains(s)), "{text}");
    assert!(!text.contains('\u{202e}'));
    insta::assert_snapshot!(text);
    assert!(!PlanView { detail: Detail::Scripts, ..view }.render(Format::Table, &NARROW).contains("CREATE TABLE"));
    assert!(view.render(Format::Md, &NARROW).contains("```sql\n-- m20240215_000001_tenant_features postgres up 3f2a"));
}

#[test]
fn hostile_text_steers_nothing() {
    let c = names(&HOSTILE);
    let rows: Vec<PlanRow> = HOSTILE
        .iter()
        .map(|bad| PlanRow { refusal: Some(bad.repeat(2_000)), ..row(bad, Engine::Postgres, bad, &[bad]) })
        .collect();
    let w = [(HOSTILE[1].to_owned(), rows)];
    let s: Vec<Script> =
        HOSTILE.iter().map(|bad| Script { migration: (*bad).into(), ..script(0, Engine::Postgres) }).collect();
    for style in [NARROW, WIDE] {
        assert_readable(&view(&c, &w, &s).render(Format::Table, &style), &style);
    }
    let md = PlanView { detail: Detail::Sql, ..view(&c, &w, &s) }.render(Format::Md, &NARROW);
    assert!(md.lines().all(|l| l.chars().all(is_harmless)));
}

#[test]
fn a_script_that_drops_a_table_is_said_to_run_without_foreign_keys() {
    let c = catalog();
    let drops = |i, engine| Script { statements: vec!["DROP TABLE t".to_owned()], ..script(i, engine) };
    let s = [drops(0, Engine::Postgres), drops(1, Engine::Sqlite), script(2, Engine::Sqlite)];
    let text = view(&c, &[], &s).render(Format::Table, &WIDE);
    assert!(text.contains("m2 runs with foreign keys off"), "{text}");
    assert!(!view(&c, &[], &s[..1]).render(Format::Table, &WIDE).contains("foreign keys"));
}
