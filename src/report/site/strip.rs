//! The migrations of a tenant as a strip of squares.

use maud::{Markup, html};

use crate::report::matrix::Mark;
use crate::report::outcome::percent;
use crate::report::summary::words;

/// The most migrations that have a square each; beyond, equal neighbours share one.
const SQUARES: usize = 48;

/// The marks of a tenant, or of tenants that read the same.
pub(super) fn marks(marks: &[Mark], name: &dyn Fn(usize) -> String) -> Markup {
    let mut runs: Vec<(usize, usize, Mark)> = Vec::new();
    for (at, mark) in marks.iter().enumerate() {
        match runs.last_mut() {
            Some((_, to, last)) if last == mark && marks.len() > SQUARES => *to = at + 1,
            _ => runs.push((at, at + 1, *mark)),
        }
    }
    let x = |at: usize| format!("{:.3}%", percent(units(at), units(marks.len())));
    let width =
        |from: usize, to: usize| format!("{:.3}%", (percent(units(to - from), units(marks.len())) - 0.4).max(0.2));
    html! {
        svg.strip width="100%" height="14" role="img" aria-label=(in_words(marks)) {
            @for (from, to, mark) in runs {
                rect class=(mark.word()) x=(x(from)) y="1" width=(width(from, to)) height="12" rx="2" {
                    title {
                        @if to - from == 1 { (name(from)) } @else { (name(from)) " to " (name(to - 1)) }
                        ": " (words(mark.word()))
                    }
                }
            }
        }
    }
}

fn units(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// `5 applied, 2 pending`.
fn in_words(marks: &[Mark]) -> String {
    let count = |mark: &Mark| marks.iter().filter(|other| *other == mark).count();
    let some = Mark::ALL.iter().filter(|mark| count(mark) > 0);
    some.map(|mark| format!("{} {}", count(mark), words(mark.word()))).collect::<Vec<_>>().join(", ")
}
