//! What is compared of two sessions, and how alike each can be.
//!
//! | field | levels, the best first | nothing to compare |
//! |---|---|---|
//! | issuer | same, other (a host's word is an issuer of its own) | |
//! | principal, kind | same, other | |
//! | roles, scopes | same, overlap, disjoint | |
//! | delegation | same chain, same first link, other | |
//! | strength | same, within 0.1, further | |
//! | lifetime | within a tenth, within half and double, further | |
//! | hour | the times of day within 1, within 3, within 6 hours, further | |
//! | device, channel, method | same, other, withheld | the earlier session has none |
//! | network, locale | same, near, other, withheld | the earlier session has none |
//!
//! *Withheld* is a signal that the earlier session has and the new one lacks.

use serde::{Deserialize, Serialize};

use crate::encode::byte_enum;
use crate::id::Name;
use crate::identity::claims::{Claims, ClaimsOrigin};
use crate::identity::{Scopes, SessionOpened, SignalKind};

/// Something that two sessions are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Field {
    /// Who answers for the claims.
    Issuer,
    /// Who acts.
    Principal,
    /// What kind of principal acts.
    Kind,
    /// The roles claimed.
    Roles,
    /// The scopes held.
    Scopes,
    /// Who passed the right on.
    Delegation,
    /// How sure the issuer was.
    Strength,
    /// For how long the claims were made.
    Lifetime,
    /// The time of day at which it was opened.
    Hour,
    /// What it was opened on.
    Device,
    /// Through which program.
    Channel,
    /// From where.
    Network,
    /// In which language and region.
    Locale,
    /// How the principal was authenticated.
    Method,
}

byte_enum!(Field, "a field of record linkage", {
    Issuer = 1, Principal = 2, Kind = 3, Roles = 4, Scopes = 5, Delegation = 6, Strength = 7,
    Lifetime = 8, Hour = 9, Device = 10, Channel = 11, Network = 12, Locale = 13, Method = 14,
});

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Strengths this far apart are near.
const NEAR_STRENGTH: u32 = 100_000;

impl Field {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::Issuer,
        Self::Principal,
        Self::Kind,
        Self::Roles,
        Self::Scopes,
        Self::Delegation,
        Self::Strength,
        Self::Lifetime,
        Self::Hour,
        Self::Device,
        Self::Channel,
        Self::Network,
        Self::Locale,
        Self::Method,
    ];

    /// The field's name, as in `linkage.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Principal => "principal",
            Self::Kind => "kind",
            Self::Roles => "roles",
            Self::Scopes => "scopes",
            Self::Delegation => "delegation",
            Self::Strength => "strength",
            Self::Lifetime => "lifetime",
            Self::Hour => "hour",
            Self::Device => "device",
            Self::Channel => "channel",
            Self::Network => "network",
            Self::Locale => "locale",
            Self::Method => "method",
        }
    }

    /// The names of its levels, the best agreement first.
    pub const fn levels(self) -> &'static [&'static str] {
        match self {
            Self::Issuer | Self::Principal | Self::Kind => &["same", "other"],
            Self::Roles | Self::Scopes => &["same", "overlap", "disjoint"],
            Self::Delegation => &["same", "same first link", "other"],
            Self::Strength => &["same", "near", "far"],
            Self::Lifetime => &["alike", "within half and double", "further"],
            Self::Hour => &["within 1 hour", "within 3 hours", "within 6 hours", "further"],
            Self::Device | Self::Channel | Self::Method => &["same", "other", "withheld"],
            Self::Network | Self::Locale => &["same", "near", "other", "withheld"],
        }
    }

    /// The signal it compares, if it is one.
    const fn signal(self) -> Option<SignalKind> {
        match self {
            Self::Device => Some(SignalKind::Device),
            Self::Channel => Some(SignalKind::Channel),
            Self::Network => Some(SignalKind::Network),
            Self::Locale => Some(SignalKind::Locale),
            Self::Method => Some(SignalKind::Method),
            _ => None,
        }
    }

    /// Whether some of its values can be more common than others.
    pub const fn has_terms(self) -> bool {
        matches!(self, Self::Issuer | Self::Principal) || self.signal().is_some()
    }

    /// The value of it that may be common.
    pub(super) fn term(self, session: &SessionOpened) -> Option<&Name> {
        match self {
            Self::Issuer => issuer(&session.claims),
            Self::Principal => Some(session.claims.principal.name()),
            _ => self.signal().and_then(|kind| session.claims.signals.get(&kind)),
        }
    }

    /// How alike two sessions are: the number of the level, none when there is nothing to
    /// compare.
    pub fn compare(self, new: &SessionOpened, earlier: &SessionOpened) -> Option<u8> {
        let (now, before) = (&new.claims, &earlier.claims);
        let same = |same: bool| u8::from(!same);
        Some(match self {
            Self::Issuer => same(issuer(now) == issuer(before)),
            Self::Principal => same(now.principal == before.principal),
            Self::Kind => same(now.kind == before.kind),
            Self::Roles => sets(&now.roles, &before.roles),
            Self::Scopes => sets(&new.scopes, &earlier.scopes),
            Self::Delegation => chains(now, before),
            Self::Strength => match now.strength.ppm().abs_diff(before.strength.ppm()) {
                0 => 0,
                1..=NEAR_STRENGTH => 1,
                _ => 2,
            },
            Self::Lifetime => lifetimes(now, before),
            Self::Hour => {
                let of_day = |session: &SessionOpened| session.verified_at.as_millis() % DAY_MS;
                let apart = of_day(new).abs_diff(of_day(earlier));
                match apart.min(DAY_MS - apart) {
                    0..=HOUR_MS => 0,
                    apart if apart <= 3 * HOUR_MS => 1,
                    apart if apart <= 6 * HOUR_MS => 2,
                    _ => 3,
                }
            }
            Self::Device | Self::Channel | Self::Network | Self::Locale | Self::Method => {
                return self.signals(now, before);
            }
        })
    }

    fn signals(self, now: &Claims, before: &Claims) -> Option<u8> {
        let kind = self.signal()?;
        let before = before.signals.get(&kind)?;
        let separator = match self {
            Self::Network => Some('/'),
            Self::Locale => Some('-'),
            _ => None,
        };
        let nears = u8::from(separator.is_some());
        let Some(now) = now.signals.get(&kind) else { return Some(2 + nears) };
        if now == before {
            return Some(0);
        }
        let near = separator.is_some_and(|separator| {
            now.as_str().split(separator).next() == before.as_str().split(separator).next()
        });
        Some(if near { 1 } else { 1 + nears })
    }
}

fn issuer(claims: &Claims) -> Option<&Name> {
    match &claims.origin {
        ClaimsOrigin::Token { issuer, .. } => Some(issuer),
        ClaimsOrigin::Host => None,
    }
}

fn sets(now: &Scopes, before: &Scopes) -> u8 {
    if now == before { 0 } else { 1 + u8::from(now.is_disjoint(before)) }
}

fn chains(now: &Claims, before: &Claims) -> u8 {
    let now = now.delegation.iter().map(|link| &link.principal);
    let before = before.delegation.iter().map(|link| &link.principal);
    if now.clone().eq(before.clone()) {
        return 0;
    }
    1 + u8::from(now.clone().next() != before.clone().next())
}

fn lifetimes(now: &Claims, before: &Claims) -> u8 {
    let of = |claims: &Claims| u128::from(claims.expires_at.since(claims.issued_at));
    let (now, before) = (of(now), of(before));
    let (short, long) = (now.min(before), now.max(before));
    if long * 10 <= short * 11 { 0 } else { 1 + u8::from(long > short * 2) }
}
