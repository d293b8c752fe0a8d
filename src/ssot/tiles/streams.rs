//! The ends of the streams of a published log, in bounded memory.

use core::hash::BuildHasher as _;

use hashbrown::{DefaultHashBuilder, HashMap};

use super::TilesError;
use super::bundles::{Heads, Next};
use crate::digest::{Digest, Domain};
use crate::ssot::checkpoint::Finding;
use crate::ssot::record::{Head, Record, StreamId};
use crate::ssot::verify::{Fault, Place, RecordView};

/// How many streams are held at a time.
pub(super) const HELD: usize = 131_072;

/// The ends of one part of the streams: those whose hash falls into it.
#[derive(Debug)]
pub(super) struct Ends {
    heads: HashMap<StreamId, Head>,
    parts: Parts,
    held: usize,
}

/// Into how many parts the streams are divided, and which one this is.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    hasher: DefaultHashBuilder,
    pub(super) count: u64,
    pub(super) current: u64,
}

impl Parts {
    pub(super) fn new() -> Self {
        Self { hasher: DefaultHashBuilder::default(), count: 1, current: 0 }
    }

    /// The next part; `None` when all were looked at.
    pub(super) fn next(self) -> Option<Self> {
        let current = self.current.saturating_add(1);
        (current < self.count).then_some(Self { current, ..self })
    }

    /// From the start, in twice as many parts.
    pub(super) fn finer(self) -> Self {
        Self { count: self.count.saturating_mul(2), current: 0, ..self }
    }

    fn holds(&self, stream: &StreamId) -> bool {
        self.count == 1 || self.hasher.hash_one(stream) % self.count == self.current
    }
}

impl Ends {
    /// None yet, and at most `held` of them.
    pub(super) fn new(parts: Parts, held: usize) -> Self {
        Self { heads: HashMap::new(), parts, held }
    }

    /// How many streams there are in this part.
    pub(super) fn len(&self) -> u64 {
        self.heads.len() as u64
    }

    /// Takes the record at `index` in, after which it is its stream's last. `false`: there
    /// are too many streams, so look at fewer of them at a time.
    pub(super) fn take(&mut self, index: u64, bytes: &[u8], digest: Digest) -> Result<bool, Fault> {
        let place = || Place::Log(index);
        let view = RecordView::of(bytes);
        let Some((view, stream)) = view.and_then(|view| Some((view, view.stream()?))) else {
            return match Record::decode_sealed(bytes) {
                Err(source) => Err(Fault::Undecodable { place: place(), source }),
                // A record has a view.
                Ok(_) => Ok(true),
            };
        };
        if view.index != index {
            return Err(Fault::Index { place: place(), expected: index, found: view.index });
        }
        if !self.parts.holds(&stream) {
            return Ok(true);
        }
        let end = self.heads.entry(stream).or_insert(Head::EMPTY);
        if view.sequence != end.length() {
            let (expected, found) = (end.length(), view.sequence);
            return Err(Fault::Sequence { place: place(), expected, found });
        }
        if view.previous != end.digest() {
            let (expected, found) = (end.digest(), view.previous);
            return Err(Fault::Previous { place: place(), expected, found });
        }
        *end = Head::new(view.sequence.saturating_add(1), digest);
        Ok(self.heads.len() <= self.held)
    }

    /// Holds the published heads of this part against these. `was_head` says whether a
    /// stream ever had that head. `false`: the published ones cannot be read.
    pub(super) fn compare(
        mut self,
        published: Option<Heads>,
        was_head: &dyn Fn(&StreamId, Head) -> Result<bool, TilesError>,
    ) -> Result<bool, TilesError> {
        if let Some(mut published) = published {
            loop {
                let (stream, found) = match published.next()? {
                    Next::Item(item) => item,
                    Next::End => break,
                    Next::Malformed => return Ok(false),
                };
                if !self.parts.holds(&stream) {
                    continue;
                }
                let expected = self.heads.remove(&stream).unwrap_or(Head::EMPTY);
                if found == expected {
                    continue;
                }
                let earlier = found.length() < expected.length() && was_head(&stream, found)?;
                return Err(if earlier {
                    Finding::HeadRolledBack { stream, expected, found }.into()
                } else {
                    Finding::HeadMismatch { stream, expected, found }.into()
                });
            }
        }
        // The first by its id, so that the answer is always the same.
        match self.heads.into_iter().min_by(|(a, _), (b, _)| a.cmp(b)) {
            Some((stream, expected)) => {
                Err(Finding::HeadMismatch { stream, expected, found: Head::EMPTY }.into())
            }
            None => Ok(true),
        }
    }
}

/// The domain in which bytes have a digest: what is kept under it is a payload of that
/// domain. The one that was right last is tried first.
#[derive(Debug)]
pub(super) struct Domains(Vec<Domain>);

impl Domains {
    pub(super) fn new() -> Self {
        Self(Domain::ALL.into())
    }

    pub(super) fn sound(&mut self, digest: &Digest, bytes: &[u8]) -> bool {
        let found = self.0.iter().position(|domain| domain.hash(bytes) == *digest);
        if let Some(found) = found {
            self.0.swap(0, found);
        }
        found.is_some()
    }
}
