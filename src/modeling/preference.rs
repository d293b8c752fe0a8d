//! What an audience has said it wants, as rules (IRM-4.3.1).
//!
//! A preference holds for one subject or for all, for some kinds or for all. It can
//! only ever object: nothing becomes allowed because somebody likes it (D-53).

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::encode::{Encode, Writer};
use crate::id::{KindId, RuleId, SubjectId};
use crate::intent::Intent;
use crate::time::Timestamp;
use crate::value::{Decimal, Value};
use crate::verdict::Drift;

/// One stated preference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preference {
    /// Its id; reasons name it.
    pub id: RuleId,
    /// Whose it is; everybody's when not given.
    pub subject: Option<SubjectId>,
    /// The kinds it is about; all when empty.
    pub kinds: Vec<KindId>,
    /// What acting against it is.
    pub strength: Drift,
    /// What is wanted.
    pub statement: Statement,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Statement {
    /// None of these kinds.
    Unwanted,
    /// Nothing between these times, in UTC, the first included and the second not;
    /// over midnight when the second is the earlier one.
    QuietHours {
        /// From.
        from: TimeOfDay,
        /// Until.
        until: TimeOfDay,
    },
    /// At most this number in an argument. A text that is a number counts as one; a
    /// list counts item by item; anything else that is not null breaks the cap,
    /// because nobody can tell that it keeps it.
    Cap {
        /// The argument.
        argument: Box<str>,
        /// The largest number.
        at_most: Decimal,
    },
}

impl Preference {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        match &self.statement {
            _ if self.strength == Drift::None => Err("strength `soft` or `hard`"),
            Statement::Unwanted if self.kinds.is_empty() => Err("the kinds that are unwanted"),
            Statement::QuietHours { from, until } if from == until => Err("two different times"),
            _ => Ok(()),
        }
    }

    /// Whether it is about this kind.
    pub fn concerns(&self, kind: &KindId) -> bool {
        self.kinds.is_empty() || self.kinds.contains(kind)
    }

    /// What the intent does against it, if anything. Whose it is and which kinds it
    /// is about has been looked at already.
    pub(super) fn broken(&self, intent: &Intent, now: Timestamp) -> Option<String> {
        match &self.statement {
            Statement::Unwanted => {
                Some(format!("expected no intent of kind `{}`", intent.kind().id))
            }
            Statement::QuietHours { from, until } => {
                let at = TimeOfDay::of(now);
                let quiet = if from < until {
                    (*from..*until).contains(&at)
                } else {
                    at >= *from || at < *until
                };
                quiet.then(|| format!("expected nothing from {from} to {until} UTC, found {at}"))
            }
            Statement::Cap { argument, at_most } => {
                let value = &intent.arguments().get(argument)?.value;
                let over = beyond(value, *at_most)?;
                Some(format!("expected `{argument}` up to {at_most}, found {over}"))
            }
        }
    }
}

/// What in the value is above the cap, or is no number.
fn beyond(value: &Value, cap: Decimal) -> Option<String> {
    let over = |number: Decimal| (number > cap).then(|| format!("{number}"));
    match value {
        Value::Null => None,
        Value::Number(number) => over(*number),
        Value::Text(text) => match text.parse() {
            Ok(number) => over(number),
            Err(_) => Some("a text".into()),
        },
        Value::List(items) => items.iter().find_map(|item| beyond(item, cap)),
        Value::Bool(_) | Value::Map(_) => Some(format!("a {}", value.shape())),
    }
}

/// A time of the day in UTC, in minutes: `22:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

/// A text that is no time of the day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a time of the day from `00:00` to `23:59`, found `{found}`")]
pub struct TimeOfDayError {
    found: String,
}

impl TimeOfDay {
    /// The time of the day of a timestamp.
    pub fn of(at: Timestamp) -> Self {
        Self(u16::try_from(at.as_millis() / 60_000 % 1440).unwrap_or(0))
    }

    /// Minutes since midnight.
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;

    fn from_str(text: &str) -> Result<Self, TimeOfDayError> {
        let error = || TimeOfDayError { found: text.chars().take(16).collect() };
        let two = |part: &str, below: u16| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u16>().ok().filter(|number| digits && *number < below)
        };
        let (hours, minutes) = text.split_once(':').ok_or_else(error)?;
        let minute = two(hours, 24).zip(two(minutes, 60)).map(|(h, m)| 60 * h + m);
        minute.map(Self).ok_or_else(error)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = TimeOfDayError;

    fn try_from(text: String) -> Result<Self, TimeOfDayError> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> String {
        format!("{time}")
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Encode for Preference {
    /// Id, optional subject, kinds, strength; then 1 for unwanted, 2 and two times in
    /// minutes for quiet hours, or 3, argument and number for a cap.
    fn encode(&self, out: &mut Writer) {
        out.value(&self.id).option(self.subject.as_ref()).list(&self.kinds).value(&self.strength);
        match &self.statement {
            Statement::Unwanted => out.u8(1),
            Statement::QuietHours { from, until } => out.u8(2).u16(from.0).u16(until.0),
            Statement::Cap { argument, at_most } => out.u8(3).text(argument).value(at_most),
        };
    }
}
