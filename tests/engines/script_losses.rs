//! Past cases in which SQL scripts were lost, repeated or falsely reported as applied; each was found by experiment.

use std::sync::Arc;

use crate::model::fault::FaultClass;
use crate::model::outcome::Outcome;
use crate::model::schema::State;
use crate::model::tenant::Tenant;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, Site};

on_every_site!(
    nothing_is_resumed_behind_what_changed_the_session,
    a_repeatable_script_runs_again_after_what_it_stands_on_went,
    scripts_that_a_program_does_not_know_are_ahead,
    a_repeatable_script_that_stopped_does_not_block_its_repair,
    a_file_for_an_engine_that_comes_later_is_pending,
    a_batch_that_might_never_end_is_refused,
    a_search_path_of_a_script_does_not_lose_the_journal,
);

fn base() -> Migrations {
    Migrations::of([sql("m1", ["CREATE TABLE a (i int NOT NULL PRIMARY KEY)"]).down(["DROP TABLE a"])])
}

async fn nothing_is_resumed_behind_what_changed_the_session(home: &Home) {
    let set = home.site.pick(
        "PRAGMA foreign_keys = OFF",
        "SELECT set_config('my.cut', now()::text, false)",
        "SET @cut = CURRENT_TIMESTAMP",
    );
    let script =
        format!("-- fleet: transaction=false\nCREATE TABLE b (i int);\n{set};\nINSERT INTO b SELECT i FROM wanted;");
    let fleet = Fleet::with_scripts(&base(), &[("0001_x.sql", &script)]).await;
    let first = fleet.up(&home.tenant).await;
    let class = home.site.pick(FaultClass::Other, FaultClass::Missing, FaultClass::Missing);
    assert_eq!(first.outcome, Outcome::Failed { class });
    assert_eq!(first.stopped_at.unwrap().stayed, Some(2));
    home.run("CREATE TABLE wanted (i int)").await;
    let second = fleet.up(&home.tenant).await;
    let class = FaultClass::PartiallyApplied;
    assert_eq!(second.outcome, Outcome::Failed { class }, "another session would lack it");
}

async fn a_repeatable_script_runs_again_after_what_it_stands_on_went(home: &Home) {
    let files = [
        ("0001_c.up.sql", "CREATE TABLE c (code varchar(2))"),
        ("0001_c.down.sql", "DROP TABLE c"),
        ("R__rows.sql", "DELETE FROM c;\nINSERT INTO c VALUES ('DE');"),
    ];
    let fleet = Fleet::with_scripts(&base(), &files).await;
    assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
    let back = fleet.down(&home.tenant).await;
    assert_eq!(back.committed, ["R__rows", "0001_c", "m1"], "{:?}", back.error);
    assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "migrated");
    assert_eq!(home.texts("SELECT code FROM c").await, ["DE"]);
}

async fn scripts_that_a_program_does_not_know_are_ahead(home: &Home) {
    let files = [("0001_c.up.sql", "CREATE TABLE c (i int)"), ("0001_c.down.sql", "DROP TABLE c")];
    let with = Fleet::with_scripts(&base(), &files).await;
    assert_eq!(with.up(&home.tenant).await.outcome.name(), "migrated");
    let without = Fleet::of(&base()).await;
    assert_eq!(without.observe(&home.tenant).await.state, State::Ahead { unknown: vec!["0001_c".into()] });
    let together = without.database().read_together(&[home.tenant.clone(), home.tenant.clone()]).await;
    assert!(together.is_empty(), "it is read by itself: {together:?}");
    for record in [without.down(&home.tenant).await, without.up(&home.tenant).await] {
        assert_eq!(record.outcome, Outcome::Ahead { unknown: vec!["0001_c".into()] });
    }
    assert_eq!(with.down(&home.tenant).await.outcome.name(), "rolled_back");
    assert_eq!(without.up(&home.tenant).await.outcome.name(), "migrated", "an empty table of scripts is none");
}

async fn a_repeatable_script_that_stopped_does_not_block_its_repair(home: &Home) {
    let repeatable = (
        "R__x.sql",
        "-- fleet: transaction=false\nDROP TABLE IF EXISTS x;\nCREATE TABLE x (i int);\nINSERT INTO x SELECT i FROM missing;",
    );
    let broken = Fleet::with_scripts(&base(), &[repeatable]).await;
    assert_eq!(broken.up(&home.tenant).await.outcome.name(), "failed");
    // Nobody has to look: the next run begins it again.
    assert!(matches!(broken.observe(&home.tenant).await.state, State::Stopped(_)));
    let mended = Fleet::with_scripts(&base(), &[repeatable, ("0001_m.sql", "CREATE TABLE missing (i int)")]).await;
    let record = mended.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?} {:?}", record.outcome, record.error);
    assert_eq!(mended.observe(&home.tenant).await.state, State::AtTarget);
}

async fn a_file_for_an_engine_that_comes_later_is_pending(home: &Home) {
    let other = home.site.pick("0001_x.postgres.sql", "0001_x.mysql.sql", "0001_x.sqlite.sql");
    let own = home.site.pick("0001_x.sqlite.sql", "0001_x.postgres.sql", "0001_x.mysql.sql");
    let text = "CREATE TABLE late (i int)";
    assert_eq!(Fleet::with_scripts(&base(), &[(other, text)]).await.up(&home.tenant).await.outcome.name(), "migrated");
    let fleet = Fleet::with_scripts(&base(), &[(other, text), (own, text)]).await;
    assert_eq!(fleet.observe(&home.tenant).await.state, State::Behind { pending: 1 });
    let record = fleet.up(&home.tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
    assert_eq!(home.texts("SELECT count(*) FROM late").await, ["0"]);
}

async fn a_batch_that_might_never_end_is_refused(home: &Home) {
    let script = "-- fleet: transaction=false\nCREATE TABLE b (i int);\n/* fleet: batch */ SELECT 1;";
    let record = Fleet::with_scripts(&base(), &[("0001_x.sql", script)]).await.up(&home.tenant).await;
    assert_eq!(record.outcome, Outcome::Failed { class: FaultClass::Migration }, "{:?}", record.error);
    assert!(record.error.unwrap().message.contains("0001_x has a batch that is no INSERT"));
    assert_eq!(home.tables().await, [""; 0], "nothing was sent");
}

async fn a_search_path_of_a_script_does_not_lose_the_journal(home: &Home) {
    if !matches!(home.site, Site::Postgres | Site::PostgresSchema) {
        return;
    }
    let script = "-- fleet: transaction=false\nCREATE SCHEMA others;\nSET search_path = others;\nCREATE TABLE la (i int);\nDROP TABLE la;\nDROP SCHEMA others;";
    let fleet = Fleet::with_scripts(&base(), &[("0001_x.sql", script)]).await;
    let shared_schemas = vec!["others".to_owned()];
    let tenant = Arc::new(Tenant { shared_schemas, ..Tenant::clone(&home.tenant) });
    let record = fleet.up(&tenant).await;
    assert_eq!(record.outcome.name(), "migrated", "{:?} {:?}", record.outcome, record.error);
    assert_eq!(fleet.observe(&tenant).await.state, State::AtTarget);
}
