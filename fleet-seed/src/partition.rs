//! The values of a table's partition key that have a partition, from the bounds as PostgreSQL prints them.
//!
//! A table whose bounds are not understood has none: the engine decides.

use chrono::NaiveDate;
use fleet_shape::{Shape, Table};

/// The column that a table is partitioned by, and the values that have a partition: from, and up to but not including.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) column: String,
    /// Days since 1970, or numbers.
    pub(crate) ranges: Vec<(i64, i64)>,
}

impl Bounds {
    /// `None` for a table that has no partitions by ranges of one column, or one for everything else.
    pub(crate) fn of(shape: &Shape, table: &Table) -> Option<Self> {
        let key = table.options.iter().find_map(|o| o.strip_prefix("partition by RANGE (")?.strip_suffix(')'))?;
        let column = table.columns.iter().find(|c| c.name == key.trim_matches('"'))?.name.clone();
        let child = format!("child of {}", table.name);
        let quoted = format!("child of \"{}\"", table.name);
        let is_part = |t: &&Table| t.options.iter().any(|o| *o == child || *o == quoted);
        let mut ranges = Vec::new();
        for part in shape.tables.iter().filter(is_part) {
            let bound = part.options.iter().find_map(|o| o.strip_prefix("partition "))?;
            let (from, to) = bound.strip_prefix("FOR VALUES FROM (")?.strip_suffix(')')?.split_once(") TO (")?;
            ranges.push((value(from)?, value(to)?));
        }
        (!ranges.is_empty()).then_some(Bounds { column, ranges })
    }
}

/// A number, or the day of a text that begins with one.
fn value(text: &str) -> Option<i64> {
    match text {
        "MINVALUE" => return Some(i64::MIN / 2),
        "MAXVALUE" => return Some(i64::MAX / 2),
        _ => {}
    }
    let bare = text.trim_matches('\'');
    if let Ok(number) = bare.parse() {
        return Some(number);
    }
    let day = NaiveDate::parse_from_str(bare.get(..10)?, "%F").ok()?;
    Some(i64::from(day.to_epoch_days()))
}

#[cfg(test)]
mod tests {
    use fleet_shape::Column;

    use super::*;

    fn part(name: &str, bound: &str) -> Table {
        let options = vec!["child of logs".to_owned(), format!("partition {bound}")];
        Table { name: name.into(), options, ..Table::default() }
    }

    #[test]
    fn bounds_are_read() {
        let column = Column { name: "at".into(), ..Column::default() };
        let options = vec!["partition by RANGE (at)".to_owned()];
        let logs = Table { name: "logs".into(), columns: vec![column], options, ..Table::default() };
        let with = |parts: Vec<Table>| {
            let tables = [vec![logs.clone()], parts].concat();
            Bounds::of(&Shape { tables, ..Shape::default() }, &logs).map(|bounds| bounds.ranges)
        };
        let year = part("a", "FOR VALUES FROM ('2024-02-29') TO ('2025-01-01 00:00:00+00')");
        assert_eq!(with(vec![year.clone()]), Some(vec![(19_782, 20_089)]));
        assert_eq!(with(vec![part("n", "FOR VALUES FROM (MINVALUE) TO (100)")]), Some(vec![(i64::MIN / 2, 100)]));
        assert_eq!(with(vec![year, part("rest", "DEFAULT")]), None);
        assert_eq!(with(vec![]), None);
    }
}
