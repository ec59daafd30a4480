//! `prove`: every migration up, down and up again, and natively, on scratch databases.

use super::args::Prove;
use super::command::Run;
use super::exit::CliError;
use super::scratch;
use super::setup::Program;
use crate::check::prove::{self, EngineProof, Fill, Nothing, Seeds};
use crate::report::prove::ProofView;
use crate::seed::SeedRequest;

impl Run for Prove {
    async fn run(self, program: &Program) -> Result<u8, CliError> {
        let set = program.set().await?;
        let fill: Box<dyn Fill> = if self.empty {
            Box::new(Nothing)
        } else {
            let (rows, derived, rules) = (self.rows.clone(), set.derived(), program.seed_rules()?);
            Box::new(Seeds(SeedRequest { rows, derived, rules, ..SeedRequest::default() }))
        };
        let fill = fill.as_ref();
        let prove = |bench| async move { prove::prove(&bench, fill).await };
        let tried = scratch::on_each(program, &set, &self.engines, prove).await;
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
        let is_wrong = proofs.iter().any(|proof| proof.has_failures(self.strict));
        let could_not = proofs.iter().any(|proof| proof.could_not.is_some());
        let output = &self.show.output;
        let view = ProofView { engines: &proofs, strict: self.strict };
        output.deliver(&view.render(output.format, &output.style(program)))?;
        Ok(tried.code(is_wrong, could_not))
    }
}
