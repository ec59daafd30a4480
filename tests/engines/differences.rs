//! Two schemas compared: each kind of difference is found under the name of its object, and the same schema in other
//! words is the same.
//!
//! All pairs of an engine are made in one database each, so that a pair costs two statements.

mod pairs;

use pairs::*;
use sea_orm::ConnectionTrait as _;

use crate::check::drift::{Comparison, Drift, Version};
use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site, with};
use crate::model::schema::VersionSchema;
use crate::model::shape::{Difference, Shape};
use crate::policy::Concurrency;
use crate::run::{Pace, observe_schemas};

fn different(site: Site) -> Vec<Pair> {
    match site {
        Site::Sqlite => ON_SQLITE.to_vec(),
        Site::Mariadb => [&ON_BOTH_MYSQLS[..], &ON_MARIADB].concat(),
        Site::Mysql => [&ON_BOTH_MYSQLS[..], &ON_MYSQL].concat(),
        _ => ON_POSTGRES.to_vec(),
    }
}

fn same(site: Site) -> Vec<Pair> {
    site.pick(SAME_ON_SQLITE.to_vec(), SAME_ON_POSTGRES.to_vec(), SAME_ON_BOTH_MYSQLS.to_vec())
}

fn parts((first, second): Pair) -> (&'static str, &'static str, &'static str) {
    let (name, first) = first.split_once(": ").unwrap();
    (name, first, second)
}

async fn made(home: &Home, statements: impl Iterator<Item = &str>) -> Shape {
    let db = home.connect().await;
    for sql in statements {
        db.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    db.close().await.unwrap();
    let fleet = Fleet::of(&Migrations::of([sql("m1", ["SELECT 1"])])).await;
    let mut session = fleet.database().connect(&home.tenant).await.unwrap();
    let shape = session.shape().await.unwrap();
    session.close().await;
    shape
}

/// Whether a difference is one of this object: a table, or what stands beside tables.
fn names(line: &str, object: &str) -> bool {
    let title = line.split(": ").next().unwrap().split(" is ").next().unwrap();
    title.split([' ', '.', '(']).any(|word| word == object)
}

/// The drift of two live tenants that record the same migration, whose schema is this one.
async fn drift_of(homes: [&Home; 2], version: VersionSchema) -> Drift {
    let fleet = Fleet::of(&Migrations::of([sql("m1", ["SELECT 1"])])).await;
    for home in homes {
        fleet.up(&home.tenant).await;
    }
    let tenants = homes.map(|home| home.tenant.clone());
    let done = std::sync::atomic::AtomicUsize::new(0);
    let (timeouts, lock_wait_limit) = (fleet.timeouts, fleet.retry.lock_wait_limit);
    let pace = Pace { concurrency: Concurrency::default(), timeouts, lock_wait_limit, answer: None, done: &done };
    let live = observe_schemas(&tenants, &fleet.set, &fleet.database(), pace).await;
    let catalog = fleet.set.catalog().clone();
    let own = Version::of(live.of(0), &catalog).unwrap();
    let made = [(own, Ok(version))].into();
    Comparison { live, catalog, made, is_ignored: Box::new(|_| false), fixes: true }.drift()
}

async fn compared(site: Site) {
    with(site, async |one| {
        with(site, async |other| {
            let pairs: Vec<_> = different(site).into_iter().map(parts).collect();
            let alike: Vec<_> = same(site).into_iter().map(parts).collect();
            let here = made(one, pairs.iter().chain(&alike).map(|pair| pair.1)).await;
            let there = made(other, pairs.iter().chain(&alike).map(|pair| pair.2)).await;
            let version = VersionSchema { full: here.clone(), bare: here, ..VersionSchema::default() };
            let told = version.differences("m1", &there);
            let missed: Vec<_> =
                pairs.iter().filter(|pair| !told.iter().any(|line| names(line, pair.0))).map(|pair| pair.0).collect();
            let of_sequence = |line: &str, name: &str| line.contains(&format!(": sequence {name} "));
            let is_expected = |line: &&String| pairs.iter().any(|p| names(line, p.0) || of_sequence(line, p.0));
            let false_ones: Vec<_> = told.iter().filter(|line| !is_expected(line)).collect();
            assert!(missed.is_empty() && false_ones.is_empty(), "missed: {missed:?}\nfalse: {false_ones:#?}");
            // Each product has its own word for an index that no query uses.
            let word = if site == Site::Mysql { " ignored" } else { " invisible (" };
            assert!(!told.iter().any(|line| line.contains(word)), "{told:#?}");
            let drift = drift_of([one, other], version).await;
            let titles: Vec<String> = drift.groups[0].differences.iter().map(Difference::title).collect();
            let missed: Vec<_> = pairs.iter().filter(|p| !titles.iter().any(|title| names(title, p.0))).collect();
            assert!(missed.is_empty(), "drift missed: {missed:?}");
            assert_eq!((drift.equal, drift.groups.len(), drift.not_compared.len()), (1, 1, 0));
        })
        .await;
    })
    .await;
}

/// The page of the book that has all pairs, so that they can be counted and read. `REWRITE_BOOK=1` writes it anew.
#[test]
fn the_book_shows_every_kind_of_difference_that_is_found() {
    const PAGE: &str = "docs/book/src/reference/drift-kinds.md";
    let mut page = "# Kinds of drift\n\n<!-- Made from `tests/engines/differences/pairs.rs`. `REWRITE_BOOK=1 cargo test --lib \
                    the_book_shows_every_kind` writes it anew. -->\n\nEach pair is one kind: the object as the version of the tenant has it, and as a \
                    tenant has it after somebody's hand. A test makes all of them on the engine, and fails if `fleet check` misses \
                    one, or finds one that is not there ([Find drift](../guide/drift.md#what-is-found)).\n"
        .to_owned();
    let engines = [
        ("SQLite", ON_SQLITE.to_vec(), 14),
        ("PostgreSQL", ON_POSTGRES.to_vec(), 30),
        ("MariaDB and MySQL", ON_BOTH_MYSQLS.to_vec(), 20),
        ("MariaDB alone", ON_MARIADB.to_vec(), 1),
        ("MySQL alone", ON_MYSQL.to_vec(), 1),
    ];
    for (engine, pairs, least) in engines {
        assert!(pairs.len() >= least, "{engine}: {} kinds, at least {least} are promised", pairs.len());
        page.push_str(&format!("\n## {engine}: {}\n\n```sql\n", pairs.len()));
        for (number, (name, first, second)) in (1..).zip(pairs.into_iter().map(parts)) {
            page.push_str(&format!("-- {number}: {name}\n{first};\n-- or\n{second};\n"));
        }
        page.push_str("```\n");
    }
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    if std::env::var_os("REWRITE_BOOK").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    let missing = page.lines().find(|line| !there.contains(line));
    assert!(
        there == page,
        "{PAGE} is not made from the pairs; REWRITE_BOOK=1 writes it; the first that is missing: {missing:?}"
    );
}

#[tokio::test]
async fn every_kind_of_difference_is_found_on_sqlite() {
    compared(Site::Sqlite).await;
}

#[tokio::test]
async fn every_kind_of_difference_is_found_on_postgres() {
    compared(Site::Postgres).await;
}

#[tokio::test]
async fn every_kind_of_difference_is_found_on_mariadb() {
    compared(Site::Mariadb).await;
}

/// The numbers that programs write into a file's head are compared as defaults of a database are: with those of most tenants.
#[tokio::test]
async fn the_numbers_in_the_head_of_an_sqlite_file_are_read() {
    with(Site::Sqlite, async |home| {
        let fleet = Fleet::of(&Migrations::of([sql("m1", ["SELECT 1"])])).await;
        let read = async || {
            let mut session = fleet.database().connect(&home.tenant).await.unwrap();
            let read = (session.shape().await.unwrap().defaults, session.shape_text().await.unwrap().unwrap());
            session.close().await;
            read
        };
        home.run("CREATE TABLE t (a int)").await;
        let (before, text) = read().await;
        let number = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(before, [number("user_version", "0"), number("application_id", "0")]);
        home.run("PRAGMA user_version = 3").await;
        let (versioned, other_text) = read().await;
        assert_eq!(versioned, [number("user_version", "3"), number("application_id", "0")]);
        home.run("PRAGMA application_id = 7").await;
        let (numbered, last_text) = read().await;
        assert_eq!(numbered, [number("user_version", "3"), number("application_id", "7")]);
        assert!(text != other_text && other_text != last_text && last_text != text);
    })
    .await;
}

mod mysql {
    #[tokio::test]
    async fn every_kind_of_difference_is_found() {
        super::compared(super::Site::Mysql).await;
    }
}
