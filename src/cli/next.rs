//! The commands to type next after a run: the same words at its end, in `runs show` and in `runs resume`.
//!
//! It reads only recorded data and prints nothing.

use super::setup::Program;
use crate::model::event::RunHeader;
use crate::model::outcome::{InDoubt, Outcome, Standing, TenantRecord};
use crate::model::schema::Direction;

/// The commands that go on with a run.
#[derive(Default)]
pub(super) struct Next {
    /// The first command to type, if any work is left that a command can do by itself.
    pub(super) first: Option<String>,
    /// The others, one per line with its purpose.
    pub(super) rest: String,
}

/// The commands to type next after a run with these outcomes; a tenant of the header without one was not reached.
pub(super) fn after(program: &Program, header: &RunHeader, records: &[TenantRecord]) -> Next {
    let run = header.run;
    let count = |wanted: fn(&Outcome) -> bool| records.iter().filter(|r| wanted(&r.outcome)).count();
    let in_doubt: Vec<&TenantRecord> =
        records.iter().filter(|r| matches!(r.outcome, Outcome::InDoubt(InDoubt::Journal(_)))).collect();
    // A tenant in doubt is refused until it is resolved: the command for it is listed separately.
    let failed = count(|o| o.standing() == Standing::Failed && !matches!(o, Outcome::InDoubt(_)));
    let lost = count(|o| matches!(o, Outcome::InDoubt(InDoubt::Unanswered)));
    let outstanding = count(|o| o.standing() == Standing::Outstanding);
    let left = header.tenants.len().saturating_sub(records.len()) + outstanding + lost;
    let again = (failed > 0).then(|| program.command(&again(header)));
    let go_on = (left > 0).then(|| match header.command() {
        // A task can be repeated any number of times.
        Some(command) => program.command(command),
        None => program.command(&format!("runs resume {run}")),
    });
    let mut rest = String::new();
    if let (Some(_), Some(go_on)) = (&again, &go_on) {
        let or_lost = if lost > 0 { ", or whose end it did not learn" } else { "" };
        rest = format!("the {left} that the run did not get to{or_lost}: {go_on}\n");
    }
    if let Some(first) = in_doubt.first() {
        let command = program.resolve_command(&first.tenant, "");
        let others = match in_doubt.len() {
            1 => String::new(),
            n => format!(" (and likewise for the other {})", n - 1),
        };
        rest += &format!("in doubt: look at it with {command}{others}\n");
    }
    Next { first: again.or(go_on), rest }
}

/// The arguments that retry the failures of a run in the same way.
fn again(header: &RunHeader) -> String {
    let run = header.run;
    if let Some(command) = header.command() {
        return format!("{command} --failed-of {run}");
    }
    let verb = if header.direction == Direction::Up { "migrate" } else { "rollback" };
    let order = if header.kind.goal().is_some_and(|goal| goal.out_of_order) { " --out-of-order" } else { "" };
    let backup = if header.kind.backups().is_some() { " --backup" } else { "" };
    format!("{verb} --failed-of {run}{order}{backup}")
}
