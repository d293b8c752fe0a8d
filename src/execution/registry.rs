//! The default Execution Engine: modules by name, no call that breaks a contract.
//!
//! Requirements: PLAN-4.9.1.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use hashbrown::HashMap;

use super::arguments::is_within;
use super::markers::{permits, suffices};
use super::{
    Admission, Call, Contract, ContractError, Execution, ExecutionEngine, FromArguments as _,
    IdempotencyKey, IntoOutput as _, Job, Module, ModuleError, Output, Reconciled,
};
use crate::audience::state::State;
use crate::digest::{Digest, Domain};
use crate::encode::Writer;
use crate::id::ModuleId;
use crate::intent::Intent;
use crate::limits::Limits;
use crate::provenance::{Label, Source};
use crate::verdict::{Reason, ReasonCode, SafetyMode, Vote};

/// A module behind a pointer: every [`Module`] is one, and so are modules whose
/// contract comes from configuration.
pub trait DynModule: Send + Sync {
    /// Its contract.
    ///
    /// # Errors
    /// [`ContractError`] when its constants are no contract.
    fn contract(&self) -> Result<Contract, ContractError>;

    /// Carries out the effect, at most once for the call's key.
    fn run(&self, call: &Call<'_>) -> Execution;

    /// Whether the effect with this key took place.
    fn reconcile(&self, key: IdempotencyKey) -> Reconciled;
}

impl<M: Module> DynModule for M {
    fn contract(&self) -> Result<Contract, ContractError> {
        Contract::of::<M>()
    }

    fn run(&self, call: &Call<'_>) -> Execution {
        let input = match M::Input::from_arguments(&call.arguments()) {
            Ok(input) => input,
            Err(error) => {
                let reason = Reason::new(ReasonCode::ContractViolated).detail(format!("{error}"));
                return Execution::Failed(reason);
            }
        };
        match Module::run(self, input, call) {
            Ok(output) => Execution::Done(output.into_output()),
            Err(ModuleError::NoEffect(why)) => {
                Execution::Failed(Reason::new(ReasonCode::ModuleFailed).detail(why))
            }
            Err(ModuleError::Unknown(why)) => {
                Execution::Unknown(Reason::new(ReasonCode::OutcomeUnknown).detail(why))
            }
        }
    }

    fn reconcile(&self, key: IdempotencyKey) -> Reconciled {
        Module::reconcile(self, key)
    }
}

/// Why a module cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Its contract is none.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The name is taken.
    #[error("module `{found}` is registered already")]
    Duplicate {
        /// The name.
        found: ModuleId,
    },
}

struct Entry {
    contract: Contract,
    label: Label,
    module: Arc<dyn DynModule>,
}

/// The modules a deployment has.
///
/// INVARIANT (contract kept): [`Registry::execute`](ExecutionEngine::execute) checks
/// the contract again, whatever was admitted before: no module runs outside it.
#[derive(Default)]
pub struct Registry {
    entries: HashMap<ModuleId, Entry>,
    limits: Limits,
}

impl Registry {
    /// Without modules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Under lower bounds on what modules give back.
    #[must_use]
    pub fn within(mut self, limits: &Limits) -> Self {
        self.limits = self.limits.and(limits);
        self
    }

    /// Adds a module.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn register(&mut self, module: impl DynModule + 'static) -> Result<(), RegistryError> {
        self.register_shared(Arc::new(module))
    }

    /// Adds a module that is used elsewhere too: an outbox and its deliverer.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn register_shared(&mut self, module: Arc<dyn DynModule>) -> Result<(), RegistryError> {
        let contract = module.contract()?;
        let id = contract.id().clone();
        if self.entries.contains_key(&id) {
            return Err(RegistryError::Duplicate { found: id });
        }
        let label = Label::from(Source::Module(id.clone()));
        self.entries.insert(id, Entry { contract, label, module });
        Ok(())
    }

    /// The contract of a module.
    pub fn contract(&self, module: &ModuleId) -> Option<&Contract> {
        self.entries.get(module).map(|entry| &entry.contract)
    }

    /// All contracts in the order of their names.
    pub fn contracts(&self) -> Vec<&Contract> {
        let mut all: Vec<_> = self.entries.values().map(|entry| &entry.contract).collect();
        all.sort_unstable_by(|a, b| a.id().cmp(b.id()));
        all
    }

    /// What the set of modules is, as one digest: of the contracts' digests in the
    /// order of their names, in [`Domain::Contract`].
    pub fn digest(&self) -> Digest {
        let mut out = Writer::new();
        let contracts = self.contracts();
        out.count(contracts.len());
        for contract in contracts {
            out.digest(&contract.digest());
        }
        Domain::Contract.hash(out.as_bytes())
    }

    fn entry(&self, module: &ModuleId) -> Result<&Entry, Reason> {
        self.entries.get(module).ok_or_else(|| {
            Reason::new(ReasonCode::ModuleUnknown).detail(format!("no module `{module}`"))
        })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.contracts()).finish()
    }
}

/// What is known both at admission and at execution.
fn check(
    contract: &Contract,
    intent: &Intent,
    state: State,
    mode: SafetyMode,
) -> Result<(), Reason> {
    let kind = intent.kind();
    let violated = |detail: String| {
        let reason = Reason::new(ReasonCode::ContractViolated);
        Err(reason.by(contract.id().name().clone().into()).detail(detail))
    };
    if !suffices(state, contract.required_state()) {
        let required = contract.required_state();
        return violated(format!("expected an audience in state {required}, found {state}"));
    }
    if contract.tier() > kind.tier {
        let (tier, allowed) = (contract.tier(), kind.tier);
        return violated(format!(
            "expected a tier of {allowed:?} or below for kind `{}`, found {tier:?}",
            kind.id
        ));
    }
    if !permits(mode, contract.tier()) {
        return violated(format!("tier {:?} may not run in read-only mode", contract.tier()));
    }
    if contract.intents().binary_search(&kind.id).is_err() {
        return violated(format!("the module does not serve kind `{}`", kind.id));
    }
    Ok(())
}

impl ExecutionEngine for Registry {
    fn admit(&self, job: &Admission<'_>) -> Result<(), Reason> {
        let contract = &self.entry(job.module)?.contract;
        check(contract, job.intent, job.state, job.mode)?;
        match contract.layers().iter().find(|layer| job.consensus.vote(**layer) != Vote::Agree) {
            None => Ok(()),
            Some(layer) => Err(Reason::new(ReasonCode::ContractViolated)
                .by(contract.id().name().clone().into())
                .detail(format!("{layer} must agree, votes are {}", job.consensus))),
        }
    }

    fn execute(&self, job: &Job<'_>) -> Execution {
        let entry = match self.entry(job.module) {
            Ok(entry) => entry,
            Err(reason) => return Execution::Failed(reason),
        };
        if let Err(reason) = check(&entry.contract, job.intent, job.state, job.mode) {
            return Execution::Failed(reason);
        }
        let call = Call::new(job);
        match guarded(|| entry.module.run(&call)) {
            Execution::Done(output) if !is_within(&output.value, &self.limits) => {
                let reason = Reason::new(ReasonCode::OutputInvalid);
                let detail = "the effect took place, its output is too large";
                Execution::Unknown(reason.detail(detail))
            }
            Execution::Done(output) => labelled(entry, &call, job.intent, output),
            other => other,
        }
    }

    fn reconcile(&self, module: &ModuleId, key: IdempotencyKey) -> Reconciled {
        let Some(entry) = self.entries.get(module) else { return Reconciled::Unknown };
        match entry.module.reconcile(key) {
            // What took place took place; an output that no record can hold is lost.
            Reconciled::Happened(Some(output)) if !is_within(&output.value, &self.limits) => {
                Reconciled::Happened(None)
            }
            Reconciled::Happened(Some(output)) => {
                let label = output.label.join(&entry.label);
                Reconciled::Happened(Some(Output { value: output.value, label }))
            }
            other => other,
        }
    }
}

/// Joins what flowed into the output: its own label, the module, the arguments, and
/// the outside source that the intent's kind reads.
fn labelled(entry: &Entry, call: &Call<'_>, intent: &Intent, output: Output) -> Execution {
    let mut label = output.label.join(&entry.label);
    for (_, argument) in call.arguments().iter() {
        label.absorb(&argument.label);
    }
    if let Some(source) = &intent.kind().reads_outside {
        label.absorb(&Label::from(Source::Outside(source.clone())));
    }
    Execution::Done(Output { value: output.value, label })
}

/// A module that panics left its effect unknown; the panic stops here.
#[cfg(feature = "std")]
fn guarded(run: impl FnOnce() -> Execution) -> Execution {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(|_| {
        Execution::Unknown(Reason::new(ReasonCode::OutcomeUnknown).detail("the module panicked"))
    })
}

#[cfg(not(feature = "std"))]
fn guarded(run: impl FnOnce() -> Execution) -> Execution {
    run()
}
