//! Checks of the evidence against itself and against the audience's records.

use alloc::format;
use alloc::vec::Vec;

use super::Text;
use super::error::{BundleError, Missing};
use super::seen::{AudienceSeen, Place};
use crate::audience::lineage::LineageEvent;
use crate::audience::state::State;
use crate::id::LayerId;
use crate::intent::RoutingComponents;
use crate::routing::{EvidenceBlock, StepResult};
use crate::ssot::record::{Record, RecordKind};
use crate::verdict::{Consensus, Verdict, Vote};

/// Computes the Routing ID again from the evidence's components (D-23), and gives the votes
/// it was made of.
///
/// The evidence holds the votes as they were at the end. Those at Step 2 differ from them
/// in the layers that the route passed later: there they were the votes of the session's
/// last route. At most six layers, three votes each, so all of them are tried; that another
/// intent, objective, snapshot or set of flags gives the same ID is no more likely for it.
pub(super) fn routing_id(block: &EvidenceBlock) -> Result<Option<Consensus>, BundleError> {
    let Some(found) = block.routing_id else { return Ok(None) };
    let wrong = BundleError::RoutingId { found };
    let Some(objective) = block.objective else { return Err(wrong) };
    let back = block.trace.iter().filter(|entry| entry.result == StepResult::Backtracked);
    let back = back.map(|entry| entry.layer).min();
    let open: Vec<LayerId> = LayerId::ALL
        .into_iter()
        .filter(|layer| *layer > LayerId::Intent)
        .filter(|layer| {
            back.is_some_and(|back| *layer >= back)
                || block.trace.iter().any(|entry| entry.layer == *layer)
        })
        .collect();
    let mut components = RoutingComponents {
        intent: block.intent,
        objective,
        snapshot: block.snapshot,
        flags: block.flags,
        consensus: (block.consensus)
            .with(LayerId::Identity, Vote::Agree)
            .with(LayerId::Intent, Vote::Agree),
    };
    let known = components.consensus;
    let ways = (0..open.len()).fold(1_u32, |ways, _| ways.saturating_mul(3));
    for way in 0..ways {
        let mut rest = way;
        components.consensus = open.iter().fold(known, |votes, layer| {
            let vote = match rest % 3 {
                0 => Vote::Agree,
                1 => Vote::Abstain,
                _ => Vote::Dissent,
            };
            rest /= 3;
            votes.with(*layer, vote)
        });
        if components.id() == found {
            return Ok(Some(components.consensus));
        }
    }
    Err(wrong)
}

/// Whether the verdict is one that the trace leads to.
pub(super) fn verdict(block: &EvidenceBlock) -> Result<(), BundleError> {
    let wrong = |expected| Err(BundleError::Verdict { verdict: block.verdict, expected });
    let mut last: Option<LayerId> = None;
    for entry in &block.trace {
        let follows = match entry.result {
            StepResult::Backtracked => last.is_none_or(|last| last < entry.layer),
            // The layer a route went back to is entered again.
            _ => last.is_none_or(|last| last <= entry.layer),
        };
        if !follows {
            return wrong("the layers in their order");
        }
        last = Some(entry.layer);
    }
    let Some((end, before)) = block.trace.split_last() else {
        return wrong("a trace that is not empty");
    };
    if before.iter().any(|entry| entry.result == StepResult::Stopped) {
        return wrong("no layer after the one that stopped it");
    }
    let passes = matches!(block.verdict, Verdict::Allow | Verdict::Modify);
    if !passes {
        if end.result != StepResult::Stopped {
            return wrong("a layer that stopped it");
        }
        if block.verdict != Verdict::Deny && block.wait_until.is_none() {
            return wrong("a time until which it waits");
        }
        if block.verdict == Verdict::StepUp
            && (block.approver.is_none() || end.layer != LayerId::Governance)
        {
            return wrong("Governance to ask a role");
        }
        return Ok(());
    }
    if end.result == StepResult::Stopped || end.layer != LayerId::Pipeline {
        return wrong("all layers up to the Pipeline passed");
    }
    let ruled = block.trace.iter().any(|entry| {
        entry.layer == LayerId::Governance
            && matches!(entry.result, StepResult::Passed | StepResult::Narrowed)
    });
    if !ruled {
        return wrong("Governance to let it pass");
    }
    let path = block.template.is_some() && block.branch.is_some() && block.module.is_some();
    if !path || block.routing_id.is_none() || block.token.is_none() || block.kind.is_none() {
        return wrong("a Routing ID, a token and one path");
    }
    if (block.verdict == Verdict::Modify) == block.narrowing.is_empty() {
        return wrong("`modify` where something is taken away, `allow` where nothing is");
    }
    Ok(())
}

/// Follows the audience's records, of which the first leads to the state of the evidence.
/// What changed it after that was committed with the evidence itself.
pub(super) fn audience(
    block: &EvidenceBlock,
    evidence: &Record,
    records: &[&Record],
) -> Result<Vec<AudienceSeen>, BundleError> {
    let mut state: Option<State> = None;
    let mut out = Vec::new();
    let mut reached = records.is_empty() && block.state == State::Init;
    for (number, record) in records.iter().enumerate() {
        let says: Text = if record.kind() == RecordKind::AudienceEvent {
            let event: LineageEvent = read(record)?;
            match state {
                Some(state) if state != event.from() => {
                    return Err(BundleError::Audience { expected: state, found: event.from() });
                }
                None if record.sequence() == 0 && event.from() != State::Init => {
                    let (expected, found) = (State::Init, event.from());
                    return Err(BundleError::Audience { expected, found });
                }
                _ => {}
            }
            if reached {
                // It moved on: only in the commit that the evidence was written in.
                let after = records.len().saturating_sub(number) as u64;
                if record.index().saturating_add(after) != evidence.index() {
                    let (expected, found) = (block.state, event.to());
                    return Err(BundleError::Audience { expected, found });
                }
            }
            if state.is_none() && event.from() == block.state && record.sequence() == 0 {
                // It began in this state, and moved with the evidence.
                reached = true;
            }
            state = Some(event.to());
            reached |= event.to() == block.state;
            format!("{event}").into()
        } else {
            record.kind().name().into()
        };
        out.push(AudienceSeen { place: place(record), says });
    }
    // Records of an audience that never moved: refusals and checks.
    if state.is_none() && block.state == State::Init && starts(records) {
        reached = true;
    }
    match (reached, state) {
        (true, _) => Ok(out),
        (false, Some(found)) => Err(BundleError::Audience { expected: block.state, found }),
        (false, None) => Err(BundleError::Missing(Missing::Audience)),
    }
}

fn starts(records: &[&Record]) -> bool {
    records.first().is_none_or(|record| record.sequence() == 0)
}

pub(super) fn place(record: &Record) -> Place {
    Place { index: record.index(), digest: record.digest(), recorded_at: record.timestamp() }
}

pub(super) fn read<T: crate::encode::Decode>(record: &Record) -> Result<T, BundleError> {
    let index = record.index();
    record.read().map_err(|source| BundleError::Body { index, source })
}
