//! The guard statements before and around a script on PostgreSQL: lock, schema, history, time limits.
//!
//! Builds text only; the session sends it.

use sha2::{Digest, Sha256};

use crate::engine::expectation::Expectation;
use crate::engine::postgres::settings;
use crate::engine::{TenantEndpoint, address, history, journal, literal};
use crate::model::schema::Script;
use crate::model::tenant::{Engine, Tenant};
use crate::policy::Timeouts;
use crate::sql::extension::unplaced;
use crate::sql::foreign_keys::mentions;
use crate::sql::made;

/// A migration may change the search path, as dumps do: the history would then go to another schema, or nowhere.
pub(crate) const OWN_SEARCH_PATH: &str = "SET LOCAL search_path TO DEFAULT";

/// Behind [`OWN_SEARCH_PATH`], for fleet's own tables in the middle of a script: tables of the session, which would come first
/// wherever they are not named, come last.
const TEMPORARY_LAST: &str = "SELECT pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', \
                              nullif(pg_catalog.current_setting('search_path'), ''), 'pg_temp'), true)";

/// The statement before one on fleet's own tables in the middle of a script, in its transaction. The names of a tenant that is a
/// schema are qualified.
pub(crate) fn finds_own_tables(door: &TenantEndpoint) -> Option<String> {
    door.tenant.schema.is_none().then(|| format!("{OWN_SEARCH_PATH}; {TEMPORARY_LAST}"))
}

/// The statement that makes one of fleet's own tables, for a database: only where its name leads to none. `IF NOT EXISTS` looks into
/// the first schema of the search path alone, and a table that is made there hides the one behind it.
pub(crate) fn makes_if_missing(door: &TenantEndpoint, create: String) -> String {
    let table = create.strip_prefix("CREATE TABLE IF NOT EXISTS ").and_then(|rest| rest.split_once(" ("));
    match table.filter(|_| door.tenant.schema.is_none()) {
        Some((table, _)) => guard(&format!(
            "IF to_regclass({}) IS NULL THEN EXECUTE {}; END IF;",
            literal(Engine::Postgres, table),
            literal(Engine::Postgres, &create)
        )),
        None => create,
    }
}

/// Fails if a script of a database has made a table with the name of one of fleet's own in another schema of the search path: the
/// history would be written there, or be read there from now on.
pub(crate) fn hides_nothing(door: &TenantEndpoint, script: &Script) -> Option<String> {
    let own = [&*door.migrations.catalog().history_table, history::SCRIPTS, history::REFRESHES, journal::TABLE];
    // Few scripts name them, and all are read for each tenant. A name can be written with escapes.
    let may_make = |sql: &str| mentions(sql, &own) || mentions(sql, &["u&"]);
    let makes =
        |sql: &String| may_make(sql) && made(Engine::Postgres, sql).iter().any(|made| own.contains(&&*made.name));
    (door.tenant.schema.is_none() && script.statements.iter().any(makes)).then(|| {
        let names = own.map(|name| literal(Engine::Postgres, name)).join(", ");
        format!(
            "DO $fleet_guard$ DECLARE name text; BEGIN SELECT c.relname INTO name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
             ON n.oid = c.relnamespace WHERE c.relname IN ({names}) AND n.nspname = ANY (current_schemas(false)) AND n.oid <> pg_my_temp_schema() GROUP BY c.relname \
             HAVING count(*) > 1 LIMIT 1; IF name IS NOT NULL THEN RAISE EXCEPTION 'there are two tables % in the schemas of the search \
             path, and one hides the other, which is fleet''s; the migration was not recorded; leave the table out of the script', name \
             USING ERRCODE = 'FL010'; END IF; END $fleet_guard$"
        )
    })
}

/// Begins a transaction on the tenant: sets its limits, takes its lock, checks its schema.
pub(crate) fn begin(door: &TenantEndpoint) -> Vec<String> {
    let mut sql = vec!["BEGIN".to_owned()];
    sql.extend(local_settings(&door.timeouts));
    sql.extend(lock_and_schema(door));
    sql
}

/// As [`begin`], on a tenant whose schema is there.
pub(crate) fn begin_in_place(door: &TenantEndpoint) -> Vec<String> {
    let mut sql = begin(door);
    sql.retain(|statement| !statement.starts_with("CREATE SCHEMA"));
    sql
}

/// Takes the tenant's lock for the transaction, and ensures that unqualified names resolve to the tenant's schema.
pub(crate) fn lock_and_schema(door: &TenantEndpoint) -> Vec<String> {
    let mut sql = vec![guard(&takes_lock(door))];
    if let Some(schema) = &door.tenant.schema
        && door.tenant.create_missing
    {
        sql.push(format!("CREATE SCHEMA IF NOT EXISTS {}", Engine::Postgres.quote(schema)));
    }
    sql.push(sets_search_path(door));
    sql.extend(is_in_schema(door).map(|check| guard(&check)));
    sql
}

fn takes_lock(door: &TenantEndpoint) -> String {
    format!(
        "IF NOT pg_try_advisory_xact_lock({}) THEN RAISE EXCEPTION 'another run holds this tenant' USING ERRCODE = \
         'FL001'; END IF;",
        lock_key(door)
    )
}

/// Takes the tenant's lock for the session, behind a statement that may have released all of its locks. Behind one that did not,
/// the session holds it twice, and has it until it ends.
pub(crate) fn lock_for_session(door: &TenantEndpoint) -> String {
    guard(&format!(
        "IF NOT pg_try_advisory_lock({}) THEN RAISE EXCEPTION 'another run holds this tenant' USING ERRCODE = 'FL001'; END IF;",
        lock_key(door)
    ))
}

/// Fails unless this session holds the tenant's lock.
pub(crate) fn holds_lock(door: &TenantEndpoint) -> String {
    guard(&format!(
        "IF NOT pg_try_advisory_lock({key}) THEN RAISE EXCEPTION 'another run holds this tenant' USING ERRCODE = 'FL001'; END IF; \
         PERFORM pg_advisory_unlock({key});",
        key = lock_key(door)
    ))
}

pub(crate) fn sets_search_path(door: &TenantEndpoint) -> String {
    let path = |schema: &String| format!("SET LOCAL search_path = {}", search_path(&door.tenant, schema));
    door.tenant.schema.as_ref().map_or_else(|| OWN_SEARCH_PATH.to_owned(), path)
}

fn is_in_schema(door: &TenantEndpoint) -> Option<String> {
    let schema = door.tenant.schema.as_ref()?;
    Some(format!(
        "IF current_schema() IS DISTINCT FROM {} THEN RAISE EXCEPTION 'the tenant''s schema does not exist or may \
         not be used' USING ERRCODE = 'FL003'; END IF;",
        literal(Engine::Postgres, schema)
    ))
}

/// All checks of a step behind another one of its message, where schema and tables are there, as one block: the server reads
/// and compiles each block anew.
pub(crate) fn again(door: &TenantEndpoint, expected: &Expectation) -> [String; 2] {
    let is_in_schema = is_in_schema(door).unwrap_or_default();
    let all = [takes_lock(door), is_in_schema, is_as_planned(door, expected)];
    [sets_search_path(door), guard(&all.join(" "))]
}

/// The tenant's own schema, and behind it those that it shares.
pub(crate) fn search_path(tenant: &Tenant, schema: &str) -> String {
    let all = std::iter::once(schema).chain(tenant.shared_schemas.iter().map(String::as_str));
    all.map(|schema| Engine::Postgres.quote(schema)).collect::<Vec<_>>().join(", ")
}

/// Fails if one of these extensions, which a script creates without naming a schema, would be created in the tenant's
/// own. Those that are there already are not created, and some have a schema that only their files name.
fn placed(names: &[String]) -> String {
    let list = names.iter().map(|name| format!("({})", literal(Engine::Postgres, name))).collect::<Vec<_>>().join(", ");
    guard(&format!(
        "IF EXISTS (SELECT FROM (VALUES {list}) w(name) WHERE NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = \
         w.name) AND NOT EXISTS (SELECT FROM pg_available_extension_versions v WHERE v.name = w.name AND v.schema IS NOT \
         NULL)) THEN RAISE EXCEPTION '%', {} USING ERRCODE = 'FL007'; END IF;",
        literal(
            Engine::Postgres,
            &format!(
                "the extension {} would be created in this tenant''s schema and be dropped with it, and no other tenant \
                 would find it; write CREATE EXTENSION ... WITH SCHEMA extensions, and shared_schemas = [\"extensions\"] \
                 in the tenant file",
                names.join(", ")
            )
            .replace("''", "'")
        )
    ))
}

/// The guards of a script on a tenant that is a schema.
pub(crate) fn extensions(door: &TenantEndpoint, script: &Script) -> Option<String> {
    door.tenant.schema.as_ref()?;
    let names = script.statements.iter().flat_map(|sql| unplaced(Engine::Postgres, sql)).collect::<Vec<_>>();
    (!names.is_empty()).then(|| placed(&names))
}

/// Fails unless the history is as planned and no journal is open.
pub(crate) fn history(door: &TenantEndpoint, expected: &Expectation) -> String {
    guard(&is_as_planned(door, expected))
}

fn is_as_planned(door: &TenantEndpoint, expected: &Expectation) -> String {
    let books = door.books();
    let is_as_planned = match expected {
        Expectation::Next(next) => books.is_as(next),
        Expectation::Whole(expected) => {
            let versions = expected.iter().map(|v| literal(Engine::Postgres, v)).collect::<Vec<_>>().join(", ");
            format!(
                "(SELECT coalesce(array_agg(version ORDER BY version COLLATE \"C\"), '{{}}') FROM ({}) AS entries) IS NOT \
                 DISTINCT FROM ARRAY[{versions}]::text[]",
                books.read()
            )
        }
    };
    let journal = door.journal().table().to_owned();
    format!(
        "IF to_regclass({}) IS NOT NULL THEN EXECUTE {} INTO open_journals; IF open_journals > 0 THEN RAISE EXCEPTION \
         'a migration was begun here and not finished' USING ERRCODE = 'FL004'; END IF; END IF; \
         IF NOT ({is_as_planned}) THEN RAISE EXCEPTION 'the history is not what was planned' USING ERRCODE = 'FL002'; \
         END IF;",
        literal(Engine::Postgres, &journal),
        literal(
            Engine::Postgres,
            &format!("SELECT count(*) FROM {journal} WHERE NOT (direction = 'up' AND left(migration, 3) = 'R__')")
        ),
    )
}

/// Advisory locks are local to a database, so the key includes only the schema: the same one whether the tenant file names it,
/// the URL does, or it is `public` because nobody says anything.
pub(crate) fn lock_key(door: &TenantEndpoint) -> i64 {
    let schema = address::home_of(&door.tenant);
    let hash = Sha256::digest(format!("fleet tenant lock\n{schema}"));
    i64::from_be_bytes(hash[..8].try_into().expect("a digest has 32 bytes"))
}

/// Whether another session holds the tenant's lock, without taking it
/// (<https://www.postgresql.org/docs/15/view-pg-locks.html> describes the columns with the two halves of a key).
pub(crate) fn is_locked(door: &TenantEndpoint) -> String {
    let key = lock_key(door).cast_unsigned();
    let (high, low) = (key >> 32, key & 0xffff_ffff);
    format!(
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = \
         {high} AND objid = {low} AND pid <> pg_backend_pid() AND database = (SELECT oid FROM pg_database WHERE datname = \
         current_database()))"
    )
}

fn guard(body: &str) -> String {
    format!("DO $fleet_guard$ DECLARE open_journals bigint; BEGIN {body} END $fleet_guard$")
}

/// The limits of one transaction; `SET LOCAL` also works behind a transaction pooler.
pub(crate) fn local_settings(timeouts: &Timeouts) -> Vec<String> {
    settings::limits(timeouts).map(|(name, ms)| format!("SET LOCAL {name} = {ms}")).into()
}
