//! Every claim is under the signature, and every claim is checked.

use super::*;

/// A change to the payload of [`claims`], as text.
const CHANGES: [(&str, &str, &str); 11] = [
    ("iss", "gate-a", "gate-c"),
    ("aud", "pipeline-b", "pipeline-c"),
    ("exp", "12:01:00.000Z", "12:02:00.000Z"),
    ("nbf", "\"nbf\":\"2026-01-31T12", "\"nbf\":\"2026-01-31T11"),
    ("iat", "\"iat\":\"2026-01-31T12", "\"iat\":\"2026-01-31T11"),
    ("jti", "030303", "030304"),
    ("typ", "rat-v1", "rat-v2"),
    ("routing_id", "010101", "010102"),
    ("table", "020202", "020203"),
    ("state", "VERIFIED", "PRIVILEGED"),
    ("mode", "normal", "read-only"),
];

fn changed(from: &str, to: &str) -> String {
    let before = payload(&export(claims()));
    let after = before.replacen(from, to, 1);
    assert_ne!(before, after, "{from}");
    after
}

fn sign_and_import(payload: &str) -> Result<TokenClaims, PortableError> {
    import(&signed(payload)).map(|token| *token.claims())
}

#[test]
fn d_28_every_claim_is_under_the_signature() {
    let text = export(claims());
    let [_, _, body, footer] = text.split('.').collect::<Vec<_>>().try_into().unwrap();
    let body = from_base64(body);
    let signature = &body[body.len() - 64..];
    for (claim, from, to) in CHANGES {
        let forged = [changed(from, to).as_bytes(), signature].concat();
        let forged = format!("v4.public.{}.{footer}", base64(&forged));
        let refused = PortableError::Signature { key: key().id().clone() };
        assert_eq!(import(&forged).unwrap_err(), refused, "{claim}");
    }
}

#[test]
fn d_28_every_binding_arrives_and_is_held_against_the_route() {
    let redeem = |from: &str, to: &str| {
        let token = import(&signed(&changed(from, to))).unwrap();
        token.redeem(&there(), &expected()).map(drop).unwrap_err()
    };
    let of = |claim: &str| CHANGES.into_iter().find(|(c, ..)| *c == claim).map(|(_, f, t)| (f, t));
    let redeem = |claim| of(claim).map(|(from, to)| redeem(from, to)).unwrap();
    assert!(matches!(redeem("routing_id"), TokenError::Route { .. }));
    assert!(matches!(redeem("table"), TokenError::Table { .. }));
    assert!(matches!(redeem("state"), TokenError::State { .. }));
    assert!(matches!(redeem("mode"), TokenError::Mode { .. }));
    let (from, to) = of("exp").unwrap();
    assert_eq!(sign_and_import(&changed(from, to)).unwrap().expires_at, LATER.plus_millis(60_000));
    let (from, to) = of("jti").unwrap();
    assert_eq!(sign_and_import(&changed(from, to)).unwrap().nonce[..4], [3, 3, 4, 3]);
    for expires_at in [NOW.plus_millis(1), LATER.plus_millis(999)] {
        let token = import(&export(TokenClaims { expires_at, ..claims() })).unwrap();
        let late = Expectations { now: expires_at, ..expected() };
        let found = token.redeem(&there(), &late).map(drop).unwrap_err();
        assert_eq!(found, TokenError::Expired { expires_at, found: expires_at });
    }
}

#[test]
fn issuer_audience_and_kind_are_the_ones_expected() {
    let found = sign_and_import(&changed("gate-a", "gate-c")).unwrap_err();
    let expected = PortableError::Issuer { expected: name("gate-a"), found: "gate-c".into() };
    assert_eq!(found, expected);
    let found = sign_and_import(&changed("pipeline-b", "pipeline-c")).unwrap_err();
    let expected =
        PortableError::Audience { expected: name("pipeline-b"), found: "pipeline-c".into() };
    assert_eq!(found, expected);
    let found = sign_and_import(&changed("rat-v1", "rat-v2")).unwrap_err();
    let expected =
        PortableError::Kind { expected: "prospera-rat-v1", found: "prospera-rat-v2".into() };
    assert_eq!(found, expected);
}

#[test]
fn a_token_has_a_beginning_and_an_end() {
    let text = export(claims());
    let at =
        |trust: &Trust, now| there().import(&text, trust, now, &mut ReplayMemory::new()).map(drop);
    let before = Timestamp::from_millis(NOW.as_millis() - 1);
    let early = PortableError::NotYetValid { claim: "nbf", from: NOW, found: before };
    assert_eq!(at(&trust(), before), Err(early));
    assert_eq!(at(&trust(), NOW), Ok(()));
    assert_eq!(at(&trust(), Timestamp::from_millis(LATER.as_millis() - 1)), Ok(()));
    let late = PortableError::Expired { expires_at: LATER, found: LATER };
    assert_eq!(at(&trust(), LATER), Err(late.clone()));
    // The leeway is for the beginning alone, and bounded.
    let lenient = trust().with_clock_leeway(u64::MAX);
    assert_eq!(at(&lenient, Timestamp::from_millis(NOW.as_millis() - 300_000)), Ok(()));
    assert!(at(&lenient, Timestamp::from_millis(NOW.as_millis() - 300_001)).is_err());
    assert_eq!(at(&lenient, LATER), Err(late));
    let later = changed("\"iat\":\"2026-01-31T12:00:00.000Z", "\"iat\":\"2026-01-31T12:00:00.001Z");
    let found = sign_and_import(&later).unwrap_err();
    assert!(matches!(found, PortableError::NotYetValid { claim: "iat", .. }));
}

#[test]
fn claims_have_one_form() {
    for (claim, from, to) in [
        ("exp", "12:01:00.000Z", "12:01:00Z"),
        ("exp", "12:01:00.000Z", "12:01:00.000+00:00"),
        ("exp", "12:01:00.000Z", "12:00:60.000Z"),
        ("nbf", "\"nbf\":\"2026-01-31", "\"nbf\":\"2026-01-32"),
        ("iat", "\"iat\":\"2026-01-31", "\"iat\":\"2025-02-29"),
        ("jti", "030303", "03030A"),
        ("jti", "030303", "0303"),
        ("routing_id", "010101", "01010A"),
        ("table", "020202", "0202"),
        ("state", "VERIFIED", "verified"),
        ("mode", "normal", "Normal"),
    ] {
        let found = sign_and_import(&changed(from, to)).unwrap_err();
        assert!(matches!(found, PortableError::Claim { claim: c, .. } if c == claim), "{found}");
    }
}

#[test]
fn the_payload_is_an_object_of_exactly_the_claims() {
    let whole = payload(&export(claims()));
    let more = whole.replacen('{', "{\"sub\":\"x\",", 1);
    let twice = whole.replacen('{', "{\"mode\":\"protected\",", 1);
    let less = whole.replacen(",\"mode\":\"normal\"", "", 1);
    let number = whole.replacen("\"normal\"", "0", 1);
    let after = format!("{whole}x");
    let list = format!("[{}]", ["\"a\""; 11].join(","));
    for (text, kind) in [
        (more, "data"),
        (twice, "data"),
        (less, "data"),
        (number, "data"),
        (list, "data"),
        (after, "syntax"),
        ("{".into(), "syntax"),
    ] {
        let found = sign_and_import(&text).unwrap_err();
        assert!(matches!(found, PortableError::Payload { found, .. } if found == kind), "{found}");
    }
    assert_eq!(sign_and_import(&whole), Ok(claims()));
}

fn any_claims() -> impl Strategy<Value = TokenClaims> {
    let modes = [SafetyMode::Normal, SafetyMode::Protected, SafetyMode::ReadOnly];
    let end = NOW.as_millis() + 1..253_402_300_800_000;
    let bytes = any::<([u8; 32], [u8; 32], [u8; 16])>();
    let of = (bytes, prop::sample::select(&State::ALL), prop::sample::select(modes.to_vec()), end);
    of.prop_map(|((route, table, nonce), state, mode, end)| TokenClaims {
        routing_id: RoutingId::from_digest(Digest::from_bytes(route)),
        table: Digest::from_bytes(table),
        state,
        mode,
        expires_at: Timestamp::from_millis(end),
        nonce,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_widened(claims in any_claims()) {
        let token = import(&export(claims)).unwrap();
        prop_assert_eq!(token.claims(), &claims);
    }

    #[test]
    fn a_time_is_read_as_it_was_written(millis in 0_u64..253_402_300_800_000) {
        let time = Timestamp::from_millis(millis);
        prop_assert_eq!(read_time(&time.to_string()), Some(time));
    }

    #[test]
    fn what_is_no_time_is_not_read(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}.[0-9]{3}Z") {
        if let Some(time) = read_time(&text) {
            prop_assert_eq!(time.to_string(), text);
        }
    }
}
