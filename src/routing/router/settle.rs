//! After a crash: an effect whose outcome is unknown is asked for, never repeated.

use alloc::string::ToString;
use alloc::sync::Arc;

use super::{Profile, Router, RouterError};
use crate::commitment::{Part, Salt, commit, to_kept};
use crate::digest::{Digest, Domain};
use crate::encode::Encode;
use crate::execution::{ExecutionEngine, IdempotencyKey, Reconciled};
use crate::provenance::Label;
use crate::routing::desk::{Desk, OpenRoute};
use crate::routing::engines::Engines;
use crate::routing::evidence::{Outcome, OutcomeStatus};
use crate::routing::payloads;
use crate::ssot::store::Store;
use crate::time::Clock;
use crate::verdict::{Reason, ReasonCode};

impl<E: Engines, S: Store, C: Clock> Router<E, S, C> {
    /// Settles the session's open route, if there is one: asks the module whether the
    /// effect with this evidence's key took place, and records the answer as the
    /// outcome (D-27). The effect is never carried out again.
    ///
    /// Call it when a session is resumed after a crash. Do not call it for a session
    /// whose route another process is still executing: that process's outcome would
    /// be refused by the store.
    ///
    /// # Errors
    /// [`RouterError`]; the route stays open then.
    pub fn settle(&self, desk: &mut Desk<Profile<E>>) -> Result<Option<Outcome>, RouterError> {
        // What is open is for the log to say: another process may have settled it.
        let mut live = self.load(&desk.session)?;
        desk.live = None;
        let Some(OpenRoute { evidence, block }) = live.open.clone() else {
            desk.live = Some(live);
            return Ok(None);
        };
        let answer = match &block.module {
            Some(module) => {
                self.engines.execution().reconcile(module, IdempotencyKey::from_evidence(evidence))
            }
            None => Reconciled::NotHappened,
        };
        let secret =
            if block.salted { Some(payloads::intent_salt(self.store(), &block)?) } else { None };
        let (mut outcome, output) = outcome(evidence, answer, secret.as_ref());
        outcome.salted = block.salted;
        self.record_outcome(&mut live, &desk.streams, &mut desk.pads, &block, &outcome, output)?;
        desk.live = Some(live);
        Ok(Some(outcome))
    }
}

/// `secret` is none for a route that is not salted, and holds none where the salt of its
/// intent was erased.
fn outcome(
    evidence: Digest,
    answer: Reconciled,
    secret: Option<&Option<Salt>>,
) -> (Outcome, Option<Arc<[u8]>>) {
    let without = |status, detail: &str| Outcome {
        evidence,
        status,
        output: None,
        label: Label::empty(),
        reasons: alloc::vec![Reason::new(ReasonCode::OutcomeUnknown).detail(detail.to_string())],
        salted: false,
    };
    match answer {
        Reconciled::Happened(Some(_)) if matches!(secret, Some(None)) => {
            (without(OutcomeStatus::Done, "settled: it took place, its salt is erased"), None)
        }
        Reconciled::Happened(Some(output)) => {
            let bytes = output.value.to_canonical();
            let label = output.label;
            let (digest, bytes) = match secret.and_then(Option::as_ref) {
                None => (Domain::Output.hash(&bytes), bytes),
                Some(intent) => {
                    let salt = intent.of_output(&evidence);
                    (commit(Part::Output, &salt, &output.value), to_kept(&salt, &bytes))
                }
            };
            let outcome = Outcome {
                evidence,
                status: OutcomeStatus::Done,
                output: Some(digest),
                label,
                reasons: alloc::vec::Vec::new(),
                salted: false,
            };
            (outcome, Some(bytes.into()))
        }
        Reconciled::Happened(None) => {
            (without(OutcomeStatus::Done, "settled: it took place, its output is lost"), None)
        }
        Reconciled::NotHappened => {
            (without(OutcomeStatus::Failed, "settled: it did not take place"), None)
        }
        Reconciled::Unknown => {
            (without(OutcomeStatus::Unknown, "settled: the module cannot tell"), None)
        }
    }
}
