//! The guard statements before and around a script on PostgreSQL: lock, schema, history, time limits.
//!
//! Builds text only; the session sends it.

use sha2::{Digest, Sha256};

use crate::engine::expectation::Expectation;
use crate::engine::postgres::settings;
use crate::engine::{TenantEndpoint, address, literal};
use crate::model::schema::{Execution, Script};
use crate::model::tenant::{Engine, Tenant};
use crate::policy::Timeouts;
use crate::sql::extension::unplaced;
use crate::sql::outside::{changes_rows, runs_code};

/// A migration may change the search path, as dumps do: the history would then go to another schema, or nowhere.
pub(crate) const OWN_SEARCH_PATH: &str = "SET LOCAL search_path TO DEFAULT";

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

/// Fails if the transaction has changed objects or rows outside of the tenant's schema and those that it shares, for a
/// script that runs code: what code names at run time, no reading of texts finds. What is the server's own, an extension's or
/// only referred to by a key counts for nothing.
pub(crate) fn stays_inside(door: &TenantEndpoint, script: &Script) -> Option<String> {
    if has_code(script) {
        return has_stayed_inside(door, &script.migration);
    }
    let changes = script.statements.iter().any(|sql| changes_rows(Engine::Postgres, sql));
    if changes { rows_have_stayed_inside(door, &script.migration) } else { None }
}

/// The notes that [`stays_inside`] needs from before the script.
pub(crate) fn notes_before_script(door: &TenantEndpoint, script: &Script) -> Option<String> {
    (door.tenant.schema.is_some() && has_code(script)).then(|| notes_before(door))
}

fn has_code(script: &Script) -> bool {
    let is_native = matches!(script.execution, Execution::Native { .. });
    is_native || script.statements.iter().any(|sql| runs_code(Engine::Postgres, sql))
}

/// As [`stays_inside`], for a statement by itself.
pub(crate) fn statement_stays_inside(door: &TenantEndpoint, script: &Script, sql: &str) -> Option<String> {
    if runs_code(Engine::Postgres, sql) {
        has_stayed_inside(door, &script.migration)
    } else if changes_rows(Engine::Postgres, sql) {
        rows_have_stayed_inside(door, &script.migration)
    } else {
        None
    }
}

/// The notes that [`statement_stays_inside`] needs from before the statement.
pub(crate) fn notes_before_statement(door: &TenantEndpoint, sql: &str) -> Option<String> {
    (door.tenant.schema.is_some() && runs_code(Engine::Postgres, sql)).then(|| notes_before(door))
}

/// As [`stays_inside`], for statements that change rows: a trigger, a rule, a view or a key may change or delete others
/// elsewhere. A row that is only added there, as to a log, is theirs to add. The lock of each table that was written to stays
/// until the end of the transaction.
fn rows_have_stayed_inside(door: &TenantEndpoint, who: &str) -> Option<String> {
    let changed = format!(
        "SELECT n.nspname || '.' || o.relname FROM pg_locks l JOIN pg_class o ON o.oid = l.relation AND o.relkind IN ('r', 'p') JOIN \
         pg_namespace n ON n.oid = o.relnamespace WHERE {MINE} AND l.mode = 'RowExclusiveLock' AND \
         pg_stat_get_xact_tuples_updated(o.oid) + pg_stat_get_xact_tuples_deleted(o.oid) > 0 AND {} AND {NO_EXTENSION}",
        is_other_schema(door)?
    );
    Some(fails_if_any(&changed, who))
}

/// Notes for [`has_stayed_inside`], in settings of the transaction, before code runs: the rows that the session
/// has changed in each table (the server's counts have those of transactions before this one, too, until it is idle), what the
/// tenant's own and shared schemas hold, and the newest object of all. What is dropped has no schema any more.
pub(crate) fn notes_before(door: &TenantEndpoint) -> String {
    let newest = DROPPED.map(|(catalog, _)| format!("(SELECT max(oid) FROM pg_catalog.{catalog})")).join(", ");
    format!(
        "SELECT pg_catalog.set_config('fleet.rows', (SELECT coalesce(pg_catalog.jsonb_object_agg(relid, n_tup_ins + n_tup_upd + \
         n_tup_del), '{{}}')::text FROM pg_catalog.pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0), true), \
         pg_catalog.set_config('fleet.held', (WITH RECURSIVE held(classid, objid) AS (SELECT \
         'pg_catalog.pg_namespace'::regclass::oid, oid FROM pg_catalog.pg_namespace WHERE nspname IN ({}) OR oid = \
         pg_catalog.pg_my_temp_schema() UNION SELECT d.classid, d.objid FROM held h JOIN pg_catalog.pg_depend d ON d.refclassid = \
         h.classid AND d.refobjid = h.objid WHERE h.classid = 'pg_catalog.pg_namespace'::regclass OR d.deptype IN ('a', 'i', 'P', \
         'S')) SELECT pg_catalog.array_agg(objid)::text FROM held), true), pg_catalog.set_config('fleet.newest', greatest({newest})::text, true)",
        own_schemas(door)
    )
}

/// The catalogs of what code could drop in another schema, with words for a message.
const DROPPED: [(&str, &str); 5] = [
    ("pg_class", "a table, view, sequence or index"),
    ("pg_proc", "a function"),
    ("pg_type", "a type"),
    ("pg_constraint", "a constraint"),
    ("pg_namespace", "a schema"),
];

/// The objects that the transaction has dropped, that were there before it, and in none of the tenant's schemas: the lock of
/// each stays until its end. A script that resets the settings of the session takes the notes with it.
fn dropped_outside() -> String {
    let of = |(catalog, what): (&str, &str)| {
        let of_catalog = match catalog {
            "pg_class" => "l.locktype = 'relation'".to_owned(),
            _ => format!("l.locktype = 'object' AND l.classid = 'pg_catalog.{catalog}'::regclass"),
        };
        let id = "coalesce(l.relation, l.objid)";
        format!(
            "SELECT '{what} that it dropped (oid ' || {id} || ')' FROM pg_locks l WHERE {MINE} AND l.mode = \
             'AccessExclusiveLock' AND {of_catalog} AND {id} <= nullif(current_setting('fleet.newest', true), '')::oid AND {id} <> ALL \
             (nullif(current_setting('fleet.held', true), '')::oid[]) AND NOT EXISTS (SELECT FROM {catalog} o WHERE o.oid = {id})"
        )
    };
    DROPPED.map(of).join(" UNION ALL ")
}

/// The schemas that a tenant which is a schema may change, as literals.
fn own_schemas(door: &TenantEndpoint) -> String {
    let own = door.tenant.schema.iter().chain(&door.tenant.shared_schemas);
    own.map(|name| literal(Engine::Postgres, name)).collect::<Vec<_>>().join(", ")
}

/// A lock `l` of this session, in this database.
const MINE: &str =
    "l.pid = pg_backend_pid() AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// The object `o` is not an extension's.
const NO_EXTENSION: &str = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = o.oid AND d.deptype = 'e')";

/// Whether the schema `n` is neither the tenant's nor shared nor the server's; `None`: the tenant is a whole database.
fn is_other_schema(door: &TenantEndpoint) -> Option<String> {
    door.tenant.schema.as_ref()?;
    Some(format!(
        "n.nspname NOT IN ({}) AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'",
        own_schemas(door)
    ))
}

/// Fails with the names that a query finds.
fn fails_if_any(names: &str, who: &str) -> String {
    format!(
        "DO $fleet_guard$ DECLARE own bigint := txid_current() & 4294967295; epoch bigint := txid_current() & ~4294967295; \
         found text; BEGIN SELECT string_agg(name, ', ') INTO found FROM (SELECT DISTINCT name FROM ({names}) AS changed(name) ORDER \
         BY 1 LIMIT 5) AS named; IF found IS NOT NULL THEN RAISE EXCEPTION '%', {} || found || {} USING ERRCODE = 'FL008'; END \
         IF; END $fleet_guard$",
        literal(Engine::Postgres, &format!("code that {who} runs changed ")),
        literal(
            Engine::Postgres,
            ", outside of the tenant's schema, and was rolled back; leave that out, or name the schema in shared_schemas of the \
             tenant file if all tenants share it"
        )
    )
}

/// As [`stays_inside`], for whatever `who` names has done.
pub(crate) fn has_stayed_inside(door: &TenantEndpoint, who: &str) -> Option<String> {
    let is_other = is_other_schema(door)?;
    // A subtransaction has a later id than its transaction; rows that others have committed meanwhile are not in progress.
    let is_ours = |row: &str| {
        format!(
            "{row}.xmin::text::bigint >= own AND txid_status(epoch | {row}.xmin::text::bigint) = 'in progress' AND NOT EXISTS \
             (SELECT FROM pg_depend d WHERE d.objid = {row}.oid AND d.deptype = 'e')"
        )
    };
    let of = |catalog: &str, name: &str, schema: &str, and: &str| {
        format!(
            "SELECT n.nspname || '.' || o.{name} FROM {catalog} o JOIN pg_namespace n ON n.oid = o.{schema} WHERE {} AND \
             {is_other}{and}",
            is_ours("o")
        )
    };
    let queries = [
        of(
            "pg_class",
            "relname",
            "relnamespace",
            " AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.confrelid = o.oid)",
        ),
        of("pg_proc", "proname", "pronamespace", ""),
        of("pg_type", "typname", "typnamespace", " AND o.typtype IN ('e', 'd', 'r')"),
        format!("SELECT n.nspname::text FROM pg_namespace n WHERE {} AND {is_other}", is_ours("n")),
        format!(
            "SELECT n.nspname || '.' || n.relname FROM (SELECT schemaname AS nspname, relname, n_tup_ins + n_tup_upd + n_tup_del \
             AS rows, relid FROM pg_stat_xact_user_tables) n WHERE n.rows > coalesce((nullif(current_setting('fleet.rows', \
             true), '')::jsonb ->> n.relid::text)::bigint, 0) AND {is_other} AND NOT EXISTS (SELECT FROM pg_depend d \
             WHERE d.objid = n.relid AND d.deptype = 'e')"
        ),
        // Whoever sets or takes a value of a sequence keeps this lock until the end of the transaction.
        format!(
            "SELECT n.nspname || '.' || o.relname || ' (a sequence, whose value no rollback takes back)' FROM pg_locks l JOIN \
             pg_class o ON o.oid = l.relation AND o.relkind = 'S' JOIN pg_namespace n ON n.oid = o.relnamespace WHERE {MINE} AND \
             l.mode = 'RowExclusiveLock' AND {is_other} AND {NO_EXTENSION}"
        ),
        dropped_outside(),
    ];
    Some(fails_if_any(&queries.join(" UNION ALL "), who))
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
