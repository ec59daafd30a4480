//! The pairs of objects, by engine.

/// An object as one schema has it, and as the other one has it. Each begins with the object's name and a colon.
pub(super) type Pair = (&'static str, &'static str);

pub(super) const ON_SQLITE: [Pair; 22] = [
    (
        "t01: CREATE TABLE t01 (a int NOT NULL ON CONFLICT IGNORE UNIQUE)",
        "CREATE TABLE t01 (a int NOT NULL UNIQUE ON CONFLICT IGNORE)",
    ),
    ("t02: CREATE TABLE t02 (id integer PRIMARY KEY)", "CREATE TABLE t02 (id integer PRIMARY KEY DESC)"),
    ("t03: CREATE TABLE t03 (id int PRIMARY KEY) WITHOUT ROWID", "CREATE TABLE t03 (id int PRIMARY KEY)"),
    ("t04: CREATE TABLE t04 (id int) STRICT", "CREATE TABLE t04 (id int)"),
    ("t05: CREATE TABLE t05 (id integer PRIMARY KEY AUTOINCREMENT)", "CREATE TABLE t05 (id integer PRIMARY KEY)"),
    ("t06: CREATE TABLE t06 (a text COLLATE nocase)", "CREATE TABLE t06 (a text)"),
    (
        "t07: CREATE TABLE t07 (a int); CREATE INDEX i07 ON t07 (a) WHERE a > 1",
        "CREATE TABLE t07 (a int); CREATE INDEX i07 ON t07 (a) WHERE a > 2",
    ),
    (
        "t08: CREATE TABLE t08 (a text); CREATE INDEX i08 ON t08 (lower(a))",
        "CREATE TABLE t08 (a text); CREATE INDEX i08 ON t08 (upper(a))",
    ),
    (
        "t09: CREATE TABLE t09 (a int REFERENCES t02 (id) DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TABLE t09 (a int REFERENCES t02 (id))",
    ),
    (
        "t10: CREATE TABLE t10 (a int REFERENCES t02 (id) ON DELETE CASCADE)",
        "CREATE TABLE t10 (a int REFERENCES t02 (id))",
    ),
    ("t11: CREATE TABLE t11 (a int, b int AS (a + 1) STORED)", "CREATE TABLE t11 (a int, b int AS (a + 1))"),
    ("t12: CREATE TABLE t12 (a int, PRIMARY KEY (a) ON CONFLICT REPLACE)", "CREATE TABLE t12 (a int, PRIMARY KEY (a))"),
    ("t13: CREATE TABLE t13 (a text DEFAULT 'x  y')", "CREATE TABLE t13 (a text DEFAULT 'x y')"),
    ("t14: CREATE TABLE t14 (a int CHECK (a > 1))", "CREATE TABLE t14 (a int CHECK (a > 2))"),
    ("v15: CREATE VIEW v15 AS SELECT 'a  b' AS a", "CREATE VIEW v15 AS SELECT 'a b' AS a"),
    (
        "v16: CREATE VIEW v16 AS SELECT 1 AS a -- one\n UNION ALL SELECT 2",
        "CREATE VIEW v16 AS SELECT 1 AS a -- one UNION ALL SELECT 2",
    ),
    (
        "t17: CREATE TABLE t17 (a int); CREATE TRIGGER g17 AFTER INSERT ON t17 BEGIN DELETE FROM t17; END",
        "CREATE TABLE t17 (a int); CREATE TRIGGER g17 BEFORE INSERT ON t17 BEGIN DELETE FROM t17; END",
    ),
    ("t18: CREATE TABLE t18 (a int, b int, UNIQUE (a, b))", "CREATE TABLE t18 (a int, b int, UNIQUE (b, a))"),
    ("t19: CREATE TABLE t19 (a text, UNIQUE (a COLLATE nocase))", "CREATE TABLE t19 (a text, UNIQUE (a))"),
    ("t20: CREATE VIRTUAL TABLE t20 USING fts5(a, prefix='2')", "CREATE VIRTUAL TABLE t20 USING fts5(a)"),
    (
        "t21: CREATE TABLE t21 (a int); CREATE INDEX i21 ON t21 (a DESC)",
        "CREATE TABLE t21 (a int); CREATE INDEX i21 ON t21 (a)",
    ),
    ("t22: CREATE TABLE t22 (a text DEFAULT \"Abc\")", "CREATE TABLE t22 (a text DEFAULT \"abc\")"),
];

pub(super) const SAME_ON_SQLITE: [Pair; 11] = [
    ("s01: CREATE TABLE s01 (a int, b text)", "create table \"s01\" (b TEXT,\n  a INT -- the number\n)"),
    (
        "s02: CREATE TABLE s02 (a int); CREATE INDEX is02 ON s02 (a) WHERE a > 1",
        "create table s02(a int); create index [is02] on `s02`(a) where a>1",
    ),
    ("vs03: CREATE VIEW vs03 AS SELECT 1 AS a", "create view if not exists vs03 as\n\tselect 1 as a -- one"),
    ("s04: CREATE TABLE s04 (a int)", "CREATE TABLE s04x (a int); ALTER TABLE s04x RENAME TO s04"),
    ("s05: CREATE TABLE s05 (a int, b int)", "CREATE TABLE s05 (b int); ALTER TABLE s05 ADD COLUMN a int"),
    (
        "s06: CREATE TABLE s06 (a int); CREATE TRIGGER gs06 AFTER INSERT ON s06 BEGIN DELETE FROM s06; END",
        "CREATE TABLE s06 (a int); create trigger gs06 after insert on s06\nbegin\n  delete from s06;\nend",
    ),
    ("s07: CREATE TABLE s07 (a int CHECK (a > 1 AND a < 5))", "CREATE TABLE s07 (a int check(a>1 and a<5))"),
    (
        "s08: CREATE TABLE s08 (a int REFERENCES t02 (id) DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TABLE s08 (a int references t02(id) deferrable initially deferred)",
    ),
    ("s09: CREATE TABLE s09 (a int DEFAULT (1 + 1))", "CREATE TABLE s09 (a int DEFAULT ( 1+1 ))"),
    ("s11: CREATE TABLE s11 (a int DEFAULT NULL)", "CREATE TABLE s11 (a int)"),
    (
        "s10: CREATE TABLE s10 (a int DEFAULT (1e3 + 0xff), b blob CHECK (b <> x'ab'))",
        "CREATE TABLE s10 (a int DEFAULT (1E3 + 0XFF), b blob CHECK (b <> X'AB'))",
    ),
];

pub(super) const ON_POSTGRES: [Pair; 81] = [
    (
        "t01c: CREATE TABLE t01 (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE t01c (a int, b int, CONSTRAINT t01_fk FOREIGN KEY (a, b) REFERENCES t01 ON DELETE SET NULL (b))",
        "CREATE TABLE t01 (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE t01c (a int, b int, CONSTRAINT t01_fk FOREIGN KEY (a, b) REFERENCES t01 ON DELETE SET NULL)",
    ),
    (
        "g02: CREATE TABLE t02 (a int); CREATE FUNCTION f02() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER g02 AFTER INSERT ON t02 FOR EACH ROW EXECUTE FUNCTION f02()",
        "CREATE TABLE t02 (a int); CREATE FUNCTION f02() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; CREATE TRIGGER g02 AFTER INSERT ON t02 FOR EACH ROW EXECUTE FUNCTION f02(); ALTER TABLE t02 DISABLE TRIGGER g02",
    ),
    (
        "t03: CREATE TABLE t03 (a int PRIMARY KEY, b int REFERENCES t03)",
        "CREATE TABLE t03 (a int PRIMARY KEY, b int REFERENCES t03); ALTER TABLE t03 DISABLE TRIGGER ALL",
    ),
    (
        "g04: CREATE TABLE t04 (a int); CREATE TRIGGER g04 AFTER INSERT ON t04 FOR EACH ROW EXECUTE FUNCTION f02()",
        "CREATE TABLE t04 (a int); CREATE TRIGGER g04 AFTER INSERT ON t04 FOR EACH ROW EXECUTE FUNCTION f02(); ALTER TABLE t04 ENABLE REPLICA TRIGGER g04",
    ),
    (
        "t05: CREATE TABLE t05 (a int); CREATE POLICY p05 ON t05 TO public USING (a > 1)",
        "CREATE TABLE t05 (a int); CREATE POLICY p05 ON t05 TO pg_monitor USING (a > 1)",
    ),
    ("t06: CREATE TABLE t06 (a int); ALTER TABLE t06 FORCE ROW LEVEL SECURITY", "CREATE TABLE t06 (a int)"),
    (
        "t07: CREATE TABLE t07 (a int GENERATED ALWAYS AS IDENTITY (INCREMENT 2))",
        "CREATE TABLE t07 (a int GENERATED ALWAYS AS IDENTITY)",
    ),
    (
        "t08: CREATE TABLE t08 (a int GENERATED ALWAYS AS IDENTITY (START 100))",
        "CREATE TABLE t08 (a int GENERATED ALWAYS AS IDENTITY)",
    ),
    ("t09: CREATE TABLE t09 (a serial); ALTER SEQUENCE t09_a_seq CYCLE", "CREATE TABLE t09 (a serial)"),
    ("t10: CREATE TABLE t10 (a text COLLATE \"C\")", "CREATE TABLE t10 (a text)"),
    ("t11: CREATE TABLE t11 (a int) WITH (fillfactor = 70)", "CREATE TABLE t11 (a int)"),
    ("t12: CREATE TABLE t12 (a text); ALTER TABLE t12 ALTER a SET STORAGE EXTERNAL", "CREATE TABLE t12 (a text)"),
    ("t13: CREATE TABLE t13 (a int); ALTER TABLE t13 ALTER a SET (n_distinct = 5)", "CREATE TABLE t13 (a int)"),
    ("t14: CREATE TABLE t14 (a text COMPRESSION pglz)", "CREATE TABLE t14 (a text)"),
    ("t15: CREATE TABLE t15 (a int UNIQUE NULLS NOT DISTINCT)", "CREATE TABLE t15 (a int UNIQUE)"),
    (
        "t16: CREATE TABLE t16 (a int4range, CONSTRAINT x16 EXCLUDE USING gist (a WITH &&))",
        "CREATE TABLE t16 (a int4range, CONSTRAINT x16 EXCLUDE USING gist (a WITH =))",
    ),
    (
        "r17: CREATE TABLE t17 (a int); CREATE RULE r17 AS ON DELETE TO t17 DO INSTEAD NOTHING",
        "CREATE TABLE t17 (a int); CREATE RULE r17 AS ON DELETE TO t17 DO ALSO NOTHING",
    ),
    (
        "s18: CREATE TABLE t18 (a int); CREATE SEQUENCE s18 OWNED BY t18.a",
        "CREATE TABLE t18 (a int); CREATE SEQUENCE s18",
    ),
    (
        "t19: CREATE TABLE t19 (a int, b int); CREATE SEQUENCE s19 OWNED BY t19.a",
        "CREATE TABLE t19 (a int, b int); CREATE SEQUENCE s19 OWNED BY t19.b",
    ),
    (
        "t20a: CREATE TABLE t20 (a int) PARTITION BY RANGE (a); CREATE TABLE t20a PARTITION OF t20 FOR VALUES FROM (1) TO (5)",
        "CREATE TABLE t20 (a int) PARTITION BY RANGE (a); CREATE TABLE t20a PARTITION OF t20 FOR VALUES FROM (1) TO (6)",
    ),
    (
        "t21: CREATE TABLE t21 (a int, b int GENERATED ALWAYS AS (a + 1) STORED)",
        "CREATE TABLE t21 (a int, b int GENERATED ALWAYS AS (a + 2) STORED)",
    ),
    (
        "t22: CREATE TABLE t22 (a text); CREATE INDEX i22 ON t22 (a text_pattern_ops)",
        "CREATE TABLE t22 (a text); CREATE INDEX i22 ON t22 (a)",
    ),
    (
        "t23: CREATE TABLE t23 (a text); CREATE INDEX i23 ON t23 (a COLLATE \"C\")",
        "CREATE TABLE t23 (a text); CREATE INDEX i23 ON t23 (a)",
    ),
    (
        "t24: CREATE TABLE t24 (a int); CREATE UNIQUE INDEX i24 ON t24 (a) WHERE a > 1",
        "CREATE TABLE t24 (a int); CREATE UNIQUE INDEX i24 ON t24 (a)",
    ),
    (
        "t25: CREATE TABLE t25 (a int, b int); CREATE INDEX i25 ON t25 (a) INCLUDE (b)",
        "CREATE TABLE t25 (a int, b int); CREATE INDEX i25 ON t25 (a)",
    ),
    (
        "t26: CREATE TABLE t26 (a int); ALTER TABLE t26 ADD CONSTRAINT c26 CHECK (a > 1) NOT VALID",
        "CREATE TABLE t26 (a int, CONSTRAINT c26 CHECK (a > 1))",
    ),
    ("e27: CREATE TYPE e27 AS ENUM ('a', 'b')", "CREATE TYPE e27 AS ENUM ('b', 'a')"),
    ("d28: CREATE DOMAIN d28 AS int CHECK (VALUE > 1)", "CREATE DOMAIN d28 AS int CHECK (VALUE > 2)"),
    ("c29: CREATE TYPE c29 AS (a int, b text)", "CREATE TYPE c29 AS (a int, b text COLLATE \"C\")"),
    (
        "f30: CREATE FUNCTION f30() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'",
        "CREATE FUNCTION f30() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ),
    (
        "f31: CREATE FUNCTION f31() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "CREATE FUNCTION f31() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ),
    (
        "f32: CREATE FUNCTION f32() RETURNS int LANGUAGE sql SET work_mem = '1MB' AS 'SELECT 1'",
        "CREATE FUNCTION f32() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ),
    ("v33: CREATE VIEW v33 WITH (security_barrier) AS SELECT 1 AS a", "CREATE VIEW v33 AS SELECT 1 AS a"),
    ("v34: CREATE VIEW v34 WITH (security_invoker) AS SELECT 1 AS a", "CREATE VIEW v34 AS SELECT 1 AS a"),
    (
        "f35: CREATE FUNCTION f35() RETURNS int LANGUAGE sql AS 'SELECT 1 -- one\n + 1'",
        "CREATE FUNCTION f35() RETURNS int LANGUAGE sql AS 'SELECT 1 -- one + 1'",
    ),
    ("citext: CREATE EXTENSION citext", "SELECT 1"),
    (
        "t37: CREATE TABLE t37 (a int CONSTRAINT u37 UNIQUE WITH (fillfactor = 70))",
        "CREATE TABLE t37 (a int CONSTRAINT u37 UNIQUE)",
    ),
    (
        "t38: CREATE TABLE t38 (a int NOT NULL CONSTRAINT u38 UNIQUE); ALTER TABLE t38 REPLICA IDENTITY USING INDEX u38",
        "CREATE TABLE t38 (a int NOT NULL CONSTRAINT u38 UNIQUE, b int NOT NULL CONSTRAINT u38b UNIQUE); ALTER TABLE t38 REPLICA IDENTITY USING INDEX u38b; ALTER TABLE t38 DROP COLUMN b; ALTER TABLE t38 REPLICA IDENTITY FULL",
    ),
    (
        "r39: CREATE TYPE r39 AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = float8mi)",
        "CREATE TYPE r39 AS RANGE (SUBTYPE = float8)",
    ),
    (
        "v40: CREATE TABLE t40 (a int); CREATE VIEW v40 AS SELECT a FROM t40; ALTER VIEW v40 ALTER a SET DEFAULT 5",
        "CREATE TABLE t40 (a int); CREATE VIEW v40 AS SELECT a FROM t40",
    ),
    (
        "t41a: CREATE TABLE t41 (a int) PARTITION BY RANGE (a); CREATE TABLE t41a PARTITION OF t41 DEFAULT; CREATE TRIGGER g41 AFTER INSERT ON t41 FOR EACH ROW EXECUTE FUNCTION f02()",
        "CREATE TABLE t41 (a int) PARTITION BY RANGE (a); CREATE TABLE t41a PARTITION OF t41 DEFAULT; CREATE TRIGGER g41 AFTER INSERT ON t41 FOR EACH ROW EXECUTE FUNCTION f02(); ALTER TABLE t41a DISABLE TRIGGER g41",
    ),
    (
        "n42: CREATE COLLATION n42 (provider = icu, locale = 'de')",
        "CREATE COLLATION n42 (provider = icu, locale = 'fr')",
    ),
    ("c43: CREATE TEXT SEARCH CONFIGURATION c43 (COPY = simple)", "SELECT 1"),
    ("&&&: CREATE OPERATOR &&& (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)", "SELECT 1"),
    (
        "t45: CREATE TABLE t45 (a int); CREATE INDEX i45 ON t45 (a) WITH (fillfactor = 70)",
        "CREATE TABLE t45 (a int); CREATE INDEX i45 ON t45 (a)",
    ),
    (
        "t46: CREATE TABLE t46 (a int, b int); CREATE UNIQUE INDEX i46 ON t46 (a) NULLS NOT DISTINCT",
        "CREATE TABLE t46 (a int, b int); CREATE UNIQUE INDEX i46 ON t46 (a)",
    ),
    ("t47: CREATE TABLE t47 (a text) WITH (toast.autovacuum_enabled = false)", "CREATE TABLE t47 (a text)"),
    ("t48: CREATE TABLE t48 (a int); ALTER TABLE t48 ALTER a SET STATISTICS 500", "CREATE TABLE t48 (a int)"),
    (
        "f49: CREATE FUNCTION f49() RETURNS text LANGUAGE sql AS $$ SELECT 'a  b' $$",
        "CREATE FUNCTION f49() RETURNS text LANGUAGE sql AS $$ SELECT 'a b' $$",
    ),
    (
        "t50: CREATE TABLE t50 (a int, b int); CREATE STATISTICS st50 ON a, b FROM t50; ALTER STATISTICS st50 SET STATISTICS 50",
        "CREATE TABLE t50 (a int, b int); CREATE STATISTICS st50 ON a, b FROM t50",
    ),
    (
        "t51: CREATE TABLE t51 (a int); CREATE POLICY p51 ON t51; COMMENT ON POLICY p51 ON t51 IS 'x'",
        "CREATE TABLE t51 (a int); CREATE POLICY p51 ON t51",
    ),
    ("v52: CREATE VIEW v52 AS SELECT 1 AS a; COMMENT ON COLUMN v52.a IS 'x'", "CREATE VIEW v52 AS SELECT 1 AS a"),
    (
        "g53: CREATE AGGREGATE g53 (int) (SFUNC = int4larger, STYPE = int, PARALLEL = SAFE)",
        "CREATE AGGREGATE g53 (int) (SFUNC = int4larger, STYPE = int)",
    ),
    (
        "g54: CREATE AGGREGATE g54 (int) (SFUNC = int4larger, STYPE = int, SORTOP = >)",
        "CREATE AGGREGATE g54 (int) (SFUNC = int4larger, STYPE = int)",
    ),
    (
        "<=>: CREATE TYPE e55 AS ENUM ('a'); CREATE FUNCTION f55(e55, e55) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE OPERATOR <=> (LEFTARG = e55, RIGHTARG = e55, FUNCTION = f55, HASHES, MERGES)",
        "CREATE TYPE e55 AS ENUM ('a'); CREATE FUNCTION f55(e55, e55) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE OPERATOR <=> (LEFTARG = e55, RIGHTARG = e55, FUNCTION = f55)",
    ),
    (
        "o56: CREATE OPERATOR CLASS o56 FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 3 =, FUNCTION 1 btint4cmp(int, int)",
        "CREATE OPERATOR CLASS o56 FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int)",
    ),
    (
        "e57: CREATE TYPE e57 AS ENUM ('a'); CREATE CAST (e57 AS int) WITH INOUT AS ASSIGNMENT",
        "CREATE TYPE e57 AS ENUM ('a')",
    ),
    (
        "w58: CREATE TABLE t58 (a int PRIMARY KEY); CREATE PUBLICATION w58 FOR TABLE t58",
        "CREATE TABLE t58 (a int PRIMARY KEY); CREATE PUBLICATION w58 FOR TABLE t58 WITH (publish = 'insert')",
    ),
    (
        "x59: CREATE FUNCTION f59() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER x59 ON sql_drop EXECUTE FUNCTION f59()",
        "CREATE FUNCTION f59() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
    ),
    (
        "d60: CREATE DOMAIN d60 AS int CONSTRAINT k60 CHECK (value > 1); COMMENT ON CONSTRAINT k60 ON DOMAIN d60 IS 'x'",
        "CREATE DOMAIN d60 AS int CONSTRAINT k60 CHECK (value > 1)",
    ),
    (
        "c61: CREATE TEXT SEARCH CONFIGURATION c61 (COPY = simple); COMMENT ON TEXT SEARCH CONFIGURATION c61 IS 'x'",
        "CREATE TEXT SEARCH CONFIGURATION c61 (COPY = simple)",
    ),
    ("w62: CREATE PUBLICATION w62 FOR ALL TABLES", "SELECT 1"),
    (
        "t63: CREATE TABLE t63 (a int); CREATE INDEX i63 ON t63 ((a + 1)); ALTER INDEX i63 ALTER COLUMN 1 SET STATISTICS 500",
        "CREATE TABLE t63 (a int); CREATE INDEX i63 ON t63 ((a + 1))",
    ),
    (
        "s64: DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.s64 = 1', current_database()); END $$",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET app.s64 = 2', current_database()); END $$",
    ),
    (
        "w65: CREATE TABLE t65 (a int, b int); CREATE PUBLICATION w65 FOR TABLE t65 (a)",
        "CREATE TABLE t65 (a int, b int); CREATE PUBLICATION w65 FOR TABLE t65 (a, b)",
    ),
    (
        "w66: CREATE TABLE t66 (a int); CREATE PUBLICATION w66 FOR TABLE t66 WHERE (a > 1)",
        "CREATE TABLE t66 (a int); CREATE PUBLICATION w66 FOR TABLE t66 WHERE (a > 2)",
    ),
    (
        "f67: CREATE FOREIGN DATA WRAPPER w67; CREATE SERVER s67 FOREIGN DATA WRAPPER w67; CREATE FOREIGN TABLE f67 (a int OPTIONS (x '1')) SERVER s67",
        "CREATE FOREIGN DATA WRAPPER w67; CREATE SERVER s67 FOREIGN DATA WRAPPER w67; CREATE FOREIGN TABLE f67 (a int OPTIONS (x '2')) SERVER s67",
    ),
    (
        "f68: CREATE FOREIGN DATA WRAPPER w68; CREATE SERVER s68 FOREIGN DATA WRAPPER w68 OPTIONS (host 'a'); CREATE FOREIGN TABLE f68 (a int) SERVER s68",
        "CREATE FOREIGN DATA WRAPPER w68; CREATE SERVER s68 FOREIGN DATA WRAPPER w68 OPTIONS (host 'b'); CREATE FOREIGN TABLE f68 (a int) SERVER s68",
    ),
    ("y69: CREATE TYPE y69 AS (a int); COMMENT ON COLUMN y69.a IS 'x'", "CREATE TYPE y69 AS (a int)"),
    ("v70: CREATE CONVERSION v70 FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8", "SELECT 1"),
    ("o71: CREATE OPERATOR FAMILY o71 USING btree", "SELECT 1"),
    (
        "integer_ops: CREATE TYPE e72 AS ENUM ('a'); CREATE FUNCTION f72(e72, e72) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE OPERATOR <#> (LEFTARG = e72, RIGHTARG = e72, FUNCTION = f72); ALTER OPERATOR FAMILY integer_ops USING btree ADD OPERATOR 1 <#> (e72, e72)",
        "CREATE TYPE e72 AS ENUM ('a'); CREATE FUNCTION f72(e72, e72) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; CREATE OPERATOR <#> (LEFTARG = e72, RIGHTARG = e72, FUNCTION = f72)",
    ),
    (
        "float_ops: CREATE TYPE e73 AS ENUM ('a'); CREATE FUNCTION f73(e73, e73) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0'; ALTER OPERATOR FAMILY float_ops USING btree ADD FUNCTION 1 (e73, e73) f73(e73, e73)",
        "CREATE TYPE e73 AS ENUM ('a'); CREATE FUNCTION f73(e73, e73) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0'",
    ),
    (
        "e74: CREATE TYPE e74 AS ENUM ('a'); CREATE FUNCTION f74(internal) RETURNS internal LANGUAGE internal IMMUTABLE AS 'byteasend'; CREATE TRANSFORM FOR e74 LANGUAGE plpgsql (FROM SQL WITH FUNCTION f74(internal))",
        "CREATE TYPE e74 AS ENUM ('a'); CREATE FUNCTION f74(internal) RETURNS internal LANGUAGE internal IMMUTABLE AS 'byteasend'",
    ),
    (
        "p75: CREATE TEXT SEARCH PARSER p75 (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype)",
        "SELECT 1",
    ),
    (
        "l76: CREATE TEXT SEARCH TEMPLATE l76 (INIT = dsimple_init, LEXIZE = dsimple_lexize)",
        "CREATE TEXT SEARCH TEMPLATE l76 (LEXIZE = dsimple_lexize)",
    ),
    ("j77: CREATE LANGUAGE j77 HANDLER plpgsql_call_handler", "SELECT 1"),
    ("y78: CREATE TYPE y78", "SELECT 1"),
    (
        "y79: CREATE TYPE y79; CREATE FUNCTION i79(cstring) RETURNS y79 LANGUAGE internal IMMUTABLE STRICT AS 'int4in'; CREATE FUNCTION u79(y79) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out'; CREATE TYPE y79 (INPUT = i79, OUTPUT = u79, LIKE = int4)",
        "CREATE TYPE y79; CREATE FUNCTION i79(cstring) RETURNS y79 LANGUAGE internal IMMUTABLE STRICT AS 'int4in'; CREATE FUNCTION u79(y79) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out'; CREATE TYPE y79 (INPUT = i79, OUTPUT = u79, LIKE = int4, DEFAULT = '7')",
    ),
    (
        "t80: CREATE TABLE t80 (a int GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME q80))",
        "CREATE TABLE t80 (a int GENERATED ALWAYS AS IDENTITY)",
    ),
    (
        "o81: CREATE OPERATOR FAMILY o81 USING btree; COMMENT ON OPERATOR FAMILY o81 USING btree IS 'x'",
        "CREATE OPERATOR FAMILY o81 USING btree",
    ),
];

pub(super) const SAME_ON_POSTGRES: [Pair; 12] = [
    (
        "s01: CREATE TABLE s01 (a int, b text)",
        "create table \"s01\" (x int, b TEXT, a integer); ALTER TABLE s01 DROP COLUMN x",
    ),
    (
        "fs02: CREATE FUNCTION fs02() RETURNS int LANGUAGE sql AS 'SELECT 1 -- one\n + 1'",
        "create or replace function fs02() returns integer as $body$\n  SELECT 1 -- one\n    + 1\n$body$ language sql",
    ),
    ("vs03: CREATE VIEW vs03 AS SELECT 1 AS a, 2 AS b", "create view vs03(a, b) as select 1, 2"),
    (
        "s04: CREATE TABLE s04 (a int CHECK (a > 1), b int DEFAULT 1)",
        "CREATE TABLE s04x (b int4 DEFAULT '1'::int, a int4, CONSTRAINT s04_a_check CHECK ((a) > (1))); ALTER TABLE s04x RENAME TO s04; ALTER TABLE s04 ALTER b SET DEFAULT 1",
    ),
    (
        "s05: CREATE TABLE s05 (a int GENERATED ALWAYS AS IDENTITY)",
        "CREATE TABLE s05 (a int); ALTER TABLE s05 ALTER a SET NOT NULL, ALTER a ADD GENERATED ALWAYS AS IDENTITY",
    ),
    (
        "s06: CREATE TABLE s06 (a serial)",
        "CREATE SEQUENCE s06_a_seq AS integer; CREATE TABLE s06 (a int NOT NULL DEFAULT nextval('s06_a_seq')); ALTER SEQUENCE s06_a_seq OWNED BY s06.a",
    ),
    (
        "s07: CREATE TABLE s07 (a int PRIMARY KEY, b int REFERENCES s07 ON DELETE SET NULL)",
        "CREATE TABLE s07 (a int, b int); ALTER TABLE s07 ADD PRIMARY KEY (a); ALTER TABLE s07 ADD FOREIGN KEY (b) REFERENCES s07 (a) ON DELETE SET NULL",
    ),
    (
        "ps08: CREATE TABLE s08 (a int); CREATE POLICY ps08 ON s08 TO CURRENT_USER USING (a > 1)",
        "CREATE TABLE s08 (a int); CREATE POLICY ps08 ON s08 TO postgres USING ((a > 1))",
    ),
    (
        "s10: CREATE TABLE s10 (a varchar(9) CHECK (a IN ('x', 'y'))); CREATE INDEX is10 ON s10 (a) WHERE a IN ('x', 'y')",
        "CREATE TABLE s10 (a varchar(9) CHECK (((a)::text = ANY (ARRAY[('x'::character varying)::text, ('y'::character varying)::text])))); CREATE INDEX is10 ON s10 (a) WHERE ((a)::text = ANY (ARRAY[('x'::character varying)::text, ('y'::character varying)::text]))",
    ),
    (
        "vs11: CREATE VIEW vs11 AS SELECT relname FROM (SELECT 'x'::varchar(9) AS relname) o WHERE relname IN ('x', 'y')",
        "CREATE VIEW vs11 AS SELECT relname FROM (SELECT 'x'::varchar(9) AS relname) o WHERE relname::text = ANY (ARRAY['x'::character varying::text, 'y'::character varying::text])",
    ),
    ("pg_trgm: SELECT 1", "CREATE SCHEMA IF NOT EXISTS elsewhere; CREATE TABLE elsewhere.s09 (a int)"),
    (
        "xs12: CREATE OPERATOR CLASS xs12 FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int)",
        "CREATE OPERATOR FAMILY xs12 USING btree; CREATE OPERATOR CLASS xs12 FOR TYPE int USING btree FAMILY xs12 AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int)",
    ),
];

pub(super) const ON_BOTH_MYSQLS: [Pair; 29] = [
    ("t01: CREATE TABLE t01 (a varchar(64) DEFAULT 'uuid()')", "CREATE TABLE t01 (a varchar(64) DEFAULT (uuid()))"),
    (
        "e02: CREATE EVENT e02 ON SCHEDULE EVERY 1 DAY ENDS '2037-01-01 00:00:00' DO SELECT 1",
        "CREATE EVENT e02 ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    ),
    (
        "e03: CREATE EVENT e03 ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 03:00:00' DO SELECT 1",
        "CREATE EVENT e03 ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 04:00:00' DO SELECT 1",
    ),
    (
        "e29: SET time_zone = '+05:00'; CREATE EVENT e29 ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 03:00:00' DO SELECT 1; SET time_zone = DEFAULT",
        "SET time_zone = '+06:00'; CREATE EVENT e29 ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 03:00:00' DO SELECT 1; SET time_zone = DEFAULT",
    ),
    (
        "e04: CREATE EVENT e04 ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1",
        "CREATE EVENT e04 ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    ),
    (
        "v05: CREATE ALGORITHM = MERGE VIEW v05 AS SELECT 1 AS a FROM t01",
        "CREATE ALGORITHM = TEMPTABLE VIEW v05 AS SELECT 1 AS a FROM t01",
    ),
    ("v06: CREATE SQL SECURITY INVOKER VIEW v06 AS SELECT a FROM t01", "CREATE VIEW v06 AS SELECT a FROM t01"),
    (
        "v07: CREATE VIEW v07 AS SELECT a FROM t01 WHERE a > 'x' WITH LOCAL CHECK OPTION",
        "CREATE VIEW v07 AS SELECT a FROM t01 WHERE a > 'x'",
    ),
    (
        "t08: CREATE TABLE t08 (a varchar(64)); CREATE INDEX i08 ON t08 (a(5))",
        "CREATE TABLE t08 (a varchar(64)); CREATE INDEX i08 ON t08 (a(6))",
    ),
    (
        "t09: CREATE TABLE t09 (a int, b int); CREATE INDEX i09 ON t09 (a, b)",
        "CREATE TABLE t09 (a int, b int); CREATE INDEX i09 ON t09 (b, a)",
    ),
    (
        "t10: CREATE TABLE t10 (a int); CREATE INDEX i10 ON t10 (a DESC)",
        "CREATE TABLE t10 (a int); CREATE INDEX i10 ON t10 (a)",
    ),
    ("t11: CREATE TABLE t11 (a int, b int INVISIBLE)", "CREATE TABLE t11 (a int, b int)"),
    ("t12: CREATE TABLE t12 (a varchar(9) CHARACTER SET latin1)", "CREATE TABLE t12 (a varchar(9))"),
    ("t13: CREATE TABLE t13 (a varchar(9) COLLATE utf8mb4_bin)", "CREATE TABLE t13 (a varchar(9))"),
    ("t14: CREATE TABLE t14 (a int, b int AS (a + 1) VIRTUAL)", "CREATE TABLE t14 (a int, b int AS (a + 1) STORED)"),
    (
        "t15: CREATE TABLE t15 (a int) PARTITION BY HASH (a) PARTITIONS 2",
        "CREATE TABLE t15 (a int) PARTITION BY HASH (a) PARTITIONS 3",
    ),
    ("t16: CREATE TABLE t16 (a int) ROW_FORMAT = COMPACT", "CREATE TABLE t16 (a int)"),
    (
        "t17: CREATE TABLE t17 (a timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)",
        "CREATE TABLE t17 (a timestamp NULL DEFAULT CURRENT_TIMESTAMP)",
    ),
    (
        "f18: SET sql_mode = 'ANSI_QUOTES'; CREATE FUNCTION f18() RETURNS int DETERMINISTIC RETURN 1",
        "SET sql_mode = DEFAULT; CREATE FUNCTION f18() RETURNS int DETERMINISTIC RETURN 1",
    ),
    (
        "f19: SET sql_mode = DEFAULT; CREATE FUNCTION f19() RETURNS int DETERMINISTIC RETURN 1 -- one\n + 1",
        "CREATE FUNCTION f19() RETURNS int DETERMINISTIC RETURN 1 -- one + 1",
    ),
    (
        "f20: CREATE FUNCTION f20() RETURNS int DETERMINISTIC RETURN 1 # one\n + 1",
        "CREATE FUNCTION f20() RETURNS int DETERMINISTIC RETURN 1 # one + 1",
    ),
    (
        "f21: CREATE FUNCTION f21() RETURNS varchar(9) DETERMINISTIC RETURN 'it\\'s  a'",
        "CREATE FUNCTION f21() RETURNS varchar(9) DETERMINISTIC RETURN 'it\\'s a'",
    ),
    (
        "f22: CREATE FUNCTION f22(a varchar(9) CHARACTER SET latin1) RETURNS int DETERMINISTIC RETURN 1",
        "CREATE FUNCTION f22(a varchar(9) CHARACTER SET utf8mb4) RETURNS int DETERMINISTIC RETURN 1",
    ),
    (
        "f23: CREATE FUNCTION f23() RETURNS int DETERMINISTIC SQL SECURITY INVOKER RETURN 1",
        "CREATE FUNCTION f23() RETURNS int DETERMINISTIC RETURN 1",
    ),
    ("t24: CREATE TABLE t24 (a varchar(64) DEFAULT 'NULL')", "CREATE TABLE t24 (a varchar(64))"),
    (
        "t25: CREATE TABLE t25 (a int PRIMARY KEY, b int, CONSTRAINT fk25 FOREIGN KEY (b) REFERENCES t25 (a) ON DELETE CASCADE)",
        "CREATE TABLE t25 (a int PRIMARY KEY, b int, CONSTRAINT fk25 FOREIGN KEY (b) REFERENCES t25 (a))",
    ),
    (
        "t26: CREATE TABLE t26 (a int, b int, UNIQUE u26 (a, b DESC))",
        "CREATE TABLE t26 (a int, b int, UNIQUE u26 (b DESC, a))",
    ),
    (
        "t27: CREATE TABLE t27 (a varchar(9), b int, UNIQUE u27 (b, a(3)))",
        "CREATE TABLE t27 (a varchar(9), b int, UNIQUE u27 (a(3), b))",
    ),
    (
        "f28: CREATE FUNCTION f28(a varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin) RETURNS int DETERMINISTIC RETURN 1",
        "CREATE FUNCTION f28(a varchar(9) CHARACTER SET utf8mb4) RETURNS int DETERMINISTIC RETURN 1",
    ),
];

pub(super) const SAME_ON_BOTH_MYSQLS: [Pair; 7] = [
    (
        "s01: CREATE TABLE s01 (a int, b varchar(9))",
        "create table `s01` (x int, B varchar(9), a integer); ALTER TABLE s01 DROP COLUMN x, RENAME COLUMN B TO b",
    ),
    (
        "es02: CREATE EVENT es02 ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        "DO SLEEP(1.1); CREATE EVENT es02 ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    ),
    (
        "fs03: CREATE FUNCTION fs03() RETURNS int DETERMINISTIC RETURN 1 -- one\n + 1",
        "CREATE FUNCTION fs03() RETURNS int DETERMINISTIC RETURN 1   -- one\n\n    + 1",
    ),
    (
        "s04: CREATE TABLE s04 (a int AUTO_INCREMENT PRIMARY KEY)",
        "CREATE TABLE s04 (a int PRIMARY KEY AUTO_INCREMENT) AUTO_INCREMENT = 50",
    ),
    (
        "s05: CREATE TABLE s05 (a timestamp NULL DEFAULT CURRENT_TIMESTAMP)",
        "CREATE TABLE s05 (a timestamp NULL DEFAULT now())",
    ),
    (
        "vs06: CREATE VIEW vs06 AS SELECT a FROM t01",
        "create algorithm = undefined sql security definer view vs06 as select t01.a from t01",
    ),
    (
        "s07: CREATE TABLE s07 (a int); CREATE INDEX is07 ON s07 (a)",
        "CREATE TABLE s07 (a int, INDEX `is07` USING BTREE (a))",
    ),
];

pub(super) const ON_MARIADB: [Pair; 2] = [
    ("m01: CREATE TABLE m01 (a int, INDEX i01 (a) IGNORED)", "CREATE TABLE m01 (a int, INDEX i01 (a))"),
    ("q02: CREATE SEQUENCE q02 START WITH 5", "CREATE SEQUENCE q02"),
];

pub(super) const ON_MYSQL: [Pair; 5] = [
    ("m01: CREATE TABLE m01 (a int, INDEX i01 (a) INVISIBLE)", "CREATE TABLE m01 (a int, INDEX i01 (a))"),
    (
        "m02: CREATE TABLE m02 (a int, CONSTRAINT c02 CHECK (a > 1) NOT ENFORCED)",
        "CREATE TABLE m02 (a int, CONSTRAINT c02 CHECK (a > 1))",
    ),
    ("m03: CREATE TABLE m03 (a int, INDEX i03 ((a + 1)))", "CREATE TABLE m03 (a int, INDEX i03 ((a + 2)))"),
    ("m04: CREATE TABLE m04 (a point SRID 4326)", "CREATE TABLE m04 (a point)"),
    (
        "m05: CREATE TABLE m05 (a text, FULLTEXT i05 (a) WITH PARSER ngram)",
        "CREATE TABLE m05 (a text, FULLTEXT i05 (a))",
    ),
];
