//! The guards that keep the work of a tenant which is a schema inside of it: what its code changes elsewhere is found in the
//! server's catalogs and locks, in the transaction, before it is committed.
//!
//! Builds text only. A database may hold thousands of schemas: nothing here reads a catalog that the transaction has not
//! written to, nor the counts of tables that it has not locked.

use crate::engine::{TenantEndpoint, literal};
use crate::model::schema::{Execution, Script};
use crate::model::tenant::Engine;
use crate::sql::outside::{changes_rows, runs_code};

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
/// elsewhere. A row that is only added there, as to a log, is theirs to add.
fn rows_have_stayed_inside(door: &TenantEndpoint, who: &str) -> Option<String> {
    let is_inside = is_inside(door)?;
    let changed = format!(
        "SELECT n.nspname || '.' || o.relname FROM {OTHERS} AND o.relkind IN ('r', 'p') AND \
         pg_catalog.pg_stat_get_xact_tuples_updated(o.oid) + pg_catalog.pg_stat_get_xact_tuples_deleted(o.oid) > 0 UNION ALL {}",
        emptied()
    );
    Some(fails_if_any(&is_inside, &[(HAS_OTHERS.to_owned(), changed)], who))
}

/// The tables of other schemas that the transaction has emptied or rewritten: they have a new file, and so has each index. A key
/// that refers to a table changes its row in the catalog too, and none of its indexes. What was emptied has no changed rows.
fn emptied() -> String {
    format!(
        "SELECT n.nspname || '.' || o.relname FROM {OTHERS} AND o.relkind = 'r' AND {} AND {} AND (NOT EXISTS (SELECT FROM \
         pg_catalog.pg_index i WHERE i.indrelid = o.oid) OR EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON \
         x.oid = i.indexrelid WHERE i.indrelid = o.oid AND {}))",
        is_exclusive("o.oid"),
        is_own("o"),
        is_own("x")
    )
}

/// Whether the transaction has a lock on this relation that keeps readers out.
fn is_exclusive(relation: &str) -> String {
    format!("EXISTS (SELECT FROM mine m WHERE m.relation = {relation} AND m.mode = 'AccessExclusiveLock')")
}

/// Notes for [`has_stayed_inside`], in settings of the transaction, before code runs: the rows that the session has changed in
/// each table that is locked already and in each catalog (the server's counts have those of transactions before this one, too,
/// until it is idle), what the tenant's own and shared schemas hold and earlier steps of the transaction have dropped, and the newest
/// object of all. What is dropped has no schema any more.
pub(crate) fn notes_before(door: &TenantEndpoint) -> String {
    let newest = DROPPED.map(|(catalog, _)| format!("(SELECT max(oid) FROM pg_catalog.{catalog})")).join(", ");
    let catalogs = CATALOGS.iter().map(|(catalog, ..)| *catalog).chain(["pg_namespace", "pg_default_acl"]);
    let of = |catalog| format!("'{catalog}', {}", changes_of(&format!("'pg_catalog.{catalog}'::regclass")));
    let written: Vec<String> = catalogs.map(of).collect();
    format!(
        "SELECT pg_catalog.set_config('fleet.rows', ({MINE} SELECT coalesce(pg_catalog.jsonb_object_agg(o.oid, {changes}), '{{}}')::text \
         FROM {LOCKED} WHERE {changes} > 0), true), pg_catalog.set_config('fleet.written', \
         pg_catalog.jsonb_build_object({})::text, true), pg_catalog.set_config('fleet.held', (WITH RECURSIVE held(classid, objid) AS \
         (SELECT 'pg_catalog.pg_namespace'::regclass::oid, oid FROM pg_catalog.pg_namespace WHERE nspname IN ({}) OR oid = \
         pg_catalog.pg_my_temp_schema() UNION SELECT d.classid, d.objid FROM held h JOIN pg_catalog.pg_depend d ON d.refclassid = \
         h.classid AND d.refobjid = h.objid WHERE h.classid = 'pg_catalog.pg_namespace'::regclass OR d.deptype IN ('a', 'i', 'P', \
         'S')) SELECT pg_catalog.array_agg(objid)::text FROM (SELECT objid FROM held UNION ALL ({MINE} SELECT coalesce(relation, objid) \
         FROM mine WHERE mode = 'AccessExclusiveLock')) AS known), true), pg_catalog.set_config('fleet.newest', greatest({newest})::text, true)",
        written.join(", "),
        own_schemas(door),
        changes = changes_of("o.oid"),
    )
}

/// The rows that this session has changed in a table, in transactions that the server has not counted yet, and in this one.
fn changes_of(oid: &str) -> String {
    let of = |what: &str| format!("pg_catalog.pg_stat_get_xact_tuples_{what}({oid})");
    ["inserted", "updated", "deleted"].map(of).join(" + ")
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
/// each stays until its end. A script that resets the settings of the session takes the notes with it, and nobody knows then
/// whose an object was.
fn dropped_outside() -> String {
    let of = |(catalog, what): (&str, &str)| {
        let of_catalog = match catalog {
            "pg_class" => "l.locktype = 'relation'".to_owned(),
            _ => format!("l.locktype = 'object' AND l.classid = 'pg_catalog.{catalog}'::regclass"),
        };
        let id = "coalesce(l.relation, l.objid)";
        format!(
            "SELECT '{what} that it dropped (oid ' || {id} || CASE WHEN newest IS NULL THEN '; whose it was is not known behind \
             RESET ALL: leave that out' ELSE '' END || ')' FROM mine l WHERE l.mode = 'AccessExclusiveLock' AND \
             {of_catalog} AND coalesce({id} <= newest, true) AND coalesce({id} <> ALL (held), true) AND NOT EXISTS (SELECT FROM pg_catalog.{catalog} o WHERE o.oid = {id})"
        )
    };
    DROPPED.map(of).join(" UNION ALL ")
}

/// The schemas that a tenant which is a schema may change, as literals.
fn own_schemas(door: &TenantEndpoint) -> String {
    let own = door.tenant.schema.iter().chain(&door.tenant.shared_schemas);
    own.map(|name| literal(Engine::Postgres, name)).collect::<Vec<_>>().join(", ")
}

/// The locks of this session in this database, which stay until the end of the transaction; read once, for the server's list
/// of all locks may be long.
const MINE: &str = "WITH mine AS (SELECT locktype, relation, classid, objid, mode FROM pg_catalog.pg_locks WHERE pid = \
                    pg_catalog.pg_backend_pid() AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = \
                    pg_catalog.current_database()) OFFSET 0)";

/// The relations `o` on which the transaction has a lock that reading needs not.
const LOCKED: &str = "(SELECT DISTINCT relation FROM mine WHERE locktype = 'relation' AND mode NOT IN ('AccessShareLock', \
                      'RowShareLock')) l JOIN pg_catalog.pg_class o ON o.oid = l.relation";

/// Whether the transaction has dropped a constraint.
const DROPPED_KEY: &str = "EXISTS (SELECT FROM mine m WHERE m.locktype = 'object' AND m.mode = 'AccessExclusiveLock' AND m.classid = \
                           'pg_catalog.pg_constraint'::regclass)";

/// The relation `o` is not an extension's.
const NO_EXTENSION: &str = "NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND \
                            d.objid = o.oid AND d.deptype = 'e')";

/// Whether the schema `n` is the tenant's, or shared, or the server's; `None`: the tenant is a whole database.
fn is_inside(door: &TenantEndpoint) -> Option<String> {
    door.tenant.schema.as_ref()?;
    Some(format!("n.nspname IN ({}) OR n.nspname LIKE 'pg\\_%' OR n.nspname = 'information_schema'", own_schemas(door)))
}

/// Whether a row of a catalog is the transaction's own. A subtransaction has a later id than its transaction; rows that others
/// have committed meanwhile are not in progress.
fn is_own(row: &str) -> String {
    format!("{row}.xmin::text::bigint >= own AND txid_status(epoch | {row}.xmin::text::bigint) = 'in progress'")
}

/// As [`is_own`], and no extension's.
fn is_ours(row: &str) -> String {
    format!(
        "{} AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = {row}.tableoid AND d.objid = {row}.oid AND d.deptype = \
         'e')",
        is_own(row)
    )
}

/// Fails with the names that one of these queries finds, each with the condition for asking it: the server plans what it is to
/// ask, once, and that takes longer than to ask. For the same reason it compiles nothing.
fn fails_if_any(is_inside: &str, queries: &[(String, String)], who: &str) -> String {
    let ask = |(condition, names): &(String, String)| {
        format!(
            "IF found IS NULL AND ({condition}) THEN {MINE} SELECT string_agg(name, ', ') INTO found FROM (SELECT DISTINCT name FROM \
             ({names}) AS changed(name) ORDER BY 1 LIMIT 5) AS named; END IF; "
        )
    };
    format!(
        "DO $fleet_guard$ DECLARE own bigint := txid_current() & 4294967295; epoch bigint := txid_current() & ~4294967295; others \
         oid[]; inside oid[]; found text; noted jsonb := nullif(current_setting('fleet.rows', true), '')::jsonb; written jsonb := \
         nullif(current_setting('fleet.written', true), '')::jsonb; held oid[] := nullif(current_setting('fleet.held', true), \
         '')::oid[]; newest oid := nullif(current_setting('fleet.newest', true), '')::oid; jit text := current_setting('jit', true); \
         BEGIN IF jit = 'on' THEN PERFORM set_config('jit', 'off', true); END IF; inside := ARRAY(SELECT n.oid FROM pg_catalog.pg_namespace n WHERE {is_inside}); {MINE} SELECT array_agg(o.oid) INTO others FROM \
         {LOCKED} WHERE o.relnamespace <> ALL (inside) AND {NO_EXTENSION}; {}IF found IS NOT NULL THEN RAISE EXCEPTION '%', {} || found || {} USING ERRCODE = \
         'FL008'; END IF; IF jit = 'on' THEN PERFORM set_config('jit', jit, true); END IF; END $fleet_guard$",
        queries.iter().map(ask).collect::<String>(),
        literal(Engine::Postgres, &format!("code that {who} runs changed ")),
        literal(
            Engine::Postgres,
            ", outside of the tenant's schema, and was rolled back; leave that out, or name the schema in shared_schemas of the \
             tenant file if all tenants share it"
        )
    )
}

/// The relations `o` of other schemas `n` on which the transaction has such a lock, those of extensions left out.
const OTHERS: &str =
    "pg_catalog.pg_class o JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace WHERE o.oid = ANY (others)";

/// Whether there is one.
const HAS_OTHERS: &str = "others IS NOT NULL";

/// The catalogs of objects that have a schema, with the columns of name and schema, and a condition: a table's type is not told
/// beside the table, and a key that refers to a table changes the table's row, but not that of its type, as a new name, owner or
/// schema does. `{own}`: the row of the type is the transaction's own. `{dropped_key}`: the key may have been dropped since.
const CATALOGS: [(&str, &str, &str, &str); 11] = [
    (
        "pg_class",
        "relname",
        "relnamespace",
        " AND (NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.confrelid = o.oid) AND NOT {dropped_key} OR EXISTS (SELECT \
         FROM pg_catalog.pg_type t WHERE t.oid = o.reltype AND {own}))",
    ),
    ("pg_proc", "proname", "pronamespace", ""),
    ("pg_type", "typname", "typnamespace", " AND o.typtype IN ('e', 'd', 'r')"),
    ("pg_operator", "oprname", "oprnamespace", ""),
    ("pg_opclass", "opcname", "opcnamespace", ""),
    ("pg_opfamily", "opfname", "opfnamespace", ""),
    ("pg_collation", "collname", "collnamespace", ""),
    ("pg_conversion", "conname", "connamespace", ""),
    ("pg_ts_config", "cfgname", "cfgnamespace", ""),
    ("pg_ts_dict", "dictname", "dictnamespace", ""),
    ("pg_statistic_ext", "stxname", "stxnamespace", ""),
];

/// Whether the transaction has written to a catalog since the notes were taken.
fn is_written(catalog: &str) -> String {
    format!(
        "{} > coalesce((written ->> '{catalog}')::bigint, 0) OR current_setting('track_counts') = 'off'",
        changes_of(&format!("'pg_catalog.{catalog}'::regclass"))
    )
}

/// The objects of other schemas that the transaction has made or changed, by their catalogs.
fn made_outside() -> Vec<(String, String)> {
    let of = |(catalog, name, schema, and): (&str, &str, &str, &str)| {
        let query = format!(
            "SELECT (SELECT n.nspname || '.' FROM pg_catalog.pg_namespace n WHERE n.oid = o.{schema}) || o.{name} FROM \
             pg_catalog.{catalog} o WHERE o.{schema} <> ALL (inside) AND {}{}",
            is_ours("o"),
            and.replace("{own}", &is_own("t")).replace("{dropped_key}", DROPPED_KEY),
        );
        (is_written(catalog), query)
    };
    let schemas = format!(
        "SELECT n.nspname::text FROM pg_catalog.pg_namespace n WHERE {} AND n.oid <> ALL (inside)",
        is_ours("n")
    );
    let privileges = format!(
        "SELECT 'default privileges in ' || n.nspname FROM pg_catalog.pg_default_acl a JOIN pg_catalog.pg_namespace n ON n.oid = \
         a.defaclnamespace WHERE {} AND n.oid <> ALL (inside)",
        is_own("a")
    );
    let all = CATALOGS.into_iter().map(of);
    all.chain([(is_written("pg_namespace"), schemas), (is_written("pg_default_acl"), privileges)]).collect()
}

/// The catalogs of the parts of a table, view or other relation, with the column of its oid, and a condition: a key that refers
/// to a table has triggers of the server's own on it.
const PARTS: [(&str, &str, &str); 7] = [
    ("pg_attribute", "attrelid", ""),
    ("pg_attrdef", "adrelid", ""),
    ("pg_constraint", "conrelid", ""),
    ("pg_trigger", "tgrelid", " AND NOT p.tgisinternal"),
    ("pg_policy", "polrelid", ""),
    ("pg_rewrite", "ev_class", ""),
    ("pg_description", "objoid", " AND p.classoid = 'pg_catalog.pg_class'::regclass"),
];

/// The relations of other schemas of which the transaction has changed a part, or dropped one: those of a key of the tenant's
/// own, which is dropped with them, are not told from others.
fn altered_outside() -> String {
    let part = |(catalog, of, and): (&str, &str, &str)| {
        format!("EXISTS (SELECT FROM pg_catalog.{catalog} p WHERE p.{of} = o.oid AND {}{and})", is_own("p"))
    };
    format!(
        "SELECT n.nspname || '.' || o.relname FROM {OTHERS} AND o.relkind IN ('r', 'p', 'v', 'm', 'f') AND ({} OR {} AND EXISTS (SELECT \
         FROM mine m WHERE m.locktype = 'object' AND m.mode = 'AccessExclusiveLock' AND m.classid IN \
         ('pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_rewrite'::regclass)) AND NOT \
         {DROPPED_KEY})",
        PARTS.map(part).join(" OR "),
        is_exclusive("o.oid")
    )
}

/// Whether the transaction may have dropped what [`dropped_outside`] asks for.
const MAY_HAVE_DROPPED: &str = "EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.pid = pg_catalog.pg_backend_pid() AND l.mode = \
                                'AccessExclusiveLock' AND (l.locktype = 'object' OR l.locktype = 'relation' AND \
                                coalesce(l.relation <= newest, true) AND coalesce(l.relation <> ALL (held), true)))";

/// As [`stays_inside`], for whatever `who` names has done.
pub(crate) fn has_stayed_inside(door: &TenantEndpoint, who: &str) -> Option<String> {
    let is_inside = is_inside(door)?;
    let changed = format!(
        "{} UNION ALL SELECT n.nspname || '.' || o.relname FROM {OTHERS} AND o.relkind IN ('r', 'p', 'm') AND {} > \
         coalesce((noted ->> o.oid::text)::bigint, 0) UNION ALL {}",
        altered_outside(),
        changes_of("o.oid"),
        emptied()
    );
    // Whoever sets or takes a value of a sequence keeps this lock until the end of the transaction.
    let sequences = format!(
        "SELECT n.nspname || '.' || o.relname || ' (a sequence, whose value no rollback takes back)' FROM {OTHERS} AND o.relkind = \
         'S' AND EXISTS (SELECT FROM mine m WHERE m.relation = o.oid AND m.mode = 'RowExclusiveLock')"
    );
    let mut queries = made_outside();
    queries.push((HAS_OTHERS.to_owned(), format!("{changed} UNION ALL {sequences}")));
    queries.push((MAY_HAVE_DROPPED.to_owned(), dropped_outside()));
    Some(fails_if_any(&is_inside, &queries, who))
}
