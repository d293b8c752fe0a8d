use alloc::string::ToString;

use proptest::prelude::*;

use super::*;

fn best() -> Profile {
    Profile {
        identity_strength: Risk::MAX,
        consent: Consent::Explicit,
        good_outcomes: 100,
        bad_outcomes: 0,
        age_days: 365,
        risk: Risk::ZERO,
    }
}

#[test]
fn each_criterion_alone_keeps_from_a() {
    let classifier = Classifier::default();
    assert_eq!(classifier.classify(&best()).class(), Class::A);
    let spoiled = [
        (
            Criterion::IdentityStrength,
            Profile { identity_strength: Risk::saturating(899_999), ..best() },
        ),
        (Criterion::Consent, Profile { consent: Consent::Implied, ..best() }),
        (Criterion::GoodOutcomes, Profile { good_outcomes: 19, ..best() }),
        (Criterion::BadShare, Profile { bad_outcomes: 3, ..best() }),
        (Criterion::Age, Profile { age_days: 29, ..best() }),
        (Criterion::Risk, Profile { risk: Risk::saturating(200_001), ..best() }),
    ];
    for (criterion, profile) in spoiled {
        let found = classifier.classify(&profile);
        assert_eq!(found.class(), Class::B, "{criterion}");
        assert_eq!(found.reasons().len(), 1);
        assert_eq!(found.reasons()[0].criterion, criterion);
    }
}

#[test]
fn a_stranger_is_class_c_and_is_told_why() {
    let found = Classifier::default().classify(&Profile::default());
    assert_eq!(found.class(), Class::C);
    assert_eq!(
        found.reasons()[0].to_string(),
        "class A asks for identity strength at least 900000, found 0"
    );
    assert!(found.reasons().iter().any(|r| r.class == Class::B));
}

#[test]
fn thresholds_are_versioned_and_ordered() {
    let mut thresholds = Thresholds { version: "1.1".into(), ..Thresholds::default() };
    assert_eq!(Classifier::new(&thresholds), Err(ClassifierError::Version { found: "1.1".into() }));
    thresholds.version = CLASSIFIER_VERSION.into();
    thresholds.a.max_risk = Risk::saturating(600_001);
    assert_eq!(
        Classifier::new(&thresholds),
        Err(ClassifierError::Order { criterion: Criterion::Risk })
    );
    assert_eq!(Classifier::new(&Thresholds::default()), Ok(Classifier::default()));
}

#[test]
fn known_answer() {
    let classifier = Classifier::default();
    let bytes = classifier.to_canonical();
    assert_eq!(bytes.len(), 7 + 2 * 21);
    assert_eq!(bytes[..7], [3, 0, 0, 0, b'1', b'.', b'2']);
    assert_eq!(bytes[7..12], [0xa0, 0xbb, 0x0d, 0, 3]);
    assert_eq!(classifier.digest(), Domain::Classifier.hash(&bytes));
    assert_eq!(
        classifier.digest().to_string(),
        "ed29a6d4bf23df62bb3dccc83dec67495591604a80280fd3bdc0aad70344e5b6"
    );
}

fn profile() -> impl Strategy<Value = Profile> {
    (
        0..=1_000_000_u64,
        prop_oneof![
            Just(Consent::Withdrawn),
            Just(Consent::None),
            Just(Consent::Implied),
            Just(Consent::Explicit)
        ],
        0..60_u32,
        0..10_u32,
        0..60_u32,
        0..=1_000_000_u64,
    )
        .prop_map(|(strength, consent, good, bad, age, risk)| Profile {
            identity_strength: Risk::saturating(strength),
            consent,
            good_outcomes: good,
            bad_outcomes: bad,
            age_days: age,
            risk: Risk::saturating(risk),
        })
}

/// The profile that is at least as bad as both in every respect.
fn worst_of(x: &Profile, y: &Profile) -> Profile {
    Profile {
        identity_strength: x.identity_strength.min(y.identity_strength),
        consent: x.consent.min(y.consent),
        good_outcomes: x.good_outcomes.min(y.good_outcomes),
        bad_outcomes: x.bad_outcomes.max(y.bad_outcomes),
        age_days: x.age_days.min(y.age_days),
        risk: x.risk.max(y.risk),
    }
}

proptest! {
    #[test]
    fn monotone(x in profile(), y in profile()) {
        let classifier = Classifier::default();
        let class = |p: &Profile| {
            let found = classifier.classify(p);
            assert_eq!(classifier.verdict(p), found.verdict(), "{p:?}");
            found.class()
        };
        let worse = class(&worst_of(&x, &y));
        prop_assert!(worse >= class(&x) && worse >= class(&y));
    }
}
