//! A dump of one schema that can be loaded into a schema of any name: one message, one transaction.

use std::path::Path;

use crate::engine::backup::{Transfer, broken, make_private, tool};
use crate::engine::postgres::{PostgresSession, guards};
use crate::engine::queries::Queries as _;
use crate::model::engine::Engine;
use crate::model::fault::Fault;
use crate::model::tenant::Tenant;

/// The name of the schema in a script, which no other text has.
const NAME: &str = "fleet_template_of_a_tenant";

/// A name that has to be quoted, by which a script is proven for all names.
const OTHER_NAME: &str = "Fleet tenant";

/// The schema of a scratch database in which a script is made, or proven.
pub(super) fn as_tenant(scratch: Tenant, is_copy: bool) -> Tenant {
    let name = if is_copy { OTHER_NAME } else { NAME };
    Tenant { schema: Some(name.to_owned()), ..scratch }
}

impl PostgresSession {
    pub(super) async fn write_script(&mut self, to: &Transfer<'_>) -> Result<(), Fault> {
        let schema = self.door.tenant.schema.clone().ok_or_else(|| broken("only a schema is written as a script"))?;
        let version = tool::version("pg_dump").await?;
        self.check_age(&version).await?;
        let secret = self.secret()?;
        make_private(to.file)?;
        let mut command = self.dump_command(to, secret.as_ref());
        command.args(["--format=plain", "--no-owner", "--rows-per-insert=1000"]);
        tool::run(command, "pg_dump", &to.limits()).await?;
        let text = std::fs::read_to_string(to.file).map_err(|error| lost(to.file, &error))?;
        std::fs::write(to.file, neutral(&text, &schema)).map_err(|error| lost(to.file, &error))
    }

    /// Dying in it: the server has all of it, or nothing.
    pub(super) async fn run_script(&mut self, from: &Transfer<'_>) -> Result<(), Fault> {
        let schema = self.door.tenant.schema.clone().unwrap_or_default();
        if schema.contains(['\'', '\\', '$']) || schema.contains(char::is_control) {
            return Err(broken("the name of its schema has a character that can't stand in every text of the script"));
        }
        let text = std::fs::read_to_string(from.file).map_err(|error| lost(from.file, &error))?;
        let text = text.replace(NAME, &Engine::Postgres.quote(&schema));
        let begin = guards::begin(&self.door).join(";\n");
        self.transaction(format!("{begin};\n{text}\nCOMMIT")).await.map(drop)
    }
}

fn lost(file: &Path, error: &std::io::Error) -> Fault {
    broken(format!("{}: {error}", file.display()))
}

/// The dump under the name of every script, without the statement that makes the schema, and without the commands to `psql` that
/// newer releases put around it.
fn neutral(dump: &str, schema: &str) -> String {
    let printed = if schema == NAME { NAME.to_owned() } else { Engine::Postgres.quote(schema) };
    let mut text = dump.to_owned();
    if let Some((_, rest)) = dump.split_once("\n\\restrict ")
        && let Some((key, _)) = rest.split_once('\n')
    {
        text = text.replacen(&format!("\n\\restrict {key}\n"), "\n", 1);
        if let Some(at) = text.rfind(&format!("\n\\unrestrict {key}\n")) {
            text.truncate(at + 1);
        }
    }
    text = text.replacen(&format!("\nCREATE SCHEMA {printed};\n"), "\n", 1);
    // Comments of the program have names without quotes.
    for (before, behind) in [("\n-- Name: ", "; Type: SCHEMA; "), ("; Schema: ", "; ")] {
        text = text.replace(&format!("{before}{schema}{behind}"), &format!("{before}{NAME}{behind}"));
    }
    text.replace(&printed, NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_of_two_schemas_alike_are_one_script() {
        let dump = |printed: &str, name: &str| {
            format!(
                "--\n-- dump\n--\n\n\\restrict k3y\n\nSET x = 0;\n\n-- Name: {name}; Type: SCHEMA; Schema: -; Owner: -\n\nCREATE SCHEMA {printed};\n\n-- Name: t; Type: TABLE; Schema: \
                 {name}; Owner: -\n\nCREATE TABLE {printed}.t (i int DEFAULT nextval('{printed}.s'));\nINSERT INTO {printed}.t VALUES \
                 ('\n\\restrict k3y\n');\n-- complete\n\n\\unrestrict k3y\n\n"
            )
        };
        let one = neutral(&dump(NAME, NAME), NAME);
        assert_eq!(neutral(&dump("\"Fleet tenant\"", OTHER_NAME), OTHER_NAME), one);
        assert!(!one.contains("CREATE SCHEMA") && !one.contains("unrestrict"), "{one}");
        assert_eq!(one.matches("\\restrict k3y").count(), 1, "{one}");
        assert!(one.contains(&format!("nextval('{NAME}.s')")), "{one}");
    }
}
