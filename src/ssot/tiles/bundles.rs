//! The bundles that are not of fixed size: records, payloads, heads. Read one item at a time.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use super::{TilesError, WIDTH};
use crate::digest::{DIGEST_LEN, Digest};
use crate::encode::Decode as _;
use crate::limits::{RECORD_BYTES, SEALED_BYTES};
use crate::ssot::record::{Head, StreamId};

/// Reads a number of bytes. `None`: the file ends before.
fn take(file: &mut impl Read, bytes: &mut Vec<u8>, length: usize) -> io::Result<Option<()>> {
    bytes.clear();
    file.take(length as u64).read_to_end(bytes)?;
    Ok((bytes.len() == length).then_some(()))
}

fn array<const N: usize>(file: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = Vec::with_capacity(N);
    take(file, &mut bytes, N)?;
    Ok(bytes.try_into().ok())
}

/// A record of a bundle as it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// These bytes stand in the buffer.
    Record,
    /// No record ends here: a length that is none, or a file that ends inside of one. What
    /// is left of the file stands in the buffer, as far as a record may go.
    Torn,
    /// There is no more.
    End,
}

/// The records of a bundle.
#[derive(Debug)]
pub(super) struct Records {
    file: BufReader<File>,
    place: PathBuf,
    /// How many may follow: more than belong there, when the file is of exactly this width.
    left: usize,
}

impl Records {
    pub(super) fn new(file: BufReader<File>, place: PathBuf, exact: bool, width: usize) -> Self {
        let full = width as u64 >= WIDTH;
        let left = if exact || full { width.saturating_add(1) } else { width };
        Self { file, place, left }
    }

    /// The next record's bytes.
    pub(super) fn next(&mut self, bytes: &mut Vec<u8>) -> Result<Found, TilesError> {
        self.read(bytes).map_err(TilesError::file(&self.place))
    }

    fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<Found> {
        bytes.clear();
        if self.left == 0 {
            return Ok(Found::End);
        }
        self.left -= 1;
        let mut length = Vec::with_capacity(4);
        if take(&mut self.file, &mut length, 4)?.is_none() {
            let empty = length.is_empty();
            *bytes = length;
            return Ok(if empty { Found::End } else { Found::Torn });
        }
        let length = length.try_into().map_or(0, u32::from_be_bytes) as usize;
        let whole = take(&mut self.file, bytes, length.min(SEALED_BYTES))?;
        if whole.is_none() || length > SEALED_BYTES {
            self.left = 0;
            return Ok(Found::Torn);
        }
        Ok(Found::Record)
    }
}

/// The next item of a file.
#[derive(Debug)]
pub(super) enum Next<T> {
    /// This one.
    Item(T),
    /// None, and the file ends.
    End,
    /// What follows is no item, or there is more than belongs there.
    Malformed,
}

/// Whether the file ends here.
fn ends(file: &mut impl Read) -> io::Result<bool> {
    Ok(file.read(&mut [0])? == 0)
}

/// A payload of a bundle.
#[derive(Debug)]
pub(super) struct Payload {
    /// The number of its record within the bundle.
    pub(super) record: usize,
    pub(super) digest: Digest,
    /// `None`: it is not kept.
    pub(super) bytes: Option<Vec<u8>>,
}

/// The payloads of a bundle.
#[derive(Debug)]
pub(super) struct Payloads {
    file: BufReader<File>,
    place: PathBuf,
    /// How many records were begun, and how many payloads of this one are left.
    begun: usize,
    left: u16,
}

impl Payloads {
    pub(super) const fn new(file: BufReader<File>, place: PathBuf) -> Self {
        Self { file, place, begun: 0, left: 0 }
    }

    /// The next payload of the bundle's records, of which there are `width`.
    pub(super) fn next(&mut self, width: usize) -> Result<Next<Payload>, TilesError> {
        let read = self.read(width).map_err(TilesError::file(&self.place))?;
        Ok(read.unwrap_or(Next::Malformed))
    }

    /// `None`: what follows is no payload.
    fn read(&mut self, width: usize) -> io::Result<Option<Next<Payload>>> {
        while self.left == 0 {
            if self.begun >= width {
                return Ok(ends(&mut self.file)?.then_some(Next::End));
            }
            let Some(count) = array(&mut self.file)? else { return Ok(None) };
            self.begun += 1;
            self.left = u16::from_be_bytes(count);
        }
        self.left -= 1;
        let record = self.begun.saturating_sub(1);
        let Some(digest) = array::<DIGEST_LEN>(&mut self.file)? else { return Ok(None) };
        let digest = Digest::from_bytes(digest);
        let bytes = match array(&mut self.file)? {
            Some([0]) => None,
            Some([1]) => {
                let Some(length) = array(&mut self.file)? else { return Ok(None) };
                let length = u32::from_be_bytes(length) as usize;
                let mut bytes = Vec::new();
                if length > RECORD_BYTES || take(&mut self.file, &mut bytes, length)?.is_none() {
                    return Ok(None);
                }
                Some(bytes)
            }
            _ => return Ok(None),
        };
        Ok(Some(Next::Item(Payload { record, digest, bytes })))
    }
}

/// The heads of all streams.
#[derive(Debug)]
pub(super) struct Heads {
    file: BufReader<File>,
    place: PathBuf,
}

impl Heads {
    pub(super) const fn new(file: BufReader<File>, place: PathBuf) -> Self {
        Self { file, place }
    }

    /// The next.
    pub(super) fn next(&mut self) -> Result<Next<(StreamId, Head)>, TilesError> {
        let read = self.read().map_err(TilesError::file(&self.place))?;
        Ok(read.unwrap_or(Next::Malformed))
    }

    /// `None`: what follows is no head.
    fn read(&mut self) -> io::Result<Option<Next<(StreamId, Head)>>> {
        let (mut length, mut stream) = (Vec::with_capacity(2), Vec::new());
        if take(&mut self.file, &mut length, 2)?.is_none() {
            return Ok(length.is_empty().then_some(Next::End));
        }
        let length = length.try_into().map_or(0, u16::from_be_bytes);
        if take(&mut self.file, &mut stream, length.into())?.is_none() {
            return Ok(None);
        }
        let Ok(stream) = StreamId::from_canonical(&stream) else { return Ok(None) };
        let Some(length) = array(&mut self.file)? else { return Ok(None) };
        let Some(digest) = array::<DIGEST_LEN>(&mut self.file)? else { return Ok(None) };
        let head = Head::new(u64::from_be_bytes(length), Digest::from_bytes(digest));
        Ok(Some(Next::Item((stream, head))))
    }
}
