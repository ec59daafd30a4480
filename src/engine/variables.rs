//! A tenant's values in the scripts that ask for them: the one place where a script differs between tenants.
//!
//! It builds text only, and a value is always a whole text or a whole name, quoted as its engine does.

use std::borrow::Cow;
use std::sync::Arc;

use super::dialect::literal;
use super::message::stopped_at_statement;
use super::{ApplyError, Step, Work};
use crate::model::fault::{Fault, FaultClass};
use crate::model::schema::Script;
use crate::model::tenant::Tenant;
use crate::sql::marks::with_values;

/// The longest name that every engine takes, in bytes; PostgreSQL would cut a longer one.
const LONGEST_NAME: usize = 63;

impl Work {
    /// The same work with the tenant's values in its scripts. Nothing was sent yet.
    ///
    /// # Errors
    /// A value that can't stand where it is asked for, and a NUL character in a statement.
    pub(crate) fn bound_to(&self, tenant: &Tenant) -> Result<Cow<'_, Work>, Box<ApplyError>> {
        self.check_for_nul()?;
        if !self.steps.iter().any(|step| step.script.has_variables) {
            return Ok(Cow::Borrowed(self));
        }
        let mut work = self.clone();
        for step in work.steps.iter_mut().filter(|step| step.script.has_variables) {
            let script: Result<Vec<String>, String> =
                step.script.statements.iter().map(|sql| bound(&step.script, sql, tenant)).collect();
            let statements = script.map_err(|why| {
                let text = format!("{}: {why}; nothing was sent", step.script.migration);
                Box::new(ApplyError::before(0, Fault::new(FaultClass::Migration, text)))
            })?;
            step.script = Arc::new(Script { statements, ..Script::clone(&step.script) });
        }
        Ok(Cow::Owned(work))
    }

    /// Refuses a NUL character, behind which an engine reads nothing: neither the history row nor the commit.
    fn check_for_nul(&self) -> Result<(), Box<ApplyError>> {
        for (index, Step { script, .. }) in self.steps.iter().enumerate() {
            let Some(statement) = script.statements.iter().position(|sql| sql.contains('\0')) else { continue };
            let text = "the statement holds a NUL character, which hides what follows from the engine; nothing was sent; \
                        remove it";
            let stop = ApplyError::before(0, Fault::new(FaultClass::Migration, text));
            return Err(Box::new(ApplyError { at: stopped_at_statement(self, index, statement), ..stop }));
        }
        Ok(())
    }
}

/// A statement with the tenant's values.
///
/// # Errors
/// The reason that a value can't stand there.
fn bound(script: &Script, sql: &str, tenant: &Tenant) -> Result<String, String> {
    with_values(script.engine, sql, |variable, is_name| {
        let value = variable.of(tenant).ok_or_else(|| format!("{} is not set for this tenant", variable.mark()))?;
        if value.chars().any(char::is_control) {
            return Err(format!("the value of {} has control characters", variable.mark()));
        }
        if is_name && !(1..=LONGEST_NAME).contains(&value.len()) {
            return Err(format!("the value of {} is no name of 1 to {LONGEST_NAME} bytes", variable.mark()));
        }
        let quoted = if is_name { script.engine.quote(value) } else { literal(script.engine, value) };
        // A script may have set a character set in which a byte of a character swallows the quote or the backslash behind it.
        if !value.is_ascii() && (is_name || quoted.contains('\\')) {
            let what = if is_name { "as a name" } else { "beside a backslash" };
            return Err(format!("the value of {} has other than ASCII characters {what}", variable.mark()));
        }
        Ok(quoted)
    })
}
