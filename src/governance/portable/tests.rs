//! D-28 between processes: what is exported is imported once, as it was, by its importer.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use ct_codecs::{Base64UrlSafeNoPadding, Decoder as _, Encoder as _};
use proptest::prelude::*;
use static_assertions::assert_not_impl_any;

use super::payload::read_time;
use super::*;
use crate::audience::state::State;
use crate::digest::Digest;
use crate::governance::{Expectations, TokenClaims, TokenError};
use crate::intent::RoutingId;
use crate::limits::TOKEN_BYTES;
use crate::verdict::SafetyMode;

mod claims;
mod refused;

assert_not_impl_any!(PortableToken: Clone, Default, serde::Serialize, serde::de::DeserializeOwned);
assert_not_impl_any!(SigningKey: Clone, Default, serde::Serialize, serde::de::DeserializeOwned);

/// The key of the PASETO project's own vectors for version 4.
const SECRET: &str = "k4.secret.tMv7Q99M4hByfZU-SnEzB_oZu32fhQQUONnhG5QqN3Qeudu7vAR8A_1wYE4AcfCYfhayi3VyJcEfAEFdDiCxog";
const PUBLIC: &str = "k4.public.Hrnbu7wEfAP9cGBOAHHwmH4Wsot1ciXBHwBBXQ4gsaI";
const ID: &str = "k4.pid.yh4-bJYjOYAG6CWy0zsfPmpKylxS7uAWrxqVmBN2KAiJ";
/// The key of the seed `[9; 32]`.
const OTHER: &str = "k4.secret.CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQn9FyQ4WqDHW2T7eM1gL6HZkf3r92sTxY7XAurINen2GA";

/// 2026-01-31T12:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_769_860_800);
const LATER: Timestamp = Timestamp::from_secs(1_769_860_860);

fn claims() -> TokenClaims {
    TokenClaims {
        routing_id: RoutingId::from_digest(Digest::from_bytes([1; 32])),
        table: Digest::from_bytes([2; 32]),
        state: State::Verified,
        mode: SafetyMode::Normal,
        expires_at: LATER,
        nonce: [3; 16],
    }
}

fn expected() -> Expectations {
    let claims = claims();
    let (routing_id, table) = (claims.routing_id, claims.table);
    Expectations { routing_id, table, state: claims.state, mode: claims.mode, now: NOW }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_paserk(SECRET).unwrap()
}

fn trust() -> Trust {
    let key = VerifyingKey::from_paserk(PUBLIC).unwrap();
    Trust::new(name("gate-a"), name("pipeline-b")).with_key(key)
}

/// The exporting process' mint.
fn here() -> TokenMint {
    TokenMint::new([42; 32])
}

/// The importing process' mint.
fn there() -> TokenMint {
    TokenMint::new([43; 32])
}

fn export(claims: TokenClaims) -> String {
    let token = here().issue(claims);
    token.export(&key(), &name("gate-a"), &name("pipeline-b"), NOW).unwrap().into_string()
}

fn import(text: &str) -> Result<ApprovalToken, PortableError> {
    there().import(text, &trust(), NOW, &mut ReplayMemory::new())
}

fn payload(text: &str) -> String {
    let token = UntrustedToken::<pasetors::Public, pasetors::version4::V4>::try_from(text);
    String::from_utf8(token.unwrap().untrusted_payload().to_vec()).unwrap()
}

/// What a holder of the trusted key can make, whatever the payload.
fn signed(payload: &str) -> String {
    let footer = footer(key().id());
    PublicToken::sign(key().secret(), payload.as_bytes(), Some(footer.as_bytes()), None).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    Base64UrlSafeNoPadding::encode_to_str(&mut vec![0; bytes.len() * 2 + 4], bytes).unwrap().into()
}

fn from_base64(text: &str) -> Vec<u8> {
    Base64UrlSafeNoPadding::decode(&mut vec![0; text.len()], text, None).unwrap().to_vec()
}

#[test]
fn d_28_a_token_travels_and_is_redeemed() {
    let token = import(&export(claims())).unwrap();
    assert_eq!(token.claims(), &claims());
    assert_eq!(token.evidence().id(), &claims().nonce);
    let redeemed = token.redeem(&there(), &expected()).unwrap();
    assert!(redeemed.evidence().vouched(&there(), &claims()));
    // It is the importer's token now, and no longer the exporter's.
    let token = import(&export(claims())).unwrap();
    assert_eq!(token.redeem(&here(), &expected()).unwrap_err(), TokenError::Forged);
}

#[test]
fn d_28_a_text_is_imported_once() {
    let (text, mut seen) = (export(claims()), ReplayMemory::new());
    let _token = there().import(&text, &trust(), NOW, &mut seen).unwrap();
    let again = there().import(&text, &trust(), NOW, &mut seen).unwrap_err();
    assert_eq!(again, PortableError::Replay(ReplayError::Seen));
    // Signed anew, to the same nonce, by another mint over the same guard.
    let anew = here().issue(TokenClaims { mode: SafetyMode::ReadOnly, ..claims() });
    let anew = anew.export(&key(), &name("gate-a"), &name("pipeline-b"), NOW).unwrap();
    let again = here().import(anew.as_str(), &trust(), NOW, &mut seen).unwrap_err();
    assert_eq!(again, PortableError::Replay(ReplayError::Seen));
    let next = export(TokenClaims { nonce: [4; 16], ..claims() });
    assert!(there().import(&next, &trust(), NOW, &mut seen).is_ok());
    assert_eq!(seen.len(), 2);
}

#[test]
fn one_issuers_nonce_is_not_anothers() {
    let mut seen = ReplayMemory::new();
    for issuer in ["gate-a", "gate-c"] {
        let trust = Trust::new(name(issuer), name("b")).with_key(key().verifying_key());
        let text = here().issue(claims()).export(&key(), &name(issuer), &name("b"), NOW).unwrap();
        assert!(there().import(text.as_str(), &trust, NOW, &mut seen).is_ok());
    }
}

#[test]
fn a_refused_text_spends_nothing() {
    let (text, mut seen) = (export(claims()), ReplayMemory::new());
    let elsewhere = Trust::new(name("gate-a"), name("c")).with_key(key().verifying_key());
    assert!(there().import(&text, &elsewhere, NOW, &mut seen).is_err());
    assert!(there().import(&text, &trust(), LATER, &mut seen).is_err());
    assert!(seen.is_empty());
    assert!(there().import(&text, &trust(), NOW, &mut seen).is_ok());
}

#[test]
fn a_guard_that_fails_refuses() {
    struct Broken(ReplayError);
    impl ReplayGuard for Broken {
        fn spend(&mut self, spent: &Spent<'_>) -> Result<(), ReplayError> {
            assert_eq!((spent.issuer, spent.expires_at), (&name("gate-a"), LATER));
            assert_eq!(spent.id, &[3; 16]);
            Err(self.0.clone())
        }
    }
    let reason = || "disk".into();
    for error in
        [ReplayError::Failed { reason: reason() }, ReplayError::Unknown { reason: reason() }]
    {
        let found = there().import(&export(claims()), &trust(), NOW, &mut Broken(error.clone()));
        assert_eq!(found.unwrap_err(), PortableError::Replay(error));
    }
}

/// Made with `pyseto` 1.10.0 from the payload documented in the module and the key of
/// the PASETO project's vectors: Ed25519 signs deterministically.
#[test]
fn the_text_is_the_documented_one() {
    assert_eq!(export(claims()), include_str!("tests/known.paseto").trim_end());
    assert_eq!(key().id().as_str(), ID);
    let read = VerifyingKey::from_paserk(PUBLIC).unwrap();
    assert_eq!(read.id(), key().id());
}

#[test]
fn exporting_spends_what_has_ended_or_cannot_be_written() {
    let export = |claims, now| {
        here().issue(claims).export(&key(), &name("a"), &name("b"), now).map(drop).unwrap_err()
    };
    let ended = PortableError::Expired { expires_at: LATER, found: LATER };
    assert_eq!(export(claims(), LATER), ended);
    let far = TokenClaims { expires_at: Timestamp::from_millis(u64::MAX), ..claims() };
    assert_eq!(export(far, NOW), PortableError::Unwritable { claim: "exp" });
    let edge = TokenClaims { expires_at: Timestamp::from_secs(253_402_300_800), ..claims() };
    assert_eq!(export(edge, NOW), PortableError::Unwritable { claim: "exp" });
    assert_eq!(export(far, edge.expires_at), PortableError::Unwritable { claim: "iat" });
}

#[test]
fn the_longest_token_is_within_the_bound() {
    let wide = name(&"\"".repeat(crate::limits::NAME_BYTES));
    let text = here().issue(claims()).export(&key(), &wide, &wide, NOW).unwrap();
    assert!(text.as_str().len() < TOKEN_BYTES, "{}", text.as_str().len());
    let trust = Trust::new(wide.clone(), wide).with_key(key().verifying_key());
    assert!(there().import(text.as_str(), &trust, NOW, &mut ReplayMemory::new()).is_ok());
}

#[test]
fn nothing_secret_is_shown() {
    let text = here().issue(claims()).export(&key(), &name("a"), &name("b"), NOW).unwrap();
    assert_eq!(format!("{text:?}"), "PortableToken(hidden)");
    assert_eq!(format!("{:?}", key()), format!("SigningKey({ID}, secret hidden)"));
    assert!(!format!("{:?}", trust()).contains(&PUBLIC[10..]));
}
