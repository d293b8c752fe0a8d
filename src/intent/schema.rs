//! What a kind's arguments must look like.
//!
//! [`ArgumentCheck`] is the seam: [`Shapes`] is put together in code and works
//! everywhere, [`JsonSchema`] (feature `files`) reads a JSON Schema. An integrator's
//! own check stands beside them.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::encode::Writer;
use crate::intent::Argument;
use crate::value::Value;

#[cfg(feature = "files")]
pub use json_schema::{JsonSchema, SchemaError};

#[cfg(feature = "files")]
mod json_schema;

/// An argument that is not what the kind asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where, as a JSON pointer (RFC 6901) from the arguments on.
    pub path: Box<str>,
    /// What was expected there.
    pub expected: Box<str>,
    /// What was found there.
    pub found: Box<str>,
}

/// Checks a kind's arguments, and says which values the policy itself put there.
pub trait ArgumentCheck: fmt::Debug + Send + Sync {
    /// Checks the arguments.
    ///
    /// # Errors
    /// The first [`Violation`], in an order that does not change.
    fn check(&self, arguments: &BTreeMap<Box<str>, Argument>) -> Result<(), Violation>;

    /// Writes what is checked, so that two checks that differ write different bytes:
    /// the catalogue's digest covers it.
    fn encode(&self, out: &mut Writer);

    /// Whether this value of this argument is a constant of the policy: its default,
    /// or the only value it may have.
    fn is_constant(&self, _argument: &str, _value: &Value) -> bool {
        false
    }

    /// Whether this key of a nested map is a name of the policy's, and no information
    /// of the caller's.
    fn names_key(&self, _key: &str) -> bool {
        false
    }
}

/// What one argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Anything.
    Any,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// A text.
    Text,
    /// A list.
    List,
    /// A map.
    Map,
}

impl Shape {
    const fn expected(self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::Integer => "a whole number",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }

    fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Integer, Value::Number(number)) => number.scale() == 0,
            (Self::Any, _)
            | (Self::Bool, Value::Bool(_))
            | (Self::Number, Value::Number(_))
            | (Self::Text, Value::Text(_))
            | (Self::List, Value::List(_))
            | (Self::Map, Value::Map(_)) => true,
            _ => false,
        }
    }
}

/// A check put together in code: the arguments there are, the shape of each, and
/// which may be left out. No other argument is accepted.
///
/// ```
/// use prospera::intent::schema::{Shape, Shapes};
/// let check = Shapes::new().required("to", Shape::Text).optional("amount", Shape::Number);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shapes {
    arguments: BTreeMap<Box<str>, (Shape, bool)>,
    constants: BTreeMap<Box<str>, BTreeSet<Value>>,
}

impl Shapes {
    /// No arguments at all.
    pub const fn new() -> Self {
        Self { arguments: BTreeMap::new(), constants: BTreeMap::new() }
    }

    /// An argument that must be there.
    #[must_use]
    pub fn required(mut self, name: &str, shape: Shape) -> Self {
        self.arguments.insert(name.into(), (shape, true));
        self
    }

    /// An argument that may be left out.
    #[must_use]
    pub fn optional(mut self, name: &str, shape: Shape) -> Self {
        self.arguments.insert(name.into(), (shape, false));
        self
    }

    /// A value of an argument that is a constant of the policy, such as its default.
    #[must_use]
    pub fn constant(mut self, name: &str, value: Value) -> Self {
        self.constants.entry(name.into()).or_default().insert(value);
        self
    }
}

impl ArgumentCheck for Shapes {
    fn check(&self, arguments: &BTreeMap<Box<str>, Argument>) -> Result<(), Violation> {
        for (name, (shape, required)) in &self.arguments {
            match arguments.get(name) {
                None if *required => {
                    return Err(Violation {
                        path: Box::default(),
                        expected: alloc::format!("argument `{name}`").into(),
                        found: "none".into(),
                    });
                }
                Some(argument) if !shape.fits(&argument.value) => {
                    return Err(Violation {
                        path: pointer(name),
                        expected: shape.expected().into(),
                        found: shown(&argument.value),
                    });
                }
                _ => {}
            }
        }
        match arguments.keys().find(|name| !self.arguments.contains_key(*name)) {
            None => Ok(()),
            Some(name) => Err(Violation {
                path: Box::default(),
                expected: "no further argument".into(),
                found: alloc::format!("`{}`", short(name)).into(),
            }),
        }
    }

    /// The text `shapes`, then count and per argument name, shape (`u8` in the order
    /// of [`Shape`]) and whether it is required, then count and per constant its
    /// argument and value.
    fn encode(&self, out: &mut Writer) {
        out.text("shapes").count(self.arguments.len());
        for (name, (shape, required)) in &self.arguments {
            out.text(name).u8(*shape as u8).bool(*required);
        }
        out.count(self.constants.values().map(BTreeSet::len).sum());
        for (name, values) in &self.constants {
            for value in values {
                out.text(name).value(value);
            }
        }
    }

    fn is_constant(&self, argument: &str, value: &Value) -> bool {
        self.constants.get(argument).is_some_and(|values| values.contains(value))
    }
}

/// A JSON pointer of one segment.
fn pointer(name: &str) -> Box<str> {
    alloc::format!("/{}", name.replace('~', "~0").replace('/', "~1")).into()
}

/// A foreign text for a message: at most 64 characters, no control characters.
pub(super) fn short(text: &str) -> String {
    let mut out: String = text.chars().take(64).flat_map(escaped).collect();
    if text.chars().nth(64).is_some() {
        out.push('…');
    }
    out
}

fn escaped(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { alloc::vec![c] }
}

/// A value for a message.
fn shown(value: &Value) -> Box<str> {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) | Value::Number(_) => alloc::format!("{} `{value}`", value.shape()).into(),
        Value::Text(text) => alloc::format!("text `{}`", short(text)).into(),
        Value::List(items) => alloc::format!("a list of {}", items.len()).into(),
        Value::Map(entries) => {
            let keys: Vec<String> = entries.keys().take(5).map(|key| short(key)).collect();
            if keys.is_empty() {
                "an empty map".to_string().into()
            } else {
                alloc::format!("a map of `{}`", keys.join("`, `")).into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Encode as _;
    use crate::provenance::{Label, Source};

    fn arguments(entries: &[(&str, Value)]) -> BTreeMap<Box<str>, Argument> {
        let label = Label::from(Source::User);
        let argument = |value: &Value| Argument { value: value.clone(), label: label.clone() };
        entries.iter().map(|(name, value)| ((*name).into(), argument(value))).collect()
    }

    #[test]
    fn shapes_name_what_is_wrong_and_where() {
        let check = Shapes::new().required("to/x", Shape::Text).optional("n", Shape::Integer);
        assert_eq!(check.check(&arguments(&[("to/x", "a".into())])), Ok(()));
        assert_eq!(check.check(&arguments(&[("to/x", "a".into()), ("n", 3.into())])), Ok(()));
        let error = check.check(&arguments(&[("to/x", 3.into())])).unwrap_err();
        assert_eq!((&*error.path, &*error.expected), ("/to~1x", "a text"));
        assert_eq!(&*error.found, "number `3`");
        let half = Value::Number("0.5".parse().unwrap());
        let error = check.check(&arguments(&[("to/x", "a".into()), ("n", half)])).unwrap_err();
        assert_eq!(&*error.expected, "a whole number");
        let error = check.check(&arguments(&[("n", 1.into())])).unwrap_err();
        assert_eq!(&*error.expected, "argument `to/x`");
        let error = check.check(&arguments(&[("to/x", "a".into()), ("z", 1.into())])).unwrap_err();
        assert_eq!(&*error.found, "`z`");
    }

    #[test]
    fn shapes_that_differ_are_encoded_differently() {
        let bytes = |check: &Shapes| {
            let mut out = Writer::new();
            check.encode(&mut out);
            out.into_bytes()
        };
        let all = [
            Shapes::new(),
            Shapes::new().required("a", Shape::Text),
            Shapes::new().optional("a", Shape::Text),
            Shapes::new().optional("a", Shape::Any),
            Shapes::new().optional("a", Shape::Any).constant("a", Value::Null),
            Shapes::new().optional("a", Shape::Any).constant("a", 1.into()),
        ];
        let distinct: BTreeSet<_> = all.iter().map(bytes).collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(Value::Null.to_canonical(), [0]);
    }
}
