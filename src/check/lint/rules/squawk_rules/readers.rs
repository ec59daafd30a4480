//! Changes that break a program that still runs on tenants of later waves: PostgreSQL, by squawk.

use super::{READERS, row};
use crate::check::doctor::Severity::{Error, Info, Warning};
use crate::check::lint::Rule;

const TWO_STEPS: &str = "release a program that does without it first, and suppress this with that reason";
const SEE_READERS: &str =
    "make sure that the program that still runs does not notice, and suppress this with that reason";

pub(super) const RULES: [Rule; 36] = [
    row(
        "ban-drop-not-null",
        Info,
        READERS,
        [
            "A program that still runs may not expect NULL.",
            SEE_READERS,
            "ALTER TABLE users ALTER COLUMN mail DROP NOT NULL",
            "ALTER TABLE users ADD COLUMN other_mail text",
        ],
    ),
    row(
        "ban-drop-type",
        Warning,
        READERS,
        ["A program that still runs may name it.", TWO_STEPS, "DROP TYPE mood", "CREATE TYPE mood AS ENUM ('good')"],
    ),
    row(
        "ban-drop-default",
        Info,
        READERS,
        [
            "A program that still runs may leave the column out of its inserts.",
            TWO_STEPS,
            "ALTER TABLE users ALTER COLUMN plan DROP DEFAULT",
            "ALTER TABLE users ADD COLUMN plan text",
        ],
    ),
    row(
        "ban-drop-trigger",
        Info,
        READERS,
        ["A program that still runs may rely on it.", TWO_STEPS, "DROP TRIGGER audit ON users", "SELECT 1"],
    ),
    row(
        "ban-drop-schema",
        Error,
        READERS,
        ["All tables in it go.", TWO_STEPS, "DROP SCHEMA reports", "CREATE SCHEMA reports"],
    ),
    row(
        "ban-drop-sequence",
        Warning,
        READERS,
        ["A default or a program may use it.", TWO_STEPS, "DROP SEQUENCE numbers", "CREATE SEQUENCE numbers"],
    ),
    row(
        "ban-drop-domain",
        Warning,
        READERS,
        ["A program that still runs may name it.", TWO_STEPS, "DROP DOMAIN amount", "CREATE DOMAIN amount AS numeric"],
    ),
    row(
        "ban-drop-constraint",
        Info,
        READERS,
        [
            "Rows that break it may be written from then on, and it can't come back while they are there.",
            SEE_READERS,
            "ALTER TABLE users DROP CONSTRAINT users_mail",
            "ALTER TABLE users ADD COLUMN plan text",
        ],
    ),
    row(
        "ban-drop-generated-expression",
        Info,
        READERS,
        [
            "The column is not computed any more, and a program that still runs relies on it.",
            SEE_READERS,
            "ALTER TABLE users ALTER COLUMN full_name DROP EXPRESSION",
            "ALTER TABLE users ADD COLUMN plan text",
        ],
    ),
    row(
        "renaming-object",
        Warning,
        READERS,
        [
            "A program that still runs knows the old name only.",
            TWO_STEPS,
            "ALTER VIEW totals RENAME TO sums",
            "CREATE VIEW sums AS SELECT 1 AS n",
        ],
    ),
    row(
        "ban-set-schema",
        Warning,
        READERS,
        [
            "A program that still runs looks for it where it was; and it leaves a tenant that is a schema.",
            "leave it where it is",
            "ALTER TABLE users SET SCHEMA other",
            "ALTER TABLE users ADD COLUMN plan text",
        ],
    ),
    row(
        "ban-alter-identity",
        Info,
        READERS,
        [
            "A program that still runs may insert without the key, or with one.",
            SEE_READERS,
            "ALTER TABLE users ALTER COLUMN id DROP IDENTITY",
            "ALTER TABLE users ADD COLUMN plan text",
        ],
    ),
    row(
        "ban-drop-extension",
        Warning,
        READERS,
        [
            "Types and functions of it go.",
            TWO_STEPS,
            "DROP EXTENSION pgcrypto",
            "CREATE EXTENSION IF NOT EXISTS pgcrypto",
        ],
    ),
    row(
        "ban-alter-generated-expression",
        Info,
        READERS,
        [
            "The table is rewritten, and the column means something else to a program that still runs.",
            SEE_READERS,
            "ALTER TABLE users ALTER COLUMN full_name SET EXPRESSION AS (first || last)",
            "ALTER TABLE users ADD COLUMN plan text",
        ],
    ),
    row(
        "ban-drop-index",
        Info,
        READERS,
        [
            "A program that still runs may need it to be fast, or unique.",
            SEE_READERS,
            "-- fleet: transaction=false\nDROP INDEX CONCURRENTLY users_mail",
            "SELECT 1",
        ],
    ),
    row(
        "ban-set-default",
        Info,
        READERS,
        [
            "Inserts of a program that still runs get another value.",
            SEE_READERS,
            "ALTER TABLE users ALTER COLUMN plan SET DEFAULT 'free'",
            "ALTER TABLE users ADD COLUMN plan text",
        ],
    ),
    row(
        "ban-disable-trigger",
        Info,
        READERS,
        ["A program that still runs relies on it.", SEE_READERS, "ALTER TABLE users DISABLE TRIGGER audit", "SELECT 1"],
    ),
    row(
        "ban-replica-identity",
        Info,
        READERS,
        [
            "Subscribers of the table get other rows, or none.",
            SEE_READERS,
            "ALTER TABLE users REPLICA IDENTITY NOTHING",
            "SELECT 1",
        ],
    ),
    row(
        "ban-drop-policy",
        Info,
        READERS,
        ["Rows become visible, or vanish.", SEE_READERS, "DROP POLICY own ON users", "SELECT 1"],
    ),
    row(
        "ban-revoke",
        Info,
        READERS,
        [
            "A program that still runs may need the right.",
            TWO_STEPS,
            "REVOKE SELECT ON users FROM app",
            "GRANT SELECT ON users TO app",
        ],
    ),
    row(
        "ban-replace-view-function",
        Info,
        READERS,
        [
            "A program that still runs gets other results.",
            SEE_READERS,
            "CREATE OR REPLACE VIEW totals AS SELECT 2 AS n",
            "CREATE VIEW totals AS SELECT 2 AS n",
        ],
    ),
    row(
        "ban-alter-policy-condition",
        Info,
        READERS,
        ["Rows become visible, or vanish.", SEE_READERS, "ALTER POLICY own ON users USING (true)", "SELECT 1"],
    ),
    row(
        "ban-alter-policy-roles",
        Info,
        READERS,
        ["Rows become visible, or vanish.", SEE_READERS, "ALTER POLICY own ON users TO app", "SELECT 1"],
    ),
    row(
        "ban-create-policy",
        Info,
        READERS,
        [
            "Rows vanish for a program that still runs.",
            SEE_READERS,
            "CREATE POLICY own ON users USING (true)",
            "SELECT 1",
        ],
    ),
    row(
        "ban-alter-function-options",
        Info,
        READERS,
        [
            "It acts in another way for a program that still runs.",
            SEE_READERS,
            "ALTER FUNCTION f(int) SECURITY DEFINER",
            "SELECT 1",
        ],
    ),
    row(
        "ban-alter-view-options",
        Info,
        READERS,
        [
            "It acts in another way for a program that still runs.",
            SEE_READERS,
            "ALTER VIEW totals SET (security_barrier = true)",
            "SELECT 1",
        ],
    ),
    row(
        "ban-alter-role-options",
        Info,
        READERS,
        [
            "Roles belong to the server, not to one tenant.",
            "change roles outside of migrations",
            "ALTER ROLE app NOLOGIN",
            "SELECT 1",
        ],
    ),
    row(
        "ban-alter-database-options",
        Info,
        READERS,
        [
            "A program that still runs gets other settings.",
            SEE_READERS,
            "ALTER DATABASE acme SET work_mem = '1GB'",
            "SELECT 1",
        ],
    ),
    row(
        "ban-alter-row-level-security",
        Info,
        READERS,
        ["Rows become visible, or vanish.", SEE_READERS, "ALTER TABLE users ENABLE ROW LEVEL SECURITY", "SELECT 1"],
    ),
    row(
        "ban-new-write-restriction",
        Info,
        READERS,
        [
            "Writes of a program that still runs may be refused, also while the constraint is NOT VALID.",
            SEE_READERS,
            "ALTER TABLE users ADD CONSTRAINT known CHECK (plan IS NOT NULL) NOT VALID",
            "ALTER TABLE users ADD COLUMN plan text",
        ],
    ),
    row(
        "ban-add-enum-value",
        Info,
        READERS,
        [
            "A program that still runs may read a value that it does not know.",
            SEE_READERS,
            "ALTER TYPE mood ADD VALUE 'fine' BEFORE 'good'",
            "SELECT 1",
        ],
    ),
    row(
        "ban-add-composite-attribute",
        Info,
        READERS,
        [
            "Values have another form for a program that still runs.",
            SEE_READERS,
            "ALTER TYPE address ADD ATTRIBUTE street text",
            "SELECT 1",
        ],
    ),
    row(
        "ban-add-column",
        Info,
        READERS,
        [
            "`SELECT *` and inserts without a list of columns have another form for a program that still runs.",
            SEE_READERS,
            "ALTER TABLE users ADD COLUMN plan text",
            "SELECT 1",
        ],
    ),
    row(
        "ban-detach-inheritance",
        Info,
        READERS,
        ["Rows vanish from the parent.", SEE_READERS, "ALTER TABLE child NO INHERIT parent", "SELECT 1"],
    ),
    row(
        "ban-alter-sequence-values",
        Info,
        READERS,
        ["Keys may be given twice.", SEE_READERS, "ALTER SEQUENCE numbers RESTART WITH 1", "SELECT 1"],
    ),
    row(
        "ban-alter-extension",
        Info,
        READERS,
        ["Types and functions of it may change or go.", SEE_READERS, "ALTER EXTENSION pgcrypto UPDATE", "SELECT 1"],
    ),
];
