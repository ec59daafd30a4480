//! The start of commands that try migrations out: the engines, the places of their scratch databases, and how to stop.
//!
//! No tenant is selected or reached here: the tenant file only says which engines there are.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::args::Engines;
use super::setup::Program;
use super::signals::Signals;
use super::waiting::{Wait, waiting};
use crate::check::prove::{Bench, Stopping};
use crate::compile::MigrationSet;
use crate::engine::ScratchPlace;
use crate::inputs::{ScratchServers, scratch};
use crate::model::tenant::Engine;
use crate::run::{Cancel, Level};

/// The engines in a fixed order, each with its place, or with the remedy for a missing one.
fn places(program: &Program, engines: &Engines) -> Vec<(Engine, Result<ScratchPlace, String>)> {
    let place = |engine| {
        let place = place(&program.settings().scratch, engine);
        place.map_err(|why| format!("{why}; --engine leaves {engine} out on purpose"))
    };
    wanted(program, engines).into_iter().map(|engine| (engine, place(engine))).collect()
}

/// The engines of the flags, or else those of the tenants, in a fixed order.
pub(super) fn wanted(program: &Program, engines: &Engines) -> Vec<Engine> {
    let wanted: BTreeSet<Engine> = engines.engine.iter().copied().collect();
    let used: BTreeSet<Engine> = program.registry.tenants.iter().map(|tenant| tenant.engine).collect();
    let wanted = if wanted.is_empty() { used } else { wanted };
    Engine::ALL.into_iter().filter(|engine| wanted.contains(engine)).collect()
}

/// The remedies for engines without a place for scratch databases.
pub(super) fn missing(program: &Program, engines: &[Engine]) -> Vec<String> {
    let why = |engine: &Engine| place(&program.settings().scratch, *engine).err().map(|why| format!("{engine}: {why}"));
    engines.iter().filter_map(why).collect()
}

pub(super) fn place(servers: &ScratchServers, engine: Engine) -> Result<ScratchPlace, String> {
    let Some(key) = ScratchServers::key(engine) else { return Ok(ScratchPlace::temporary()) };
    servers.url(engine).map(|url| ScratchPlace::Server(engine, url.clone())).ok_or_else(|| {
        format!(
            "no scratch server: set {key} in [scratch] of the tenant file, or {}, to a server where \
             databases may be made",
            scratch::variable(key)
        )
    })
}

/// The result of every engine, and the signal that ended them.
pub(super) struct Tried<T> {
    pub(super) results: Vec<(Engine, Result<T, String>)>,
    /// The exit code for that signal.
    pub(super) interrupted: Option<u8>,
}

impl<T> Tried<T> {
    /// 2 where an error was found; 1 where an engine could not be checked; a signal takes precedence over both.
    pub(super) fn code(&self, is_wrong: bool, could_not: bool) -> u8 {
        match self.interrupted {
            Some(code) => code,
            None if is_wrong => 2,
            None if could_not => 1,
            None => 0,
        }
    }
}

/// Runs `work` for each engine, all of them at once. The first Ctrl-C ends them; their databases are dropped.
pub(super) async fn on_each<T, F: Future<Output = T>>(
    program: &Program,
    set: &Arc<MigrationSet>,
    engines: &Engines,
    work: impl Fn(Bench) -> F,
) -> Tried<T> {
    let cancel = Cancel::default();
    let signals = Signals::listen(cancel.clone());
    let terminal = program.terminal;
    let listening = cancel.clone();
    let stop: Arc<dyn Fn() -> Stopping + Send + Sync> = Arc::new(move || {
        let mut level = listening.subscribe();
        Box::pin(async move {
            if level.wait_for(|level| *level != Level::Running).await.is_err() {
                std::future::pending().await
            }
        })
    });
    let tell: Arc<dyn Fn(String) + Send + Sync> = Arc::new(move |text: String| terminal.warn(&text));
    let timeouts = program.settings().timeouts();
    let done = Arc::new(AtomicUsize::new(0));
    let registry = &program.registry;
    let own = registry.waves.iter().map(|wave| wave.online).chain(registry.tenants.iter().map(|tenant| tenant.online));
    let online = program.settings().online || own.flatten().any(|online| online);
    let bench = |place, variant| Bench {
        place,
        variant,
        set: set.clone(),
        online,
        timeouts,
        stop: stop.clone(),
        tell: tell.clone(),
        done: done.clone(),
    };
    let (work, bench) = (&work, &bench);
    let places = places(program, engines);
    let all = set.catalog().migrations.len() * places.iter().filter(|(_, place)| place.is_ok()).count();
    let tried = places.into_iter().map(|(engine, place)| async move {
        match place {
            Ok(place) => {
                let variant = if set.has_flavours() { place.variant().await } else { engine.into() };
                (engine, Ok(work(bench(place, variant)).await))
            }
            Err(why) => (engine, Err(why)),
        }
    });
    let wait = Wait { what: "trying migrations out", done: &done, all };
    let results = waiting(terminal, wait, futures_util::future::join_all(tried)).await;
    let interrupted = (cancel.level() != Level::Running).then(|| if signals.terminated() { 143 } else { 130 });
    Tried { results, interrupted }
}
