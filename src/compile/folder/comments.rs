//! Directives in a script's comments: fleet's own, and equivalent ones of other tools.
//!
//! An unknown word is an error: a silently ignored directive would do harm.

use std::sync::Arc;

use super::ViewNote;
use super::batches;
use super::foreign;
use super::part::Found;
use crate::model::schema::Direction;
use crate::model::tenant::Engine;
use crate::model::text::{excerpt, suggestion};
use crate::policy::{Limits, RefreshGroup, parse_duration};
use crate::sql::lex::{self, Kind};
use crate::sql::split::Piece;
use crate::sql::statement::{Directive, allowed, comment_text, fleet_comment};

/// The directives in the comments of one file.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// `Some(false)` once any comment rules out a transaction.
    pub(super) transaction: Option<bool>,
    /// Whether the file asks for its online form, or for none.
    pub(super) online: Option<bool>,
    /// The time limits from the head of the file.
    pub(super) limits: Limits,
    /// The view that is created, and the line that says so.
    pub(super) view: Option<(ViewNote, usize)>,
    /// The line that marks the file as intentionally empty.
    pub(super) nothing: Option<usize>,
    /// Whether placeholders in the file are plain text.
    pub(super) is_literal: bool,
    /// Whether the file has variables.
    pub(super) has_variables: bool,
    /// The names of the scripts that this one replaces.
    pub(super) replaces: Vec<Arc<str>>,
    /// The first statement of the refresh, and the line that says so.
    pub(super) refresh: Option<(usize, usize)>,
    /// Statements with a directive, and its line.
    pub(super) statements: Vec<(usize, Directive, usize)>,
    /// Statements that fleet itself is to part into batches of so many rows, and the line that says so.
    pub(super) batches: Vec<(usize, u32, usize)>,
}

/// The position of a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before any code; it may also belong to the first statement.
    Head {
        has_statement: bool,
    },
    /// Directly before a statement.
    Before(usize),
    Inside,
    /// After all statements.
    Behind,
}

const WORDS: [&str; 15] = [
    "transaction=false",
    "online",
    "lock_timeout=",
    "statement_timeout=",
    "view=",
    "group=",
    "nothing",
    "literal",
    "variables",
    "replaces=",
    "refresh",
    "batch",
    "batch=",
    "report",
    "allow=",
];

/// Reads the comments of a file.
pub(super) fn read(engine: Engine, direction: Direction, text: &str, pieces: &[Piece<'_>]) -> (Notes, Vec<Found>) {
    let mut found = Vec::new();
    let mut reader = Reader { direction, notes: Notes::default(), in_liquibase: false, found: &mut found };
    // sqlx only looks at the first bytes of the file.
    if text.starts_with("-- no-transaction") {
        reader.notes.transaction = Some(false);
    }
    if !["--", "/*", "#"].iter().any(|begin| text.contains(begin)) {
        return (reader.notes, found);
    }
    let codes: Vec<usize> = pieces.iter().map(|piece| code_of(engine, piece)).collect();
    let (mut next, mut line, mut counted) = (0, 1, 0);
    for token in lex::tokens(engine, text).filter(|token| token.kind == Kind::Comment) {
        while next < pieces.len() && token.start >= pieces[next].start + pieces[next].text.len() {
            next += 1;
        }
        let place = match codes.get(next) {
            _ if codes.first().is_none_or(|&code| token.start < code) => {
                Place::Head { has_statement: !pieces.is_empty() }
            }
            Some(&code) if token.start < code => Place::Before(next),
            Some(_) => Place::Inside,
            None => Place::Behind,
        };
        line += text.as_bytes()[counted..token.start].iter().filter(|&&b| b == b'\n').count();
        counted = token.start;
        reader.comment(&text[token.start..token.end], place, line);
    }
    (reader.notes, found)
}

/// The byte offset of a statement's first code in the whole text.
fn code_of(engine: Engine, piece: &Piece<'_>) -> usize {
    let mut code = lex::tokens(engine, piece.text).filter(|t| !matches!(t.kind, Kind::Space | Kind::Comment));
    piece.start + code.next().map_or(0, |token| token.start)
}

struct Reader<'a> {
    direction: Direction,
    notes: Notes,
    /// A comment began a file of Liquibase.
    in_liquibase: bool,
    found: &'a mut Vec<Found>,
}

impl Reader<'_> {
    fn wrong(&mut self, line: usize, what: impl Into<String>, instead: impl Into<String>) {
        self.found.push(Found::new(Some(line), what, instead));
    }

    /// Whether a directive is in the head, where it belongs.
    fn is_in_head(&mut self, directive: &str, place: Place, line: usize) -> bool {
        let is_head = matches!(place, Place::Head { .. });
        if !is_head {
            let what = format!("`{directive}` belongs to the head of the file");
            self.wrong(line, what, "move it above the first statement");
        }
        is_head
    }

    fn comment(&mut self, comment: &str, place: Place, line: usize) {
        if let Some(words) = fleet_comment(comment) {
            return self.directive(words, place, line);
        }
        let text = comment_text(comment).to_ascii_lowercase();
        if text.starts_with("fleet:") || text.starts_with("fleet :") {
            return self.wrong(
                line,
                "a directive begins with `fleet:`",
                "write it so, in lower case and without a space",
            );
        }
        if comment.starts_with(['-', '#']) || text.starts_with("liquibase ") {
            self.foreign(comment, &text, place, line);
        }
    }

    /// Comments of other tools.
    fn foreign(&mut self, comment: &str, text: &str, place: Place, line: usize) {
        let found = foreign::annotation(text, self.in_liquibase);
        self.in_liquibase |= found.is_liquibase;
        let is_head = matches!(place, Place::Head { .. });
        if found.may_be_down && self.direction == Direction::Up && matches!(place, Place::Before(_)) {
            let what = format!("the SQL below `{}` is sent with the rest", excerpt(comment.trim(), 60));
            let instead = "if it is the way down, move it to `….down.sql`; else head it with other words";
            self.found.push(Found { always: true, is_warning: true, ..Found::new(Some(line), what, instead) });
        }
        let mut wrong = |what: String, instead: &str| {
            self.found.push(Found { always: true, ..Found::new(Some(line), what, instead) })
        };
        if let Some((what, instead)) = found.wrong {
            wrong(format!("`{}`: {what}", excerpt(comment_text(comment).trim_start_matches(['-', ' ']), 60)), instead);
        } else if found.is_down && !(is_head && self.direction == Direction::Down) {
            // A file with only the down part may say so at its head.
            let instead = "split the file: what is above this line goes into `….up.sql`, the rest into `….down.sql`";
            wrong("up and down parts in one file are not supported".to_owned(), instead);
        } else if found.has_no_transaction && !is_head {
            wrong("this belongs to the head of the file".to_owned(), "move it above the first statement");
        } else if found.has_no_transaction {
            self.notes.transaction = Some(false);
        }
    }

    fn directive(&mut self, words: &str, place: Place, line: usize) {
        if words.is_empty() {
            return self.wrong(line, "a directive without a word", format!("use one of {}", WORDS.join(", ")));
        }
        if words.starts_with("allow=") {
            return self.allow(words, place, line);
        }
        // The first word decides: prose is told once, and none of its words taken for a directive.
        let first = words.split_whitespace().next().unwrap_or_default();
        let name = first.split_inclusive('=').next().unwrap_or_default();
        let is_known = |word: &str| word == name || word.split_inclusive('=').next() == Some(name);
        if words.contains(char::is_whitespace) && !WORDS.into_iter().any(is_known) {
            let near = suggestion(first, WORDS.into_iter())
                .map(|near| format!("did you mean `{near}`? Else "))
                .unwrap_or_default();
            let what =
                format!("unknown directive `{}`: a comment that begins with `fleet:` is one", excerpt(words, 40));
            return self.wrong(
                line,
                what,
                format!("{near}begin prose with another word; directives are {}", WORDS.join(", ")),
            );
        }
        let (mut view, mut group) = (None, None);
        for word in words.split_whitespace() {
            match word.split_once('=') {
                Some(("transaction", value @ ("true" | "false"))) => self.transaction(value == "true", place, line),
                Some(("online", value @ ("true" | "false"))) => self.online(value == "true", place, line),
                Some(("transaction" | "online", _)) => {
                    self.wrong(line, format!("unknown value in `{word}`"), "use true or false")
                }
                Some(("batch", rows)) => self.batch(rows, place, line),
                Some((key @ ("lock_timeout" | "statement_timeout"), value)) => self.limit(key, value, place, line),
                Some(("replaces", names)) => self.replaces(names, place, line),
                Some(("view", name)) => view = Some(name),
                Some(("group", name)) => group = Some(name),
                None if word.parse::<Directive>().is_ok() => self.statement(word, place, line),
                None if word == "refresh" => self.refresh(place, line),
                None if word == "online" => self.online(true, place, line),
                None if word == "nothing" => self.notes.nothing = Some(line),
                None if word == "variables" => self.notes.has_variables = self.is_in_head(word, place, line),
                None if word == "literal" => self.notes.is_literal = self.is_in_head(word, place, line),
                _ => {
                    let near = suggestion(word, WORDS.into_iter());
                    let all = || format!("use one of {}", WORDS.join(", "));
                    let instead = near.map_or_else(all, |near| format!("did you mean `{near}`?"));
                    self.wrong(line, format!("unknown directive `{word}`"), instead);
                }
            }
        }
        if view.is_some() || group.is_some() {
            self.view(view, group, place, line);
        }
    }

    /// A suppression of a finding of `lint`, which reads it itself; here it only has to be whole.
    fn allow(&mut self, words: &str, place: Place, line: usize) {
        if !matches!(place, Place::Head { has_statement: true } | Place::Before(_)) {
            let instead = "put it at the head of the file, or directly before a statement";
            return self.wrong(line, "`allow` stands before no statement", instead);
        }
        if allowed(words).is_none() {
            let instead =
                "write `-- fleet: allow=RULE reason`: the rule as `fleet lint` names it, and why it does no harm here";
            self.wrong(line, "a suppression without a reason", instead);
        }
    }

    fn transaction(&mut self, transaction: bool, place: Place, line: usize) {
        if !self.is_in_head("transaction", place, line) {
            return;
        }
        if self.notes.transaction.is_some_and(|other| other != transaction) {
            return self.wrong(line, "the head of this file says both transaction=true and false", "leave one of them");
        }
        self.notes.transaction = Some(transaction);
    }

    fn online(&mut self, online: bool, place: Place, line: usize) {
        if self.is_in_head("online", place, line) {
            self.notes.online = Some(online);
        }
    }

    fn limit(&mut self, key: &str, value: &str, place: Place, line: usize) {
        if !self.is_in_head(key, place, line) {
            return;
        }
        let is_lock = key == "lock_timeout";
        let limit = match parse_duration(value) {
            Ok(limit) if is_lock && limit.is_zero() => {
                return self.wrong(
                    line,
                    "a lock that is waited for without end holds everyone up",
                    "write more than 0s",
                );
            }
            Ok(limit) => limit,
            Err(error) => return self.wrong(line, error.to_string(), format!("write `-- fleet: {key}=500ms`")),
        };
        let slot = if is_lock { &mut self.notes.limits.lock } else { &mut self.notes.limits.statement };
        if slot.replace(limit).is_some_and(|other| other != limit) {
            self.wrong(line, format!("the head of this file says `{key}` twice"), "leave one of them");
        }
    }

    fn replaces(&mut self, names: &str, place: Place, line: usize) {
        if !self.is_in_head("replaces", place, line) {
            return;
        }
        if self.direction == Direction::Down {
            return self.wrong(line, "a script says in its up part what it replaces", "move this to the up part");
        }
        // A comma in parentheses is one between the names that an earlier squash stood for.
        let mut depth = 0_i32;
        let between = |c: char| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ',' && depth == 0
        };
        for name in names.split(between).collect::<Vec<_>>() {
            let is_open = name.matches('(').count() != name.matches(')').count() || name.starts_with('(');
            let is_file = name.contains(['"', '\'', '`']) || name.ends_with("()");
            if let Some(stem) = name.strip_suffix(".sql").filter(|stem| !stem.is_empty()) {
                let stem = stem.strip_suffix(".up").unwrap_or(stem);
                let what = format!("`replaces` takes names of scripts, and `{name}` is one of a file");
                return self.wrong(line, what, format!("write `{stem}`, as the history has it"));
            }
            if name.is_empty() || is_open || is_file || self.notes.replaces.iter().any(|other| **other == *name) {
                let instead = "write `-- fleet: replaces=0001_a,0002_b`, each name once, as the history has it, without spaces, quotes and `.sql`, and behind an earlier squash in \
                               parentheses those that it stood for: `0003_s(0001_a,0002_b)`";
                return self.wrong(line, "`replaces` takes names of scripts", instead);
            }
            self.notes.replaces.push(name.into());
        }
    }

    fn statement(&mut self, word: &str, place: Place, line: usize) {
        let statement = match place {
            Place::Head { has_statement: true } => 0,
            Place::Before(statement) => statement,
            Place::Head { .. } | Place::Inside | Place::Behind => {
                return self.wrong(line, format!("`{word}` stands before no statement"), "put it directly before one");
            }
        };
        if self.notes.statements.iter().any(|(other, ..)| *other == statement) {
            return self.wrong(line, "this statement has a directive already", "leave one of them");
        }
        self.notes.statements.extend(word.parse().ok().map(|directive| (statement, directive, line)));
    }

    fn batch(&mut self, rows: &str, place: Place, line: usize) {
        let Some(rows) = rows.parse().ok().filter(|rows| (1..=batches::MOST).contains(rows)) else {
            let instead = format!("write `-- fleet: batch=5000`, from 1 to {}", batches::MOST);
            return self.wrong(line, "`batch` takes a number of rows", instead);
        };
        let told = self.notes.statements.len();
        self.statement("batch", place, line);
        let new = self.notes.statements.get(told).map(|(statement, ..)| (*statement, rows, line));
        self.notes.batches.extend(new);
    }

    fn refresh(&mut self, place: Place, line: usize) {
        match place {
            Place::Before(_) if self.notes.refresh.is_some() => {
                self.wrong(line, "`refresh` stands here for the second time", "leave the first one");
            }
            Place::Before(statement) => self.notes.refresh = Some((statement, line)),
            Place::Head { .. } | Place::Inside | Place::Behind => {
                let instead = "put it between the statements that make the view and those that bring it up to date";
                self.wrong(line, "`refresh` does not stand between two statements", instead);
            }
        }
    }

    fn view(&mut self, view: Option<&str>, group: Option<&str>, place: Place, line: usize) {
        let form = "write `-- fleet: view=NAME group=hourly|daily|weekly|monthly|changes`";
        if !self.is_in_head("view", place, line) {
            return;
        }
        if self.direction == Direction::Down {
            return self.wrong(line, "a view is noted where it is made", "move this to the up part");
        }
        if self.notes.view.is_some() {
            return self.wrong(line, "a second view in one script", "give each view a script of its own");
        }
        let (Some(name), Some(group)) = (view.filter(|name| !name.is_empty()), group) else {
            return self.wrong(line, "`view` and `group` go together", form);
        };
        match group.parse::<RefreshGroup>() {
            Ok(group) => self.notes.view = Some((ViewNote { name: name.to_owned(), group }, line)),
            Err(error) => {
                let near = suggestion(group, RefreshGroup::ALL.into_iter().map(RefreshGroup::name));
                let instead = near.map_or_else(|| form.to_owned(), |near| format!("did you mean `group={near}`?"));
                self.wrong(line, error.to_string(), instead);
            }
        }
    }
}
