//! Functions that a query calls: one that nobody knows may write.

use super::statement::Statement;
use crate::sql::computes::computes;

impl Statement<'_> {
    /// The first function that a query calls and that nothing says of that it only computes.
    pub(super) fn call_that_may_write(&self) -> Option<String> {
        const CHANGES: [&str; 4] = ["insert", "update", "delete", "merge"];
        if (0..self.words.len()).any(|at| CHANGES.iter().any(|word| self.words.is(at, word))) {
            return None;
        }
        let called = |at: usize| {
            let name = self.words.name(at).filter(|_| self.words.is_symbol(at + 1, b'('))?;
            // `AS` has names of columns behind it, in a common table expression before it.
            let names_columns =
                self.is_before_as(at + 1) || at.checked_sub(1).is_some_and(|before| self.words.is(before, "as"));
            let computes = computes(self.engine, &name);
            (!names_columns && !computes).then_some(name)
        };
        (1..self.words.len()).find_map(called)
    }

    /// Whether `AS` and a parenthesis come behind the one that opens at a token.
    fn is_before_as(&self, open: usize) -> bool {
        let close = self.closing(open);
        self.words.is(close + 1, "as") && self.words.is_symbol(close + 2, b'(')
    }
}
