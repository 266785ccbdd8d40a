//! Checks of text and of Rust code, line by line.

use super::{Finding, TextFile};

/// Longer files need a reason.
pub(super) const LINES_MAX: usize = 600;
/// The first file of a library is documentation and re-exports.
const LIBRARY_LINES_MAX: usize = 149;
/// Marks of work that is not done. Written in parts, so that this file has none.
const MARKS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// No file is too long, but for those in `allowed`, which must be.
pub(super) fn check_lengths(files: &[TextFile], allowed: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let (lines, listed) = (file.text.lines().count(), allowed.iter().any(|(path, _)| *path == file.path));
        if lines > LINES_MAX && !listed {
            findings.push(file.finding(
                LINES_MAX,
                format!("{lines} lines; allowed: {LINES_MAX}, or a reason in xtask/src/tidy.rs"),
            ));
        } else if lines <= LINES_MAX && listed {
            findings.push(file.finding(0, "listed as a long file in xtask/src/tidy.rs, but it is not long"));
        }
    }
    for (path, reason) in allowed {
        if reason.is_empty() || !files.iter().any(|file| file.path == *path) {
            let what = "listed as a long file in xtask/src/tidy.rs, without a reason or without being there";
            findings.push(Finding { path: (*path).to_owned(), line: 1, what: what.to_owned() });
        }
    }
    findings
}

/// No marks of unfinished work.
pub(super) fn check_marks(file: &TextFile) -> Vec<Finding> {
    let marked = file.text.lines().enumerate().filter_map(|(at, line)| {
        let mark = MARKS.iter().find(|mark| line.contains(**mark))?;
        Some(file.finding(at, format!("{mark}: do it, or open an issue")))
    });
    marked.collect()
}

/// The rules of Rust code.
pub(super) fn check_rust(file: &TextFile) -> Vec<Finding> {
    let mut findings = check_unsafe(file);
    if is_product(&file.path) {
        findings.extend(check_unwrap(file));
    }
    let lines = file.text.lines().count();
    if file.path.ends_with("src/lib.rs") && lines > LIBRARY_LINES_MAX {
        let what = format!("{lines} lines; allowed in a lib.rs: {LIBRARY_LINES_MAX}");
        findings.push(file.finding(LIBRARY_LINES_MAX, what));
    }
    findings
}

/// Whether a file is part of what users run: in `crates/*/src`, and no file of tests.
fn is_product(path: &str) -> bool {
    let Some((_, inside)) = path.strip_prefix("crates/").and_then(|rest| rest.split_once("/src/")) else {
        return false;
    };
    let mut parts = inside.split('/');
    !parts.any(|part| matches!(part.trim_end_matches(".rs"), "tests" | "testing"))
}

fn check_unwrap(file: &TextFile) -> Vec<Finding> {
    let found = outside_tests(&file.text).into_iter().filter(|(_, line)| code(line).contains(".unwrap()"));
    found
        .map(|(at, _)| file.finding(at, "unwrap() outside tests: return an error, or `expect` what holds"))
        .collect()
}

/// Every unsafe block and implementation has a comment that says why it is sound.
fn check_unsafe(file: &TextFile) -> Vec<Finding> {
    let lines: Vec<&str> = file.text.lines().collect();
    let found = lines.iter().enumerate().filter(|(at, line)| {
        let code = code(line);
        let starts_here = code.contains("unsafe {") || code.trim_start().starts_with("unsafe impl");
        starts_here && !is_explained(&lines[..*at])
    });
    found.map(|(at, _)| file.finding(at, "unsafe without a `// SAFETY:` comment directly above")).collect()
}

/// Whether the lines before a statement end with a comment about safety. The statement may have begun on
/// an earlier line.
fn is_explained(before: &[&str]) -> bool {
    for line in before.iter().rev().map(|line| line.trim()) {
        if line.starts_with("// SAFETY:") {
            return true;
        }
        let goes_on = line.starts_with("//") || line.starts_with("#[");
        if !goes_on && (line.is_empty() || line.ends_with([';', '{', '}', ','])) {
            return false;
        }
    }
    false
}

/// A line without its comment and without the text of its strings, as far as one line can tell.
fn code(line: &str) -> String {
    let mut code = String::with_capacity(line.len());
    let (mut in_string, mut characters) = (false, line.chars().peekable());
    while let Some(character) = characters.next() {
        match character {
            '\\' if in_string => drop(characters.next()),
            '"' => in_string = !in_string,
            '/' if !in_string && characters.peek() == Some(&'/') => break,
            _ if in_string => {}
            _ => code.push(character),
        }
    }
    code
}

/// The lines, with their places, that are not in an item marked `#[cfg(test)]`. Relies on rustfmt: an item
/// ends with a brace as far to the right as it began.
fn outside_tests(text: &str) -> Vec<(usize, &str)> {
    let mut outside = Vec::new();
    let mut close: Option<String> = None;
    let mut marked = false;
    for (at, line) in text.lines().enumerate() {
        let (indent, trimmed) = (line.len() - line.trim_start().len(), line.trim());
        if let Some(end) = &close {
            if line == end {
                close = None;
            }
        } else if trimmed == "#[cfg(test)]" {
            marked = true;
        } else if marked && !trimmed.starts_with("#[") {
            marked = false;
            if !trimmed.ends_with([';', ',', '}']) {
                close = Some(format!("{}}}", &line[..indent]));
            }
        } else if !marked {
            outside.push((at, line));
        }
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::super::TextFile;
    use super::{check_lengths, check_marks, check_rust};

    fn found(path: &str, text: &str) -> Vec<usize> {
        check_rust(&TextFile::new(path, text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn unwrap_is_found_outside_tests_only() {
        let text = "fn f() {\n    g().unwrap();\n}\n\n#[cfg(test)]\nmod tests {\n    fn t() {\n        \
                    g().unwrap();\n    }\n}\n\nfn h() {\n    g().unwrap(); // here\n    // g().unwrap()\n    \
                    let text = \".unwrap()\";\n}\n";
        assert_eq!(found("crates/core/src/x.rs", text), [2, 13]);
        for path in [
            "crates/core/tests/x.rs",
            "crates/core/src/testing/x.rs",
            "crates/core/src/x/tests.rs",
            "xtask/src/x.rs",
        ] {
            assert!(found(path, text).is_empty(), "{path}");
        }
    }

    #[test]
    fn a_single_function_can_be_marked_as_a_test() {
        let text = "impl A {\n    #[cfg(test)]\n    #[must_use]\n    fn t() {\n        g().unwrap();\n    }\n\n    \
                    fn f() {\n        g().unwrap();\n    }\n}\n#[cfg(test)]\nmod tests;\nfn h() {\n    g().unwrap();\n}\n";
        assert_eq!(found("crates/core/src/x.rs", text), [9, 15]);
    }

    #[test]
    fn unsafe_needs_a_safety_comment() {
        // The word is put in here, so that this file has no such block of its own.
        let found = |path, text: &str| found(path, &text.replace("UNSAFE", "unsafe"));
        let bare = "fn f() {\n    let x = 1;\n    UNSAFE { g() }\n}\nUNSAFE impl Send for A {}\n";
        assert_eq!(found("crates/store/benches/x.rs", bare), [3, 5]);
        let explained = "fn f() {\n    // SAFETY: g is sound\n    // everywhere.\n    #[expect(x)]\n    let x =\n        \
                         UNSAFE { g() };\n    // UNSAFE { no code }\n}\n// SAFETY: fine.\nUNSAFE impl Send for A {}\n";
        assert!(found("crates/store/src/x.rs", explained).is_empty());
        let far = "// SAFETY: of another.\nlet y = UNSAFE { h() };\nlet x = UNSAFE { g() };\n";
        assert_eq!(found("crates/store/src/x.rs", far), [3]);
    }

    #[test]
    fn long_files_need_a_reason() {
        let (long, short) = ("line\n".repeat(601), "line\n".repeat(600));
        let files = [TextFile::new("a.rs", &long), TextFile::new("b.rs", &short)];
        let paths = |allowed| -> Vec<String> {
            check_lengths(&files, allowed).into_iter().map(|finding| finding.path).collect()
        };
        assert_eq!(paths(&[]), ["a.rs"]);
        assert!(paths(&[("a.rs", "one table")]).is_empty());
        assert_eq!(paths(&[("a.rs", ""), ("b.rs", "short"), ("c.rs", "gone")]), ["b.rs", "a.rs", "c.rs"]);
    }

    #[test]
    fn a_library_begins_with_a_short_file() {
        assert_eq!(found("crates/core/src/lib.rs", &"//\n".repeat(150)), [150]);
        assert!(found("crates/core/src/lib.rs", &"//\n".repeat(149)).is_empty());
    }

    #[test]
    fn marks_of_unfinished_work_are_found() {
        let text = concat!("fine\n// TO", "DO: later\n# FIX", "ME\n");
        let lines: Vec<usize> = check_marks(&TextFile::new("a.md", text)).iter().map(|f| f.line).collect();
        assert_eq!(lines, [2, 3]);
    }
}
