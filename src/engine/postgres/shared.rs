//! The guard for what is in no schema, which all tenants of a database or a server share: roles and their settings, casts,
//! publications and the like, and the members of extensions.
//!
//! Builds text only. A catalog is asked only where the transaction has written to it, by the server's own counts.

use crate::engine::postgres::inside::{is_no_extensions, is_own, is_written};
use crate::engine::postgres::past::asks_past;
use crate::engine::{TenantEndpoint, literal};
use crate::model::tenant::Engine;

/// A catalog; the place where its rows can be read by everybody; the expressions of their key and of their name in a message; a
/// condition. What has the tenant's schema as a word in that name is the tenant's own.
type Catalog = [&'static str; 5];

/// The names of roles by their oids are the server's present ones; of what is gone, nobody knows more.
const CATALOGS: [Catalog; 13] = [
    ["pg_authid", "pg_roles", "o.oid::text", "'role ' || o.rolname", "true"],
    [
        "pg_auth_members",
        "pg_auth_members",
        "concat_ws(' ', o.roleid, o.member, o.grantor)",
        "'the membership of ' || pg_get_userbyid(o.member) || ' in ' || pg_get_userbyid(o.roleid)",
        "true",
    ],
    [
        "pg_db_role_setting",
        "pg_db_role_setting",
        "concat_ws(' ', o.setdatabase, o.setrole)",
        "'the settings of ' || CASE WHEN o.setrole > 0 THEN 'role ' || pg_get_userbyid(o.setrole) ELSE 'a database' END",
        "true",
    ],
    ["pg_database", "pg_database", "o.oid::text", "'database ' || o.datname", "true"],
    ["pg_tablespace", "pg_tablespace", "o.oid::text", "'tablespace ' || o.spcname", "true"],
    ["pg_event_trigger", "pg_event_trigger", "o.oid::text", "'event trigger ' || o.evtname", EXTENSIONS],
    [
        "pg_cast",
        "pg_cast",
        "o.oid::text",
        "'the cast from ' || format_type(o.castsource, NULL) || ' to ' || format_type(o.casttarget, NULL)",
        EXTENSIONS,
    ],
    ["pg_publication", "pg_publication", "o.oid::text", "'publication ' || o.pubname", "true"],
    ["pg_language", "pg_language", "o.oid::text", "'language ' || o.lanname", EXTENSIONS],
    [
        "pg_foreign_data_wrapper",
        "pg_foreign_data_wrapper",
        "o.oid::text",
        "'foreign data wrapper ' || o.fdwname",
        EXTENSIONS,
    ],
    ["pg_foreign_server", "pg_foreign_server", "o.oid::text", "'server ' || o.srvname", EXTENSIONS],
    [
        "pg_user_mapping",
        "pg_user_mappings",
        "o.umid::text",
        "'the user mapping of ' || coalesce(o.usename, 'PUBLIC') || ' on ' || o.srvname",
        "true",
    ],
    [
        MEMBERS,
        MEMBERS,
        "concat_ws(' ', o.classid, o.objid, o.refobjid)",
        "'the members of extension ' || (SELECT e.extname FROM pg_catalog.pg_extension e WHERE e.oid = o.refobjid)",
        "o.deptype = 'e' AND o.refclassid = 'pg_catalog.pg_extension'::regclass AND o.refobjid = ANY (%L)",
    ],
];

/// The catalog of the members of extensions: most definitions write to it, and it is asked only for extensions that are locked.
const MEMBERS: &str = "pg_depend";

/// Stands for the condition that an object is no extension's.
const EXTENSIONS: &str = "";

/// The catalogs whose rows are counted before code runs.
pub(crate) fn catalogs() -> impl Iterator<Item = &'static str> {
    CATALOGS.into_iter().map(|[catalog, ..]| catalog)
}

/// Whether a row is the tenant's own: by its name, and a cast by its types.
fn is_tenants(door: &TenantEndpoint, [catalog, _, _, name, _]: Catalog) -> String {
    let schema = door.tenant.schema.as_deref().unwrap_or_default();
    let any = |c: char| if c.is_alphanumeric() || c == '_' { c } else { '.' };
    let word = format!("(^|[^[:alnum:]]){}([^[:alnum:]]|$)", schema.chars().map(any).collect::<String>());
    match catalog {
        "pg_cast" => "EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid IN (o.castsource, o.casttarget) AND t.typnamespace = ANY \
                      (%L) AND t.typnamespace <> 'pg_catalog'::regnamespace)"
            .to_owned(),
        MEMBERS => "false".to_owned(),
        _ => format!("coalesce({name} ~ {}, false)", literal(Engine::Postgres, &word)),
    }
}

/// Finds what the transaction has made, changed or dropped of these. Where the user may not read a catalog (roles), its view tells what
/// differs, unless the tenant's own differs too: others may be at work there at the same time.
pub(crate) fn changed(door: &TenantEndpoint, who: &str) -> String {
    let text = |text: &str| literal(Engine::Postgres, text);
    let row = |of: Catalog| {
        let [catalog, source, id, name, also] = of;
        let also = if also == EXTENSIONS { is_no_extensions("o.tableoid", "o.oid") } else { also.to_owned() };
        format!("({})", [catalog, source, id, name, &is_tenants(door, of), &also].map(text).join(", "))
    };
    let own = is_own("o").replace("epoch", "$2");
    let made_here = format!(
        "({own}) AND NOT EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.oid = o.refobjid AND {})",
        is_own("e").replace("epoch", "$2")
    );
    let any = catalogs().filter(|catalog| *catalog != MEMBERS).map(text).collect::<Vec<_>>().join(", ");
    let questions = format!(
        "SELECT string_agg(format('SELECT %L AS catalog, %s AS id, %s AS name, %s AS its, CASE WHEN %L THEN NULL ELSE \
         pg_catalog.to_jsonb(o)::text END AS what, ', catalog, id, name, replace(its, '%L', quote_literal($1)), catalog = source) || '%s AS \
         own FROM pg_catalog.' || source || ' o WHERE ' || replace(also, '%L', quote_literal($2)), ' UNION ALL '), string_agg(CASE WHEN \
         catalog <> source THEN 'NULL::boolean' WHEN catalog = '{MEMBERS}' THEN {} ELSE {} END, chr(1)) FROM (VALUES {}) AS q(catalog, \
         view, id, name, its, also), LATERAL (SELECT CASE WHEN catalog = 'pg_authid' AND has_table_privilege('pg_catalog.pg_authid', \
         'SELECT') THEN catalog ELSE view END) AS s(source) WHERE {} AND (catalog <> '{MEMBERS}' OR $2 <> '{{}}')",
        text(&made_here),
        text(&own),
        CATALOGS.into_iter().map(row).collect::<Vec<_>>().join(", "),
        is_written("catalog").replace("written", "$3"),
    );
    format!(
        "IF found IS NULL AND (extensions IS NOT NULL OR (SELECT bool_or({}) FROM unnest(ARRAY[{any}]) c)) THEN EXECUTE {} INTO asks, owns \
         USING inside, coalesce(extensions, '{{}}'), written; IF asks IS NOT NULL THEN {}EXECUTE 'WITH d AS (SELECT coalesce(n.catalog, \
         p.catalog) AS catalog, coalesce(n.name, p.name || '' (dropped)'') AS name, coalesce(n.its, p.its) AS its, coalesce(n.what, \
         p.what) IS NULL AS known FROM jsonb_to_recordset($1::jsonb) AS p(catalog text, id text, name text, its boolean, what text) FULL \
         JOIN (' || format(asks, VARIADIC string_to_array(owns, chr(1))) || ') n ON n.catalog = p.catalog AND n.id = p.id WHERE n.id IS NULL \
         OR n.own OR n.own IS NULL AND n.what IS DISTINCT FROM p.what) SELECT string_agg(name, '', '') FROM (SELECT DISTINCT name FROM d \
         WHERE NOT its AND (known OR NOT EXISTS (SELECT FROM d o WHERE o.its AND o.catalog = d.catalog)) ORDER BY 1 LIMIT 5) AS named' \
         INTO found USING past, epoch; IF found IS NOT NULL THEN found := found || ' (shared by all tenants of the database: do it once, \
         outside of the scripts)'; END IF; END IF; END IF; ",
        is_written("c"),
        text(&questions),
        asks_past(who, "replace(asks, '%s AS own', 'NULL AS own')"),
    )
}
