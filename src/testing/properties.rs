//! What must hold for every input, as plain functions.
//!
//! Property tests hand them generated values, fuzz targets hand them bytes.
//! None of them panics on any input; each says in words what did not hold.

use core::fmt::Debug;
use std::format;
use std::string::ToString as _;
use std::vec::Vec;

use super::{Broken, Held, must};
use crate::audience::lineage::{
    ConstitutionalCheck, EnvelopeBlock, LineageEvent, TransitionRefused,
};
use crate::encode::{Decode, Encode};
use crate::governance::GovernanceDecision;
use crate::id::{KindId, Name};
use crate::identity::{Claims, IdentityScore, SessionOpened};
use crate::intent::RoutingComponents;
use crate::memory::FactRecord;
use crate::provenance::Label;
use crate::routing::pins::PolicyPinned;
use crate::routing::table::{Pattern, Row, TableError};
use crate::routing::{EvidenceBlock, Outcome, RoutingTable};
use crate::ssot::conflict::ConflictDetected;
use crate::ssot::record::{Draft, Head, Record};
use crate::time::Timestamp;
use crate::value::{Decimal, Value};
use crate::verdict::{Reason, Vote};

#[cfg(feature = "bundle")]
pub use bundle::{BundleProbe, bundles_stand};
#[cfg(feature = "files")]
pub use bytes::{FileKind, files_load_soundly, json_agrees, routes_from_bytes};
pub use log::{Mutation, mutations_are_found};
pub use many::{many_from_bytes, many_is_one_by_one};
#[cfg(feature = "notes")]
pub use note::{NoteProbe, altered_notes_do_not_verify, note_bytes};
pub use replay::log_replays;
pub use route::{Step, route_is_sound, routes_are_sound, script_is_sound};
#[cfg(feature = "compress")]
pub use segment::segment_bytes;
#[cfg(feature = "jwt")]
pub use token::{TokenProbe, tokens_expire};
pub use tree::{TreeEdit, large_trees_are_proved, tree_from_bytes, tree_is_the_naive_one};

#[cfg(feature = "bundle")]
mod bundle;
#[cfg(feature = "files")]
mod bytes;
mod log;
mod many;
#[cfg(feature = "notes")]
mod note;
mod replay;
mod route;
#[cfg(feature = "compress")]
mod segment;
#[cfg(feature = "jwt")]
mod token;
mod tree;

/// A value is read back from its canonical bytes as itself.
///
/// # Errors
/// [`Broken`] with the value.
pub fn round_trip<T: Encode + Decode + PartialEq + Debug>(value: &T) -> Held {
    let read = T::from_canonical(&value.to_canonical());
    must("round_trip", read.as_ref() == Ok(value), || format!("{value:?} was read as {read:?}"))
}

/// Bytes that are read as a value are that value's canonical bytes: no value has two
/// encodings.
///
/// # Errors
/// [`Broken`] with the second encoding.
pub fn one_encoding<T: Encode + Decode>(bytes: &[u8]) -> Held {
    match T::from_canonical(bytes) {
        Err(_) => Ok(()),
        Ok(value) => {
            let again = value.to_canonical();
            must("one_encoding", again == bytes, || {
                let of = core::any::type_name::<T>();
                format!("{bytes:02x?} is read as the {of} that is written {again:02x?}")
            })
        }
    }
}

/// Bytes from outside are a record, or a body of one, in one way or not at all.
///
/// # Errors
/// [`Broken`] with the two encodings.
pub fn record_bytes(bytes: &[u8]) -> Held {
    if let Ok(record) = Record::decode_sealed(bytes) {
        let draft = Draft::new(
            record.stream().clone(),
            record.kind(),
            record.source(),
            record.body().to_vec(),
        );
        let after = Head::new(record.sequence(), record.previous());
        let again = Record::seal(draft, record.index(), after, record.timestamp());
        must("record_bytes", again == record && record.bytes() == bytes, || {
            format!("{bytes:02x?} is read as the record that is written {:02x?}", again.bytes())
        })?;
        bodies(record.body())?;
    }
    bodies(bytes)
}

/// Every kind of body, and every value of the vocabulary with a form of its own.
fn bodies(bytes: &[u8]) -> Held {
    one_encoding::<EvidenceBlock>(bytes)?;
    one_encoding::<Outcome>(bytes)?;
    one_encoding::<LineageEvent>(bytes)?;
    one_encoding::<EnvelopeBlock>(bytes)?;
    one_encoding::<TransitionRefused>(bytes)?;
    one_encoding::<ConstitutionalCheck>(bytes)?;
    one_encoding::<SessionOpened>(bytes)?;
    one_encoding::<Claims>(bytes)?;
    one_encoding::<IdentityScore>(bytes)?;
    one_encoding::<ConflictDetected>(bytes)?;
    one_encoding::<FactRecord>(bytes)?;
    one_encoding::<GovernanceDecision>(bytes)?;
    one_encoding::<PolicyPinned>(bytes)?;
    one_encoding::<Value>(bytes)?;
    one_encoding::<Decimal>(bytes)?;
    one_encoding::<Label>(bytes)?;
    one_encoding::<Reason>(bytes)?;
    one_encoding::<Name>(bytes)
}

/// A sealed record is read back as itself.
///
/// # Errors
/// [`Broken`] with what was read instead.
pub fn sealed_record(draft: Draft, index: u64, after: Head, time: Timestamp) -> Held {
    let record = Record::seal(draft, index, after, time);
    let read = Record::decode_sealed(record.bytes());
    must("sealed_record", read.as_ref() == Ok(&record), || {
        format!("{record:?} was read as {read:?}")
    })
}

/// A decimal is read from its own text as itself, and a value's order is that of its
/// numbers.
///
/// # Errors
/// [`Broken`] with the numbers.
pub fn decimals_are_exact(a: Decimal, b: Decimal) -> Held {
    let read = a.to_string().parse();
    must("decimals_are_exact", read == Ok(a), || format!("`{a}` was read as {read:?}"))?;
    must("decimals_are_exact", a.cmp(&b) == b.cmp(&a).reverse(), || format!("`{a}`, `{b}`"))?;
    must("decimals_are_exact", (a == b) == a.cmp(&b).is_eq(), || format!("`{a}`, `{b}`"))
}

/// Labels form a join semilattice, and a join never forgets.
///
/// # Errors
/// [`Broken`] with the labels.
pub fn labels_join(a: &Label, b: &Label, c: &Label) -> Held {
    let join = |a: &Label, b: &Label| a.clone().join(b);
    let what = || format!("`{a}`, `{b}`, `{c}`");
    must("labels_join", join(a, b) == join(b, a), what)?;
    must("labels_join", join(&join(a, b), c) == join(a, &join(b, c)), what)?;
    must("labels_join", join(a, a) == *a && join(a, &Label::empty()) == *a, what)?;
    let both = join(a, b);
    must("labels_join", a.sources().all(|s| both.sources().any(|t| s == t)), what)?;
    must("labels_join", both.sensitivity() >= a.sensitivity(), what)
}

/// A table is built exactly when no two of its rows can match the same components; the
/// order of its rows means nothing; and it finds the row that a scan would find.
///
/// # Errors
/// [`Broken`] with the rows, or the row found.
pub fn tables_are_unambiguous(rows: &[Row], probes: &[(KindId, RoutingComponents)]) -> Held {
    let property = "tables_are_unambiguous";
    let version = Name::new("1").map_err(|error| Broken::new(property, error))?;
    let built = RoutingTable::build(version.clone(), rows.to_vec());
    let mut turned = rows.to_vec();
    turned.reverse();
    let reversed = RoutingTable::build(version, turned);
    let table = match (built, reversed) {
        (Ok(table), Ok(reversed)) => {
            must(property, table.digest() == reversed.digest(), || {
                "the order of rows changes the digest".into()
            })?;
            table
        }
        (Err(a), Err(b)) => {
            return match a {
                TableError::Ambiguous { first, second, .. } => {
                    let at = |id| rows.iter().filter(move |row| row.id == id).collect::<Vec<_>>();
                    let (first, second) = (at(first), at(second));
                    let met = first
                        .iter()
                        .any(|a| second.iter().any(|b| a != b && overlap(&a.pattern, &b.pattern)));
                    must(property, met, || "two rows were refused that no components match".into())
                }
                _ => must(property, !b.to_string().is_empty(), || "an error says nothing".into()),
            };
        }
        (a, b) => return Err(Broken::new(property, format!("{a:?} one way, {b:?} the other"))),
    };
    for (i, a) in rows.iter().enumerate() {
        for b in rows.iter().skip(i.saturating_add(1)) {
            must(property, !overlap(&a.pattern, &b.pattern), || {
                format!("rows `{}` and `{}` can both match", a.id, b.id)
            })?;
        }
    }
    for (kind, components) in probes {
        let scanned = rows.iter().find(|row| matches(&row.pattern, kind, components));
        let found = table.find(kind, components);
        must(property, scanned.map(|r| &r.id) == found.map(|r| &r.id), || {
            format!("a scan finds {scanned:?}, the table {found:?}")
        })?;
    }
    Ok(())
}

/// Whether a pattern matches, field by field.
fn matches(pattern: &Pattern, kind: &KindId, of: &RoutingComponents) -> bool {
    pattern.kind.as_ref().is_none_or(|k| k == kind)
        && pattern.objective.is_none_or(|o| o == of.objective)
        && of.flags.contains(pattern.all_flags)
        && !of.flags.intersects(pattern.no_flags)
        && pattern.votes.iter().all(|(layer, vote)| of.consensus.vote(*layer) == *vote)
}

/// Whether components exist that both patterns match.
fn overlap(a: &Pattern, b: &Pattern) -> bool {
    let apart = |differ: bool| !differ;
    let vote = |votes: &[(crate::id::LayerId, Vote)], layer| {
        votes.iter().find(|(l, _)| *l == layer).map(|(_, vote)| *vote)
    };
    apart(matches!((&a.kind, &b.kind), (Some(x), Some(y)) if x != y))
        && apart(matches!((a.objective, b.objective), (Some(x), Some(y)) if x != y))
        && !a.all_flags.intersects(b.no_flags)
        && !b.all_flags.intersects(a.no_flags)
        && a.votes.iter().all(|(layer, x)| vote(&b.votes, *layer).is_none_or(|y| y == *x))
}
