//! Links between the documents of the repository lead somewhere.

use super::{Finding, TextFile, Tree};

/// Finds the links of a document whose file or heading is not there.
pub(super) fn check(file: &TextFile, tree: &Tree) -> Vec<Finding> {
    let broken = links(&file.text).into_iter().filter(|(_, target)| !resolves(file, target, tree));
    broken.map(|(at, target)| file.finding(at, format!("link to {target}, which is not there"))).collect()
}

fn resolves(file: &TextFile, target: &str, tree: &Tree) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let (path, heading) =
        target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
    let Some(path) = (if path.is_empty() { Some(file.path.clone()) } else { join(&file.path, path) }) else {
        return false;
    };
    if !path.is_empty() && !tree.paths.contains(&path) {
        return false;
    }
    let text = tree.files.iter().find(|found| found.path == path).map(|found| found.text.as_str());
    match (heading, text) {
        (Some(heading), Some(text)) if path.ends_with(".md") => {
            anchors(text).iter().any(|found| found == heading)
        }
        _ => true,
    }
}

/// The path that `link` means in the document `from`; `None` if it leads out of the repository.
fn join(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The targets of links with the lines they stand in, outside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in prose(text) {
        // Every second part of a line split at back quotes is code.
        let line: String = line.split('`').step_by(2).collect();
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((at, target.trim_matches(['<', '>']).to_owned()));
        }
        let definition = line.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        if let Some((_, target)) = definition {
            found.push((at, target.split(' ').next().unwrap_or_default().to_owned()));
        }
    }
    found
}

/// The anchors of the headings.
fn anchors(text: &str) -> Vec<String> {
    let mut plain: Vec<String> = Vec::new();
    let mut anchors = Vec::new();
    for (_, line) in prose(text).into_iter().filter(|(_, line)| line.starts_with('#')) {
        let heading = line.trim_start_matches('#').trim();
        let kept =
            heading.chars().filter(|found| found.is_alphanumeric() || matches!(found, ' ' | '-' | '_'));
        let anchor = kept.collect::<String>().to_lowercase().replace(' ', "-");
        // Headings of the same text are numbered from the second on.
        anchors.push(match plain.iter().filter(|found| **found == anchor).count() {
            0 => anchor.clone(),
            count => format!("{anchor}-{count}"),
        });
        plain.push(anchor);
    }
    anchors
}

/// The lines outside fenced code.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::super::{TextFile, Tree};
    use super::{anchors, check};

    #[test]
    fn links_lead_somewhere() {
        let text = "[a](FORMAT.md) [b](../README.md#two-words) [`c`](nowhere.md) [d](../README.md#gone)\n\
                    ```\n[e](nowhere.md)\n```\n`[f](nowhere.md)` [g](https://example.org/x) [h](decisions/)\n\
                    [i](../../out.md)\n[j]: missing.md\n[k](#here) [l](#not-here)\n# Here\n";
        let document = TextFile::new("docs/A.md", text);
        let readme = TextFile::new("README.md", "# Two words\n");
        let paths = ["docs/A.md", "docs/FORMAT.md", "README.md", "docs/decisions"].map(str::to_owned).into();
        let tree = Tree { files: vec![readme, TextFile::new("docs/A.md", text)], paths };
        let lines: Vec<usize> = check(&document, &tree).iter().map(|found| found.line).collect();
        assert_eq!(lines, [1, 1, 6, 7, 8]);
    }

    #[test]
    fn headings_become_anchors() {
        let text = "# The `disk` engine, in short\n## Same\n## Same\n```\n# no heading\n```\n";
        assert_eq!(anchors(text), ["the-disk-engine-in-short", "same", "same-1"]);
    }
}
