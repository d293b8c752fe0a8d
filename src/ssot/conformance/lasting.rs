//! What holds over many appends, many threads and a reopening.

use std::format;
use std::string::String;
use std::thread;
use std::vec::Vec;

use super::reading::{some_streams, write_some};
use super::{ConformanceFailure, Outcome, TIME, Trial, draft, promises_to_last, stream};
use crate::digest::Domain;
use crate::ssot::record::{Head, Record};
use crate::ssot::store::{AppendError, Batch, Store};
use crate::ssot::verify::{verify, verify_stream};

/// What was written verifies as a whole and stream by stream.
///
/// # Errors
/// [`ConformanceFailure`] when the store does otherwise.
pub fn soundness<S: Store>(store: &S) -> Outcome {
    let trial = Trial::new("soundness", store);
    let written = write_some(&trial)?;
    let report = trial.done("verifying the log", verify(store, |_| {}))?;
    let last = written.last().map(Record::digest);
    let expected = (written.len() as u64, some_streams().len() as u64, last);
    let found = (report.records, report.streams, report.last);
    trial.same("records, streams and last digest", &expected, &found)?;
    for id in some_streams() {
        let own: Vec<Record> = written.iter().filter(|r| *r.stream() == id).cloned().collect();
        let found = trial.done("replaying a stream", verify_stream(store, &id))?;
        trial.same(&format!("the replay of `{id}`"), &own, &found)?;
    }
    Ok(())
}

const WRITERS: usize = 4;
const APPENDS: usize = 25;

/// Writers on several threads that compare and append to one shared stream and one
/// of their own lose nothing: each answer is kept, at the place it named, and each head of
/// the shared stream was followed once.
///
/// # Errors
/// [`ConformanceFailure`] when the store does otherwise.
pub fn concurrent_writers<S: Store + Sync>(store: &S) -> Outcome {
    let trial = Trial::new("concurrent_writers", store);
    let answers = thread::scope(|scope| {
        let start = |writer| scope.spawn(move || write_and_retry(store, writer));
        let threads: Vec<_> = (0..WRITERS).map(start).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    let mut kept: Vec<Record> = Vec::new();
    for answer in answers {
        let answer = answer.map_err(|_| trial.fail("a writer panicked".into()))?;
        kept.extend(answer.map_err(|what| trial.fail(what))?);
    }
    kept.sort_by_key(Record::index);
    let expected = 2 * WRITERS * APPENDS;
    trial.same("records acknowledged", &expected, &kept.len())?;
    let log = trial.done("reading the log", store.read(0, expected + 1))?;
    trial.same("records in the log", &expected, &log.len())?;
    let differs = kept.iter().zip(&log).find(|(record, stored)| *stored.bytes != *record.bytes());
    if let Some((record, _)) = differs {
        return Err(trial.fail(format!(
            "record {} of stream `{}` was acknowledged, found another in its place",
            record.index(),
            record.stream()
        )));
    }
    let shared = trial.done("reading a head", store.head(&stream("shared")))?;
    trial.same("the length of the shared stream", &((expected / 2) as u64), &shared.length())?;
    trial.done("verifying the log", verify(store, |_| {})).map(|_| ())
}

fn write_and_retry<S: Store>(store: &S, writer: usize) -> Result<Vec<Record>, String> {
    let (shared, own) = (stream("shared"), stream(&format!("writer {writer}")));
    let mut kept = Vec::new();
    let mut own_head = Head::EMPTY;
    for _ in 0..APPENDS {
        // Each conflict means that another writer came through: this ends.
        let records = loop {
            let head = store.head(&shared).map_err(|error| format!("reading a head: {error}"))?;
            thread::yield_now();
            let batch = Batch::new(TIME)
                .expect(shared.clone(), head)
                .expect(own.clone(), own_head)
                .append(draft(&shared, own.name().as_str().as_bytes()))
                .append(draft(&own, b"own"));
            let asked = batch.clone();
            match store.append(&batch) {
                Ok(answer) => {
                    let receipt = crate::ssot::ledger::check(&asked, answer, store.durability());
                    break receipt.map_err(|error| format!("an answer: {error}"))?.into_records();
                }
                Err(AppendError::Conflict { stream, .. }) if stream == shared => {}
                Err(other) => return Err(format!("appending: expected success, found: {other}")),
            }
        };
        own_head = records.last().map_or(own_head, Record::head);
        kept.extend(records);
    }
    Ok(kept)
}

/// What was committed is there after the store was closed and opened again, and goes on
/// where it ended. `reopen` is handed the store to close.
///
/// A store that says it is [`Volatile`](crate::ssot::store::Durability::Volatile)
/// promises nothing here and passes.
///
/// # Errors
/// [`ConformanceFailure`] when the store does otherwise.
pub fn durability<S: Store>(store: S, reopen: impl FnOnce(S) -> S) -> Outcome {
    let trial = Trial::new("durability", &store);
    if !promises_to_last(store.durability()) {
        return Ok(());
    }
    let written = write_some(&trial)?;
    let payload = Domain::Payload.hash(b"lasting");
    let own = stream("with payload");
    let batch = Batch::new(TIME).expect(own.clone(), Head::EMPTY).append(draft(&own, b""));
    trial.commit("keeping a payload", batch.payload(payload, (*b"lasting").into()))?;
    let before = trial.seen()?;

    let store = reopen(store);
    let trial = Trial::new("durability", &store);
    trial.same("the log and its streams", &before, &trial.seen()?)?;
    let kept = trial.done("reading a payload", store.payload(&payload))?;
    trial.same("the payload", &Some((*b"lasting").into()), &kept)?;
    let next = trial.push(&own, b"after")?;
    let place = (written.len() as u64 + 1, 1);
    trial.same("index and sequence of the next", &place, &(next.index(), next.sequence()))?;
    let report: Result<_, ConformanceFailure> =
        trial.done("verifying the log", verify(&store, |_| {}));
    report.map(|_| ())
}
