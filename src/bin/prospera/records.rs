//! Finding and reading what a log holds.

use prospera::encode::{DecodeError, Reader};
use prospera::id::{KindId, RequestId, SessionId, SubjectId};
use prospera::intent::Argument;
use prospera::routing::{EvidenceBlock, Outcome, payloads};
use prospera::ssot::record::{Record, RecordKind, StreamKind};
use prospera::ssot::store::Store;

use crate::failure::Failure;

/// What an intent's canonical bytes say.
pub(crate) struct ReadIntent {
    pub(crate) session: SessionId,
    pub(crate) request: Option<RequestId>,
    pub(crate) arguments: Vec<(String, Argument)>,
    pub(crate) reads: Vec<(String, u64)>,
}

/// Reads canonical bytes without the catalogue they were checked against.
pub(crate) fn read_intent(bytes: &[u8]) -> Result<ReadIntent, DecodeError> {
    let mut input = Reader::new(bytes);
    let _kind: KindId = input.value()?;
    let _subject: SubjectId = input.value()?;
    let (session, request) = (input.value()?, input.option()?);
    let mut arguments = Vec::new();
    for _ in 0..input.count(10)? {
        let name = input.text()?.to_owned();
        arguments.push((name, Argument { value: input.value()?, label: input.value()? }));
    }
    let mut reads = Vec::new();
    for _ in 0..input.count(13)? {
        let key: prospera::id::FactKey = input.value()?;
        reads.push((key.to_string(), input.u64()?));
    }
    Ok(ReadIntent { session, request, arguments, reads })
}

/// The caller's mark in an intent's canonical bytes.
pub(crate) fn request_of(bytes: &[u8]) -> Option<RequestId> {
    read_intent(bytes).ok()?.request
}

/// One route of a log.
pub(crate) struct RouteRecord {
    pub(crate) record: Record,
    pub(crate) block: EvidenceBlock,
}

/// Most records read at a time.
const CHUNK: usize = 256;

/// Visits every record of the log from index `from` on, in order.
pub(crate) fn each_record<S: Store + ?Sized>(
    store: &S,
    mut from: u64,
    mut visit: impl FnMut(Record) -> Result<(), Failure>,
) -> Result<(), Failure> {
    loop {
        let piece = store.read(from, CHUNK)?;
        if piece.is_empty() {
            return Ok(());
        }
        for stored in &piece {
            let record = Record::decode_sealed(&stored.bytes).map_err(|error| {
                Failure::new(format!("record {from} cannot be read: {error}"))
                    .help("`prospera verify` names the first record that is wrong")
            })?;
            if record.digest() != stored.digest {
                return Err(Failure::new(format!("record {from} was changed"))
                    .help("`prospera verify` says what was expected and what was found"));
            }
            from = from.saturating_add(1);
            visit(record)?;
        }
    }
}

/// Finds a route by the beginning of its record's digest, its index, or the last one
/// with the request's mark.
pub(crate) fn find_route<S: Store + ?Sized>(
    store: &S,
    wanted: &str,
) -> Result<RouteRecord, Failure> {
    let index: Option<u64> = wanted.parse().ok();
    let hex = wanted.len() >= 4 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    let prefix = hex.then(|| wanted.to_ascii_lowercase());
    let mut by_digest: Vec<Record> = Vec::new();
    let mut by_index = None;
    let mut by_mark = None;
    let mut routes = 0_u64;
    each_record(store, 0, |record| {
        if record.kind() != RecordKind::EvidenceBlock {
            return Ok(());
        }
        routes = routes.saturating_add(1);
        if index == Some(record.index()) {
            by_index = Some(record.clone());
        }
        if prefix.as_ref().is_some_and(|p| record.digest().to_string().starts_with(p)) {
            by_digest.push(record.clone());
        }
        let block: EvidenceBlock = record.read()?;
        let mark = payloads::intent(store, &block).ok().flatten();
        let mark = mark.and_then(|bytes| request_of(&bytes));
        if mark.is_some_and(|mark| mark.as_str() == wanted) {
            by_mark = Some(record);
        }
        Ok(())
    })?;
    if by_digest.len() > 1 && by_mark.is_none() && by_index.is_none() {
        let found: Vec<_> = by_digest.iter().map(|r| r.digest().short().to_string()).collect();
        return Err(Failure::new(format!(
            "`{wanted}` is the beginning of several records: {}",
            found.join(", ")
        )));
    }
    let record = by_mark.or(by_index).or_else(|| by_digest.pop()).ok_or_else(|| {
        Failure::new(format!("the log has no route `{wanted}`, it has {routes} routes"))
            .help("a route goes by the beginning of its record's digest, its index, or the request's own mark; `prospera route -v` lists them")
    })?;
    Ok(RouteRecord { block: record.read()?, record })
}

/// The outcome that was recorded for a route.
pub(crate) fn outcome_of<S: Store + ?Sized>(
    store: &S,
    evidence: &Record,
) -> Result<Option<Outcome>, Failure> {
    let after = evidence.sequence().saturating_add(1);
    let next = store.read_stream(evidence.stream(), after, 1)?;
    let Some(stored) = next.first() else { return Ok(None) };
    let record = Record::decode_sealed(&stored.bytes)?;
    if record.kind() != RecordKind::Outcome {
        return Ok(None);
    }
    let outcome: Outcome = record.read()?;
    Ok((outcome.evidence == evidence.digest()).then_some(outcome))
}

/// The names of all streams of a kind.
pub(crate) fn names_of<S: Store + ?Sized>(
    store: &S,
    kind: StreamKind,
) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let streams = store.streams(after.as_ref(), CHUNK)?;
        let Some((last, _)) = streams.last() else { return Ok(names) };
        after = Some(last.clone());
        let mine = streams.iter().filter(|(stream, _)| stream.kind() == kind);
        names.extend(mine.map(|(stream, _)| stream.name().to_string()));
    }
}
