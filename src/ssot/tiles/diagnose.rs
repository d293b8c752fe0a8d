//! Which attack it was, by the first record that is not the one signed for.

use super::audit::Leaves;
use super::bundles::Found;
use super::folder::Folder;
use super::{TilesError, WIDTH, width_at};
use crate::digest::{Digest, Domain};
use crate::ssot::checkpoint::Finding;
use crate::ssot::merkle;
use crate::ssot::verify::RecordView;

/// A published log and the leaves of the tree that was signed for it.
pub(super) struct Case<'a> {
    pub(super) folder: &'a Folder,
    pub(super) leaves: &'a Leaves<'a>,
    pub(super) size: u64,
}

impl Case<'_> {
    /// What happened at place `index`, where these bytes stand, or no record.
    ///
    /// The bytes are *genuine* when the log was signed with them at the place that they
    /// name themselves. A genuine record in a wrong place was moved there; another one was
    /// altered, or put in between.
    pub(super) fn name(&self, index: u64, found: Option<&[u8]>) -> Result<Finding, TilesError> {
        let next = index.saturating_add(1);
        let Some(bytes) = found else {
            // No record here, but a later one where it belongs: it is not the tail that is
            // missing. Either the last of a bundle is, or its whole end.
            let bundle = (index / WIDTH).saturating_add(1).saturating_mul(WIDTH);
            for later in [next, bundle] {
                if later < self.size && self.stands(later, later)? {
                    return Ok(Finding::Dropped { index, found: later });
                }
            }
            return Ok(Finding::Truncated { found: index, signed: self.size });
        };
        let digest = Domain::Record.hash(bytes);
        if let Some(own) = self.place_of(bytes, &digest)?
            && own != index
        {
            return Ok(if own < index {
                Finding::Repeated { index, of: own }
            } else if self.stands(own, index)? {
                Finding::Swapped { index, with: own }
            } else {
                Finding::Dropped { index, found: own }
            });
        }
        if self.stands(next, index)? {
            return Ok(Finding::Inserted { index, found: digest });
        }
        Ok(Finding::Altered { index, found: digest })
    }

    /// What happened where a bundle has these bytes behind its last record, whose place
    /// is the one before `index`.
    pub(super) fn name_more(&self, index: u64, bytes: &[u8]) -> Result<Finding, TilesError> {
        let found = Domain::Record.hash(bytes);
        Ok(match self.place_of(bytes, &found)? {
            Some(of) => Finding::Repeated { index, of },
            None => Finding::Inserted { index, found },
        })
    }

    /// The place that the bytes name, where they are genuine.
    fn place_of(&self, bytes: &[u8], digest: &Digest) -> Result<Option<u64>, TilesError> {
        match RecordView::of(bytes).map(|view| view.index) {
            Some(own) if self.is(own, digest)? => Ok(Some(own)),
            _ => Ok(None),
        }
    }

    /// Whether the record signed for at `index` has this digest.
    fn is(&self, index: u64, digest: &Digest) -> Result<bool, TilesError> {
        if index >= self.size {
            return Ok(false);
        }
        Ok(self.leaves.leaf(index)? == Some(merkle::leaf(digest)))
    }

    /// Whether at `place` the record signed for at `index` is found.
    fn stands(&self, place: u64, index: u64) -> Result<bool, TilesError> {
        match self.record(place)? {
            Some(digest) => self.is(index, &digest),
            None => Ok(false),
        }
    }

    /// The digest of what is found at `place`: the bundles are taken as they are.
    fn record(&self, place: u64) -> Result<Option<Digest>, TilesError> {
        let n = place / WIDTH;
        // The place behind the last of a full bundle may be in it, where one was inserted.
        let Some(mut records) = self.folder.records(n, width_at(n, self.size))? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        for _ in 0..=place % WIDTH {
            if records.next(&mut bytes)? != Found::Record {
                return Ok(None);
            }
        }
        Ok(Some(Domain::Record.hash(&bytes)))
    }
}
