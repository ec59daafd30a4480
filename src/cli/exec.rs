//! `exec`: SQL on each tenant of a selection, which the engines themselves keep from changing anything, or a run that sends
//! it with `--write`.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::args::{Exec, RunOutput};
use super::command::Run;
use super::exit::CliError;
use super::setup::{Program, quoted};
use super::start::{Intent, Task, start};
use super::{files, terminal};
use crate::compile::MigrationSet;
use crate::model::engine::Engine;
use crate::model::run_kind::RunKind;
use crate::model::tenant::{Tenant, TenantId};
use crate::model::text::hex;
use crate::report::exec::{self, Found};
use crate::report::{Format, count};
use crate::run;
use crate::sql::{escapes_read_only, is_of_rows, masked, operator_statements};

/// The tenants whose answers are in memory at once, where the form allows to write them as they come.
const AT_ONCE: usize = 100;

/// The longest text that a proposed command repeats, in bytes.
const MOST_REPEATED: usize = 500;

impl Run for Exec {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let sql: Arc<str> = self.text()?.into();
        if self.write {
            return self.change(program, &program.set().await?, sql).await;
        }
        let set = program.set_or_code().await?;
        let selection = program.select(&self.selection).await?;
        let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
        for engine in tenants.iter().map(|tenant| tenant.engine).collect::<BTreeSet<_>>() {
            if let Some(words) = escapes_read_only(engine, &sql) {
                return Err(CliError::Usage(format!(
                    "{words} ({engine}) would end the read-only transaction in which fleet sends the text, or reach beyond the database; nothing was \
                     sent. Leave it out; with --write an operator's SQL is a run of its own"
                )));
            }
        }
        let door = program.door(&set);
        let is_stream = matches!(self.format, Format::Csv | Format::Jsonl);
        let mut stream = match (is_stream, &self.output) {
            (true, Some(path)) => Some(Box::new(files::stream(path)?) as Box<dyn Write + Send>),
            (true, None) => Some(Box::new(terminal::stdout()) as Box<dyn Write + Send>),
            (false, _) => None,
        };
        let (mut all, mut header, mut failed) = (Vec::new(), Vec::new(), Vec::new());
        for part in tenants.chunks(if is_stream { AT_ONCE } else { tenants.len().max(1) }) {
            let asking = run::answers(part, &door, program.pace(), &sql);
            let answers = program.looking("asking tenants", part.len(), asking).await;
            for (tenant, answer) in part.iter().zip(answers) {
                match answer {
                    Ok(answers) => all.push(Found { tenant: tenant.id.clone(), answers }),
                    Err(fault) => failed.push((tenant.id.clone(), fault)),
                }
            }
            if let Some(out) = &mut stream {
                let text = exec::lines(&std::mem::take(&mut all), self.format, &mut header);
                match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                    Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(0),
                    Err(error) => return Err(CliError::Write { what: "the rows".to_owned(), error }),
                    Ok(()) => {}
                }
            }
        }
        if !is_stream {
            let style = program.terminal.style(self.output.as_deref());
            terminal::deliver(&exec::render(&all, &failed, self.format, &style), self.output.as_deref())?;
        }
        for line in exec::failures(&failed, &program.terminal.err) {
            program.terminal.error(&line);
        }
        Ok(if failed.is_empty() { 0 } else { 100 })
    }
}

impl Exec {
    /// Dying in it: as in any run; the ledger has the outcomes of those that were told.
    async fn change(self, program: &Program, set: &Arc<MigrationSet>, sql: Arc<str>) -> Result<u8, CliError> {
        let mut selection = program.select(&self.selection).await?;
        let engines: BTreeSet<Engine> = selection.tenants().map(|tenant| tenant.engine).collect();
        let mut statements = 0;
        for engine in &engines {
            let refused = |why| CliError::Usage(format!("{why} ({engine}); nothing was sent"));
            statements = operator_statements(*engine, &sql, &[]).map_err(refused)?.len();
        }
        if let Some(run) = &self.selection.failed_of {
            let doubt = program.previous_run(run).await?.in_doubt();
            let taken: BTreeSet<TenantId> =
                selection.tenants().map(|tenant| tenant.id.clone()).filter(|id| doubt.contains(id)).collect();
            if !taken.is_empty() {
                program.terminal.warn(&format!(
                    "{} may have it already, and {} left out: look first, then name them with --tenant",
                    program.terminal.names(&taken),
                    if taken.len() == 1 { "is" } else { "are" }
                ));
                selection.waves.iter_mut().for_each(|wave| wave.tenants.retain(|tenant| !taken.contains(&tenant.id)));
                selection.held_back += taken.len();
            }
        }
        let partial: Vec<&str> = engines
            .iter()
            .filter(|engine| !engine.capabilities().transactional_ddl)
            .filter(|engine| {
                operator_statements(**engine, &sql, &[])
                    .is_ok_and(|all| all.iter().any(|one| !is_of_rows(**engine, one.text)))
            })
            .map(|engine| engine.name())
            .collect();
        let not_atomic = match partial.as_slice() {
            [] => String::new(),
            engines => format!(
                "On {} it is not atomic: a statement that is not about rows commits itself and what is before it.\n",
                engines.join(", ")
            ),
        };
        let sha256 = hex(&Sha256::digest(sql.as_bytes()));
        let kind = RunKind::Exec { sha256 };
        let question = format!(
            "{not_atomic}Send {} that may change anything, in one transaction a tenant, to",
            count(statements, "statement")
        );
        let intent = Intent {
            exec: Some(sql.clone()),
            ..Intent::task(Task { kind, command: self.again(&sql), question }, selection)
        };
        let output = RunOutput {
            yes: self.yes,
            no_preflight: self.no_preflight,
            format: self.format,
            output: self.output,
            ..RunOutput::default()
        };
        start(program, set, intent, &output).await
    }

    /// The command that sends the same; a text that is long or may hold a secret is not repeated.
    fn again(&self, sql: &str) -> String {
        match (&self.file, &self.sql) {
            (Some(file), _) => format!("exec --write --file {}", quoted(&file.to_string_lossy())),
            (None, Some(text))
                if text != "-"
                    && text.len() <= MOST_REPEATED
                    && Engine::ALL.iter().all(|engine| masked(*engine, sql) == sql) =>
            {
                format!("exec --write {}", quoted(text))
            }
            _ => "exec --write -".to_owned(),
        }
    }

    fn text(&self) -> Result<String, CliError> {
        let unread = |what: String, error: &std::io::Error| CliError::Usage(format!("can't read {what}: {error}"));
        let sql = match (&self.sql, &self.file) {
            (Some(sql), _) if sql != "-" => Ok(sql.clone()),
            (None, Some(file)) if file.as_os_str() != "-" => {
                crate::external::file::read_text(file).map_err(|error| unread(file.display().to_string(), &error))
            }
            _ => std::io::read_to_string(std::io::stdin()).map_err(|error| unread("stdin".to_owned(), &error)),
        }?;
        match sql.contains('\0') {
            true => Err(CliError::Usage("the SQL holds the character U+0000; nothing was sent".to_owned())),
            false => Ok(sql),
        }
    }
}
