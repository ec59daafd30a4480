//! The kind of values that a column holds, from its type as the engine prints it; names do not count here.

use std::collections::{BTreeMap, HashMap};

use fleet_shape::{Shape, Table};

use crate::check::{self, Limits};

/// The kind of values that a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    /// Integers in a range.
    Int(i64, i64),
    /// Decimals: the number of digits, and how many of these are decimal places.
    Decimal(u32, u32),
    /// A text, and its maximum length in characters.
    Text(Option<usize>),
    Uuid,
    Bytes(usize),
    Moment,
    Day,
    Time,
    Json,
    /// One of a list.
    OneOf(Vec<String>),
    /// A network address.
    Inet,
    /// An array or another type of which only an empty value is known, as text.
    Empty(&'static str),
    Unknown,
}

/// User-defined types of a schema: enums and domains of PostgreSQL.
#[derive(Debug, Default)]
pub(crate) struct OwnTypes {
    enums: HashMap<String, Vec<String>>,
    /// A domain's base type and its rules, with VALUE for the column.
    domains: HashMap<String, (String, String)>,
}

impl OwnTypes {
    pub(crate) fn of(shape: &Shape) -> Self {
        let mut own = OwnTypes::default();
        for other in shape.others.iter().filter(|o| o.kind == "type") {
            if let Some(list) = other.definition.strip_prefix("enum ") {
                own.enums.insert(other.name.clone(), quoted(list));
            } else if let Some(rest) = other.definition.strip_prefix("domain ") {
                let end = [" not null", " default ", " collate ", " CHECK ", "\n"];
                let cut = end.iter().filter_map(|word| rest.find(word)).min().unwrap_or(rest.len());
                let base = rest[..cut].split(',').next().unwrap_or_default();
                // A rule's name comes between the type and its CHECK.
                let base = if is_known(&parse(base)) { base } else { base.rsplit_once(' ').map_or(base, |(b, _)| b) };
                own.domains.insert(other.name.clone(), (base.to_owned(), rest.to_owned()));
            }
        }
        own
    }

    /// The rules of a column's domain.
    pub(crate) fn rules(&self, kind: &str) -> Vec<String> {
        let Some((_, definition)) = self.domains.get(kind.trim_matches('"')) else { return Vec::new() };
        definition.split("CHECK (").skip(1).filter_map(|part| Some(part.rsplit_once(')')?.0.to_owned())).collect()
    }

    pub(crate) fn kind(&self, table: &Table, name: &str, kind: &str) -> Kind {
        let bare = kind.trim_matches('"');
        if let Some(values) = self.enums.get(bare) {
            return Kind::OneOf(values.clone());
        }
        if let Some((base, _)) = self.domains.get(bare) {
            return parse(base);
        }
        // MariaDB's JSON is a text with a check.
        let is_json =
            |(_, check): &(String, String)| check.to_lowercase().contains("json_valid") && check.contains(name);
        match parse(kind) {
            Kind::Text(_) if table.checks.iter().any(is_json) => Kind::Json,
            parsed => parsed,
        }
    }
}

fn is_known(kind: &Kind) -> bool {
    *kind != Kind::Unknown
}

/// The texts of a list: `'sad', 'it''s fine'`.
fn quoted(list: &str) -> Vec<String> {
    let check = check::parse(&format!("x IN ({list})"));
    let mut limits = BTreeMap::new();
    check.iter().for_each(|check| check::limit(check, &mut limits));
    limits.remove("x").and_then(|x: Limits| x.one_of).unwrap_or_default()
}

/// The numbers in the first parentheses.
fn sizes(kind: &str) -> Vec<u32> {
    let inner = kind.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(inner, _)| inner);
    inner.split(',').filter_map(|part| part.trim().parse().ok()).collect()
}

pub(crate) fn parse(kind: &str) -> Kind {
    if kind.ends_with("[]") {
        return Kind::Empty("{}");
    }
    let lower = kind.to_lowercase();
    let sizes = sizes(&lower);
    let size = sizes.first().map(|n| *n as usize);
    let unsigned = lower.contains("unsigned");
    let int = |bits: u32| {
        let top = if unsigned && bits < 63 { (1_i64 << bits) - 1 } else { i64::MAX >> (64 - bits) };
        Kind::Int(if unsigned { 0 } else { -top - 1 }, top)
    };
    let first = lower.split(['(', ' ']).next().unwrap_or_default();
    match first {
        "boolean" | "bool" => Kind::Bool,
        "tinyint" if size == Some(1) => Kind::Bool,
        "bit" if size.unwrap_or(1) == 1 && !lower.contains("varying") => Kind::Bool,
        "tinyint" => int(8),
        "smallint" | "int2" => int(16),
        "mediumint" => int(24),
        "int" | "integer" | "int4" | "serial" => int(32),
        "bigint" | "int8" | "bigserial" => int(64),
        "year" => Kind::Int(1901, 2155),
        "decimal" | "numeric" | "real_money" | "real_decimal" | "money" => decimal(&sizes),
        "real" | "float" | "double" | "float4" | "float8" => decimal(&sizes),
        "uuid" | "uuid_text" => Kind::Uuid,
        "binary" if size == Some(16) => Kind::Uuid,
        "binary" | "varbinary" | "blob" | "varbinary_blob" | "bytea" | "longblob" | "mediumblob" | "tinyblob" => {
            Kind::Bytes(size.unwrap_or(32).min(64))
        }
        "date" | "date_text" => Kind::Day,
        "time" | "time_text" => Kind::Time,
        "json" | "jsonb" | "json_text" | "jsonb_text" => Kind::Json,
        "enum" | "set" => Kind::OneOf(quoted(kind[first.len()..].trim_matches(['(', ')']))),
        "inet" | "inet4" => Kind::Inet,
        "cidr" => Kind::Empty("10.0.0.0/8"),
        "inet6" => Kind::Empty("2001:db8::1"),
        "macaddr" => Kind::Empty("08:00:2b:01:02:03"),
        "interval" => Kind::Empty("1 day"),
        "tsvector" | "hstore" => Kind::Empty(""),
        "xml" => Kind::Empty("<a/>"),
        _ if first.starts_with("timestamp") || first.starts_with("datetime") => Kind::Moment,
        "character" | "char" | "varchar" | "nchar" | "nvarchar" | "bpchar" => {
            Kind::Text(size.or((first == "char").then_some(1)))
        }
        "tinytext" => Kind::Text(Some(60)),
        "text" | "mediumtext" | "longtext" | "citext" | "enum_text" | "clob" | "string" | "name" => Kind::Text(size),
        "" => Kind::Text(None),
        _ => Kind::Unknown,
    }
}

/// A decimal without a size gets that of money.
fn decimal(sizes: &[u32]) -> Kind {
    match sizes {
        [precision, scale] => Kind::Decimal((*precision).min(17), (*scale).min(*precision).min(12)),
        [precision] => Kind::Decimal((*precision).min(17), 0),
        _ => Kind::Decimal(12, 2),
    }
}

#[cfg(test)]
mod tests {
    use fleet_shape::Other;

    use super::*;

    #[test]
    fn types_of_all_engines_are_understood() {
        for (kind, expected) in [
            ("character varying(64)", Kind::Text(Some(64))),
            ("varchar(64) collate utf8mb4_bin", Kind::Text(Some(64))),
            ("char(3)", Kind::Text(Some(3))),
            ("text", Kind::Text(None)),
            ("tinyint(1)", Kind::Bool),
            ("boolean", Kind::Bool),
            ("tinyint(3) unsigned", Kind::Int(0, 255)),
            ("smallint", Kind::Int(-32_768, 32_767)),
            ("bigint(20)", Kind::Int(i64::MIN, i64::MAX)),
            ("bigint(20) unsigned", Kind::Int(0, i64::MAX)),
            ("int(11)", Kind::Int(-2_147_483_648, 2_147_483_647)),
            ("numeric(12,2)", Kind::Decimal(12, 2)),
            ("real(12, 2)", Kind::Decimal(12, 2)),
            ("double precision", Kind::Decimal(12, 2)),
            ("binary(16)", Kind::Uuid),
            ("uuid_text", Kind::Uuid),
            ("timestamp with time zone", Kind::Moment),
            ("timestamp_with_timezone_text", Kind::Moment),
            ("datetime_text", Kind::Moment),
            ("time without time zone", Kind::Time),
            ("date_text", Kind::Day),
            ("enum('a','it''s')", Kind::OneOf(vec!["a".into(), "it's".into()])),
            ("text[]", Kind::Empty("{}")),
            ("geography", Kind::Unknown),
        ] {
            assert_eq!(parse(kind), expected, "{kind}");
        }
    }

    #[test]
    fn enums_and_domains_are_what_they_are_made_of() {
        let kind = |name: &str, definition: &str| Other {
            kind: "type".into(),
            name: name.into(),
            definition: definition.into(),
        };
        let others = vec![
            kind("mood", "enum 'sad', 'glad'"),
            kind("plus", "domain integer plus_check CHECK ((VALUE > 0))"),
            kind("code", "domain character varying(8) not null"),
        ];
        let own = OwnTypes::of(&Shape { others, ..Shape::default() });
        let of = |kind: &str| own.kind(&Table::default(), "c", kind);
        assert_eq!(of("mood"), Kind::OneOf(vec!["sad".into(), "glad".into()]));
        assert_eq!(of("plus"), parse("integer"));
        assert_eq!(own.rules("plus"), ["(VALUE > 0)"]);
        assert_eq!(of("code"), Kind::Text(Some(8)));
    }
}
