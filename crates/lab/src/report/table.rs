//! Tables and paragraphs in plain text, as wide as a terminal.

/// How a column is filled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words, which may go on in the next line.
    Left,
    /// Words that are never broken.
    Whole,
    /// Numbers, which are never broken.
    Right,
}

/// Words are not put into fewer columns of the terminal than this.
const WORDS_MIN: usize = 16;
/// What stands between two columns.
const BETWEEN: usize = 2;

/// A header and rows of cells.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let columns = columns.into_iter().map(|(name, align)| (plain(name), align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; it has as many cells as there are columns.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells.iter().map(|cell| plain(cell)).collect());
    }

    /// The lines of the table. What is too wide for the terminal follows below, behind the first column again.
    pub(crate) fn lines(&self, width: usize) -> Vec<String> {
        let widths = self.widths(width);
        let first = widths.first().copied().unwrap_or(0);
        let mut lines = Vec::new();
        let mut from = 1;
        while from < widths.len() || lines.is_empty() {
            let mut used = first;
            let fits = widths[from.min(widths.len())..].iter().take_while(|more| {
                used += BETWEEN + **more;
                used <= width
            });
            // One column has to go on, however narrow the terminal is.
            let to = (from + fits.count().max(1)).min(widths.len());
            if !lines.is_empty() {
                lines.push(String::new());
            }
            let shown: Vec<usize> = [0].into_iter().chain(from..to).filter(|at| *at < widths.len()).collect();
            let header: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
            lines.extend(self.row_lines(&header, &shown, &widths));
            lines.push("-".repeat(shown.iter().map(|at| widths[*at] + BETWEEN).sum::<usize>() - BETWEEN));
            for row in &self.rows {
                lines.extend(self.row_lines(row, &shown, &widths));
            }
            from = to.max(from + 1);
        }
        lines
    }

    /// As wide as the cells are, words narrower if there is no room.
    fn widths(&self, width: usize) -> Vec<usize> {
        let natural = |at: usize| {
            let cells = self.rows.iter().map(|row| length(&row[at]));
            cells.max().unwrap_or(0).max(length(&self.columns[at].0))
        };
        let mut widths: Vec<usize> = (0..self.columns.len()).map(natural).collect();
        let is_words = |at: &usize| self.columns[*at].1 == Align::Left;
        loop {
            let all: usize = widths.iter().map(|width| width + BETWEEN).sum();
            let widest = (0..widths.len()).filter(is_words).max_by_key(|at| widths[*at]);
            match widest {
                Some(at) if all > width + BETWEEN && widths[at] > WORDS_MIN => widths[at] -= 1,
                _ => return widths,
            }
        }
    }

    fn row_lines(&self, cells: &[String], shown: &[usize], widths: &[usize]) -> Vec<String> {
        let broken: Vec<Vec<String>> = shown.iter().map(|at| wrap(&cells[*at], widths[*at])).collect();
        let height = broken.iter().map(Vec::len).max().unwrap_or(0);
        let line = |row: usize| {
            let mut line = String::new();
            for (parts, at) in broken.iter().zip(shown) {
                let (part, width) = (parts.get(row).map_or("", String::as_str), widths[*at]);
                match self.columns[*at].1 {
                    Align::Left | Align::Whole => line += &format!("{part:<width$}  "),
                    Align::Right => line += &format!("{part:>width$}  "),
                }
            }
            line.truncate(line.trim_end().len());
            line
        };
        (0..height).map(line).collect()
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// The lines of a text, none of them wider than this; words that are wider alone are broken.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() && length(&line) + 1 + length(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for character in word.chars() {
            if length(&line) >= width.max(1) {
                lines.push(std::mem::take(&mut line));
            }
            line.push(character);
        }
    }
    lines.push(line);
    lines
}

/// A text that does nothing to a terminal: in one line, and without what controls it.
pub(crate) fn plain(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line.chars().map(|c| if is_shown(c) { c } else { '?' }).collect()
}

/// Whether a character only shows itself: it moves nothing, and turns no direction of writing.
pub(crate) fn is_shown(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        && !matches!(character, '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_never_broken_and_words_are() {
        let mut table = Table::new([("what", Align::Left), ("count", Align::Right), ("mean", Align::Right)]);
        table.row(vec![
            "a lookup by its address in a store".to_owned(),
            "1,234,567".to_owned(),
            "12.3 us".to_owned(),
        ]);
        table.row(vec!["put".to_owned(), "5".to_owned(), "-".to_owned()]);
        let wide = "what                                    count     mean\n\
                    ------------------------------------------------------\n\
                    a lookup by its address in a store  1,234,567  12.3 us\n\
                    put                                         5        -";
        assert_eq!(table.lines(80).join("\n"), wide);
        let narrow = table.lines(40);
        assert!(narrow.iter().all(|line| length(line) <= 40), "{narrow:#?}");
        assert_eq!(narrow.len(), 5, "{narrow:#?}");
        // Columns that have no room follow below.
        let narrowest = table.lines(28);
        assert!(narrowest.iter().all(|line| length(line) <= 28), "{narrowest:#?}");
        assert_eq!(narrowest.iter().filter(|line| line.starts_with("what")).count(), 2);
        assert!(narrowest.iter().any(|line| line.contains("1,234,567")));
        assert!(narrowest.iter().any(|line| line.contains("12.3 us")));
    }

    #[test]
    fn a_table_of_any_width_ends() {
        let mut table = Table::new([("a", Align::Left), ("b", Align::Right)]);
        table.row(vec!["x".repeat(100), "1".repeat(50)]);
        for width in 0..120 {
            assert!(table.lines(width).join("").contains(&"1".repeat(50)), "{width}");
        }
        assert_eq!(Table::new([("a", Align::Left)]).lines(80), ["a", "-"]);
    }

    #[test]
    fn texts_do_nothing_to_a_terminal() {
        assert_eq!(plain("a\nb\t c\u{1b}[31m\u{202e}"), "a b c?[31m?");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
    }
}
