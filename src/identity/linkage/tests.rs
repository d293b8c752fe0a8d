//! Comparisons, models, scores and their record.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::em::ordered;
use super::estimate::{EstimateError, Estimator};
use super::*;
use crate::digest::{Digest, Domain};
use crate::encode::{Decode as _, Encode as _};
use crate::fixed::{Probability, Weight};
use crate::id::Name;
use crate::identity::claims::{Claims, ClaimsOrigin};
use crate::identity::{PrincipalKind, SessionOpened, SignalKind, Signals};
use crate::risk::Risk;
use crate::time::Timestamp;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A session of this subject, opened on a device from a network, at an hour of a day.
fn session(id: &str, subject: &str, device: &str, network: &str, hour: u64) -> SessionOpened {
    let at = Timestamp::from_secs(1_800_000_000 / 86_400 * 86_400 + hour * 3600);
    let signals = [(SignalKind::Device, device), (SignalKind::Network, network)];
    let said = signals.into_iter().filter(|(_, value)| !value.is_empty());
    SessionOpened {
        claims: Claims {
            origin: ClaimsOrigin::Token { issuer: name("https://id.example"), token: None },
            principal: subject.parse().unwrap(),
            kind: PrincipalKind::Human,
            subject: subject.parse().unwrap(),
            session: id.parse().unwrap(),
            roles: [].into(),
            scopes: [name("pay")].into(),
            delegation: vec![],
            consent: true,
            strength: Risk::saturating(900_000),
            issued_at: at,
            valid_from: at,
            expires_at: at.plus_millis(3_600_000),
            signals: said.map(|(kind, value)| (kind, name(value))).collect::<Signals>(),
        },
        scopes: [name("pay")].into(),
        verified_at: at,
        policy: Digest::ZERO,
    }
}

fn percent(parts: &[u64]) -> Vec<Probability> {
    parts.iter().map(|part| Probability::from_parts((*part).into(), 100)).collect()
}

/// Device and network; a kiosk is common.
fn model() -> LinkageBuilder {
    let kiosk = [(name("kiosk"), Probability::from_parts(20, 100))];
    LinkageBuilder {
        version: name("t"),
        prior: Probability::from_parts(99, 100),
        sessions: 4,
        hold_below: Weight::ZERO,
        escalate_below: Some(Weight::from_millibits(-5000)),
        fields: vec![
            FieldModel {
                field: Field::Network,
                m: percent(&[70, 20, 9, 1]),
                u: percent(&[1, 9, 80, 10]),
                terms: None,
            },
            FieldModel {
                field: Field::Device,
                m: percent(&[90, 9, 1]),
                u: percent(&[2, 88, 10]),
                terms: Some(Terms { shares: kiosk.into(), rest: Probability::from_parts(1, 1000) }),
            },
        ],
    }
}

fn bits(weight: Weight) -> i64 {
    (weight.raw() + (1 << 37)) >> 38
}

#[test]
fn fields_compare_as_documented() {
    let old = session("s-1", "alice", "d-1", "AS1/10.0", 9);
    let level = |field: Field, new: &SessionOpened| field.compare(new, &old);
    for (device, network, hour, expected) in [
        ("d-1", "AS1/10.0", 9, [Some(0), Some(0), Some(0)]),
        ("d-2", "AS1/10.9", 10, [Some(1), Some(1), Some(0)]),
        ("d-2", "AS2/10.0", 12, [Some(1), Some(2), Some(1)]),
        ("", "", 15, [Some(2), Some(3), Some(2)]),
        ("", "", 21, [Some(2), Some(3), Some(3)]),
        // Three in the morning is six hours from nine, and eleven at night seven from six.
        ("d-1", "AS1", 3, [Some(0), Some(1), Some(2)]),
    ] {
        let new = session("s-2", "alice", device, network, hour);
        let found = [Field::Device, Field::Network, Field::Hour].map(|field| level(field, &new));
        assert_eq!(found, expected, "{device} {network} {hour}");
    }
    let silent = session("s-0", "alice", "", "", 23);
    let new = session("s-2", "alice", "d-1", "AS1", 1);
    assert_eq!(Field::Device.compare(&new, &silent), None, "nothing to compare with");
    assert_eq!(Field::Hour.compare(&new, &silent), Some(1), "around midnight");
    let mut host = old.clone();
    host.claims.origin = ClaimsOrigin::Host;
    host.claims.kind = PrincipalKind::Agent;
    host.claims.principal = "bot".parse().unwrap();
    host.claims.strength = Risk::saturating(700_000);
    host.claims.expires_at = host.claims.issued_at.plus_millis(8_000_000);
    host.claims.roles = [name("clerk")].into();
    host.scopes = [name("pay"), name("read")].into();
    host.claims.delegation = vec![crate::identity::DelegationLink {
        principal: "alice".parse().unwrap(),
        granted: [].into(),
    }];
    for (field, expected) in [
        (Field::Issuer, 1),
        (Field::Principal, 1),
        (Field::Kind, 1),
        (Field::Roles, 2),
        (Field::Scopes, 1),
        (Field::Delegation, 2),
        (Field::Strength, 2),
        (Field::Lifetime, 2),
    ] {
        assert_eq!(level(field, &host), Some(expected), "{}", field.name());
        assert_eq!(field.compare(&old, &old), Some(0), "{}", field.name());
    }
}

/// Every number of a score, by hand.
#[test]
fn a_score_explains_itself() {
    let linkage = model().build().unwrap();
    let earlier = [
        session("s-1", "alice", "d-1", "AS1/10.0", 9),
        session("s-2", "alice", "kiosk", "AS1/10.0", 9),
    ];
    let new = session("s-3", "alice", "kiosk", "AS1/10.9", 9);
    let score = linkage.score(&new, &earlier);
    assert_eq!((score.compared, score.standing()), (2, Standing::Consistent));
    let link = score.link.as_ref().unwrap();
    assert_eq!(link.with.as_str(), "s-2");
    // log2(99) + log2(90 / 2) + log2(2 / 20) + log2(20 / 9), in units of 2^-10.
    let parts: Vec<i64> = link.fields.iter().map(|f| bits(f.weight())).collect();
    assert_eq!(parts, [5624, 1180]);
    assert_eq!(bits(link.fields[0].adjustment), -3402);
    assert_eq!(bits(Weight::odds(link.prior)), 6788);
    assert_eq!(bits(score.total().unwrap()), 6788 + 5624 - 3402 + 1180);
    assert_eq!(
        score.to_string(),
        "session `s-3`: consistent at +9.951 bits (probability 0.998990918264379), threshold \
         +0.000; nearest of 2: `s-2`\n  \
         prior                                   +6.629\n  \
         device      same                        +5.492  m 0.9 u 0.02  value -3.322\n  \
         network     near                        +1.152  m 0.2 u 0.09"
    );
    let thief = session("s-4", "alice", "d-9", "AS7/80.1", 9);
    let score = linkage.score(&thief, &earlier);
    assert_eq!(score.standing(), Standing::Consistent, "one in a hundred is not yet a doubt");
    let silent = session("s-5", "alice", "", "", 9);
    let score = linkage.score(&silent, &earlier);
    assert_eq!(score.standing(), Standing::Inconsistent, "who says nothing looks worse");
    let mut strict = model();
    strict.prior = Probability::from_parts(1, 2);
    let strict = strict.build().unwrap();
    assert_eq!(strict.score(&thief, &earlier).standing(), Standing::Mismatch);
    let near = session("s-6", "alice", "d-9", "AS1/10.9", 9);
    assert_eq!(strict.score(&near, &earlier).standing(), Standing::Inconsistent);
    let unknown = strict.score(&thief, []);
    assert_eq!((unknown.standing(), unknown.total()), (Standing::Unknown, None));
    assert!(!unknown.standing().is_low());
}

/// Only the latest sessions count, and of equals the latest is named.
#[test]
fn the_latest_sessions_count() {
    let linkage = model().build().unwrap();
    let mut earlier: Vec<_> =
        (0..4).map(|n| session(&format!("s-{n}"), "alice", "d-2", "AS2", 9)).collect();
    let new = session("s-9", "alice", "d-1", "AS1", 9);
    let score = linkage.score(&new, &earlier);
    assert_eq!(score.link.unwrap().with.as_str(), "s-3");
    earlier.insert(0, session("s-old", "alice", "d-1", "AS1", 9));
    let score = linkage.score(&new, &earlier);
    assert_eq!((score.compared, score.link.unwrap().with.as_str()), (4, "s-3"));
}

#[test]
fn what_is_no_model_is_refused() {
    type Change = &'static dyn Fn(&mut LinkageBuilder);
    let refused = |change: &dyn Fn(&mut LinkageBuilder)| {
        let mut builder = model();
        change(&mut builder);
        builder.build().unwrap_err()
    };
    let cases: [(Change, &str); 10] = [
        (&|b| b.fields.clear(), "at least one field"),
        (&|b| b.fields.push(b.fields[0].clone()), "found `network` again"),
        (&|b| b.fields[0].m.truncate(3), "expected 4 probabilities for `network`, found 3"),
        (&|b| b.fields[0].m = percent(&[70, 20, 9, 2]), "to add up to 1000000000000000"),
        (&|b| b.fields[0].u = percent(&[0, 10, 80, 10]), "found 0"),
        (&|b| b.fields[1].m = percent(&[90, 1, 9]), "`withheld` of `device` to weigh no more"),
        (&|b| b.prior = Probability::ONE, "between 0 and 1"),
        (&|b| b.sessions = 0, "1 to 256 sessions"),
        (&|b| b.escalate_below = Some(Weight::from_millibits(1)), "at or below +0.000 bits"),
        (
            &|b| b.fields[1].terms.as_mut().unwrap().rest = Probability::ZERO,
            "shares above 0 of values of `device`",
        ),
    ];
    for (change, expected) in cases {
        let error = refused(change).to_string();
        assert!(error.contains(expected), "{error}");
    }
    let digest = model().build().unwrap().digest();
    let mut other = model();
    other.fields[1].terms.as_mut().unwrap().rest = Probability::from_parts(2, 1000);
    assert_ne!(other.build().unwrap().digest(), digest, "every number is in the digest");
}

#[test]
fn the_record_has_one_form() {
    let linkage = model().build().unwrap();
    let earlier = [session("s-1", "alice", "d-1", "AS1/10.0", 9)];
    let new = session("s-2", "alice", "", "AS1/10.9", 9);
    let score = linkage.score(&new, &earlier);
    let bytes = score.to_canonical();
    assert_eq!(IdentityScore::from_canonical(&bytes), Ok(score));
    assert_eq!(
        Domain::Other.hash(&bytes).to_string(),
        "395cfbcde0c69931db6f9b655af1977a0bdb3132f7e599dc0240998eee33fe42",
        "the form of the record is frozen"
    );
    let unknown = linkage.score(&new, []);
    assert_eq!(IdentityScore::from_canonical(&unknown.to_canonical()), Ok(unknown));
    for place in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[place] ^= 0xff;
        if let Ok(read) = IdentityScore::from_canonical(&bad) {
            assert_eq!(read.to_canonical(), bad, "byte {place}");
        }
    }
}

/// Claims without signals are written as they always were.
#[test]
fn signals_are_the_second_version_of_claims() {
    let plain = session("s-1", "alice", "", "", 9).claims;
    assert_eq!(plain.to_canonical()[0], 1);
    let claims = session("s-1", "alice", "d-1", "AS1", 9).claims;
    let bytes = claims.to_canonical();
    assert_eq!(bytes[0], 2);
    assert_eq!(bytes.len(), plain.to_canonical().len() + 4 + 2 * (1 + 4 + 3));
    assert_eq!(Claims::from_canonical(&bytes), Ok(claims));
    let mut empty = plain.to_canonical();
    empty[0] = 2;
    empty.extend([0; 4]);
    assert!(Claims::from_canonical(&empty).is_err(), "one form only");
}

#[cfg(feature = "files")]
#[test]
fn the_file_reads_back() {
    let mut builder = model();
    builder.fields[1].terms.as_mut().unwrap().shares.insert(name("a \"b\\ é"), Probability::ONE);
    let linkage = builder.build().unwrap();
    let text = linkage.to_toml();
    let read = Linkage::from_toml("linkage.toml", &text);
    let read = read.unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(read, linkage, "{text}");
    for (from, to, place, expected) in [
        ("prior = 99", "prior = 99000", 2, "at most 1000000000000000 units"),
        ("sessions = 4", "sessions = 0", 3, "1 to 256 sessions"),
        ("sessions = 4", "session = 4", 3, "unknown field `session`"),
        ("[field.network]", "[field.shoe]", 19, "unknown variant `shoe`"),
        ("rest = 1000000000000\n", "", 9, "expected `rest` beside the shares of `device`"),
        ("m = [900", "m = [901", 9, "to add up to"),
        ("escalate_below_millibits = -5000", "escalate_below_millibits = 1", 5, "at or below"),
    ] {
        assert!(text.contains(from), "{text}");
        let error = Linkage::from_toml("linkage.toml", &text.replace(from, to)).unwrap_err();
        assert!(error.message().contains(expected), "{error}");
        assert_eq!(error.line(), place, "{error}");
    }
}

/// A log of people who each have a phone, half of them a laptop, and habits; some use a kiosk.
fn people(seed: u64, thefts: u64) -> Estimator {
    let mut estimator = Estimator::new(seed);
    for person in 0..40_u64 {
        let subject = format!("p-{person}");
        for visit in 0..12_u64 {
            let draw = Domain::Other.hash(format!("{person} {visit}").as_bytes());
            let draw = u64::from(draw.as_bytes()[0]);
            let stolen = visit == 11 && person < thefts;
            let device = match draw % 10 {
                _ if stolen => format!("thief-{person}"),
                0 => "kiosk".into(),
                1..=3 if person % 2 == 0 => format!("laptop-{person}"),
                _ => format!("phone-{person}"),
            };
            let network = match draw % 7 {
                _ if stolen => "AS9/9".into(),
                0 => format!("AS{}/mobile", person % 3),
                _ => format!("AS{}/{person}", person % 3),
            };
            let hour = if stolen { 3 } else { 8 + person % 5 + draw % 2 };
            let id = format!("{subject}-{visit}");
            estimator.session(session(&id, &subject, &device, &network, hour));
        }
        estimator.next_subject();
    }
    estimator
}

#[test]
fn a_model_is_estimated_from_sessions() {
    let estimate = people(7, 4).finish(name("1")).unwrap();
    assert_eq!((estimate.subjects, estimate.sample), (40, 40));
    assert_eq!((estimate.pairs, estimate.chance), (40 * 60, 780));
    let compared: Vec<_> =
        estimate.linkage.parts().fields.iter().map(|model| model.field).collect();
    assert_eq!(compared, [Field::Hour, Field::Device, Field::Network]);
    assert!(estimate.left_out.contains(&Field::Locale), "nobody says in which language");
    assert!(estimate.left_out.contains(&Field::Issuer), "there is but one");
    assert!(estimate.left_out.contains(&Field::Principal), "each acts for themselves");
    // 32 of 2,400 pairs are of a thief and the person robbed.
    let prior = estimate.linkage.parts().prior;
    let stolen = prior.complement();
    assert!(stolen > Probability::from_parts(1, 200), "{prior}");
    assert!(stolen < Probability::from_parts(5, 100), "{prior}");
    let device = &estimate.linkage.parts().fields[1];
    let terms = device.terms.as_ref().unwrap();
    assert!(terms.shares.contains_key(&name("kiosk")), "{terms:?}");
    assert_eq!(terms.rest, Probability::from_parts(1, 40));
    // The same again, byte by byte; another seed draws another sample.
    let again = people(7, 4).finish(name("1")).unwrap();
    assert_eq!(again.linkage, estimate.linkage);
    let other = people(8, 4).finish(name("1")).unwrap();
    assert_ne!(other.linkage.digest(), estimate.linkage.digest());
    let earlier: Vec<_> =
        (0..3).map(|n| session(&format!("s-{n}"), "p-1", "phone-1", "AS1/1", 9)).collect();
    let own = session("s-4", "p-1", "phone-1", "AS1/mobile", 10);
    let thief = session("s-5", "p-1", "elsewhere", "AS9/9", 22);
    assert_eq!(estimate.linkage.score(&own, &earlier).standing(), Standing::Consistent);
    let score = estimate.linkage.score(&thief, &earlier);
    assert!(score.standing().is_low(), "{score}");
}

/// Nothing was stolen in this log, and still a session can be told to be.
#[test]
fn a_clean_log_makes_nobody_sure() {
    let estimate = people(7, 0).finish(name("1")).unwrap();
    assert_eq!(estimate.linkage.parts().prior, Probability::from_parts(999, 1000));
    let earlier = [session("s-0", "p-1", "phone-1", "AS1/1", 9)];
    let thief = session("s-5", "p-1", "elsewhere", "AS9/9", 22);
    assert!(estimate.linkage.score(&thief, &earlier).standing().is_low());
}

#[test]
fn too_little_is_refused() {
    let mut few = Estimator::new(1);
    for n in 0..40 {
        few.session(session(&format!("s-{n}"), "one", "d", "AS1", 9));
    }
    let refused = few.finish(name("1"));
    assert!(matches!(refused, Err(EstimateError::Pairs { subjects: 1, .. })), "{refused:?}");
}

/// A model with any numbers that keep the order.
fn any_model() -> impl Strategy<Value = Linkage> {
    let shares = |levels: usize| proptest::collection::vec(1_u64..1000, levels);
    let fields = Field::ALL.map(|field| {
        let levels = field.levels().len();
        (shares(levels), shares(levels), proptest::option::of(1_u64..1000)).prop_map(
            move |(m, u, rest)| {
                let normal = |parts: &[u64]| {
                    let whole: u64 = parts.iter().sum();
                    let mut of: Vec<_> = (parts.iter())
                        .map(|part| Probability::from_parts((*part).into(), whole.into()))
                        .collect();
                    let sum: u64 = of.iter().skip(1).map(|p| p.units()).sum();
                    of[0] = Probability::new(sum).unwrap().complement();
                    of
                };
                let (m, u) = (normal(&m), normal(&u));
                let mut m = ordered(&m, &u);
                let sum: u64 = m.iter().skip(1).map(|p| p.units()).sum();
                m[0] = Probability::new(sum).unwrap().complement();
                let rest = rest.filter(|_| field.has_terms());
                let terms = rest.map(|rest| Terms {
                    shares: [(name("a"), Probability::from_parts(rest.into(), 1001))].into(),
                    rest: Probability::from_parts(1, 5000),
                });
                FieldModel { field, m, u, terms }
            },
        )
    });
    (fields, 1_u64..1000).prop_map(|(fields, prior)| {
        let builder = LinkageBuilder {
            version: name("any"),
            prior: Probability::from_parts(prior.into(), 1000),
            sessions: 3,
            hold_below: Weight::ZERO,
            escalate_below: None,
            fields: fields.into(),
        };
        builder.build().unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever looks less like the subject, or says less, never scores higher: to within
    /// what rounding moves a weight by (the invariant of the model).
    #[test]
    fn nobody_gains_by_looking_less_alike(
        linkage in any_model(), device in 0..3_usize, network in 0..4_usize, hour in 9..22_u64,
    ) {
        let slack = Weight::from_raw(4 << 28);
        let devices = ["a", "b", ""];
        let networks = ["a/1", "a/2", "b/1", ""];
        let old = [session("s-1", "alice", "a", "a/1", 9)];
        let total = |device: usize, network: usize, hour: u64| {
            let new = session("s-2", "alice", devices[device], networks[network], hour);
            linkage.score(&new, &old).total().unwrap()
        };
        let here = total(device, network, hour);
        for worse in device..3 {
            prop_assert!(total(worse, network, hour) <= here + slack);
        }
        for worse in network..4 {
            prop_assert!(total(device, worse, hour) <= here + slack);
        }
        prop_assert!(total(device, network, hour.max(12 + hour % 9)) <= here + slack || hour > 20);
    }
}
