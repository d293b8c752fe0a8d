//! The transition diagram and the whole matrix as they were last agreed on (D-1).
//!
//! With `PROSPERA_SNAPSHOT=1` the files are written anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its snapshot has failed")]

use std::fs;
use std::path::Path;

use prospera::audience::table;

fn agrees(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var("PROSPERA_SNAPSHOT").as_deref() == Ok("1") {
        fs::write(&path, found).unwrap();
    }
    let agreed = fs::read_to_string(&path).unwrap();
    assert_eq!(agreed, found, "`{name}` differs; the table is the specification's, not ours");
}

#[test]
fn d_1_the_diagram_is_the_agreed_one() {
    agrees("audience-transitions.mmd", &table::mermaid());
}

#[test]
fn d_1_the_grid_is_the_agreed_one() {
    agrees("audience-transitions.txt", &table::grid());
}
