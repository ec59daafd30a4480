//! The guards that keep the work of a tenant which is a schema inside of it: what its code changes elsewhere is found in the
//! server's catalogs and locks, in the transaction, before it is committed.
//!
//! Builds text only. A database may hold thousands of schemas: nothing here reads a catalog that the transaction has not
//! written to, nor the counts of tables that it has not locked.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use crate::engine::postgres::{past, shared};
use crate::engine::{TenantEndpoint, literal};
use crate::model::schema::{Execution, Script};
use crate::model::tenant::Engine;
use crate::sql::outside::{Reach, reach};

/// The statements around a text that may change what is outside of the tenant's schema.
#[derive(Debug)]
pub(crate) struct Inside {
    /// Before it: they note what was there.
    pub(crate) before: String,
    /// Behind it: it fails if the transaction has changed objects or rows outside of the tenant's schema and those that it
    /// shares. What is an extension's or only referred to by a key counts for nothing.
    pub(crate) behind: String,
}

impl Inside {
    /// Those around a script, in one transaction.
    pub(crate) fn of_script(door: &TenantEndpoint, script: &Script) -> Option<Inside> {
        let is_native = matches!(script.execution, Execution::Native { .. });
        Inside::of(door, &script.migration, "", || if is_native { Some(Reach::Code) } else { furthest(script) })
    }

    /// Those around one statement of a script, whose settings stay for the statements behind it.
    pub(crate) fn of_statement(door: &TenantEndpoint, script: &Script, sql: &str) -> Option<Inside> {
        Inside::of(door, &script.migration, &ask("true", PATH), || reach(Engine::Postgres, sql))
    }

    /// Those around an operator's text, which is looked at whatever it says.
    pub(crate) fn of_operator(door: &TenantEndpoint, sql: &str) -> Option<Inside> {
        Inside::of(door, "exec", "", || reach(Engine::Postgres, sql).or(Some(Reach::Rows)))
    }

    /// `None`: the text can't reach anything elsewhere that it does not name, or the tenant is a whole database. `asks`: what is
    /// asked beside the objects and rows. `reach`: reads the text, which no whole database needs.
    fn of(door: &TenantEndpoint, who: &str, asks: &str, reach: impl FnOnce() -> Option<Reach>) -> Option<Inside> {
        door.tenant.schema.as_ref()?;
        let look = past::declares();
        Some(match reach()? {
            Reach::Code => Inside {
                before: format!("{look};\n{}", written_before()),
                behind: fails_if_any(door, who, &[code_asks(door, who, Added::Counts).as_str(), asks].concat()),
            },
            Reach::Rows => {
                let behind = fails_if_any(door, who, &[rows_asks(door, who).as_str(), asks].concat());
                Inside { before: look, behind }
            }
        })
    }
}

/// The furthest reach of the statements of a script, which is read once and not for each tenant.
fn furthest(script: &Script) -> Option<Reach> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Option<Reach>>>> = LazyLock::new(Mutex::default);
    let read = || script.statements.iter().filter_map(|sql| reach(Engine::Postgres, sql)).max();
    if script.has_variables {
        return read();
    }
    *KNOWN.lock().expect("reading a text does not panic").entry(script.sha256.clone()).or_insert_with(read)
}

/// The schemas outside to which the search path leads.
const PATH: &str = "SELECT 'the search path to ' || n.nspname FROM unnest(current_schemas(false)) s(name) JOIN pg_catalog.pg_namespace n \
                    ON n.nspname = s.name WHERE n.oid <> ALL (inside)";

/// Whether a row that was only added elsewhere, as to a log, is a change.
#[derive(Clone, Copy, PartialEq)]
enum Added {
    Counts,
    Stays,
}

/// Asks behind statements that change rows: a trigger, a rule, a view or a key may change or delete others elsewhere. A row that
/// is only added there, as to a log, is theirs to add. All else is asked for only if the tables have code.
fn rows_asks(door: &TenantEndpoint, who: &str) -> String {
    let changed = format!(
        "SELECT n.nspname || '.' || o.relname FROM {OTHERS} AND o.relkind IN ('r', 'p') AND \
         pg_catalog.pg_stat_get_xact_tuples_updated(o.oid) + pg_catalog.pg_stat_get_xact_tuples_deleted(o.oid) > 0"
    );
    let code = fails_if_any(door, who, &code_asks(door, who, Added::Stays)).replace("$fleet_guard$", "$fleet_code$");
    let code = format!("IF found IS NULL AND {RAN_CODE} THEN EXECUTE {}; END IF; ", literal(Engine::Postgres, &code));
    [ask(HAS_OTHERS, &changed), code].concat()
}

/// Whether a relation that the transaction has a lock on has code that the server runs for it: a trigger, a rule or view, a default,
/// a check, a policy or an index that depends on a function that is not the server's own, or a domain with such a check. What has
/// been dropped since may have had some.
const RAN_CODE: &str = "\
    (drops OR EXISTS (WITH used(class, id) AS (SELECT 'pg_catalog.pg_class'::regclass::oid, r FROM unnest(touched) r UNION SELECT \
    t.refclassid, t.refobjid FROM unnest(touched) r JOIN pg_catalog.pg_depend t ON t.classid = 'pg_catalog.pg_class'::regclass AND t.objid \
    = r AND t.refclassid = 'pg_catalog.pg_type'::regclass) SELECT FROM used u JOIN pg_catalog.pg_depend d ON d.refclassid = u.class AND \
    d.refobjid = u.id JOIN pg_catalog.pg_depend f ON f.classid = d.classid AND f.objid = d.objid AND f.refclassid = \
    'pg_catalog.pg_proc'::regclass))";

/// Notes for [`Inside::behind`] of code, in settings of the transaction, before it runs: the rows that the session has changed in
/// each table that is locked already and in each catalog. The server's counts have those of transactions before this one, too,
/// until it is idle.
fn written_before() -> String {
    let catalogs = written().into_iter().map(|(catalog, ..)| format!("'{catalog}'")).chain(["'pg_class'".to_owned()]);
    let catalogs = catalogs.chain(shared::catalogs().map(|catalog| format!("'{catalog}'")));
    format!(
        "SELECT pg_catalog.set_config('fleet.rows', ({MINE} SELECT coalesce(pg_catalog.jsonb_object_agg(o.oid, {changes}), '{{}}')::text \
         FROM {LOCKED} WHERE {changes} > 0), true), pg_catalog.set_config('fleet.written', (SELECT \
         pg_catalog.jsonb_object_agg(c, {})::text FROM unnest(ARRAY[{}]) c), true)",
        changes_of("('pg_catalog.' || c)::regclass"),
        catalogs.collect::<Vec<_>>().join(", "),
        changes = changes_of("o.oid"),
    )
}

/// The rows that this session has changed in a table, in transactions that the server has not counted yet, and in this one.
fn changes_of(oid: &str) -> String {
    let of = |what: &str| format!("pg_catalog.pg_stat_get_xact_tuples_{what}({oid})");
    ["inserted", "updated", "deleted"].map(of).join(" + ")
}

/// The schemas that a tenant which is a schema may change, as literals.
fn own_schemas(door: &TenantEndpoint) -> String {
    let own = door.tenant.schema.iter().chain(&door.tenant.shared_schemas);
    own.map(|name| literal(Engine::Postgres, name)).collect::<Vec<_>>().join(", ")
}

/// The locks of this session in this database, which stay until the end of the transaction; read once, for the server's list
/// of all locks may be long.
pub(crate) const MINE: &str = "WITH mine AS (SELECT locktype, relation, classid, objid, mode FROM pg_catalog.pg_locks WHERE pid = \
                    pg_catalog.pg_backend_pid() AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = \
                    pg_catalog.current_database()) OFFSET 0)";

/// The relations `o` on which the transaction has a lock that reading needs not.
const LOCKED: &str = "(SELECT DISTINCT relation FROM mine WHERE locktype = 'relation' AND mode NOT IN ('AccessShareLock', \
                      'RowShareLock')) l JOIN pg_catalog.pg_class o ON o.oid = l.relation";

/// Whether the schema `n` is the tenant's, or shared, or the server's.
pub(crate) fn is_inside(door: &TenantEndpoint) -> String {
    format!("n.nspname IN ({}) OR n.nspname LIKE 'pg\\_%' OR n.nspname = 'information_schema'", own_schemas(door))
}

/// Whether a row of a catalog is the transaction's own. No row of its own is older than itself; rows that others have
/// committed meanwhile are not in progress.
pub(crate) fn is_own(row: &str) -> String {
    format!("age({row}.xmin) <= 0 AND txid_status(epoch | {row}.xmin::text::bigint) = 'in progress'")
}

/// Whether an object is no extension's, and no part of one of an extension's: the columns of a composite type, an index.
pub(crate) fn is_no_extensions(class: &str, oid: &str) -> String {
    format!(
        "NOT EXISTS (WITH RECURSIVE up(class, id) AS (SELECT {class}::oid, {oid} UNION SELECT d.refclassid, d.refobjid FROM up JOIN \
         pg_catalog.pg_depend d ON d.classid = up.class AND d.objid = up.id AND d.deptype IN ('a', 'i', 'P', 'S')) SELECT FROM up JOIN \
         pg_catalog.pg_depend d ON d.classid = up.class AND d.objid = up.id WHERE d.deptype = 'e')"
    )
}

/// Asks for the names that a query finds, if this condition holds: the server plans what it is to ask, once, and that takes longer
/// than to ask.
fn ask(condition: &str, names: &str) -> String {
    format!(
        "IF found IS NULL AND ({condition}) THEN {MINE} SELECT string_agg(name, ', ') INTO found FROM (SELECT DISTINCT name FROM \
         ({names}) AS changed(name) ORDER BY 1 LIMIT 5) AS named; END IF; "
    )
}

/// Fails with the names that these statements find. They are not compiled, which would take longer.
fn fails_if_any(door: &TenantEndpoint, who: &str, asks: &str) -> String {
    format!(
        "DO $fleet_guard$ DECLARE epoch bigint := txid_current() & ~4294967295; others oid[]; inside oid[]; found text; noted \
         jsonb := nullif(current_setting('fleet.rows', true), '')::jsonb; written jsonb := \
         nullif(current_setting('fleet.written', true), '')::jsonb; jit text := current_setting('jit', true); ids oid[]; \
         touched oid[]; drops boolean; asks text; owns text; extensions oid[]; past text; before refcursor := '{CURSOR}'; BEGIN IF jit = 'on' THEN PERFORM \
         set_config('jit', 'off', true); END IF; inside := ARRAY(SELECT n.oid FROM pg_catalog.pg_namespace n WHERE {}); {MINE} \
         SELECT array_agg(o.oid) FILTER (WHERE o.relnamespace <> ALL (inside) AND mode NOT IN ('AccessShareLock', \
         'RowShareLock')), array_agg(relation) FILTER (WHERE relation >= 16384), bool_or(locktype = 'object' AND mode = \
         'AccessExclusiveLock'), array_agg(objid) FILTER (WHERE classid = 'pg_catalog.pg_extension'::regclass) INTO others, \
         touched, drops, extensions FROM mine LEFT JOIN pg_catalog.pg_class o ON o.oid = relation; IF \
         others IS NOT NULL THEN SELECT array_agg(o.oid) INTO others FROM pg_catalog.pg_class o WHERE o.oid = ANY (others) AND \
         {}; END IF; {asks}IF found IS NOT NULL THEN RAISE EXCEPTION '%', {} || found || {} USING ERRCODE = 'FL008'; END IF; IF \
         jit = 'on' THEN PERFORM set_config('jit', jit, true); END IF; END $fleet_guard$",
        is_inside(door),
        is_no_extensions("o.tableoid", "o.oid"),
        literal(Engine::Postgres, &format!("code that {who} runs changed ")),
        literal(
            Engine::Postgres,
            ", outside of the tenant's schema, and was rolled back; leave that out, or name the schema in shared_schemas of the \
             tenant file if all tenants share it"
        ),
        CURSOR = past::CURSOR,
    )
}

/// The relations `o` of other schemas `n` on which the transaction has such a lock, those of extensions left out.
const OTHERS: &str =
    "pg_catalog.pg_class o JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace WHERE o.oid = ANY (others)";

/// Whether there is one.
const HAS_OTHERS: &str = "others IS NOT NULL";

/// The catalogs of objects that have a schema and are no relations, with the columns of name and schema, and a condition: a type
/// that the server makes beside another object is told with that.
pub(crate) const CATALOGS: [(&str, &str, &str, &str); 12] = [
    ("pg_proc", "proname", "pronamespace", ""),
    ("pg_type", "typname", "typnamespace", " AND o.typtype <> 'c' AND o.typcategory <> 'A'"),
    ("pg_operator", "oprname", "oprnamespace", ""),
    ("pg_opclass", "opcname", "opcnamespace", ""),
    ("pg_opfamily", "opfname", "opfnamespace", ""),
    ("pg_collation", "collname", "collnamespace", ""),
    ("pg_conversion", "conname", "connamespace", ""),
    ("pg_ts_config", "cfgname", "cfgnamespace", ""),
    ("pg_ts_dict", "dictname", "dictnamespace", ""),
    ("pg_ts_parser", "prsname", "prsnamespace", ""),
    ("pg_ts_template", "tmplname", "tmplnamespace", ""),
    ("pg_statistic_ext", "stxname", "stxnamespace", ""),
];

/// The catalogs of the parts of a relation, with the column of its oid, and a condition: a key that refers to a table has
/// triggers of the server's own on it, which only a change of that table turns off.
const PARTS: [(&str, &str, &str); 14] = [
    ("pg_attribute", "attrelid", ""),
    ("pg_attrdef", "adrelid", ""),
    ("pg_constraint", "conrelid", ""),
    ("pg_trigger", "tgrelid", " AND (NOT o.tgisinternal OR o.tgenabled <> 'O')"),
    ("pg_policy", "polrelid", ""),
    ("pg_rewrite", "ev_class", ""),
    ("pg_index", "indrelid", ""),
    ("pg_inherits", "inhrelid", ""),
    ("pg_inherits", "inhparent", ""),
    ("pg_sequence", "seqrelid", ""),
    ("pg_foreign_table", "ftrelid", ""),
    ("pg_publication_rel", "prrelid", ""),
    ("pg_description", "objoid", " AND o.classoid = 'pg_catalog.pg_class'::regclass"),
    ("pg_seclabel", "objoid", " AND o.classoid = 'pg_catalog.pg_class'::regclass"),
];

/// The schema of an object that has a comment; relations and their columns are asked for beside other parts of a relation.
const SCHEMA_OF_COMMENTED: &str = "\
    (SELECT coalesce(pg_catalog.to_regnamespace(i.schema)::oid, (SELECT x.oid FROM pg_catalog.pg_namespace x WHERE i.type = 'schema' AND x.oid \
     = o.objoid), (SELECT x.connamespace FROM pg_catalog.pg_constraint x WHERE i.type IN ('table constraint', 'domain constraint') AND \
     x.oid = o.objoid), (SELECT c.relnamespace FROM pg_catalog.pg_class c WHERE c.oid = (SELECT t.tgrelid FROM pg_catalog.pg_trigger t \
     WHERE i.type = 'trigger' AND t.oid = o.objoid UNION ALL SELECT p.polrelid FROM pg_catalog.pg_policy p WHERE i.type = 'policy' AND \
     p.oid = o.objoid UNION ALL SELECT r.ev_class FROM pg_catalog.pg_rewrite r WHERE i.type = 'rule' AND r.oid = o.objoid))) FROM \
     pg_catalog.pg_identify_object(o.classoid, o.objoid, 0) i WHERE o.classoid <> 'pg_catalog.pg_class'::regclass)";

/// The parts of the question whose a row `o` is that the transaction has written: its catalog; the object that it belongs to, as its
/// class, its oid and the join to it; its schema; a condition, in which `$3` are the relations of other schemas that are locked.
type Written = (&'static str, [String; 3], String, String);

fn written() -> Vec<Written> {
    let whole = || ["o.tableoid", "o.oid", ""].map(str::to_owned);
    let part = |(catalog, of, whole): (&'static str, &str, &str)| {
        let (_, _, schema, _) = CATALOGS.iter().find(|(catalog, ..)| *catalog == whole).expect("it is one of them");
        let join = format!("JOIN pg_catalog.{whole} w ON w.oid = o.{of}");
        let part = ["w.tableoid".to_owned(), "w.oid".to_owned(), join];
        (catalog, part, format!("w.{schema}"), format!(" AND o.{of} > 0"))
    };
    let part_of_relation = |(catalog, of, and): (&'static str, &str, &str)| {
        let join = format!("JOIN pg_catalog.pg_class w ON w.oid = o.{of}");
        let part = ["w.tableoid".to_owned(), "w.oid".to_owned(), join];
        (catalog, part, "w.relnamespace".to_owned(), format!(" AND o.{of} = ANY ($3){and}"))
    };
    let mut all: Vec<Written> = CATALOGS
        .iter()
        .map(|(catalog, _, schema, and)| (*catalog, whole(), format!("o.{schema}"), (*and).to_owned()))
        .collect();
    let parts = [
        ("pg_enum", "enumtypid", "pg_type"),
        ("pg_constraint", "contypid", "pg_type"),
        ("pg_ts_config_map", "mapcfg", "pg_ts_config"),
    ];
    all.extend(parts.map(part));
    all.push(("pg_namespace", whole(), "o.oid".to_owned(), String::new()));
    all.push(("pg_default_acl", whole(), "o.defaclnamespace".to_owned(), String::new()));
    let commented = ["o.classoid", "o.objoid", ""].map(str::to_owned);
    all.push(("pg_description", commented, SCHEMA_OF_COMMENTED.to_owned(), String::new()));
    all.extend(PARTS.map(part_of_relation));
    // An extension that was there before has members that the transaction did not add: it was moved, updated or given away.
    let was_there = format!(
        " AND EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid = o.tableoid AND d.refobjid = o.oid AND d.deptype = 'e' AND \
         NOT ({}))",
        is_own("d").replace("epoch", "$1")
    );
    all.push(("pg_extension", whole(), "0::oid".to_owned(), was_there));
    all
}

/// Whether the transaction has written to the catalog of this name since the notes were taken.
pub(crate) fn is_written(catalog: &str) -> String {
    format!(
        "({} > coalesce((written ->> {catalog})::bigint, 0) OR current_setting('track_counts') = 'off')",
        changes_of(&format!("('pg_catalog.' || {catalog})::regclass"))
    )
}

/// Asks for the objects of other schemas that the transaction has made or changed, in the catalogs to which it has written.
fn made_outside() -> String {
    let text = |text: &str| literal(Engine::Postgres, text);
    let of = |(catalog, [class, id, join], schema, and): Written| {
        format!("({})", [catalog, &class, &id, &join, &schema, &and].map(text).join(", "))
    };
    let ask = format!(
        "SELECT string_agg(DISTINCT name, ', ') FROM (SELECT (SELECT i.type || ' ' || i.identity FROM \
         pg_catalog.pg_identify_object(%s, %s, 0) i) FROM pg_catalog.%I o %s WHERE {} AND %s <> ALL ($2) AND {}%s LIMIT 5) AS named(name)",
        is_own("o").replace("epoch", "$1"),
        is_no_extensions("%s", "%s")
    );
    format!(
        "FOR asks IN SELECT format({}, class, id, catalog, part, schema, class, id, also) FROM (VALUES {}) AS w(catalog, class, id, part, \
         schema, also) WHERE {} AND (others IS NOT NULL OR also NOT LIKE '%$3%') LOOP EXIT WHEN found IS NOT NULL; EXECUTE asks INTO found \
         USING epoch, inside, others; END LOOP; ",
        text(&ask),
        written().into_iter().map(of).collect::<Vec<_>>().join(", "),
        is_written("catalog"),
    )
}

/// Asks for what code has changed outside.
fn code_asks(door: &TenantEndpoint, who: &str, added: Added) -> String {
    let mut asks = past::differs(door, who) + &made_outside() + &shared::changed(door, who);
    // Whoever deletes a row there would be refused.
    let keys = format!(
        "SELECT format('%s.%s (a key of %s refers to it, so that its rows can not be deleted)', n.nspname, c.relname, \
         o.conrelid::regclass) FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_constraint o ON o.oid = d.objid JOIN \
         pg_catalog.pg_class c ON c.oid = o.confrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE d.refclassid \
         = 'pg_catalog.pg_class'::regclass AND d.refobjid = ANY (others) AND d.classid = 'pg_catalog.pg_constraint'::regclass AND \
         o.confrelid = d.refobjid AND o.contype = 'f' AND n.nspname <> 'public' AND {}",
        is_own("o")
    );
    asks.push_str(&ask(&format!("{HAS_OTHERS} AND {}", is_written("'pg_constraint'")), &keys));
    if added == Added::Counts {
        // Whoever sets or takes a value of a sequence keeps this lock until the end of the transaction.
        let rows = format!(
            "SELECT n.nspname || '.' || o.relname FROM {OTHERS} AND o.relkind IN ('r', 'p', 'm') AND {} > coalesce((noted ->> \
             o.oid::text)::bigint, 0) UNION ALL SELECT n.nspname || '.' || o.relname || ' (a sequence, whose value no rollback takes back)' \
             FROM {OTHERS} AND o.relkind = 'S' AND EXISTS (SELECT FROM mine m WHERE m.relation = o.oid AND m.mode = 'RowExclusiveLock')",
            changes_of("o.oid"),
        );
        asks.push_str(&ask(HAS_OTHERS, &rows));
    }
    asks
}
