//! The words that rooms speak in.

use std::boxed::Box;
use std::string::String;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;

use crate::digest::{DIGEST_LEN, Digest};
use crate::id::{LayerId, Name, RuleId, Subsystem};
use crate::provenance::{Label, Sensitivity, Source};
use crate::risk::Risk;
use crate::time::Timestamp;
use crate::value::{Decimal, MAX_SCALE, Value};
use crate::verdict::{
    CapabilityTier, Consensus, Drift, Narrowing, Reason, ReasonCode, SafetyFlags, SafetyMode,
    Verdict, Vote,
};

/// Any digest.
pub fn digest() -> impl Strategy<Value = Digest> + Clone {
    any::<[u8; DIGEST_LEN]>().prop_map(Digest::from_bytes)
}

/// A name: mostly one of few, else any text that is one.
pub fn name() -> impl Strategy<Value = Name> + Clone {
    let few = select(&["a", "b", "c", "d", "work", "é"][..]);
    let any = "[^\\s\\p{C}]([^\\p{C}]{0,20}[^\\s\\p{C}])?";
    prop_oneof![3 => few.prop_map(String::from), 1 => any.prop_map(String::from)]
        .prop_filter_map("a name", |text| Name::new(&text).ok())
}

/// A name of a type of its own: `named::<KindId>()`.
pub fn named<T: From<Name> + core::fmt::Debug>() -> impl Strategy<Value = T> + Clone {
    name().prop_map(T::from)
}

/// Any time.
pub fn timestamp() -> impl Strategy<Value = Timestamp> + Clone {
    any::<u64>().prop_map(Timestamp::from_millis)
}

/// Any risk; the thresholds of the specification come up often.
pub fn risk() -> impl Strategy<Value = Risk> + Clone {
    prop_oneof![
        3 => (0..=Risk::MAX.ppm()).prop_map(|ppm| Risk::saturating(ppm.into())),
        1 => select(&[Risk::ZERO, Risk::RESTRICTION_DEFAULT, Risk::ESCALATION, Risk::MAX][..]),
    ]
}

/// Any decimal.
pub fn decimal() -> impl Strategy<Value = Decimal> + Clone {
    let mantissa = prop_oneof![
        2 => (-1000..1000_i128).boxed(),
        2 => any::<i64>().prop_map(i128::from).boxed(),
        1 => any::<i128>().prop_map(|m| m / 10).boxed(),
    ];
    (mantissa, 0..=MAX_SCALE)
        .prop_filter_map("a decimal", |(mantissa, scale)| Decimal::new(mantissa, scale))
}

/// Any value of up to four levels.
pub fn value() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        decimal().prop_map(Value::Number),
        ".{0,12}".prop_map(|text| Value::Text(text.into())),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = "[a-z]{0,3}".prop_map(Box::<str>::from);
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            btree_map(key, inner, 0..4).prop_map(Value::Map),
        ]
    })
}

/// Any source.
pub fn source() -> impl Strategy<Value = Source> + Clone {
    prop_oneof![
        select(&[Source::User, Source::Memory, Source::Policy, Source::Agent][..]),
        named().prop_map(Source::Module),
        name().prop_map(Source::Outside),
    ]
}

/// Any sensitivity.
pub fn sensitivity() -> impl Strategy<Value = Sensitivity> + Clone {
    use Sensitivity::{Internal, Personal, Public, Secret};
    select(&[Public, Internal, Personal, Secret][..])
}

/// Any label; the empty one among them.
pub fn label() -> impl Strategy<Value = Label> + Clone {
    (btree_set(source(), 0..4), sensitivity()).prop_map(|(sources, sensitivity)| {
        let empty = Label::empty().with_sensitivity(sensitivity);
        sources.into_iter().fold(empty, |label, source| label.join(&source.into()))
    })
}

/// Any set of flags.
pub fn flags() -> impl Strategy<Value = SafetyFlags> + Clone {
    any::<u32>().prop_map(|bits| {
        let set = SafetyFlags::ALL.iter().filter(move |(flag, _)| bits & flag.bits() != 0);
        set.fold(SafetyFlags::NONE, |all, (flag, _)| all.union(*flag))
    })
}

/// Any vote.
pub fn vote() -> impl Strategy<Value = Vote> + Clone {
    select(&[Vote::Abstain, Vote::Agree, Vote::Dissent][..])
}

/// Any consensus vector.
pub fn consensus() -> impl Strategy<Value = Consensus> + Clone {
    vec(vote(), LayerId::ALL.len()).prop_map(|votes| {
        let votes = LayerId::ALL.into_iter().zip(votes);
        votes.fold(Consensus::NONE, |all, (layer, vote)| all.with(layer, vote))
    })
}

/// Any layer.
pub fn layer() -> impl Strategy<Value = LayerId> + Clone {
    select(&LayerId::ALL[..])
}

/// Any subsystem.
pub fn subsystem() -> impl Strategy<Value = Subsystem> + Clone {
    prop_oneof![layer().prop_map(Subsystem::from), Just(Subsystem::Audience), Just(Subsystem::Ssot)]
}

/// Any verdict.
pub fn verdict() -> impl Strategy<Value = Verdict> + Clone {
    select(&Verdict::ALL[..])
}

/// Any drift.
pub fn drift() -> impl Strategy<Value = Drift> + Clone {
    select(&[Drift::None, Drift::Soft, Drift::Hard][..])
}

/// Any safety mode.
pub fn safety_mode() -> impl Strategy<Value = SafetyMode> + Clone {
    select(&[SafetyMode::Normal, SafetyMode::Protected, SafetyMode::ReadOnly][..])
}

/// Any capability tier.
pub fn tier() -> impl Strategy<Value = CapabilityTier> + Clone {
    use CapabilityTier::{Act, Commit, Observe, Privileged};
    select(&[Observe, Act, Commit, Privileged][..])
}

/// Any reason code.
pub fn reason_code() -> impl Strategy<Value = ReasonCode> + Clone {
    select(ReasonCode::ALL)
}

/// Any reason.
pub fn reason() -> impl Strategy<Value = Reason> + Clone {
    (reason_code(), proptest::option::of(named::<RuleId>()), ".{0,16}")
        .prop_map(|(code, rule, detail)| Reason { code, rule, detail: detail.into() })
}

/// What may be taken away from an intent.
pub fn narrowing() -> impl Strategy<Value = Narrowing> + Clone {
    let arguments = vec("[a-z]{1,4}".prop_map(Box::<str>::from), 0..3);
    (arguments, vec(named(), 0..3), any::<bool>()).prop_map(
        |(drop_arguments, exclude_modules, read_only)| {
            let mut narrowing = Narrowing::default();
            narrowing.absorb(Narrowing { drop_arguments, exclude_modules, read_only });
            narrowing
        },
    )
}
