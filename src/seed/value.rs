//! One value of one row, by its recipe.
//!
//! It depends on nothing but what it is given: the same dice give the same value.

use super::dice::Dice;
use super::recipe::{Recipe, Theme, What, When};
use super::words;
use crate::engine::{Cell, day, decimal};

const DAY: i64 = 86_400;

/// The life of a row, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) born: i64,
    pub(super) now: i64,
}

impl Life {
    /// Born in the last eighteen months.
    pub(super) fn new(dice: &mut Dice, now: i64) -> Self {
        Life { born: now - dice.between(3_600, 540 * DAY), now }
    }

    fn moment(self, dice: &mut Dice, when: When) -> i64 {
        match when {
            When::Born => self.born,
            When::Updated | When::Later => dice.between(self.born, self.now),
            When::End => self.born + dice.between(DAY, 120 * DAY),
        }
    }
}

/// A value, of which another row may have the same.
pub(super) fn any(recipe: &Recipe, dice: &mut Dice, row: u64, life: Life) -> Cell {
    match &recipe.what {
        What::OneOf(list) if list.is_empty() => Cell::Null,
        What::OneOf(list) => {
            // The first is the default, or what is usual: one in two.
            if dice.percent(40) { list[0].clone() } else { dice.pick(list).clone() }
        }
        What::Bool(percent) => Cell::Bool(dice.percent(*percent)),
        What::Int(low, high) => Cell::Int(dice.between(*low, *high)),
        What::Decimal(low, high, scale) => {
            Cell::Decimal(with_a_fraction(dice.between(*low, *high), *high, *scale), *scale)
        }
        What::Uuid => Cell::Uuid(uuid(dice)),
        What::Bytes(length) => Cell::Bytes((0..*length).map(|_| dice.next().to_be_bytes()[0]).collect()),
        What::Moment(when) => Cell::Moment(life.moment(dice, *when)),
        What::Day(when) => Cell::Day(life.moment(dice, *when).div_euclid(DAY)),
        What::DayText => Cell::Text(cut(&day(life.moment(dice, When::Later).div_euclid(DAY)), recipe.longest)),
        What::AmountText => Cell::Text(cut(&decimal(dice.between(500, 90_000), 2), recipe.longest)),
        What::Time => Cell::Time(u32::try_from(dice.below(24 * 60) * 60).expect("less than a day")),
        What::Json => Cell::Json(json(dice)),
        What::Text(theme) => Cell::Text(text(recipe, *theme, dice, row, numbered(*theme))),
        What::Nothing => Cell::Null,
    }
}

/// A value that no other row has.
pub(super) fn carrier(recipe: &Recipe, dice: &mut Dice, row: u64, life: Life) -> Cell {
    let step = i64::try_from(row).unwrap_or(i64::MAX);
    match &recipe.what {
        What::Text(theme) => Cell::Text(text(recipe, *theme, dice, row, true)),
        What::Int(low, _) => Cell::Int(low.saturating_add(step).min(recipe.most)),
        What::Decimal(low, _, scale) => Cell::Decimal(low.saturating_add(step).min(recipe.most), *scale),
        What::Moment(_) => Cell::Moment(life.now - DAY - step.saturating_mul(97)),
        What::Bytes(length) => {
            let first = dice.next().to_be_bytes();
            let more = (8..*length).map(|_| dice.next().to_be_bytes()[0]);
            Cell::Bytes(first.into_iter().chain(more).take(*length).collect())
        }
        _ => any(recipe, dice, row, life),
    }
}

/// Number `place` of the few values that there are.
pub(super) fn nth(recipe: &Recipe, place: u64, life: Life) -> Cell {
    let place_i = i64::try_from(place).unwrap_or(i64::MAX);
    match &recipe.what {
        What::OneOf(list) => list.get(usize::try_from(place).unwrap_or(usize::MAX)).cloned().unwrap_or(Cell::Null),
        What::Bool(_) => Cell::Bool(place == 0),
        What::Int(low, _) => Cell::Int(low.saturating_add(place_i)),
        What::Day(_) => Cell::Day(life.now.div_euclid(DAY) - place_i),
        What::DayText => Cell::Text(cut(&day(life.now.div_euclid(DAY) - place_i), recipe.longest)),
        What::Time => Cell::Time(u32::try_from(place * 60).unwrap_or(0)),
        What::Text(_) => Cell::Text(format!("{:0>width$}", base_36(place), width = recipe.longest)),
        _ => Cell::Null,
    }
}

/// SQLite keeps a whole number in a DECIMAL column as an integer, which SeaORM then can't read as a decimal.
fn with_a_fraction(mantissa: i64, high: i64, scale: u32) -> i64 {
    if scale > 0 && mantissa % 10_i64.pow(scale) == 0 {
        return if mantissa < high { mantissa + 1 } else { mantissa - 1 };
    }
    mantissa
}

fn uuid(dice: &mut Dice) -> u128 {
    let random = (u128::from(dice.next()) << 64) | u128::from(dice.next());
    (random & !(0xf << 76) & !(0b11 << 62)) | (0x4 << 76) | (0b10 << 62)
}

fn base_36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(u32::try_from(number % 36).expect("a digit"), 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

fn cut(text: &str, length: usize) -> String {
    text.chars().take(length).collect()
}

/// Texts that name one thing: each row has its own, whether the schema says so or not.
fn numbered(theme: Theme) -> bool {
    use Theme::*;
    matches!(theme, Email | Sku | Barcode | Tracking | Slug | Code | Number | Hex | Uuid)
}

/// A text that fits its column. A unique one ends with the row's number, before which it is cut.
fn text(recipe: &Recipe, theme: Theme, dice: &mut Dice, row: u64, unique: bool) -> String {
    let (stem, end) = stem(theme, dice, row, unique);
    let end_length = end.chars().count();
    let mut text = if end_length > recipe.longest {
        // Too short for anything but the number itself.
        let number = base_36(row);
        format!("{number:0>width$}", width = recipe.longest.min(number.len().max(1)))
    } else {
        cut(&stem, recipe.longest - end_length) + &end
    };
    text = text.trim_start().to_owned();
    if !unique {
        text = text.trim_end().to_owned();
    }
    while text.chars().count() < recipe.shortest && text.chars().count() < recipe.longest {
        text.insert(0, 'x');
    }
    text
}

fn word(dice: &mut Dice, list: &[&'static str]) -> &'static str {
    let found: &&str = dice.pick(list);
    found
}

/// What may be cut, and what must not.
fn stem(theme: Theme, dice: &mut Dice, row: u64, unique: bool) -> (String, String) {
    let n = row + 1;
    let numbered = |stem: String, before: &str| {
        let end = if unique { format!("{before}{n}") } else { String::new() };
        (stem, end)
    };
    match theme {
        Theme::Email => {
            (ascii(&format!("{}.{}", word(dice, &words::FIRST), word(dice, &words::LAST))), format!(".{n}@example.com"))
        }
        Theme::Person => numbered(format!("{} {}", word(dice, &words::FIRST), word(dice, &words::LAST)), " "),
        Theme::First => numbered(word(dice, &words::FIRST).to_owned(), " "),
        Theme::Last => numbered(word(dice, &words::LAST).to_owned(), " "),
        Theme::Firm => numbered(format!("{} {}", word(dice, &words::FIRM), word(dice, &words::FIRM_END)), " "),
        Theme::Product => numbered(format!("{} {}", word(dice, &words::ADJECTIVE), word(dice, &words::THING)), " "),
        Theme::Sku => (ascii(&word(dice, &words::THING)[..3]).to_uppercase(), format!("-{n:05}")),
        Theme::Barcode => (String::new(), ean_13(row)),
        Theme::City => numbered(word(dice, &words::CITY).to_owned(), " "),
        Theme::PostalCode => numbered(format!("{:05}", dice.between(10_000, 99_999)), "-"),
        Theme::Phone => numbered(format!("+49 30 {:07}", dice.below(10_000_000)), "-"),
        Theme::Street => (
            format!("{} {}", word(dice, &words::STREET), dice.between(1, 180)),
            if unique { format!("/{n}") } else { String::new() },
        ),
        Theme::Url => (String::new(), format!("https://{}.example/{n}", ascii(word(dice, &words::FIRM)))),
        Theme::Tracking => ("JD".to_owned(), format!("{:08}{n:08}", dice.below(100_000_000))),
        Theme::Ip => (String::new(), format!("10.{}.{}.{}", (n >> 16) & 255, (n >> 8) & 255, n & 255)),
        Theme::Hex => (String::new(), hex(dice)),
        Theme::Uuid => (String::new(), uuid::Uuid::from_u128(uuid(dice)).to_string()),
        Theme::Slug => {
            (ascii(&format!("{}-{}", word(dice, &words::ADJECTIVE), word(dice, &words::THING))), format!("-{n}"))
        }
        Theme::Code => (ascii(word(dice, &words::CITY)).to_uppercase(), format!("-{n}")),
        Theme::Number => ("N-2025".to_owned(), format!("-{n:06}")),
        Theme::Sentence => numbered(word(dice, &words::SENTENCE).to_owned(), " #"),
        Theme::File => (format!("{}-{n}", ascii(word(dice, &words::THING))), ".pdf".to_owned()),
        Theme::UserAgent => {
            numbered("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0".to_owned(), " ")
        }
        Theme::Key => numbered(word(dice, &words::FEATURE).to_owned(), "_"),
        Theme::Title => numbered(
            format!("{} {}", word(dice, &words::ADJECTIVE), word(dice, &words::FEATURE).replace('_', " ")),
            " ",
        ),
    }
}

/// 64 hex digits that no other row has: the first sixteen are the dice's own state.
fn hex(dice: &mut Dice) -> String {
    (0..4).map(|_| format!("{:016x}", dice.next())).collect()
}

/// Letters and digits only, in lower case.
fn ascii(text: &str) -> String {
    let lower = text.to_lowercase();
    let plain: String = lower.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.' || *c == '-').collect();
    if plain.trim_matches(['.', '-']).is_empty() { "x".to_owned() } else { plain }
}

/// An EAN-13 of its own for each row, with its check digit.
fn ean_13(row: u64) -> String {
    // The factor has no divisor in common with 10^10, so that no two rows meet.
    let body = format!("40{:010}", row.wrapping_mul(7_368_787).wrapping_add(1_234_567) % 10_000_000_000);
    let weighed = |(i, digit): (usize, u32)| digit * if i % 2 == 0 { 1 } else { 3 };
    let sum: u32 = body.chars().filter_map(|c| c.to_digit(10)).enumerate().map(weighed).sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

fn json(dice: &mut Dice) -> String {
    let value = serde_json::json!({
        "source": word(dice, &words::PLATFORM),
        "colour": word(dice, &words::COLOUR),
        "note": word(dice, &words::SENTENCE),
        "by": word(dice, &words::LAST),
        "count": dice.between(0, 50),
        "gift": dice.percent(20),
    });
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::{kind, rule::Limits};
    use super::*;
    use crate::model::shape::{Column, Table};
    use std::collections::HashSet;

    fn recipe(table: &str, name: &str, kind_text: &str) -> Recipe {
        let table = Table { name: table.into(), ..Table::default() };
        let column = Column { name: name.into(), kind: kind_text.into(), ..Column::default() };
        Recipe::new(&table, &column, &kind::parse(kind_text), &Limits::default())
    }

    fn dice(row: u64) -> Dice {
        Dice::new(super::super::dice::hash(1, &["t"]), row, 0)
    }

    const LIFE: Life = Life { born: 1_700_000_000, now: 1_710_000_000 };

    #[test]
    fn unique_texts_fit_and_never_meet() {
        let names = [
            "email", "sku", "barcode", "name", "code", "slug", "number", "url", "tracking", "key_hash", "id", "x",
            "street",
        ];
        for name in names {
            for length in [13, 20, 40, 64, 254] {
                let recipe = recipe("users", name, &format!("varchar({length})"));
                let text = |row| match carrier(&recipe, &mut dice(row), row, LIFE) {
                    Cell::Text(text) => text,
                    other => panic!("{name}: {other:?}"),
                };
                let all: HashSet<String> = (0..3_000).map(text).collect();
                assert_eq!(all.len(), 3_000, "{name} {length}");
                assert!(all.iter().all(|text| text.chars().count() <= length), "{name} {length}");
            }
        }
        for length in 3..7 {
            let recipe = recipe("users", "code", &format!("varchar({length})"));
            let all: HashSet<Cell> = (0..900)
                .map(|row| {
                    if recipe.domain().is_some() {
                        nth(&recipe, row, LIFE)
                    } else {
                        carrier(&recipe, &mut dice(row), row, LIFE)
                    }
                })
                .collect();
            assert_eq!(all.len(), 900, "{length}");
        }
    }

    #[test]
    fn a_barcode_has_its_check_digit() {
        // https://www.gs1.org/services/check-digit-calculator: 629104150021 has 3.
        let weighed = |code: &str| -> u32 {
            code.chars().enumerate().map(|(i, c)| c.to_digit(10).unwrap() * if i % 2 == 0 { 1 } else { 3 }).sum()
        };
        assert_eq!(weighed("6291041500213") % 10, 0);
        for row in [0, 1, 77, 123_456] {
            let code = ean_13(row);
            assert_eq!((code.len(), weighed(&code) % 10), (13, 0), "{code}");
        }
    }

    #[test]
    fn a_uuid_says_that_it_is_random() {
        let id = uuid::Uuid::from_u128(uuid(&mut dice(5)));
        assert_eq!((id.get_version_num(), id.get_variant()), (4, uuid::Variant::RFC4122));
    }

    #[test]
    fn a_life_goes_forward() {
        let (created, updated) = (recipe("o", "created_at", "timestamp"), recipe("o", "updated_at", "timestamp"));
        let ends = recipe("o", "ends_on", "date");
        for row in 0..500 {
            let life = Life::new(&mut dice(row), LIFE.now);
            let of = |recipe| any(recipe, &mut dice(row + 1), row, life);
            let (Cell::Moment(born), Cell::Moment(changed), Cell::Day(end)) = (of(&created), of(&updated), of(&ends))
            else {
                panic!()
            };
            assert!(born <= changed && changed <= LIFE.now && born / DAY < end && born > LIFE.now - 541 * DAY);
        }
    }

    #[test]
    fn prices_are_never_whole() {
        let price = recipe("o", "price", "numeric(12,2)");
        for row in 0..2_000 {
            let Cell::Decimal(cents, 2) = any(&price, &mut dice(row), row, LIFE) else { panic!() };
            assert!(cents % 100 != 0 && (500..=90_000).contains(&cents), "{cents}");
        }
    }
}
