//! One governance rule: an effect, the kinds it is for, and what must hold.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::audience::state::State;
use crate::encode::{Encode, Writer, byte_enum};
use crate::governance::GovernanceInput;
use crate::governance::argument::{ArgumentCondition, Outcome, gather};
use crate::id::{KindId, ModuleId, Name, RuleId};
use crate::risk::Risk;
use crate::time::Timestamp;
use crate::verdict::{Drift, Narrowing, SafetyFlags, Verdict};

/// A kind of principal, as rules name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// A person.
    Human,
    /// A service.
    Service,
    /// An agent that acts for somebody.
    Agent,
}

byte_enum!(Actor, "a kind of principal", { Human = 1, Service = 2, Agent = 3, });

impl Actor {
    /// The actor of this name, as [`crate::governance::Authority::kind`] spells it.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "human" => Some(Self::Human),
            "service" => Some(Self::Service),
            "agent" => Some(Self::Agent),
            _ => None,
        }
    }
}

/// The kinds of intent a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kinds {
    /// Every kind. Has to be said.
    Any,
    /// These kinds.
    Named(BTreeSet<KindId>),
}

impl Default for Kinds {
    /// No kind: what is not said matches nothing.
    fn default() -> Self {
        Self::Named(BTreeSet::new())
    }
}

/// A window of the day in UTC, in minutes from midnight; `from` included, `until` not.
/// It may run over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// First minute.
    pub from: u16,
    /// First minute after it.
    pub until: u16,
}

impl Hours {
    /// Whether the time of day lies within.
    pub const fn holds(&self, now: Timestamp) -> bool {
        let minute = (now.as_millis() / 60_000 % 1440) as u16;
        if self.from <= self.until {
            self.from <= minute && minute < self.until
        } else {
            self.from <= minute || minute < self.until
        }
    }
}

/// What must hold for a rule to match; what is empty or `None` asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conditions {
    /// Who acts is one of these.
    pub principals: BTreeSet<Actor>,
    /// Who acts holds all of these scopes.
    pub scopes: BTreeSet<Name>,
    /// The delegation chain is at most this long.
    pub delegation_at_most: Option<u32>,
    /// The audience is in one of these states.
    pub states: BTreeSet<State>,
    /// The audience is of one of these classes (`A`, `B`, `C`).
    pub classes: BTreeSet<char>,
    /// All of these flags are set.
    pub flags_all: SafetyFlags,
    /// One of these flags is set.
    pub flags_any: SafetyFlags,
    /// None of these flags is set.
    pub flags_none: SafetyFlags,
    /// The overall risk is at least this.
    pub risk_at_least: Option<Risk>,
    /// The overall risk is below this.
    pub risk_below: Option<Risk>,
    /// Drift is one of these.
    pub drift: BTreeSet<Drift>,
    /// Conditions on arguments by name; `*` stands for all.
    pub arguments: BTreeMap<Box<str>, ArgumentCondition>,
    /// Whether the session has read from outside.
    pub context_outside: Option<bool>,
    /// Each of these kinds was executed earlier in this session.
    pub after: BTreeSet<KindId>,
    /// None of these kinds was executed earlier in this session.
    pub not_after: BTreeSet<KindId>,
    /// Each of these kinds was executed at most so often in this session.
    pub history_at_most: BTreeMap<KindId, u32>,
    /// Each of these kinds was executed at least so often in this session.
    pub history_at_least: BTreeMap<KindId, u32>,
    /// The time of day, UTC.
    pub hours: Option<Hours>,
}

impl Conditions {
    fn hold<'a>(&'a self, input: &GovernanceInput<'_>, permits: bool) -> Outcome<'a> {
        let authority = &input.authority;
        let count = |kind: &KindId| input.history.get(kind).copied().unwrap_or(0);
        let done = |kind: &KindId| count(kind) > 0;
        let plain = (self.principals.is_empty()
            || Actor::from_name(authority.kind).is_some_and(|a| self.principals.contains(&a)))
            && self.scopes.is_subset(authority.scopes)
            && self.delegation_at_most.is_none_or(|most| authority.delegation <= most as usize)
            && (self.states.is_empty() || self.states.contains(&input.state))
            && (self.classes.is_empty() || self.classes.contains(&input.class))
            && input.flags.contains(self.flags_all)
            && (self.flags_any.is_empty() || input.flags.intersects(self.flags_any))
            && !input.flags.intersects(self.flags_none)
            && self.risk_at_least.is_none_or(|least| input.risk >= least)
            && self.risk_below.is_none_or(|bound| input.risk < bound)
            && (self.drift.is_empty() || self.drift.contains(&input.drift))
            && self.context_outside.is_none_or(|asked| input.context.is_outside() == asked)
            && self.after.iter().all(done)
            && !self.not_after.iter().any(done)
            && self.history_at_most.iter().all(|(kind, most)| count(kind) <= *most)
            && self.history_at_least.iter().all(|(kind, least)| count(kind) >= *least)
            && self.hours.is_none_or(|hours| hours.holds(input.now));
        if !plain {
            return Outcome::No;
        }
        let given = input.intent.arguments();
        let mut outcome = Outcome::Match;
        for (name, condition) in &self.arguments {
            outcome = outcome.and(if &**name == "*" {
                let each = given.values().map(|a| condition.test(name, Some(a), permits));
                gather(each, permits)
            } else {
                condition.test(name, given.get(name), permits)
            });
        }
        outcome
    }
}

/// What a rule does when it matches. Which parts it needs depends on its effect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Obligations {
    /// Modify: what is taken away.
    pub narrowing: Narrowing,
    /// Step up: the role an approver must hold.
    pub approver: Option<Name>,
    /// Step up and defer: how long is waited; nothing by then denies.
    pub timeout_seconds: Option<u64>,
    /// Defer: what must be supplied.
    pub missing: Box<str>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id; every verdict names it.
    pub id: RuleId,
    /// What it decides.
    pub effect: Verdict,
    /// The kinds it is for.
    pub kinds: Kinds,
    /// What must hold.
    pub when: Conditions,
    /// What then follows.
    pub then: Obligations,
    /// Whether it also rules on a soft-drift flag (D-22).
    pub rules_on_drift: bool,
    /// Why, for people.
    pub reason: Box<str>,
}

impl Rule {
    /// A rule without conditions.
    pub fn new(id: RuleId, effect: Verdict, kinds: Kinds) -> Self {
        Self {
            id,
            effect,
            kinds,
            when: Conditions::default(),
            then: Obligations::default(),
            rules_on_drift: false,
            reason: Box::default(),
        }
    }

    /// Whether it lets something through without a person.
    pub const fn permits(&self) -> bool {
        matches!(self.effect, Verdict::Allow | Verdict::Modify)
    }

    /// Whether it matches. The kind is the index's business.
    pub(super) fn evaluate<'a>(&'a self, input: &GovernanceInput<'_>) -> Outcome<'a> {
        self.when.hold(input, self.permits())
    }

    /// What it needs and lacks, or has and may not.
    pub(super) fn checked(&self) -> Result<(), (Option<&str>, &'static str)> {
        let rule = |expected| Err((None, expected));
        if matches!(&self.kinds, Kinds::Named(kinds) if kinds.is_empty()) {
            return rule("`kinds = \"any\"` or a list of at least one kind");
        }
        let then = &self.then;
        let modify = !then.narrowing.is_empty();
        let waits = then.timeout_seconds.is_some();
        match self.effect {
            Verdict::Modify if !modify => {
                return rule("`drop_arguments`, `exclude_modules` or `read_only` to modify");
            }
            Verdict::StepUp if then.approver.is_none() || !waits => {
                return rule("`approver` and `timeout_seconds` to step up");
            }
            Verdict::Defer if then.missing.is_empty() || !waits => {
                return rule("`missing` and `timeout_seconds` to defer");
            }
            _ => {}
        }
        if modify && self.effect != Verdict::Modify {
            return rule("`effect = \"modify\"` where something is taken away");
        }
        if then.approver.is_some() && self.effect != Verdict::StepUp {
            return rule("`effect = \"step-up\"` where an approver is named");
        }
        if !then.missing.is_empty() && self.effect != Verdict::Defer {
            return rule("`effect = \"defer\"` where something is missing");
        }
        if waits && !matches!(self.effect, Verdict::StepUp | Verdict::Defer) {
            return rule("`effect = \"step-up\"` or `\"defer\"` where a timeout is given");
        }
        if self.rules_on_drift && matches!(self.effect, Verdict::Defer | Verdict::Deny) {
            return rule("a rule that permits or steps up where it rules on drift");
        }
        if self.when.classes.iter().any(|class| !matches!(class, 'A' | 'B' | 'C')) {
            return rule("classes `A`, `B` or `C`");
        }
        if self.when.hours.is_some_and(|h| h.from >= 1440 || h.until > 1440 || h.from == h.until) {
            return rule("hours from 00:00 to 24:00 that differ");
        }
        for (name, condition) in &self.when.arguments {
            condition
                .checked(name, self.permits())
                .map_err(|expected| (Some(&**name), expected))?;
        }
        Ok(())
    }
}

fn set<'a, T: Encode + 'a>(items: impl ExactSizeIterator<Item = &'a T>, out: &mut Writer) {
    out.count(items.len());
    for item in items {
        out.value(item);
    }
}

fn texts(items: &[Box<str>], out: &mut Writer) {
    out.count(items.len());
    for item in items {
        out.text(item);
    }
}

fn number(value: Option<u64>, out: &mut Writer) {
    match value {
        None => out.u8(0),
        Some(value) => out.u8(1).u64(value),
    };
}

impl Encode for Conditions {
    fn encode(&self, out: &mut Writer) {
        set(self.principals.iter(), out);
        set(self.scopes.iter(), out);
        number(self.delegation_at_most.map(u64::from), out);
        set(self.states.iter(), out);
        out.count(self.classes.len());
        for class in &self.classes {
            out.u32(u32::from(*class));
        }
        out.value(&self.flags_all).value(&self.flags_any).value(&self.flags_none);
        out.option(self.risk_at_least.as_ref()).option(self.risk_below.as_ref());
        set(self.drift.iter(), out);
        out.count(self.arguments.len());
        for (name, condition) in &self.arguments {
            out.text(name).value(condition);
        }
        match self.context_outside {
            None => out.u8(0),
            Some(asked) => out.u8(1).bool(asked),
        };
        set(self.after.iter(), out);
        set(self.not_after.iter(), out);
        for counts in [&self.history_at_most, &self.history_at_least] {
            out.count(counts.len());
            for (kind, count) in counts {
                out.value(kind).u32(*count);
            }
        }
        match self.hours {
            None => out.u8(0),
            Some(hours) => out.u8(1).u16(hours.from).u16(hours.until),
        };
    }
}

impl Encode for Rule {
    /// Id, effect, kinds, conditions, obligations, drift, reason: in this order.
    fn encode(&self, out: &mut Writer) {
        out.value(&self.id).value(&self.effect);
        match &self.kinds {
            Kinds::Any => {
                out.u8(0);
            }
            Kinds::Named(kinds) => {
                out.u8(1);
                set(kinds.iter(), out);
            }
        }
        out.value(&self.when);
        let Narrowing { drop_arguments, exclude_modules, read_only } = &self.then.narrowing;
        texts(drop_arguments, out);
        let modules: &Vec<ModuleId> = exclude_modules;
        out.list(modules).bool(*read_only).option(self.then.approver.as_ref());
        number(self.then.timeout_seconds, out);
        out.text(&self.then.missing).bool(self.rules_on_drift).text(&self.reason);
    }
}
