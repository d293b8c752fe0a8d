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
    "digest",
    "encode",
    "risk",
    "verdict",
    "provenance",
    "time",
    "id",
    "value",
    "limits",
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
        "testing" | "policy" | "lib" => {
            let mut rooms = ENGINES.to_vec();
            rooms.extend(["intent", "audience", "ssot", "routing", "policy", "testing"]);
            rooms
        }
        _ => vec![],
    }
}

/// The rooms that exist; a new file at the top of `src/` must be given a place here.
fn known(room: &str) -> bool {
    VOCABULARY.contains(&room)
        || ENGINES.contains(&room)
        || ["ssot", "audience", "intent", "routing", "testing", "policy", "lib"].contains(&room)
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

#[test]
fn the_check_sees_what_it_must() {
    let jump = "use crate::governance::Policy;\nfn f() { crate::pipeline::go(); }";
    assert_eq!(violations("safety", jump).len(), 2);
    assert_eq!(violations("safety", "use crate::{memory, risk};").len(), 1);
    assert_eq!(violations("ssot", "use crate::audience::state::State;").len(), 1);
    assert_eq!(violations("audience", "use crate::ssot::store::Store;").len(), 1);
    assert!(violations("audience", "use crate::ssot::record::Record;").is_empty());
    assert!(violations("routing", "use crate::safety::SafetyEngine;").is_empty());
    assert!(violations("safety", "// crate::governance\nuse crate::intent::Intent;").is_empty());
}
