//! Text is a token that holds or is refused. Input that begins with `!` is a payload,
//! signed here with the test key, so that what stands behind the signature is reached.
#![no_main]

use std::sync::LazyLock;

use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use libfuzzer_sys::fuzz_target;
use prospera::testing::properties::{TokenProbe, tokens_expire};
use prospera::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
// {"alg":"EdDSA","kid":"ed"}
const HEADER: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImVkIn0";

static PROBE: LazyLock<TokenProbe> =
    LazyLock::new(|| TokenProbe::new(include_str!("../../tests/keys/jwks.json")).unwrap());
static KEY: LazyLock<EncodingKey> =
    LazyLock::new(|| EncodingKey::from_ed_der(include_bytes!("../../tests/keys/ed.pk8.der")));

fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [b'!', payload @ ..] => {
            let message = format!("{HEADER}.{}", base64url(payload));
            let signature = crypto::sign(message.as_bytes(), &KEY, Algorithm::EdDSA).unwrap();
            tokens_expire(&PROBE, &format!("{message}.{signature}"), NOW).unwrap();
        }
        bytes => {
            let Ok(token) = str::from_utf8(bytes) else { return };
            tokens_expire(&PROBE, token, NOW).unwrap();
        }
    }
});

fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, b| (bits << 8) | u32::from(*b))
            << (8 * (3 - chunk.len()));
        for i in 0..=chunk.len() {
            let digit = (bits >> (18 - 6 * i)) & 63;
            out.push(char::from(DIGITS[digit as usize]));
        }
    }
    out
}
