//! `tenants add`, `remove` and `rename`: changes of the tenant file, which is replaced as a whole once the new one has been
//! read. No database is reached.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::args::{NewTenantArgs, TenantEdit};
use super::code::Code;
use super::exit::CliError;
use super::files;
use super::sources;
use super::terminal::{self, Terminal};
use crate::engine;
use crate::inputs::registry::{self, EditError, NewTenant, REST, Registry, places};
use crate::inputs::{Mistakes, Overrides, Variables, expand};
use crate::model::clock::now_ms;
use crate::model::hold::Quarantine;
use crate::model::program;
use crate::model::tenant::Tenant;
use crate::report::clean;

/// The tenant file, locked against other edits of this program until it is dropped.
pub(super) struct TenantFile {
    /// As it was named.
    path: PathBuf,
    pub(super) text: String,
    lock: File,
}

/// An edited tenant file that can be read, and is not in its place yet.
pub(super) struct Edited {
    pub(super) text: String,
    pub(super) registry: Registry,
}

impl TenantFile {
    /// Opens and locks the file that was named, or the one in this folder or above.
    pub(super) fn open(named: Option<&PathBuf>) -> Result<Self, CliError> {
        let found = || std::env::current_dir().ok().and_then(|here| registry::find(&here));
        let path = named.cloned().or_else(found).ok_or(CliError::NoFile)?;
        let unread = |error: std::io::Error| CliError::Settings(format!("can't read {}: {error}", path.display()));
        loop {
            let lock = crate::external::file::check(&path).and_then(|()| File::open(&path)).map_err(unread)?;
            // A file system without locks has no other edits at once that could be told.
            let _ = lock.lock();
            let is_it = |there: std::fs::Metadata| lock.metadata().is_ok_and(|own| own.ino() == there.ino());
            // Another edit may have replaced it meanwhile.
            if std::fs::metadata(&path).map_err(unread).is_ok_and(is_it) {
                let text = std::fs::read_to_string(&path).map_err(unread)?;
                return Ok(TenantFile { path, text, lock });
            }
        }
    }

    /// Reads an edited text as the tenant file that it would be.
    pub(super) fn read(&self, text: String, overrides: &Overrides, terminal: Terminal) -> Result<Edited, CliError> {
        let read = Registry::parse(&text, &self.path, overrides, &Variables::of_process());
        let registry = read.map_err(|mistakes| unchanged(&mistakes, terminal))?;
        Ok(Edited { text, registry })
    }

    /// Refuses an edited text that names a tenant, or a database, that a source of the file has.
    pub(super) async fn compare_with_sources(
        &self,
        edited: &Edited,
        overrides: &Overrides,
        (terminal, code): (Terminal, &Code),
    ) -> Result<(), CliError> {
        if edited.registry.sources.is_empty() {
            return Ok(());
        }
        let discovered = sources::ask(&edited.registry, terminal, code).await?;
        let given = (overrides, &Variables::of_process());
        let read = Registry::parse_with(&edited.text, &self.path, given, Some(&discovered));
        read.map(drop).map_err(|mistakes| unchanged(&mistakes, terminal))
    }

    /// The file with what its sources give.
    async fn whole(&self, overrides: &Overrides, (terminal, code): (Terminal, &Code)) -> Result<Registry, CliError> {
        let given = (overrides, &Variables::of_process());
        let wrong = |mistakes: Mistakes| unchanged(&mistakes, terminal);
        let registry = Registry::parse_with(&self.text, &self.path, given, None).map_err(wrong)?;
        if registry.sources.is_empty() {
            return Ok(registry);
        }
        let discovered = sources::ask(&registry, terminal, code).await?;
        Registry::parse_with(&self.text, &self.path, given, Some(&discovered)).map_err(wrong)
    }

    /// The tenant that a source of the file makes of the same database. Beside it the file can have no other.
    pub(super) async fn given_by_source(
        &self,
        tenant: &Tenant,
        overrides: &Overrides,
        context: (Terminal, &Code),
    ) -> Result<Option<Arc<Tenant>>, CliError> {
        let registry = self.whole(overrides, context).await?;
        let is_it = |given: &Arc<Tenant>| given.source.is_some() && engine::is_same_place(given, tenant);
        Ok(registry.tenants.into_iter().find(is_it))
    }

    /// The error of an edit; that the tenant is a source's is told with which.
    async fn explained(
        &self,
        error: &EditError,
        overrides: &Overrides,
        (terminal, code): (Terminal, &Code),
    ) -> CliError {
        let refused = self.refused(error);
        let EditError::Unknown { id, .. } = error else { return refused };
        let found = match self.whole(overrides, (terminal, code)).await {
            Ok(registry) => registry.tenants.into_iter().find(|tenant| tenant.id.as_str() == id),
            Err(error) => {
                return CliError::Usage(format!(
                    "{refused}\nwhether a source of the file has it is not known: {error}"
                ));
            }
        };
        let Some(source) = found.and_then(|tenant| tenant.source.clone()) else { return refused };
        CliError::Usage(format!(
            "tenant {id} comes from the source `{source}`, and {} was not changed: change it there, or leave it out with exclude = \
             [\"{id}\"] of that [[source]]",
            self.shown(),
            id = clean(id),
            source = clean(&source)
        ))
    }

    /// Puts an edited text in the file's place, with the file's permissions. Dying in it: the old file is there, or the new
    /// one.
    pub(super) fn replace(&self, edited: &Edited) -> Result<(), CliError> {
        // A link stays one.
        let place = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let mode = self.lock.metadata().map(|found| found.permissions());
        mode.and_then(|mode| files::replace(&place, &edited.text, mode))
            .map_err(|error| CliError::Write { what: self.path.display().to_string(), error })
    }

    pub(super) fn shown(&self) -> String {
        let here = std::env::current_dir().unwrap_or_default();
        clean(&self.path.strip_prefix(here).unwrap_or(&self.path).to_string_lossy())
    }

    /// The error of an edit.
    pub(super) fn refused(&self, error: &EditError) -> CliError {
        CliError::Usage(format!("{}: {}; it was not changed", self.shown(), clean(&error.to_string())))
    }
}

fn unchanged(mistakes: &Mistakes, terminal: Terminal) -> CliError {
    let rendered = format!("{}\nthe file was not changed", mistakes.render(terminal.err.colour));
    CliError::Mistakes { rendered }
}

/// Adds, removes or renames a tenant.
pub(super) async fn edit(
    edit: &TenantEdit,
    named: Option<&PathBuf>,
    overrides: &Overrides,
    (terminal, code): (Terminal, &Code),
) -> Result<u8, CliError> {
    let file = TenantFile::open(named)?;
    if let TenantEdit::Quarantine { id, until: Some(until), .. } = edit
        && Quarantine::end_ms(until).is_some_and(|end| end <= now_ms())
    {
        let text = format!(
            "--until {until} is over already, so that {} would be in no quarantine; nothing was changed",
            clean(id)
        );
        return Err(CliError::Usage(text));
    }
    let text = match edit {
        TenantEdit::Add(new) => registry::added(&file.text, &new.tenant()?),
        TenantEdit::Remove { id } => registry::removed(&file.text, id),
        TenantEdit::Rename { id, new } => registry::renamed(&file.text, id, new),
        TenantEdit::Quarantine { id, reason, until } => registry::quarantined(&file.text, id, reason, until.as_deref()),
        TenantEdit::Release { id } => registry::released(&file.text, id),
    };
    let text = match text {
        Ok(text) => text,
        Err(error) => return Err(file.explained(&error, overrides, (terminal, code)).await),
    };
    let edited = file.read(text, overrides, terminal)?;
    if matches!(edit, TenantEdit::Add(_) | TenantEdit::Rename { .. }) {
        file.compare_with_sources(&edited, overrides, (terminal, code)).await?;
    }
    let before = Registry::parse(&file.text, &file.path, overrides, &Variables::of_process()).ok();
    file.replace(&edited)?;
    let told = |warning: &&String| before.as_ref().is_none_or(|before| !before.warnings.contains(warning));
    edited.registry.warnings.iter().filter(told).for_each(|warning| terminal.warn(warning));
    let wave = |registry: &Registry, id: &str| -> Option<String> {
        let at = registry.tenants.iter().position(|tenant| tenant.id.as_str() == id)?;
        let place = places(&registry.waves, &registry.tenants)[at];
        Some(registry.waves.get(place).map_or(REST, |wave| &wave.name).to_owned())
    };
    let shown = file.shown();
    terminal::print(&match edit {
        TenantEdit::Add(new) => {
            let id = &new.id;
            let wave = wave(&edited.registry, id).unwrap_or_default();
            format!("added {} to {shown}, in wave {}; no database was reached", clean(id), clean(&wave))
        }
        TenantEdit::Quarantine { id, until, .. } => {
            let tenant = edited.registry.tenants.iter().find(|tenant| tenant.id.as_str() == id);
            let is_over = tenant.is_some_and(|tenant| tenant.hold.quarantine.is_none());
            let until = match until {
                _ if is_over => "; it is over already".to_owned(),
                Some(until) => format!(" until {}", clean(until)),
                None => format!(", until `{} tenants release {}`", program::name(), clean(id)),
            };
            format!("{} is in quarantine in {shown}: no run takes it{until}", clean(id))
        }
        TenantEdit::Release { id } => format!("{} is out of quarantine in {shown}: the next run takes it", clean(id)),
        TenantEdit::Remove { id } => format!(
            "removed {} from {shown}; its database is as it was, and its recorded runs stay in the ledger",
            clean(id)
        ),
        TenantEdit::Rename { id, new } => {
            let (old_wave, new_wave) = (before.and_then(|before| wave(&before, id)), wave(&edited.registry, new));
            let moved = match (old_wave, new_wave) {
                (Some(old), Some(new)) if old != new => {
                    format!("\nit moves from wave {} to {}", clean(&old), clean(&new))
                }
                _ => String::new(),
            };
            format!(
                "renamed {} to {} in {shown}\nits history is in its own database and stays; recorded runs and backups keep the \
                 old id: `runs resume`, `--failed-of` and `restore --run` of runs before this do not find it by the new one{moved}",
                clean(id),
                clean(new)
            )
        }
    })?;
    Ok(0)
}

impl NewTenantArgs {
    /// The tenant; refuses a password that would stand in the file.
    pub(super) fn tenant(&self) -> Result<NewTenant, CliError> {
        let has_password = expand(&self.url, &Variables::of_process()).is_ok_and(|expanded| expanded.literal_password);
        if has_password {
            return Err(CliError::Usage(
                "the URL holds a password, which would be in the file, in this shell's history and in the list of processes; \
                 give the URL without it, and one of --password-env VAR, --password-file FILE, --password-command 'PROGRAM \
                 ARGUMENTS', or write ${VAR} in its place, in single quotes; nothing was changed, and a password that was typed \
                 is best replaced"
                    .to_owned(),
            ));
        }
        let password = match (&self.password_env, &self.password_file, &self.password_command) {
            (Some(name), _, _) => Some(("env", vec![name.clone()])),
            (_, Some(file), _) => Some(("file", vec![file.clone()])),
            (_, _, Some(line)) => Some(("command", line.split_whitespace().map(str::to_owned).collect())),
            _ => None,
        };
        Ok(NewTenant {
            id: self.id.clone(),
            url: self.url.clone(),
            schema: self.schema.clone(),
            server: self.server.clone(),
            tags: self.tag.clone(),
            password,
            create_missing: self.create_missing,
        })
    }
}
