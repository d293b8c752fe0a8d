//! What a template must be before it is used: a proof that it is deterministic.
//!
//! A branch's condition is a conjunction over independent parts: each flag, the
//! mode, the state. Two conjunctions can hold together exactly when each part can,
//! so comparing all pairs of branches part by part decides the question for every
//! combination of flags, mode and state; the first overlap yields its witness.
//!
//! Requirements: IRM-3.2.2..IRM-3.2.4.

use alloc::collections::BTreeSet;
use core::fmt;

use super::{Branch, Template};
use crate::audience::state::State;
use crate::id::{LayerId, ModuleId, RuleId, TemplateId};
use crate::verdict::{SafetyFlags, SafetyMode};

pub use crate::limits::TEMPLATE_BRANCHES;

const MODES: [SafetyMode; 3] = [SafetyMode::Normal, SafetyMode::Protected, SafetyMode::ReadOnly];

/// Flags, a mode and a state for which two branches hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The flags.
    pub flags: SafetyFlags,
    /// The mode.
    pub mode: SafetyMode,
    /// The state.
    pub state: State,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = mode_name(self.mode);
        write!(f, "flags {}, mode {mode}, state {}", self.flags, self.state)
    }
}

pub(super) const fn mode_name(mode: SafetyMode) -> &'static str {
    match mode {
        SafetyMode::Normal => "normal",
        SafetyMode::Protected => "protected",
        SafetyMode::ReadOnly => "read-only",
    }
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// No branch, or more than [`TEMPLATE_BRANCHES`].
    #[error("expected 1 to {TEMPLATE_BRANCHES} branches in template `{template}`, found {found}")]
    Count {
        /// The template.
        template: TemplateId,
        /// How many it has.
        found: usize,
    },
    /// Two branches have one name.
    #[error("branch `{branch}` stands twice in template `{template}`")]
    Duplicate {
        /// The template.
        template: TemplateId,
        /// The name.
        branch: RuleId,
    },
    /// A branch runs a module the row does not allow.
    #[error(
        "branch `{branch}` of template `{template}` runs module `{module}`, which the template does not allow"
    )]
    Module {
        /// The template.
        template: TemplateId,
        /// The branch.
        branch: RuleId,
        /// Its module.
        module: ModuleId,
    },
    /// An engine that votes after the Pipeline is required to have agreed before it.
    #[error(
        "template `{template}` requires {engine} to agree, which does not vote before the Pipeline has planned"
    )]
    Engine {
        /// The template.
        template: TemplateId,
        /// The engine.
        engine: LayerId,
    },
    /// A branch that can never be taken.
    #[error("branch `{branch}` of template `{template}` can never be taken: {why}")]
    Dead {
        /// The template.
        template: TemplateId,
        /// The branch.
        branch: RuleId,
        /// Which part of its condition cannot hold.
        why: &'static str,
    },
    /// Two branches can hold together.
    #[error("branches `{first}` and `{second}` of template `{template}` both match {witness}")]
    Overlap {
        /// The template.
        template: TemplateId,
        /// The branch that stands first.
        first: RuleId,
        /// The branch that stands second.
        second: RuleId,
        /// For what both hold.
        witness: Witness,
    },
}

impl Branch {
    /// Whether its condition holds.
    pub fn holds(&self, flags: SafetyFlags, mode: SafetyMode, state: State) -> bool {
        flags.contains(self.all_flags)
            && !flags.intersects(self.no_flags)
            && (self.modes.is_empty() || self.modes.contains(&mode))
            && (self.states.is_empty() || self.states.contains(&state))
    }

    /// The least flags, mode (from `floor` up) and state for which both hold.
    fn overlap(&self, other: &Self, floor: SafetyMode) -> Option<Witness> {
        let flags = self.all_flags.union(other.all_flags);
        MODES.into_iter().filter(|mode| *mode >= floor).find_map(|mode| {
            State::ALL.into_iter().find_map(|state| {
                let both = self.holds(flags, mode, state) && other.holds(flags, mode, state);
                both.then_some(Witness { flags, mode, state })
            })
        })
    }
}

impl Template {
    /// Proves that for every combination of flags, mode and state at most one branch
    /// matches, that every branch can match at all, and that its module is allowed.
    ///
    /// Modes below the row's own are left out: a path never runs in one (IRM-3.3.2).
    ///
    /// # Errors
    /// The first [`TemplateError`] in the order of the branches.
    pub fn check(&self) -> Result<(), TemplateError> {
        let template = || self.id.clone();
        if self.branches.is_empty() || self.branches.len() > TEMPLATE_BRANCHES {
            return Err(TemplateError::Count { template: template(), found: self.branches.len() });
        }
        if let Some(&engine) = self.engines.iter().find(|engine| **engine >= LayerId::Pipeline) {
            return Err(TemplateError::Engine { template: template(), engine });
        }
        let mut names = BTreeSet::new();
        for branch in &self.branches {
            let id = || branch.id.clone();
            if !names.insert(&branch.id) {
                return Err(TemplateError::Duplicate { template: template(), branch: id() });
            }
            if !self.modules.contains(&branch.module) {
                let module = branch.module.clone();
                return Err(TemplateError::Module { template: template(), branch: id(), module });
            }
            if let Some(why) = self.dead(branch) {
                return Err(TemplateError::Dead { template: template(), branch: id(), why });
            }
        }
        let mut rest = self.branches.as_slice();
        while let Some((first, others)) = rest.split_first() {
            for second in others {
                if let Some(witness) = first.overlap(second, self.mode) {
                    return Err(TemplateError::Overlap {
                        template: template(),
                        first: first.id.clone(),
                        second: second.id.clone(),
                        witness,
                    });
                }
            }
            rest = others;
        }
        Ok(())
    }

    fn dead(&self, branch: &Branch) -> Option<&'static str> {
        if branch.all_flags.intersects(branch.no_flags) {
            return Some("a flag is both required and excluded");
        }
        let below = |mode: &SafetyMode| *mode < self.mode;
        (!branch.modes.is_empty() && branch.modes.iter().all(below))
            .then_some("all its modes are below the template's own")
    }
}
