//! The trial of a dump: it is loaded into a scratch database on the tenant's server before a restore drops anything.
//!
//! These engines can't roll back a load, so this is the only proof that it works. It does not change the tenant.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;

use crate::engine::backup::{Transfer, Trial, broken, tool};
use crate::engine::mysql::MysqlSession;
use crate::engine::mysql::backup::{Client, account, told};
use crate::engine::mysql::definers;
use crate::engine::queries::Queries as _;
use crate::engine::{Notice, ScratchPlace, Session as _, TenantEndpoint};
use crate::model::fault::{Fault, FaultClass};
use crate::model::tenant::{Engine, Tenant};

impl MysqlSession {
    /// Loads a dump into a scratch database, and compares the history in it with the manifest's.
    ///
    /// Dying in it: the tenant is unchanged. The client's input ends with us, and so does the client; the scratch
    /// database stays, and the next restore on that server removes it.
    pub(super) async fn try_out(
        &mut self,
        client: &Client,
        from: &Transfer<'_>,
        trial: &Trial<'_>,
    ) -> Result<(), Fault> {
        let work = async |scratch: Arc<Tenant>| self.load_into(&scratch, client, from, trial).await;
        let teller = &trial.teller;
        let tell = |text| teller.tell(Notice::Note(text));
        let place = ScratchPlace::beside(&self.door.tenant)?;
        match place.with(from.cancel.cancelled(), &tell, work).await {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(fault))) if fault.class == FaultClass::Cancelled => Err(fault),
            Ok(Some(Err(fault))) => Err(untouched(fault)),
            Ok(None) => Err(Fault::new(FaultClass::Cancelled, "the trial of the backup was ended")),
            Err(fault) => Err(self.no_scratch(fault).await),
        }
    }

    /// Whether the user may create the scratch database of a trial: one is created and dropped.
    ///
    /// Dying in it: as in [`MysqlSession::try_out`].
    pub(super) async fn check_scratch(&mut self) -> Result<(), Fault> {
        let place = ScratchPlace::beside(&self.door.tenant)?;
        match place.with(std::future::pending(), &|_| (), async |_| ()).await {
            Ok(_) => Ok(()),
            Err(fault) => Err(self.no_scratch(fault).await),
        }
    }

    async fn load_into(
        &self,
        scratch: &Arc<Tenant>,
        client: &Client,
        from: &Transfer<'_>,
        trial: &Trial<'_>,
    ) -> Result<(), Fault> {
        let there = &self.door;
        let (database, name) = (there.namespace().unwrap_or_default(), scratch.id.to_string());
        let command = client.loading(&name);
        let moved = Moved { database, scratch: Some(name), is_inside: false };
        feed(from, client.program.name, command, Some(moved)).await?;
        let door = TenantEndpoint {
            asks_flavours: false,
            tenant: scratch.clone(),
            migrations: there.migrations.clone(),
            timeouts: there.timeouts,
            poolers: there.poolers.clone(),
            clusters: there.clusters.clone(),
            kept: there.kept.clone(),
            settings: there.settings.clone(),
            tape: Default::default(),
            now: Default::default(),
        };
        let mut session = Box::new(MysqlSession::open(door).await?);
        let history = session.history().await;
        session.close().await;
        if history? == trial.history {
            return Ok(());
        }
        Err(broken("the history in the backup is not the one that its manifest names"))
    }

    /// The fault of a server on which no scratch database can be created.
    async fn no_scratch(&mut self, fault: Fault) -> Fault {
        if fault.class != FaultClass::PermissionDenied {
            let text = format!(
                "{}; no scratch database was created to try the backup out, so nothing was touched",
                fault.message
            );
            return Fault { message: crate::model::fault::bounded(text), ..fault };
        }
        let user = self.rows("SELECT CURRENT_USER()".to_owned()).await.unwrap_or_default();
        let user = user.first().map(|row| account(&definers::current(&row.must(0)))).unwrap_or_default();
        let text = format!(
            "{}: a restore first tries the backup out on a scratch database, and this user can't create one; nothing was \
             touched; as an administrator: GRANT ALL ON `fleet\\_scratch\\_%`.* TO {user}; or go on without the trial: \
             --restore-trial never",
            fault.message
        );
        Fault { message: crate::model::fault::bounded(text), ..fault }
    }
}

fn untouched(fault: Fault) -> Fault {
    let text = format!(
        "the backup can't be loaded, so nothing was dropped and the tenant is as it was (it was tried out on a scratch \
         database): {}; `{} backup list` shows other backups",
        fault.message,
        crate::model::program::name()
    );
    Fault { message: crate::model::fault::bounded(text), ..fault }
}

/// Runs the client on the lines of a dump; `moved`: for a scratch database.
///
/// Dying in it: the client's input ends with us, and so does the client, with the part that it has.
pub(super) async fn feed(
    from: &Transfer<'_>,
    name: &str,
    mut command: Command,
    mut moved: Option<Moved>,
) -> Result<(), Fault> {
    let lost = |e: io::Error| broken(format!("{} can't be read: {e}", from.file.display()));
    let mut dump = BufReader::with_capacity(1 << 16, File::open(from.file).map_err(lost)?);
    let (input, output) = io::pipe().map_err(lost)?;
    command.stdin(Stdio::from(input));
    let copying = tokio::task::spawn_blocking(move || {
        let (mut output, mut line) = (io::BufWriter::new(output), Vec::new());
        while dump.read_until(b'\n', &mut line)? > 0 {
            let changed = moved.as_mut().map_or_else(|| Cow::from(&line), |moved| moved.line(&line));
            output.write_all(&with_all_dates(&changed))?;
            line.clear();
        }
        output.flush()
    });
    tool::run_with_streams(command, name, &from.limits()).await.map_err(told)?;
    let copied = copying.await.map_err(|e| broken(format!("the dump was not read: {e}")))?;
    copied.map_err(|e| broken(format!("the dump did not reach {name} as a whole: {e}")))
}

/// The head of a dump sets a mode in which a date that no calendar has, such as 31 February, is loaded as zero: the server
/// only warns. A table has such dates where `ALLOW_INVALID_DATES` let them in.
fn with_all_dates(line: &[u8]) -> Cow<'_, [u8]> {
    const MODE: &[u8] = b"SQL_MODE='NO_AUTO_VALUE_ON_ZERO'";
    match line.starts_with(b"/*!40101 SET @OLD_SQL_MODE=") {
        true => replaced(line, MODE, b"SQL_MODE='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'").into(),
        false => line.into(),
    }
}

/// Makes the few lines of a dump that name the tenant's database name the scratch database, or none at all.
pub(super) struct Moved {
    pub(super) database: String,
    /// None: the dump is for any database, and is no trial.
    pub(super) scratch: Option<String>,
    /// Whether the line belongs to a trigger or an event.
    pub(super) is_inside: bool,
}

impl Moved {
    /// Row data can't be mistaken for such a line: every line break in it is escaped.
    ///
    /// - `ALTER DATABASE` stands around objects made under another default collation; it would change the tenant's.
    /// - A trigger comes with the names as they were written, and those may have the database before them.
    /// - A view, and a column's default, name what they use with the database, which may have it no more.
    /// - An event must not run in a trial.
    pub(super) fn line<'a>(&mut self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let quoted = Engine::Mysql.quote(&self.database);
        if let Some(rest) = line.strip_prefix(format!("ALTER DATABASE {quoted} ").as_bytes()) {
            let name = self.scratch.as_ref().map(|name| Engine::Mysql.quote(name) + " ").unwrap_or_default();
            return [format!("ALTER DATABASE {name}").as_bytes(), rest].concat().into();
        }
        let is_event = line.starts_with(b"/*!50106 CREATE*/");
        let is_trial = self.scratch.is_some();
        self.is_inside |= is_event || line.starts_with(b"/*!50003 CREATE*/");
        // A view calls a function with its database's name, and so does a default that takes from a sequence.
        if !self.is_inside && (line.starts_with(b"/*!50001 VIEW ") || line.starts_with(b"  ")) {
            return without(line, format!("{quoted}.").as_bytes()).into();
        }
        if !self.is_inside {
            return line.into();
        }
        self.is_inside = !line.trim_ascii_end().ends_with(b";;");
        let line = without(line, format!("{quoted}.").as_bytes());
        let line = without(&line, format!("{}.", self.database).as_bytes());
        if is_event && is_trial { replaced(&line, b"PRESERVE ENABLE", b"PRESERVE DISABLE").into() } else { line.into() }
    }
}

/// The line without this qualifier, where it is a whole name.
fn without(line: &[u8], qualifier: &[u8]) -> Vec<u8> {
    let continues = |before: &u8| before.is_ascii_alphanumeric() || b"_$`.@'\"".contains(before) || !before.is_ascii();
    let (mut out, mut rest) = (Vec::with_capacity(line.len()), line);
    while let Some(at) = find(rest, qualifier) {
        let (before, after) = (&rest[..at], &rest[at + qualifier.len()..]);
        out.extend_from_slice(before);
        if before.last().is_some_and(continues) {
            out.extend_from_slice(qualifier);
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out
}

/// The line with the first such text replaced.
pub(super) fn replaced(line: &[u8], text: &[u8], by: &[u8]) -> Vec<u8> {
    match find(line, text) {
        Some(at) => [&line[..at], by, &line[at + text.len()..]].concat(),
        None => line.to_vec(),
    }
}

pub(super) fn find(line: &[u8], text: &[u8]) -> Option<usize> {
    line.windows(text.len()).position(|window| window == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_in_trial_names_the_scratch_database_and_runs_no_event() {
        let mut moved = Moved { database: "acme".into(), scratch: Some("s".into()), is_inside: false };
        for (line, expected) in [
            ("ALTER DATABASE `acme` CHARACTER SET latin1 ;\n", "ALTER DATABASE `s` CHARACTER SET latin1 ;\n"),
            ("INSERT INTO `a` VALUES ('acme.x');\n", "INSERT INTO `a` VALUES ('acme.x');\n"),
            (
                "/*!50003 CREATE*/ /*!50003 TRIGGER acme.t BEFORE INSERT ON `acme`.`acme`\n",
                "/*!50003 CREATE*/ /*!50003 TRIGGER t BEFORE INSERT ON `acme`\n",
            ),
            ("FOR EACH ROW SET NEW.a = my_acme.f() */;;\n", "FOR EACH ROW SET NEW.a = my_acme.f() */;;\n"),
            ("acme.x\n", "acme.x\n"),
            (
                "/*!50001 VIEW `v` AS select `acme`.`f`(1) AS `a` */;\n",
                "/*!50001 VIEW `v` AS select `f`(1) AS `a` */;\n",
            ),
            ("  `i` int DEFAULT nextval(`acme`.`q`),\n", "  `i` int DEFAULT nextval(`q`),\n"),
            (
                "/*!50106 CREATE*/ /*!50106 EVENT `e` ON COMPLETION NOT PRESERVE ENABLE DO DELETE FROM acme.t */ ;;\n",
                "/*!50106 CREATE*/ /*!50106 EVENT `e` ON COMPLETION NOT PRESERVE DISABLE DO DELETE FROM t */ ;;\n",
            ),
        ] {
            assert_eq!(String::from_utf8_lossy(&moved.line(line.as_bytes())), expected);
        }
    }
}
