//! The nine checks, and the rules that each of them holds a stream against.

use core::fmt;

use serde::{Serialize, Serializer};

use crate::encode::{Decode, DecodeError, Encode, Reader, Writer, byte_enum};

/// A column of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Sequences, links, digests, the stream's index and its head.
    Chain,
    /// The records' leaves are in the log's tree.
    Proof,
    /// Places in the log, and times.
    Order,
    /// Bodies are what their kinds say.
    Schema,
    /// Who may have written it.
    Identity,
    /// What a record refers to is there.
    Lineage,
    /// The state that follows from the records.
    Replay,
    /// What was decided was decided under the policy in force.
    Policy,
    /// Snapshots are what replay gives.
    Snapshot,
}

byte_enum!(Check, "a check", {
    Chain = 1, Proof = 2, Order = 3, Schema = 4, Identity = 5, Lineage = 6, Replay = 7,
    Policy = 8, Snapshot = 9,
});

/// How many checks there are.
pub const CHECKS: usize = 9;

impl Check {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; CHECKS] = [
        Self::Chain,
        Self::Proof,
        Self::Order,
        Self::Schema,
        Self::Identity,
        Self::Lineage,
        Self::Replay,
        Self::Policy,
        Self::Snapshot,
    ];

    /// Its name: the heading of its column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Proof => "proof",
            Self::Order => "order",
            Self::Schema => "schema",
            Self::Identity => "identity",
            Self::Lineage => "lineage",
            Self::Replay => "replay",
            Self::Policy => "policy",
            Self::Snapshot => "snapshot",
        }
    }

    /// What it asks, in one sentence.
    pub const fn question(self) -> &'static str {
        match self {
            Self::Chain => {
                "Does every record have the digest stored beside it, follow the one before it in \
                 its stream, and stand where the stream's index and head say?"
            }
            Self::Proof => {
                "Is every record's leaf in the log's Merkle tree, at its place, under the root \
                 that the store and any remembered checkpoint give?"
            }
            Self::Order => {
                "Does every record name the place at which it stands, follow what it answers, and \
                 carry a time that the clock rules allow?"
            }
            Self::Schema => {
                "Does every body read, in full and in its one canonical form, as what its kind \
                 says, in a stream where that kind belongs?"
            }
            Self::Identity => {
                "Was it written by a subsystem that may, in a session that was opened for this \
                 subject, was open, and had claims that held?"
            }
            Self::Lineage => {
                "Is everything that a record refers to in the log: evidence, decisions, snapshots, \
                 twins, and payloads unless they were erased?"
            }
            Self::Replay => {
                "Does the stream replay: legal states, one route at a time, Routing IDs that can \
                 be computed again, facts version by version?"
            }
            Self::Policy => {
                "Was everything decided under the policy set that was in force at that place of \
                 the log?"
            }
            Self::Snapshot => "Does every snapshot equal the state that replay gives?",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! rules {
    ($($variant:ident = $number:literal, $check:ident, $name:literal, $plain:literal;)*) => {
        /// What exactly is broken. The numbers are part of the encoding: never changed, only
        /// added to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $plain] $variant,)*
        }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its number.
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number,)* }
            }

            /// The check it belongs to.
            pub const fn check(self) -> Check {
                match self { $(Self::$variant => Check::$check,)* }
            }

            /// Its name, for machines.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means that it is broken, in plain words.
            pub const fn plain_words(self) -> &'static str {
                match self { $(Self::$variant => $plain,)* }
            }

            const fn of(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

rules! {
    Digest = 101, Chain, "chain.digest",
        "The bytes are not those that were sealed: a bit flipped, or somebody changed them.";
    Undecodable = 102, Chain, "chain.undecodable",
        "The bytes have their digest and are no record.";
    Sequence = 103, Chain, "chain.sequence",
        "The record is not the next of its stream: one was dropped, repeated or moved.";
    Previous = 104, Chain, "chain.previous",
        "The record does not name the one before it: one of the two was replaced.";
    Index = 105, Chain, "chain.index",
        "The stream's own index leads to other records than those of the log.";
    Head = 106, Chain, "chain.head",
        "The stream's head is not that of its last record: the end was cut off, or put back.";
    Rewritten = 107, Chain, "chain.rewritten",
        "The stream does not go on from what an earlier check saw: it was rewritten or rolled back.";
    Leaf = 201, Proof, "proof.leaf",
        "The log's tree has another leaf at this place: record and tree do not belong together.";
    Root = 202, Proof, "proof.root",
        "The tree of these records has another root than the store gives.";
    Place = 301, Order, "order.place",
        "The record stands at another place of the log than it names.";
    ClockBack = 302, Order, "order.clock-back",
        "A route passed the Identity System with a clock far before its session's last route.";
    OutcomeFirst = 303, Order, "order.outcome-first",
        "An outcome stands where no route is open: an effect without evidence before it.";
    OwnTime = 304, Order, "order.own-time",
        "The time in the body is not that of the record.";
    Kind = 401, Schema, "schema.kind",
        "A record of this kind has no place in a stream of this kind.";
    Body = 402, Schema, "schema.body",
        "The body cannot be read as what its kind says.";
    Canonical = 403, Schema, "schema.canonical",
        "The body reads, and is not the one canonical form of what it says.";
    Source = 501, Identity, "identity.source",
        "A subsystem asked for a record of a kind that it never writes.";
    NoSession = 502, Identity, "identity.no-session",
        "Nothing in the log opened a session for this.";
    Subject = 503, Identity, "identity.subject",
        "It was done for another subject than the session was opened for.";
    Principal = 504, Identity, "identity.principal",
        "Another principal acted than the one whose claims opened the session.";
    Closed = 505, Identity, "identity.closed",
        "The session was closed by then.";
    Claims = 506, Identity, "identity.claims",
        "The session's claims did not hold at that time.";
    Delegation = 507, Identity, "identity.delegation",
        "The delegation chain widens rights, goes in a circle, or is not what the scopes rest on.";
    OwnRequest = 508, Identity, "identity.own-request",
        "Somebody decided on what they had asked for themselves.";
    Evidence = 601, Lineage, "lineage.evidence",
        "An outcome names other evidence than that of the route that is open.";
    Decision = 602, Lineage, "lineage.decision",
        "It rests on a decision of governance that is not in the log, was used before, was refused, \
         had ended, or is about something else.";
    Question = 603, Lineage, "lineage.question",
        "Governance answered what no route had asked.";
    Basis = 604, Lineage, "lineage.basis",
        "It was decided on another memory snapshot than the subject's memory stream had then.";
    Cause = 605, Lineage, "lineage.cause",
        "An audience moved for the Safety System, and no evidence of a route stands beside it.";
    Payload = 606, Lineage, "lineage.payload",
        "A payload is kept that is not the one the evidence names, or is gone without a decision to \
         erase it.";
    Twin = 607, Lineage, "lineage.twin",
        "A session's opening must stand in the session's and in the subject's stream, alike.";
    State = 701, Replay, "replay.state",
        "The record starts from another state than the stream had reached.";
    Illegal = 702, Replay, "replay.illegal",
        "The table has no such transition.";
    Session = 703, Replay, "replay.session",
        "A session is opened once and closed when it is open.";
    Facts = 704, Replay, "replay.facts",
        "The facts do not take this record: another version is next, or a bound is passed.";
    Parallel = 705, Replay, "replay.parallel",
        "A second route was recorded while one was open.";
    RoutingId = 706, Replay, "replay.routing-id",
        "The Routing ID is not the one that its components give.";
    RouteState = 707, Replay, "replay.route-state",
        "The route names another audience state than the subject's stream had then.";
    Trace = 708, Replay, "replay.trace",
        "The decision trace does not go through the layers as routes do.";
    Rederived = 709, Replay, "replay.rederived",
        "Deciding it again does not give what was recorded.";
    Unpinned = 801, Policy, "policy.unpinned",
        "No policy set was in force.";
    Pins = 802, Policy, "policy.pins",
        "The evidence names other pins than those of the policy set in force.";
    Part = 803, Policy, "policy.part",
        "It was decided under rules that are not those of the policy set in force.";
    Content = 804, Policy, "policy.content",
        "Policy content is kept that is not what was pinned.";
    Snapshot = 901, Snapshot, "snapshot.differs",
        "The snapshot is not what replaying the records before it gives.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Encode for Rule {
    fn encode(&self, out: &mut Writer) {
        out.u16(self.number());
    }
}

impl Decode for Rule {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let number = input.u16()?;
        Self::of(number).ok_or_else(|| Reader::bad_tag("a rule of the matrix", number, offset))
    }
}
