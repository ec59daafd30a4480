//! `init`: a tenant file and a crate of migrations for a new project, or a tenant file for a list of databases that are there.
//! It reaches no database and replaces no file.

use std::path::{Path, PathBuf};

use super::args::Init;
use super::exit::{CliError, SMALLEST};
use super::new::create;
use super::terminal::{self, Terminal};
use crate::inputs::registry::{self, NewTenant, Registry};
use crate::inputs::{Overrides, Variables, expand};
use crate::model::program;
use crate::report::clean;

/// The most wrong lines of a list that are shown.
const MOST_SHOWN: usize = 20;

/// The crate's `src/lib.rs`.
const LIB: &str = include_str!("init/lib.txt");

/// Its `src/main.rs`.
const MAIN: &str = include_str!("init/main.txt");

impl Init {
    /// Makes the files. Dying in it: those that were named are whole, and the same command names the first of them.
    pub(super) fn run(&self, terminal: Terminal) -> Result<u8, CliError> {
        let folder = self.dir.clone().unwrap_or_else(|| PathBuf::from("."));
        let tenants = folder.join("tenants.toml");
        let mut files = vec![(tenants.clone(), self.tenant_file(&tenants, terminal)?)];
        if self.from.is_none() {
            let crate_of = folder.join("migration");
            files.push((crate_of.join("Cargo.toml"), manifest(&self.fleet)));
            files.push((crate_of.join("src/lib.rs"), LIB.to_owned()));
            files.push((crate_of.join("src/main.rs"), MAIN.to_owned()));
        }
        if let Some((there, _)) = files.iter().find(|(file, _)| std::fs::symlink_metadata(file).is_ok()) {
            return Err(CliError::Usage(format!(
                "{} is there already; nothing was made",
                clean(&there.to_string_lossy())
            )));
        }
        for (file, text) in &files {
            let above = file.parent().unwrap_or(Path::new("."));
            let made = std::fs::create_dir_all(above);
            made.map_err(|error| CliError::Write { what: above.display().to_string(), error })?;
            create(file, text)?;
        }
        let name = program::name();
        if program::is_sample() {
            terminal.warn(&format!(
                "this program, {name}, holds the migrations of fleet's own sample, and its `migrate` makes the sample's tables: \
                 migrate your tenants with a program of your own"
            ));
        }
        terminal::print(&match self.from {
            Some(_) => format!(
                "next: {name} tenants check\nwhere a database has tables and no history: {name} baseline VERSION"
            ),
            None => format!(
                "next: set `fleet` in migration/Cargo.toml to where it is, then {name} new NAME, and in migration: cargo run -- \
                 migrate"
            ),
        })?;
        Ok(0)
    }

    /// The text of the tenant file, which can be read.
    fn tenant_file(&self, place: &Path, terminal: Terminal) -> Result<String, CliError> {
        let text = match &self.from {
            None => SMALLEST.lines().map(|line| format!("{}\n", line.trim())).collect(),
            Some(list) => {
                let read = match list.as_os_str() == "-" {
                    true => std::io::read_to_string(std::io::stdin()),
                    false => crate::external::file::read_text(list),
                };
                let text = read.map_err(|error| {
                    CliError::Usage(format!("can't read {}: {error}", clean(&list.to_string_lossy())))
                })?;
                listed(&text)?
            }
        };
        let read = Registry::parse(&text, place, &Overrides::default(), &Variables::of_process());
        let registry = read.map_err(|mistakes| CliError::Mistakes {
            rendered: format!("{}\nnothing was made", mistakes.render(terminal.err.colour)),
        })?;
        registry.warnings.iter().for_each(|warning| terminal.warn(warning));
        Ok(text)
    }
}

/// The tenants of a list of lines `id,url`, in its order. The whole list is read before anything is said about it.
fn listed(list: &str) -> Result<String, CliError> {
    let (mut text, mut wrong, mut found) = (String::new(), Vec::new(), 0);
    for (number, line) in list.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || (number == 0 && line.eq_ignore_ascii_case("id,url")) {
            continue;
        }
        let mut mistake = |what: &str| wrong.push(format!("line {}: {what}", number + 1));
        let Some((id, url)) = line.split_once(',').map(|(id, url)| (unquoted(id), unquoted(url))) else {
            mistake("write ID,URL");
            continue;
        };
        if expand(url, &Variables::of_process()).is_ok_and(|expanded| expanded.literal_password) {
            mistake(
                "its URL holds a password, which would be in the file; write ${VAR} in its place, or leave it out and say \
                     in [defaults] where it is kept: password = { env = \"VAR\" }, { file = .. } or { command = [..] }",
            );
            continue;
        }
        let new = NewTenant { id: id.to_owned(), url: url.to_owned(), ..NewTenant::default() };
        text.push_str(if found == 0 { "" } else { "\n" });
        text.push_str(&registry::added("", &new).expect("an empty text has no other tenant"));
        found += 1;
    }
    match wrong.is_empty() {
        true if found == 0 => Err(CliError::Usage("there is no line ID,URL in the list; nothing was made".to_owned())),
        true => Ok(text),
        false => {
            let more = wrong.len().saturating_sub(MOST_SHOWN);
            wrong.truncate(MOST_SHOWN);
            wrong.extend((more > 0).then(|| format!("and {more} more")));
            Err(CliError::Usage(format!("the list can't be taken, and nothing was made:\n  {}", wrong.join("\n  "))))
        }
    }
}

fn unquoted(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field)
}

/// The manifest of the crate: the dependencies are those of the book's page about embedding.
fn manifest(fleet: &str) -> String {
    format!(
        "[package]\nname = \"migration\"\nversion = \"0.1.0\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\n# Without the \
         default features, the migrations of fleet's own sample are left out.\nfleet = {{ path = {}, default-features = false \
         }}\nasync-trait = \"0.1\"\nsea-orm-migration = {{ version = \"2.0.4\", default-features = false, features = [\n    \
         \"sqlx-sqlite\", \"sqlx-postgres\", \"sqlx-mysql\", \"runtime-tokio-rustls\",\n] }}\n",
        toml_edit::Value::from(fleet)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of `init` are those that the book tells people to write.
    #[test]
    fn the_crate_is_that_of_the_book() {
        let book = include_str!("../../docs/book/src/embed.md");
        let block = book.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let block = &block[block.find("[dependencies]").unwrap()..];
        assert!(manifest("../fleet").ends_with(block), "{}", manifest("../fleet"));
        for line in ["fn main() -> std::process::ExitCode {", "fleet::cli::set_version(env!(\"CARGO_PKG_VERSION\"))"] {
            assert!(book.contains(line) && MAIN.contains(line), "{line}");
        }
        assert!(
            book.contains("fleet::cli::main(my_migration::Migrator)")
                && MAIN.contains("fleet::cli::main(migration::Migrator)")
        );
    }

    #[test]
    fn a_list_is_taken_as_a_whole() {
        let text = listed("id,url\n# ours\nacme,sqlite:a.db\n\"beta\", \"postgres://u@h/b\"\n").unwrap();
        assert_eq!(
            text,
            "[[tenant]]\nid = \"acme\"\nurl = \"sqlite:a.db\"\n\n[[tenant]]\nid = \"beta\"\nurl = \"postgres://u@h/b\"\n"
        );
        let wrong = listed("acme\nbeta,postgres://u:s3cret@h/b\n").unwrap_err().to_string();
        assert!(
            wrong.contains("line 1: write ID,URL") && wrong.contains("line 2: its URL holds a password"),
            "{wrong}"
        );
        assert!(!wrong.contains("s3cret"));
        assert!(listed("\n").unwrap_err().to_string().contains("no line ID,URL"));
    }
}
