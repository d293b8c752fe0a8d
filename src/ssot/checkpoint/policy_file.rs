//! The file of a policy, C2SP `tlog-policy`.
//!
//! One definition a line, words between spaces and tabs, `#` begins a comment line:
//! `log VKEY [URL]`, `witness NAME VKEY [URL]`, `group NAME all|any|K NAME…`, and once
//! `quorum NAME|none`. A group and the quorum name what stands on lines before them, and
//! nothing is a member twice. Names are bytes.

use alloc::string::String;
use alloc::vec::Vec;

use super::decimal;
use super::policy::{Policy, Rule};
use crate::limits::{POLICY_BYTES, POLICY_ENTRIES};
use crate::ssot::note::{KeyError, Verifier};

/// Why a file is no policy: the line, from 1, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyFileError {
    /// The file is too large, or has too many definitions of a kind.
    #[error("expected at most {limit} {what}")]
    TooMany {
        /// Bytes, logs, witnesses or groups.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// A line is none of the four definitions.
    #[error("line {line}: expected {expected}")]
    Line {
        /// Which.
        line: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// A key cannot be read.
    #[error("line {line}: {source}")]
    Key {
        /// Which line.
        line: usize,
        /// Why not.
        source: KeyError,
    },
    /// A name is not defined on a line before, or a member twice.
    #[error(
        "line {line}: expected a witness or group that is defined before and a member nowhere else, found `{name}`"
    )]
    Member {
        /// Which line.
        line: usize,
        /// The name.
        name: String,
    },
    /// A name or a key is defined twice.
    #[error("line {line}: {what} is defined twice")]
    Twice {
        /// Which line.
        line: usize,
        /// The name, the log's key or the witness's key.
        what: &'static str,
    },
    /// There is no quorum.
    #[error("expected a line `quorum NAME` or `quorum none`, found none")]
    NoQuorum,
}

/// The name that stands for no quorum.
const NONE: &[u8] = b"none";

/// The quorum line, as far as it was read.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Quorum {
    #[default]
    Missing,
    None,
    Rule(usize),
}

#[derive(Default)]
struct Reading {
    logs: Vec<Verifier>,
    witnesses: Vec<Verifier>,
    names: Vec<Vec<u8>>,
    rules: Vec<Rule>,
    /// Whether the rule of this place is a member of a group already.
    taken: Vec<bool>,
    groups: usize,
    quorum: Quorum,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyFileError`] with the line.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyFileError> {
        if bytes.len() > POLICY_BYTES {
            return Err(PolicyFileError::TooMany { what: "bytes", limit: POLICY_BYTES });
        }
        let mut reading = Reading::default();
        for (content, line) in bytes.split(|byte| *byte == b'\n').zip(1..) {
            reading.line(content, line)?;
        }
        let Reading { mut logs, witnesses, mut rules, quorum, .. } = reading;
        let quorum = match quorum {
            Quorum::Missing => return Err(PolicyFileError::NoQuorum),
            Quorum::None => None,
            Quorum::Rule(rule) => Some(rule),
        };
        let first = logs.len();
        for rule in &mut rules {
            if let Rule::Witness(place) = rule {
                *place = place.saturating_add(first);
            }
        }
        logs.extend(witnesses);
        Ok(Self { keys: logs, logs: first, every_log_key: false, rules, quorum })
    }
}

impl Reading {
    fn line(&mut self, content: &[u8], line: usize) -> Result<(), PolicyFileError> {
        let wrong = |expected| PolicyFileError::Line { line, expected };
        if content.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
            return Err(wrong("no control character but tabs"));
        }
        let mut words =
            content.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        let Some(first) = words.next().filter(|word| !word.starts_with(b"#")) else {
            return Ok(());
        };
        let words: Vec<&[u8]> = words.collect();
        match (first, &*words) {
            (b"log", [key] | [key, _]) => self.log(key, line),
            (b"witness", [name, key] | [name, key, _]) => self.witness(name, key, line),
            (b"group", [name, needed, members @ ..]) => self.group(name, needed, members, line),
            (b"quorum", [name]) if self.quorum == Quorum::Missing => {
                self.quorum =
                    if *name == NONE { Quorum::None } else { Quorum::Rule(self.find(name, line)?) };
                Ok(())
            }
            (b"quorum", [_]) => Err(PolicyFileError::Twice { line, what: "the quorum" }),
            (b"log", _) => Err(wrong("`log VKEY [URL]`")),
            (b"witness", _) => Err(wrong("`witness NAME VKEY [URL]`")),
            (b"group", _) => Err(wrong("`group NAME all|any|K NAME…`")),
            (b"quorum", _) => Err(wrong("`quorum NAME` or `quorum none`")),
            _ => Err(wrong("`log`, `witness`, `group` or `quorum`")),
        }
    }

    fn log(&mut self, key: &[u8], line: usize) -> Result<(), PolicyFileError> {
        let key = read(key, line)?;
        if self.logs.iter().any(|log| log.public() == key.public()) {
            return Err(PolicyFileError::Twice { line, what: "the log's key" });
        }
        room(self.logs.len(), "logs")?;
        self.logs.push(key);
        Ok(())
    }

    fn witness(&mut self, name: &[u8], key: &[u8], line: usize) -> Result<(), PolicyFileError> {
        let key = read(key, line)?;
        if !key.algorithm().is_cosignature() {
            let expected = "a key of algorithm 4 or 6 for a witness";
            return Err(PolicyFileError::Line { line, expected });
        }
        if self.witnesses.iter().any(|witness| witness.public() == key.public()) {
            return Err(PolicyFileError::Twice { line, what: "the witness's key" });
        }
        room(self.witnesses.len(), "witnesses")?;
        let rule = Rule::Witness(self.witnesses.len());
        self.define(name, rule, line)?;
        self.witnesses.push(key);
        Ok(())
    }

    fn group(
        &mut self,
        name: &[u8],
        needed: &[u8],
        names: &[&[u8]],
        line: usize,
    ) -> Result<(), PolicyFileError> {
        room(self.groups, "groups")?;
        let mut members = Vec::with_capacity(names.len());
        for name in names {
            let member = self.find(name, line)?;
            match self.taken.get_mut(member) {
                Some(taken) if !*taken => *taken = true,
                _ => return Err(PolicyFileError::Member { line, name: shown(name) }),
            }
            members.push(member);
        }
        let count = members.len();
        let number = |digits| decimal(core::str::from_utf8(digits).ok()?);
        let needed = match needed {
            b"all" => Some(count),
            b"any" => Some(1),
            digits => number(digits).and_then(|number| usize::try_from(number).ok()),
        };
        let expected = "`all`, `any` or a number from 1 to that of the members";
        let needed = needed
            .filter(|needed| (1..=count).contains(needed))
            .ok_or(PolicyFileError::Line { line, expected })?;
        self.groups = self.groups.saturating_add(1);
        self.define(name, Rule::Group { needed, members }, line)
    }

    fn define(&mut self, name: &[u8], rule: Rule, line: usize) -> Result<(), PolicyFileError> {
        if name == NONE {
            let expected = "a name other than `none`";
            return Err(PolicyFileError::Line { line, expected });
        }
        if self.names.iter().any(|known| known == name) {
            return Err(PolicyFileError::Twice { line, what: "the name" });
        }
        self.names.push(name.into());
        self.rules.push(rule);
        self.taken.push(false);
        Ok(())
    }

    fn find(&self, name: &[u8], line: usize) -> Result<usize, PolicyFileError> {
        let found = self.names.iter().position(|known| known == name);
        found.ok_or_else(|| PolicyFileError::Member { line, name: shown(name) })
    }
}

fn read(key: &[u8], line: usize) -> Result<Verifier, PolicyFileError> {
    let text = core::str::from_utf8(key)
        .map_err(|_| PolicyFileError::Line { line, expected: "a key in UTF-8" })?;
    text.parse().map_err(|source| PolicyFileError::Key { line, source })
}

fn room(count: usize, what: &'static str) -> Result<(), PolicyFileError> {
    if count < POLICY_ENTRIES {
        Ok(())
    } else {
        Err(PolicyFileError::TooMany { what, limit: POLICY_ENTRIES })
    }
}

fn shown(name: &[u8]) -> String {
    let end = name.len().min(80);
    String::from_utf8_lossy(name.get(..end).unwrap_or_default()).into_owned()
}
