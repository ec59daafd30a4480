//! Columns of text: one header line, one line a row, no borders, so that `grep` and `awk` find their way.
//!
//! Layout only. Colours are put on after the widths are known; a terminal library would read the environment for them.

use super::style::{Style, Tone, clean, shorten, width};

/// One cell.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell whose text is ours, or from elsewhere: it is cleaned in any case.
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        Cell { text: clean(text.as_ref()), tone: Tone::Plain }
    }

    /// The same with a colour.
    pub(super) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::new(text)
    }
}

/// One column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    title: String,
    right: bool,
    least: Option<usize>,
    rank: u8,
    keeps_end: bool,
}

impl Column {
    /// A column that is always shown, as wide as its widest cell.
    pub(super) fn new(title: impl AsRef<str>) -> Self {
        Column { title: clean(title.as_ref()), right: false, least: None, rank: 0, keeps_end: false }
    }

    /// Numbers stand to the right.
    pub(super) fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// May be made as narrow as `least` columns; cells are cut then.
    pub(super) fn at_least(mut self, least: usize) -> Self {
        self.least = Some(least);
        self
    }

    /// A cell that is too wide loses its beginning: what tells it from the others stands at the end, as in paths.
    pub(super) fn keep_end(mut self) -> Self {
        self.keeps_end = true;
        self
    }

    /// May be left out where there is no room; the highest rank goes first.
    pub(super) fn expendable(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }
}

/// Rows under columns.
#[derive(Debug, Default)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

const BETWEEN: usize = 2;

impl Table {
    pub(super) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Table { columns: columns.into_iter().collect(), rows: Vec::new(), indent: 0 }
    }

    /// Every line begins with this many blanks.
    pub(super) fn indent(mut self, indent: usize) -> Self {
        self.indent = indent;
        self
    }

    /// Adds a row. Cells that are missing at its end are empty.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, each ended by a line break. A column without a single character in its cells is left out.
    pub(super) fn render(&self, style: &Style) -> String {
        let room = style.columns().saturating_sub(self.indent);
        let mut widths = self.natural_widths();
        self.drop_columns(&mut widths, room);
        self.shrink(&mut widths, room);
        let mut out = String::new();
        if self.columns.iter().any(|c| !c.title.is_empty()) {
            let header: Vec<Cell> =
                self.columns.iter().map(|c| Cell { text: c.title.clone(), tone: Tone::Bold }).collect();
            self.line(&header, &widths, style, &mut out);
        }
        for row in &self.rows {
            self.line(row, &widths, style, &mut out);
        }
        out
    }

    /// The width of each column; `None` is one that is left out.
    fn natural_widths(&self) -> Vec<Option<usize>> {
        let widest = |i: usize| self.rows.iter().filter_map(|r| r.get(i)).map(|c| width(&c.text)).max().unwrap_or(0);
        self.columns
            .iter()
            .enumerate()
            .map(|(i, c)| match widest(i) {
                0 if !self.rows.is_empty() => None,
                w => Some(w.max(width(&c.title))),
            })
            .collect()
    }

    fn drop_columns(&self, widths: &mut [Option<usize>], room: usize) {
        loop {
            let tightest: Vec<Option<usize>> =
                widths.iter().zip(&self.columns).map(|(w, c)| w.map(|w| narrowest(w, c))).collect();
            if total(&tightest) <= room {
                return;
            }
            let shown = (0..widths.len()).filter(|&i| widths[i].is_some() && self.columns[i].rank > 0);
            let Some(least_needed) = shown.max_by_key(|&i| self.columns[i].rank) else { return };
            widths[least_needed] = None;
        }
    }

    /// Takes one column at a time from the widest cell that may shrink.
    fn shrink(&self, widths: &mut [Option<usize>], room: usize) {
        while total(widths) > room {
            let may_shrink = |i: usize| widths[i].filter(|&w| w > narrowest(w, &self.columns[i]));
            let Some(widest) = (0..widths.len()).filter(|&i| may_shrink(i).is_some()).max_by_key(|&i| may_shrink(i))
            else {
                return;
            };
            widths[widest] = widths[widest].map(|w| w - 1);
        }
    }

    fn line(&self, cells: &[Cell], widths: &[Option<usize>], style: &Style, out: &mut String) {
        let start = out.len();
        out.push_str(&" ".repeat(self.indent));
        let mut blanks = 0;
        for (i, column) in self.columns.iter().enumerate() {
            let Some(columns) = widths[i] else { continue };
            let empty = Cell::default();
            let cell = cells.get(i).unwrap_or(&empty);
            let cut = if column.keeps_end { end } else { shorten };
            let text = cut(&cell.text, columns, style.ellipsis());
            let pad = columns - width(&text);
            if column.right {
                blanks += pad;
            }
            if !text.is_empty() {
                out.push_str(&" ".repeat(blanks));
                out.push_str(&style.paint(cell.tone, &text));
                blanks = 0;
            } else {
                blanks += width(&text);
            }
            blanks += BETWEEN + if column.right { 0 } else { pad };
        }
        if out[start..].trim().is_empty() {
            out.truncate(start);
        }
        out.push('\n');
    }
}

fn narrowest(natural: usize, column: &Column) -> usize {
    column.least.map_or(natural, |least| least.max(width(&column.title)).min(natural))
}

fn total(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten().count();
    widths.iter().flatten().sum::<usize>() + BETWEEN * shown.saturating_sub(1)
}

/// The end of `text` that fits into `columns`, with `mark` in front where something was cut.
fn end(text: &str, columns: usize, mark: &str) -> String {
    let backwards = |text: &str| text.chars().rev().collect::<String>();
    backwards(&shorten(&backwards(text), columns, &backwards(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new([
            Column::new("TENANT").at_least(8),
            Column::new("N").right(),
            Column::new("SERVER").expendable(1),
            Column::new("NOTE").at_least(24),
        ]);
        table.row(["acme".into(), "7".into(), "db-with-a-long-name.example:5432".into(), Cell::new("fine")]);
        table.row(["東京".into(), "12".into(), "local".into(), "a note that goes on and on and on".into()]);
        table
    }

    #[test]
    fn columns_line_up_by_width_on_the_screen() {
        let text = sample().render(&Style { colour: false, unicode: true, width: 140 });
        insta::assert_snapshot!(text, @r"
        TENANT   N  SERVER                            NOTE
        acme     7  db-with-a-long-name.example:5432  fine
        東京    12  local                             a note that goes on and on and on
        ");
    }

    #[test]
    fn what_is_expendable_goes_and_the_widest_shrinks() {
        let mut table = sample();
        table.row(["a tenant with a very long name indeed".into(), "1".into()]);
        let text = table.render(&Style { colour: false, unicode: true, width: 0 });
        insta::assert_snapshot!(text, @r"
        TENANT                        N  NOTE
        acme                          7  fine
        東京                         12  a note that goes on and on…
        a tenant with a very long…    1
        ");
        assert!(text.lines().all(|l| width(l) <= Style::NARROWEST));
    }

    #[test]
    fn colour_does_not_move_a_column() {
        let mut table = Table::new([Column::new("A"), Column::new("B")]);
        table.row([Cell::new("bad").tone(Tone::Bad), "x".into()]);
        let text = table.render(&Style { colour: true, unicode: false, width: 80 });
        assert_eq!(text.lines().nth(1), Some("\u{1b}[31mbad\u{1b}[0m  x"));
    }

    #[test]
    fn a_column_without_a_character_is_left_out() {
        let mut table = Table::new([Column::new("A"), Column::new("B"), Column::new("C")]);
        table.row(["1".into(), "".into(), "3".into()]);
        assert_eq!(table.render(&Style::plain(80)), "A  C\n1  3\n");
    }

    #[test]
    fn paths_keep_their_end() {
        assert_eq!(end("/srv/data/acme.db", 12, "..."), "...a/acme.db");
        assert_eq!(end("/srv/data/acme.db", 17, "..."), "/srv/data/acme.db");
        let mut table = Table::new([Column::new("AT").at_least(8).keep_end()]);
        table.row(["/srv/tenants/".repeat(12) + "acme.db"].map(Cell::from));
        let text = table.render(&Style { colour: false, unicode: true, width: 40 });
        assert!(text.ends_with("/acme.db\n"), "{text}");
    }
}
