use alloc::string::ToString as _;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::audience::causes::{DowngradeCause, RestrictionThreshold};
use crate::audience::classifier::{Class, Classifier, Consent, Profile};
use crate::audience::evaluate::{Assessment, Move, evaluate};
use crate::audience::evidence::{At, GovernanceApproval, GovernanceReview};
use crate::audience::gate::{Gate, Missing, NotCleared, Verdicts};
use crate::audience::lineage::{EventQuery, RefusalGround};
use crate::audience::matrix::Matrix;
use crate::audience::table::{EDGES, Way, edge, entry_tier, prohibition};
use crate::audience::typed::{AdvanceTo, RecordMismatch, Transition};
use crate::digest::{Digest, Domain};
use crate::encode::Encode as _;
use crate::id::Subsystem;
use crate::risk::Risk;
use crate::ssot::record::{Draft, Record, RecordKind, StreamId, StreamKind};
use crate::verdict::{
    CapabilityTier, EnvelopeDecision, EnvelopeVerdict, KernelDecision, KernelVerdict, SafetyFlags,
};

const NOW: Timestamp = Timestamp::from_millis(1_000);
const GATE: Gate = Gate::new(500);

fn subject() -> SubjectId {
    "alice".parse().unwrap()
}

fn at() -> At {
    At { now: NOW, snapshot: Domain::Other.hash(b"snapshot") }
}

/// A log of one stream: seals what it is given.
#[derive(Default, Clone)]
struct Log(Vec<Record>);

impl Log {
    fn head(&self) -> Head {
        self.0.last().map_or(Head::EMPTY, Record::head)
    }

    fn seal(&mut self, draft: Draft) -> Record {
        let record = Record::seal(draft, 40 + self.0.len() as u64, self.head(), NOW);
        self.0.push(record.clone());
        record
    }

    fn commit(&mut self, change: Change) -> AnyAudience {
        assert_eq!(change.expected_head(), self.head());
        let drafts: Vec<_> = change.drafts(Subsystem::Audience).collect();
        let records: Vec<_> = drafts.into_iter().map(|d| self.seal(d)).collect();
        change.confirm(&records).unwrap()
    }

    fn take<S: AudienceState, T: AudienceState>(&mut self, t: Transition<S, T>) -> Audience<T> {
        let record = self.seal(t.draft(Subsystem::Audience));
        t.into_pending().confirm(&record).unwrap()
    }
}

fn profile(class: Class) -> Profile {
    match class {
        Class::A => Profile {
            identity_strength: Risk::MAX,
            consent: Consent::Explicit,
            good_outcomes: 100,
            age_days: 400,
            ..Profile::default()
        },
        Class::B => Profile {
            identity_strength: Risk::saturating(600_000),
            consent: Consent::Implied,
            ..Profile::default()
        },
        Class::C => Profile::default(),
    }
}

fn clear<F: AdvanceTo<T>, T: AudienceState>(
    audience: &Audience<F>,
    class: Class,
) -> Result<super::super::gate::Clearance<F, T>, NotCleared> {
    let classification = Classifier::default().classify(&profile(class));
    assert_eq!(classification.class(), class);
    let envelope = EnvelopeVerdict::mint(EnvelopeDecision::Allow, Domain::Envelope.hash(b"e"));
    let kernel =
        KernelVerdict::mint(KernelDecision::ConstitutionalClearance, Domain::Kernel.hash(b"k"));
    let matrix = Matrix::default().verdict(class, entry_tier(T::STATE));
    let verdicts = Verdicts {
        envelope: Some(&envelope),
        class: Some(&classification.verdict()),
        matrix: Some(&matrix),
        kernel: Some(&kernel),
    };
    GATE.clear(audience, verdicts, &at())
}

fn grant<G>(
    mint: impl Fn(
        SubjectId,
        Digest,
        &'static table::Edge,
        crate::id::PrincipalId,
        Timestamp,
        Digest,
    ) -> G,
    head: Head,
    from: State,
    to: State,
) -> G {
    let row = edge(from, to).unwrap();
    let record = Domain::Record.hash(b"governance");
    mint(subject(), head.digest(), row, "dana".parse().unwrap(), NOW.plus_millis(1), record)
}

/// Walks a fresh audience to a state along typed verbs.
fn reach(state: State) -> (Log, AnyAudience) {
    let mut log = Log::default();
    let init: Audience<Init> = AnyAudience::replay(subject(), &[]).unwrap().try_into().unwrap();
    if state == State::Init {
        return (log, init.into());
    }
    let clearance = clear(&init, Class::A).unwrap();
    let base = log.take(init.admit(clearance, &at()).unwrap());
    let any = match state {
        State::Init | State::Base => base.into(),
        State::Restricted => log.take(base.downgrade(DowngradeCause::SubsystemDrift)).into(),
        State::Hold => {
            let restricted = log.take(base.downgrade(DowngradeCause::SubsystemDrift));
            log.take(restricted.hold(HoldTrigger::GovernanceFlag)).into()
        }
        State::Escalated => log.take(base.escalate(EscalationTrigger::IdentityAnomaly)).into(),
        State::Verified | State::Privileged => {
            let clearance = clear(&base, Class::A).unwrap();
            let verified = log.take(base.verify(clearance, &at()).unwrap());
            if state == State::Verified {
                verified.into()
            } else {
                let clearance = clear(&verified, Class::A).unwrap();
                log.take(verified.elevate(clearance, &at()).unwrap()).into()
            }
        }
    };
    (log, any)
}

/// D-1, ASM2-3.1, ASM2-4.1..ASM2-4.9, ASM2-6.6..ASM2-6.9, ASM2-7.6..ASM2-7.9, ASM2-8.5, ASM2-8.6.
#[test]
fn d_1_all_fifteen_edges_are_taken_by_their_verbs_and_replay() {
    let mut taken = alloc::collections::BTreeSet::new();
    let mut walk = |mut log: Log, change: Change| {
        taken.extend(change.events().map(|e| (e.from(), e.to())));
        let to = change.to();
        let audience = log.commit(change);
        assert_eq!(audience.state(), to);
        let again = AnyAudience::replay(subject(), &log.0).unwrap();
        assert_eq!((again.state(), again.head()), (to, audience.head()));
        assert_eq!(again.review_open(), audience.review_open());
        for record in &log.0 {
            let event: LineageEvent = record.read().unwrap();
            taken.insert((event.from(), event.to()));
        }
    };
    let support = || Support {
        restriction: Restriction::of_risk(Risk::MAX, RestrictionThreshold::default()),
        violation: ConstitutionalViolation::of(&violation()),
        ..Support::default()
    };
    for state in State::ALL {
        for mandated in [
            Move::Escalate(EscalationTrigger::ConstitutionalViolation),
            Move::Downgrade(DowngradeCause::TierMismatch),
            Move::Restrict(crate::audience::evaluate::RestrictGround::Risk),
            Move::StepBack,
        ] {
            let (log, audience) = reach(state);
            match audience.carry_out(mandated, support(), NOW) {
                Ok(Carried::Changed(change)) => walk(log, change),
                Ok(Carried::Stayed(_)) => panic!("{state} {mandated}"),
                Err(error) => assert_eq!(error.into_parts().0.state(), state),
            }
        }
    }
    let (mut log, hold) = reach(State::Hold);
    let hold = Audience::<Hold>::try_from(hold).unwrap();
    let approval = grant(GovernanceApproval::mint, hold.head(), State::Hold, State::Base);
    let base = log.take(hold.release(approval, NOW).unwrap());
    assert_eq!(base.review_open(), Review::None);
    walk(
        Log(log.0),
        AnyAudience::from(base).suspend(HoldTrigger::GovernanceFlag, None, NOW).unwrap(),
    );
    let (mut log, hold) = reach(State::Hold);
    let hold = Audience::<Hold>::try_from(hold).unwrap();
    let approval = grant(GovernanceApproval::mint, hold.head(), State::Hold, State::Restricted);
    let restricted = log.take(hold.release_restricted(approval, NOW).unwrap());
    walk(
        log,
        AnyAudience::from(restricted).suspend(HoldTrigger::GovernanceFlag, None, NOW).unwrap(),
    );
    let (mut log, escalated) = reach(State::Escalated);
    let escalated = Audience::<Escalated>::try_from(escalated).unwrap();
    let head = escalated.head();
    let review = grant(GovernanceReview::mint, head, State::Escalated, State::Hold);
    let hold = log.take(escalated.review(review, NOW).unwrap());
    let approval = grant(GovernanceApproval::mint, hold.head(), State::Hold, State::Base);
    let base = log.take(hold.release(approval, NOW).unwrap());
    walk(log, AnyAudience::from(base).escalate(EscalationTrigger::RiskScore).unwrap());
    let (log, privileged) = reach(State::Privileged);
    let head = privileged.head();
    let authorization =
        grant(GovernanceAuthorization::mint, head, State::Privileged, State::Verified);
    walk(log, privileged.suspend(HoldTrigger::GovernanceFlag, Some(authorization), NOW).unwrap());
    assert_eq!(taken, EDGES.iter().map(|e| (e.from, e.to)).collect());
}

fn violation() -> KernelVerdict {
    KernelVerdict::mint(KernelDecision::Violation(3), Domain::Kernel.hash(b"k"))
}

/// D-4, ASM2-8.5, ASM2-8.6.
#[test]
fn d_4_evidence_for_something_else_is_refused_and_the_audience_given_back() {
    let (_, audience) = reach(State::Base);
    let base = Audience::<Base>::try_from(audience).unwrap();
    let try_at = |audience: Audience<Base>, when: At| {
        let clearance = clear::<Base, Verified>(&audience, Class::B).unwrap();
        let (audience, why) = audience.verify(clearance, &when).unwrap_err().into_parts();
        (audience, why)
    };
    let (base, why) = try_at(base, At { now: NOW.plus_millis(500), ..at() });
    assert!(matches!(why, EvidenceError::Expired { .. }));
    let (base, why) = try_at(base, At { snapshot: Digest::ZERO, ..at() });
    assert!(matches!(why, EvidenceError::Snapshot { .. }));

    let mut other_log = Log::default();
    let bob = AnyAudience::replay("bob".parse().unwrap(), &[]).unwrap();
    let bob = Audience::<Init>::try_from(bob).unwrap();
    let clearance = clear(&bob, Class::A).unwrap();
    let bob = other_log.take(bob.admit(clearance, &at()).unwrap());
    let (base, why) = base.verify(clear(&bob, Class::A).unwrap(), &at()).unwrap_err().into_parts();
    assert!(matches!(why, EvidenceError::Subject { .. }));

    let (mut log, earlier) = reach(State::Base);
    let earlier = Audience::<Base>::try_from(earlier).unwrap();
    let stale = clear(&earlier, Class::A).unwrap();
    let lowered = log.take(earlier.downgrade(DowngradeCause::PredictiveRisk));
    let held = log.take(lowered.hold(HoldTrigger::SubsystemConflict));
    let old = grant(GovernanceApproval::mint, base.head(), State::Hold, State::Base);
    let (held, why) = held.release(old, NOW).unwrap_err().into_parts();
    assert!(matches!(why, EvidenceError::Head { .. }));
    let other_edge = grant(GovernanceApproval::mint, held.head(), State::Hold, State::Restricted);
    let (held, why) = held.release(other_edge, NOW).unwrap_err().into_parts();
    assert!(matches!(why, EvidenceError::Edge { .. }));
    let late = grant(GovernanceApproval::mint, held.head(), State::Hold, State::Base);
    let (held, why) = held.release(late, NOW.plus_millis(1)).unwrap_err().into_parts();
    assert!(matches!(why, EvidenceError::Expired { .. }));
    let good = grant(GovernanceApproval::mint, held.head(), State::Hold, State::Base);
    let base = log.take(held.release(good, NOW).unwrap());
    let (_, why) = base.verify(stale, &at()).unwrap_err().into_parts();
    assert!(matches!(why, EvidenceError::Head { .. }), "cleared before two transitions");
}

/// D-4, ASM2-2.2, ASM2-2.3, ASM2-4.10..ASM2-4.13.
#[test]
fn d_4_the_gate_names_every_missing_verdict() {
    let (_, audience) = reach(State::Verified);
    let verified = Audience::<Verified>::try_from(audience).unwrap();
    let nothing = GATE.clear::<_, Privileged>(&verified, Verdicts::default(), &at()).unwrap_err();
    assert_eq!(
        nothing.missing(),
        [
            Missing::Envelope(None),
            Missing::Class(None),
            Missing::Matrix(None),
            Missing::Kernel(None)
        ]
    );
    let envelope = EnvelopeVerdict::mint(EnvelopeDecision::Limit, Digest::ZERO);
    let class = Classifier::default().classify(&profile(Class::B)).verdict();
    let matrix = Matrix::default().verdict(Class::A, CapabilityTier::Observe);
    let kernel = KernelVerdict::mint(KernelDecision::Clear, Digest::ZERO);
    let verdicts = Verdicts {
        envelope: Some(&envelope),
        class: Some(&class),
        matrix: Some(&matrix),
        kernel: Some(&kernel),
    };
    let error = GATE.clear::<_, Privileged>(&verified, verdicts, &at()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "VERIFIED → PRIVILEGED is not cleared: Safety Envelope v2.0 says limit; Audience Matrix v1.2 \
         was asked `class.A.observe`, and `class.B.privileged` decides; Kernel Rules v1.2 says clear, \
         without constitutional clearance"
    );
}

/// D-4, ASM2-3.3, ASM2-3.4, ASM2-4.10..ASM2-4.13, ASM2-10.1, ASM2-10.3..ASM2-10.5.
#[test]
fn d_4_each_verdict_alone_can_keep_from_each_advance() {
    fn clears<F: AdvanceTo<T>, T: AudienceState>(
        a: &Audience<F>,
        e: EnvelopeDecision,
        class: Class,
        k: KernelDecision,
    ) -> bool {
        let envelope = EnvelopeVerdict::mint(e, Digest::ZERO);
        let class_verdict = Classifier::default().classify(&profile(class)).verdict();
        let matrix = Matrix::default().verdict(class, entry_tier(T::STATE));
        let kernel = KernelVerdict::mint(k, Digest::ZERO);
        let verdicts = Verdicts {
            envelope: Some(&envelope),
            class: Some(&class_verdict),
            matrix: Some(&matrix),
            kernel: Some(&kernel),
        };
        GATE.clear::<F, T>(a, verdicts, &at()).is_ok()
    }
    use EnvelopeDecision::{Allow, Block, Hold as Wait, Limit};
    use KernelDecision::{Clear, ConstitutionalClearance, Violation};
    let init = Audience::<Init>::try_from(reach(State::Init).1).unwrap();
    let base = Audience::<Base>::try_from(reach(State::Base).1).unwrap();
    let verified = Audience::<Verified>::try_from(reach(State::Verified).1).unwrap();
    for e in [Allow, Limit, Wait, Block] {
        for class in Class::ALL {
            for k in [ConstitutionalClearance, Clear, Violation(0)] {
                let sound = e <= Limit && !matches!(k, Violation(_));
                assert_eq!(clears::<_, Base>(&init, e, class, k), sound);
                assert_eq!(clears::<_, Verified>(&base, e, class, k), sound && class != Class::C);
                let best = e == Allow && class == Class::A && k == ConstitutionalClearance;
                assert_eq!(clears::<_, Privileged>(&verified, e, class, k), best);
            }
        }
    }
}

#[test]
fn d_7_class_c_takes_two_edges_in_one_commit() {
    let (mut log, audience) = reach(State::Init);
    let init = Audience::<Init>::try_from(audience).unwrap();
    let clearance = clear(&init, Class::C).unwrap();
    let (init, why) = init.admit(clearance, &at()).unwrap_err().into_parts();
    assert_eq!(why, EvidenceError::ClassC);
    let clearance = clear(&init, Class::B).unwrap();
    let (init, why) = init.admit_restricted(clearance, &at()).unwrap_err().into_parts();
    assert_eq!(why, EvidenceError::NotClassC);
    let clearance = clear(&init, Class::C).unwrap();
    let change = init.admit_restricted(clearance, &at()).unwrap();
    let edges: Vec<_> = change.events().map(|e| (e.from(), e.to())).collect();
    assert_eq!(edges, [(State::Init, State::Base), (State::Base, State::Restricted)]);
    assert_eq!(log.commit(change).state(), State::Restricted);
    assert_eq!(AnyAudience::replay(subject(), &log.0).unwrap().state(), State::Restricted);
}

/// D-6, ASM2-7.11.
#[test]
fn d_6_suspend_walks_the_shortest_restrictive_path() {
    use State::{Base, Escalated, Hold, Init, Privileged, Restricted, Verified};
    let path = |change: &Change| change.events().map(LineageEvent::to).collect::<Vec<_>>();
    for (state, expected) in [
        (Base, vec![Restricted, Hold]),
        (Verified, vec![Base, Restricted, Hold]),
        (Restricted, vec![Hold]),
        (Privileged, vec![Escalated]),
    ] {
        let (mut log, audience) = reach(state);
        let change = audience.suspend(HoldTrigger::IdentityInconsistency, None, NOW).unwrap();
        assert_eq!(path(&change), expected, "{state}");
        let end = log.commit(change);
        assert_eq!(Some(&end.state()), expected.last());
        assert_eq!(end.review_open(), Review::Open);
    }
    let (_, audience) = reach(Privileged);
    let change = audience.suspend(HoldTrigger::IncompleteLineage, None, NOW).unwrap();
    let why = Why::Suspension(HoldTrigger::IncompleteLineage);
    assert_eq!(change.events().next().map(LineageEvent::cause), Some(&Cause::Unreachable(why)));
    let (_, audience) = reach(Privileged);
    let head = audience.head();
    let authorization = grant(GovernanceAuthorization::mint, head, Privileged, Verified);
    let change = audience.suspend(HoldTrigger::GovernanceFlag, Some(authorization), NOW).unwrap();
    assert_eq!(path(&change), [Verified, Base, Restricted, Hold]);
    assert_eq!(change.events().filter(|e| e.matches(EventQuery::Hold)).count(), 1);
    for (state, expected) in [
        (Init, MoveError::NoEdge { from: Init }),
        (Hold, MoveError::Already { state: Hold }),
        (Escalated, MoveError::Already { state: Escalated }),
    ] {
        let error = reach(state).1.suspend(HoldTrigger::GovernanceFlag, None, NOW).unwrap_err();
        let (audience, why) = error.into_parts();
        assert_eq!((audience.state(), why), (state, expected));
    }
}

#[test]
fn d_2_a_mandated_exit_of_privileged_waits_for_its_authorization() {
    for mandated in [
        Move::Suspend(HoldTrigger::GovernanceFlag),
        Move::Downgrade(DowngradeCause::PredictiveRisk),
    ] {
        let (_, audience) = reach(State::Privileged);
        let head = audience.head();
        let error = audience.carry_out(mandated, Support::default(), NOW).unwrap_err();
        let (audience, why) = error.into_parts();
        assert!(matches!(why, MoveError::NeedsEvidence { .. }), "{mandated}");
        assert_eq!((audience.state(), audience.head()), (State::Privileged, head));
        let late = Support {
            authorization: Some(grant(
                GovernanceAuthorization::mint,
                head,
                State::Privileged,
                State::Verified,
            )),
            ..Support::default()
        };
        let error = audience.carry_out(mandated, late, NOW.plus_millis(1)).unwrap_err();
        assert!(matches!(error.why(), MoveError::Evidence(EvidenceError::Expired { .. })));
    }
}

/// D-3, ASM2-5.8.
#[test]
fn d_3_asm2_5_8_every_refused_request_is_checked_and_recorded() {
    let clear = KernelVerdict::mint(KernelDecision::Clear, Domain::Kernel.hash(b"k"));
    for from in State::ALL {
        for to in State::ALL {
            for way in Way::ALL {
                let (log, audience) = reach(from);
                let head = audience.head();
                let legal = edge(from, to).is_some_and(|e| e.allows(way));
                let refused = match audience.request(to, way) {
                    Ok((audience, row)) => {
                        assert!(legal && (row.from, row.to) == (from, to));
                        assert_eq!((audience.state(), audience.head()), (from, head));
                        continue;
                    }
                    Err(refused) => refused,
                };
                assert!(!legal);
                assert_eq!(refused.check().head, head);
                let ground = refused.refusal().ground();
                if from == to {
                    assert_eq!(ground, RefusalGround::SameState);
                } else if prohibition(from, to).is_some() {
                    assert_eq!(ground, RefusalGround::Prohibited);
                }
                let change = refused.checked(&clear);
                let kinds: Vec<_> = change.entries().iter().map(Entry::kind).collect();
                let both = [RecordKind::TransitionRefused, RecordKind::ConstitutionalCheck];
                assert_eq!(kinds, both);
                let mut log = log;
                let same = log.commit(change);
                assert_eq!(same.state(), from, "the state stays");
                assert_eq!(AnyAudience::replay(subject(), &log.0).unwrap().head(), same.head());
            }
        }
    }
}

/// D-3, ASM2-3.7, ASM2-7.4, ASM2-7.11.
#[test]
fn d_3_a_violation_escalates_or_makes_the_review_urgent() {
    for from in State::ALL {
        let (mut log, audience) = reach(from);
        let refused = audience.request(State::Init, Way::Advance).unwrap_err();
        let after = log.commit(refused.checked(&violation()));
        let (state, review) = match from {
            State::Hold => (State::Hold, Review::Urgent),
            State::Escalated => (State::Escalated, Review::Urgent),
            _ => (State::Escalated, Review::Open),
        };
        assert_eq!((after.state(), after.review_open()), (state, review), "{from}");
        let replayed = AnyAudience::replay(subject(), &log.0).unwrap();
        assert_eq!((replayed.state(), replayed.review_open()), (state, review), "{from}");
    }
}

/// ASM2-7.2, ASM2-7.10, ASM2-9.7.
#[test]
fn asm2_9_7_an_envelope_block_is_on_record_and_escalates_where_it_may() {
    let block = EnvelopeVerdict::mint(EnvelopeDecision::Block, Domain::Envelope.hash(b"e"));
    for from in State::ALL {
        let (mut log, audience) = reach(from);
        let change = audience.blocked(&block, Risk::MAX, None).unwrap();
        assert!(matches!(change.entries()[0], Entry::Blocked(b) if b.state == from));
        let after = log.commit(change);
        let stays = matches!(from, State::Init | State::Hold | State::Escalated);
        assert_eq!(after.state(), if stays { from } else { State::Escalated });
        let privileged = SafetyFlags::PRIVILEGED;
        let answer = after.permits(CapabilityTier::Privileged, privileged);
        let escalated = after.state() == State::Escalated;
        assert_eq!(answer == Err(crate::audience::permits::Denied::Escalated), escalated);
        assert!(answer.is_err());
    }
    let allow = EnvelopeVerdict::mint(EnvelopeDecision::Limit, Digest::ZERO);
    assert!(reach(State::Base).1.blocked(&allow, Risk::ZERO, None).is_err());
}

/// D-5, ASM2-7.4, ASM2-7.6: a block does not hide the violation that came with it. INIT
/// escalates for it, and elsewhere the gravest cause is the one on record.
#[test]
fn asm2_7_6_a_block_with_a_violation_escalates_for_the_violation() {
    let block = EnvelopeVerdict::mint(EnvelopeDecision::Block, Domain::Envelope.hash(b"e"));
    for from in State::ALL {
        let (mut log, audience) = reach(from);
        let found = ConstitutionalViolation::of(&violation());
        let change = audience.blocked(&block, Risk::MAX, found).unwrap();
        assert!(matches!(change.entries()[0], Entry::Blocked(b) if b.state == from));
        let cause = change.events().next().map(LineageEvent::cause).cloned();
        let expected = match from {
            State::Init => Some(Cause::Violation { rule: 3, kernel: violation().digest() }),
            State::Hold | State::Escalated => None,
            _ => Some(Cause::Escalation(EscalationTrigger::ConstitutionalViolation)),
        };
        assert_eq!(cause, expected, "{from}");
        let after = log.commit(change).state();
        assert_eq!(after, if from == State::Hold { from } else { State::Escalated });
    }
}

#[test]
fn a_record_that_is_not_the_event_confirms_nothing() {
    let (log, audience) = reach(State::Base);
    let transition =
        Audience::<Base>::try_from(audience).unwrap().downgrade(DowngradeCause::PredictiveRisk);
    let draft = transition.draft(Subsystem::Safety);
    let mut pending = transition.into_pending();
    let body = draft.body().to_vec();
    let stream = |name: &str| StreamId::new(StreamKind::Audience, name.parse().unwrap());
    let kind = RecordKind::AudienceEvent;
    let seal = |stream, kind, body, head| {
        Record::seal(Draft::new(stream, kind, Subsystem::Audience, body), 0, head, NOW)
    };
    let bad = [
        seal(stream("bob"), kind, body.clone(), log.head()),
        seal(
            StreamId::new(StreamKind::Routing, "alice".parse().unwrap()),
            kind,
            body.clone(),
            log.head(),
        ),
        seal(stream("alice"), kind, body.clone(), Head::EMPTY),
        seal(stream("alice"), kind, body.clone(), Head::new(1, Digest::ZERO)),
        seal(stream("alice"), RecordKind::Outcome, body.clone(), log.head()),
        seal(stream("alice"), kind, [&body[..], &[0]].concat(), log.head()),
    ];
    for record in bad {
        pending = pending.confirm(&record).unwrap_err().into_parts().0;
    }
    let good = seal(stream("alice"), kind, body, log.head());
    assert_eq!(pending.confirm(&good).unwrap().head(), good.head());

    let change = reach(State::Verified).1.suspend(HoldTrigger::GovernanceFlag, None, NOW).unwrap();
    let error = change.confirm(&[good]).unwrap_err();
    assert_eq!(error.mismatch(), &RecordMismatch::Count { expected: 3, found: 1 });
}

#[test]
fn replay_refuses_what_is_cut_swapped_repeated_foreign_or_illegal() {
    let (log, _) = reach(State::Privileged);
    let fails = |records: &[Record]| AnyAudience::replay(subject(), records).unwrap_err().problem;
    assert!(matches!(fails(&log.0[1..]), ReplayProblem::Sequence { expected: 0, found: 1 }));
    let swapped = [log.0[1].clone(), log.0[0].clone()];
    assert!(matches!(fails(&swapped), ReplayProblem::Sequence { .. }));
    let repeated = [log.0[0].clone(), log.0[0].clone()];
    assert!(matches!(fails(&repeated), ReplayProblem::Sequence { .. }));
    let error = AnyAudience::replay("bob".parse().unwrap(), &log.0).unwrap_err();
    assert!(matches!(error.problem, ReplayProblem::Stream { .. }));
    assert_eq!((error.index, error.sequence), (40, 0));

    let forge = |kind, body: Vec<u8>, head| {
        let stream = StreamId::new(StreamKind::Audience, "alice".parse().unwrap());
        Record::seal(Draft::new(stream, kind, Subsystem::Audience, body), 41, head, NOW)
    };
    let first = log.0[0].clone();
    let event = RecordKind::AudienceEvent;
    let relinked = forge(event, log.0[1].body().to_vec(), Head::new(1, Digest::ZERO));
    assert!(matches!(fails(&[first.clone(), relinked]), ReplayProblem::Link { .. }));
    let jump = forge(event, vec![1, 2, 2, 4, 2], first.head());
    assert!(matches!(fails(&[first.clone(), jump]), ReplayProblem::Illegal(_)));
    let mislabelled = forge(event, vec![1, 5, 3, 2, 2], first.head());
    assert!(matches!(fails(&[first.clone(), mislabelled]), ReplayProblem::Way));
    let elsewhere = forge(event, vec![1, 2, 3, 2, 2], first.head());
    assert!(matches!(
        fails(&[first.clone(), elsewhere]),
        ReplayProblem::State { expected: State::Base, found: State::Verified }
    ));
    let unreadable = forge(event, vec![1, 2, 3], first.head());
    assert!(matches!(fails(&[first.clone(), unreadable]), ReplayProblem::Body(_)));
    let kind = forge(RecordKind::Outcome, vec![], first.head());
    assert!(matches!(fails(&[first, kind]), ReplayProblem::Kind { .. }));
}

#[test]
fn a_mismatched_conversion_gives_the_audience_back() {
    let (_, audience) = reach(State::Base);
    let error = Audience::<Privileged>::try_from(audience).unwrap_err();
    assert_eq!(error.to_string(), "expected `alice` in PRIVILEGED, found it in BASE");
    assert_eq!(error.into_audience().state(), State::Base);
}

#[test]
fn handles_are_small_linear_and_free_of_their_marker() {
    use static_assertions::{assert_impl_all, assert_not_impl_any};
    assert_eq!(size_of::<Audience<Init>>(), size_of::<Audience<Escalated>>());
    assert!(size_of::<Audience<Init>>() <= 72);
    assert_impl_all!(Audience<Hold>: Send, Sync);
    assert_not_impl_any!(Audience<Hold>: Clone, Default, serde::de::DeserializeOwned);
    assert_not_impl_any!(AnyAudience: Clone, Default, serde::de::DeserializeOwned);
    assert_not_impl_any!(GovernanceAuthorization: Clone, Default, serde::de::DeserializeOwned);
    assert_not_impl_any!(
        super::super::gate::Clearance<Init, Base>: Clone, Default, serde::de::DeserializeOwned
    );
}

/// One step of a walk: an assessment's few interesting bits, and whether governance answers.
type Step = (u32, u8, u8, u8, u8, bool);

/// Walks by assessments alone; after each step the log replays to the handle, and every
/// record is a legal edge that continues the one before.
fn walk(steps: &[Step]) {
    let (mut log, mut audience) = reach(State::Init);
    for &(risk, downgrade, hold, escalation, class, governance) in steps {
        let from = audience.state();
        let class = Class::ALL[usize::from(class)];
        let a = Assessment {
            risk: Risk::saturating(risk.into()),
            class,
            downgrade: crate::audience::causes::DowngradeCauses::from_bits(downgrade).unwrap(),
            hold: crate::audience::causes::HoldTriggers::from_bits(hold).unwrap(),
            escalation: crate::audience::causes::EscalationTriggers::from_bits(escalation).unwrap(),
            kernel: KernelDecision::ConstitutionalClearance,
            identity_validated: true,
            context_validated: true,
            governance_reachable: governance,
            ..Assessment::calm()
        };
        let mandated = evaluate(from, &a);
        audience = match (mandated, audience) {
            (Move::Advance(State::Base), AnyAudience::Init(h)) => {
                let clearance = clear(&h, class).unwrap();
                log.take(h.admit(clearance, &at()).unwrap()).into()
            }
            (Move::AdmitRestricted, AnyAudience::Init(h)) => {
                let clearance = clear(&h, class).unwrap();
                log.commit(h.admit_restricted(clearance, &at()).unwrap())
            }
            (Move::Advance(State::Verified), AnyAudience::Base(h)) => {
                let clearance = clear(&h, class).unwrap();
                log.take(h.verify(clearance, &at()).unwrap()).into()
            }
            (Move::Advance(State::Privileged), AnyAudience::Verified(h)) => {
                match clear(&h, class) {
                    Ok(clearance) => log.take(h.elevate(clearance, &at()).unwrap()).into(),
                    Err(_) => h.into(),
                }
            }
            (Move::Stay(_), AnyAudience::Hold(h)) if governance => {
                let g = grant(GovernanceApproval::mint, h.head(), State::Hold, State::Base);
                log.take(h.release(g, NOW).unwrap()).into()
            }
            (Move::Stay(_), AnyAudience::Escalated(h)) if governance => {
                let g = grant(GovernanceReview::mint, h.head(), State::Escalated, State::Hold);
                log.take(h.review(g, NOW).unwrap()).into()
            }
            (mandated, h) => {
                let head = h.head();
                let mint = GovernanceAuthorization::mint;
                let support = Support {
                    authorization: governance
                        .then(|| grant(mint, head, State::Privileged, State::Verified)),
                    violation: ConstitutionalViolation::of(&violation()),
                    restriction: Restriction::of_risk(a.risk, a.threshold)
                        .or(Some(Restriction::class_c(Digest::ZERO))),
                };
                match h.carry_out(mandated, support, NOW).unwrap() {
                    Carried::Stayed(h) => h,
                    Carried::Changed(change) => log.commit(change),
                }
            }
        };
        let replayed = AnyAudience::replay(subject(), &log.0).unwrap();
        assert_eq!(replayed.state(), audience.state());
        assert_eq!(replayed.head(), audience.head());
        assert_eq!(replayed.review_open(), audience.review_open());
        if audience.state() == State::Privileged {
            assert!(matches!(from, State::Verified | State::Privileged));
        }
    }
    let mut state = State::Init;
    for record in &log.0 {
        let event: LineageEvent = record.read().unwrap();
        assert_eq!(event.from(), state);
        assert!(edge(event.from(), event.to()).is_some_and(|e| e.allows(event.way())));
        assert_eq!(event.to_canonical(), record.body());
        state = event.to();
    }
}

proptest! {
    #[test]
    fn walks(steps in proptest::collection::vec(
        (
            prop_oneof![3 => Just(0_u32), 1 => 0..=1_000_000_u32],
            prop_oneof![5 => Just(0_u8), 1 => 0..32_u8],
            prop_oneof![6 => Just(0_u8), 1 => 0..16_u8],
            prop_oneof![8 => Just(0_u8), 1 => 0..32_u8],
            prop_oneof![4 => Just(0_u8), 1 => 0..3_u8],
            any::<bool>(),
        ),
        1..24,
    )) {
        walk(&steps);
    }
}

/// PLAN-8.2: a change brings a snapshot along where its records come by a place for one, in
/// the same commit; and the audience is the same, restored from it or from all.
#[test]
fn changes_bring_their_snapshots_along() {
    use crate::limits::SNAPSHOT_RECORDS;
    use crate::ssot::record::RecordKind;
    let verdict = EnvelopeVerdict::mint(EnvelopeDecision::Block, Digest::ZERO);
    let mut audience = AnyAudience::replay("alice".parse().unwrap(), []).unwrap();
    let mut records: Vec<Record> = Vec::new();
    let mut commits = 0;
    while audience.head().length() < 2 * SNAPSHOT_RECORDS + 3 {
        let change = audience.blocked(&verdict, Risk::ZERO, None).unwrap();
        let mut head = change.expected_head();
        let mut sealed = Vec::new();
        for draft in change.drafts(Subsystem::Safety) {
            let record = Record::seal(draft, head.length(), head, Timestamp::from_millis(1));
            head = record.head();
            sealed.push(record);
        }
        audience = change.confirm(&sealed).unwrap();
        records.extend(sealed);
        commits += 1;
    }
    let snapshots: Vec<&Record> =
        records.iter().filter(|record| record.kind() == RecordKind::Snapshot).collect();
    let places: Vec<u64> = snapshots.iter().map(|record| record.sequence()).collect();
    assert_eq!(places, [SNAPSHOT_RECORDS, 2 * SNAPSHOT_RECORDS]);
    assert_eq!(commits, records.len() - 2, "none has a commit of its own");
    let whole = AnyAudience::replay("alice".parse().unwrap(), &records).unwrap();
    let mut swift = Restore::from_snapshot("alice".parse().unwrap(), snapshots[1]).unwrap();
    let behind = usize::try_from(2 * SNAPSHOT_RECORDS + 1).unwrap();
    for record in &records[behind..] {
        swift.push(record).unwrap();
    }
    let swift = swift.finish();
    assert_eq!((swift.state(), swift.head()), (whole.state(), whole.head()));
    assert_eq!((swift.state(), swift.head()), (audience.state(), audience.head()));
    // What is given up is what there was before.
    let head = swift.head();
    let change = swift.blocked(&verdict, Risk::ZERO, None).unwrap();
    assert_eq!(change.abandon().head(), head);
}
