//! The files that may cite ids, and what a citation in each is evidence for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The test and its modules, which cite ids as data.
const SELF_FILES: [&str; 2] = ["tests/spec.rs", "tests/spec/"];

/// Adds the sources below `directory` to `sources`, in the order of their names.
pub(super) fn collect(
    root: &Path,
    directory: &str,
    sources: &mut Vec<Source>,
) -> Result<(), String> {
    let fail = |error: std::io::Error| format!("cannot read `{directory}`: {error}");
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir(root.join(directory)).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let kind = entry.file_type().map_err(fail)?;
        entries.insert(entry.file_name().to_string_lossy().into_owned(), kind);
    }
    for (name, kind) in entries {
        let path = format!("{directory}/{name}");
        if kind.is_dir() && name != "target" && !name.starts_with('.') {
            collect(root, &path, sources)?;
        } else if kind.is_file() && is_scanned(&path) {
            let bytes = fs::read(root.join(&path))
                .map_err(|error| format!("cannot read `{path}`: {error}"))?;
            sources.push(Source { path, text: String::from_utf8_lossy(&bytes).into_owned() });
        }
    }
    Ok(())
}

/// Says whether a file's citations count: Rust, Coq and TOML everywhere, Markdown among the proofs.
pub(super) fn is_scanned(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    !SELF_FILES.iter().any(|own| path.starts_with(own))
        && match extension {
            Some("rs" | "v" | "toml") => true,
            Some("md") => path.starts_with("proofs/"),
            _ => false,
        }
}

/// What a citation is evidence for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Code,
    Test,
    /// Nothing: benches and examples may cite ids and are checked for unknown ones.
    Other,
}

/// A file that may cite ids.
pub(super) struct Source {
    /// Relative to the root of the crate, with `/` between the parts.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    /// Returns what a citation in this file is evidence for.
    pub(super) fn role(&self, in_test_lines: bool) -> Role {
        match self.path.split('/').next() {
            Some("src") if in_test_lines => Role::Test,
            Some("src") => Role::Code,
            Some("tests" | "fuzz" | "proofs") => Role::Test,
            _ => Role::Other,
        }
    }

    /// Returns the numbers of the lines of this file that are compiled for tests only.
    ///
    /// A test module counts up to the end of the file, any other item under `#[cfg(test)]` up to the line that closes it.
    /// This reads formatted code and is no parser.
    pub(super) fn test_lines(&self) -> BTreeSet<usize> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut tests = BTreeSet::new();
        let whole = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        if whole || lines.iter().any(|line| line.starts_with("#![cfg(test)]")) {
            return (1..=lines.len()).collect();
        }
        let mut rest = (1..).zip(lines.iter().copied());
        while let Some((start, line)) = rest.next() {
            let indented = line.trim_start();
            let is_test =
                ["#[cfg(test)]", "#[cfg(all(test,"].iter().any(|start| indented.starts_with(start));
            let Some((_, after)) = indented.split_once(")]").filter(|_| is_test) else {
                continue;
            };
            let indentation = line.len() - indented.len();
            let item = if is_item(after) {
                Some((start, after))
            } else {
                rest.find(|(_, line)| is_item(line))
            };
            let Some((item_line, item)) = item.map(|(number, item)| (number, item.trim())) else {
                continue;
            };
            let end = if item.ends_with([';', '}']) {
                item_line
            } else if is_module(item) {
                lines.len()
            } else {
                rest.find(|(_, line)| closes(line, indentation)).map_or(lines.len(), |(end, _)| end)
            };
            tests.extend(start..=end);
            if end == lines.len() {
                break;
            }
        }
        tests
    }
}

/// Says whether a line begins an item, and is not blank, a comment or an attribute.
fn is_item(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("//") && !line.starts_with("#[")
}

/// Says whether an item is a module.
fn is_module(item: &str) -> bool {
    item.split_whitespace().take(2).any(|word| word == "mod")
}

/// Says whether a line ends an item that begins at this indentation.
fn closes(line: &str, indentation: usize) -> bool {
    let trimmed = line.trim();
    let indented = line.len() - line.trim_start().len();
    indented == indentation && (trimmed.starts_with(['}', ']']) || trimmed == ");")
}
