//! Markdown, for the summary page of a CI job.
//!
//! Text from elsewhere stays text: it makes no markup, no HTML and no link, and it can't leave its cell.

use super::style::clean;

/// One line of text.
pub(super) fn text(raw: &str) -> String {
    let cleaned = clean(raw);
    let chars: Vec<char> = cleaned.chars().collect();
    let mut out = String::with_capacity(cleaned.len());
    for (i, &c) in chars.iter().enumerate() {
        let beside = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric());
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // An underscore inside a word is no markup; escaping it would spoil every migration's name.
            '_' if beside(i.checked_sub(1)) && beside(Some(i + 1)) => out.push('_'),
            // GitHub would notify a mentioned user, link a number to an issue and an address to a page. An empty
            // comment breaks up such a text.
            '@' | '#' => out.push_str(&format!("{c}<!-- -->")),
            ':' if chars.get(i + 1) == Some(&'/') => out.push_str(&format!("{c}<!-- -->")),
            '.' if i >= 3 && chars[i - 3..i].iter().all(|w| w.eq_ignore_ascii_case(&'w')) => {
                out.push_str(&format!("{c}<!-- -->"))
            }
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '!' | '$' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

/// A block of code, in a fence that the code can't close.
pub(super) fn code(language: &str, code: &str) -> String {
    let lines: Vec<String> = code.lines().map(clean).collect();
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup() {
        assert_eq!(text("a|b <script>alert(1)</script>"), "a\\|b &lt;script&gt;alert(1)&lt;/script&gt;");
        assert_eq!(
            text("m2022_init `x` **b** _i_ [l](u)\\"),
            "m2022_init \\`x\\` \\*\\*b\\*\\* \\_i\\_ \\[l\\](u)\\\\"
        );
        assert_eq!(text("@bob #12 https://x www.x"), "@<!-- -->bob #<!-- -->12 https:<!-- -->//x www.<!-- -->x");
        assert_eq!(text("two\nlines"), "two\\\\nlines");
    }

    #[test]
    fn code_does_not_close_its_fence() {
        assert_eq!(code("sql", "a ```` b\n\x1b"), "`````sql\na ```` b\n\\x1b\n`````\n");
        assert_eq!(code("sh", "fleet"), "```sh\nfleet\n```\n");
    }
}
