use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::*;
use crate::ssot::checkpoint::{Checkpoint, Origin};
use crate::ssot::merkle::Hash;

/// The example of C2SP `signed-note`.
const FOO: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const FOO_NOTE: &str = "This is an example message.\n\n\
    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

/// The examples of Go's package `note`, by which the text of a signing key is defined.
const NEUMANN_KEY: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const NEUMANN: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const NEUMANN_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n";
const NEUMANN_LINE: &str = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
const ENOCH_LINE: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=";

const NOW: Timestamp = Timestamp::from_secs(1_679_315_147);

fn signer(name: &str, algorithm: Algorithm, seed: u8) -> Signer {
    Signer::from_seed(name.parse().unwrap(), algorithm, &[seed; 32]).unwrap()
}

fn checkpoint() -> String {
    let origin = Origin::new("example.com/behind-the-sofa").unwrap();
    Checkpoint::new(origin, 20_852_163, Hash::from_bytes([9; 32])).to_string()
}

#[test]
fn the_example_of_the_specification_verifies() {
    let key: Verifier = FOO.parse().unwrap();
    assert_eq!(key.to_string(), FOO);
    let note = Note::parse(FOO_NOTE.as_bytes()).unwrap();
    assert_eq!(note.to_string(), FOO_NOTE);
    let verified = note.verify(&[key]).unwrap();
    assert_eq!((verified.len(), verified[0].key(), verified[0].time()), (1, 0, None));
    assert_eq!(note.text(), "This is an example message.\n");
}

#[test]
fn notes_are_signed_as_go_signs_them() {
    let signer = Signer::parse(NEUMANN_KEY).unwrap();
    assert_eq!(&**signer.to_text(), NEUMANN_KEY);
    assert_eq!(signer.verifier().unwrap().to_string(), NEUMANN);
    let mut note = Note::signed(NEUMANN_TEXT, &signer, NOW).unwrap();
    assert_eq!(note.to_string(), format!("{NEUMANN_TEXT}\n{NEUMANN_LINE}\n"));
    let enoch = self::signer("EnochRoot", Algorithm::Ed25519, 0);
    note.cosign(&enoch, NOW).unwrap();
    note.cosign(&enoch, NOW).unwrap();
    let whole = format!("{NEUMANN_TEXT}\n{NEUMANN_LINE}\n{ENOCH_LINE}\n");
    assert_eq!(note.to_string(), whole, "the same signature is not there twice");
    let keys = [enoch.verifier().unwrap(), signer.verifier().unwrap()];
    let verified = note.verify(&keys).unwrap();
    assert_eq!(verified.iter().map(Verified::key).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(Note::parse(whole.as_bytes()).unwrap(), note);
}

/// The checkpoint of C2SP `tlog-cosignature`: nobody's keys are known, its form is.
#[test]
fn an_unknown_key_says_nothing() {
    let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let mut note = Note::parse(text.as_bytes()).unwrap();
    assert_eq!(note.to_string(), text);
    let seconds = &note.signatures()[1].bytes()[..8];
    assert_eq!(seconds, 1_679_315_147_u64.to_be_bytes(), "the time stands before the signature");
    let known = signer("w.example", Algorithm::Cosignature, 1);
    let keys = [known.verifier().unwrap()];
    assert_eq!(note.verify(&keys), Err(NoteError::Unknown { found: 2 }));
    note.cosign(&known, NOW).unwrap();
    assert_eq!(note.verify(&keys).unwrap().len(), 1);
    assert_eq!(note.verify(&[]), Err(NoteError::Unknown { found: 3 }));
}

#[test]
fn a_known_key_that_did_not_sign_spoils_the_note() {
    let (one, two) = (signer("a", Algorithm::Ed25519, 1), signer("b", Algorithm::Ed25519, 2));
    let mut note = Note::signed("text\n", &one, NOW).unwrap();
    note.cosign(&two, NOW).unwrap();
    let keys = [one.verifier().unwrap(), two.verifier().unwrap()];
    assert_eq!(note.verify(&keys).unwrap().len(), 2);
    let other = Note::signed("other\n", &one, NOW).unwrap();
    let forged = note
        .to_string()
        .replace(&note.signatures()[0].to_string(), &other.signatures()[0].to_string());
    let forged = Note::parse(forged.as_bytes()).unwrap();
    let bad = NoteError::BadSignature { name: one.name().clone(), id: one.id() };
    assert_eq!(forged.verify(&keys), Err(bad), "although the other one holds");
    assert_eq!(forged.verify(&keys[1..]).unwrap().len(), 1, "its key is not known");
    // The same name and another id, the same id and another name: other keys.
    let mut renamed = one.verifier().unwrap();
    assert_eq!(
        Note::signed("text\n", &one, NOW)
            .unwrap()
            .verify(core::slice::from_ref(&renamed))
            .unwrap()
            .len(),
        1
    );
    renamed = Verifier::new("c".parse().unwrap(), renamed.algorithm(), renamed.public()).unwrap();
    assert!(matches!(forged.verify(&[renamed]), Err(NoteError::Unknown { .. })));
}

#[test]
fn a_cosignature_is_of_its_time_and_its_kind() {
    let text = checkpoint();
    let witness = signer("w.example", Algorithm::Cosignature, 3);
    let key = witness.verifier().unwrap();
    let note = Note::signed(&text, &witness, NOW).unwrap();
    assert_eq!(note.verify(core::slice::from_ref(&key)).unwrap()[0].time(), Some(NOW));
    let own = &note.signatures()[0];
    let moved = |time: u64| {
        let mut bytes = own.bytes.clone();
        bytes[..8].copy_from_slice(&time.to_be_bytes());
        let signature = Signature { bytes, ..own.clone() };
        Note { text: text.as_str().into(), signatures: Vec::from([signature]) }
    };
    assert_eq!(moved(1_679_315_147), note);
    for time in [0, 1_679_315_148, 1 << 63, u64::MAX] {
        assert!(matches!(
            moved(time).verify(core::slice::from_ref(&key)),
            Err(NoteError::BadSignature { .. })
        ));
    }
    // The same secret as a plain key: another id, another message.
    let plain = signer("w.example", Algorithm::Ed25519, 3);
    assert_ne!(plain.id(), witness.id());
    let as_plain = Signature { id: plain.id(), bytes: own.bytes[8..].into(), ..own.clone() };
    let note = Note { text: text.as_str().into(), signatures: Vec::from([as_plain]) };
    assert!(note.verify(&[plain.verifier().unwrap()]).is_err());
    assert_eq!(witness.sign(&text, Timestamp::from_millis(999)), Err(SignError::Time));
}

#[cfg(feature = "ml-dsa")]
mod ml_dsa {
    use super::*;

    #[test]
    fn a_post_quantum_cosignature_signs_what_the_checkpoint_says() {
        let cosigner = signer("w.example/pq", Algorithm::MlDsa44, 5);
        let key = cosigner.verifier().unwrap();
        assert_eq!(key.public().len(), 1312);
        assert_eq!(key.to_string().parse::<Verifier>().unwrap(), key);
        let again = Signer::parse(&cosigner.to_text()).unwrap();
        assert_eq!(again.verifier().unwrap(), key);
        let note = Note::signed(&checkpoint(), &cosigner, NOW).unwrap();
        assert_eq!(note.signatures()[0].bytes().len(), 8 + 2420);
        let read = Note::parse(note.to_string().as_bytes()).unwrap();
        assert_eq!(read.verify(core::slice::from_ref(&key)).unwrap()[0].time(), Some(NOW));
        // Every field of what is signed counts.
        let text = checkpoint();
        for (from, to) in [
            ("behind-the-sofa", "behind-the-wall"),
            ("20852163", "20852164"),
            ("\nCQkJCQkJ", "\nCAkJCQkJ"),
        ] {
            let other = text.replace(from, to);
            assert_ne!(other, text);
            let forged = Note { text: other.into(), signatures: note.signatures.clone() };
            assert!(matches!(
                forged.verify(core::slice::from_ref(&key)),
                Err(NoteError::BadSignature { .. })
            ));
        }
        // Extension lines do not: see `PolicyError::Extensions`.
        let extended = Note { text: (text + "more\n").into(), signatures: note.signatures.clone() };
        assert!(extended.verify(&[key]).is_ok());
        assert_eq!(cosigner.sign("no checkpoint\n", NOW), Err(SignError::NoCheckpoint));
    }

    /// What another implementation signed: see `tests/vectors/notes/README.md`.
    #[test]
    fn a_checkpoint_of_another_implementation_verifies() {
        let key = include_str!("../../../tests/vectors/notes/mldsa-log.vkey");
        let text = include_str!("../../../tests/vectors/notes/mldsa-log.note");
        let key: Verifier = key.trim().parse().unwrap();
        let note: Note = text.parse().unwrap();
        let verified = note.verify(core::slice::from_ref(&key)).unwrap();
        assert_eq!(verified[0].time(), None, "it does not say when");
        let other: Note = text.replacen("\n1\n", "\n2\n", 1).parse().unwrap();
        assert!(other.verify(&[key]).is_err());
    }

    /// The structure of `tlog-cosignature`, written by hand.
    #[test]
    fn the_message_is_the_structure_of_the_specification() {
        let found = cosigned::ml_dsa_44(&"w.example/pq".parse().unwrap(), 7, &checkpoint());
        let mut expected = Vec::new();
        expected.extend_from_slice(b"subtree/v1\n\0");
        expected.extend_from_slice(b"\x0cw.example/pq");
        expected.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 7]);
        expected.extend_from_slice(b"\x1bexample.com/behind-the-sofa");
        expected.extend_from_slice(&[0; 8]);
        expected.extend_from_slice(&[0, 0, 0, 0, 0x01, 0x3e, 0x2d, 0xc3]);
        expected.extend_from_slice(&[9; 32]);
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn a_name_that_has_no_room_is_refused() {
        let name: KeyName = "x".repeat(256).parse().unwrap();
        let refused = Signer::from_seed(name, Algorithm::MlDsa44, &[1; 32]).err().unwrap();
        assert_eq!(refused, KeyError::LongName { limit: 255, found: 256 });
    }

    #[test]
    fn a_note_has_room_for_the_largest_signatures() {
        let line = |n: usize| {
            let bytes = [&[u8::try_from(n).unwrap(); 4][..], &[7; 5000]].concat();
            format!("— w{n} {}\n", base64::encode(&bytes))
        };
        let text = checkpoint() + "\n";
        let full: String = (0..NOTE_SIGNATURES).map(line).collect();
        assert!(Note::parse((text.clone() + &full).as_bytes()).is_ok());
        let more = text + &full + &line(99);
        let refused = Note::parse(more.as_bytes());
        assert_eq!(refused, Err(NoteError::TooManySignatures { limit: NOTE_SIGNATURES }));
        const { assert!(NOTE_SIGNATURES >= 16) };
    }
}

#[test]
fn what_is_no_note_says_what_was_expected_where() {
    let line = NEUMANN_LINE;
    let cases: [(Vec<u8>, &str); 16] = [
        (b"".into(), "expected a text, an empty line and signatures"),
        (format!("text\n{line}\n").into(), "expected a text, an empty line and signatures"),
        (b"text\n\n".into(), "expected a signature after the empty line"),
        (format!("text\n\n{line}").into(), "expected a newline at the end"),
        (format!("te\txt\n\n{line}\n").into(), "no control character, found byte 0x09 at offset 2"),
        (format!("text\r\n\n{line}\n").into(), "found byte 0x0d at offset 4"),
        (b"te\xffxt\n\n".into(), "expected UTF-8 text, found other bytes at offset 2"),
        (
            format!("text\n\n{line}\nmore\n").into(),
            "signature line 2: expected an em dash and a space",
        ),
        (format!("text\n\n- {}\n", &line[4..]).into(), "signature line 1: expected an em dash"),
        ("text\n\n— a+b AAAAAAA=\n".into(), "signature line 1: expected a key's name"),
        ("text\n\n— a\u{a0}b AAAAAAA=\n".into(), "signature line 1: expected a key's name"),
        ("text\n\n—  AAAAAAA=\n".into(), "signature line 1: expected a key's name"),
        ("text\n\n— a AAAAAA==\n".into(), "a key's id of four bytes and a signature"),
        ("text\n\n— a AAAAAAA\n".into(), "base64 as RFC 4648 pads it"),
        ("text\n\n— a AAAAAAB=\n".into(), "base64 as RFC 4648 pads it"),
        ("text\n\n— a AAAAAAA= \n".into(), "base64 as RFC 4648 pads it"),
    ];
    for (bytes, expected) in cases {
        let error = Note::parse(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{}: {error}", bytes.escape_ascii());
    }
    let large = alloc::vec![b'x'; NOTE_BYTES + 1];
    let refused = Note::parse(&large).unwrap_err();
    assert_eq!(refused, NoteError::TooLarge { limit: NOTE_BYTES, found: NOTE_BYTES + 1 });
    for text in ["", "no newline", "tab\t\n", "\0\n"] {
        let key = signer("a", Algorithm::Ed25519, 1);
        assert!(matches!(Note::signed(text, &key, NOW), Err(SignError::Text(_))), "{text:?}");
    }
    // The last empty line ends the text: what looks like signatures before it is text.
    let note = Note::parse(format!("one\n\n{line}\n\n{line}\n").as_bytes()).unwrap();
    assert_eq!(note.text(), format!("one\n\n{line}\n"));
    assert_eq!(note.signatures().len(), 1);
}

#[test]
fn what_is_no_key_says_what_was_expected() {
    let weak = base64::encode(&[&[1][..], &[0; 32]].concat());
    let cases = [
        (FOO.replace('+', " "), "name, id and base64"),
        ("+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".into(), "a key's name"),
        (FOO.replace("530d", "530D"), "eight lower-case hex digits"),
        (FOO.replace("530d903a", "530d903"), "eight lower-case hex digits"),
        (FOO.replace("530d903a", "530d903b"), "expected key id 530d903a, found 530d903b"),
        (FOO.replace("U2k", "U2"), "expected base64"),
        ("a+00000000+AA==".into(), "algorithm 1, 4 or 6, found 0"),
        ("a+00000000+AQ==".into(), "a sound public key: 32 bytes"),
        ("a+00000000+AgAA".into(), "algorithm 1, 4 or 6, found 2"),
        ("a+00000000+".into(), "an algorithm"),
        (format!("a+00000000+{weak}"), "a point of large order"),
    ];
    for (text, expected) in cases {
        let error = text.parse::<Verifier>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let secret = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    for text in [
        NEUMANN_KEY.replace("PRIVATE", "PUBLIC"),
        NEUMANN_KEY.replace("c74f20a3", "c74f20a4"),
        NEUMANN_KEY.replace("AYEK", "AoEK"),
        NEUMANN_KEY.replace("KDFz", "KDFzAAAA"),
        NEUMANN_KEY.replace("KDFz", ""),
        NEUMANN_KEY.replace("KDFz", "KDF!"),
    ] {
        let error = Signer::parse(&text).err().unwrap().to_string();
        assert!(!error.contains(&secret[4..40]), "{error}");
    }
    let shown = format!("{:?}", Signer::parse(NEUMANN_KEY).unwrap());
    assert_eq!(shown, "Signer(PeterNeumann, key hidden)");
}

/// No bit of a signed note may change without notice, but for those of an unknown line.
#[test]
fn every_bit_of_a_signed_note_matters() {
    let key: Verifier = NEUMANN.parse().unwrap();
    let whole = format!("{NEUMANN_TEXT}\n{NEUMANN_LINE}\n");
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let verified =
            Note::parse(&bytes).and_then(|note| note.verify(core::slice::from_ref(&key)));
        assert!(verified.is_err(), "bit {bit}: {}", bytes.escape_ascii());
    }
}

/// The edge cases of Ed25519 (C2SP CCTV). The file says of each signature what is unusual
/// about it and leaves it to the implementation which of these to take; the equation
/// without cofactor holds for those without `low_order_residue`. Strict means: none but
/// those whose key or commitment merely has a part of low order, which nobody but the
/// key's owner can make.
#[test]
fn ed25519_is_strict() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = ["../shared/data/tlog/c2sp", "../../shared/data/tlog/c2sp"]
        .map(|path| root.join(path).join("ed25519vectors.json"));
    let Some(path) = found.iter().find(|path| path.is_file()) else {
        std::println!("skipped: no vectors at ../shared/data/tlog/c2sp/ed25519vectors.json");
        return;
    };
    let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let bytes = |value: &serde_json::Value| -> Vec<u8> {
        let digits = value.as_str().unwrap().as_bytes().chunks(2);
        digits
            .map(|two| u8::from_str_radix(core::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    };
    let (mut taken, mut refused) = (0, 0);
    for vector in vectors.as_array().unwrap() {
        let flags: Vec<&str> =
            vector["flags"].as_array().into_iter().flatten().map(|f| f.as_str().unwrap()).collect();
        let usual =
            |flag: &&str| matches!(*flag, "low_order_component_A" | "low_order_component_R");
        let expected = flags.iter().all(usual);
        let key = Verifier::new("a".parse().unwrap(), Algorithm::Ed25519, &bytes(&vector["key"]));
        let message = vector["msg"].as_str().unwrap().as_bytes();
        let good = key.is_ok_and(|key| key.check(message, &bytes(&vector["sig"])).is_some());
        assert_eq!(good, expected, "{}: {flags:?}", vector["number"]);
        *(if good { &mut taken } else { &mut refused }) += 1;
    }
    assert_eq!((taken, refused), (43, 871));
}
