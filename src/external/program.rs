//! A program that is run to its end, with all that it starts.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::Secrets;

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
    /// Hidden where it prints them.
    pub(crate) secrets: &'a Secrets,
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
        let (mut child, mut group) = self.start()?;
        let said = [said(child.stderr.take()), said(child.stdout.take())];
        let status = self.in_time(ended(&mut child, &self.input)).await??;
        // It may have left a service behind on purpose.
        group.0 = None;
        if status.success() { Ok(()) } else { Err(self.secrets.hide(failure(status, said).await)) }
    }

    /// As [`Program::run`], with all that it writes to stdout, to the end of that stream. One that writes more than `most`
    /// bytes is killed. Its errors say nothing of stdout, which may hold secrets.
    ///
    /// # Errors
    /// As [`Program::run`]; that it writes too much.
    pub(crate) async fn output(self, most: u64) -> Result<Vec<u8>, String> {
        let (mut child, mut group) = self.start()?;
        let (stderr, stdout) = (said(child.stderr.take()), child.stdout.take());
        let answer = async {
            let read = async {
                let mut bytes = Vec::new();
                if let Some(stdout) = stdout {
                    let read = stdout.take(most.saturating_add(1)).read_to_end(&mut bytes).await;
                    read.map_err(|error| format!("can't be read: {error}"))?;
                }
                match bytes.len() as u64 > most {
                    true => Err(format!("printed more than {most} bytes and was killed")),
                    false => Ok(bytes),
                }
            };
            futures_util::future::try_join(read, ended(&mut child, &self.input)).await
        };
        let (bytes, status) = self.in_time(answer).await??;
        group.0 = None;
        if status.success() { Ok(bytes) } else { Err(self.secrets.hide(failure(status, [stderr]).await)) }
    }

    fn start(&self) -> Result<(Child, Group), String> {
        let Some((name, arguments)) = self.words.split_first() else { return Err("names no program".to_owned()) };
        let mut command = Command::new(name);
        let variables = self.variables.iter().map(|(name, value)| (name, value));
        command.args(arguments).current_dir(self.folder).envs(variables).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| format!("can't be started: {error}"))?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        Ok((child, group))
    }

    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, String> {
        let late = |_| format!("did not end within {} and was killed", humantime::format_duration(self.timeout));
        tokio::time::timeout(self.timeout, work).await.map_err(late)
    }
}

/// Waits for the end of a program that gets this text on its stdin.
async fn ended(child: &mut Child, input: &str) -> Result<ExitStatus, String> {
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read it closes it.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    child.wait().await.map_err(|error| format!("was lost: {error}"))
}

/// The error of a program that ended with this status, with the first of these that says anything.
async fn failure(status: ExitStatus, said: impl IntoIterator<Item = JoinHandle<String>>) -> String {
    for said in said {
        let said = tokio::time::timeout(REST, said).await.ok().and_then(Result::ok).unwrap_or_default();
        if !said.is_empty() {
            return format!("failed ({status}): {said}");
        }
    }
    format!("failed ({status}): it said nothing")
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
        let secrets = &Secrets::new(["s3cret".to_owned()]);
        Program { words: &words, folder: &folder, variables, input, timeout, secrets }.run().await
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
        assert_eq!(run("echo with s3cret; exit 1", 10).await.unwrap_err(), "failed (exit status: 1): with ***");
    }

    #[tokio::test]
    async fn an_output_is_whole_or_an_error_that_tells_nothing_of_it() {
        let output = async |script: &str, seconds: u64| {
            let words = ["sh", "-c", script].map(str::to_owned);
            let (folder, timeout) = (std::env::temp_dir(), Duration::from_secs(seconds));
            let (variables, input, secrets) = (Vec::new(), String::new(), &Secrets::default());
            Program { words: &words, folder: &folder, variables, input, timeout, secrets }.output(10).await
        };
        assert_eq!(output("echo 123456789; echo err >&2", 10).await.unwrap(), b"123456789\n");
        assert_eq!(output("echo 1234567890", 10).await.unwrap_err(), "printed more than 10 bytes and was killed");
        assert_eq!(output("yes", 30).await.unwrap_err(), "printed more than 10 bytes and was killed");
        assert_eq!(output("echo s3cret; exit 1", 10).await.unwrap_err(), "failed (exit status: 1): it said nothing");
        assert_eq!(output("echo a; echo why >&2; exit 1", 10).await.unwrap_err(), "failed (exit status: 1): why");
        // Its end is not that of its answer while something else can write into it.
        let late = output("sleep 30 & echo a", 1).await.unwrap_err();
        assert_eq!(late, "did not end within 1s and was killed");
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
