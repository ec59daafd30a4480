//! JUnit XML, as CI systems read it: one suite per wave, one case per tenant.
//!
//! A tenant that was not started is skipped there, not passed.

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use crate::model::outcome::{Standing, TenantRecord};
use crate::model::program;
use crate::report::causes::group_by;
use crate::report::label;
use crate::report::style::clean;
use crate::report::summary;

use super::now;
use super::view::OutcomeView;

pub(super) fn render(view: &OutcomeView<'_>) -> String {
    let mut report = Report::new(format!(
        "{} {}",
        program::name(),
        label::aim(view.header.direction, &view.header.goal, view.header.kind.is_task())
    ));
    if let Some(elapsed) = view.elapsed {
        report.set_time(elapsed);
    }
    for (wave, records) in group_by(view.records, |r| r.wave.clone()) {
        let mut suite = TestSuite::new(clean(&wave));
        suite.add_property(Property::new("run", view.header.run.to_string()));
        suite.add_test_cases(records.into_iter().map(|r| case(r, view)));
        report.add_test_suite(suite);
    }
    report.to_string().expect("a report of plain text always serialises")
}

fn case(r: &TenantRecord, view: &OutcomeView<'_>) -> TestCase {
    let mut case = TestCase::new(clean(r.tenant.as_str()), status(r, view));
    case.set_classname(clean(&format!("{}.{}", r.engine, r.server)));
    case.set_time(r.duration);
    if r.attempts > 1 {
        case.add_property(Property::new("attempts", r.attempts.to_string()));
    }
    case
}

fn status(r: &TenantRecord, view: &OutcomeView<'_>) -> TestCaseStatus {
    let word = summary::words(r.outcome.name());
    match r.outcome.standing() {
        Standing::AtTarget => TestCaseStatus::success(),
        Standing::Outstanding => {
            let mut status = TestCaseStatus::skipped();
            status.set_type(r.outcome.name());
            status.set_message(now::reason(&r.outcome).map_or(word, |reason| clean(&reason)));
            status
        }
        Standing::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(r.error.as_ref().map_or(r.outcome.name(), |f| f.class.name()));
            let reason = now::reason(&r.outcome).map(|reason| format!("{word}: {}", clean(&reason)));
            let message = r.error.as_ref().map(|f| clean(&f.to_string())).or(reason);
            status.set_message(message.unwrap_or(word));
            status.set_description(description(r, view));
            status
        }
    }
}

fn description(r: &TenantRecord, view: &OutcomeView<'_>) -> String {
    let mut lines = vec![format!("outcome: {}", summary::words(r.outcome.name()))];
    if let Some(at) = &r.stopped_at {
        lines.push(clean(&format!("stopped at: {}", at.place())));
        lines.extend(at.sql.iter().flat_map(|sql| sql.lines()).map(|l| format!("  {}", clean(l))));
    }
    lines.push(clean(&format!("now at: {}", now::version_text(r))));
    lines.extend(now::reason(&r.outcome).map(|reason| clean(&reason)));
    let left = now::left_behind(r, view.header.direction, view.scripts);
    if !left.is_empty() {
        lines.push(clean(&left));
    }
    lines.join("\n")
}
