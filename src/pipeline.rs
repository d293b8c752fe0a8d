//! Step 7: the one execution path (IRM-4.7).
//!
//! A table row hands over a [`Template`]: branches with conditions. [`PathPlanner`]
//! eliminates every branch whose condition does not hold, until one is left. None or
//! several left is a halt, never a choice (IRM-3.3.5, IRM-7.6, IRM-7.8).
//! [`Template::check`] proves, when a table is loaded, that several can never be left.
//!
//! ```
//! use prospera::audience::state::State;
//! use prospera::pipeline::{Branch, Template, TemplateError};
//! use prospera::verdict::{SafetyFlags, SafetyMode};
//!
//! let branch = |id: &str, all: SafetyFlags, no: SafetyFlags| Branch {
//!     id: id.parse().unwrap(),
//!     all_flags: all,
//!     no_flags: no,
//!     modes: vec![],
//!     states: vec![],
//!     module: "mail".parse().unwrap(),
//! };
//! let mut template = Template {
//!     id: "send".parse()?,
//!     mode: SafetyMode::Normal,
//!     engines: vec![],
//!     modules: vec!["mail".parse()?],
//!     branches: vec![
//!         branch("outside", SafetyFlags::EXTERNAL, SafetyFlags::NONE),
//!         branch("inside", SafetyFlags::NONE, SafetyFlags::EXTERNAL),
//!     ],
//! };
//! assert!(template.check().is_ok());
//! template.branches.push(branch("money", SafetyFlags::FINANCIAL, SafetyFlags::NONE));
//! let error = template.check().unwrap_err();
//! assert!(matches!(error, TemplateError::Overlap { .. }));
//! assert_eq!(
//!     error.to_string(),
//!     "branches `outside` and `money` of template `send` both match flags external financial, \
//!      mode normal, state INIT"
//! );
//! # let _ = State::Init;
//! # Ok::<(), prospera::id::NameError>(())
//! ```
//!
//! INVARIANT (single path): an [`ExecutionPath`] names one branch of one template,
//! whose module the row allows, in a mode at least as strict as the row's.

use alloc::vec::Vec;

use crate::audience::state::State;
use crate::encode::{Encode, Writer};
use crate::id::{LayerId, ModuleId, RuleId, TemplateId};
use crate::intent::Intent;
use crate::verdict::{Consensus, Narrowing, Reason, SafetyFlags, SafetyMode};

pub use advancement::{Advancement, PROGRESS_ENTRIES, Progress, Settlement};
pub use path::{ExecutionPath, PathError};
pub use planner::{Elimination, PathPlanner};
pub use template::{TEMPLATE_BRANCHES, TemplateError, Witness};

mod advancement;
mod path;
mod planner;
mod template;
#[cfg(test)]
mod tests;

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

impl Encode for Branch {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.id)
            .value(&self.all_flags)
            .value(&self.no_flags)
            .list(&self.modes)
            .list(&self.states)
            .value(&self.module);
    }
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

impl Encode for Template {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.id)
            .value(&self.mode)
            .list(&self.engines)
            .list(&self.modules)
            .list(&self.branches);
    }
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

impl PipelineInput<'_> {
    /// The mode the path runs in: the strictest of the row's mode, Protected when
    /// anything was taken away, and read-only when effects were.
    pub fn mode(&self) -> SafetyMode {
        let narrowed = if self.narrowing.read_only {
            SafetyMode::ReadOnly
        } else if self.narrowing.is_empty() {
            SafetyMode::Normal
        } else {
            SafetyMode::Protected
        };
        self.template.mode.max(narrowed)
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
