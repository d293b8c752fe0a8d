//! From an intent's arguments to a module's input, and from its output to a value.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::intent::Argument;
use crate::limits::Limits;
use crate::provenance::Label;
use crate::value::{Decimal, Value};

use super::Output;

/// An intent's arguments without those that were taken away. A view: nothing is copied.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'a> {
    all: &'a BTreeMap<Box<str>, Argument>,
    dropped: &'a [Box<str>],
}

impl<'a> Arguments<'a> {
    /// The arguments `all` without those named in `dropped`.
    pub const fn new(all: &'a BTreeMap<Box<str>, Argument>, dropped: &'a [Box<str>]) -> Self {
        Self { all, dropped }
    }

    fn keeps(&self, name: &str) -> bool {
        !self.dropped.iter().any(|dropped| &**dropped == name)
    }

    /// The argument of this name, if it was given and not taken away.
    pub fn get(&self, name: &str) -> Option<&'a Argument> {
        self.all.get(name).filter(|_| self.keeps(name))
    }

    /// The arguments in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Argument)> + use<'a> {
        let view = *self;
        view.all
            .iter()
            .map(|(name, argument)| (&**name, argument))
            .filter(move |(name, _)| view.keeps(name))
    }

    /// The value of an argument that must be there.
    ///
    /// # Errors
    /// [`InputError::Missing`], or [`InputError::Shape`] when it is of another shape.
    pub fn required<T: FromValue<'a>>(&self, name: &'static str) -> Result<T, InputError> {
        self.optional(name)?.ok_or(InputError::Missing { name })
    }

    /// The value of an argument that may be missing.
    ///
    /// # Errors
    /// [`InputError::Shape`] when it is there in another shape.
    pub fn optional<T: FromValue<'a>>(&self, name: &'static str) -> Result<Option<T>, InputError> {
        let Some(argument) = self.get(name) else { return Ok(None) };
        let found = argument.value.shape();
        match T::from_value(&argument.value) {
            Some(value) => Ok(Some(value)),
            None => Err(InputError::Shape { name, expected: T::SHAPE, found }),
        }
    }

    /// The arguments as one map value (the values are copied).
    pub fn to_value(&self) -> Value {
        let copied = self.iter().map(|(name, argument)| (name.into(), argument.value.clone()));
        Value::Map(copied.collect())
    }

    /// The join of the labels of the arguments that were not taken away.
    pub fn label(&self) -> Label {
        let mut label = Label::empty();
        for (_, argument) in self.iter() {
            label.absorb(&argument.label);
        }
        label
    }
}

/// Why arguments are not a module's input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// An argument the module needs is not there, or was taken away.
    #[error("argument `{name}` is missing")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// An argument has another shape.
    #[error("expected {expected} in argument `{name}`, found {found}")]
    Shape {
        /// Its name.
        name: &'static str,
        /// The shape the module reads.
        expected: &'static str,
        /// The shape it has.
        found: &'static str,
    },
    /// An argument breaks a rule of the module's own.
    #[error("argument `{name}`: {message}")]
    Invalid {
        /// Its name.
        name: &'static str,
        /// The rule.
        message: String,
    },
}

/// A module's input, read from an intent's arguments.
pub trait FromArguments<'a>: Sized {
    /// Reads the input.
    ///
    /// # Errors
    /// [`InputError`]; the module then does not run.
    fn from_arguments(arguments: &Arguments<'a>) -> Result<Self, InputError>;
}

/// Every argument, as it is.
impl<'a> FromArguments<'a> for Arguments<'a> {
    fn from_arguments(arguments: &Arguments<'a>) -> Result<Self, InputError> {
        Ok(*arguments)
    }
}

/// No input.
impl FromArguments<'_> for () {
    fn from_arguments(_: &Arguments<'_>) -> Result<Self, InputError> {
        Ok(())
    }
}

/// What one argument's value can be read as.
pub trait FromValue<'a>: Sized {
    /// The shape it is read from, for messages.
    const SHAPE: &'static str;

    /// Reads the value; `None` when it is of another shape.
    fn from_value(value: &'a Value) -> Option<Self>;
}

impl<'a> FromValue<'a> for &'a Value {
    const SHAPE: &'static str = "a value";
    fn from_value(value: &'a Value) -> Option<Self> {
        Some(value)
    }
}

impl<'a> FromValue<'a> for &'a str {
    const SHAPE: &'static str = "text";
    fn from_value(value: &'a Value) -> Option<Self> {
        value.as_text()
    }
}

impl FromValue<'_> for Decimal {
    const SHAPE: &'static str = "number";
    fn from_value(value: &Value) -> Option<Self> {
        value.as_number()
    }
}

impl FromValue<'_> for i64 {
    const SHAPE: &'static str = "an integer of 64 bits";
    fn from_value(value: &Value) -> Option<Self> {
        value.as_number()?.as_i64()
    }
}

impl FromValue<'_> for bool {
    const SHAPE: &'static str = "boolean";
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }
}

impl<'a> FromValue<'a> for &'a [Value] {
    const SHAPE: &'static str = "list";
    fn from_value(value: &'a Value) -> Option<Self> {
        match value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }
}

/// A module's output, made a value with a label. The registry joins the labels of
/// the arguments and of the module itself: a label here can only add.
pub trait IntoOutput {
    /// The value and what it came from beyond the call itself.
    fn into_output(self) -> Output;
}

impl IntoOutput for Output {
    fn into_output(self) -> Output {
        self
    }
}

impl IntoOutput for Value {
    fn into_output(self) -> Output {
        Output { value: self, label: Label::empty() }
    }
}

impl IntoOutput for () {
    fn into_output(self) -> Output {
        Value::Null.into_output()
    }
}

impl IntoOutput for &str {
    fn into_output(self) -> Output {
        Value::from(self).into_output()
    }
}

impl IntoOutput for String {
    fn into_output(self) -> Output {
        Value::Text(self.into()).into_output()
    }
}

/// Whether an output can stand in a record: its size, items and nesting are within
/// the limits.
pub(super) fn is_within(value: &Value, limits: &Limits) -> bool {
    let mut bytes = limits.output_bytes();
    let mut items = limits.value_items();
    spend(value, limits.value_depth(), &mut bytes, &mut items).is_some()
}

/// Takes what `value` costs from the budgets; `None` when one is spent. The cost in
/// bytes is that of its canonical encoding.
fn spend(value: &Value, depth: usize, bytes: &mut usize, items: &mut usize) -> Option<()> {
    let below = depth.checked_sub(1)?;
    let own = match value {
        Value::Null => 1,
        Value::Bool(_) => 2,
        Value::Number(_) => 18,
        Value::Text(text) => 5 + text.len(),
        Value::List(_) | Value::Map(_) => 5,
    };
    *bytes = bytes.checked_sub(own)?;
    match value {
        Value::List(list) => {
            *items = items.checked_sub(list.len())?;
            list.iter().try_for_each(|item| spend(item, below, bytes, items))
        }
        Value::Map(map) => {
            *items = items.checked_sub(map.len())?;
            map.iter().try_for_each(|(key, item)| {
                *bytes = bytes.checked_sub(4 + key.len())?;
                spend(item, below, bytes, items)
            })
        }
        _ => Some(()),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::encode::Encode as _;
    use crate::limits::{OUTPUT_BYTES, VALUE_DEPTH, VALUE_ITEMS};

    fn is_within_limits(value: &Value) -> bool {
        is_within(value, &Limits::DEFAULT)
    }

    #[test]
    fn budgets_are_those_of_the_encoding() {
        let text = |len: usize| Value::Text("x".repeat(len).into());
        let value =
            |len| Value::Map([("k".into(), Value::List(vec![text(len), Value::Null]))].into());
        let overhead = value(0).to_canonical().len();
        assert!(is_within_limits(&value(OUTPUT_BYTES - overhead)));
        assert!(!is_within_limits(&value(OUTPUT_BYTES - overhead + 1)));
        assert!(is_within_limits(&Value::List(vec![Value::Null; VALUE_ITEMS])));
        assert!(!is_within_limits(&Value::List(vec![Value::Null; VALUE_ITEMS + 1])));
        let nested = |depth| (1..depth).fold(Value::Null, |inner, _| Value::List(vec![inner]));
        assert!(is_within_limits(&nested(VALUE_DEPTH)));
        assert!(!is_within_limits(&nested(VALUE_DEPTH + 1)));
    }
}
