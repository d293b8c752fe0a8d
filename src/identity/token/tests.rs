use alloc::format;
use alloc::string::ToString;
use alloc::vec;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::id::{Name, PrincipalId};
use crate::identity::{PrincipalKind, Session};
use crate::limits::TOKEN_BYTES;
use crate::risk::Risk;
use crate::verdict::ReasonCode;

const JWKS: &str = include_str!("../../../tests/keys/jwks.json");
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn policy() -> IdentityPolicy {
    IdentityPolicy::builder(name("https://id.example"), name("prospera"))
        .role(name("clerk"), [name("read"), name("pay")])
        .build()
}

fn claims() -> Value {
    json!({
        "iss": "https://id.example", "aud": ["other", "prospera"], "sub": "alice",
        "iat": 1_699_999_990, "nbf": 1_699_999_990, "exp": 1_700_003_600, "jti": "t-1",
        "session": "s-1", "principal_kind": "human", "roles": ["clerk"], "consent": true,
        "amr": ["pwd", "otp"], "name": "Alice", "other": {"ignored": 1.5},
    })
}

fn key(id: &str) -> EncodingKey {
    match id {
        "ed" => EncodingKey::from_ed_der(include_bytes!("../../../tests/keys/ed.pk8.der")),
        "ed2" => EncodingKey::from_ed_der(include_bytes!("../../../tests/keys/ed2.pk8.der")),
        "ec" => EncodingKey::from_ec_der(include_bytes!("../../../tests/keys/ec.pk8.der")),
        _ => EncodingKey::from_rsa_der(include_bytes!("../../../tests/keys/rsa.pk1.der")),
    }
}

fn sign(algorithm: Algorithm, kid: Option<&str>, by: &str, claims: &Value) -> String {
    let header = Header { kid: kid.map(Into::into), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, claims, &key(by)).unwrap()
}

fn signed(claims: &Value) -> String {
    sign(Algorithm::EdDSA, Some("ed"), "ed", claims)
}

fn verifier() -> TokenVerifier {
    TokenVerifier::from_jwks(JWKS).unwrap()
}

fn verify(token: &str) -> Result<VerifiedClaims, IdentityError> {
    verifier().verify(token, NOW, &policy())
}

fn with(changes: &Value) -> Value {
    let mut all = claims();
    for (claim, value) in changes.as_object().unwrap() {
        if value == "-" {
            all.as_object_mut().unwrap().remove(claim);
        } else {
            all[claim] = value.clone();
        }
    }
    all
}

fn refused(changes: &Value) -> IdentityError {
    verify(&signed(&with(changes))).unwrap_err()
}

#[test]
fn each_algorithm_opens_a_session_with_its_key() {
    for (algorithm, kid) in
        [(Algorithm::EdDSA, "ed"), (Algorithm::ES256, "ec"), (Algorithm::RS256, "rsa")]
    {
        let verified = verify(&sign(algorithm, Some(kid), kid, &claims())).unwrap();
        let session = Session::open(verified, NOW, &policy()).unwrap();
        assert_eq!(session.principal().as_str(), "alice");
        assert_eq!(session.subject().as_str(), "alice");
        assert_eq!(session.kind(), PrincipalKind::Human);
        assert_eq!(session.scopes(), &[name("pay"), name("read")].into());
        assert_eq!(session.issuer(), Some(&name("https://id.example")));
        assert_eq!(session.token(), Some(&name("t-1")));
        assert_eq!(session.strength(), Risk::saturating(900_000));
        assert!(session.consent());
    }
}

/// D-54, IRM-4.1.1.
#[test]
fn forged_and_changed_tokens_are_refused() {
    let forged = sign(Algorithm::EdDSA, Some("ed"), "ed2", &claims());
    assert_eq!(verify(&forged).unwrap_err(), IdentityError::Signature { key: "ed".into() });
    let mine = signed(&claims());
    let theirs = signed(&with(&json!({"sub": "root"})));
    let (mine, theirs): (Vec<_>, Vec<_>) = (mine.split('.').collect(), theirs.split('.').collect());
    let swapped = format!("{}.{}.{}", mine[0], theirs[1], mine[2]);
    assert!(matches!(verify(&swapped), Err(IdentityError::Signature { .. })));
    let unsigned = format!("{}.{}.", mine[0], mine[1]);
    assert!(matches!(verify(&unsigned), Err(IdentityError::Signature { .. })));
    for shapeless in ["", "a", "a.b", "a.b.c", "a.b.c.d", "..", "e30.e30."] {
        let error = verify(shapeless).unwrap_err();
        assert!(matches!(error, IdentityError::TokenShape { .. }), "{shapeless}: {error}");
    }
}

#[test]
fn rfc_8725_the_key_decides_the_algorithm() {
    // The public key's modulus used as an HMAC secret.
    let jwks: Value = serde_json::from_str(JWKS).unwrap();
    let secret = jwks["keys"][2]["n"].as_str().unwrap().as_bytes();
    let header = Header { kid: Some("rsa".into()), ..Header::new(Algorithm::HS256) };
    let confused =
        jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(secret)).unwrap();
    assert_eq!(
        verify(&confused).unwrap_err(),
        IdentityError::Algorithm { expected: "RS256", found: "HMAC", key: "rsa".into() }
    );
    for (algorithm, kid, by) in [
        (Algorithm::RS384, "rsa", "rsa"),
        (Algorithm::PS256, "rsa", "rsa"),
        (Algorithm::ES256, "ed", "ec"),
    ] {
        let error = verify(&sign(algorithm, Some(kid), by, &claims())).unwrap_err();
        assert!(matches!(error, IdentityError::Algorithm { .. }), "{error}");
    }
    // {"alg":"none","kid":"ed"} and the same with None and nOnE.
    for header in ["eyJhbGciOiJub25lIiwia2lkIjoiZWQifQ", "eyJhbGciOiJOb25lIiwia2lkIjoiZWQifQ"] {
        let payload = signed(&claims()).split('.').nth(1).unwrap().to_string();
        let error = verify(&format!("{header}.{payload}.")).unwrap_err();
        let found = "a header without a known algorithm";
        assert_eq!(error, IdentityError::TokenShape { found });
    }
}

#[test]
fn keys_are_chosen_by_id() {
    let unknown = sign(Algorithm::EdDSA, Some("gone"), "ed", &claims());
    assert_eq!(
        verify(&unknown).unwrap_err(),
        IdentityError::UnknownKey { found: Some("gone".into()) }
    );
    let nameless = sign(Algorithm::EdDSA, None, "ed", &claims());
    assert_eq!(verify(&nameless).unwrap_err(), IdentityError::UnknownKey { found: None });
    let mut one: Value = serde_json::from_str(JWKS).unwrap();
    one["keys"].as_array_mut().unwrap().truncate(1);
    let only = TokenVerifier::from_jwks(&one.to_string()).unwrap();
    assert!(only.verify(&nameless, NOW, &policy()).is_ok());
    let other_use = sign(Algorithm::RS256, Some("other-use"), "rsa", &claims());
    assert!(matches!(verify(&other_use), Err(IdentityError::UnknownKey { .. })));
}

#[test]
fn a_critical_extension_is_refused() {
    let mut header = Header { kid: Some("ed".into()), ..Header::new(Algorithm::EdDSA) };
    header.crit = Some(vec!["exp".into()]);
    let token = jsonwebtoken::encode(&header, &claims(), &key("ed")).unwrap();
    assert!(matches!(verify(&token), Err(IdentityError::TokenShape { .. })));
}

#[test]
fn time_is_the_time_handed_in() {
    let token = signed(&claims());
    let at = |secs: u64| {
        let now = Timestamp::from_secs(secs);
        verifier().verify(&token, now, &policy()).err().map(|error| error.code())
    };
    assert_eq!(at(1_700_000_000), None);
    assert_eq!(at(1_699_999_960), None, "30 seconds of leeway");
    assert_eq!(at(1_699_999_959), Some(ReasonCode::SessionNotYetValid));
    assert_eq!(at(1_700_000_920), None, "900 seconds of age and the leeway");
    assert_eq!(at(1_700_000_921), Some(ReasonCode::SessionStale));
    assert_eq!(at(1_700_003_629), Some(ReasonCode::SessionStale));
    assert_eq!(at(1_700_003_630), Some(ReasonCode::SessionExpired));
    let ended = refused(&json!({"exp": 1_699_999_970}));
    assert_eq!(ended.code(), ReasonCode::SessionExpired);
    let unbegun = refused(&json!({"nbf": 1_700_000_031}));
    assert_eq!(unbegun.code(), ReasonCode::SessionNotYetValid);
}

#[test]
fn every_claim_is_checked() {
    assert!(matches!(refused(&json!({"iss": "https://evil"})), IdentityError::Issuer { .. }));
    assert!(matches!(refused(&json!({"aud": "other"})), IdentityError::Audience { .. }));
    assert!(matches!(refused(&json!({"aud": []})), IdentityError::Audience { .. }));
    for claim in ["iss", "aud", "sub", "iat", "exp", "session", "principal_kind"] {
        let error = refused(&json!({claim: "-"}));
        assert!(
            matches!(error, IdentityError::Claim { .. } | IdentityError::Name { .. }),
            "{claim}: {error}"
        );
    }
    for wrong in [
        json!({"exp": "soon"}),
        json!({"exp": 1.5}),
        json!({"exp": -1}),
        json!({"principal_kind": "god"}),
        json!({"roles": "clerk"}),
        json!({"consent": "yes"}),
    ] {
        assert!(matches!(refused(&wrong), IdentityError::Claims { .. }));
    }
    assert!(matches!(refused(&json!({"sub": " x"})), IdentityError::Name { claim: "sub", .. }));
    let by_sid = verify(&signed(&with(&json!({"session": "-", "sid": "s-2"})))).unwrap();
    assert_eq!(by_sid.claims().session.as_str(), "s-2");
}

#[test]
fn revoked_tokens_open_nothing() {
    let token = signed(&claims());
    for revoked in [
        policy().edit().revoke_token(name("t-1")),
        policy().edit().revoke_session(name("s-1")),
        policy().edit().revoke_principal(name("alice")),
    ] {
        let error = verifier().verify(&token, NOW, &revoked.build()).unwrap_err();
        assert_eq!(error.code(), ReasonCode::SessionRevoked);
    }
}

#[test]
fn rfc_8693_the_outermost_actor_acts() {
    let act = json!({"sub": "helper", "scope": "pay", "act": {"sub": "desk", "scope": "pay read"}});
    let token = signed(&with(&json!({"act": act, "principal_kind": "agent"})));
    let session = Session::open(verify(&token).unwrap(), NOW, &policy()).unwrap();
    assert_eq!(session.principal().as_str(), "helper");
    let chain: Vec<_> = session.delegation().iter().map(PrincipalId::as_str).collect();
    assert_eq!(chain, ["alice", "desk"]);
    assert_eq!(session.scopes(), &[name("pay")].into());

    let act = json!({"sub": "helper", "scope": "pay read", "act": {"sub": "desk", "scope": "pay"}});
    let token = signed(&with(&json!({"act": act})));
    let error = Session::open(verify(&token).unwrap(), NOW, &policy()).unwrap_err();
    assert!(matches!(error, IdentityError::DelegationWidens { .. }));

    let mut act = json!({"sub": "a0"});
    for i in 1..9 {
        act = json!({"sub": format!("a{i}"), "act": act});
    }
    assert!(matches!(refused(&json!({"act": act})), IdentityError::DelegationLength { .. }));
}

#[test]
fn oversized_tokens_are_not_read() {
    let token = signed(&with(&json!({"name": "x".repeat(TOKEN_BYTES)})));
    assert!(matches!(verify(&token), Err(IdentityError::TokenSize { .. })));
}

#[test]
fn key_sets_are_strict() {
    let error = |text: &str| TokenVerifier::from_jwks(text).unwrap_err().to_string();
    assert!(error("{").contains("line 1"), "{}", error("{"));
    assert!(error("{\"keys\":[]}").contains("no key"));
    let short = include_str!("../../../tests/keys/jwks-short-rsa.json");
    assert!(error(short).contains("too short"));
    let mut set: Value = serde_json::from_str(JWKS).unwrap();
    set["keys"][0]["d"] = "c2VjcmV0".into();
    assert!(error(&set.to_string()).contains("private key in key `ed`"));
    set["keys"][0] = json!({"kty": "oct", "kid": "h", "alg": "HS256", "k": "c2VjcmV0"});
    assert!(error(&set.to_string()).contains("secret"));
    let mut twice: Value = serde_json::from_str(JWKS).unwrap();
    twice["keys"][1]["kid"] = "ed".into();
    assert!(error(&twice.to_string()).contains("`ed` twice"));
}

#[test]
fn neither_keys_nor_tokens_are_shown() {
    let shown = format!("{:?}", verifier());
    let jwks: Value = serde_json::from_str(JWKS).unwrap();
    for key in jwks["keys"].as_array().unwrap() {
        for part in ["n", "x", "y"] {
            if let Some(part) = key[part].as_str() {
                assert!(!shown.contains(&part[..8]), "{shown}");
            }
        }
    }
    assert!(shown.contains("\"ed\": \"EdDSA\""), "{shown}");
    let token = sign(Algorithm::EdDSA, Some("ed"), "ed2", &claims());
    let error = verify(&token).unwrap_err();
    for part in token.split('.') {
        assert!(!format!("{error:?} {error}").contains(part));
    }
}

#[test]
fn strength_follows_its_table() {
    let of = |amr: &[&str], acr| strength(amr, acr).ppm();
    assert_eq!(of(&[], None), 500_000);
    assert_eq!(of(&["pwd"], None), 600_000);
    assert_eq!(of(&["pwd", "pin"], None), 600_000, "one factor twice");
    assert_eq!(of(&["swk"], None), 800_000);
    assert_eq!(of(&["pwd", "sms"], None), 900_000);
    assert_eq!(of(&["pwd"], Some("phr")), 900_000);
    assert_eq!(of(&["hwk"], None), 950_000);
    assert_eq!(of(&["unheard-of"], Some("7")), 500_000);
}
