//! Believing a folder as far as it proves itself.
//!
//! 1. The checkpoint is signed as the policy asks, and is not behind the one remembered.
//! 2. The leaves are found: the hashes of the lowest tiles, the entries, or the records;
//!    whichever have the root that was signed. They are what the log was signed for, and
//!    their first part has the root that is remembered.
//! 3. Each record is the one that its leaf was made of, is a record, and follows the last
//!    one of its stream.
//! 4. Each entry, each tile, each head and each payload is the one that follows from the
//!    records.
//!
//! The first thing that is wrong, in this order, is the answer.

use core::cell::RefCell;

use super::bundles::{Found, Next};
use super::diagnose::Case;
use super::folder::{Folder, Kind};
use super::streams::{Domains, Ends, HELD, Parts};
use super::tower::Tower;
use super::{FULL, TilesError, WIDTH, width_at};
use crate::digest::{DIGEST_LEN, Digest, Domain};
use crate::ssot::checkpoint::{Advance, Finding, Policy, Remembered, Trusted};
use crate::ssot::merkle::{self, Frontier, Hash, Sha256};
use crate::ssot::record::{Head, StreamId};
use crate::ssot::verify::RecordView;

/// A folder that was found sound.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it says what was believed, and on whose word"]
pub struct Audited {
    /// The checkpoint, and who signed it.
    pub trusted: Trusted,
    /// How many streams the records are of.
    pub streams: u64,
    /// How many payloads are there, each the bytes of its digest.
    pub payloads: u64,
    /// How many payloads were not kept when the log was published.
    pub not_kept: u64,
    /// How it stands to what is remembered; `None` when nothing is.
    pub advance: Option<Advance>,
}

/// Where the leaves of a published tree are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Tiles,
    Entries,
    Records,
}

/// The leaves of a published log, by one of the files that they follow from.
pub(super) struct Leaves<'a> {
    folder: &'a Folder,
    source: Source,
    size: u64,
    last: RefCell<Option<(u64, Vec<Hash>)>>,
}

impl<'a> Leaves<'a> {
    fn new(folder: &'a Folder, source: Source, size: u64) -> Self {
        Self { folder, source, size, last: RefCell::new(None) }
    }

    /// The leaf at a place; `None` when it is not there.
    pub(super) fn leaf(&self, index: u64) -> Result<Option<Hash>, TilesError> {
        let (n, at) = (index / WIDTH, usize::try_from(index % WIDTH).unwrap_or(usize::MAX));
        if let Some((kept, hashes)) = &*self.last.borrow()
            && *kept == n
        {
            return Ok(hashes.get(at).copied());
        }
        let hashes = self.group(n)?;
        let leaf = hashes.get(at).copied();
        self.last.replace(Some((n, hashes)));
        Ok(leaf)
    }

    /// The leaves of one tile, as many as are there.
    fn group(&self, n: u64) -> Result<Vec<Hash>, TilesError> {
        let width = width_at(n, self.size);
        match self.source {
            Source::Tiles => Ok(self.folder.tile(0, n, width)?.unwrap_or_default()),
            Source::Entries => {
                let entries = self.folder.entries(n, width)?.unwrap_or_default();
                Ok(entries.iter().map(merkle::leaf).collect())
            }
            Source::Records => {
                let mut leaves = Vec::with_capacity(width);
                let Some(mut records) = self.folder.records(n, width)? else { return Ok(leaves) };
                let mut bytes = Vec::new();
                while leaves.len() < width && records.next(&mut bytes)? == Found::Record {
                    leaves.push(merkle::leaf(&Domain::Record.hash(&bytes)));
                }
                Ok(leaves)
            }
        }
    }

    /// The root over all leaves that are there up to the first that is missing, how many
    /// these are, and the root over the first `prefix`.
    fn walk(&self, prefix: u64) -> Result<Walked, TilesError> {
        let mut tree = Frontier::<Sha256>::new();
        let mut earlier = (prefix == 0).then(|| tree.root());
        let mut n = 0;
        while tree.size() < self.size {
            let hashes = self.group(n)?;
            for hash in &hashes {
                tree.push_leaf(hash);
                if tree.size() == prefix {
                    earlier = Some(tree.root());
                }
            }
            if hashes.len() < width_at(n, self.size) {
                break;
            }
            n = n.saturating_add(1);
        }
        Ok(Walked { found: tree.size(), root: tree.root(), prefix: earlier })
    }
}

struct Walked {
    found: u64,
    root: Hash,
    prefix: Option<Hash>,
}

/// Verifies a published log under a policy, and against what is remembered of it. Nothing
/// is written. `progress` is called with how many records were looked at, and how many there
/// are.
///
/// # Errors
/// [`TilesError::Finding`] with what the log was caught at; [`TilesError::NoLog`] when there
/// is none and none is remembered; [`TilesError::File`] when a file cannot be read.
pub fn verify(
    folder: &Folder,
    policy: &Policy,
    remembered: Option<&Remembered>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Audited, TilesError> {
    verify_holding(HELD, folder, policy, remembered, progress)
}

/// [`verify`], holding at most so many streams at a time.
pub(super) fn verify_holding(
    held: usize,
    folder: &Folder,
    policy: &Policy,
    remembered: Option<&Remembered>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Audited, TilesError> {
    let Some(bytes) = folder.checkpoint()? else {
        return Err(match remembered.map_or(0, Remembered::size) {
            0 => TilesError::NoLog { place: folder.place().into() },
            remembered => Finding::Deleted { remembered }.into(),
        });
    };
    let trusted = policy.accept(&bytes)?;
    let advance = remembered.map(|last| last.compare(&trusted)).transpose()?;
    let leaves = leaves(folder, &trusted, remembered, advance)?;
    let audit = Audit { folder, leaves, size: trusted.size(), held };
    let ends = audit.records(progress)?;
    audit.entries()?;
    audit.tiles()?;
    let streams = audit.heads(ends)?;
    let (payloads, not_kept) = audit.payloads()?;
    Ok(Audited { trusted, streams, payloads, not_kept, advance })
}

/// The leaves whose root was signed.
fn leaves<'a>(
    folder: &'a Folder,
    trusted: &Trusted,
    remembered: Option<&Remembered>,
    advance: Option<Advance>,
) -> Result<Leaves<'a>, TilesError> {
    let (size, signed) = (trusted.size(), *trusted.root());
    let prefix = remembered.map_or(0, Remembered::size);
    let (mut found, mut computed) = (0, None);
    for source in [Source::Tiles, Source::Entries, Source::Records] {
        let leaves = Leaves::new(folder, source, size);
        let walked = leaves.walk(prefix)?;
        if walked.found == size && walked.root == signed {
            if let (Some(Advance::Grown { from, to }), Some(last)) = (advance, remembered)
                && walked.prefix != Some(*last.root())
            {
                return Err(Finding::Rewritten { from, to }.into());
            }
            return Ok(leaves);
        }
        if source == Source::Records {
            found = walked.found;
        }
        if walked.found == size && computed.is_none() {
            computed = Some(walked.root);
        }
    }
    if let Some(computed) = computed {
        return Err(Finding::NotSigned { size, signed, computed }.into());
    }
    // Either the bundles are those of a shorter log, or one of them is shorter.
    let found = found.max(folder.available().min(size.saturating_sub(1)));
    Err(Finding::Truncated { found, signed: size }.into())
}

struct Audit<'a> {
    folder: &'a Folder,
    leaves: Leaves<'a>,
    size: u64,
    /// How many streams are held at a time.
    held: usize,
}

impl Audit<'_> {
    fn case(&self) -> Case<'_> {
        Case { folder: self.folder, leaves: &self.leaves, size: self.size }
    }

    /// How many bundles there are.
    const fn groups(&self) -> u64 {
        self.size.div_ceil(WIDTH)
    }

    /// Holds each record against its leaf, and the streams' links. `None`: there are too
    /// many streams to look at all of them at once.
    fn records(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Option<Ends>, TilesError> {
        let (mut ends, mut room) = (Ends::new(Parts::new(), self.held), true);
        for n in 0..self.groups() {
            self.bundle(n, |index, bytes, digest| {
                if room {
                    room = ends.take(index, bytes, digest).map_err(Finding::from)?;
                }
                Ok(())
            })?;
            progress(self.size.min(n.saturating_add(1).saturating_mul(WIDTH)), self.size);
        }
        Ok(room.then_some(ends))
    }

    /// Holds the published heads against the streams' ends; says how many streams there
    /// are.
    fn heads(&self, ends: Option<Ends>) -> Result<u64, TilesError> {
        if let Some(ends) = ends {
            let count = ends.len();
            self.compare(ends)?;
            return Ok(count);
        }
        let mut parts = Parts::new();
        loop {
            parts = parts.finer();
            let (mut part, mut count) = (Some(parts.clone()), 0_u64);
            while let Some(current) = part {
                let Some(ends) = self.part(current.clone())? else { break };
                count = count.saturating_add(ends.len());
                self.compare(ends)?;
                part = current.next();
                if part.is_none() {
                    return Ok(count);
                }
            }
        }
    }

    fn compare(&self, ends: Ends) -> Result<(), TilesError> {
        let was_head = |stream: &StreamId, head: Head| self.was_head(stream, head);
        if ends.compare(self.folder.heads(self.size)?, &was_head)? {
            return Ok(());
        }
        Err(Finding::Malformed { path: format!("heads/{}", self.size) }.into())
    }

    /// The ends of one part of the streams; `None` when there are too many of them.
    fn part(&self, parts: Parts) -> Result<Option<Ends>, TilesError> {
        let mut ends = Ends::new(parts, self.held);
        let mut room = true;
        for n in 0..self.groups() {
            self.read(n, |index, bytes| {
                if room {
                    let digest = Domain::Record.hash(bytes);
                    room = ends.take(index, bytes, digest).map_err(Finding::from)?;
                }
                Ok(())
            })?;
        }
        Ok(room.then_some(ends))
    }

    /// Shows the records of a bundle, each of which is the one signed for.
    fn bundle(
        &self,
        n: u64,
        mut show: impl FnMut(u64, &[u8], Digest) -> Result<(), TilesError>,
    ) -> Result<(), TilesError> {
        let (first, width) = (n.saturating_mul(WIDTH), width_at(n, self.size));
        let end = first.saturating_add(width as u64);
        let Some(mut records) = self.folder.records(n, width)? else {
            return Err(self.case().name(first, None)?.into());
        };
        let mut bytes = Vec::new();
        for index in first..end {
            let found = match records.next(&mut bytes)? {
                Found::Record => Some(&*bytes),
                // Where more bundles follow nothing was cut: a length was altered.
                Found::Torn if n.saturating_add(1) < self.groups() => Some(&*bytes),
                Found::Torn | Found::End => None,
            };
            let digest = found.map(|bytes| Domain::Record.hash(bytes));
            match digest {
                Some(digest) if self.leaves.leaf(index)? == Some(merkle::leaf(&digest)) => {
                    show(index, &bytes, digest)?;
                }
                _ => return Err(self.case().name(index, found)?.into()),
            }
        }
        if records.next(&mut bytes)? != Found::End {
            return Err(self.case().name_more(end, &bytes)?.into());
        }
        Ok(())
    }

    /// Shows the records of a bundle that were looked at before.
    fn read(
        &self,
        n: u64,
        mut show: impl FnMut(u64, &[u8]) -> Result<(), TilesError>,
    ) -> Result<(), TilesError> {
        let (first, width) = (n.saturating_mul(WIDTH), width_at(n, self.size));
        let Some(mut records) = self.folder.records(n, width)? else { return Ok(()) };
        let mut bytes = Vec::new();
        for index in first..first.saturating_add(width as u64) {
            if records.next(&mut bytes)? != Found::Record {
                break;
            }
            show(index, &bytes)?;
        }
        Ok(())
    }

    fn entries(&self) -> Result<(), TilesError> {
        for n in 0..self.groups() {
            let (first, width) = (n.saturating_mul(WIDTH), width_at(n, self.size));
            let entries = self.folder.entries(n, width)?.unwrap_or_default();
            for (index, place) in (first..first.saturating_add(width as u64)).zip(0..) {
                let found = entries.get(place).map(merkle::leaf);
                if found.is_none() || found != self.leaves.leaf(index)? {
                    return Err(Finding::Entry { index }.into());
                }
            }
        }
        Ok(())
    }

    /// Every tile must be there with the hashes that follow from the leaves.
    fn tiles(&self) -> Result<(), TilesError> {
        let mut tower = Tower::default();
        let mut check = |level, n, hashes: &[Hash]| self.tile(level, n, hashes);
        for index in 0..self.size {
            let path = || Folder::path(Kind::Level(0), index / WIDTH, FULL);
            let leaf = self.leaves.leaf(index)?.ok_or_else(|| Finding::Tile { path: path() })?;
            tower.push(leaf, &mut check)?;
        }
        tower.partial().try_for_each(|(level, n, hashes)| self.tile(level, n, hashes))
    }

    fn tile(&self, level: u8, n: u64, expected: &[Hash]) -> Result<(), TilesError> {
        // Where a partial tile is gone, the full one that came after it serves.
        let width = expected.len();
        let same = match self.folder.tile_bytes(level, n, width)? {
            Some(bytes) => {
                let hashes = bytes.chunks_exact(DIGEST_LEN);
                bytes.len() == DIGEST_LEN * width
                    && hashes.zip(expected).all(|(found, hash)| found == hash.as_bytes())
            }
            None => self.folder.tile(level, n, width)?.as_deref() == Some(expected),
        };
        if same {
            return Ok(());
        }
        Err(Finding::Tile { path: Folder::path(Kind::Level(level), n, width) }.into())
    }

    /// Whether the stream had this head once.
    fn was_head(&self, stream: &StreamId, head: Head) -> Result<bool, TilesError> {
        let mut was = false;
        for n in 0..self.groups() {
            self.read(n, |_, bytes| {
                let ended = RecordView::of(bytes).is_some_and(|view| {
                    view.sequence.saturating_add(1) == head.length()
                        && view.stream().as_ref() == Some(stream)
                });
                was |= ended && Domain::Record.hash(bytes) == head.digest();
                Ok(())
            })?;
            if was {
                break;
            }
        }
        Ok(was)
    }

    /// Holds each payload against its digest; says how many are there and how many not.
    fn payloads(&self) -> Result<(u64, u64), TilesError> {
        let (mut there, mut not, mut domains) = (0_u64, 0_u64, Domains::new());
        for n in 0..self.groups() {
            let (first, width) = (n.saturating_mul(WIDTH), width_at(n, self.size));
            let Some(mut payloads) = self.folder.payloads(n, width)? else { continue };
            // Where the partial bundle is gone the full one has more records.
            let exact = self.folder.at(Kind::Payloads, n, width).is_file();
            let records = if exact { width } else { FULL };
            loop {
                let payload = match payloads.next(records)? {
                    Next::Item(payload) => payload,
                    Next::End => break,
                    Next::Malformed => {
                        let path = Folder::path(Kind::Payloads, n, width);
                        return Err(Finding::Malformed { path }.into());
                    }
                };
                let expected: Digest = payload.digest;
                match payload.bytes {
                    Some(bytes)
                        if domains.sound(&expected, &bytes)
                            || self.folder.commits(&expected, &bytes) =>
                    {
                        there = there.saturating_add(1);
                    }
                    Some(_) => {
                        let index = first.saturating_add(payload.record as u64);
                        return Err(Finding::Payload { index, expected }.into());
                    }
                    None => not = not.saturating_add(1),
                }
            }
        }
        Ok((there, not))
    }
}
