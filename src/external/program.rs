//! A program that is run to its end, with all that it starts.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::task::JoinHandle;

/// The end of a program's output that is kept, in bytes.
const TOLD: usize = 600;

/// How long its output is waited for when it has ended: a child of its own may hold it open.
const REST: Duration = Duration::from_millis(500);

/// A program with its arguments.
pub(crate) struct Program<'a> {
    /// The name, which is looked up in `PATH`, and the arguments; never empty.
    pub(crate) words: &'a [String],
    /// The folder in which it starts.
    pub(crate) folder: &'a Path,
    pub(crate) variables: Vec<(&'static str, String)>,
    /// The text on its stdin.
    pub(crate) input: String,
    pub(crate) timeout: Duration,
}

impl Program<'_> {
    /// Runs it to its end, detached from the terminal: a Ctrl-C there is for this process. Its process group is killed when
    /// its time is over, and when nobody waits for it any more.
    ///
    /// Dying in it: the program goes on by itself, and nobody hears of its end.
    ///
    /// # Errors
    /// The reason, without the name: it can't be started, ends with another code than 0, or not in time.
    pub(crate) async fn run(self) -> Result<(), String> {
        let Some((name, arguments)) = self.words.split_first() else { return Err("names no program".to_owned()) };
        let mut command = Command::new(name);
        command.args(arguments).current_dir(self.folder).envs(self.variables).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("can't be started: {error}"))?;
        let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let said = [said(child.stderr.take()), said(child.stdout.take())];
        let stdin = child.stdin.take();
        let ended = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read it closes it.
                let _ = stdin.write_all(self.input.as_bytes()).await;
            }
            child.wait().await
        };
        let ended = tokio::time::timeout(self.timeout, ended).await;
        let ended = ended
            .map_err(|_| format!("did not end within {} and was killed", humantime::format_duration(self.timeout)))?;
        // It may have left a service behind on purpose.
        group.0 = None;
        let status = ended.map_err(|error| format!("was lost: {error}"))?;
        if status.success() {
            return Ok(());
        }
        for said in said {
            let said = tokio::time::timeout(REST, said).await.ok().and_then(Result::ok).unwrap_or_default();
            if !said.is_empty() {
                return Err(format!("failed ({status}): {said}"));
            }
        }
        Err(format!("failed ({status}): it said nothing"))
    }
}

/// The processes of a program, killed when this is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The last line of a stream that says anything.
fn said(stream: Option<impl AsyncRead + Unpin + Send + 'static>) -> JoinHandle<String> {
    tokio::spawn(async move {
        let Some(stream) = stream else { return String::new() };
        let kept = tail(stream, TOLD).await;
        let text = String::from_utf8_lossy(&kept);
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
    })
}

/// Reads all of a stream, so that nobody blocks on it, and returns its last bytes, at most so many.
pub(crate) async fn tail(mut stream: impl AsyncRead + Unpin, most: usize) -> Vec<u8> {
    let (mut kept, mut piece) = (Vec::new(), [0; 4_096]);
    while let Ok(n @ 1..) = stream.read(&mut piece).await {
        kept.extend_from_slice(&piece[..n]);
        kept.drain(..kept.len().saturating_sub(most));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(script: &str, seconds: u64) -> Result<(), String> {
        let words = ["sh", "-c", script].map(str::to_owned);
        let folder = std::env::temp_dir();
        let (variables, input, timeout) = (Vec::new(), "in".to_owned(), Duration::from_secs(seconds));
        Program { words: &words, folder: &folder, variables, input, timeout }.run().await
    }

    #[tokio::test]
    async fn a_program_that_ends_with_0_has_ended_whatever_it_left_behind() {
        assert_eq!(run("test $(cat) = in && sleep 30 & exit 0", 10).await, Ok(()));
    }

    #[tokio::test]
    async fn both_of_its_streams_are_heard() {
        assert_eq!(
            run("echo out; echo first >&2; echo err >&2; exit 3", 10).await.unwrap_err(),
            "failed (exit status: 3): err"
        );
        assert_eq!(run("echo out; exit 1", 10).await.unwrap_err(), "failed (exit status: 1): out");
        assert_eq!(run("exit 1", 10).await.unwrap_err(), "failed (exit status: 1): it said nothing");
    }

    #[tokio::test]
    async fn whatever_it_started_is_killed_with_it_in_time_and_when_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        for (file, is_dropped) in [("late", false), ("dropped", true)] {
            let file = folder.path().join(file);
            let script = format!("(sleep 2; touch {}) & sleep 30", file.display());
            if is_dropped {
                let dropped = tokio::time::timeout(Duration::from_millis(300), run(&script, 30)).await;
                assert!(dropped.is_err());
            } else {
                assert_eq!(run(&script, 1).await.unwrap_err(), "did not end within 1s and was killed");
            }
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            assert!(!file.exists(), "{}", file.display());
        }
    }
}
