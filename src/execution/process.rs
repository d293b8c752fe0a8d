//! The child-process module: a program of your own carries the effect out.
//!
//! Each call starts the program once, without a shell, in a process group of its own,
//! with exactly the configured arguments, environment and working folder. One JSON
//! document goes to its standard input:
//!
//! ```json
//! {"arguments":{"to":"bob"},"ask":"run","key":"<64 hex digits>","kind":"mail.send","mode":"normal","state":"BASE"}
//! ```
//!
//! and one JSON document, the output, is expected on its standard output:
//!
//! | the program | is recorded as |
//! |---|---|
//! | exits with 0 and one document within the limit | done |
//! | cannot be started | failed |
//! | exits with a code of [`ProcessConfig::no_effect_exit`] | failed |
//! | anything else: another code, a signal, the time limit, an output that is too large or no JSON | unknown, or failed where the tier is Observe |
//!
//! At the end of a call, and at the time limit, everything left in its process group
//! is killed. A descendant that leaves the group (`setsid`) escapes that; keeping it in
//! is the work of a sandbox.
//!
//! INVARIANT (at most once): a module whose tier is above Observe has a journal
//! ([`super::journal`]); a key is made durable there before the program starts, and a
//! key that is there never starts it again.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::attempts::{Attempts, Standing};
use self::child::{Ended, Finished};
use super::journal::JournalError;
use super::{
    Call, Contract, ContractError, DynModule, Execution, IdempotencyKey, Output, Reconciled,
};
use crate::limits::OUTPUT_BYTES;
use crate::provenance::{Label, Source};
use crate::value::Value;
use crate::verdict::{CapabilityTier, Reason, ReasonCode, SafetyMode};

pub use crate::limits::PROCESS_MILLIS as TIME_LIMIT_MILLIS;

mod attempts;
mod child;

/// Reads one JSON document; the message says what is wrong and where.
pub type Parse = fn(&[u8]) -> Result<Value, String>;

/// How the program is started, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessConfig {
    /// The program: an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Its working folder: an absolute path.
    pub folder: PathBuf,
    /// How long one call may take.
    pub time_limit: Duration,
    /// How long its output may be, in bytes; at most [`OUTPUT_BYTES`].
    pub output_bytes: usize,
    /// Exit codes by which it promises that nothing was done.
    pub no_effect_exit: Vec<u8>,
    /// Whether it answers `"ask":"reconcile"` with `{"happened":true|false}`.
    pub reconciles: bool,
}

/// Why a program cannot be a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// A path is not absolute: what it names would depend on who starts it.
    #[error("expected an absolute path for the {what}, found `{found}`")]
    Relative {
        /// `program` or `folder`.
        what: &'static str,
        /// The path.
        found: String,
    },
    /// A limit is nothing, or above what is allowed.
    #[error("expected a {what} of 1 to {most}, found {found}")]
    Limit {
        /// `time limit in milliseconds` or `output limit in bytes`.
        what: &'static str,
        /// The most that is allowed.
        most: u64,
        /// What was asked for.
        found: u64,
    },
    /// An environment variable no program can be given.
    #[error("expected a variable without `=` in its name and zero bytes, found `{found}`")]
    Variable {
        /// Its name, escaped.
        found: String,
    },
    /// A success code stands among those that promise no effect.
    #[error("exit code 0 means done and cannot promise that nothing was done")]
    ZeroExit,
    /// A module with effects has no journal.
    #[error("a module of a tier above observe needs a journal")]
    NoJournal,
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A program as a module.
#[derive(Debug)]
pub struct ProcessModule {
    contract: Contract,
    config: ProcessConfig,
    parse: Parse,
    attempts: Option<Mutex<Attempts>>,
}

impl ProcessModule {
    /// A module that starts the program of `config`, reads its output with `parse`,
    /// and remembers its keys in the journal at `journal`.
    ///
    /// # Errors
    /// [`ProcessError`]. The program itself is looked for at each call.
    pub fn new(
        contract: Contract,
        config: ProcessConfig,
        parse: Parse,
        journal: Option<&Path>,
    ) -> Result<Self, ProcessError> {
        for (what, path) in [("program", &config.program), ("folder", &config.folder)] {
            if !path.is_absolute() {
                let found = path.display().to_string();
                return Err(ProcessError::Relative { what, found });
            }
        }
        let millis = u64::try_from(config.time_limit.as_millis()).unwrap_or(u64::MAX);
        for (what, found, most) in [
            ("time limit in milliseconds", millis, TIME_LIMIT_MILLIS),
            ("output limit in bytes", config.output_bytes as u64, OUTPUT_BYTES as u64),
        ] {
            if found == 0 || found > most {
                return Err(ProcessError::Limit { what, most, found });
            }
        }
        for (name, value) in &config.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(ProcessError::Variable { found: name.escape_default().to_string() });
            }
        }
        if config.no_effect_exit.contains(&0) {
            return Err(ProcessError::ZeroExit);
        }
        let attempts = match journal {
            Some(path) => Some(Mutex::new(Attempts::open(path)?)),
            None if contract.tier() == CapabilityTier::Observe => None,
            None => return Err(ProcessError::NoJournal),
        };
        Ok(Self { contract, config, parse, attempts })
    }

    fn is_effect_free(&self) -> bool {
        self.contract.tier() == CapabilityTier::Observe
    }

    fn attempts(&self) -> Option<MutexGuard<'_, Attempts>> {
        self.attempts.as_ref().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the key durable before the program starts; `Some` answers without a start.
    fn begin(&self, key: IdempotencyKey) -> Option<Execution> {
        let mut attempts = self.attempts()?;
        let failed = |detail: &str| {
            Some(Execution::Failed(Reason::new(ReasonCode::ModuleFailed).detail(detail)))
        };
        let unknown = |detail: String| {
            Some(Execution::Unknown(Reason::new(ReasonCode::OutcomeUnknown).detail(detail)))
        };
        match attempts.standing(&key) {
            None => match attempts.start(key) {
                Ok(()) => None,
                // Whatever became of the entry, nothing was started.
                Err(error) => failed(&error.to_string()),
            },
            Some(Standing::NoEffect) => failed("the key was used before, without effect"),
            Some(Standing::Started) => unknown("the key was used before and did not end".into()),
            Some(Standing::Done) => {
                unknown("the key was used before: done, output not kept".into())
            }
        }
    }

    fn execute(&self, call: &Call<'_>) -> Execution {
        let document = document([
            ("ask", "run".into()),
            ("key", (&*call.key().to_string()).into()),
            ("kind", call.kind().as_str().into()),
            ("mode", mode(call.mode()).into()),
            ("state", call.state().name().into()),
            ("arguments", call.arguments().to_value()),
        ]);
        let ended = match child::run(&self.config, document.into_bytes()) {
            Ok(ended) => ended,
            Err(error) => {
                let program = self.config.program.display();
                let detail = alloc::format!("cannot start `{program}`: {error}");
                return Execution::Failed(Reason::new(ReasonCode::ModuleFailed).detail(detail));
            }
        };
        match self.output(&ended) {
            Ok(value) => {
                let label = Label::from(Source::Module(self.contract.id().clone()));
                Execution::Done(Output { value, label })
            }
            Err((reason, no_effect)) if no_effect || self.is_effect_free() => {
                Execution::Failed(reason)
            }
            Err((reason, _)) => Execution::Unknown(reason),
        }
    }

    /// The document on standard output, or why there is none and whether the program
    /// promised that nothing was done.
    fn output(&self, ended: &Ended) -> Result<Value, (Reason, bool)> {
        let fail = |code, detail: String| {
            let said = ended.said();
            let detail = if said.is_empty() { detail } else { detail + ": " + &said };
            Reason::new(code).detail(detail)
        };
        let promised = |code: i32| {
            u8::try_from(code).is_ok_and(|code| self.config.no_effect_exit.contains(&code))
        };
        let detail = match &ended.finished {
            Finished::Exit(0) => {
                return (self.parse)(&ended.stdout).map_err(|error| {
                    (
                        fail(
                            ReasonCode::OutputInvalid,
                            "the output is no JSON: ".to_owned() + &error,
                        ),
                        false,
                    )
                });
            }
            Finished::Exit(code) => {
                let reason = alloc::format!("exit code {code}");
                let promised = promised(*code);
                return Err((fail(ReasonCode::ModuleFailed, reason), promised));
            }
            Finished::Signal(signal) => alloc::format!("ended by signal {signal}"),
            Finished::TimeLimit => {
                alloc::format!("over the time limit of {} ms", self.config.time_limit.as_millis())
            }
            Finished::OutputLimit => {
                let most = self.config.output_bytes;
                let detail = alloc::format!("more than {most} bytes of output");
                return Err((fail(ReasonCode::OutputInvalid, detail), false));
            }
            Finished::Lost(error) => error.clone(),
        };
        Err((fail(ReasonCode::OutcomeUnknown, detail), false))
    }

    /// Asks the program whether the effect took place.
    fn ask(&self, key: IdempotencyKey) -> Reconciled {
        if !self.config.reconciles {
            return Reconciled::Unknown;
        }
        let question = document([("ask", "reconcile".into()), ("key", (&*key.to_string()).into())]);
        let answer = child::run(&self.config, question.into_bytes()).ok();
        let answer = answer.and_then(|ended| self.output(&ended).ok());
        let Some(Value::Map(mut answer)) = answer else { return Reconciled::Unknown };
        match (answer.remove("happened"), answer.remove("output"), answer.is_empty()) {
            (Some(Value::Bool(true)), output, true) => {
                let label = Label::from(Source::Module(self.contract.id().clone()));
                Reconciled::Happened(output.map(|value| Output { value, label }))
            }
            (Some(Value::Bool(false)), None, true) => Reconciled::NotHappened,
            _ => Reconciled::Unknown,
        }
    }
}

impl DynModule for ProcessModule {
    fn contract(&self) -> Result<Contract, ContractError> {
        Ok(self.contract.clone())
    }

    fn run(&self, call: &Call<'_>) -> Execution {
        let key = call.key();
        if let Some(known) = self.begin(key) {
            return known;
        }
        let execution = self.execute(call);
        let known = match &execution {
            Execution::Done(_) => Some(Standing::Done),
            Execution::Failed(_) => Some(Standing::NoEffect),
            Execution::Unknown(_) => None,
        };
        if let Some(mut attempts) = self.attempts() {
            attempts.end(key, known);
        }
        execution
    }

    /// Answers from the journal; a key that is not there is recorded as without effect,
    /// so that the answer stays true; one that started is asked of the program.
    fn reconcile(&self, key: IdempotencyKey) -> Reconciled {
        let Some(attempts) = self.attempts() else {
            return Reconciled::NotHappened; // Tier Observe: there is no effect.
        };
        if attempts.is_running(&key) {
            return Reconciled::Unknown;
        }
        let standing = attempts.standing(&key);
        drop(attempts);
        let (answer, standing) = match standing {
            Some(Standing::Done) => return Reconciled::Happened(None),
            Some(Standing::NoEffect) => return Reconciled::NotHappened,
            None => (Reconciled::NotHappened, Standing::NoEffect),
            Some(Standing::Started) => match self.ask(key) {
                Reconciled::Unknown => return Reconciled::Unknown,
                Reconciled::NotHappened => (Reconciled::NotHappened, Standing::NoEffect),
                happened @ Reconciled::Happened(_) => (happened, Standing::Done),
            },
        };
        match self.attempts().map(|mut attempts| attempts.settle(key, standing)) {
            Some(Ok(true)) => answer,
            // Another thread moved the key on meanwhile, or it could not be written.
            _ => Reconciled::Unknown,
        }
    }
}

const fn mode(mode: SafetyMode) -> &'static str {
    match mode {
        SafetyMode::Normal => "normal",
        SafetyMode::Protected => "protected",
        SafetyMode::ReadOnly => "read-only",
    }
}

fn document<const N: usize>(entries: [(&str, Value); N]) -> String {
    let entries = entries.into_iter().map(|(name, value)| (Box::from(name), value));
    Value::Map(entries.collect()).to_string()
}
