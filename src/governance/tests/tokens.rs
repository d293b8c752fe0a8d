//! The Routing Approval Token (D-28).

use alloc::format;

use static_assertions::assert_not_impl_any;

use super::*;

assert_not_impl_any!(ApprovalToken: Clone, Copy, Default, serde::de::DeserializeOwned, serde::Serialize);
assert_not_impl_any!(BacktrackAuthorization: Clone, Copy, Default, serde::de::DeserializeOwned);
assert_not_impl_any!(TokenMint: Clone, Copy, Default, serde::de::DeserializeOwned, serde::Serialize);
assert_not_impl_any!(Redeemed: Clone, Copy, Default, serde::de::DeserializeOwned);

fn claims() -> TokenClaims {
    TokenClaims {
        routing_id: RoutingId::from_digest(Digest::from_bytes([1; 32])),
        table: Digest::from_bytes([2; 32]),
        state: State::Verified,
        mode: SafetyMode::Normal,
        expires_at: Timestamp::from_millis(10),
        nonce: [3; 16],
    }
}

fn expected() -> Expectations {
    let claims = claims();
    Expectations {
        routing_id: claims.routing_id,
        table: claims.table,
        state: claims.state,
        mode: claims.mode,
        now: Timestamp::from_millis(9),
    }
}

fn mint() -> TokenMint {
    TokenMint::new([42; 32])
}

#[test]
fn d_28_a_token_is_good_for_exactly_what_it_was_issued_for() {
    let issue = || mint().issue(claims());
    let redeemed = issue().redeem(&mint(), &expected()).unwrap();
    assert_eq!(redeemed.evidence(), issue().evidence());
    let with = |change: fn(&mut Expectations)| {
        let mut other = expected();
        change(&mut other);
        issue().redeem(&mint(), &other).unwrap_err()
    };
    assert!(matches!(
        with(|e| e.routing_id = RoutingId::from_digest(Digest::ZERO)),
        TokenError::Route { .. }
    ));
    assert!(matches!(with(|e| e.table = Digest::ZERO), TokenError::Table { .. }));
    assert!(matches!(with(|e| e.state = State::Base), TokenError::State { .. }));
    assert!(matches!(with(|e| e.mode = SafetyMode::Protected), TokenError::Mode { .. }));
    assert!(matches!(with(|e| e.now = Timestamp::from_millis(10)), TokenError::Expired { .. }));
    let stranger = TokenMint::new([43; 32]);
    assert_eq!(issue().redeem(&stranger, &expected()).unwrap_err(), TokenError::Forged);
}

#[test]
fn every_claim_is_under_the_tag() {
    type Change = fn(&mut TokenClaims);
    let changes: [Change; 6] = [
        |c| c.routing_id = RoutingId::from_digest(Digest::ZERO),
        |c| c.table = Digest::ZERO,
        |c| c.state = State::Privileged,
        |c| c.mode = SafetyMode::ReadOnly,
        |c| c.expires_at = Timestamp::from_millis(11),
        |c| c.nonce = [4; 16],
    ];
    let token = mint().issue(claims()).evidence();
    assert!(token.vouched(&mint(), &claims()));
    for change in changes {
        let mut other = claims();
        change(&mut other);
        assert_ne!(mint().issue(other).evidence().tag(), token.tag());
        assert!(!token.vouched(&mint(), &other));
    }
}

#[test]
fn the_tag_is_the_documented_one() {
    let mut bytes = Vec::from([1]);
    bytes.extend([1; 32]);
    bytes.extend([2; 32]);
    bytes.extend([3, 0]);
    bytes.extend(10_u64.to_le_bytes());
    bytes.extend([3; 16]);
    assert_eq!(bytes.len(), 91);
    let key = blake3::derive_key("prospera 2026 routing approval token v1", &[42; 32]);
    let tag = Digest::from_bytes(*blake3::keyed_hash(&key, &bytes).as_bytes());
    let token = mint().issue(claims()).evidence();
    assert_eq!(token.tag(), tag);
    assert_eq!(tag.to_string(), "dbf18ec79d65db2186fa59e7977a93453989ea2b275b31cc653c74739c5f1be0");
    assert_eq!(token.id(), &[3; 16]);
    let stored = token.to_canonical();
    assert_eq!(stored.len(), 48);
    assert_eq!(GovernanceToken::from_canonical(&stored), Ok(token));
}

#[test]
fn the_key_is_never_shown() {
    assert_eq!(format!("{:?}", mint()), "TokenMint(key hidden)");
    let shown = format!("{:?}", mint().issue(claims()));
    assert!(!shown.contains("tag"), "{shown}");
}
