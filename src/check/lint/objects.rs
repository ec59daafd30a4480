//! The views and routines that statements drop and make, as far as one tells them apart.

use std::ops::Range;

use super::statement::Statement;
use crate::sql::signature;

/// An object as a statement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    schema: Option<String>,
    pub(super) name: String,
    /// The types of the arguments that it is named with.
    arguments: Option<Vec<String>>,
}

impl Object {
    /// An object of which only the name is known.
    pub(super) fn named(name: String) -> Self {
        Object { schema: None, name, arguments: None }
    }

    /// Whether both may be one object: nothing that both say is different.
    pub(super) fn may_be(&self, other: &Object) -> bool {
        fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        self.name.eq_ignore_ascii_case(&other.name)
            && agree(self.schema.as_ref(), other.schema.as_ref())
            && agree(self.arguments.as_ref(), other.arguments.as_ref())
    }

    /// As findings name it.
    pub(super) fn shown(&self) -> String {
        let name = self.schema.iter().chain([&self.name]).map(String::as_str).collect::<Vec<_>>().join(".");
        self.arguments.as_ref().map_or(name.clone(), |types| format!("{name}({})", types.join(", ")))
    }
}

impl Statement<'_> {
    /// The objects of a list from a token on.
    pub(super) fn objects_behind(&self, from: usize) -> Vec<Object> {
        self.parts(from, self.words.len()).into_iter().filter_map(|part| Some(self.object(part)?.0)).collect()
    }

    /// The object that it makes of one of these kinds.
    pub(super) fn made_object(&self, kinds: &[&str]) -> Option<Object> {
        let kind = self.skip(1, &["or", "replace", "temp", "temporary", "recursive", "materialized"]);
        if !self.words.is(0, "create") || !kinds.iter().any(|name| self.words.is(kind, name)) {
            return None;
        }
        let (mut object, open) = self.object(self.skip(kind + 1, &["if", "not", "exists"])..self.words.len())?;
        let sides = open..self.closing(open);
        match self.words.word(kind).as_str() {
            // The names in parentheses are those of its columns.
            "view" => object.arguments = None,
            "operator" => object.arguments = Some(vec![self.side(&sides, "leftarg"), self.side(&sides, "rightarg")]),
            // The older form has no list of arguments.
            "aggregate" if self.has_in(&sides, &["basetype"]) => object.arguments = None,
            _ => {}
        }
        Some(object)
    }

    /// The type of an operand, as a `DROP OPERATOR` says it.
    fn side(&self, sides: &Range<usize>, name: &str) -> String {
        let at = sides.clone().find(|&at| self.words.is(at, name));
        let at = at.map(|at| at + 2).unwrap_or(sides.end);
        let end = (at..sides.end).find(|&at| self.words.is_symbol(at, b',')).unwrap_or(sides.end);
        self.types(at..end).pop().unwrap_or_else(|| "none".to_owned())
    }

    fn types(&self, range: Range<usize>) -> Vec<String> {
        signature(&range.map(|at| self.words.as_written(at).to_owned()).collect::<Vec<_>>())
    }

    /// The object at the beginning of a range, and the place behind its name.
    fn object(&self, range: Range<usize>) -> Option<(Object, usize)> {
        let (mut at, mut schema) = (range.start, None);
        if self.words.is_symbol(at + 1, b'.') {
            schema = Some(self.words.folded(self.words.name(at)?));
            at += 2;
        }
        let (name, behind) = match self.words.name(at) {
            Some(name) => (self.words.folded(name), at + 1),
            None => {
                // An operator is made of symbols.
                let open = (at..range.end).find(|&at| self.words.is_symbol(at, b'(')).filter(|open| *open > at)?;
                ((at..open).map(|at| self.words.as_written(at)).collect(), open)
            }
        };
        let has_list = behind < range.end && self.words.is_symbol(behind, b'(');
        let arguments = has_list.then(|| self.types(behind + 1..self.closing(behind)));
        Some((Object { schema, name, arguments }, behind))
    }
}
