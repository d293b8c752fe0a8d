//! What an [`Auditor`](crate::routing::audit::Auditor) remembers of each stream, and its
//! form in a saved state.
//!
//! One byte for the kind of memory (0 none, 1 audience, 2 session, 3 subject, 4 routes,
//! 5 governance, 6 facts), then its fields in their order, all as [`crate::encode`] says.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::audience::state::State;
use crate::audience::typed::Review;
use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::id::{FactKey, Name, PrincipalId, SubjectId};
use crate::limits::{FACT_CONTEXTS, MATRIX_OPEN};
use crate::routing::audit::decisions::About;
use crate::time::Timestamp;
use crate::verdict::Consensus;

/// What is remembered of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Memo {
    /// Nothing.
    #[default]
    None,
    /// An audience.
    Audience(AudienceMemo),
    /// A session.
    Session(Box<SessionMemo>),
    /// A subject's sessions, and what their routes ask.
    Subject(SubjectMemo),
    /// The routes of a session.
    Routing(RoutingMemo),
    /// Decisions of governance.
    Governance(GovernanceMemo),
    /// Facts.
    Memory(MemoryMemo),
}

/// Where an audience is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudienceMemo {
    pub(super) state: State,
    pub(super) review: Review,
    /// Its state before the last commit in which the Safety System moved it.
    pub(super) before: State,
    /// Where the last record of that commit stands in the log, and when it was written.
    pub(super) last: u64,
    pub(super) time: Timestamp,
    /// From this record on its state is not known.
    pub(super) lost: Option<u64>,
}

/// What a session was opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionMemo {
    pub(super) open: bool,
    pub(super) subject: SubjectId,
    pub(super) principal: PrincipalId,
    pub(super) valid_from: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) verified_at: Timestamp,
}

/// What a subject's routes ask of governance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectMemo {
    pub(super) questions: Few<Question>,
}

/// Something a route asked of governance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) about: About,
    pub(super) session: Name,
    pub(super) requester: PrincipalId,
    pub(super) asked_at: Timestamp,
    pub(super) until: Timestamp,
}

/// Where the routes of a session stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutingMemo {
    /// The latest time of a route.
    pub(super) seen: Timestamp,
    pub(super) standing: Consensus,
    pub(super) open: Option<Route>,
    pub(super) erased: u64,
    /// The last record whose payload is not kept: its place in the log and in its stream.
    pub(super) missing: Option<(u64, u64)>,
}

impl RoutingMemo {
    /// Counts a payload that is not kept.
    pub(super) fn missed(&mut self, kept: bool, at: (u64, u64)) {
        if !kept {
            self.erased = self.erased.saturating_add(1);
            self.missing = Some(at);
        }
    }
}

/// A route without an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) evidence: Digest,
    pub(super) index: u64,
    pub(super) consensus: Consensus,
}

/// Decisions that nothing has used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GovernanceMemo {
    pub(super) decisions: Few<Kept>,
    /// What stands before this place of the log was to be erased.
    pub(super) erased_before: u64,
}

/// A decision that nothing has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) record: Digest,
    pub(super) about: About,
    pub(super) granted: bool,
    pub(super) expires_at: Timestamp,
    pub(super) decider: PrincipalId,
}

/// Each key's version, and the contexts in which it has a fact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryMemo {
    pub(super) keys: BTreeMap<FactKey, (u64, Vec<Option<Name>>)>,
}

/// The last [`MATRIX_OPEN`] of something. When there were more, what isn't found may have
/// been let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Few<T> {
    items: Vec<T>,
    forgot: bool,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self { items: Vec::new(), forgot: false }
    }
}

/// What is not there may have been let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forgot;

impl<T> Few<T> {
    /// Nothing was found, and nothing was let go.
    pub(super) const NONE: Result<Option<T>, Forgot> = Ok(None);

    pub(super) fn push(&mut self, item: T) {
        if self.items.len() >= MATRIX_OPEN {
            self.items.remove(0);
            self.forgot = true;
        }
        self.items.push(item);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.items.retain(keep);
    }

    /// Whether there is such a one; none when it may have been let go.
    pub(super) fn holds(&self, fits: impl Fn(&T) -> bool) -> Option<bool> {
        match self.items.iter().any(fits) {
            false if self.forgot => None,
            found => Some(found),
        }
    }

    /// Takes such a one out.
    pub(super) fn take(&mut self, fits: impl Fn(&T) -> bool) -> Result<Option<T>, Forgot> {
        match self.items.iter().position(fits) {
            Some(place) => Ok(Some(self.items.remove(place))),
            None if self.forgot => Err(Forgot),
            None => Ok(None),
        }
    }
}

impl AudienceMemo {
    pub(super) const fn new() -> Self {
        let (state, time) = (State::Init, Timestamp::from_millis(0));
        Self { state, review: Review::None, before: state, last: 0, time, lost: None }
    }
}

/// `0`, or `1` and the number.
pub(super) fn put_number(number: Option<u64>, out: &mut Writer) {
    match number {
        None => out.u8(0),
        Some(number) => out.u8(1).u64(number),
    };
}

/// What [`put_number`] wrote.
pub(super) fn number(input: &mut Reader<'_>) -> Result<Option<u64>, DecodeError> {
    if input.bool()? { input.u64().map(Some) } else { Ok(None) }
}

impl<T: Encode> Encode for Few<T> {
    fn encode(&self, out: &mut Writer) {
        out.list(&self.items).bool(self.forgot);
    }
}

impl<T: Decode> Decode for Few<T> {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let items = input.list()?;
        if items.len() > MATRIX_OPEN {
            return Err(input.invalid("no more than are kept"));
        }
        Ok(Self { items, forgot: input.bool()? })
    }
}

macro_rules! fields {
    ($($type:ident { $($field:ident),* })*) => {$(
        impl Encode for $type {
            fn encode(&self, out: &mut Writer) {
                $(out.value(&self.$field);)*
            }
        }

        impl Decode for $type {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: input.value()?),* })
            }
        }
    )*};
}

fields! {
    SubjectMemo { questions }
    Question { about, session, requester, asked_at, until }
}

impl Encode for GovernanceMemo {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.decisions).u64(self.erased_before);
    }
}

impl Decode for GovernanceMemo {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { decisions: input.value()?, erased_before: input.u64()? })
    }
}

impl Encode for AudienceMemo {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.state).value(&self.before).u64(self.last).value(&self.time);
        out.u8(match self.review {
            Review::None => 0,
            Review::Open => 1,
            Review::Urgent => 2,
        });
        put_number(self.lost, out);
    }
}

impl Decode for AudienceMemo {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (state, before) = (input.value()?, input.value()?);
        let (last, time) = (input.u64()?, input.value()?);
        let offset = input.offset();
        let review = match input.u8()? {
            0 => Review::None,
            1 => Review::Open,
            2 => Review::Urgent,
            other => return Err(Reader::bad_tag("a review", other, offset)),
        };
        Ok(Self { state, review, before, last, time, lost: number(input)? })
    }
}

impl Encode for SessionMemo {
    fn encode(&self, out: &mut Writer) {
        out.bool(self.open).value(&self.subject).value(&self.principal);
        out.value(&self.valid_from).value(&self.expires_at).value(&self.verified_at);
    }
}

impl Decode for SessionMemo {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            open: input.bool()?,
            subject: input.value()?,
            principal: input.value()?,
            valid_from: input.value()?,
            expires_at: input.value()?,
            verified_at: input.value()?,
        })
    }
}

impl Encode for Route {
    fn encode(&self, out: &mut Writer) {
        out.digest(&self.evidence).u64(self.index).value(&self.consensus);
    }
}

impl Decode for Route {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { evidence: input.digest()?, index: input.u64()?, consensus: input.value()? })
    }
}

impl Encode for RoutingMemo {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.seen).value(&self.standing).option(self.open.as_ref()).u64(self.erased);
        match self.missing {
            None => out.u8(0),
            Some((index, sequence)) => out.u8(1).u64(index).u64(sequence),
        };
    }
}

impl Decode for RoutingMemo {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (seen, standing) = (input.value()?, input.value()?);
        let (open, erased) = (input.option()?, input.u64()?);
        let missing = if input.bool()? { Some((input.u64()?, input.u64()?)) } else { None };
        Ok(Self { seen, standing, open, erased, missing })
    }
}

impl Encode for Kept {
    fn encode(&self, out: &mut Writer) {
        out.digest(&self.record).value(&self.about).bool(self.granted);
        out.value(&self.expires_at).value(&self.decider);
    }
}

impl Decode for Kept {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            record: input.digest()?,
            about: input.value()?,
            granted: input.bool()?,
            expires_at: input.value()?,
            decider: input.value()?,
        })
    }
}

impl Encode for MemoryMemo {
    fn encode(&self, out: &mut Writer) {
        out.count(self.keys.len());
        for (key, (version, contexts)) in &self.keys {
            out.value(key).u64(*version).count(contexts.len());
            for context in contexts {
                out.option(context.as_ref());
            }
        }
    }
}

impl Decode for MemoryMemo {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut keys: BTreeMap<FactKey, (u64, Vec<Option<Name>>)> = BTreeMap::new();
        for _ in 0..input.count(17)? {
            let (key, version) = (input.value()?, input.u64()?);
            if keys.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(input.invalid("unique keys in ascending order"));
            }
            let count = input.count(1)?;
            if count > FACT_CONTEXTS {
                return Err(input.invalid("no more contexts than a key may have"));
            }
            let mut contexts: Vec<Option<Name>> = Vec::new();
            for _ in 0..count {
                let context = input.option()?;
                if contexts.last().is_some_and(|last| *last >= context) {
                    return Err(input.invalid("unique contexts in ascending order"));
                }
                contexts.push(context);
            }
            keys.insert(key, (version, contexts));
        }
        Ok(Self { keys })
    }
}

impl Encode for Memo {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::None => out.u8(0),
            Self::Audience(memo) => out.u8(1).value(memo),
            Self::Session(memo) => out.u8(2).value(&**memo),
            Self::Subject(memo) => out.u8(3).value(memo),
            Self::Routing(memo) => out.u8(4).value(memo),
            Self::Governance(memo) => out.u8(5).value(memo),
            Self::Memory(memo) => out.u8(6).value(memo),
        };
    }
}

impl Decode for Memo {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        Ok(match input.u8()? {
            0 => Self::None,
            1 => Self::Audience(input.value()?),
            2 => Self::Session(Box::new(input.value()?)),
            3 => Self::Subject(input.value()?),
            4 => Self::Routing(input.value()?),
            5 => Self::Governance(input.value()?),
            6 => Self::Memory(input.value()?),
            other => return Err(Reader::bad_tag("a memory of a stream", other, offset)),
        })
    }
}
