//! `router.toml`: thresholds and times of the router itself.
//!
//! ```toml
//! version = "1"
//! restriction_threshold = 600000   # risk above this restricts an audience
//! validated_strength = 600000      # identity counts as validated from here on
//! token_seconds = 30               # how long a Routing Approval Token lives
//! clearance_seconds = 30           # how long a clearance of an audience holds
//! decision_seconds = 3600          # how long a person's decision can be used
//! governor = "security"            # who releases and reviews audiences; left out: the
//!                                  # reviewer of governance.toml
//! objectives = "agent"             # who writes the objectives of intents: user or agent
//!
//! [limits]                         # each may be lowered, none raised
//! submission_bytes = 1048576       # see crate::limits for these and their meaning
//! value_depth = 32
//! value_items = 65536
//! text_bytes = 262144
//! intent_items = 4096
//! token_bytes = 16384
//! delegation_links = 8
//! output_bytes = 1048576
//!
//! [classes.intent]                 # each may be tightened: see crate::ssot::class
//! payload_days = 365               # intents and objectives are erased after so many days
//! sensitivity = "personal"         # who may be shown them
//! ```
//!
//! `objectives` decides whether a value that stands in an intent's objective counts as
//! the user's. An agent that writes both would vouch for itself: say `user` only where
//! the objective is taken from what the user typed.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};

use serde::Deserialize;
use toml::Spanned;

use crate::audience::causes::RestrictionThreshold;
use crate::digest::{Digest, Domain};
use crate::encode::{Encode, Writer};
use crate::files::{FileError, read_toml};
use crate::id::Name;
use crate::limits::{
    DELEGATION_LINKS, INTENT_ITEMS, Limits, OUTPUT_BYTES, SETTING_SECONDS, SUBMISSION_BYTES,
    TEXT_BYTES, TOKEN_BYTES, VALUE_DEPTH, VALUE_ITEMS,
};
use crate::provenance::{Sensitivity, Source};
use crate::risk::Risk;
use crate::ssot::class::{ClassRules, StateClass};

const VERSION: &str = "1";

/// A bound's name, what lowers it, and its constant.
type Lowered = (&'static str, fn(Limits, usize) -> Limits, usize);

/// The bounds that `[limits]` may lower: a file cannot bound itself.
const LOWERED: [Lowered; 8] = [
    ("submission_bytes", Limits::with_submission_bytes, SUBMISSION_BYTES),
    ("value_depth", Limits::with_value_depth, VALUE_DEPTH),
    ("value_items", Limits::with_value_items, VALUE_ITEMS),
    ("text_bytes", Limits::with_text_bytes, TEXT_BYTES),
    ("intent_items", Limits::with_intent_items, INTENT_ITEMS),
    ("token_bytes", Limits::with_token_bytes, TOKEN_BYTES),
    ("delegation_links", Limits::with_delegation_links, DELEGATION_LINKS),
    ("output_bytes", Limits::with_output_bytes, OUTPUT_BYTES),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<String>,
    restriction_threshold: Option<Spanned<Risk>>,
    validated_strength: Option<Risk>,
    token_seconds: Option<Spanned<u64>>,
    clearance_seconds: Option<Spanned<u64>>,
    decision_seconds: Option<Spanned<u64>>,
    governor: Option<Name>,
    #[serde(default)]
    objectives: Objectives,
    #[serde(default)]
    limits: BTreeMap<Spanned<String>, Spanned<u64>>,
    #[serde(default)]
    classes: BTreeMap<StateClass, ClassFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassFile {
    payload_days: Option<Spanned<u32>>,
    sensitivity: Option<Spanned<Sensitivity>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Objectives {
    User,
    #[default]
    Agent,
}

/// Thresholds and times of the router itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouterSettings {
    threshold: RestrictionThreshold,
    validated: Risk,
    token_millis: u64,
    clearance_millis: u64,
    decision_millis: u64,
    governor: Option<Name>,
    objectives: Objectives,
    limits: Limits,
    classes: ClassRules,
}

impl Default for RouterSettings {
    /// 600,000; 600,000; 30 seconds; 30 seconds; an hour; the agent.
    fn default() -> Self {
        Self {
            threshold: RestrictionThreshold::default(),
            validated: Risk::saturating(600_000),
            token_millis: 30_000,
            clearance_millis: 30_000,
            decision_millis: 3_600_000,
            governor: None,
            objectives: Objectives::Agent,
            limits: Limits::DEFAULT,
            classes: ClassRules::DEFAULT,
        }
    }
}

impl RouterSettings {
    /// Reads a `router.toml`; `file` is its name in messages.
    ///
    /// # Errors
    /// [`FileError`] that points at the place.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, FileError> {
        let read: File = read_toml(file, text)?;
        let wrong = |span, message: String| FileError::at(file, text, span, message);
        if read.version.get_ref() != VERSION {
            let found = read.version.get_ref();
            let message =
                alloc::format!("expected version `{VERSION}`, found `{found}` (in `version`)");
            return Err(wrong(read.version.span(), message));
        }
        let mut settings =
            Self { governor: read.governor, objectives: read.objectives, ..Self::default() };
        if let Some(risk) = read.restriction_threshold {
            settings.threshold = RestrictionThreshold::new(*risk.get_ref()).map_err(|error| {
                wrong(risk.span(), error.to_string() + " (in `restriction_threshold`)")
            })?;
        }
        settings.validated = read.validated_strength.unwrap_or(settings.validated);
        for (field, found, millis) in [
            ("token_seconds", read.token_seconds, &mut settings.token_millis),
            ("clearance_seconds", read.clearance_seconds, &mut settings.clearance_millis),
            ("decision_seconds", read.decision_seconds, &mut settings.decision_millis),
        ] {
            let Some(found) = found else { continue };
            if !(1..=SETTING_SECONDS).contains(found.get_ref()) {
                let message = alloc::format!(
                    "expected 1 to {SETTING_SECONDS} seconds, found {} (in `{field}`)",
                    found.get_ref()
                );
                return Err(wrong(found.span(), message));
            }
            *millis = found.get_ref().saturating_mul(1000);
        }
        for (name, found) in read.limits {
            let known = LOWERED.iter().find(|(known, ..)| *known == name.get_ref().as_str());
            let Some((_, lower, most)) = known else {
                let names = LOWERED.map(|(name, ..)| name).join("`, `");
                let message = alloc::format!("no limit `{}`, there are: `{names}`", name.get_ref());
                return Err(wrong(name.span(), message));
            };
            let number = usize::try_from(*found.get_ref()).ok();
            let Some(number) = number.filter(|number| (1..=*most).contains(number)) else {
                let message = alloc::format!(
                    "expected 1 to {most}, found {} (in `limits.{}`)",
                    found.get_ref(),
                    name.get_ref()
                );
                return Err(wrong(found.span(), message));
            };
            settings.limits = lower(settings.limits, number);
        }
        for (class, found) in read.classes {
            let at = |field, error: &dyn core::fmt::Display| {
                alloc::format!("{error} (in `classes.{class}.{field}`)")
            };
            if let Some(days) = found.payload_days {
                let tightened = settings.classes.clone().with_payload_days(class, *days.get_ref());
                settings.classes =
                    tightened.map_err(|error| wrong(days.span(), at("payload_days", &error)))?;
            }
            if let Some(shown) = found.sensitivity {
                let tightened = settings.classes.clone().with_sensitivity(class, *shown.get_ref());
                settings.classes =
                    tightened.map_err(|error| wrong(shown.span(), at("sensitivity", &error)))?;
            }
        }
        Ok(settings)
    }

    /// BLAKE3 of the canonical bytes in [`Domain::Policy`].
    pub fn digest(&self) -> Digest {
        Domain::Policy.hash(&self.to_canonical())
    }

    /// Risk above this restricts an audience (D-8).
    pub const fn restriction_threshold(&self) -> RestrictionThreshold {
        self.threshold
    }

    /// Identity strength from which on an identity counts as validated (ASM2-3.3).
    pub const fn validated_strength(&self) -> Risk {
        self.validated
    }

    /// How long a Routing Approval Token lives, in milliseconds.
    pub const fn token_millis(&self) -> u64 {
        self.token_millis
    }

    /// How long a clearance holds, in milliseconds.
    pub const fn clearance_millis(&self) -> u64 {
        self.clearance_millis
    }

    /// How long a person's decision can be used, in milliseconds.
    pub const fn decision_millis(&self) -> u64 {
        self.decision_millis
    }

    /// The role that releases, reviews and authorizes; `None`: that of `governance.toml`.
    pub const fn governor(&self) -> Option<&Name> {
        self.governor.as_ref()
    }

    /// The bounds on what is read, as `[limits]` lowers them.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What holds for each class of state, as `[classes]` tightens it.
    pub const fn classes(&self) -> &ClassRules {
        &self.classes
    }

    /// Who writes the objectives of intents that bring their own.
    pub const fn instruction(&self) -> Source {
        match self.objectives {
            Objectives::User => Source::User,
            Objectives::Agent => Source::Agent,
        }
    }
}

impl Encode for RouterSettings {
    /// The text `router settings v1`, threshold, validated strength, the three times in
    /// milliseconds (`u64`), optional governor, whether the user writes the objectives;
    /// then per bound that is lowered its name and number (`u64`); where a class is
    /// tightened, the text `classes` and the [`ClassRules`].
    fn encode(&self, out: &mut Writer) {
        out.text("router settings v1").value(&self.threshold.risk()).value(&self.validated);
        out.u64(self.token_millis).u64(self.clearance_millis).u64(self.decision_millis);
        out.option(self.governor.as_ref()).bool(self.objectives == Objectives::User);
        for (name, now, most) in self.limits.all() {
            if now < most {
                out.text(name).u64(now as u64);
            }
        }
        if !self.classes.is_default() {
            out.text("classes").value(&self.classes);
        }
    }
}
