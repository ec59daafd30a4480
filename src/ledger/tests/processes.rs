//! Several processes on one ledger, and processes that are killed.

use super::*;

const CHILD_FILE: &str = "FLEET_TEST_LEDGER_CHILD";

/// The second process of the tests below; on its own it does nothing.
#[tokio::test]
async fn child_process() {
    let Ok(told) = std::env::var(CHILD_FILE) else { return };
    let (task, file) = told.split_once('=').unwrap();
    let file = Path::new(file);
    if task == "without-rights" {
        for error in [Ledger::open(&at(file)).await, Ledger::open(&at(&file.with_extension("new"))).await] {
            assert!(matches!(error, Err(LedgerError::NotWritable { .. })), "{error:?}");
        }
        assert_eq!(Ledger::open_existing(&at(file)).await.unwrap().unwrap().runs(9).await.unwrap().len(), 1);
        return;
    }
    let ledger = Ledger::open(&at(file)).await.unwrap();
    if task == "open" {
        return;
    }
    if task == "record" {
        for _ in 0..5 {
            let mut header = header(300);
            // Runs at once have tenants of their own.
            for planned in &mut header.tenants {
                planned.tenant = TenantId::from(format!("{}-{}", planned.tenant, std::process::id()).as_str());
            }
            record_all(&ledger, &header).await;
        }
        return;
    }
    let header = header(50);
    let mut recorder = ledger.recorder();
    recorder.begin(&header).await.unwrap();
    recorder.record(Event::TenantFinished(record(&header, 0, Outcome::UpToDate)), 1).await.unwrap();
    if task == "kill-late" {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    std::process::abort();
}

pub(super) fn child(task: &str, file: &Path) -> std::process::Command {
    as_child(std::process::Command::new(std::env::current_exe().unwrap()), task, file)
}

fn as_child(mut command: std::process::Command, task: &str, file: &Path) -> std::process::Command {
    command
        .args(["--exact", "ledger::tests::processes::child_process"])
        .env(CHILD_FILE, format!("{task}={}", file.display()));
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command
}

#[tokio::test]
async fn two_processes_share_one_new_ledger() {
    let (_folder, file) = place();
    let mut children: Vec<_> = (0..3).map(|_| child("record", &file).spawn().unwrap()).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let ledger = Ledger::open_existing(&at(&file)).await.unwrap().unwrap();
    let runs = ledger.runs(100).await.unwrap();
    assert_eq!(runs.len(), 15);
    assert!(runs.iter().all(|run| run.status() == RunStatus::Finished && run.counts.finished() == 300), "{runs:?}");
}

#[tokio::test]
async fn what_a_killed_process_had_committed_is_found() {
    for (task, with_outcome) in [("kill-early", 0), ("kill-late", 1)] {
        let (_folder, file) = place();
        assert!(!child(task, &file).status().unwrap().success());
        let ledger = Ledger::open_existing(&at(&file)).await.unwrap().unwrap();
        let run = ledger.run("last").await.unwrap();
        assert_eq!((run.status(), run.selected, run.counts.finished()), (RunStatus::Dead, 50, with_outcome), "{task}");
        let records = ledger.records(run.run).await.unwrap();
        assert_eq!(records.iter().filter(|(_, record)| record.is_none()).count(), 50 - with_outcome);
    }
}

#[tokio::test]
async fn without_the_right_to_write_a_ledger_is_read_and_not_opened() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let (folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    recorded(&ledger, 1).await;
    ledger.close().await;
    // File permissions do not bind root: then the second process runs as another user, with a copy of this program that
    // it can reach.
    let mut child = child("without-rights", &file);
    if std::fs::metadata(&file).unwrap().uid() == 0 {
        let program = folder.path().join("program");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        mode(&program, 0o555);
        child = as_child(std::process::Command::new(program), "without-rights", &file);
        child.uid(65_534).gid(65_534).current_dir("/");
    }
    mode(&file, 0o444);
    for folder_mode in [0o555, 0o777] {
        // In the second round the folder can be written, and the file still can't.
        mode(folder.path(), folder_mode);
        if folder_mode == 0o777 {
            std::fs::write(file.with_extension("new"), "").unwrap();
            mode(&file.with_extension("new"), 0o444);
        }
        // A test that forks in this moment holds the fresh copy open for an instant.
        let output = loop {
            match child.stdout(std::process::Stdio::piped()).output() {
                Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                done => break done.unwrap(),
            }
        };
        assert!(output.status.success(), "{folder_mode:o}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
