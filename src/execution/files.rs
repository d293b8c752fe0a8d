//! `modules.toml`: which modules a deployment has.
//!
//! ```
//! use prospera::execution::files::ModulesFile;
//! let text = r#"
//! version = "1.0"
//!
//! [[module]]
//! id = "mail"
//! type = "outbox"
//! version = "1.0"
//! tier = "commit"                        # observe, act, commit or privileged
//! required_state = "BASE"
//! layers = ["safety", "governance"]      # must have agreed; may be left out
//! intents = ["mail.send"]
//! journal = "mail.journal"
//!
//! [[module]]
//! id = "report"
//! type = "process"
//! version = "1.2"
//! tier = "act"
//! required_state = "VERIFIED"
//! intents = ["report.build"]
//! program = "/usr/bin/python3"
//! args = ["-I", "/srv/report/build.py"]
//! env = { LANG = "C.UTF-8" }
//! folder = "/srv/report"
//! time_limit_ms = 30000
//! output_bytes = 65536                   # at most 1048576, the default
//! no_effect_exit = [65]                  # exit codes that promise: nothing was done
//! reconciles = true                      # answers "ask":"reconcile"
//! journal = "report.journal"             # not needed for tier observe
//! "#;
//! let modules = ModulesFile::parse("modules.toml", text)?;
//! assert_eq!(modules.contracts().count(), 2);
//! # Ok::<(), prospera::files::FileError>(())
//! ```
//!
//! The file is kept in every log whose policy it is part of: `env` and `args` are no place
//! for a secret.
//!
//! Relative paths are taken from the folder given to [`ModulesFile::open`].

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::journal::JournalError;
use super::outbox::Outbox;
use super::{
    Call, Contract, ContractError, ContractParts, DynModule, Execution, IdempotencyKey, Reconciled,
    Registry, RegistryError,
};
use crate::audience::state::State;
use crate::digest::{Digest, Domain};
use crate::encode::{Encode, Writer};
use crate::files::{FileError, read_toml};
use crate::id::{KindId, LayerId, ModuleId};
use crate::limits::{OUTPUT_BYTES, PROCESS_MILLIS};
use crate::value::Value;
use crate::verdict::{CapabilityTier, Reason, ReasonCode};

/// The version of the file's form.
pub const MODULES_VERSION: &str = "1.0";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    version: Spanned<String>,
    #[serde(default)]
    module: Vec<Spanned<RawModule>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawType {
    Outbox,
    Process,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModule {
    id: Spanned<ModuleId>,
    r#type: RawType,
    version: Spanned<String>,
    tier: CapabilityTier,
    required_state: Spanned<State>,
    #[serde(default)]
    layers: Vec<LayerId>,
    intents: Spanned<Vec<KindId>>,
    journal: Option<Spanned<PathBuf>>,
    program: Option<Spanned<PathBuf>>,
    args: Option<Spanned<Vec<String>>>,
    env: Option<Spanned<BTreeMap<String, String>>>,
    folder: Option<Spanned<PathBuf>>,
    time_limit_ms: Option<Spanned<u64>>,
    output_bytes: Option<Spanned<usize>>,
    no_effect_exit: Option<Spanned<Vec<u8>>>,
    reconciles: Option<Spanned<bool>>,
}

/// What a module does, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Work {
    Outbox { journal: PathBuf },
    Process(Program),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Program {
    path: PathBuf,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    folder: PathBuf,
    time_limit: Duration,
    output_bytes: usize,
    no_effect_exit: Vec<u8>,
    reconciles: bool,
    journal: Option<PathBuf>,
}

/// A checked `modules.toml`. Nothing is opened or started yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModulesFile {
    modules: Vec<(Contract, Work)>,
    digest: Digest,
}

/// Why configured modules cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModulesError {
    /// An outbox's journal.
    #[error("module `{module}`: {error}")]
    Journal {
        /// The module.
        module: ModuleId,
        /// What is wrong.
        #[source]
        error: JournalError,
    },
    /// A program's settings.
    #[cfg(unix)]
    #[error("module `{module}`: {error}")]
    Process {
        /// The module.
        module: ModuleId,
        /// What is wrong.
        #[source]
        error: super::process::ProcessError,
    },
    /// Programs cannot be modules on this system.
    #[error("module `{module}`: programs can be modules on unix systems only")]
    NoProcesses {
        /// The module.
        module: ModuleId,
    },
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Where modules keep their journals.
#[derive(Debug, Clone, Copy)]
pub enum Journals<'a> {
    /// Relative paths are taken from this folder.
    In(&'a Path),
    /// Nowhere: outboxes do not outlive the process, and programs with effects are
    /// refused.
    Volatile,
}

/// The modules of a deployment, opened.
#[derive(Debug)]
pub struct Modules {
    /// All of them, for the router.
    pub registry: Registry,
    /// The outboxes among them, for their deliverers.
    pub outboxes: Vec<Arc<Outbox>>,
}

impl ModulesFile {
    /// Reads and checks the text of a `modules.toml`.
    ///
    /// # Errors
    /// [`FileError`] at the field that is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, FileError> {
        let raw: RawFile = read_toml(file, text)?;
        let at = |span: Range<usize>, message: String| FileError::at(file, text, span, message);
        if raw.version.get_ref() != MODULES_VERSION {
            let found = raw.version.get_ref();
            let message = alloc::format!(
                "expected version `{MODULES_VERSION}`, found `{found}` (in `version`)"
            );
            return Err(at(raw.version.span(), message));
        }
        let mut names = BTreeSet::new();
        let mut journals = BTreeSet::new();
        let mut modules = Vec::with_capacity(raw.module.len());
        for row in raw.module {
            let whole = row.span();
            let row = row.into_inner();
            if !names.insert(row.id.get_ref().clone()) {
                let message =
                    alloc::format!("module `{}` stands twice (in `id`)", row.id.get_ref());
                return Err(at(row.id.span(), message));
            }
            if let Some(journal) = &row.journal
                && !journals.insert(journal.get_ref().clone())
            {
                let message = "another module has this journal (in `journal`)";
                return Err(at(journal.span(), message.into()));
            }
            let checked = contract(&row)
                .and_then(|contract| Ok((contract, work(row, &whole)?)))
                .map_err(|(span, message)| at(span, message))?;
            modules.push(checked);
        }
        modules.sort_unstable_by(|(a, _), (b, _)| a.id().cmp(b.id()));
        let mut read = Self { modules, digest: Digest::ZERO };
        read.digest = Domain::Contract.hash(&read.to_canonical());
        Ok(read)
    }

    /// The contracts in the order of their modules' names.
    pub fn contracts(&self) -> impl Iterator<Item = &Contract> {
        self.modules.iter().map(|(contract, _)| contract)
    }

    /// BLAKE3 of the canonical bytes in [`Domain::Contract`]. The order of the rows in
    /// the file does not change it, nor do comments.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Opens the journals and registers the modules. `parse` reads what programs give
    /// back; relative paths are taken from `base`.
    ///
    /// # Errors
    /// [`ModulesError`] names the module.
    pub fn open(
        &self,
        base: &Path,
        parse: fn(&[u8]) -> Result<Value, String>,
    ) -> Result<Modules, ModulesError> {
        self.open_with(base, Journals::In(base), parse)
    }

    /// As [`ModulesFile::open`], with the journals in a place of their own: programs
    /// belong to the policy, journals to the store.
    ///
    /// # Errors
    /// [`ModulesError`] names the module.
    pub fn open_with(
        &self,
        base: &Path,
        journals: Journals<'_>,
        parse: fn(&[u8]) -> Result<Value, String>,
    ) -> Result<Modules, ModulesError> {
        let mut opened = Modules { registry: Registry::new(), outboxes: Vec::new() };
        for (contract, work) in &self.modules {
            match work {
                Work::Outbox { journal } => {
                    let outbox = match journals {
                        Journals::In(folder) => {
                            Outbox::open(contract.clone(), &folder.join(journal))
                        }
                        Journals::Volatile => Ok(Outbox::in_memory(contract.clone())),
                    };
                    let outbox = Arc::new(outbox.map_err(|error| ModulesError::Journal {
                        module: contract.id().clone(),
                        error,
                    })?);
                    opened.registry.register_shared(outbox.clone())?;
                    opened.outboxes.push(outbox);
                }
                Work::Process(program) => {
                    program.register(contract, base, journals, parse, &mut opened)?;
                }
            }
        }
        Ok(opened)
    }

    /// The modules' contracts, and nothing behind them: for who decides again what was
    /// decided before and carries nothing out. No journal is opened and no program needs
    /// to be there.
    ///
    /// # Errors
    /// [`ModulesError`] names the module.
    pub fn contracts_only(&self) -> Result<Registry, ModulesError> {
        let mut registry = Registry::new();
        for (contract, _) in &self.modules {
            registry.register(Absent(contract.clone()))?;
        }
        Ok(registry)
    }
}

/// A module that is not here.
struct Absent(Contract);

impl DynModule for Absent {
    fn contract(&self) -> Result<Contract, ContractError> {
        Ok(self.0.clone())
    }

    fn run(&self, _: &Call<'_>) -> Execution {
        Execution::Unknown(Reason::new(ReasonCode::OutcomeUnknown).detail("the module is not here"))
    }

    fn reconcile(&self, _: IdempotencyKey) -> Reconciled {
        Reconciled::Unknown
    }
}

impl Program {
    #[cfg(unix)]
    fn register(
        &self,
        contract: &Contract,
        base: &Path,
        journals: Journals<'_>,
        parse: super::process::Parse,
        opened: &mut Modules,
    ) -> Result<(), ModulesError> {
        use super::process::{ProcessConfig, ProcessModule};
        let config = ProcessConfig {
            program: base.join(&self.path),
            args: self.args.clone(),
            env: self.env.clone(),
            folder: base.join(&self.folder),
            time_limit: self.time_limit,
            output_bytes: self.output_bytes,
            no_effect_exit: self.no_effect_exit.clone(),
            reconciles: self.reconciles,
        };
        let journal = match journals {
            Journals::In(folder) => self.journal.as_ref().map(|journal| folder.join(journal)),
            Journals::Volatile => None,
        };
        let module = ProcessModule::new(contract.clone(), config, parse, journal.as_deref());
        let module = module
            .map_err(|error| ModulesError::Process { module: contract.id().clone(), error })?;
        Ok(opened.registry.register(module)?)
    }

    #[cfg(not(unix))]
    fn register(
        &self,
        contract: &Contract,
        _: &Path,
        _: Journals<'_>,
        _: fn(&[u8]) -> Result<Value, String>,
        _: &mut Modules,
    ) -> Result<(), ModulesError> {
        Err(ModulesError::NoProcesses { module: contract.id().clone() })
    }
}

type At = (Range<usize>, String);

fn contract(row: &RawModule) -> Result<Contract, At> {
    let version = row.version.get_ref().parse();
    let version = version.map_err(|error: super::ContractError| {
        (row.version.span(), error.to_string() + " (in `version`)")
    })?;
    let parts = ContractParts {
        id: row.id.get_ref().clone(),
        version,
        required_state: *row.required_state.get_ref(),
        tier: row.tier,
        layers: row.layers.clone(),
        intents: row.intents.get_ref().clone(),
    };
    Contract::new(parts).map_err(|error| {
        let (span, field) = match &error {
            super::ContractError::State { .. } => (row.required_state.span(), "required_state"),
            super::ContractError::Layers { .. } => (row.id.span(), "layers"),
            _ => (row.intents.span(), "intents"),
        };
        (span, alloc::format!("{error} (in `{field}`)"))
    })
}

fn work(row: RawModule, whole: &Range<usize>) -> Result<Work, At> {
    let missing = |field: &str, kind: &str| {
        (whole.clone(), alloc::format!("expected `{field}` in a module of type {kind}"))
    };
    if row.r#type == RawType::Outbox {
        let journal = row.journal.ok_or_else(|| missing("journal", "outbox"))?.into_inner();
        let foreign = [
            ("program", row.program.map(|field| field.span())),
            ("args", row.args.map(|field| field.span())),
            ("env", row.env.map(|field| field.span())),
            ("folder", row.folder.map(|field| field.span())),
            ("time_limit_ms", row.time_limit_ms.map(|field| field.span())),
            ("output_bytes", row.output_bytes.map(|field| field.span())),
            ("no_effect_exit", row.no_effect_exit.map(|field| field.span())),
            ("reconciles", row.reconciles.map(|field| field.span())),
        ];
        let foreign = foreign.into_iter().find_map(|(name, span)| Some((name, span?)));
        return match foreign {
            None => Ok(Work::Outbox { journal }),
            Some((name, span)) => {
                Err((span, alloc::format!("`{name}` has no meaning in a module of type outbox")))
            }
        };
    }
    let time_limit = row.time_limit_ms.ok_or_else(|| missing("time_limit_ms", "process"))?;
    if !(1..=PROCESS_MILLIS).contains(time_limit.get_ref()) {
        let found = time_limit.get_ref();
        let message = alloc::format!(
            "expected 1 to {PROCESS_MILLIS} milliseconds, found {found} (in `time_limit_ms`)"
        );
        return Err((time_limit.span(), message));
    }
    let output_bytes = match row.output_bytes {
        None => OUTPUT_BYTES,
        Some(bytes) if (1..=OUTPUT_BYTES).contains(bytes.get_ref()) => bytes.into_inner(),
        Some(bytes) => {
            let found = bytes.get_ref();
            let message = alloc::format!(
                "expected 1 to {OUTPUT_BYTES} bytes, found {found} (in `output_bytes`)"
            );
            return Err((bytes.span(), message));
        }
    };
    let no_effect_exit = match row.no_effect_exit {
        Some(codes) if codes.get_ref().contains(&0) => {
            let message = "exit code 0 means done (in `no_effect_exit`)";
            return Err((codes.span(), message.into()));
        }
        codes => codes.map(Spanned::into_inner).unwrap_or_default(),
    };
    if row.tier > CapabilityTier::Observe && row.journal.is_none() {
        return Err(missing("journal", "process with a tier above observe"));
    }
    Ok(Work::Process(Program {
        path: row.program.ok_or_else(|| missing("program", "process"))?.into_inner(),
        args: row.args.map(Spanned::into_inner).unwrap_or_default(),
        env: row.env.map(Spanned::into_inner).unwrap_or_default(),
        folder: row.folder.ok_or_else(|| missing("folder", "process"))?.into_inner(),
        time_limit: Duration::from_millis(time_limit.into_inner()),
        output_bytes,
        no_effect_exit,
        reconciles: row.reconciles.is_some_and(Spanned::into_inner),
        journal: row.journal.map(Spanned::into_inner),
    }))
}

impl Encode for ModulesFile {
    /// Count, then per module in the order of names: contract, then `1` and the journal
    /// for an outbox, or `2`, program, arguments, environment, folder, time limit in
    /// milliseconds (`u64`), output limit (`u64`), exit codes (bytes), whether it
    /// reconciles, optional journal for a process. Paths are texts.
    fn encode(&self, out: &mut Writer) {
        let path = |out: &mut Writer, path: &Path| {
            out.text(&path.to_string_lossy());
        };
        out.count(self.modules.len());
        for (contract, work) in &self.modules {
            out.value(contract);
            match work {
                Work::Outbox { journal } => path(out.u8(1), journal),
                Work::Process(it) => {
                    path(out.u8(2), &it.path);
                    out.count(it.args.len());
                    for arg in &it.args {
                        out.text(arg);
                    }
                    out.count(it.env.len());
                    for (name, value) in &it.env {
                        out.text(name).text(value);
                    }
                    path(out, &it.folder);
                    let millis = u64::try_from(it.time_limit.as_millis()).unwrap_or(u64::MAX);
                    out.u64(millis).u64(it.output_bytes as u64).bytes(&it.no_effect_exit);
                    out.bool(it.reconciles).bool(it.journal.is_some());
                    if let Some(journal) = &it.journal {
                        path(out, journal);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
