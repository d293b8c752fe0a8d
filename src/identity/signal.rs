//! Signals: what a session was opened from. Device, channel, network, locale, method.
//!
//! They prove nothing and give no right. They are compared with those of the subject's
//! earlier sessions ([`crate::identity::linkage`]), so that a session that is opened with
//! good claims by somebody else can be told from the subject's own.
//!
//! A signed token names some of them; the program that embeds prospera adds what it saw
//! ([`VerifiedClaims::observed`](crate::identity::VerifiedClaims::observed)).
//!
//! | signal | in a token | near means |
//! |---|---|---|
//! | device | `cnf.jkt` (RFC 9449, RFC 7800) | |
//! | channel | `azp` | |
//! | network | never | the same up to the first `/`, such as `AS64496/192.0.2.0` |
//! | locale | `locale` | the same up to the first `-`, such as `de-AT` and `de-CH` |
//! | method | `amr`, in order and joined with `+` (RFC 8176) | |
//!
//! Values stand in the log as they are given, and stay there. Only whether two are equal
//! or near counts, so give a pseudonym for what is personal: a keyed hash, a coarse network.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::encode::{DecodeError, Encode as _, Reader, Writer, byte_enum};
use crate::id::Name;

/// A kind of signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SignalKind {
    /// What it was opened on.
    Device,
    /// Through which program.
    Channel,
    /// From where in the network.
    Network,
    /// In which language and region.
    Locale,
    /// How the principal was authenticated.
    Method,
}

byte_enum!(SignalKind, "a kind of signal", {
    Device = 1, Channel = 2, Network = 3, Locale = 4, Method = 5,
});

/// The signals of a session, at most one of each kind.
pub type Signals = BTreeMap<SignalKind, Name>;

/// Count; kind and value each, in the order of the kinds.
pub(super) fn encode_signals(signals: &Signals, out: &mut Writer) {
    out.count(signals.len());
    for (kind, value) in signals {
        kind.encode(out);
        out.value(value);
    }
}

/// At least one: claims without signals are written in their first version.
pub(super) fn decode_signals(input: &mut Reader<'_>) -> Result<Signals, DecodeError> {
    let mut signals = Signals::new();
    for _ in 0..input.count(6)? {
        let kind: SignalKind = input.value()?;
        if signals.last_key_value().is_some_and(|(last, _)| *last >= kind) {
            return Err(input.invalid("unique signals in ascending order"));
        }
        signals.insert(kind, input.value()?);
    }
    if signals.is_empty() {
        return Err(input.invalid("at least one signal in claims of version 2"));
    }
    Ok(signals)
}
