//! Patterns of texts: `{first_name:lower}.{n}@example.com`.
//!
//! To fit a column, a text is cut before its first part that differs in each row.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use fake::locales::{DE_DE, Data, EN, FR_FR, JA_JP};
use serde::Deserialize;
use uuid::Uuid;

use crate::rng::Rng;

/// A text with placeholders.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    /// The row's number from 1, with at least this many digits.
    Number(usize),
    Digits(usize),
    Hex,
    Uuid,
    Ean13,
    Ip,
    /// A list by its name, until it is looked up.
    Word {
        name: String,
        letters: Letters,
        list: List,
    },
}

#[derive(Debug, Clone, PartialEq)]
enum List {
    Open,
    Own(Arc<[String]>),
    /// Lists of a few languages.
    Library(&'static [&'static [&'static str]]),
}

/// The letter case and character set of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letters {
    AsItIs,
    /// Letters and digits of ASCII only.
    Lower,
    Upper,
}

/// The lists that every pattern can name.
const LIBRARY: [(&str, &[&[&str]]); 6] = [
    ("first_name", &[EN::NAME_FIRST_NAME, DE_DE::NAME_FIRST_NAME, FR_FR::NAME_FIRST_NAME, JA_JP::NAME_FIRST_NAME]),
    ("last_name", &[EN::NAME_LAST_NAME, DE_DE::NAME_LAST_NAME, FR_FR::NAME_LAST_NAME, JA_JP::NAME_LAST_NAME]),
    ("company_suffix", &[EN::COMPANY_SUFFIX, DE_DE::COMPANY_SUFFIX]),
    ("country", &[EN::ADDRESS_COUNTRY, FR_FR::ADDRESS_COUNTRY]),
    ("state", &[EN::ADDRESS_STATE, DE_DE::ADDRESS_STATE]),
    ("user_agent", &[EN::INTERNET_USER_AGENT]),
];

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (inner, behind) = after.split_once('}').ok_or(format!("`{{{after}` has no closing brace"))?;
            parts.extend((!before.is_empty()).then(|| Part::Text(before.to_owned())));
            parts.push(Part::parse(inner)?);
            rest = behind;
        }
        parts.extend((!rest.is_empty()).then(|| Part::Text(rest.to_owned())));
        Ok(Pattern(parts))
    }
}

impl Part {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, how) = text.split_once(':').unwrap_or((text, ""));
        let width = || if how.is_empty() { Ok(1) } else { how.parse::<u8>().map(usize::from) };
        let wrong = |_| format!("`{how}` in `{{{text}}}` is no number of digits");
        Ok(match name {
            "n" => Part::Number(width().map_err(wrong)?),
            "digits" => Part::Digits(width().map_err(wrong)?),
            "hex" => Part::Hex,
            "uuid" => Part::Uuid,
            "ean13" => Part::Ean13,
            "ip" => Part::Ip,
            name => {
                let letters = match how {
                    "" => Letters::AsItIs,
                    "lower" => Letters::Lower,
                    "upper" => Letters::Upper,
                    other => return Err(format!("`{other}` in `{{{text}}}` is neither `lower` nor `upper`")),
                };
                Part::Word { name: name.to_owned(), letters, list: List::Open }
            }
        })
    }

    /// Whether it is unique to each row.
    fn is_unique(&self) -> bool {
        matches!(self, Part::Number(_) | Part::Hex | Part::Uuid | Part::Ean13 | Part::Ip)
    }

    fn write(&self, rng: &mut Rng, row: u64) -> String {
        let n = row + 1;
        match self {
            Part::Text(text) => text.clone(),
            Part::Number(width) => format!("{n:0width$}"),
            Part::Digits(width) => (0..*width).map(|_| char::from(b'0' + rng.digit())).collect(),
            // The first sixteen digits are the generator's state, which is unique to each row.
            Part::Hex => (0..4).map(|_| format!("{:016x}", rng.next())).collect(),
            Part::Uuid => uuid(rng).to_string(),
            Part::Ean13 => ean_13(row),
            Part::Ip => format!("10.{}.{}.{}", (n >> 16) & 255, (n >> 8) & 255, n & 255),
            Part::Word { letters, list, .. } => {
                let word = match list {
                    List::Own(list) => rng.pick(list).as_str(),
                    List::Library(lists) => {
                        let list = rng.pick(lists);
                        rng.pick(list)
                    }
                    List::Open => "",
                };
                match letters {
                    Letters::AsItIs => word.to_owned(),
                    Letters::Lower => ascii(word),
                    Letters::Upper => ascii(word).to_uppercase(),
                }
            }
        }
    }
}

impl Pattern {
    /// A network address of its own for each row.
    pub(crate) fn ip() -> &'static Self {
        static IP: LazyLock<Pattern> = LazyLock::new(|| Pattern(vec![Part::Ip]));
        &IP
    }

    /// Looks the lists up.
    pub(crate) fn resolve(&mut self, words: &BTreeMap<String, Vec<String>>) -> Result<(), String> {
        for part in &mut self.0 {
            let Part::Word { name, list, .. } = part else { continue };
            let own = words.get(name).filter(|list| !list.is_empty()).map(|own| List::Own(own.as_slice().into()));
            let library = || LIBRARY.iter().find(|(known, _)| known == name).map(|(_, lists)| List::Library(lists));
            *list = own.or_else(library).ok_or_else(|| {
                let known: Vec<&str> = words.keys().map(String::as_str).chain(LIBRARY.map(|(name, _)| name)).collect();
                format!("there is no list `{name}` for a pattern; there are: {}", known.join(", "))
            })?;
        }
        Ok(())
    }

    /// Whether its texts are unique to each row, regardless of the schema.
    pub(crate) fn is_unique(&self) -> bool {
        self.0.iter().any(Part::is_unique)
    }

    /// The part of a text that may be cut, and the part that must not. With `unique`, the latter is unique to each row.
    pub(crate) fn write(&self, rng: &mut Rng, row: u64, unique: bool) -> (String, String) {
        let at = self.0.iter().position(Part::is_unique).unwrap_or(self.0.len());
        let mut write = |parts: &[Part]| parts.iter().map(|part| part.write(rng, row)).collect::<String>();
        let (stem, mut end) = (write(&self.0[..at]), write(&self.0[at..]));
        if unique && end.is_empty() {
            end = format!("{}{}", if stem.contains(' ') { ' ' } else { '-' }, row + 1);
        }
        (stem, end)
    }
}

/// A random UUID.
pub(crate) fn uuid(rng: &mut Rng) -> Uuid {
    let random = (u128::from(rng.next()) << 64) | u128::from(rng.next());
    uuid::Builder::from_random_bytes(random.to_be_bytes()).into_uuid()
}

/// Letters and digits only, in lower case.
fn ascii(text: &str) -> String {
    let plain: String = text.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    if plain.is_empty() { "x".to_owned() } else { plain }
}

/// An EAN-13 of its own for each row, with its check digit.
fn ean_13(row: u64) -> String {
    // The factor is coprime to 10^10, so that no two rows collide.
    let body = format!("40{:010}", row.wrapping_mul(7_368_787).wrapping_add(1_234_567) % 10_000_000_000);
    let weighed = |(i, digit): (usize, u32)| digit * if i % 2 == 0 { 1 } else { 3 };
    let sum: u32 = body.chars().filter_map(|c| c.to_digit(10)).enumerate().map(weighed).sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pattern: &str, row: u64, unique: bool) -> (String, String) {
        let mut pattern = Pattern::try_from(pattern.to_owned()).unwrap();
        pattern.resolve(&[("word".to_owned(), vec!["L'Été 1".to_owned()])].into()).unwrap();
        pattern.write(&mut Rng::new(1, row, 0), row, unique)
    }

    #[test]
    fn what_must_not_be_cut_begins_with_the_number() {
        let of = |pattern, unique| written(pattern, 6, unique);
        assert_eq!(of("{word}", false), ("L'Été 1".into(), "".into()));
        assert_eq!(of("{word}", true), ("L'Été 1".into(), " 7".into()));
        assert_eq!(of("{word:lower}", true), ("lt1".into(), "-7".into()));
        assert_eq!(of("{word:upper}-{n:3}@x", false), ("LT1-".into(), "007@x".into()));
        assert_eq!(of("{ip}", true), ("".into(), "10.0.0.7".into()));
        assert_eq!(of("a{digits:4}", false).0.len(), 5);
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
        let id = uuid(&mut Rng::new(1, 5, 0));
        assert_eq!((id.get_version_num(), id.get_variant()), (4, uuid::Variant::RFC4122));
    }
}
