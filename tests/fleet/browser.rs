//! `serve` in a real browser: Chromium by its driver, as wide as a desk and as a phone, by keyboard alone, and without
//! JavaScript.
//!
//! The pictures of the book are made here: `REWRITE_BOOK=1` writes them.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::serving::{Served, TOKEN, request};
use crate::support::{Fleet, all, block_on, wait};

const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/book/src/images");

/// The longest wait for something that a page shows by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// The width and the height of a window, in CSS pixels.
#[derive(Clone, Copy, PartialEq)]
enum Window {
    Desk,
    Phone,
}

impl Window {
    const ALL: [Window; 2] = [Window::Desk, Window::Phone];

    fn width(self) -> u32 {
        match self {
            Window::Desk => 1280,
            Window::Phone => 400,
        }
    }
}

/// The driver, ended with the test and all its browsers with it.
struct Driver {
    child: Child,
    address: String,
}

impl Driver {
    /// The port that it finds free may be another program's a moment later: then it ends, and is started once more.
    fn start() -> Driver {
        (0..5).find_map(|_| Driver::try_start()).expect("chromedriver did not start, five times")
    }

    fn try_start() -> Option<Driver> {
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn().expect(
            "chromedriver is not there; scripts/test installs it (on Debian: apt-get install chromium chromium-driver)",
        );
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut ports = lines.filter_map(|line| line.split_once(" on port ")?.1.trim_end_matches('.').parse().ok());
        let Some(port) = ports.find(|port: &u16| *port != 0) else {
            child.wait().unwrap();
            return None;
        };
        Some(Driver { child, address: format!("127.0.0.1:{port}") })
    }

    /// A browser with this window. Without JavaScript it shows what the server sends, and nothing else.
    async fn open(&self, window: Window, with_javascript: bool) -> Browser<'_> {
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--hide-scrollbars",
            "--window-size=1280,900",
        ];
        let mut options = json!({ "args": arguments });
        if window == Window::Phone {
            options["mobileEmulation"] = json!({ "deviceMetrics": { "width": 400, "height": 800, "pixelRatio": 1.0 } });
        }
        if !with_javascript {
            options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
        }
        let capabilities = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.as_object().unwrap().clone());
        let client = builder.connect(&format!("http://{}", self.address)).await.unwrap();
        Browser { driver: self, client, window }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}

struct Browser<'a> {
    driver: &'a Driver,
    client: Client,
    window: Window,
}

impl Browser<'_> {
    /// Goes to a page of a server, with its token as a person gives it.
    async fn go(&self, served: &Served, path: &str) {
        self.client.goto(&format!("http://reader:{TOKEN}@{}{path}", served.address)).await.unwrap();
    }

    async fn ask(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// The text of an element as a person sees it, in one call: a live page may replace it between two.
    async fn text(&self, selector: &str) -> String {
        let text = self.ask(&format!("return document.querySelector({selector:?})?.innerText")).await;
        text.as_str().unwrap_or_else(|| panic!("there is no {selector}")).to_owned()
    }

    /// Waits until a script returns true.
    async fn wait_until(&self, script: &str) {
        let begun = Instant::now();
        while self.ask(script).await != true {
            assert!(begun.elapsed() < PATIENCE, "{script}: {}", self.client.source().await.unwrap());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn press(&self, keys: impl IntoIterator<Item = char>) {
        let actions = keys.into_iter().fold(KeyActions::new("keys".to_owned()), |actions, value| {
            actions.then(KeyAction::Down { value }).then(KeyAction::Up { value })
        });
        self.client.perform_actions(actions).await.unwrap();
    }

    /// Goes on by the tabulator until the thing in focus is the wanted one.
    async fn tab_to(&self, selector: &str) {
        for _ in 0..40 {
            self.press([Key::Tab.into()]).await;
            if self.ask(&format!("return document.activeElement.matches('{selector}')")).await == true {
                return;
            }
        }
        panic!("{selector} can't be reached by keyboard: {}", self.client.source().await.unwrap());
    }

    /// What holds for every page: it is as wide as its window, it asks nobody else for anything, and the browser has no
    /// complaint about it.
    async fn check_page(&self, path: &str) {
        let at = format!("{path} at {}", self.window.width());
        let wider = self.ask("return document.documentElement.scrollWidth - window.innerWidth").await;
        assert!(wider.as_i64().unwrap() <= 0, "{at}: {wider} px too wide");
        assert_eq!(self.ask("return window.innerWidth").await, self.window.width(), "{at}");
        let others = "return performance.getEntriesByType('resource').map(e => new URL(e.name).host).filter(h => h !== \
                      location.host)";
        assert_eq!(self.ask(others).await, json!([]), "{at}");
        let unnamed = "return [...document.querySelectorAll('input:not([type=hidden]), select, button')].filter(e => \
                       !e.labels?.length && !e.textContent.trim()).length";
        assert_eq!(self.ask(unnamed).await, 0, "{at}: a field without a name");
        let session = self.client.session_id().await.unwrap().unwrap();
        let log = format!("/session/{session}/se/log");
        let (status, answer) = request(&self.driver.address, ("POST", &log), "", r#"{"type": "browser"}"#);
        let log: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!((status, &log["value"]), (200, &json!([])), "{at}");
    }

    async fn picture(&self, name: &str) {
        let picture = self.client.screenshot().await.unwrap();
        assert!(picture.len() > 5_000, "{name} is empty");
        if std::env::var_os("REWRITE_BOOK").is_some() {
            std::fs::write(Path::new(PICTURES).join(format!("{name}-{}.png", self.window.width())), picture).unwrap();
        }
    }
}

fn fleet() -> Fleet {
    let canary = "[fleet]\nname = \"shop\"\n[[wave]]\nname = \"canary\"\ncount = 4\n";
    let mut fleet = Fleet::new().head(canary).sqlite(40).schemas(6).mariadb(6);
    fleet.add("nobody", "postgres://nobody@127.0.0.1:1/none");
    fleet
}

#[test]
fn every_page_fits_a_desk_and_a_phone_and_needs_no_other_host() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes", "-q", "--exclude", "nobody", "--to", &all()[3]]).exits(0);
    fleet.run(&["migrate", "--yes", "-q", "-t", "lite-00*"]).exits(0);
    // One fails, and one is at nothing.
    fleet.run(&["rollback", "--all", "--yes", "-q", "-t", "lite-020"]).exits(0);
    fleet.run(&["migrate", "--yes", "-q", "-t", "nobody", "-t", "my-*", "--attempts", "1"]).exits(100);
    fleet.run(&["backup", "--yes", "-q", "-t", "my-000"]).exits(0);
    let served = Served::start(&fleet, &[]);
    let run = served.json("/api/v1/runs")["runs"][1]["run"].as_str().unwrap().to_owned();
    let driver = Driver::start();
    block_on(async {
        for window in Window::ALL {
            let browser = driver.open(window, true).await;
            let pages = [
                ("/".to_owned(), "53 tenants", "matrix"),
                ("/?group=tenant".to_owned(), "53 tenants", ""),
                ("/runs".to_owned(), "Runs", ""),
                (format!("/runs/{run}"), "7 tenants", ""),
                ("/tenants/my-000".to_owned(), "my-000", "tenant"),
                ("/tenants/lite-020".to_owned(), "lite-020", ""),
                ("/views".to_owned(), "0 views", ""),
                ("/tenants/nobody".to_owned(), "nobody", ""),
                ("/catalog".to_owned(), "6 migrations", ""),
                (format!("/catalog/{}", all()[0]), &all()[0], ""),
                ("/tenants/none-of-these".to_owned(), "Not there", ""),
            ];
            for (path, title, picture) in pages {
                browser.go(&served, &path).await;
                let heading = browser.text("h1").await;
                assert!(heading.contains(title), "{path}: {heading}");
                if title != "Not there" {
                    browser.check_page(&path).await;
                }
                if !picture.is_empty() {
                    browser.picture(picture).await;
                }
            }
            browser.client.close().await.unwrap();
        }
    });
}

#[test]
fn the_fleet_is_searched_and_a_tenant_opened_by_keyboard_alone() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes", "-q", "--exclude", "nobody"]).exits(0);
    let served = Served::start(&fleet, &[]);
    let driver = Driver::start();
    block_on(async {
        let browser = driver.open(Window::Desk, true).await;
        browser.go(&served, "/").await;
        // A page that is just shown may not have the keyboard yet.
        browser.tab_to(":not(body)").await;
        let skip = "const one = document.activeElement; return one.matches('.skip') && \
                    one.getBoundingClientRect().left >= 0";
        // The first thing in focus leads to the content, and is seen.
        browser.wait_until(skip).await;
        browser.press([Key::Enter.into()]).await;
        browser.wait_until("return location.hash === '#main'").await;
        browser.tab_to("select[name=group]").await;
        browser.press([Key::Down.into()]).await;
        browser.wait_until("return location.search.includes('group=tenant')").await;
        browser.go(&served, "/?group=tenant").await;
        browser.tab_to("input[name=q]").await;
        browser.press("lite-00".chars()).await;
        browser.wait_until("return document.querySelectorAll('#result tbody tr').length === 10").await;
        assert_eq!(browser.ask("return document.activeElement.name").await, "q", "the search loses the focus");
        browser.tab_to("#result tbody a").await;
        let outline = "return getComputedStyle(document.activeElement).outlineStyle";
        assert_eq!(browser.ask(outline).await, "solid", "what is in focus is not seen");
        browser.press([Key::Enter.into()]).await;
        browser.wait_until("return location.pathname.startsWith('/tenants/lite-00')").await;
        browser.check_page("a tenant").await;
        browser.client.close().await.unwrap();
    });
}

/// Begins a run that takes some seconds; returns it with its id.
fn begin(fleet: &Fleet, served: &Served) -> (Child, String) {
    let newest = || served.json("/api/v1/runs")["runs"][0]["run"].clone();
    let before = newest();
    let run = fleet.program(&["migrate", "--yes", "-q", "--exclude", "nobody", "--rate", "6/s"]).spawn().unwrap();
    let begun = Instant::now();
    let id = loop {
        let now = newest();
        if now != before {
            break now.as_str().unwrap().to_owned();
        }
        if begun.elapsed() > PATIENCE {
            panic!("the run does not begin: {:?}", wait(run));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    (run, id)
}

#[test]
fn a_run_is_followed_in_the_page_from_its_first_tenant_to_its_end() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes", "-q", "--exclude", "nobody", "--to", &all()[2]]).exits(0);
    let served = Served::start(&fleet, &[]);
    let driver = Driver::start();
    block_on(async {
        let (desk, phone) = (driver.open(Window::Desk, true).await, driver.open(Window::Phone, true).await);
        let (run, id) = begin(&fleet, &served);
        for browser in [&desk, &phone] {
            browser.go(&served, &format!("/runs/{id}")).await;
            browser.ask("window.sameDocument = true").await;
            browser.check_page("a run that goes on").await;
        }
        let first = desk.text(".progress").await;
        desk.wait_until(&format!("return document.querySelector('.progress')?.textContent !== {}", json!(first))).await;
        assert_eq!(desk.ask("return window.sameDocument").await, true, "the page was loaded again");
        let is_half = "return document.querySelector('.progress')?.textContent.match(/(\\d+)\\/52/)?.[1] >= 20 || \
                       !document.querySelector('.progress')";
        for browser in [&desk, &phone] {
            browser.wait_until(is_half).await;
            browser.picture("live").await;
        }
        wait(run).exits(0);
        // At the end the page is loaded once more, and follows nothing.
        desk.wait_until("return !window.sameDocument && !document.getElementById('main').dataset.follows").await;
        assert!(desk.text("h1").await.contains("52"), "{}", desk.text("h1").await);
        for browser in [desk, phone] {
            browser.client.close().await.unwrap();
        }
    });
}

#[test]
fn without_javascript_a_run_is_followed_and_the_fleet_is_filtered() {
    let fleet = fleet();
    fleet.run(&["migrate", "--yes", "-q", "--exclude", "nobody", "--to", &all()[2]]).exits(0);
    let served = Served::start(&fleet, &[]);
    let driver = Driver::start();
    block_on(async {
        let browser = driver.open(Window::Desk, false).await;
        browser.go(&served, "/?group=tenant").await;
        let search = browser.client.find(Locator::Css("input[name=q]")).await.unwrap();
        search.send_keys("lite-00").await.unwrap();
        search.send_keys(&char::from(Key::Enter).to_string()).await.unwrap();
        let begun = Instant::now();
        while !browser.client.current_url().await.unwrap().as_str().contains("q=lite-00") {
            assert!(begun.elapsed() < PATIENCE, "the form is not sent");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        while browser.client.find_all(Locator::Css("#result tbody tr")).await.unwrap().len() != 10 {
            assert!(begun.elapsed() < PATIENCE, "the rows are not those that were asked for");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }

        let (run, id) = begin(&fleet, &served);
        browser.go(&served, &format!("/runs/{id}")).await;
        // Without JavaScript the driver may be at a page before its content is.
        let begun = Instant::now();
        while !browser.client.source().await.unwrap().contains("http-equiv=\"refresh\"") {
            assert!(begun.elapsed() < PATIENCE, "the page of a run that goes on does not load itself again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        wait(run).exits(0);
        let begun = Instant::now();
        while !browser.client.source().await.unwrap().contains("All done: ") {
            assert!(begun.elapsed() < PATIENCE, "the page does not load itself again");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        browser.client.close().await.unwrap();
    });
}

#[test]
fn the_report_of_a_run_in_a_file_fits_a_desk_and_a_phone() {
    let mut fleet = fleet();
    fleet.head = fleet.head.replace("count = 4\n", "count = 4\n[wave.gate]\nsoak = \"1s\"\ncommand = [\"true\"]\n");
    fleet.head += "[hooks]\nafter_wave = { command = [\"false\"] }\n";
    let report = fleet.path("report.html");
    fleet.run(&["migrate", "--yes", "-q", "--attempts", "1", "--report", "html=report.html"]).exits(100);
    let driver = Driver::start();
    block_on(async {
        for window in Window::ALL {
            let browser = driver.open(window, true).await;
            browser.client.goto(&format!("file://{}", report.display())).await.unwrap();
            let told = browser.text("body").await;
            for word in ["52", "nobody", "connection_refused", "canary", "gate", "hook"] {
                assert!(told.contains(word), "no {word} in {told}");
            }
            browser.check_page("the report").await;
            browser.picture("report").await;
            browser.client.close().await.unwrap();
        }
    });
}
