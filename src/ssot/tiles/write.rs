//! Publishing a log, or what it grew by.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::folder::{Folder, Kind};
use super::stored::root_at;
use super::tower::Tower;
use super::{TilesError, WIDTH, width_at};
use crate::digest::{Digest, Domain};
use crate::encode::Encode as _;
use crate::ssot::checkpoint::{Checkpoint, Finding, Origin, Policy, Trusted};
use crate::ssot::merkle::{self, Hash, NodeId};
use crate::ssot::note::{Note, Signer};
use crate::ssot::record::StreamId;
use crate::ssot::store::Store;
use crate::time::Timestamp;

/// Appends the digests of the payloads that a record's canonical bytes name.
pub type Named<'a> = dyn Fn(&[u8], &mut Vec<Digest>) + 'a;

/// How a log is published.
#[derive(Clone, Copy)]
pub struct Publish<'a> {
    origin: &'a Origin,
    signers: &'a [&'a Signer],
    time: Timestamp,
    named: Option<&'a Named<'a>>,
}

impl<'a> Publish<'a> {
    /// Under this origin, with these keys, the first of which is the log's own; `time` goes
    /// into cosignatures.
    pub const fn new(origin: &'a Origin, signers: &'a [&'a Signer], time: Timestamp) -> Self {
        Self { origin, signers, time, named: None }
    }

    /// With the payloads that the records name. What was published cannot be erased.
    #[must_use]
    pub const fn payloads(mut self, named: &'a Named<'a>) -> Self {
        self.named = Some(named);
        self
    }
}

impl core::fmt::Debug for Publish<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Publish").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// How many records the folder has now.
    pub size: u64,
    /// How many it had before.
    pub before: u64,
    /// How many files were written.
    pub files: u64,
    /// The checkpoint.
    pub note: Note,
}

/// How many heads are listed at a time.
const PAGE: usize = 256;

/// Publishes a log. Where the folder has an earlier part of it, only what is new is
/// written; a folder of another log, or of another history of this one, is left as it is.
///
/// # Errors
/// [`TilesError`]; what was written until then does no harm, and the old checkpoint stays.
pub fn write<S: Store + ?Sized>(
    store: &S,
    place: &Path,
    publish: &Publish<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Written, TilesError> {
    fs::create_dir_all(place).map_err(TilesError::file(place))?;
    let folder = Folder::new(place);
    let before = before(&folder, publish)?;
    let size = store.len()?;
    let from = before.as_ref().map_or(0, Trusted::size);
    let mut writer = Writer { store, folder: &folder, publish, files: 0 };
    let (mut tower, begin) = match &before {
        Some(before) => {
            writer.consistent(before, size)?;
            writer.resume(before.size())?
        }
        None => (Tower::default(), 0),
    };
    let mut n = begin / WIDTH;
    while n.saturating_mul(WIDTH) < size {
        let width = width_at(n, size);
        for leaf in writer.bundle(n, width)? {
            let files = &mut writer.files;
            tower.push(leaf, &mut |level, n, hashes| tile(&folder, level, n, hashes, files))?;
        }
        n = n.saturating_add(1);
        progress(size.min(n.saturating_mul(WIDTH)), size);
    }
    for (level, n, hashes) in tower.partial() {
        tile(&folder, level, n, hashes, &mut writer.files)?;
    }
    writer.heads(size)?;
    let checkpoint = Checkpoint::new(publish.origin.clone(), size, tower.root());
    let note = match before {
        // The same once more: the one that is there may have cosignatures.
        Some(before) if *before.checkpoint() == checkpoint => before.note().clone(),
        _ => checkpoint.sign(publish.signers, publish.time)?,
    };
    let mut out = writer.create(&place.join("checkpoint"))?;
    out.put(note.to_string().as_bytes())?;
    out.finish()?;
    let files = writer.files;
    tidy(&folder, from, size);
    Ok(Written { size, before: from, files, note })
}

/// The checkpoint that is there, when it is this log's.
fn before(folder: &Folder, publish: &Publish<'_>) -> Result<Option<Trusted>, TilesError> {
    let Some(bytes) = folder.checkpoint()? else { return Ok(None) };
    let Some((first, _)) = publish.signers.split_first() else { return Ok(None) };
    let policy = Policy::of_log(first.verifier()?);
    Ok(Some(policy.accept(&bytes)?.of(publish.origin)?))
}

struct Writer<'a, S: ?Sized> {
    store: &'a S,
    folder: &'a Folder,
    publish: &'a Publish<'a>,
    files: u64,
}

impl<S: Store + ?Sized> Writer<'_, S> {
    /// A log never signs what does not continue what it signed before.
    fn consistent(&self, before: &Trusted, size: u64) -> Result<(), TilesError> {
        let (from, to) = (before.size(), size);
        if to < from {
            let finding = match to {
                0 => Finding::Deleted { remembered: from },
                found => Finding::OlderCopy { remembered: from, found },
            };
            return Err(finding.into());
        }
        if root_at(self.store, from)? != *before.root() {
            return Err(Finding::Rewritten { from, to }.into());
        }
        Ok(())
    }

    /// The tower at the last full tile of the size published before, and where that is.
    fn resume(&self, size: u64) -> Result<(Tower, u64), TilesError> {
        let begin = size / WIDTH * WIDTH;
        let mut failed = None;
        let tower = Tower::resume(begin, |level, n, width| {
            let first = n.saturating_mul(WIDTH);
            let ids: Vec<NodeId> = (first..first.saturating_add(width as u64))
                .map(|index| NodeId { level: level.saturating_mul(8), index })
                .collect();
            self.store.tree_nodes(&ids).map_err(|error| failed = Some(error)).ok()
        });
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(tower.map_or_else(|| (Tower::default(), 0), |tower| (tower, begin))),
        }
    }

    /// Writes entries, records and payloads of a bundle; gives the leaves.
    fn bundle(&mut self, n: u64, width: usize) -> Result<Vec<Hash>, TilesError> {
        let mut entries = self.create(&self.folder.at(Kind::Entries, n, width))?;
        let mut records = self.create(&self.folder.at(Kind::Records, n, width))?;
        let (mut leaves, mut named) = (Vec::with_capacity(width), Vec::new());
        let mut failed = None;
        let first = n.saturating_mul(WIDTH);
        self.store.scan(first, width, &mut |bytes, stored| {
            if failed.is_some() {
                return;
            }
            let index = first.saturating_add(leaves.len() as u64);
            let digest = Domain::Record.hash(bytes);
            if digest != *stored {
                failed = Some(Finding::Altered { index, found: digest }.into());
                return;
            }
            leaves.push(merkle::leaf(&digest));
            let mut own = Vec::new();
            if let Some(name) = self.publish.named {
                name(bytes, &mut own);
            }
            named.push(own);
            // A record is bounded far below 4 GiB.
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
            let written = entries
                .put(&[0, 32])
                .and_then(|()| entries.put(digest.as_bytes()))
                .and_then(|()| records.put(&length))
                .and_then(|()| records.put(bytes));
            failed = written.err();
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if leaves.len() < width {
            let found = first.saturating_add(leaves.len() as u64);
            let signed = first.saturating_add(width as u64);
            return Err(Finding::Truncated { found, signed }.into());
        }
        entries.finish()?;
        records.finish()?;
        if self.publish.named.is_some() {
            self.payloads(n, width, &named)?;
        }
        Ok(leaves)
    }

    fn payloads(&mut self, n: u64, width: usize, named: &[Vec<Digest>]) -> Result<(), TilesError> {
        let mut out = self.create(&self.folder.at(Kind::Payloads, n, width))?;
        for own in named {
            out.put(&u16::try_from(own.len()).unwrap_or(u16::MAX).to_be_bytes())?;
            for digest in own.iter().take(u16::MAX.into()) {
                out.put(digest.as_bytes())?;
                match self.store.payload(digest)? {
                    Some(bytes) => {
                        out.put(&[1])?;
                        out.put(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes())?;
                        out.put(&bytes)?;
                    }
                    None => out.put(&[0])?,
                }
            }
        }
        out.finish()
    }

    /// Writes the heads, each as it is at this size.
    fn heads(&mut self, size: u64) -> Result<(), TilesError> {
        let mut out = self.create(&self.folder.heads_path(size))?;
        let mut after: Option<StreamId> = None;
        loop {
            let page = self.store.streams(after.as_ref(), PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (stream, head) in &page {
                let bytes = stream.to_canonical();
                out.put(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes())?;
                out.put(&bytes)?;
                out.put(&head.length().to_be_bytes())?;
                out.put(head.digest().as_bytes())?;
            }
        }
        out.finish()?;
        let after = self.store.len()?;
        if after != size {
            // The heads are those of another size.
            let moved = crate::ssot::verify::VerifyError::Moved { before: size, after };
            return Err(moved.into());
        }
        Ok(())
    }

    fn create(&mut self, place: &Path) -> Result<Output, TilesError> {
        self.files = self.files.saturating_add(1);
        Output::create(place)
    }
}

/// Writes a tile.
fn tile(
    folder: &Folder,
    level: u8,
    n: u64,
    hashes: &[Hash],
    files: &mut u64,
) -> Result<(), TilesError> {
    let mut out = Output::create(&folder.at(Kind::Level(level), n, hashes.len()))?;
    hashes.iter().try_for_each(|hash| out.put(hash.as_bytes()))?;
    *files = files.saturating_add(1);
    out.finish()
}

/// A file that is written beside its place and moved there when it is whole.
struct Output {
    file: BufWriter<File>,
    beside: PathBuf,
    place: PathBuf,
}

impl Output {
    fn create(place: &Path) -> Result<Self, TilesError> {
        let parent = place.parent().unwrap_or(place);
        fs::create_dir_all(parent).map_err(TilesError::file(parent))?;
        let mut name = place.as_os_str().to_owned();
        name.push(".new");
        let beside = PathBuf::from(name);
        let file = File::create(&beside).map_err(TilesError::file(&beside))?;
        Ok(Self { file: BufWriter::new(file), beside, place: place.to_path_buf() })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), TilesError> {
        self.file.write_all(bytes).map_err(TilesError::file(&self.beside))
    }

    fn finish(self) -> Result<(), TilesError> {
        let Self { file, beside, place } = self;
        let moved = file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&beside, &place));
        moved.map_err(TilesError::file(&place))
    }
}

/// Removes the partial tiles and bundles whose full ones are there now. They may stay:
/// what cannot be removed does no harm.
fn tidy(folder: &Folder, from: u64, to: u64) {
    let kinds = [Kind::Entries, Kind::Records, Kind::Payloads];
    let levels = (0..8).map(Kind::Level);
    for kind in kinds.into_iter().chain(levels) {
        let shift = if let Kind::Level(level) = kind { 8 * u32::from(level) } else { 0 };
        let (old, new) = (from >> shift, to >> shift);
        let n = old / WIDTH;
        if !old.is_multiple_of(WIDTH) && n < new / WIDTH {
            let width = usize::try_from(old % WIDTH).unwrap_or(0);
            if let Some(partial) = folder.at(kind, n, width).parent() {
                let _ = fs::remove_dir_all(partial);
            }
        }
    }
}
