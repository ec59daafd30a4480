use super::*;
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Direction;
use crate::model::schema::Unfinished;
use crate::model::shape::{Column, Grant, Other, Shape, Table};

const ENGINE: Engine = Engine::Sqlite;

fn table(name: &str, columns: &[&str]) -> Table {
    let column =
        |name: &&str| Column { name: (*name).to_owned(), kind: "int".into(), nullable: true, ..Column::default() };
    Table { name: name.into(), columns: columns.iter().map(column).collect(), ..Table::default() }
}

fn shape(columns: &[&str]) -> Shape {
    Shape { tables: vec![table("t", columns)], ..Shape::default() }
}

fn catalog() -> Arc<Catalog> {
    Arc::new(Catalog::new(["m1", "m2"], "h"))
}

/// Tenants by id, history and schema.
fn live(tenants: &[(&str, &[&str], &Shape)]) -> LiveSchemas {
    let mut live = LiveSchemas::default();
    for (id, history, shape) in tenants {
        let history: Vec<String> = history.iter().map(|entry| (*entry).to_owned()).collect();
        let fingerprint = shape.fingerprint_of_all();
        live.shapes.insert(fingerprint.clone(), Arc::new((*shape).clone()));
        live.tenants.push(LiveTenant {
            id: TenantId::from(*id),
            namespace: Some((*id).into()),
            schema: live.schemas.len(),
        });
        live.schemas.push(LiveSchema {
            variant: ENGINE.into(),
            state: catalog().state(&history, ENGINE),
            version: catalog().version_of(&history),
            history: history.into(),
            error: None,
            product: "SQLite 3".into(),
            fingerprint: Some(fingerprint),
            is_schema: false,
        });
    }
    live
}

/// The comparison with this schema for both versions.
fn comparison(live: LiveSchemas, schema: Option<&Shape>) -> Comparison {
    let mut made = Made::new();
    for version in live.schemas.iter().filter_map(|schema| Version::of(schema, &catalog())) {
        let product = "SQLite 3".to_owned();
        let of = |s: &Shape| VersionSchema { product: product.clone(), bare: s.clone(), full: s.clone() };
        made.insert(version, schema.map(of).ok_or_else(|| "no scratch server".to_owned()));
    }
    Comparison { live, catalog: catalog(), made, is_ignored: Box::new(|_| false), fixes: false }
}

fn ids(group: &Group) -> Vec<&str> {
    group.tenants.iter().map(TenantId::as_str).collect()
}

#[test]
fn equal_drift_is_one_group_over_versions() {
    let (right, less, more) = (shape(&["a", "b"]), shape(&["a"]), shape(&["a", "b", "c"]));
    let both: &[&str] = &["m1", "m2"];
    let tenants = live(&[
        ("one", &["m1"], &less),
        ("two", both, &right),
        ("three", both, &less),
        ("four", both, &more),
        ("five", &["m1"], &right),
    ]);
    let drift = comparison(tenants, Some(&right)).drift();
    assert_eq!((drift.equal, drift.groups.len(), drift.is_clean()), (2, 2, false));
    let group = &drift.groups[0];
    assert_eq!(
        (ids(group), group.of, &*group.versions),
        (vec!["one", "three"], 5, &["m1".to_owned(), "m2".into()][..])
    );
    assert_eq!(group.differences[0].in_words("in its version", "here"), "table t: column b is only in its version");
    assert_eq!((ids(&drift.groups[1]), drift.groups[1].of), (vec!["four"], 3));
    assert_eq!(drift.groups[1].differences[0].title(), "table t: column c");
}

#[test]
fn what_is_ignored_is_no_drift_and_is_counted() {
    let (right, more) = (shape(&["a"]), shape(&["a", "b", "c"]));
    let mut all = comparison(live(&[("one", &["m1"], &more), ("two", &["m1"], &right)]), Some(&right));
    all.is_ignored = Box::new(|title| title == "table t: column b");
    let drift = all.drift();
    assert_eq!(drift.groups[0].differences.iter().map(Difference::title).collect::<Vec<_>>(), ["table t: column c"]);
    all.is_ignored = Box::new(|title| title == "table t");
    let drift = all.drift();
    assert_eq!((drift.equal, drift.ignored, drift.is_clean()), (2, 1, true));
}

#[test]
fn without_the_schema_of_a_version_the_most_frequent_counts() {
    let (right, more) = (shape(&["a"]), shape(&["a", "b"]));
    let tenants = live(&[("one", &["m1"], &more), ("two", &["m1"], &right), ("three", &["m1"], &right)]);
    let drift = comparison(tenants, None).drift();
    assert_eq!((ids(&drift.groups[0]), drift.groups[0].compared_with), (vec!["one"], Reference::Majority));
    assert_eq!((drift.not_made[0].tenants, &*drift.not_made[0].why), (3, "no scratch server"));
    let alone = comparison(live(&[("one", &["m1"], &more)]), None).drift();
    assert!(!alone.is_clean() && alone.not_compared[0].why.contains("no other tenant has this version"), "{alone:?}");
    // Of two it is not known which is right.
    let two = comparison(live(&[("one", &["m1"], &right), ("two", &["m1"], &more)]), None).drift();
    assert_eq!((two.equal, two.groups.len(), two.not_compared.len()), (0, 0, 2));
    assert!(two.not_compared[0].why.contains("no form in common"), "{two:?}");
}

#[test]
fn an_unknown_version_and_another_product_are_compared_among_themselves() {
    let (right, more) = (shape(&["a"]), shape(&["a", "b"]));
    let ahead: &[&str] = &["m1", "m9"];
    let tenants = live(&[("one", ahead, &more), ("two", ahead, &more), ("three", &["m1"], &right)]);
    let drift = comparison(tenants, Some(&right)).drift();
    assert_eq!((drift.equal, drift.not_made.len()), (3, 1), "{drift:?}");
    let mut other = live(&[("one", &["m1"], &more), ("two", &["m1"], &more)]);
    for tenant in &mut other.schemas {
        tenant.product = "MariaDB 11".into();
    }
    let drift = comparison(other, Some(&right)).drift();
    assert!(drift.equal == 2 && drift.not_made[0].why.contains("can't be compared"), "{drift:?}");
}

#[test]
fn a_tenant_without_a_schema_is_a_row_and_never_equal() {
    let right = shape(&["a"]);
    let mut tenants = live(&[("half", &["m1"], &right), ("away", &["m1"], &right), ("busy", &["m1"], &right)]);
    let unfinished = Unfinished {
        migration: "m2".into(),
        direction: Direction::Up,
        statement: Some(1),
        run: "r".into(),
        stopped: true,
        sha256: String::new(),
        is_gone: false,
        lost: String::new(),
        vouched: false,
    };
    tenants.schemas[0].state = State::Stopped(unfinished);
    tenants.schemas[1].state = State::Unreachable;
    tenants.schemas[1].error = Some(Fault::new(FaultClass::ConnectTimeout, "no answer"));
    tenants.schemas[2].state = State::Migrating;
    tenants.schemas.iter_mut().for_each(|schema| schema.fingerprint = None);
    let drift = comparison(tenants, Some(&right)).drift();
    let rows: Vec<(&str, &str)> = drift.not_compared.iter().map(|row| (row.tenant.as_str(), row.state)).collect();
    assert_eq!(rows, [("half", "partially_applied"), ("away", "unreachable"), ("busy", "migrating")]);
    assert!(drift.equal == 0 && !drift.is_clean() && drift.not_compared[1].why.contains("no answer"));
}

#[test]
fn only_what_is_missing_is_suggested_as_sql() {
    let mut right = shape(&["a", "b", "c"]);
    right.tables[0].columns[1].nullable = false;
    right.tables[0].columns[2].default = Some("0".into());
    right.tables[0].indexes = vec!["i: CREATE INDEX i ON t (a)".into(), "j: unique btree (a, b desc)".into()];
    let view = |text: &str| Other { kind: "view".into(), name: "v".into(), definition: text.into() };
    right.others = vec![view("SELECT 1;")];
    let mut found = shape(&["a", "d"]);
    found.tables[0].columns[0].kind = "text\n; DROP TABLE t".into();
    let mut all = comparison(live(&[("one", &["m1"], &found)]), Some(&right));
    all.fixes = true;
    let drift = all.drift();
    let text = drift.groups[0].fix_sql.join("\n");
    for made in [
        "ALTER TABLE \"t\" ADD COLUMN \"c\" int default 0;",
        "CREATE INDEX i ON t (a);",
        "CREATE UNIQUE INDEX \"j\" ON \"t\" (a, b desc);",
        "CREATE VIEW \"v\" AS\nSELECT 1;",
    ] {
        assert!(text.contains(made), "{made}: {text}");
    }
    let statements: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
    assert_eq!(statements.len(), 5, "what differs, is more or can't be made without a value is a comment: {text}");
    assert!(
        text.contains("-- table t: column b: missing") && text.contains("-- table t: column d: only here"),
        "{text}"
    );
}

#[test]
fn grants_without_a_majority_and_other_schemas_are_told() {
    let granted = |rights: &str| {
        let grant = Grant { object: "table t".into(), to: "app".into(), rights: rights.into() };
        Shape { grants: vec![grant], ..shape(&["a"]) }
    };
    let [read, write] = ["select", "insert"].map(granted);
    let mut right = shape(&["a"]);
    right.others.push(Other { kind: "schema".into(), name: "audit".into(), definition: String::new() });
    let told =
        |drift: &Drift| drift.grants_not_compared.iter().map(|of| (of.tenants, of.why.clone())).collect::<Vec<_>>();
    // One tenant, then two that differ, then three of which one differs.
    let one = comparison(live(&[("one", &["m1"], &read)]), Some(&right)).drift();
    assert!(told(&one)[0].0 == 1 && told(&one)[0].1.contains("no other tenant"), "{one:?}");
    assert_eq!(one.other_schemas.iter().collect::<Vec<_>>(), ["audit"]);
    let two = comparison(live(&[("one", &["m1"], &read), ("two", &["m1"], &write)]), Some(&right)).drift();
    assert!(told(&two)[0].0 == 2 && told(&two)[0].1.contains("more than half"), "{two:?}");
    let three = live(&[("one", &["m1"], &read), ("two", &["m1"], &write), ("three", &["m1"], &read)]);
    let three = comparison(three, Some(&right)).drift();
    assert_eq!(told(&three), []);
    let group = three.groups.iter().find(|group| ids(group) == ["two"]).unwrap();
    assert!(group.differences.iter().any(|d| d.title() == "table t: grants to app"), "{group:?}");
}

/// `app_ro` has the name of the tenant `app` in it, and is the role of all.
#[test]
fn a_shared_role_that_has_a_tenants_name_in_it_is_no_drift_and_a_foreign_one_is() {
    let granted = |to: &[&str]| {
        let grant = |to: &&str| Grant { object: "table t".into(), to: (*to).into(), rights: "select".into() };
        Shape { grants: to.iter().map(grant).collect(), ..shape(&["a"]) }
    };
    let right = shape(&["a"]);
    // Two tenants, and three, of which one is called `app`.
    let (own, shared) = (granted(&["{tenant}_ro"]), granted(&["app_ro"]));
    for tenants in [&[("app", &own), ("beta", &shared)][..], &[("app", &own), ("beta", &shared), ("c", &shared)]] {
        let tenants: Vec<(&str, &[&str], &Shape)> = tenants.iter().map(|(id, of)| (*id, &["m1"][..], *of)).collect();
        let drift = comparison(live(&tenants), Some(&right)).drift();
        assert!(drift.is_clean() && drift.grants_not_compared.is_empty(), "{drift:?}");
    }
    // Each has its own role, and `beta` gave rights to that of `app`: `app` is as it should be.
    let both = granted(&["app_ro", "{tenant}_ro"]);
    let tenants = live(&[("app", &["m1"], &own), ("beta", &["m1"], &both), ("c", &["m1"], &own)]);
    let drift = comparison(tenants, Some(&right)).drift();
    let found: Vec<_> = drift.groups.iter().map(|group| (ids(group), group.differences[0].title())).collect();
    assert_eq!(found, [(vec!["beta"], "table t: grants to app_ro".to_owned())], "{drift:?}");
    // A tenant of the same schema and the same words whose role is its own is told from the one whose role is shared.
    let tenants = [("app", &own), ("acme", &own), ("b", &shared), ("c", &shared), ("d", &shared)];
    let tenants: Vec<(&str, &[&str], &Shape)> = tenants.iter().map(|(id, of)| (*id, &["m1"][..], *of)).collect();
    let drift = comparison(live(&tenants), Some(&right)).drift();
    assert_eq!(drift.groups.iter().map(ids).collect::<Vec<_>>(), [vec!["acme"]], "{drift:?}");
}

#[test]
fn a_default_of_the_database_is_compared_with_most_tenants_and_with_no_version() {
    let of = |set: &str| Shape { defaults: vec![("character set".into(), set.into())], ..shape(&["a"]) };
    let (usual, other, right) = (of("utf8mb4"), of("latin1"), of("ascii"));
    let tenants = live(&[("one", &["m1"], &usual), ("two", &["m1"], &other), ("three", &["m1"], &usual)]);
    let mut all = comparison(tenants, Some(&right));
    all.fixes = true;
    let drift = all.drift();
    assert_eq!((drift.equal, drift.groups.len()), (2, 1), "{drift:?}");
    let found = drift.groups[0].differences[0].in_words("on most tenants", "here");
    assert_eq!(
        (ids(&drift.groups[0]), &*found),
        (vec!["two"], "database: character set is utf8mb4 on most tenants, latin1 here")
    );
    assert!(drift.groups[0].fix_sql[0].contains("ALTER DATABASE"), "{drift:?}");
    let alone = comparison(live(&[("one", &["m1"], &other)]), Some(&right)).drift();
    assert!(alone.is_clean() && alone.grants_not_compared.is_empty(), "{alone:?}");
}
