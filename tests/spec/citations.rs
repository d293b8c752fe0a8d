//! Ids as they stand in sources: how they are written, where they are found and which rows they count for.
//!
//! INVARIANT (no evidence by accident): what looks like an id inside a longer word is none, and a section is evidence
//! for no row.

use std::fmt;

/// The texts that ids belong to.
pub(super) const PREFIXES: [&str; 4] = ["ASM2", "IRM", "PLAN", "D"];

/// The id of a requirement, such as `ASM2-5.7`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) prefix: &'static str,
    /// Never empty.
    numbers: Vec<u32>,
}

impl Id {
    /// Reads a text that is an id and nothing else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::parse_start(text).filter(|(_, rest)| rest.is_empty()).map(|(id, _)| id)
    }

    /// Reads an id at the start of a text and returns it with what follows.
    fn parse_start(text: &str) -> Option<(Self, &str)> {
        let (prefix, mut rest) =
            PREFIXES.iter().find_map(|prefix| Some((*prefix, text.strip_prefix(*prefix)?)))?;
        rest = rest.strip_prefix('-')?;
        let mut numbers = Vec::new();
        loop {
            let end =
                rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, after) = rest.split_at(end);
            numbers.push(digits.parse().ok()?);
            rest = after;
            match after
                .strip_prefix('.')
                .filter(|next| next.starts_with(|next: char| next.is_ascii_digit()))
            {
                Some(next) => rest = next,
                None => break,
            }
        }
        let ends = !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
        ends.then_some((Self { prefix, numbers }, rest))
    }

    /// Says whether this id names a section that `row` stands in.
    pub(super) fn is_section_of(&self, row: &Self) -> bool {
        self.prefix == row.prefix
            && self.numbers.len() < row.numbers.len()
            && row.numbers.starts_with(&self.numbers)
    }

    /// Returns the prefix and all numbers but the last, which a range has in common, and the last.
    fn split_last(&self) -> Option<((&str, &[u32]), u32)> {
        let (last, stem) = self.numbers.split_last()?;
        Some(((self.prefix, stem), *last))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.prefix)?;
        for (index, number) in self.numbers.iter().enumerate() {
            write!(f, "{}{number}", if index == 0 { '-' } else { '.' })?;
        }
        Ok(())
    }
}

/// An id in a source, or two with `..` between them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Citation {
    One(Id),
    Range(Id, Id),
}

impl Citation {
    /// Returns the ids as they are written.
    pub(super) fn ends(&self) -> Vec<&Id> {
        match self {
            Self::One(id) => vec![id],
            Self::Range(first, last) => vec![first, last],
        }
    }

    /// Says whether this is a range and not a single id.
    pub(super) fn is_range(&self) -> bool {
        matches!(self, Self::Range(..))
    }

    /// Says whether this is a range whose ends do not belong together.
    pub(super) fn is_bad_range(&self) -> bool {
        let Self::Range(first, last) = self else {
            return false;
        };
        match (first.split_last(), last.split_last()) {
            (Some((stem, first)), Some((other, last))) => stem != other || first >= last,
            _ => true,
        }
    }

    /// Says whether this is evidence for the row `id`.
    pub(super) fn covers(&self, id: &Id) -> bool {
        match self {
            Self::One(cited) => cited == id,
            Self::Range(first, last) => {
                match (first.split_last(), last.split_last(), id.split_last()) {
                    (Some((stem, first)), Some((other, last)), Some((own, number))) => {
                        stem == other && stem == own && (first..=last).contains(&number)
                    }
                    _ => false,
                }
            }
        }
    }
}

impl fmt::Display for Citation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(id) => write!(f, "{id}"),
            Self::Range(first, last) => write!(f, "{first}..{last}"),
        }
    }
}

/// Returns the citations in one line of a source, from left to right.
///
/// An id counts only where no letter, digit, `-` or `_` stands before it and no letter, digit or `_` after it, so that `MD-5` and
/// `3D-1` are none.
pub(super) fn scan(line: &str) -> Vec<Citation> {
    let mut citations = Vec::new();
    let mut rest = line;
    let mut before = None;
    while let Some(character) = rest.chars().next() {
        let starts =
            !before.is_some_and(|before: char| before.is_alphanumeric() || "-_".contains(before));
        if let Some((first, after)) = Id::parse_start(rest).filter(|_| starts) {
            let last = after.strip_prefix("..").and_then(Id::parse_start);
            (before, rest) = (Some('0'), last.as_ref().map_or(after, |(_, after)| after));
            citations.push(match last {
                Some((last, _)) => Citation::Range(first, last),
                None => Citation::One(first),
            });
        } else {
            (before, rest) = (Some(character), rest.split_at(character.len_utf8()).1);
        }
    }
    citations
}

/// Returns the lines of a text with their numbers, counted from 1.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}
