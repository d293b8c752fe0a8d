//! What an audience leaves behind: one record body for each kind of event (ASM2-9).
//!
//! A state change is one [`LineageEvent`] (D-9). Source subsystem, timestamp and
//! `ssot_hash` are the record's own ([`crate::ssot::record`]); the body holds the rest.
//! In the notation of [`crate::encode`]:
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 1 | version | always 1 |
//! | 1 | event type | [`Way`] |
//! | 1 | from | [`State`] |
//! | 1 | to | [`State`] |
//! | 1 | cause | tag, below |
//! | n | cause fields | below |
//!
//! | tag | cause | fields |
//! |---|---|---|
//! | 1 | clearance | class (1), envelope, classifier, matrix, kernel, snapshot (32 each) |
//! | 2 | step back | none |
//! | 3 | Class C | classifier (32) |
//! | 4 | risk above threshold | risk (4), threshold (4) |
//! | 5 | downgrade | why |
//! | 6 | hold | [`HoldTrigger`] (1) |
//! | 7 | escalation | [`EscalationTrigger`] (1) |
//! | 8 | constitutional violation | rule (1), kernel (32) |
//! | 9 | governed downgrade | why, approver (text), governance record (32) |
//! | 10 | approval | approver (text), governance record (32) |
//! | 11 | review | approver (text), governance record (32) |
//! | 12 | governance unreachable | why |
//!
//! `why` is `1` and a [`DowngradeCause`], or `2` and the [`HoldTrigger`] of a suspension.
//! Example: `01 05 03 02 05 01 02` is VERIFIED → BASE, downgraded for drift.
//!
//! INVARIANT (legal events): a `LineageEvent` names a row of the table, one of its
//! ways, and a cause that justifies that way. Decoding refuses everything else.

use core::fmt;

use crate::audience::causes::{
    DowngradeCause, EscalationTrigger, Ground, HoldTrigger, RestrictionThreshold,
};
use crate::audience::classifier::Class;
use crate::audience::evidence::Approver;
use crate::audience::state::State;
use crate::audience::table::{Way, edge};
use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer, byte_enum};
use crate::risk::Risk;
use crate::verdict::KernelDecision;

/// The version of all bodies in this module.
const BODY_VERSION: u8 = 1;

/// Why trust was taken away: a downgrade cause, or a suspension on its way to HOLD (D-6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// A condition of ASM2-6.
    Downgrade(DowngradeCause),
    /// A hold trigger away from RESTRICTED.
    Suspension(HoldTrigger),
}

/// What a clearance rested on (D-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cleared {
    /// The class.
    pub class: Class,
    /// The digest of the Safety Envelope.
    pub envelope: Digest,
    /// The digest of the Classifier.
    pub classifier: Digest,
    /// The digest of the Audience Matrix.
    pub matrix: Digest,
    /// The digest of the Kernel Rules.
    pub kernel: Digest,
    /// The memory snapshot.
    pub snapshot: Digest,
}

/// The cause of a state change, as recorded (D-9).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The four verdicts cleared it.
    Clearance(Cleared),
    /// The audience stepped back.
    StepBack,
    /// Class C, or risk above the threshold.
    Restriction(Ground),
    /// A downgrade.
    Downgrade(Why),
    /// A hold trigger.
    Hold(HoldTrigger),
    /// An escalation trigger.
    Escalation(EscalationTrigger),
    /// A violation of the constitution found in INIT.
    Violation {
        /// The rule's index in the kernel's list.
        rule: u8,
        /// The digest of the kernel rules.
        kernel: Digest,
    },
    /// A downgrade that governance authorized.
    Governed {
        /// Why.
        why: Why,
        /// Who authorized it.
        approver: Approver,
    },
    /// Governance approved a release.
    Approval(Approver),
    /// Governance reviewed an escalation.
    Review(Approver),
    /// PRIVILEGED had to be left and governance could not be reached (D-2).
    Unreachable(Why),
}

impl Cause {
    /// The way this cause justifies from `from`.
    pub const fn way(&self, from: State) -> Way {
        match self {
            Self::Clearance(_) => Way::Advance,
            Self::StepBack => Way::StepBack,
            Self::Restriction(_) => Way::Restrict,
            Self::Downgrade(_) => Way::Downgrade,
            Self::Hold(_) => Way::Hold,
            Self::Escalation(_) => Way::Escalate,
            Self::Violation { .. } => Way::ConstitutionalEscalate,
            Self::Governed { .. } => Way::GovernedDowngrade,
            Self::Approval(_) => Way::Release,
            Self::Review(_) => Way::Review,
            // Only PRIVILEGED has governance to wait for; elsewhere the way fits no edge
            // that such a cause could name.
            Self::Unreachable(_) => match from {
                State::Privileged => Way::Escalate,
                _ => Way::GovernedDowngrade,
            },
        }
    }
}

/// One state change of an audience: the body of an `AudienceEvent` record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LineageEvent {
    way: Way,
    from: State,
    to: State,
    cause: Cause,
}

/// A state change that the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{from} → {to} by way of `{way}` is not an edge of the audience state machine")]
pub struct IllegalEvent {
    /// The state left.
    pub from: State,
    /// The state entered.
    pub to: State,
    /// The way.
    pub way: Way,
}

/// What one asks the lineage for (D-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventQuery {
    /// Leaving a state, or any.
    Exit(Option<State>),
    /// Entering a state, or any.
    Entry(Option<State>),
    /// Any state change.
    Transition,
    /// A downgrade, governed or not, and HOLD → RESTRICTED.
    Downgrade,
    /// Entering ESCALATED.
    Escalation,
    /// Entering HOLD.
    Hold,
}

impl LineageEvent {
    /// The event of an edge taken for a cause.
    ///
    /// # Errors
    /// [`IllegalEvent`] when the table has no such edge in the way the cause justifies.
    pub fn new(from: State, to: State, cause: Cause) -> Result<Self, IllegalEvent> {
        let way = cause.way(from);
        match edge(from, to) {
            Some(edge) if edge.allows(way) => Ok(Self { way, from, to, cause }),
            _ => Err(IllegalEvent { from, to, way }),
        }
    }

    /// An event of the typed verbs, whose bounds have proved the edge.
    pub(in crate::audience) const fn proved(from: State, to: State, cause: Cause) -> Self {
        Self { way: cause.way(from), from, to, cause }
    }

    /// The event type.
    pub const fn way(&self) -> Way {
        self.way
    }

    /// The state left.
    pub const fn from(&self) -> State {
        self.from
    }

    /// The state entered.
    pub const fn to(&self) -> State {
        self.to
    }

    /// Why.
    pub const fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Whether a query finds this event (ASM2-9.1..ASM2-9.6).
    pub fn matches(&self, query: EventQuery) -> bool {
        match query {
            EventQuery::Exit(state) => state.is_none_or(|s| s == self.from),
            EventQuery::Entry(state) => state.is_none_or(|s| s == self.to),
            EventQuery::Transition => true,
            EventQuery::Downgrade => {
                matches!(self.way, Way::Downgrade | Way::GovernedDowngrade)
                    || (self.from, self.to) == (State::Hold, State::Restricted)
            }
            EventQuery::Escalation => self.to == State::Escalated,
            EventQuery::Hold => self.to == State::Hold,
        }
    }

    /// Reads the fields of an event without asking the table.
    pub(in crate::audience) fn decode_fields(
        input: &mut Reader<'_>,
    ) -> Result<(State, State, Way, Cause), DecodeError> {
        version(input)?;
        let way = input.value()?;
        Ok((input.value()?, input.value()?, way, input.value()?))
    }
}

impl fmt::Display for LineageEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {} ({}: {})", self.from, self.to, self.way, self.cause)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Downgrade(cause) => cause.fmt(f),
            Self::Suspension(trigger) => write!(f, "suspended for {trigger}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clearance(cleared) => write!(f, "cleared as class {}", cleared.class),
            Self::StepBack => f.write_str("stepped back"),
            Self::Restriction(Ground::ClassC { .. }) => f.write_str("class C"),
            Self::Restriction(Ground::Risk { risk, threshold }) => {
                write!(f, "risk {risk} above {}", threshold.risk())
            }
            Self::Downgrade(why) => why.fmt(f),
            Self::Hold(trigger) => trigger.fmt(f),
            Self::Escalation(trigger) => trigger.fmt(f),
            Self::Violation { rule, .. } => write!(f, "constitutional violation of rule {rule}"),
            Self::Governed { why, approver } => {
                write!(f, "{why}, authorized by `{}`", approver.principal)
            }
            Self::Approval(approver) => write!(f, "approved by `{}`", approver.principal),
            Self::Review(approver) => write!(f, "reviewed by `{}`", approver.principal),
            Self::Unreachable(why) => write!(f, "{why}, and governance unreachable"),
        }
    }
}

impl Encode for LineageEvent {
    fn encode(&self, out: &mut Writer) {
        out.u8(BODY_VERSION).value(&self.way).value(&self.from).value(&self.to).value(&self.cause);
    }
}

impl Decode for LineageEvent {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (from, to, way, cause) = Self::decode_fields(input)?;
        match Self::new(from, to, cause) {
            Ok(event) if event.way == way => Ok(event),
            _ => Err(input.invalid("a legal transition, taken in its way")),
        }
    }
}

impl Encode for Why {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Downgrade(cause) => out.u8(1).value(cause),
            Self::Suspension(trigger) => out.u8(2).value(trigger),
        };
    }
}

impl Decode for Why {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        match input.u8()? {
            1 => input.value().map(Self::Downgrade),
            2 => input.value().map(Self::Suspension),
            other => Err(Reader::bad_tag("a downgrade cause or suspension", other, offset)),
        }
    }
}

impl Encode for Approver {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.principal).digest(&self.record);
    }
}

impl Decode for Approver {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { principal: input.value()?, record: input.digest()? })
    }
}

impl Encode for Cause {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Clearance(c) => out
                .u8(1)
                .value(&c.class)
                .digest(&c.envelope)
                .digest(&c.classifier)
                .digest(&c.matrix)
                .digest(&c.kernel)
                .digest(&c.snapshot),
            Self::StepBack => out.u8(2),
            Self::Restriction(Ground::ClassC { classifier }) => out.u8(3).digest(classifier),
            Self::Restriction(Ground::Risk { risk, threshold }) => {
                out.u8(4).value(risk).value(&threshold.risk())
            }
            Self::Downgrade(why) => out.u8(5).value(why),
            Self::Hold(trigger) => out.u8(6).value(trigger),
            Self::Escalation(trigger) => out.u8(7).value(trigger),
            Self::Violation { rule, kernel } => out.u8(8).u8(*rule).digest(kernel),
            Self::Governed { why, approver } => out.u8(9).value(why).value(approver),
            Self::Approval(approver) => out.u8(10).value(approver),
            Self::Review(approver) => out.u8(11).value(approver),
            Self::Unreachable(why) => out.u8(12).value(why),
        };
    }
}

impl Decode for Cause {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        Ok(match input.u8()? {
            1 => Self::Clearance(Cleared {
                class: input.value()?,
                envelope: input.digest()?,
                classifier: input.digest()?,
                matrix: input.digest()?,
                kernel: input.digest()?,
                snapshot: input.digest()?,
            }),
            2 => Self::StepBack,
            3 => Self::Restriction(Ground::ClassC { classifier: input.digest()? }),
            4 => {
                let (risk, at): (Risk, Risk) = (input.value()?, input.value()?);
                let threshold = RestrictionThreshold::new(at)
                    .map_err(|_| input.invalid("a threshold below escalation"))?;
                if !threshold.exceeded_by(risk) {
                    return Err(input.invalid("a risk above the threshold"));
                }
                Self::Restriction(Ground::Risk { risk, threshold })
            }
            5 => Self::Downgrade(input.value()?),
            6 => Self::Hold(input.value()?),
            7 => Self::Escalation(input.value()?),
            8 => Self::Violation { rule: input.u8()?, kernel: input.digest()? },
            9 => Self::Governed { why: input.value()?, approver: input.value()? },
            10 => Self::Approval(input.value()?),
            11 => Self::Review(input.value()?),
            12 => Self::Unreachable(input.value()?),
            other => return Err(Reader::bad_tag("a cause", other, offset)),
        })
    }
}

/// The body of an `EnvelopeBlock` record (ASM2-9.7): version (1), state (1), envelope
/// digest (32), risk (4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnvelopeBlock {
    /// The audience's state when the envelope blocked.
    pub state: State,
    /// The envelope's digest.
    pub envelope: Digest,
    /// The risk it was shown.
    pub risk: Risk,
}

impl Encode for EnvelopeBlock {
    fn encode(&self, out: &mut Writer) {
        out.u8(BODY_VERSION).value(&self.state).digest(&self.envelope).value(&self.risk);
    }
}

impl Decode for EnvelopeBlock {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        version(input)?;
        Ok(Self { state: input.value()?, envelope: input.digest()?, risk: input.value()? })
    }
}

/// Why a transition was refused (D-3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalGround {
    /// One of the seven named prohibitions.
    Prohibited,
    /// Not in the table.
    Undefined,
    /// The audience is in that state already.
    SameState,
    /// In the table, but not in this way.
    WrongWay,
}

byte_enum!(RefusalGround, "a ground of refusal", {
    Prohibited = 1, Undefined = 2, SameState = 3, WrongWay = 4,
});

/// The body of a `TransitionRefused` record (D-3): version (1), from (1), to (1), way (1),
/// ground (1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransitionRefused {
    /// The audience's state.
    pub from: State,
    /// The state asked for.
    pub to: State,
    /// The way asked for.
    pub way: Way,
    /// Why not.
    pub ground: RefusalGround,
}

impl Encode for TransitionRefused {
    fn encode(&self, out: &mut Writer) {
        out.u8(BODY_VERSION).value(&self.from).value(&self.to).value(&self.way).value(&self.ground);
    }
}

impl Decode for TransitionRefused {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        version(input)?;
        Ok(Self {
            from: input.value()?,
            to: input.value()?,
            way: input.value()?,
            ground: input.value()?,
        })
    }
}

/// The body of a `ConstitutionalCheck` record (D-3): version (1), state (1), kernel digest
/// (32), finding (`0` constitutional clearance, `1` clear, `2` and the violated rule).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConstitutionalCheck {
    /// The audience's state.
    pub state: State,
    /// The digest of the kernel rules.
    pub kernel: Digest,
    /// What was found.
    pub finding: KernelDecision,
}

impl ConstitutionalCheck {
    /// Whether a violation was found.
    pub const fn is_violation(&self) -> bool {
        matches!(self.finding, KernelDecision::Violation(_))
    }
}

impl Encode for ConstitutionalCheck {
    fn encode(&self, out: &mut Writer) {
        out.u8(BODY_VERSION).value(&self.state).digest(&self.kernel);
        match self.finding {
            KernelDecision::ConstitutionalClearance => out.u8(0),
            KernelDecision::Clear => out.u8(1),
            KernelDecision::Violation(rule) => out.u8(2).u8(rule),
        };
    }
}

impl Decode for ConstitutionalCheck {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        version(input)?;
        let (state, kernel, offset) = (input.value()?, input.digest()?, input.offset());
        let finding = match input.u8()? {
            0 => KernelDecision::ConstitutionalClearance,
            1 => KernelDecision::Clear,
            2 => KernelDecision::Violation(input.u8()?),
            other => return Err(Reader::bad_tag("a finding", other, offset)),
        };
        Ok(Self { state, kernel, finding })
    }
}

fn version(input: &mut Reader<'_>) -> Result<(), DecodeError> {
    let offset = input.offset();
    match input.u8()? {
        BODY_VERSION => Ok(()),
        other => Err(Reader::bad_tag("body version 1", other, offset)),
    }
}

#[cfg(test)]
mod tests;
