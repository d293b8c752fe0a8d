//! Signed notes over generated input: the properties that the fuzz target `note` has too,
//! and what the specifications themselves show.
//!
//! Requirements: PLAN-8.1, IRM-6.10.
#![cfg(all(feature = "std", feature = "notes"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use prospera::testing::properties::{NoteProbe, altered_notes_do_not_verify, note_bytes};

static PROBE: LazyLock<NoteProbe> = LazyLock::new(|| NoteProbe::new().unwrap());

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_altered_note_does_not_verify(at: usize, cut in 0..40_usize, with in vec(any::<u8>(), 0..8)) {
        altered_notes_do_not_verify(&PROBE, at, cut, &with)?;
    }

    #[test]
    fn a_line_of_a_note_may_go_or_come_twice(at in 0..6_usize, to in 0..6_usize, twice: bool) {
        let text = String::from_utf8(PROBE.bytes()).unwrap();
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        let at = at % lines.len();
        let line = if twice { lines.get(at).copied().unwrap() } else { lines.remove(at) };
        lines.insert(to % (lines.len() + 1), line);
        note_bytes(&PROBE, lines.concat().as_bytes())?;
    }

    #[test]
    fn any_text_has_at_most_one_form(text in "(old [0-9]{1,3}\n|c2sp.org/tlog-proof@v1\nindex [0-9]{1,2}\n|log |)[a-z+/=\n— 0-9]{0,80}") {
        note_bytes(&PROBE, text.as_bytes())?;
    }
}

/// The seeds of the fuzz target hold, so that a campaign begins with what it must know.
#[test]
fn the_seeds_of_the_fuzz_target_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/note");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("seed-") {
            note_bytes(&PROBE, &std::fs::read(path).unwrap()).unwrap();
            count += 1;
        }
    }
    assert!(count >= 5, "{count}");
}
