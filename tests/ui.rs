//! The wording of the messages that users meet when a call is prohibited.
//!
//! The snapshots are those of a stable compiler; on a nightly one, whose wording differs,
//! the test says so and is skipped. `TRYBUILD=overwrite` writes them anew.

use std::process::Command;

#[test]
fn messages_of_the_compiler() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    if version.contains("nightly") || version.contains("dev") {
        eprintln!("skipped: the snapshots are of a stable compiler, this is {version}");
        return;
    }
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/audience/*.rs");
    cases.compile_fail("tests/ui/routing/*.rs");
}
