//! The Routing Table (IRM-3.2, D-24): version-locked rows, proven disjoint, looked up.
//!
//! A row matches on the components of a Routing ID: the kind of intent, the
//! objective, flags that must or must not be set, and votes of engines. What a row
//! leaves out matches anything. [`RoutingTable::build`] proves that no two rows can
//! match the same components; otherwise it names both rows and a witness that both
//! would match. So [`RoutingTable::resolve`] finds one row or none, never several.
//!
//! The table cannot be changed: no method takes it by `&mut` (IRM-7.7). Another
//! version is another table, under another digest.
//!
//! # How a row is found
//!
//! Rows that look at the same things form a pattern. Resolution probes one hash
//! table per pattern that exists for the intent's kind (at most
//! [`MAX_PATTERNS`]), whatever the number of rows.
//!
//! Requirements: IRM-3.1.6, IRM-3.2.1..IRM-3.2.7.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use hashbrown::HashMap;

use crate::digest::{Digest, Domain};
use crate::encode::{Encode, Writer};
use crate::id::{KindId, LayerId, Name, RuleId};
use crate::intent::{RoutingComponents, RoutingId};
use crate::pipeline::Template;
use crate::risk::Risk;
use crate::verdict::{Drift, SafetyFlags, Vote};

#[cfg(feature = "files")]
mod file;

pub use crate::limits::TABLE_PATTERNS as MAX_PATTERNS;

/// What a row matches on. What is left out matches anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pattern {
    /// The kind of intent.
    pub kind: Option<KindId>,
    /// The objective's hash.
    pub objective: Option<Digest>,
    /// Flags that must all be set.
    pub all_flags: SafetyFlags,
    /// Flags none of which may be set.
    pub no_flags: SafetyFlags,
    /// Votes that engines must have cast.
    pub votes: Vec<(LayerId, Vote)>,
}

/// What happens when an escalation rule holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum EscalationAction {
    /// A person decides.
    StepUp {
        /// The role an approver must hold.
        role: Name,
        /// No answer within this many milliseconds denies.
        timeout_millis: u64,
    },
    /// The intent is denied.
    Deny,
}

/// An escalation rule of a row (IRM-3.2.5): holds when all its conditions do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EscalationRule {
    /// The overall risk is at least this.
    pub risk_at_least: Risk,
    /// Drift is at least this.
    pub drift_at_least: Drift,
    /// One of these flags is set; none: any flags.
    pub any_flags: SafetyFlags,
    /// What happens.
    pub then: EscalationAction,
}

impl EscalationRule {
    /// Whether the rule holds.
    pub fn holds(&self, risk: Risk, drift: Drift, flags: SafetyFlags) -> bool {
        risk >= self.risk_at_least
            && drift >= self.drift_at_least
            && (self.any_flags.is_empty() || flags.intersects(self.any_flags))
    }
}

/// One row: what it matches, and the Execution Path's template, safety mode,
/// required engines, allowed modules (all in [`Template`]) and escalation rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The row's id.
    pub id: RuleId,
    /// What it matches.
    pub pattern: Pattern,
    /// What it maps to.
    pub template: Template,
    /// When it must be escalated.
    pub escalation: Vec<EscalationRule>,
}

/// What makes rows no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Two rows can match the same components.
    #[error("rows `{first}` and `{second}` both match {witness}")]
    Ambiguous {
        /// One row.
        first: RuleId,
        /// The other.
        second: RuleId,
        /// Components that both match.
        witness: Witness,
    },
    /// Two rows have one id.
    #[error("two rows have the id `{id}`")]
    DuplicateRow {
        /// The id.
        id: RuleId,
    },
    /// A row demands and forbids the same flag, or two votes of one engine.
    #[error("row `{row}` can never match: {why}")]
    Impossible {
        /// The row.
        row: RuleId,
        /// Why.
        why: String,
    },
    /// Rows look at too many different things.
    #[error("rows for {kind} have more than {MAX_PATTERNS} different patterns")]
    TooManyPatterns {
        /// The kind, or `any kind`.
        kind: Box<str>,
    },
    /// A row's template is not one the pipeline can reduce to a single path.
    #[error("row `{row}`: {why}")]
    Template {
        /// The row.
        row: RuleId,
        /// Why.
        why: String,
    },
}

/// Components that two rows both match: a counterexample to disjointness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The kind; none: any.
    pub kind: Option<KindId>,
    /// The objective's hash; none: any.
    pub objective: Option<Digest>,
    /// The flags.
    pub flags: SafetyFlags,
    /// The votes that are not `abstain`.
    pub votes: Vec<(LayerId, Vote)>,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Some(kind) => write!(f, "kind `{kind}`")?,
            None => f.write_str("any kind")?,
        }
        match &self.objective {
            Some(objective) => write!(f, ", objective {}", objective.short())?,
            None => f.write_str(", any objective")?,
        }
        write!(f, ", flags {}", self.flags)?;
        for (layer, vote) in &self.votes {
            write!(f, ", {layer} votes {vote:?}")?;
        }
        Ok(())
    }
}

/// Why no row was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// No row matches (IRM-5.1): halt and re-evaluate.
    #[error("no row of table `{table}` matches kind `{kind}` with flags {flags} and votes {votes}")]
    NoRow {
        /// The table's version.
        table: Name,
        /// The kind.
        kind: KindId,
        /// The flags.
        flags: SafetyFlags,
        /// The votes.
        votes: crate::verdict::Consensus,
    },
    /// The Routing ID is not that of the components.
    #[error("expected Routing ID {expected}, found {found}")]
    IdMismatch {
        /// The components' id.
        expected: RoutingId,
        /// What was given.
        found: RoutingId,
    },
}

/// What one pattern looks at, as bits: flags below, votes above.
type Mask = u64;
/// Objective (zeros when the pattern does not look at it) and masked bits.
type Key = (Digest, Mask);

#[derive(Debug)]
struct Class {
    by_objective: bool,
    mask: Mask,
    rows: HashMap<Key, u32>,
}

#[derive(Debug, Default)]
struct Classes(Vec<Class>);

/// Disjoint rows, immutable, with a version and a digest.
#[derive(Debug)]
pub struct RoutingTable {
    version: Name,
    rows: Vec<Row>,
    by_kind: HashMap<KindId, Classes>,
    any_kind: Classes,
    digest: Digest,
}

impl RoutingTable {
    /// Proves the rows disjoint and builds the table. The order of the rows does
    /// not matter: they are sorted by id first.
    ///
    /// # Errors
    /// [`TableError`]; for ambiguous rows with a witness.
    pub fn build(version: Name, mut rows: Vec<Row>) -> Result<Self, TableError> {
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        let mut table = Self {
            digest: Digest::ZERO,
            version,
            rows: Vec::new(),
            by_kind: HashMap::new(),
            any_kind: Classes::default(),
        };
        for (number, row) in rows.iter().enumerate() {
            check_row(row, rows.get(number + 1))?;
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let classes = match &row.pattern.kind {
                Some(kind) => table.by_kind.entry(kind.clone()).or_default(),
                None => &mut table.any_kind,
            };
            if let Some(other) = classes.insert(&row.pattern, number) {
                return Err(ambiguous(&rows, other, number));
            }
            if classes.0.len() > MAX_PATTERNS {
                return Err(TableError::TooManyPatterns { kind: kind_text(row) });
            }
        }
        table.prove_disjoint(&rows)?;
        let mut out = Writer::with_capacity(rows.len() * 64);
        out.value(&table.version).list(&rows);
        table.digest = Domain::Table.hash(out.as_bytes());
        table.rows = rows;
        Ok(table)
    }

    fn prove_disjoint(&self, rows: &[Row]) -> Result<(), TableError> {
        let mut cache = Projections::default();
        if let Some((a, b)) = self.any_kind.overlap() {
            return Err(ambiguous(rows, a, b));
        }
        let mut first: Option<(u32, u32)> = None;
        for classes in self.by_kind.values() {
            let found = classes.overlap().or_else(|| cache.overlap(&self.any_kind, classes));
            first = match (first, found) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        match first {
            Some((a, b)) => Err(ambiguous(rows, a, b)),
            None => Ok(()),
        }
    }

    /// The one row that matches (D-24): checks that `id` is that of `components`,
    /// and binds the row to it.
    ///
    /// # Errors
    /// [`ResolveError::IdMismatch`], [`ResolveError::NoRow`].
    pub fn resolve(
        &self,
        kind: &KindId,
        components: &RoutingComponents,
        id: RoutingId,
    ) -> Result<&Row, ResolveError> {
        self.resolve_as(kind, components, components.id(), id)
    }

    /// [`RoutingTable::resolve`] for who has recomputed the Routing ID already: `expected`
    /// is that of the components.
    pub(in crate::routing) fn resolve_as(
        &self,
        kind: &KindId,
        components: &RoutingComponents,
        expected: RoutingId,
        id: RoutingId,
    ) -> Result<&Row, ResolveError> {
        if expected != id {
            return Err(ResolveError::IdMismatch { expected, found: id });
        }
        self.find(kind, components).ok_or_else(|| ResolveError::NoRow {
            table: self.version.clone(),
            kind: kind.clone(),
            flags: components.flags,
            votes: components.consensus,
        })
    }

    /// The one row that matches, if one does.
    pub fn find(&self, kind: &KindId, components: &RoutingComponents) -> Option<&Row> {
        let bits = u64::from(components.flags.bits())
            | (u64::from(components.consensus.bits()) << FLAG_BITS);
        let own = self.by_kind.get(kind).into_iter().flat_map(|c| &c.0);
        own.chain(&self.any_kind.0).find_map(|class| {
            let objective = if class.by_objective { components.objective } else { Digest::ZERO };
            let row = class.rows.get(&(objective, bits & class.mask))?;
            self.rows.get(*row as usize)
        })
    }

    /// The table's version.
    pub const fn version(&self) -> &Name {
        &self.version
    }

    /// The table's digest: BLAKE3 of its canonical bytes in [`Domain::Table`].
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The rows in the order of their ids.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

const FLAG_BITS: u32 = 32;

impl Pattern {
    fn mask(&self) -> Mask {
        let flags = u64::from(self.all_flags.union(self.no_flags).bits());
        self.votes.iter().fold(flags, |mask, (layer, _)| mask | (0b11 << vote_shift(*layer)))
    }

    fn bits(&self) -> Mask {
        let flags = u64::from(self.all_flags.bits());
        self.votes
            .iter()
            .fold(flags, |bits, (layer, vote)| bits | ((*vote as u64) << vote_shift(*layer)))
    }

    fn key(&self) -> Key {
        (self.objective.unwrap_or(Digest::ZERO), self.bits())
    }
}

const fn vote_shift(layer: LayerId) -> u32 {
    FLAG_BITS + 2 * layer as u32
}

impl Classes {
    /// Files a row under its pattern's class; gives back a row with the same key.
    fn insert(&mut self, pattern: &Pattern, row: u32) -> Option<u32> {
        let (by_objective, mask) = (pattern.objective.is_some(), pattern.mask());
        let found = self.0.iter_mut().find(|c| c.by_objective == by_objective && c.mask == mask);
        if let Some(class) = found {
            return class.rows.insert(pattern.key(), row);
        }
        self.0.push(Class { by_objective, mask, rows: HashMap::from([(pattern.key(), row)]) });
        None
    }

    /// The first two rows, by number, of different classes that share components.
    fn overlap(&self) -> Option<(u32, u32)> {
        let mut first = None;
        for (i, class) in self.0.iter().enumerate() {
            for other in self.0.iter().skip(i + 1) {
                let projected = class.project(other.by_objective, other.mask);
                first = earlier(first, other.probe(&projected, class.by_objective, class.mask));
            }
        }
        first
    }
}

impl Class {
    /// The rows by what is left of their keys when only what both classes look at counts.
    fn project(&self, by_objective: bool, mask: Mask) -> HashMap<Key, u32> {
        let mut out = HashMap::with_capacity(self.rows.len());
        for (key, &row) in &self.rows {
            let kept =
                out.entry(common(key, self.by_objective && by_objective, mask)).or_insert(row);
            *kept = row.min(*kept);
        }
        out
    }

    fn probe(
        &self,
        projected: &HashMap<Key, u32>,
        by_objective: bool,
        mask: Mask,
    ) -> Option<(u32, u32)> {
        let both = self.by_objective && by_objective;
        let hits = self.rows.iter().filter_map(|(key, &row)| {
            // `projected` holds keys cut to both masks; cut ours the same way.
            let other = *projected.get(&common(key, both, mask & self.mask))?;
            Some((row.min(other), row.max(other)))
        });
        hits.min()
    }
}

fn common((objective, bits): &Key, by_objective: bool, mask: Mask) -> Key {
    (if by_objective { *objective } else { Digest::ZERO }, bits & mask)
}

fn earlier(a: Option<(u32, u32)>, b: Option<(u32, u32)>) -> Option<(u32, u32)> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Projections of the wildcard rows, made once for each thing kinds look at.
#[derive(Default)]
struct Projections(HashMap<(usize, bool, Mask), HashMap<Key, u32>>);

impl Projections {
    fn overlap(&mut self, wildcard: &Classes, kind: &Classes) -> Option<(u32, u32)> {
        let mut first = None;
        for (i, any) in wildcard.0.iter().enumerate() {
            for class in &kind.0 {
                let projected = self
                    .0
                    .entry((i, class.by_objective, class.mask))
                    .or_insert_with(|| any.project(class.by_objective, class.mask));
                first = earlier(first, class.probe(projected, any.by_objective, any.mask));
            }
        }
        first
    }
}

fn check_row(row: &Row, next: Option<&Row>) -> Result<(), TableError> {
    if next.is_some_and(|next| next.id == row.id) {
        return Err(TableError::DuplicateRow { id: row.id.clone() });
    }
    let impossible = |why| TableError::Impossible { row: row.id.clone(), why };
    let pattern = &row.pattern;
    if pattern.all_flags.intersects(pattern.no_flags) {
        let both = SafetyFlags::from_bits(pattern.all_flags.bits() & pattern.no_flags.bits());
        let both = both.unwrap_or_default();
        return Err(impossible(format!("it demands and forbids the flags {both}")));
    }
    for (i, (layer, _)) in pattern.votes.iter().enumerate() {
        if pattern.votes.iter().skip(i + 1).any(|(other, _)| other == layer) {
            return Err(impossible(format!("it names the vote of {layer} twice")));
        }
    }
    let unfit = |error| TableError::Template { row: row.id.clone(), why: format!("{error}") };
    row.template.check().map_err(unfit)
}

fn kind_text(row: &Row) -> Box<str> {
    match &row.pattern.kind {
        Some(kind) => format!("kind `{kind}`").into(),
        None => "any kind".into(),
    }
}

fn ambiguous(rows: &[Row], a: u32, b: u32) -> TableError {
    let (Some(first), Some(second)) = (rows.get(a.min(b) as usize), rows.get(a.max(b) as usize))
    else {
        return TableError::TooManyPatterns { kind: "any kind".into() };
    };
    let (one, two) = (&first.pattern, &second.pattern);
    let mut votes = one.votes.clone();
    votes.extend(two.votes.iter().filter(|v| !one.votes.contains(v)));
    votes.retain(|(_, vote)| *vote != Vote::Abstain);
    votes.sort_unstable();
    TableError::Ambiguous {
        first: first.id.clone(),
        second: second.id.clone(),
        witness: Witness {
            kind: one.kind.clone().or_else(|| two.kind.clone()),
            objective: one.objective.or(two.objective),
            flags: one.all_flags.union(two.all_flags),
            votes,
        },
    }
}

impl Encode for Row {
    /// id; pattern: optional kind, optional objective, flags demanded, flags
    /// forbidden, votes in layer order; template; escalation rules.
    fn encode(&self, out: &mut Writer) {
        let pattern = &self.pattern;
        out.value(&self.id)
            .option(pattern.kind.as_ref())
            .option(pattern.objective.as_ref())
            .value(&pattern.all_flags)
            .value(&pattern.no_flags);
        let mut votes = pattern.votes.clone();
        votes.sort_unstable();
        out.count(votes.len());
        for (layer, vote) in votes {
            out.value(&layer).u8(vote as u8);
        }
        encode_template(&self.template, out);
        out.count(self.escalation.len());
        for rule in &self.escalation {
            out.value(&rule.risk_at_least).value(&rule.drift_at_least).value(&rule.any_flags);
            match &rule.then {
                EscalationAction::StepUp { role, timeout_millis } => {
                    out.u8(1).value(role).u64(*timeout_millis);
                }
                EscalationAction::Deny => {
                    out.u8(2);
                }
            }
        }
    }
}

/// id, mode, engines, modules, branches (id, flags demanded, flags forbidden, modes,
/// states, module).
fn encode_template(template: &Template, out: &mut Writer) {
    out.value(&template.id)
        .value(&template.mode)
        .list(&template.engines)
        .list(&template.modules)
        .count(template.branches.len());
    for branch in &template.branches {
        out.value(&branch.id)
            .value(&branch.all_flags)
            .value(&branch.no_flags)
            .list(&branch.modes)
            .list(&branch.states)
            .value(&branch.module);
    }
}

impl ResolveError {
    /// The code for a decision trace.
    pub const fn code(&self) -> crate::verdict::ReasonCode {
        match self {
            Self::NoRow { .. } => crate::verdict::ReasonCode::RouteMismatch,
            Self::IdMismatch { .. } => crate::verdict::ReasonCode::RoutingIdMismatch,
        }
    }

    /// The text for a decision trace.
    pub fn detail(&self) -> Box<str> {
        self.to_string().into()
    }
}

#[cfg(test)]
mod tests;
