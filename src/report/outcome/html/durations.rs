//! The times that tenants took, as a histogram.
//!
//! Its classes grow with the times: most tenants take about as long as each other, and a few take many times that.

use std::time::Duration;

use maud::{Markup, html};

use crate::model::outcome::{Outcome, Standing, TenantRecord};
use crate::report::label;
use crate::report::outcome::took;
use crate::report::style::clean;

/// Number of classes at most.
const CLASSES: usize = 24;
/// The height of the highest bar, in pixels.
const HEIGHT: usize = 140;
/// The slowest tenants that are named.
const SLOWEST: usize = 10;

/// A class of times, with its tenants at the target and its others.
#[derive(Clone, Default)]
struct Class {
    least: Duration,
    good: usize,
    others: usize,
}

pub(super) fn section(records: &[TenantRecord]) -> Markup {
    let mut tried: Vec<&TenantRecord> =
        records.iter().filter(|r| r.attempts > 0 && r.outcome != Outcome::UpToDate).collect();
    tried.sort_by_key(|r| r.duration);
    let (Some(first), Some(last)) = (tried.first(), tried.last()) else { return html! {} };
    let at = |percent: usize| tried[(tried.len() * percent).div_ceil(100).max(1) - 1].duration;
    let classes = classes(&tried);
    let most = classes.iter().map(|class| class.good + class.others).max().unwrap_or(1).max(1);
    let height = |n: usize| (n * HEIGHT).div_ceil(most);
    let share = 100.0 / f64::from(u32::try_from(classes.len()).unwrap_or(u32::MAX));
    let bars = classes.iter().zip(0_u32..).map(|(class, i)| (class, f64::from(i) * share));
    html! {
        section {
            h2 { "How long tenants took" }
            p.dim {
                (label::count(tried.len(), "tenant")) ": half within " (took(at(50))) ", 95 % within " (took(at(95)))
                ", the slowest " (took(last.duration)) ". Tenants that were at the target already are not counted."
            }
            svg width="100%" height=(HEIGHT + 24) role="img" aria-label="Histogram of the times of tenants" {
                @for (class, x) in bars.clone() {
                    @let (good, all) = (height(class.good), height(class.good + class.others));
                    @let title = format!("{} from {}", label::count(class.good + class.others, "tenant"), took(class.least));
                    @if class.good > 0 {
                        rect.good x=(format!("{x:.3}%")) y=(HEIGHT - good) width=(format!("{:.3}%", share * 0.9)) height=(good) { title { (title) } }
                    }
                    @if class.others > 0 {
                        rect.bad x=(format!("{x:.3}%")) y=(HEIGHT - all) width=(format!("{:.3}%", share * 0.9)) height=(all - good) { title { (title) } }
                    }
                }
                rect.track x="0" y=(HEIGHT) width="100%" height="1" {}
                g.axis {
                    text x="0" y=(HEIGHT + 16) { (took(first.duration)) }
                    @if let Some(class) = classes.get(classes.len() / 2).filter(|_| classes.len() > 4) {
                        text x="50%" y=(HEIGHT + 16) text-anchor="middle" { (took(class.least)) }
                    }
                    @if last.duration > first.duration {
                        text x="100%" y=(HEIGHT + 16) text-anchor="end" { (took(last.duration)) }
                    }
                }
            }
            @if tried.len() > SLOWEST {
                details {
                    summary { "The slowest " (SLOWEST) }
                    ol { @for r in tried.iter().rev().take(SLOWEST) { li { (clean(r.tenant.as_str())) ": " (took(r.duration)) } } }
                }
            }
        }
    }
}

/// Divides times, in order, into classes of equal ratios.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a class is at most the last")]
#[expect(clippy::cast_precision_loss, reason = "there are few classes")]
fn classes(tried: &[&TenantRecord]) -> Vec<Class> {
    let seconds = |d: Duration| d.as_secs_f64().max(0.001);
    let bounds = tried.first().zip(tried.last()).map(|(a, b)| (seconds(a.duration), seconds(b.duration)));
    let (least, most) = bounds.unwrap_or((1.0, 1.0));
    let count = if most / least < 1.05 { 1 } else { CLASSES };
    let ratio = (most / least).powf(1.0 / count as f64);
    let mut classes: Vec<Class> = (0..count as i32)
        .map(|i| Class { least: Duration::from_secs_f64(least * ratio.powi(i)), ..Class::default() })
        .collect();
    for r in tried {
        let at = if count == 1 { 0.0 } else { (seconds(r.duration) / least).ln() / ratio.ln() };
        let class = &mut classes[(at as usize).min(count - 1)];
        match r.outcome.standing() {
            Standing::AtTarget => class.good += 1,
            _ => class.others += 1,
        }
    }
    classes
}
