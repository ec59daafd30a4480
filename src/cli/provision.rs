//! `tenants provision`: a new tenant's database, brought to the newest version, and then the tenant file.
//!
//! Each step can be done again, so that a provisioning that died is finished by the same command.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use super::args::{NewTenantArgs, ProvisionArgs, RunOutput};
use super::code::Code;
use super::exit::CliError;
use super::files;
use super::session;
use super::setup::{Program, quoted, tenant_flag};
use super::start::{Intent, start};
use super::tenant_file::TenantFile;
use super::terminal::{self, Terminal};
use crate::check::prove;
use crate::compile::{LazyScripts, MigrationSet, Scripts};
use crate::engine::{self, Ground, Provisioner, Site, Template, TemplateName};
use crate::inputs::registry::{self, EditError};
use crate::inputs::select::Filter;
use crate::inputs::{Overrides, ServerUrl, Variables};
use crate::model::fault::Fault;
use crate::model::plan::{Goal, Target};
use crate::model::program;
use crate::model::schema::{Direction, Execution};
use crate::model::tenant::{Tenant, TenantId};
use crate::model::text::hex;
use crate::report::clean;

/// Said where a tenant is made by its migrations, before the reason.
const MIGRATED: &str = "it is migrated, not made from a template";

/// Where and how it is done, without the arguments of the tenant.
pub(super) struct Setting {
    pub(super) config: Option<PathBuf>,
    pub(super) overrides: Overrides,
    pub(super) terminal: Terminal,
    pub(super) code: Code,
}

/// Makes the tenant. Dying at any point: the mark at the database says that it is ours, and the same command goes on; the
/// tenant is in the file only when it is whole.
pub(super) async fn provision(args: &ProvisionArgs, setting: Setting) -> Result<u8, CliError> {
    let Setting { config, overrides, terminal, code } = setting;
    let new = args.tenant.tenant()?;
    let id = TenantId::from(new.id.as_str());
    let file = TenantFile::open(config.as_ref())?;
    let (text, is_listed) = match registry::added(&file.text, &new) {
        Ok(text) => (text, None),
        Err(error @ EditError::Exists(_)) => (file.text.clone(), Some(file.refused(&error))),
        Err(error) => return Err(file.refused(&error)),
    };
    let edited = file.read(text, &overrides, terminal)?;
    let conflict = file.compare_with_sources(&edited, &overrides, (terminal, &code)).await.err();
    let program = Program::of(edited.registry, config.is_some(), &overrides, (terminal, code));
    session::refuse_tenant(&program)?;
    let set = program.set().await?;
    let only = || Filter { only: Some([id.clone()].into()), ..Filter::default() };
    let selection = program.filter(only()).await?;
    let tenant = selection.tenants().next().expect("the tenant was selected by its id").clone();
    let site = Site {
        tenant: tenant.clone(),
        admin: args.admin()?,
        role: args.create_role,
        cache: files::cache("templates"),
        door: program.door(&set),
    };
    let mut by_source = None;
    if conflict.is_some() {
        by_source = file.given_by_source(&tenant, &overrides, (terminal, &program.code)).await?;
    }
    drop(file);
    let provisioner = engine::provisioner(tenant.engine);
    let location = clean(&engine::location(&tenant));
    let refused = |action: &str, fault: Fault| {
        CliError::CanNotStart(format!("failed to {action} {location} for {}: {fault}", clean(id.as_str())))
    };
    let ground = provisioner.ground(&site).await.map_err(|fault| refused("look at", fault))?;
    if let Some(refused_again) = is_listed {
        if ground != Ground::Ours {
            return Err(refused_again);
        }
        // It died behind the tenant file. A mark that stayed would have the next tenant at this place taken for an unfinished one.
        provisioner.finish(&site).await.map_err(|fault| refused("take the mark from", fault))?;
        terminal::print(&format!("{} is in the tenant file, and finished", clean(id.as_str())))?;
        return Ok(0);
    }
    // A source may see a database before it is whole.
    if let Some(conflict) = conflict
        && !(by_source.is_some() && matches!(ground, Ground::Ours | Ground::Half))
    {
        return Err(conflict);
    }
    if let Ground::Taken(what) = &ground {
        return Err(CliError::CanNotStart(format!(
            "{what}, and nothing says that it was made for {id}: it was not touched, and {id} is not in the tenant file\na tenant \
             that is there already is taken in by `tenants add`, and `baseline` where it has no history",
            what = clean(what),
            id = clean(id.as_str())
        )));
    }
    if program.settings().require_approval {
        return Err(by_approval(&program, args, &tenant, ground == Ground::Missing));
    }
    if !args.yes {
        terminal.require_person("makes a database", "")?;
        let what = match ground {
            Ground::Ours | Ground::Half => "Finish what was begun at",
            Ground::Empty => "Fill the empty database at",
            _ => "Make",
        };
        if !terminal.confirm(&format!("{what} {location} for {}. Go ahead?", clean(id.as_str()))) {
            return Ok(1);
        }
    }
    let mut template = match ground {
        Ground::Missing | Ground::Half => template(&program, &set, provisioner, &site).await,
        _ => None,
    };
    let mut made = provisioner.make(&site, template.as_ref()).await;
    if let (Err(fault), Some(Template::Script(_))) = (&made, &template) {
        program.terminal.warn(&format!("{MIGRATED}: {}", clean(&fault.message)));
        template = None;
        made = provisioner.make(&site, None).await;
    }
    made.map_err(|fault| refused("make", fault))?;
    // A copy is at its target, another database is migrated, and the ledger has the tenant's first run.
    let goal = Goal { direction: Direction::Up, target: Target::End, out_of_order: false };
    let output = RunOutput { yes: true, no_preflight: true, ..RunOutput::default() };
    // An earlier tenant of this name may be in the ledger.
    let intent = Intent { recreate: true, ..Intent::migrate(goal, selection) };
    let code = start(&program, &set, intent, &output).await?;
    if code != 0 {
        terminal.error(&format!(
            "{location} was made, is marked as unfinished, and did not come to the newest version; {} is not in the tenant file: \
             give the same command again when the cause is gone; one that is in doubt has no user yet: drop it, and give it \
             again",
            clean(id.as_str())
        ));
        return Ok(code);
    }
    let file = TenantFile::open(config.as_ref())?;
    let text = registry::added(&file.text, &new).map_err(|error| file.refused(&error))?;
    let edited = file.read(text, &overrides, terminal)?;
    let by_source = file.given_by_source(&tenant, &overrides, (terminal, &program.code)).await?;
    if by_source.is_none() {
        file.replace(&edited)?;
    }
    if let Err(fault) = provisioner.finish(&site).await {
        terminal.warn(&format!(
            "the mark of an unfinished tenant could not be taken from {location}: {fault}; give the same command again, which does"
        ));
    }
    let how = template.map(|template| format!(", {}", template.in_words())).unwrap_or_default();
    let place = match by_source.as_ref().and_then(|given| Some((given, given.source.as_ref()?))) {
        None => format!("it is in {}", file.shown()),
        Some((given, source)) => format!(
            "the source `{}` has it as {}, so {} was not changed",
            clean(source),
            clean(given.id.as_str()),
            file.shown()
        ),
    };
    terminal::print(&format!("provisioned {} at {location}{how}; {place}", clean(id.as_str())))?;
    Ok(0)
}

/// The refusal where nothing is migrated without an approved plan: the tenant is in no file, so no plan can have it. `is_missing`:
/// its database is to be made first.
fn by_approval(program: &Program, args: &ProvisionArgs, tenant: &Tenant, is_missing: bool) -> CliError {
    let NewTenantArgs { id, url, schema, server, tag, .. } = &args.tenant;
    let flags = [("--schema", schema), ("--server", server)];
    let mut add = format!("tenants add {} --url {}", quoted(id), quoted(url));
    flags.into_iter().filter_map(|(flag, value)| Some((flag, value.as_ref()?))).for_each(|(flag, value)| {
        add.push_str(&format!(" {flag} {}", quoted(value)));
    });
    tag.iter().for_each(|(key, value)| add.push_str(&format!(" --tag {}", quoted(&format!("{key}={value}")))));
    // A file or a schema is made by the migration.
    let makes_itself = !tenant.engine.capabilities().server || tenant.schema.is_some();
    add.push_str(if makes_itself { " --create-missing" } else { "" });
    let first = match is_missing && !makes_itself {
        true => format!("make the database {}, empty\nthen ", clean(&engine::location(tenant))),
        false => String::new(),
    };
    CliError::PlanRefused(format!(
        "the tenant file says require_approval, and a plan has only tenants of the file, so {} can't be provisioned; nothing was \
         made\n{first}add it: {}\nthen save a plan: {}\nthen have it approved: {}\nthen run it: {}",
        clean(id),
        program.command(&add),
        program.command(&format!("plan {} --save plan.json", tenant_flag(&tenant.id))),
        program.command("plan approve plan.json --by NAME"),
        program.command("migrate --plan plan.json")
    ))
}

/// The template of this catalog; `None` where there can't be one, which is said, and then the migrations run.
async fn template(
    program: &Program,
    set: &Arc<MigrationSet>,
    provisioner: &dyn Provisioner,
    site: &Site,
) -> Option<Template> {
    let told = |why: &str| program.terminal.warn(&format!("{MIGRATED}: {}", clean(why)));
    let all = 0..set.catalog().migrations.len();
    let scripts = LazyScripts::new(set.clone(), Direction::Up, all, false).get(site.tenant.variant()).await;
    if scripts.iter().any(|script| script.has_variables) {
        told("its scripts hold variables, which are each tenant's own");
        return None;
    }
    let timeouts = program.settings().timeouts();
    let fill = |scratch: Arc<Tenant>| -> futures_util::future::BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move { prove::newest(set, timeouts, &scratch).await })
    };
    let name = name_of(program, set, &scripts);
    match provisioner.template(site, &name, &fill).await {
        Ok(template) => Some(template),
        Err(fault) => {
            told(&fault.message);
            None
        }
    }
}

/// The name of the catalog's template: another text of any script has another name, and so has another build of the program
/// where its own code runs, which has no text.
fn name_of(fleet: &Program, set: &MigrationSet, scripts: &Scripts) -> TemplateName {
    let mut catalog = Sha256::new_with_prefix(format!("{}\n", set.catalog().history_table));
    let mut runs_code = false;
    for script in scripts.iter() {
        catalog.update(format!("{}\n{}\n", script.migration, script.sha256));
        runs_code |= matches!(script.execution, Execution::Native { .. });
    }
    if runs_code && let Ok(build) = std::env::current_exe().and_then(std::fs::metadata) {
        catalog.update(format!("{} {:?}", build.len(), build.modified()));
    }
    // Another fleet of the same program may have other scripts, and needs its template still.
    let file = std::fs::canonicalize(&fleet.registry.path).unwrap_or_else(|_| fleet.registry.path.clone());
    let of_fleet = Sha256::new_with_prefix(format!("{}\n{}", program::name(), file.display()));
    TemplateName { fleet: hex(&of_fleet.finalize()[..4]), catalog: hex(&catalog.finalize()[..8]) }
}

impl ProvisionArgs {
    /// The URL of who makes databases, which is in a variable: it holds a password.
    fn admin(&self) -> Result<Option<SecretString>, CliError> {
        let Some(name) = &self.admin_env else { return Ok(None) };
        let variables = Variables::of_process();
        let url = variables.get(name).filter(|url| !url.is_empty());
        let url = url.ok_or_else(|| CliError::Usage(format!("the environment variable {} is not set", clean(name))))?;
        let parsed = ServerUrl::parse(url).map_err(|problem| {
            CliError::Usage(format!("the environment variable {} {}", clean(name), problem.message))
        })?;
        Ok(Some(parsed.secret()))
    }
}
