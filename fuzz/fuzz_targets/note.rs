//! Bytes are a note, a request, a proof, a policy or a key in one way or not at all. Input
//! that begins with `!` alters a signed note: two bytes say where, one how much is cut, the
//! rest is put in.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use prospera::testing::properties::{NoteProbe, altered_notes_do_not_verify, note_bytes};

static PROBE: LazyLock<NoteProbe> = LazyLock::new(|| NoteProbe::new().unwrap());

fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [b'!', high, low, cut, with @ ..] => {
            let at = usize::from(u16::from_be_bytes([*high, *low]));
            altered_notes_do_not_verify(&PROBE, at, usize::from(*cut), with).unwrap();
        }
        bytes => note_bytes(&PROBE, bytes).unwrap(),
    }
});
