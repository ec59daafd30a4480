//! The checks of a legacy sale, in each engine's SQL: whether its texts are numbers and dates, and why it is invalid.
//!
//! The row is `t` (transactions), its item `i` (inventory_items), its platform `p` (platforms). No expression here
//! fails on any text, because one bad row would stop all the good ones.

use sea_orm_migration::sea_orm::DbBackend;

/// The SQL dialect of one engine.
#[derive(Clone, Copy)]
pub(crate) struct Legacy {
    backend: DbBackend,
}

/// The tables of one legacy sale, joined.
pub(crate) const SALE: &str = "transactions t \
     LEFT JOIN inventory_items i ON i.tenant_id = t.tenant_id AND i.sku = trim(t.item_sku) \
     LEFT JOIN platforms p ON p.code = lower(trim(t.platform))";

/// The columns of a legacy sale that are kept as text with a rejected one.
const COLUMNS: [&str; 13] = [
    "id",
    "item_sku",
    "platform",
    "external_id",
    "order_number",
    "amount",
    "fee",
    "shipping",
    "sold_on",
    "status",
    "buyer_city",
    "buyer_country",
    "notes",
];

impl Legacy {
    pub(crate) fn new(backend: DbBackend) -> Self {
        Legacy { backend }
    }

    /// The concatenation of texts.
    pub(crate) fn concat(self, parts: &[&str]) -> String {
        match self.backend {
            // `||` means OR there unless the session says otherwise.
            DbBackend::MySql => format!("CONCAT({})", parts.join(", ")),
            _ => format!("({})", parts.join(" || ")),
        }
    }

    /// A new UUIDv7 as the engine keeps it, another for each row. SQLite and MySQL have no function for it; there its
    /// bytes are put together: 48 bits of milliseconds, the version, 12 random bits, the variant, 62 random bits.
    pub(crate) fn new_id(self) -> &'static str {
        match self.backend {
            DbBackend::Postgres => "uuid_generate_v7()",
            DbBackend::Sqlite => {
                "unhex(printf('%012x', CAST(unixepoch('subsec') * 1000 AS integer)) || '7' \
                 || substr(hex(randomblob(2)), 2) || substr('89AB', 1 + abs(random() % 4), 1) \
                 || substr(hex(randomblob(2)), 2) || hex(randomblob(6)))"
            }
            _ => {
                "UNHEX(CONCAT(LPAD(HEX(FLOOR(UNIX_TIMESTAMP(SYSDATE(3)) * 1000)), 12, '0'), '7', \
                 SUBSTR(HEX(RANDOM_BYTES(2)), 2), SUBSTR('89AB', 1 + FLOOR(RAND() * 4), 1), \
                 SUBSTR(HEX(RANDOM_BYTES(2)), 2), HEX(RANDOM_BYTES(6))))"
            }
        }
    }

    /// Whether a text is digits, optionally with a sign and a fraction.
    fn is_number(self, text: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("{text} ~ '^-?[0-9]+([.][0-9]+)?$'"),
            DbBackend::Sqlite => {
                let digits = format!("(CASE WHEN {text} GLOB '-*' THEN substr({text}, 2) ELSE {text} END)");
                format!(
                    "({digits} GLOB '[0-9]*' AND {digits} NOT GLOB '*[^0-9.]*' \
                     AND {digits} NOT GLOB '*.*.*' AND {digits} NOT GLOB '*.')"
                )
            }
            // `$` also matches before a line break at the end.
            _ => format!("({text} REGEXP '^-?[0-9]+([.][0-9]+)?$' AND INSTR({text}, CHAR(10)) = 0)"),
        }
    }

    /// Whether a number has ten digits or more before its point.
    fn is_too_large(self, text: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("{text} ~ '^[0-9]{{10}}'"),
            DbBackend::Sqlite => format!("{text} GLOB '{}*'", "[0-9]".repeat(10)),
            _ => format!("{text} REGEXP '^[0-9]{{10}}'"),
        }
    }

    /// Whether a number has three digits or more after its point.
    fn is_too_fine(self, text: &str) -> String {
        match self.backend {
            DbBackend::Postgres => format!("{text} ~ '[.][0-9]{{3}}'"),
            DbBackend::Sqlite => format!("{text} GLOB '*.[0-9][0-9][0-9]*'"),
            _ => format!("{text} REGEXP '[.][0-9]{{3}}'"),
        }
    }

    /// Whether a text is a day of the calendar, written YYYY-MM-DD. Everything is compared as text: a cast of a day
    /// that does not exist would be an error. Every fourth year is a leap year in the range that is accepted.
    fn is_day(self, text: &str) -> String {
        let shape = match self.backend {
            DbBackend::Postgres => format!("{text} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$'"),
            DbBackend::Sqlite => {
                format!("{text} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'")
            }
            _ => format!("({text} REGEXP '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$' AND INSTR({text}, CHAR(10)) = 0)"),
        };
        let leap: Vec<String> = (1972..=2036).step_by(4).map(|year| format!("'{year}'")).collect();
        format!(
            "({shape} AND substr({text}, 6, 2) BETWEEN '01' AND '12' AND substr({text}, 9, 2) BETWEEN '01' AND \
             CASE WHEN substr({text}, 6, 2) IN ('04', '06', '09', '11') THEN '30' \
             WHEN substr({text}, 6, 2) <> '02' THEN '31' \
             WHEN substr({text}, 1, 4) IN ({}) THEN '29' ELSE '28' END)",
            leap.join(", ")
        )
    }

    /// The branches of a CASE for one amount of money. A blank one is for the caller to allow or not.
    fn money_reasons(self, column: &str, name: &str) -> String {
        let text = format!("trim(t.{column})");
        let says =
            |what: &str| self.concat(&[&format!("'{name} '''"), &format!("t.{column}"), &format!("''' {what}'")]);
        format!(
            "WHEN {text} <> '' AND NOT {} THEN {} WHEN {text} LIKE '-%' THEN {} WHEN {} THEN {} WHEN {} THEN {} ",
            self.is_number(&text),
            says("is not a number"),
            says("is negative"),
            self.is_too_large(&text),
            says("is more than 999999999.99"),
            self.is_too_fine(&text),
            says("has more than two decimals"),
        )
    }

    /// The reason why a sale can't be an order, in words; NULL where the row itself is valid.
    pub(crate) fn reason(self) -> String {
        let day = "trim(t.sold_on)";
        let quoted = |before: &str, column: &str, after: &str| {
            self.concat(&[&format!("'{before} '''"), &format!("t.{column}"), &format!("''' {after}'")])
        };
        let missing = |column: &str, name: &str| {
            format!("WHEN t.{column} IS NULL OR trim(t.{column}) = '' THEN '{name} is missing' ")
        };
        [
            "CASE ".to_owned(),
            missing("amount", "amount"),
            self.money_reasons("amount", "amount"),
            self.money_reasons("fee", "fee"),
            self.money_reasons("shipping", "shipping"),
            missing("sold_on", "date"),
            format!("WHEN NOT {} THEN {} ", self.is_day(day), quoted("date", "sold_on", "is not a day (YYYY-MM-DD)")),
            // The range of a MySQL timestamp.
            format!(
                "WHEN {day} NOT BETWEEN '1971-01-01' AND '2037-12-31' THEN {} ",
                quoted("date", "sold_on", "is not between 1971 and 2037")
            ),
            missing("item_sku", "item"),
            format!("WHEN i.id IS NULL THEN {} ", quoted("item", "item_sku", "is unknown")),
            missing("platform", "platform"),
            format!("WHEN p.id IS NULL THEN {} ", quoted("platform", "platform", "is unknown")),
            format!("WHEN {} IS NULL THEN {} ", self.status(), quoted("status", "status", "is unknown")),
            "END".to_owned(),
        ]
        .concat()
    }

    /// An order's status; NULL for an unknown one.
    pub(crate) fn status(self) -> &'static str {
        "CASE WHEN t.status IS NULL OR trim(t.status) = '' THEN 'completed' \
         WHEN lower(trim(t.status)) IN ('completed', 'sold', 'paid') THEN 'completed' \
         WHEN lower(trim(t.status)) IN ('cancelled', 'canceled') THEN 'cancelled' \
         WHEN lower(trim(t.status)) IN ('refunded', 'returned') THEN 'refunded' \
         WHEN lower(trim(t.status)) = 'shipped' THEN 'shipped' END"
    }

    /// An amount as a number; 0 for a blank one. It is checked again before the cast: an engine may cast before it
    /// filters.
    pub(crate) fn money(self, column: &str) -> String {
        let text = format!("trim(t.{column})");
        let number = if self.backend == DbBackend::Sqlite { "real" } else { "decimal(14, 2)" };
        format!("CASE WHEN {} THEN CAST({text} AS {number}) ELSE 0 END", self.is_number(&text))
    }

    /// Rounded to the scale of the column: SQLite's numbers are floating-point.
    pub(crate) fn rounded(self, number: &str, decimals: u8) -> String {
        format!("round({number}, {decimals})")
    }

    /// The start of the day of the sale, UTC.
    pub(crate) fn sold_at(self) -> String {
        let day = "trim(t.sold_on)";
        let cast = match self.backend {
            DbBackend::Postgres => format!("CAST({day} || ' 00:00:00+00' AS timestamp with time zone)"),
            DbBackend::Sqlite => format!("{day} || ' 00:00:00'"),
            _ => format!("CAST({day} AS datetime)"),
        };
        format!("CASE WHEN {} THEN {cast} END", self.is_day(day))
    }

    /// Whole days from the purchase (or, where it was not recorded, from the item's entry) to the sale; never below 0.
    pub(crate) fn shelf_life_days(self) -> String {
        let day = "trim(t.sold_on)";
        let days = match self.backend {
            DbBackend::Postgres => {
                format!("CAST({day} AS date) - COALESCE(i.purchased_on, CAST(i.created_at AT TIME ZONE 'UTC' AS date))")
            }
            DbBackend::Sqlite => {
                format!("CAST(julianday({day}) - julianday(date(COALESCE(i.purchased_on, i.created_at))) AS integer)")
            }
            _ => format!("DATEDIFF({day}, COALESCE(i.purchased_on, DATE(i.created_at)))"),
        };
        let least = if self.backend == DbBackend::Sqlite { "max" } else { "GREATEST" };
        format!("CASE WHEN {} THEN {least}({days}, 0) END", self.is_day(day))
    }

    /// The whole row as one JSON text.
    pub(crate) fn row_text(self) -> String {
        let pairs: Vec<String> = COLUMNS.iter().map(|column| format!("'{column}', t.{column}")).collect();
        match self.backend {
            DbBackend::Postgres => format!("CAST(json_build_object({}) AS text)", pairs.join(", ")),
            _ => format!("json_object({})", pairs.join(", ")),
        }
    }
}
