//! The Execution Path (IRM-4.7.5): what Step 7 hands on.

use super::template::mode_name;
use super::{Branch, PipelineInput, Template};
use crate::encode::{Encode, Writer};
use crate::id::{ModuleId, RuleId, TemplateId};
use crate::verdict::{Reason, ReasonCode, SafetyMode};

/// The one path that remains.
///
/// INVARIANT (single path): exactly one module, allowed by the row; only the
/// Pipeline room makes one. It is neither copied nor read back from bytes: a
/// record holds what it said, not the path.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a path that is not executed must be recorded as halted"]
pub struct ExecutionPath {
    template: TemplateId,
    branch: RuleId,
    module: ModuleId,
    mode: SafetyMode,
}

/// Why a branch is no path of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The branch is not one of the template's.
    #[error("expected a branch of template `{template}`, found `{branch}`")]
    Foreign {
        /// The template.
        template: TemplateId,
        /// The branch.
        branch: RuleId,
    },
    /// The template does not allow the branch's module.
    #[error("template `{template}` does not allow module `{module}`")]
    Module {
        /// The template.
        template: TemplateId,
        /// The module.
        module: ModuleId,
    },
    /// The mode is less strict than the template's.
    #[error(
        "expected a mode of {} or stricter for template `{template}`, found {}",
        mode_name(*.expected),
        mode_name(*.found)
    )]
    Mode {
        /// The template.
        template: TemplateId,
        /// The template's mode.
        expected: SafetyMode,
        /// The mode asked for.
        found: SafetyMode,
    },
}

impl ExecutionPath {
    /// The path along one branch of a template: for an engine of your own. What it
    /// cannot know, whether the branch's condition holds here, [`ExecutionPath::fits`] checks.
    ///
    /// # Errors
    /// [`PathError`] when `branch` does not stand in `template`, its module is not
    /// allowed there, or `mode` is less strict than the template's.
    pub fn single(
        template: &Template,
        branch: &Branch,
        mode: SafetyMode,
    ) -> Result<Self, PathError> {
        let id = || template.id.clone();
        if !template.branches.contains(branch) {
            return Err(PathError::Foreign { template: id(), branch: branch.id.clone() });
        }
        if !template.modules.contains(&branch.module) {
            return Err(PathError::Module { template: id(), module: branch.module.clone() });
        }
        if mode < template.mode {
            return Err(PathError::Mode { template: id(), expected: template.mode, found: mode });
        }
        Ok(Self { template: id(), branch: branch.id.clone(), module: branch.module.clone(), mode })
    }

    /// Checks a path, whoever planned it, against what it was planned on: no engine
    /// overrides routing enforcement (IRM-3.4). A path of the default planner passes.
    ///
    /// # Errors
    /// The [`Reason`] for which the route halts: another template, a branch whose
    /// condition does not hold, a module that was excluded, a mode that is too lax.
    pub fn fits(&self, input: &PipelineInput<'_>) -> Result<(), Reason> {
        let template = input.template;
        let halt = |code, detail: &str| {
            let rule = RuleId::from(template.id.name().clone());
            Err(Reason::new(code).by(rule).detail(detail))
        };
        if self.template != template.id {
            return halt(ReasonCode::RouteMismatch, "the path is one of another template");
        }
        let branch = template.branches.iter().find(|branch| branch.id == self.branch);
        let Some(branch) = branch.filter(|branch| branch.module == self.module) else {
            return halt(ReasonCode::BranchUnresolved, "the path is no branch of the template");
        };
        let mode = input.mode();
        if self.mode < mode {
            return halt(ReasonCode::BranchUnresolved, "the path's safety mode is too lax");
        }
        if !branch.holds(input.flags, mode, input.state) {
            return halt(ReasonCode::BranchUnresolved, "the branch's condition does not hold");
        }
        let excluded = input.narrowing.exclude_modules.contains(&self.module);
        if excluded || !template.modules.contains(&self.module) {
            return halt(ReasonCode::ModuleNotAllowed, "the path's module may not be used");
        }
        Ok(())
    }

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

impl Encode for ExecutionPath {
    /// Template, branch, module (each a text), mode (one byte).
    fn encode(&self, out: &mut Writer) {
        out.value(&self.template).value(&self.branch).value(&self.module).value(&self.mode);
    }
}
