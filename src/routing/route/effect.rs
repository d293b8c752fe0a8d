//! Step 8: evidence first, then the effect (IRM-4.8, D-27).
//!
//! Requirements: IRM-4.8.1..IRM-4.8.4, IRM-6.12.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::{Core, Route, intent_of};
use crate::audience::state::State;
use crate::commitment::{Part, Salt, commit, to_kept};
use crate::digest::{Digest, Domain};
use crate::encode::{Encode, Writer};
use crate::execution::{
    Admission, Execution, ExecutionEngine, IdempotencyKey, Job, Output, Permit,
};
use crate::id::{LayerId, Subsystem};
use crate::intent::Submission;
use crate::provenance::Label;
use crate::routing::evidence::{EvidenceBlock, Outcome, OutcomeStatus};
use crate::routing::layers::{self, Position, Precedes};
use crate::routing::terminal::ContractBlocked;
use crate::ssot::ledger::Receipt;
use crate::ssot::record::{Draft, RecordKind, StreamId, StreamKind};
use crate::time::Timestamp;
use crate::verdict::{Reason, ReasonCode, Verdict};

/// A route whose evidence is written but not yet durable.
#[must_use = "the evidence must be committed before the effect"]
pub struct Sealed {
    core: Box<Core>,
    draft: Draft,
}

/// A sealed route whose record was lent to the batch that commits it.
pub(in crate::routing) struct Lent {
    core: Box<Core>,
}

impl Lent {
    /// The route with its record again, which must be the one that was lent.
    pub(in crate::routing) fn returned(self, draft: Draft) -> Sealed {
        Sealed { core: self.core, draft }
    }
}

/// A receipt that does not hold this route's evidence. Gives the sealed route back.
#[derive(Debug)]
pub struct Uncommitted {
    sealed: Sealed,
}

impl Uncommitted {
    /// The sealed route.
    pub fn into_sealed(self) -> Sealed {
        self.sealed
    }
}

impl fmt::Display for Uncommitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected a receipt for the evidence of this route on `{}`",
            self.sealed.draft.stream()
        )
    }
}

impl core::error::Error for Uncommitted {}

impl<P: Position> Route<P> {
    /// Checks the module's contract and writes the Routing Evidence Block. Nothing
    /// is executed before a ledger's receipt for exactly this block is shown to
    /// [`Sealed::commit`].
    ///
    /// # Errors
    /// [`ContractBlocked`]: the module is unknown or its contract is not met.
    pub fn seal<E>(self, engine: &E) -> Result<Sealed, ContractBlocked>
    where
        P: Precedes<layers::Committed>,
        E: ExecutionEngine + ?Sized,
    {
        self.seal_over(engine, Vec::new())
    }

    /// [`Route::seal`] in the room of an earlier route's record.
    pub(in crate::routing) fn seal_over<E>(
        mut self,
        engine: &E,
        room: Vec<u8>,
    ) -> Result<Sealed, ContractBlocked>
    where
        P: Precedes<layers::Committed>,
        E: ExecutionEngine + ?Sized,
    {
        let core = &mut *self.core;
        let admitted = match (intent_of(core), core.path.as_ref()) {
            (Some(intent), Some(path)) => engine.admit(&Admission {
                module: path.module(),
                intent,
                state: core.block.state,
                mode: path.mode(),
                consensus: core.settled(),
            }),
            _ => Err(Reason::new(ReasonCode::IntentMalformed)),
        };
        if let Err(reason) = admitted {
            core.stop(LayerId::Execution, Verdict::Deny, alloc::vec![reason]);
            return Err(ContractBlocked::new(self.core));
        }
        let session = intent_of(core).map(|intent| intent.session().name().clone());
        let Some(session) = session else {
            core.stop(LayerId::Execution, Verdict::Deny, super::malformed());
            return Err(ContractBlocked::new(self.core));
        };
        let stream = StreamId::new(StreamKind::Routing, session);
        let mut body = Writer::over(room);
        body.reserve(core.block.room());
        core.block.encode(&mut body);
        let draft =
            Draft::new(stream, RecordKind::EvidenceBlock, Subsystem::Routing, body.into_bytes());
        Ok(Sealed { core: self.core, draft })
    }
}

impl Sealed {
    /// The record to commit.
    pub fn draft(&self) -> Draft {
        self.draft.clone()
    }

    /// The record itself, to be given back to [`Lent::returned`].
    pub(in crate::routing) fn lend(self) -> (Lent, Draft) {
        (Lent { core: self.core }, self.draft)
    }

    /// The evidence.
    pub fn evidence(&self) -> &EvidenceBlock {
        &self.core.block
    }

    /// The submission.
    pub fn submission(&self) -> &Submission {
        &self.core.submission
    }

    /// Shows the ledger's receipt (D-27). The record's digest becomes the effect's
    /// idempotency key.
    ///
    /// # Errors
    /// [`Uncommitted`] when the receipt is not for this evidence.
    pub fn commit(self, receipt: &Receipt) -> Result<Route<layers::Committed>, Uncommitted> {
        self.commit_and_reuse(receipt).map(|(route, _)| route)
    }

    /// [`Sealed::commit`], and the room of the record for a later route's.
    pub(in crate::routing) fn commit_and_reuse(
        self,
        receipt: &Receipt,
    ) -> Result<(Route<layers::Committed>, Vec<u8>), Uncommitted> {
        let found = receipt.records().iter().find(|record| {
            record.kind() == RecordKind::EvidenceBlock
                && record.stream() == self.draft.stream()
                && record.body() == self.draft.body()
        });
        match found {
            Some(record) => {
                let key = IdempotencyKey::from_evidence(record.digest());
                Ok((Route::committed(self.core, key), self.draft.into_body()))
            }
            None => Err(Uncommitted { sealed: self }),
        }
    }

    /// Ends the route behind its durable evidence, for who does not execute it again: its
    /// evidence, and the room of its record.
    #[cfg(feature = "std")]
    pub(in crate::routing) fn put_aside(self) -> (Box<EvidenceBlock>, Vec<u8>) {
        (self.core.block, self.draft.into_body())
    }

    /// Ends the route unexecuted, because its evidence could not be made durable or
    /// the log moved on meanwhile.
    pub fn abandon(self) -> (Box<EvidenceBlock>, Submission) {
        (self.core.block, self.core.submission)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("stream", self.draft.stream()).finish_non_exhaustive()
    }
}

impl Route<layers::Committed> {
    fn committed(mut core: Box<Core>, key: IdempotencyKey) -> Self {
        core.key = Some(key);
        Self::at(core)
    }

    /// The effect's idempotency key: the digest of the durable evidence.
    pub fn key(&self) -> IdempotencyKey {
        self.core.key.unwrap_or(IdempotencyKey::from_evidence(Digest::ZERO))
    }
}

impl<P: Position> Route<P> {
    /// Step 8: carries out the effect, at most once for this evidence. The Routing
    /// ID is recomputed and compared once more (D-23).
    pub fn execute<E>(
        mut self,
        engine: &E,
        state: State,
        now: Timestamp,
    ) -> Route<layers::Execution>
    where
        P: Precedes<layers::Execution>,
        E: ExecutionEngine + ?Sized,
    {
        let execution = run(&self.core, engine, state, now);
        if let Execution::Done(output) = &execution {
            self.core.output = Some(output.value.to_canonical().into());
        }
        self.core.execution = Some(execution);
        Route::at(self.core)
    }
}

fn run<E: ExecutionEngine + ?Sized>(
    core: &Core,
    engine: &E,
    state: State,
    now: Timestamp,
) -> Execution {
    let (Some(intent), Some(path), Some(components), Some(key)) =
        (intent_of(core), core.path.as_ref(), core.components(), core.key)
    else {
        return Execution::Failed(Reason::new(ReasonCode::IntentMalformed));
    };
    if core.block.routing_id != Some(components.id()) {
        return Execution::Failed(Reason::new(ReasonCode::RoutingIdMismatch));
    }
    engine.execute(&Job {
        module: path.module(),
        intent,
        narrowing: &core.block.narrowing,
        mode: path.mode(),
        state,
        key,
        now,
        permit: Permit::of_committed_route(),
    })
}

impl Route<layers::Execution> {
    /// How the effect ended, chained to the evidence.
    pub fn outcome(&self) -> Outcome {
        let evidence = self.core.key.map_or(Digest::ZERO, |key| key.digest());
        match &self.core.execution {
            Some(Execution::Done(output)) => Outcome {
                evidence,
                status: OutcomeStatus::Done,
                output: match self.output_salt() {
                    None => self.core.output.as_deref().map(|bytes| Domain::Output.hash(bytes)),
                    Some(salt) => Some(commit(Part::Output, &salt, &output.value)),
                },
                label: output.label.clone(),
                reasons: Vec::new(),
                salted: self.core.block.salted,
            },
            Some(Execution::Failed(reason)) => {
                self.unsuccessful(evidence, OutcomeStatus::Failed, reason.clone())
            }
            Some(Execution::Unknown(reason)) => {
                self.unsuccessful(evidence, OutcomeStatus::Unknown, reason.clone())
            }
            None => self.unsuccessful(
                evidence,
                OutcomeStatus::Unknown,
                Reason::new(ReasonCode::OutcomeUnknown),
            ),
        }
    }

    fn unsuccessful(&self, evidence: Digest, status: OutcomeStatus, reason: Reason) -> Outcome {
        Outcome {
            evidence,
            status,
            output: None,
            label: Label::empty(),
            reasons: alloc::vec![reason],
            salted: self.core.block.salted,
        }
    }

    /// What the output is hashed with, where the intent is salted.
    fn output_salt(&self) -> Option<Salt> {
        let salt = intent_of(&self.core)?.salt()?;
        Some(salt.of_output(&self.core.key?.digest()))
    }

    /// The output, where there is one.
    pub fn output(&self) -> Option<&Output> {
        match &self.core.execution {
            Some(Execution::Done(output)) => Some(output),
            _ => None,
        }
    }

    /// What is kept of the output under its digest in the outcome: its canonical bytes,
    /// behind their salt where they have one.
    pub(in crate::routing) fn output_bytes(&self) -> Option<Arc<[u8]>> {
        let bytes = self.core.output.as_ref()?;
        match self.output_salt() {
            None => Some(Arc::clone(bytes)),
            Some(salt) => Some(to_kept(&salt, bytes).into()),
        }
    }

    /// The evidence, the submission and the output.
    pub fn into_parts(self) -> (Box<EvidenceBlock>, Submission, Option<Output>) {
        let output = match self.core.execution {
            Some(Execution::Done(output)) => Some(output),
            _ => None,
        };
        (self.core.block, self.core.submission, output)
    }
}
