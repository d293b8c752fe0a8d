//! The default Pipeline: branch elimination (IRM-4.7.2).
//!
//! Requirements: IRM-4.7.1, IRM-4.7.3.

use alloc::string::String;
use core::fmt;
use core::fmt::Write as _;

use super::template::mode_name;
use super::{Branch, ExecutionPath, PipelineEngine, PipelineInput};
use crate::audience::state::State;
use crate::id::{ModuleId, RuleId};
use crate::verdict::{Reason, ReasonCode, SafetyFlags, SafetyMode, Vote};

/// Why a branch was eliminated: the first part of its condition that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Elimination {
    /// It needs flags that are not set: these.
    Missing(SafetyFlags),
    /// It excludes flags that are set: these.
    Present(SafetyFlags),
    /// It is not for this mode.
    Mode(SafetyMode),
    /// It is not for this state.
    State(State),
    /// Its module was excluded for this route.
    Excluded(ModuleId),
}

impl fmt::Display for Elimination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(flags) => write!(f, "flags {flags} are not set"),
            Self::Present(flags) => write!(f, "flags {flags} are set"),
            Self::Mode(mode) => write!(f, "not for mode {}", mode_name(*mode)),
            Self::State(state) => write!(f, "not for state {state}"),
            Self::Excluded(module) => write!(f, "module `{module}` is excluded"),
        }
    }
}

impl PipelineInput<'_> {
    /// Why `branch` is eliminated here; `None` when it remains.
    pub fn elimination(&self, branch: &Branch) -> Option<Elimination> {
        let mode = self.mode();
        let excluded = self.narrowing.exclude_modules.contains(&branch.module);
        if !excluded && branch.holds(self.flags, mode, self.state) {
            return None;
        }
        let part = |wanted: fn(&Branch, SafetyFlags, SafetyFlags) -> bool| {
            let named = SafetyFlags::ALL.iter().map(|(flag, _)| *flag);
            named
                .filter(|flag| wanted(branch, *flag, self.flags))
                .fold(SafetyFlags::NONE, SafetyFlags::union)
        };
        let missing =
            part(|branch, flag, set| branch.all_flags.contains(flag) && !set.contains(flag));
        let present =
            part(|branch, flag, set| branch.no_flags.contains(flag) && set.contains(flag));
        Some(if !missing.is_empty() {
            Elimination::Missing(missing)
        } else if !present.is_empty() {
            Elimination::Present(present)
        } else if !branch.modes.is_empty() && !branch.modes.contains(&mode) {
            Elimination::Mode(mode)
        } else if !branch.states.is_empty() && !branch.states.contains(&self.state) {
            Elimination::State(self.state)
        } else {
            Elimination::Excluded(branch.module.clone())
        })
    }

    /// The eliminated branches in their order, each with its [`ReasonCode::BranchEliminated`]:
    /// for a decision trace that wants them (IRM-6.6).
    pub fn eliminations(&self) -> impl Iterator<Item = Reason> {
        self.template.branches.iter().filter_map(|branch| {
            let why = self.elimination(branch)?;
            let reason = Reason::new(ReasonCode::BranchEliminated).by(branch.id.clone());
            Some(reason.detail(alloc::format!("{why}")))
        })
    }
}

/// The default Pipeline engine.
///
/// Every engine the row requires must have agreed; then branches are eliminated by
/// their conditions and by the modules that were taken away; exactly one must remain
/// and run a module the row allows. It keeps nothing between routes.
#[derive(Debug, Clone, Copy, Default)]
pub struct PathPlanner;

impl PipelineEngine for PathPlanner {
    fn plan(&self, input: &PipelineInput<'_>) -> Result<ExecutionPath, Reason> {
        let template = input.template;
        for engine in &template.engines {
            if input.consensus.vote(*engine) != Vote::Agree {
                return Err(halt(input, ReasonCode::EngineMissing, |out| {
                    write!(out, "{engine} must agree, votes are {}", input.consensus)
                }));
            }
        }
        let mode = input.mode();
        let remains = |branch: &&Branch| {
            branch.holds(input.flags, mode, input.state)
                && !input.narrowing.exclude_modules.contains(&branch.module)
        };
        let mut remaining = template.branches.iter().filter(remains);
        let Some(branch) = remaining.next() else {
            return Err(none_left(input));
        };
        if remaining.next().is_some() {
            let names = template.branches.iter().filter(remains).map(|branch| &branch.id);
            return Err(halt(input, ReasonCode::BranchUnresolved, |out| {
                for (i, name) in names.enumerate() {
                    write!(out, "{}`{name}`", if i == 0 { "branches " } else { ", " })?;
                }
                out.write_str(" all remain")
            }));
        }
        if !template.modules.contains(&branch.module) {
            return Err(halt(input, ReasonCode::ModuleNotAllowed, |out| {
                write!(out, "branch `{}` runs module `{}`", branch.id, branch.module)
            }));
        }
        ExecutionPath::single(template, branch, mode).map_err(|error| {
            halt(input, ReasonCode::BranchUnresolved, |out| write!(out, "{error}"))
        })
    }
}

fn none_left(input: &PipelineInput<'_>) -> Reason {
    halt(input, ReasonCode::BranchUnresolved, |out| {
        out.write_str("no branch remains")?;
        for (i, branch) in input.template.branches.iter().enumerate() {
            if let Some(why) = input.elimination(branch) {
                write!(out, "{} `{}`: {why}", if i == 0 { ":" } else { ";" }, branch.id)?;
            }
        }
        Ok(())
    })
}

fn halt(
    input: &PipelineInput<'_>,
    code: ReasonCode,
    detail: impl FnOnce(&mut String) -> fmt::Result,
) -> Reason {
    let mut text = String::new();
    // A `String` never refuses; were it to, the code and the rule would still stand.
    let _written = detail(&mut text);
    Reason::new(code).by(RuleId::from(input.template.id.name().clone())).detail(text)
}
