//! The findings of single scripts as one list: the same one on several engines is told once.

use super::{Finding, Linted, NotAnalysed};

/// One result, in catalog order.
pub(super) fn merged(all: Vec<Linted>) -> Linted {
    let mut out = Linted::default();
    for one in all {
        out.statements += one.statements;
        out.findings.extend(one.findings);
        out.not_analysed.extend(one.not_analysed);
    }
    out.findings.sort_by(|a, b| (&a.place, a.rule, &a.what).cmp(&(&b.place, b.rule, &b.what)));
    out.findings.dedup_by(|next, first: &mut Finding| {
        let is_same = (next.rule, &next.place, &next.what) == (first.rule, &first.place, &first.what);
        let is_same = is_same && next.suppressed == first.suppressed;
        if is_same {
            first.engines.extend(
                next.engines.iter().copied().filter(|engine| !first.engines.contains(engine)).collect::<Vec<_>>(),
            );
        }
        is_same
    });
    out.not_analysed.sort_by(|a, b| (&a.place, &a.why).cmp(&(&b.place, &b.why)));
    out.not_analysed.dedup_by(|next, first: &mut NotAnalysed| {
        let is_same = next.place == first.place && next.why == first.why;
        if is_same {
            first.engines.append(&mut next.engines);
            first.engines.dedup();
        }
        is_same
    });
    out
}
