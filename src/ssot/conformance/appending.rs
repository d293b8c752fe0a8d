//! The rules of compare-and-append.

use std::format;
use std::vec;

use super::{Outcome, TIME, Trial, draft, elsewhere, named, stream};
use crate::digest::Domain;
use crate::id::Subsystem;
use crate::limits::{BATCH_RECORDS, RECORD_BYTES};
use crate::ssot::record::{Draft, Head, RecordKind, StreamKind};
use crate::ssot::store::{AppendError, Batch, Store};
use crate::time::Timestamp;

/// A committed batch answers with its drafts, each sealed, in order, linked and placed.
///
/// # Errors
/// [`ConformanceFailure`](super::ConformanceFailure) when the store does otherwise.
pub fn sealing<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("sealing", store);
    let (a, b) = (stream("a"), named(StreamKind::Governance, "a"));
    let batch = Batch::new(TIME)
        .expect(b.clone(), Head::EMPTY)
        .expect(a.clone(), Head::EMPTY)
        .append(draft(&a, b"1"))
        .append(Draft::new(b.clone(), RecordKind::Fact, Subsystem::Memory, vec![0; 1000]))
        .append(draft(&a, b""));
    let first = trial.commit("appending to two new streams", batch)?;
    let places: Vec<_> = first.iter().map(|r| (r.index(), r.sequence())).collect();
    trial.same("index and sequence", &vec![(0, 0), (1, 0), (2, 1)], &places)?;

    let heads = [store.head(&a), store.head(&b)];
    let [a_head, b_head] = heads.map(|head| trial.done("reading a head", head));
    let (a_head, b_head) = (a_head?, b_head?);
    let sealed = |position: usize| first.get(position).map(crate::ssot::record::Record::head);
    trial.same("the heads after", &(sealed(2), sealed(1)), &(Some(a_head), Some(b_head)))?;

    // Time is taken as given, also when it is earlier than before.
    let earlier = Timestamp::from_millis(1);
    let batch = Batch::new(earlier).expect(a.clone(), a_head).append(draft(&a, b"2"));
    let second = trial.commit("appending at an earlier time", batch)?;
    let places: Vec<_> = second.iter().map(|r| (r.index(), r.sequence(), r.timestamp())).collect();
    trial.same("index, sequence and time", &vec![(3, 2, earlier)], &places)
}

/// A batch whose expected head is not the stream's is in conflict: behind, ahead, or
/// of the right length with another digest.
///
/// # Errors
/// [`ConformanceFailure`](super::ConformanceFailure) when the store does otherwise.
pub fn compare_and_append<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("compare_and_append", store);
    let a = stream("a");
    let first = trial.push(&a, b"1")?.head();
    let found = trial.push(&a, b"2")?.head();
    for (what, expected) in [
        ("expecting an empty stream", Head::EMPTY),
        ("expecting an earlier head", first),
        ("expecting another digest", elsewhere(found.length())),
        ("expecting more records", elsewhere(9)),
        ("expecting another length", Head::new(1, found.digest())),
    ] {
        let batch = Batch::new(TIME).expect(a.clone(), expected).append(draft(&a, b"3"));
        trial.conflicts(what, batch, &a, (expected, found))?;
    }
    trial.push(&a, b"3").map(|_| ())
}

/// Of two who expect a stream to be new, one comes first (D-26).
///
/// # Errors
/// [`ConformanceFailure`](super::ConformanceFailure) when the store does otherwise.
pub fn first_writer<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("first_writer", store);
    let a = stream("a");
    let batch = || Batch::new(TIME).expect(a.clone(), Head::EMPTY).append(draft(&a, b"open"));
    let first = trial.commit("the first to open a stream", batch())?;
    let found = first.first().map_or(Head::EMPTY, crate::ssot::record::Record::head);
    trial.conflicts("the second to open a stream", batch(), &a, (Head::EMPTY, found))?;
    // A stream of the same name and another kind is another stream.
    let other = named(StreamKind::Session, "a");
    trial.push(&other, b"open").map(|_| ())
}

/// A batch over several streams of which one is in conflict leaves nothing behind: no
/// record, no head, no stream, no payload, in whichever order they were named.
///
/// # Errors
/// [`ConformanceFailure`](super::ConformanceFailure) when the store does otherwise.
pub fn atomicity<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("atomicity", store);
    let (a, b, new) = (stream("a"), stream("b"), stream("new"));
    let (a_head, b_head) = (trial.push(&a, b"1")?.head(), trial.push(&b, b"1")?.head());
    let payload = Domain::Payload.hash(b"payload");
    for stale in 0..3 {
        let expected = [(&a, a_head), (&b, Head::EMPTY), (&new, Head::EMPTY)];
        let mut order = expected;
        order.rotate_left(stale);
        let batch = order.into_iter().fold(Batch::new(TIME), |batch, (stream, head)| {
            batch.expect(stream.clone(), head).append(draft(stream, b"2"))
        });
        let batch = batch.payload(payload, (*b"payload").into());
        let what = format!("three streams, one stale, order {stale}");
        trial.conflicts(&what, batch, &b, (Head::EMPTY, b_head))?;
        let kept = trial.done("reading a payload", store.payload(&payload))?;
        trial.same(&format!("{what}: the payload"), &None, &kept)?;
    }
    let batch = [(&a, a_head), (&b, b_head), (&new, Head::EMPTY)]
        .into_iter()
        .fold(Batch::new(TIME), |batch, (stream, head)| {
            batch.expect(stream.clone(), head).append(draft(stream, b"2"))
        });
    trial.commit("three streams, none stale", batch).map(|_| ())
}

/// A stream that is only read may be expected: the batch is in conflict when it
/// moved, and leaves it as it is otherwise.
///
/// # Errors
/// [`ConformanceFailure`](super::ConformanceFailure) when the store does otherwise.
pub fn read_only_expectations<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("read_only_expectations", store);
    let (read, written) = (stream("read"), stream("written"));
    let batch = |read_head, written_head| {
        Batch::new(TIME)
            .expect(read.clone(), read_head)
            .expect(written.clone(), written_head)
            .append(draft(&written, b"x"))
    };
    let one = trial.commit("reading an empty stream", batch(Head::EMPTY, Head::EMPTY))?;
    let written_head = one.first().map_or(Head::EMPTY, crate::ssot::record::Record::head);
    let listed = trial.done("listing the streams", store.streams(None, 10))?;
    trial.same("the streams", &vec![(written.clone(), written_head)], &listed)?;

    let read_head = trial.push(&read, b"moved")?.head();
    let stale = batch(Head::EMPTY, written_head);
    trial.conflicts("reading a stream that moved", stale, &read, (Head::EMPTY, read_head))?;
    trial.commit("reading a stream that stayed", batch(read_head, written_head))?;
    let after = trial.done("reading a head", store.head(&read))?;
    trial.same("the head of the stream that was read", &read_head, &after)
}

/// A batch that breaks a rule of its form is refused and leaves nothing; one at the
/// very limit is not.
///
/// # Errors
/// [`ConformanceFailure`](super::ConformanceFailure) when the store does otherwise.
pub fn refusals<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("refusals", store);
    let (a, b) = (stream("a"), stream("b"));
    let one = || Batch::new(TIME).expect(a.clone(), Head::EMPTY).append(draft(&a, b"1"));
    let digest = Domain::Payload.hash(b"p");
    let large = vec![0; RECORD_BYTES + 1];
    let many = |count: usize| (0..count).fold(one(), |batch, _| batch.append(draft(&a, b"")));
    for (what, batch) in [
        ("a batch without a record", Batch::new(TIME).expect(a.clone(), Head::EMPTY)),
        ("an append to a stream that is not expected", one().append(draft(&b, b""))),
        ("a stream expected twice", one().expect(a.clone(), Head::EMPTY)),
        ("a body above the limit", one().append(draft(&a, &large))),
        ("a payload above the limit", one().payload(digest, large.clone().into())),
        ("more records than the limit", many(BATCH_RECORDS)),
        (
            "one digest for two payloads",
            one().payload(digest, (*b"p").into()).payload(digest, (*b"q").into()),
        ),
    ] {
        let before = trial.seen()?;
        match store.append(&batch) {
            Err(AppendError::Refused { .. }) => {}
            Err(other) => {
                return Err(trial.fail(format!("{what}: expected a refusal, found: {other}")));
            }
            Ok(_) => {
                return Err(trial.fail(format!("{what}: expected a refusal, found success")));
            }
        }
        trial.same(&format!("{what}: nothing may have changed"), &before, &trial.seen()?)?;
    }
    let records = trial.commit("as many records as the limit", many(BATCH_RECORDS - 1))?;
    let head = records.last().map_or(Head::EMPTY, crate::ssot::record::Record::head);
    let largest = large.get(1..).unwrap_or_default();
    let batch = Batch::new(TIME).expect(a.clone(), head).append(draft(&a, largest));
    trial.commit("a body of the largest size", batch).map(|_| ())
}
