//! The result of a seed, table by table.

/// The rows that were added, table by table, in the order in which they were filled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeedSummary {
    /// The tables.
    pub tables: Vec<SeededTable>,
}

/// One table of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededTable {
    /// Its name.
    pub table: String,
    /// The rows that it had.
    pub before: u64,
    /// The rows that were added.
    pub added: u64,
    /// The rows that it should have at this scale, as far as its unique keys leave room.
    pub wanted: u64,
}

impl SeedSummary {
    /// The rows that were added to all tables.
    pub fn added(&self) -> u64 {
        self.tables.iter().map(|t| t.added).sum()
    }
}

impl SeededTable {
    /// A remark for the operator, if any: that the table was left as it was, or has fewer rows than it should.
    pub fn note(&self) -> Option<String> {
        let (table, has, wanted) = (&self.table, grouped(self.before + self.added), grouped(self.wanted));
        match () {
            () if self.before + self.added >= self.wanted && self.added == 0 => {
                Some(format!("{table} has {has} rows already"))
            }
            () if self.before + self.added >= self.wanted => None,
            () if self.added == 0 && self.before > 0 => {
                Some(format!("{table} has {has} of {wanted} rows; `--append` goes on from there"))
            }
            () => Some(format!("{table} has {has} of {wanted} rows: no more fit its keys")),
        }
    }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
