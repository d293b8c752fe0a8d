//! The arrows of the house: which room may use which (IRM-3.3.6, D-42).
//!
//! Reads every file under `src/` and looks at each `crate::room` it names. A room
//! may name the rooms its row allows, nothing else; in particular engine rooms never
//! name each other, and only `routing` composes them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const VOCABULARY: &[&str] = &[
    "commitment",
    "digest",
    "encode",
    "risk",
    "verdict",
    "provenance",
    "time",
    "id",
    "value",
    "limits",
    "fixed",
    "files",
    "json",
    "config",
];

const ENGINES: &[&str] =
    &["identity", "modeling", "memory", "safety", "governance", "pipeline", "execution"];

/// Which rooms a room may name beside the vocabulary and itself. `ssot::record` is
/// written as its path: only that part of the room is open.
fn allowed(room: &str) -> Vec<&'static str> {
    match room {
        "audience" => vec!["ssot::record"],
        room if ENGINES.contains(&room) => vec!["intent", "audience", "ssot::record"],
        "routing" => {
            let mut rooms = ENGINES.to_vec();
            rooms.extend(["intent", "audience", "ssot"]);
            rooms
        }
        // What stands above composes the whole house.
        "testing" | "policy" | "bundle" | "lib" => {
            let mut rooms = ENGINES.to_vec();
            rooms.extend(["intent", "audience", "ssot", "routing", "policy", "bundle", "testing"]);
            rooms
        }
        _ => vec![],
    }
}

/// The rooms that exist; a new file at the top of `src/` must be given a place here.
fn known(room: &str) -> bool {
    VOCABULARY.contains(&room)
        || ENGINES.contains(&room)
        || ["ssot", "audience", "intent", "routing", "testing", "policy", "bundle", "lib"]
            .contains(&room)
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Every `crate::a::b` of a source text, with its line; groups are opened.
fn uses(text: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        for (at, _) in code.match_indices("crate::") {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            let path = &code[at + "crate::".len()..];
            if let Some(group) = path.strip_prefix('{') {
                for item in group.split(['}', ',']) {
                    out.push((number + 1, item.trim().to_owned()));
                }
                continue;
            }
            let end = path
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                .unwrap_or(path.len());
            out.push((number + 1, path[..end].to_owned()));
        }
    }
    out
}

fn violations(room: &str, text: &str) -> Vec<String> {
    let open = allowed(room);
    let mut out = Vec::new();
    for (line, path) in uses(text) {
        let target = path.split("::").next().unwrap_or("");
        if target.is_empty() || target == room || VOCABULARY.contains(&target) || !known(target) {
            continue;
        }
        let fits = open
            .iter()
            .any(|allowed| path == *allowed || path.starts_with(&format!("{allowed}::")));
        if !fits {
            out.push(format!("line {line}: `{room}` may not use `{path}`"));
        }
    }
    out
}

#[test]
fn d_42_rooms_use_only_what_stands_below_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut wrong = Vec::new();
    let mut rooms: BTreeMap<String, usize> = BTreeMap::new();
    for file in files {
        let relative = file.strip_prefix(&src).unwrap();
        let first = relative.iter().next().unwrap().to_str().unwrap();
        let room = first.trim_end_matches(".rs").to_owned();
        if room == "bin" {
            continue;
        }
        assert!(known(&room), "give `{room}` a place in tests/architecture.rs");
        *rooms.entry(room.clone()).or_default() += 1;
        let text = fs::read_to_string(&file).unwrap();
        // A room's own tests may live in the sample world.
        let text = match file.file_name() {
            Some(name) if name == "tests.rs" => text.replace("crate::testing", "testing"),
            _ => text,
        };
        for violation in violations(&room, &text) {
            wrong.push(format!("src/{}: {violation}", relative.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for engine in ENGINES {
        assert!(rooms.contains_key(*engine), "no room `{engine}` was looked at");
    }
}

#[test]
fn the_command_line_uses_the_public_api_alone() {
    let bin = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin");
    let mut files = Vec::new();
    sources(&bin, &mut files);
    assert!(!files.is_empty());
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("#[path"), "{}: reaches into the library", file.display());
    }
}

/// Names of bounds: of constants that say how much there may be of something.
fn is_bound(name: &str) -> bool {
    let parts: Vec<&str> = name.split('_').collect();
    let ends =
        ["BYTES", "LIMIT", "LIMITS", "MILLIS", "SECONDS", "DEPTH", "ITEMS", "CHARS", "LEEWAY"];
    parts.iter().any(|part| ["MAX", "MOST", "LIMIT"].contains(part))
        || parts.last().is_some_and(|last| ends.contains(last))
}

/// Every constant of a source text whose name is that of a bound.
fn bounds(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let declared = |line: &str| {
        let line = line.trim_start();
        let rest = line.strip_prefix("pub").map_or(line, |rest| {
            rest.strip_prefix('(')
                .map_or(rest, |rest| rest.split_once(')').map_or(rest, |(_, r)| r))
        });
        let name = rest.trim_start().strip_prefix("const ")?.split(':').next()?.trim();
        Some(name.to_owned())
    };
    code.lines().filter_map(declared).filter(|name| is_bound(name)).collect()
}

/// Bounds on what comes from outside stand in `src/limits.rs`, each with its reason. These
/// are none, whatever their names say.
const NO_BOUNDS: &[(&str, &str, &str)] = &[
    ("risk.rs", "MAX", "the end of the scale"),
    ("value.rs", "MAX_SCALE", "part of the number format"),
    ("value.rs", "MAX_MANTISSA", "part of the number format"),
    ("governance/token.rs", "CLAIM_BYTES", "the length of a fixed layout"),
    ("governance/portable/payload.rs", "TIME_BYTES", "the length of a fixed layout"),
    ("governance/policy.rs", "DEFAULT_TIMEOUT_SECONDS", "a default"),
    ("routing/router/attempt.rs", "MOST", "how much room is kept for the next route"),
    ("ssot/memory.rs", "SCRATCH_BYTES", "how much room is kept for the next batch"),
    ("ssot/redb/committer.rs", "GROUP_BYTES", "how work is grouped"),
    ("ssot/tiles/import.rs", "COMMIT_BYTES", "how work is grouped"),
    ("ssot/note/cosigned.rs", "NAME_BYTES", "what the message's byte for a length can say"),
];

#[test]
fn every_bound_stands_in_limits() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut found = Vec::new();
    for file in files {
        let place = file.strip_prefix(&src).unwrap().display().to_string().replace('\\', "/");
        let tests = place.split('/').any(|part| ["tests", "tests.rs", "testing"].contains(&part));
        if place == "limits.rs" || tests {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        found.extend(bounds(&text).into_iter().map(|name| (place.clone(), name)));
    }
    let known = |(place, name): &(String, String)| {
        NO_BOUNDS.iter().any(|(of, known, _)| of == place && known == name)
    };
    let wrong: Vec<_> = found.iter().filter(|found| !known(found)).collect();
    assert!(wrong.is_empty(), "bounds outside of src/limits.rs: {wrong:?}");
    for (place, name, _) in NO_BOUNDS {
        let there = found.contains(&((*place).to_owned(), (*name).to_owned()));
        assert!(there, "{place} has no `{name}` any more");
    }
}

/// Every bound has its row in the table of `src/limits.rs`.
#[test]
fn every_bound_is_documented() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/limits.rs");
    let text = fs::read_to_string(file).unwrap();
    let constants = text.lines().filter_map(|line| line.strip_prefix("pub const "));
    let names: Vec<&str> = constants.filter_map(|rest| rest.split(':').next()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let row = format!("//! | [`{name}`]");
        assert!(text.contains(&row), "`{name}` has no row in the table");
    }
}

#[test]
fn the_check_sees_what_it_must() {
    let text = "const MAX_X: u8 = 1;\npub const A_BYTES: usize = 2;\n    pub(crate) const B_LIMIT: u8 = 3;\nconst COUNT: u8 = 4;\n#[cfg(test)]\nconst MAX_T: u8 = 5;";
    assert_eq!(bounds(text), ["MAX_X", "A_BYTES", "B_LIMIT"]);
    let jump = "use crate::governance::Policy;\nfn f() { crate::pipeline::go(); }";
    assert_eq!(violations("safety", jump).len(), 2);
    assert_eq!(violations("safety", "use crate::{memory, risk};").len(), 1);
    assert_eq!(violations("ssot", "use crate::audience::state::State;").len(), 1);
    assert_eq!(violations("audience", "use crate::ssot::store::Store;").len(), 1);
    assert!(violations("audience", "use crate::ssot::record::Record;").is_empty());
    assert!(violations("routing", "use crate::safety::SafetyEngine;").is_empty());
    assert!(violations("safety", "// crate::governance\nuse crate::intent::Intent;").is_empty());
}
