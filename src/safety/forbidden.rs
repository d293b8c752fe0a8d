//! Forbidden routes: combinations that are stopped whatever they score (IRM-4.5.3).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::audience::state::State;
use crate::encode::{Encode, Writer};
use crate::id::KindId;
use crate::intent::{Argument, Intent};
use crate::provenance::{Label, Sensitivity, SourcePattern};
use crate::safety::parts::encode_kinds;
use crate::verdict::SafetyFlags;

/// A combination of kind, flags, state and argument that is never let through.
///
/// All conditions that are given must hold. A condition on arguments holds when one of
/// the named arguments (or any argument) carries one of the sources, or is as sensitive
/// as given. An argument that names no source could come from anywhere: it counts as
/// carrying every source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForbiddenRoute {
    /// Kinds; `None`: every kind.
    pub kinds: Option<BTreeSet<KindId>>,
    /// Flags of which all must be set.
    pub flags_all: SafetyFlags,
    /// Flags of which one must be set; empty: no condition.
    pub flags_any: SafetyFlags,
    /// Flags of which none may be set.
    pub flags_none: SafetyFlags,
    /// States; empty: every state.
    pub states: BTreeSet<State>,
    /// Arguments looked at; empty: all.
    pub arguments: Vec<Box<str>>,
    /// Sources one of which an argument must carry; empty: no condition.
    pub sources: Vec<SourcePattern>,
    /// Least sensitivity an argument must have; `None`: no condition.
    pub sensitivity: Option<Sensitivity>,
    /// Whether the session must have read from outside.
    pub context_outside: bool,
    /// Whether the audience escalates: the envelope's own verdict becomes block (ASM2-7.2).
    pub escalates: bool,
    /// Why, for people.
    pub reason: Box<str>,
}

impl ForbiddenRoute {
    /// Something must be asked for, or everything would be forbidden by mistake.
    pub(super) fn checked(&self) -> Result<(), &'static str> {
        let conditions = self.kinds.is_some()
            || !self.flags_all.is_empty()
            || !self.flags_any.is_empty()
            || !self.flags_none.is_empty()
            || !self.states.is_empty()
            || !self.sources.is_empty()
            || self.sensitivity.is_some()
            || self.context_outside;
        if !conditions {
            return Err("at least one condition");
        }
        if self.kinds.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err("at least one kind in `kinds`, or no `kinds`");
        }
        if !self.arguments.is_empty() && self.sources.is_empty() && self.sensitivity.is_none() {
            return Err("`sources` or `sensitivity` beside `arguments`");
        }
        Ok(())
    }

    /// Whether the intent takes this route.
    pub fn matches(
        &self,
        intent: &Intent,
        flags: SafetyFlags,
        state: State,
        context: &Label,
    ) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&intent.kind().id))
            && flags.contains(self.flags_all)
            && (self.flags_any.is_empty() || flags.intersects(self.flags_any))
            && !flags.intersects(self.flags_none)
            && (self.states.is_empty() || self.states.contains(&state))
            && (!self.context_outside || context.is_outside())
            && self.argument(intent)
    }

    fn argument(&self, intent: &Intent) -> bool {
        if self.sources.is_empty() && self.sensitivity.is_none() {
            return true;
        }
        let mut all = intent.arguments().iter();
        all.any(|(name, argument)| {
            (self.arguments.is_empty() || self.arguments.contains(name)) && self.carries(argument)
        })
    }

    fn carries(&self, argument: &Argument) -> bool {
        let label = &argument.label;
        let mut sources = label.sources().peekable();
        let source = self.sources.is_empty()
            || sources.peek().is_none()
            || sources.any(|source| self.sources.iter().any(|p| p.matches(source)));
        source && self.sensitivity.is_none_or(|least| label.sensitivity() >= least)
    }
}

impl Encode for ForbiddenRoute {
    fn encode(&self, out: &mut Writer) {
        encode_kinds(self.kinds.as_ref(), out);
        out.value(&self.flags_all).value(&self.flags_any).value(&self.flags_none);
        out.count(self.states.len());
        for state in &self.states {
            out.value(state);
        }
        out.count(self.arguments.len());
        for name in &self.arguments {
            out.text(name);
        }
        out.list(&self.sources).option(self.sensitivity.as_ref());
        out.bool(self.context_outside).bool(self.escalates).text(&self.reason);
    }
}
