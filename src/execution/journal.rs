//! A file of keyed entries that outlives the process: what a module remembers of
//! the effects it was asked for.
//!
//! The format, byte by byte. The file starts with the 20 bytes `prospera journal 1\n\0`.
//! Then frames, one for each append:
//!
//! | part | bytes |
//! |---|---|
//! | length `n` of the body | 4, little-endian |
//! | check of the length: the first 4 bytes of BLAKE3 over the frame before and the length | 4 |
//! | body: a canonical encoding | `n` |
//! | digest: BLAKE3 over the frame before and the body | 32 |
//!
//! "The frame before" is the digest of the previous frame, zeros for the first; both
//! hashes are in [`Domain::Payload`]. An append is one write and one `fsync`, and
//! is acknowledged after both.
//!
//! INVARIANT (nothing acknowledged is lost): on opening, only bytes that cannot be
//! an acknowledged frame are cut off: a last frame whose checked length reaches past
//! the end, fewer bytes than a frame's head, or nothing but zeros. Anything else that
//! does not fit is [`JournalError::Corrupt`], and the file is left as it is.
//!
//! INVARIANT (one writer): the file is locked as long as the journal is open.

use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::digest::{DIGEST_LEN, Digest, Domain};
use crate::encode::{Encode, Writer};
use crate::limits::RECORD_BYTES;

const MAGIC: &[u8; 20] = b"prospera journal 1\n\0";

/// Why a journal cannot be opened or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process, or another part of this one, has it open.
    #[error("`{path}` is in use by another writer")]
    Locked {
        /// The file.
        path: Box<str>,
    },
    /// The operating system refused.
    #[error("{doing} `{path}`: {message}")]
    Io {
        /// What was done.
        doing: &'static str,
        /// The file.
        path: Box<str>,
        /// What the system said.
        message: Box<str>,
    },
    /// The file is no journal.
    #[error("`{path}` is not a journal of version 1")]
    Foreign {
        /// The file.
        path: Box<str>,
    },
    /// Bytes that were acknowledged have changed.
    #[error("`{path}` is damaged at offset {offset}: {message}")]
    Corrupt {
        /// The file.
        path: Box<str>,
        /// Where the frame starts.
        offset: u64,
        /// What does not fit.
        message: Box<str>,
    },
    /// An entry is larger than a record may be.
    #[error("expected an entry of at most {RECORD_BYTES} bytes, found {found}")]
    TooLarge {
        /// Its size.
        found: usize,
    },
    /// An earlier append failed: the file must be opened again before it is trusted.
    #[error("`{path}` could not be written earlier and must be opened again")]
    Poisoned {
        /// The file.
        path: Box<str>,
    },
}

/// An append-only file of frames.
#[derive(Debug)]
pub struct Journal {
    path: Box<str>,
    file: Locked,
    last: Digest,
    poisoned: bool,
    frame: Vec<u8>,
}

impl Journal {
    /// Opens or creates the file, locks it, and hands every body to `each` in order.
    ///
    /// # Errors
    /// [`JournalError`]; also when `each` refuses a body, with its message.
    pub fn open(
        path: &Path,
        mut each: impl FnMut(&[u8]) -> Result<(), Box<str>>,
    ) -> Result<Self, JournalError> {
        let shown: Box<str> = path.display().to_string().into();
        let io = |doing| {
            let path = shown.clone();
            move |error: std::io::Error| JournalError::Io {
                doing,
                path,
                message: error.to_string().into(),
            }
        };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(io("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::Locked { path: shown }),
            Err(TryLockError::Error(error)) => return Err(io("lock")(error)),
        }
        let mut locked = Locked(file);
        let file = &mut locked.0;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read"))?;
        let mut last = Digest::ZERO;
        let kept = match bytes.strip_prefix(MAGIC) {
            Some(mut rest) => {
                while !rest.is_empty() {
                    let offset = bytes.len() - rest.len();
                    let corrupt = |message: Box<str>| JournalError::Corrupt {
                        path: shown.clone(),
                        offset: offset as u64,
                        message,
                    };
                    match next(rest, &last).map_err(|message| corrupt(message.into()))? {
                        None => break,
                        Some(frame) => {
                            each(frame.body).map_err(corrupt)?;
                            (last, rest) = (frame.digest, frame.rest);
                        }
                    }
                }
                bytes.len() - rest.len()
            }
            // Created, and ended before or while its first bytes were written.
            None if MAGIC.starts_with(&bytes) || bytes.iter().all(|byte| *byte == 0) => 0,
            None => return Err(JournalError::Foreign { path: shown }),
        };
        if kept < bytes.len() || kept == 0 {
            file.set_len(kept as u64).map_err(io("truncate"))?;
            file.seek(SeekFrom::Start(kept as u64)).map_err(io("seek"))?;
            if kept == 0 {
                file.write_all(MAGIC).map_err(io("write"))?;
            }
            file.sync_all().map_err(io("sync"))?;
            sync_folder(path).map_err(io("sync the folder of"))?;
        }
        file.seek(SeekFrom::End(0)).map_err(io("seek"))?;
        Ok(Self { path: shown, file: locked, last, poisoned: false, frame: Vec::new() })
    }

    /// Appends an entry and returns when it is durable.
    ///
    /// # Errors
    /// [`JournalError::TooLarge`] before anything is written. After any other error it
    /// is not known whether the entry is there: the journal refuses everything until
    /// it is opened again.
    pub fn append(&mut self, entry: &impl Encode) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned { path: self.path.clone() });
        }
        let mut body = Writer::new();
        entry.encode(&mut body);
        let body = body.as_bytes();
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= RECORD_BYTES);
        let Some(length) = length.map(u32::to_le_bytes) else {
            return Err(JournalError::TooLarge { found: body.len() });
        };
        let digest = link(&self.last, body);
        self.frame.clear();
        self.frame.extend_from_slice(&length);
        self.frame.extend_from_slice(&length_check(&self.last, length));
        self.frame.extend_from_slice(body);
        self.frame.extend_from_slice(digest.as_bytes());
        let written = self.file.0.write_all(&self.frame).and_then(|()| self.file.0.sync_data());
        if let Err(error) = written {
            self.poisoned = true;
            return Err(JournalError::Io {
                doing: "append to",
                path: self.path.clone(),
                message: error.to_string().into(),
            });
        }
        self.last = digest;
        Ok(())
    }
}

/// A locked file. Unlocked on purpose when it is dropped: closing alone would leave the
/// lock with a child process that was forked and has not yet closed what it inherited.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        let _unlocked = self.0.unlock();
    }
}

struct Frame<'a> {
    body: &'a [u8],
    digest: Digest,
    rest: &'a [u8],
}

/// The next frame; `None` when what is left was never acknowledged.
fn next<'a>(bytes: &'a [u8], last: &Digest) -> Result<Option<Frame<'a>>, &'static str> {
    let Some((length, after)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let Some((check, after)) = after.split_first_chunk::<4>() else { return Ok(None) };
    if *check != length_check(last, *length) {
        let zeros = bytes.iter().all(|byte| *byte == 0);
        return if zeros { Ok(None) } else { Err("the check of the length does not match") };
    }
    let length = u32::from_le_bytes(*length) as usize;
    let Some((body, after)) = after.split_at_checked(length) else { return Ok(None) };
    let Some((digest, rest)) = after.split_first_chunk::<DIGEST_LEN>() else { return Ok(None) };
    let digest = Digest::from_bytes(*digest);
    if digest != link(last, body) {
        return Err("the digest does not match");
    }
    Ok(Some(Frame { body, digest, rest }))
}

fn link(last: &Digest, body: &[u8]) -> Digest {
    Domain::Payload.hasher().update(last.as_bytes()).update(body).finalize()
}

fn length_check(last: &Digest, length: [u8; 4]) -> [u8; 4] {
    let digest = link(last, &length);
    let [a, b, c, d, ..] = *digest.as_bytes();
    [a, b, c, d]
}

/// Makes the file's name durable, where folders can be synced.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Body(Vec<u8>);

    impl Encode for Body {
        fn encode(&self, out: &mut Writer) {
            out.raw(&self.0);
        }
    }

    fn read(path: &Path) -> Result<Vec<Vec<u8>>, JournalError> {
        let mut bodies = Vec::new();
        Journal::open(path, |body| {
            bodies.push(body.to_vec());
            Ok(())
        })?;
        Ok(bodies)
    }

    fn three(path: &Path) -> Vec<Vec<u8>> {
        let bodies: Vec<_> =
            [1_usize, 40, 7].map(|n| vec![u8::try_from(n % 251).unwrap(); n]).into();
        let mut journal = Journal::open(path, |_| Ok(())).unwrap();
        for body in &bodies {
            journal.append(&Body(body.clone())).unwrap();
        }
        bodies
    }

    /// Cut at every byte: the frames before the cut are there, none after it.
    #[test]
    fn a_torn_tail_is_cut_and_nothing_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let bodies = three(&path);
        let whole = fs::read(&path).unwrap();
        let mut ends = vec![MAGIC.len()];
        for body in &bodies {
            ends.push(ends.last().unwrap() + 8 + body.len() + DIGEST_LEN);
        }
        assert_eq!(*ends.last().unwrap(), whole.len());
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let complete = ends.iter().filter(|end| **end <= cut).count().saturating_sub(1);
            assert_eq!(read(&path).unwrap(), bodies[..complete], "cut at {cut}");
            let kept = ends[complete];
            assert_eq!(fs::metadata(&path).unwrap().len(), kept as u64, "cut at {cut}");
            fs::write(&path, [&whole[..kept], &[0; 100]].concat()).unwrap();
            assert_eq!(read(&path).unwrap(), bodies[..complete], "zeros after {kept}");
        }
        let mut journal = Journal::open(&path, |_| Ok(())).unwrap();
        journal.append(&Body(vec![9])).unwrap();
        drop(journal);
        assert_eq!(read(&path).unwrap().last().unwrap(), &[9]);
    }

    /// A flipped bit anywhere is named, and the file is left as it is.
    #[test]
    fn a_flipped_bit_is_never_cut_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        three(&path);
        let whole = fs::read(&path).unwrap();
        for position in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[position] ^= 1 << (position % 8);
            fs::write(&path, &flipped).unwrap();
            let error = read(&path).unwrap_err();
            match error {
                JournalError::Foreign { .. } => assert!(position < MAGIC.len()),
                JournalError::Corrupt { offset, .. } => assert!(offset <= position as u64),
                other => panic!("{other}"),
            }
            assert_eq!(fs::read(&path).unwrap(), flipped);
        }
    }

    #[test]
    fn a_second_writer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let first = Journal::open(&path, |_| Ok(())).unwrap();
        let error = Journal::open(&path, |_| Ok(())).unwrap_err();
        assert!(matches!(error, JournalError::Locked { .. }));
        drop(first);
        assert!(Journal::open(&path, |_| Ok(())).is_ok());
    }

    /// Known bytes: the format is fixed.
    #[test]
    fn the_bytes_are_those_of_the_format() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j");
        let mut journal = Journal::open(&path, |_| Ok(())).unwrap();
        journal.append(&Body(b"abc".to_vec())).unwrap();
        let derive = |body: &[u8]| {
            let input = [&[0; 32], body].concat();
            blake3::derive_key("prospera 2026 payload v1", &input)
        };
        let length = [3, 0, 0, 0];
        let expected =
            [MAGIC, &length[..], &derive(&length)[..4], b"abc", &derive(b"abc")[..]].concat();
        drop(journal);
        assert_eq!(fs::read(&path).unwrap(), expected);
    }

    #[test]
    fn what_is_too_large_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("j"), |_| Ok(())).unwrap();
        let error = journal.append(&Body(vec![0; RECORD_BYTES + 1])).unwrap_err();
        assert!(matches!(error, JournalError::TooLarge { .. }));
        journal.append(&Body(vec![0; RECORD_BYTES])).unwrap();
    }
}
