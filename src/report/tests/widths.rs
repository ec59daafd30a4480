//! Every table at 60, 80, 120 and 200 columns, and without a terminal.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::Path;

use sea_orm_migration::{MigrationTrait, MigratorTraitSelf};
use uuid::Uuid;

use super::matrix::forty;
use super::outcome::{bare, failed, header, mixed, render, stats};
use super::*;
use crate::check::{doctor, prove};
use crate::compile::{MigrationSet, folder};
use crate::inputs::{Diagnostics, Overrides, Sources, Variables, read_settings, with_document};
use crate::model::locks::LockHolder;
use crate::model::outcome::Blocker;
use crate::model::run_summary::AttemptRow;
use crate::report::backups::{self, BackupRow};
use crate::report::entities::{EngineFindings, EntitiesView};
use crate::report::locks;
use crate::report::matrix::MatrixView;
use crate::report::prove::ProofView;
use crate::report::refreshes::{self, TenantRefreshes};
use crate::report::runs::{self, RunView};
use crate::report::status::StatusView;
use crate::report::tenants::{self, TenantRow};
use crate::report::{Format, scripts};

const WIDTHS: [Style; 4] = [at(60), at(80), at(120), at(200)];

const fn at(width: usize) -> Style {
    Style { colour: false, unicode: true, width: Some(width) }
}

/// Takes a snapshot of a text at each width, where it fits. In a pipe, nothing is hidden or cut.
fn at_widths(name: &str, text: impl Fn(Format, &Style) -> String) {
    for style in WIDTHS {
        assert_readable(&text(Format::Table, &style), &style);
    }
    pictures(name, text);
}

/// The same for a text whose lines are not laid out to a width.
fn pictures(name: &str, text: impl Fn(Format, &Style) -> String) {
    let mut all = String::new();
    for style in &WIDTHS {
        writeln!(all, "{:=>60}\n{}", style.columns(), text(Format::Table, style)).unwrap();
    }
    let piped = text(Format::Table, &Style::FILE);
    assert!(!piped.contains("not shown") && !piped.contains("are cut"), "{piped}");
    insta::assert_snapshot!(format!("{name}_at_widths"), all);
}

#[test]
fn matrices_and_status() {
    let c = catalog();
    let fleet = large(&c);
    at_widths("matrix", |format, style| {
        MatrixView { catalog: &c, observations: &fleet, all: false }.render(format, style)
    });
    at_widths("matrix_all", |format, style| {
        MatrixView { catalog: &c, observations: &fleet[492..], all: true }.render(format, style)
    });
    at_widths("status", |format, style| StatusView { catalog: &c, observations: &fleet }.render(format, style));
}

#[test]
fn a_matrix_in_a_pipe_leaves_out_no_migration() {
    let c = forty();
    let spread: Vec<Observation> = (0..41).map(|n| observed(&c, &format!("t{n}"), &first(&c, n))).collect();
    let matrix = MatrixView { catalog: &c, observations: &spread, all: false };
    let text = matrix.render(Format::Table, &Style::FILE);
    assert!((1..=40).all(|n| text.contains(&format!("  m{n} "))), "{text}");
    assert!(!text.contains("not shown"), "{text}");
}

#[test]
fn plans_and_outcomes() {
    let (c, s) = (catalog(), super::plan::scripts());
    let w = super::plan::waves(&c);
    at_widths("plan", |format, style| super::plan::view(&c, &w, &s).render(format, style));
    let mut records = mixed();
    for i in 0..12 {
        records.push(failed(
            100 + i,
            &format!("t{i}"),
            FaultClass::Other,
            "X",
            &format!("cause {i}, {}", "and so on ".repeat(i)),
        ));
    }
    at_widths("outcome", |format, style| {
        render(&records, format, style)
            .replace(super::outcome::RERUN, "fleet migrate")
            .replace(super::outcome::WAYS.trim_end(), "others: fleet runs resume x")
    });
}

/// Ids that are alike but for their ends, each in a group of its own.
#[test]
fn two_tenants_never_look_alike() {
    let c = catalog();
    let all = first(&c, 3);
    let id = |n: usize| format!("brightwater-logistics-of-europe-and-the-middle-east-{n:04}");
    let lost = |n: usize| Fault::with_code(FaultClass::Authentication, "28P01", format!("no password for role {n}"));
    let rows = (0..4).map(|n| {
        let row = super::plan::row(&id(n), Engine::Postgres, &format!("behind {}", n + 1), &all[1..]);
        if n < 2 { row } else { crate::report::plan::PlanRow { error: Some(lost(n)), ..row } }
    });
    let w = vec![("all".to_owned(), rows.collect())];
    let seen: Vec<Observation> = (0..4).map(|n| observed(&c, &id(n), &first(&c, n))).collect();
    let matrix = |all| MatrixView { catalog: &c, observations: &seen, all };
    for style in &WIDTHS {
        let plan = super::plan::view(&c, &w, &[]).render(Format::Table, style);
        for text in [plan, matrix(true).render(Format::Table, style), matrix(false).render(Format::Table, style)] {
            assert_readable(&text, style);
            assert!((0..4).all(|n| text.contains(&format!("{n:04}"))), "{text}");
        }
    }
}

#[test]
fn lists_of_runs_and_tenants() {
    let rows = [super::tables::run(2, false), super::tables::run(1, true)];
    at_widths("runs", |format, style| runs::list(&rows, format, style));
    let records = mixed();
    let (header, stats) = (header(&records), stats(&records));
    let busy = Fault::with_code(FaultClass::LockTimeout, "55P03", "canceling statement due to lock timeout");
    let attempt = |attempt| AttemptRow {
        index: 67,
        attempt,
        started_at_ms: 1_795_169_702_000,
        ended_at_ms: 1_795_169_703_000,
        error: Some(busy.clone()),
        retry_in_ms: None,
    };
    let attempts = [attempt(1), attempt(2)];
    at_widths("run", |format, style| {
        let (run, records) = (&rows[0], &records[..3]);
        let outcome = bare(&header, records, &stats);
        let (ended_at_ms, settled) = (&HashMap::new(), &BTreeMap::new());
        let (heirs, now_ms) = (&rows[..1], 1_795_169_764_000);
        RunView {
            run,
            outcome,
            approvals: &[],
            attempts: &attempts,
            events: &[],
            ended_at_ms,
            heirs,
            approvers: &BTreeMap::new(),
            settled,
            runners: &[],
            now_ms,
            all: true,
        }
        .render(format, style)
    });
    let tenant = |id: &str, location: &str| TenantRow {
        server_window: None,
        per_server: None,
        id: TenantId::from(id),
        engine: Engine::Postgres,
        server: "db7:5432".to_owned(),
        wave: "canary".to_owned(),
        tags: [("plan", "gold"), ("region", "eu-central")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        depends_on: Vec::new(),
        quarantine: None,
        location: location.to_owned(),
        source: None,
    };
    let tenants = [
        tenant("acme", "postgres://app@db7:5432/acme_production?sslmode=require"),
        tenant(
            "a-tenant-with-a-long-name.example",
            "/srv/data/tenants/eu-central/a-tenant-with-a-long-name.example.db",
        ),
    ];
    at_widths("tenants", |format, style| tenants::list(&tenants, format, style));
}

#[test]
fn locks_and_backups() {
    let session = |id, application: Option<&str>, query: &str| Blocker {
        id,
        user: Some("reporting".into()),
        application: application.map(str::to_owned),
        address: Some("10.0.0.9".into()),
        database: Some("acme".into()),
        transaction_seconds: Some(725),
        query: Some(query.into()),
        lock: None,
    };
    let row = |waits_for: Vec<i64>, is_holder, session| LockHolder {
        tenants: vec!["acme".into(), "beta".into()],
        engine: Engine::Postgres,
        server: "db-with-a-long-name.example:5432".into(),
        waits_for,
        is_holder,
        certain: true,
        session,
    };
    let long = "SELECT id, total FROM orders WHERE tenant = 'acme' ORDER BY id FOR UPDATE ".repeat(4);
    let rows = [
        row(vec![], true, session(4242, Some("psql"), &long)),
        row(vec![4242], false, session(7, None, "ALTER TABLE orders")),
    ];
    at_widths("locks", |format, style| locks::list(&rows, &[], format, style));
    let backup = |n: u128, pinned: Option<&str>| BackupRow {
        run: Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0000 + n).to_string(),
        at_ms: 1_795_169_702_000,
        tenants: 40,
        bytes: 12_400_000,
        expected: pinned.map(|_| 41),
        broken: usize::from(pinned.is_some()),
        pinned: pinned.map(str::to_owned),
    };
    let rows = [backup(2, Some("3 of its tenants failed and are not at their target yet")), backup(1, None)];
    at_widths("backups", |format, style| backups::list(&rows, format, style));
}

#[test]
fn findings_and_proofs() {
    let finding = prove::Finding {
        engine: Engine::Postgres,
        table: "order_lines_by_warehouse".to_owned(),
        column: Some("unit_price_at_order_time".to_owned()),
        migrations: "numeric(12,2), NOT NULL".to_owned(),
        entities: "double precision, NULL".to_owned(),
    };
    let engines = [
        EngineFindings { engine: Engine::Postgres, tenants: Vec::new(), could_not: None, findings: vec![finding] },
        EngineFindings {
            engine: Engine::Mysql,
            tenants: Vec::new(),
            could_not: Some("no scratch server".to_owned()),
            findings: Vec::new(),
        },
    ];
    at_widths("entities", |format, style| EntitiesView { engines: &engines }.render(format, style));
    let proof = |verdict| prove::Proof {
        migration: "m20240330_000001_inventory_tracking_by_warehouse".to_owned(),
        engine: Engine::Postgres,
        verdict,
        rows: 12_345,
        took_ms: 1_234,
    };
    let proofs = vec![proof(prove::Verdict::Proven), proof(prove::Verdict::NotReached)];
    let proven = [prove::EngineProof { engine: Engine::Postgres, could_not: None, proofs, other_parts: Vec::new() }];
    at_widths("prove", |format, style| ProofView { engines: &proven, strict: true }.render(format, style));
    let found = doctor::Finding {
        severity: doctor::Severity::Error,
        server: "db7:5432".to_owned(),
        tenants: (0..12).map(|n| TenantId::from(format!("t{n}").as_str())).collect(),
        what: "the database user is missing a right".to_owned(),
        fix: "GRANT CREATE".to_owned(),
    };
    let other = doctor::Finding {
        severity: doctor::Severity::Warning,
        server: String::new(),
        tenants: Vec::new(),
        what:
            "the disk of the backups in /srv/backups/of-the-fleet has 812.4 MB of free space left, which is little for \
               the backups of a whole fleet"
                .to_owned(),
        fix: "remove old ones: fleet backup prune --older-than 30d".to_owned(),
    };
    let both = [found.clone(), other];
    pictures("doctor", |format, style| crate::report::doctor::render(&both, 12, format, style));
    let text = crate::report::doctor::render(std::slice::from_ref(&found), 12, Format::Table, &WIDE);
    assert!(text.contains("t7 and 4 more") && text.contains("fix: GRANT CREATE"), "{text}");
    let csv = crate::report::doctor::render(&[found], 12, Format::Csv, &WIDE);
    assert!(csv.starts_with("severity,server,tenants,finding,fix\nerror,db7:5432,t0 t1 "), "{csv}");
}

/// No migration but those of the folder.
struct Nothing;

impl MigratorTraitSelf for Nothing {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        Vec::new()
    }
}

#[tokio::test]
async fn scripts_and_refreshes() {
    let at = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(at.path().join(name), text).unwrap();
    write("0001_indexes.up.sql", "CREATE INDEX a ON t (a);\nCREATE INDEX b ON t (b);\n");
    write("0001_indexes.down.sql", "DROP INDEX a;\nDROP INDEX b;\n");
    write(
        "R__daily_sales_summary_by_region.sqlite.sql",
        "-- fleet: view=daily_sales_summary_by_region group=hourly\nDROP VIEW IF EXISTS daily_sales_summary_by_region;\n\
         CREATE VIEW daily_sales_summary_by_region AS SELECT 1 AS one;\n-- fleet: refresh\nSELECT 1;\n",
    );
    let folder = folder::read(at.path()).unwrap();
    at_widths("scripts", |format, style| scripts::list(&folder.scripts, format, style));
    let set = MigrationSet::new(&Nothing).await.unwrap().with_scripts(folder).unwrap();
    let tenant = |id: &str, refreshes| TenantRefreshes { tenant: id.into(), variant: Engine::Sqlite.into(), refreshes };
    let view = "daily_sales_summary_by_region".to_owned();
    let tenants = [
        tenant("acme", Ok(vec![(view.clone(), 1_795_169_702)])),
        tenant("a-tenant-with-a-long-name.example", Ok(vec![(view, 1_795_000_000)])),
        tenant("new", Ok(Vec::new())),
        tenant("lost", Err(Fault::new(FaultClass::ConnectionRefused, "nothing listens at db9:3306"))),
    ];
    at_widths("refreshes", |format, style| refreshes::render(set.views(), &tenants, format, style));
}

#[test]
fn settings_in_force() {
    let text = "[fleet]\nname = \"brightwater\"\nlock_timeout = \"1s\"\nledger = \"state/fleet-ledger.db\"\n";
    let variables = Variables::from([
        ("FLEET_CONCURRENCY", "64"),
        ("FLEET_SCRATCH_POSTGRES_URL", "postgres://scratch:secret@db-with-a-long-name.example:5432/scratch"),
    ]);
    let sources = Sources { folder: Path::new("/fleet"), overrides: &Overrides::default(), variables: &variables };
    let mut found = Diagnostics::default();
    let settings = with_document(text, &mut found, |document, found| read_settings(document, sources, found));
    found.finish(Path::new("tenants.toml"), text).unwrap();
    let file = Path::new("/fleet/tenants.toml");
    pictures("config", |format, style| crate::report::settings::in_force(file, &settings, format, style));
}
