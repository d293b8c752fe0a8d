//! `prospera bundle`, `prospera verify bundle` and `prospera forget`.

use prospera::bundle::{Bundle, PayloadState};
use prospera::routing::EvidenceBlock;
use prospera::ssot::checkpoint::{Checkpoint, Origin, Policy};
use prospera::ssot::note::{Algorithm, Signer};
use prospera::ssot::record::{Record, RecordKind};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::Store;
use prospera::time::Timestamp;
use serde_json::Value;

use crate::support::{Place, example};

const ORIGIN: &str = "example.com/office/shard/0";

fn signer() -> Signer {
    Signer::from_seed(ORIGIN.parse().unwrap(), Algorithm::Ed25519, &[7; 32]).unwrap()
}

/// The office's Monday in `o.redb`, and the log's keys in `log.key` and `log.vkey`.
fn office(salted: bool) -> Place {
    let place = Place::new();
    let office = example("office");
    let mut args = vec!["route", &office, "--store", "o.redb"];
    if salted {
        args.push("--salted");
    }
    place.run(&args).code(0);
    place.write("log.key", &signer().to_text());
    place.write("log.vkey", &format!("{}\n", signer().verifier().unwrap()));
    place
}

/// Every route of the scenario, of every verdict, has a bundle that verifies once its store
/// is gone.
#[test]
fn every_route_of_the_office_has_a_bundle() {
    for salted in [false, true] {
        let place = office(salted);
        let store = RedbStore::open_read_only(place.path("o.redb")).unwrap();
        let head = store.tree_head().unwrap();
        let checkpoint = Checkpoint::new(Origin::new(ORIGIN).unwrap(), head.size, head.root);
        let note = checkpoint.sign(&[&signer()], Timestamp::from_secs(1)).unwrap();
        let mut bundles = Vec::new();
        for stored in store.read(0, 1000).unwrap() {
            let record = Record::decode_sealed(&stored.bytes).unwrap();
            if record.kind() == RecordKind::EvidenceBlock {
                let block: EvidenceBlock = record.read().unwrap();
                let bundle = Bundle::gather(&store, record.index(), &note)
                    .unwrap_or_else(|e| panic!("record {}: {e}", record.index()));
                bundles.push((bundle, block));
            }
        }
        drop(store);
        std::fs::remove_file(place.path("o.redb")).unwrap();
        let trust = Policy::of_log(signer().verifier().unwrap());
        let (mut verdicts, mut sizes) = (std::collections::BTreeMap::new(), Vec::new());
        for (bundle, block) in &bundles {
            let read = Bundle::from_bytes(&bundle.to_bytes()).unwrap();
            let seen = read
                .verify(&trust)
                .unwrap_or_else(|e| panic!("{} of {}: {e}", block.verdict, block.timestamp));
            assert_eq!(seen.evidence, *block);
            assert!(seen.payloads.iter().all(|p| p.state == PayloadState::Shown));
            let json = bundle.to_json().to_string();
            assert_eq!(Bundle::from_json(&json).unwrap(), *bundle);
            *verdicts.entry(block.verdict).or_insert(0) += 1;
            sizes.push((bundle.size(), json.len()));
        }
        let counts: Vec<usize> = verdicts.into_values().collect();
        assert_eq!(counts, [7, 2, 2, 3, 10], "allow, modify, step up, defer, deny");
        sizes.sort_unstable();
        println!("salted {salted}: bytes from {:?} to {:?}", sizes[0], sizes[sizes.len() - 1]);
    }
}

#[test]
fn a_bundle_is_verified_with_one_key_and_nothing_else() {
    let place = office(true);
    let args = ["bundle", "o.redb", "r-04", "--key", "log.key", "--out", "r-04.json"];
    let written = place.run(&args).code(0);
    assert!(written.out.starts_with("r-04.json: route "), "{}", written.out);
    let again = place.run(&args).code(2);
    assert!(again.err.contains("nothing is overwritten"), "{}", again.err);
    let path = "intent/arguments/bcc/value";
    let mut held = args.to_vec();
    held[6] = "held.bundle";
    held.extend(["--binary", "--withhold", path, "--withhold", "output"]);
    place.run(&held).code(0);
    std::fs::remove_file(place.path("o.redb")).unwrap();
    let vkey = signer().verifier().unwrap().to_string();
    let page = place.run(&["verify", "bundle", "r-04.json", "--key", &vkey]).code(0).out;
    for text in [
        "r-04.json: VERIFIED, MODIFY",
        "who         agent `",
        "what        mail.send by `",
        "arguments/bcc/value = \"archive@collect.example\"",
        "verdict     modify",
        "Governance    narrowed",
        "governance.modify [no-blind-copies-after-reading-mail]",
        "policy      ",
        "catalogue     ",
        "put into force by `operator`",
        "executed    after it was recorded: done",
        "withheld    nothing",
        "checkpoint  example.com/office/shard/0, ",
        "signed by example.com/office/shard/0",
    ] {
        assert!(page.contains(text), "{text}\n{page}");
    }
    let page = place.run(&["verify", "bundle", "held.bundle", "--key", "log.vkey"]).code(0).out;
    assert!(!page.contains("archive@collect.example"), "{page}");
    assert!(page.contains(&format!("withheld    {path}")), "{page}");
    let json = ["verify", "bundle", "held.bundle", "--key", "log.vkey", "--format", "json"];
    let seen: Value = serde_json::from_str(&place.run(&json).code(0).out).unwrap();
    assert_eq!(seen["evidence"]["verdict"], "modify");
    // Another key, another byte, another text.
    let other = Signer::from_seed(ORIGIN.parse().unwrap(), Algorithm::Ed25519, &[8; 32]).unwrap();
    let other = other.verifier().unwrap().to_string();
    let refused = place.run(&["verify", "bundle", "r-04.json", "--key", &other]).code(1);
    assert!(refused.out.contains("r-04.json: NOT verified"), "{}", refused.out);
    place.edit("r-04.json", "\"verdict\": \"modify\"", "\"verdict\": \"allow\"");
    let refused = place.run(&["verify", "bundle", "r-04.json", "--key", &vkey]).code(1);
    assert!(refused.out.contains("differs from what its bytes say"), "{}", refused.out);
    let nothing = place.run(&["verify", "bundle", "r-04.json"]).code(2);
    assert!(nothing.err.contains("--key"), "{}", nothing.err);
}

#[test]
fn a_field_of_a_plain_payload_is_not_withheld_alone() {
    let place = office(false);
    let args = ["bundle", "o.redb", "r-04", "--key", "log.key", "--withhold"];
    let mut field = args.to_vec();
    field.push("intent/arguments/bcc/value");
    let refused = place.run(&field).code(2);
    assert!(refused.err.contains("can be withheld as a whole only: `intent`"), "{}", refused.err);
    let mut whole = args.to_vec();
    whole.extend(["intent", "--out", "b.json"]);
    place.run(&whole).code(0);
    let page = place.run(&["verify", "bundle", "b.json", "--key", "log.vkey"]).code(0).out;
    assert!(page.contains("withheld    intent"), "{page}");
    assert!(page.contains("whoever has a guess can confirm it"), "{page}");
    let none = place.run(&["bundle", "o.redb", "r-04"]).code(2);
    assert!(none.err.contains("expected `--key FILE` or `--checkpoint FILE`"), "{}", none.err);
}

#[test]
fn a_subject_is_forgotten_and_everything_still_verifies() {
    let place = office(true);
    let policy = format!("{}/policy", example("office"));
    let token = format!("{}/tokens/tomas.jwt", example("office"));
    let forget = ["forget", "o.redb", "books", "--policy", &policy, "--token", &token];
    let mut forget = forget.to_vec();
    forget.extend(["--note", "left us", "--now", "1767606600000"]);
    let done = place.run(&forget).code(0);
    assert!(done.out.contains("payloads and the subject's key erased, by `tomas`"), "{}", done.out);
    let verified = place.run(&["verify", "o.redb"]).code(0);
    assert!(verified.out.contains("erased"), "{}", verified.out);
    // A route of theirs by its index.
    let store = RedbStore::open_read_only(place.path("o.redb")).unwrap();
    let route = store.read(0, 1000).unwrap().into_iter().find_map(|stored| {
        let record = Record::decode_sealed(&stored.bytes).unwrap();
        let evidence = record.kind() == RecordKind::EvidenceBlock;
        let block: Option<EvidenceBlock> = evidence.then(|| record.read().unwrap());
        block.filter(|b| b.subject.as_str() == "books" && b.kind.is_some()).map(|_| record.index())
    });
    drop(store);
    let route = route.unwrap().to_string();
    place.run(&["bundle", "o.redb", &route, "--key", "log.key", "--out", "b.json"]).code(0);
    let page = place.run(&["verify", "bundle", "b.json", "--key", "log.vkey"]).code(0).out;
    assert!(page.contains(", ERASED") && page.contains("left us"), "{page}");
}
