//! The default Memory System (IRM-4.4).
//!
//! | found | told as |
//! |---|---|
//! | the facts are another subject's | misaligned, nothing else is looked at |
//! | the facts or the intent stand at another snapshot | stale |
//! | a read of a key that nobody wrote, or that was withdrawn | missing |
//! | a read of a key that only another session or tenant holds | misaligned |
//! | a read of the version another context wrote, or of one not yet written | misaligned |
//! | a read of an older version | stale |
//! | a read where two contexts of the intent hold different values | inconsistent |
//! | a read of an expired fact | inconsistent |
//! | an argument from memory alone that no fact holds, or an expired one | inconsistent |
//! | an argument from memory alone that only another context holds | misaligned |
//! | an argument from memory alone whose fact came from elsewhere | inconsistent |
//!
//! The last row keeps memory from washing labels: a value that came in from outside,
//! from a module or from the agent does not become "memory" by being remembered.
//! An argument with further sources beside memory was derived from several values;
//! its label speaks for itself and it need not equal a fact.
//!
//! Requirements: IRM-4.4.1..IRM-4.4.3, PLAN-8.4.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use crate::id::{FactKey, Name};
use crate::intent::{Argument, Intent, ReadFact};
use crate::memory::facts::Visible;
use crate::memory::{
    ConflictKind, Fact, Facts, MemoryConflict, MemoryEngine, MemoryFinding, MemoryInput,
};
use crate::provenance::{Label, Source};
use crate::time::Timestamp;
use crate::value::Value;
use crate::verdict::{Reason, ReasonCode};

/// What an intent's own snapshot must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SnapshotRule {
    /// The route's snapshot exactly.
    #[default]
    Exact,
    /// An older one is noted and passes when the intent names what it read and
    /// every read is current.
    ReadsSuffice,
}

/// The default Memory System.
///
/// An intent's contexts are its session and, where arguments are named for it, the
/// texts of those arguments (a tenant, a project).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemorySystem {
    snapshots: SnapshotRule,
    context_arguments: Vec<Box<str>>,
}

impl MemorySystem {
    /// With another rule for snapshots.
    #[must_use]
    pub const fn with_snapshots(mut self, rule: SnapshotRule) -> Self {
        self.snapshots = rule;
        self
    }

    /// With one more argument whose text names a context.
    #[must_use]
    pub fn with_context_argument(mut self, argument: impl Into<Box<str>>) -> Self {
        self.context_arguments.push(argument.into());
        self
    }

    fn includes(&self, intent: &Intent, context: &Name) -> bool {
        let named = |argument: &str| {
            let value = intent.arguments().get(argument).map(|argument| &argument.value);
            value.and_then(Value::as_text) == Some(context.as_str())
        };
        intent.session().name() == context || self.context_arguments.iter().any(|name| named(name))
    }
}

impl MemoryEngine for MemorySystem {
    fn recall(&self, input: &MemoryInput<'_>) -> Result<MemoryFinding, Vec<MemoryConflict>> {
        let MemoryInput { intent, facts, snapshot, now } = *input;
        let mut found = Found::default();
        if let Some(owner) = facts.subject().filter(|owner| *owner != intent.subject()) {
            let subject = intent.subject();
            let detail = format!("expected facts of `{subject}`, found facts of `{owner}`");
            found.add(ConflictKind::Misaligned, None, None, detail);
            return Err(found.conflicts);
        }
        if facts.snapshot() != snapshot {
            let detail = format!(
                "expected facts at snapshot {}, found them at {}",
                snapshot.digest().short(),
                facts.snapshot().digest().short()
            );
            found.add(ConflictKind::Stale, None, None, detail);
        }
        let within = |context: &Name| self.includes(intent, context);
        for read in intent.reads() {
            check_read(read, facts, within, now, &mut found);
        }
        for (name, argument) in intent.arguments() {
            if from_memory_alone(&argument.label) {
                let origin = Origin::of(&argument.value, facts, &within, now);
                check_argument(name, argument, &origin, &mut found);
            }
        }
        if let Some(own) = intent.snapshot().filter(|own| *own != snapshot) {
            let detail = format!(
                "expected snapshot {}, found {}",
                snapshot.digest().short(),
                own.digest().short()
            );
            let suffice = self.snapshots == SnapshotRule::ReadsSuffice
                && !intent.reads().is_empty()
                && found.conflicts.is_empty();
            if suffice {
                found.noted.push(Reason::new(ReasonCode::MemoryStale).detail(detail));
            } else {
                found.add(ConflictKind::Stale, None, None, detail);
            }
        }
        if found.conflicts.is_empty() {
            Ok(MemoryFinding { reasons: found.noted })
        } else {
            Err(found.conflicts)
        }
    }
}

impl ConflictKind {
    /// The code of a conflict of this kind.
    pub const fn code(self) -> ReasonCode {
        match self {
            Self::Inconsistent => ReasonCode::MemoryInconsistent,
            Self::Misaligned => ReasonCode::MemoryMisaligned,
            Self::Stale => ReasonCode::MemoryStale,
            Self::Missing => ReasonCode::MemoryMissing,
        }
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    conflicts: Vec<MemoryConflict>,
    noted: Vec<Reason>,
}

impl Found {
    fn add(
        &mut self,
        kind: ConflictKind,
        key: Option<&FactKey>,
        argument: Option<&str>,
        detail: impl Into<Box<str>>,
    ) {
        self.conflicts.push(MemoryConflict {
            kind,
            key: key.cloned(),
            argument: argument.map(Into::into),
            reason: Reason::new(kind.code()).detail(detail),
        });
    }
}

fn check_read(
    read: &ReadFact,
    facts: &Facts,
    within: impl Fn(&Name) -> bool,
    now: Timestamp,
    found: &mut Found,
) {
    let ReadFact { key, version } = read;
    let fact = match facts.visible(key, within) {
        Visible::Here(fact) if fact.version() == *version && !fact.is_expired(now) => return,
        Visible::Here(fact) => fact,
        Visible::Unknown => {
            let detail = format!("expected fact `{key}` at version {version}, found no such fact");
            return found.add(ConflictKind::Missing, Some(key), None, detail);
        }
        Visible::Withdrawn => {
            let detail = format!("expected fact `{key}` at version {version}, found it withdrawn");
            return found.add(ConflictKind::Missing, Some(key), None, detail);
        }
        Visible::Elsewhere(fact) => {
            let detail = format!(
                "expected fact `{key}` in the intent's context, found it in {}",
                place(fact)
            );
            return found.add(ConflictKind::Misaligned, Some(key), None, detail);
        }
        Visible::Torn(one, other) => {
            let detail = format!(
                "expected one value of fact `{key}`, found version {} in {} and version {} in {}",
                one.version(),
                place(one),
                other.version(),
                place(other)
            );
            return found.add(ConflictKind::Inconsistent, Some(key), None, detail);
        }
    };
    let last = facts.version(key).unwrap_or(0);
    let (kind, detail) = if *version > last {
        let detail = format!("expected fact `{key}` up to version {last}, found version {version}");
        (ConflictKind::Misaligned, detail)
    } else if fact.version() == *version {
        let end = fact.expires_at().unwrap_or_default();
        let detail = format!("expected fact `{key}` to hold, found it expired at {end}");
        (ConflictKind::Inconsistent, detail)
    } else if let Some(foreign) = facts.at(key, *version) {
        let detail = format!(
            "expected fact `{key}` at version {} of {}, found version {version} of {}",
            fact.version(),
            place(fact),
            place(foreign)
        );
        (ConflictKind::Misaligned, detail)
    } else {
        let current = fact.version();
        let detail = format!("expected fact `{key}` at version {current}, found version {version}");
        (ConflictKind::Stale, detail)
    };
    found.add(kind, Some(key), None, detail);
}

fn check_argument(name: &str, argument: &Argument, origin: &Origin<'_>, found: &mut Found) {
    let (kind, key, detail) = match origin {
        Origin::Held(key, fact) => {
            if fact.label().sensitivity() > argument.label.sensitivity() {
                let detail =
                    format!("argument `{name}` understates the sensitivity of fact `{key}`");
                found.noted.push(Reason::new(ReasonCode::MemoryInconsistent).detail(detail));
            }
            return;
        }
        Origin::Washed(key, fact) => {
            let label = fact.label();
            let detail = format!(
                "expected argument `{name}` to say that fact `{key}` came from {label}, found memory alone"
            );
            (ConflictKind::Inconsistent, Some(*key), detail)
        }
        Origin::Expired(key, fact) => {
            let end = fact.expires_at().unwrap_or_default();
            let detail = format!(
                "expected argument `{name}` to equal a fact that holds, found fact `{key}`, expired at {end}"
            );
            (ConflictKind::Inconsistent, Some(*key), detail)
        }
        Origin::Elsewhere(key, fact) => {
            let detail = format!(
                "expected argument `{name}` from a fact of the intent's context, found fact `{key}` in {}",
                place(fact)
            );
            (ConflictKind::Misaligned, Some(*key), detail)
        }
        Origin::Nowhere => {
            let detail =
                format!("expected argument `{name}` to equal a fact, found none with its value");
            (ConflictKind::Inconsistent, None, detail)
        }
    };
    found.add(kind, key, Some(name), detail);
}

/// Where an argument's value stands in memory, best first.
enum Origin<'a> {
    Held(&'a FactKey, &'a Fact),
    Washed(&'a FactKey, &'a Fact),
    Expired(&'a FactKey, &'a Fact),
    Elsewhere(&'a FactKey, &'a Fact),
    Nowhere,
}

impl<'a> Origin<'a> {
    /// The best fact that holds the value; of a list or map that no fact holds as a
    /// whole, the worst of its parts.
    fn of(
        value: &Value,
        facts: &'a Facts,
        within: &impl Fn(&Name) -> bool,
        now: Timestamp,
    ) -> Self {
        let whole = facts
            .holding(value)
            .map(|(key, fact)| {
                if fact.context().is_some_and(|context| !within(context)) {
                    Self::Elsewhere(key, fact)
                } else if fact.is_expired(now) {
                    Self::Expired(key, fact)
                } else if fact.label().sources().any(|source| !vouched(source)) {
                    Self::Washed(key, fact)
                } else {
                    Self::Held(key, fact)
                }
            })
            .min_by_key(Self::rank);
        if let Some(origin) = whole {
            return origin;
        }
        let parts = |part| Self::of(part, facts, within, now);
        let worst = match value {
            Value::List(items) => items.iter().map(parts).max_by_key(Self::rank),
            Value::Map(entries) => entries.values().map(parts).max_by_key(Self::rank),
            _ => None,
        };
        worst.unwrap_or(Self::Nowhere)
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Held(..) => 0,
            Self::Washed(..) => 1,
            Self::Expired(..) => 2,
            Self::Elsewhere(..) => 3,
            Self::Nowhere => 4,
        }
    }
}

/// A source that memory may stand for.
const fn vouched(source: &Source) -> bool {
    matches!(source, Source::User | Source::Memory | Source::Policy)
}

fn from_memory_alone(label: &Label) -> bool {
    let mut sources = label.sources();
    matches!((sources.next(), sources.next()), (Some(Source::Memory), None))
}

/// Where a fact belongs, for people.
fn place(fact: &Fact) -> impl core::fmt::Display + '_ {
    struct Place<'a>(&'a Fact);
    impl core::fmt::Display for Place<'_> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            match self.0.context() {
                Some(context) => write!(f, "context `{context}`"),
                None => f.write_str("no context"),
            }
        }
    }
    Place(fact)
}

#[cfg(test)]
mod tests;
