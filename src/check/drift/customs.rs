//! Properties that people give to databases, against those that more than half of the tenants have. Pure.
//!
//! No migration has to make them, and the scratch database of a version says nothing about them.

use std::collections::{BTreeMap, HashMap};

use crate::model::live_schema::LiveSchemas;
use crate::model::shape::{Difference, Grant, Shape};

/// The rights of a role on an object, or a default of the database: by object and part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Custom {
    object: String,
    part: String,
    text: String,
}

impl Custom {
    fn of_grant(grant: &Grant) -> Self {
        Custom { object: grant.object.clone(), part: Difference::part_of_grant(&grant.to), text: grant.rights.clone() }
    }

    fn all_of(shape: &Shape, grants: impl Iterator<Item = Custom>) -> Vec<Self> {
        let default = |(name, text): &(String, String)| Custom {
            object: "database".into(),
            part: name.clone(),
            text: text.clone(),
        };
        let mut all: Vec<Custom> = grants.chain(shape.defaults.iter().map(default)).collect();
        all.sort();
        all
    }
}

/// Tenants with one schema, and the same customs in the same words.
#[derive(Debug)]
pub(super) struct Alike<'a> {
    pub(super) fingerprint: &'a str,
    pub(super) tenants: Vec<usize>,
    pub(super) customs: Vec<Custom>,
}

/// The tenants of one version, by schema and customs.
///
/// The role `app_ro` of the tenant `app` may be its own, as `beta_ro` is that of `beta`, or one that all tenants share. It is the
/// shared one if at least as many tenants have grants to a role of this very name.
pub(super) fn alike<'a>(live: &'a LiveSchemas, schemas: &BTreeMap<&'a str, Vec<usize>>) -> Vec<Alike<'a>> {
    let shape = |print: &str| live.shapes.get(print).map(|shape| &**shape);
    let mut having: HashMap<(&str, &str), usize> = HashMap::new();
    for (print, tenants) in schemas {
        for grant in shape(print).into_iter().flat_map(|shape| &shape.grants) {
            *having.entry((&grant.object, &grant.to)).or_default() += tenants.len();
        }
    }
    let mut all = Vec::new();
    for (fingerprint, tenants) in schemas {
        let Some(shape) = shape(fingerprint) else { continue };
        let mut groups: BTreeMap<Vec<Custom>, Vec<usize>> = BTreeMap::new();
        let has_own_roles = shape.grants.iter().any(|grant| grant.to.contains(Grant::TENANT));
        let as_read = Custom::all_of(shape, shape.grants.iter().map(Custom::of_grant));
        for &at in tenants {
            let namespace = live.tenants[at].namespace.as_deref().filter(|_| has_own_roles);
            let shared = |grant: &Grant| {
                let to = grant.to.replacen(Grant::TENANT, namespace?, 1);
                let of = |to: &str| having.get(&(&*grant.object, to)).copied().unwrap_or_default();
                (to != grant.to && of(&to) >= of(&grant.to)).then_some(to)
            };
            let in_words = |grant: &Grant| match shared(grant) {
                Some(to) => Custom::of_grant(&Grant { to, ..grant.clone() }),
                None => Custom::of_grant(grant),
            };
            let customs = match shape.grants.iter().any(|grant| shared(grant).is_some()) {
                true => Custom::all_of(shape, shape.grants.iter().map(in_words)),
                false => as_read.clone(),
            };
            groups.entry(customs).or_default().push(at);
        }
        all.extend(groups.into_iter().map(|(customs, tenants)| Alike { fingerprint, tenants, customs }));
    }
    all
}

/// By object and part, the text that most tenants have, or that most have none. One of which no form is on more than half of them
/// is `undecided`.
#[derive(Debug)]
pub(super) struct Usual {
    of: BTreeMap<(String, String), Option<String>>,
    pub(super) undecided: usize,
    pub(super) tenants: usize,
}

impl Usual {
    /// From the customs of tenants, each form with the number of tenants that have it.
    pub(super) fn of<'a>(forms: impl Iterator<Item = (&'a [Custom], usize)>) -> Self {
        let (mut tenants, mut votes) = (0, BTreeMap::<_, BTreeMap<&str, usize>>::new());
        for (customs, having) in forms {
            tenants += having;
            for custom in customs {
                let key = (custom.object.clone(), custom.part.clone());
                *votes.entry(key).or_default().entry(&custom.text).or_default() += having;
            }
        }
        let all = votes.len();
        let most = |forms: BTreeMap<&'a str, usize>| {
            let without = tenants - forms.values().sum::<usize>();
            let forms = forms.into_iter().map(|(text, having)| (Some(text.to_owned()), having));
            Some(forms.chain([(None, without)]).find(|(_, having)| having * 2 > tenants)?.0)
        };
        let of: BTreeMap<_, _> = votes.into_iter().filter_map(|(key, forms)| Some((key, most(forms)?))).collect();
        Usual { undecided: all - of.len(), of, tenants }
    }

    /// The customs in which a tenant differs.
    pub(super) fn differences(&self, own: &[Custom]) -> Vec<Difference> {
        let own: BTreeMap<(&str, &str), &String> =
            own.iter().map(|custom| ((&*custom.object, &*custom.part), &custom.text)).collect();
        let text = |text: Option<&String>| text.cloned().into_iter().collect();
        let differs = |((object, part), usual): (&(String, String), &Option<String>)| {
            let here = own.get(&(&**object, &**part)).copied();
            let (object, part) = (object.clone(), part.clone());
            (here != usual.as_ref()).then(|| Difference {
                object,
                part,
                first: text(usual.as_ref()),
                second: text(here),
            })
        };
        self.of.iter().filter_map(differs).collect()
    }
}

/// Whether people have given any of these: not what each object of its kind has from the beginning.
pub(super) fn has_own(customs: &[Custom]) -> bool {
    let to_all = Difference::part_of_grant("public");
    let from_the_beginning = |custom: &Custom| {
        let kind = custom.object.split(' ').next().unwrap_or_default();
        match kind {
            "schema" | "routine" | "type" => custom.part == to_all,
            "database" => custom.part == to_all || !custom.part.starts_with(Difference::GRANTS),
            _ => false,
        }
    };
    !customs.iter().all(from_the_beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(to: &str, rights: &str) -> Custom {
        Custom::of_grant(&Grant { object: "table t".to_owned(), to: to.to_owned(), rights: rights.to_owned() })
    }

    #[test]
    fn each_grant_is_judged_by_itself_and_only_by_a_majority() {
        let [a, b, none] = [vec![grant("r", "select"), grant("s", "insert")], vec![grant("r", "select")], vec![]];
        let usual = Usual::of([(&*a, 1), (&*b, 1), (&*none, 1)].into_iter());
        let titles = |own: &[Custom]| usual.differences(own).iter().map(Difference::title).collect::<Vec<_>>();
        assert_eq!(titles(&a), ["table t: grants to s"]);
        assert_eq!(titles(&b), [""; 0]);
        assert_eq!(titles(&none), ["table t: grants to r"]);
        let usual = Usual::of([(&*b, 1), (&*none, 1)].into_iter());
        assert_eq!((usual.undecided, usual.differences(&b), usual.differences(&none)), (1, vec![], vec![]));
    }
}
