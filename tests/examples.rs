//! The examples run and say what they are there to show.
//!
//! `cargo test` builds them, into `examples/` beside this binary's folder; where only
//! this test was asked for, it asks cargo for them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;

/// What the example prints. Fails when it does not end well.
fn run(name: &str) -> String {
    let deps = std::env::current_exe().unwrap();
    let built: PathBuf = deps.parent().unwrap().parent().unwrap().join("examples").join(name);
    let built = built.with_extension(std::env::consts::EXE_EXTENSION);
    if !built.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--offline", "--example", name]);
        if cfg!(feature = "proptest") {
            cargo.args(["--features", "proptest"]);
        }
        assert!(cargo.status().unwrap().success());
    }
    let output = Command::new(built).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn integrity_matrix() {
    let said = run("integrity_matrix");
    for line in [
        "first check: 2401 records read, 801 streams\n",
        "second check: 25 records read, 24 new\n",
        "the same as from the start: true\n",
        "verdict: sound, 2425 records\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn own_engine() {
    let said = run("own_engine");
    assert!(said.contains("groceries: allow\n"), "{said}");
    assert!(said.contains("board meeting: deny: safety.forbidden-route"), "{said}");
}

#[test]
fn own_module() {
    let said = run("own_module");
    assert!(said.contains("blue: allow {\"reservation\":1}\n"), "{said}");
    assert!(said.contains("blue: allow but execution.failed"), "{said}");
    assert!(said.contains("room `blue` is taken"), "{said}");
    assert!(said.contains("green: allow but"), "{said}");
    assert!(said.contains("at least one seat"), "{said}");
    assert!(said.contains("typed: allow {\"reservation\":1}\n"), "{said}");
}

#[test]
fn own_store() {
    let said = run("own_store");
    assert!(said.contains("15 rules kept\nallow, "), "{said}");
}

#[test]
fn typed_path() {
    let said = run("typed_path");
    for line in [
        "INIT → BASE",
        "BASE → VERIFIED",
        "note.read: Done {\"name\":\"x\"}",
        "payment.send: a governor decides",
        "key.rotate: not",
        "note.read: no intent: expected",
        "VERIFIED → BASE",
        "BASE → RESTRICTED",
        "RESTRICTED → HOLD",
        "alice rests in HOLD",
    ] {
        assert!(said.contains(line), "`{line}` in:\n{said}");
    }
}

#[cfg(feature = "proptest")]
#[test]
fn property_test() {
    assert_eq!(run("property_test"), "every route was sound\n");
}
