//! `exec`: SQL on each tenant of a selection, which the engines themselves keep from changing anything.

use std::io::Write;
use std::sync::Arc;

use super::args::Exec;
use super::command::Run;
use super::exit::CliError;
use super::setup::Program;
use super::{files, terminal};
use crate::model::tenant::Tenant;
use crate::report::Format;
use crate::report::exec::{self, Found};
use crate::run;

/// The tenants whose answers are in memory at once, where the form allows to write them as they come.
const AT_ONCE: usize = 100;

impl Run for Exec {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let sql: Arc<str> = self.text()?.into();
        let set = program.set().await?;
        let selection = program.select(&self.selection).await?;
        let tenants: Vec<Arc<Tenant>> = selection.tenants().cloned().collect();
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
    fn text(&self) -> Result<String, CliError> {
        let unread = |what: String, error: &std::io::Error| CliError::Usage(format!("can't read {what}: {error}"));
        match (&self.sql, &self.file) {
            (Some(sql), _) if sql != "-" => Ok(sql.clone()),
            (None, Some(file)) => {
                std::fs::read_to_string(file).map_err(|error| unread(file.display().to_string(), &error))
            }
            _ => std::io::read_to_string(std::io::stdin()).map_err(|error| unread("stdin".to_owned(), &error)),
        }
    }
}
