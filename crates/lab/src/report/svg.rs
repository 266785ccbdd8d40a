//! Plots as SVG inside a page.
//!
//! A plot is as wide as its place and has a fixed height: horizontal positions are shares of the width, so that words
//! keep their size on every screen. Lines are drawn in a coordinate system of their own, which is stretched.

use std::fmt::Write as _;

use crate::report::NamedSpan;
use crate::report::html::markup::Escaped;
use crate::report::scale::Scale;

/// Columns of the coordinate system of lines.
const COLUMNS: f64 = 1000.0;
/// Lines of a plot with more points have no text at each of them.
const NAMED_POINTS_MAX: usize = 400;
/// Number of looks that lines have; the style sheet has a class for each.
const LOOKS: usize = 8;
/// Letters below a plot that have room on a narrow screen.
const LETTERS_NARROW: usize = 36;
/// Parts of the width that a span must have for each digit of its number.
const DIGIT: f64 = 0.03;

/// A plot.
pub(crate) struct Chart<'a> {
    /// What it shows, in a few words.
    pub(crate) title: &'a str,
    /// What can be seen, for those who can't see it.
    pub(crate) description: &'a str,
    pub(crate) x: &'a Scale,
    pub(crate) y: &'a Scale,
    pub(crate) traces: &'a [Trace],
    pub(crate) spans: &'a [NamedSpan],
    /// How a place on the horizontal axis is written, and a value.
    pub(crate) x_text: &'a dyn Fn(f64) -> String,
    pub(crate) y_text: &'a dyn Fn(f64) -> String,
    /// In pixels, without what is written below.
    pub(crate) height: u32,
}

/// A line of a plot; a gap where there is no value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, Option<f64>)>,
}

impl Trace {
    /// Its values.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().filter_map(|(_, value)| *value)
    }

    /// Where it has values.
    pub(crate) fn places(&self) -> impl Iterator<Item = f64> {
        self.points.iter().filter(|(_, value)| value.is_some()).map(|(place, _)| *place)
    }
}

/// A point that nothing is connected with: the number of its line, and where it lies.
type Alone = (usize, f64, f64);

/// The class of the line with a number.
pub(crate) fn look(number: usize) -> String {
    format!("s{}", number % LOOKS)
}

impl Chart<'_> {
    /// The plot. `id` is one that nothing else in the page has.
    pub(crate) fn svg(&self, id: usize) -> String {
        let mut svg = format!(
            "<svg class=\"plot\" role=\"img\" aria-labelledby=\"t{id} d{id}\" width=\"100%\" height=\"{}\">\
             <title id=\"t{id}\">{}</title><desc id=\"d{id}\">{}</desc>",
            self.height,
            Escaped(self.title),
            Escaped(self.description)
        );
        self.spans(&mut svg);
        self.axes(&mut svg);
        let (alone, connected) = self.parts();
        let _never = write!(
            svg,
            "<svg width=\"100%\" height=\"{0}\" viewBox=\"0 0 {COLUMNS} {0}\" preserveAspectRatio=\"none\">",
            self.height
        );
        for (number, path) in connected {
            let _never = write!(svg, "<path class=\"line {}\" d=\"{path}\"/>", look(number));
        }
        svg += "</svg>";
        for (number, x, y) in alone {
            let (x, y, look) = (percent(x), self.down(y), look(number));
            let _never = write!(svg, "<circle class=\"dot {look}\" cx=\"{x}\" cy=\"{y}\" r=\"3\"/>");
        }
        self.names(&mut svg);
        svg + "</svg>"
    }

    fn spans(&self, svg: &mut String) {
        for (number, span) in self.spans.iter().enumerate() {
            let (Some(from), Some(to)) = (self.x.position(span.from), self.x.position(span.to)) else {
                continue;
            };
            let (from, width) = (from.min(to), (to - from).abs());
            let class = if number % 2 == 0 { "band" } else { "band other" };
            let _never = write!(
                svg,
                "<rect class=\"{class}\" x=\"{}\" y=\"0\" width=\"{}\" height=\"{}\"/>",
                percent(from),
                percent(width),
                self.height
            );
            let digits = (number + 1).ilog10() + 1;
            if width >= DIGIT * f64::from(digits) {
                let middle = percent(from + width / 2.0);
                let _never =
                    write!(svg, "<text class=\"mark\" x=\"{middle}\" y=\"12\">{}</text>", number + 1);
            }
        }
    }

    fn axes(&self, svg: &mut String) {
        for (value, name) in &self.y.marks {
            let Some(position) = self.y.position(*value) else { continue };
            let (y, name) = (self.down(position), Escaped(name));
            let _never = write!(
                svg,
                "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>\
                 <text class=\"tick y\" x=\"0\" dx=\"-8\" y=\"{y}\" dy=\"4\">{name}</text>"
            );
        }
        let _never =
            write!(svg, "<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/>", self.height);
        // On a narrow screen there is room for half of many.
        let letters: usize = self.x.marks.iter().map(|(_, name)| name.chars().count() + 2).sum();
        let are_many = letters > LETTERS_NARROW;
        for (number, (value, name)) in self.x.marks.iter().enumerate() {
            let Some(position) = self.x.position(*value) else { continue };
            let (x, name) = (percent(position), Escaped(name));
            let class = if are_many && (self.x.marks.len() - number).is_multiple_of(2) {
                "tick x wide"
            } else {
                "tick x"
            };
            let (foot, below) = (self.height + 5, self.height + 18);
            let _never = write!(
                svg,
                "<line class=\"axis\" x1=\"{x}\" x2=\"{x}\" y1=\"{}\" y2=\"{foot}\"/>\
                 <text class=\"{class}\" x=\"{x}\" y=\"{below}\">{name}</text>",
                self.height
            );
        }
    }

    /// The points that stand alone, and the lines through others.
    fn parts(&self) -> (Vec<Alone>, Vec<(usize, String)>) {
        let (mut alone, mut connected) = (Vec::new(), Vec::new());
        for (number, trace) in self.traces.iter().enumerate() {
            let placed: Vec<_> =
                trace.points.iter().map(|(place, value)| self.place(*place, *value)).collect();
            let mut path = String::new();
            for part in placed.split(Option::is_none) {
                match part {
                    [Some((x, y))] => alone.push((number, *x, *y)),
                    part => {
                        for (at, (x, y)) in part.iter().flatten().enumerate() {
                            let command = if at == 0 { 'M' } else { 'L' };
                            let _never = write!(path, "{command}{:.1} {}", x * COLUMNS, self.down(*y));
                        }
                    }
                }
            }
            if !path.is_empty() {
                connected.push((number, path));
            }
        }
        (alone, connected)
    }

    fn place(&self, place: f64, value: Option<f64>) -> Option<(f64, f64)> {
        Some((self.x.position(place)?, self.y.position(value?)?))
    }

    /// A text at each point, which appears where the pointer is.
    fn names(&self, svg: &mut String) {
        if self.traces.iter().map(|trace| trace.points.len()).sum::<usize>() > NAMED_POINTS_MAX {
            return;
        }
        for (number, trace) in self.traces.iter().enumerate() {
            for (place, value) in &trace.points {
                let Some((x, y)) = self.place(*place, *value) else { continue };
                let value = value.map_or_else(String::new, |value| (self.y_text)(value));
                let _never = write!(
                    svg,
                    "<circle class=\"hit {}\" cx=\"{}\" cy=\"{}\" r=\"6\"><title>{}: {} at {}</title></circle>",
                    look(number),
                    percent(x),
                    self.down(y),
                    Escaped(&trace.name),
                    Escaped(&value),
                    Escaped(&(self.x_text)(*place))
                );
            }
        }
    }

    /// Pixels below the upper edge.
    fn down(&self, position: f64) -> String {
        format!("{:.1}", (1.0 - position) * f64::from(self.height))
    }
}

/// A share of the width.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Unit;

    fn drawn(points: Vec<(f64, Option<f64>)>, is_logarithmic: bool) -> Option<String> {
        let trace = Trace { name: "a <line>".to_owned(), points };
        let x = Scale::exact(trace.places(), Unit::Seconds)?;
        let make = if is_logarithmic { Scale::logarithmic } else { Scale::from_zero };
        let y = make(trace.values().collect::<Vec<_>>(), Unit::Bytes)?;
        let span = |from, to| NamedSpan { name: "phase".to_owned(), from, to };
        let chart = Chart {
            title: "a & b",
            description: "it rises",
            x: &x,
            y: &y,
            traces: &[trace],
            spans: &[span(0.0, 2.0), span(2.0, f64::NAN)],
            x_text: &|value| Unit::Seconds.format(value),
            y_text: &|value| Unit::Bytes.format(value),
            height: 200,
        };
        Some(chart.svg(7))
    }

    #[test]
    fn a_gap_parts_a_line_and_a_point_alone_is_a_dot() {
        let points = vec![(0.0, Some(0.0)), (1.0, Some(4.0)), (2.0, None), (3.0, Some(2.0)), (4.0, None)];
        let svg = drawn(points, false).expect("there are values");
        assert!(svg.contains("d=\"M0.0 200.0L333.3 0.0\""), "{svg}");
        assert!(svg.contains("<circle class=\"dot s0\" cx=\"100.00%\" cy=\"100.0\""), "{svg}");
        assert!(svg.contains("<title id=\"t7\">a &amp; b</title><desc id=\"d7\">it rises</desc>"), "{svg}");
        assert!(svg.contains("<title>a &lt;line&gt;: 4.00 B at 1.00 s</title>"), "{svg}");
        // A span without an end is none.
        assert_eq!(svg.matches("<rect").count(), 1);
    }

    #[test]
    fn whatever_is_measured_no_number_is_missing_in_a_plot() {
        let odd = [f64::NAN, f64::INFINITY, f64::MIN, f64::MAX, -1.0, 0.0, 1e-320, 1e300];
        for is_logarithmic in [false, true] {
            assert_eq!(drawn(vec![], is_logarithmic), None);
            assert_eq!(drawn(vec![(0.0, None), (1.0, None)], is_logarithmic), None);
            for one in odd {
                for other in odd.into_iter().chain([1.0]) {
                    let points = vec![(0.0, Some(one)), (other, Some(other)), (2.0, Some(other))];
                    let svg = drawn(points, is_logarithmic).unwrap_or_default();
                    let attributes = svg.split('"').skip(1).step_by(2);
                    for attribute in attributes {
                        assert!(
                            !attribute.contains("NaN") && !attribute.contains("inf"),
                            "{one} {other}: {svg}"
                        );
                    }
                }
            }
        }
    }
}
