//! What was proven of each migration on each engine.

use serde_json::json;

use super::style::{Format, Style, Tone};
use super::table::{Cell, Column, Table};
use super::{clean, csv_text, json, label, markdown};
use crate::check::prove::{EngineProof, Proof, Verdict};

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
        match format {
            Format::Table => self.text(style),
            Format::Json => json::document(json!({ "strict": self.strict, "engines": self.engines })),
            Format::Csv => csv_text::write(
                &["migration", "engine", "result", "rows", "took_ms", "why"],
                self.rows().iter().map(|row| row.iter().map(String::as_str)),
            ),
            Format::Md => markdown::table(&["Migration", "Engine", "Result", "Rows", "ms", "Why"], self.rows()),
        }
    }

    /// One row a migration and engine, migrations first; an engine that could not be looked at is a row, too.
    fn rows(&self) -> Vec<[String; 6]> {
        let longest = self.engines.iter().map(|engine| engine.proofs.len()).max().unwrap_or(0);
        let of_engine = |engine: &EngineProof, index: usize| engine.proofs.get(index).map(|proof| self.row(proof));
        let mut rows: Vec<[String; 6]> = (0..longest)
            .flat_map(|index| self.engines.iter().filter_map(move |engine| of_engine(engine, index)))
            .collect();
        for engine in self.engines {
            if let Some(why) = &engine.could_not {
                let none = String::new;
                rows.push([none(), engine.engine.to_string(), "not proven".into(), none(), none(), why.clone()]);
            }
        }
        rows
    }

    fn row(&self, proof: &Proof) -> [String; 6] {
        let why = match &proof.verdict {
            Verdict::Proven | Verdict::NotReached => String::new(),
            Verdict::Irreversible { reason } => reason.clone(),
            Verdict::Failed { why } => why.join("; "),
        };
        let (rows, took) = (proof.rows.to_string(), proof.took_ms.to_string());
        let result = self.result(&proof.verdict).0.to_owned();
        [proof.migration.clone(), proof.engine.to_string(), result, rows, took, why]
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
        let mut table = Table::new([
            Column::new("MIGRATION").at_least(24),
            Column::new("ENGINE"),
            Column::new("RESULT"),
            Column::new("ROWS").right().expendable(2),
            Column::new("MS").right().expendable(1),
        ]);
        for [migration, engine, result, rows, took, _] in self.rows() {
            let tone = match result.as_str() {
                "proven" => Tone::Good,
                "failed" | "not proven" => Tone::Bad,
                _ => Tone::Warning,
            };
            table.row([migration.into(), engine.into(), Cell::new(result).tone(tone), rows.into(), took.into()]);
        }
        let mut out = table.render(style);
        let whys = self.why();
        if !whys.is_empty() {
            out.push_str(&format!("\n{}", whys.join("")));
        }
        out.push_str(&format!("\n{}\n", self.total()));
        out
    }

    /// What is wrong stands whole under the table: a cell would cut it where it matters.
    fn why(&self) -> Vec<String> {
        let mut out = Vec::new();
        for engine in self.engines {
            for proof in &engine.proofs {
                let lines = match &proof.verdict {
                    Verdict::Proven | Verdict::NotReached => continue,
                    Verdict::Irreversible { reason } => vec![format!("no way down: {reason}")],
                    Verdict::Failed { why } => why.clone(),
                };
                out.push(format!("{} on {}\n", clean(&proof.migration), engine.engine));
                out.extend(lines.iter().map(|line| format!("  {}\n", clean(line))));
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
        parts.join(", ")
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
            EngineProof { engine: Engine::Sqlite, could_not: None, proofs: sqlite },
            EngineProof { engine: Engine::Postgres, could_not: Some("interrupted".to_owned()), proofs: postgres },
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
