//! Every dependency has a sentence that says why.

use super::{Finding, TextFile};

/// Finds the dependencies of a manifest without a comment sentence directly above. Crates of this
/// workspace need none.
pub(super) fn check(file: &TextFile) -> Vec<Finding> {
    let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
    let mut findings = Vec::new();
    let (mut in_dependencies, mut open) = (false, 0_i32);
    for (at, line) in lines.iter().enumerate() {
        let continues = open > 0;
        if continues || line.starts_with('#') {
            open += if continues { brackets(line) } else { 0 };
            continue;
        }
        let named = if line.starts_with('[') {
            let header = line.trim_matches(['[', ']']);
            in_dependencies = header.ends_with("dependencies");
            header.rsplit_once("dependencies.").map(|(_, name)| name)
        } else {
            open = brackets(line);
            line.split_once('=').map(|(name, _)| name.trim()).filter(|_| in_dependencies)
        };
        let is_own = line.contains("path = ") || line.contains("workspace = true");
        if let Some(name) = named.filter(|_| !is_own && !has_sentence(&lines[..at])) {
            findings
                .push(file.finding(at, format!("dependency {name}: no sentence directly above says why")));
        }
    }
    findings
}

/// How many brackets a line leaves open.
fn brackets(line: &str) -> i32 {
    let count = |open: char, close: char| {
        line.chars().map(|found| i32::from(found == open) - i32::from(found == close)).sum::<i32>()
    };
    count('[', ']') + count('{', '}')
}

/// Whether the lines end with a comment that begins like a sentence and ends like one.
fn has_sentence(before: &[&str]) -> bool {
    let comment: Vec<&str> =
        before.iter().rev().map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
    let (Some(last), Some(first)) = (comment.first(), comment.last()) else { return false };
    last.ends_with('.') && first.contains(' ') && first.starts_with(|found: char| !found.is_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::TextFile;
    use super::check;

    #[test]
    fn every_dependency_has_a_sentence() {
        let text = r#"
[package]
name = "x"
[dependencies]
own = { path = "../own" }
shared.workspace = true
# Says why it is here.
good = "1"
bare = "1"
# a remark
remark = "1"
# Says why it is here,
# in two lines.
long = { version = "1", features = [
    "a = b",
] }
[target.'cfg(unix)'.dependencies]
bare2 = "1"
[dev-dependencies.bare3]
version = "1"
[features]
default = []
"#;
        let lines: Vec<usize> =
            check(&TextFile::new("Cargo.toml", text)).iter().map(|found| found.line).collect();
        assert_eq!(lines, [9, 11, 18, 19]);
    }
}
