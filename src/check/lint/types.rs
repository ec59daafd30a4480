//! Types of columns as far as one can be narrower than another: numbers, texts, and days with or without a time.
//!
//! Types of different kinds are not compared.

use super::statement::Statement;

/// The kind of a type, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    kind: &'static str,
    most: u64,
}

impl Size {
    /// The type at a token.
    pub(super) fn at(statement: &Statement<'_>, at: usize) -> Option<Self> {
        let word = statement.words.word(at);
        let (kind, most) = match word.as_str() {
            "tinyint" => ("int", 1),
            "smallint" => ("int", 2),
            "mediumint" => ("int", 3),
            "int" | "integer" => ("int", 4),
            "bigint" => ("int", 8),
            "float" => ("float", 4),
            "double" => ("float", 8),
            "date" => ("time", 1),
            "datetime" => ("time", 2),
            "tinytext" => ("text", 255),
            "text" => ("text", 65_535),
            "mediumtext" => ("text", 0xff_ffff),
            "longtext" => ("text", 0xffff_ffff),
            "varchar" | "char" => ("text", statement.token(at + 2).parse().ok()?),
            _ => return None,
        };
        Some(Size { kind, most })
    }

    /// Whether values of the other type may not fit into this one.
    pub(super) fn is_narrower_than(self, other: Size) -> bool {
        self.kind == other.kind && self.most < other.most
    }
}

/// The columns that an `ALTER TABLE` gives a new type with `MODIFY` or `CHANGE`, in lower case: the old name, and the type.
pub(super) fn modified(statement: &Statement<'_>) -> Vec<(String, Size)> {
    let words = &statement.words;
    let of = |action: std::ops::Range<usize>| {
        let name = statement.skip(action.start + 1, &["column", "if", "exists"]);
        let kind = match words.word(action.start).as_str() {
            "modify" => name + 1,
            "change" => name + 2,
            _ => return None,
        };
        Some((words.name(name)?.to_lowercase(), Size::at(statement, kind)?))
    };
    statement.actions().into_iter().filter_map(of).collect()
}
