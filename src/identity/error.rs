//! Why claims open no session.

use alloc::boxed::Box;

use crate::encode::DecodeError;
use crate::id::{Name, NameError, PrincipalId, SessionId};
use crate::ssot::record::StreamId;
use crate::time::Timestamp;
use crate::verdict::{Reason, ReasonCode};

/// Why claims open no session, or a stream resumes none. Never holds a token or a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The token is larger than any that is read.
    #[error("expected a token of at most {limit} bytes, found {found}")]
    TokenSize {
        /// The bound.
        limit: usize,
        /// The token's size.
        found: usize,
    },
    /// Not three parts in base64url with a header that names a known algorithm (RFC 7515 §7.1).
    #[error("expected a signed token of three parts with a known algorithm, found {found}")]
    TokenShape {
        /// What is wrong.
        found: &'static str,
    },
    /// No key of that id in the key set.
    #[error("expected the id of a key in the key set, found {}", Quoted(.found.as_deref()))]
    UnknownKey {
        /// The `kid` of the header.
        found: Option<Box<str>>,
    },
    /// The token is signed with another algorithm than its key is for (RFC 8725 §3.1).
    #[error("expected algorithm `{expected}` of key `{key}`, found `{found}`")]
    Algorithm {
        /// The key's algorithm.
        expected: &'static str,
        /// The token's algorithm.
        found: &'static str,
        /// The key's id.
        key: Box<str>,
    },
    /// The signature is not the key's.
    #[error("expected a signature by key `{key}`, found another")]
    Signature {
        /// The key's id.
        key: Box<str>,
    },
    /// A claim is missing or is no value of its kind.
    #[error("expected {expected} in claim `{claim}`, found {found}")]
    Claim {
        /// The claim's name.
        claim: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What was found.
        found: Box<str>,
    },
    /// The claims are no JSON object of the expected shape.
    #[error("expected the claims of RFC 7519, found a {found} error at column {column}")]
    Claims {
        /// The kind of error.
        found: &'static str,
        /// The column in the decoded claims.
        column: usize,
    },
    /// The claims were made by somebody else.
    #[error("expected issuer `{expected}`, found `{found}`")]
    Issuer {
        /// The policy's issuer.
        expected: Name,
        /// The claims' issuer.
        found: Name,
    },
    /// The claims are meant for somebody else.
    #[error("expected audience `{expected}`, found {found}")]
    Audience {
        /// The policy's audience.
        expected: Name,
        /// The claims' audiences, as a list.
        found: Box<str>,
    },
    /// The claims have ended.
    #[error("expected claims that last beyond {now}, found an end at {expires_at}")]
    Expired {
        /// Their end.
        expires_at: Timestamp,
        /// The time.
        now: Timestamp,
    },
    /// The claims have not begun, or the clock went backwards.
    #[error("expected claims that begin by {now}, found a beginning at {valid_from}")]
    NotYetValid {
        /// Their beginning.
        valid_from: Timestamp,
        /// The time.
        now: Timestamp,
    },
    /// The claims were made, or verified, too long ago.
    #[error("expected claims of at most {limit_ms} ms of age, found {found_ms} ms")]
    Stale {
        /// The bound.
        limit_ms: u64,
        /// Their age.
        found_ms: u64,
    },
    /// On the revocation list.
    #[error("expected a {what} that stands, found `{found}` on the revocation list")]
    Revoked {
        /// Token, session or principal.
        what: &'static str,
        /// Its name.
        found: Name,
    },
    /// More links than any chain may have.
    #[error("expected a delegation chain of at most {limit} links, found {found}")]
    DelegationLength {
        /// The bound.
        limit: usize,
        /// The chain's length.
        found: usize,
    },
    /// A link passes on what its delegator does not hold.
    #[error("expected `{delegator}` to pass on scopes it holds, found `{scope}`")]
    DelegationWidens {
        /// Who passes on.
        delegator: PrincipalId,
        /// The scope it does not hold.
        scope: Name,
    },
    /// The same principal stands in the chain twice.
    #[error("expected each principal once in the delegation chain, found `{found}` again")]
    DelegationCycle {
        /// The principal.
        found: PrincipalId,
    },
    /// The stream is not this session's.
    #[error("expected the stream of session `{expected}`, found {found}")]
    ForeignStream {
        /// The session asked for.
        expected: SessionId,
        /// The stream found.
        found: StreamId,
    },
    /// A record of the stream does not follow the one before it.
    #[error("expected record {expected} of the session's stream to follow, found {found}")]
    BrokenStream {
        /// The sequence number due.
        expected: u64,
        /// What stands there.
        found: &'static str,
    },
    /// The record says what it should not.
    #[error("expected a session's opening in the record: {0}")]
    Record(#[from] DecodeError),
    /// A name in the claims is no name.
    #[error("expected a name in claim `{claim}`: {error}")]
    Name {
        /// The claim.
        claim: &'static str,
        /// What is wrong with it.
        error: NameError,
    },
    /// The key set cannot be used.
    #[error("expected a usable key set, found {found} at line {line}, column {column}")]
    KeySet {
        /// What is wrong.
        found: Box<str>,
        /// The line, 0 where it concerns no single place.
        line: usize,
        /// The column, 0 where it concerns no single place.
        column: usize,
    },
}

impl IdentityError {
    /// The code under which a route is Blocked for it (IRM-4.1.4).
    pub const fn code(&self) -> ReasonCode {
        match self {
            Self::Expired { .. } => ReasonCode::SessionExpired,
            Self::NotYetValid { .. } => ReasonCode::SessionNotYetValid,
            Self::Revoked { .. } => ReasonCode::SessionRevoked,
            Self::Stale { .. } => ReasonCode::SessionStale,
            Self::ForeignStream { .. } | Self::BrokenStream { .. } | Self::Record(_) => {
                ReasonCode::SessionBroken
            }
            Self::DelegationLength { .. }
            | Self::DelegationWidens { .. }
            | Self::DelegationCycle { .. } => ReasonCode::DelegationInvalid,
            _ => ReasonCode::IdentityUnverified,
        }
    }

    /// The reason for which a route is Blocked for it.
    pub fn reason(&self) -> Reason {
        Reason::new(self.code()).detail(alloc::format!("{self}"))
    }
}

struct Quoted<'a>(Option<&'a str>);

impl core::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(text) => write!(f, "`{text}`"),
            None => f.write_str("none"),
        }
    }
}
