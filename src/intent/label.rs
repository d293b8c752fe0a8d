//! Where an argument's value came from, by evidence.
//!
//! An agent hands over values without saying where it has them from, and what it
//! says cannot be relied on. What can be looked at: does the value literally stand
//! in what the user wrote, is it a remembered fact, is it a constant of the policy?
//! If not, it is the agent's, and with it carries whatever the agent has read.
//! (Denning, CACM 19(5), 1976; for agents `CaMeL`, arXiv:2503.18813, which tracks the
//! flow inside the agent. Here the agent is not seen into, so that every value it
//! makes up is taken to depend on everything it has read.)
//!
//! The first that applies:
//!
//! | value | label |
//! |---|---|
//! | `null`, `true`, `false`, an empty text, list or map | policy |
//! | a text of 3 characters or more that stands in the user's text as whole words | user |
//! | a number that stands in the user's text as a number | user |
//! | equal to a remembered fact | memory, and the fact's own label |
//! | the argument's default, constant or only choice | policy |
//! | any other | agent, and all that the session has read |
//!
//! A list or map has the join of its items' labels, so it is the user's only when
//! each of its items is. A key of a nested map that the schema does not name counts
//! as an item. A remembered fact's sensitivity stays with its value in every case.
//!
//! Text is compared without regard to case and with white space made single. "Whole
//! words" means that no letter or digit, and no part of a longer address, path or
//! number, adjoins on either side: `example.com` does not stand in
//! `bob@example.com`, `US12` not in `US1234`, `2022` not in `2022-03-01`.
//!
//! How much is compared is bounded ([`COMPARED_BYTES`]): a value that comes after that,
//! and one that only a long run of joining characters parts from a word, is not the user's.
//!
//! # What this does not show
//! - It is evidence of origin, not of intent: a value in the user's text may stand
//!   there for another purpose ("do **not** pay DE1"), or be used in another argument.
//! - A short or common value may be both in the user's text and in a page: it
//!   counts as the user's. A boolean carries one bit that the agent may have taken
//!   from anywhere.
//! - A value the user described without writing it ("my landlord") is the agent's.
//!   So is a text the agent rephrased, and nearly every long one.
//!
//! Policies should therefore ask for the user's label where a wrong value does
//! harm, and not take it for consent.
//!
//! ```
//! use prospera::intent::label::{LabelContext, label};
//! use prospera::intent::schema::Shapes;
//! use prospera::provenance::{Label, Source};
//!
//! let read = Label::from(Source::Outside("web".parse()?));
//! let context = LabelContext::new(Some("Pay 12.00 to DE89-3704."), &read);
//! let check = Shapes::new();
//! assert_eq!(label("to", &"DE89-3704".into(), &check, &context), Source::User.into());
//! assert_eq!(label("n", &12.into(), &check, &context), Source::User.into());
//! assert!(label("to", &"UK00-1111".into(), &check, &context).is_outside());
//! # Ok::<(), prospera::id::NameError>(())
//! ```

use alloc::collections::BTreeSet;
use alloc::string::String;
use core::cell::{Cell, OnceCell};
use core::fmt;

use crate::intent::schema::ArgumentCheck;
use crate::limits::COMPARED_BYTES;
use crate::provenance::{Label, Source};
use crate::value::{Decimal, Value};

/// The shortest text that counts as the user's because it stands in theirs, in characters.
pub const MIN_TEXT: usize = 3;

/// Looks a value up among remembered facts.
pub type FactLookup<'a> = &'a dyn Fn(&Value) -> Option<Label>;

/// What values are compared with.
#[derive(Clone, Copy)]
pub struct LabelContext<'a> {
    user_text: Option<&'a str>,
    facts: Option<FactLookup<'a>>,
    context: &'a Label,
}

impl fmt::Debug for LabelContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LabelContext")
            .field("user_text", &self.user_text)
            .field("facts", &self.facts.is_some())
            .field("context", &self.context)
            .finish()
    }
}

impl<'a> LabelContext<'a> {
    /// What the user wrote, where the instruction is the user's, and the label of
    /// all that the session has read so far.
    pub const fn new(user_text: Option<&'a str>, context: &'a Label) -> Self {
        Self { user_text, facts: None, context }
    }

    /// With a look-up of remembered facts.
    #[must_use]
    pub const fn with_facts(mut self, facts: FactLookup<'a>) -> Self {
        self.facts = Some(facts);
        self
    }
}

/// The label of an argument's value. Depends on nothing but what it is handed.
pub fn label(
    argument: &str,
    value: &Value,
    check: &dyn ArgumentCheck,
    context: &LabelContext<'_>,
) -> Label {
    Labeller::new(context).label(argument, value, check)
}

/// A context made ready for many values: the user's text is normalised, and its numbers
/// are read, once.
#[derive(Debug)]
pub struct Labeller<'a> {
    context: LabelContext<'a>,
    text: String,
    numbers: OnceCell<BTreeSet<Decimal>>,
    /// How many bytes may still be compared.
    left: Cell<usize>,
}

impl<'a> Labeller<'a> {
    /// Normalises the user's text.
    pub fn new(context: &LabelContext<'a>) -> Self {
        Self {
            context: *context,
            text: normal(context.user_text.unwrap_or_default()),
            numbers: OnceCell::new(),
            left: Cell::new(COMPARED_BYTES),
        }
    }

    /// The label of an argument's value.
    pub fn label(&self, argument: &str, value: &Value, check: &dyn ArgumentCheck) -> Label {
        let whole = |label: Label| label.join(&self.sensitivity(value));
        // A constant of the policy may be a list or map as a whole.
        let constant = || check.is_constant(argument, value);
        match value {
            Value::List(items) if !items.is_empty() => {
                if constant() {
                    return whole(Source::Policy.into());
                }
                let mut all = self.sensitivity(value);
                for item in items {
                    all.absorb(&self.label(argument, item, check));
                }
                all
            }
            Value::Map(entries) if !entries.is_empty() => {
                if constant() {
                    return whole(Source::Policy.into());
                }
                let mut all = self.sensitivity(value);
                for (key, item) in entries {
                    if !check.names_key(key) {
                        all.absorb(&self.leaf(argument, &Value::Text(key.clone()), check));
                    }
                    all.absorb(&self.label(argument, item, check));
                }
                all
            }
            leaf => self.leaf(argument, leaf, check),
        }
    }

    fn leaf(&self, argument: &str, value: &Value, check: &dyn ArgumentCheck) -> Label {
        let fact = self.context.facts.and_then(|facts| facts(value));
        let user = match value {
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                return Source::Policy.into();
            }
            Value::Text(text) if text.trim().is_empty() => return Source::Policy.into(),
            Value::Text(text) => stands_in(&normal(text), &self.text, &self.left),
            Value::Number(number) => {
                self.numbers.get_or_init(|| numbers(&self.text).collect()).contains(number)
            }
        };
        match (user, fact) {
            (true, fact) => {
                let level = fact.map(|label| label.sensitivity()).unwrap_or_default();
                Label::from(Source::User).with_sensitivity(level)
            }
            (false, Some(fact)) => fact.join(&Source::Memory.into()),
            (false, None) if check.is_constant(argument, value) => Source::Policy.into(),
            (false, None) => self.context.context.clone().join(&Source::Agent.into()),
        }
    }

    /// No source, and the sensitivity of the fact that a list or map equals as a whole.
    fn sensitivity(&self, value: &Value) -> Label {
        let fact = self.context.facts.and_then(|facts| facts(value));
        Label::empty().with_sensitivity(fact.map(|label| label.sensitivity()).unwrap_or_default())
    }
}

/// Lower case, white space made single.
fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
    out
}

/// Whether `part` stands in `whole` as whole words; both are normalised. What it costs is
/// taken from `left`; when nothing is left, it does not.
fn stands_in(part: &str, whole: &str, left: &Cell<usize>) -> bool {
    if part.chars().nth(MIN_TEXT - 1).is_none() {
        return false;
    }
    let pay = |cost: usize| {
        let rest = left.get().checked_sub(cost);
        left.set(rest.unwrap_or(0));
        rest.is_some()
    };
    if !pay(whole.len()) {
        return false;
    }
    let mut found = whole.match_indices(part).take_while(|_| pay(2 * JOINED));
    found.any(|(start, _)| {
        let before = whole.get(..start).unwrap_or_default();
        let after = whole.get(start + part.len()..).unwrap_or_default();
        ends(before.chars().rev()) && ends(after.chars())
    })
}

/// How many joining characters in a row are looked past.
const JOINED: usize = 64;

/// Whether a word ends where `outside` begins. What joins words into one address,
/// path or number does not end a word when a word follows it.
fn ends(mut outside: impl Iterator<Item = char>) -> bool {
    for _ in 0..=JOINED {
        match outside.next() {
            Some(c) if joins(c) => {}
            next => return next.is_none_or(|c| !c.is_alphanumeric()),
        }
    }
    false
}

const fn joins(c: char) -> bool {
    matches!(
        c,
        '.' | ',' | '_' | '-' | '/' | '\\' | ':' | '@' | '#' | '&' | '=' | '+' | '~' | '$' | '%'
    )
}

/// The numbers that stand in a normalised text, each as a whole word: `12.00`,
/// `-3`, `1,200.50`, `$20`, `10%`.
fn numbers(text: &str) -> impl Iterator<Item = Decimal> + '_ {
    text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '"' | ';'))
        .filter_map(|word| {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '.'));
            let word = word.trim_end_matches(|c: char| !c.is_alphanumeric());
            let (sign, digits) = match word.strip_prefix('-') {
                Some(rest) => ("-", rest),
                None => ("", word),
            };
            let digits = digits.trim_start_matches(['$', '€', '£']);
            let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            let mut plain = String::from(sign);
            plain.push_str(&grouped(whole)?);
            if !fraction.is_empty() {
                plain.push('.');
                plain.push_str(fraction);
            }
            plain.parse().ok()
        })
}

/// Digits without the commas between groups of three; `None` where commas stand otherwise.
fn grouped(whole: &str) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let mut out = String::from(first);
    if whole.contains(',') && (first.is_empty() || first.len() > 3) {
        return None;
    }
    for group in groups {
        if group.len() != 3 {
            return None;
        }
        out.push_str(group);
    }
    Some(out)
}

#[cfg(test)]
mod tests;
