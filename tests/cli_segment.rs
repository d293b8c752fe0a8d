//! `prospera segment` and `prospera export --up-to`, through the built binary (PLAN-8.2).
#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

fn prospera(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_prospera"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap();
    let mut text = String::from_utf8(done.stdout).unwrap();
    text.push_str(&String::from_utf8(done.stderr).unwrap());
    (done.status.code().unwrap(), text)
}

/// The line that says what the log is.
fn last(text: &str) -> String {
    let at = text.find("last record ").unwrap();
    text.get(at..at + 76).unwrap().to_owned()
}

#[test]
fn a_log_is_packed_verified_and_unpacked_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let office = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/office");
    let (code, text) = prospera(folder, &["route", office, "--store", "o.redb"]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = prospera(folder, &["segment", "pack", "o.redb", "cold"]);
    assert_eq!((code, text.trim()), (0, "cold: 0 records in 0 new segments"), "not full");
    let arguments = ["segment", "pack", "o.redb", "cold", "--all", "--records", "40"];
    let (code, text) = prospera(folder, &arguments);
    assert!(code == 0 && text.contains("in 2 new segments"), "{text}");
    let (_, sound) = prospera(folder, &["verify", "o.redb"]);
    let (code, text) = prospera(folder, &["segment", "verify", "cold"]);
    assert!(code == 0 && text.contains("in 2 segments") && text.contains("tree root "), "{text}");
    assert_eq!(last(&text), last(&sound));
    let (code, text) = prospera(folder, &["segment", "unpack", "cold", "again.redb"]);
    assert_eq!(code, 0, "{text}");
    let (code, again) = prospera(folder, &["verify", "again.redb"]);
    assert_eq!((code, last(&again)), (0, last(&sound)));
    assert_eq!(again.lines().nth(1), sound.lines().nth(1), "the payloads came along");
    let (code, derived) = prospera(folder, &["replay", "again.redb", "--strict"]);
    assert_eq!(code, 0, "with the policies it was decided under: {derived}");
    // A changed file is no segment any more.
    let place = folder.join("cold/segment-00000000000000000000.pseg");
    let mut bytes = fs::read(&place).unwrap();
    *bytes.get_mut(40).unwrap() ^= 1;
    fs::write(&place, bytes).unwrap();
    let (code, text) = prospera(folder, &["segment", "verify", "cold"]);
    assert!(code == 1 && text.contains("NOT sound") && text.contains("block 0"), "{text}");
}

#[test]
fn an_export_for_others_withholds_what_they_may_not_see() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let office = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/office");
    let (code, text) = prospera(folder, &["route", office, "--store", "o.redb"]);
    assert_eq!(code, 0, "{text}");
    let arguments = ["export", "o.redb", "out", "--up-to", "internal"];
    let (code, text) = prospera(folder, &arguments);
    assert!(code == 0 && text.contains("of them without their bytes"), "{text}");
    let session = fs::read_dir(folder.join("out/ssot/identity/session")).unwrap().next();
    let text = fs::read_to_string(session.unwrap().unwrap().path()).unwrap();
    assert!(text.contains(r#""withheld":"identity""#) && !text.contains(r#""record":"#), "{text}");
}
