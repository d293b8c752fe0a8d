use alloc::borrow::ToOwned as _;

use proptest::prelude::*;

use super::*;
use crate::encode::{Decode as _, Encode as _};

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        "[a-c/~]{0,3}".prop_map(|text| Value::Text(text.into())),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            prop::collection::btree_map("[a-b/~]{0,2}".prop_map(Box::from), inner, 0..3)
                .prop_map(Value::Map),
        ]
    })
}

fn salt(byte: u8) -> Salt {
    Salt::from_bytes([byte; SALT_LEN])
}

proptest! {
    #[test]
    fn every_way_to_the_root_is_one(value in any_value(), byte in any::<u8>()) {
        let fields = Fields::of(&salt(byte), &value);
        let root = commit(Part::Intent, &salt(byte), &value);
        prop_assert_eq!(fields.root(Part::Intent), root);
        prop_assert_eq!(Fields::from_canonical(&fields.to_canonical()), Ok(fields.clone()));
        prop_assert_ne!(fields.root(Part::Output), root);
        prop_assert_ne!(commit(Part::Intent, &salt(byte ^ 1), &value), root);
        prop_assert!(fields.withheld().is_empty());
    }

    /// Any field can be withheld, and the fields left out are those that are named.
    #[test]
    fn a_withheld_field_leaves_the_root(value in any_value(), chosen in any::<prop::sample::Index>()) {
        let shown = Fields::of(&salt(7), &value);
        let mut paths = Vec::new();
        shown.visit(&mut |path, _| paths.push(path.to_owned()));
        // A key that is the empty text has no path of its own; its map has.
        let path = &paths[chosen.index(paths.len())];
        prop_assume!(!path.starts_with('/') && !path.ends_with('/') && !path.contains("//"));
        let mut fields = shown.clone();
        fields.withhold(path).unwrap();
        prop_assert_eq!(fields.root(Part::Output), shown.root(Part::Output));
        prop_assert!(fields.withheld().contains(path));
        prop_assert_eq!(Fields::from_canonical(&fields.to_canonical()), Ok(fields));
    }

    #[test]
    fn values_that_differ_have_roots_that_differ(a in any_value(), b in any_value()) {
        let (one, other) = (commit(Part::Output, &salt(1), &a), commit(Part::Output, &salt(1), &b));
        prop_assert_eq!(a == b, one == other);
    }

    #[test]
    fn what_is_read_is_what_would_be_written(
        value in any_value(), position in any::<prop::sample::Index>(), bit in 0_u8..8,
    ) {
        let fields = Fields::of(&salt(3), &value);
        let mut bytes = fields.to_canonical();
        let position = position.index(bytes.len());
        bytes[position] ^= 1 << bit;
        if let Ok(read) = Fields::from_canonical(&bytes) {
            prop_assert_eq!(read.to_canonical(), bytes);
            prop_assert_ne!(read.root(Part::Intent), fields.root(Part::Intent));
        }
    }
}

/// A leaf's hash is of its salt: the same value twice has two hashes, and without the salt
/// nothing can be tried on it.
#[test]
fn equal_values_cannot_be_told() {
    let value = Value::List([Value::Bool(true), Value::Bool(true)].into());
    let mut fields = Fields::of(&salt(5), &value);
    fields.withhold("0").unwrap();
    fields.withhold("1").unwrap();
    let Fields::List(items) = fields else { panic!("a list") };
    assert_ne!(items[0], items[1]);
}

#[test]
fn known_answers() {
    let value = Value::Map([("a".into(), 1.into())].into());
    // Written out by hand from the table of this module's documentation.
    let salt = Salt::from_bytes([2; 32]);
    let path = [0, 0, 1, 0, 0, 0, b'a'];
    let leaf_salt = blake3::keyed_hash(&[2; 32], &path);
    let context = Domain::Commitment.context();
    let mut message = alloc::vec![0];
    message.extend_from_slice(leaf_salt.as_bytes());
    message.extend_from_slice(&Value::from(1).to_canonical());
    let leaf = blake3::derive_key(context, &message);
    let mut message = alloc::vec![1, 1, 0, 0, 0, 1, 0, 0, 0, b'a'];
    message.extend_from_slice(&leaf);
    let map = blake3::derive_key(context, &message);
    let mut message = alloc::vec![3, 2];
    message.extend_from_slice(&map);
    let root = Digest::from_bytes(blake3::derive_key(context, &message));
    assert_eq!(commit(Part::Objective, &salt, &value), root);
}

#[test]
fn keys_differ_by_subject_seed_and_erasure() {
    let salts = Salts::new([1; 32]);
    let (alice, bob) = ("alice".parse().unwrap(), "bob".parse().unwrap());
    let key = salts.key(&alice, &Digest::ZERO);
    assert_eq!(SubjectKey::from_kept(&key.to_kept()).as_ref(), Ok(&key));
    assert_eq!(salts.key(&alice, &Digest::ZERO), key);
    assert_ne!(salts.key(&bob, &Digest::ZERO), key);
    assert_ne!(salts.key(&alice, &Domain::Other.hash(b"erased")), key);
    assert_ne!(Salts::new([2; 32]).key(&alice, &Digest::ZERO), key);
    assert_ne!(SubjectKey::place(&alice), SubjectKey::place(&bob));
    let plain = Domain::Intent.hash(b"x");
    assert_ne!(key.salt(Part::Intent, &plain), key.salt(Part::Objective, &plain));
    assert_ne!(key.opaque(&plain), salts.key(&bob, &Digest::ZERO).opaque(&plain));
    let hidden = alloc::format!("{key:?} {salts:?} {:?}", key.salt(Part::Intent, &plain));
    assert_eq!(hidden, "SubjectKey(hidden) Salts(seed hidden) Salt(hidden)");
}

#[test]
fn a_path_that_leads_nowhere_says_what_there_is() {
    let value = Value::Map([("a".into(), 1.into()), ("b/c".into(), 2.into())].into());
    let mut fields = Fields::of(&salt(1), &value);
    let error = fields.withhold("x").unwrap_err();
    assert_eq!(
        alloc::format!("{error}"),
        "expected the path of a field, found `x`; there is a, b~1c"
    );
    fields.withhold("b~1c").unwrap();
    assert_eq!(fields.withheld(), ["b~1c"]);
    assert!(fields.withhold("b~1c/d").is_err());
    fields.withhold("").unwrap();
    assert_eq!(fields.withheld(), [""]);
}
