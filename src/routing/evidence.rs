//! The Routing Evidence Block (IRM-6) and the outcome that is chained to it.
//!
//! # Evidence block, body of a record of kind `evidence-block`, versions 1 and 2
//!
//! The two versions have the same fields. In version 2 the Intent Hash and the User
//! Objective Hash are salted commitments ([`crate::commitment`]), in version 1 they are
//! plain digests.
//!
//! | field | form | IRM |
//! |---|---|---|
//! | version | `u8`, 1 or 2 | 6.11 |
//! | verdict | `u8` | |
//! | timestamp | `u64` ms | 6.7 |
//! | Routing ID | optional digest; none when Step 2 was not reached | 6.1 |
//! | Intent Hash | digest; of the raw bytes when they are no intent | 6.2 |
//! | User Objective Hash | optional digest; none when it is no intent | |
//! | flags at Step 2, flags raised later | `u32`, `u32` | 6.3 |
//! | consensus | `u16` | |
//! | Governance Token | optional: 16 bytes id, tag digest | 6.4 |
//! | Execution Template ID | optional name | 6.5 |
//! | branch, module, mode | optional name, optional name, `u8` | |
//! | subject, principal, kind | name, name, optional name | |
//! | state, class | `u8`, `u8` | |
//! | snapshot, pins | digest, digest | |
//! | risk, surprise | `u32`, `u32` ppm | |
//! | drift | `u8` | |
//! | narrowing | list of texts, list of names, `bool` | |
//! | approval | optional digest of the record that holds it | |
//! | backtrack | optional digest of the record that authorized it | |
//! | approver | optional name of the role that is asked | |
//! | wait until | optional `u64` ms: no answer by then denies | |
//! | trace | list of (layer `u8`, step result `u8`, list of reasons) | 6.6 |
//!
//! The Audit Hash (IRM-6.8) is the digest of the record that holds the block: it
//! covers every field, the stream, the time and the link to the record before.
//!
//! # A worked example
//!
//! A route that Step 2 blocked, because what arrived was no intent. Numbers are
//! little-endian; hashes are filled with one byte here.
//!
//! | bytes | field |
//! |---|---|
//! | `01` | version |
//! | `05` | verdict: deny |
//! | `0100000000000000` | timestamp: 1 ms |
//! | `00` | Routing ID: none |
//! | `02020202020202020202020202020202 02020202020202020202020202020202` | Intent Hash |
//! | `00` | User Objective Hash: none |
//! | `00000000` | flags: none |
//! | `00000000` | flags raised later: none |
//! | `0800` | consensus: the Intent Engine dissents |
//! | `00` | Governance Token: none |
//! | `00` | Execution Template ID: none |
//! | `00` | branch: none |
//! | `00` | module: none |
//! | `00` | mode: normal |
//! | `0100000073` | subject: `s` |
//! | `0100000070` | principal: `p` |
//! | `00` | kind: none |
//! | `03` | state: VERIFIED |
//! | `02` | class: B |
//! | `03030303030303030303030303030303 03030303030303030303030303030303` | snapshot |
//! | `04040404040404040404040404040404 04040404040404040404040404040404` | pins |
//! | `00000000` | risk: 0 |
//! | `00000000` | surprise: 0 |
//! | `00` | drift: none |
//! | `00000000` | narrowing: no argument is dropped |
//! | `00000000` | narrowing: no module is excluded |
//! | `00` | narrowing: not read-only |
//! | `00` | approval: none |
//! | `00` | backtrack: none |
//! | `00` | approver: none |
//! | `00` | wait until: none |
//! | `01000000` | trace: one line |
//! | `02` | layer: Intent Engine |
//! | `04` | step result: stopped |
//! | `01000000` | one reason |
//! | `c900` | code 201: malformed |
//! | `00` | rule: none |
//! | `00000000` | detail: empty |
//!
//! # Outcome, body of a record of kind `outcome`, versions 1 and 2
//!
//! In version 2 the output is a salted commitment, in version 1 a plain digest.
//!
//! | field | form |
//! |---|---|
//! | version | `u8`, 1 or 2 |
//! | evidence | digest of the evidence block's record; also the idempotency key |
//! | status | `u8`: 1 done, 2 failed, 3 unknown |
//! | output | optional digest of the output's canonical bytes |
//! | label | sources and sensitivity of the output |
//! | reasons | list |
//!
//! Requirements: IRM-6.1..IRM-6.12.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::Serialize;

use crate::audience::state::State;
use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer, byte_enum};
use crate::governance::GovernanceToken;
use crate::id::{
    KindId, LayerId, ModuleId, Name, PrincipalId, RuleId, SnapshotId, SubjectId, TemplateId,
};
use crate::intent::RoutingId;
use crate::provenance::Label;
use crate::risk::Risk;
use crate::time::Timestamp;
use crate::verdict::{Consensus, Drift, Narrowing, Reason, SafetyFlags, SafetyMode, Verdict};

/// The version of both bodies with plain digests.
pub const EVIDENCE_VERSION: u8 = 1;

/// The version of both bodies with salted commitments.
pub const SALTED_VERSION: u8 = 2;

/// How one layer ended for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    /// Passed.
    Passed,
    /// Passed with a flag that a later layer must rule on.
    Flagged,
    /// Passed, narrowed.
    Narrowed,
    /// The route ended here.
    Stopped,
    /// Everything from this layer on was dropped: the route went back to it (D-25).
    Backtracked,
}

byte_enum!(StepResult, "a step result", {
    Passed = 1, Flagged = 2, Narrowed = 3, Stopped = 4, Backtracked = 5,
});

/// One line of the Routing Decision Trace (IRM-6.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceEntry {
    /// The layer.
    pub layer: LayerId,
    /// How it ended.
    pub result: StepResult,
    /// Why.
    pub reasons: Vec<Reason>,
}

impl Encode for TraceEntry {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.layer).value(&self.result).list(&self.reasons);
    }
}

impl Decode for TraceEntry {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { layer: input.value()?, result: input.value()?, reasons: input.list()? })
    }
}

/// The Routing Evidence Block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EvidenceBlock {
    /// How the route ended, or will when its effect succeeds.
    pub verdict: Verdict,
    /// When it was routed.
    pub timestamp: Timestamp,
    /// The Routing ID; none when the route ended before Step 2 made one.
    pub routing_id: Option<RoutingId>,
    /// The Intent Hash, or the digest of bytes that are no intent.
    pub intent: Digest,
    /// The User Objective Hash; none when it is no intent. With the other components it
    /// lets anybody compute the Routing ID again (D-23).
    pub objective: Option<Digest>,
    /// The safety flags known at Step 2.
    pub flags: SafetyFlags,
    /// Flags raised later (D-23).
    pub raised: SafetyFlags,
    /// The votes, those of this route included.
    pub consensus: Consensus,
    /// What remains of the Routing Approval Token.
    pub token: Option<GovernanceToken>,
    /// The Execution Template ID.
    pub template: Option<TemplateId>,
    /// The branch of the template that remained.
    pub branch: Option<RuleId>,
    /// The module that runs.
    pub module: Option<ModuleId>,
    /// The mode it runs in.
    pub mode: SafetyMode,
    /// For whom.
    pub subject: SubjectId,
    /// Who acts.
    pub principal: PrincipalId,
    /// The kind of intent; none when it is no intent.
    pub kind: Option<KindId>,
    /// The audience's state when it was decided.
    pub state: State,
    /// The audience's class: 1 A, 2 B, 3 C, 0 not classified.
    pub class: u8,
    /// The context snapshot.
    pub snapshot: SnapshotId,
    /// The digest of everything it was decided under ([`crate::routing::Pins`]).
    pub pins: Digest,
    /// The overall risk.
    pub risk: Risk,
    /// How surprising it was.
    pub surprise: Risk,
    /// Drift found.
    pub drift: Drift,
    /// What was taken away in Protected Mode.
    #[serde(skip_serializing_if = "Narrowing::is_empty")]
    pub narrowing: Narrowing,
    /// The record that holds the approval it rests on.
    pub approval: Option<Digest>,
    /// The record that authorized it to be modelled again (D-25).
    pub backtrack: Option<Digest>,
    /// The role that is asked, where a person decides.
    pub approver: Option<Name>,
    /// No answer by then denies, where it waits.
    pub wait_until: Option<Timestamp>,
    /// The Routing Decision Trace.
    pub trace: Vec<TraceEntry>,
    /// Whether the Intent Hash and the User Objective Hash are salted commitments.
    #[serde(skip_serializing_if = "is_plain")]
    pub salted: bool,
}

impl EvidenceBlock {
    /// Whether an effect follows: the route is open until its outcome is recorded.
    pub const fn opens_route(&self) -> bool {
        matches!(self.verdict, Verdict::Allow | Verdict::Modify)
    }
}

impl Encode for EvidenceBlock {
    fn room(&self) -> usize {
        640
    }

    fn encode(&self, out: &mut Writer) {
        out.u8(version_of(self.salted))
            .value(&self.verdict)
            .value(&self.timestamp)
            .option(self.routing_id.as_ref())
            .digest(&self.intent)
            .option(self.objective.as_ref())
            .value(&self.flags)
            .value(&self.raised)
            .value(&self.consensus)
            .option(self.token.as_ref())
            .option(self.template.as_ref())
            .option(self.branch.as_ref())
            .option(self.module.as_ref())
            .value(&self.mode)
            .value(&self.subject)
            .value(&self.principal)
            .option(self.kind.as_ref())
            .value(&self.state)
            .u8(self.class)
            .value(&self.snapshot)
            .digest(&self.pins)
            .value(&self.risk)
            .value(&self.surprise)
            .value(&self.drift)
            .value(&self.narrowing)
            .option(self.approval.as_ref())
            .option(self.backtrack.as_ref())
            .option(self.approver.as_ref())
            .option(self.wait_until.as_ref())
            .list(&self.trace);
    }
}

impl Decode for EvidenceBlock {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let salted = version(input)?;
        Ok(Self {
            salted,
            verdict: input.value()?,
            timestamp: input.value()?,
            routing_id: input.option()?,
            intent: input.digest()?,
            objective: input.option()?,
            flags: input.value()?,
            raised: input.value()?,
            consensus: input.value()?,
            token: input.option()?,
            template: input.option()?,
            branch: input.option()?,
            module: input.option()?,
            mode: input.value()?,
            subject: input.value()?,
            principal: input.value()?,
            kind: input.option()?,
            state: input.value()?,
            class: input.u8()?,
            snapshot: input.value()?,
            pins: input.digest()?,
            risk: input.value()?,
            surprise: input.value()?,
            drift: input.value()?,
            narrowing: input.value()?,
            approval: input.option()?,
            backtrack: input.option()?,
            approver: input.option()?,
            wait_until: input.option()?,
            trace: input.list()?,
        })
    }
}

/// How an effect ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeStatus {
    /// It took place.
    Done,
    /// It did not take place, for sure.
    Failed,
    /// It is not known.
    Unknown,
}

byte_enum!(OutcomeStatus, "an outcome", { Done = 1, Failed = 2, Unknown = 3, });

/// The outcome of a route whose evidence was durable before its effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The digest of the evidence block's record.
    pub evidence: Digest,
    /// How the effect ended.
    pub status: OutcomeStatus,
    /// The digest of the output.
    pub output: Option<Digest>,
    /// Where the output came from.
    pub label: Label,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Whether the output is a salted commitment.
    #[serde(skip_serializing_if = "is_plain")]
    pub salted: bool,
}

impl Encode for Outcome {
    fn room(&self) -> usize {
        160
    }

    fn encode(&self, out: &mut Writer) {
        out.u8(version_of(self.salted))
            .digest(&self.evidence)
            .value(&self.status)
            .option(self.output.as_ref())
            .value(&self.label)
            .list(&self.reasons);
    }
}

impl Decode for Outcome {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let salted = version(input)?;
        Ok(Self {
            salted,
            evidence: input.digest()?,
            status: input.value()?,
            output: input.option()?,
            label: input.value()?,
            reasons: input.list()?,
        })
    }
}

const fn version_of(salted: bool) -> u8 {
    if salted { SALTED_VERSION } else { EVIDENCE_VERSION }
}

/// Whether the version is the salted one.
fn version(input: &mut Reader<'_>) -> Result<bool, DecodeError> {
    let offset = input.offset();
    match input.u8()? {
        EVIDENCE_VERSION => Ok(false),
        SALTED_VERSION => Ok(true),
        other => Err(Reader::bad_tag("evidence version 1 or 2", other, offset)),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
const fn is_plain(salted: &bool) -> bool {
    !*salted
}

impl Encode for Narrowing {
    fn encode(&self, out: &mut Writer) {
        out.count(self.drop_arguments.len());
        for argument in &self.drop_arguments {
            out.text(argument);
        }
        out.list(&self.exclude_modules).bool(self.read_only);
    }
}

impl Decode for Narrowing {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = input.count(4)?;
        let drop_arguments =
            (0..count).map(|_| input.text().map(Box::from)).collect::<Result<_, _>>()?;
        Ok(Self { drop_arguments, exclude_modules: input.list()?, read_only: input.bool()? })
    }
}
