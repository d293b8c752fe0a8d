//! What is paid before a route begins: `cargo bench --features jwt,files --bench doors`.
//!
//! An intent is read from JSON, checked against the schema of its kind and labelled; a
//! session's token is verified once, when it opens. Rows of their own, because a route
//! starts behind them.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::collections::BTreeMap;
use std::hint::black_box;

use divan::Bencher;
use prospera::identity::{IdentityPolicy, Session, TokenVerifier, VerifiedClaims};
use prospera::intent::intake::{Channel, native};
use prospera::intent::{Argument, Catalogue, Submission};
use prospera::limits::Limits;
use prospera::policy::PolicyFolder;
use prospera::provenance::{Label, Source};
use prospera::testing::world::Setup;
use prospera::time::Timestamp;

use common::report::{self, Report, batch, rivals};

mod common;

const TEXT: &str = r#"{"kind":"note.write","subject":"alice","session":"s-1","objective":"Write down: Buy bread.","arguments":{"name":"today","text":"Buy bread."}}"#;

/// A Monday morning within the life of the example's tokens.
const NOW: Timestamp = Timestamp::from_secs(1_767_603_600);

fn main() {
    divan::main();
    if report::only_tried() {
        return;
    }
    let mut report = Report::begin("before a route");
    let catalogue = Setup::sample().unwrap().catalogue;
    let schema = Schema::new();
    let token = Token::new();
    let times = rivals(
        60,
        &mut [
            &mut || batch(200, || drop(black_box(read(&catalogue)))),
            &mut || batch(500, || assert!(schema.holds())),
            &mut || batch(20, || drop(black_box(token.verify()))),
            &mut || batch(20, || drop(black_box(token.open()))),
        ],
    );
    let [json, schema, verified, opened] = times[..] else { return };
    report.time("intent-from-json", "intent from JSON, checked and labelled", json);
    report.time("schema-check", "JSON Schema of a payment, checked", schema);
    report.time("token", "token verified (JWT, EdDSA)", verified);
    report.time("session-open", "  and its session opened", opened);
    report.end();
}

/// JSON, strict; the catalogue's check; labels from the user's own words; the hash.
fn read(catalogue: &Catalogue) -> Submission {
    let channel = Channel::new(Source::User);
    let expanded = native::read(black_box(TEXT.as_bytes()), &channel, &Limits::DEFAULT).unwrap();
    let submission = expanded.submit(catalogue, &Label::empty(), None);
    assert!(submission.intent().is_some());
    submission
}

fn folder() -> PolicyFolder {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/office/policy");
    PolicyFolder::load(path).unwrap()
}

/// A kind with a JSON Schema, and arguments that keep to it.
struct Schema {
    folder: PolicyFolder,
    arguments: BTreeMap<Box<str>, Argument>,
}

impl Schema {
    fn new() -> Self {
        let argument = |value| Argument { value, label: Source::User.into() };
        let arguments = [
            ("to".into(), argument("DE02120300000000202051".into())),
            ("amount".into(), argument(1200.into())),
            ("invoice".into(), argument("R-2026-01".into())),
        ];
        Self { folder: folder(), arguments: arguments.into() }
    }

    fn holds(&self) -> bool {
        let check = self.folder.catalogue().check("payment.send").unwrap();
        check.check(black_box(&self.arguments)).is_ok()
    }
}

/// A signed token, the key set and the policy it is checked with.
struct Token {
    verifier: TokenVerifier,
    policy: IdentityPolicy,
    text: &'static str,
}

impl Token {
    fn new() -> Self {
        let folder = folder();
        Self {
            verifier: TokenVerifier::from_jwks(folder.keys().unwrap()).unwrap(),
            policy: folder.identity().clone(),
            text: include_str!("../examples/office/tokens/nora.jwt").trim(),
        }
    }

    fn verify(&self) -> VerifiedClaims {
        self.verifier.verify(black_box(self.text), NOW, &self.policy).unwrap()
    }

    fn open(&self) -> Session {
        Session::open(self.verify(), NOW, &self.policy).unwrap()
    }
}

#[divan::bench]
fn intent_from_json(bencher: Bencher<'_, '_>) {
    let catalogue = Setup::sample().unwrap().catalogue;
    bencher.bench(|| read(&catalogue));
}

#[divan::bench]
fn schema_check(bencher: Bencher<'_, '_>) {
    let schema = Schema::new();
    bencher.bench(|| assert!(schema.holds()));
}

#[divan::bench]
fn token_verified(bencher: Bencher<'_, '_>) {
    let token = Token::new();
    bencher.bench(|| token.verify());
}
