//! The outbox: effects for another system to deliver, at most once.
//!
//! Executing an intent here means that its effect is written down, durably, under its
//! key. A deliverer takes effects out one by one: [`Outbox::claim`] makes the claim
//! durable *before* it hands the effect over, so an effect is handed over at most
//! once, whatever crashes ("transactional outbox"; Garcia-Molina and Salem, "Sagas",
//! SIGMOD 1987, for undoing instead). A claim that was never confirmed is in doubt:
//! [`Outbox::in_doubt`] lists it, and a person or the other system settles it.
//!
//! ```
//! # use prospera::execution::*;
//! # use prospera::execution::outbox::Outbox;
//! # use prospera::{audience::state::State, verdict::CapabilityTier};
//! let contract = Contract::new(ContractParts {
//!     id: "mail".parse()?,
//!     version: "1.0".parse()?,
//!     required_state: State::Base,
//!     tier: CapabilityTier::Commit,
//!     layers: vec![],
//!     intents: vec!["mail.send".parse()?],
//! })?;
//! let outbox = std::sync::Arc::new(Outbox::in_memory(contract));
//! let mut registry = Registry::new();
//! registry.register_shared(outbox.clone())?;
//! assert!(outbox.pending().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The journal's entries ([`super::journal`]): one byte for what happened (1 accepted, 2
//! claimed, 3 delivered, 4 returned, 5 cancelled), the key (32 bytes), the time (8);
//! accepted: also kind, subject, session (texts), intent hash (32), mode (1), arguments
//! (a map value).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::journal::{Journal, JournalError};
use super::{
    Call, Contract, ContractError, DynModule, Execution, IdempotencyKey, Output, Reconciled,
};
use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer, byte_enum};
use crate::id::{KindId, SessionId, SubjectId};
use crate::provenance::{Label, Source};
use crate::time::Timestamp;
use crate::value::Value;
use crate::verdict::{Reason, ReasonCode, SafetyMode};

/// An effect to deliver. `Debug` does not show its arguments.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The effect's key: hand it on, so that the other system can recognise it.
    pub key: IdempotencyKey,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// The intent's kind.
    pub kind: KindId,
    /// Whom it is done for.
    pub subject: SubjectId,
    /// The session it belongs to.
    pub session: SessionId,
    /// The Intent Hash.
    pub intent: Digest,
    /// The mode it was executed in.
    pub mode: SafetyMode,
    /// The arguments that were not taken away, as a map.
    pub arguments: Value,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("key", &self.key)
            .field("accepted", &self.accepted)
            .field("kind", &self.kind)
            .field("subject", &self.subject)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Delivery {
    fn of(call: &Call<'_>) -> Self {
        Self {
            key: call.key(),
            accepted: call.now(),
            kind: call.kind().clone(),
            subject: call.subject().clone(),
            session: call.session().clone(),
            intent: call.intent_hash(),
            mode: call.mode(),
            arguments: call.arguments().to_value(),
        }
    }
}

/// Where an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Waiting for a deliverer.
    Pending,
    /// Handed over; not known whether it was delivered.
    Claimed,
    /// Delivered.
    Delivered,
    /// Never accepted, and never will be: asked for after a crash and not found.
    Cancelled,
}

/// Why an effect cannot be moved on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The file.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It does not stand where it must.
    #[error("expected a claimed effect with key `{key}`, found {found}")]
    NotClaimed {
        /// The key.
        key: IdempotencyKey,
        /// Where it stands.
        found: &'static str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Accepted,
    Claimed,
    Delivered,
    Returned,
    Cancelled,
}

byte_enum!(Step, "a step of an effect", {
    Accepted = 1, Claimed = 2, Delivered = 3, Returned = 4, Cancelled = 5,
});

/// One entry of the journal, borrowed from what it is about.
struct Entry<'a> {
    step: Step,
    key: IdempotencyKey,
    at: Timestamp,
    delivery: Option<&'a Delivery>,
}

impl Encode for Entry<'_> {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.step).value(&self.key).value(&self.at);
        if let Some(it) = self.delivery {
            out.value(&it.kind).value(&it.subject).value(&it.session);
            out.digest(&it.intent).value(&it.mode).value(&it.arguments);
        }
    }
}

/// Reads an entry back: what happened to which key, and the delivery it brought.
fn read(bytes: &[u8]) -> Result<(Step, IdempotencyKey, Option<Delivery>), DecodeError> {
    let mut input = Reader::new(bytes);
    let step = Step::decode(&mut input)?;
    let (key, accepted) = (input.value()?, input.value()?);
    let delivery = match step {
        Step::Accepted => Some(Delivery {
            key,
            accepted,
            kind: input.value()?,
            subject: input.value()?,
            session: input.value()?,
            intent: input.digest()?,
            mode: input.value()?,
            arguments: input.value()?,
        }),
        _ => None,
    };
    input.finish()?;
    Ok((step, key, delivery))
}

/// The index, rebuilt from the journal. What was delivered keeps its key alone.
#[derive(Debug, Default)]
struct Index {
    standing: HashMap<IdempotencyKey, (Standing, u64)>,
    open: BTreeMap<u64, Delivery>,
    next: u64,
}

impl Index {
    fn standing(&self, key: &IdempotencyKey) -> Option<Standing> {
        self.standing.get(key).map(|(standing, _)| *standing)
    }

    /// Applies a step; `Err` names what the step needs.
    fn apply(
        &mut self,
        step: Step,
        key: IdempotencyKey,
        delivery: Option<Delivery>,
    ) -> Result<(), &'static str> {
        let found = self.standing.get(&key).copied();
        let number = found.map_or(self.next, |(_, number)| number);
        let standing = match (step, found.map(|(standing, _)| standing), delivery) {
            (Step::Accepted, None, Some(delivery)) => {
                self.open.insert(number, delivery);
                Standing::Pending
            }
            (Step::Claimed, Some(Standing::Pending), None) => Standing::Claimed,
            (Step::Returned, Some(Standing::Claimed), None) => Standing::Pending,
            (Step::Delivered, Some(Standing::Claimed), None) => {
                self.open.remove(&number);
                Standing::Delivered
            }
            (Step::Cancelled, None, None) => Standing::Cancelled,
            _ => return Err("a step that cannot follow what happened to the key before"),
        };
        if found.is_none() {
            self.next = self.next.saturating_add(1);
        }
        self.standing.insert(key, (standing, number));
        Ok(())
    }

    fn with(&self, wanted: Standing) -> impl Iterator<Item = &Delivery> {
        let stands = move |it: &&Delivery| self.standing(&it.key) == Some(wanted);
        self.open.values().filter(stands)
    }
}

#[derive(Debug)]
struct Inner {
    journal: Option<Journal>,
    index: Index,
}

impl Inner {
    /// Makes a step durable, then applies it.
    fn step(
        &mut self,
        step: Step,
        key: IdempotencyKey,
        at: Timestamp,
        delivery: Option<Delivery>,
    ) -> Result<(), JournalError> {
        if let Some(journal) = &mut self.journal {
            journal.append(&Entry { step, key, at, delivery: delivery.as_ref() })?;
        }
        // The caller looked at the standing under the same lock: it fits.
        let _fits = self.index.apply(step, key, delivery);
        Ok(())
    }
}

/// The outbox module.
///
/// INVARIANT (at most once): a key is accepted once and handed to a deliverer once,
/// unless the deliverer says it did not deliver ([`Outbox::give_back`]).
#[derive(Debug)]
pub struct Outbox {
    contract: Contract,
    inner: Mutex<Inner>,
}

impl Outbox {
    /// Opens or creates the outbox at `path`.
    ///
    /// # Errors
    /// [`JournalError`], also when another writer has it open.
    pub fn open(contract: Contract, path: &Path) -> Result<Self, JournalError> {
        let mut index = Index::default();
        let journal = Journal::open(path, |body| {
            let (step, key, delivery) = read(body).map_err(|error| error.to_string())?;
            Ok(index.apply(step, key, delivery)?)
        })?;
        let inner = Inner { journal: Some(journal), index };
        Ok(Self { contract, inner: Mutex::new(inner) })
    }

    /// An outbox that does not outlive the process: for tests.
    pub fn in_memory(contract: Contract) -> Self {
        let inner = Inner { journal: None, index: Index::default() };
        Self { contract, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A step is made durable before the index changes, and the index by one insert.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The effects that wait for a deliverer, oldest first.
    pub fn pending(&self) -> Vec<Delivery> {
        self.lock().index.with(Standing::Pending).cloned().collect()
    }

    /// The effects that were handed over and never confirmed, oldest first.
    pub fn in_doubt(&self) -> Vec<Delivery> {
        self.lock().index.with(Standing::Claimed).cloned().collect()
    }

    /// Where the effect with this key stands; `None` when it was never asked for.
    pub fn standing(&self, key: &IdempotencyKey) -> Option<Standing> {
        self.lock().index.standing(key)
    }

    /// Hands over the oldest effect that waits. The claim is durable before.
    ///
    /// # Errors
    /// [`OutboxError::Journal`]: nothing is handed over.
    pub fn claim(&self, now: Timestamp) -> Result<Option<Delivery>, OutboxError> {
        let mut inner = self.lock();
        let Some(delivery) = inner.index.with(Standing::Pending).next().cloned() else {
            return Ok(None);
        };
        inner.step(Step::Claimed, delivery.key, now, None)?;
        Ok(Some(delivery))
    }

    /// The deliverer confirms. A second confirmation changes nothing.
    ///
    /// # Errors
    /// [`OutboxError::NotClaimed`], [`OutboxError::Journal`].
    pub fn delivered(&self, key: IdempotencyKey, now: Timestamp) -> Result<(), OutboxError> {
        if self.standing(&key) == Some(Standing::Delivered) {
            return Ok(());
        }
        self.settle(Step::Delivered, key, now)
    }

    /// Whoever knows that a claimed effect was *not* delivered puts it back.
    ///
    /// # Errors
    /// [`OutboxError::NotClaimed`], [`OutboxError::Journal`].
    pub fn give_back(&self, key: IdempotencyKey, now: Timestamp) -> Result<(), OutboxError> {
        self.settle(Step::Returned, key, now)
    }

    fn settle(&self, step: Step, key: IdempotencyKey, now: Timestamp) -> Result<(), OutboxError> {
        let mut inner = self.lock();
        let found = match inner.index.standing(&key) {
            Some(Standing::Claimed) => return Ok(inner.step(step, key, now, None)?),
            Some(Standing::Pending) => "a pending one",
            Some(Standing::Delivered) => "a delivered one",
            Some(Standing::Cancelled) => "a cancelled one",
            None => "none",
        };
        Err(OutboxError::NotClaimed { key, found })
    }

    fn output(&self, key: IdempotencyKey) -> Output {
        let entries: [(Box<str>, Value); 1] = [("accepted".into(), (&*key.to_string()).into())];
        let label = Label::from(Source::Module(self.contract.id().clone()));
        Output { value: Value::Map(entries.into()), label }
    }
}

impl DynModule for Outbox {
    fn contract(&self) -> Result<Contract, ContractError> {
        Ok(self.contract.clone())
    }

    /// Writes the effect down. A key that is there already is answered as before.
    fn run(&self, call: &Call<'_>) -> Execution {
        let key = call.key();
        let mut inner = self.lock();
        match inner.index.standing(&key) {
            Some(Standing::Cancelled) => {
                let reason = Reason::new(ReasonCode::ModuleFailed);
                return Execution::Failed(reason.detail("the key was cancelled after a crash"));
            }
            Some(_) => return Execution::Done(self.output(key)),
            None => {}
        }
        match inner.step(Step::Accepted, key, call.now(), Some(Delivery::of(call))) {
            Ok(()) => Execution::Done(self.output(key)),
            Err(error @ JournalError::TooLarge { .. }) => {
                let reason = Reason::new(ReasonCode::ModuleFailed);
                Execution::Failed(reason.detail(error.to_string()))
            }
            Err(error) => {
                let reason = Reason::new(ReasonCode::OutcomeUnknown);
                Execution::Unknown(reason.detail(error.to_string()))
            }
        }
    }

    /// Answers from the journal. A key that is not there is cancelled, so that the
    /// answer stays true.
    fn reconcile(&self, key: IdempotencyKey) -> Reconciled {
        let mut inner = self.lock();
        match inner.index.standing(&key) {
            Some(Standing::Cancelled) => Reconciled::NotHappened,
            Some(_) => Reconciled::Happened(Some(self.output(key))),
            None => match inner.step(Step::Cancelled, key, Timestamp::default(), None) {
                Ok(()) => Reconciled::NotHappened,
                Err(_) => Reconciled::Unknown,
            },
        }
    }
}
