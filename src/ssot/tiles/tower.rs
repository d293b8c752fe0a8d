//! The tiles of a tree while it grows: of each level those hashes that are not in a full
//! tile yet.

use super::{WIDTH, root_of};
use crate::ssot::merkle::{Frontier, Hash, Sha256};

/// How many levels of tiles there can be: 256 to the eighth is beyond all sizes.
const LEVELS: usize = 8;

/// Takes leaves in, gives full tiles out. Holds at most 255 hashes of each level.
#[derive(Debug, Default)]
pub(super) struct Tower {
    levels: [Level; LEVELS],
}

#[derive(Debug, Default)]
struct Level {
    /// How many full tiles there were.
    full: u64,
    hashes: Vec<Hash>,
}

impl Tower {
    /// A tower over `size` leaves, a multiple of 256: `partial` gives the hashes of the
    /// partial tile of a level from 1 on, with its number and width. `None` when one is
    /// missing.
    pub(super) fn resume(
        size: u64,
        mut partial: impl FnMut(u8, u64, usize) -> Option<Vec<Hash>>,
    ) -> Option<Self> {
        let mut tower = Self::default();
        let mut count = size;
        for (number, level) in (0..).zip(&mut tower.levels) {
            level.full = count / WIDTH;
            let width = usize::try_from(count % WIDTH).ok()?;
            if width > 0 {
                level.hashes = partial(number, level.full, width)?;
                if number == 0 || level.hashes.len() != width {
                    return None;
                }
            }
            count = level.full;
        }
        Some(tower)
    }

    /// Takes the next leaf in and shows the tiles that are full with it, from below.
    pub(super) fn push<E>(
        &mut self,
        leaf: Hash,
        show: &mut impl FnMut(u8, u64, &[Hash]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut hash = leaf;
        for (number, level) in (0..).zip(&mut self.levels) {
            level.hashes.push(hash);
            if (level.hashes.len() as u64) < WIDTH {
                break;
            }
            show(number, level.full, &level.hashes)?;
            hash = root_of(&level.hashes);
            level.hashes.clear();
            level.full = level.full.saturating_add(1);
        }
        Ok(())
    }

    /// The tiles that are not full: level, number, hashes.
    pub(super) fn partial(&self) -> impl Iterator<Item = (u8, u64, &[Hash])> {
        let levels = (0..).zip(&self.levels);
        let begun = levels.filter(|(_, level)| !level.hashes.is_empty());
        begun.map(|(number, level)| (number, level.full, &*level.hashes))
    }

    /// The root over all leaves.
    pub(super) fn root(&self) -> Hash {
        let mut tree = Frontier::<Sha256>::new();
        let mut height = 8 * LEVELS;
        for level in self.levels.iter().rev() {
            height -= 8;
            let height = u8::try_from(height).unwrap_or(u8::MAX);
            for hash in &level.hashes {
                tree.push_subtree(height, hash);
            }
        }
        tree.root()
    }
}
