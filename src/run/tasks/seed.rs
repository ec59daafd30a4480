//! Generated rows for a tenant's tables.

use std::sync::Mutex;
use std::time::Instant;

use crate::engine::{Notice, PartialState, Session, TELL_EVERY};
use crate::model::fault::Fault;
use crate::model::outcome::Outcome;
use crate::run::unit::{Assignment, Attempt, AttemptEnd};
use crate::seed::{self, SeededTable};

impl Assignment {
    /// Fills tables. Dying in it leaves whole batches; `--append` continues after them.
    pub(super) async fn seed(&self, session: &mut dyn Session, history: Vec<String>) -> Attempt {
        let Some(request) = &self.plan.seed else { return Attempt::without_work(Some(history), AttemptEnd::Nothing) };
        let told = Mutex::new(Instant::now());
        let progress = |made: &SeededTable| {
            let mut told = told.lock().expect("nobody panics while holding it");
            if told.elapsed() >= TELL_EVERY {
                *told = Instant::now();
                let migration = made.table.as_str().into();
                self.teller.tell(Notice::Rows { migration, statement: None, rows: made.added });
            }
        };
        let probe = session.probe();
        let result = tokio::select! {
            result = seed::seed(session, request, &progress) => result.map_err(|stop| {
                let text = format!("{stop}; {} rows were added before that and stay", stop.done.added());
                let fault = Fault { message: text, ..stop.fault };
                AttemptEnd::stopped(fault, PartialState::Nothing)
            }),
            fault = self.abandoned(probe) => Err(AttemptEnd::stopped(fault, PartialState::Unknown)),
            () = self.cancel.cancelled() => Err(AttemptEnd::Cancelled { at: None, residue: PartialState::Nothing }),
        };
        let end = match result {
            Ok(summary) => {
                summary.tables.iter().filter_map(|table| table.note()).for_each(|note| {
                    self.teller.tell(Notice::Note(note));
                });
                AttemptEnd::Task(Outcome::Seeded { n: summary.added() })
            }
            Err(end) => end,
        };
        Attempt::without_work(Some(history), end)
    }
}
