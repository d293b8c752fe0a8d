//! The negative matrix: many one-line functions in one generated crate, checked at once.
//!
//! Each case says whether it compiles or with which error code and words it fails. The
//! checker matches errors to cases by line, and refuses an error that no case expects as
//! well as an expected error that does not come. Cases that must compile are checked a
//! second time in a crate of their own, because errors of one compiler phase hide those
//! of later ones.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot write its crate has failed; a JSON value without a key gives null"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One function of the matrix.
pub(crate) struct Case {
    /// What is tried, for people.
    pub(crate) what: String,
    /// A function item on one line; `NAME` stands for its name.
    pub(crate) code: String,
    /// What the compiler must say.
    pub(crate) expect: Expect,
}

/// What the compiler must say of a case.
pub(crate) enum Expect {
    /// Nothing.
    Compiles,
    /// An error with this code, whose text holds all of these words.
    Fails { code: &'static str, words: Vec<String> },
}

/// A matrix: what stands above the functions, and the functions.
pub(crate) struct Matrix {
    /// Name of the generated crate.
    pub(crate) name: &'static str,
    /// `use` lines and whatever else stands first.
    pub(crate) prelude: String,
    /// The functions.
    pub(crate) cases: Vec<Case>,
}

/// One error of the compiler.
#[derive(Debug)]
struct Diagnostic {
    code: String,
    text: String,
}

impl Matrix {
    /// Checks the whole matrix and gives what is wrong, one line each.
    pub(crate) fn problems(&self) -> Vec<String> {
        let lines = self.write(self.name, |_| true);
        let (errors, stray) = check(self.name);
        let mut problems: Vec<String> =
            stray.iter().map(|d| format!("stray error {}: {}", d.code, d.text)).collect();
        for (line, found) in &errors {
            if !lines.contains_key(line) {
                problems.push(format!("line {line} is no case and fails: {found:?}"));
            }
        }
        for (line, case) in &lines {
            problems.extend(case.problem(errors.get(line).map_or(&[][..], Vec::as_slice)));
        }
        let controls = format!("{}-controls", self.name);
        self.write(&controls, |case| matches!(case.expect, Expect::Compiles));
        let (errors, stray) = check(&controls);
        for found in errors.values().flatten().chain(&stray) {
            problems.push(format!("a positive control fails: {} {}", found.code, found.text));
        }
        problems
    }

    /// Writes the crate; gives each case by its line.
    fn write(&self, name: &str, keep: impl Fn(&Case) -> bool) -> BTreeMap<u64, &Case> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let dir = directory(name);
        fs::create_dir_all(dir.join("src")).unwrap();
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [dependencies]\nprospera = {{ path = '{}' }}\n\n[workspace]\n",
            root.display()
        );
        fs::write(dir.join("Cargo.toml"), manifest).unwrap();
        let _ = fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock"));
        let mut text = format!("#![allow(unused, dead_code)]\n{}\n", self.prelude.trim_end());
        let mut line = text.lines().count() as u64;
        let mut lines = BTreeMap::new();
        for (i, case) in self.cases.iter().enumerate().filter(|(_, case)| keep(case)) {
            let code = case.code.replace("NAME", &format!("case_{i}"));
            assert!(!code.contains('\n'), "one line per case: {code}");
            line += 1;
            writeln!(text, "{code}").unwrap();
            lines.insert(line, case);
        }
        fs::write(dir.join("src/lib.rs"), text).unwrap();
        lines
    }
}

impl Case {
    fn problem(&self, found: &[Diagnostic]) -> Option<String> {
        let what = &self.what;
        match &self.expect {
            Expect::Compiles if found.is_empty() => None,
            Expect::Compiles => Some(format!("{what}: must compile, but {found:?}")),
            Expect::Fails { code, .. } if found.is_empty() => {
                Some(format!("{what}: must fail with {code}, but compiles"))
            }
            Expect::Fails { code, words } => {
                if let Some(other) = found.iter().find(|d| d.code != *code) {
                    return Some(format!("{what}: expected {code}, found {other:?}"));
                }
                let hit = found.iter().any(|d| words.iter().all(|w| d.text.contains(w.as_str())));
                (!hit).then(|| format!("{what}: expected {words:?} in {found:#?}"))
            }
        }
    }
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("matrix").join(name)
}

/// Runs `cargo check`; gives the errors by line, and those without a place in the crate.
fn check(name: &str) -> (BTreeMap<u64, Vec<Diagnostic>>, Vec<Diagnostic>) {
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--message-format", "json"])
        .current_dir(directory(name))
        .env("CARGO_TARGET_DIR", directory("target"))
        .env_remove("RUSTC_WRAPPER")
        .output()
        .unwrap();
    let mut errors: BTreeMap<u64, Vec<Diagnostic>> = BTreeMap::new();
    let (mut stray, mut finished) = (Vec::new(), None);
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        if message["reason"] == "build-finished" {
            finished = message["success"].as_bool();
        }
        let body = &message["message"];
        if message["reason"] != "compiler-message" || body["level"] != "error" {
            continue;
        }
        let mut text = body["message"].as_str().unwrap_or_default().to_owned();
        for child in body["children"].as_array().into_iter().flatten() {
            text.push('\n');
            text.push_str(child["message"].as_str().unwrap_or_default());
        }
        let code = body["code"]["code"].as_str().unwrap_or_default().to_owned();
        if code.is_empty() && text.starts_with("aborting due to") {
            continue;
        }
        let place = body["spans"].as_array().and_then(|spans| {
            spans.iter().find(|span| {
                span["is_primary"] == true
                    && span["file_name"].as_str().is_some_and(|f| f.ends_with("src/lib.rs"))
            })
        });
        let ours = message["target"]["name"].as_str().map(|n| n.replace('_', "-"))
            == Some(name.replace('_', "-"));
        match place.and_then(|span| span["line_start"].as_u64()).filter(|_| ours) {
            Some(line) => errors.entry(line).or_default().push(Diagnostic { code, text }),
            None => stray.push(Diagnostic { code, text }),
        }
    }
    if finished.is_none() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        stray.push(Diagnostic { code: "cargo".to_owned(), text });
    }
    (errors, stray)
}
