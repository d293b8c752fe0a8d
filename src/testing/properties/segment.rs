//! Parts of packed segments, from bytes.

use std::format;

use super::must;
use crate::routing::shape::Bodies;
use crate::ssot::segment::read_any;
use crate::testing::Held;

/// Bytes are an index (after a byte 0) or a block of as many records as their first byte
/// says, or they are not: nothing panics, nothing is unpacked beyond the limits, and what a
/// block gives out are records. Answers whether they are one.
///
/// # Errors
/// The record that is none.
pub fn segment_bytes(bytes: &[u8]) -> Result<bool, crate::testing::Broken> {
    match read_any(bytes, &Bodies::default()) {
        Ok(read) => Ok(read),
        Err(index) => {
            let what = || format!("record {index} is not the record of its bytes");
            let held: Held = must("segment_bytes", false, what);
            held.map(|()| false)
        }
    }
}
