//! What persons decide, and its record (D-25, D-52).

use super::*;

fn person(scopes: &BTreeSet<Name>) -> Authority<'_> {
    let principal: &'static PrincipalId = Box::leak(Box::new("carol".parse().unwrap()));
    Authority { principal, kind: "human", scopes, delegation: 0 }
}

/// ASM2-10.2, ASM2-10.6..ASM2-10.8.
#[test]
fn k_4_decisions_need_a_second_person_with_the_role() {
    let scopes: BTreeSet<Name> = ["security".parse().unwrap()].into();
    let (bot, carol): (PrincipalId, PrincipalId) =
        ("bot".parse().unwrap(), "carol".parse().unwrap());
    let role: Name = "security".parse().unwrap();
    let subject: SubjectId = "alice".parse().unwrap();
    let sitting = |requester| Sitting {
        requester,
        role: &role,
        policy: Digest::ZERO,
        now: NOW,
        valid_millis: 1000,
    };
    let exit = || Matter::PrivilegedExit { subject: subject.clone() };
    let decision = sitting(&bot).decide(exit(), &person(&scopes), true, "fine").unwrap();
    assert!(decision.in_force(NOW).is_ok());
    assert!(matches!(decision.in_force(NOW.plus_millis(1000)), Err(ReviewError::TooLate { .. })));
    assert!(decision.approval(Digest::ZERO).is_none(), "an exit approves no intent");
    let refused = sitting(&bot).decide(exit(), &person(&scopes), false, "").unwrap();
    assert!(matches!(refused.in_force(NOW), Err(ReviewError::Refused { .. })));
    assert!(matches!(
        sitting(&carol).decide(exit(), &person(&scopes), true, ""),
        Err(ReviewError::OwnRequest { .. })
    ));
    let mut machine = person(&scopes);
    machine.kind = "agent";
    assert!(matches!(
        sitting(&bot).decide(exit(), &machine, true, ""),
        Err(ReviewError::NotAPerson { .. })
    ));
    assert!(matches!(
        sitting(&bot).decide(exit(), &person(&BTreeSet::new()), true, ""),
        Err(ReviewError::Role { .. })
    ));
    let release = Matter::HoldRelease { subject: subject.clone(), to: State::Privileged };
    assert!(matches!(
        sitting(&bot).decide(release, &person(&scopes), true, ""),
        Err(ReviewError::Release { .. })
    ));
    let route = RoutingId::from_digest(Digest::ZERO);
    let forwards = Matter::Backtrack { route, from: LayerId::Memory, target: LayerId::Safety };
    assert!(matches!(
        sitting(&bot).decide(forwards, &person(&scopes), true, ""),
        Err(ReviewError::Backwards { .. })
    ));
}

#[test]
fn an_answer_to_a_request_becomes_the_approval_of_that_intent() {
    let world = World::new(pay(5, Source::User.into()));
    let governor = governor([rule("s", Verdict::StepUp)]);
    let Decision::StepUp(request) = governor.rule(&world.input()).decision else {
        panic!("expected a question");
    };
    let scopes = ["manager".parse().unwrap()].into();
    let answer = |now| {
        let who = person(&scopes);
        request.answer(&world.principal, &who, true, "ok", now, 5000, governor.policy())
    };
    assert!(matches!(answer(request.expires_at), Err(ReviewError::TooLate { .. })));
    let record = Domain::Other.hash(b"r");
    let approval = answer(NOW).unwrap().approval(record).unwrap();
    let mut answered = World::new(pay(5, Source::User.into()));
    answered.approval = Some(approval);
    assert_eq!(governor.rule(&answered.input()).decision, Decision::Allow);
    answered.intent = pay(6, Source::User.into());
    assert_eq!(verdict(&governor.rule(&answered.input()).decision), Verdict::StepUp);
}

#[test]
fn decisions_have_the_documented_bytes() {
    let scopes: BTreeSet<Name> = ["r".parse().unwrap()].into();
    let (bot, role): (PrincipalId, Name) = ("b".parse().unwrap(), "r".parse().unwrap());
    let sitting = Sitting {
        requester: &bot,
        role: &role,
        policy: Digest::from_bytes([7; 32]),
        now: Timestamp::from_millis(1),
        valid_millis: 1,
    };
    let subject: SubjectId = "s".parse().unwrap();
    let route = RoutingId::from_digest(Digest::from_bytes([9; 32]));
    let one = |byte: u8| Vec::from([1, 0, 0, 0, byte]);
    let matters = [
        (
            Matter::Approval { intent: Digest::from_bytes([5; 32]), requester: bot.clone() },
            [Vec::from([1]), Vec::from([5; 32]), one(b'b')].concat(),
        ),
        (Matter::PrivilegedExit { subject: subject.clone() }, [Vec::from([2]), one(b's')].concat()),
        (
            Matter::HoldRelease { subject: subject.clone(), to: State::Base },
            [Vec::from([3]), one(b's'), Vec::from([2])].concat(),
        ),
        (Matter::EscalationReview { subject }, [Vec::from([4]), one(b's')].concat()),
        (
            Matter::Backtrack { route, from: LayerId::Governance, target: LayerId::Modeling },
            [Vec::from([5]), Vec::from([9; 32]), Vec::from([6, 3])].concat(),
        ),
    ];
    for (matter, own) in matters {
        let decision = sitting.decide(matter, &person(&scopes), true, "n").unwrap();
        let carol = [&[5, 0, 0, 0][..], b"carol"].concat();
        let times = [&[1][..], &1_u64.to_le_bytes(), &2_u64.to_le_bytes(), &[7; 32]].concat();
        let expected = [Vec::from([1]), own, carol, one(b'r'), times, one(b'n')].concat();
        let bytes = decision.to_canonical();
        assert_eq!(bytes, expected, "{}", decision.matter().name());
        assert_eq!(GovernanceDecision::from_canonical(&bytes), Ok(decision));
        for end in 0..bytes.len() {
            assert!(GovernanceDecision::from_canonical(&bytes[..end]).is_err());
        }
    }
    let impossible = Matter::Backtrack { route, from: LayerId::Memory, target: LayerId::Memory };
    assert!(matches!(
        Matter::from_canonical(&impossible.to_canonical()),
        Err(DecodeError::Invalid { .. })
    ));
    assert_eq!(
        GovernanceDecision::from_canonical(&[2]).unwrap_err().to_string(),
        "expected governance decision version 1 at offset 0, found 2"
    );
}

#[test]
fn d_25_a_backtrack_authorization_is_for_one_route_and_one_layer() {
    let scopes: BTreeSet<Name> = ["r".parse().unwrap()].into();
    let (bot, role): (PrincipalId, Name) = ("b".parse().unwrap(), "r".parse().unwrap());
    let sitting =
        Sitting { requester: &bot, role: &role, policy: Digest::ZERO, now: NOW, valid_millis: 10 };
    let route = RoutingId::from_digest(Digest::from_bytes([9; 32]));
    let other = RoutingId::from_digest(Digest::ZERO);
    let (from, target) = (LayerId::Governance, LayerId::Modeling);
    let record = Domain::Other.hash(b"r");
    let decide = |granted| {
        let matter = Matter::Backtrack { route, from, target };
        sitting.decide(matter, &person(&scopes), granted, "").unwrap()
    };
    let authorize = || decide(true).authorize_backtrack(record, NOW).unwrap();
    assert_eq!(authorize().spend(route, target), Ok(record));
    assert!(authorize().spend(other, target).is_err());
    assert!(authorize().spend(route, LayerId::Memory).is_err());
    assert!(decide(false).authorize_backtrack(record, NOW).is_err());
    assert!(decide(true).authorize_backtrack(record, NOW.plus_millis(10)).is_err());
}
