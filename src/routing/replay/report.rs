//! What a replay found.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use serde::Serialize;

use crate::digest::Digest;
use crate::id::LayerId;
use crate::routing::evidence::{EvidenceBlock, StepResult, TraceEntry};
use crate::ssot::record::{Draft, Record, RecordKind};

/// How many records of a kind were derived again, and how many not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// Derived again, byte for byte.
    pub same: u64,
    /// Derived to something else.
    pub differ: u64,
    /// Not derived: see [`NotReplayable`].
    pub not_replayable: u64,
}

impl Tally {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.same.saturating_add(self.differ).saturating_add(self.not_replayable)
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.same = self.same.saturating_add(other.same);
        self.differ = self.differ.saturating_add(other.differ);
        self.not_replayable = self.not_replayable.saturating_add(other.not_replayable);
    }
}

/// Why a record cannot be derived again. It is counted and never skipped in silence.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NotReplayable {
    /// The intent or its objective was erased: what was asked for is not known any more.
    Erased,
    /// The policy version it was decided under cannot be had.
    Policy,
    /// No policy version was pinned before it.
    NothingPinned,
    /// Its session was opened under an identity policy that the log does not have.
    IdentityPolicy,
    /// It belongs to a session or a decision that the log does not have before it.
    Unknown,
    /// It was recorded by something else than the router's acts.
    OtherAct,
    /// It stands behind a lineage that breaks.
    Behind,
}

impl NotReplayable {
    /// In words.
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Erased => "its payload was erased",
            Self::Policy => "its policy version is not to be had",
            Self::NothingPinned => "no policy was pinned before it",
            Self::IdentityPolicy => "its session's identity policy is not to be had",
            Self::Unknown => "what it rests on is not in the log",
            Self::OtherAct => "it was recorded by no act of the router",
            Self::Behind => "it stands behind a lineage that breaks",
        }
    }
}

/// A record that is not what the records before it, the tables and the policies make it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its place in the global log.
    pub index: u64,
    /// Its digest: the Audit Hash, where it is a route's evidence.
    pub record: Digest,
    /// Its kind.
    pub kind: RecordKind,
    /// Its stream.
    pub stream: Box<str>,
    /// The first part of it that differs.
    pub field: Box<str>,
    /// The layer it belongs to, where it belongs to one.
    pub layer: Option<LayerId>,
    /// What was derived.
    pub expected: Box<str>,
    /// What the log has.
    pub found: Box<str>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, record, kind, stream, field, layer, expected, found } = self;
        write!(f, "record {index} ({}, {} on `{stream}`): {field}", record.short(), kind.name())?;
        if let Some(layer) = layer {
            write!(f, " at {layer}")?;
        }
        write!(f, ": expected {expected}, found {found}")
    }
}

/// What a replay found. The same for every number of threads.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Records of the range by kind.
    pub kinds: BTreeMap<RecordKind, Tally>,
    /// Why records could not be derived, with how often.
    pub not_replayable: BTreeMap<NotReplayable, u64>,
    /// The first difference in the order of the log.
    pub first: Option<Difference>,
    /// Records before the range, which were read for what they left.
    pub before: u64,
    /// Records of the range that belong to no subject's sessions and to no policy.
    pub astray: u64,
    /// Routes whose Routing Approval Token's tag was taken from the log, because the key
    /// was not given.
    pub tags_taken: u64,
    /// Policy versions that could not be had, and why.
    pub versions: Vec<String>,
}

impl Report {
    /// Whether everything was derived again, byte for byte.
    pub fn is_same(&self) -> bool {
        let all = self.all();
        all.differ == 0 && all.not_replayable == 0 && self.astray == 0
    }

    /// Whether nothing differed. Some records may not have been derived.
    pub fn nothing_differs(&self) -> bool {
        self.all().differ == 0
    }

    /// The routes: records of kind `evidence-block`.
    pub fn routes(&self) -> Tally {
        self.kinds.get(&RecordKind::EvidenceBlock).copied().unwrap_or_default()
    }

    /// All kinds together.
    pub fn all(&self) -> Tally {
        self.kinds.values().fold(Tally::default(), |mut all, tally| {
            all.add(*tally);
            all
        })
    }

    pub(super) fn same(&mut self, kind: RecordKind) {
        let tally = self.kinds.entry(kind).or_default();
        tally.same = tally.same.saturating_add(1);
    }

    pub(super) fn skip(&mut self, kind: RecordKind, why: NotReplayable) {
        let tally = self.kinds.entry(kind).or_default();
        tally.not_replayable = tally.not_replayable.saturating_add(1);
        let count = self.not_replayable.entry(why).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn differ(&mut self, difference: Difference) {
        let tally = self.kinds.entry(difference.kind).or_default();
        tally.differ = tally.differ.saturating_add(1);
        self.keep_first(difference);
    }

    /// A record that was counted as the same, and does not continue what stands before it.
    pub(super) fn recount(&mut self, record: &Record, told: Told) {
        let tally = self.kinds.entry(record.kind()).or_default();
        if tally.same > 0 {
            tally.same = tally.same.saturating_sub(1);
            self.differ(told.of(record));
        } else {
            self.keep_first(told.of(record));
        }
    }

    fn keep_first(&mut self, difference: Difference) {
        if self.first.as_ref().is_none_or(|first| difference.index < first.index) {
            self.first = Some(difference);
        }
    }

    /// Takes in what another worker found.
    pub(super) fn absorb(&mut self, other: Self) {
        for (kind, tally) in other.kinds {
            self.kinds.entry(kind).or_default().add(tally);
        }
        for (why, more) in other.not_replayable {
            let count = self.not_replayable.entry(why).or_default();
            *count = count.saturating_add(more);
        }
        if let Some(difference) = other.first {
            self.keep_first(difference);
        }
        self.before = self.before.saturating_add(other.before);
        self.tags_taken = self.tags_taken.saturating_add(other.tags_taken);
    }
}

/// What differs, as it is told.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) field: String,
    pub(super) layer: Option<LayerId>,
    pub(super) expected: String,
    pub(super) found: String,
}

impl Told {
    pub(super) fn new(field: &str, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        Self { field: field.into(), layer: None, expected, found }
    }

    pub(super) fn of(self, record: &Record) -> Difference {
        Difference {
            index: record.index(),
            record: record.digest(),
            kind: record.kind(),
            stream: record.stream().to_string().into(),
            field: self.field.into(),
            layer: self.layer,
            expected: self.expected.into(),
            found: self.found.into(),
        }
    }
}

/// What a record has that is not as it was derived.
pub(super) fn differs(draft: &Draft, record: &Record) -> Option<Told> {
    of_record(draft, record)
}

/// The kinds of derived records, in words.
pub(super) fn kinds(drafts: &[Draft]) -> String {
    let names: Vec<&str> = drafts.iter().map(|draft| draft.kind().name()).collect();
    names.join(", ")
}

fn of_record(draft: &Draft, record: &Record) -> Option<Told> {
    if draft.kind() != record.kind() {
        return Some(Told::new("kind", draft.kind().name(), record.kind().name()));
    }
    if draft.stream() != record.stream() {
        return Some(Told::new("stream", draft.stream(), record.stream()));
    }
    if draft.source() != record.source() {
        let debug = |source| format!("{source:?}");
        return Some(Told::new("source", debug(draft.source()), debug(record.source())));
    }
    if draft.body() == record.body() {
        return None;
    }
    let told = match record.kind() {
        RecordKind::EvidenceBlock => of_evidence(draft.body(), record.body()),
        _ => None,
    };
    Some(told.unwrap_or_else(|| of_bytes(draft.body(), record.body())))
}

/// The first byte that differs, for bodies that are not told apart by their fields.
fn of_bytes(derived: &[u8], found: &[u8]) -> Told {
    let at = derived.iter().zip(found).take_while(|(a, b)| a == b).count();
    let shown = |bytes: &[u8]| {
        let piece = bytes.get(at..).unwrap_or_default();
        let hex = piece.iter().take(8).fold(String::new(), |mut hex, byte| {
            // Writing to a text cannot fail.
            let _written = write!(hex, "{byte:02x}");
            hex
        });
        format!("{} bytes with `{hex}` there", bytes.len())
    };
    Told::new(&format!("body, byte {at}"), shown(derived), shown(found))
}

macro_rules! fields {
    ($a:ident, $b:ident; $($field:ident)*) => {$(
        if $a.$field != $b.$field {
            let told = Told::new(
                stringify!($field), format!("{:?}", $a.$field), format!("{:?}", $b.$field),
            );
            return Some(told);
        }
    )*};
}

fn of_evidence(derived: &[u8], found: &[u8]) -> Option<Told> {
    use crate::encode::Decode as _;
    let a = EvidenceBlock::from_canonical(derived).ok()?;
    let b = EvidenceBlock::from_canonical(found).ok()?;
    // Where the verdict differs, the layer that gave the other one is what one asks for.
    if a.verdict != b.verdict {
        let mut told = Told::new("verdict", a.verdict, b.verdict);
        told.layer = differing(&a.trace, &b.trace).map(|(layer, ..)| layer);
        return Some(told);
    }
    fields!(a, b; routing_id intent objective);
    if let Some((layer, expected, found)) = differing(&a.trace, &b.trace) {
        return Some(Told { layer: Some(layer), ..Told::new("trace", expected, found) });
    }
    fields!(a, b; timestamp flags raised consensus token template branch module mode subject);
    fields!(a, b; principal kind state class snapshot pins risk surprise drift narrowing);
    fields!(a, b; approval backtrack approver wait_until);
    None
}

/// The first line of two traces that differs.
fn differing(a: &[TraceEntry], b: &[TraceEntry]) -> Option<(LayerId, String, String)> {
    let at = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (first, second) = (a.get(at), b.get(at));
    let layer = first.or(second)?.layer;
    Some((layer, line(first), line(second)))
}

/// A line of a trace in words.
pub(super) fn line(entry: Option<&TraceEntry>) -> String {
    let Some(entry) = entry else { return "no such line".into() };
    let result = match entry.result {
        StepResult::Passed => "passed",
        StepResult::Flagged => "flagged",
        StepResult::Narrowed => "narrowed",
        StepResult::Stopped => "stopped",
        StepResult::Backtracked => "went back",
    };
    let reasons: Vec<String> = entry.reasons.iter().map(ToString::to_string).collect();
    let because = if reasons.is_empty() { "" } else { ": " };
    format!("{} {result}{because}{}", entry.layer, reasons.join("; "))
}
