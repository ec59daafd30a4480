//! The grants of tenants, against those that more than half of them have. Pure.

use std::collections::BTreeMap;

use crate::model::shape::{Difference, Grant};

/// By object and role, the rights that most tenants have, or that most have none. A grant of which no form is on more than
/// half of them is `undecided`.
pub(super) struct Usual<'a> {
    of: BTreeMap<(&'a str, &'a str), Option<&'a str>>,
    pub(super) undecided: usize,
    pub(super) tenants: usize,
}

impl<'a> Usual<'a> {
    /// From the grants of tenants, each form with the number of tenants that have it.
    pub(super) fn of(forms: impl Iterator<Item = (&'a [Grant], usize)>) -> Self {
        let (mut tenants, mut votes) = (0, BTreeMap::<_, BTreeMap<&str, usize>>::new());
        for (grants, having) in forms {
            tenants += having;
            for grant in grants {
                *votes.entry((&*grant.object, &*grant.to)).or_default().entry(&grant.rights).or_default() += having;
            }
        }
        let all = votes.len();
        let most = |forms: BTreeMap<&'a str, usize>| {
            let without = tenants - forms.values().sum::<usize>();
            let forms = forms.into_iter().map(|(rights, having)| (Some(rights), having));
            Some(forms.chain([(None, without)]).find(|(_, having)| having * 2 > tenants)?.0)
        };
        let of: BTreeMap<_, _> = votes.into_iter().filter_map(|(key, forms)| Some((key, most(forms)?))).collect();
        Usual { undecided: all - of.len(), of, tenants }
    }

    /// The grants in which a tenant differs.
    pub(super) fn differences(&self, own: &[Grant]) -> Vec<Difference> {
        let own: BTreeMap<(&str, &str), &str> =
            own.iter().map(|grant| ((&*grant.object, &*grant.to), &*grant.rights)).collect();
        let text = |rights: Option<&str>| rights.map(str::to_owned).into_iter().collect();
        let differs = |(key, usual): (&(&str, &str), &Option<&str>)| {
            let here = own.get(key).copied();
            (here != *usual).then(|| Difference::of_grant(*key, text(*usual), text(here)))
        };
        self.of.iter().filter_map(differs).collect()
    }
}

/// Whether people have granted any of these: not what each object of its kind has from the beginning.
pub(super) fn has_own(grants: &[Grant]) -> bool {
    let from_the_beginning = |grant: &Grant| {
        let kind = grant.object.split(' ').next().unwrap_or_default();
        grant.to == "public" && ["database", "schema", "routine", "type"].contains(&kind)
    };
    !grants.iter().all(from_the_beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(to: &str, rights: &str) -> Grant {
        Grant { object: "table t".to_owned(), to: to.to_owned(), rights: rights.to_owned() }
    }

    #[test]
    fn each_grant_is_judged_by_itself_and_only_by_a_majority() {
        let [a, b, none] = [vec![grant("r", "select"), grant("s", "insert")], vec![grant("r", "select")], vec![]];
        let usual = Usual::of([(&*a, 1), (&*b, 1), (&*none, 1)].into_iter());
        let titles = |own: &[Grant]| usual.differences(own).iter().map(Difference::title).collect::<Vec<_>>();
        assert_eq!(titles(&a), ["table t: grants to s"]);
        assert_eq!(titles(&b), [""; 0]);
        assert_eq!(titles(&none), ["table t: grants to r"]);
        let usual = Usual::of([(&*b, 1), (&*none, 1)].into_iter());
        assert_eq!((usual.undecided, usual.differences(&b), usual.differences(&none)), (1, vec![], vec![]));
    }
}
