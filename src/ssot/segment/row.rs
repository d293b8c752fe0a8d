//! One record without its digests, and the record again.

use super::shape::{Mark, PayloadOf};
use super::{Bad, Shape, bad};
use crate::digest::Digest;
use crate::encode::{Reader, Writer};
use crate::limits::RECORD_BYTES;
use crate::ssot::record::{Head, Record, RecordKind, StreamId};
use std::vec::Vec;

pub(super) const OPAQUE: u64 = 0;
const PREVIOUS: u64 = 1;
const HALF: u64 = 2;
const TIME: u64 = 3;
const PAYLOAD: u64 = 4;
const DERIVED: u64 = 5;
const EARLIER: u64 = 6;
pub(super) const TABLE: u64 = 7;

/// Writes a number in as few bytes as it needs.
pub(super) fn varint(out: &mut Writer, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.u8(low & 0x7f);
            return;
        }
        out.u8(low | 0x80);
    }
}

/// Reads what [`varint`] wrote, and nothing longer.
pub(super) fn read_varint(input: &mut Reader<'_>) -> Result<u64, Bad> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = input.u8()?;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return bad("a number of more than 64 bits");
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            if byte == 0 && shift > 0 {
                return bad("a number with zeros in front");
            }
            return Ok(value);
        }
    }
    bad("a number of more than 64 bits")
}

/// A difference that may go back.
pub(super) const fn zigzag(from: u64, to: u64) -> u64 {
    let signed = to.wrapping_sub(from).cast_signed();
    ((signed << 1) ^ (signed >> 63)).cast_unsigned()
}

pub(super) const fn unzigzag(from: u64, coded: u64) -> u64 {
    let signed = (coded >> 1) ^ (coded & 1).wrapping_neg();
    from.wrapping_add(signed)
}

/// What a digest that was taken out is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hole {
    Opaque,
    Previous,
    Half,
    Time,
    Payload(u64, PayloadOf),
    Derived(u64),
    Earlier(u64),
    Table(u64),
}

/// One thing taken out of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) mark: Mark,
    pub(super) hole: Hole,
}

/// Writes a row. `stream` is its number, `last` the time of the record before.
pub(super) fn write(out: &mut Writer, record: &Record, stream: u64, last: u64, taken: &[Taken]) {
    varint(out, stream);
    out.value(&record.source());
    varint(out, zigzag(last, record.timestamp().as_millis()));
    let body = record.body();
    varint(out, body.len() as u64);
    varint(out, taken.len() as u64);
    let mut end = 0;
    for Taken { mark, hole } in taken {
        varint(out, mark.offset().saturating_sub(end) as u64);
        end = mark.offset() + mark.length();
        match *hole {
            Hole::Opaque => varint(out, OPAQUE),
            Hole::Previous => varint(out, PREVIOUS),
            Hole::Half => varint(out, HALF),
            Hole::Time => varint(out, TIME),
            Hole::Derived(hint) => {
                varint(out, DERIVED);
                varint(out, hint);
            }
            Hole::Payload(which, of) => {
                varint(out, PAYLOAD);
                let domain = PayloadOf::ALL.iter().position(|other| *other == of).unwrap_or(3);
                varint(out, which * 4 + domain as u64);
            }
            Hole::Earlier(back) => {
                varint(out, EARLIER);
                varint(out, back);
            }
            Hole::Table(which) => {
                varint(out, TABLE);
                varint(out, which);
            }
        }
    }
    let mut from = 0;
    for Taken { mark, .. } in taken {
        out.raw(body.get(from..mark.offset()).unwrap_or_default());
        from = mark.offset() + mark.length();
    }
    out.raw(body.get(from..).unwrap_or_default());
}

/// What a row needs from around it.
pub(super) struct Around<'a> {
    pub(super) shape: &'a dyn Shape,
    /// The digest table.
    pub(super) table: &'a [Digest],
    /// The digests of the block's payloads in each domain.
    pub(super) payloads: &'a dyn Fn(u64, PayloadOf) -> Option<Digest>,
}

/// Reads a row: the stream's number, and the rest of it.
pub(super) fn stream_of(input: &mut Reader<'_>) -> Result<usize, Bad> {
    usize::try_from(read_varint(input)?).or(bad("a stream that is not there"))
}

/// Makes the record again from the rest of its row.
pub(super) fn read(
    input: &mut Reader<'_>,
    place: Place<'_>,
    around: &Around<'_>,
    earlier: &[Digest],
    opaque: &mut Reader<'_>,
    scratch: &mut Writer,
) -> Result<Record, Bad> {
    let source = input.value()?;
    let time = unzigzag(place.last, read_varint(input)?);
    let length = usize::try_from(read_varint(input)?).unwrap_or(usize::MAX);
    if length > RECORD_BYTES {
        return bad("a body larger than the limit");
    }
    let count = read_varint(input)?;
    if count > input.remaining() as u64 {
        return bad("more digests than bytes");
    }
    let (mut holes, mut derived) = (Vec::new(), Vec::new());
    let mut end = 0_usize;
    let mut removed = 0_usize;
    for _ in 0..count {
        let gap = usize::try_from(read_varint(input)?).unwrap_or(usize::MAX);
        let at = end.checked_add(gap).filter(|at| *at <= length);
        let Some(at) = at else { return bad("a digest behind the end of its body") };
        let digest = |found: Option<Digest>| match found {
            Some(digest) => Ok(digest.as_bytes().to_vec()),
            None => bad("a digest of something that is not there"),
        };
        let bytes = match read_varint(input)? {
            OPAQUE => opaque.raw(32)?.to_vec(),
            PREVIOUS => place.after.digest().as_bytes().to_vec(),
            HALF => place.after.digest().as_bytes().iter().copied().take(16).collect(),
            TIME => time.to_le_bytes().to_vec(),
            PAYLOAD => {
                let which = read_varint(input)?;
                let of = usize::try_from(which % 4).unwrap_or(3);
                let of = PayloadOf::ALL.get(of).copied();
                digest(of.and_then(|of| (around.payloads)(which / 4, of)))?
            }
            DERIVED => {
                derived.push((at, read_varint(input)?));
                Vec::new()
            }
            EARLIER => {
                let back = usize::try_from(read_varint(input)?).unwrap_or(usize::MAX);
                digest(earlier.len().checked_sub(back).and_then(|at| earlier.get(at)).copied())?
            }
            TABLE => {
                let which = usize::try_from(read_varint(input)?).unwrap_or(usize::MAX);
                digest(around.table.get(which).copied())?
            }
            _ => return bad("a digest of no known kind"),
        };
        let width = if bytes.is_empty() { 32 } else { bytes.len() };
        end = at.saturating_add(width);
        removed = removed.saturating_add(width);
        if end > length {
            return bad("a digest behind the end of its body");
        }
        holes.push((at, bytes));
    }
    let mut body = Vec::with_capacity(length);
    let mut rest = input.raw(length.saturating_sub(removed))?;
    for (at, bytes) in &holes {
        let Some((before, behind)) = rest.split_at_checked(at.saturating_sub(body.len())) else {
            return bad("a digest behind the end of its body");
        };
        body.extend_from_slice(before);
        rest = behind;
        if bytes.is_empty() {
            body.extend_from_slice(&[0; 32]);
        } else {
            body.extend_from_slice(bytes);
        }
    }
    body.extend_from_slice(rest);
    let zeros = body.clone();
    for (at, hint) in derived {
        let Some(digest) = around.shape.derive(place.kind, &zeros, at, hint) else {
            return bad("a digest that cannot be derived");
        };
        if let Some(room) = body.get_mut(at..at.saturating_add(32)) {
            room.copy_from_slice(digest.as_bytes());
        }
    }
    let draft = crate::ssot::record::Draft::new(place.stream.clone(), place.kind, source, body);
    let time = crate::time::Timestamp::from_millis(time);
    Ok(Record::seal_in(scratch, &draft, place.index, place.after, time))
}

/// Where a record stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) stream: &'a StreamId,
    pub(super) kind: RecordKind,
    pub(super) index: u64,
    pub(super) after: Head,
    /// The time of the record before it in the block.
    pub(super) last: u64,
}

/// What each mark of a body can be taken out as.
pub(super) fn take(
    record: &Record,
    shape: &dyn Shape,
    earlier: &dyn Fn(&Digest) -> Option<u64>,
    payload: &mut dyn FnMut(&Digest, PayloadOf) -> Option<u64>,
    table: &dyn Fn(&Digest) -> Option<u64>,
) -> Vec<Taken> {
    let body = record.body();
    let mut taken = Vec::new();
    let mut end = 0;
    for mark in shape.marks(record.kind(), body) {
        let (at, length) = (mark.offset(), mark.length());
        let bytes = at.checked_add(length).and_then(|end| body.get(at..end));
        let Some(bytes) = bytes.filter(|_| at >= end) else { continue };
        let hole = match mark {
            Mark::Half(_) => {
                let same = record.previous().as_bytes().get(..16) == Some(bytes);
                if same { Hole::Half } else { continue }
            }
            Mark::Time(_) => {
                let same = record.timestamp().as_millis().to_le_bytes() == *bytes;
                if same { Hole::Time } else { continue }
            }
            Mark::Digest(_) | Mark::Payload(..) | Mark::Derived(_) => {
                let Ok(digest) = <[u8; 32]>::try_from(bytes) else { continue };
                let digest = Digest::from_bytes(digest);
                if digest == record.previous() {
                    Hole::Previous
                } else if let Mark::Derived(_) = mark
                    && let Some(hint) = shape.hint(record.kind(), body, at)
                {
                    Hole::Derived(hint)
                } else if let Some(back) = earlier(&digest) {
                    Hole::Earlier(back)
                } else if let Mark::Payload(_, of) = mark
                    && let Some(which) = payload(&digest, of)
                {
                    Hole::Payload(which, of)
                } else if let Some(which) = table(&digest) {
                    Hole::Table(which)
                } else {
                    Hole::Opaque
                }
            }
        };
        end = at + length;
        taken.push(Taken { mark, hole });
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        for value in [0, 1, 127, 128, 300, 1 << 20, u64::MAX - 1, u64::MAX] {
            let mut out = Writer::new();
            varint(&mut out, value);
            let mut input = Reader::new(out.as_bytes());
            assert_eq!(read_varint(&mut input).unwrap(), value);
            input.finish().unwrap();
            for from in [0, 5, u64::MAX] {
                assert_eq!(unzigzag(from, zigzag(from, value)), value);
            }
        }
        assert_eq!((zigzag(5, 5), zigzag(5, 4), zigzag(5, 6)), (0, 1, 2));
        for wrong in [
            &[0x80, 0][..],
            &[0xff; 11],
            &[0x80],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        ] {
            assert!(read_varint(&mut Reader::new(wrong)).is_err(), "{wrong:?}");
        }
    }
}
