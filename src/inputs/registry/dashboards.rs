//! `[[dashboard]]`: the views of a fleet that people look at together.
//!
//! Rules only: whether the views exist is for who knows the catalog.

use crate::inputs::{Diagnostics, Document, Reader};

const KEYS: [&str; 3] = ["name", "about", "views"];

/// A `[[dashboard]]` of the file: a template, for the program that draws it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dashboard {
    pub(crate) name: String,
    pub(crate) about: String,
    /// The names of its views.
    pub(crate) views: Vec<String>,
}

/// Reads all `[[dashboard]]` tables.
pub(super) fn read(document: &Document<'_>, drafts: &mut Diagnostics) -> Vec<Dashboard> {
    let mut read: Vec<Dashboard> = Vec::new();
    for item in document.tables("dashboard", drafts) {
        let Some(reader) = Reader::of(item, "[[dashboard]]", &KEYS, drafts) else { continue };
        let Some(dashboard) = dashboard(&reader, drafts) else { continue };
        if read.iter().any(|other| other.name == dashboard.name) {
            let message = format!("the dashboard {} is there twice", dashboard.name);
            drafts.at(reader.at("name"), message).help("give each a name of its own");
        }
        read.push(dashboard);
    }
    read
}

fn dashboard(reader: &Reader<'_, '_>, drafts: &mut Diagnostics) -> Option<Dashboard> {
    for key in ["name", "views"].into_iter().filter(|key| !reader.has(key)) {
        let help = "write name = \"executive\", views = [\"reporting_executive_metrics\"]";
        drafts.at(reader.span.clone(), format!("this dashboard has no `{key}`")).help(help).absence();
    }
    let (name, views) = (reader.text("name", drafts), reader.names("views", drafts));
    if views.as_ref().is_some_and(Vec::is_empty) {
        drafts.at(reader.at("views"), "this dashboard shows no view").help("fill `views`");
    }
    let about = reader.text("about", drafts).unwrap_or_default().to_owned();
    Some(Dashboard {
        name: name?.to_owned(),
        about,
        views: views?.into_iter().map(|(view, _)| view.to_owned()).collect(),
    })
}
