//! `Arbitrary` for the library's values, each through its own checked constructor.

use std::boxed::Box;
use std::collections::BTreeSet;
use std::string::String;
use std::vec::Vec;

use arbitrary::{Arbitrary, Error, Result, Unstructured};

use super::properties::Mutation;
use crate::audience::state::State;
use crate::digest::Digest;
use crate::id::{
    FactKey, KindId, LayerId, ModuleId, Name, PrincipalId, RequestId, RuleId, SessionId,
    SnapshotId, SubjectId, Subsystem, TemplateId,
};
use crate::intent::{Argument, Objective, ReadFact, Request, RoutingComponents, RoutingId};
use crate::pipeline::{Branch, Template};
use crate::provenance::{Label, Sensitivity, Source};
use crate::risk::Risk;
use crate::routing::evidence::TraceEntry;
use crate::routing::table::{EscalationAction, EscalationRule, Pattern, Row};
use crate::routing::{EvidenceBlock, Outcome, OutcomeStatus, StepResult};
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use crate::time::Timestamp;
use crate::value::{Decimal, MAX_SCALE, Value};
use crate::verdict::{
    CapabilityTier, Consensus, Drift, EnvelopeDecision, Narrowing, Reason, ReasonCode, SafetyFlags,
    SafetyMode, Verdict, Vote,
};

/// Deepest nesting of an arbitrary value.
const DEPTH: usize = 4;

macro_rules! choices {
    ($($type:ty => [$($value:expr),* $(,)?];)*) => {$(
        impl<'a> Arbitrary<'a> for $type {
            fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
                u.choose(&[$($value),*]).copied()
            }
        }
    )*};
}

choices! {
    Verdict => [
        Verdict::Allow, Verdict::Modify, Verdict::StepUp, Verdict::Defer, Verdict::Deny,
    ];
    Vote => [Vote::Abstain, Vote::Agree, Vote::Dissent];
    Drift => [Drift::None, Drift::Soft, Drift::Hard];
    SafetyMode => [SafetyMode::Normal, SafetyMode::Protected, SafetyMode::ReadOnly];
    CapabilityTier => [
        CapabilityTier::Observe, CapabilityTier::Act, CapabilityTier::Commit,
        CapabilityTier::Privileged,
    ];
    EnvelopeDecision => [
        EnvelopeDecision::Allow, EnvelopeDecision::Limit, EnvelopeDecision::Hold,
        EnvelopeDecision::Block,
    ];
    Sensitivity => [
        Sensitivity::Public, Sensitivity::Internal, Sensitivity::Personal, Sensitivity::Secret,
    ];
    StepResult => [
        StepResult::Passed, StepResult::Flagged, StepResult::Narrowed, StepResult::Stopped,
        StepResult::Backtracked,
    ];
    OutcomeStatus => [OutcomeStatus::Done, OutcomeStatus::Failed, OutcomeStatus::Unknown];
    Subsystem => [
        Subsystem::Identity, Subsystem::Intent, Subsystem::Modeling, Subsystem::Memory,
        Subsystem::Safety, Subsystem::Governance, Subsystem::Pipeline, Subsystem::Execution,
        Subsystem::Audience, Subsystem::Routing, Subsystem::Ssot,
    ];
    RecordKind => [
        RecordKind::AudienceEvent, RecordKind::EnvelopeBlock, RecordKind::TransitionRefused,
        RecordKind::ConstitutionalCheck, RecordKind::SessionOpened, RecordKind::SessionClosed,
        RecordKind::EvidenceBlock, RecordKind::Outcome, RecordKind::Fact,
        RecordKind::GovernanceDecision, RecordKind::PolicyPinned, RecordKind::Snapshot,
        RecordKind::ConflictDetected, RecordKind::IdentityScored,
    ];
    StreamKind => [
        StreamKind::Audience, StreamKind::Routing, StreamKind::Session, StreamKind::Memory,
        StreamKind::Governance, StreamKind::Subject, StreamKind::Policy,
    ];
}

impl<'a> Arbitrary<'a> for State {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.choose(&Self::ALL).copied()
    }
}

impl<'a> Arbitrary<'a> for LayerId {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.choose(&Self::ALL).copied()
    }
}

impl<'a> Arbitrary<'a> for ReasonCode {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.choose(Self::ALL).copied()
    }
}

impl<'a> Arbitrary<'a> for Digest {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.arbitrary().map(Self::from_bytes)
    }
}

impl<'a> Arbitrary<'a> for Name {
    /// Mostly one of few short names, so that names meet; else any text that is one.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(3, 4)? {
            let name = *u.choose(&["a", "b", "c", "d", "alice", "s-1", "é"])?;
            return Self::new(name).map_err(|_| Error::IncorrectFormat);
        }
        Self::new(u.arbitrary()?).map_err(|_| Error::IncorrectFormat)
    }
}

macro_rules! wrapped {
    ($($type:ty: $from:ident,)*) => {$(
        impl<'a> Arbitrary<'a> for $type {
            fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
                u.arbitrary().map(<$type>::$from)
            }
        }
    )*};
}

macro_rules! named {
    ($($type:ty),*) => {$(
        impl<'a> Arbitrary<'a> for $type {
            fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
                u.arbitrary::<Name>().map(Self::from)
            }
        }
    )*};
}

named!(FactKey, SubjectId, SessionId, PrincipalId, KindId, ModuleId, RuleId, TemplateId, RequestId);

wrapped! {
    SnapshotId: new,
    RoutingId: from_digest,
    Timestamp: from_millis,
}

impl<'a> Arbitrary<'a> for Risk {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        u.int_in_range(0..=Self::MAX.ppm()).map(|ppm| Self::saturating(ppm.into()))
    }
}

impl<'a> Arbitrary<'a> for Decimal {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mantissa = if u.ratio(3, 4)? { u.arbitrary::<i64>()?.into() } else { u.arbitrary()? };
        Self::new(mantissa, u.int_in_range(0..=MAX_SCALE)?).ok_or(Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for Value {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        value(u, DEPTH)
    }
}

fn value(u: &mut Unstructured<'_>, depth: usize) -> Result<Value> {
    let shapes = if depth == 0 { 3 } else { 5 };
    Ok(match u.int_in_range(0..=shapes)? {
        0 => Value::Null,
        1 => Value::Bool(u.arbitrary()?),
        2 => Value::Number(u.arbitrary()?),
        3 => Value::Text(u.arbitrary::<String>()?.into()),
        4 => {
            let count = u.int_in_range(0..=4)?;
            Value::List((0..count).map(|_| value(u, depth - 1)).collect::<Result<_>>()?)
        }
        _ => {
            let count = u.int_in_range(0..=4)?;
            let entry = |u: &mut Unstructured<'_>| {
                Ok((u.arbitrary::<String>()?.into(), value(u, depth - 1)?))
            };
            Value::Map((0..count).map(|_| entry(u)).collect::<Result<_>>()?)
        }
    })
}

impl<'a> Arbitrary<'a> for Source {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=5)? {
            0 => Self::User,
            1 => Self::Memory,
            2 => Self::Policy,
            3 => Self::Agent,
            4 => Self::Module(u.arbitrary()?),
            _ => Self::Outside(u.arbitrary()?),
        })
    }
}

impl<'a> Arbitrary<'a> for Label {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut label = Self::empty().with_sensitivity(u.arbitrary()?);
        for source in u.arbitrary::<BTreeSet<Source>>()? {
            label.absorb(&source.into());
        }
        Ok(label)
    }
}

impl<'a> Arbitrary<'a> for SafetyFlags {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let bits = u.arbitrary::<u32>()?;
        let set = Self::ALL.iter().filter(|(flag, _)| bits & flag.bits() != 0);
        Ok(set.fold(Self::NONE, |all, (flag, _)| all.union(*flag)))
    }
}

impl<'a> Arbitrary<'a> for Consensus {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let votes: [Vote; 8] = u.arbitrary()?;
        let votes = LayerId::ALL.into_iter().zip(votes);
        Ok(votes.fold(Self::NONE, |all, (layer, vote)| all.with(layer, vote)))
    }
}

impl<'a> Arbitrary<'a> for Reason {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self { code: u.arbitrary()?, rule: u.arbitrary()?, detail: u.arbitrary()? })
    }
}

impl<'a> Arbitrary<'a> for Narrowing {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut narrowing = Self::default();
        narrowing.absorb(Self {
            drop_arguments: u.arbitrary::<Vec<Box<str>>>()?,
            exclude_modules: u.arbitrary()?,
            read_only: u.arbitrary()?,
        });
        Ok(narrowing)
    }
}

impl<'a> Arbitrary<'a> for StreamId {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::new(u.arbitrary()?, u.arbitrary()?))
    }
}

impl<'a> Arbitrary<'a> for Head {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::new(u.arbitrary()?, u.arbitrary()?))
    }
}

impl<'a> Arbitrary<'a> for Draft {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::new(u.arbitrary()?, u.arbitrary()?, u.arbitrary()?, u.arbitrary()?))
    }
}

impl<'a> Arbitrary<'a> for Record {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::seal(u.arbitrary()?, u.arbitrary()?, u.arbitrary()?, u.arbitrary()?))
    }
}

impl<'a> Arbitrary<'a> for RoutingComponents {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            intent: u.arbitrary()?,
            objective: objective(u)?,
            snapshot: u.arbitrary()?,
            flags: u.arbitrary()?,
            consensus: u.arbitrary()?,
        })
    }
}

/// One of few hashes, so that patterns and components meet.
fn objective(u: &mut Unstructured<'_>) -> Result<Digest> {
    u.choose(&["pay", "read", "write"]).map(|text| Objective::new(text).hash())
}

impl<'a> Arbitrary<'a> for Pattern {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let objective = if u.ratio(1, 4)? { Some(objective(u)?) } else { None };
        let (all_flags, no_flags): (SafetyFlags, SafetyFlags) = u.arbitrary()?;
        let mut votes = Vec::new();
        for layer in LayerId::ALL {
            if u.ratio(1, 6)? {
                votes.push((layer, u.arbitrary()?));
            }
        }
        Ok(Self { kind: u.arbitrary()?, objective, all_flags, no_flags, votes })
    }
}

impl<'a> Arbitrary<'a> for Branch {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            id: u.arbitrary()?,
            all_flags: u.arbitrary()?,
            no_flags: u.arbitrary()?,
            modes: u.arbitrary()?,
            states: u.arbitrary()?,
            module: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Template {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut branches: Vec<Branch> = u.arbitrary()?;
        if branches.is_empty() || u.ratio(3, 4)? {
            branches = [Branch {
                id: u.arbitrary()?,
                all_flags: SafetyFlags::NONE,
                no_flags: SafetyFlags::NONE,
                modes: Vec::new(),
                states: Vec::new(),
                module: u.arbitrary()?,
            }]
            .into();
        }
        let modules = branches.iter().map(|branch| branch.module.clone()).collect();
        Ok(Self {
            id: u.arbitrary()?,
            mode: u.arbitrary()?,
            engines: Vec::new(),
            modules,
            branches,
        })
    }
}

impl<'a> Arbitrary<'a> for EscalationRule {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let then = if u.arbitrary()? {
            EscalationAction::Deny
        } else {
            EscalationAction::StepUp { role: u.arbitrary()?, timeout_millis: u.arbitrary()? }
        };
        Ok(Self {
            risk_at_least: u.arbitrary()?,
            drift_at_least: u.arbitrary()?,
            any_flags: u.arbitrary()?,
            then,
        })
    }
}

impl<'a> Arbitrary<'a> for Row {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let id = if u.ratio(1, 8)? { u.arbitrary()? } else { numbered(u)? };
        Ok(Self {
            id,
            pattern: u.arbitrary()?,
            template: u.arbitrary()?,
            escalation: u.arbitrary()?,
        })
    }
}

/// One of many ids, so that most rows have their own.
fn numbered(u: &mut Unstructured<'_>) -> Result<RuleId> {
    let text = std::format!("row-{}", u.arbitrary::<u16>()?);
    RuleId::new(&text).map_err(|_| Error::IncorrectFormat)
}

impl<'a> Arbitrary<'a> for Argument {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self { value: u.arbitrary()?, label: u.arbitrary()? })
    }
}

impl<'a> Arbitrary<'a> for Request {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let reads: Vec<(FactKey, u64)> = u.arbitrary()?;
        Ok(Self {
            kind: u.arbitrary()?,
            subject: u.arbitrary()?,
            session: u.arbitrary()?,
            request: u.arbitrary()?,
            objective: Objective::new(u.arbitrary()?),
            arguments: u.arbitrary::<Vec<(Box<str>, Argument)>>()?.into_iter().collect(),
            reads: reads.into_iter().map(|(key, version)| ReadFact { key, version }).collect(),
            snapshot: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for TraceEntry {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self { layer: u.arbitrary()?, result: u.arbitrary()?, reasons: u.arbitrary()? })
    }
}

impl<'a> Arbitrary<'a> for EvidenceBlock {
    /// Any block without a Governance Token: only its mint makes one.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            verdict: u.arbitrary()?,
            timestamp: u.arbitrary()?,
            routing_id: u.arbitrary()?,
            intent: u.arbitrary()?,
            objective: u.arbitrary()?,
            flags: u.arbitrary()?,
            raised: u.arbitrary()?,
            consensus: u.arbitrary()?,
            token: None,
            template: u.arbitrary()?,
            branch: u.arbitrary()?,
            module: u.arbitrary()?,
            mode: u.arbitrary()?,
            subject: u.arbitrary()?,
            principal: u.arbitrary()?,
            kind: u.arbitrary()?,
            state: u.arbitrary()?,
            class: u.int_in_range(0..=3)?,
            snapshot: u.arbitrary()?,
            pins: u.arbitrary()?,
            risk: u.arbitrary()?,
            surprise: u.arbitrary()?,
            drift: u.arbitrary()?,
            narrowing: u.arbitrary()?,
            approval: u.arbitrary()?,
            backtrack: u.arbitrary()?,
            approver: u.arbitrary()?,
            wait_until: u.arbitrary()?,
            trace: u.arbitrary()?,
            salted: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Outcome {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self {
            evidence: u.arbitrary()?,
            status: u.arbitrary()?,
            output: u.arbitrary()?,
            label: u.arbitrary()?,
            reasons: u.arbitrary()?,
            salted: u.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for Mutation {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let (record, bit) = u.arbitrary()?;
        Ok(match u.int_in_range(0..=5)? {
            0 => Self::Flip { record, bit },
            1 => Self::FlipDigest { record, bit },
            2 => Self::Forge { record, bit },
            3 => Self::Swap { first: record, second: bit },
            4 => Self::Drop { record },
            _ => Self::Repeat { record },
        })
    }
}
