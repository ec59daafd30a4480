//! What is made for a column: decided once, by its type, its name, its default and the limits that CHECKs set.
//!
//! It makes no values and knows no rows.

use super::kind::Kind;
use super::rule::Limits;
use super::words;
use crate::engine::Cell;
use crate::model::shape::{Column, Table};

/// What is made for one column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recipe {
    pub(super) what: What,
    /// The most and the fewest characters of a text.
    pub(super) longest: usize,
    pub(super) shortest: usize,
    /// So many of a hundred are NULL.
    pub(super) nulls: u64,
    /// Whether malformed texts may stand in it.
    pub(super) may_be_malformed: bool,
    /// The largest whole number, or number of last places, that the type and the CHECKs let in.
    pub(super) most: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// One of these.
    OneOf(Vec<Cell>),
    /// True in so many of a hundred.
    Bool(u64),
    Int(i64, i64),
    /// Between two, in units of the last place.
    Decimal(i64, i64, u32),
    Uuid,
    Bytes(usize),
    Moment(When),
    Day(When),
    /// A day written as text, and an amount.
    DayText,
    AmountText,
    Time,
    Json,
    Text(Theme),
    /// Nothing that can be made; the engine's default, or NULL.
    Nothing,
}

/// Which moment of a row's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Born,
    Updated,
    /// Some time between birth and now.
    Later,
    /// An end that can lie in the future.
    End,
}

/// What a text is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Theme {
    Email,
    Person,
    First,
    Last,
    Firm,
    Product,
    Sku,
    Barcode,
    City,
    PostalCode,
    Phone,
    Street,
    Url,
    Tracking,
    Ip,
    Hex,
    Uuid,
    Slug,
    Code,
    Number,
    Sentence,
    File,
    UserAgent,
    Key,
    Title,
}

fn texts(list: &[&str]) -> What {
    What::OneOf(list.iter().map(|text| Cell::Text((*text).to_owned())).collect())
}

/// The parts of a name between underscores, in lower case.
fn parts(name: &str) -> Vec<String> {
    name.to_lowercase().split('_').map(str::to_owned).collect()
}

/// Texts of these tables and columns came from somewhere else, and look it.
fn is_legacy(table: &Table, column: &Column) -> bool {
    is_legacy_table(table) || column.name.to_lowercase().starts_with("legacy")
}

fn is_legacy_table(table: &Table) -> bool {
    table.name.to_lowercase().starts_with("legacy") || table.name.eq_ignore_ascii_case("transactions")
}

impl Recipe {
    pub(super) fn new(table: &Table, column: &Column, kind: &Kind, limits: &Limits) -> Self {
        let parts = parts(&column.name);
        let what = match &limits.one_of {
            Some(list) if !list.is_empty() => What::OneOf(list.iter().map(|text| of_list(kind, text)).collect()),
            _ => what(table, column, kind, limits, &parts),
        };
        let length = match kind {
            Kind::Text(Some(length)) => *length,
            _ => 2_000,
        };
        let is_rare = ["deleted", "revoked", "cancelled", "canceled", "archived", "closed", "malformed"];
        // A sound row of a legacy table is whole: what is wrong with the others is asked for as malformed.
        let is_whole = is_legacy_table(table) && !column.name.eq_ignore_ascii_case("notes");
        // The number of an old row that is kept beside a new one: there is no old row.
        let is_left_over = !is_legacy_table(table) && column.name.to_lowercase().starts_with("legacy");
        let nulls = match (column.nullable && !is_whole, parts.iter().any(|p| is_rare.contains(&p.as_str()))) {
            (false, _) => 0,
            _ if is_left_over => 100,
            (true, true) => 90,
            (true, false) => 12,
        };
        let is_plain = matches!(kind, Kind::Text(_)) && limits.one_of.is_none() && limits.shortest.unwrap_or(0) == 0;
        let is_number = matches!(what, What::AmountText | What::DayText);
        Recipe {
            longest: limits.longest.unwrap_or(length).min(length),
            shortest: limits.shortest.unwrap_or(0),
            nulls,
            may_be_malformed: is_plain && is_number && is_legacy(table, column),
            most: most(kind, limits),
            what,
        }
    }

    /// How many values there are, where they are few; else a row's number can be worked in.
    pub(super) fn domain(&self) -> Option<u64> {
        match &self.what {
            What::OneOf(list) => Some(list.len() as u64),
            What::Bool(_) => Some(2),
            What::Int(low, high) => Some(high.abs_diff(*low).saturating_add(1)),
            What::Day(_) | What::DayText => Some(DAYS),
            What::Time => Some(24 * 60),
            What::Nothing | What::Json => Some(1),
            What::Text(_) if self.longest < 4 => Some(36_u64.pow(u32::try_from(self.longest).unwrap_or(0))),
            _ => None,
        }
    }
}

/// How well a row's number can be worked into a value; 0: not at all.
pub(super) fn carries(recipe: &Recipe) -> u8 {
    match &recipe.what {
        What::Uuid => 6,
        What::Text(_) if recipe.longest >= 4 => 5,
        What::Bytes(length) if *length >= 8 => 4,
        What::Moment(_) => 3,
        What::Int(..) => 2,
        What::Decimal(..) => 1,
        _ => 0,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "limits of a CHECK, clamped to the type"
)]
fn most(kind: &Kind, limits: &Limits) -> i64 {
    let at_most = |top: i64, unit: i64| {
        limits.high.map_or(top, |n| ((n * unit as f64).floor() as i64 - i64::from(limits.below)).min(top))
    };
    match kind {
        Kind::Int(_, high) => at_most(*high, 1),
        Kind::Decimal(precision, scale) => at_most(10_i64.pow(*precision) - 1, 10_i64.pow(*scale)),
        _ => i64::MAX,
    }
}

/// Days that a unique set of days goes through.
pub(super) const DAYS: u64 = 3_650;

fn of_list(kind: &Kind, text: &str) -> Cell {
    match (kind, text.parse::<i64>()) {
        (Kind::Int(..) | Kind::Bool, Ok(number)) => Cell::Int(number),
        (Kind::Decimal(_, scale), Ok(number)) => Cell::Decimal(number * 10_i64.pow(*scale), *scale),
        _ => Cell::Text(text.to_owned()),
    }
}

fn what(table: &Table, column: &Column, kind: &Kind, limits: &Limits, parts: &[String]) -> What {
    let has = |list: &[&str]| list.iter().any(|word| parts.iter().any(|part| part == word));
    match kind {
        Kind::Bool => What::Bool(if has(&["deleted", "archived", "banned", "default", "repriced"]) { 5 } else { 80 }),
        Kind::Int(low, high) => integer(*low, *high, limits, &has),
        Kind::Decimal(precision, scale) => decimal(*precision, *scale, limits, &has),
        Kind::Uuid => What::Uuid,
        Kind::Bytes(length) => What::Bytes(*length),
        Kind::Moment => What::Moment(when(&has)),
        Kind::Day => What::Day(when(&has)),
        Kind::Time => What::Time,
        Kind::Json => What::Json,
        Kind::OneOf(values) => What::OneOf(values.iter().cloned().map(Cell::Text).collect()),
        Kind::Inet => What::Text(Theme::Ip),
        Kind::Empty(text) => What::OneOf(vec![Cell::Text((*text).to_owned())]),
        Kind::Text(length) => text(table, column, length.unwrap_or(2_000), parts, &has),
        Kind::Unknown => What::Nothing,
    }
}

fn when(has: &dyn Fn(&[&str]) -> bool) -> When {
    if has(&["created", "inserted", "starts", "start", "from", "begin", "begins", "opened", "registered"]) {
        When::Born
    } else if has(&["updated", "modified", "changed"]) {
        When::Updated
    } else if has(&["ends", "end", "expires", "until", "to", "due", "renews", "deadline", "eta", "expected", "valid"]) {
        When::End
    } else {
        When::Later
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the limits of a CHECK are clamped to those of the type")]
fn integer(low: i64, high: i64, limits: &Limits, has: &dyn Fn(&[&str]) -> bool) -> What {
    let (from, to) = match () {
        () if has(&["version", "revision"]) => (1, 1),
        () if has(&["year"]) => (2_024, 2_026),
        () if has(&["month", "months"]) => (1, 12),
        () if has(&["day", "week"]) => (1, 28),
        () if has(&["hour", "hours"]) => (0, 23),
        () if has(&["rating", "stars", "priority", "level"]) => (1, 5),
        () if has(&["percent", "percentage", "pct", "score", "progress"]) => (0, 100),
        () if has(&["days", "attempts", "retries", "seats"]) => (1, 60),
        () if has(&["position", "sort", "rank", "sequence", "line"]) => (1, 50),
        () if has(&["age"]) => (18, 80),
        () if has(&["cents", "bytes", "size", "amount", "price", "total"]) => (100, 100_000),
        () if has(&["change", "delta", "difference"]) => (-60, 60),
        () if has(&["quantity", "qty", "count", "stock", "units"]) => (1, 120),
        () => (1, 1_000),
    };
    let least = limits.low.map_or(low, |n| (n as i64).saturating_add(i64::from(limits.above)).max(low));
    let most = limits.high.map_or(high, |n| (n as i64).saturating_sub(i64::from(limits.below)).min(high));
    let from = if from > most { least.max(below(most, 50)) } else { from.max(least) };
    let to = if to < from { from.saturating_add(50) } else { to };
    What::Int(from, to.min(most))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "limits of a CHECK, clamped to the type"
)]
fn decimal(precision: u32, scale: u32, limits: &Limits, has: &dyn Fn(&[&str]) -> bool) -> What {
    let one = 10_i64.pow(scale);
    let top = 10_i64.pow(precision) - 1;
    let (from, to) = match () {
        () if has(&["percent", "percentage", "pct"]) => (0, 100 * one),
        () if has(&["rate"]) && has(&["fee", "fees", "tax", "vat", "interest", "discount"]) => (0, one / 4),
        () if has(&["rate", "ratio", "share", "probability", "confidence", "factor", "accuracy"]) => (0, one),
        () if has(&["rating", "stars"]) => (one, 5 * one),
        () if has(&["lat", "latitude"]) => (-90 * one, 90 * one),
        () if has(&["lng", "lon", "longitude"]) => (-180 * one, 180 * one),
        () if has(&["fee", "fees", "tax", "shipping", "discount"]) => (one / 2, 40 * one),
        () if has(&["budget", "revenue", "turnover", "spend"]) => (1_000 * one, 50_000 * one),
        () => (5 * one, 900 * one),
    };
    let least = limits.low.map_or(-top, |n| ((n * one as f64).ceil() as i64 + i64::from(limits.above)).max(-top));
    let most = limits.high.map_or(top, |n| ((n * one as f64).floor() as i64 - i64::from(limits.below)).min(top));
    let from = if from > most { least.max(below(most, 50 * one)) } else { from.max(least) };
    let to = if to < from { from.saturating_add(50 * one) } else { to };
    What::Decimal(from, to.min(most), scale)
}

/// Where a range begins whose end lies before what is usual: at 0, unless that is behind the end.
fn below(most: i64, span: i64) -> i64 {
    if most > 0 { 0 } else { most.saturating_sub(span) }
}

/// A default of a text: `'active'::character varying`, `'active'`.
fn default_text(column: &Column) -> Option<&str> {
    let default = column.default.as_deref()?;
    default.strip_prefix('\'')?.split('\'').next().filter(|text| !text.is_empty())
}

fn text(table: &Table, column: &Column, length: usize, parts: &[String], has: &dyn Fn(&[&str]) -> bool) -> What {
    if is_legacy_table(table) && parts.last().is_some_and(|last| last == "status") {
        return texts(&words::SALE_STATUS);
    }
    if let Some(list) = listed(column, length, parts, has) {
        return list;
    }
    let last = parts.last().map_or("", String::as_str);
    if ["at", "on"].contains(&last) || has(&["date", "timestamp"]) {
        // SQLite keeps moments as texts.
        return if last == "at" && !is_legacy(table, column) { What::Moment(when(has)) } else { What::DayText };
    }
    let amounts = [
        "amount", "price", "total", "fee", "fees", "cost", "shipping", "tax", "qty", "quantity", "rate", "profit",
        "subtotal",
    ];
    if has(&amounts) {
        return What::AmountText;
    }
    match (theme(table, length, has), default_text(column)) {
        // `color_scheme`, `default_view`: a word of the program, of which only the default is known.
        (Theme::Title | Theme::Key, Some(default)) if !has(&["name", "title", "label"]) => texts(&[default]),
        (theme, _) => What::Text(theme),
    }
}

/// Texts of which there are few.
fn listed(column: &Column, length: usize, parts: &[String], has: &dyn Fn(&[&str]) -> bool) -> Option<What> {
    let with_default = |list: &[&str]| {
        let default = default_text(column);
        let mut all: Vec<&str> = default.into_iter().chain(list.iter().copied()).collect();
        all.dedup();
        all.retain(|text| text.chars().count() <= length);
        texts(&all)
    };
    let is_last = |list: &[&str]| parts.last().is_some_and(|last| list.contains(&last.as_str()));
    let found = match () {
        () if has(&["currency"]) => texts(&words::CURRENCY),
        () if has(&["country"]) && length == 2 => texts(&words::COUNTRY),
        () if has(&["country"]) && length == 3 => texts(&words::COUNTRY_3),
        () if has(&["country"]) && !has(&["email"]) => with_default(&words::COUNTRY_NAME),
        () if has(&["region", "state"]) => with_default(&words::REGION),
        () if has(&["locale", "language", "lang"]) => with_default(&words::LOCALE),
        () if has(&["timezone", "tz"]) => with_default(&words::TIME_ZONE),
        () if is_last(&["status"]) => with_default(&words::STATUS),
        () if is_last(&["plan", "tier"]) => with_default(&words::PLAN),
        () if is_last(&["role"]) => with_default(&words::ROLE),
        () if is_last(&["platform", "marketplace", "channel", "source"]) => with_default(&words::PLATFORM),
        () if is_last(&["carrier"]) => with_default(&words::CARRIER),
        () if is_last(&["colour", "color"]) => with_default(&words::COLOUR),
        () if is_last(&["size"]) => with_default(&words::SIZE),
        () if is_last(&["unit", "uom"]) => with_default(&words::UNIT),
        () if is_last(&["action", "event"]) => with_default(&words::ACTION),
        () if is_last(&["category", "segment"]) => with_default(&words::CATEGORY),
        () if has(&["entity"]) && is_last(&["type"]) => with_default(&words::ENTITY),
        () if is_last(&["mime"]) || (has(&["content"]) && is_last(&["type"])) => with_default(&words::MIME),
        () if is_last(&["kind", "type", "method", "mode"]) => with_default(&["standard", "express", "manual"]),
        () => return None,
    };
    Some(found)
}

fn theme(table: &Table, length: usize, has: &dyn Fn(&[&str]) -> bool) -> Theme {
    let table = table.name.to_lowercase();
    let is_of = |list: &[&str]| list.iter().any(|word| table.contains(word));
    match () {
        () if has(&["email", "mail"]) => Theme::Email,
        () if has(&["hash", "checksum", "digest", "sha256", "token", "secret", "signature", "fingerprint"]) => {
            Theme::Hex
        }
        () if has(&["uuid", "guid"]) || (has(&["id"]) && (length == 36)) => Theme::Uuid,
        () if has(&["first", "given"]) => Theme::First,
        () if has(&["last", "surname", "family"]) => Theme::Last,
        () if has(&["file", "filename", "path"]) => Theme::File,
        () if has(&["agent"]) => Theme::UserAgent,
        () if has(&["barcode", "ean", "gtin", "upc"]) => Theme::Barcode,
        () if has(&["sku"]) => Theme::Sku,
        () if has(&["ip"]) => Theme::Ip,
        () if has(&["phone", "mobile", "fax", "tel"]) => Theme::Phone,
        () if has(&["url", "website", "link", "uri", "href", "domain", "host"]) => Theme::Url,
        () if has(&["tracking"]) => Theme::Tracking,
        () if has(&["slug", "handle", "username", "login"]) => Theme::Slug,
        () if has(&["feature", "flag", "setting", "key"]) => Theme::Key,
        () if has(&["city", "town"]) => Theme::City,
        () if has(&["postal", "postcode", "zip"]) => Theme::PostalCode,
        () if has(&["street", "address", "line1"]) => Theme::Street,
        () if has(&["number", "reference", "ref", "invoice", "id"]) => Theme::Number,
        () if has(&["code", "prefix", "abbreviation", "symbol"]) => Theme::Code,
        () if has(&["company", "firm", "supplier", "vendor", "brand", "merchant"]) => Theme::Firm,
        () if has(&["full", "contact", "person", "author", "buyer", "recipient"]) => Theme::Person,
        () if has(&["name", "title", "label"]) => match () {
            () if is_of(&["setting", "preference", "option", "config", "feature"]) => Theme::Key,
            () if is_of(&["user", "customer", "contact", "person", "people", "employee", "member"]) => Theme::Person,
            () if is_of(&["tenant", "compan", "supplier", "brand", "vendor", "account", "organi"]) => Theme::Firm,
            () if is_of(&["product", "item", "article", "stock"]) => Theme::Product,
            () => Theme::Title,
        },
        () if length < 40 => Theme::Title,
        () if has(&[
            "note",
            "notes",
            "description",
            "comment",
            "comments",
            "reason",
            "text",
            "body",
            "message",
            "remarks",
        ]) =>
        {
            Theme::Sentence
        }
        () => Theme::Title,
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind;
    use super::*;

    fn of(table: &str, name: &str, kind_text: &str, limits: Limits) -> Recipe {
        let table = Table { name: table.into(), ..Table::default() };
        let column = Column { name: name.into(), kind: kind_text.into(), nullable: true, ..Column::default() };
        Recipe::new(&table, &column, &kind::parse(kind_text), &limits)
    }

    #[test]
    fn a_name_and_a_type_tell_what_is_made() {
        let what = |table: &str, name: &str, kind: &str| of(table, name, kind, Limits::default()).what;
        assert_eq!(what("users", "email", "varchar(254)"), What::Text(Theme::Email));
        assert_eq!(what("users", "name", "varchar(254)"), What::Text(Theme::Person));
        assert_eq!(what("brands", "name", "varchar(254)"), What::Text(Theme::Firm));
        assert_eq!(what("products", "name", "varchar(254)"), What::Text(Theme::Product));
        assert_eq!(what("customers", "country", "char(2)"), texts(&words::COUNTRY));
        assert_eq!(what("orders", "version", "integer"), What::Int(1, 1));
        assert_eq!(what("orders", "fee_rate", "numeric(6,4)"), What::Decimal(0, 2_500, 4));
        assert_eq!(what("orders", "updated_at", "timestamp with time zone"), What::Moment(When::Updated));
        assert_eq!(what("transactions", "sold_on", "varchar(64)"), What::DayText);
        assert_eq!(what("orders", "weird", "geometry"), What::Nothing);
    }

    #[test]
    fn limits_are_kept() {
        let limits = |low, high| Limits { low, high, ..Limits::default() };
        assert_eq!(of("b", "participants", "integer", limits(Some(5.0), None)).what, What::Int(5, 1_000));
        assert_eq!(of("b", "n", "integer", limits(Some(5_000.0), None)).what, What::Int(5_000, 5_050));
        assert_eq!(of("b", "n", "integer", limits(None, Some(0.0))).what, What::Int(-50, 0));
        assert_eq!(of("b", "x", "numeric(4,2)", limits(None, Some(1.0))).what, What::Decimal(0, 100, 2));
        let above = Limits { low: Some(1_000.0), above: true, ..Limits::default() };
        assert_eq!(of("b", "x", "numeric(12,2)", above).what, What::Decimal(100_001, 105_001, 2));
    }

    #[test]
    fn only_what_is_legacy_may_be_malformed() {
        let may = |table: &str, name: &str, kind: &str| of(table, name, kind, Limits::default()).may_be_malformed;
        assert!(may("transactions", "amount", "varchar(64)") && may("legacy_sales", "sold_on", "text"));
        assert!(may("orders", "legacy_total", "text"));
        assert!(!may("orders", "total", "text") && !may("transactions", "amount", "numeric(12,2)"));
        assert!(!may("transactions", "notes", "text"));
    }
}
