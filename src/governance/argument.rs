//! Conditions on one argument: its value and where it came from.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::encode::{Encode, Writer};
use crate::intent::Argument;
use crate::provenance::{Sensitivity, Source, SourcePattern};
use crate::value::{Decimal, Value};

/// The answer of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It holds.
    Match,
    /// It does not.
    No,
    /// It cannot be said: the argument is missing or has another shape.
    Fault(Fault<'a>),
}

/// Why a condition could not be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("argument `{argument}`: expected {expected}, found {found}")]
pub struct Fault<'a> {
    /// The argument.
    pub argument: &'a str,
    /// What the condition needs.
    pub expected: &'static str,
    /// What is there.
    pub found: &'static str,
}

impl Outcome<'_> {
    /// Both must hold; what does not hold settles it, whatever the other says.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Fault(fault), _) | (_, Self::Fault(fault)) => Self::Fault(fault),
            (Self::Match, Self::Match) => Self::Match,
        }
    }

    const fn when(holds: bool) -> Self {
        if holds { Self::Match } else { Self::No }
    }
}

/// One test of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Is this value.
    Equals(Value),
    /// Is one of these values.
    OneOf(Vec<Value>),
    /// Starts with this text; upper and lower case differ.
    Prefix(Box<str>),
    /// Ends with this text; upper and lower case differ.
    Suffix(Box<str>),
    /// Contains this text; upper and lower case differ.
    Contains(Box<str>),
    /// Is a number not above this one, exactly.
    AtMost(Decimal),
    /// Is a number not below this one, exactly.
    AtLeast(Decimal),
    /// The test can be made and does not hold. Of a list: of every item where a rule
    /// permits, of one where it restricts.
    Not(Box<Test>),
}

/// What must hold of one argument. All that is given must hold.
///
/// When the argument is a list, the tests are put to its items: a rule that permits
/// needs every item to pass, a rule that restricts matches when one does. The same goes
/// for the name `*`, which stands for all arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ArgumentCondition {
    /// `true`: it must be there; without it other conditions are not looked at.
    pub present: bool,
    /// `true`: it must not be there. Stands alone.
    pub absent: bool,
    /// Tests of the value.
    pub tests: Vec<Test>,
    /// Every source must be one of these. Only where a rule permits.
    pub sources: Vec<SourcePattern>,
    /// One source must be one of these, or none is named. Only where a rule restricts.
    pub sources_any: Vec<SourcePattern>,
    /// One source is none of these, or none is named. Only where a rule restricts.
    pub sources_beyond: Vec<SourcePattern>,
    /// Not more sensitive than this.
    pub sensitivity_at_most: Option<Sensitivity>,
    /// At least this sensitive.
    pub sensitivity_at_least: Option<Sensitivity>,
}

impl ArgumentCondition {
    /// What is wrong with it in a rule that permits, or one that restricts: a condition
    /// that would let through what it does not see is refused at load.
    pub(super) fn checked(&self, name: &str, permits: bool) -> Result<(), &'static str> {
        let others = !self.tests.is_empty()
            || !self.sources.is_empty()
            || !self.sources_any.is_empty()
            || !self.sources_beyond.is_empty()
            || self.sensitivity_at_most.is_some()
            || self.sensitivity_at_least.is_some();
        if self.absent && (others || self.present) {
            return Err("`absent` to stand alone");
        }
        if !self.absent && !self.present && !others {
            return Err("at least one condition on the argument");
        }
        if name == "*" && (self.absent || self.present) {
            return Err("the name of an argument for `present` or `absent`, not `*`");
        }
        if permits && !(self.sources_any.is_empty() && self.sources_beyond.is_empty()) {
            return Err(
                "`sources` (every source is one of these) in a rule that permits: with `sources_any` or `sources_beyond` other sources would pass unseen",
            );
        }
        if !permits && !self.sources.is_empty() {
            return Err(
                "`sources_any` or `sources_beyond` in a rule that restricts: with `sources` a value of mixed sources would pass unseen",
            );
        }
        Ok(())
    }

    /// Whether it holds of this argument.
    pub(super) fn test<'a>(
        &self,
        name: &'a str,
        argument: Option<&Argument>,
        permits: bool,
    ) -> Outcome<'a> {
        let Some(argument) = argument else {
            return if self.absent {
                Outcome::Match
            } else if self.present {
                Outcome::No
            } else {
                Outcome::Fault(Fault { argument: name, expected: "a value", found: "nothing" })
            };
        };
        if self.absent {
            return Outcome::No;
        }
        if !self.label(argument) {
            return Outcome::No;
        }
        let mut outcome = Outcome::Match;
        for test in &self.tests {
            outcome = outcome.and(spread(test, name, &argument.value, permits));
        }
        outcome
    }

    fn label(&self, argument: &Argument) -> bool {
        let label = &argument.label;
        let is = |patterns: &[SourcePattern], source: &Source| {
            patterns.iter().any(|pattern| pattern.matches(source))
        };
        let nameless = label.sources().next().is_none();
        (self.sources.is_empty() || label.within(|source| is(&self.sources, source)))
            && (self.sources_any.is_empty()
                || nameless
                || label.sources().any(|source| is(&self.sources_any, source)))
            && (self.sources_beyond.is_empty()
                || !label.within(|source| is(&self.sources_beyond, source)))
            && self.sensitivity_at_most.is_none_or(|most| label.sensitivity() <= most)
            && self.sensitivity_at_least.is_none_or(|least| label.sensitivity() >= least)
    }
}

/// Puts a test to a value, or to each item of a list.
fn spread<'a>(test: &Test, name: &'a str, value: &Value, permits: bool) -> Outcome<'a> {
    match value {
        Value::List(items) if !whole(test) => {
            if items.is_empty() && permits {
                let fault = Fault { argument: name, expected: "a value", found: "an empty list" };
                return Outcome::Fault(fault);
            }
            gather(items.iter().map(|item| single(test, name, item)), permits)
        }
        value => single(test, name, value),
    }
}

/// Whether a test is about a list as such.
fn whole(test: &Test) -> bool {
    match test {
        Test::Equals(expected) => matches!(expected, Value::List(_)),
        Test::OneOf(expected) => expected.iter().any(|e| matches!(e, Value::List(_))),
        Test::Not(test) => whole(test),
        _ => false,
    }
}

/// Every outcome must match where a rule permits; one is enough where it restricts.
pub(super) fn gather<'a>(
    outcomes: impl Iterator<Item = Outcome<'a>>,
    permits: bool,
) -> Outcome<'a> {
    let settled = if permits { Outcome::No } else { Outcome::Match };
    let mut fault = None;
    for outcome in outcomes {
        match outcome {
            Outcome::Fault(found) => fault = fault.or(Some(found)),
            outcome if outcome == settled => return settled,
            _ => {}
        }
    }
    match fault {
        Some(fault) => Outcome::Fault(fault),
        None if permits => Outcome::Match,
        None => Outcome::No,
    }
}

fn single<'a>(test: &Test, name: &'a str, value: &Value) -> Outcome<'a> {
    let fault = |expected| Outcome::Fault(Fault { argument: name, expected, found: value.shape() });
    match (test, value) {
        (Test::Not(test), value) => match single(test, name, value) {
            Outcome::Match => Outcome::No,
            Outcome::No => Outcome::Match,
            fault @ Outcome::Fault(_) => fault,
        },
        (Test::Equals(expected), found) if expected.shape() == found.shape() => {
            Outcome::when(expected == found)
        }
        (Test::Equals(expected), _) => fault(expected.shape()),
        (Test::OneOf(expected), found) => {
            if expected.iter().any(|e| e.shape() == found.shape()) {
                Outcome::when(expected.contains(found))
            } else {
                fault(expected.first().map_or("nothing", Value::shape))
            }
        }
        (Test::Prefix(part), Value::Text(found)) => Outcome::when(found.starts_with(&**part)),
        (Test::Suffix(part), Value::Text(found)) => Outcome::when(found.ends_with(&**part)),
        (Test::Contains(part), Value::Text(found)) => Outcome::when(found.contains(&**part)),
        (Test::Prefix(_) | Test::Suffix(_) | Test::Contains(_), _) => fault("text"),
        (Test::AtMost(most), Value::Number(found)) => Outcome::when(found <= most),
        (Test::AtLeast(least), Value::Number(found)) => Outcome::when(found >= least),
        (Test::AtMost(_) | Test::AtLeast(_), _) => fault("number"),
    }
}

impl Encode for Test {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Equals(value) => out.u8(1).value(value),
            Self::OneOf(values) => out.u8(2).list(values),
            Self::Prefix(text) => out.u8(3).text(text),
            Self::Suffix(text) => out.u8(4).text(text),
            Self::Contains(text) => out.u8(5).text(text),
            Self::AtMost(number) => out.u8(6).value(number),
            Self::AtLeast(number) => out.u8(7).value(number),
            Self::Not(test) => out.u8(8).value(&**test),
        };
    }
}

impl Encode for ArgumentCondition {
    fn encode(&self, out: &mut Writer) {
        out.bool(self.present).bool(self.absent).list(&self.tests);
        out.list(&self.sources).list(&self.sources_any).list(&self.sources_beyond);
        out.option(self.sensitivity_at_most.as_ref()).option(self.sensitivity_at_least.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provenance::Label;

    fn holds(test: Test, value: impl Into<Value>, permits: bool) -> char {
        let condition = ArgumentCondition { tests: Vec::from([test]), ..Default::default() };
        let argument = Argument { value: value.into(), label: Source::User.into() };
        match condition.test("a", Some(&argument), permits) {
            Outcome::Match => 'm',
            Outcome::No => 'n',
            Outcome::Fault(_) => 'f',
        }
    }

    #[test]
    fn tests_are_exact_and_other_shapes_are_faults() {
        let number = |text: &str| text.parse::<Decimal>().unwrap();
        assert_eq!(holds(Test::AtMost(number("98.70")), number("98.7"), true), 'm');
        assert_eq!(holds(Test::AtMost(number("98.70")), number("98.7000001"), true), 'n');
        assert_eq!(holds(Test::AtLeast(number("98.7")), number("98.7"), true), 'm');
        assert_eq!(holds(Test::AtMost(number("1")), "1", true), 'f');
        assert_eq!(holds(Test::Prefix("a".into()), 1, true), 'f');
        assert_eq!(holds(Test::Equals("x".into()), "x", true), 'm');
        assert_eq!(holds(Test::Equals("x".into()), 1, true), 'f');
        assert_eq!(holds(Test::OneOf(Vec::from(["x".into(), 1.into()])), 1, true), 'm');
        assert_eq!(holds(Test::OneOf(Vec::from(["x".into()])), "y", true), 'n');
        assert_eq!(holds(Test::Suffix("@a.org".into()), "b@a.org", true), 'm');
        assert_eq!(holds(Test::Contains("@".into()), "b@a.org", true), 'm');
    }

    #[test]
    fn lists_need_every_item_to_permit_and_one_to_restrict() {
        let list = |items: &[&str]| Value::List(items.iter().map(|i| Value::from(*i)).collect());
        let ends = || Test::Suffix("@a.org".into());
        assert_eq!(holds(ends(), list(&["x@a.org", "y@a.org"]), true), 'm');
        assert_eq!(holds(ends(), list(&["x@a.org", "y@b.org"]), true), 'n');
        assert_eq!(holds(ends(), list(&["x@a.org", "y@b.org"]), false), 'm');
        assert_eq!(holds(ends(), list(&[]), true), 'f');
        assert_eq!(holds(ends(), list(&[]), false), 'n');
        let not = || Test::Not(Box::new(ends()));
        assert_eq!(holds(not(), list(&["x@a.org", "y@b.org"]), true), 'n');
        assert_eq!(holds(not(), list(&["x@a.org", "y@b.org"]), false), 'm');
        assert_eq!(holds(not(), list(&["x@a.org"]), false), 'n');
        assert_eq!(holds(not(), 1, false), 'f', "what cannot be said is not turned around");
        let mixed = Value::List(Vec::from([Value::Null, "x@a.org".into()]));
        assert_eq!(holds(ends(), mixed.clone(), true), 'f');
        assert_eq!(holds(ends(), mixed, false), 'm');
    }

    #[test]
    fn sources_see_mixed_and_missing_origins() {
        let outside = Label::from(Source::Outside("web".parse().unwrap()));
        let mixed = outside.clone().join(&Source::User.into());
        let ask = |condition: &ArgumentCondition, label: &Label| {
            let argument = Argument { value: 1.into(), label: label.clone() };
            condition.test("a", Some(&argument), true) == Outcome::Match
        };
        let words = || Vec::from(["user".parse().unwrap()]);
        let within = ArgumentCondition { sources: words(), ..Default::default() };
        let any = ArgumentCondition { sources_any: words(), ..Default::default() };
        let beyond = ArgumentCondition { sources_beyond: words(), ..Default::default() };
        let user = Label::from(Source::User);
        let labels = [&user, &mixed, &outside, &Label::empty()];
        assert_eq!(labels.map(|l| ask(&within, l)), [true, false, false, false]);
        assert_eq!(labels.map(|l| ask(&any, l)), [true, true, false, true]);
        assert_eq!(labels.map(|l| ask(&beyond, l)), [false, true, true, true]);
    }
}
