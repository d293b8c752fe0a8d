use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::*;
use crate::ssot::merkle::{ConsistencyProof, Frontier, InclusionProof, Sha256, TreeHash, naive};
use crate::ssot::note::{Algorithm, Verifier};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn key(name: &str, algorithm: Algorithm, seed: u8) -> Signer {
    Signer::from_seed(name.parse().unwrap(), algorithm, &[seed; 32]).unwrap()
}

fn origin() -> Origin {
    Origin::of_shard("example.com/office", 0).unwrap()
}

fn log() -> Signer {
    key(origin().as_str(), Algorithm::Ed25519, 1)
}

fn witness(seed: u8) -> Signer {
    key(&format!("w{seed}.example"), Algorithm::Cosignature, seed)
}

fn leaves(count: u8) -> Vec<[u8; 32]> {
    (0..count).map(|n| [n; 32]).collect()
}

fn slices(leaves: &[[u8; 32]]) -> Vec<&[u8]> {
    leaves.iter().map(|leaf| &leaf[..]).collect()
}

/// The checkpoint over leaves, signed by the log and others.
fn signed(leaves: &[[u8; 32]], more: &[&Signer]) -> Note {
    let mut tree = Frontier::<Sha256>::new();
    for leaf in leaves {
        tree.push(leaf);
    }
    let log = log();
    let signers: Vec<&Signer> = core::iter::once(&log).chain(more.iter().copied()).collect();
    Checkpoint::new(origin(), tree.size(), tree.root()).sign(&signers, NOW).unwrap()
}

fn consistency(old: usize, leaves: &[[u8; 32]]) -> ConsistencyProof {
    let path = naive::consistency::<Sha256>(old, &slices(leaves));
    ConsistencyProof { old: old as u64, new: leaves.len() as u64, path }
}

fn trusted(leaves: &[[u8; 32]]) -> Trusted {
    Policy::of_log(log().verifier().unwrap()).accept_note(signed(leaves, &[])).unwrap()
}

#[test]
fn an_origin_names_a_log_and_a_shard() {
    let own = origin();
    assert_eq!(own.as_str(), "example.com/office/shard/0");
    assert_eq!((own.log(), own.shard()), ("example.com/office", Some(0)));
    for (line, log, shard) in [
        ("example.com/behind-the-sofa", "example.com/behind-the-sofa", None),
        ("go.sum database tree", "go.sum database tree", None),
        ("a/shard/4294967295", "a", Some(u32::MAX)),
        ("a/shard/4294967296", "a/shard/4294967296", None),
        ("a/shard/01", "a/shard/01", None),
        ("/shard/1", "/shard/1", None),
        ("a/shard/1/shard/2", "a/shard/1", Some(2)),
    ] {
        let origin = Origin::new(line).unwrap();
        assert_eq!((origin.log(), origin.shard()), (log, shard), "{line}");
    }
    assert!(Origin::new("").is_err() && Origin::new("a\nb").is_err());
    assert!(Origin::new(&"x".repeat(255)).is_ok() && Origin::new(&"x".repeat(256)).is_err());
    assert!(Origin::of_shard("two words", 0).is_err() && Origin::of_shard("", 0).is_err());
}

#[test]
fn a_checkpoint_has_one_form() {
    let root = "TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=";
    for text in [
        format!("example.com/origin\n123\n{root}\n"),
        format!("example.com/origin\n0\n{root}\n"),
        format!("e\n18446744073709551615\n{root}\nabc\ndef\n"),
    ] {
        assert_eq!(Checkpoint::parse(&text).unwrap().to_string(), text);
    }
    for (text, expected) in [
        (format!("\n123\n{root}\n"), "line 1"),
        (format!("e\n0123\n{root}\n"), "line 2"),
        (format!("e\n+1\n{root}\n"), "line 2"),
        (format!("e\n-1\n{root}\n"), "line 2"),
        (format!("e\n\n{root}\n"), "line 2"),
        (format!("e\n0x12\n{root}\n"), "line 2"),
        (format!("e\n18446744073709551616\n{root}\n"), "line 2"),
        (format!("e\n1\n{}\n", &root[1..]), "line 3"),
        (format!("e\n1\n{root}A\n"), "line 3"),
        ("e\n1\nAAAA\n".into(), "line 3"),
        ("e\n1\n".into(), "line 3"),
        (format!("e\n1\n{root}\n\n"), "line 4"),
        (format!("e\n1\n{root}\na\n\nb\n"), "line 5"),
        (format!("e\n1\n{root}"), "a newline at the end"),
        (String::new(), "a newline at the end"),
    ] {
        let error = Checkpoint::parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn two_of_three_witnesses_make_the_quorum() {
    let [w1, w2, w3] = [2, 3, 4].map(witness);
    let vkey = |signer: &Signer| signer.verifier().unwrap().to_string();
    let file = format!(
        "# the office\nlog {}\nwitness\tX1 {} https://x1.example/\n witness X2 {}\nwitness X3 {}\n\
         group X 2 X1 X2 X3\nquorum X\n",
        vkey(&log()),
        vkey(&w1),
        vkey(&w2),
        vkey(&w3)
    );
    let policy = Policy::parse(file.as_bytes()).unwrap();
    let accept = |more: &[&Signer]| policy.accept_note(signed(&leaves(3), more));
    assert_eq!(accept(&[]), Err(PolicyError::Quorum { found: 0 }));
    assert_eq!(accept(&[&w1]), Err(PolicyError::Quorum { found: 1 }));
    assert_eq!(accept(&[&w1, &w1]), Err(PolicyError::Quorum { found: 1 }));
    let stranger = witness(9);
    assert_eq!(accept(&[&w1, &stranger]), Err(PolicyError::Quorum { found: 1 }));
    let two = accept(&[&w3, &w1]).unwrap();
    let names: Vec<String> = two.cosigned().iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        ["w4.example at 2023-11-14T22:13:20.000Z", "w2.example at 2023-11-14T22:13:20.000Z"]
    );
    assert_eq!(two.signed(), [log().name().clone()]);
    assert!(accept(&[&w1, &w2, &w3]).is_ok());
    // Witnesses without the log, and a log that the policy does not know.
    let text = signed(&leaves(3), &[]).text().to_string();
    let mut without = Note::signed(&text, &w1, NOW).unwrap();
    without.cosign(&w2, NOW).unwrap();
    assert_eq!(policy.accept_note(without), Err(PolicyError::NoLog { origin: origin() }));
    let other = Origin::of_shard("example.com/other", 0).unwrap();
    let of_other = Checkpoint::new(other.clone(), 1, Hash::from_bytes([1; 32]));
    let note = of_other.sign(&[&log(), &w1, &w2], NOW).unwrap();
    let refused = policy.accept_note(note);
    assert_eq!(refused, Err(PolicyError::NoLog { origin: other.clone() }), "a key of another log");
    assert!(trusted(&leaves(1)).of(&other).is_err() && trusted(&leaves(1)).of(&origin()).is_ok());
}

/// The example of `tlog-policy`: two of the X, any of the Y.
#[test]
fn groups_of_groups() {
    let signers: Vec<Signer> = (2..8).map(witness).collect();
    let mut file = format!("log {}\n", log().verifier().unwrap());
    for (name, signer) in ["X1", "X2", "X3", "Y1", "Y2", "Y3"].iter().zip(&signers) {
        let line = format!("witness {name} {}\n", signer.verifier().unwrap());
        file.push_str(&line);
    }
    file += "group X-witnesses 2 X1 X2 X3\ngroup Y-witnesses any Y1 Y2 Y3\n\
             group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n";
    let policy = Policy::parse(file.as_bytes()).unwrap();
    for set in 0..64_u32 {
        let chosen: Vec<&Signer> =
            signers.iter().enumerate().filter(|(n, _)| set >> n & 1 == 1).map(|(_, s)| s).collect();
        let expected = (set & 7).count_ones() >= 2 && set >> 3 != 0;
        let accepted = policy.accept_note(signed(&leaves(2), &chosen));
        assert_eq!(accepted.is_ok(), expected, "{set:06b}: {accepted:?}");
    }
}

#[test]
fn a_policy_file_says_which_line_is_wrong() {
    let (l, a, b) = (log().verifier().unwrap(), witness(2), witness(3));
    let (a, b) = (a.verifier().unwrap(), b.verifier().unwrap());
    let same =
        Verifier::new("other.name".parse().unwrap(), Algorithm::Ed25519, l.public()).unwrap();
    let head = format!("log {l}\nwitness A {a}\nwitness B {b}\n");
    for (tail, expected) in [
        (String::new(), "expected a line `quorum NAME`"),
        ("quorum C\n".into(), "line 4: expected a witness or group that is defined before"),
        ("quorum A\nquorum B\n".into(), "line 5: the quorum is defined twice"),
        ("group G 3 A B\nquorum G\n".into(), "line 4: expected `all`, `any` or a number"),
        ("group G 0 A B\n".into(), "line 4: expected `all`, `any` or a number"),
        ("group G 01 A B\n".into(), "line 4: expected `all`, `any` or a number"),
        ("group G any\n".into(), "line 4: expected `all`, `any` or a number"),
        ("group G any A A\n".into(), "line 4: expected a witness or group"),
        ("group G any A\ngroup H any A B\n".into(), "line 5: expected a witness or group"),
        ("group G any G\n".into(), "line 4: expected a witness or group"),
        ("group G any none\n".into(), "line 4: expected a witness or group"),
        ("group none any A\n".into(), "line 4: expected a name other than `none`"),
        ("group A any B\n".into(), "line 4: the name is defined twice"),
        (format!("witness C {a}\n"), "line 4: the witness's key is defined twice"),
        (format!("witness C {l}\n"), "line 4: expected a key of algorithm 4 or 6"),
        (format!("log {same}\n"), "line 4: the log's key is defined twice"),
        ("log x+y+z\n".into(), "line 4: expected an id of eight"),
        ("log\n".into(), "line 4: expected `log VKEY [URL]`"),
        ("quorum\n".into(), "line 4: expected `quorum NAME`"),
        ("quorums none\n".into(), "line 4: expected `log`, `witness`"),
        ("quorum none\r\n".into(), "line 4: expected no control character"),
    ] {
        let error = Policy::parse((head.clone() + &tail).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{tail:?}: {error}");
    }
    let policy = Policy::parse(b"quorum none").unwrap();
    assert_eq!(policy.logs().count() + policy.witnesses().count(), 0);
    let named: Vec<u8> =
        [head.as_bytes(), b"group \xe2\x84\xaa\xff 1 A\nquorum \xe2\x84\xaa\xff\n"].concat();
    assert!(Policy::parse(&named).is_ok(), "names are bytes");
    let groups = (0..=crate::limits::POLICY_ENTRIES).map(|n| format!("group G{n} any A\n"));
    let many = groups.collect::<Vec<_>>().concat();
    assert!(Policy::parse((head + &many).as_bytes()).is_err());
}

#[test]
fn every_log_key_can_be_asked_for() {
    let (one, two) = (log(), key(origin().as_str(), Algorithm::Cosignature, 7));
    let vkey = |signer: &Signer| signer.verifier().unwrap();
    let file = format!("log {}\nlog {}\nquorum none\n", vkey(&one), vkey(&two));
    let any = Policy::parse(file.as_bytes()).unwrap();
    let all = any.clone().with_every_log_key();
    let note = signed(&leaves(2), &[]);
    assert!(any.accept_note(note.clone()).is_ok());
    let expected = PolicyError::LogKeys { origin: origin(), expected: 2, found: 1 };
    assert_eq!(all.accept_note(note), Err(expected));
    assert_eq!(all.accept_note(signed(&leaves(2), &[&two])).unwrap().signed().len(), 2);
}

#[cfg(feature = "ml-dsa")]
#[test]
fn extension_lines_need_a_signature_that_covers_them() {
    let post = key(origin().as_str(), Algorithm::MlDsa44, 7);
    let policy = Policy::of_log(post.verifier().unwrap());
    let plain = Checkpoint::new(origin(), 1, Hash::from_bytes([1; 32]));
    let note = plain.sign(&[&post], NOW).unwrap();
    assert!(policy.accept_note(note.clone()).is_ok());
    let extended = note.to_string().replace("\n\n", "\nmore\n\n");
    assert_eq!(policy.accept(extended.as_bytes()), Err(PolicyError::Extensions));
}

#[test]
fn an_empty_log_has_the_root_of_nothing() {
    let policy = Policy::of_log(log().verifier().unwrap());
    let sign = |root| Checkpoint::new(origin(), 0, root).sign(&[&log()], NOW).unwrap();
    assert_eq!(policy.accept_note(sign(Sha256::empty())).unwrap().size(), 0);
    let other = policy.accept_note(sign(Hash::from_bytes([0; 32])));
    assert_eq!(other, Err(PolicyError::EmptyRoot));
}

#[test]
fn what_is_remembered_tells_the_attacks_apart() {
    let all = leaves(20);
    let mut seen = Remembered::first(trusted(&all[..7]));
    assert_eq!(seen.advance(trusted(&all[..7]), None).unwrap(), Advance::Same);
    let proof = consistency(7, &all);
    let unproven = Finding::Unproven { from: 7, to: 20 };
    assert_eq!(seen.advance(trusted(&all), None), Err(unproven));
    assert_eq!(seen.size(), 7, "what is remembered stays");
    assert_eq!(
        seen.advance(trusted(&all), Some(&proof)).unwrap(),
        Advance::Grown { from: 7, to: 20 }
    );
    let kept = seen.note().to_string();
    let policy = Policy::of_log(log().verifier().unwrap());
    assert_eq!(Remembered::load(kept.as_bytes(), &policy).unwrap(), seen);

    let older = Finding::OlderCopy { remembered: 20, found: 7 };
    assert_eq!(seen.advance(trusted(&all[..7]), None), Err(older));
    assert_eq!(seen.advance(trusted(&[]), None), Err(Finding::Deleted { remembered: 20 }));
    let mut other = all.clone();
    other[3] = [99; 32];
    let split = seen.advance(trusted(&other), None).unwrap_err();
    assert!(matches!(split, Finding::SplitView { size: 20, .. }), "{split}");
    other.push([7; 32]);
    let proof = consistency(20, &other);
    let rewritten = Finding::Rewritten { from: 20, to: 21 };
    assert_eq!(seen.advance(trusted(&other), Some(&proof)), Err(rewritten.clone()));
    let prefix = naive::root::<Sha256>(&slices(&other[..20]));
    assert_eq!(seen.advance_over(trusted(&other), Some(&prefix)), Err(rewritten));
    let mut longer = all.clone();
    longer.push([7; 32]);
    // A proof of other sizes is none, though it holds.
    let stale = consistency(7, &longer);
    assert!(seen.advance(trusted(&longer), Some(&stale)).is_err());
    let prefix = naive::root::<Sha256>(&slices(&all));
    assert!(seen.advance_over(trusted(&longer), Some(&prefix)).is_ok());
    let foreign =
        Checkpoint::new("example.com/b/shard/0".parse().unwrap(), 1, Hash::from_bytes([1; 32]));
    let foreign_key = key("example.com/b/shard/0", Algorithm::Ed25519, 5);
    let policy = Policy::of_log(foreign_key.verifier().unwrap());
    let note = foreign.sign(&[&foreign_key], NOW).unwrap();
    let found = seen.advance(policy.accept_note(note).unwrap(), None);
    assert!(matches!(found, Err(Finding::OtherLog { .. })));
}

#[test]
fn a_witness_cosigns_what_continues_and_nothing_else() {
    let all = leaves(20);
    let own = Witness::new(
        [witness(2), key("w3.example", Algorithm::Cosignature, 3)].into(),
        [log().verifier().unwrap()].into(),
    );
    let mut state = BTreeMap::new();
    let mut ask = |old: u64, path: &[Hash], note: Note| {
        let request = AddCheckpoint { old, path: path.into(), note };
        let text = request.to_string();
        assert_eq!(AddCheckpoint::parse(text.as_bytes()).unwrap(), request);
        own.add_checkpoint(&mut state, &request, NOW)
    };
    let note = |count: usize| signed(&all[..count], &[]);
    let status = |answer: Result<Vec<Signature>, Refusal<core::convert::Infallible>>| {
        answer.map(|lines| lines.len()).map_err(|refusal| refusal.status())
    };
    assert_eq!(status(ask(3, &[], note(7))), Err(409), "it has seen nothing yet");
    assert_eq!(
        status(ask(0, &[Hash::from_bytes([0; 32])], note(7))),
        Err(422),
        "no proof is needed"
    );
    assert_eq!(status(ask(0, &[], note(7))), Ok(2));
    assert_eq!(status(ask(7, &[], note(7))), Ok(2), "once more");
    assert_eq!(status(ask(0, &[], note(20))), Err(409));
    assert_eq!(status(ask(9, &[], note(7))), Err(400));
    let mut other = all.clone();
    other[3] = [99; 32];
    assert_eq!(status(ask(7, &[], signed(&other[..7], &[]))), Err(422), "split view");
    let path = consistency(7, &other).path;
    assert_eq!(status(ask(7, &path, signed(&other, &[]))), Err(422), "rewritten");
    assert_eq!(status(ask(7, &[], note(20))), Err(422), "no proof");
    let path = consistency(7, &all).path;
    let cosignatures = ask(7, &path, note(20)).unwrap();
    assert_eq!(status(ask(7, &path, note(7))), Err(409), "rollback");
    let foreign_key = key("example.com/b", Algorithm::Ed25519, 5);
    let foreign = Checkpoint::new("example.com/b".parse().unwrap(), 1, Hash::from_bytes([1; 32]));
    assert_eq!(status(ask(0, &[], foreign.sign(&[&foreign_key], NOW).unwrap())), Err(404));
    let unsigned = Note::signed(note(20).text(), &witness(9), NOW).unwrap();
    assert_eq!(status(ask(20, &[], unsigned)), Err(403));
    let forged = note(20).to_string().replace("\n20\n", "\n21\n");
    assert_eq!(status(ask(20, &[], Note::parse(forged.as_bytes()).unwrap())), Err(403));

    let file = format!(
        "log {}\nwitness a {}\nquorum a\n",
        log().verifier().unwrap(),
        witness(2).verifier().unwrap()
    );
    let mut cosigned = note(20);
    for line in cosignatures {
        cosigned.add(Signature::parse(&format!("{line}\n")).unwrap()).unwrap();
    }
    let accepted = Policy::parse(file.as_bytes()).unwrap().accept_note(cosigned).unwrap();
    assert_eq!(accepted.cosigned()[0].time, Some(NOW));
}

use crate::ssot::note::Signature;

/// Two requests at once: the one that comes second finds that something else was seen.
#[test]
fn a_race_is_lost_by_one() {
    struct Racing(BTreeMap<Origin, Seen>);
    impl WitnessState for Racing {
        type Error = &'static str;
        fn latest(&self, origin: &Origin) -> Result<Option<Seen>, Self::Error> {
            Ok(self.0.get(origin).copied())
        }
        fn replace(
            &mut self,
            origin: &Origin,
            _: Option<Seen>,
            new: Seen,
        ) -> Result<bool, Self::Error> {
            self.0.insert(origin.clone(), Seen { size: 9, ..new });
            Ok(false)
        }
    }
    let own = Witness::new([witness(2)].into(), [log().verifier().unwrap()].into());
    let request = AddCheckpoint { old: 0, path: Vec::new(), note: signed(&leaves(7), &[]) };
    let refused = own.add_checkpoint(&mut Racing(BTreeMap::new()), &request, NOW);
    assert_eq!(refused, Err(Refusal::Conflict { old: 0, latest: 9 }));
}

#[test]
fn a_request_says_which_line_is_wrong() {
    let note = signed(&leaves(2), &[]);
    let hash = base64::encode(&[7; 32]);
    for (text, expected) in [
        (format!("old\n\n{note}"), "line 1"),
        (format!("old 01\n\n{note}"), "line 1"),
        (format!("old 1\n{hash}A\n\n{note}"), "line 2"),
        (format!("old 1\n{hash}\n{note}"), "line 3"),
        (format!("old 1\n{}\n{note}", format!("{hash}\n").repeat(64)), "line 65"),
        ("old 1\n".into(), "line 2"),
        ("old 1\n\n".into(), "an empty line and signatures"),
    ] {
        let error = AddCheckpoint::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    let most = format!("old 1\n{}\n{note}", format!("{hash}\n").repeat(63));
    assert_eq!(AddCheckpoint::parse(most.as_bytes()).unwrap().path.len(), 63);
}

#[test]
fn a_logged_proof_is_one_file() {
    let all = leaves(11);
    let policy = Policy::of_log(log().verifier().unwrap());
    for (index, extra) in [(0, None), (4, Some(Vec::from(*b"more"))), (10, Some(Vec::new()))] {
        let path = naive::inclusion::<Sha256>(index, &slices(&all));
        let note = signed(&all, &[]);
        let proof = LoggedProof { extra, index: index as u64, path, note };
        let text = proof.to_string();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\n"), "{text}");
        let read = LoggedProof::parse(text.as_bytes()).unwrap();
        assert_eq!(read, proof);
        assert_eq!(read.verify(&all[index], &policy).unwrap().size(), 11);
        let wrong = read.verify(&[200; 32], &policy).unwrap_err();
        assert!(matches!(wrong, ProofFileError::Path(_)));
        let moved = LoggedProof { index: (index as u64 + 1) % 11, ..read.clone() };
        assert!(moved.verify(&all[index], &policy).is_err());
        let stranger =
            Policy::of_log(key(origin().as_str(), Algorithm::Ed25519, 9).verifier().unwrap());
        assert!(matches!(read.verify(&all[index], &stranger), Err(ProofFileError::Policy(_))));
        let direct = InclusionProof { index: index as u64, size: 11, path: read.path };
        let root = naive::root::<Sha256>(&slices(&all));
        assert!(direct.verify::<Sha256>(&Sha256::leaf(&all[index]), &root).is_ok());
    }
    let text = LoggedProof { extra: None, index: 3, path: Vec::new(), note: signed(&all, &[]) }
        .to_string();
    for (from, to, expected) in [
        ("@v1", "@v2", "line 1"),
        ("index 3", "index 03", "line 2"),
        ("index 3", "extra !\nindex 3", "line 2"),
        ("index 3", "extra AAAA", "line 3"),
        ("index 3\n", "index 3\nAAAA\n", "line 3"),
    ] {
        let error =
            LoggedProof::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{to}: {error}");
    }
}
