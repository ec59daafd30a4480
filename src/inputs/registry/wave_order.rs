//! The order of tenants inside a wave. Pure.

use std::cmp::Ordering;
use std::str::FromStr;

use crate::model::tenant::Tenant;

/// The order of tenants inside a wave; equals keep the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WaveOrder {
    /// By id.
    Id,
    /// By the size of the database, the largest first. It is asked for; the file does not know it.
    Largest,
    /// By the value of this tag: numbers first and by their size, then texts, tenants without the tag last.
    Tag(String),
}

impl WaveOrder {
    /// The order of two tenants, as far as the file says it.
    pub(crate) fn compare(&self, a: &Tenant, b: &Tenant) -> Ordering {
        match self {
            WaveOrder::Id => a.id.cmp(&b.id),
            WaveOrder::Largest => Ordering::Equal,
            WaveOrder::Tag(key) => {
                let rank = |tenant: &'_ Tenant| match tenant.tags.get(key) {
                    None => (2, 0, String::new()),
                    Some(value) => match value.parse::<i64>() {
                        Ok(number) => (0, number, String::new()),
                        Err(_) => (1, 0, value.clone()),
                    },
                };
                rank(a).cmp(&rank(b))
            }
        }
    }
}

impl FromStr for WaveOrder {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match (text, text.strip_prefix("tag:")) {
            ("id", _) => Ok(WaveOrder::Id),
            ("largest", _) => Ok(WaveOrder::Largest),
            (_, Some(key)) if !key.is_empty() => Ok(WaveOrder::Tag(key.to_owned())),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tenant::{Address, Engine};

    #[test]
    fn numbers_come_before_texts_and_tenants_without_the_tag_last() {
        let tenant = |id: &str, value: Option<&str>| Tenant {
            tags: value.map(|value| ("size".to_owned(), value.to_owned())).into_iter().collect(),
            ..Tenant::apart(id, Engine::Sqlite, Address::File("t.db".into()))
        };
        let order: WaveOrder = "tag:size".parse().unwrap();
        let mut all = [("a", None), ("b", Some("10")), ("c", Some("x")), ("d", Some("9")), ("e", Some("9"))]
            .map(|(id, value)| tenant(id, value));
        all.sort_by(|a, b| order.compare(a, b));
        assert_eq!(all.map(|t| t.id.to_string()).concat(), "debca");
        assert!("smallest".parse::<WaveOrder>().is_err() && "tag:".parse::<WaveOrder>().is_err());
    }
}
