//! Locks, mistakes, and the form of what is made: PostgreSQL, by squawk.

use super::{ALWAYS, LOCKS, SHAPE, row};
use crate::check::doctor::Severity::{Error, Info, Warning};
use crate::check::lint::Rule;

pub(super) const RULES: [Rule; 29] = [
    row(
        "require-concurrent-index-creation",
        Warning,
        LOCKS,
        [
            "CREATE INDEX keeps all writers out of the table until the index is built.",
            "write it CONCURRENTLY in an SQL script with `-- fleet: transaction=false`, or migrate with `--online`",
            "CREATE INDEX orders_region ON orders (region)",
            "-- fleet: transaction=false\nCREATE INDEX CONCURRENTLY IF NOT EXISTS orders_region ON orders (region)",
        ],
    ),
    row(
        "require-concurrent-index-deletion",
        Warning,
        LOCKS,
        [
            "DROP INDEX takes an exclusive lock on the table, and everybody queues behind it.",
            "write it CONCURRENTLY in an SQL script with `-- fleet: transaction=false`, or migrate with `--online`",
            "DROP INDEX orders_region",
            "-- fleet: transaction=false\nDROP INDEX CONCURRENTLY IF EXISTS orders_region",
        ],
    ),
    row(
        "constraint-missing-not-valid",
        Warning,
        LOCKS,
        [
            "A new constraint is checked against all rows while writers are kept out.",
            "add it NOT VALID, and VALIDATE it in a later migration, which lets writers through, or migrate with `--online`",
            "ALTER TABLE orders ADD CONSTRAINT positive CHECK (total >= 0)",
            "ALTER TABLE orders ADD CONSTRAINT positive CHECK (total >= 0) NOT VALID",
        ],
    ),
    row(
        "adding-field-with-default",
        Warning,
        LOCKS,
        [
            "A value that is computed for each row (a default of random, a clock or a sequence, an identity, a serial column) rewrites the table under an exclusive lock.",
            "add the column without it, set the default, and fill old rows in batches",
            "ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid()",
            "ALTER TABLE orders ADD COLUMN token uuid",
        ],
    ),
    row(
        "adding-foreign-key-constraint",
        Warning,
        LOCKS,
        [
            "Both tables keep writers out while every row is checked.",
            "add it NOT VALID, and VALIDATE it in a later migration, or migrate with `--online`",
            "ALTER TABLE items ADD CONSTRAINT fk FOREIGN KEY (order_id) REFERENCES orders (id)",
            "ALTER TABLE items ADD CONSTRAINT fk FOREIGN KEY (order_id) REFERENCES orders (id) NOT VALID",
        ],
    ),
    row(
        "changing-column-type",
        Warning,
        LOCKS,
        [
            "Most changes of a type rewrite the table under an exclusive lock; a narrower type also loses values, and a program that still runs may send the old one.",
            "add a column of the new type, write both, copy in batches, and change over",
            "ALTER TABLE orders ALTER COLUMN total TYPE bigint",
            "ALTER TABLE orders ADD COLUMN total_cents bigint",
        ],
    ),
    row(
        "adding-not-nullable-field",
        Warning,
        LOCKS,
        [
            "SET NOT NULL reads the whole table under an exclusive lock.",
            "add a CHECK (column IS NOT NULL) NOT VALID, validate it in a later migration, and only then SET NOT NULL, or migrate with `--online`",
            "ALTER TABLE orders ALTER COLUMN region SET NOT NULL",
            "ALTER TABLE orders ADD CONSTRAINT region_known CHECK (region IS NOT NULL) NOT VALID",
        ],
    ),
    row(
        "adding-serial-primary-key-field",
        Warning,
        LOCKS,
        [
            "A primary key is built under an exclusive lock, and a serial one rewrites the table.",
            "build a unique index CONCURRENTLY, then ADD CONSTRAINT ... PRIMARY KEY USING INDEX",
            "ALTER TABLE orders ADD PRIMARY KEY (id)",
            "ALTER TABLE orders ADD CONSTRAINT orders_pk PRIMARY KEY USING INDEX orders_id",
        ],
    ),
    row(
        "disallowed-unique-constraint",
        Warning,
        LOCKS,
        [
            "Its index is built under an exclusive lock.",
            "build a unique index CONCURRENTLY, then ADD CONSTRAINT ... UNIQUE USING INDEX, or migrate with `--online`",
            "ALTER TABLE users ADD CONSTRAINT users_mail UNIQUE (mail)",
            "ALTER TABLE users ADD CONSTRAINT users_mail UNIQUE USING INDEX users_mail_key",
        ],
    ),
    row(
        "require-concurrent-partition-detach",
        Warning,
        LOCKS,
        [
            "DETACH PARTITION takes an exclusive lock on the parent.",
            "write it CONCURRENTLY in an SQL script with `-- fleet: transaction=false`",
            "ALTER TABLE events DETACH PARTITION events_2024",
            "-- fleet: transaction=false\nALTER TABLE events DETACH PARTITION events_2024 CONCURRENTLY",
        ],
    ),
    row(
        "require-concurrent-reindex",
        Warning,
        LOCKS,
        [
            "REINDEX keeps writers out, and readers that would use the index.",
            "write it CONCURRENTLY in an SQL script with `-- fleet: transaction=false`",
            "REINDEX TABLE orders",
            "-- fleet: transaction=false\nREINDEX TABLE CONCURRENTLY orders",
        ],
    ),
    row(
        "ban-concurrent-index-creation-in-transaction",
        Error,
        ALWAYS,
        [
            "PostgreSQL refuses CREATE INDEX CONCURRENTLY in a transaction: the migration fails on the first tenant.",
            "put it in an SQL script with `-- fleet: transaction=false` at its head",
            "ALTER TABLE orders ADD COLUMN region text;\nCREATE INDEX CONCURRENTLY orders_region ON orders (region)",
            "-- fleet: transaction=false\nCREATE INDEX CONCURRENTLY orders_region ON orders (region)",
        ],
    ),
    row(
        "transaction-nesting",
        Error,
        ALWAYS,
        [
            "A BEGIN or COMMIT of its own ends the transaction that holds the migration and its history row together.",
            "leave it out; `-- fleet: transaction=false` for statements that can't be in one",
            "BEGIN;\nSELECT 1;\nCOMMIT",
            "SELECT 1",
        ],
    ),
    row(
        "ban-uncommitted-transaction",
        Error,
        ALWAYS,
        [
            "A transaction that is begun and not committed is rolled back when the session ends, and the history says that it was done.",
            "leave the BEGIN out",
            "-- fleet: transaction=false\nBEGIN;\nCREATE TABLE plans (id bigint)",
            "-- fleet: transaction=false\nBEGIN;\nCREATE TABLE plans (id bigint);\nCOMMIT",
        ],
    ),
    row(
        "ban-drop-database",
        Error,
        ALWAYS,
        [
            "It drops a whole tenant, or one of others.",
            "retire a tenant by hand, with a backup",
            "DROP DATABASE acme",
            "SELECT 1",
        ],
    ),
    row(
        "ban-truncate-cascade",
        Error,
        ALWAYS,
        [
            "It empties tables that the statement does not name.",
            "name each table, without CASCADE",
            "TRUNCATE orders CASCADE",
            "TRUNCATE orders",
        ],
    ),
    row(
        "ban-duplicate-column-assignments",
        Error,
        ALWAYS,
        [
            "PostgreSQL refuses a column that is set twice.",
            "leave one of them",
            "UPDATE users SET plan = 'a', plan = 'b' WHERE id = 1",
            "UPDATE users SET plan = 'a' WHERE id = 1",
        ],
    ),
    row(
        "identifier-too-long",
        Warning,
        ALWAYS,
        [
            "PostgreSQL cuts names at 63 bytes: two that differ behind that are the same.",
            "choose a shorter name",
            "CREATE TABLE a_table_with_a_name_that_is_longer_than_sixty_three_bytes_by_far_indeed (id bigint)",
            "CREATE TABLE a_table (id bigint)",
        ],
    ),
    row(
        "require-enum-value-ordering",
        Info,
        SHAPE,
        [
            "Without BEFORE or AFTER a new value goes to the end, and sorts there.",
            "say BEFORE or AFTER",
            "ALTER TYPE mood ADD VALUE 'fine'",
            "ALTER TYPE mood ADD VALUE 'fine' BEFORE 'good'",
        ],
    ),
    row(
        "prefer-bigint-over-int",
        Info,
        SHAPE,
        [
            "An integer key ends at 2,147,483,647, and to widen it rewrites the table.",
            "use bigint",
            "CREATE TABLE plans (id integer)",
            "CREATE TABLE plans (id bigint)",
        ],
    ),
    row(
        "prefer-bigint-over-smallint",
        Info,
        SHAPE,
        [
            "A smallint ends at 32,767, and to widen it rewrites the table.",
            "use bigint",
            "CREATE TABLE plans (id smallint)",
            "CREATE TABLE plans (id bigint)",
        ],
    ),
    row(
        "prefer-identity",
        Info,
        SHAPE,
        [
            "A serial column is a default and a sequence with rights of its own.",
            "use GENERATED ALWAYS AS IDENTITY",
            "CREATE TABLE plans (id bigserial)",
            "CREATE TABLE plans (id bigint GENERATED ALWAYS AS IDENTITY)",
        ],
    ),
    row(
        "prefer-text-field",
        Info,
        SHAPE,
        [
            "To change the length of a varchar takes an exclusive lock.",
            "use text with a CHECK of the length",
            "CREATE TABLE plans (name varchar(20))",
            "CREATE TABLE plans (name text)",
        ],
    ),
    row(
        "prefer-timestamp-tz",
        Info,
        SHAPE,
        [
            "A timestamp without a time zone means another moment in each session's zone.",
            "use timestamptz",
            "CREATE TABLE plans (made timestamp)",
            "CREATE TABLE plans (made timestamptz)",
        ],
    ),
    row(
        "ban-char-field",
        Info,
        SHAPE,
        [
            "char(n) fills up with blanks and compares without them.",
            "use text",
            "CREATE TABLE plans (code char(4))",
            "CREATE TABLE plans (code text)",
        ],
    ),
    row(
        "prefer-robust-stmts",
        Info,
        SHAPE,
        [
            "A statement without a transaction may have been done when its run died, and is refused when it is repeated.",
            "say IF NOT EXISTS or IF EXISTS where no transaction protects it",
            "-- fleet: transaction=false\nCREATE INDEX CONCURRENTLY orders_region ON orders (region);\nSELECT 1",
            "-- fleet: transaction=false\nCREATE INDEX CONCURRENTLY IF NOT EXISTS orders_region ON orders (region);\nSELECT 1",
        ],
    ),
    row(
        "ban-create-domain-with-constraint",
        Info,
        SHAPE,
        [
            "A constraint of a domain can't be added or changed without checking all tables that use it.",
            "put the CHECK on the column",
            "CREATE DOMAIN amount AS numeric CHECK (value >= 0)",
            "CREATE DOMAIN amount AS numeric",
        ],
    ),
    row(
        "ban-alter-domain-with-add-constraint",
        Warning,
        LOCKS,
        [
            "All tables that use the domain are locked and checked.",
            "put the CHECK on the columns, NOT VALID",
            "ALTER DOMAIN amount ADD CONSTRAINT positive CHECK (value >= 0)",
            "ALTER DOMAIN amount DROP CONSTRAINT positive",
        ],
    ),
    row(
        "ban-alter-system-options",
        Error,
        ALWAYS,
        [
            "It changes the whole server.",
            "change the server's settings outside of migrations",
            "ALTER SYSTEM SET work_mem = '1GB'",
            "SELECT 1",
        ],
    ),
];
