//! All records of one subject, in the order of the log, read as they are needed.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::id::SubjectId;
use crate::identity::SessionOpened;
use crate::ssot::record::{Record, RecordKind, StreamId, StreamKind};
use crate::ssot::store::Store;
use crate::ssot::verify::{Replay as Reading, replay};

use super::ReplayError;

/// The streams of one subject and of its sessions, merged by their records' places in the
/// log. Each is read with the checks of [`crate::ssot::verify::replay`].
///
/// A session's streams are opened when its opening comes next and closed behind their last
/// record, so what is held is a piece of each stream that has records to come.
pub(super) struct Feed<'a, S: Store + ?Sized> {
    store: &'a S,
    before: u64,
    lanes: BTreeMap<u64, Lane<'a, S>>,
    subject: StreamId,
    more_sessions: bool,
    ended: Vec<(u64, StreamId)>,
}

struct Lane<'a, S: Store + ?Sized> {
    reading: Reading<'a, S>,
    front: Record,
}

impl<'a, S: Store + ?Sized> Feed<'a, S> {
    /// The records of a subject that stand before this place in the log.
    pub(super) fn of(store: &'a S, subject: &SubjectId, before: u64) -> Result<Self, ReplayError> {
        let of = |kind| StreamId::new(kind, subject.name().clone());
        let lanes = BTreeMap::new();
        let subject = of(StreamKind::Subject);
        let ended = Vec::new();
        let mut feed =
            Self { store, before, lanes, subject: subject.clone(), more_sessions: false, ended };
        for kind in [StreamKind::Audience, StreamKind::Memory, StreamKind::Governance] {
            feed.join(&of(kind))?;
        }
        feed.join(&subject)?;
        Ok(feed)
    }

    /// Whether another session of the subject is opened later on.
    pub(super) const fn more_sessions(&self) -> bool {
        self.more_sessions
    }

    /// Takes a routing stream whose last record stands at this place or before it.
    pub(super) fn ended(&mut self, index: u64) -> Option<StreamId> {
        let place = self.ended.iter().position(|(last, _)| *last <= index)?;
        Some(self.ended.swap_remove(place).1)
    }

    /// The next record.
    pub(super) fn next(&mut self) -> Result<Option<Record>, ReplayError> {
        let Some((_, lane)) = self.lanes.pop_first() else { return Ok(None) };
        let Lane { reading, front } = lane;
        let more = self.advance(reading)?;
        if !more && front.stream().kind() == StreamKind::Routing {
            self.ended.push((front.index(), front.stream().clone()));
        }
        Ok(Some(front))
    }

    fn join(&mut self, stream: &StreamId) -> Result<(), ReplayError> {
        let reading = replay(self.store, stream)?;
        self.advance(reading).map(drop)
    }

    fn advance(&mut self, mut reading: Reading<'a, S>) -> Result<bool, ReplayError> {
        let front = reading.next().transpose()?.filter(|front| front.index() < self.before);
        let Some(front) = front else {
            self.more_sessions &= self.lanes.values().any(|l| *l.front.stream() == self.subject);
            return Ok(false);
        };
        let opens = *front.stream() == self.subject && front.kind() == RecordKind::SessionOpened;
        if opens {
            self.more_sessions = true;
            let opened: SessionOpened = front
                .read()
                .map_err(|source| ReplayError::Body { index: front.index(), source })?;
            for kind in [StreamKind::Session, StreamKind::Routing] {
                self.join(&StreamId::new(kind, opened.claims.session.name().clone()))?;
            }
        }
        let index = front.index();
        if self.lanes.insert(index, Lane { reading, front }).is_some() {
            return Err(ReplayError::TwoStreams { index });
        }
        Ok(true)
    }
}
