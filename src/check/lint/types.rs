//! Types of columns as far as one can be narrower than another: numbers, texts, and days with or without a time; on SQLite the
//! kinds of values that a column keeps as they are written.
//!
//! A type that is not known is compared with no other.

use std::ops::Range;

use super::statement::Statement;
use crate::model::engine::EngineMap;

/// PostgreSQL's types of a column with a sequence of its own.
pub(super) const SERIAL: [&str; 6] = ["serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"];

/// How much a type holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// All values of a kind from the least to the most.
    Range { kind: Kind, least: i128, most: i128 },
    /// On SQLite, where a length limits nothing.
    Affinity(Affinity),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Float,
    /// The most is the number of digits before the point, the least the negative number of those behind it.
    Decimal,
    Time,
    Text,
}

/// The preference of a column of SQLite (<https://www.sqlite.org/datatype3.html#determination_of_column_affinity>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Real,
    Numeric,
    Text,
    /// Or no type at all.
    Blob,
    /// Of a `STRICT` table; of another one it is numeric.
    Any,
}

/// Kinds of values of SQLite, as bits.
const WHOLE: u8 = 1;
/// Whole numbers with more digits than a floating-point number has.
const LARGE: u8 = 2;
const FRACTION: u8 = 4;
/// Text that looks like a number.
const DIGITS: u8 = 8;
const TEXT: u8 = 16;
const BLOB: u8 = 32;

impl Affinity {
    fn of(declared: &str) -> Self {
        let has = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
        match declared {
            "any" => Affinity::Any,
            _ if has(&["int"]) => Affinity::Integer,
            _ if has(&["char", "clob", "text"]) => Affinity::Text,
            "" => Affinity::Blob,
            _ if has(&["blob"]) => Affinity::Blob,
            _ if has(&["real", "floa", "doub"]) => Affinity::Real,
            _ => Affinity::Numeric,
        }
    }

    /// The kinds of values that are kept: the others are refused, or become something else.
    fn kept(self, is_strict: bool) -> u8 {
        let numbers = WHOLE | LARGE | FRACTION;
        match (self, is_strict) {
            (Affinity::Any, true) | (Affinity::Blob, false) => numbers | DIGITS | TEXT | BLOB,
            (Affinity::Integer | Affinity::Numeric | Affinity::Any, false) => numbers | TEXT | BLOB,
            (Affinity::Real, false) => WHOLE | FRACTION | TEXT | BLOB,
            (Affinity::Text, false) => numbers | DIGITS | TEXT | BLOB,
            (Affinity::Integer | Affinity::Numeric, true) => WHOLE | LARGE,
            (Affinity::Real, true) => WHOLE | FRACTION,
            (Affinity::Text, true) => numbers | DIGITS | TEXT,
            (Affinity::Blob, true) => BLOB,
        }
    }
}

/// A reader of the type at the beginning of a range of tokens.
type Reader = fn(&Statement<'_>, Range<usize>) -> Option<Size>;

/// The reader of each engine.
const AT: EngineMap<Reader> = EngineMap { sqlite: affinity, postgres, mysql: range };

impl Size {
    /// The type at the beginning of these tokens of a column's definition.
    pub(super) fn at(statement: &Statement<'_>, definition: Range<usize>) -> Option<Self> {
        AT[statement.engine](statement, definition)
    }

    /// Whether values of the other type may not fit into this one; of each whether its table is `STRICT`.
    pub(super) fn is_narrower_than(self, is_strict: bool, (other, was_strict): (Size, bool)) -> bool {
        match (self, other) {
            (Size::Affinity(new), Size::Affinity(old)) => old.kept(was_strict) & !new.kept(is_strict) != 0,
            (Size::Range { kind, least, most }, Size::Range { kind: old, least: from, most: to }) => {
                match (old, kind) {
                    (old, new) if old == new => least > from || most < to,
                    (Kind::Text, _) | (Kind::Float | Kind::Decimal, Kind::Integer) => true,
                    _ => false,
                }
            }
            _ => false,
        }
    }
}

fn affinity(statement: &Statement<'_>, definition: Range<usize>) -> Option<Size> {
    const ENDS: [&str; 10] =
        ["constraint", "primary", "not", "null", "unique", "check", "default", "collate", "references", "generated"];
    // A computed column has no values of its own.
    let is_computed = statement.has_in(&definition, &["as"]);
    let words = definition.map(|at| (at, statement.words.word(at)));
    let words = words.take_while(|(at, word)| {
        let is_end = ENDS.contains(&word.as_str()) || statement.words.is_symbol(*at, b'(');
        !is_end
    });
    let declared: String = words.map(|(_, word)| word + " ").collect();
    (!is_computed).then(|| Size::Affinity(Affinity::of(declared.trim_end())))
}

fn postgres(statement: &Statement<'_>, definition: Range<usize>) -> Option<Size> {
    match statement.words.is(definition.start, "float") {
        true => Some(Size::Range { kind: Kind::Float, least: 0, most: 8 }),
        false => range(statement, definition),
    }
}

fn range(statement: &Statement<'_>, definition: Range<usize>) -> Option<Size> {
    let at = definition.start;
    let number = |at: usize| statement.token(at).parse::<i128>().ok();
    let sized = |behind: usize| statement.words.is_symbol(behind, b'(').then(|| number(behind + 1)).flatten();
    let of = |kind: Kind, most: i128| Some(Size::Range { kind, least: 0, most });
    let integer = |bytes: u32| {
        // Behind the width with which it is shown.
        let behind = if statement.words.is_symbol(at + 1, b'(') { at + 4 } else { at + 1 };
        let (least, most) = match statement.words.is(behind, "unsigned") {
            true => (0, (1_i128 << (8 * bytes)) - 1),
            false => (-(1_i128 << (8 * bytes - 1)), (1_i128 << (8 * bytes - 1)) - 1),
        };
        Some(Size::Range { kind: Kind::Integer, least, most })
    };
    match statement.words.word(at).as_str() {
        "tinyint" => integer(1),
        "smallint" | "int2" | "smallserial" | "serial2" => integer(2),
        "mediumint" => integer(3),
        "int" | "integer" | "int4" | "serial" | "serial4" => integer(4),
        "bigint" | "int8" | "bigserial" | "serial8" => integer(8),
        "float" | "real" | "float4" => of(Kind::Float, 4),
        "double" | "float8" => of(Kind::Float, 8),
        "decimal" | "numeric" => {
            let digits = sized(at + 1)?;
            let behind = if statement.words.is_symbol(at + 3, b',') { number(at + 4)? } else { 0 };
            Some(Size::Range { kind: Kind::Decimal, least: -behind, most: digits - behind })
        }
        "date" => of(Kind::Time, 1),
        "datetime" | "timestamp" | "timestamptz" => of(Kind::Time, 2),
        "tinytext" => of(Kind::Text, 0xff),
        "text" => of(Kind::Text, 0xffff),
        "mediumtext" => of(Kind::Text, 0xff_ffff),
        "longtext" => of(Kind::Text, 0xffff_ffff),
        "character" if statement.words.is(at + 1, "varying") => of(Kind::Text, sized(at + 2)?),
        "varchar" | "char" | "character" => of(Kind::Text, sized(at + 1)?),
        _ => None,
    }
}

/// The columns of a `CREATE TABLE`, in lower case, with their types.
pub(super) fn declared(statement: &Statement<'_>) -> Vec<(String, Size)> {
    let column = |part: Range<usize>| {
        let name = statement.words.name(part.start).filter(|_| !statement.is_key(part.start))?;
        Some((name.to_lowercase(), Size::at(statement, part.start + 1..part.end)?))
    };
    statement.elements().into_iter().filter_map(column).collect()
}

/// The columns that an `ALTER TABLE` gives a new type with `MODIFY` or `CHANGE`, in lower case: the old name, and the type.
pub(super) fn modified(statement: &Statement<'_>) -> Vec<(String, Size)> {
    let words = &statement.words;
    let of = |action: Range<usize>| {
        let name = statement.skip(action.start + 1, &["column", "if", "exists"]);
        let kind = match words.word(action.start).as_str() {
            "modify" => name + 1,
            "change" => name + 2,
            _ => return None,
        };
        Some((words.name(name)?.to_lowercase(), Size::at(statement, kind..action.end)?))
    };
    statement.actions().into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::engine::Engine;

    /// SQLite itself is the judge: a table is built anew with each type from each other one.
    #[tokio::test]
    async fn a_type_of_sqlite_is_narrower_where_it_does_not_keep_a_value_of_the_other() {
        use sqlx::{AssertSqlSafe, Connection as _, Row as _};
        let mut db = sqlx::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let loose = ["", "bigint", "varchar(20)", "blob", "double precision", "decimal(10, 2)", "date", "boolean"];
        let strict = ["INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY"];
        let types: Vec<(&str, bool)> =
            loose.map(|of| (of, false)).into_iter().chain(strict.map(|of| (of, true))).collect();
        let table = |name: &str, (of, is_strict): (&str, bool)| {
            format!("CREATE TABLE {name} (value {of} CHECK (true)){}", if is_strict { " STRICT" } else { "" })
        };
        let values = ["5", "9007199254740993", "1.5", "'007'", "'text'", "x'00ff'"];
        for old in &types {
            for new in &types {
                let mut is_changed = false;
                for value in values {
                    let text = format!(
                        "DROP TABLE IF EXISTS one; DROP TABLE IF EXISTS two; {}; {}",
                        table("one", *old),
                        table("two", *new)
                    );
                    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut db).await.unwrap();
                    let insert = format!("INSERT INTO one VALUES ({value})");
                    let kept = sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut db).await;
                    // As text: 5 and '5' are one value to a program, and 5 and 5.0.
                    let one = "SELECT CAST(value AS text) FROM one";
                    let text = |rows: Vec<sqlx::sqlite::SqliteRow>| {
                        rows.first().map(|row| row.get::<Vec<u8>, _>(0)).map(|text| match text.strip_suffix(b".0") {
                            Some(whole) => whole.to_vec(),
                            None => text,
                        })
                    };
                    let before = text(sqlx::raw_sql(one).fetch_all(&mut db).await.unwrap());
                    let written = value.trim_matches('\'');
                    let is_kept =
                        kept.is_ok() && (value.starts_with('x') || before.as_deref() == Some(written.as_bytes()));
                    if !is_kept {
                        continue;
                    }
                    let copied = sqlx::raw_sql("INSERT INTO two SELECT value FROM one").execute(&mut db).await;
                    let after =
                        text(sqlx::raw_sql(AssertSqlSafe(one.replace("one", "two"))).fetch_all(&mut db).await.unwrap());
                    is_changed |= copied.is_err() || before != after;
                }
                let size = |kind: (&str, bool)| {
                    let sql = table("t", kind);
                    let statement = Statement::new(Engine::Sqlite, 0, &sql);
                    (declared(&statement)[0].1, statement.is_strict())
                };
                let (to, is_strict) = size(*new);
                assert_eq!(to.is_narrower_than(is_strict, size(*old)), is_changed, "{old:?} to {new:?}");
            }
        }
    }
}
