//! Queries on PostgreSQL's catalogs for the schema that comes first in the search path; text only.
//!
//! The first column of each query is the kind of its rows; all columns are text. Names of objects in that schema are
//! printed unqualified, because it is the only one in the path. Objects that belong to an extension are left out.

/// The schema to read.
const HERE: &str = "to_regnamespace(quote_ident(current_schema()))";

/// Replaces `$here`, and `MEMBER(catalog, oid)`: whether an object belongs to an extension.
fn filled(query: &str) -> String {
    let mut out = query.replace("$here", HERE);
    let catalogs = [
        ("pg_class", "c"),
        ("pg_proc", "p"),
        ("pg_type", "t"),
        ("pg_operator", "o"),
        ("pg_collation", "l"),
        ("pg_ts_config", "f"),
        ("pg_ts_dict", "d"),
        ("pg_opclass", "x"),
        ("pg_cast", "k"),
        ("pg_event_trigger", "v"),
        ("pg_conversion", "n"),
        ("pg_opfamily", "g"),
        ("pg_transform", "r"),
        ("pg_ts_parser", "s"),
        ("pg_ts_template", "u"),
        ("pg_language", "j"),
    ];
    for (catalog, alias) in catalogs {
        let member = format!(
            "EXISTS (SELECT FROM pg_depend e WHERE e.classid = '{catalog}'::regclass AND e.objid = {alias}.oid AND \
             e.deptype = 'e')"
        );
        out = out.replace(&format!("MEMBER({alias})"), &member);
    }
    out
}

/// All queries in one message.
pub(crate) fn all() -> String {
    QUERIES.iter().map(|query| format!("{};\n", filled(query))).collect()
}

/// The number of tables of a schema, beside those of these names. `here` and `own`: SQL.
pub(crate) fn count(here: &str, own: &str) -> String {
    filled(&format!(
        "SELECT count(*)::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {here} AND \
         c.relkind IN ('r', 'p', 'f') AND c.relname NOT IN ({own}) AND NOT MEMBER(c)"
    ))
}

const QUERIES: [&str; 21] = [
    "SELECT 'schema', quote_ident(current_schema()) WHERE current_schema() IS NOT NULL",
    TABLES,
    TABLE_OPTIONS,
    COLUMNS,
    CONSTRAINTS,
    INDEXES,
    "SELECT 'policy', c.relname::text, concat_ws(' ', 'policy', p.polname, CASE WHEN p.polpermissive THEN 'permissive' ELSE \
     'restrictive' END, 'for', p.polcmd::text, 'to', (SELECT string_agg(CASE WHEN r = 0 THEN 'public' WHEN r = c.relowner \
     THEN 'its owner' ELSE quote_ident(pg_get_userbyid(r)) END, ', ' ORDER BY 1) FROM unnest(p.polroles) r), 'using', pg_get_expr(p.polqual, p.polrelid), 'check', \
     pg_get_expr(p.polwithcheck, p.polrelid), 'comment ' || obj_description(p.oid, 'pg_policy')) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace \
     = $here",
    "SELECT 'statistics', c.relname::text, concat_ws(' ', 'statistics', pg_get_statisticsobjdef(s.oid), 'target ' || \
     NULLIF(to_jsonb(s) ->> 'stxstattarget', '-1'), 'comment ' || obj_description(s.oid, 'pg_statistic_ext')) FROM pg_statistic_ext \
     s JOIN pg_class c ON c.oid = s.stxrelid WHERE c.relnamespace = $here",
    "SELECT 'other', CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END, c.relname::text, \
     pg_get_viewdef(c.oid, true), concat_ws(' ', array_to_string(c.reloptions, ','), CASE WHEN c.relkind = 'm' AND NOT \
     c.relispopulated THEN 'not populated' END, (SELECT string_agg(a.attname || ' default ' || pg_get_expr(d.adbin, \
     d.adrelid), ', ' ORDER BY a.attname) FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = \
     d.adnum WHERE d.adrelid = c.oid), (SELECT string_agg(a.attname || ' comment ' || col_description(c.oid, a.attnum), ', ' \
     ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)), obj_description(c.oid, 'pg_class') FROM pg_class c WHERE c.relnamespace = \
     $here AND c.relkind IN ('v', 'm') AND NOT MEMBER(c)",
    "SELECT 'other', 'trigger', c.relname || '.' || t.tgname, pg_get_triggerdef(t.oid, true), CASE t.tgenabled WHEN 'O' \
     THEN '' WHEN 'D' THEN 'disabled' ELSE 'enabled ' || t.tgenabled::text END, obj_description(t.oid, 'pg_trigger') FROM \
     pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = $here AND NOT t.tgisinternal AND t.tgparentid \
     = 0 AND NOT MEMBER(c)",
    "SELECT 'other', 'rule', c.relname || '.' || r.rulename, pg_get_ruledef(r.oid, true), CASE r.ev_enabled WHEN 'O' THEN \
     '' ELSE 'enabled ' || r.ev_enabled::text END, obj_description(r.oid, 'pg_rewrite') FROM pg_rewrite r JOIN pg_class c \
     ON c.oid = r.ev_class WHERE c.relnamespace = $here AND r.rulename <> '_RETURN' AND NOT MEMBER(c)",
    ROUTINES,
    AGGREGATES,
    TYPES,
    SEQUENCES,
    OWNED_SEQUENCES,
    OTHER_KINDS,
    GRANTS,
    OWN_RIGHTS,
    OF_DATABASE,
    DEFAULTS,
];

const TABLES: &str = "SELECT 'table', c.relname::text FROM pg_class c WHERE c.relnamespace = $here AND c.relkind IN ('r', \
                      'p', 'f') AND NOT MEMBER(c)";

/// Other attributes that distinguish tables; rows without a value are omitted.
const TABLE_OPTIONS: &str = "\
    SELECT 'option', c.relname::text, o.name, o.value FROM pg_class c CROSS JOIN LATERAL (VALUES \
    ('unlogged', CASE c.relpersistence WHEN 'u' THEN 'yes' END), \
    ('partition by', CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END), \
    ('partition', pg_get_expr(c.relpartbound, c.oid)), \
    ('child of', (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE \
    i.inhrelid = c.oid)), \
    ('with', (SELECT string_agg(x, ', ' ORDER BY x) FROM (SELECT unnest(c.reloptions) UNION ALL SELECT 'toast.' || \
    unnest(s.reloptions) FROM pg_class s WHERE s.oid = c.reltoastrelid) o(x))), \
    ('row security', NULLIF(concat_ws(' ', CASE WHEN c.relforcerowsecurity THEN 'forced' END, CASE WHEN c.relrowsecurity \
    THEN 'enabled' END), '')), \
    ('trigger state', (SELECT string_agg(DISTINCT coalesce(k.conname, g.tgname) || ' ' || CASE g.tgenabled WHEN 'D' THEN \
    'disabled' ELSE 'enabled ' || g.tgenabled::text END, ', ') FROM pg_trigger g LEFT JOIN pg_constraint k ON k.oid = \
    g.tgconstraint WHERE g.tgrelid = c.oid AND (g.tgisinternal OR g.tgparentid <> 0) AND g.tgenabled <> 'O')), \
    ('replica identity', CASE WHEN c.relreplident <> 'd' THEN c.relreplident::text END), \
    ('typed as', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END), \
    ('access method', (SELECT a.amname::text FROM pg_am a WHERE a.oid = c.relam AND a.amname <> 'heap')), \
    ('server', (SELECT s.srvname || ' ' || concat_ws(' of ', array_to_string(f.ftoptions, \
    ','), array_to_string(s.srvoptions, ',')) FROM pg_foreign_table f JOIN \
    pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid)), \
    ('index statistics', (SELECT string_agg(concat_ws(' ', x.relname, a.attnum, a.attstattarget), ', ' ORDER BY x.relname, a.attnum) \
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = x.oid WHERE i.indrelid = c.oid AND \
    a.attstattarget >= 0)), \
    ('comment', obj_description(c.oid, 'pg_class'))) o(name, value) \
    WHERE c.relnamespace = $here AND c.relkind IN ('r', 'p', 'f') AND o.value IS NOT NULL";

/// A collation, storage or other attribute that is not the type's default is part of the column. Compression is there from
/// version 14 on.
const COLUMNS: &str = "\
    SELECT 'column', c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attcollation <> \
    t.typcollation AND a.attcollation <> 0 THEN ' collate ' || a.attcollation::regcollation::text ELSE '' END || CASE WHEN \
    a.attstorage <> t.typstorage THEN ' storage ' || a.attstorage::text ELSE '' END || coalesce(' compression ' || \
    NULLIF(to_jsonb(a) ->> 'attcompression', ''), '') || coalesce(' (' || array_to_string(a.attoptions, ', ') || ')', '') || \
    coalesce(' options (' || array_to_string(a.attfdwoptions, ', ') || ')', '') || \
    CASE WHEN a.attstattarget >= 0 THEN ' statistics ' || a.attstattarget ELSE '' END, CASE WHEN a.attnotnull THEN 'no' ELSE \
    'yes' END, CASE a.attgenerated WHEN '' THEN pg_get_expr(d.adbin, d.adrelid) END, \
    CASE WHEN a.attidentity = 'a' THEN 'identity always' WHEN a.attidentity = 'd' THEN 'identity by default' WHEN \
    a.attgenerated = 's' THEN 'stored ' || pg_get_expr(d.adbin, d.adrelid) WHEN a.attgenerated = 'v' THEN 'virtual ' || \
    pg_get_expr(d.adbin, d.adrelid) END, col_description(c.oid, a.attnum) \
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d \
    ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
    WHERE c.relnamespace = $here AND c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped \
    ORDER BY c.relname, a.attnum";

/// NOT NULL belongs to the column; a partition's copy of its parent's constraint has a generated name. Columns are
/// joined by newlines, which no sane name contains.
const CONSTRAINTS: &str = "\
    SELECT 'constraint', c.relname::text, k.contype::text, k.conname::text, \
    (SELECT string_agg(a.attname::text, E'\\n' ORDER BY x.n) FROM unnest(k.conkey) WITH ORDINALITY x(attnum, n) JOIN \
    pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.attnum), \
    (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY x.n) FROM unnest(k.conkey) WITH ORDINALITY x(attnum, n) JOIN \
    pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.attnum), \
    pg_get_constraintdef(k.oid), pg_get_expr(k.conbin, k.conrelid), \
    CASE WHEN r.relnamespace = c.relnamespace THEN r.relname::text ELSE k.confrelid::regclass::text END, \
    (SELECT string_agg(a.attname::text, E'\\n' ORDER BY x.n) FROM unnest(k.confkey) WITH ORDINALITY x(attnum, n) JOIN \
    pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = x.attnum), \
    k.confdeltype::text, k.confupdtype::text, \
    concat_ws(' ', CASE WHEN k.condeferrable THEN 'deferrable' END, CASE WHEN k.condeferred THEN 'initially deferred' END, \
    CASE WHEN NOT k.convalidated THEN 'not valid' END, CASE WHEN k.confmatchtype = 'f' THEN 'match full' END, CASE WHEN \
    k.contype = 'c' AND k.connoinherit THEN 'no inherit' END, substring(pg_get_constraintdef(k.oid) from 'ON DELETE SET \
    (?:NULL|DEFAULT) \\(.*'), substring(pg_get_constraintdef(k.oid) from '(?:, | )PERIOD .*'), substring(\
    pg_get_constraintdef(k.oid) from 'NOT ENFORCED$'), CASE WHEN k.contype <> 'f' THEN (SELECT concat_ws(' ', 'with ' || \
    array_to_string(x.reloptions, ', '), CASE WHEN i.indisclustered THEN 'clustered' END, CASE WHEN i.indisreplident THEN \
    'replica identity' END) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indexrelid = k.conindid) END), obj_description(k.oid, 'pg_constraint') \
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid LEFT JOIN pg_class r ON r.oid = k.confrelid \
    WHERE c.relnamespace = $here AND k.contype IN ('p', 'u', 'f', 'c', 'x') AND (k.conparentid = 0 OR k.contype <> 'f')";

/// Indexes of constraints are listed with the constraints; a partition's share of an index with its parent.
const INDEXES: &str = "\
    SELECT 'index', c.relname::text, c.relkind::text, x.relname::text, pg_get_indexdef(i.indexrelid, 0, true) || CASE WHEN \
    i.indisvalid THEN '' ELSE ' invalid' END || CASE WHEN i.indisclustered THEN ' clustered' ELSE '' END || CASE WHEN \
    i.indisreplident THEN ' replica identity' ELSE '' END || coalesce(' comment ' || obj_description(x.oid, 'pg_class'), \
    ''), CASE WHEN i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL THEN (SELECT string_agg(a.attname::text, \
    E'\\n' ORDER BY y.n) FROM unnest(i.indkey::int2[]) WITH ORDINALITY y(attnum, n) JOIN pg_attribute a ON a.attrelid = \
    c.oid AND a.attnum = y.attnum WHERE y.n <= i.indnkeyatts) END \
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid \
    WHERE c.relnamespace = $here AND NOT x.relispartition AND c.relkind IN ('r', 'p', 'f', 'm') AND NOT EXISTS (SELECT FROM \
    pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x'))";

/// The body comes by itself, too, where white space means nothing in its language.
const ROUTINES: &str = "\
    SELECT 'routine', CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, p.proname || '(' || \
    pg_get_function_identity_arguments(p.oid) || ')', pg_get_functiondef(p.oid), '', obj_description(p.oid, 'pg_proc'), CASE WHEN l.lanname \
    IN ('sql', 'plpgsql') THEN p.prosrc END \
    FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = $here AND p.prokind <> 'a' AND NOT MEMBER(p)";

const AGGREGATES: &str = "\
    SELECT 'other', 'aggregate', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', concat_ws(' ', \
    g.aggkind::text, 'state', g.aggtransfn::regprocedure::text, format_type(g.aggtranstype, NULL), g.aggtransspace, 'final', \
    g.aggfinalfn::text, g.aggfinalextra, g.aggfinalmodify::text, 'combine', g.aggcombinefn::text, 'serial', g.aggserialfn::text, \
    g.aggdeserialfn::text, 'initial', g.agginitval, 'moving', g.aggmtransfn::text, g.aggminvtransfn::text, \
    format_type(g.aggmtranstype, NULL), g.aggmtransspace, g.aggmfinalfn::text, g.aggmfinalextra, g.aggmfinalmodify::text, \
    g.aggminitval, 'sort', g.aggsortop::regoperator::text, 'parallel', p.proparallel::text, 'returns', \
    format_type(p.prorettype, NULL)), '', obj_description(p.oid, 'pg_proc') \
    FROM pg_proc p JOIN pg_aggregate g ON g.aggfnoid = p.oid WHERE p.pronamespace = $here AND NOT MEMBER(p)";

/// Enums, domains, ranges, base and shell types, and composite types that are not a table's row.
const TYPES: &str = "\
    SELECT 'other', 'type', t.typname::text, CASE t.typtype \
    WHEN 'e' THEN 'enum ' || coalesce((SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM \
    pg_enum e WHERE e.enumtypid = t.oid), '') \
    WHEN 'd' THEN concat_ws(' ', 'domain', format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typnotnull THEN 'not null' \
    END, 'default ' || t.typdefault, 'collate ' || NULLIF(t.typcollation, b.typcollation)::regcollation::text, (SELECT \
    string_agg(concat_ws(' ', k.conname, pg_get_constraintdef(k.oid), 'comment ' || obj_description(k.oid, 'pg_constraint')), \
    ', ' ORDER BY k.conname) FROM pg_constraint k WHERE \
    k.contypid = t.oid AND k.contype = 'c')) \
    WHEN 'r' THEN 'range ' || (SELECT concat_ws(' ', format_type(g.rngsubtype, NULL), 'collate ' || NULLIF(g.rngcollation, \
    0)::regcollation::text, 'canonical ' || NULLIF(g.rngcanonical, 0)::regproc::text, 'diff ' || NULLIF(g.rngsubdiff, \
    0)::regproc::text, (SELECT opcname FROM pg_opclass o WHERE o.oid = g.rngsubopc)) FROM pg_range g WHERE g.rngtypid = \
    t.oid) \
    WHEN 'p' THEN 'shell' \
    WHEN 'b' THEN concat_ws(' ', 'base', t.typinput::text, t.typoutput::text, NULLIF(t.typreceive, 0)::regproc::text, \
    NULLIF(t.typsend, 0)::regproc::text, NULLIF(t.typmodin, 0)::regproc::text, NULLIF(t.typanalyze, 0)::regproc::text, t.typlen::text, \
    CASE WHEN t.typbyval THEN 'by value' END, t.typalign::text, t.typstorage::text, t.typcategory::text, 'default ' || t.typdefault, \
    'element ' || format_type(NULLIF(t.typelem, 0), NULL), t.typdelim::text) \
    ELSE 'composite ' || (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN \
    a.attcollation NOT IN (0, y.typcollation) THEN ' collate ' || a.attcollation::regcollation::text ELSE '' END || \
    coalesce(' comment ' || col_description(t.typrelid, a.attnum), ''), ', ' \
    ORDER BY a.attnum) FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) END, '', \
    obj_description(t.oid, 'pg_type') \
    FROM pg_type t LEFT JOIN pg_type b ON b.oid = t.typbasetype LEFT JOIN pg_class c ON c.oid = t.typrelid \
    WHERE t.typnamespace = $here AND (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c') OR (t.typtype = 'b' AND \
    t.typcategory <> 'A') OR (t.typtype = 'p' AND NOT t.typisdefined)) AND NOT MEMBER(t)";

/// Sequences owned by a column are listed with its default or its identity. The current value of a sequence is data.
const SEQUENCES: &str = "\
    SELECT 'other', 'sequence', c.relname::text, concat_ws(' ', format_type(s.seqtypid, NULL), 'start', s.seqstart, \
    'increment', s.seqincrement, 'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' \
    END, CASE c.relpersistence WHEN 'u' THEN 'unlogged' END), '', obj_description(c.oid, 'pg_class') \
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid WHERE c.relnamespace = $here AND NOT MEMBER(c) AND NOT EXISTS \
    (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = \
    'pg_class'::regclass AND d.deptype IN ('a', 'i'))";

/// Sequences owned by a column: each by name, and parameters that are not those of a plain serial or identity.
const OWNED_SEQUENCES: &str = "\
    SELECT 'option', t.relname::text, 'sequence', concat_ws(' ', c.relname::text, 'of', \
    quote_ident(a.attname), CASE WHEN s.seqtypid <> a.atttypid THEN format_type(s.seqtypid, NULL) END, 'start ' || \
    NULLIF(s.seqstart, 1), 'increment ' || NULLIF(s.seqincrement, 1), 'min ' || NULLIF(s.seqmin, 1), 'max ' || \
    NULLIF(s.seqmax, CASE format_type(s.seqtypid, NULL) WHEN 'smallint' THEN 32767 WHEN 'integer' THEN 2147483647 ELSE \
    9223372036854775807 END), 'cache ' || NULLIF(s.seqcache, 1), CASE WHEN s.seqcycle THEN 'cycle' END) \
    FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid \
    = c.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') JOIN pg_class t ON \
    t.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid WHERE c.relnamespace = $here";

/// Privileges of others than the owner, one row for each object and role; `*` stands for the grant option. Without a list
/// of its own, an object has the privileges that PostgreSQL gives to all.
const GRANTS: &str = "\
    SELECT 'grant', x.kind, x.name, CASE g.grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(g.grantee)::text END, \
    string_agg(g.privilege_type || CASE WHEN g.is_grantable THEN '*' ELSE '' END, ', ' ORDER BY g.privilege_type), \
    current_database()::text FROM (\
    SELECT CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'table' END AS kind, \
    c.relname::text AS name, c.relowner AS owner, c.relacl AS acl FROM pg_class c WHERE c.relnamespace = $here AND c.relkind IN \
    ('r', 'p', 'f', 'v', 'm', 'S') AND NOT MEMBER(c) \
    UNION ALL SELECT 'column', c.relname || '.' || a.attname, c.relowner, a.attacl FROM pg_attribute a JOIN pg_class c ON c.oid = \
    a.attrelid WHERE c.relnamespace = $here AND a.attacl IS NOT NULL AND NOT MEMBER(c) \
    UNION ALL SELECT 'routine', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', p.proowner, \
    coalesce(p.proacl, acldefault('f', p.proowner)) FROM pg_proc p WHERE p.pronamespace = $here AND NOT MEMBER(p) \
    UNION ALL SELECT 'type', t.typname::text, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner)) FROM pg_type t LEFT JOIN \
    pg_class c ON c.oid = t.typrelid WHERE t.typnamespace = $here AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND NOT \
    MEMBER(t) \
    UNION ALL SELECT 'schema', '', n.nspowner, n.nspacl FROM pg_namespace n WHERE n.oid = $here \
    UNION ALL SELECT 'default privileges', CASE d.defaclobjtype WHEN 'r' THEN 'on tables' WHEN 'S' THEN 'on sequences' WHEN 'f' THEN \
    'on routines' WHEN 'T' THEN 'on types' ELSE 'on schemas' END, d.defaclrole, d.defaclacl FROM pg_default_acl d WHERE \
    d.defaclnamespace = $here \
    UNION ALL SELECT 'default privileges', CASE d.defaclobjtype WHEN 'r' THEN 'on tables' WHEN 'S' THEN 'on sequences' WHEN 'f' THEN \
    'on routines' WHEN 'T' THEN 'on types' ELSE 'on schemas' END || ' in all schemas', d.defaclrole, d.defaclacl FROM pg_default_acl d \
    WHERE d.defaclnamespace = 0 \
    UNION ALL SELECT 'database', '', b.datdba, coalesce(b.datacl, acldefault('d', b.datdba)) FROM pg_database b WHERE b.datname = \
    current_database()) x CROSS JOIN LATERAL aclexplode(x.acl) g WHERE g.grantee <> x.owner GROUP BY x.kind, x.name, g.grantee";

/// The rights of the owner of a table or a sequence, where something was revoked from them.
const OWN_RIGHTS: &str = "\
    SELECT 'grant', CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, c.relname::text, 'its owner', coalesce(o.has, 'nothing'), \
    current_database()::text FROM pg_class c CROSS JOIN LATERAL (SELECT (SELECT string_agg(g.privilege_type, ', ' ORDER BY \
    g.privilege_type) FROM aclexplode(c.relacl) g WHERE g.grantee = c.relowner) AS has, (SELECT string_agg(g.privilege_type, ', ' ORDER \
    BY g.privilege_type) FROM aclexplode(acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", c.relowner)) g) AS all_of_it) \
    o WHERE c.relnamespace = $here AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND c.relacl IS NOT NULL AND o.has IS DISTINCT FROM \
    o.all_of_it AND NOT MEMBER(c)";

/// Settings of the database, publications of all its tables, and languages that no extension brought.
const OF_DATABASE: &str = "\
    SELECT 'database', 'database setting', split_part(s, '=', 1), substr(s, strpos(s, '=') + 1), '', NULL FROM pg_db_role_setting r \
    JOIN pg_database b ON b.oid = r.setdatabase CROSS JOIN LATERAL unnest(r.setconfig) s WHERE r.setrole = 0 AND b.datname = \
    current_database() \
    UNION ALL SELECT 'database', 'publication', b.pubname::text, concat_ws(' ', CASE WHEN b.pubinsert THEN 'insert' END, CASE WHEN \
    b.pubupdate THEN 'update' END, CASE WHEN b.pubdelete THEN 'delete' END, CASE WHEN b.pubtruncate THEN 'truncate' END, CASE \
    WHEN b.pubviaroot THEN 'via root' END, 'all tables'), '', obj_description(b.oid, 'pg_publication') FROM pg_publication b WHERE \
    b.puballtables \
    UNION ALL SELECT 'database', 'language', j.lanname::text, concat_ws(' ', CASE WHEN j.lanpltrusted THEN 'trusted' END, \
    NULLIF(j.lanplcallfoid, 0)::regproc::text, NULLIF(j.laninline, 0)::regproc::text, NULLIF(j.lanvalidator, 0)::regproc::text), '', \
    obj_description(j.oid, 'pg_language') FROM pg_language j WHERE j.lanispl AND NOT MEMBER(j)";

/// The choices made when the database was created. Columns of the provider came with releases 15 and 17.
const DEFAULTS: &str = "\
    SELECT 'default', o.name, o.value FROM pg_database b CROSS JOIN LATERAL (VALUES ('encoding', \
    pg_encoding_to_char(b.encoding)::text), ('collation', concat_ws(' ', b.datcollate::text, NULLIF(to_jsonb(b) ->> 'datlocprovider', 'c'), \
    to_jsonb(b) ->> 'daticulocale', to_jsonb(b) ->> 'datlocale', to_jsonb(b) ->> 'daticurules')), ('character classes', \
    b.datctype::text)) o(name, value) WHERE b.datname = current_database()";

/// A name that a catalog lacks before version 15 is that of the row of NULLs around its query.
///
/// Built-in objects have numbers below 16384, and the members of their operator families are not looked up.
///
/// The rarer kinds: in the schema, and of the database, the extensions and the other schemas by name, and what belongs to
/// objects of the schema.
const OTHER_KINDS: &str = "\
    SELECT 'other', 'collation', l.collname::text, concat_ws(' ', l.collprovider::text, CASE WHEN l.collisdeterministic THEN \
    '' ELSE 'nondeterministic' END, l.collcollate, l.collctype, to_jsonb(l) ->> 'colliculocale', to_jsonb(l) ->> \
    'colllocale', to_jsonb(l) ->> 'collicurules'), '', obj_description(l.oid, 'pg_collation') FROM pg_collation l WHERE \
    l.collnamespace = $here AND NOT MEMBER(l) \
    UNION ALL SELECT 'other', 'operator', o.oprname || '(' || format_type(o.oprleft, NULL) || ', ' || \
    format_type(o.oprright, NULL) || ')', concat_ws(' ', o.oprcode::text, o.oprrest::text, o.oprjoin::text, CASE WHEN \
    o.oprcanhash THEN 'hashes' END, CASE WHEN o.oprcanmerge THEN 'merges' END, 'commutator', o.oprcom::regoperator::text, \
    'negator', o.oprnegate::regoperator::text), '', obj_description(o.oid, 'pg_operator') FROM pg_operator o WHERE \
    o.oprnamespace = $here AND o.oprcode <> 0 AND NOT MEMBER(o) \
    UNION ALL SELECT 'other', 'operator class', x.opcname || ' of ' || m.amname, concat_ws(' ', format_type(x.opcintype, NULL), \
    CASE WHEN x.opcdefault THEN 'default' END, (SELECT 'in family ' || y.opfname FROM pg_opfamily y WHERE y.oid = x.opcfamily AND \
    y.opfname <> x.opcname), 'stored as ' || format_type(NULLIF(x.opckeytype, 0), NULL), (SELECT \
    string_agg(concat_ws(' ', 'operator', a.amopstrategy, a.amopopr::regoperator::text), ', ' ORDER BY a.amopstrategy, \
    a.amopopr::regoperator::text) FROM pg_amop a WHERE a.amopfamily = x.opcfamily), (SELECT string_agg(concat_ws(' ', \
    'function', a.amprocnum, a.amproc::regprocedure::text), ', ' ORDER BY a.amprocnum, a.amproc::regprocedure::text) FROM \
    pg_amproc a WHERE a.amprocfamily = x.opcfamily)), '', obj_description(x.oid, 'pg_opclass') FROM pg_opclass x JOIN pg_am m ON \
    m.oid = x.opcmethod WHERE x.opcnamespace = $here AND NOT MEMBER(x) \
    UNION ALL SELECT 'other', 'operator family', g.opfname || ' of ' || m.amname, concat_ws(', ', (SELECT string_agg(concat_ws(' ', \
    'operator', a.amopstrategy, a.amopopr::regoperator::text, 'sorts by ' || (SELECT opfname FROM pg_opfamily y WHERE y.oid = \
    a.amopsortfamily)), ', ' ORDER BY a.amopstrategy, a.amopopr::regoperator::text) FROM pg_amop a JOIN pg_operator o ON o.oid = \
    a.amopopr WHERE a.amopfamily = g.oid AND $here IN (g.opfnamespace, o.oprnamespace)), (SELECT string_agg(concat_ws(' ', 'function', \
    a.amprocnum, a.amproc::regprocedure::text), ', ' ORDER BY a.amprocnum, a.amproc::regprocedure::text) FROM pg_amproc a JOIN pg_proc p \
    ON p.oid = a.amproc WHERE a.amprocfamily = g.oid AND $here IN (g.opfnamespace, p.pronamespace))), '', obj_description(g.oid, \
    'pg_opfamily') FROM pg_opfamily g JOIN pg_am m ON m.oid = g.opfmethod WHERE NOT MEMBER(g) AND NOT EXISTS (SELECT FROM pg_opclass x WHERE \
    x.opcfamily = g.oid AND x.opcname = g.opfname AND x.opcnamespace = g.opfnamespace) AND (g.opfnamespace = $here OR g.oid IN \
    (SELECT a.amopfamily FROM pg_amop a JOIN pg_operator o ON o.oid = a.amopopr WHERE a.oid >= 16384 AND o.oprnamespace = $here AND NOT \
    MEMBER(o) UNION ALL SELECT a.amprocfamily FROM pg_amproc a JOIN pg_proc p ON p.oid = a.amproc WHERE a.oid >= 16384 AND \
    p.pronamespace = $here AND NOT MEMBER(p))) \
    UNION ALL SELECT 'other', 'transform', format_type(r.trftype, NULL) || ' for ' || (SELECT lanname FROM pg_language \
    WHERE oid = r.trflang), concat_ws(' ', 'from', \
    NULLIF(r.trffromsql, 0)::regprocedure::text, 'to', NULLIF(r.trftosql, 0)::regprocedure::text), '', obj_description(r.oid, \
    'pg_transform') FROM pg_transform r WHERE NOT MEMBER(r) AND $here IN (SELECT typnamespace FROM pg_type WHERE oid = r.trftype UNION \
    ALL SELECT pronamespace FROM pg_proc WHERE oid IN (r.trffromsql, r.trftosql)) \
    UNION ALL SELECT 'other', 'text search parser', s.prsname::text, concat_ws(' ', s.prsstart::text, s.prstoken::text, s.prsend::text, \
    s.prsheadline::text, s.prslextype::text), '', obj_description(s.oid, 'pg_ts_parser') FROM pg_ts_parser s WHERE s.prsnamespace = \
    $here AND NOT MEMBER(s) \
    UNION ALL SELECT 'other', 'text search template', u.tmplname::text, concat_ws(' ', u.tmplinit::text, u.tmpllexize::text), '', \
    obj_description(u.oid, 'pg_ts_template') FROM pg_ts_template u WHERE u.tmplnamespace = $here AND NOT MEMBER(u) \
    UNION ALL SELECT 'other', 'text search configuration', f.cfgname::text, concat_ws(' ', (SELECT r.prsname FROM pg_ts_parser r \
    WHERE r.oid = f.cfgparser), (SELECT string_agg(m.maptokentype || ' ' || m.mapdict::regdictionary::text, ', ' ORDER BY \
    m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = f.oid)), '', obj_description(f.oid, 'pg_ts_config') \
    FROM pg_ts_config f WHERE f.cfgnamespace = $here AND NOT MEMBER(f) \
    UNION ALL SELECT 'other', 'text search dictionary', d.dictname::text, concat_ws(' ', (SELECT m.tmplname FROM \
    pg_ts_template m WHERE m.oid = d.dicttemplate), d.dictinitoption), '', obj_description(d.oid, 'pg_ts_dict') FROM pg_ts_dict d \
    WHERE d.dictnamespace = $here AND NOT MEMBER(d) \
    UNION ALL SELECT 'other', 'cast', format_type(k.castsource, NULL) || ' as ' || format_type(k.casttarget, NULL), concat_ws(' ', \
    k.castmethod::text, k.castcontext::text, NULLIF(k.castfunc, 0)::regprocedure::text), '', obj_description(k.oid, 'pg_cast') \
    FROM pg_cast k JOIN pg_type y ON y.oid = k.castsource JOIN pg_type z ON z.oid = k.casttarget LEFT JOIN pg_proc p ON p.oid = \
    k.castfunc WHERE $here IN (y.typnamespace, z.typnamespace, p.pronamespace) AND NOT MEMBER(k) \
    UNION ALL SELECT 'other', 'event trigger', v.evtname::text, concat_ws(' ', v.evtevent, v.evttags::text, v.evtfoid::regproc::text, \
    CASE v.evtenabled WHEN 'O' THEN '' ELSE v.evtenabled::text END), '', obj_description(v.oid, 'pg_event_trigger') FROM \
    pg_event_trigger v JOIN pg_proc p ON p.oid = v.evtfoid WHERE p.pronamespace = $here AND NOT MEMBER(v) \
    UNION ALL SELECT 'other', 'publication', b.pubname::text, concat_ws(' ', CASE WHEN b.pubinsert THEN 'insert' END, CASE WHEN \
    b.pubupdate THEN 'update' END, CASE WHEN b.pubdelete THEN 'delete' END, CASE WHEN b.pubtruncate THEN 'truncate' END, CASE \
    WHEN b.pubviaroot THEN 'via root' END, string_agg(concat_ws(' ', r.prrelid::regclass::text, (SELECT '(' || \
    string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) || ')' FROM pg_publication_rel s JOIN pg_attribute a ON a.attrelid = \
    s.prrelid AND a.attnum = ANY (prattrs) WHERE s.oid = r.oid), (SELECT 'where ' || pg_get_expr(prqual, s.prrelid) FROM \
    pg_publication_rel s WHERE s.oid = r.oid)), ', ' ORDER BY r.prrelid::regclass::text)), '', obj_description(b.oid, \
    'pg_publication') FROM pg_publication b JOIN pg_publication_rel r ON r.prpubid = b.oid JOIN pg_class c ON c.oid = r.prrelid CROSS \
    JOIN (SELECT NULL::pg_node_tree AS prqual, NULL::int2vector AS prattrs) before_15 WHERE c.relnamespace = $here GROUP BY b.oid, b.pubname, b.pubinsert, b.pubupdate, b.pubdelete, \
    b.pubtruncate, b.pubviaroot \
    UNION ALL SELECT 'other', 'conversion', n.conname::text, concat_ws(' ', CASE WHEN n.condefault THEN 'default' END, \
    pg_encoding_to_char(n.conforencoding), 'to', pg_encoding_to_char(n.contoencoding), n.conproc::text), '', obj_description(n.oid, \
    'pg_conversion') FROM pg_conversion n WHERE n.connamespace = $here AND NOT MEMBER(n) \
    UNION ALL SELECT 'other', 'schema comment', '', obj_description($here, 'pg_namespace'), '', NULL WHERE obj_description($here, \
    'pg_namespace') <> 'standard public schema' \
    UNION ALL SELECT 'other', 'extension', e.extname::text, CASE WHEN e.extnamespace <> $here THEN 'in schema ' || \
    e.extnamespace::regnamespace ELSE '' END, '', NULL FROM pg_extension e WHERE e.extname <> 'plpgsql' \
    UNION ALL SELECT 'other', 'schema', n.nspname::text, '', '', NULL FROM pg_namespace n WHERE n.oid <> $here AND n.nspname NOT IN \
    ('public', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'";
