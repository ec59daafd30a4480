//! Both ways of running a migration produce the same schema, which is also that of SeaORM's own runner.

use sea_orm_migration::MigratorTrait;

use crate::engines::support::fleet::Fleet;
use crate::engines::support::migrations::{Migrations, sql};
use crate::engines::support::{Home, with};
use migration::Migrator;

on_every_site!(
    compiled_native_and_seaorm_leave_the_same_schema,
    down_and_up_again_leave_the_same_schema,
    a_history_table_of_any_name_is_used_as_it_is_spelled,
);

async fn compiled_native_and_seaorm_leave_the_same_schema(compiled: &Home) {
    let fleet = Fleet::of(&Migrator).await;
    assert_eq!(fleet.up(&compiled.tenant).await.outcome.name(), "migrated");
    with(compiled.site, async |native| {
        assert_eq!(fleet.clone().native(true).up(&native.tenant).await.outcome.name(), "migrated");
        assert_eq!(compiled.dump_without_journal().await, native.dump_without_journal().await);
        assert_eq!(compiled.versions().await, native.versions().await);
        nothing_is_pending_for_seaorm(native).await;
    })
    .await;
    with(compiled.site, async |seaorm| {
        let db = seaorm.connect().await;
        Migrator::up(&db, None).await.unwrap();
        db.close().await.unwrap();
        assert_eq!(compiled.dump_without_journal().await, seaorm.dump_without_journal().await);
        assert_eq!(compiled.versions().await, seaorm.versions().await);
    })
    .await;
    nothing_is_pending_for_seaorm(compiled).await;
    assert_eq!(compiled.versions().await.len(), Migrator::migrations().len());
    assert!(compiled.tables().await.len() > Migrator::migrations().len(), "there was something to compare");
}

async fn nothing_is_pending_for_seaorm(home: &Home) {
    let db = home.connect().await;
    assert_eq!(Migrator::get_pending_migrations(&db).await.unwrap().len(), 0);
    // It would apply missing migrations, and fail on existing tables.
    Migrator::up(&db, None).await.unwrap();
    db.close().await.unwrap();
}

async fn down_and_up_again_leave_the_same_schema(home: &Home) {
    for native in [false, true] {
        let fleet = Fleet::of(&Migrator).await.native(native);
        fleet.up(&home.tenant).await;
        let before = home.dump().await;
        let down = fleet.down(&home.tenant).await;
        assert_eq!((down.outcome.name(), down.version), ("rolled_back", None), "{:?}", down.error);
        assert_eq!(home.tables().await, [""; 0]);
        assert_eq!(home.versions().await, [""; 0]);
        let up = fleet.up(&home.tenant).await;
        assert_eq!(
            (up.outcome.name(), up.committed.len()),
            ("migrated", Migrator::migrations().len()),
            "{:?}",
            up.error
        );
        assert_eq!(home.dump().await, before);
        fleet.down(&home.tenant).await;
    }
}

async fn a_history_table_of_any_name_is_used_as_it_is_spelled(home: &Home) {
    for (native, table, created) in [(false, "Our History; \"x\" `y`", "one"), (true, "our'history", "two")] {
        let create = sql("m1", [format!("CREATE TABLE {created} (i int)")]);
        let migrations = Migrations::of([create, sql("m2", ["SELECT 1"])]).in_table(table);
        let fleet = Fleet::of(&migrations).await.native(native);
        let record = fleet.up(&home.tenant).await;
        assert_eq!(record.outcome.name(), "migrated", "{:?}", record.error);
        let quoted = home.site.engine().quote(table);
        assert_eq!(home.texts(&format!("SELECT version FROM {quoted} ORDER BY 1")).await, ["m1", "m2"]);
        assert_eq!(fleet.up(&home.tenant).await.outcome.name(), "up_to_date");
        assert_eq!(fleet.observe(&home.tenant).await.state.name(), "at_target");
    }
    assert!(!home.all_tables().await.contains(&"seaql_migrations".to_owned()));
}
