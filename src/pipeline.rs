//! Step 7: the one execution path (IRM-4.7).

use alloc::vec::Vec;

use crate::audience::state::State;
use crate::id::{LayerId, ModuleId, RuleId, TemplateId};
use crate::intent::Intent;
use crate::verdict::{Consensus, Narrowing, Reason, SafetyFlags, SafetyMode};

/// A branch of a template: taken when its condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The branch's name.
    pub id: RuleId,
    /// Flags that must all be set.
    pub all_flags: SafetyFlags,
    /// Flags none of which may be set.
    pub no_flags: SafetyFlags,
    /// Safety modes it is for; empty: every mode.
    pub modes: Vec<SafetyMode>,
    /// Audience states it is for; empty: every state.
    pub states: Vec<State>,
    /// The module it runs.
    pub module: ModuleId,
}

/// An execution template: branches of which exactly one remains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its id (IRM-6.5).
    pub id: TemplateId,
    /// The row's safety mode.
    pub mode: SafetyMode,
    /// Engines that must agree.
    pub engines: Vec<LayerId>,
    /// Modules that may be used.
    pub modules: Vec<ModuleId>,
    /// The branches.
    pub branches: Vec<Branch>,
}

/// What the Pipeline is handed.
#[derive(Debug, Clone, Copy)]
pub struct PipelineInput<'a> {
    /// The intent.
    pub intent: &'a Intent,
    /// The table row's template.
    pub template: &'a Template,
    /// All flags, those raised later included.
    pub flags: SafetyFlags,
    /// The audience's state.
    pub state: State,
    /// How Safety and Governance narrowed the intent.
    pub narrowing: &'a Narrowing,
    /// The votes of this route.
    pub consensus: Consensus,
}

/// The one path that remains.
///
/// INVARIANT (single path): exactly one module, allowed by the row; only the
/// Pipeline makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct ExecutionPath {
    template: TemplateId,
    branch: RuleId,
    module: ModuleId,
    mode: SafetyMode,
}

impl ExecutionPath {
    /// The template's id.
    pub const fn template(&self) -> &TemplateId {
        &self.template
    }

    /// The branch that remained.
    pub const fn branch(&self) -> &RuleId {
        &self.branch
    }

    /// The module that runs.
    pub const fn module(&self) -> &ModuleId {
        &self.module
    }

    /// The safety mode it runs in.
    pub const fn mode(&self) -> SafetyMode {
        self.mode
    }
}

/// Step 7 of the path.
pub trait PipelineEngine {
    /// Eliminates branches until one is left.
    ///
    /// # Errors
    /// The [`Reason`] for which the route halts.
    fn plan(&self, input: &PipelineInput<'_>) -> Result<ExecutionPath, Reason>;
}
