//! Tokens that are expired, forged, replayed: of sessions (JWT), of routes (RAT), and of
//! routes between processes (PASETO).
//!
//! D-28, D-54.

use std::collections::BTreeMap;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use prospera::audience::classifier::Class;
use prospera::audience::state::State;
use prospera::digest::Digest;
use prospera::governance::{
    ApprovalToken, PortableError, ReplayError, ReplayMemory, SigningKey, TokenMint, Trust,
};
use prospera::identity::{IdentityError, IdentityPolicy, IdentitySystem, Session, TokenVerifier};
use prospera::limits::{DELEGATION_LINKS, Limits, TOKEN_BYTES};
use prospera::modeling::Profile;
use prospera::provenance::Label;
use prospera::routing::terminal::Terminal as _;
use prospera::routing::{
    EngineSet, GovernanceView, Reception, Route, Router, RouterError, SafetyView, layers,
};
use prospera::ssot::redb::RedbStore;
use prospera::time::Timestamp;
use prospera::verdict::ReasonCode::{
    SessionExpired, SessionNotYetValid, SessionRevoked, SessionStale, TokenInvalid,
};
use prospera::verdict::{Consensus, ReasonCode, Verdict};
use serde_json::{Value, json};

use crate::house::{House, digests};
use crate::world::{START, TestEngines, name, operator};

const SECRET: &str = "k4.secret.tMv7Q99M4hByfZU-SnEzB_oZu32fhQQUONnhG5QqN3Qeudu7vAR8A_1wYE4AcfCYfhayi3VyJcEfAEFdDiCxog";

fn secs() -> u64 {
    START.as_millis() / 1000
}

fn claims(changes: &Value) -> Value {
    let mut all = json!({
        "iss": "issuer", "aud": "prospera", "sub": "alice", "jti": "t-1", "session": "s-jwt",
        "iat": secs() - 10, "nbf": secs() - 10, "exp": secs() + 600, "consent": true,
        "principal_kind": "human", "scope": "work admin", "amr": ["pwd"],
    });
    for (claim, value) in changes.as_object().unwrap() {
        all[claim] = value.clone();
    }
    all
}

fn signed_by(key: &[u8], changes: &Value) -> String {
    let header = Header { kid: Some("ed".into()), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, &claims(changes), &EncodingKey::from_ed_der(key)).unwrap()
}

fn signed(changes: &Value) -> String {
    signed_by(include_bytes!("../keys/ed.pk8.der"), changes)
}

fn verifier() -> TokenVerifier {
    TokenVerifier::from_jwks(include_str!("../keys/jwks.json")).unwrap()
}

/// What a token is told that opens no session; the log is as it was.
#[track_caller]
fn refused(house: &House, token: &str) -> IdentityError {
    let before = digests(house.router.store());
    let error = verifier().verify(token, house.world.now(), &house.world.identity()).unwrap_err();
    assert_eq!(digests(house.router.store()), before);
    for part in token.split('.').filter(|part| part.len() > 8) {
        assert!(!format!("{error} {error:?}").contains(part), "the token is in its error");
    }
    error
}

/// A desk of the session that a token opens.
fn admitted(house: &mut House, token: &str) {
    let now = house.world.now();
    let claims = verifier().verify(token, now, &house.world.identity()).unwrap();
    let session = Session::open(claims, now, &house.world.identity()).unwrap();
    house.desk = house.router.open(session).unwrap();
}

#[test]
fn a_good_token_opens_a_session() {
    let mut house = House::new();
    admitted(&mut house, &signed(&json!({})));
    let intent = house.world.intent("s-jwt", "note.add");
    house.allows(intent);
    house.stays_whole();
}

#[test]
fn an_expired_token() {
    let mut house = House::new();
    let error = refused(&house, &signed(&json!({"exp": secs() - 31})));
    let IdentityError::Expired { expires_at, now } = error else { panic!("{error}") };
    assert_eq!((expires_at, now), (Timestamp::from_secs(secs() - 31), START));
    let old = refused(&house, &signed(&json!({"iat": secs() - 931})));
    assert!(matches!(old, IdentityError::Stale { limit_ms: 900_000, found_ms: 931_000 }), "{old}");
    // It ends between its check and the opening of its session.
    let claims = verifier().verify(&signed(&json!({})), START, &house.world.identity()).unwrap();
    let late = START.plus_millis(630_000);
    let error = Session::open(claims, late, &house.world.identity()).unwrap_err();
    assert!(matches!(error, IdentityError::Expired { .. }), "{error}");
    // Good when its session opened, at its end while it is used.
    admitted(&mut house, &signed(&json!({})));
    house.world.clock.set(START.plus_millis(629_999));
    let intent = house.world.numbered("s-jwt", "note.add", 1);
    house.allows(intent);
    house.world.clock.set(START.plus_millis(630_000));
    let intent = house.world.numbered("s-jwt", "note.add", 2);
    let reason = house.denies(intent, SessionExpired);
    assert!(reason.detail.contains("2027-01-15T08:10:00.000Z"), "{reason}");
    house.stays_whole();
}

#[test]
fn a_token_that_is_not_yet_valid() {
    let house = House::new();
    for changes in [json!({"nbf": secs() + 31}), json!({"iat": secs() + 31})] {
        let error = refused(&house, &signed(&changes));
        let IdentityError::NotYetValid { valid_from, now } = error else { panic!("{error}") };
        assert_eq!((valid_from, now), (Timestamp::from_secs(secs() + 31), START));
    }
    house.ends_well();
}

#[test]
fn a_session_that_lasts_too_long() {
    let mut house = House::new();
    admitted(&mut house, &signed(&json!({"exp": secs() + 1_000_000})));
    house.world.clock.set(START.plus_millis(28_800_000 + 30_001));
    let intent = house.world.intent("s-jwt", "note.add");
    let reason = house.denies(intent, SessionStale);
    assert!(reason.detail.contains("28800000"), "{reason}");
    house.stays_whole();
}

#[test]
fn a_forged_token() {
    let house = House::new();
    let signature = IdentityError::Signature { key: "ed".into() };
    let other = signed_by(include_bytes!("../keys/ed2.pk8.der"), &json!({}));
    assert_eq!(refused(&house, &other), signature);
    // Another's claims under a good signature, a flipped bit in it, and none at all.
    let (mine, root) = (signed(&json!({})), signed(&json!({"sub": "root"})));
    let mine: Vec<_> = mine.split('.').collect();
    let root: Vec<_> = root.split('.').collect();
    assert_eq!(refused(&house, &[mine[0], root[1], mine[2]].join(".")), signature);
    let first = if mine[2].starts_with('A') { "B" } else { "A" };
    let flipped = format!("{first}{}", &mine[2][1..]);
    assert_eq!(refused(&house, &[mine[0], mine[1], &flipped].join(".")), signature);
    assert_eq!(refused(&house, &[mine[0], mine[1], ""].join(".")), signature);
    house.ends_well();
}

#[test]
fn a_token_of_no_or_another_algorithm() {
    let house = House::new();
    let payload = signed(&json!({})).split('.').nth(1).unwrap().to_owned();
    // {"alg":"none","kid":"ed"}, and with `None`.
    for header in ["eyJhbGciOiJub25lIiwia2lkIjoiZWQifQ", "eyJhbGciOiJOb25lIiwia2lkIjoiZWQifQ"] {
        let error = refused(&house, &format!("{header}.{payload}."));
        let found = "a header without a known algorithm";
        assert_eq!(error, IdentityError::TokenShape { found });
    }
    // The public key as a shared secret.
    let jwks: Value = serde_json::from_str(include_str!("../keys/jwks.json")).unwrap();
    let secret = jwks["keys"][2]["n"].as_str().unwrap().as_bytes();
    let header = Header { kid: Some("rsa".into()), ..Header::new(Algorithm::HS256) };
    let key = EncodingKey::from_secret(secret);
    let confused = jsonwebtoken::encode(&header, &claims(&json!({})), &key).unwrap();
    let expected = IdentityError::Algorithm { expected: "RS256", found: "HMAC", key: "rsa".into() };
    assert_eq!(refused(&house, &confused), expected);
    house.ends_well();
}

#[test]
fn a_token_for_somebody_else() {
    let house = House::new();
    let error = refused(&house, &signed(&json!({"iss": "another"})));
    assert!(matches!(error, IdentityError::Issuer { .. }), "{error}");
    assert_eq!(error.to_string(), "expected issuer `issuer`, found `another`");
    let error = refused(&house, &signed(&json!({"aud": ["theirs"]})));
    assert_eq!(error.to_string(), "expected audience `prospera`, found `theirs`");
    house.ends_well();
}

#[test]
fn a_truncated_token() {
    let house = House::new();
    let token = signed(&json!({}));
    for end in (0..token.len()).step_by(29) {
        let error = refused(&house, &token[..end]);
        let expected = matches!(
            error,
            IdentityError::TokenShape { .. }
                | IdentityError::Signature { .. }
                | IdentityError::UnknownKey { .. }
        );
        assert!(expected, "cut at {end}: {error}");
    }
    house.ends_well();
}

#[test]
fn an_oversized_token() {
    let house = House::new();
    let error = refused(&house, &signed(&json!({"note": "x".repeat(TOKEN_BYTES)})));
    let IdentityError::TokenSize { limit: TOKEN_BYTES, found } = error else { panic!("{error}") };
    assert!(found > TOKEN_BYTES);
    house.ends_well();
}

#[test]
fn a_token_that_was_revoked() {
    let mut house = House::new();
    let token = signed(&json!({}));
    admitted(&mut house, &token);
    let strict = |house: &House| -> IdentityPolicy {
        house.world.identity().edit().revoke_token(name("t-1")).build()
    };
    let now = house.world.now();
    let error = verifier().verify(&token, now, &strict(&house)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected a token that stands, found `t-1` on the revocation list"
    );
    // The session it opened ends with it, at the next route.
    let policy = strict(&house);
    let House { folder, world, router, desk, acknowledged } = house;
    let engines: TestEngines =
        EngineSet { identity: IdentitySystem::new(policy), ..world.engines() };
    let (rules, clock) = (world.rules(), world.clock);
    let router = Router::new(engines, rules, router.into_store(), clock, operator()).unwrap();
    let mut house = House { folder, world, router, desk, acknowledged };
    let intent = house.world.intent("s-jwt", "note.add");
    let reason = house.denies(intent, SessionRevoked);
    assert!(reason.detail.contains("`t-1`"), "{reason}");
    house.stays_whole();
}

/// One token opens one session once, in this process and in any later one over the log.
#[test]
fn a_replayed_token() {
    let mut house = House::new();
    let token = signed(&json!({}));
    admitted(&mut house, &token);
    let replay = |house: &House| {
        let now = house.world.now();
        let claims = verifier().verify(&token, now, &house.world.identity()).unwrap();
        let before = digests(house.router.store());
        let session = Session::open(claims, now, &house.world.identity()).unwrap();
        let error = house.router.open(session).unwrap_err();
        assert!(matches!(error, RouterError::SessionExists { .. }), "{error}");
        assert!(error.to_string().starts_with("session `s-jwt` was opened before"), "{error}");
        assert_eq!(digests(house.router.store()), before);
    };
    replay(&house);
    let path = house.path();
    let House { folder, world, router, desk, acknowledged } = house;
    drop((router, desk));
    let router = world.router(RedbStore::open(path).unwrap());
    let desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
    let house = House { folder, world, router, desk, acknowledged };
    replay(&house);
    house.ends_well();
}

#[test]
fn a_delegation_chain_that_is_too_long() {
    let house = House::new();
    let chain = |links: usize| {
        (1..links).fold(json!({"sub": "a0"}), |act, i| json!({"sub": format!("a{i}"), "act": act}))
    };
    let token = signed(&json!({"act": chain(DELEGATION_LINKS)}));
    let (now, policy) = (house.world.now(), house.world.identity());
    assert!(verifier().verify(&token, now, &policy).is_ok());
    let error = refused(&house, &signed(&json!({"act": chain(DELEGATION_LINKS + 1)})));
    assert_eq!(error, IdentityError::DelegationLength { limit: 8, found: 9 });
    let low = verifier().within(&Limits::DEFAULT.with_delegation_links(7));
    let error = low.verify(&token, now, &policy).unwrap_err();
    assert_eq!(error, IdentityError::DelegationLength { limit: 7, found: 8 });
    house.ends_well();
}

/// A route that Governance has passed, and its token.
struct Walk {
    route: Route<layers::Governance>,
    token: ApprovalToken,
}

impl Walk {
    fn new(house: &House, kind: &str) -> Self {
        let (world, engines) = (&house.world, house.router.engines());
        let session = world.alice("s-1");
        let facts = prospera::memory::Facts::of(session.subject().clone());
        let reception = Reception {
            session: &session,
            state: State::Verified,
            class: 2,
            snapshot: facts.snapshot(),
            pins: Digest::ZERO,
            standing: Consensus::NONE,
            now: world.now(),
            wait_until: world.now(),
        };
        let (history, context) = (BTreeMap::new(), Label::empty());
        let safety = SafetyView { state: State::Verified, context: &context, staleness_millis: 0 };
        let view = GovernanceView {
            session: &session,
            state: State::Verified,
            class: Class::B,
            context: &context,
            history: &history,
            approval: None,
            lineage_intact: true,
            ask: false,
            token_millis: 1000,
            nonce: [1; 16],
        };
        let rules = house.router.rules();
        let route = Route::receive(world.intent("s-1", kind), &reception)
            .identify(&engines.identity, &session)
            .unwrap()
            .package(&engines.intent, rules.catalogue)
            .unwrap()
            .model(&engines.modeling, &Profile::default())
            .unwrap()
            .recall(&engines.memory, &facts)
            .unwrap()
            .assess(&engines.safety, &safety)
            .unwrap();
        let (route, token) =
            route.govern(&engines.governance, &view, &rules.table, &rules.mint).unwrap();
        Self { route, token }
    }

    /// How the Pipeline answers: nothing when it takes the token. The verdict is a denial.
    fn plan(self, house: &House, mint: &TokenMint, now: Timestamp) -> Vec<ReasonCode> {
        let (engines, table) = (house.router.engines(), &house.router.rules().table);
        let state = State::Verified;
        match self.route.plan(&engines.pipeline, table, state, self.token, mint, now) {
            Ok(_) => Vec::new(),
            Err(halt) => {
                assert!(halt.evidence().verdict >= Verdict::Defer);
                halt.reasons().iter().map(|reason| reason.code).collect()
            }
        }
    }
}

/// A Routing Approval Token is made by Governance alone, for one route, for a time, and is
/// consumed (using one twice and making one do not compile: `tests/ui/routing/`).
#[test]
fn a_routing_approval_token_forged_expired_or_of_another_route() {
    let house = House::new();
    let (now, mint) = (house.world.now(), &house.router.rules().mint);
    let walk = || Walk::new(&house, "note.add");
    assert_eq!(walk().plan(&house, mint, now.plus_millis(999)), []);
    assert_eq!(walk().plan(&house, mint, now.plus_millis(1000)), [TokenInvalid]);
    assert_eq!(walk().plan(&house, &TokenMint::new([8; 32]), now), [TokenInvalid]);
    let other = Walk { token: Walk::new(&house, "note.read").token, ..walk() };
    assert_eq!(other.plan(&house, mint, now), [TokenInvalid]);
    assert_eq!(house.world.effects.count(), 1, "nothing was executed");
    house.ends_well();
}

/// Between processes: a text that was changed, has ended, was imported before, or is for
/// somebody else is no token; nothing is spent by it.
#[test]
fn a_portable_token_forged_expired_or_replayed() {
    let house = House::new();
    let now = house.world.now();
    let key = SigningKey::from_paserk(SECRET).unwrap();
    let trust = || Trust::new(name("gate-a"), name("pipeline-b")).with_key(key.verifying_key());
    let export = || {
        let token = Walk::new(&house, "note.add").token;
        token.export(&key, &name("gate-a"), &name("pipeline-b"), now).unwrap().into_string()
    };
    let (mint, mut seen) = (TokenMint::new([9; 32]), ReplayMemory::new());
    let text = export();
    let mut refused = |text: &str, trust: &Trust, now| {
        let error = mint.import(text, trust, now, &mut seen).unwrap_err();
        assert!(seen.is_empty(), "a text that is refused spends nothing");
        error
    };
    let body = text.strip_prefix("v4.public.").unwrap();
    for at in [0, 40, body.find('.').unwrap() - 1] {
        let swapped = if &body[at..=at] == "A" { "B" } else { "A" };
        let forged = format!("v4.public.{}{swapped}{}", &body[..at], &body[at + 1..]);
        let error = refused(&forged, &trust(), now);
        assert!(
            matches!(error, PortableError::Signature { .. } | PortableError::Shape { .. }),
            "{error}"
        );
    }
    let late = now.plus_millis(1000);
    let error = refused(&text, &trust(), late);
    assert_eq!(error, PortableError::Expired { expires_at: late, found: late });
    let early = Timestamp::from_millis(now.as_millis() - 1);
    let error = refused(&text, &trust(), early);
    assert!(matches!(error, PortableError::NotYetValid { .. }), "{error}");
    let elsewhere = Trust::new(name("gate-a"), name("c")).with_key(key.verifying_key());
    let error = refused(&text, &elsewhere, now);
    assert!(matches!(error, PortableError::Audience { .. }), "{error}");
    let error = refused(&text[..text.len() / 2], &trust(), now);
    assert!(matches!(error, PortableError::Shape { .. } | PortableError::UnknownKey { .. }));
    let error = refused(&format!("v4.public.{}", "A".repeat(TOKEN_BYTES)), &trust(), now);
    assert_eq!(error, PortableError::Size { limit: TOKEN_BYTES, found: TOKEN_BYTES + 10 });
    let low = Limits::DEFAULT.with_token_bytes(text.len() - 1);
    let error = refused(&text, &trust().with_limits(&low), now);
    assert_eq!(error, PortableError::Size { limit: text.len() - 1, found: text.len() });

    let token = mint.import(&text, &trust(), now, &mut seen).unwrap();
    let again = mint.import(&text, &trust(), now, &mut seen).unwrap_err();
    assert_eq!(again, PortableError::Replay(ReplayError::Seen));
    // The importer's mint takes it, the exporter's does not.
    let crossed = Walk { token, ..Walk::new(&house, "note.add") };
    assert_eq!(crossed.plan(&house, &house.router.rules().mint, now), [TokenInvalid]);
    let token = mint.import(&export(), &trust(), now, &mut ReplayMemory::new()).unwrap();
    let fits = Walk { token, ..Walk::new(&house, "note.add") };
    assert_eq!(fits.plan(&house, &mint, now), []);
    assert_eq!(house.world.effects.count(), 1, "nothing was executed");
    house.ends_well();
}

/// The clock before a session's start is refused by its own code.
#[test]
fn a_session_before_its_time() {
    let mut house = House::new();
    admitted(&mut house, &signed(&json!({})));
    house.world.clock.set(Timestamp::from_millis(START.as_millis() - 30_001));
    let intent = house.world.intent("s-jwt", "note.add");
    house.denies(intent, SessionNotYetValid);
    house.stays_whole();
}

/// Nobody's answer counts once its time is over.
#[test]
fn an_approval_that_comes_too_late() {
    let mut house = House::new();
    let asked = house.world.intent("s-1", "mail.send");
    let routed = house.router.route(&mut house.desk, asked).unwrap();
    assert_eq!(routed.verdict, Verdict::StepUp);
    let manager = house.world.governor();
    house.world.clock.set(START.plus_millis(60_000));
    let session = house.desk.session().id().clone();
    let late = house.router.approve(&manager, &session, routed.record, true, "too late");
    assert!(matches!(late.unwrap_err(), RouterError::Review(_)));
    assert_eq!(house.world.effects.count(), 1);
    house.stays_whole();
}
