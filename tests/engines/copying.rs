//! What an `ALTER TABLE` does on MariaDB and on MySQL, asked of the servers: the rule `copying-alter` finds what either of them refuses
//! to do in place while rows are written.

use sea_orm::ConnectionTrait as _;

use crate::check::lint::rules::tests::found;
use crate::engines::support::{Site, with};
use crate::model::engine::Engine;

/// An action, and whether MariaDB and MySQL do it without a copy and without keeping writers out; none where its syntax is refused.
type Action = (&'static str, Option<bool>, Option<bool>);

const ONLINE: Option<bool> = Some(true);
const SLOW: Option<bool> = Some(false);

const ACTIONS: [Action; 33] = [
    ("ADD CHECK (n > 0)", SLOW, SLOW),
    ("ADD CONSTRAINT cc CHECK (n > 0)", SLOW, SLOW),
    ("ADD CONSTRAINT cc CHECK (n > 0) NOT ENFORCED", None, ONLINE),
    ("ADD COLUMN n9 int CHECK (n9 > 0)", ONLINE, SLOW),
    ("ADD COLUMN n9 int CHECK (n9 > 0) NOT ENFORCED", None, ONLINE),
    ("ADD COLUMN n9 int, ADD CHECK (n9 > 0)", SLOW, SLOW),
    ("ALTER CHECK kept NOT ENFORCED", None, ONLINE),
    ("DROP CONSTRAINT kept", ONLINE, ONLINE),
    ("ADD SYSTEM VERSIONING", SLOW, None),
    ("WITH SYSTEM VERSIONING", SLOW, None),
    ("ENCRYPTION = 'Y'", None, SLOW),
    ("COMMENT = 'x' ENCRYPTION = 'Y'", None, SLOW),
    ("CONVERT TO CHARACTER SET latin1", SLOW, SLOW),
    ("CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", ONLINE, SLOW),
    ("CHARACTER SET latin1", ONLINE, ONLINE),
    ("ENGINE = MyISAM", SLOW, SLOW),
    ("COMMENT = 'x' ENGINE = MyISAM", SLOW, SLOW),
    ("DROP PRIMARY KEY", SLOW, SLOW),
    ("ADD COLUMN x int AUTO_INCREMENT UNIQUE", SLOW, SLOW),
    ("ADD COLUMN x int AS (n + 1) STORED", SLOW, SLOW),
    ("ADD COLUMN x int AS (n + 1) VIRTUAL", ONLINE, ONLINE),
    ("ADD COLUMN x int DEFAULT (n + 1)", SLOW, SLOW),
    ("ADD COLUMN x date DEFAULT (current_date)", ONLINE, SLOW),
    ("ADD COLUMN x timestamp(3) DEFAULT CURRENT_TIMESTAMP(3)", ONLINE, ONLINE),
    ("ADD COLUMN x int DEFAULT 4", ONLINE, ONLINE),
    ("DROP COLUMN b", ONLINE, ONLINE),
    ("ADD INDEX (email)", ONLINE, ONLINE),
    ("RENAME COLUMN b TO c", ONLINE, ONLINE),
    ("COMMENT = 'x'", ONLINE, ONLINE),
    ("AUTO_INCREMENT = 100", ONLINE, ONLINE),
    ("MAX_ROWS = 5", ONLINE, ONLINE),
    ("ALTER n SET DEFAULT 4", ONLINE, ONLINE),
    // Last, because the algorithm stands before it.
    ("ORDER BY n", SLOW, SLOW),
];

/// Statements that the servers do in place here, and copy for where the table has a full-text index or another state than this one.
const CAUTIOUS: [&str; 6] = [
    "FORCE",
    "ENGINE = InnoDB",
    "ROW_FORMAT = COMPACT",
    "KEY_BLOCK_SIZE = 4",
    "ENCRYPTION = 'N'",
    "MODIFY n int NOT NULL",
];

#[test]
fn the_rule_knows_what_either_server_copies_for() {
    let told =
        |action: &str| found(Engine::Mysql, &[&format!("ALTER TABLE users {action}")]).contains(&"copying-alter");
    for (action, mariadb, mysql) in ACTIONS {
        assert_eq!(told(action), mariadb == SLOW || mysql == SLOW, "{action}");
        assert!(
            !told(&format!("ALGORITHM = INPLACE, LOCK = NONE, {action}")),
            "{action}: the server refuses rather than copies"
        );
    }
    for action in CAUTIOUS {
        assert!(told(action), "{action}");
    }
}

async fn asked(site: Site) {
    with(site, async |home| {
        let db = home.connect().await;
        let mut wrong = Vec::new();
        for (action, mariadb, mysql) in ACTIONS {
            let expected = if site == Site::Mysql { mysql } else { mariadb };
            db.execute_unprepared("DROP TABLE IF EXISTS users").await.unwrap();
            let table = "CREATE TABLE users (id int PRIMARY KEY, n int, email varchar(50), b text, CONSTRAINT kept CHECK (n < 9))";
            db.execute_unprepared(table).await.unwrap();
            db.execute_unprepared("INSERT INTO users VALUES (1, 1, 'a', 'b')").await.unwrap();
            let asked = db.execute_unprepared(&format!("ALTER TABLE users ALGORITHM = INPLACE, LOCK = NONE, {action}")).await;
            let answer = match asked.map_err(|e| e.to_string()) {
                Ok(_) => ONLINE,
                // An algorithm or a lock that this action can't have.
                Err(told) if told.contains("is not supported") => SLOW,
                Err(told) if ["1064", "1911"].iter().any(|code| told.contains(code)) => None,
                Err(told) => panic!("{action}: {told}"),
            };
            wrong.extend((answer != expected).then(|| format!("{action}: {answer:?}")));
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    })
    .await;
}

#[tokio::test]
async fn mariadb_answers_as_the_rule_was_told() {
    asked(Site::Mariadb).await;
}

mod mysql {
    #[tokio::test]
    async fn answers_as_the_rule_was_told() {
        super::asked(super::Site::Mysql).await;
    }
}

/// The rule `ignored-duplicates`: one of two rows is gone behind it, without an error.
#[tokio::test]
async fn alter_ignore_deletes_rows_on_mariadb() {
    with(Site::Mariadb, async |home| {
        let db = home.connect().await;
        for sql in [
            "CREATE TABLE users (id int PRIMARY KEY, email varchar(50))",
            "INSERT INTO users VALUES (1, 'a'), (2, 'a')",
            "ALTER IGNORE TABLE users ADD UNIQUE (email)",
        ] {
            db.execute_unprepared(sql).await.unwrap();
        }
        let again = db.execute_unprepared("INSERT INTO users VALUES (2, 'b')").await;
        assert!(again.is_ok(), "the second row is gone");
    })
    .await;
    assert!(found(Engine::Mysql, &["ALTER IGNORE TABLE users ADD UNIQUE (email)"]).contains(&"ignored-duplicates"));
}
