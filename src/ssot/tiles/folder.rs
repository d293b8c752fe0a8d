//! Where everything is in a folder, and reading it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::bundles::{Heads, Payloads, Records};
use super::{FULL, TilesError, WIDTH, root_of, width_at};
use crate::digest::{DIGEST_LEN, Digest};
use crate::limits::NOTE_BYTES;
use crate::ssot::merkle::{Hash, NodeId, Nodes};

/// What is kept in groups of 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Level(u8),
    Entries,
    Records,
    Payloads,
}

/// A folder with a published log.
#[derive(Debug, Clone)]
pub struct Folder {
    place: PathBuf,
    salted: fn(&Digest, &[u8]) -> bool,
}

impl Folder {
    /// The log in this folder; nothing is read yet.
    pub fn new(place: &Path) -> Self {
        Self { place: place.to_path_buf(), salted: |_, _| false }
    }

    /// Asks this of payloads whose bytes have not their digest: whether they are what the
    /// digest commits to. `routing::payloads::is_salted` knows the salted payloads of
    /// routes; without it a log that has some is not sound.
    #[must_use]
    pub fn salted(mut self, commits: fn(&Digest, &[u8]) -> bool) -> Self {
        self.salted = commits;
        self
    }

    /// Whether a digest commits to bytes that are not hashed as they are.
    pub(super) fn commits(&self, digest: &Digest, kept: &[u8]) -> bool {
        (self.salted)(digest, kept)
    }

    /// The folder.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The bytes of the checkpoint; `None` when there is none.
    ///
    /// # Errors
    /// [`TilesError::File`].
    pub fn checkpoint(&self) -> Result<Option<Vec<u8>>, TilesError> {
        bytes(&self.place.join("checkpoint"), NOTE_BYTES)
    }

    /// The tree over the first `size` records, for proofs.
    pub const fn tree(&self, size: u64) -> PublishedTree<'_> {
        PublishedTree { folder: self, size }
    }

    /// The path of a tile or bundle below the folder.
    pub(super) fn path(kind: Kind, n: u64, width: usize) -> String {
        let mut path = match kind {
            Kind::Level(level) => format!("tile/{level}/"),
            Kind::Entries => "tile/entries/".into(),
            Kind::Records => "records/".into(),
            Kind::Payloads => "payloads/".into(),
        };
        push_number(&mut path, n);
        if (width as u64) < WIDTH {
            // Writing to a text cannot fail.
            let _ = write!(path, ".p/{width}");
        }
        path
    }

    pub(super) fn heads_path(&self, size: u64) -> PathBuf {
        self.place.join("heads").join(size.to_string())
    }

    pub(super) fn at(&self, kind: Kind, n: u64, width: usize) -> PathBuf {
        self.place.join(Self::path(kind, n, width))
    }

    /// The hashes of a tile; fewer when there are fewer, `None` when there is no file.
    pub(super) fn tile(
        &self,
        level: u8,
        n: u64,
        width: usize,
    ) -> Result<Option<Vec<Hash>>, TilesError> {
        let (bytes, _) = self.group(Kind::Level(level), n, width, DIGEST_LEN)?;
        let hash = |bytes: &[u8]| bytes.try_into().map(Hash::from_bytes).ok();
        Ok(bytes.map(|bytes| bytes.chunks(DIGEST_LEN).map_while(hash).take(width).collect()))
    }

    /// The entries of a bundle, as far as they are digests; `None` when it is not there, or
    /// has another length than it must.
    pub(super) fn entries(&self, n: u64, width: usize) -> Result<Option<Vec<Digest>>, TilesError> {
        let (bytes, exact) = self.group(Kind::Entries, n, width, 2 + DIGEST_LEN)?;
        let whole = (2 + DIGEST_LEN) * if exact { width } else { FULL };
        let digest = |bytes: &[u8]| match bytes.split_first_chunk() {
            Some(([0, 32], digest)) => digest.try_into().map(Digest::from_bytes).ok(),
            _ => None,
        };
        let read =
            |bytes: Vec<u8>| bytes.chunks(2 + DIGEST_LEN).map_while(digest).take(width).collect();
        Ok(bytes.filter(|bytes| bytes.len() == whole).map(read))
    }

    /// The records of a bundle, one after the other. `None`: there is no file.
    pub(super) fn records(&self, n: u64, width: usize) -> Result<Option<Records>, TilesError> {
        let found = self.open(Kind::Records, n, width)?;
        Ok(found.map(|(file, place, exact)| Records::new(file, place, exact, width)))
    }

    /// The payloads of a bundle.
    pub(super) fn payloads(&self, n: u64, width: usize) -> Result<Option<Payloads>, TilesError> {
        let found = self.open(Kind::Payloads, n, width)?;
        Ok(found.map(|(file, place, _)| Payloads::new(file, place)))
    }

    /// How many records there are bundles for, whatever the checkpoint says.
    pub(super) fn available(&self) -> u64 {
        let mut n = 0_u64;
        while self.at(Kind::Records, n, usize::MAX).is_file() {
            n = n.saturating_add(1);
        }
        let partial = self.at(Kind::Records, n, 0);
        let files = partial.parent().and_then(|folder| std::fs::read_dir(folder).ok());
        let widths = files.into_iter().flatten().filter_map(|file| {
            let width = super::super::checkpoint::decimal(file.ok()?.file_name().to_str()?)?;
            (width < WIDTH).then_some(width)
        });
        n.saturating_mul(WIDTH).saturating_add(widths.max().unwrap_or(0))
    }

    /// The heads at a size.
    pub(super) fn heads(&self, size: u64) -> Result<Option<Heads>, TilesError> {
        let place = self.heads_path(size);
        Ok(open(&place)?.map(|file| Heads::new(BufReader::new(file), place)))
    }

    /// A group's file: the one of this width, or the full one. Says whether it is the first.
    fn open(
        &self,
        kind: Kind,
        n: u64,
        width: usize,
    ) -> Result<Option<(BufReader<File>, PathBuf, bool)>, TilesError> {
        for (width, exact) in [(width, true), (usize::MAX, false)] {
            let place = self.at(kind, n, width);
            if let Some(file) = open(&place)? {
                return Ok(Some((BufReader::new(file), place, exact)));
            }
        }
        Ok(None)
    }

    /// The bytes of a group whose items have a known size.
    fn group(
        &self,
        kind: Kind,
        n: u64,
        width: usize,
        item: usize,
    ) -> Result<(Option<Vec<u8>>, bool), TilesError> {
        let Some((file, place, exact)) = self.open(kind, n, width)? else {
            return Ok((None, false));
        };
        let mut bytes = Vec::new();
        let most = WIDTH.saturating_mul(item as u64).saturating_add(1);
        file.take(most).read_to_end(&mut bytes).map_err(TilesError::file(&place))?;
        Ok((Some(bytes), exact))
    }

    /// The exact bytes of a tile's file; `None` when there is none.
    pub(super) fn tile_bytes(
        &self,
        level: u8,
        n: u64,
        width: usize,
    ) -> Result<Option<Vec<u8>>, TilesError> {
        let place = self.at(Kind::Level(level), n, width);
        bytes(&place, DIGEST_LEN.saturating_mul(width).saturating_add(1))
    }
}

/// A whole file, of which no more than `most` bytes are read.
fn bytes(place: &Path, most: usize) -> Result<Option<Vec<u8>>, TilesError> {
    let Some(file) = open(place)? else { return Ok(None) };
    let mut bytes = Vec::new();
    let most = (most as u64).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(TilesError::file(place))?;
    Ok(Some(bytes))
}

fn open(place: &Path) -> Result<Option<File>, TilesError> {
    match File::open(place) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // `N.p` as a file where a folder belongs, or the other way round: not there either.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(error) => Err(TilesError::file(place)(error)),
    }
}

/// `x001/x234/067`.
fn push_number(path: &mut String, n: u64) {
    let digits = n.to_string();
    let padded = "0".repeat((3 - digits.len() % 3) % 3) + &digits;
    let groups = padded.len() / 3;
    for (place, group) in (1..).zip(padded.as_bytes().chunks(3)) {
        if place < groups {
            path.push('x');
        }
        path.extend(group.iter().map(|digit| char::from(*digit)));
        if place < groups {
            path.push('/');
        }
    }
}

/// A published tree of some size: proofs are made from its tiles.
///
/// What the tiles say is not verified here. A proof made of wrong ones does not verify.
#[derive(Debug, Clone, Copy)]
pub struct PublishedTree<'a> {
    folder: &'a Folder,
    size: u64,
}

impl Nodes for PublishedTree<'_> {
    type Error = TilesError;

    fn node(&self, id: NodeId) -> Result<Hash, TilesError> {
        let (tile, inner) = (id.level / 8, id.level % 8);
        let first = id.index << inner;
        let (n, at) = (first / WIDTH, first % WIDTH);
        let total = self.size.checked_shr(8 * u32::from(tile)).unwrap_or(0);
        let width = width_at(n, total);
        let hashes = self.folder.tile(tile, n, width)?.unwrap_or_default();
        let (at, count) = (usize::try_from(at).unwrap_or(usize::MAX), 1_usize << inner);
        if let Some(hashes) = hashes.get(at..at.saturating_add(count)) {
            return Ok(root_of(hashes));
        }
        let path = Folder::path(Kind::Level(tile), n, width);
        Err(crate::ssot::checkpoint::Finding::Tile { path }.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        for (n, expected) in [
            (0, "tile/0/000"),
            (67, "tile/0/067"),
            (999, "tile/0/999"),
            (1000, "tile/0/x001/000"),
            (1_234_067, "tile/0/x001/x234/067"),
            (u64::MAX, "tile/0/x018/x446/x744/x073/x709/x551/615"),
        ] {
            assert_eq!(Folder::path(Kind::Level(0), n, 256), expected);
        }
        assert_eq!(Folder::path(Kind::Level(3), 5, 7), "tile/3/005.p/7");
        assert_eq!(Folder::path(Kind::Entries, 1_234_067, 112), "tile/entries/x001/x234/067.p/112");
        assert_eq!(Folder::path(Kind::Records, 0, 256), "records/000");
    }
}
