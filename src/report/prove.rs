//! The proofs of each migration on each engine.

use serde_json::json;

use super::sheet::{Cell, Column, Sheet};
use super::style::Tone;
use super::{Format, Style, clean, label};
use crate::check::prove::{EngineProof, OtherPart, Proof, Verdict};

/// All engines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProofView<'a> {
    /// In the order in which they are shown.
    pub(crate) engines: &'a [EngineProof],
    /// Whether a migration without a way down is a failure.
    pub(crate) strict: bool,
}

impl ProofView<'_> {
    /// The text in the form asked for.
    pub(crate) fn render(&self, format: Format, style: &Style) -> String {
        let fields = || json!({ "strict": self.strict, "engines": self.engines });
        format.write(|| self.text(style), fields, || self.sheet())
    }

    /// One row per migration and engine, migrations first; an engine that could not be checked is a row, too.
    fn sheet(&self) -> Sheet {
        let longest = self.engines.iter().map(|engine| engine.proofs.len()).max().unwrap_or(0);
        let proofs =
            (0..longest).flat_map(|index| self.engines.iter().filter_map(move |engine| engine.proofs.get(index)));
        let mut sheet = Sheet::of(proofs)
            .column(Column::new("Migration").at_least(24), |proof| &proof.migration)
            .column("Engine", |proof| proof.engine)
            .column("Result", |proof| {
                let (result, tone) = self.result(&proof.verdict);
                Cell::fixed(result).tone(tone)
            })
            .column(Column::new("Rows").right().expendable(2), |proof| proof.rows)
            .column(Column::new("ms").key("took_ms").right().expendable(1), |proof| proof.took_ms)
            .column(Column::data("Why"), |proof| why(proof).join("; "))
            .sheet();
        for engine in self.engines {
            if let Some(why) = &engine.could_not {
                let result = Cell::from("not proven").tone(Tone::Bad);
                sheet.row(["".into(), engine.engine.into(), result, "".into(), "".into(), why.into()]);
            }
        }
        sheet
    }

    fn result(&self, verdict: &Verdict) -> (&'static str, Tone) {
        match verdict {
            Verdict::Proven => ("proven", Tone::Good),
            Verdict::Irreversible { .. } if self.strict => ("irreversible", Tone::Bad),
            Verdict::Irreversible { .. } => ("irreversible", Tone::Warning),
            Verdict::Failed { .. } => ("failed", Tone::Bad),
            Verdict::NotReached => ("not reached", Tone::Warning),
        }
    }

    fn text(&self, style: &Style) -> String {
        let mut out = self.sheet().table(style);
        let whys = self.why();
        if !whys.is_empty() {
            out.push_str(&format!("\n{}", whys.join("")));
        }
        out.push_str(&format!("\n{}\n", self.total()));
        out
    }

    /// The failures in full, below the table: a cell would cut them off.
    fn why(&self) -> Vec<String> {
        let mut out = Vec::new();
        for engine in self.engines {
            for OtherPart { migration, product } in &engine.other_parts {
                out.push(format!(
                    "{} on {product}: not proven\n  its part for {product} was not sent: the scratch server is the other \
                     product; prove it on a scratch server of {product}, too\n",
                    clean(migration)
                ));
            }
            for proof in &engine.proofs {
                let why = why(proof);
                if !why.is_empty() {
                    let cause = match proof.verdict {
                        Verdict::Irreversible { .. } => "no way down: ",
                        _ => "",
                    };
                    out.push(format!("{} on {}\n", clean(&proof.migration), engine.engine));
                    out.extend(why.iter().map(|line| format!("  {cause}{}\n", clean(line))));
                }
            }
            out.extend(
                engine.could_not.iter().map(|why| format!("{} is not proven\n  {}\n", engine.engine, clean(why))),
            );
        }
        out
    }

    fn total(&self) -> String {
        let all = || self.engines.iter().flat_map(|engine| &engine.proofs);
        let looked = self.engines.iter().filter(|engine| engine.could_not.is_none()).count();
        let mut parts = vec![format!("{} on {}", label::count(all().count(), "proof"), label::count(looked, "engine"))];
        let left = self.engines.len() - looked;
        parts.extend((left > 0).then(|| format!("{} not proven at all", label::count(left, "engine"))));
        for name in ["proven", "irreversible", "failed", "not reached"] {
            let count = all().filter(|proof| self.result(&proof.verdict).0 == name).count();
            parts.extend((count > 0).then(|| format!("{count} {name}")));
        }
        let others: usize = self.engines.iter().map(|engine| engine.other_parts.len()).sum();
        parts.extend((others > 0).then(|| format!("{} for another product not proven", label::count(others, "part"))));
        parts.join(", ")
    }
}

/// The reasons why a migration is not proven, where known.
fn why(proof: &Proof) -> &[String] {
    match &proof.verdict {
        Verdict::Proven | Verdict::NotReached => &[],
        Verdict::Irreversible { reason } => std::slice::from_ref(reason),
        Verdict::Failed { why } => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tenant::Engine;

    fn engines() -> Vec<EngineProof> {
        let proof = |engine, migration: &str, verdict| Proof {
            migration: migration.to_owned(),
            engine,
            verdict,
            rows: 12,
            took_ms: 34,
        };
        let why =
            vec!["down does not restore the schema: table t: index ix is only after".to_owned(), "\x1b[2J".into()];
        let sqlite = vec![
            proof(Engine::Sqlite, "m1_first", Verdict::Proven),
            proof(Engine::Sqlite, "m2_second", Verdict::Failed { why }),
            proof(Engine::Sqlite, "m3_third", Verdict::NotReached),
        ];
        let postgres = vec![
            proof(Engine::Postgres, "m1_first", Verdict::Proven),
            proof(Engine::Postgres, "m2_second", Verdict::Irreversible { reason: "not written".to_owned() }),
        ];
        vec![
            EngineProof { engine: Engine::Sqlite, could_not: None, proofs: sqlite, other_parts: Vec::new() },
            EngineProof {
                engine: Engine::Postgres,
                could_not: Some("interrupted".to_owned()),
                proofs: postgres,
                other_parts: Vec::new(),
            },
            EngineProof::none(Engine::Mysql, "no scratch server".to_owned()),
        ]
    }

    #[test]
    fn all_forms_tell_every_engine() {
        let engines = engines();
        let view = ProofView { engines: &engines, strict: false };
        insta::assert_snapshot!(view.render(Format::Table, &Style::plain(100)), @r#"
        MIGRATION  ENGINE    RESULT        ROWS  MS
        m1_first   sqlite    proven          12  34
        m1_first   postgres  proven          12  34
        m2_second  sqlite    failed          12  34
        m2_second  postgres  irreversible    12  34
        m3_third   sqlite    not reached     12  34
                   postgres  not proven
                   mysql     not proven

        m2_second on sqlite
          down does not restore the schema: table t: index ix is only after
          \x1b[2J
        m2_second on postgres
          no way down: not written
        postgres is not proven
          interrupted
        mysql is not proven
          no scratch server

        5 proofs on 1 engine, 2 engines not proven at all, 2 proven, 1 irreversible, 1 failed, 1 not reached
        "#);
        insta::assert_snapshot!(view.render(Format::Csv, &Style::plain(100)), @r#"
        migration,engine,result,rows,took_ms,why
        m1_first,sqlite,proven,12,34,
        m1_first,postgres,proven,12,34,
        m2_second,sqlite,failed,12,34,down does not restore the schema: table t: index ix is only after; \x1b[2J
        m2_second,postgres,irreversible,12,34,not written
        m3_third,sqlite,not reached,12,34,
        ,postgres,not proven,,,interrupted
        ,mysql,not proven,,,no scratch server
        "#);
        insta::assert_snapshot!(view.render(Format::Md, &Style::plain(100)), @r#"
        | Migration | Engine | Result | Rows | ms | Why |
        | --- | --- | --- | --- | --- | --- |
        | m1_first | sqlite | proven | 12 | 34 |  |
        | m1_first | postgres | proven | 12 | 34 |  |
        | m2_second | sqlite | failed | 12 | 34 | down does not restore the schema: table t: index ix is only after; \\x1b\[2J |
        | m2_second | postgres | irreversible | 12 | 34 | not written |
        | m3_third | sqlite | not reached | 12 | 34 |  |
        |  | postgres | not proven |  |  | interrupted |
        |  | mysql | not proven |  |  | no scratch server |
        "#);
        let json: serde_json::Value = serde_json::from_str(&view.render(Format::Json, &Style::plain(100))).unwrap();
        assert_eq!(json["engines"][0]["proofs"][1]["verdict"], "failed");
        assert_eq!(json["engines"][1]["proofs"][1]["reason"], "not written");
        assert_eq!(json["engines"][2]["could_not"], "no scratch server");
    }
}
