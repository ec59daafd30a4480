//! Tests of whole tenant files: what they give, and what is said of wrong ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::*;
use crate::config::{Overrides, Variables};
use crate::policy::FailureBudget;
use crate::tenant::{Address, Engine, Tenant};

fn parse<const N: usize>(text: &str, variables: [(&str, &str); N]) -> Result<Registry, Mistakes> {
    let path = Path::new("/fleet/tenants.toml");
    Registry::parse(text, path, &Overrides::default(), &Variables::from(variables))
}

fn good<const N: usize>(text: &str, variables: [(&str, &str); N]) -> Registry {
    parse(text, variables).unwrap_or_else(|e| panic!("{e}"))
}

/// Line, column and message of every mistake.
fn mistakes<const N: usize>(text: &str, variables: [(&str, &str); N]) -> Vec<(usize, usize, String)> {
    let found = parse(text, variables).expect_err("the text is wrong");
    let place = |m: &Mistake| m.place.map_or((0, 0), |p| (p.line, p.column));
    found.list().iter().map(|m| (place(m).0, place(m).1, m.message.clone())).collect()
}

fn address(address: &Address) -> String {
    match address {
        Address::File(path) => path.display().to_string(),
        Address::Url(url) => url.expose_secret().to_owned(),
        Address::Unusable(reason) => format!("unusable: {reason}"),
    }
}

#[test]
fn debugdump() {
    let text = "[fleet]\nname = sample\nconcurrency 3\n[[tenant]]\nid = \"a\nurl = postgres://u:s3cret@h/d\npasword = \"s3cret\"\n[[tenant]\nid = \"b\"\nurl = \"x.db\"\nurl = \"y.db\"\n[[tenant]]\nid=\"c\"\nurl=\"\"\"\npostgres://u:s3cret@h/c\n";
    println!("{}", parse(text, []).unwrap_err().render(false));
}
