//! The terminal: its abilities, and all output to it. Determined once, used by all commands.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use indicatif::ProgressBar;

use super::args::{Global, When};
use super::exit::CliError;
use super::files;
use crate::model::tenant::TenantId;
use crate::report::{Style, clean, message, names};

/// The columns that the names of tenants take in a message.
const NAMES: usize = 100;

/// The abilities of stdout and stderr.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    pub(super) out: Style,
    pub(super) err: Style,
    /// stderr is a terminal: a bar can be drawn.
    pub(super) live: bool,
    /// A confirmation can be asked for.
    pub(super) interactive: bool,
    pub(super) quiet: bool,
    /// Whether warnings are left out, for a server told them when it began.
    pub(super) mute: bool,
    /// The width given on the command line.
    width: Option<usize>,
}

impl Terminal {
    #[cfg(test)]
    pub(super) const SILENT: Terminal = Terminal {
        out: Style::FILE,
        err: Style::FILE,
        live: false,
        interactive: false,
        quiet: true,
        mute: true,
        width: None,
    };

    pub(super) fn new(global: &Global) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let (out_tty, err_tty) = (stdout().is_terminal(), std::io::stderr().is_terminal());
        let colour = |tty: bool| match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto if set("NO_COLOR") => false,
            When::Auto if std::env::var_os("CLICOLOR_FORCE").is_some_and(|v| v != "0") => true,
            When::Auto => tty && !dumb && std::env::var_os("CLICOLOR").is_none_or(|v| v != "0"),
        };
        let locale =
            ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|v| std::env::var(v).ok().filter(|v| !v.is_empty()));
        let utf8 = locale.is_some_and(|l| l.to_ascii_lowercase().replace('-', "").contains("utf8"));
        // One that says 0 does not know. A narrow one is laid out for as if it had the fewest columns that are supported.
        let wide = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)).filter(|w| *w > 0);
        // Only a terminal has an edge.
        let width = |tty: bool| global.width.or_else(|| if tty { wide().or(Some(120)) } else { None });
        let style = |tty: bool| Style { colour: colour(tty), unicode: tty && utf8 && !dumb, width: width(tty) };
        Terminal {
            out: style(out_tty),
            err: style(err_tty),
            live: err_tty && !dumb && !global.quiet,
            interactive: std::io::stdin().is_terminal() && err_tty,
            quiet: global.quiet,
            mute: false,
            width: global.width,
        }
    }

    /// The style of stdout, or of the file in its place: a file has no colours and no edge.
    pub(super) fn style(&self, file: Option<&Path>) -> Style {
        match file {
            Some(_) => Style { colour: false, width: self.width, ..self.out },
            None => self.out,
        }
    }

    /// The first of these tenants, and the number of the others, for a message.
    pub(super) fn names(&self, tenants: &BTreeSet<TenantId>) -> String {
        names(tenants.iter(), NAMES, &self.err)
    }

    /// Prints a message on stderr; a closed stderr has no effect on the command.
    pub(super) fn tell(&self, text: &str) {
        around_the_bar(|| _ = writeln!(std::io::stderr().lock(), "{text}"));
    }

    /// Prints a warning, also with --quiet. Text from a database or a file is made harmless.
    pub(super) fn warn(&self, text: &str) {
        if !self.mute {
            self.say("warning", text);
        }
    }

    /// Prints an error; text from elsewhere in it is made harmless.
    pub(super) fn error(&self, text: &str) {
        self.say("error", text);
    }

    fn say(&self, what: &str, text: &str) {
        self.tell(&message(&format!("{what}: {}", clean_lines(text)), &self.err));
    }

    /// Refuses a command that needs a confirmation where there is no terminal. `action`: `changes databases`; `or`:
    /// another way out, beginning with a comma.
    pub(super) fn require_person(&self, action: &str, or: &str) -> Result<(), CliError> {
        if self.interactive {
            return Ok(());
        }
        Err(CliError::Usage(format!("this {action} and stdin is not a terminal; pass --yes to confirm{or}")))
    }

    /// Asks for a yes. Any other answer is a no, confirmed by a message that nothing was changed. Lines that were typed
    /// before the question stood there are no answer to it.
    pub(super) fn confirm(&self, question: &str) -> bool {
        let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "{question} [y/N] ");
        let _ = stderr.flush();
        let mut answer = String::new();
        let is_yes =
            std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes" | "Yes");
        if !is_yes {
            let _ = writeln!(stderr, "nothing was done");
        }
        is_yes
    }
}

/// Prints the error of a command line that could not be read, before there is a terminal to know of.
pub(super) fn refuse(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "error: {}", clean_lines(text));
}

/// While it lives, Ctrl-C is not echoed: `^C` after a bar would leave a stale copy of the bar on the screen.
pub(super) struct SilentInterrupt {
    before: rustix::termios::Termios,
}

impl SilentInterrupt {
    /// `None` where stdin is not a terminal.
    pub(super) fn new() -> Option<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHOCTL);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &silent).ok()?;
        Some(SilentInterrupt { before })
    }
}

impl Drop for SilentInterrupt {
    fn drop(&mut self) {
        let now = rustix::termios::OptionalActions::Now;
        let _ = rustix::termios::tcsetattr(std::io::stdin(), now, &self.before);
    }
}

/// The bar that is drawn on stderr, if any.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Draws a bar from now on, or none any more.
pub(super) fn set_bar(bar: Option<ProgressBar>) {
    *BAR.lock().expect("nobody panics while holding it") = bar;
}

/// Writes to stderr where a bar may be drawn: it is taken away, and drawn again below.
pub(super) fn around_the_bar(write: impl FnOnce()) {
    let bar = BAR.lock().expect("nobody panics while holding it").clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// The program's own stdout. From the first call on descriptor 1 leads to stderr: a `println!` in a migration would else end
/// up between the lines of JSON that another program reads.
pub(super) fn stdout() -> &'static File {
    static OWN: OnceLock<File> = OnceLock::new();
    OWN.get_or_init(|| {
        let own = std::io::stdout().as_fd().try_clone_to_owned().expect("a new process has a free descriptor");
        let _ = rustix::stdio::dup2_stdout(std::io::stderr());
        own.into()
    })
}

/// Writes a command's data to stdout, or to a file that appears only when it is complete.
pub(super) fn deliver(text: &str, file: Option<&Path>) -> Result<(), CliError> {
    match file {
        Some(path) => files::write(path, text),
        None => print(text),
    }
}

/// Writes to stdout. A closed pipe (`| head`) is no error.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut out = stdout();
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{newline}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::Write { what: "to stdout".to_owned(), error })
        }
        _ => Ok(()),
    }
}

/// A text with our own line breaks, and no other control characters of a terminal.
fn clean_lines(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}
