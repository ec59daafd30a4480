//! Words that people type because another tool, or habit, calls a thing so: each is answered with the command of this
//! program. Spelling alone decides nothing: `history` is nearer to `restore` than to anything that it means elsewhere.

use std::fmt::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::setup::quoted;
use crate::model::program;
use crate::model::tenant::TenantId;
use crate::model::text::{distance, suggestion};

/// Words of Flyway, Liquibase, Alembic, Rails, Django, Laravel, Prisma, Diesel, dbmate, goose, Atlas, golang-migrate,
/// Flask, Knex and SeaORM's own command line, and the commands here that do what they do there.
const WORDS: [(&str, &[&str]); 38] = [
    ("apply upgrade deploy update latest push run all sync update-database", &["migrate", "plan"]),
    ("to goto upto up-to migrate-to update-to", &["migrate --to", "rollback --to"]),
    ("by-one up-by-one step steps", &["migrate --steps", "rollback --steps"]),
    ("revert undo downgrade back rollback-to rollback-count down-to", &["rollback"]),
    ("redo", &["rollback --steps", "migrate"]),
    ("fresh drop clean wipe nuke drop-all truncate refresh-all", &["rollback --all", "reset"]),
    ("diff preview dry-run dryrun what-if prepare", &["plan", "check"]),
    ("sql sqlmigrate update-sql script show-sql migrate-sql", &["plan --sql"]),
    ("pending outdated showmigrations st state", &["status", "history"]),
    ("info list ls head heads show branches", &["history", "status", "tenants list"]),
    ("version versions", &["current", "history", "--version"]),
    ("timeline catalog changelog", &["history"]),
    ("tenant databases dbs servers", &["tenants list"]),
    ("logs log events audit last runs-list report", &["runs list", "runs show"]),
    ("resume continue retry", &["runs resume", "migrate --failed-of"]),
    ("resolve settle unstick", &["runs resolve"]),
    ("validate preflight analyze linter ready", &["lint", "doctor", "prove"]),
    ("assert assertion compare", &["verify", "check"]),
    ("ping wait connect-test test-connection wait-for", &["tenants check"]),
    ("test selftest rehearse", &["prove"]),
    ("repair fix accept", &["scripts repair", "stamp", "runs resolve"]),
    ("force fake mark changelog-sync mark-as-applied", &["stamp", "baseline"]),
    ("adopt import baseline-on-migrate introspect pull", &["baseline"]),
    ("drift drift-check entities", &["check"]),
    ("unlock release-locks list-locks blockers", &["locks", "runs resolve"]),
    ("generate gen create add make makemigrations revision new-migration migrate-new", &["new", "new --sql"]),
    ("query execute sql-query each foreach inspect", &["exec"]),
    ("console dbshell db-shell psql mysql mariadb sqlite3 connect dbconsole", &["shell"]),
    ("dump snapshot export backups", &["backup", "backup list"]),
    ("load recover restore-latest", &["restore --latest"]),
    ("fixtures loaddata seed-data populate fake-data", &["seed"]),
    ("settings configuration env show-config", &["config"]),
    ("views materialize refresh-views", &["refresh"]),
    ("scripts-list script-list", &["scripts list"]),
    ("grid table overview", &["matrix"]),
    ("completion autocomplete", &["completions"]),
    ("exit-codes codes", &["help-exit-codes"]),
    ("usage manual", &["--help", "man"]),
];

/// Flags that people type, and the remedy; of a command that has the flag, clap takes it.
const FLAGS: [(&str, &str); 8] = [
    ("target to-version revision until", "the last migration to apply is --to MIGRATION"),
    ("force assume-yes no-input noinput auto-approve", "to go ahead without a question: --yes"),
    ("fake fake-initial", "a version is recorded without running it by `stamp --to VERSION` or `baseline VERSION`"),
    ("sql show-sql", "the SQL is shown by `plan --sql`"),
    ("plan preview check what-if", "to see what would happen: --dry-run, or `plan`"),
    (
        "database db url database-url dsn connection",
        "databases are tenants of the tenant file; one of them is taken by --tenant ID",
    ),
    ("engine engines dialect flavour", "tenants are selected by --server SERVER, --tag KEY=VALUE or --tenant GLOB"),
    ("dir path source locations migrations-dir", "the folder of SQL scripts is --scripts FOLDER"),
];

/// First words that other tools put before the command: `db:migrate`, `migration run`.
const ROOMS: [&str; 8] = ["db", "database", "migrate", "migration", "migrations", "schema", "make", "m"];

/// Tools whose whole command people type.
const TOOLS: [&str; 17] = [
    "sqlx",
    "prisma",
    "flyway",
    "liquibase",
    "alembic",
    "diesel",
    "rails",
    "rake",
    "sea-orm-cli",
    "sea",
    "dbmate",
    "goose",
    "atlas",
    "knex",
    "artisan",
    "cargo",
    "npx",
];

/// The answer to a command line that clap refused, where this program has a better one. `args`: all words typed.
pub(super) fn answer(error: &clap::Error, root: &clap::Command, args: &[String]) -> Option<String> {
    let of = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let word = of(ContextKind::InvalidSubcommand)?;
            let (path, command) = reached(root, args, word);
            match path.as_slice() {
                [] => Some(unknown(root, word, args)),
                _ => Some(nested(&path.join(" "), command, word)),
            }
        }
        ErrorKind::UnknownArgument => {
            let word = of(ContextKind::InvalidArg)?;
            let (path, command) = reached(root, args, word);
            match word.strip_prefix("--") {
                Some(flag) => remedy(flag)
                    .map(|remedy| format!("{} has no {word}; {remedy}\n\n{}", path.join(" "), more(&path.join(" ")))),
                None if word.starts_with('-') => number_of_steps(root, &path, command, word),
                None => stray(root, (&path, command), (word, args)),
            }
        }
        ErrorKind::MissingRequiredArgument => {
            let (path, command) = reached(root, args, "");
            let is_rollback =
                path == ["rollback"] && command.get_arguments().any(|arg| arg.get_long() == Some("steps"));
            let ways = ["rollback --steps", "rollback --to", "rollback --all"].map(str::to_owned);
            is_rollback.then(|| format!("rollback is told how far\n{}\n{}", lines(root, &ways), more("rollback")))
        }
        _ => None,
    }
}

/// The command that the words before this one lead to.
fn reached<'c>(root: &'c clap::Command, args: &[String], end: &str) -> (Vec<String>, &'c clap::Command) {
    let (mut path, mut command) = (Vec::new(), root);
    for word in args.iter().skip(1).take_while(|word| *word != end) {
        if let Some(found) = command.find_subcommand(word) {
            path.push(found.get_name().to_owned());
            command = found;
        }
    }
    (path, command)
}

/// The words behind this one that are no flags.
fn following<'a>(args: &'a [String], word: &str) -> Vec<&'a str> {
    let at = args.iter().position(|arg| arg == word).map_or(args.len(), |at| at + 1);
    args[at..].iter().map(String::as_str).filter(|next| !next.starts_with('-')).collect()
}

/// The commands behind a word of other tools, or of one that has the word as its own with something in front of it.
fn meant(root: &clap::Command, word: &str) -> Option<Vec<String>> {
    let word = word.to_lowercase().replace('_', "-");
    let in_room = word.split_once([':', '-']).filter(|(room, _)| ROOMS.contains(room)).map(|(_, rest)| rest);
    [Some(word.as_str()), in_room].into_iter().flatten().find_map(|word| {
        let listed = WORDS.iter().find(|(words, _)| words.split(' ').any(|known| known == word));
        let own = || root.find_subcommand(word).map(|own| vec![own.get_name().to_owned()]);
        listed.map(|(_, commands)| commands.iter().map(|command| (*command).to_owned()).collect()).or_else(own)
    })
}

fn remedy(flag: &str) -> Option<&'static str> {
    let flag = flag.split('=').next().unwrap_or(flag);
    FLAGS.iter().find(|(words, _)| words.split(' ').any(|known| known == flag)).map(|(_, remedy)| *remedy)
}

fn unknown(root: &clap::Command, word: &str, args: &[String]) -> String {
    let behind = following(args, word);
    let of = |words: &[&str]| match words {
        [room, next, ..] if ROOMS.contains(room) => meant(root, next).or_else(|| meant(root, room)),
        [first, ..] => meant(root, first),
        [] => None,
    };
    let own: Vec<&str> = behind.iter().copied().skip_while(|word| TOOLS.contains(word)).collect();
    if TOOLS.contains(&word)
        && let Some(commands) = of(&own)
    {
        return is_here(root, &format!("{word} {}", behind.join(" ")), &commands, "");
    }
    let words: Vec<&str> = std::iter::once(word).chain(behind).collect();
    if let Some(commands) = of(&words) {
        return format!("there is no command `{word}`; here it is\n{}\n{}", lines(root, &commands), more(""));
    }
    let own = names(root);
    let others = || WORDS.iter().flat_map(|(words, _)| words.split(' '));
    let near = suggestion(word, own.iter().map(String::as_str).chain(others()));
    match near.and_then(|near| meant(root, near)) {
        Some(commands) => {
            format!("there is no command `{word}`; did you mean\n{}\n{}", lines(root, &commands), more(""))
        }
        None => format!("there is no command `{word}`\n\n{}", more("")),
    }
}

/// A word that is no command of a group such as `runs`.
fn nested(path: &str, group: &clap::Command, word: &str) -> String {
    let is_run = word == "last" || (word.len() >= 4 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-'));
    if path == "runs" && is_run {
        let show = |name: &str| Some((format!("runs {name} {word}"), about(group.find_subcommand(name)?)));
        let rows: Vec<(String, String)> = ["show", "resume"].into_iter().filter_map(show).collect();
        return format!("there is no command `runs {word}`; of a run there are\n{}\n{}", table(&rows), more(path));
    }
    let own = names(group);
    let near = own.iter().filter(|name| distance(word, name) <= word.len() / 3).min_by_key(|name| distance(word, name));
    let shown: Vec<String> = near.map_or_else(|| own.clone(), |near| vec![near.clone()]);
    let head = if near.is_some() { "; did you mean" } else { "; there are" };
    let whole: Vec<(String, String)> = shown
        .iter()
        .filter_map(|name| group.find_subcommand(name))
        .map(|command| (format!("{path} {}", command.get_name()), about(command)))
        .collect();
    format!("there is no command `{path} {word}`{head}\n{}\n{}", table(&whole), more(path))
}

fn is_here(root: &clap::Command, typed: &str, commands: &[String], path: &str) -> String {
    format!("there is no `{typed}`; here it is\n{}\n{}", lines(root, commands), more(path))
}

/// A number of steps without its flag, with that of another tool, or below 0, behind a command that counts steps.
fn number_of_steps(root: &clap::Command, path: &[String], command: &clap::Command, word: &str) -> Option<String> {
    command.get_arguments().find(|arg| arg.get_long() == Some("steps"))?;
    let (path, number) = (path.join(" "), word.parse::<i64>().ok());
    let back = number.is_some_and(|n| n < 0);
    number.or((word == "-n").then_some(1))?;
    let ways = if back { vec!["rollback --steps".to_owned()] } else { vec![format!("{path} --steps")] };
    let what = if back { "the way back" } else { "a number of steps" };
    Some(format!("{what} is told by a flag\n{}\n{}", lines(root, &ways), more(&path)))
}

/// A word behind a command that takes none: another command, or a tenant's id without its flag.
fn stray(
    root: &clap::Command,
    (path_words, command): (&[String], &clap::Command),
    (word, args): (&str, &[String]),
) -> Option<String> {
    let path = path_words.join(" ");
    if path == "stamp" {
        let ways = ["stamp --to".to_owned(), "history".to_owned()];
        return Some(format!("stamp takes the version by its flag\n{}\n{}", lines(root, &ways), more(&path)));
    }
    if let Some(commands) = meant(root, word) {
        return Some(is_here(root, &format!("{path} {word}"), &commands, &path));
    }
    let has = |long: &str| command.get_arguments().any(|arg| arg.get_long() == Some(long));
    if has("steps") && word.parse::<u32>().is_ok() {
        return number_of_steps(root, path_words, command, word);
    }
    command.get_arguments().find(|arg| arg.get_long() == Some("tenant"))?;
    let at = args.iter().position(|arg| arg == word)?;
    let words = args.iter().enumerate().skip(1).map(|(place, arg)| {
        let is_id = place >= at && args[at..=place].iter().all(|arg| !arg.starts_with('-'));
        if is_id { super::setup::tenant_flag(&TenantId::from(arg.as_str())) } else { quoted(arg) }
    });
    let line: Vec<String> = words.collect();
    let mut text = format!("{path} takes a tenant by its flag: {} {}", program::name(), line.join(" "));
    if command.get_arguments().any(|arg| arg.get_long() == Some("to")) {
        let _ = write!(text, "\na migration to stop at is named by --to {}", quoted(word));
    }
    Some(format!("{text}\n\n{}", more(&path)))
}

/// The names and aliases of a command's own commands, hidden ones left out.
fn names(command: &clap::Command) -> Vec<String> {
    let shown = command.get_subcommands().filter(|own| !own.is_hide_set());
    shown.flat_map(|own| std::iter::once(own.get_name()).chain(own.get_all_aliases())).map(str::to_owned).collect()
}

fn about(command: &clap::Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// Each command with its description; one with a flag has that of the flag.
fn lines(root: &clap::Command, commands: &[String]) -> String {
    let of = |line: &String| {
        let (mut command, mut text, mut value) = (root, String::new(), String::new());
        for word in line.split(' ') {
            match word.strip_prefix("--") {
                Some(long) => {
                    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(long));
                    let help = arg.and_then(clap::Arg::get_help).map(ToString::to_string);
                    text = help.unwrap_or_else(|| long.to_owned());
                    let names = arg.filter(|arg| arg.get_action().takes_values()).and_then(clap::Arg::get_value_names);
                    value = names.and_then(<[_]>::first).map(|name| format!(" {name}")).unwrap_or_default();
                }
                None => {
                    command = command.find_subcommand(word).unwrap_or(command);
                    text = about(command);
                }
            }
        }
        (format!("{line}{value}"), text)
    };
    table(&commands.iter().map(of).collect::<Vec<_>>())
}

fn table(rows: &[(String, String)]) -> String {
    let wide = rows.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    let row = |(line, text): &(String, String)| format!("  {} {line:<wide$}  {text}\n", program::name());
    rows.iter().map(row).collect()
}

fn more(path: &str) -> String {
    let path = if path.is_empty() { String::new() } else { format!("{path} ") };
    format!("all there is: {} {path}--help", program::name())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::args::Cli;

    #[test]
    fn every_word_has_one_answer_that_exists_and_hides_no_command() {
        let mut root = Cli::command();
        root.build();
        let mut seen = HashSet::new();
        for (words, commands) in WORDS {
            for word in words.split(' ') {
                assert!(seen.insert(word), "{word} is there twice");
                assert!(root.find_subcommand(word).is_none(), "{word} is a command itself");
            }
            for line in commands {
                let mut command = &root;
                for word in line.split(' ') {
                    match word.strip_prefix("--") {
                        Some(long) => {
                            let has = command.get_arguments().any(|arg| arg.get_long() == Some(long));
                            assert!(has || ["version", "help"].contains(&long), "{line}");
                        }
                        None => command = command.find_subcommand(word).unwrap_or_else(|| panic!("{line}")),
                    }
                }
            }
        }
    }
}
