//! A look at the catalogs as they were before code ran, in the transaction in which it has run.
//!
//! A cursor sees what was there when it was opened, whatever the transaction does behind it, and asks it only when it is read: to open
//! one costs next to nothing. `query_to_xml` asks in it what a setting says by then.

use crate::engine::postgres::inside::{CATALOGS, MINE, is_inside, is_no_extensions, is_own, is_written};
use crate::engine::{TenantEndpoint, literal};
use crate::model::tenant::Engine;

/// The name of the cursor.
pub(crate) const CURSOR: &str = "fleet_before";

/// Opens it.
pub(crate) fn declares() -> String {
    format!(
        "DECLARE {CURSOR} NO SCROLL CURSOR FOR SELECT \
         pg_catalog.query_to_xml(pg_catalog.current_setting('fleet.asks'), false, true, '')::text FROM \
         pg_catalog.generate_series(1, 2)"
    )
}

/// Asks the question of this expression of what was there before, into the variable `past`. The cursor has an answer for each of
/// the two that may be asked.
pub(crate) fn asks_past(who: &str, question: &str) -> String {
    format!(
        "IF NOT EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE name = '{CURSOR}') THEN RAISE EXCEPTION '%', {} USING ERRCODE = \
         'FL008'; END IF; PERFORM set_config('fleet.asks', 'SELECT encode(convert_to(coalesce(jsonb_agg(p), ''[]'')::text, ''UTF8''), \
         ''hex'') AS hex FROM (' || {question} || ') p', true); FETCH before INTO past; past := convert_from(decode(substring(past from \
         '>([0-9a-f]+)<'), 'hex'), 'UTF8'); ",
        literal(
            Engine::Postgres,
            &format!(
                "code that {who} runs has closed the cursor {CURSOR}, in which fleet sees what was there before it, and was rolled \
                 back; leave CLOSE ALL out"
            )
        )
    )
}

/// The parts of relations that are locked when they are dropped, with the columns of their names and relations; the rule of a view is
/// told with the view.
const PARTS: [(&str, &str, &str, &str); 3] = [
    ("pg_trigger", "tgname", "tgrelid", " AND NOT o.tgisinternal"),
    ("pg_policy", "polname", "polrelid", ""),
    ("pg_rewrite", "rulename", "ev_class", " AND o.rulename <> '_RETURN'"),
];

/// The columns of a relation that change by themselves, or with a key of another relation.
const OF_THE_SERVER: &str =
    "{relhastriggers,relhasindex,relpages,reltuples,relallvisible,relallfrozen,relfrozenxid,relminmxid}";

/// The parts of a question for objects in their catalog: its name, the word for them in a message, the expression of their name, the
/// join to what they are a part of, their schema, and a condition.
type Question = [String; 6];

fn questions() -> Vec<Question> {
    let of = |(catalog, kind, name, schema): (&str, &str, &str, &str)| {
        [catalog, kind, name, "", schema, ""].map(str::to_owned)
    };
    let mut all = vec![
        of(("pg_class", "", "n.nspname || '.' || o.relname", "o.relnamespace")),
        of(("pg_namespace", "schema ", "n.nspname", "o.oid")),
        of(("pg_default_acl", "default privileges in ", "n.nspname", "o.defaclnamespace")),
        of(("pg_constraint", "constraint ", "o.conname || ' in ' || n.nspname", "o.connamespace")),
    ];
    let kind = |catalog: &str| match &catalog[3..] {
        "proc" => "function ".to_owned(),
        "rewrite" => "rule ".to_owned(),
        "statistic_ext" => "statistics ".to_owned(),
        kind => format!("{} ", kind.replace('_', " ")),
    };
    for (catalog, name, schema, and) in CATALOGS {
        let (name, schema) = (format!("n.nspname || '.' || o.{name}"), format!("o.{schema}"));
        all.push([catalog.to_owned(), kind(catalog), name, String::new(), schema, and.to_owned()]);
    }
    for (catalog, name, of, and) in PARTS {
        let name = format!("o.{name} || ' on ' || n.nspname || '.' || c.relname");
        let join = format!("JOIN pg_catalog.pg_class c ON c.oid = o.{of}");
        all.push([catalog.to_owned(), kind(catalog), name, join, "c.relnamespace".to_owned(), and.to_owned()]);
    }
    all
}

/// Finds the relations outside of the tenant's schema that are not as they were, and all objects there that are gone: whatever is
/// dropped, moved or renamed is locked until the end of the transaction.
pub(crate) fn differs(door: &TenantEndpoint, who: &str) -> String {
    let text = |text: &str| literal(Engine::Postgres, text);
    let row = |question: Question| format!("({})", question.each_ref().map(|part| text(part)).join(", "));
    let question = format!(
        "SELECT %1$L::regclass::oid AS class, o.oid AS id, %2$L || %3$s AS name, CASE %1$L WHEN 'pg_catalog.pg_class' THEN \
         (pg_catalog.to_jsonb(o) - '{OF_THE_SERVER}'::text[])::text END AS what FROM %1$s o %4$s JOIN pg_catalog.pg_namespace n ON n.oid = \
         %5$s WHERE o.oid = ANY (%6$L) AND NOT ({})%7$s",
        is_inside(door).replace('%', "%%")
    );
    format!(
        "IF {} THEN SELECT array_agg(o.oid) INTO ids FROM pg_catalog.pg_class o WHERE o.relnamespace <> ALL (inside) AND {} AND {}; END \
         IF; {MINE}, held(class, ids) AS (SELECT classid, array_agg(objid) FROM mine WHERE locktype = 'object' AND mode = \
         'AccessExclusiveLock' GROUP BY 1 UNION ALL SELECT 'pg_catalog.pg_class'::regclass, array_agg(id) FROM (SELECT relation FROM \
         mine WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' UNION SELECT unnest(ids)) AS of(id)) SELECT \
         string_agg(format({}, 'pg_catalog.' || catalog, kind, name, part, schema, h.ids, also), ' UNION ALL ') INTO asks FROM (VALUES \
         {}) AS q(catalog, kind, name, part, schema, also) JOIN held h ON h.class = ('pg_catalog.' || catalog)::regclass WHERE h.ids IS \
         NOT NULL; IF asks IS NOT NULL THEN {}EXECUTE 'SELECT \
         string_agg(name, '', '') FROM (SELECT coalesce(n.name, p.name || '' (dropped or moved)'') FROM jsonb_to_recordset($1::jsonb) \
         AS p(class oid, id oid, name text, what text) FULL JOIN (' || asks || ') n ON n.class = p.class AND n.id = p.id WHERE n.id IS \
         NULL OR n.what IS DISTINCT FROM p.what AND n.id = ANY ($2) ORDER BY 1 LIMIT 5) AS named(name)' INTO found USING past, ids; END \
         IF; ",
        is_written("'pg_class'"),
        is_own("o"),
        is_no_extensions("o.tableoid", "o.oid"),
        text(&question),
        questions().into_iter().map(row).collect::<Vec<_>>().join(", "),
        asks_past(who, "asks"),
    )
}
