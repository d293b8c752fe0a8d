//! Texts and keys that are none.

use super::*;

#[test]
fn a_token_is_of_this_version_and_purpose() {
    let text = export(claims());
    for found in
        ["v1.local", "v1.public", "v2.local", "v2.public", "v3.local", "v3.public", "v4.local"]
    {
        let other = text.replacen("v4.public", found, 1);
        let expected = PortableError::Header { expected: "v4.public", found };
        assert_eq!(import(&other).unwrap_err(), expected);
    }
    for other in ["", "v4", "v4.public", "V4.PUBLIC.", "v4.publicx.", " v4.public.", "v4.pid.AA"] {
        let found = import(&text.replacen("v4.public.", other, 1)).unwrap_err();
        let expected = PortableError::Header { expected: "v4.public", found: "another beginning" };
        assert_eq!(found, expected, "{other}");
    }
}

#[test]
fn garbage_is_refused() {
    let text = export(claims());
    let [_, _, body, footer] = text.split('.').collect::<Vec<_>>().try_into().unwrap();
    let short = base64(&[0; 64]);
    for garbage in [
        "v4.public.".into(),
        "v4.public..".into(),
        "v4.public.!!".into(),
        format!("v4.public.{short}.{footer}"),
        format!("v4.public.{body}=.{footer}"),
        format!("v4.public.{body}.{footer}.{footer}"),
        format!("v4.public.{body} .{footer}"),
    ] {
        let found = import(&garbage).unwrap_err();
        assert_eq!(found, PortableError::Shape { found: "broken parts" }, "{garbage}");
    }
    let sign = |payload: &[u8]| {
        let footer = super::footer(key().id());
        PublicToken::sign(key().secret(), payload, Some(footer.as_bytes()), None).unwrap()
    };
    let found = import(&sign(&[0xff])).unwrap_err();
    assert_eq!(found, PortableError::Shape { found: "a payload that is no text" });
}

#[test]
fn a_text_is_bounded() {
    let text = format!("v4.public.{}", "A".repeat(TOKEN_BYTES - 9));
    let found = import(&text).unwrap_err();
    assert_eq!(found, PortableError::Size { limit: TOKEN_BYTES, found: TOKEN_BYTES + 1 });
    let found = import(&text[..TOKEN_BYTES]).unwrap_err();
    assert!(!matches!(found, PortableError::Size { .. }), "{found}");
}

#[test]
fn a_signature_is_of_the_key_that_the_footer_names() {
    let other = SigningKey::from_paserk(OTHER).unwrap();
    let (a, b) = (name("gate-a"), name("pipeline-b"));
    let text = here().issue(claims()).export(&other, &a, &b, NOW).unwrap();
    let found = import(text.as_str()).unwrap_err();
    assert_eq!(found, PortableError::UnknownKey { found: Some(other.id().clone()) });
    // The same under the name of the trusted key: in the signature, then only pasted on.
    let (payload, ours) = (payload(text.as_str()), super::footer(key().id()));
    let signed = PublicToken::sign(other.secret(), payload.as_bytes(), Some(ours.as_bytes()), None);
    let (body, _) = text.as_str().rsplit_once('.').unwrap();
    let pasted = format!("{body}.{}", base64(ours.as_bytes()));
    for forged in [signed.unwrap(), pasted] {
        let refused = PortableError::Signature { key: key().id().clone() };
        assert_eq!(import(&forged).unwrap_err(), refused);
    }
    // With both keys trusted, during a rotation, either is taken.
    let both = trust().with_key(other.verifying_key());
    assert!(there().import(text.as_str(), &both, NOW, &mut ReplayMemory::new()).is_ok());
    assert!(there().import(&export(claims()), &both, NOW, &mut ReplayMemory::new()).is_ok());
}

#[test]
fn every_bit_of_body_and_footer_counts() {
    let text = export(claims());
    let [_, _, body, footer] = text.split('.').collect::<Vec<_>>().try_into().unwrap();
    let (body, footer) = (from_base64(body), from_base64(footer));
    let whole = [&*body, &footer].concat();
    for position in (0..whole.len()).step_by(7).chain(body.len() - 64..body.len()) {
        let mut flipped = whole.clone();
        flipped[position] ^= 1 << (position % 8);
        let (body, footer) = flipped.split_at(body.len());
        let forged = format!("v4.public.{}.{}", base64(body), base64(footer));
        assert!(import(&forged).is_err(), "{position}");
    }
}

#[test]
fn a_footer_has_one_form() {
    let payload = payload(&export(claims()));
    let sign = |footer: &str| {
        PublicToken::sign(key().secret(), payload.as_bytes(), Some(footer.as_bytes()), None)
            .unwrap()
    };
    assert!(import(&sign(&format!("{{\"kid\":\"{ID}\"}}"))).is_ok());
    for footer in [
        String::new(),
        ID.into(),
        format!("{{\"kid\": \"{ID}\"}}"),
        format!("{{\"kid\":\"{ID}\",\"kid\":\"{ID}\"}}"),
        format!("{{\"kid\":\"{SECRET}\"}}"),
        "{\"kid\":\"\"}".into(),
    ] {
        let found = import(&sign(&footer)).unwrap_err();
        assert_eq!(found, PortableError::UnknownKey { found: None }, "{footer}");
    }
}

#[test]
fn a_weak_key_verifies_nothing() {
    // The identity, the point of order two, and zeros.
    for first in [[1, 0], [0xec, 0x7f], [0, 0]] {
        let mut bytes = [if first[0] == 0xec { 0xff } else { 0 }; 32];
        (bytes[0], bytes[31]) = (first[0], first[1]);
        let weak = VerifyingKey::from_paserk(&format!("k4.public.{}", base64(&bytes))).unwrap();
        let trust = Trust::new(name("gate-a"), name("pipeline-b")).with_key(weak.clone());
        // R is the identity and S is 0: what a lax verifier takes for every message.
        let mut signature = [0; 64];
        signature[0] = 1;
        let body = [payload(&export(claims())).as_bytes(), &signature].concat();
        let footer = super::footer(weak.id());
        let text = format!("v4.public.{}.{}", base64(&body), base64(footer.as_bytes()));
        let found = there().import(&text, &trust, NOW, &mut ReplayMemory::new()).unwrap_err();
        assert_eq!(found, PortableError::Signature { key: weak.id().clone() });
    }
}

#[test]
fn keys_are_of_their_type_and_whole() {
    let secret = |text: &str| SigningKey::from_paserk(text).map(drop).unwrap_err();
    let public = |text: &str| VerifyingKey::from_paserk(text).map(drop).unwrap_err();
    let refused = |expected, found| PortableError::Key { expected, found };
    let (type_, digits) = ("a text of another type", "another length or other digits");
    assert_eq!(secret(PUBLIC), refused("k4.secret", type_));
    assert_eq!(public(SECRET), refused("k4.public", type_));
    assert_eq!(secret(&SECRET.replacen("k4", "k2", 1)), refused("k4.secret", type_));
    assert_eq!(secret("k4.secret"), refused("k4.secret", type_));
    assert_eq!(secret("k4.secret."), refused("k4.secret", digits));
    assert_eq!(secret(&SECRET[..SECRET.len() - 4]), refused("k4.secret", digits));
    assert_eq!(secret(&format!("{SECRET}AAAA")), refused("k4.secret", digits));
    assert_eq!(secret(&format!("{SECRET}=")), refused("k4.secret", digits));
    assert_eq!(public(&PUBLIC.replacen("Hrn", "H+n", 1)), refused("k4.public", digits));
    let mixed = [&from_base64(&SECRET[10..])[..32], &from_base64(&OTHER[10..])[32..]].concat();
    let found = secret(&format!("k4.secret.{}", base64(&mixed)));
    assert_eq!(found, refused("k4.secret", "a public half of another key"));
    let found = secret(&format!("k4.secret.{}", base64(&[0; 64])));
    assert_eq!(found, refused("k4.secret", "a seed of zeros"));
}

#[test]
fn messages_hold_neither_token_nor_key_and_stay_on_one_line() {
    let text = export(claims());
    let parts: Vec<_> = text.split('.').skip(2).collect();
    let evil = payload(&text).replacen("gate-a", &"\\n\\u001b[31m".repeat(100), 1);
    for error in [
        import(&format!("{text}A")).unwrap_err(),
        import(&text.replacen("v4", "v3", 1)).unwrap_err(),
        import(&signed(&evil)).unwrap_err(),
        import(&signed("{\"iss\":\"gate-a\",\"oops\":1}")).unwrap_err(),
        SigningKey::from_paserk(&format!("{SECRET}A")).unwrap_err(),
        SigningKey::from_paserk(&SECRET[3..]).unwrap_err(),
    ] {
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!parts.iter().any(|part| shown.contains(*part)), "{shown}");
            assert!(!shown.contains(&SECRET[10..40]), "{shown}");
            assert!(!shown.contains(char::is_control) && shown.len() < 600, "{shown}");
        }
        let first = error.to_string().chars().next().unwrap();
        assert!(first.is_lowercase() && !error.to_string().ends_with('.'));
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_none_is_a_token(text in ".{0,200}") {
        let (token, key) = (format!("v4.public.{text}"), format!("k4.public.{text}"));
        prop_assert!(import(&text).is_err());
        prop_assert!(import(&token).is_err());
        prop_assert!(SigningKey::from_paserk(&text).is_err());
        prop_assert!(VerifyingKey::from_paserk(&key).is_err());
    }

    #[test]
    fn no_payload_that_is_signed_panics(text in "[\\[\\]{}:,\"a-z0-9 \\\\.]{1,120}") {
        prop_assert!(import(&signed(&text)).is_err());
    }
}
