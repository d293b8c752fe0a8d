//! What compare-and-append means, decided once for every store.
//!
//! [`plan`] takes a batch and a [`View`] of the log's end and answers with sealed
//! records, or with the reason why there are none. It writes nothing. A store
//! calls it while nothing else can move the log's end (under its lock, in its
//! write transaction), then writes the [`Plan`] whole.
//!
//! The rules, in the order they are checked:
//!
//! 1. a batch appends at least one record and at most [`BATCH_RECORDS`]; so many
//!    expectations and payloads at most, too;
//! 2. a body and a payload have at most [`RECORD_BYTES`];
//! 3. no stream is expected twice, and each stream appended to is expected;
//! 4. one digest stands for one payload, in the batch and in the store;
//! 5. each stream expected ends exactly where the batch expects it to.
//!
//! A batch that breaks 1 to 4 is refused for good, one that breaks 5 is in conflict.
//!
//! Time is taken as given: when a clock steps back, the records of a stream say so.
//! Their order is that of their sequence and index, never that of their time.
//!
//! INVARIANT (chain continuity): the records of a plan continue the streams at the
//! heads the view gave and the log at the view's next index, without a gap.
//!
//! Requirements: D-26, PLAN-8.4.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::digest::Digest;
use crate::encode::Writer;
use crate::limits::{BATCH_RECORDS, RECORD_BYTES};
use crate::ssot::record::{Head, Record, StreamId, fits};
use crate::ssot::store::{AppendError, Batch, StoreError};

/// The end of a log, as it stands while a batch is planned.
pub trait View {
    /// The index of the next record.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn next_index(&self) -> Result<u64, StoreError>;

    /// The head of a stream; [`Head::EMPTY`] when it has no record.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    fn head(&self, stream: &StreamId) -> Result<Head, StoreError>;

    /// Whether other bytes than these are kept under the digest.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    fn keeps_other(&self, digest: &Digest, bytes: &[u8]) -> Result<bool, StoreError>;
}

/// What is to be written, all of it or nothing.
#[derive(Debug)]
#[must_use = "a plan is nothing until a store has written it"]
pub struct Plan<'b> {
    /// The records with their places, in the order of their indices.
    pub records: Vec<Record>,
    batch: &'b Batch,
    places: Places<'b>,
}

impl<'b> Plan<'b> {
    /// The new head of each stream appended to, once for each.
    pub fn heads(&self) -> impl Iterator<Item = (&'b StreamId, Head)> + '_ {
        let last = |place| self.places.last(place).and_then(|position| self.records.get(position));
        let expected = self.batch.expected().iter().enumerate();
        expected.filter_map(move |(place, (stream, _))| Some((stream, last(place)?.head())))
    }

    /// The payloads to keep.
    pub fn payloads(&self) -> &'b [(Digest, Arc<[u8]>)] {
        self.batch.payloads()
    }
}

/// Plans a batch against the log's end.
///
/// # Errors
/// [`AppendError::Refused`] and [`AppendError::Conflict`] by the rules above;
/// [`AppendError::Failed`] when the view cannot be read.
pub fn plan<'b>(batch: &'b Batch, view: &impl View) -> Result<Plan<'b>, AppendError> {
    plan_in(&mut Writer::new(), batch, view)
}

/// [`plan`] with a writer that is used again and again: see [`Record::seal_in`].
///
/// # Errors
/// As [`plan`].
pub fn plan_in<'b>(
    scratch: &mut Writer,
    batch: &'b Batch,
    view: &impl View,
) -> Result<Plan<'b>, AppendError> {
    check_limits(batch)?;
    let mut places = Places::new(batch.expected()).ok_or(refused("a stream is expected twice"))?;
    if !batch.drafts().iter().all(|draft| places.of(draft.stream()).is_some()) {
        return Err(refused(UNEXPECTED));
    }
    check_payloads(batch.payloads(), view)?;
    let room = |from: u64| from.checked_add(batch.drafts().len() as u64).is_some();
    let mut fits = true;
    for (stream, expected) in batch.expected() {
        let found = view.head(stream).map_err(AppendError::Failed)?;
        if found != *expected {
            let (stream, expected) = (stream.clone(), *expected);
            return Err(AppendError::Conflict { stream, expected, found });
        }
        fits &= room(found.length());
    }
    let first = view.next_index().map_err(AppendError::Failed)?;
    if !fits || !room(first) {
        return Err(refused("the log has no place left"));
    }
    let mut records = Vec::with_capacity(batch.drafts().len());
    for (draft, index) in batch.drafts().iter().zip(first..) {
        let place = places.of(draft.stream()).ok_or(refused(UNEXPECTED))?;
        let head = places.head(place, &records);
        let record = Record::seal_in(scratch, draft, index, head, batch.timestamp());
        places.set_last(place, records.len());
        records.push(record);
    }
    Ok(Plan { records, batch, places })
}

const UNEXPECTED: &str = "a stream that is appended to must be expected";

const fn refused(reason: &'static str) -> AppendError {
    AppendError::Refused { reason }
}

fn check_limits(batch: &Batch) -> Result<(), AppendError> {
    if batch.drafts().is_empty() {
        return Err(refused("a batch must append at least one record"));
    }
    if batch.drafts().len() > BATCH_RECORDS {
        return Err(refused("a batch has more records than the limit"));
    }
    if batch.expected().len() > BATCH_RECORDS {
        return Err(refused("a batch has more expectations than the limit"));
    }
    if batch.payloads().len() > BATCH_RECORDS {
        return Err(refused("a batch has more payloads than the limit"));
    }
    if batch.drafts().iter().any(|draft| !fits(draft.body().len())) {
        return Err(refused("a record's body is larger than the limit"));
    }
    if batch.payloads().iter().any(|(_, bytes)| bytes.len() > RECORD_BYTES) {
        return Err(refused("a payload is larger than the limit"));
    }
    Ok(())
}

/// So many of anything are compared with each other; more are put into a map.
const FEW: usize = 8;

fn check_payloads(payloads: &[(Digest, Arc<[u8]>)], view: &impl View) -> Result<(), AppendError> {
    let mut seen = BTreeMap::new();
    let mut rest = payloads;
    while let Some(((digest, bytes), tail)) = rest.split_first() {
        let twice = if payloads.len() <= FEW {
            tail.iter().any(|(other, kept)| other == digest && kept != bytes)
        } else {
            seen.insert(digest, bytes).is_some_and(|other| other != bytes)
        };
        if twice {
            return Err(refused("one digest stands for two payloads"));
        }
        if view.keeps_other(digest, bytes).map_err(AppendError::Failed)? {
            return Err(refused("another payload is kept under this digest"));
        }
        rest = tail;
    }
    Ok(())
}

/// Where each stream stands among those expected, and which record of the batch is its
/// last so far.
#[derive(Debug)]
pub(super) struct Places<'a> {
    expected: &'a [(StreamId, Head)],
    few: [Last; FEW],
    /// For more than a few.
    many: Option<(BTreeMap<&'a StreamId, usize>, Vec<Last>)>,
}

/// One more than a record's position in the batch; 0 for none.
type Last = usize;

impl<'a> Places<'a> {
    /// `None` when a stream is expected twice.
    pub(super) fn new(expected: &'a [(StreamId, Head)]) -> Option<Self> {
        let mut many = None;
        if expected.len() > FEW {
            let map: BTreeMap<_, _> = expected.iter().map(|(stream, _)| stream).zip(0..).collect();
            if map.len() != expected.len() {
                return None;
            }
            many = Some((map, alloc::vec![0; expected.len()]));
        } else {
            let mut rest = expected;
            while let Some(((first, _), tail)) = rest.split_first() {
                if tail.iter().any(|(other, _)| other == first) {
                    return None;
                }
                rest = tail;
            }
        }
        Some(Self { expected, few: [0; FEW], many })
    }

    /// The stream's place among those expected.
    pub(super) fn of(&self, stream: &StreamId) -> Option<usize> {
        match &self.many {
            None => self.expected.iter().position(|(other, _)| other == stream),
            Some((map, _)) => map.get(stream).copied(),
        }
    }

    /// The head of the stream at this place after these records of the batch.
    pub(super) fn head(&self, place: usize, records: &[Record]) -> Head {
        match self.last(place).and_then(|position| records.get(position)) {
            Some(record) => record.head(),
            None => self.expected.get(place).map_or(Head::EMPTY, |(_, head)| *head),
        }
    }

    /// Says that the record at this position is the last of the stream at this place.
    pub(super) fn set_last(&mut self, place: usize, position: usize) {
        let all = match &mut self.many {
            None => self.few.as_mut_slice(),
            Some((_, last)) => last,
        };
        if let Some(last) = all.get_mut(place) {
            *last = position.saturating_add(1);
        }
    }

    /// The position of the last record of the stream at this place.
    fn last(&self, place: usize) -> Option<usize> {
        let all = match &self.many {
            None => self.few.as_slice(),
            Some((_, last)) => last,
        };
        all.get(place).and_then(|last| last.checked_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Domain;
    use crate::id::Subsystem;
    use crate::ssot::record::{Draft, RecordKind, StreamKind};
    use crate::time::Timestamp;

    struct End {
        next: u64,
        heads: BTreeMap<StreamId, Head>,
        payloads: BTreeMap<Digest, Vec<u8>>,
    }

    impl View for End {
        fn next_index(&self) -> Result<u64, StoreError> {
            Ok(self.next)
        }
        fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
            Ok(self.heads.get(stream).copied().unwrap_or(Head::EMPTY))
        }
        fn keeps_other(&self, digest: &Digest, bytes: &[u8]) -> Result<bool, StoreError> {
            Ok(self.payloads.get(digest).is_some_and(|kept| kept != bytes))
        }
    }

    fn end() -> End {
        let heads = [(stream("old"), Head::new(3, Domain::Other.hash(b"third")))];
        let payloads = [(Domain::Payload.hash(b"p"), b"p".to_vec())];
        End { next: 7, heads: heads.into(), payloads: payloads.into() }
    }

    fn stream(name: &str) -> StreamId {
        StreamId::new(StreamKind::Routing, name.parse().unwrap())
    }

    fn draft(name: &str, body: &[u8]) -> Draft {
        Draft::new(stream(name), RecordKind::Outcome, Subsystem::Execution, body.to_vec())
    }

    fn batch() -> Batch {
        Batch::new(Timestamp::from_millis(5))
    }

    #[expect(clippy::needless_pass_by_value, reason = "batches are made where they are given")]
    fn reason(batch: Batch) -> &'static str {
        match plan(&batch, &end()) {
            Err(AppendError::Refused { reason }) => reason,
            other => panic!("expected a refusal, found {other:?}"),
        }
    }

    #[test]
    fn records_continue_their_streams_and_the_log() {
        let old = end().heads[&stream("old")];
        let given = batch()
            .expect(stream("old"), old)
            .expect(stream("read"), Head::EMPTY)
            .expect(stream("new"), Head::EMPTY)
            .append(draft("old", b"a"))
            .append(draft("new", b"b"))
            .append(draft("old", b"c"));
        let plan = plan(&given, &end()).unwrap();
        let places: Vec<_> = plan.records.iter().map(|r| (r.index(), r.sequence())).collect();
        assert_eq!(places, [(7, 3), (8, 0), (9, 4)]);
        assert_eq!(plan.records[0].previous(), old.digest());
        assert_eq!(plan.records[1].previous(), Digest::ZERO);
        assert_eq!(plan.records[2].previous(), plan.records[0].digest());
        assert_eq!(
            plan.heads().collect::<Vec<_>>(),
            [(&stream("old"), plan.records[2].head()), (&stream("new"), plan.records[1].head())]
        );
    }

    #[test]
    fn a_head_elsewhere_is_a_conflict_also_for_a_stream_that_is_only_read() {
        let found = end().heads[&stream("old")];
        for given in [
            batch().expect(stream("old"), Head::EMPTY).append(draft("old", b"")),
            batch()
                .expect(stream("new"), Head::EMPTY)
                .expect(stream("old"), Head::EMPTY)
                .append(draft("new", b"")),
        ] {
            let error = plan(&given, &end()).unwrap_err();
            assert!(
                matches!(&error, AppendError::Conflict { stream: s, expected, found: f }
                    if *s == stream("old") && *expected == Head::EMPTY && *f == found),
                "{error:?}"
            );
        }
    }

    #[test]
    fn batches_that_break_a_rule_are_refused() {
        let one = || batch().expect(stream("a"), Head::EMPTY).append(draft("a", b""));
        assert!(plan(&one(), &end()).is_ok());
        assert_eq!(reason(batch()), "a batch must append at least one record");
        assert_eq!(reason(one().append(draft("b", b""))), UNEXPECTED);
        assert_eq!(reason(one().expect(stream("a"), Head::EMPTY)), "a stream is expected twice");
        let large = alloc::vec![0; RECORD_BYTES + 1];
        assert_eq!(
            reason(one().append(draft("a", &large))),
            "a record's body is larger than the limit"
        );
        assert!(plan(&one().append(draft("a", &large[1..])), &end()).is_ok());
        let digest = Domain::Payload.hash(b"x");
        assert_eq!(
            reason(one().payload(digest, large.into())),
            "a payload is larger than the limit"
        );
        let two = one().payload(digest, (*b"x").into()).payload(digest, (*b"y").into());
        assert_eq!(reason(two), "one digest stands for two payloads");
        let other = one().payload(Domain::Payload.hash(b"p"), (*b"q").into());
        assert_eq!(reason(other), "another payload is kept under this digest");
        assert!(plan(&one().payload(Domain::Payload.hash(b"p"), (*b"p").into()), &end()).is_ok());
        let many = (0..BATCH_RECORDS).fold(one(), |b, _| b.append(draft("a", b"")));
        assert_eq!(reason(many), "a batch has more records than the limit");
    }

    #[test]
    fn many_expectations_follow_the_same_rules_as_few() {
        for count in [FEW, FEW + 1, 100] {
            let name = |i: usize| alloc::format!("s{i}");
            let all = (0..count).fold(batch(), |b, i| {
                b.expect(stream(&name(i)), Head::EMPTY).append(draft(&name(i), b""))
            });
            assert_eq!(plan(&all, &end()).unwrap().heads().count(), count);
            let twice = all.clone().expect(stream("s3"), Head::EMPTY);
            assert_eq!(reason(twice), "a stream is expected twice");
            assert_eq!(reason(all.append(draft("other", b""))), UNEXPECTED);
        }
    }

    #[test]
    fn a_log_at_the_end_of_its_numbers_takes_no_more() {
        let mut full = end();
        full.next = u64::MAX;
        let one = batch().expect(stream("a"), Head::EMPTY).append(draft("a", b""));
        assert!(matches!(plan(&one, &full), Err(AppendError::Refused { .. })));
    }

    #[test]
    fn time_is_taken_as_given() {
        let given = Batch::new(Timestamp::from_millis(0))
            .expect(stream("a"), Head::EMPTY)
            .append(draft("a", b""));
        assert_eq!(plan(&given, &end()).unwrap().records[0].timestamp().as_millis(), 0);
    }
}
