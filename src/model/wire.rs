//! The texts that a session sends for a piece of work, as a plan shows them.
//!
//! Plain data; the engine records them in place of sending them.

use serde::Serialize;

/// One thing that a session does, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sent {
    /// A text that is sent in one call.
    Text(String),
    /// A text that is repeated until it changes no row.
    Batch(String),
    /// The count of the rows that such a text has left.
    Count(String),
    /// A question; its answer was read for this plan.
    Question(String),
    /// The condition under which fleet goes on, as a statement that fails where it does not hold: for those who send the
    /// texts by hand. Fleet itself judges the answer of the question before it.
    ByHand(String),
    /// The steps from this migration on are fleet's: people can't send them.
    Rest { migration: String, why: String },
    /// The Rust code of a migration, which sends its own statements.
    Code(String),
    /// Fleet's own statements go over a second connection from here on.
    Aside,
    /// The session goes on over a new connection.
    Connection,
}

/// Everything that is sent to one tenant, with marks in the place of what differs per run or tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub(crate) struct Wire(pub(crate) Vec<Sent>);

/// The marks of values that are known only when a run begins, or that differ between tenants of one text. None of them is
/// SQL, so that a text with a mark is never run by accident.
pub(crate) mod mark {
    /// Seconds since 1970.
    pub(crate) const NOW: &str = "<fleet:now>";
    /// The id of the run.
    pub(crate) const RUN: &str = "<fleet:run>";
    /// The name of the session in `pg_stat_activity`.
    pub(crate) const SESSION: &str = "<fleet:session>";
    /// The tenant's schema or MySQL database.
    pub(crate) const NAME: &str = "<fleet:name>";
    /// The number of the tenant's advisory lock, which is made of its schema.
    pub(crate) const LOCK: &str = "<fleet:lock>";
}

impl Wire {
    /// With marks in the place of these texts; whoever puts the texts back has the same bytes again.
    pub(crate) fn marked(self, names: &[(String, String)]) -> Wire {
        let marked = |sql: String| names.iter().fold(sql, |sql, (name, mark)| sql.replace(name.as_str(), mark));
        let item = |sent: Sent| match sent {
            Sent::Text(sql) => Sent::Text(marked(sql)),
            Sent::Batch(sql) => Sent::Batch(marked(sql)),
            Sent::Count(sql) => Sent::Count(marked(sql)),
            Sent::Question(sql) => Sent::Question(marked(sql)),
            Sent::ByHand(sql) => Sent::ByHand(marked(sql)),
            sent @ (Sent::Rest { .. } | Sent::Code(_) | Sent::Aside | Sent::Connection) => sent,
        };
        Wire(self.0.into_iter().map(item).collect())
    }
}

/// Tenants that are sent the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WireGroup {
    pub(crate) tenants: Vec<crate::model::tenant::TenantId>,
    pub(crate) engine: crate::model::engine::Engine,
    pub(crate) wire: std::sync::Arc<Wire>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stands_for_the_same_bytes_everywhere() {
        let wire = Wire(vec![Sent::Text("USE `acme`; SELECT `acme`.`t`".into()), Sent::Code("acme".into())]);
        let marked = wire.clone().marked(&[("`acme`".into(), format!("`{}`", mark::NAME))]);
        assert_eq!(marked.0[0], Sent::Text("USE `<fleet:name>`; SELECT `<fleet:name>`.`t`".into()));
        assert_eq!(marked.marked(&[(format!("`{}`", mark::NAME), "`acme`".into())]), wire);
    }
}
