//! The options of a runner.

use std::num::NonZeroUsize;

use clap::Args;

use super::settings::PlanFlags;
use super::shared::ShowArgs;

#[derive(Debug, Args)]
pub(in crate::cli) struct Work {
    /// The run: its id, its beginning or end, or "last" [default: the oldest that is not over]
    pub(in crate::cli) run: Option<String>,
    /// Tenants in flight at once in this process [default: that of the run, `concurrency`]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) slots: Option<NonZeroUsize>,
    /// Stays when the run is over, and takes part in the next one, until Ctrl-C
    #[arg(long, conflicts_with = "run")]
    pub(in crate::cli) stay: bool,
    #[command(flatten)]
    _plan_flags: PlanFlags,
    #[command(flatten)]
    pub(in crate::cli) show: ShowArgs,
}
