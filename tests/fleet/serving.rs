//! `serve` over real tenants: its pages, its documents, its events and what it changes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Fleet, Ran, all, finish, signal, wait, wait_for_end};

pub(crate) const TOKEN: &str = "a-token-of-these-tests";
/// Of a tenant that nobody can reach.
const PASSWORD: &str = "s3cret-of-nobody";
/// The numbers of a server's load.
pub(crate) const LOAD: [&str; 6] = [
    "fleet_server_connections",
    "fleet_server_connections_max",
    "fleet_server_lock_waits",
    "fleet_server_replication_lag_seconds",
    "fleet_server_log_growth_bytes",
    "fleet_server_free_bytes",
];

/// The status and the whole answer to a request, of which `head` has more lines.
pub(crate) fn request(address: &str, (method, path): (&str, &str), head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{head}Content-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).unwrap();
    let (mut answer, mut part) = (Vec::new(), [0; 65_536]);
    // Not every server closes when it is asked to.
    let is_whole = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer).to_lowercase();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length: usize = head.split_once("content-length:")?.1.lines().next()?.trim().parse().ok()?;
        Some(body.len() >= length)
    };
    while is_whole(&answer) != Some(true) {
        match stream.read(&mut part).unwrap() {
            0 => break,
            read => answer.extend_from_slice(&part[..read]),
        }
    }
    let answer = String::from_utf8(answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

/// A server over a fleet, ended with the test.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: String,
}

impl Served {
    /// Serves a fleet whose tenant file is written.
    pub(crate) fn start(fleet: &Fleet, more: &[&str]) -> Served {
        let words = [&["serve", "--listen", "127.0.0.1:0"], more].concat();
        let mut child = fleet.program(&words).env("FLEET_SERVE_TOKEN", TOKEN).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split_once("http://").and_then(|(_, rest)| rest.split_once('/'));
        let address = address.unwrap_or_else(|| panic!("{line:?}: {:?}", child.wait())).0.to_owned();
        Served { child, address }
    }

    fn send(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let (status, answer) =
            request(&self.address, (method, path), &format!("Authorization: Bearer {TOKEN}\r\n"), body);
        assert!(!answer.contains(PASSWORD) && !answer.contains(TOKEN), "{path}: {answer}");
        (status, answer)
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let (status, answer) = self.send("GET", path, "");
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_else(|e| panic!("{e}: {answer}"))
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let (status, answer) = self.send("POST", path, body);
        (
            status,
            serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_else(|e| panic!("{e}: {answer}")),
        )
    }

    /// Asks until a run has ended.
    fn end_of(&self, run: &str) -> Value {
        let begun = Instant::now();
        loop {
            let shown = self.json(&format!("/api/v1/runs/{run}"));
            if shown["status"] == "finished" || begun.elapsed() > Duration::from_secs(120) {
                return shown;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn edited(fleet: &Fleet, arguments: &[&str]) -> Ran {
    finish(&mut fleet.program(arguments))
}

#[test]
fn pages_and_documents_say_what_the_commands_say_and_no_secret() {
    let mut fleet = Fleet::new().sqlite(2).postgres(1).mariadb(1);
    fleet.add("nobody", &format!("postgres://u:{PASSWORD}@127.0.0.1:1/none"));
    fleet.add("<b>&hostile", "sqlite:hostile.db");
    fleet.tenant_mut("<b>&hostile").more = "create_missing = true".to_owned();
    fleet.run(&["migrate", "--yes", "-q", "--exclude", "nobody"]).exits(0);
    let served = Served::start(&fleet, &[]);

    let matrix = served.json("/api/v1/matrix");
    let command = edited(&fleet, &["matrix", "--format", "json"]).exits(0).json();
    assert_eq!(matrix["tenants"], command["tenants"]);
    assert_eq!(matrix["summary"], command["summary"]);
    assert!(matrix["read_at_ms"].is_i64() && matrix["age_ms"].is_i64(), "{matrix}");
    assert_eq!(
        served.json("/api/v1/status")["attention"],
        edited(&fleet, &["status", "--format", "json"]).json()["attention"]
    );
    assert_eq!(
        served.json("/api/v1/tenants")["tenants"],
        edited(&fleet, &["tenants", "list", "--format", "json"]).json()["tenants"]
    );
    assert_eq!(served.json("/api/v1/matrix?q=lite&limit=1")["matched"], 2);
    assert_eq!(served.json("/api/v1/matrix?state=unreachable")["tenants"][0]["id"], "nobody");
    for (wrong, said) in [("state=bogus", "one of empty, behind"), ("engine=mariadb2", "mysql"), ("group=moon", "wave")]
    {
        for path in ["/api/v1/matrix?", "/api/v1/tenants?limit=1&", "/?"] {
            let (status, answer) = served.send("GET", &format!("{path}{wrong}"), "");
            assert!(status == 400 && answer.contains(said), "{path}{wrong}: {answer}");
        }
    }

    let mut shown = served.json("/api/v1/runs/last");
    let mut told = edited(&fleet, &["runs", "show", "last", "--format", "json"]).exits(0).json();
    // The commands to type next name the tenant file where it was named.
    shown["rerun"].take();
    told["rerun"].take();
    assert_eq!(shown, told);
    assert_eq!(served.json("/api/v1/runs")["runs"][0]["run"], shown["run"]);
    let run = shown["run"].as_str().unwrap();

    let tenant = served.json("/api/v1/tenants/pg-000");
    assert_eq!(tenant["history"].as_array().unwrap().len(), all().len());
    assert_eq!(tenant["history"][0]["run"], run);
    assert_eq!(tenant["runs"][0]["outcome"]["outcome"], "migrated");
    assert_eq!(tenant["backups"], serde_json::json!([]));
    edited(&fleet, &["backup", "--yes", "-q", "-t", "pg-000"]).exits(0);
    let backups = served.json("/api/v1/tenants/pg-000")["backups"].clone();
    assert!(backups[0]["bytes"].as_u64() > Some(0) && backups[0]["at_ms"].is_i64(), "{backups}");
    assert!(
        served.get("/tenants/pg-000").contains("Its backups")
            && !served.get("/tenants/lite-000").contains("Its backups")
    );
    let catalog = served.json("/api/v1/catalog");
    assert_eq!(catalog["migrations"].as_array().unwrap().len(), all().len());
    let migration = served.json(&format!("/api/v1/catalog/{}", all()[0]));
    assert!(migration["scripts"].as_array().unwrap().len() >= 6, "three engines, both ways: {migration}");

    for page in ["/", "/?group=tenant", "/?group=server&q=pg", "/runs", "/runs/last", "/catalog"] {
        let text = served.get(page);
        assert!(text.contains("<nav") && !text.contains("style="), "{page}: {text}");
    }
    for (page, words) in [
        ("/".to_owned(), vec!["6 tenants", "unreachable", "nobody"]),
        ("/?group=tenant".to_owned(), vec!["lite-000", "&lt;b&gt;&amp;hostile"]),
        ("/tenants/%3Cb%3E%26hostile".to_owned(), vec!["&lt;b&gt;&amp;hostile", all().last().unwrap()]),
        (format!("/runs/{run}"), vec!["All done: 5 tenants at the target", "Timeline"]),
        (format!("/catalog/{}", all()[1]), vec!["CREATE TABLE", "The way down"]),
    ] {
        let text = served.get(&page);
        for word in words {
            assert!(text.contains(word), "no {word:?} in {page}: {text}");
        }
        assert!(!text.contains("<b>&"), "{page}");
    }
    for missing in [
        "/api/v1/tenants/other",
        "/api/v1/runs/019aaaaa-0000-7000-8000-000000000000",
        "/api/v1/catalog/other",
        "/tenants/other",
    ] {
        assert_eq!(served.send("GET", missing, "").0, 404, "{missing}");
    }
}

#[test]
fn a_tenant_that_a_source_gives_later_is_shown_without_a_new_start() {
    let fleet = Fleet::new().head("[[source]]\nname = \"cmdb\"\ncommand = [\"cat\", \"rows.json\"]\n");
    let give = |id: &str| {
        let row = format!("{{\"id\": \"{id}\", \"url\": \"sqlite:{id}.db\"}}\n");
        std::fs::write(fleet.path("rows.json"), row).unwrap();
    };
    give("one");
    fleet.write();
    let served = Served::start(&fleet, &[]);
    let ids = |path: &str| -> Vec<String> {
        let told = served.json(path);
        told["tenants"].as_array().unwrap().iter().map(|tenant| tenant["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((ids("/api/v1/tenants"), ids("/api/v1/matrix")), (vec!["one".to_owned()], vec!["one".to_owned()]));
    give("two");
    let begun = Instant::now();
    for path in ["/api/v1/tenants", "/api/v1/matrix"] {
        while ids(path) != ["two"] {
            assert!(begun.elapsed() < Duration::from_secs(60), "{path} still tells {:?}", ids(path));
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    // Nothing is made up where a source gives no answer.
    std::fs::remove_file(fleet.path("rows.json")).unwrap();
    loop {
        let (status, answer) = served.send("GET", "/api/v1/tenants", "");
        if status == 503 {
            assert!(answer.contains("source `cmdb`"), "{answer}");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "{answer}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_server_is_closed_to_others_and_ends_at_ctrl_c() {
    let fleet = Fleet::new().sqlite(1);
    fleet.write();
    edited(&fleet, &["serve", "--listen", "0.0.0.0:0"]).exits(64).tells(&["--token-file", "FLEET_SERVE_TOKEN"]);
    std::fs::write(fleet.path("short"), "short\n").unwrap();
    edited(&fleet, &["serve", "--token-file", "short"]).exits(64).tells(&["short", "16 are the least"]);
    let mut served = Served::start(&fleet, &[]);
    let runs = served.json("/api/v1/runs");
    assert_eq!(runs["runs"].as_array().unwrap().len(), 0);
    assert!(!fleet.path("fleet-ledger.db").exists(), "reading creates nothing");
    signal(&served.child, "INT");
    assert_eq!(wait_for_end(&mut served.child), Some(0));
}

#[test]
fn a_run_of_another_process_is_followed_to_its_end() {
    let fleet = Fleet::new().sqlite(4);
    fleet.run(&["migrate", "--yes", "-q", "--to", &all()[0]]).exits(0);
    let served = Served::start(&fleet, &[]);
    let run = fleet.program(&["migrate", "--yes", "-q", "--rate", "2/s"]).spawn().unwrap();
    let before = served.json("/api/v1/runs")["runs"].as_array().unwrap().len();
    let begun = Instant::now();
    while served.json("/api/v1/runs")["runs"].as_array().unwrap().len() == before.min(1) {
        assert!(begun.elapsed() < Duration::from_secs(60), "the run does not begin");
        std::thread::sleep(Duration::from_millis(50));
    }
    let events = served.get("/api/v1/runs/last/events");
    wait(run).exits(0);
    assert_eq!(events.matches("event: tenant_finished").count(), 4, "{events}");
    assert!(events.contains("event: run_finished") && events.contains("event: ended"), "{events}");
    let shown = served.json("/api/v1/runs/last");
    assert_eq!(shown["status"], "finished", "{shown}");
    let since = shown["finished_at_ms"].as_i64().unwrap() + 1;
    assert_eq!(served.send("GET", &format!("/api/v1/runs/last/events?since_ms={since}"), "").0, 204);
}

#[test]
fn changes_are_runs_and_edits_as_an_operator_makes_them() {
    let view = "-- fleet: view=v group=daily\nCREATE TABLE v AS SELECT 1 AS i;\n-- fleet: refresh\nDELETE FROM v;\n";
    let head = "[fleet]\nscripts = \"sql\"\n[[dashboard]]\nname = \"board\"\nviews = [\"v\", \"w\"]\n";
    let fleet = Fleet::new().head(head).sqlite(2);
    std::fs::create_dir(fleet.path("sql")).unwrap();
    std::fs::write(fleet.path("sql/0001_v.sql"), view).unwrap();
    fleet.run(&["migrate", "--yes", "-q"]).exits(0);
    let served = Served::start(&fleet, &["--schedule"]);

    let (status, begun) = served.post("/api/v1/refresh", r#"{"groups":["daily"],"tenants":["lite-000"]}"#);
    assert_eq!(status, 202, "{begun}");
    let ended = served.end_of(begun["run"].as_str().unwrap());
    assert_eq!((&ended["verdict"], &ended["selected"]), (&"all_at_target".into(), &1.into()), "{ended}");
    assert!(ended["started_by"]["command"].as_str().unwrap().contains("refresh"), "{ended}");
    let views = served.json("/api/v1/views");
    assert!(views["tenants"][0]["views"][0]["refreshed_at"].is_string(), "{views}");
    let dashboards = served.json("/api/v1/dashboards")["dashboards"].clone();
    let shown = &dashboards[0]["views"][0];
    assert_eq!((&dashboards[0]["name"], &dashboards[0]["missing"]), (&"board".into(), &serde_json::json!(["w"])));
    assert_eq!((&shown["view"], &shown["group"], &shown["tenants"]), (&"v".into(), &"daily".into(), &2.into()));
    assert!(shown["next_at"].as_str().unwrap().ends_with("T00:00:00Z"), "{dashboards}");
    assert_eq!(shown["oldest"], views["tenants"][0]["views"][0]["refreshed_at"], "{dashboards}");
    let page = served.get("/views");
    assert!(page.contains("<h2>board</h2>") && page.contains("No script makes the view w."), "{page}");
    let (status, refused) = served.post("/api/v1/refresh", r#"{"views":["other"]}"#);
    assert!(status == 404 && refused["error"].as_str().unwrap().starts_with("there is no view"), "{refused}");
    assert_eq!(served.post("/api/v1/refresh", r#"{"groups":["weekly"]}"#).0, 404, "no view is of it");
    assert_eq!(served.post("/api/v1/refresh", r#"{"groups":["sometimes"]}"#).0, 400);

    let quarantine = |body: &str| served.post("/api/v1/tenants/lite-001/quarantine", body);
    assert_eq!(quarantine(r#"{"reason":"--until=2000-01-01"}"#).0, 202);
    assert_eq!(served.json("/api/v1/matrix?q=lite-001")["tenants"][0]["quarantine"]["reason"], "--until=2000-01-01");
    assert_eq!(quarantine("{}").0, 400);
    let nul = quarantine(r#"{"reason":"half\u0000a restore"}"#);
    assert!(nul.0 == 400 && nul.1.to_string().contains("`reason` holds the character U+0000"), "{nul:?}");
    assert_eq!(quarantine(r#"{"reason":"x","until":"some day"}"#).0, 400);
    assert_eq!(served.post("/api/v1/tenants/other/quarantine", r#"{"reason":"x"}"#).0, 404);
    assert_eq!(served.post("/api/v1/tenants/other/release", "{}").0, 404);
    assert_eq!(served.post("/api/v1/runs/other/resume", "{}").0, 404);
    assert_eq!(served.post("/api/v1/runs/01990000-0000-7000-8000-000000000000/approve", r#"{"by":"ada"}"#).0, 404);
    assert_eq!(quarantine(r#"{"reason":" "}"#).0, 400);
    assert_eq!(served.post("/api/v1/tenants/lite-001/release", "{}").0, 202);
    assert_eq!(served.post("/api/v1/tenants/lite-001/release", "{}").0, 409, "it is out of it");
    assert_eq!(served.json("/api/v1/matrix?q=lite-001")["tenants"][0]["quarantine"], Value::Null);
    let (status, refused) = served.post("/api/v1/runs/last/approve", r#"{"by":"ada"}"#);
    assert!(status == 409 && refused["error"].as_str().unwrap().contains("did not pause at a gate"), "{refused}");
}

/// By schemathesis, on a fleet that the script makes.
#[test]
fn the_server_does_what_its_openapi_document_says() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/check-api");
    let ran = std::process::Command::new(script).arg(crate::PROGRAM).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(ran.status.success(), "{}\n{}", text(&ran.stdout), text(&ran.stderr));
    assert_eq!(text(&ran.stdout).matches("Tested: 19").count(), 2, "{}", text(&ran.stdout));
}

#[test]
fn metrics_are_in_the_form_of_prometheus() {
    let mut fleet = Fleet::new().sqlite(2);
    fleet.add("gone", "sqlite:gone.db");
    fleet.run(&["migrate", "--yes", "-q"]).exits(100);
    let served = Served::start(&fleet, &[]);
    let answer = served.get("/metrics");
    let text = answer.split_once("\r\n\r\n").unwrap().1;
    let mut described = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(about) => {
                let words: Vec<&str> = about.split(' ').collect();
                assert!(matches!(words[..], ["HELP", _, _, ..] | ["TYPE", _, "gauge"]), "{line}");
                described.push(words[1]);
            }
            None => {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let bare = name.split('{').next().unwrap();
                assert!(described.contains(&bare) && value.parse::<f64>().is_ok(), "{line}");
                assert!(bare == name || name.ends_with("\"}"), "{line}");
            }
        }
    }
    for line in [
        "fleet_tenants{state=\"at_target\"} 2",
        "fleet_tenants{state=\"unreachable\"} 1",
        "fleet_run_tenants{standing=\"failed\"} 1",
        "fleet_run_failures{class=\"unknown_database\"} 1",
        "fleet_runs_running 0",
        "fleet_refresh_failures 0",
    ] {
        assert!(text.lines().any(|l| l == line), "no {line:?} in\n{text}");
    }
    assert!(!text.contains("fleet_last_success_timestamp_seconds"), "{text}");
    for name in ["alerts.yaml", "dashboard.json"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/prometheus");
        let example = std::fs::read_to_string(folder.join(name)).unwrap();
        let words = example.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let named: Vec<&str> = words.filter(|word| word.starts_with("fleet_")).collect();
        assert!(named.len() > 5, "{name}");
        for metric in named.iter().copied() {
            let is_known = described.contains(&metric) || metric == "fleet_last_success_timestamp_seconds";
            // Those of servers are there while a run works on them; see `own_servers::load`.
            assert!(is_known || LOAD.contains(&metric), "{name}: {metric}");
        }
        for metric in LOAD {
            assert!(named.contains(&metric), "{name} does not show {metric}");
        }
    }

    // The same in a file, without a server; and the end of a run.
    let lasting = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.contains("fleet_read_")).map(str::to_owned).collect()
    };
    edited(&fleet, &["status", "--metrics-file", "status.prom", "-q"]).exits(0);
    let of_status = std::fs::read_to_string(fleet.path("status.prom")).unwrap();
    assert_eq!(lasting(&of_status), lasting(text));
    edited(&fleet, &["migrate", "--yes", "-q", "--exclude", "gone", "--metrics-file", "run.prom"]).exits(0);
    let of_run = std::fs::read_to_string(fleet.path("run.prom")).unwrap();
    assert!(of_run.contains("fleet_run_tenants{standing=\"at_target\"} 2\n"), "{of_run}");
    assert!(of_run.contains("fleet_last_success_timestamp_seconds ") && !of_run.contains("fleet_tenants{"), "{of_run}");
    edited(&fleet, &["status", "--metrics-file", "tenants.toml"]).exits(64).tells(&["replace the tenant file"]);
}
