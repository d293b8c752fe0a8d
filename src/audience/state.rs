//! The seven states, as run-time values.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::encode::byte_enum;

/// A state of an audience (ASM2-3), as a run-time value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Not yet classified.
    Init,
    /// Stable, without privileges.
    Base,
    /// Identity, context and envelope validated.
    Verified,
    /// Trusted with what needs constitutional clearance.
    Privileged,
    /// Limited: Class C, or risk above the threshold.
    Restricted,
    /// Suspended until governance validates it.
    Hold,
    /// Emergency: constitutional drift.
    Escalated,
}

impl State {
    /// All states in the order of the specification.
    pub const ALL: [Self; 7] = [
        Self::Init,
        Self::Base,
        Self::Verified,
        Self::Privileged,
        Self::Restricted,
        Self::Hold,
        Self::Escalated,
    ];

    /// The specification's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::Base => "BASE",
            Self::Verified => "VERIFIED",
            Self::Privileged => "PRIVILEGED",
            Self::Restricted => "RESTRICTED",
            Self::Hold => "HOLD",
            Self::Escalated => "ESCALATED",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

byte_enum!(State, "an audience state", {
    Init = 1, Base = 2, Verified = 3, Privileged = 4, Restricted = 5, Hold = 6, Escalated = 7,
});
