//! One cell: what one check says of one stream.

use alloc::boxed::Box;
use core::fmt;

use serde::Serialize;

use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::ssot::matrix::check::Rule;
use crate::ssot::record::StreamId;

/// Longest text of a fault, in bytes.
const TEXT: usize = 400;

/// The first thing that is wrong with a stream by one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What is broken.
    pub rule: Rule,
    /// The record's place in the log.
    pub index: u64,
    /// Its place in its stream.
    pub sequence: u64,
    /// What was expected.
    pub expected: Box<str>,
    /// What was found.
    pub found: Box<str>,
}

impl Fault {
    /// A fault. Texts that are too long are cut.
    pub fn new(
        rule: Rule,
        (index, sequence): (u64, u64),
        expected: impl fmt::Display,
        found: impl fmt::Display,
    ) -> Self {
        let (expected, found) = (cut(&expected), cut(&found));
        Self { rule, index, sequence, expected, found }
    }
}

fn cut(text: &dyn fmt::Display) -> Box<str> {
    let text = alloc::format!("{text}");
    if text.len() <= TEXT {
        return text.into();
    }
    let end = (0..=TEXT.saturating_sub(3)).rev().find(|&at| text.is_char_boundary(at));
    let kept = text.get(..end.unwrap_or(0)).unwrap_or_default();
    alloc::format!("{kept}…").into()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, index, sequence, expected, found } = self;
        write!(
            f,
            "record {index} (sequence {sequence}), {rule}: expected {expected}, found {found}"
        )
    }
}

/// Why a check was not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Why {
    /// The stream's chain breaks at this record: what comes after it proves nothing.
    Broken {
        /// The record.
        index: u64,
    },
    /// The body of this record cannot be read: what rests on it is not known.
    Unreadable {
        /// The record.
        index: u64,
    },
    /// It rests on another stream, in which this record cannot be believed or read.
    Rests {
        /// The other stream.
        stream: StreamId,
        /// The record.
        index: u64,
    },
    /// A record at this place of the log cannot be read, and may have been what is missing.
    Gap {
        /// The place.
        index: u64,
    },
    /// So much is open in this stream that the oldest was let go.
    Forgotten,
    /// The store keeps no tree.
    NoTree,
    /// Whoever asked brought no code for this check.
    NotAsked,
    /// It takes the rules under which it was written to make this again.
    NeedsRules,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken { index } => write!(f, "the chain breaks at record {index}"),
            Self::Unreadable { index } => write!(f, "record {index} cannot be read"),
            Self::Rests { stream, index } => {
                write!(f, "it rests on `{stream}`, which cannot be believed from record {index} on")
            }
            Self::Gap { index } => write!(f, "record {index} cannot be read and may belong here"),
            Self::Forgotten => f.write_str("so much was open that the oldest was let go"),
            Self::NoTree => f.write_str("the store keeps no tree"),
            Self::NotAsked => f.write_str("no code was given for it"),
            Self::NeedsRules => f.write_str("it takes the rules in force to make it again"),
        }
    }
}

/// What one check says of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Cell {
    /// All records were looked at, and nothing is wrong.
    Sound {
        /// How many records.
        records: u64,
    },
    /// Something is wrong: this, first.
    Unsound {
        /// How many records before it were sound.
        records: u64,
        /// What.
        fault: Box<Fault>,
    },
    /// The check has nothing to say of such a stream.
    NotApplicable,
    /// It could not be made, or not any further.
    NotChecked {
        /// How many records were sound until then.
        records: u64,
        /// Why not.
        why: Box<Why>,
    },
    /// It was sound when it was last checked, and the stream has grown since.
    Stale {
        /// How many records were sound then.
        records: u64,
        /// How many came since.
        behind: u64,
    },
}

/// The state of a cell without its details: for counting and colouring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// [`Cell::Unsound`].
    Unsound,
    /// [`Cell::Stale`].
    Stale,
    /// [`Cell::NotChecked`].
    NotChecked,
    /// [`Cell::Sound`].
    Sound,
    /// [`Cell::NotApplicable`].
    NotApplicable,
}

/// How many states there are.
pub const STATES: usize = 5;

impl State {
    /// All of them, the worst first.
    pub const ALL: [Self; STATES] =
        [Self::Unsound, Self::Stale, Self::NotChecked, Self::Sound, Self::NotApplicable];

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Unsound => "unsound",
            Self::Stale => "stale",
            Self::NotChecked => "not checked",
            Self::Sound => "sound",
            Self::NotApplicable => "not applicable",
        }
    }

    /// A sign and letters of five columns at most: readable without any colour.
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Unsound => "✗ BAD",
            Self::Stale => "~ old",
            Self::NotChecked => "? n/c",
            Self::Sound => "✓ ok",
            Self::NotApplicable => "· n/a",
        }
    }
}

impl Cell {
    /// Nothing was looked at yet, and nothing is wrong.
    pub const NEW: Self = Self::Sound { records: 0 };

    /// Its state.
    pub const fn state(&self) -> State {
        match self {
            Self::Sound { .. } => State::Sound,
            Self::Unsound { .. } => State::Unsound,
            Self::NotApplicable => State::NotApplicable,
            Self::NotChecked { .. } => State::NotChecked,
            Self::Stale { .. } => State::Stale,
        }
    }

    /// How many records were found sound by the check.
    pub const fn records(&self) -> u64 {
        match self {
            Self::Sound { records }
            | Self::Unsound { records, .. }
            | Self::NotChecked { records, .. }
            | Self::Stale { records, .. } => *records,
            Self::NotApplicable => 0,
        }
    }

    /// The first fault, where there is one.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Unsound { fault, .. } => Some(fault),
            _ => None,
        }
    }

    /// Counts one more record, while nothing is wrong.
    pub(super) fn pass(&mut self) {
        if let Self::Sound { records } = self {
            *records = records.saturating_add(1);
        }
    }

    /// Something the check speaks of has come.
    pub(super) fn begin(&mut self) {
        if matches!(self, Self::NotApplicable) {
            *self = Self::NEW;
        }
    }

    /// Notes what is wrong, unless something was before.
    pub(super) fn fail(&mut self, fault: Fault) -> bool {
        let fails = !matches!(self, Self::Unsound { .. });
        if fails {
            *self = Self::Unsound { records: self.records(), fault: Box::new(fault) };
        }
        fails
    }

    /// Ends the check, unless it has ended before.
    pub(super) fn end(&mut self, why: Why) {
        if let Self::Sound { records } | Self::Stale { records, .. } = *self {
            *self = Self::NotChecked { records, why: Box::new(why) };
        }
    }

    /// The stream has grown by so many records that were not looked at.
    pub(super) fn grown(&mut self, behind: u64) {
        if let Self::Sound { records } = *self {
            *self = Self::Stale { records, behind };
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sound { records } => write!(f, "sound, {records} records"),
            Self::Unsound { records, fault } => {
                write!(f, "unsound after {records} sound records: {fault}")
            }
            Self::NotApplicable => f.write_str("not applicable"),
            Self::NotChecked { records, why } => {
                write!(f, "not checked after {records} sound records: {why}")
            }
            Self::Stale { records, behind } => {
                write!(f, "stale: {records} records were sound, {behind} came since")
            }
        }
    }
}

impl Encode for Fault {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.rule).u64(self.index).u64(self.sequence);
        out.text(&self.expected).text(&self.found);
    }
}

impl Decode for Fault {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (rule, index, sequence) = (input.value()?, input.u64()?, input.u64()?);
        let mut text = || -> Result<Box<str>, DecodeError> {
            let text = input.text()?;
            if text.len() > TEXT { Err(input.invalid("a shorter text")) } else { Ok(text.into()) }
        };
        Ok(Self { rule, index, sequence, expected: text()?, found: text()? })
    }
}

impl Encode for Why {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Broken { index } => out.u8(1).u64(*index),
            Self::Unreadable { index } => out.u8(2).u64(*index),
            Self::Rests { stream, index } => out.u8(3).value(stream).u64(*index),
            Self::Gap { index } => out.u8(4).u64(*index),
            Self::Forgotten => out.u8(5),
            Self::NoTree => out.u8(6),
            Self::NotAsked => out.u8(7),
            Self::NeedsRules => out.u8(8),
        };
    }
}

impl Decode for Why {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        Ok(match input.u8()? {
            1 => Self::Broken { index: input.u64()? },
            2 => Self::Unreadable { index: input.u64()? },
            3 => Self::Rests { stream: input.value()?, index: input.u64()? },
            4 => Self::Gap { index: input.u64()? },
            5 => Self::Forgotten,
            6 => Self::NoTree,
            7 => Self::NotAsked,
            8 => Self::NeedsRules,
            other => return Err(Reader::bad_tag("a reason not to check", other, offset)),
        })
    }
}

impl Encode for Cell {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Sound { records } => out.u8(1).u64(*records),
            Self::Unsound { records, fault } => out.u8(2).u64(*records).value(&**fault),
            Self::NotApplicable => out.u8(3),
            Self::NotChecked { records, why } => out.u8(4).u64(*records).value(&**why),
            Self::Stale { records, behind } => out.u8(5).u64(*records).u64(*behind),
        };
    }
}

impl Decode for Cell {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        Ok(match input.u8()? {
            1 => Self::Sound { records: input.u64()? },
            2 => Self::Unsound { records: input.u64()?, fault: Box::new(input.value()?) },
            3 => Self::NotApplicable,
            4 => Self::NotChecked { records: input.u64()?, why: Box::new(input.value()?) },
            5 => Self::Stale { records: input.u64()?, behind: input.u64()? },
            other => return Err(Reader::bad_tag("a cell", other, offset)),
        })
    }
}
