//! Keys of rows that exist, for rows that refer to them, in an order that is the same on every engine.

use std::collections::HashMap;
use std::sync::OnceLock;

use fleet_shape::Key;

/// The keys of one table, each of one or more columns.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    all: Vec<Vec<Key>>,
    /// By some of their columns: which columns, then the texts of these.
    by: HashMap<u64, OnceLock<Places>>,
}

type Places = HashMap<Vec<String>, Vec<usize>>;

/// The canonical text of a value, the same for every engine.
pub(crate) fn plain(text: &str) -> String {
    match text {
        "true" => "1".to_owned(),
        "false" => "0".to_owned(),
        other => other.to_lowercase(),
    }
}

impl Keys {
    /// Rows with a NULL in them can't be referred to.
    pub(crate) fn new(rows: Vec<Vec<Option<Key>>>) -> Self {
        let mut all: Vec<Vec<Key>> = rows.into_iter().filter_map(|row| row.into_iter().collect()).collect();
        all.sort_by_cached_key(|row| {
            row.iter().map(|key| (key.text.parse::<i64>().ok(), key.text.clone())).collect::<Vec<_>>()
        });
        all.dedup();
        let width = all.first().map_or(0, Vec::len).min(6);
        let by = (1..1_u64 << width).map(|mask| (mask, OnceLock::new())).collect();
        Keys { all, by }
    }

    pub(crate) fn len(&self) -> u64 {
        self.all.len() as u64
    }

    pub(crate) fn nth(&self, place: u64) -> &[Key] {
        &self.all[usize::try_from(place).expect("a place in memory")]
    }

    /// The places of keys that have these texts in the columns where one is given.
    pub(crate) fn with(&self, known: &[Option<String>]) -> &[usize] {
        let is_known = |i: usize| known.get(i).is_some_and(Option::is_some);
        let mask = (0..known.len()).filter(|i| is_known(*i)).fold(0, |mask, i| mask | (1_u64 << i));
        let Some(cell) = self.by.get(&mask) else { return &[] };
        let places = cell.get_or_init(|| {
            let mut places: Places = HashMap::new();
            for (place, key) in self.all.iter().enumerate() {
                let texts = key.iter().enumerate().filter(|(i, _)| mask & (1 << i) != 0).map(|(_, k)| plain(&k.text));
                places.entry(texts.collect()).or_default().push(place);
            }
            places
        });
        let wanted: Vec<String> = known.iter().flatten().cloned().collect();
        places.get(&wanted).map_or(&[], Vec::as_slice)
    }
}
