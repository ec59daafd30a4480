//! Passwords that are kept outside the tenant file: in a variable, a file, or the output of a command.
//!
//! They are fetched for the selected tenants only. A failure affects only that tenant, and no text from here contains a
//! secret: of a command only the program is named, and of its output only the last line of its stderr is shown, when it
//! failed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::external::program::tail;
use crate::inputs::{Diagnostics, Item, Reader, ServerUrl};
use crate::model::tenant::{Address, Tenant, TenantId};
use crate::model::text::unprintable;

/// Time limit for a command.
const LIMIT: Duration = Duration::from_secs(10);
/// Maximum number of files and commands read at once.
const AT_ONCE: usize = 8;
/// The age from which on a password is asked for again when a login was refused: one answer for all tenants that are
/// refused at once.
const REFUSED_AGE: Duration = Duration::from_secs(1);
/// Time to wait for a failed command's stderr after its end: a process that it left behind may hold it open.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// The end of stderr that is looked at, in bytes.
const LAST_BYTES: usize = 4_096;
/// The longest line of stderr that is shown, in characters.
const LONGEST_LINE: usize = 200;
/// Maximum length of a password, in bytes.
const LONGEST: u64 = 65_536;

/// The source of a password.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum PasswordSource {
    /// An environment variable; read with the tenant file.
    Env(String),
    /// A file, as an absolute path.
    File(PathBuf),
    /// A program and its arguments; its output is the password. It starts in the folder of the tenant file.
    Command(Vec<String>),
}

/// A tenant whose password has not been read yet.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) source: PasswordSource,
    /// The URL for the password; `None` leaves the address alone.
    pub(crate) url: Option<ServerUrl>,
    pub(crate) migration_url: Option<ServerUrl>,
}

impl Pending {
    /// The addresses that wait for the password.
    fn urls(&self) -> impl Iterator<Item = &ServerUrl> {
        self.url.iter().chain(&self.migration_url)
    }
}

/// The passwords of a tenant file that are kept outside of it, and those fetched so far.
pub(crate) struct Passwords {
    /// The folder of the tenant file, absolute.
    folder: PathBuf,
    pending: HashMap<TenantId, Pending>,
    /// The age from which on a password is asked for again.
    max_age: Duration,
    /// Failures too, so that nothing runs twice for nothing.
    fetched: Mutex<HashMap<PasswordSource, Fetched>>,
}

/// The answer of a source.
#[derive(Clone)]
struct Fetched {
    password: Result<SecretString, String>,
    at: Instant,
}

impl PasswordSource {
    /// Reads `password = { .. }`.
    pub(crate) fn read(item: &Item<'_>, folder: &Path, drafts: &mut Diagnostics) -> Option<Self> {
        const FORMS: &str =
            "write { env = \"VAR\" }, { file = \"/run/secrets/x\" } or { command = [\"vault\", \"read\", \"..\"] }";
        if !item.get_ref().is_table() {
            let message = "`password` must say where the password is, and never be the password itself";
            drafts.at(item.span(), message).help(FORMS).hide();
            return None;
        }
        let reader = Reader::of_secret(item, "`password`", &["env", "file", "command"], drafts)?;
        if reader.len() != 1 {
            drafts.at(item.span(), "`password` must have exactly one of env, file and command").help(FORMS).hide();
            return None;
        }
        if let Some(name) = reader.text("env", drafts) {
            return Some(PasswordSource::Env(name.to_owned()));
        }
        if let Some(path) = reader.text("file", drafts) {
            return Some(PasswordSource::File(folder.join(path)));
        }
        let words = reader.texts("command", drafts)?;
        if words.first().is_none_or(|(program, _)| program.is_empty()) {
            drafts.at(item.span(), "`command` names no program").help(FORMS).hide();
            return None;
        }
        Some(PasswordSource::Command(words.into_iter().map(|(word, _)| word.to_owned()).collect()))
    }

    /// The password, which is not one of a variable: those are read with the file.
    ///
    /// # Errors
    /// The reason, without a secret.
    pub(crate) async fn fetch(&self, folder: &Path) -> Result<SecretString, String> {
        match self {
            PasswordSource::Env(name) => Err(format!("the environment variable {name} was not read")),
            PasswordSource::File(path) => {
                let bytes = read_file(path).await;
                let named = format!("the password file {}", path.display());
                password(bytes.map_err(|e| format!("{named} can't be read: {e}"))?, &named)
            }
            PasswordSource::Command(words) => {
                // The arguments may hold a token.
                let rest = if words.len() > 1 { " …" } else { "" };
                let named = format!("the password command {}{rest}", words[0].escape_debug());
                let output = tokio::time::timeout(LIMIT, run(words, folder)).await;
                let bytes = output.map_err(|_| format!("{named} gave no answer within {} s", LIMIT.as_secs()))?;
                password(bytes.map_err(|e| format!("{named} {e}; run it by hand to see why"))?, &named)
            }
        }
    }
}

async fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(LONGEST + 1).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

async fn run(words: &[String], folder: &Path) -> Result<Vec<u8>, String> {
    let mut command = tokio::process::Command::new(&words[0]);
    command.args(&words[1..]).current_dir(folder).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| format!("can't be started: {e}"))?;
    let (stdout, stderr) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
    // Read concurrently, so that a command with much output does not block, and to the end, which may be long after the
    // command's.
    let stderr = tokio::spawn(tail(stderr, LAST_BYTES));
    let mut bytes = Vec::new();
    stdout.take(LONGEST + 1).read_to_end(&mut bytes).await.map_err(|e| format!("can't be read: {e}"))?;
    let status = child.wait().await.map_err(|e| format!("was lost: {e}"))?;
    if status.success() {
        return Ok(bytes);
    }
    let said = tokio::time::timeout(LAST_WORDS, stderr).await.ok().and_then(Result::ok).unwrap_or_default();
    let line = last_line(&String::from_utf8_lossy(&said), &String::from_utf8_lossy(&bytes));
    Err(line.map_or_else(|| format!("failed ({status})"), |line| format!("failed ({status}): {line}")))
}

/// The last line of a failed command's stderr as it may be shown: short, printable, without the content of its stdout.
fn last_line(stderr: &str, stdout: &str) -> Option<String> {
    let mut line = stderr.lines().map(printable).rfind(|line| !line.is_empty())?;
    for secret in stdout.lines().map(str::trim).filter(|secret| !secret.is_empty()) {
        line = line.replace(secret, "***");
    }
    Some(match line.char_indices().nth(LONGEST_LINE) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    })
}

/// A line without terminal sequences and unprintable characters.
fn printable(line: &str) -> String {
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1B}' {
            // A colour is ESC [ numbers letter.
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else if unprintable(c.encode_utf8(&mut [0; 4])).is_none() {
            out.push(c);
        }
    }
    out.trim().to_owned()
}

/// The password in the output of a file or command: the text without one newline at its end.
fn password(bytes: Vec<u8>, named: &str) -> Result<SecretString, String> {
    if bytes.len() as u64 > LONGEST {
        return Err(format!("{named} gave more than {LONGEST} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{named} gave something that is not UTF-8 text"))?;
    let text = text.strip_suffix('\n').map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
    match text {
        "" => Err(format!("{named} gave nothing")),
        _ if text.contains(['\n', '\0']) => Err(format!("{named} gave more than one line; a password is one line")),
        _ => Ok(SecretString::from(text.to_owned())),
    }
}

impl Passwords {
    pub(super) fn new(folder: PathBuf, pending: HashMap<TenantId, Pending>, max_age: Duration) -> Self {
        Passwords { folder, pending, max_age, fetched: Mutex::default() }
    }

    /// The addresses of a tenant that wait for its password.
    pub(super) fn urls(&self, tenant: &TenantId) -> impl Iterator<Item = &ServerUrl> {
        self.pending.get(tenant).into_iter().flat_map(Pending::urls)
    }

    /// Fills in the passwords of these tenants that are in files or come from commands; call it before connecting.
    /// Each file is read and each command run once, eight at once, within 10 s.
    /// Where that fails the tenant's address becomes [`Address::Unusable`] with the reason.
    pub(crate) async fn resolve(&self, tenants: &mut [Arc<Tenant>]) {
        let mut fetched = self.fetched.lock().await;
        let mut wanted: Vec<&PasswordSource> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for tenant in tenants.iter() {
            if let Some(pending) = self.pending.get(&tenant.id)
                && !fetched.contains_key(&pending.source)
                && seen.insert(&pending.source)
            {
                wanted.push(&pending.source);
            }
        }
        let fetch = |source: PasswordSource| async move { (source.clone(), self.fetch(&source).await) };
        let results = futures_util::stream::iter(wanted.into_iter().cloned().map(fetch));
        fetched.extend(results.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
        for tenant in tenants {
            let Some(pending) = self.pending.get(&tenant.id) else { continue };
            if let Some(fetched) = fetched.get(&pending.source) {
                pending.fill(Arc::make_mut(tenant), &fetched.password);
            }
        }
    }

    async fn fetch(&self, source: &PasswordSource) -> Fetched {
        Fetched { password: source.fetch(&self.folder).await, at: Instant::now() }
    }

    /// A tenant with its password as it is now: asked for again where the last answer is too old.
    pub(super) async fn current(&self, tenant: &Arc<Tenant>) -> Arc<Tenant> {
        self.renewed(tenant, self.max_age).await.unwrap_or_else(|| tenant.clone())
    }

    /// A tenant whose login was refused, with another password if its source has one by now.
    pub(super) async fn after_refusal(&self, tenant: &Arc<Tenant>) -> Option<Arc<Tenant>> {
        let shown = |address: Option<&Address>| match address {
            Some(Address::Url(url)) => Some(url.expose_secret().to_owned()),
            _ => None,
        };
        let renewed = self.renewed(tenant, REFUSED_AGE).await?;
        let addresses = |tenant: &Tenant| [shown(Some(&tenant.address)), shown(tenant.migration_address.as_ref())];
        // The same password once more would only bring its user nearer to being locked out.
        (addresses(&renewed) != addresses(tenant)).then_some(renewed)
    }

    /// The tenant with the answer of its source, which is asked again if its answer has this age; `None` for a tenant
    /// without such a source. A source that fails now leaves its last answer.
    async fn renewed(&self, tenant: &Arc<Tenant>, age: Duration) -> Option<Arc<Tenant>> {
        let pending = self.pending.get(&tenant.id)?;
        // Held while it is asked: all tenants of a source wait for one answer.
        let mut fetched = self.fetched.lock().await;
        let known = fetched.get_mut(&pending.source)?;
        if known.at.elapsed() >= age {
            let new = self.fetch(&pending.source).await;
            known.at = new.at;
            if new.password.is_ok() {
                known.password = new.password;
            }
        }
        let mut tenant = Tenant::clone(tenant);
        pending.fill(&mut tenant, &known.password);
        Some(Arc::new(tenant))
    }

    /// Fills in the addresses of these tenants without the passwords that would have to be fetched: for showing where
    /// they are, never for connecting.
    pub(crate) fn leave_out(&self, tenants: &mut [Arc<Tenant>]) {
        for tenant in tenants {
            let Some(pending) = self.pending.get(&tenant.id) else { continue };
            pending.put(Arc::make_mut(tenant), |url| Address::Url(url.secret()));
        }
    }
}

impl Pending {
    pub(super) fn fill(&self, tenant: &mut Tenant, password: &Result<SecretString, String>) {
        self.put(tenant, |url| match password {
            Ok(password) => Address::Url(url.with_password(password.expose_secret())),
            Err(reason) => Address::Unusable(reason.clone()),
        });
    }

    fn put(&self, tenant: &mut Tenant, address: impl Fn(&ServerUrl) -> Address) {
        if let Some(url) = &self.url {
            tenant.address = address(url);
        }
        if let Some(url) = &self.migration_url {
            tenant.migration_address = Some(address(url));
        }
    }
}
