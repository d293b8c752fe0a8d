//! Correction Mode (IRM-4.4.5, IRM-5.4): what would settle a halted route, and
//! whether what was supplied does.
//!
//! 1. [`CorrectionRequest::new`] lists a [`Need`] for each conflict.
//! 2. The caller answers with a [`Correction`]. New facts in it are recorded first
//!    ([`Correction::new_facts`]) and applied to the [`Facts`].
//! 3. [`settle`] compares conflicts, correction and facts. It is a pure function.
//! 4. [`Settled::request`] makes a new request of the halted intent. The catalogue
//!    checks it like any other: a corrected intent is a new intent with a hash of
//!    its own, and the Memory System looks at it again.
//!
//! | conflict | settled by |
//! |---|---|
//! | stale, of the snapshot | [`CorrectionStep::Snapshot`] with the current one |
//! | stale or misaligned, of a read | [`CorrectionStep::Reread`] at a version that stands |
//! | missing or inconsistent, of a read | [`CorrectionStep::Fact`], recorded |
//! | any, of an argument | [`CorrectionStep::Take`] from a standing fact, or [`CorrectionStep::Supply`] |
//! | misaligned, of the subject | nothing a caller can supply |
//!
//! INVARIANT (blocked until resolved, IRM-5.4): `settle` succeeds only when every
//! conflict is settled, and takes no step that no conflict asks for.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::id::{FactKey, SnapshotId};
use crate::intent::{Argument, Intent, ReadFact, Request};
use crate::memory::facts::{Facts, NewFact};
use crate::memory::{ConflictKind, MemoryConflict};
use crate::provenance::Source;

/// What has to be supplied for one conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// The intent has to be made again on the current snapshot.
    Snapshot {
        /// The current snapshot.
        current: SnapshotId,
    },
    /// The fact has to be read again.
    Reread {
        /// Its key.
        key: FactKey,
        /// The versions that stand, in ascending order: one per context.
        standing: Vec<u64>,
    },
    /// A fact has to be recorded under this key.
    Fact {
        /// The key.
        key: FactKey,
    },
    /// The argument has to be taken from a fact or supplied anew.
    Argument {
        /// The argument.
        argument: Box<str>,
        /// The fact that came closest, where there is one.
        closest: Option<FactKey>,
    },
    /// The route was handed another subject's facts: nothing a caller can supply.
    Subject,
}

/// What Correction Mode asks for: one need per conflict, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrectionRequest {
    snapshot: SnapshotId,
    needs: Vec<Need>,
}

impl CorrectionRequest {
    /// What would settle these conflicts over these facts.
    pub fn new(conflicts: &[MemoryConflict], facts: &Facts) -> Self {
        let needs = conflicts.iter().map(|conflict| need(conflict, facts)).collect();
        Self { snapshot: facts.snapshot(), needs }
    }

    /// The snapshot the needs were found on.
    pub const fn snapshot(&self) -> SnapshotId {
        self.snapshot
    }

    /// One need per conflict, in the order of the conflicts.
    pub fn needs(&self) -> &[Need] {
        &self.needs
    }
}

/// One thing the caller supplies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorrectionStep {
    /// The intent is meant on this snapshot.
    Snapshot(SnapshotId),
    /// The fact was read again at this version.
    Reread(ReadFact),
    /// This fact is to be remembered.
    Fact(NewFact),
    /// The argument is to be taken from this fact at this version.
    Take {
        /// The argument.
        argument: Box<str>,
        /// The fact.
        fact: ReadFact,
    },
    /// The argument's new value, with where it came from. Memory may not be among
    /// its sources: what is in memory is taken, not supplied.
    Supply {
        /// The argument.
        argument: Box<str>,
        /// Its value and label.
        value: Argument,
    },
}

/// What a caller supplies to resume a halted route.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Correction {
    /// The steps; the first that settles a conflict counts.
    pub steps: Vec<CorrectionStep>,
}

impl Correction {
    /// The facts to record before [`settle`] is asked.
    pub fn new_facts(&self) -> impl Iterator<Item = &NewFact> {
        self.steps.iter().filter_map(|step| match step {
            CorrectionStep::Fact(fact) => Some(fact),
            _ => None,
        })
    }
}

/// What an argument is replaced by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// The value of this fact at this version, labelled as read from memory.
    Fact(ReadFact, Argument),
    /// What the caller supplied.
    Supplied(Argument),
}

impl Replacement {
    /// The new value and label.
    pub const fn argument(&self) -> &Argument {
        match self {
            Self::Fact(_, argument) | Self::Supplied(argument) => argument,
        }
    }
}

/// A correction that settles every conflict: which reads and which arguments are
/// replaced. Minted by [`settle`] alone.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a settled correction resumes the route it was made for"]
pub struct Settled {
    snapshot: SnapshotId,
    reads: BTreeMap<FactKey, u64>,
    arguments: BTreeMap<Box<str>, Replacement>,
}

impl Settled {
    /// The snapshot it was settled on.
    pub const fn snapshot(&self) -> SnapshotId {
        self.snapshot
    }

    /// The reads that are replaced, by key.
    pub fn reads(&self) -> impl Iterator<Item = (&FactKey, u64)> {
        self.reads.iter().map(|(key, version)| (key, *version))
    }

    /// The arguments that are replaced, by name.
    pub fn arguments(&self) -> impl Iterator<Item = (&str, &Replacement)> {
        self.arguments.iter().map(|(name, replacement)| (&**name, replacement))
    }

    /// The halted intent's request with what was settled put in. A fact an argument
    /// is taken from becomes a read. A snapshot the intent named becomes the one
    /// this was settled on.
    pub fn request(self, halted: &Intent) -> Request {
        let mut reads = halted.reads().to_vec();
        for read in &mut reads {
            if let Some(version) = self.reads.get(&read.key) {
                read.version = *version;
            }
        }
        let mut arguments = halted.arguments().clone();
        for (name, replacement) in self.arguments {
            let argument = match replacement {
                Replacement::Fact(fact, argument) => {
                    match reads.iter_mut().find(|read| read.key == fact.key) {
                        Some(read) => read.version = fact.version,
                        None => reads.push(fact),
                    }
                    argument
                }
                Replacement::Supplied(argument) => argument,
            };
            arguments.insert(name, argument);
        }
        Request {
            kind: halted.kind().id.as_str().into(),
            subject: halted.subject().clone(),
            session: halted.session().clone(),
            request: halted.request().cloned(),
            objective: halted.objective().clone(),
            arguments,
            reads,
            snapshot: halted.snapshot().map(|_| self.snapshot),
        }
    }
}

/// Whether a correction settles all conflicts over these facts, and what it replaces.
///
/// # Errors
/// The conflicts that stay, in their order.
pub fn settle(
    conflicts: &[MemoryConflict],
    correction: &Correction,
    facts: &Facts,
) -> Result<Settled, Vec<MemoryConflict>> {
    let mut settled =
        Settled { snapshot: facts.snapshot(), reads: BTreeMap::new(), arguments: BTreeMap::new() };
    let open: Vec<_> = conflicts
        .iter()
        .filter(|conflict| !correction.steps.iter().any(|step| settled.take(conflict, step, facts)))
        .cloned()
        .collect();
    if open.is_empty() { Ok(settled) } else { Err(open) }
}

impl Settled {
    /// Takes the step if it settles the conflict.
    fn take(&mut self, conflict: &MemoryConflict, step: &CorrectionStep, facts: &Facts) -> bool {
        match (&conflict.argument, &conflict.key, conflict.kind, step) {
            (Some(name), _, _, CorrectionStep::Take { argument, fact }) if name == argument => {
                let Some(standing) = facts.at(&fact.key, fact.version) else { return false };
                let label = standing.read_label();
                let taken = Argument { value: standing.value().clone(), label };
                let replacement = Replacement::Fact(fact.clone(), taken);
                self.arguments.insert(name.clone(), replacement);
                true
            }
            (Some(name), _, _, CorrectionStep::Supply { argument, value }) if name == argument => {
                let mut sources = value.label.sources().peekable();
                if sources.peek().is_none() || sources.any(|source| *source == Source::Memory) {
                    return false;
                }
                self.arguments.insert(name.clone(), Replacement::Supplied(value.clone()));
                true
            }
            (
                None,
                Some(key),
                ConflictKind::Stale | ConflictKind::Misaligned,
                CorrectionStep::Reread(read),
            ) if *key == read.key => {
                let stands = facts.at(key, read.version).is_some();
                if stands {
                    self.reads.insert(key.clone(), read.version);
                }
                stands
            }
            // A new fact settles every kind of conflict about its key.
            (None, Some(key), _, CorrectionStep::Fact(new)) if *key == new.key => {
                let same = |fact: &&crate::memory::Fact| {
                    Some(fact.value()) == new.value.as_ref()
                        && fact.label() == &new.label
                        && fact.context() == new.context.as_ref()
                        && fact.expires_at() == new.expires_at
                        && Some(fact.version()) == facts.version(key)
                };
                let Some(fact) = facts.under(key).find(same) else { return false };
                self.reads.insert(key.clone(), fact.version());
                true
            }
            (None, None, ConflictKind::Stale, CorrectionStep::Snapshot(snapshot)) => {
                *snapshot == facts.snapshot()
            }
            _ => false,
        }
    }
}

fn need(conflict: &MemoryConflict, facts: &Facts) -> Need {
    match (&conflict.argument, &conflict.key, conflict.kind) {
        (Some(argument), closest, _) => {
            Need::Argument { argument: argument.clone(), closest: closest.clone() }
        }
        (None, Some(key), ConflictKind::Stale | ConflictKind::Misaligned) => {
            let mut standing: Vec<_> = facts.under(key).map(crate::memory::Fact::version).collect();
            standing.sort_unstable();
            Need::Reread { key: key.clone(), standing }
        }
        (None, Some(key), _) => Need::Fact { key: key.clone() },
        (None, None, ConflictKind::Stale) => Need::Snapshot { current: facts.snapshot() },
        (None, None, _) => Need::Subject,
    }
}

#[cfg(test)]
mod tests;
