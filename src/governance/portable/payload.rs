//! The claims as JSON: written in one way, read strictly.

use alloc::borrow::Cow;
use alloc::string::{String, ToString as _};
use core::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::audience::state::State;
use crate::digest::Digest;
use crate::governance::portable::error::{PortableError, shown};
use crate::governance::portable::keys::Trust;
use crate::governance::token::TokenClaims;
use crate::id::Name;
use crate::intent::RoutingId;
use crate::time::Timestamp;
use crate::verdict::SafetyMode;

const KIND: &str = "prospera-rat-v1";
const MODES: [SafetyMode; 3] = [SafetyMode::Normal, SafetyMode::Protected, SafetyMode::ReadOnly];

/// In the order in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
    #[serde(borrow)]
    exp: Cow<'a, str>,
    #[serde(borrow)]
    nbf: Cow<'a, str>,
    #[serde(borrow)]
    iat: Cow<'a, str>,
    #[serde(borrow)]
    jti: Cow<'a, str>,
    #[serde(borrow)]
    typ: Cow<'a, str>,
    #[serde(borrow)]
    routing_id: Cow<'a, str>,
    #[serde(borrow)]
    table: Cow<'a, str>,
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow)]
    mode: Cow<'a, str>,
}

pub(super) fn write(
    claims: &TokenClaims,
    issuer: &Name,
    audience: &Name,
    now: Timestamp,
) -> Result<String, PortableError> {
    let time = |claim, time| write_time(time).ok_or(PortableError::Unwritable { claim });
    let exported = time("iat", now)?;
    let payload = Payload {
        iss: issuer.as_str().into(),
        aud: audience.as_str().into(),
        exp: time("exp", claims.expires_at)?.into(),
        nbf: exported.as_str().into(),
        iat: exported.as_str().into(),
        jti: hex(&claims.nonce).into(),
        typ: KIND.into(),
        routing_id: claims.routing_id.to_string().into(),
        table: claims.table.to_string().into(),
        state: claims.state.name().into(),
        mode: mode_name(claims.mode).into(),
    };
    serde_json::to_string(&payload).map_err(|_| PortableError::Signing)
}

/// Reads what a trusted key signed, and checks all of it but the one use.
pub(super) fn read(
    text: &str,
    trust: &Trust,
    now: Timestamp,
) -> Result<TokenClaims, PortableError> {
    if !text.starts_with('{') {
        return Err(PortableError::Payload { found: "data", column: 0 });
    }
    let payload: Payload<'_> = serde_json::from_str(text).map_err(|error| {
        let data = matches!(error.classify(), serde_json::error::Category::Data);
        let found = if data { "data" } else { "syntax" };
        PortableError::Payload { found, column: error.column() }
    })?;
    if payload.typ != KIND {
        return Err(PortableError::Kind { expected: KIND, found: shown(&payload.typ) });
    }
    if payload.iss != trust.issuer().as_str() {
        let expected = trust.issuer().clone();
        return Err(PortableError::Issuer { expected, found: shown(&payload.iss) });
    }
    if payload.aud != trust.audience().as_str() {
        let expected = trust.audience().clone();
        return Err(PortableError::Audience { expected, found: shown(&payload.aud) });
    }
    let expires_at = check_times(&payload, trust, now)?;
    let wrong = |claim, expected| PortableError::Claim { claim, expected };
    let digest = |claim, text: &str| -> Result<Digest, PortableError> {
        text.parse().map_err(|_| wrong(claim, "64 lower-case hex digits"))
    };
    let state = State::ALL.into_iter().find(|state| payload.state == state.name());
    let mode = MODES.into_iter().find(|mode| payload.mode == mode_name(*mode));
    Ok(TokenClaims {
        routing_id: RoutingId::from_digest(digest("routing_id", &payload.routing_id)?),
        table: digest("table", &payload.table)?,
        state: state.ok_or(wrong("state", "an audience state"))?,
        mode: mode.ok_or(wrong("mode", "a safety mode"))?,
        expires_at,
        nonce: unhex(&payload.jti).ok_or(wrong("jti", "32 lower-case hex digits"))?,
    })
}

const fn mode_name(mode: SafetyMode) -> &'static str {
    match mode {
        SafetyMode::Normal => "normal",
        SafetyMode::Protected => "protected",
        SafetyMode::ReadOnly => "read-only",
    }
}

/// When the token ends, if it started and did not end yet.
fn check_times(
    payload: &Payload<'_>,
    trust: &Trust,
    now: Timestamp,
) -> Result<Timestamp, PortableError> {
    let expected = "a time like 2026-01-31T12:00:00.000Z";
    let time = |claim, text| read_time(text).ok_or(PortableError::Claim { claim, expected });
    for (claim, text) in [("nbf", &payload.nbf), ("iat", &payload.iat)] {
        let from = time(claim, text)?;
        if now.plus_millis(trust.leeway_ms()) < from {
            return Err(PortableError::NotYetValid { claim, from, found: now });
        }
    }
    let expires_at = time("exp", &payload.exp)?;
    if now >= expires_at {
        return Err(PortableError::Expired { expires_at, found: now });
    }
    Ok(expires_at)
}

/// How long a time is, `2026-01-31T12:00:00.000Z`.
const TIME_BYTES: usize = 24;

/// `None` from the year 10000 on, for which RFC 3339 has no form.
fn write_time(time: Timestamp) -> Option<String> {
    // The first of January 10000.
    (time < Timestamp::from_secs(253_402_300_800)).then(|| time.to_string())
}

/// `None` for everything that [`write_time`] does not write.
pub(super) fn read_time(text: &str) -> Option<Timestamp> {
    if text.len() != TIME_BYTES {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
    let seconds = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let millis = (days * 86_400 + seconds) * 1000 + number(20, 23)?;
    let time = Timestamp::from_millis(millis);
    // Separators, dates that do not exist, leap seconds: written again, they differ.
    (time.to_string() == text).then_some(time)
}

/// Days from 1970-01-01 to a date, counting years from the first of March.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let of_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    let leaps = year / 4 - year / 100 + year / 400;
    (year * 365 + leaps + of_year).checked_sub(719_468)
}

fn hex(bytes: &[u8; 16]) -> String {
    bytes.iter().fold(String::with_capacity(32), |mut out, byte| {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 {
        return None;
    }
    text.bytes().enumerate().try_fold([0_u8; 16], |mut out, (position, digit)| {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        let byte = out.get_mut(position / 2)?;
        *byte = (*byte << 4) | nibble;
        Some(out)
    })
}
