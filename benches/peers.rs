//! What one would pick instead, on the same work in the same run:
//! `cargo bench --features peers --bench peers`.
//!
//! The peers are heavy, so they are no dependencies of this crate: two small crates in
//! `benches/peers/` have them, each with its own lock file. This program builds and runs
//! both and passes on what they print.

use std::path::Path;
use std::process::{Command, ExitCode};

/// The crates, by their folder.
const CRATES: [&str; 2] = ["benches/peers", "benches/peers/agentmesh"];

fn main() -> ExitCode {
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| here.join("target"), Into::into);
    let mut passed = true;
    for folder in CRATES {
        let manifest = here.join(folder).join("Cargo.toml");
        if !manifest.exists() {
            println!("peers: skipped, {folder} is not in the package (it is in the repository)");
            continue;
        }
        let status = Command::new(&cargo)
            .args(["run", "--quiet", "--release", "--locked", "--manifest-path"])
            .arg(manifest)
            .env("CARGO_TARGET_DIR", target.join("peers"))
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => {
                eprintln!("peers: {folder} ended with {status}");
                passed = false;
            }
            Err(error) => {
                eprintln!("peers: {folder} could not be started: {error}");
                passed = false;
            }
        }
    }
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
