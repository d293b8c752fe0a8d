use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::encode::{Decode, Encode};
use crate::id::{SessionId, Subsystem};
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use crate::verdict::ReasonCode;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn names(texts: &[&str]) -> Scopes {
    texts.iter().map(|text| name(text)).collect()
}

fn policy() -> IdentityPolicy {
    IdentityPolicy::builder(name("https://id.example"), name("prospera"))
        .role(name("clerk"), [name("read"), name("pay")])
        .build()
}

fn link(principal: &str, granted: &[&str]) -> DelegationLink {
    DelegationLink { principal: principal.parse().unwrap(), granted: names(granted) }
}

fn host() -> HostClaims {
    HostClaims {
        principal: "alice".parse().unwrap(),
        kind: PrincipalKind::Human,
        subject: "alice".parse().unwrap(),
        session: "s-1".parse().unwrap(),
        roles: names(&["clerk"]),
        scopes: names(&["post"]),
        delegation: vec![],
        consent: true,
        strength: Risk::MAX,
        issued_at: NOW,
        expires_at: NOW.plus_millis(3_600_000),
    }
}

fn open(host: HostClaims) -> Result<Session, IdentityError> {
    Session::open(VerifiedClaims::vouched_by_host(host), NOW, &policy())
}

fn identify_under(
    policy: IdentityPolicy,
    session: &Session,
    (subject, scope, now): (&str, &str, Timestamp),
) -> Result<IdentityFinding, Reason> {
    let (subject, scope) = (subject.parse().unwrap(), name(scope));
    IdentitySystem::new(policy).identify(&IdentityInput {
        session,
        subject: &subject,
        scope: Some(&scope),
        now,
    })
}

fn code(session: &Session, subject: &str, scope: &str, now: Timestamp) -> Option<ReasonCode> {
    identify_under(policy(), session, (subject, scope, now)).err().map(|reason| reason.code)
}

/// IRM-3.3.1, IRM-4.1.2.
#[test]
fn irm_4_1_authority_is_that_of_roles_and_scopes() {
    let session = open(host()).unwrap();
    assert_eq!(session.scopes(), &names(&["pay", "post", "read"]));
    assert_eq!(code(&session, "alice", "pay", NOW), None);
    assert_eq!(code(&session, "alice", "admin", NOW), Some(ReasonCode::AuthorityMissing));
    assert_eq!(code(&session, "bob", "pay", NOW), Some(ReasonCode::SubjectMismatch));
    let unknown = open(HostClaims { roles: names(&["king"]), scopes: names(&[]), ..host() });
    assert!(unknown.unwrap().scopes().is_empty(), "an unknown role gives nothing");
}

/// D-54, IRM-4.1.1.
#[test]
fn d_54_each_route_checks_freshness_and_revocation() {
    let session = open(host()).unwrap();
    let end = NOW.plus_millis(3_600_000);
    assert_eq!(code(&session, "alice", "pay", end.plus_millis(29_999)), None, "within leeway");
    let expired = Some(ReasonCode::SessionExpired);
    assert_eq!(code(&session, "alice", "pay", end.plus_millis(30_000)), expired);
    let early = |ms: u64| Timestamp::from_millis(NOW.as_millis() - ms);
    let not_yet = Some(ReasonCode::SessionNotYetValid);
    assert_eq!(code(&session, "alice", "pay", early(30_001)), not_yet);

    let short = policy().edit().max_session_ms(60_000).build();
    let later = NOW.plus_millis(90_001);
    let reason = identify_under(short, &session, ("alice", "pay", later)).unwrap_err();
    assert_eq!(reason.code, ReasonCode::SessionStale);

    for revoked in [
        policy().edit().revoke_session(name("s-1")).build(),
        policy().edit().revoke_principal(name("alice")).build(),
    ] {
        assert_ne!(revoked.digest(), policy().digest());
        let reason = identify_under(revoked, &session, ("alice", "pay", NOW)).unwrap_err();
        assert_eq!(reason.code, ReasonCode::SessionRevoked);
    }
}

/// ASM2-7.5.
#[test]
fn asm2_7_5_anomalies_are_explained() {
    let mut session = open(host()).unwrap();
    let found = identify_under(policy(), &session, ("alice", "pay", NOW)).unwrap();
    assert_eq!((found.anomaly, found.because.len()), (Risk::ZERO, 0));
    assert_eq!(found.strength, claims::HOST_STRENGTH, "capped");

    session.saw(NOW.plus_millis(40_000));
    let found = identify_under(policy(), &session, ("alice", "pay", NOW.plus_millis(20_000)));
    assert_eq!(found.unwrap().anomaly, engine::CLOCK_BACK);
    let back = code(&session, "alice", "pay", NOW.plus_millis(9_999));
    assert_eq!(back, Some(ReasonCode::IdentityAnomaly));

    let agent =
        HostClaims { kind: PrincipalKind::Agent, principal: "helper".parse().unwrap(), ..host() };
    let session = open(agent.clone()).unwrap();
    let found = identify_under(policy(), &session, ("alice", "pay", NOW)).unwrap();
    assert_eq!(found.anomaly, engine::UNDELEGATED_AGENT);
    assert!(found.because[0].detail.contains("`helper`"));
    let session = open(HostClaims { delegation: vec![link("alice", &["pay"])], ..agent }).unwrap();
    let found = identify_under(policy(), &session, ("alice", "pay", NOW)).unwrap();
    assert_eq!(found.anomaly, Risk::ZERO);
}

#[test]
fn delegation_never_widens() {
    let delegated = |links: Vec<DelegationLink>| {
        open(HostClaims { principal: "helper".parse().unwrap(), delegation: links, ..host() })
    };
    let session = delegated(vec![link("alice", &["pay", "read"]), link("desk", &["pay"])]).unwrap();
    assert_eq!(session.scopes(), &names(&["pay"]));
    assert_eq!(session.delegation().len(), 2);
    assert_eq!(code(&session, "alice", "read", NOW), Some(ReasonCode::AuthorityMissing));

    let widened = delegated(vec![link("alice", &["pay"]), link("desk", &["pay", "read"])]);
    assert_eq!(
        widened.unwrap_err(),
        IdentityError::DelegationWidens { delegator: "desk".parse().unwrap(), scope: name("read") }
    );
    let first = delegated(vec![link("alice", &["admin"])]).unwrap_err();
    assert_eq!(first.code(), ReasonCode::DelegationInvalid);
    for circle in
        [vec![link("helper", &["pay"])], vec![link("alice", &["pay"]), link("alice", &["pay"])]]
    {
        assert!(matches!(delegated(circle), Err(IdentityError::DelegationCycle { .. })));
    }
    let long: Vec<_> = (0..9).map(|i| link(&i.to_string(), &["pay"])).collect();
    assert!(delegated(long[..8].to_vec()).is_ok());
    assert!(matches!(delegated(long), Err(IdentityError::DelegationLength { limit: 8, found: 9 })));
}

#[test]
fn a_revoked_delegator_revokes_what_it_delegated() {
    let session = open(HostClaims {
        principal: "helper".parse().unwrap(),
        delegation: vec![link("alice", &["pay"]), link("desk", &["pay"])],
        ..host()
    })
    .unwrap();
    let revoked = policy().edit().revoke_principal(name("desk")).build();
    let reason = identify_under(revoked, &session, ("alice", "pay", NOW)).unwrap_err();
    assert_eq!(reason.code, ReasonCode::SessionRevoked);
}

fn stream_of(drafts: Vec<Draft>) -> Vec<Record> {
    let mut head = Head::EMPTY;
    let mut records = Vec::new();
    for (i, draft) in drafts.into_iter().enumerate() {
        let when = NOW.plus_millis(1000 * i as u64);
        let record = Record::seal(draft, 10 + i as u64, head, when);
        head = record.head();
        records.push(record);
    }
    records
}

fn resume(records: &[Record], now: Timestamp) -> Result<Session, IdentityError> {
    Session::resume(&"s-1".parse::<SessionId>().unwrap(), records, now, &policy())
}

/// IRM-4.1.3.
#[test]
fn irm_4_1_3_a_session_is_resumed_from_its_own_stream_only() {
    let session = open(host()).unwrap();
    let records = stream_of(vec![session.opening(), session.closing(), session.opening()]);
    let resumed = resume(&records, NOW.plus_millis(5000)).unwrap();
    assert_eq!(resumed.opened(), session.opened());
    assert_eq!(resumed.last_seen(), NOW.plus_millis(2000));
    assert!(resume(&records[..1], NOW).is_ok());

    let broken = |records: &[Record]| resume(records, NOW).unwrap_err().code();
    assert_eq!(broken(&[]), ReasonCode::SessionBroken);
    assert_eq!(broken(&records[..2]), ReasonCode::SessionBroken, "closed");
    assert_eq!(broken(&records[1..]), ReasonCode::SessionBroken, "the head was dropped");
    let gap = [records[0].clone(), records[2].clone()];
    assert_eq!(broken(&gap), ReasonCode::SessionBroken, "the middle was dropped");
    let other = open(HostClaims { session: "s-2".parse().unwrap(), ..host() }).unwrap();
    let foreign = stream_of(vec![other.opening()]);
    assert!(matches!(resume(&foreign, NOW), Err(IdentityError::ForeignStream { .. })));
    // Another session's opening, put into this session's stream.
    let planted = Draft::new(
        session.stream(),
        RecordKind::SessionOpened,
        Subsystem::Identity,
        other.opened().to_canonical(),
    );
    assert_eq!(broken(&stream_of(vec![planted])), ReasonCode::SessionBroken);
    let routing = StreamId::new(StreamKind::Routing, name("s-1"));
    let misplaced = Draft::new(
        routing,
        RecordKind::SessionOpened,
        Subsystem::Identity,
        session.opened().to_canonical(),
    );
    assert_eq!(broken(&stream_of(vec![misplaced])), ReasonCode::SessionBroken);
    // Freshness is checked anew.
    let late = resume(&records, NOW.plus_millis(3_630_000)).unwrap_err();
    assert_eq!(late.code(), ReasonCode::SessionExpired);
    let revoked = policy().edit().revoke_session(name("s-1")).build();
    let id = "s-1".parse::<SessionId>().unwrap();
    assert_eq!(
        Session::resume(&id, &records, NOW, &revoked).unwrap_err().code(),
        ReasonCode::SessionRevoked
    );
}

#[test]
fn a_changed_opening_is_not_read() {
    let opened = open(host()).unwrap().opened();
    let body = opened.to_canonical();
    assert_eq!(SessionOpened::from_canonical(&body), Ok(opened.clone()));
    // The claims and the digest behind them vouch for each other.
    for position in 0..opened.claims.to_canonical().len() + 32 {
        let mut changed = body.clone();
        changed[position] ^= 1;
        assert!(SessionOpened::from_canonical(&changed).is_err(), "byte {position}");
    }
}

#[test]
fn known_answers() {
    let mut host = host();
    host.delegation = vec![link("alice", &["pay"])];
    host.principal = "helper".parse().unwrap();
    let session = open(host).unwrap();
    // The encoding of the module's documentation, put together by hand.
    let mut bytes = vec![1, 2];
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend([u8::try_from(text.len()).unwrap(), 0, 0, 0]);
        bytes.extend(text.as_bytes());
    };
    text(&mut bytes, "helper");
    bytes.push(1);
    text(&mut bytes, "alice");
    text(&mut bytes, "s-1");
    for list in ["clerk", "post"] {
        bytes.extend([1, 0, 0, 0]);
        text(&mut bytes, list);
    }
    bytes.extend([1, 0, 0, 0]);
    text(&mut bytes, "alice");
    bytes.extend([1, 0, 0, 0]);
    text(&mut bytes, "pay");
    bytes.push(1);
    bytes.extend(700_000_u32.to_le_bytes());
    for at in [1_700_000_000_000_u64, 1_700_000_000_000, 1_700_003_600_000] {
        bytes.extend(at.to_le_bytes());
    }
    assert_eq!(session.opened().claims.to_canonical(), bytes);
    assert_eq!(session.claims().to_string(), CLAIMS_DIGEST);
    assert_eq!(policy().digest().to_string(), POLICY_DIGEST);
}

const CLAIMS_DIGEST: &str = "0e13e19c8f6880a25eabeb3b4a17864782ab106bc48a6678103646431325da53";
const POLICY_DIGEST: &str = "0fd36240462ba2125882aa75e5b90741776c6e99bd468ab65015f0d098ee1a73";

#[cfg(feature = "files")]
#[test]
fn the_policy_file_is_strict() {
    let good = "version = \"1\"\nissuer = \"https://id.example\"\naudience = \"prospera\"\n\
                [roles]\nclerk = [\"read\", \"pay\"]\n[revoked]\nsessions = [\"s-9\"]\n";
    let read = IdentityPolicy::from_toml("identity.toml", good).unwrap();
    let built = policy().edit().version(name("1")).revoke_session(name("s-9")).build();
    assert_eq!(read, built);
    let wrong = good.replace("[roles]", "leeway_seconds = 301\n[roles]");
    let error = IdentityPolicy::from_toml("identity.toml", &wrong).unwrap_err();
    assert_eq!((error.line(), error.column()), (4, 18));
    for (from, to) in [("audience", "audiences"), ("\"read\"", "\"\""), ("sessions", "session")] {
        let wrong = good.replace(from, to);
        assert!(IdentityPolicy::from_toml("identity.toml", &wrong).is_err(), "{to}");
    }
}

fn any_names() -> impl Strategy<Value = Scopes> {
    prop::collection::btree_set("[a-e]".prop_map(|t| name(&t)), 0..5)
}

proptest! {
    /// Whatever the chain, a session that opens holds no more than any link passed on.
    #[test]
    fn no_chain_holds_more_than_its_links(
        scopes in any_names(),
        grants in prop::collection::vec(any_names(), 0..4),
    ) {
        let links = grants.iter().enumerate().map(|(i, granted)| DelegationLink {
            principal: i.to_string().parse().unwrap(),
            granted: granted.clone(),
        });
        let claims = HostClaims {
            scopes: scopes.clone(), roles: Scopes::new(), delegation: links.collect(), ..host()
        };
        let mut narrowing = true;
        let mut held = &scopes;
        for granted in &grants {
            narrowing &= granted.is_subset(held);
            held = granted;
        }
        match open(claims) {
            Ok(session) => {
                prop_assert!(narrowing);
                prop_assert_eq!(session.scopes(), held);
                prop_assert!(session.scopes().is_subset(&scopes));
            }
            Err(error) => {
                prop_assert!(!narrowing);
                prop_assert_eq!(error.code(), ReasonCode::DelegationInvalid);
            }
        }
    }

    #[test]
    fn an_opening_comes_back_from_its_bytes(scopes in any_names(), consent: bool, at in 0_u64..1000) {
        let claims = HostClaims { scopes, consent, issued_at: NOW.plus_millis(at), ..host() };
        let opened = open(claims).unwrap().opened();
        prop_assert_eq!(SessionOpened::from_canonical(&opened.to_canonical()), Ok(opened));
    }
}
