//! `SPEC.md` and the sources agree.
//!
//! `SPEC.md` lists every requirement with an id, a status and the files that implement and test it. Code, tests and
//! proofs cite the ids in their comments. This test reads both sides and fails when a requirement that is marked
//! done is cited by no code or no test, when a source cites an id that has no row, when a row names a file that
//! no longer cites it, and when the tables themselves are malformed.
//!
//! The columns `implemented` and `tested` are filled in from the citations by
//!
//! ```text
//! PROSPERA_SPEC_FILL=1 cargo test --test spec
//! ```
//!
//! which leaves statuses and notes (`missing:`, `reason:`) as they are.
//!
//! INVARIANT (the check can fail): every problem that [`Spec::check`] reports has a test in [`controls`] that
//! provokes it. This file and its modules cite ids as test data, so they are themselves not scanned.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

#[path = "spec/citations.rs"]
mod citations;
#[path = "spec/controls.rs"]
mod controls;
#[path = "spec/sources.rs"]
mod sources;

use citations::{Id, PREFIXES, numbered, scan};
use sources::{Role, Source, collect};

/// The table that is checked, relative to the root of the crate.
const SPEC_FILE: &str = "SPEC.md";
/// When set to `1`, the columns are filled in before they are checked.
const FILL_VARIABLE: &str = "PROSPERA_SPEC_FILL";
/// The directories whose sources are scanned.
const ROOTS: [&str; 6] = ["src", "tests", "fuzz", "proofs", "benches", "examples"];
/// The header of a requirement table.
const HEADER: [&str; 5] = ["id", "requirement", "status", "implemented", "tested"];
/// What an empty column holds.
const EMPTY: &str = "—";
/// How many files a column names before it is cut off.
const FILES_PER_COLUMN: usize = 3;

#[test]
fn spec_agrees_with_the_sources() {
    let problems = check_this_crate().unwrap_or_else(|error| vec![error]);
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Reads `SPEC.md` and the sources of this crate, fills the columns in if asked to, and returns what is wrong.
fn check_this_crate() -> Result<Vec<String>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (text, sources) = read_this_crate(root)?;
    let spec = Spec::parse(&text);
    if std::env::var(FILL_VARIABLE).as_deref() != Ok("1") {
        return Ok(spec.check(&sources));
    }
    let filled = spec.fill(&text, &sources);
    if filled != text {
        let path = root.join(SPEC_FILE);
        fs::write(&path, &filled)
            .map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
    }
    Ok(Spec::parse(&filled).check(&sources))
}

/// Returns the text of `SPEC.md` and the sources that may cite it.
fn read_this_crate(root: &Path) -> Result<(String, Vec<Source>), String> {
    let path = root.join(SPEC_FILE);
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
    let mut sources = Vec::new();
    for directory in ROOTS {
        if root.join(directory).is_dir() {
            collect(root, directory, &mut sources)?;
        }
    }
    Ok((text, sources))
}

/// The requirement tables of `SPEC.md`.
struct Spec {
    rows: Vec<Row>,
    /// What could not be understood while the tables were read.
    problems: Vec<String>,
}

/// One requirement.
struct Row {
    id: Id,
    requirement: String,
    status: Status,
    implemented: String,
    tested: String,
    /// Where the row stands in `SPEC.md`, counted from 1.
    line: usize,
}

/// How far a requirement is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Done,
    Partial,
    Planned,
    NotApplicable,
}

impl Spec {
    /// Reads the tables. What is malformed is left out and reported by [`Spec::check`].
    fn parse(text: &str) -> Self {
        let mut spec = Self { rows: Vec::new(), problems: Vec::new() };
        let mut in_table = false;
        for (line, content) in numbered(text) {
            let Some(cells) = cells(content) else {
                in_table = false;
                continue;
            };
            if cells == HEADER {
                in_table = true;
            } else if in_table && !is_rule(&cells) {
                match Row::parse(&cells, line) {
                    Ok(row) => spec.rows.push(row),
                    Err(problem) => spec.problems.push(format!("{SPEC_FILE}:{line}: {problem}")),
                }
            } else if let Some(id) =
                cells.first().and_then(|cell| Id::parse(cell)).filter(|_| !in_table)
            {
                spec.problems.push(format!(
                    "{SPEC_FILE}:{line}: `{id}` stands in a table without the header `{}`",
                    HEADER.join(" | ")
                ));
            }
        }
        spec
    }

    /// Returns everything that is wrong with the tables, with the citations, and between the two.
    fn check(&self, sources: &[Source]) -> Vec<String> {
        let mut problems = self.problems.clone();
        for prefix in PREFIXES {
            if !self.rows.iter().any(|row| row.id.prefix == prefix) {
                problems
                    .push(format!("{SPEC_FILE}: no row has an id that starts with `{prefix}-`"));
            }
        }
        let mut first_lines = BTreeMap::new();
        for row in &self.rows {
            if let Some(first) = first_lines.insert(&row.id, row.line) {
                problems.push(format!(
                    "{SPEC_FILE}:{}: `{}` is listed twice, first in line {first}",
                    row.line, row.id
                ));
            }
        }
        let nothing = Evidence::default();
        let evidence = self.gather(sources, &mut problems);
        for row in &self.rows {
            let found = evidence.get(&row.id);
            let complaints = row.check(found.unwrap_or(&nothing));
            problems.extend(
                complaints
                    .iter()
                    .map(|complaint| format!("{SPEC_FILE}:{}: `{}` {complaint}", row.line, row.id)),
            );
        }
        problems
    }

    /// Returns `text` with the columns of all rows filled in from the citations.
    fn fill(&self, text: &str, sources: &[Source]) -> String {
        let nothing = Evidence::default();
        let evidence = self.gather(sources, &mut Vec::new());
        let rows: BTreeMap<usize, &Row> = self.rows.iter().map(|row| (row.line, row)).collect();
        let mut filled = String::with_capacity(text.len());
        for (line, content) in numbered(text) {
            match rows.get(&line).filter(|row| row.status != Status::NotApplicable) {
                Some(row) => {
                    filled.push_str(&row.filled(evidence.get(&row.id).unwrap_or(&nothing)));
                }
                None => filled.push_str(content),
            }
            filled.push('\n');
        }
        filled
    }

    /// Collects what the sources say about each row, and reports citations of what has no row.
    fn gather(&self, sources: &[Source], problems: &mut Vec<String>) -> BTreeMap<Id, Evidence> {
        let listed: BTreeSet<&Id> = self.rows.iter().map(|row| &row.id).collect();
        let is_known =
            |id: &Id| listed.contains(id) || listed.iter().any(|row| id.is_section_of(row));
        let mut evidence: BTreeMap<Id, Evidence> = BTreeMap::new();
        for source in sources {
            let tests = source.test_lines();
            for (line, content) in numbered(&source.text) {
                let role = source.role(tests.contains(&line));
                for citation in scan(content) {
                    for id in citation.ends().into_iter().filter(|id| !is_known(id)) {
                        problems.push(format!(
                            "{}:{line}: cites `{id}`, which {SPEC_FILE} does not list",
                            source.path
                        ));
                    }
                    if citation.is_bad_range() {
                        problems.push(format!(
                            "{}:{line}: `{citation}` is no range: the ends must differ in their last number \
                             only, and rise",
                            source.path
                        ));
                    }
                    for id in listed.iter().filter(|id| citation.covers(id)) {
                        let found = evidence.entry((*id).clone()).or_default();
                        found.add(role, &source.path, citation.is_range());
                    }
                }
            }
        }
        evidence
    }
}

impl Row {
    /// Reads a row of a requirement table.
    fn parse(cells: &[String], line: usize) -> Result<Self, String> {
        let [id, requirement, status, implemented, tested] = cells else {
            return Err(format!("a row needs {} columns, found {}", HEADER.len(), cells.len()));
        };
        let parsed = Id::parse(id).ok_or_else(|| format!("`{id}` is no id"))?;
        let status = match status.as_str() {
            "done" => Status::Done,
            "partial" => Status::Partial,
            "planned" => Status::Planned,
            "n/a" => Status::NotApplicable,
            other => {
                return Err(format!(
                    "`{id}` has the unknown status `{other}`, expected `done`, `partial`, `planned` or `n/a`"
                ));
            }
        };
        Ok(Self {
            id: parsed,
            requirement: requirement.clone(),
            status,
            implemented: implemented.clone(),
            tested: tested.clone(),
            line,
        })
    }

    /// Returns what is wrong with the row, each to be read after its id.
    fn check(&self, evidence: &Evidence) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.requirement.is_empty() {
            complaints.push("states no requirement".to_owned());
        }
        let (missing, reason) =
            (note(&self.implemented, "missing:"), note(&self.implemented, "reason:"));
        match self.status {
            Status::Partial if missing.is_none() => {
                complaints.push(
                    "is partial and does not say after `missing:` what is missing".to_owned(),
                );
            }
            Status::NotApplicable if reason.is_none() => {
                complaints.push("is n/a and does not say after `reason:` why".to_owned());
            }
            Status::Done if missing.is_some() => {
                complaints.push(
                    "is done and yet says after `missing:` that something is missing".to_owned(),
                );
            }
            _ => {}
        }
        let columns = [
            ("implemented", &self.implemented, &evidence.code, "no code under src/ cites it"),
            ("tested", &self.tested, &evidence.tests, "no test cites it"),
        ];
        for (column, content, citing, lack) in columns {
            let named = named_files(content);
            if self.status == Status::Done && citing.is_empty() {
                complaints.push(format!("is done, but {lack}"));
            } else if self.status == Status::Done && named.is_empty() {
                complaints.push(format!(
                    "is done, but its column `{column}` names no file (set {FILL_VARIABLE}=1 to fill it in)"
                ));
            }
            if self.status != Status::NotApplicable {
                complaints.extend(named.iter().filter(|file| !citing.contains_key(**file)).map(|file| {
                    format!(
                        "names `{file}` in its column `{column}`, which does not cite it there (set \
                         {FILL_VARIABLE}=1 to fill it in anew)"
                    )
                }));
            }
        }
        complaints
    }

    /// Returns the row as a line, with its columns filled in.
    fn filled(&self, evidence: &Evidence) -> String {
        let mut implemented = column(&evidence.code);
        if let Some(missing) = note(&self.implemented, "missing:") {
            implemented = match implemented.as_str() {
                EMPTY => format!("missing: {missing}"),
                files => format!("{files}; missing: {missing}"),
            };
        }
        let tested = column(&evidence.tests);
        format!(
            "| {} | {} | {} | {implemented} | {tested} |",
            self.id, self.requirement, self.status
        )
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Planned => "planned",
            Self::NotApplicable => "n/a",
        })
    }
}

/// Splits a line of a table into its cells; `\|` is part of a cell. Any other line gives `None`.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?;
    let mut cells = vec![String::new()];
    let mut escaped = false;
    for character in inner.chars() {
        if character == '|' && !escaped {
            cells.push(String::new());
        } else if let Some(cell) = cells.last_mut() {
            cell.push(character);
        }
        escaped = character == '\\' && !escaped;
    }
    if cells.last().is_some_and(|cell| cell.trim().is_empty()) {
        cells.pop();
    }
    Some(cells.iter().map(|cell| cell.trim().to_owned()).collect())
}

/// Says whether cells are those of the line between a table's header and its body.
fn is_rule(cells: &[String]) -> bool {
    cells
        .iter()
        .all(|cell| !cell.is_empty() && cell.chars().all(|character| "-:".contains(character)))
}

/// Returns what a column says after `label`, if it says anything.
fn note<'column>(column: &'column str, label: &str) -> Option<&'column str> {
    let (_, note) = column.split_once(label)?;
    Some(note.trim()).filter(|note| !note.is_empty())
}

/// Returns the files that a column names: whatever stands in backticks before its note.
fn named_files(column: &str) -> Vec<&str> {
    let files = ["missing:", "reason:"]
        .iter()
        .filter_map(|label| column.split_once(label))
        .map(|(files, _)| files);
    files.min_by_key(|files| files.len()).unwrap_or(column).split('`').skip(1).step_by(2).collect()
}

/// Renders the files that cite a row, those first that cite it by its own id and not in a range.
fn column(citing: &BTreeMap<String, bool>) -> String {
    if citing.is_empty() {
        return EMPTY.to_owned();
    }
    let mut files: Vec<_> = citing.iter().collect();
    files.sort_by_key(|(path, only_in_range)| (**only_in_range, path.as_str()));
    let mut names: Vec<_> =
        files.iter().take(FILES_PER_COLUMN).map(|(path, _)| format!("`{path}`")).collect();
    if files.len() > FILES_PER_COLUMN {
        names.push("…".to_owned());
    }
    names.join(", ")
}

/// The files that cite one row. Each maps to whether it does so in ranges only.
#[derive(Debug, Default)]
struct Evidence {
    code: BTreeMap<String, bool>,
    tests: BTreeMap<String, bool>,
}

impl Evidence {
    /// Notes a citation.
    fn add(&mut self, role: Role, path: &str, in_range: bool) {
        let files = match role {
            Role::Code => &mut self.code,
            Role::Test => &mut self.tests,
            Role::Other => return,
        };
        let only_in_range = files.entry(path.to_owned()).or_insert(true);
        *only_in_range &= in_range;
    }
}
