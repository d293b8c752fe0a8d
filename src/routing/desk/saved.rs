//! What a session's routes lead to, as a snapshot in their stream holds it
//! (see [`crate::ssot::snapshot`] for where it stands).
//!
//! | part | form | whose |
//! |---|---|---|
//! | rules that the profile was counted by | digest | |
//! | profile | length and bytes, the Modeling System's own | subject |
//! | effects that took place, denials for cause | `u32`, `u32` | subject |
//! | time of the first route | optional `u64` ms | subject |
//! | end of the governance stream, as far as it was read | `u64`, digest | subject |
//! | decisions no route has used | list of (record digest, decision) | subject |
//! | time of the last route | `u64` ms | session |
//! | votes standing | `u16` | session |
//! | effects by kind | list of (kind, `u32`) | session |
//! | progress, short-term memory | their own forms | session |
//!
//! The subject's part is that of all its sessions, as far as this session knows them: the
//! routes before it was opened, and its own.

use alloc::vec::Vec;

use crate::encode::{Decode as _, DecodeError, Reader, Writer};
use crate::governance::{GovernanceDecision, Matter};
use crate::id::KindId;
use crate::limits::SNAPSHOT_BYTES;
use crate::modeling::ModelingEngine;
use crate::routing::desk::Live;
use crate::ssot::record::{Head, StreamKind};
use crate::ssot::snapshot;
use crate::verdict::Consensus;

/// The body of a snapshot of this state; `None` where the engine keeps no profiles, a route
/// is open, or the state is too large for a record.
pub(in crate::routing) fn save<M>(modeling: &M, live: &Live<M::Profile>) -> Option<Vec<u8>>
where
    M: ModelingEngine + ?Sized,
{
    let rules = modeling.keeps()?;
    if live.open.is_some() {
        return None;
    }
    let mut out = Writer::with_capacity(4096);
    out.digest(&rules).bytes(&modeling.keep(&live.profile));
    out.u32(live.record.good).u32(live.record.bad).option(live.record.first.as_ref());
    out.u64(live.governance.length()).digest(&live.governance.digest());
    out.count(live.decisions.len());
    for (record, decision) in &live.decisions {
        out.digest(record).value(decision);
    }
    out.value(&live.record.seen).value(&live.standing).count(live.history.len());
    for (kind, count) in &live.history {
        out.value(kind).u32(*count);
    }
    out.value(&live.progress).value(&live.short_term);
    let bytes = out.as_bytes();
    (bytes.len() <= SNAPSHOT_BYTES).then(|| snapshot::body(StreamKind::Routing, bytes))
}

/// Whether a body reads as a snapshot of routes, whatever engine counted its profile.
pub(in crate::routing) fn outline(body: &[u8]) -> Result<(), DecodeError> {
    let mut input = Reader::new(snapshot::state(StreamKind::Routing, body)?);
    let (_rules, _profile) = (input.digest()?, input.bytes()?);
    let (_good, _bad) = (input.u32()?, input.u32()?);
    let _first: Option<crate::time::Timestamp> = input.option()?;
    let (_length, _head) = (input.u64()?, input.digest()?);
    for _ in 0..input.count(40)? {
        let _decision: (_, GovernanceDecision) = (input.digest()?, input.value()?);
    }
    let (_seen, _standing) =
        (crate::time::Timestamp::decode(&mut input)?, Consensus::decode(&mut input)?);
    for _ in 0..input.count(8)? {
        let _count: (KindId, u32) = (input.value()?, input.u32()?);
    }
    let _progress: crate::pipeline::Progress = input.value()?;
    let _short_term: crate::memory::ShortTerm = input.value()?;
    input.finish()
}

/// Whether a decision can still be used by a route, once.
pub(in crate::routing) fn is_usable(
    record: crate::digest::Digest,
    decision: &GovernanceDecision,
) -> bool {
    decision.approval(record).is_some() || matches!(decision.matter(), Matter::Backtrack { .. })
}

/// A snapshot that was read.
pub(in crate::routing) struct Saved<P> {
    /// The subject's part.
    pub(in crate::routing) profile: P,
    pub(in crate::routing) good: u32,
    pub(in crate::routing) bad: u32,
    pub(in crate::routing) first: Option<crate::time::Timestamp>,
    pub(in crate::routing) governance: Head,
    pub(in crate::routing) decisions: Vec<(crate::digest::Digest, GovernanceDecision)>,
    /// The session's part.
    seen: crate::time::Timestamp,
    standing: Consensus,
    history: alloc::collections::BTreeMap<KindId, u32>,
    progress: crate::pipeline::Progress,
    short_term: crate::memory::ShortTerm,
}

impl<P> Saved<P> {
    /// Reads a snapshot's body. `None` when it was counted by other rules than the engine
    /// has now: the state is then made from all routes.
    pub(in crate::routing) fn read<M>(
        modeling: &M,
        body: &[u8],
    ) -> Result<Option<Self>, DecodeError>
    where
        M: ModelingEngine<Profile = P> + ?Sized,
    {
        let mut input = Reader::new(snapshot::state(StreamKind::Routing, body)?);
        let same = modeling.keeps() == Some(input.digest()?);
        let bytes = input.bytes()?;
        let (good, bad, first) = (input.u32()?, input.u32()?, input.option()?);
        let governance = Head::new(input.u64()?, input.digest()?);
        let count = input.count(40)?;
        let decisions =
            (0..count).map(|_| Ok((input.digest()?, input.value()?))).collect::<Result<_, _>>()?;
        let (seen, standing) = (input.value()?, Consensus::decode(&mut input)?);
        let count = input.count(8)?;
        let history =
            (0..count).map(|_| Ok((input.value()?, input.u32()?))).collect::<Result<_, _>>()?;
        let (progress, short_term) = (input.value()?, input.value()?);
        input.finish()?;
        let profile = if same { modeling.kept(bytes) } else { None };
        Ok(profile.map(|profile| Self {
            profile,
            good,
            bad,
            first,
            governance,
            decisions,
            seen,
            standing,
            history,
            progress,
            short_term,
        }))
    }

    /// Starts a session of the subject with this; its own part too where it is `own`.
    pub(in crate::routing) fn into_live(self, live: &mut Live<P>, own: bool) {
        live.profile = self.profile;
        (live.record.good, live.record.bad) = (self.good, self.bad);
        live.record.first = self.first;
        (live.governance, live.decisions) = (self.governance, self.decisions);
        if own {
            live.record.seen = self.seen;
            live.standing = self.standing;
            live.history = self.history;
            live.progress = self.progress;
            live.short_term = self.short_term;
        }
    }
}
