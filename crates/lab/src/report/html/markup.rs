//! Markup: everything that comes from a report is escaped.

use std::fmt::{self, Write as _};

use crate::report::table::is_shown;

/// A text in markup, whatever is in it.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(character)?,
                // No document may hold these.
                character if !is_shown(character) => f.write_char('\u{fffd}')?,
                character => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// A page that is being written.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) markup: String,
    ids: usize,
}

impl Page {
    /// Adds markup, whose texts are [`Escaped`].
    pub(crate) fn put(&mut self, markup: fmt::Arguments<'_>) {
        let _never = self.markup.write_fmt(markup);
    }

    /// A number that nothing else in the page has.
    pub(crate) fn id(&mut self) -> usize {
        self.ids += 1;
        self.ids
    }

    /// A table that scrolls in itself. The first cell of each row names it, the others are numbers.
    pub(crate) fn numbers(&mut self, name: &str, columns: &[String], rows: &[Vec<String>]) {
        self.put(format_args!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">",
            Escaped(name)
        ));
        self.put(format_args!("<table class=\"numbers\"><thead><tr>"));
        for column in columns {
            self.put(format_args!("<th scope=\"col\">{}</th>", Escaped(column)));
        }
        self.put(format_args!("</tr></thead><tbody>"));
        for row in rows {
            self.put(format_args!("<tr>"));
            for (at, cell) in row.iter().enumerate() {
                match at {
                    0 => self.put(format_args!("<th scope=\"row\">{}</th>", Escaped(cell))),
                    _ => self.put(format_args!("<td>{}</td>", Escaped(cell))),
                }
            }
            self.put(format_args!("</tr>"));
        }
        self.put(format_args!("</tbody></table></div>"));
    }

    /// Names, and what stands behind them.
    pub(crate) fn pairs<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a str, String)>) {
        self.put(format_args!("<dl class=\"pairs\">"));
        for (name, text) in pairs {
            self.put(format_args!("<div><dt>{}</dt><dd>{}</dd></div>", Escaped(name), Escaped(&text)));
        }
        self.put(format_args!("</dl>"));
    }

    /// A verdict that does not depend on colour.
    pub(crate) fn verdict(&mut self, verdict: crate::threshold::Verdict) {
        let class = if verdict == crate::threshold::Verdict::Pass { "good" } else { "bad" };
        self.put(format_args!("<span class=\"chip {class}\">{verdict}</span>"));
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn no_text_is_markup() {
        let text = "<script src=\"x\">a && 'b'</script>\u{0}\u{1b}\u{202e}\n";
        let escaped = Escaped(text).to_string();
        assert!(!escaped.contains(['<', '>', '"', '\'', '\u{0}', '\u{1b}', '\u{202e}']), "{escaped}");
        assert!(escaped.starts_with("&lt;script src=&quot;x&quot;&gt;a &amp;&amp; &#39;b&#39;"), "{escaped}");
    }
}
