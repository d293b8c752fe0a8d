//! Texts are policy files or are refused. The first byte names the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prospera::testing::properties::{FileKind, files_load_soundly};

fuzz_target!(|input: &[u8]| {
    let Some((first, text)) = input.split_first() else { return };
    let Ok(text) = str::from_utf8(text) else { return };
    let kind = FileKind::ALL[usize::from(first % 9)];
    files_load_soundly(kind, text).unwrap();
});
