//! The recorded files, and the comparison with them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::normalize::{Detail, abridged};
use crate::wire::Message;

/// The messages of one command, by connection, in the order in which the connections were opened.
pub(crate) type Sent = Vec<Vec<Message>>;

/// The text of a case: the messages of its commands, each command under a title.
pub(crate) fn text(commands: &[(&str, Sent)]) -> String {
    let mut text = String::new();
    for (title, connections) in commands {
        let _ = writeln!(text, "=== {title}");
        for (number, messages) in (1..).zip(connections) {
            let _ = writeln!(text, "--- connection {number}");
            for message in messages {
                let _ = writeln!(text, "{}", format!("> {}", message.kind).trim_end());
                if !message.text.is_empty() {
                    let _ = writeln!(text, "{}", message.text);
                }
            }
        }
    }
    text
}

/// Compares a case with its file, or writes the file if `SENT_RECORD` is set. The full text is written to the target
/// folder in any case.
///
/// # Errors
/// The first difference.
pub(crate) fn compare(site: &str, case: &str, text: &str, detail: Detail) -> Result<(), String> {
    let full = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sent").join(site).join(format!("{case}.txt"));
    write(&full, text);
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(site).join(format!("{case}.txt"));
    let found = abridged(text, detail);
    if std::env::var_os("SENT_RECORD").is_some() {
        write(&file, &found);
        return Ok(());
    }
    let expected =
        std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}; SENT_RECORD=1 records it", file.display()))?;
    difference(&expected, &found).map_or(Ok(()), |(line, was, is)| {
        Err(format!(
            "{}:{line}: the SQL sent differs\n  was: {was}\n   is: {is}\n  full text: {}",
            file.display(),
            full.display()
        ))
    })
}

fn write(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

/// The number of the first line that differs, and the line in both texts.
fn difference(was: &str, is: &str) -> Option<(usize, String, String)> {
    if was == is {
        return None;
    }
    let (mut was, mut is) = (was.split('\n'), is.split('\n'));
    (1..).find_map(|number| match (was.next(), is.next()) {
        (was, is) if was == is => None,
        (was, is) => Some((number, shown(was), shown(is))),
    })
}

fn shown(line: Option<&str>) -> String {
    line.map_or("end of the text".to_owned(), |line| format!("{line:?}"))
}

#[test]
fn the_first_difference_is_found_in_white_space_and_at_the_end() {
    let found = |was, is| difference(was, is).map(|(line, ..)| line);
    assert_eq!(found("a\nb\n", "a\nb\n"), None);
    assert_eq!(found("a\nb\n", "a\nb \n"), Some(2));
    assert_eq!(found("a\nb\n", "a\nb\n\n"), Some(4));
    assert_eq!(found("a\nb", "a\nb\n"), Some(3));
    assert_eq!(found("a\nb\nc", "a\nb"), Some(3));
}
