//! The variables of the SQL scripts, for those who have to know them before a script is sent.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::MigrationSet;
use super::folder::{SqlPart, SqlScript};
use crate::model::engine::Variant;
use crate::model::schema::{Direction, Script};
use crate::model::tenant::Tenant;
use crate::model::variable::Variable;
use crate::sql::marks::with_values;

impl MigrationSet {
    /// The tags that scripts put into their texts.
    pub(crate) fn tags(&self) -> BTreeSet<&str> {
        let parts = self.scripts().iter().flat_map(|script| script.up.iter().chain(script.down.iter()));
        parts
            .flat_map(|(_, part)| &part.variables)
            .filter_map(|(variable, _)| match variable {
                Variable::Tag(key) => Some(key.as_str()),
                Variable::Tenant => None,
            })
            .collect()
    }

    /// The variables for which a tenant has no value, each with its file and line: the first of each script among the
    /// migrations `wanted`, by their indexes in the catalog.
    pub(crate) fn unset(&self, tenant: &Tenant, direction: Direction, wanted: &Range<usize>) -> Vec<String> {
        let first = self.catalog().migrations.len() - self.scripts().len();
        let scripts = self.scripts().iter().enumerate().filter(|(number, _)| wanted.contains(&(first + number)));
        // Its server has not said yet which of two variants it gets.
        let variants = Variant::ALL.into_iter().filter(|variant| variant.engine() == tenant.engine);
        let of_script = |(_, script): (usize, &SqlScript)| {
            let parts: Vec<_> = variants.clone().filter_map(|v| script.part(v, direction)).cloned().collect();
            parts
        };
        let mut parts: Vec<Arc<SqlPart>> = scripts.flat_map(of_script).collect();
        parts.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let unset = |part: &Arc<SqlPart>| {
            let (variable, line) = part.variables.iter().find(|(variable, _)| variable.of(tenant).is_none())?;
            let Variable::Tag(key) = variable else { return None };
            Some(format!(
                "{}:{line}: {} is not set for tenant {}; give it `tags = {{ {key} = \"...\" }}` in the tenant file",
                part.file.display(),
                variable.mark(),
                tenant.id
            ))
        };
        parts.iter().filter_map(unset).collect()
    }
}

/// The statements of a script with the names that a tenant gives its objects, for those who look for objects and send
/// nothing.
pub(super) fn with_names(script: &Script, tenant: &Tenant) -> Vec<String> {
    let value = |variable: &Variable, is_name: bool| {
        let value = variable.of(tenant).map(str::to_owned).unwrap_or_else(|| variable.mark());
        Ok::<_, std::convert::Infallible>(if is_name { script.engine.quote(&value) } else { format!("'{value}'") })
    };
    let bound = |sql: &String| with_values(script.engine, sql, value).unwrap_or_else(|never| match never {});
    script.statements.iter().map(bound).collect()
}
