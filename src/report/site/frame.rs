//! The frame of every page: head, navigation, footer.

use maud::{DOCTYPE, Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::model::program;
use crate::report::style::clean;

/// The parts of the site.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Fleet,
    Runs,
    Views,
    Catalog,
    Other,
}

impl Part {
    const SHOWN: [(Part, &str, &str); 4] = [
        (Part::Fleet, "/", "Fleet"),
        (Part::Runs, "/runs", "Runs"),
        (Part::Views, "/views", "Views"),
        (Part::Catalog, "/catalog", "Migrations"),
    ];
}

/// A page of the site.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    pub(super) part: Part,
    /// The run that the page follows.
    pub(super) follows: Option<String>,
}

impl Frame<'_> {
    /// The page around its content.
    pub(super) fn around(&self, content: Markup) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (clean(self.title)) " - " (program::name()) }
                    link rel="icon" href="/favicon.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/style.css";
                    @if self.follows.is_some() { noscript { meta http-equiv="refresh" content="5"; } }
                    script src="/fleet.js" defer {}
                }
                body {
                    a.skip href="#main" { "To the content" }
                    nav aria-label="Parts" {
                        b { (program::name()) }
                        @for (part, address, name) in Part::SHOWN {
                            a href=(address) aria-current=[(part == self.part).then_some("page")] { (name) }
                        }
                    }
                    main #main data-follows=[self.follows.as_deref()] { (content) }
                    footer { (program::name()) " " (program::version()) ". Times are UTC. " a href="/api/v1/openapi.json" { "REST interface" } }
                }
            }
        };
        page.into_string() + "\n"
    }
}

/// The page in place of one that can't be shown.
pub(crate) fn problem(status: u16, text: &str) -> String {
    let title = match status {
        404 => "Not there",
        503 => "Not at this moment",
        _ => "Not understood",
    };
    let content = html! {
        header.bad {
            h1 { (title) }
            @for line in text.lines() { p { (clean(line)) } }
        }
    };
    Frame { title, part: Part::Other, follows: None }.around(content)
}

/// The characters of a name that do not stand for themselves in an address. A dot could be a step up.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// The address of one thing in a part of the site.
pub(super) fn address(part: &str, name: &str) -> String {
    format!("{part}/{}", utf8_percent_encode(name, ENCODED))
}

/// A row of a table of names and values.
pub(super) fn pair(name: &str, value: Markup) -> Markup {
    html! { dt { (name) } dd { (value) } }
}
