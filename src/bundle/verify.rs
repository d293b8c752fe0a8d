//! The verifier: every check, from the signature down to the last field.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::check::{audience, place, read, routing_id, verdict};
use super::error::{BundleError, Missing};
use super::payload::{agrees, check, erases};
use super::seen::{
    CheckpointSeen, Decision, Delegated, Identity, OutcomeSeen, PayloadSeen, PayloadState,
    PolicySeen, Resumed, Verified,
};
use super::{Bundle, Proven};
use crate::commitment::Part;
use crate::digest::Digest;
use crate::governance::{GovernanceDecision, Matter};
use crate::identity::{ClaimsOrigin, SessionOpened};
use crate::routing::payloads::Named;
use crate::routing::{EvidenceBlock, Outcome, PolicyPinned};
use crate::ssot::checkpoint::{Policy, Trusted};
use crate::ssot::merkle::{InclusionProof, Sha256, TreeHash as _};
use crate::ssot::record::{Record, RecordKind, StreamId, StreamKind};
use crate::verdict::Verdict;

impl Bundle {
    /// Checks everything: the checkpoint's signatures under `trust`; that each record
    /// stands in the log of this checkpoint, at the index it names; that records of one
    /// stream follow each other; that the outcome names the evidence and comes after it;
    /// the Routing ID from its components; the verdict against the trace; session, policy
    /// set, audience and decisions against the evidence; each payload against its digest.
    /// A record that none of these calls for is refused.
    ///
    /// # Errors
    /// [`BundleError`]: the first check that fails, and where.
    ///
    /// Requirements: IRM-6.1..IRM-6.10, D-23, D-27.
    pub fn verify(&self, trust: &Policy) -> Result<Verified, BundleError> {
        let trusted = trust.accept_note(self.checkpoint.clone())?;
        if let Some(expected) = self.out_of_order() {
            return Err(BundleError::Order { expected });
        }
        for proven in &self.records {
            proven.stands_in(&trusted)?;
        }
        self.linked()?;
        let mut parts = Parts::of(self)?;
        let (record, block) = (parts.evidence, parts.block.clone());
        let packaged = routing_id(&block)?;
        verdict(&block)?;
        let outcome = parts.outcome()?;
        let identity = parts.session()?;
        let policy = parts.policy()?;
        let audience = audience(&block, record, &parts.of_audience())?;
        let approval = parts.decision(block.approval, Missing::Approval)?;
        let backtrack = parts.decision(block.backtrack, Missing::Backtrack)?;
        let (answer, resumed, erasures) = parts.later()?;
        parts.all_used()?;
        let mut named: Vec<Named> = Named::by(&block).collect();
        named.extend(outcome.as_ref().and_then(|seen| Named::by_outcome(&seen.outcome)));
        let payloads = self.named_payloads(&named, &parts, outcome.as_ref(), &erasures)?;
        if let Some(intent) = payloads.iter().find(|seen| seen.part == Part::Intent.name()) {
            agrees(intent, &block, record)?;
            same_catalogue(intent, &block, &policy)?;
        }
        Ok(Verified {
            route: place(record),
            evidence: block,
            packaged,
            outcome,
            identity,
            policy,
            audience,
            approval,
            backtrack,
            answer,
            resumed,
            erasure: erasures.first().map(|(record, decision)| seen(record, decision)),
            payloads,
            checkpoint: checkpoint(&trusted),
        })
    }

    /// Records of one stream follow each other, and those next to each other are linked.
    fn linked(&self) -> Result<(), BundleError> {
        let records = || self.records.iter().map(|proven| &proven.record);
        for (number, record) in records().enumerate() {
            let wrong = |expected| {
                let (index, stream) = (record.index(), record.stream().clone());
                Err(BundleError::Link { index, stream, expected })
            };
            let mut before = self.records.iter().take(number).map(|proven| &proven.record);
            match before.rfind(|other| other.stream() == record.stream()) {
                Some(before) if before.sequence() >= record.sequence() => {
                    return wrong("a later place in the stream than the record before it");
                }
                Some(before)
                    if before.sequence().checked_add(1) == Some(record.sequence())
                        && before.digest() != record.previous() =>
                {
                    return wrong("the digest of the record before it");
                }
                _ => {}
            }
            if (record.sequence() == 0) != (record.previous() == Digest::ZERO) {
                return wrong("a link to nothing at the stream's begin, and nowhere else");
            }
        }
        Ok(())
    }

    fn named_payloads(
        &self,
        named: &[Named],
        parts: &Parts<'_>,
        outcome: Option<&OutcomeSeen>,
        erasures: &[(&Record, GovernanceDecision)],
    ) -> Result<Vec<PayloadSeen>, BundleError> {
        let stray = |digest: &Digest| !named.iter().any(|named| named.digest == *digest);
        if let Some(payload) = self.payloads.iter().find(|payload| stray(&payload.digest)) {
            return Err(BundleError::PayloadUnnamed { digest: payload.digest });
        }
        let mut all = Vec::with_capacity(named.len());
        for named in named {
            let mut payload = check(self, *named)?;
            let by = match (named.part, outcome) {
                (Part::Output, Some(outcome)) => outcome.place.index,
                _ => parts.evidence.index(),
            };
            let erased = erasures.iter().any(|(_, decision)| erases(decision, &parts.block, by));
            if payload.state == PayloadState::Withheld && erased {
                payload.state = PayloadState::Erased;
            }
            all.push(payload);
        }
        Ok(all)
    }
}

impl Proven {
    fn stands_in(&self, trusted: &Trusted) -> Result<(), BundleError> {
        let (index, size) = (self.record.index(), trusted.size());
        let leaf = Sha256::leaf(self.record.digest().as_bytes());
        let proof = InclusionProof { index, size, path: self.path.clone() };
        let proven = proof.verify::<Sha256>(&leaf, trusted.root());
        proven.map_err(|source| BundleError::Proof { index, source })
    }
}

/// The records by what they are to the route. Each is called for once, or refused.
struct Parts<'b> {
    evidence: &'b Record,
    block: EvidenceBlock,
    rest: Vec<&'b Record>,
}

impl<'b> Parts<'b> {
    fn of(bundle: &'b Bundle) -> Result<Self, BundleError> {
        let records = || bundle.records.iter().map(|proven| &proven.record);
        let evidence = records().find(|record| {
            record.digest() == bundle.route
                && record.kind() == RecordKind::EvidenceBlock
                && record.stream().kind() == StreamKind::Routing
        });
        let evidence = evidence.ok_or(BundleError::Missing(Missing::Evidence))?;
        let block = read(evidence)?;
        let rest = records().filter(|record| record.digest() != bundle.route).collect();
        Ok(Self { evidence, block, rest })
    }

    /// Takes the first record that fits.
    fn take(&mut self, fits: impl Fn(&Record) -> bool) -> Option<&'b Record> {
        let place = self.rest.iter().position(|record| fits(record))?;
        Some(self.rest.remove(place))
    }

    fn outcome(&mut self) -> Result<Option<OutcomeSeen>, BundleError> {
        let (evidence, opens) = (self.evidence, self.block.opens_route());
        let Some(record) = self.take(|record| record.kind() == RecordKind::Outcome) else {
            return Ok(None);
        };
        let index = record.index();
        let wrong = |expected| Err(BundleError::Outcome { index, expected });
        if !opens {
            return wrong("none, as the verdict lets nothing be done");
        }
        if record.stream() != evidence.stream()
            || evidence.sequence().checked_add(1) != Some(record.sequence())
        {
            return wrong("the next record of the evidence's stream");
        }
        if record.index() <= evidence.index() {
            return wrong("a later record than the evidence");
        }
        let outcome: Outcome = read(record)?;
        if outcome.evidence != evidence.digest() {
            return wrong("one that names the evidence");
        }
        Ok(Some(OutcomeSeen { place: place(record), outcome }))
    }

    fn session(&mut self) -> Result<Identity, BundleError> {
        let (evidence, name) = (self.evidence, self.evidence.stream().name());
        let opened = |record: &Record| {
            record.kind() == RecordKind::SessionOpened
                && record.stream().kind() == StreamKind::Session
                && record.stream().name() == name
                && record.index() < evidence.index()
        };
        let record = self.take(opened).ok_or(BundleError::Missing(Missing::Session))?;
        let opened: SessionOpened = read(record)?;
        let (claims, block) = (&opened.claims, &self.block);
        let same = [
            ("session", name.as_str(), claims.session.as_str()),
            ("principal", block.principal.as_str(), claims.principal.as_str()),
            ("subject", block.subject.as_str(), claims.subject.as_str()),
        ];
        for (what, expected, found) in same {
            if expected != found {
                let (index, expected, found) = (record.index(), expected.into(), found.into());
                return Err(BundleError::Session { index, what, expected, found });
            }
        }
        let link = |link: &crate::identity::DelegationLink| Delegated {
            principal: link.principal.clone(),
            scopes: link.granted.iter().cloned().collect(),
        };
        Ok(Identity {
            place: place(record),
            principal: claims.principal.clone(),
            kind: claims.kind.name(),
            subject: claims.subject.clone(),
            session: claims.session.clone(),
            origin: match &claims.origin {
                ClaimsOrigin::Token { issuer, .. } => Some(issuer.clone()),
                ClaimsOrigin::Host => None,
            },
            roles: claims.roles.iter().cloned().collect(),
            scopes: opened.scopes.iter().cloned().collect(),
            delegation: claims.delegation.iter().map(link).collect(),
            consent: claims.consent,
            strength: claims.strength,
            verified_at: opened.verified_at,
            claims: claims.digest(),
            policy: opened.policy,
        })
    }

    fn policy(&mut self) -> Result<PolicySeen, BundleError> {
        let evidence = self.evidence;
        let pinned = |record: &Record| {
            record.kind() == RecordKind::PolicyPinned && record.index() < evidence.index()
        };
        let record = self.take(pinned).ok_or(BundleError::Missing(Missing::Policy))?;
        let pinned: PolicyPinned = read(record)?;
        let (expected, found) = (self.block.pins, pinned.pins.digest());
        if expected != found {
            return Err(BundleError::Pins { index: record.index(), expected, found });
        }
        let parts = pinned.pins.parts().map(|(name, digest)| (name.clone(), *digest));
        let parts = parts.collect();
        Ok(PolicySeen { place: place(record), by: pinned.by, pins: found, parts })
    }

    /// The audience's records before the evidence, without a gap.
    fn of_audience(&mut self) -> Vec<&'b Record> {
        let stream = StreamId::new(StreamKind::Audience, self.block.subject.name().clone());
        let evidence = self.evidence;
        let own =
            |record: &&Record| *record.stream() == stream && record.index() < evidence.index();
        let mut out: Vec<&'b Record> = self.rest.iter().copied().filter(own).collect();
        // After a gap they say nothing of the state: what is left is called for by nobody.
        let whole = out.windows(2).all(|pair| match pair {
            [one, next] => one.sequence().checked_add(1) == Some(next.sequence()),
            _ => true,
        });
        if !whole {
            out.clear();
        }
        self.rest.retain(|record| !out.iter().any(|own| own.digest() == record.digest()));
        out
    }

    /// The decision that the evidence names.
    fn decision(
        &mut self,
        named: Option<Digest>,
        missing: Missing,
    ) -> Result<Option<Decision>, BundleError> {
        let Some(named) = named else { return Ok(None) };
        let evidence = self.evidence;
        let record = self.take(|record| record.digest() == named);
        let record = record.ok_or(BundleError::Missing(missing))?;
        let what = if missing == Missing::Approval {
            "the approval"
        } else {
            "the authorization to go back"
        };
        let wrong = |expected| Err(BundleError::Decision { index: record.index(), what, expected });
        if record.kind() != RecordKind::GovernanceDecision
            || record.index() >= evidence.index()
            || record.stream() != &self.governance()
        {
            return wrong("an earlier decision on the subject");
        }
        let decision: GovernanceDecision = read(record)?;
        let fits = match decision.matter() {
            Matter::Approval { intent, .. } => {
                missing == Missing::Approval && *intent == self.block.intent
            }
            Matter::Backtrack { route, .. } => {
                missing == Missing::Backtrack && Some(*route) == self.block.routing_id
            }
            _ => false,
        };
        if !fits {
            return wrong("one on exactly this intent or route");
        }
        if !decision.granted() {
            return wrong("one that was granted");
        }
        if decision.expires_at() <= self.block.timestamp {
            return wrong("one that had not ended");
        }
        Ok(Some(seen(record, &decision)))
    }

    fn governance(&self) -> StreamId {
        StreamId::new(StreamKind::Governance, self.block.subject.name().clone())
    }

    /// What came after a route that waited, and erasures.
    #[expect(clippy::type_complexity, reason = "the three things that come after a route")]
    fn later(
        &mut self,
    ) -> Result<
        (Option<Decision>, Option<Resumed>, Vec<(&'b Record, GovernanceDecision)>),
        BundleError,
    > {
        let (evidence, stream) = (self.evidence, self.governance());
        let waits = matches!(self.block.verdict, Verdict::StepUp | Verdict::Defer);
        let (mut answer, mut resumed, mut erasures) = (None, None, Vec::new());
        let rest = core::mem::take(&mut self.rest);
        for record in rest {
            let later = record.index() > evidence.index();
            if later
                && record.kind() == RecordKind::GovernanceDecision
                && *record.stream() == stream
            {
                let decision: GovernanceDecision = read(record)?;
                let answers = match decision.matter() {
                    Matter::Approval { intent, .. } => *intent == self.block.intent,
                    Matter::Backtrack { route, .. } => Some(*route) == self.block.routing_id,
                    _ => false,
                };
                if waits && answers && answer.is_none() {
                    answer = Some(seen(record, &decision));
                    continue;
                }
                if erases(&decision, &self.block, evidence.index()) {
                    erasures.push((record, decision));
                    continue;
                }
            }
            if later
                && waits
                && resumed.is_none()
                && record.kind() == RecordKind::EvidenceBlock
                && record.stream() == evidence.stream()
            {
                let block: EvidenceBlock = read(record)?;
                if block.intent == self.block.intent {
                    resumed = Some(Resumed { place: place(record), verdict: block.verdict });
                    continue;
                }
            }
            self.rest.push(record);
        }
        Ok((answer, resumed, erasures))
    }

    fn all_used(&self) -> Result<(), BundleError> {
        match self.rest.first() {
            None => Ok(()),
            Some(record) => {
                let route = self.evidence.digest();
                Err(BundleError::Unneeded { index: record.index(), route })
            }
        }
    }
}

fn seen(record: &Record, decision: &GovernanceDecision) -> Decision {
    Decision {
        place: place(record),
        matter: decision.matter().name(),
        granted: decision.granted(),
        decider: decision.decider().clone(),
        role: decision.role().clone(),
        decided_at: decision.decided_at(),
        expires_at: decision.expires_at(),
        policy: decision.policy(),
        note: decision.note().into(),
    }
}

/// An intent with a Routing ID was checked by the catalogue of the pinned set.
fn same_catalogue(
    intent: &PayloadSeen,
    block: &EvidenceBlock,
    policy: &PolicySeen,
) -> Result<(), BundleError> {
    const PART: &str = "catalogue";
    let pinned = policy.parts.iter().find(|(name, _)| name.as_str() == PART);
    let shown = intent.fields.iter().find(|(path, _)| path == PART);
    let shown = shown.and_then(|(_, value)| value.as_text()?.parse::<Digest>().ok());
    if let (Some((_, expected)), Some(found), Some(_)) = (pinned, shown, block.routing_id)
        && *expected != found
    {
        return Err(BundleError::PolicyPart { what: PART, expected: *expected, found });
    }
    Ok(())
}

fn checkpoint(trusted: &Trusted) -> CheckpointSeen {
    CheckpointSeen {
        origin: trusted.origin().to_string(),
        size: trusted.size(),
        root: trusted.root().to_string(),
        signed: trusted.signed().iter().map(|name| name.as_str().into()).collect(),
        cosigned: trusted.cosigned().iter().map(ToString::to_string).collect(),
    }
}
