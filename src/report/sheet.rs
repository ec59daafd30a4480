//! A table defined once: its columns and rows, rendered as a table for a terminal, CSV and Markdown.
//!
//! comfy-table does the layout with explicit widths and colours: it reads no terminal and no environment.

use std::borrow::Cow;
use std::fmt::Display;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, TableStyle, Width};

use super::markdown;
use super::style::{Style, Tone, clean, cleaned, fold, paragraph, shorten, width};

/// One cell. The text may come from anywhere: each format makes it harmless.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    text: Cow<'static, str>,
    data: Option<String>,
    tone: Tone,
}

impl Cell {
    /// Text of the program's own, which is not copied.
    pub(super) fn fixed(text: &'static str) -> Self {
        Cell { text: Cow::Borrowed(text), ..Cell::default() }
    }

    /// Empty where there is no value.
    pub(super) fn maybe(value: Option<impl Display>) -> Self {
        value.map(Cell::from).unwrap_or_default()
    }

    /// The same with a colour.
    pub(super) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    /// The value in CSV and Markdown, where the text is shortened for the terminal or carries a unit.
    pub(super) fn data(mut self, data: impl Display) -> Self {
        self.data = Some(data.to_string());
        self
    }

    fn value(&self) -> &str {
        self.data.as_deref().unwrap_or(&self.text)
    }
}

impl<T: Display> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell { text: Cow::Owned(text.to_string()), ..Cell::default() }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Column {
    title: String,
    key: Option<String>,
    verbatim: bool,
    no_table: bool,
    no_data: bool,
    right: bool,
    whole: bool,
    least: Option<usize>,
    rank: u8,
}

impl Column {
    /// A column of every form: `Stopped at` is `STOPPED AT` on a terminal and `stopped_at` in CSV.
    pub(super) fn new(title: impl Display) -> Self {
        Column { title: title.to_string(), ..Column::default() }
    }

    /// A column of the table only.
    pub(super) fn screen(title: impl Display) -> Self {
        Column { no_data: true, ..Column::new(title) }
    }

    /// A column of CSV and Markdown only.
    pub(super) fn data(title: impl Display) -> Self {
        Column { no_table: true, ..Column::new(title) }
    }

    /// The name in CSV, where it does not follow from the title.
    pub(super) fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// The title is a name, such as a migration's, and is the same in every format.
    pub(super) fn verbatim(mut self) -> Self {
        self.verbatim = true;
        self
    }

    /// Aligns the column to the right, for numbers.
    pub(super) fn right(mut self) -> Self {
        self.right = true;
        self
    }

    /// Its cells are never cut, however long they are.
    pub(super) fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// May be made as narrow as `least` columns, the gap after it included; cells fold then.
    pub(super) fn at_least(mut self, least: usize) -> Self {
        self.least = Some(least);
        self
    }

    /// May be hidden where there is no room; the highest rank goes first.
    pub(super) fn expendable(mut self, rank: u8) -> Self {
        self.rank = rank;
        self
    }

    fn heading(&self) -> String {
        clean(&if self.verbatim { self.title.clone() } else { self.title.to_uppercase() })
    }

    fn name(&self) -> String {
        match &self.key {
            Some(key) => key.clone(),
            None if self.verbatim => self.title.clone(),
            None => self.title.to_lowercase().replace(' ', "_"),
        }
    }
}

impl From<&str> for Column {
    fn from(title: &str) -> Self {
        Column::new(title)
    }
}

/// The items that make the rows of a sheet; columns are added one by one.
pub(super) struct Rows<R> {
    rows: Vec<R>,
    sheet: Sheet,
}

impl<R> Rows<R> {
    /// Adds a column, with the cell that each row has in it.
    pub(super) fn column<C: Into<Cell>>(mut self, column: impl Into<Column>, cell: impl Fn(&R) -> C) -> Self {
        for (row, cells) in self.rows.iter().zip(&mut self.sheet.rows) {
            cells.push(cell(row).into());
        }
        self.sheet.columns.push(column.into());
        self
    }

    /// As [`Rows::column`], for a column that only some sheets have.
    pub(super) fn column_if<C: Into<Cell>>(self, is_there: bool, column: Column, cell: impl Fn(&R) -> C) -> Self {
        if is_there { self.column(column, cell) } else { self }
    }

    pub(super) fn sheet(self) -> Sheet {
        self.sheet
    }
}

/// Rows under columns.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
    headless: bool,
}

/// A column during layout: its place in the sheet, its preferred and its minimum width.
struct Fit<'a> {
    column: &'a Column,
    at: usize,
    heading: String,
    natural: usize,
    least: usize,
    /// Its longest word.
    word: usize,
    /// Once it is laid out.
    width: Option<usize>,
}

/// The padding after each column, before the edge.
const PADDING: usize = 1;
const BETWEEN: usize = PADDING + 1;

/// Maximum columns of text in a folded cell on a terminal; the rest is cut, with a note.
const MOST_CELL: usize = 120;
/// The same in a pipe or a file: comfy-table counts columns in 16 bits.
const MOST_CELL_UNBOUND: usize = 60_000;

/// The separator between the columns of a layout, before output: no text contains it, as `clean` escapes it.
const EDGE: char = '\u{1f}';
const EDGES: ContentLineStyle = ContentLineStyle::none().junction(EDGE);

/// The notes on hidden content, and where to find it.
fn notes(hidden: &[Fit<'_>], are_cut: bool, all_need: usize, style: &Style) -> Vec<String> {
    let mut notes = Vec::new();
    if !hidden.is_empty() {
        let names: Vec<&str> = hidden.iter().map(|fit| fit.heading.as_str()).collect();
        notes.push(format!(
            "not shown for want of room: {}; --width {all_need} shows all columns, --format json has all values",
            names.join(", ")
        ));
    }
    if are_cut {
        notes.push(format!("cells that end in {} are cut; --format json has them whole", style.ellipsis()));
    }
    notes
}

impl Sheet {
    pub(super) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Sheet { columns: columns.into_iter().collect(), ..Sheet::default() }
    }

    /// A sheet with a row for each of these, still without columns.
    pub(super) fn of<R>(rows: impl IntoIterator<Item = R>) -> Rows<R> {
        let rows: Vec<R> = rows.into_iter().collect();
        let sheet = Sheet { rows: rows.iter().map(|_| Vec::new()).collect(), ..Sheet::default() };
        Rows { rows, sheet }
    }

    /// Every line of the table begins with this many blanks.
    pub(super) fn indent(mut self, indent: usize) -> Self {
        self.indent = indent;
        self
    }

    /// The table has no line of titles.
    pub(super) fn headless(mut self) -> Self {
        self.headless = true;
        self
    }

    /// Adds a row. Cells that are missing at its end are empty.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The same with many rows.
    pub(super) fn rows<R: IntoIterator<Item = Cell>>(mut self, rows: impl IntoIterator<Item = R>) -> Self {
        rows.into_iter().for_each(|row| self.row(row));
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, each ended by a line break. A column without a single character in its cells is left out; a column
    /// hidden for lack of room, or a cut cell, is noted below.
    pub(super) fn table(&self, style: &Style) -> String {
        let most = |at: usize| match self.columns.get(at).is_some_and(|column| column.whole) {
            true => MOST_CELL_UNBOUND,
            false => style.room().map_or(MOST_CELL_UNBOUND, |_| MOST_CELL),
        };
        let mut texts: Vec<Vec<Cow<'_, str>>> = self
            .rows
            .iter()
            .map(|row| (0..row.len()).map(|at| shorten(cleaned(&row[at].text), most(at), style.ellipsis())).collect())
            .collect();
        let mut shown = self.fits(&texts);
        let all_need = self.indent + needed(&shown);
        let mut hidden: Vec<Fit<'_>> = Vec::new();
        let room = style.room().map(|room| room.saturating_sub(self.indent));
        while room.is_some_and(|room| needed(&shown) > room) {
            let expendable = (0..shown.len()).filter(|&i| shown[i].column.rank > 0);
            let Some(first) = expendable.max_by_key(|&i| shown[i].column.rank) else { break };
            hidden.push(shown.remove(first));
        }
        hidden.sort_by_key(|fit| fit.at);
        room.iter().for_each(|room| keep_words(&mut shown, *room));
        let mut lines = self.layout(&shown, &texts, room, style);
        if fold_names(&mut shown, &mut texts, &lines) {
            lines = self.layout(&shown, &texts, room, style);
        }
        let mut out = String::new();
        for line in lines {
            let line = line.replace(EDGE, " ");
            let line = line.trim_end();
            let indent = if line.is_empty() { 0 } else { self.indent };
            out.push_str(&format!("{:indent$}{line}\n", ""));
        }
        let is_cut = |(at, cell): (usize, &Cell)| cell.text.len() > most(at) && width(&clean(&cell.text)) > most(at);
        let are_cut = self.rows.iter().any(|row| row.iter().enumerate().any(is_cut));
        for note in notes(&hidden, are_cut, all_need, style) {
            out.push_str(&paragraph(&note, &" ".repeat(self.indent), 4, style));
        }
        out
    }

    fn fits(&self, texts: &[Vec<Cow<'_, str>>]) -> Vec<Fit<'_>> {
        let mut fits: Vec<Fit<'_>> = Vec::new();
        for (at, column) in self.columns.iter().enumerate().filter(|(_, column)| !column.no_table) {
            let widest = texts.iter().filter_map(|row| row.get(at)).map(|text| width(text)).max().unwrap_or(0);
            if widest == 0 && !texts.is_empty() {
                continue;
            }
            let heading = if self.headless { String::new() } else { column.heading() };
            let natural = widest.max(width(&heading));
            let least = column.least.map_or(natural, |least| least.max(width(&heading)).min(natural));
            let words = texts.iter().filter_map(|row| row.get(at)).flat_map(|text| text.split(' '));
            let word = if least < natural { words.map(width).max().unwrap_or(0) } else { 0 };
            fits.push(Fit { column, at, heading, natural, least, word, width: None });
        }
        fits
    }

    fn layout(
        &self,
        shown: &[Fit<'_>],
        texts: &[Vec<Cow<'_, str>>],
        room: Option<usize>,
        style: &Style,
    ) -> Vec<String> {
        let mut table = comfy_table::Table::new();
        table.load_style(TableStyle::new().header_lines(EDGES).content_lines(EDGES));
        table.force_no_tty().set_content_arrangement(ContentArrangement::Dynamic);
        if let Some(room) = room {
            table.set_width(columns(room + PADDING));
        }
        if shown.iter().any(|fit| !fit.heading.is_empty()) {
            table.set_header(shown.iter().map(|fit| style.paint(Tone::Bold, &*fit.heading)));
        }
        for (row, texts) in self.rows.iter().zip(texts) {
            let cell = |fit: &Fit<'_>| {
                let painted = row.get(fit.at).map(|cell| style.paint(cell.tone, &*texts[fit.at]));
                comfy_table::Cell::new_owned(painted.unwrap_or_default())
            };
            table.add_row(shown.iter().map(cell));
        }
        for (column, fit) in table.column_iter_mut().zip(shown) {
            // To comfy-table, the width of a column is that of its padding, too.
            let width = |content: usize| Width::Fixed(columns(content + PADDING));
            column.set_padding((0, columns(PADDING))).set_constraint(match fit.width {
                Some(known) => ColumnConstraint::Absolute(width(known)),
                None if fit.least == fit.natural => ColumnConstraint::ContentWidth,
                None => ColumnConstraint::LowerBoundary(width(fit.least.saturating_sub(BETWEEN))),
            });
            column.set_cell_alignment(if fit.column.right { CellAlignment::Right } else { CellAlignment::Left });
        }
        table.lines().collect()
    }

    /// Comma-separated values: a header line and one line a row.
    pub(super) fn csv(&self) -> String {
        const IN_MEMORY: &str = "writing to memory does not fail, and every row has the header's length";
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.data().map(|(_, column)| no_formula(&column.name()))).expect(IN_MEMORY);
        for row in &self.rows {
            let value = |at: usize| row.get(at).map(|cell| no_formula(cell.value())).unwrap_or_default();
            writer.write_record(self.data().map(|(at, _)| value(at))).expect(IN_MEMORY);
        }
        String::from_utf8(writer.into_inner().expect(IN_MEMORY)).expect("only text was written")
    }

    /// A table of GitHub-flavoured Markdown.
    pub(super) fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut out = line(self.data().map(|(_, column)| markdown::text(&column.title)).collect());
        out.push_str(&format!("|{}\n", " --- |".repeat(self.data().count())));
        for row in &self.rows {
            let value = |at: usize| row.get(at).map(|cell| markdown::text(cell.value())).unwrap_or_default();
            out.push_str(&line(self.data().map(|(at, _)| value(at)).collect()));
        }
        out
    }

    fn data(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| !column.no_data)
    }
}

/// Folds the names and paths that a layout breaks anywhere at a better place; `true` where there are any. The columns
/// keep the widths that they have in its lines.
fn fold_names(shown: &mut [Fit<'_>], texts: &mut [Vec<Cow<'_, str>>], lines: &[String]) -> bool {
    let mut is_folded = false;
    for (fit, cell) in shown.iter_mut().zip(lines.iter().take(1).flat_map(|line| line.split(EDGE))) {
        let columns = console::measure_text_width(cell).saturating_sub(PADDING);
        fit.width = Some(columns);
        for text in texts.iter_mut().filter_map(|row| row.get_mut(fit.at)).filter(|_| columns < fit.natural) {
            if text.split(' ').any(|word| width(word) > columns) {
                *text = fold(text, columns).into();
                is_folded = true;
            }
        }
    }
    is_folded
}

/// Widens columns to their longest words, as far as there is room, so that a cell is broken between words. The shortest come
/// first: a long name is folded at its own seams.
fn keep_words(shown: &mut [Fit<'_>], room: usize) {
    let mut wanting: Vec<usize> = (0..shown.len())
        .filter(|&at| shown[at].word + BETWEEN > shown[at].least && shown[at].least < shown[at].natural)
        .collect();
    wanting.sort_by_key(|&at| shown[at].word);
    for at in wanting {
        let before = shown[at].least;
        shown[at].least = (shown[at].word + BETWEEN).min(shown[at].natural).max(before);
        if needed(shown) > room {
            shown[at].least = before;
        }
    }
}

/// The minimum width of the table.
fn needed(shown: &[Fit<'_>]) -> usize {
    shown.iter().map(|fit| fit.least).sum::<usize>() + BETWEEN * shown.len().saturating_sub(1)
}

fn columns(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// Protects a cell from evaluation in a spreadsheet: text that begins like a formula gets an apostrophe in front. The
/// characters are those of OWASP's page on CSV injection (<https://owasp.org/www-community/attacks/CSV_Injection>), the
/// full-width forms included.
fn no_formula(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    format!("{}{}", if formula { "'" } else { "" }, clean(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Style = Style { colour: false, unicode: true, width: Some(140) };
    const NARROWEST: Style = Style { width: Some(0), ..WIDE };

    fn sample() -> Sheet {
        Sheet::new([
            Column::new("Tenant").at_least(8),
            Column::new("N").right(),
            Column::new("Server").expendable(1),
            Column::new("Note").at_least(24),
        ])
        .rows([
            ["acme", "7", "db-with-a-long-name.example:5432", "fine"].map(Cell::from),
            ["東京", "12", "local", "a note that goes on and on and on"].map(Cell::from),
        ])
    }

    #[test]
    fn columns_line_up_by_width_on_the_screen() {
        insta::assert_snapshot!(sample().table(&WIDE), @r"
        TENANT   N  SERVER                            NOTE
        acme     7  db-with-a-long-name.example:5432  fine
        東京    12  local                             a note that goes on and on and on
        ");
    }

    #[test]
    fn an_expendable_column_is_hidden_and_named_and_cells_fold() {
        let mut sheet = sample();
        sheet.row(["a tenant with a very long name indeed".into(), "1".into()]);
        let text = sheet.table(&NARROWEST);
        insta::assert_snapshot!(text, @r"
        TENANT                        N  NOTE
        acme                          7  fine
        東京                         12  a note that goes on and on
                                         and on
        a tenant with a very long     1
        name indeed
        not shown for want of room: SERVER; --width 72 shows all
        columns, --format json has all values
        ");
        assert!(text.lines().all(|l| width(l) <= Style::NARROWEST));
        let wide = |width| sheet.table(&Style { width: Some(width), ..WIDE });
        let said: usize =
            text.split("--width ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
        assert!(wide(said).contains("SERVER  ") && !wide(said).contains("not shown"), "{}", wide(said));
        assert!(wide(said - 1).contains("not shown"), "{said} is the least width with every column");
    }

    #[test]
    fn without_a_terminal_nothing_is_hidden_folded_or_cut() {
        let mut sheet = sample();
        sheet.row(["x".into(), "1".into(), "y ".repeat(200).into(), "z ".repeat(20_000).into()]);
        let text = sheet.table(&Style { width: None, ..WIDE });
        assert_eq!(text.lines().count(), 4);
        assert_eq!(text.matches("z ").count() + 1, 20_000);
        sheet.row(["x".into(), "1".into(), "".into(), "w".repeat(70_000).into()]);
        let text = sheet.table(&Style { width: None, ..WIDE });
        assert!(
            text.ends_with("are cut; --format json has them whole\n"),
            "what the layout can't count is said to be cut"
        );
    }

    #[test]
    fn a_cell_that_is_cut_on_a_terminal_is_said_to_be() {
        let mut sheet = sample();
        sheet.row(["x".into(), "1".into(), "".into(), "word ".repeat(100).into()]);
        let text = sheet.table(&WIDE);
        assert!(
            text.contains('…') && text.ends_with("cells that end in … are cut; --format json has them whole\n"),
            "{text}"
        );
        assert!(!sample().table(&WIDE).contains("are cut"));
    }

    #[test]
    fn colour_does_not_move_a_column_and_no_environment_decides_on_it() {
        let mut sheet = Sheet::new([Column::new("A").at_least(3), Column::new("B")]);
        sheet.row([Cell::from("bad").tone(Tone::Bad), "x".into()]);
        let style = Style { colour: true, unicode: false, width: Some(80) };
        assert_eq!(sheet.table(&style).lines().nth(1), Some("\u{1b}[31mbad\u{1b}[0m  x"));
        sheet.row([Cell::from("worse ".repeat(30)).tone(Tone::Bad), "x".into()]);
        let folded = sheet.table(&style);
        let coloured: Vec<&str> = folded.lines().filter(|line| line.contains("worse")).collect();
        let is_whole = |line: &&str| line.starts_with("\u{1b}[31mworse") && line.contains("\u{1b}[0m");
        assert!(coloured.len() > 1 && coloured.iter().all(is_whole), "{folded}");
        assert!(!sheet.table(&Style { colour: false, ..style }).contains('\u{1b}'));
    }

    #[test]
    fn a_column_without_a_character_is_left_out() {
        let mut sheet = Sheet::new([Column::new("A"), Column::new("B"), Column::new("C")]);
        sheet.row(["1", "", "3"].map(Cell::from));
        assert_eq!(sheet.table(&Style::plain(80)), "A  C\n1  3\n");
    }

    #[test]
    fn each_form_has_its_columns_and_values() {
        let mut sheet = Sheet::new([
            Column::new("Stopped at"),
            Column::screen("Size").right(),
            Column::data("Bytes"),
            Column::new("m1_Users").verbatim(),
            Column::new("ms").key("took_ms"),
        ]);
        sheet.row(["m1".into(), "1.2 MB".into(), 1_200_000.into(), Cell::from("A").data("applied"), 7.into()]);
        assert_eq!(
            sheet.table(&Style::plain(80)),
            "STOPPED AT    SIZE  m1_Users  MS\nm1          1.2 MB  A         7\n"
        );
        assert_eq!(sheet.csv(), "stopped_at,bytes,m1_Users,took_ms\nm1,1200000,applied,7\n");
        assert_eq!(
            sheet.markdown(),
            "| Stopped at | Bytes | m1_Users | ms |\n| --- | --- | --- | --- |\n| m1 | 1200000 | applied | 7 |\n"
        );
    }

    #[test]
    fn no_cell_is_a_formula() {
        let rows = [["=cmd()", "+1"], ["-1", "@x"], ["\tx", "\rx"], ["a,b", "say \"hi\"\nthere"], ["＝1", "1-1"]];
        let sheet = Sheet::new(["a", "b"].map(Column::new)).rows(rows.map(|row| row.map(Cell::from)));
        insta::assert_snapshot!(sheet.csv(), @r#"
        a,b
        '=cmd(),'+1
        '-1,'@x
        '\tx,'\rx
        "a,b","say ""hi""\nthere"
        '＝1,1-1
        "#);
    }

    #[test]
    fn a_row_of_markdown_is_one_line() {
        let sheet = Sheet::new(["Tenant", "Error"].map(Column::new)).rows([["a|b", "x\ny"].map(Cell::from)]);
        assert_eq!(sheet.markdown(), "| Tenant | Error |\n| --- | --- |\n| a\\|b | x\\\\ny |\n");
    }
}
