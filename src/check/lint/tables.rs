//! The tables that a statement names, also where it takes a list of them.

use std::ops::Range;

use super::statement::Statement;

impl Statement<'_> {
    /// The tables of a statement that takes a list of them.
    pub(super) fn listed_tables(&self) -> Vec<String> {
        let end = self.words.len();
        match self.verb().as_str() {
            "truncate" | "lock" => self.names_in(self.skip(1, &["table", "tables"])..end),
            "optimize" => self.names_in(self.skip(1, &["no_write_to_binlog", "local", "table", "tables"])..end),
            "rename" => self.renames().into_iter().map(|(from, _)| from).collect(),
            "vacuum" => {
                let open = if self.words.is_symbol(1, b'(') { self.closing(1) + 1 } else { 1 };
                self.names_in(self.skip(open, &["full", "freeze", "verbose", "analyze"])..end)
            }
            "delete" => {
                let names = self.skip(1, &["low_priority", "quick", "ignore"]);
                let Some(from) = self.outside(names..end).find(|&at| self.words.is(at, "from")) else {
                    return Vec::new();
                };
                let using = self.outside(from..end).find(|&at| self.words.is(at, "using")).unwrap_or(from);
                if names < from { self.names_in(names..from) } else { self.names_in((from + 1).min(using)..using) }
            }
            _ => self.dropped_tables(),
        }
    }

    /// The tables that a `DROP TABLE` drops, in lower case.
    pub(super) fn dropped_tables(&self) -> Vec<String> {
        let is_drop = self.is("drop", "table") || self.words.are(0, &["drop", "tables"]);
        if !is_drop || self.target.is_none() {
            return Vec::new();
        }
        self.names_in(self.target_at().unwrap_or_default()..self.words.len())
    }

    /// The tables that it renames, each with its new name; MySQL's `RENAME TABLE` takes several.
    pub(super) fn renames(&self) -> Vec<(String, String)> {
        if !self.words.is(0, "rename") {
            return self.target.clone().zip(self.renames_to()).into_iter().collect();
        }
        let pair = |part: Range<usize>| {
            let to = part.clone().find(|&at| self.words.is(at, "to"))? + 1;
            Some((self.table_name(self.skip(part.start, &["if", "exists"]))?, self.table_name(to)?))
        };
        self.parts(2, self.words.len()).into_iter().filter_map(pair).collect()
    }

    /// The new name of the first table that it renames, in lower case.
    pub(super) fn renames_to(&self) -> Option<String> {
        let words = &self.words;
        let to = if words.is(0, "rename") {
            (2..words.len()).find(|&at| words.is(at, "to"))? + 1
        } else {
            let action = self.actions().into_iter().find(|action| words.is(action.start, "rename"))?;
            let next = action.start + 1;
            match words.word(next).as_str() {
                "to" | "as" => next + 1,
                "column" | "index" | "key" | "constraint" => return None,
                _ if action.len() == 2 => next,
                _ => return None,
            }
        };
        let to = self.table_name(to)?;
        // A new name without a schema stays in the old one's.
        let schema = self.target.as_ref().and_then(|target| target.rsplit_once('.')).filter(|_| !to.contains('.'));
        Some(schema.map_or_else(|| to.clone(), |(schema, _)| format!("{schema}.{to}")))
    }

    /// The names of a list in a range, each as it is compared; one in parentheses belongs to the one before it.
    fn names_in(&self, range: Range<usize>) -> Vec<String> {
        let name = |part: Range<usize>| self.table_name(self.skip(part.start, &["only"]));
        self.parts(range.start, range.end).into_iter().filter_map(name).collect()
    }
}
