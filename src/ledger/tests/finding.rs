//! Runs are found, and looking for them changes nothing.

use super::*;

#[tokio::test]
async fn a_run_is_found_by_last_by_its_id_and_by_either_end_of_it() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let Err(error) = ledger.run("last").await else { panic!("there is no run") };
    assert!(error.to_string().contains("no run has been recorded there yet"), "{error}");
    let ids = [
        "0193aaaa-0000-7000-8000-00000000abcd",
        "0193aaaa-1111-7000-8000-00000000ffff",
        "0193bbbb-0000-7000-8000-0000abcd0193",
    ];
    for (n, id) in ids.iter().enumerate() {
        let mut header = header(1);
        header.run = id.parse().unwrap();
        // Each is at work, and none on a tenant of another.
        header.tenants[0].tenant = TenantId::from(*id);
        header.started_at_ms += i64::try_from(n).unwrap();
        ledger.recorder().begin(&header).await.unwrap();
    }
    let listed: Vec<String> = ledger.runs(2).await.unwrap().iter().map(|r| r.run.to_string()).collect();
    assert_eq!(listed, [ids[2], ids[1]], "newest first, no more than asked for");
    for (wanted, found) in [
        ("last", ids[2]),
        (ids[0], ids[0]),
        (&ids[1].to_uppercase(), ids[1]),
        ("0193b", ids[2]),
        ("0193aaaa-1", ids[1]),
        ("abcd", ids[0]),
        ("FFFF", ids[1]),
    ] {
        assert_eq!(ledger.run(wanted).await.unwrap().run.to_string(), found, "{wanted}");
    }
    let Err(LedgerError::Ambiguous { candidates, .. }) = ledger.run("0193").await else { panic!("0193 is ambiguous") };
    assert_eq!(candidates.len(), 3, "two begin with it, one also ends with it");
    assert!(candidates[0].starts_with(ids[2]) && candidates[0].contains("up head, 2023-11-14T"), "{candidates:?}");
    let Err(LedgerError::NoSuchRun { newest, .. }) = ledger.run("dddd").await else { panic!("there is no dddd") };
    assert_eq!(newest.len(), 3);
    for bad in ["019", "%", "____", "tenant-1"] {
        assert!(matches!(ledger.run(bad).await, Err(LedgerError::NotAnId { .. })), "{bad}");
    }
    assert!(matches!(ledger.header(Uuid::now_v7()).await, Err(LedgerError::NoSuchRun { .. })));
}

#[tokio::test]
async fn reading_creates_nothing() {
    let (folder, file) = place();
    assert!(Ledger::open_existing(&at(&file)).await.unwrap().is_none());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // A file created by a process that died before it created the tables is no ledger yet.
    std::fs::write(&file, "").unwrap();
    assert!(Ledger::open_existing(&at(&file)).await.unwrap().is_none());
    assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
    std::fs::remove_file(&file).unwrap();

    let ledger = Ledger::open(&at(&file)).await.unwrap();
    recorded(&ledger, 1).await;
    ledger.close().await;
    let reader = Ledger::open_existing(&at(&file)).await.unwrap().unwrap();
    assert_eq!(reader.runs(10).await.unwrap().len(), 1);
    reader.close().await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no log is left beside the file");
}

#[tokio::test]
async fn a_lost_file_means_that_no_run_is_known() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    recorded(&ledger, 1).await;
    ledger.close().await;
    std::fs::remove_file(&file).unwrap();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    assert_eq!(ledger.runs(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_ledger_in_a_folder_without_rights_can_be_read() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let header = recorded(&ledger, 3).await;
    ledger.close().await;
    let frozen = Ledger::open_frozen(&file).await.unwrap();
    assert_eq!(frozen.records(header.run).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_living_run_holds_its_tenants_and_no_others() {
    let (_folder, file) = place();
    let ledger = Ledger::open(&at(&file)).await.unwrap();
    let mut first = ledger.recorder();
    let held = header(2);
    first.begin(&held).await.unwrap();
    let Err(LedgerError::Held { holder, tenants }) = ledger.recorder().begin(&header(3)).await else {
        panic!("two runs have one tenant")
    };
    assert_eq!((holder.run, tenants), (held.run, vec!["tenant-0".to_owned(), "tenant-1".to_owned()]));
    let mut other = header(1);
    other.tenants[0].tenant = TenantId::from("other");
    ledger.recorder().begin(&other).await.unwrap();
    first.record(Event::RunFinished { stats: RunStats::default() }, 1).await.unwrap();
    first.finish().await.unwrap();
    ledger.recorder().begin(&header(3)).await.unwrap();
}
