//! Comma-separated values.
//!
//! A spreadsheet must not compute a cell: text that begins like a formula gets an apostrophe in front.

use super::style::clean;

/// Writes a header line and one line a row.
pub(super) fn write<'a, R>(header: &[&str], rows: impl IntoIterator<Item = R>) -> String
where
    R: IntoIterator<Item = &'a str>,
{
    let mut writer = csv::Writer::from_writer(Vec::new());
    const IN_MEMORY: &str = "writing to memory does not fail, and every row has the header's length";
    writer.write_record(header.iter().map(|h| cell(h))).expect(IN_MEMORY);
    for row in rows {
        writer.write_record(row.into_iter().map(cell)).expect(IN_MEMORY);
    }
    String::from_utf8(writer.into_inner().expect(IN_MEMORY)).expect("only text was written")
}

/// The characters are those of OWASP's page on CSV injection
/// (<https://owasp.org/www-community/attacks/CSV_Injection>), the full-width forms included.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    format!("{}{}", if formula { "'" } else { "" }, clean(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        let rows = [["=cmd()", "+1"], ["-1", "@x"], ["\tx", "\rx"], ["a,b", "say \"hi\"\nthere"], ["＝1", "1-1"]];
        insta::assert_snapshot!(write(&["a", "b"], rows), @r#"
        a,b
        '=cmd(),'+1
        '-1,'@x
        '\tx,'\rx
        "a,b","say ""hi""\nthere"
        '＝1,1-1
        "#);
    }
}
