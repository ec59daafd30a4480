//! Every kind of table, and of what stands beside tables, on MySQL and MariaDB: it comes back from a backup as it was.

use crate::dumps::{dump, run_id};
use crate::support::{Fleet, json_file};

/// A kind: its name, the statements that make one, and a query whose rows are compared.
type Kind = (&'static str, &'static [&'static str], &'static str);

const BOTH: &[Kind] = &[
    (
        "generated columns",
        &[
            "CREATE TABLE gen (i int PRIMARY KEY, twice int GENERATED ALWAYS AS (i * 2) STORED, next int GENERATED ALWAYS AS \
             (i + 1) VIRTUAL, KEY (next))",
            "INSERT INTO gen (i) VALUES (1), (2)",
        ],
        "SELECT CONCAT_WS(',', i, twice, next) FROM gen ORDER BY i",
    ),
    (
        "JSON and CHECK",
        &[
            "CREATE TABLE js (i int, d json, CONSTRAINT positive CHECK (i > 0), CHECK (json_valid(d)))",
            r#"INSERT INTO js VALUES (1, '{"a": [1, "ü\\n", null]}')"#,
        ],
        "SELECT CONCAT_WS(',', i, d) FROM js",
    ),
    (
        "FULLTEXT",
        &["CREATE TABLE ft (t text, FULLTEXT KEY (t))", "INSERT INTO ft VALUES ('a needle'), ('b'), ('c')"],
        "SELECT t FROM ft WHERE MATCH (t) AGAINST ('needle')",
    ),
    (
        "partitions",
        &[
            "CREATE TABLE ranges (i int) PARTITION BY RANGE (i) SUBPARTITION BY HASH (i) SUBPARTITIONS 2 (PARTITION low VALUES \
             LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE)",
            "INSERT INTO ranges VALUES (1), (2), (30)",
            "CREATE TABLE listed (i int) PARTITION BY LIST (i) (PARTITION a VALUES IN (1, 2), PARTITION b VALUES IN (3, NULL))",
            "INSERT INTO listed VALUES (1), (NULL)",
        ],
        "SELECT CAST(i AS char) FROM ranges PARTITION (high) UNION ALL SELECT COALESCE(i, 'none') FROM listed PARTITION (b)",
    ),
    (
        "an invisible column",
        &[
            "CREATE TABLE invisible (a int, secret int DEFAULT 7 INVISIBLE)",
            "INSERT INTO invisible (a, secret) VALUES (1, 9)",
            "INSERT INTO invisible (a) VALUES (2)",
        ],
        "SELECT CONCAT_WS(',', a, secret) FROM invisible ORDER BY a",
    ),
    ("a descending index", &["CREATE TABLE descending (a int, b int, KEY (a DESC, b))"], "SELECT 'none'"),
    (
        "foreign keys in a circle",
        &[
            "CREATE TABLE hen (i int PRIMARY KEY, egg int, own int, FOREIGN KEY (own) REFERENCES hen (i))",
            "CREATE TABLE egg (i int PRIMARY KEY, hen int NOT NULL, FOREIGN KEY (hen) REFERENCES hen (i) ON DELETE CASCADE)",
            "ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg (i) ON UPDATE SET NULL",
            "SET foreign_key_checks = 0; INSERT INTO hen VALUES (1, 1, 1); INSERT INTO egg VALUES (1, 1)",
        ],
        "SELECT CONCAT_WS(',', hen.i, egg.i) FROM hen JOIN egg ON egg.hen = hen.i",
    ),
    (
        "views on views",
        &[
            "CREATE VIEW z_view AS SELECT i, twice FROM gen WHERE i > 0 WITH CHECK OPTION",
            "CREATE ALGORITHM = TEMPTABLE SQL SECURITY INVOKER VIEW a_view AS SELECT max(i) AS most FROM z_view",
        ],
        "SELECT CAST(most AS char) FROM a_view",
    ),
    (
        "triggers, several an event",
        &[
            "CREATE TABLE fired (a int, trail varchar(20) NOT NULL DEFAULT '')",
            "CREATE TRIGGER first BEFORE INSERT ON fired FOR EACH ROW SET NEW.trail = concat(NEW.trail, '1')",
            "CREATE TRIGGER second BEFORE INSERT ON fired FOR EACH ROW FOLLOWS first SET NEW.trail = concat(NEW.trail, '2')",
            "CREATE TRIGGER zeroth BEFORE INSERT ON fired FOR EACH ROW PRECEDES first BEGIN SET NEW.trail = '0'; END",
            "CREATE TRIGGER later AFTER UPDATE ON fired FOR EACH ROW SET @fired = NEW.a",
            "INSERT INTO fired (a) VALUES (1)",
        ],
        "SELECT CONCAT(trail, a) FROM fired",
    ),
    (
        "events",
        &[
            "CREATE EVENT sweep ON SCHEDULE EVERY 1 YEAR STARTS '2030-01-01 00:00:00' ON COMPLETION PRESERVE COMMENT 'it''s' DO \
             DELETE FROM gen WHERE i = 99",
            "CREATE EVENT asleep ON SCHEDULE AT '2035-01-01 00:00:00' DISABLE DO BEGIN SET @a = 1; SET @b = 2; END",
        ],
        "SELECT CONCAT_WS(',', event_name, status, interval_field) FROM information_schema.events WHERE event_schema = \
         DATABASE() ORDER BY event_name",
    ),
    (
        "procedures and functions under ANSI_QUOTES",
        &[
            "SET SESSION sql_mode = 'ANSI_QUOTES'; CREATE PROCEDURE \"count up\"(IN n int, OUT m int) COMMENT 'x' BEGIN \
             DECLARE \"b\" int DEFAULT 1; SET m = n + \"b\"; END",
            "SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'; CREATE FUNCTION joined(a varchar(9)) RETURNS varchar(20) \
             DETERMINISTIC NO SQL RETURN a || '!'",
            "SET SESSION sql_mode = 'ANSI_QUOTES'; CREATE TRIGGER quoted BEFORE DELETE ON \"gen\" FOR EACH ROW SET @a = \
             OLD.\"i\"",
        ],
        "SELECT joined('a') UNION ALL SELECT CONCAT(routine_name, sql_mode) FROM information_schema.routines WHERE \
         routine_schema = DATABASE()",
    ),
    (
        "character sets",
        &[
            "CREATE TABLE sets (l varchar(9) CHARACTER SET latin1 COLLATE latin1_german2_ci, b varchar(9) COLLATE utf8mb4_bin, u \
             varchar(9) CHARACTER SET utf16, PRIMARY KEY (l, b)) CHARACTER SET cp1251",
            "INSERT INTO sets VALUES ('ß', '🦀', 'ж')",
            "ALTER DATABASE CHARACTER SET latin1 COLLATE latin1_german1_ci",
            "CREATE FUNCTION under_latin1() RETURNS char(3) DETERMINISTIC RETURN 'ü'",
            "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        ],
        "SELECT CONCAT(HEX(l), HEX(b), HEX(u)) FROM sets UNION ALL SELECT default_collation_name FROM information_schema.schemata \
         WHERE schema_name = DATABASE() UNION ALL SELECT database_collation FROM information_schema.routines WHERE \
         routine_schema = DATABASE()",
    ),
    (
        "default expressions",
        &[
            "CREATE TABLE defaults (i int, u varchar(36) DEFAULT (uuid()), at timestamp(6) NOT NULL DEFAULT \
             CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), j json DEFAULT (json_array(1)), n varchar(9) DEFAULT 'NULL', \
             e enum('a,b', 'it''s') DEFAULT 'it''s', s set('x', 'y') DEFAULT 'x,y')",
            "INSERT INTO defaults (i) VALUES (1)",
        ],
        "SELECT CONCAT_WS(',', i, u, at, j, n, e, s) FROM defaults",
    ),
    (
        "bytes and bits",
        &[
            "CREATE TABLE bytes (b binary(4), v varbinary(9), l longblob, n bit(9), t text)",
            r"INSERT INTO bytes VALUES (X'DEAD', X'00275C0A1A', X'FF00', b'101010101', 'it''s \\ a\n\0line')",
            "INSERT INTO bytes VALUES (NULL, '', '', NULL, '')",
        ],
        "SELECT CONCAT_WS(',', HEX(b), HEX(v), HEX(l), HEX(n), HEX(t)) FROM bytes ORDER BY n",
    ),
    (
        "numbers and times",
        &[
            "CREATE TABLE numbers (d decimal(30, 10), u bigint unsigned, f double, y year, t time(6), z int(6) zerofill)",
            "INSERT INTO numbers VALUES (-12345678901234567890.0123456789, 18446744073709551615, 0.1 + 1e-16, 2026, \
             '-838:59:58.999999', 7)",
        ],
        "SELECT CONCAT_WS(',', d, u, f, y, t, z) FROM numbers",
    ),
    (
        "zero dates",
        &[
            "SET SESSION sql_mode = ''; CREATE TABLE zeros (d date NOT NULL DEFAULT '0000-00-00', t datetime); INSERT INTO zeros \
             VALUES ('0000-00-00', '2026-00-00 00:00:00')",
        ],
        "SELECT CONCAT_WS(',', d, t) FROM zeros",
    ),
    (
        "the state of AUTO_INCREMENT",
        &[
            "CREATE TABLE counted (i int AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 100",
            "INSERT INTO counted VALUES (NULL), (NULL)",
            "DELETE FROM counted WHERE i = 101",
            "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'; INSERT INTO counted VALUES (0)",
        ],
        "SELECT CAST(i AS char) FROM counted ORDER BY i",
    ),
    (
        "comments and names",
        &[
            "CREATE TABLE `a ``b`` -- c` (`d 'e'` int COMMENT 'it''s \\\\ \"x\" 🦀', `select` int, KEY `k /* */` (`select`) COMMENT \
             ';') COMMENT = 'a; b\n-- c'",
            "INSERT INTO `a ``b`` -- c` VALUES (1, 2)",
        ],
        "SELECT CONCAT_WS(',', `d 'e'`, `select`) FROM `a ``b`` -- c`",
    ),
    (
        "other storage engines",
        &[
            "CREATE TABLE isam (i int NOT NULL, t text, KEY (i)) ENGINE = MyISAM",
            "INSERT INTO isam VALUES (1, 'x')",
            "CREATE TABLE memory (i int, KEY USING HASH (i)) ENGINE = MEMORY",
            "INSERT INTO memory VALUES (1)",
            "CREATE TABLE csv (i int NOT NULL) ENGINE = CSV",
            "INSERT INTO csv VALUES (3)",
            "CREATE TABLE merged (i int NOT NULL, t text, KEY (i)) ENGINE = MERGE UNION = (isam)",
            "CREATE TABLE packed (t text) ROW_FORMAT = COMPRESSED KEY_BLOCK_SIZE = 8",
        ],
        "SELECT CAST(i AS char) FROM isam UNION ALL SELECT i FROM memory UNION ALL SELECT i \
         FROM csv UNION ALL SELECT i FROM merged",
    ),
];

const MARIADB: &[Kind] = &[
    (
        "spatial columns",
        &[
            "CREATE TABLE geo (p point REF_SYSTEM_ID = 4326 NOT NULL, g geometry, SPATIAL KEY (p))",
            "INSERT INTO geo VALUES (ST_GeomFromText('POINT(1 2)', 4326), ST_GeomFromText('LINESTRING(0 0, 1 1)', 3857))",
        ],
        "SELECT CONCAT_WS(',', ST_AsText(p), ST_SRID(p), ST_AsText(g), ST_SRID(g)) FROM geo",
    ),
    ("an ignored index", &["CREATE TABLE ignored (a int, KEY k (a) IGNORED)"], "SELECT 'none'"),
    (
        "sequences",
        &["CREATE SEQUENCE numbering START WITH 5 INCREMENT BY 3 CACHE 10 CYCLE", "SELECT NEXTVAL(numbering)"],
        "SELECT CONCAT_WS(',', next_not_cached_value, increment, cycle_option) FROM numbering",
    ),
    (
        "a default from a sequence",
        &[
            "CREATE TABLE of_sequence (i int DEFAULT (NEXTVAL(numbering)), j int)",
            "INSERT INTO of_sequence (j) VALUES (1)",
        ],
        "SELECT CONCAT_WS(',', i, j) FROM of_sequence",
    ),
    (
        "system-versioned tables",
        &[
            "CREATE TABLE versioned (i int) WITH SYSTEM VERSIONING",
            "INSERT INTO versioned VALUES (1)",
            "UPDATE versioned SET i = 2",
        ],
        "SELECT CONCAT_WS(',', i, row_start, row_end) FROM versioned FOR SYSTEM_TIME ALL ORDER BY 1",
    ),
    (
        "periods, INET6, UUID, compressed columns",
        &[
            "CREATE TABLE periods (i int, b date, e date, PERIOD FOR p (b, e), a inet6, u uuid, c text COMPRESSED, UNIQUE (i, p \
             WITHOUT OVERLAPS))",
            "INSERT INTO periods VALUES (1, '2026-01-01', '2026-02-01', '::1', '01a21fcc-f4bb-773a-8c4e-56f32e11b2e7', 'x')",
        ],
        "SELECT CONCAT_WS(',', i, b, e, a, u, c) FROM periods",
    ),
    (
        "a trigger that names its database",
        &[
            "CREATE TRIGGER {db}.qualified BEFORE UPDATE ON {db}.fired FOR EACH ROW SET NEW.trail = (SELECT max(i) FROM {db}.gen)",
        ],
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() ORDER BY 1",
    ),
];

const MYSQL: &[Kind] = &[
    (
        "ARCHIVE",
        &["CREATE TABLE archive (i int) ENGINE = ARCHIVE", "INSERT INTO archive VALUES (1), (2)"],
        "SELECT CAST(i AS char) FROM archive ORDER BY i",
    ),
    (
        "spatial columns",
        &[
            "CREATE TABLE geo (p point NOT NULL SRID 4326, g geometry, SPATIAL KEY (p))",
            "INSERT INTO geo VALUES (ST_GeomFromText('POINT(1 2)', 4326), ST_GeomFromText('LINESTRING(0 0, 1 1)', 3857))",
        ],
        "SELECT CONCAT_WS(',', ST_AsText(p), ST_SRID(p), ST_AsText(g), ST_SRID(g)) FROM geo",
    ),
    (
        "VECTOR",
        &["CREATE TABLE vectors (v VECTOR(3))", "INSERT INTO vectors VALUES (STRING_TO_VECTOR('[1,2.5,-3]'))"],
        "SELECT HEX(v) FROM vectors",
    ),
    (
        "functional, multi-valued and invisible indexes",
        &[
            "CREATE TABLE functional (a int, d json, KEY half ((a * 2)), KEY many ((CAST(d->'$.tags' AS UNSIGNED ARRAY))), KEY \
             hidden (a) INVISIBLE)",
            "INSERT INTO functional VALUES (1, '{\"tags\": [1, 2]}')",
        ],
        "SELECT CAST(a AS char) FROM functional WHERE 2 MEMBER OF (d->'$.tags')",
    ),
    (
        "a generated invisible primary key",
        &[
            "SET SESSION sql_generate_invisible_primary_key = ON; CREATE TABLE keyless (a int); INSERT INTO keyless VALUES (5), (6)",
            "DELETE FROM keyless WHERE a = 5",
        ],
        "SELECT CONCAT_WS(',', my_row_id, a) FROM keyless",
    ),
    (
        "a check that is not enforced",
        &["CREATE TABLE lax (a int, CONSTRAINT never CHECK (a > 0) NOT ENFORCED)", "INSERT INTO lax VALUES (-1)"],
        "SELECT CAST(a AS char) FROM lax",
    ),
];

/// All kinds in one tenant; compared by what the engine's tool writes, and by the rows of each query.
fn come_back(fleet: &Fleet, id: &str, kinds: &[Kind]) {
    let run = |arguments: &[&str]| {
        fleet.write();
        let mut all = arguments.to_vec();
        all.extend(["--yes", "--report", "json=report.json"]);
        let mut command = fleet.program(&all);
        if id == "mysql-000" {
            command.env("PATH", crate::support::mysql::path());
        }
        crate::support::finish(&mut command).exits(0);
        json_file(&fleet.path("report.json"))
    };
    run(&["migrate"]);
    let database = fleet.ask(id, "SELECT DATABASE()").remove(0);
    for (_, statements, _) in kinds {
        for statement in *statements {
            fleet.ask(id, &statement.replace("{db}", &database));
        }
    }
    let rows = |(name, _, query): &Kind| (*name, fleet.ask(id, query));
    let before: Vec<_> = kinds.iter().map(rows).collect();
    // MySQL says the same in two ways: with `CHARACTER SET` where the table was made from a text that names the collation.
    let dump =
        || dump(fleet, id).replace(" CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", " COLLATE utf8mb4_unicode_ci");
    let dumped = dump();
    let backed_up = run_id(&run(&["backup"]));
    for table in ["egg", "gen", "sets", "csv"] {
        fleet.ask(id, &format!("SET foreign_key_checks = 0; DROP TABLE {table}"));
    }
    fleet.ask(id, "DROP TRIGGER later; CREATE TABLE later (a int)");
    run(&["restore", "--run", &backed_up]);
    let after: Vec<_> = kinds.iter().map(rows).collect();
    assert_eq!(after, before);
    let other = || {
        let again = dump();
        let pair = again.lines().zip(dumped.lines()).find(|(after, before)| after != before);
        pair.map(|(after, before)| format!("{after}\n{before}")).or((again != dumped).then(|| "the length".to_owned()))
    };
    assert_eq!(other(), None);
    assert!(!dumped.contains("fleet_scratch"));
}

#[test]
fn mariadb() {
    come_back(&Fleet::new().mariadb(1), "my-000", &[BOTH, MARIADB].concat());
}

#[test]
fn mysql() {
    come_back(&Fleet::new().mysql(1), "mysql-000", &[BOTH, MYSQL].concat());
}
