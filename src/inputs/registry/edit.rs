//! Changes of a tenant file that keep its comments and its order: one tenant more, one less, another id, a
//! quarantine.
//!
//! Text in, text out. Whether the result is a tenant file is up to reading it again.

use toml_edit::{Array, ArrayOfTables, DocumentMut, Formatted, InlineTable, Item, Table, TableLike, Value, value};

use crate::model::text::suggestion;

/// A tenant that is to be added.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewTenant {
    pub(crate) id: String,
    /// With `${VAR}` in it as it was given.
    pub(crate) url: String,
    pub(crate) schema: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) tags: Vec<(String, String)>,
    /// The key of `password = { .. }` and its words, where the password is kept elsewhere.
    pub(crate) password: Option<(&'static str, Vec<String>)>,
    pub(crate) create_missing: bool,
}

/// A change that was not made; a sentence fragment that says how to go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditError {
    #[error("the file is no TOML: {0}")]
    Syntax(String),
    #[error("there is a tenant {0} already")]
    Exists(String),
    #[error("there is no tenant {id}{near}")]
    Unknown { id: String, near: String },
    #[error("tenant {0} is in no quarantine")]
    NotQuarantined(String),
    #[error("`tenant` is no list of tables; write [[tenant]], with two brackets")]
    NoList,
}

/// The text with one tenant more, last in its list.
///
/// # Errors
/// [`EditError`]; the text stays as it is.
pub(crate) fn added(text: &str, new: &NewTenant) -> Result<String, EditError> {
    let mut document = parsed(text)?;
    if ids(&document).contains(&new.id) {
        return Err(EditError::Exists(new.id.clone()));
    }
    let mut table = Table::new();
    table.insert("id", value(&new.id));
    table.insert("url", value(&new.url));
    let texts = [("schema", &new.schema), ("server", &new.server)];
    for (key, text) in texts.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?))) {
        table.insert(key, value(text));
    }
    if !new.tags.is_empty() {
        let tags: InlineTable = new.tags.iter().map(|(key, tag)| (key.as_str(), Value::from(tag.as_str()))).collect();
        table.insert("tags", value(tags));
    }
    if let Some((key, words)) = &new.password {
        let source = match words.as_slice() {
            [one] if *key != "command" => Value::from(one.as_str()),
            words => Value::Array(words.iter().map(String::as_str).collect::<Array>()),
        };
        table.insert("password", value(InlineTable::from_iter([(*key, source)])));
    }
    if new.create_missing {
        table.insert("create_missing", value(true));
    }
    let list = document.entry("tenant").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    match list {
        Item::ArrayOfTables(tables) => {
            table.decor_mut().set_prefix("\n");
            tables.push(table);
        }
        Item::Value(Value::Array(array)) => array.push(table.into_inline_table()),
        _ => return Err(EditError::NoList),
    }
    let edited = document.to_string();
    // The first table of an empty file needs no line above it.
    Ok(with_ends_of(text, if text.trim().is_empty() { edited.trim_start_matches('\n') } else { &edited }))
}

/// The text with one tenant less. The comment right above it goes with it; one behind a blank line stays.
///
/// # Errors
/// As [`added`].
pub(crate) fn removed(text: &str, id: &str) -> Result<String, EditError> {
    let mut document = parsed(text)?;
    let at = position(&document, id)?;
    let mut left = String::new();
    match document.get_mut("tenant") {
        Some(Item::ArrayOfTables(tables)) => {
            let prefix = tables.get(at).and_then(|table| table.decor().prefix()?.as_str()).unwrap_or_default();
            if let Some((above, _)) = prefix.rsplit_once("\n\n") {
                left = format!("{above}\n");
            }
            tables.remove(at);
            if let (false, Some(next)) = (left.trim().is_empty(), tables.get_mut(at)) {
                let own = next.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
                let both = format!("{left}{own}");
                next.decor_mut().set_prefix(both);
                left.clear();
            }
        }
        Some(Item::Value(Value::Array(array))) => _ = array.remove(at),
        _ => return Err(EditError::NoList),
    }
    if !left.trim().is_empty() {
        let trailing = document.trailing().as_str().unwrap_or_default();
        let both = format!("{left}{trailing}");
        document.set_trailing(both);
    }
    Ok(with_ends_of(text, &document.to_string()))
}

/// The text with another id for a tenant, also where others depend on it and where waves name it.
///
/// # Errors
/// As [`added`].
pub(crate) fn renamed(text: &str, old: &str, new: &str) -> Result<String, EditError> {
    let mut document = parsed(text)?;
    let at = position(&document, old)?;
    if old != new && ids(&document).iter().any(|id| id == new) {
        return Err(EditError::Exists(new.to_owned()));
    }
    each_table(&mut document, "tenant", |place, table| {
        if place == at {
            set(table.get_mut("id"), new);
        }
        replace(table.get_mut("depends_on"), old, new);
    });
    each_table(&mut document, "wave", |_, table| replace(table.get_mut("tenants"), old, new));
    Ok(with_ends_of(text, &document.to_string()))
}

/// The text with a tenant in quarantine; one that it was in before is replaced.
///
/// # Errors
/// As [`added`].
pub(crate) fn quarantined(text: &str, id: &str, reason: &str, until: Option<&str>) -> Result<String, EditError> {
    let mut document = parsed(text)?;
    let at = position(&document, id)?;
    let texts = [("reason", Some(reason)), ("until", until)];
    let texts = texts.into_iter().filter_map(|(key, text)| Some((key, Value::from(text?))));
    let hold: InlineTable = texts.collect();
    each_table(&mut document, "tenant", |place, table| {
        if place == at {
            table.insert("quarantine", value(hold.clone()));
        }
    });
    Ok(with_ends_of(text, &document.to_string()))
}

/// The text with a tenant out of quarantine.
///
/// # Errors
/// As [`added`]; [`EditError::NotQuarantined`].
pub(crate) fn released(text: &str, id: &str) -> Result<String, EditError> {
    let mut document = parsed(text)?;
    let (at, mut found) = (position(&document, id)?, false);
    each_table(&mut document, "tenant", |place, table| {
        found |= place == at && table.remove("quarantine").is_some();
    });
    match found {
        true => Ok(with_ends_of(text, &document.to_string())),
        false => Err(EditError::NotQuarantined(id.to_owned())),
    }
}

/// An edited text with the line ends of the one before it.
fn with_ends_of(before: &str, edited: &str) -> String {
    if before.contains("\r\n") { edited.replace('\n', "\r\n") } else { edited.to_owned() }
}

fn parsed(text: &str) -> Result<DocumentMut, EditError> {
    // The library writes plain line ends, whatever it has read.
    text.replace("\r\n", "\n")
        .parse()
        .map_err(|error: toml_edit::TomlError| EditError::Syntax(error.message().to_owned()))
}

/// The ids that a text names, also where it is no tenant file that can be read.
pub(crate) fn ids_in(text: &str) -> Vec<String> {
    parsed(text).map(|document| ids(&document)).unwrap_or_default()
}

/// The ids in file order; empty for a tenant without one.
fn ids(document: &DocumentMut) -> Vec<String> {
    let id = |table: &dyn TableLike| table.get("id").and_then(Item::as_str).unwrap_or_default().to_owned();
    match document.get("tenant") {
        Some(Item::ArrayOfTables(tables)) => tables.iter().map(|table| id(table)).collect(),
        Some(Item::Value(Value::Array(array))) => {
            array.iter().map(|item| item.as_inline_table().map(|table| id(table)).unwrap_or_default()).collect()
        }
        _ => Vec::new(),
    }
}

fn position(document: &DocumentMut, id: &str) -> Result<usize, EditError> {
    let ids = ids(document);
    ids.iter().position(|own| own == id).ok_or_else(|| {
        let near = suggestion(id, ids.iter().map(String::as_str)).map(|near| format!("; did you mean {near}?"));
        EditError::Unknown { id: id.to_owned(), near: near.unwrap_or_default() }
    })
}

fn each_table(document: &mut DocumentMut, key: &str, mut change: impl FnMut(usize, &mut dyn TableLike)) {
    match document.get_mut(key) {
        Some(Item::ArrayOfTables(tables)) => tables.iter_mut().enumerate().for_each(|(at, table)| change(at, table)),
        Some(Item::Value(Value::Array(array))) => {
            let tables = array.iter_mut().enumerate().filter_map(|(at, item)| Some((at, item.as_inline_table_mut()?)));
            tables.for_each(|(at, table)| change(at, table));
        }
        _ => {}
    }
}

/// Another text in the place of a value, with what stands around it.
fn set(item: Option<&mut Item>, text: &str) {
    if let Some(Item::Value(old)) = item {
        let decor = old.decor().clone();
        *old = Value::String(Formatted::new(text.to_owned()));
        *old.decor_mut() = decor;
    }
}

fn replace(list: Option<&mut Item>, old: &str, new: &str) {
    let Some(Item::Value(Value::Array(array))) = list else { return };
    for item in array.iter_mut().filter(|item| item.as_str() == Some(old)) {
        let decor = item.decor().clone();
        *item = Value::from(new);
        *item.decor_mut() = decor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"# Our fleet.
[fleet]
lock_timeout = "2s"   # not more

[[wave]]
name = "canary"
tenants = ["a", 'b*']  # the brave

# Region EU.

# The first customer.
[[tenant]]
id = 'a'              # short
url = "sqlite:a.db"

[tenant.tags]
plan = "pro"

# The second.
[[tenant]]
id = "b"
url = "sqlite:b.db"
depends_on = [
    "a", # first
]

# The end.
"#;

    #[test]
    fn a_tenant_more_is_the_only_difference() {
        let new = NewTenant {
            id: "c".into(),
            url: "postgres://u:${PW}@h/\"d".into(),
            schema: Some("s".into()),
            tags: vec![("plan".into(), "free".into()), ("a b".into(), "x".into())],
            password: Some(("command", vec!["vault".into()])),
            create_missing: true,
            ..NewTenant::default()
        };
        let text = added(FILE, &new).unwrap();
        let own = "\n[[tenant]]\nid = \"c\"\nurl = 'postgres://u:${PW}@h/\"d'\nschema = \"s\"\ntags = { plan = \"free\", \"a \
                   b\" = \"x\" }\npassword = { command = [\"vault\"] }\ncreate_missing = true\n";
        assert_eq!(text, FILE.replace("\n# The end.", &format!("{own}\n# The end.")));
        assert_eq!(removed(&text, "c").unwrap(), FILE);
        assert_eq!(added(FILE, &NewTenant { id: "a".into(), ..new }), Err(EditError::Exists("a".into())));
        let first = NewTenant { id: "a".into(), url: "sqlite:a.db".into(), ..NewTenant::default() };
        assert_eq!(added("", &first).unwrap(), "[[tenant]]\nid = \"a\"\nurl = \"sqlite:a.db\"\n");
        let inline = "tenant = [\n  { id = \"b\", url = \"sqlite:b.db\" }, # b\n]\n";
        assert!(added(inline, &first).unwrap().contains("{ id = \"a\", url = \"sqlite:a.db\" }"));
        assert_eq!(added("tenant = 1", &first), Err(EditError::NoList));
        assert!(matches!(added("x = ", &first), Err(EditError::Syntax(_))));
    }

    #[test]
    fn a_tenant_less_takes_its_own_comment_with_it_and_no_other() {
        let without_a = removed(FILE, "a").unwrap();
        assert!(without_a.contains("# Region EU.\n") && without_a.contains("# The second.\n[[tenant]]\nid = \"b\""));
        assert!(!without_a.contains("The first customer") && !without_a.contains("plan ="), "{without_a}");
        let without_b = removed(FILE, "b").unwrap();
        assert_eq!(without_b, format!("{}\n# The end.\n", FILE.split("\n# The second").next().unwrap()));
        let near = EditError::Unknown { id: "ab".into(), near: "; did you mean a?".into() };
        assert_eq!(removed(FILE, "ab"), Err(near));
    }

    #[test]
    fn a_quarantine_is_the_only_difference_and_goes_without_a_trace() {
        let text = quarantined(FILE, "b", "half a \"restore\"", Some("2026-12-01")).unwrap();
        let line = "quarantine = { reason = 'half a \"restore\"', until = \"2026-12-01\" }\n";
        assert_eq!(text.replace(line, ""), FILE);
        assert!(text.contains(line), "{text}");
        assert_eq!(released(&text, "b").unwrap(), FILE);
        let again = quarantined(&text, "b", "other", None).unwrap();
        assert!(again.contains("quarantine = { reason = \"other\" }\n") && again.matches("quarantine").count() == 1);
        assert_eq!(released(FILE, "b"), Err(EditError::NotQuarantined("b".into())));
        assert!(matches!(quarantined(FILE, "ab", "r", None), Err(EditError::Unknown { .. })));
        let inline = "tenant = [\n  { id = \"b\", url = \"sqlite:b.db\" }, # b\n]\n";
        assert_eq!(released(&quarantined(inline, "b", "r", None).unwrap(), "b").unwrap(), inline);
    }

    #[test]
    fn another_id_stands_wherever_the_file_names_it() {
        let text = renamed(FILE, "a", "acme").unwrap();
        let wanted = FILE
            .replace("id = 'a'              # short", "id = \"acme\"              # short")
            .replace("[\"a\", 'b*']", "[\"acme\", 'b*']")
            .replace("    \"a\", # first", "    \"acme\", # first");
        assert_eq!(text, wanted);
        assert_eq!(renamed(FILE, "a", "b"), Err(EditError::Exists("b".into())));
        // The lines end as they did.
        let windows = |text: &str| text.replace('\n', "\r\n");
        assert_eq!(renamed(&windows(FILE), "a", "acme").unwrap(), windows(&wanted));
        assert_eq!(removed(&windows(FILE), "a").unwrap(), windows(&removed(FILE, "a").unwrap()));
    }
}
