//! `prove`: every migration up, down and up again, and natively, on scratch databases.

use std::sync::Arc;

use super::args::Prove;
use super::exit::CliError;
use super::scratch;
use super::setup::Program;
use crate::check::prove::{self, EngineProof, Fill, Nothing, Seeds};
use crate::compile::MigrationSet;
use crate::report::prove::ProofView;
use crate::seed::SeedRequest;

pub(super) async fn prove(program: &Program, set: &Arc<MigrationSet>, args: &Prove) -> Result<u8, CliError> {
    let fill: Box<dyn Fill> = if args.empty {
        Box::new(Nothing)
    } else {
        Box::new(Seeds(SeedRequest { rows: args.rows.clone(), derived: set.derived(), ..SeedRequest::default() }))
    };
    let fill = fill.as_ref();
    let prove = |bench| async move { prove::prove(&bench, fill).await };
    let tried = scratch::on_each(program, set, &args.engines, prove).await;
    let proofs: Vec<EngineProof> = tried
        .results
        .iter()
        .map(|(engine, result)| match result {
            Ok(proof) => proof.clone(),
            Err(why) => EngineProof::none(*engine, why.clone()),
        })
        .collect();
    for proof in &proofs {
        if let Some(why) = &proof.could_not {
            program.terminal.warn(&format!("{} is not proven: {why}", proof.engine));
        }
    }
    let is_wrong = proofs.iter().any(|proof| proof.has_failures(args.strict));
    let could_not = proofs.iter().any(|proof| proof.could_not.is_some());
    let view = ProofView { engines: &proofs, strict: args.strict };
    args.output.deliver(&view.render(args.output.shape(), &args.output.style(program)))?;
    Ok(tried.code(is_wrong, could_not))
}
