//! A policy: rules checked, digested, and indexed by kind.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Domain};
use crate::encode::{Encode, Writer, byte_enum};
use crate::governance::rule::{Kinds, Rule};
use crate::id::{KindId, Name, RuleId};
use crate::verdict::{Reason, ReasonCode};

/// The role asked for a person's judgement where a policy names none.
pub const DEFAULT_APPROVER: &str = "governance";
/// How long an approver has where a policy says nothing, in seconds.
pub const DEFAULT_TIMEOUT_SECONDS: u64 = 900;

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// No version.
    #[error("expected a version that is a name, of 1 to 200 bytes")]
    Version,
    /// Two rules of one id.
    #[error("expected one rule `{id}`, found two")]
    Duplicate {
        /// The id.
        id: RuleId,
    },
    /// A rule lacks something, or would let through what it does not see.
    #[error("rule `{id}`{place}: expected {expected}", place = Place(argument.as_deref()))]
    Rule {
        /// The id.
        id: RuleId,
        /// The argument whose condition is meant, where one is.
        argument: Option<Box<str>>,
        /// What it needs.
        expected: &'static str,
    },
    /// Several approver roles without an order.
    #[error("expected `approvers` to list every role, strongest first, `{role}` is not in it")]
    Approver {
        /// The role left out.
        role: Name,
    },
}

struct Place<'a>(Option<&'a str>);

impl core::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.map_or(Ok(()), |argument| write!(f, ", argument `{argument}`"))
    }
}

/// What happens to a soft drift that no rule rules on (D-22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SoftDrift {
    /// A person decides.
    #[default]
    StepUp,
    /// Denied.
    Deny,
}

byte_enum!(SoftDrift, "an answer to soft drift", { StepUp = 1, Deny = 2, });

/// What happens to a hard drift (D-22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HardDrift {
    /// Denied.
    #[default]
    Deny,
    /// Deferred until somebody authorizes going back to Modeling.
    Backtrack,
}

byte_enum!(HardDrift, "an answer to hard drift", { Deny = 1, Backtrack = 2, });

/// The parts of a policy before they are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyParts {
    /// The author's version.
    pub version: String,
    /// Approver roles, strongest first: where several rules ask, the strongest role
    /// decides, and its approval covers the weaker ones.
    pub approvers: Vec<Name>,
    /// Who judges what Safety holds and what drifts; `None`: the strongest role.
    pub reviewer: Option<Name>,
    /// How long that role has, in seconds.
    pub timeout_seconds: u64,
    /// The answer to soft drift that no rule rules on.
    pub soft_drift: SoftDrift,
    /// The answer to hard drift.
    pub hard_drift: HardDrift,
    /// The rules, in any order.
    pub rules: Vec<Rule>,
}

impl Default for PolicyParts {
    fn default() -> Self {
        Self {
            version: "none".into(),
            approvers: Vec::new(),
            reviewer: None,
            timeout_seconds: DEFAULT_TIMEOUT_SECONDS,
            soft_drift: SoftDrift::default(),
            hard_drift: HardDrift::default(),
            rules: Vec::new(),
        }
    }
}

/// A checked policy. Immutable.
///
/// INVARIANT (order): rules stand in the order of their ids, here and in every index,
/// so that the order they were written in decides nothing.
#[derive(Debug, Clone)]
pub struct Policy {
    parts: PolicyParts,
    reviewer: Option<Name>,
    by_kind: HashMap<KindId, Places>,
    any: Places,
    digest: Digest,
}

impl Policy {
    /// Checks the parts and builds the index.
    ///
    /// # Errors
    /// [`PolicyError`]: no version, an id used twice, a rule that lacks a part or would
    /// fail open, approver roles without an order.
    pub fn new(mut parts: PolicyParts) -> Result<Self, PolicyError> {
        if Name::new(&parts.version).is_err() {
            return Err(PolicyError::Version);
        }
        parts.rules.sort_by(|a, b| a.id.cmp(&b.id));
        for pair in parts.rules.windows(2) {
            if let [a, b] = pair
                && a.id == b.id
            {
                return Err(PolicyError::Duplicate { id: a.id.clone() });
            }
        }
        for rule in &parts.rules {
            rule.checked().map_err(|(argument, expected)| PolicyError::Rule {
                id: rule.id.clone(),
                argument: argument.map(Into::into),
                expected,
            })?;
        }
        let reviewer = approvers(&mut parts)?;
        let (by_kind, any) = index(&parts.rules);
        let digest = Domain::Policy.hash(&parts.to_canonical());
        Ok(Self { parts, reviewer, by_kind, any, digest })
    }

    /// The policy of no rules, which denies everything.
    pub fn empty() -> Self {
        let parts = PolicyParts::default();
        let digest = Domain::Policy.hash(&parts.to_canonical());
        Self { parts, reviewer: None, by_kind: HashMap::new(), any: Box::default(), digest }
    }

    /// The digest of everything it decides by.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether this is the locked policy (IRM-4.6.3).
    ///
    /// # Errors
    /// The [`Reason`] to deny with: expected the locked digest, found this one.
    pub fn locked(&self, pinned: Digest) -> Result<(), Reason> {
        if self.digest == pinned {
            return Ok(());
        }
        let detail = alloc::format!("policy, expected {pinned}, found {}", self.digest);
        Err(Reason::new(ReasonCode::PolicyVersion).detail(detail))
    }

    /// The author's version.
    pub fn version(&self) -> &str {
        &self.parts.version
    }

    /// The rules in the order of their ids.
    pub fn rules(&self) -> &[Rule] {
        &self.parts.rules
    }

    /// Its parts.
    pub const fn parts(&self) -> &PolicyParts {
        &self.parts
    }

    /// Who judges what Safety holds and what drifts; `None` in the empty policy, which
    /// denies before anybody is asked.
    pub const fn reviewer(&self) -> Option<&Name> {
        self.reviewer.as_ref()
    }

    /// The rules that can match a kind, in the order of their ids.
    pub fn candidates(&self, kind: &KindId) -> impl Iterator<Item = &Rule> {
        let index = self.by_kind.get(kind).unwrap_or(&self.any);
        index.iter().filter_map(|place| self.parts.rules.get(*place))
    }

    /// How strong a role is: 0 is the strongest; `None` for a role no rule asks for.
    pub fn rank(&self, role: &Name) -> Option<usize> {
        self.parts.approvers.iter().position(|known| known == role)
    }

    /// Kinds that rules name and the catalogue does not have: each such rule can never
    /// match by that kind. `catalogue` gives the kinds that exist.
    pub fn unknown_kinds<'a>(
        &self,
        catalogue: impl IntoIterator<Item = &'a str>,
    ) -> Vec<UnknownKind> {
        let known: BTreeSet<&str> = catalogue.into_iter().collect();
        let mut found = Vec::new();
        for rule in &self.parts.rules {
            let unknown = |kinds: &BTreeSet<KindId>| {
                kinds.iter().filter(|k| !known.contains(k.as_str())).cloned().collect::<Vec<_>>()
            };
            if let Kinds::Named(kinds) = &rule.kinds {
                let missing = unknown(kinds);
                let never = missing.len() == kinds.len();
                found.extend(missing.into_iter().map(|kind| UnknownKind {
                    rule: rule.id.clone(),
                    kind,
                    never_matches: never,
                }));
            }
            // A kind that cannot run is never in the history.
            for kind in unknown(&rule.when.after) {
                found.push(UnknownKind { rule: rule.id.clone(), kind, never_matches: true });
            }
            for (kind, least) in &rule.when.history_at_least {
                if !known.contains(kind.as_str()) {
                    let (rule, kind) = (rule.id.clone(), kind.clone());
                    found.push(UnknownKind { rule, kind, never_matches: *least > 0 });
                }
            }
            let counted = rule.when.history_at_most.keys().chain(&rule.when.not_after);
            for kind in counted.filter(|kind| !known.contains(kind.as_str())) {
                let (rule, kind) = (rule.id.clone(), kind.clone());
                found.push(UnknownKind { rule, kind, never_matches: false });
            }
        }
        found
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::empty()
    }
}

/// A rule that names a kind which does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKind {
    /// The rule.
    pub rule: RuleId,
    /// The kind.
    pub kind: KindId,
    /// Whether the rule can therefore never match at all.
    pub never_matches: bool,
}

/// Completes and checks the order of roles; gives the reviewer.
fn approvers(parts: &mut PolicyParts) -> Result<Option<Name>, PolicyError> {
    let mut roles: BTreeSet<Name> =
        parts.rules.iter().filter_map(|rule| rule.then.approver.clone()).collect();
    roles.extend(parts.reviewer.clone());
    if parts.approvers.is_empty() {
        if roles.is_empty() {
            roles.extend(Name::new(DEFAULT_APPROVER).ok());
        }
        if let (2.., Some(role)) = (roles.len(), roles.first()) {
            return Err(PolicyError::Approver { role: role.clone() });
        }
        parts.approvers.extend(roles.iter().cloned());
    }
    for role in roles {
        if !parts.approvers.contains(&role) {
            return Err(PolicyError::Approver { role });
        }
    }
    let strongest = parts.approvers.first().cloned();
    Ok(parts.reviewer.clone().or(strongest))
}

/// Places of rules in the list.
type Places = Box<[usize]>;

fn index(rules: &[Rule]) -> (HashMap<KindId, Places>, Places) {
    let mut named: BTreeMap<&KindId, Vec<usize>> = BTreeMap::new();
    for rule in rules {
        if let Kinds::Named(kinds) = &rule.kinds {
            for kind in kinds {
                named.entry(kind).or_default();
            }
        }
    }
    let mut any = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        match &rule.kinds {
            Kinds::Any => {
                any.push(place);
                for places in named.values_mut() {
                    places.push(place);
                }
            }
            Kinds::Named(kinds) => {
                for kind in kinds {
                    named.entry(kind).or_default().push(place);
                }
            }
        }
    }
    let by_kind = named.into_iter().map(|(kind, places)| (kind.clone(), places.into()));
    (by_kind.collect(), any.into())
}

impl Encode for PolicyParts {
    /// Version, approvers, reviewer, timeout, drift answers, rules in id order.
    fn encode(&self, out: &mut Writer) {
        out.text(&self.version).list(&self.approvers).option(self.reviewer.as_ref());
        out.u64(self.timeout_seconds).value(&self.soft_drift).value(&self.hard_drift);
        out.list(&self.rules);
    }
}
