//! The rules of reading: orders, pages, payloads.

use std::format;
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

use super::{ConformanceFailure, Outcome, TIME, Trial, digests, draft, named, stream};
use crate::digest::{Digest, Domain};
use crate::ssot::record::{Head, Record, StreamKind};
use crate::ssot::store::{AppendError, Batch, Store, Stored, Stretch};

/// A new store has no record, no stream and no payload.
///
/// # Errors
/// [`ConformanceFailure`] when the store does otherwise.
pub fn starts_empty<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("starts_empty", store);
    trial.same("its length", &0, &trial.done("reading the length", store.len())?)?;
    trial.same("is empty", &true, &trial.done("reading the length", store.is_empty())?)?;
    let head = trial.done("reading a head", store.head(&stream("a")))?;
    trial.same("the head of a stream without a record", &Head::EMPTY, &head)?;
    trial.same("the log", &vec![], &trial.done("reading the log", store.read(0, 10))?)?;
    let entries = trial.done("reading a stream", store.read_stream(&stream("a"), 0, 10))?;
    trial.same("a stream without a record", &vec![], &entries)?;
    let streams = trial.done("listing the streams", store.streams(None, 10))?;
    trial.same("the streams", &vec![], &streams)?;
    let payload = trial.done("reading a payload", store.payload(&Digest::ZERO))?;
    trial.same("a payload that was never kept", &None, &payload)
}

/// The log is read in the order of its indices, from any index, in pages of any size.
///
/// # Errors
/// [`ConformanceFailure`] when the store does otherwise.
pub fn global_order<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("global_order", store);
    let written = write_some(&trial)?;
    let all = digests(&written);
    trial.same("its length", &(all.len() as u64), &trial.done("the length", store.len())?)?;
    trial.same("is empty", &false, &trial.done("the length", store.is_empty())?)?;
    pages(&trial, "the log", &written, |from, limit| store.read(from, limit))
}

/// A stream is read in the order of its sequence, from any sequence, in pages of any
/// size, without a record of another stream.
///
/// # Errors
/// [`ConformanceFailure`] when the store does otherwise.
pub fn stream_order<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("stream_order", store);
    let written = write_some(&trial)?;
    for id in some_streams() {
        let own: Vec<Record> = written.iter().filter(|r| *r.stream() == id).cloned().collect();
        let name = format!("stream `{id}`");
        pages(&trial, &name, &own, |from, limit| store.read_stream(&id, from, limit))?;
        let head = trial.done("reading a head", store.head(&id))?;
        let last = own.last().map_or(Head::EMPTY, Record::head);
        trial.same(&format!("the head of {name}"), &last, &head)?;
    }
    Ok(())
}

/// Streams are listed once each with their heads, in the order of their ids, after any
/// id (also one that has no record), in pages of any size.
///
/// # Errors
/// [`ConformanceFailure`] when the store does otherwise.
pub fn stream_listing<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("stream_listing", store);
    let written = write_some(&trial)?;
    let mut expected = some_streams();
    expected.sort();
    let with_head = |id: &crate::ssot::record::StreamId| {
        let last = written.iter().rfind(|record| record.stream() == id);
        (id.clone(), last.map_or(Head::EMPTY, Record::head))
    };
    let expected: Vec<_> = expected.iter().map(with_head).collect();
    for limit in [0, 1, 2, expected.len(), 1000] {
        let found = trial.done("listing the streams", store.streams(None, limit))?;
        let first: Vec<_> = expected.iter().take(limit).cloned().collect();
        trial.same(&format!("the first {limit} streams"), &first, &found)?;
    }
    let absent = [named(StreamKind::Audience, "0"), named(StreamKind::Routing, "aa")];
    for after in expected.iter().map(|(id, _)| id).chain(&absent) {
        let rest: Vec<_> = expected.iter().filter(|(id, _)| id > after).take(2).cloned().collect();
        let found = trial.done("listing the streams", store.streams(Some(after), 2))?;
        trial.same(&format!("two streams after `{after}`"), &rest, &found)?;
    }
    Ok(())
}

/// A payload is kept under its digest with its batch, is found as it was, may be
/// given again, and is never replaced by another.
///
/// # Errors
/// [`ConformanceFailure`] when the store does otherwise.
pub fn payloads<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("payloads", store);
    let a = stream("a");
    let keep = |head, payloads: &[&[u8]]| {
        let batch = Batch::new(TIME).expect(a.clone(), head).append(draft(&a, b"with payloads"));
        payloads
            .iter()
            .fold(batch, |batch, &bytes| batch.payload(Domain::Payload.hash(bytes), bytes.into()))
    };
    let found = |bytes: &[u8]| {
        let kept = store.payload(&Domain::Payload.hash(bytes));
        let kept = trial.done("reading a payload", kept)?;
        let expected: Option<Arc<[u8]>> = Some(bytes.into());
        trial.same(&format!("a payload of {} bytes", bytes.len()), &expected, &kept)
    };
    let large = vec![7; 100_000];
    let first = trial.commit("two payloads", keep(Head::EMPTY, &[b"one", &large]))?;
    let head = first.first().map_or(Head::EMPTY, Record::head);
    found(b"one")?;
    found(&large)?;
    let second = trial.commit("one again, one new", keep(head, &[b"one", b""]))?;
    let head = second.first().map_or(Head::EMPTY, Record::head);
    found(b"one")?;
    found(b"")?;
    let batch = Batch::new(TIME).expect(a.clone(), head).append(draft(&a, b"other"));
    let batch = batch.payload(Domain::Payload.hash(b"one"), (*b"two").into());
    match store.append(&batch) {
        Err(AppendError::Refused { .. }) => found(b"one"),
        Err(other) => Err(trial.fail(format!(
            "other bytes for a digest that is kept: expected a refusal, found: {other}"
        ))),
        Ok(_) => Err(trial.fail(
            "other bytes for a digest that is kept: expected a refusal, found success".into(),
        )),
    }
}

/// What is shown without a copy is what is read: `scan` shows what `read` reads, `trace`
/// the places of what `read_stream` reads, `payloads` what `payload` gives.
///
/// # Errors
/// [`ConformanceFailure`] when the store does otherwise.
pub fn showing<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("showing", store);
    let written = write_some(&trial)?;
    for (from, limit) in [(0, 1000), (0, 0), (0, 1), (1, 3), (3, 1000), (1000, 5)] {
        let what = format!("{limit} records from {from}");
        let mut shown = Vec::new();
        let scanned = store.scan(from, limit, &mut |bytes, digest| {
            shown.push(Stored { bytes: bytes.into(), digest: *digest });
        });
        trial.done("showing the log", scanned)?;
        trial.same(&what, &trial.done("reading the log", store.read(from, limit))?, &shown)?;

        let ids = some_streams();
        let stretches: Vec<_> = ids.iter().map(|stream| Stretch { stream, from, limit }).collect();
        let mut shown = vec![Vec::new(); ids.len()];
        let traced = store.trace(&stretches, &mut |number, index| {
            if let Some(places) = shown.get_mut(number) {
                places.push(index);
            }
        });
        trial.done("showing the places of streams", traced)?;
        for (id, shown) in ids.iter().zip(&shown) {
            let own = written.iter().filter(|record| record.stream() == id);
            let own = own.filter(|record| record.sequence() >= from).take(limit);
            let places: Vec<u64> = own.map(Record::index).collect();
            trial.same(&format!("the places of {what} of `{id}`"), &places, shown)?;
        }
    }
    let (id, head) = (stream("a"), trial.done("reading a head", store.head(&stream("a")))?);
    let digest = Domain::Payload.hash(b"shown");
    let batch = Batch::new(TIME).expect(id.clone(), head).append(draft(&id, b"with a payload"));
    trial.commit("a payload", batch.payload(digest, (*b"shown").into()))?;
    let mut shown = Vec::new();
    let asked = [Digest::ZERO, digest, digest];
    let result = store.payloads(&asked, &mut |number, bytes| shown.push((number, bytes.to_vec())));
    trial.done("showing payloads", result)?;
    trial.same("payloads", &vec![(1, b"shown".to_vec()), (2, b"shown".to_vec())], &shown)
}

/// Streams whose ids are near each other in every way a key could mix up.
pub(super) fn some_streams() -> Vec<crate::ssot::record::StreamId> {
    vec![
        stream("a"),
        stream("a b"),
        stream("a/b"),
        stream("b"),
        named(StreamKind::Audience, "a"),
        named(StreamKind::Governance, "a"),
        stream("ä"),
    ]
}

/// Some records on these streams, taking turns, some of them in one batch.
pub(super) fn write_some<S: Store>(
    trial: &Trial<'_, S>,
) -> Result<Vec<Record>, ConformanceFailure> {
    let streams = some_streams();
    let mut written = Vec::new();
    for round in 0..6_u8 {
        for (id, number) in streams.iter().zip(0_u8..) {
            if round % (number % 3 + 1) == 0 {
                written.push(trial.push(id, &[round, number])?);
            }
        }
        let mut batch = Batch::new(TIME);
        for id in &streams {
            let head = trial.done("reading a head", trial.store.head(id))?;
            batch = batch.expect(id.clone(), head).append(draft(id, &[round]));
        }
        written.extend(trial.commit("appending to all streams", batch)?);
    }
    Ok(written)
}

/// Reads from every place and in pages of several sizes what must be `expected`.
fn pages<S: Store, E: core::fmt::Display>(
    trial: &Trial<'_, S>,
    name: &str,
    expected: &[Record],
    read: impl Fn(u64, usize) -> Result<Vec<Stored>, E>,
) -> Outcome {
    let count = expected.len() as u64;
    for from in (0..=count + 1).chain([u64::MAX]) {
        for limit in [0, 1, 3, 1000] {
            let what = format!("{name} from {from}, at most {limit} records");
            let found = trial.done(&what, read(from, limit))?;
            let start = usize::try_from(from).unwrap_or(usize::MAX);
            let chosen = expected.iter().skip(start).take(limit);
            let chosen: Vec<Stored> = chosen
                .map(|record| Stored { bytes: record.shared_bytes(), digest: record.digest() })
                .collect();
            if chosen != found {
                let (chosen, found) = (places(&chosen), places(&found));
                trial.same(&what, &chosen, &found)?;
                return Err(trial.fail(format!("{what}: expected the bytes that were sealed")));
            }
        }
    }
    Ok(())
}

/// Index and stored digest of each, to show a difference.
fn places(entries: &[Stored]) -> Vec<(Option<u64>, Digest)> {
    let index = |e: &Stored| Record::decode_sealed(&e.bytes).ok().map(|record| record.index());
    entries.iter().map(|entry| (index(entry), entry.digest)).collect()
}
