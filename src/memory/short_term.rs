//! Short-term memory: what one session has just done, and everything it has read.
//!
//! The last [`OUTCOMES`] outcomes stand in a ring; the context label joins the labels
//! of all outputs the session ever saw and never forgets one. A session that read a
//! page from outside stays marked by it, also when the outcome has left the ring.
//!
//! INVARIANT (replay): two sessions that absorbed the same outcomes are equal.

use alloc::collections::VecDeque;

use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::id::{KindId, Name};
use crate::provenance::{Label, Source};
use crate::time::Timestamp;
use crate::verdict::Verdict;

pub use crate::limits::{SESSION_OUTCOMES as OUTCOMES, SESSION_SOURCES as SOURCES};

/// What stands for sources beyond [`SOURCES`]: they are remembered together as this
/// outside source, the least trusted there is.
pub const FURTHER: &str = "further sources";

/// One outcome as a session remembers it; all of it can be read from its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The kind of intent.
    pub kind: KindId,
    /// How the route ended.
    pub verdict: Verdict,
    /// The digest of the output, where the session got one.
    pub output: Option<Digest>,
    /// The label of the output.
    pub label: Label,
    /// When.
    pub at: Timestamp,
}

/// What one session remembers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShortTerm {
    outcomes: VecDeque<Remembered>,
    context: Label,
    absorbed: u64,
}

impl ShortTerm {
    /// Takes the session's next outcome. Its label joins the context if the session
    /// got an output to read.
    pub fn absorb(&mut self, outcome: Remembered) {
        if outcome.output.is_some() {
            self.read(&outcome.label);
        }
        if self.outcomes.len() >= OUTCOMES {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back(outcome);
        self.absorbed = self.absorbed.saturating_add(1);
    }

    /// The last outcomes, oldest first.
    pub fn outcomes(&self) -> impl DoubleEndedIterator<Item = &Remembered> {
        self.outcomes.iter()
    }

    /// The outcome with this output, if it is still remembered.
    pub fn by_output(&self, output: &Digest) -> Option<&Remembered> {
        self.outcomes.iter().rev().find(|outcome| outcome.output.as_ref() == Some(output))
    }

    /// The join of the labels of everything the session has read.
    pub const fn context(&self) -> &Label {
        &self.context
    }

    /// How many outcomes the session had.
    pub const fn absorbed(&self) -> u64 {
        self.absorbed
    }

    fn read(&mut self, label: &Label) {
        let mut room = SOURCES.saturating_sub(self.context.sources().count());
        if label.sources().count() <= room {
            return self.context.absorb(label);
        }
        self.context.absorb(&Label::empty().with_sensitivity(label.sensitivity()));
        for source in label.sources() {
            if self.context.sources().any(|known| known == source) {
                continue;
            }
            if room > 0 {
                room -= 1;
                self.context.absorb(&Label::from(source.clone()));
            } else if let Ok(further) = Name::new(FURTHER) {
                self.context.absorb(&Label::from(Source::Outside(further)));
            }
        }
    }
}

impl Encode for Remembered {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.kind).value(&self.verdict).option(self.output.as_ref());
        out.value(&self.label).value(&self.at);
    }
}

impl Decode for Remembered {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: input.value()?,
            verdict: input.value()?,
            output: input.option()?,
            label: input.value()?,
            at: input.value()?,
        })
    }
}

impl Encode for ShortTerm {
    /// How many outcomes the session had (`u64`), the context, the outcomes kept.
    fn encode(&self, out: &mut Writer) {
        out.u64(self.absorbed).value(&self.context).count(self.outcomes.len());
        for outcome in &self.outcomes {
            out.value(outcome);
        }
    }
}

impl Decode for ShortTerm {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (absorbed, context) = (input.u64()?, input.value::<Label>()?);
        let count = input.count(19)?;
        let kept = count as u64;
        if count > OUTCOMES || kept > absorbed || context.sources().count() > SOURCES + 1 {
            return Err(input.invalid("at most 32 outcomes of 257 sources"));
        }
        let outcomes = (0..count).map(|_| input.value()).collect::<Result<_, _>>()?;
        Ok(Self { outcomes, context, absorbed })
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;
    use crate::provenance::Sensitivity;

    fn outcome(i: u64, output: bool) -> Remembered {
        let source = Source::Outside(format!("page-{i}").parse().unwrap());
        Remembered {
            kind: "read_page".parse().unwrap(),
            verdict: if output { Verdict::Allow } else { Verdict::Deny },
            output: output.then(|| Digest::from_bytes([u8::try_from(i % 256).unwrap(); 32])),
            label: Label::from(source).with_sensitivity(Sensitivity::Internal),
            at: Timestamp::from_millis(i),
        }
    }

    #[test]
    fn the_ring_forgets_and_the_context_does_not() {
        let mut session = ShortTerm::default();
        for i in 0..100 {
            session.absorb(outcome(i, true));
        }
        assert_eq!(session.outcomes().count(), OUTCOMES);
        assert_eq!(session.outcomes().next().unwrap().at.as_millis(), 68);
        assert_eq!(session.context().sources().count(), 100);
        assert_eq!(session.context().sensitivity(), Sensitivity::Internal);
        assert!(session.by_output(&Digest::from_bytes([99; 32])).is_some());
        assert!(session.by_output(&Digest::from_bytes([3; 32])).is_none());
    }

    #[test]
    fn what_was_refused_was_not_read() {
        let mut session = ShortTerm::default();
        session.absorb(outcome(1, false));
        assert_eq!(session.context(), &Label::empty());
        assert_eq!(session.absorbed(), 1);
    }

    #[test]
    fn too_many_sources_stay_outside_and_bounded() {
        let mut session = ShortTerm::default();
        for i in 0..1000 {
            session.absorb(outcome(i, true));
        }
        assert_eq!(session.context().sources().count(), SOURCES + 1);
        let further = Source::Outside(FURTHER.parse().unwrap());
        assert!(session.context().sources().any(|source| *source == further));
        let many: Vec<_> = (0..1000).map(|i| outcome(i, i % 3 > 0)).collect();
        let run = |outcomes: &[Remembered]| {
            let mut session = ShortTerm::default();
            for outcome in outcomes.iter().cloned() {
                session.absorb(outcome);
            }
            session
        };
        assert_eq!(run(&many), run(&many), "replay");
        assert_ne!(run(&many), run(&many[1..]));
    }
}
