//! Why a token could not travel.

use alloc::boxed::Box;
use alloc::string::String;

use crate::governance::portable::keys::KeyId;
use crate::governance::portable::replay::ReplayError;
use crate::id::Name;
use crate::time::Timestamp;

/// Why a token was not exported or not imported. Never holds a token's text or a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortableError {
    /// Too long to look at.
    #[error("expected a token of at most {limit} bytes, found {found}")]
    Size {
        /// The bound.
        limit: usize,
        /// The text's length.
        found: usize,
    },
    /// Another version or purpose, or no PASETO.
    #[error("expected a `{expected}` token, found `{found}`")]
    Header {
        /// Always `v4.public`.
        expected: &'static str,
        /// The version and purpose found.
        found: &'static str,
    },
    /// The header is right and the rest is not.
    #[error("expected a payload with a signature and a footer, found {found}")]
    Shape {
        /// What is wrong.
        found: &'static str,
    },
    /// The footer names no trusted key.
    #[error("expected the id of a trusted key in the footer, found {}", .found.as_ref().map_or("none", KeyId::as_str))]
    UnknownKey {
        /// The id, where the footer holds one.
        found: Option<KeyId>,
    },
    /// Forged or changed.
    #[error("expected a signature of key {key}, found one that does not fit")]
    Signature {
        /// The key that the footer names.
        key: KeyId,
    },
    /// The payload is signed, and not an object of the claims expected.
    #[error(
        "expected an object of exactly the known claims, found other {found} at column {column} of the payload"
    )]
    Payload {
        /// `syntax` or `data`.
        found: &'static str,
        /// Where, from 1; 0 before the first.
        column: usize,
    },
    /// A claim that cannot be read.
    #[error("expected {expected} in claim `{claim}`, found something else")]
    Claim {
        /// The claim.
        claim: &'static str,
        /// What it must hold.
        expected: &'static str,
    },
    /// A token for something else, or of another version of this form.
    #[error("expected a token of kind `{expected}`, found `{found}`")]
    Kind {
        /// The kind.
        expected: &'static str,
        /// The token's.
        found: Box<str>,
    },
    /// Another issuer's.
    #[error("expected issuer `{expected}`, found `{found}`")]
    Issuer {
        /// The issuer.
        expected: Name,
        /// The token's.
        found: Box<str>,
    },
    /// For somebody else.
    #[error("expected audience `{expected}`, found `{found}`")]
    Audience {
        /// The importer.
        expected: Name,
        /// The token's.
        found: Box<str>,
    },
    /// From the future.
    #[error("expected a time from {from} on (claim `{claim}`), found {found}")]
    NotYetValid {
        /// `nbf` or `iat`.
        claim: &'static str,
        /// When it starts.
        from: Timestamp,
        /// The time.
        found: Timestamp,
    },
    /// Too late.
    #[error("expected a time before {expires_at}, found {found}")]
    Expired {
        /// When it ended.
        expires_at: Timestamp,
        /// The time.
        found: Timestamp,
    },
    /// The one use could not be secured: used before, or nobody knows.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A time that RFC 3339 has no form for.
    #[error("expected times before the year 10000 in claim `{claim}`, found another")]
    Unwritable {
        /// The claim.
        claim: &'static str,
    },
    /// A text that is not the key expected.
    #[error("expected a `{expected}` key, found {found}")]
    Key {
        /// `k4.secret` or `k4.public`.
        expected: &'static str,
        /// What is wrong with it.
        found: &'static str,
    },
    /// The signature could not be made.
    #[error("the token could not be signed")]
    Signing,
}

/// A foreign text for a message: bounded, and without control characters.
pub(super) fn shown(text: &str) -> Box<str> {
    let short: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    short.into()
}
