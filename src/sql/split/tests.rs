//! The boundaries of statements, by real-life examples.

use proptest::strategy::Strategy as _;

use super::*;
use crate::model::tenant::Engine::{Mysql, Postgres, Sqlite};

fn texts(engine: Engine, sql: &str) -> Vec<&str> {
    split(engine, sql).into_iter().map(|piece| piece.text).collect()
}

fn unclosed(engine: Engine, sql: &str) -> Option<Unclosed> {
    scan(engine, sql).1
}

/// Asserts that a text is one statement although it contains semicolons, with another statement before and after it.
fn is_one(engine: Engine, sql: &str) {
    let around = format!("select 1;\n{sql};\nselect 2;\n");
    assert_eq!(texts(engine, &around), ["select 1", sql, "select 2"], "{engine}");
    assert_eq!(unclosed(engine, &around), None, "{engine} {sql}");
    assert_eq!(texts(engine, sql), [sql], "{engine}");
}

#[test]
fn quotes_comments_and_dollars_hide_semicolons() {
    for engine in Engine::ALL {
        assert_eq!(texts(engine, "a; b ;\n"), ["a", "b"]);
        assert_eq!(texts(engine, "insert into t values (';', \";\"); x").len(), 2);
        assert_eq!(texts(engine, "select 1 -- ; no\n; /* ; */ select 2").len(), 2);
        assert_eq!(texts(engine, " -- nothing\n ;; ").len(), 0);
        assert_eq!(texts(engine, "unterminated 'x; y").len(), 1);
    }
    assert_eq!(texts(Mysql, "select `;`; x").len(), 2);
    assert_eq!(texts(Mysql, "select 'it\\'s;'; x # ; y\n").len(), 2);
    assert_eq!(texts(Sqlite, "select [;], `;`; x").len(), 2);
    assert_eq!(texts(Postgres, "insert into t values ('it''s; ok'), (E'a\\';b'), ('a\\'); x").len(), 2);
    assert_eq!(texts(Postgres, "select a[1]; select $1").len(), 2);
}

#[test]
fn a_piece_has_its_comments_and_the_line_of_its_first_code() {
    let text = "\u{feff}-- head\r\n\r\n/* why */ select 1; -- about the next\r\nselect\r\n2;\r\n-- tail\r\n";
    for engine in Engine::ALL {
        let pieces = split(engine, text);
        let told: Vec<_> = pieces.iter().map(|p| (p.text, p.line)).collect();
        let wanted = [("-- head\r\n\r\n/* why */ select 1", 3), ("-- about the next\r\nselect\r\n2", 4)];
        assert_eq!(told, wanted, "{engine}");
        assert_eq!(&text[pieces[1].start..][..8], "-- about");
    }
}

#[test]
fn postgres_bodies_are_one_piece() {
    for sql in [
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n  IF NEW.a IS NULL THEN\n    NEW.a := \
         'x;$';\n  END IF;\n  RETURN NEW;\nEND;\n$$",
        "create or replace function f(a int) returns text as $body$\ndeclare q text := $$a;b$$; begin return q; \
         end\n$body$ language plpgsql",
        "DO $$ BEGIN PERFORM 1; COMMIT; END $$",
        "CREATE FUNCTION f(x int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN x > 1 THEN 2 ELSE 3 \
         END; END",
        "create or replace procedure p() begin atomic insert into t(a) values (1); select t.end, 1 as end from t; end",
        "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO u VALUES (1); INSERT INTO v VALUES (2))",
        "/* a /* ; */ ; */ select U&'d\\0061t;a' , E'\\';'",
    ] {
        is_one(Postgres, sql);
    }
    assert_eq!(texts(Postgres, "begin; select 1; end; select 2").len(), 4);
    assert_eq!(texts(Postgres, "create table end_of (i int); select 1").len(), 2);
    assert_eq!(texts(Postgres, "select (1; select 2").len(), 2);
}

#[test]
fn sqlite_triggers_are_one_piece() {
    for sql in [
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE b SET c = 1; END",
        "create temp trigger if not exists t before update of \"end\" on a when new.x > 1\nbegin\n  update b set c = \
         case when new.d then 1 else 2 end;\n  update b set end = 1; -- ; end;\n  select case 1 when 1 then \
         raise(abort, 'no; end;') end;\nend",
        "explain query plan create temporary trigger t after delete on a begin delete from b; end",
    ] {
        is_one(Sqlite, sql);
    }
    assert_eq!(texts(Sqlite, "begin; insert into t values (1); end; select 1").len(), 4);
    assert_eq!(texts(Sqlite, "create table trigger_t (i int); select 1").len(), 2);
    assert_eq!(texts(Sqlite, "drop trigger t; select 1").len(), 2);
}

#[test]
fn mysql_triggers_and_events_are_one_piece() {
    for sql in [
        "CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW INSERT INTO b VALUES (NEW.id)",
        "CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW SET NEW.x = IF(NEW.y > 1, 2, 3)",
        "CREATE DEFINER=`root`@`localhost` TRIGGER `t` BEFORE INSERT ON `a` FOR EACH ROW FOLLOWS `s` BEGIN\n  IF NEW.a \
         IS NULL THEN SET NEW.a = 1; ELSEIF NEW.a = 2 THEN SET NEW.a = 3; ELSE SET NEW.b = IF(NEW.c, 1, 2); END IF;\n  \
         IF (NEW.d > 1) THEN\n    IF EXISTS (SELECT 1 FROM b) THEN DELETE FROM b; END IF;\n  END IF;\n  SET NEW.e = \
         CASE NEW.f WHEN 1 THEN IF(1, 2, 3) ELSE REPEAT('a', 3) END;\nEND",
        "create or replace trigger if not exists t after delete on a for each row if old.a then delete from b; delete \
         from c; end if",
        "CREATE EVENT IF NOT EXISTS e ON SCHEDULE EVERY 1 DAY COMMENT 'a;b' DO BEGIN DELETE FROM a; DELETE FROM b; END",
        "ALTER EVENT e ON SCHEDULE EVERY 2 DAY DO BEGIN DELETE FROM a; DELETE FROM b; END",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM a",
        "/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER t AFTER INSERT ON a FOR EACH ROW BEGIN \
         DELETE FROM b; DELETE FROM c; END */",
    ] {
        is_one(Mysql, sql);
    }
    assert_eq!(texts(Mysql, "DROP TRIGGER IF EXISTS t; CREATE TABLE IF NOT EXISTS a (i int); select 1").len(), 3);
}

#[test]
fn mysql_routines_are_one_piece() {
    for sql in [
        "CREATE OR REPLACE PROCEDURE p(IN a INT)\nBEGIN\n  DECLARE done BOOL DEFAULT FALSE;\n  DECLARE v INT;\n  DECLARE \
         c CURSOR FOR SELECT id FROM t FOR UPDATE;\n  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = IF(1, TRUE, \
         FALSE);\n  DECLARE EXIT HANDLER FOR SQLEXCEPTION, SQLSTATE VALUE '23000', 1062 BEGIN ROLLBACK; RESIGNAL; \
         END;\n  OPEN c;\n  rows: LOOP\n    FETCH c INTO v;\n    IF done THEN LEAVE rows; END IF;\n    SELECT CASE \
         WHEN v THEN 1 END FOR UPDATE;\n  END LOOP rows;\n  CLOSE c;\nEND",
        "CREATE PROCEDURE p() BEGIN WHILE EXISTS (SELECT 1 FROM t) DO DELETE FROM t LIMIT 10; DO SLEEP(1); END WHILE; \
         REPEAT SET @a = @a + 1; UNTIL @a > CASE 1 WHEN 1 THEN 2 END END REPEAT; FOR i IN 1..3 DO SELECT i; END FOR; \
         END",
        "CREATE FUNCTION f(s CHAR(20)) RETURNS CHAR(50) CHARACTER SET utf8mb4 DETERMINISTIC RETURN CONCAT('a;', s)",
        "CREATE FUNCTION IF NOT EXISTS f(a int) RETURNS INT NO SQL COMMENT 'x' RETURN IF(a > 1, CASE a WHEN 1 THEN 2 \
         END, 3)",
        "CREATE AGGREGATE FUNCTION f(x INT) RETURNS INT BEGIN DECLARE s INT; DECLARE CONTINUE HANDLER FOR NOT FOUND \
         RETURN s; LOOP FETCH GROUP NEXT ROW; SET s = s + x; END LOOP; END",
        "CREATE DEFINER=root@localhost PROCEDURE p(x INT) CASE x WHEN 1 THEN BEGIN SELECT 1; SELECT 2; END; ELSE SELECT \
         3; END CASE",
        "CREATE PROCEDURE p() SQL SECURITY INVOKER lbl: BEGIN UPDATE t SET end = 1, `case` = 2, a.begin = 3; LEAVE lbl; \
         END lbl",
        "CREATE PROCEDURE p() SET @x = REPEAT('a', IF(1, 2, 3))",
        "CREATE PROCEDURE p() DROP TABLE IF EXISTS t",
        "CREATE PROCEDURE p() IF EXISTS (SELECT 1) THEN SELECT 1; END IF",
        "CREATE PROCEDURE p(a INT) IS b INT; BEGIN SELECT 1; BEGIN SELECT 2; END; END",
        "CREATE FUNCTION f(a INT) RETURN INT AS BEGIN RETURN a IS NULL; END",
        "BEGIN NOT ATOMIC DECLARE a INT; SET a = 1; SELECT a; END",
        "IF (SELECT 1) THEN SELECT 1; SELECT 2; END IF",
        "CREATE PACKAGE p AS FUNCTION f(a INT) RETURN INT; PROCEDURE q(b INT); END",
        "CREATE OR REPLACE PACKAGE BODY p AS v INT; FUNCTION f(a INT) RETURN INT AS b INT; BEGIN RETURN a; END; \
         PROCEDURE q(b INT) AS BEGIN SELECT 1; END; BEGIN SET v = 1; END",
        "CREATE PACKAGE BODY p FUNCTION f() RETURNS INT BEGIN RETURN 1; END; PROCEDURE q() BEGIN SELECT 1; END; END",
    ] {
        is_one(Mysql, sql);
    }
    assert_eq!(texts(Mysql, "begin; select 1; commit").len(), 3);
    assert_eq!(texts(Mysql, "select if(1,2,3), repeat('a', 2); xa end 'x'; select case 1 when 1 then 2 end").len(), 3);
    assert_eq!(texts(Mysql, "create function f returns string soname 'x.so'; select 1").len(), 2);
    assert_eq!(texts(Mysql, "/*!40101 SET NAMES utf8 */; /* */ ; select 1").len(), 2);
}

#[test]
fn what_is_not_closed_is_named_with_its_line() {
    for (engine, sql, what, line) in [
        (Postgres, "select 1;\nselect 'a;\nb", "a text in quotes", 2),
        (Postgres, "a\n\n/* /* */", "a comment", 3),
        (Postgres, "do $x$ begin", "a text in dollar quotes", 1),
        (Postgres, "create function f() returns int\nbegin atomic select 1;", "a body (BEGIN ATOMIC", 2),
        (Sqlite, "create trigger t after insert on a\nbegin select 1;", "a body (BEGIN", 2),
        (Sqlite, "select [a", "a name in brackets", 1),
        (Mysql, "select `a", "a name in quotes (`", 1),
        (Mysql, "select 1; /*! select 2", "a comment with code", 1),
        (Mysql, "create procedure p() begin\n if 1 then\n select 1;\nend", "a body (BEGIN", 1),
    ] {
        let found = unclosed(engine, sql).unwrap_or_else(|| panic!("{engine} {sql}"));
        assert!(found.what.starts_with(what) && found.line == line, "{engine} {sql}: {found:?}");
    }
    assert_eq!(unclosed(Mysql, "select 'a'; -- it's\n# don't\nselect 1"), None);
}

/// Fragments of SQL in random order: more likely to confuse than any written text.
fn bits() -> proptest::strategy::BoxedStrategy<String> {
    let words = "create |trigger |procedure p|package |begin |end|if |case |then |loop |for each row |returns int |;|'|\
                 \"|`|\\$\\$|\\$a\\$|--|\n|#|/\\*|\\*/|!|\\(|\\)|:|a |\\\\|é|declare |handler for ";
    proptest::string::string_regex(&format!("({words}){{0,25}}")).unwrap().boxed()
}

proptest::proptest! {
    #[test]
    fn any_text_is_survived_and_pieces_come_in_its_order(text in proptest::prop_oneof![bits(), "\\PC{0,80}".boxed()]) {
        for engine in Engine::ALL {
            let mut at = 0;
            for piece in split(engine, &text) {
                assert!(piece.start >= at);
                assert_eq!(&text[piece.start..piece.start + piece.text.len()], piece.text);
                assert!(piece.line <= text.matches('\n').count() + 1);
                at = piece.start + piece.text.len();
            }
            let _ = unclosed(engine, &text);
        }
    }

    #[test]
    fn a_quoted_body_is_one_piece(body in "[;a-z'\"\\n/*#-]{0,40}", tag in "[a-z_]{0,5}") {
        let quoted = format!("select '{}'", body.replace('\'', "''"));
        for engine in Engine::ALL {
            is_one(engine, &quoted);
        }
        is_one(Postgres, &format!("do ${tag}${body}${tag}$"));
        is_one(Postgres, &format!("select E'{}'", body.replace('\'', "\\'")));
        is_one(Mysql, &format!("select '{}'", body.replace('\'', "\\'")));
    }
}
