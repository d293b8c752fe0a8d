//! Strict JSON: text in, an exact [`Value`] out, errors with line, column and path.
//!
//! RFC 8259 leaves open what a reader does with a name that occurs twice, with
//! numbers of many digits and with data behind the value. Two readers that decide
//! differently can be made to see two different requests in the same bytes, so
//! this one refuses all three.
//!
//! ```
//! use prospera::json;
//! use prospera::limits::Limits;
//! let value = json::parse(br#"{"amount": 98.70}"#, &Limits::DEFAULT)?;
//! assert_eq!(value.to_string(), r#"{"amount":98.7}"#);
//! let error = json::parse(b"{\"a\": 1,\n \"a\": 2}", &Limits::DEFAULT).unwrap_err();
//! assert_eq!((error.line(), error.path()), (2, "/a"));
//! # Ok::<(), json::JsonError>(())
//! ```
//!
//! INVARIANT (one reading): no two values are read from the same bytes, and no
//! part of the bytes is ignored except white space between tokens.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;

use struson::reader::json_path::JsonPathPiece;
use struson::reader::{
    JsonReader, JsonReaderPosition, JsonStreamReader, ReaderError, ReaderSettings, ValueType,
};

use crate::limits::Limits;
use crate::value::{Decimal, DecimalError, Value};

/// What is wrong with a JSON text, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at line {line}, column {column}{}", Place(.path))]
pub struct JsonError {
    kind: JsonErrorKind,
    line: u64,
    column: u64,
    path: Box<str>,
}

/// What is wrong with a JSON text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// Not JSON (RFC 8259), or more than one value.
    #[error("expected JSON, found {found}")]
    Syntax {
        /// What the reader met.
        found: Box<str>,
    },
    /// Bytes that are not UTF-8.
    #[error("expected UTF-8")]
    Utf8,
    /// A name occurs twice in one object.
    #[error("expected each name once, found `{}` again", short(.name))]
    Duplicate {
        /// The name.
        name: Box<str>,
    },
    /// A number that cannot be held exactly.
    #[error(transparent)]
    Number(#[from] DecimalError),
    /// More bytes than allowed.
    #[error("expected at most {limit} bytes, found {found}")]
    Bytes {
        /// The bound.
        limit: usize,
        /// How many there are.
        found: usize,
    },
    /// Nested deeper than allowed.
    #[error("expected at most {limit} levels of nesting")]
    Depth {
        /// The bound.
        limit: usize,
    },
    /// More list items and map entries than allowed.
    #[error("expected at most {limit} items")]
    Items {
        /// The bound.
        limit: usize,
    },
    /// A text longer than allowed.
    #[error("expected a text of at most {limit} bytes, found {found}")]
    Text {
        /// The bound.
        limit: usize,
        /// The text's length in bytes.
        found: usize,
    },
}

impl JsonErrorKind {
    /// Whether a bound of [`Limits`] was exceeded.
    pub const fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::Bytes { .. } | Self::Depth { .. } | Self::Items { .. } | Self::Text { .. }
        )
    }
}

impl JsonError {
    /// What is wrong.
    pub const fn kind(&self) -> &JsonErrorKind {
        &self.kind
    }

    /// The line, from 1.
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// The column in characters, from 1.
    pub const fn column(&self) -> u64 {
        self.column
    }

    /// Where in the value, as a JSON pointer (RFC 6901); empty at the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn new(kind: JsonErrorKind, position: &JsonReaderPosition) -> Self {
        let (line, column) = position.line_pos.map_or((0, 0), |at| (at.line, at.column));
        let mut path = String::new();
        for piece in position.path.iter().flatten() {
            match piece {
                JsonPathPiece::ArrayItem(index) => {
                    let _ = write!(path, "/{index}");
                }
                JsonPathPiece::ObjectMember(name) => push_pointer(&mut path, name),
            }
        }
        let (line, column) = (line.saturating_add(1), column.saturating_add(1));
        Self { kind, line, column, path: path.into() }
    }

    fn reader(error: &ReaderError, limits: &Limits) -> Self {
        match error {
            ReaderError::SyntaxError(error) => {
                let found = words(&error.kind.to_string()).into();
                Self::new(JsonErrorKind::Syntax { found }, &error.location)
            }
            ReaderError::MaxNestingDepthExceeded { location, .. } => {
                Self::new(JsonErrorKind::Depth { limit: limits.value_depth() }, location)
            }
            ReaderError::IoError { location, .. } => Self::new(JsonErrorKind::Utf8, location),
            ReaderError::UnexpectedValueType { location, .. }
            | ReaderError::UnexpectedStructure { location, .. }
            | ReaderError::UnsupportedNumberValue { location, .. } => {
                let found = "a structure that does not fit".into();
                Self::new(JsonErrorKind::Syntax { found }, location)
            }
            _ => Self {
                kind: JsonErrorKind::Syntax { found: "something unreadable".into() },
                line: 1,
                column: 1,
                path: Box::default(),
            },
        }
    }
}

struct Place<'a>(&'a str);

impl core::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (in `{}`)", short(self.0)) }
    }
}

/// A foreign text for a message: at most 200 characters, no control characters.
fn short(text: &str) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == 200 {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// `UnknownLiteral` as `unknown literal`.
fn words(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// Appends one segment to a JSON pointer, escaped as RFC 6901 §3 says.
pub(crate) fn push_pointer(path: &mut String, segment: &str) {
    path.push('/');
    for c in segment.chars() {
        match c {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            c => path.push(c),
        }
    }
}

/// The value a JSON pointer (RFC 6901) names, if it is there.
pub fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    if pointer.is_empty() {
        return Some(value);
    }
    pointer.strip_prefix('/')?.split('/').try_fold(value, |value, segment| match value {
        Value::Map(entries) => entries.get(segment.replace("~1", "/").replace("~0", "~").as_str()),
        Value::List(items) => {
            let plain = segment == "0" || !segment.starts_with(['0', '+']);
            items.get(segment.parse::<usize>().ok().filter(|_| plain)?)
        }
        _ => None,
    })
}

/// Reads one JSON value and nothing else.
///
/// # Errors
/// [`JsonError`].
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Value, JsonError> {
    let start = JsonReaderPosition { path: None, line_pos: None, data_pos: None };
    if bytes.len() > limits.submission_bytes() {
        let kind = JsonErrorKind::Bytes { limit: limits.submission_bytes(), found: bytes.len() };
        return Err(JsonError::new(kind, &start));
    }
    let settings = ReaderSettings {
        allow_comments: false,
        allow_trailing_comma: false,
        allow_multiple_top_level: false,
        track_path: true,
        max_nesting_depth: Some(u32::try_from(limits.value_depth()).unwrap_or(u32::MAX)),
        restrict_number_values: false,
    };
    let mut source =
        Source { reader: JsonStreamReader::new_custom(bytes, settings), limits: *limits, items: 0 };
    let value = source.value(limits.value_depth())?;
    match source.reader.consume_trailing_whitespace() {
        Ok(()) => Ok(value),
        Err(error) => Err(JsonError::reader(&error, limits)),
    }
}

struct Source<'a> {
    reader: JsonStreamReader<&'a [u8]>,
    limits: Limits,
    items: usize,
}

impl Source<'_> {
    fn here(&self, kind: JsonErrorKind) -> JsonError {
        JsonError::new(kind, &self.reader.current_position(true))
    }

    fn lift<T>(&self, result: Result<T, ReaderError>) -> Result<T, JsonError> {
        result.map_err(|error| JsonError::reader(&error, &self.limits))
    }

    fn count(&mut self) -> Result<(), JsonError> {
        self.items += 1;
        let limit = self.limits.value_items();
        if self.items > limit { Err(self.here(JsonErrorKind::Items { limit })) } else { Ok(()) }
    }

    fn text(&self, text: String) -> Result<Box<str>, JsonError> {
        let limit = self.limits.text_bytes();
        if text.len() > limit {
            return Err(self.here(JsonErrorKind::Text { limit, found: text.len() }));
        }
        Ok(text.into())
    }

    fn has_next(&mut self) -> Result<bool, JsonError> {
        let more = self.reader.has_next();
        self.lift(more)
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        let Some(below) = depth.checked_sub(1) else {
            return Err(self.here(JsonErrorKind::Depth { limit: self.limits.value_depth() }));
        };
        let shape = self.reader.peek();
        match self.lift(shape)? {
            ValueType::Null => {
                let read = self.reader.next_null();
                self.lift(read)?;
                Ok(Value::Null)
            }
            ValueType::Boolean => {
                let read = self.reader.next_bool();
                self.lift(read).map(Value::Bool)
            }
            ValueType::Number => {
                let position = self.reader.current_position(true);
                let read = self.reader.next_number_as_string();
                let number = self.lift(read)?.parse::<Decimal>();
                number.map(Value::Number).map_err(|e| JsonError::new(e.into(), &position))
            }
            ValueType::String => {
                let read = self.reader.next_string();
                let text = self.lift(read)?;
                self.text(text).map(Value::Text)
            }
            ValueType::Array => {
                let read = self.reader.begin_array();
                self.lift(read)?;
                let mut items = Vec::new();
                while self.has_next()? {
                    self.count()?;
                    items.push(self.value(below)?);
                }
                let read = self.reader.end_array();
                self.lift(read)?;
                Ok(Value::List(items))
            }
            ValueType::Object => {
                let read = self.reader.begin_object();
                self.lift(read)?;
                let mut entries = BTreeMap::new();
                while self.has_next()? {
                    self.count()?;
                    let read = self.reader.next_name_owned();
                    let name = self.lift(read)?;
                    let name = self.text(name)?;
                    if entries.contains_key(&name) {
                        return Err(self.here(JsonErrorKind::Duplicate { name }));
                    }
                    let value = self.value(below)?;
                    entries.insert(name, value);
                }
                let read = self.reader.end_object();
                self.lift(read)?;
                Ok(Value::Map(entries))
            }
        }
    }
}

/// Most significant digits of a number with a fraction that a schema can judge.
///
/// Any decimal of up to 15 digits survives the way through an IEEE 754 double, in
/// order: of two different ones the doubles differ in the same direction.
pub const SCHEMA_DIGITS: u32 = 15;

/// The same value for the schema validator, whose numbers are 64-bit integers and
/// doubles.
///
/// # Errors
/// The first number that neither holds without changing it: an integer beyond 64
/// bits, or a fraction of more than [`SCHEMA_DIGITS`] digits.
pub fn to_serde(value: &Value) -> Result<serde_json::Value, Decimal> {
    Ok(match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => serde_json::Value::Bool(*value),
        Value::Number(number) => serde_json::Value::Number(serde_number(*number)?),
        Value::Text(text) => serde_json::Value::String(text.to_string()),
        Value::List(items) => {
            serde_json::Value::Array(items.iter().map(to_serde).collect::<Result<_, _>>()?)
        }
        Value::Map(entries) => {
            let mut map = serde_json::Map::new();
            for (key, value) in entries {
                map.insert(key.to_string(), to_serde(value)?);
            }
            serde_json::Value::Object(map)
        }
    })
}

fn serde_number(number: Decimal) -> Result<serde_json::Number, Decimal> {
    if number.scale() == 0 {
        if let Ok(integer) = i64::try_from(number.mantissa()) {
            return Ok(integer.into());
        }
        return u64::try_from(number.mantissa()).map(Into::into).map_err(|_| number);
    }
    if number.mantissa().unsigned_abs() >= 10_u128.pow(SCHEMA_DIGITS) {
        return Err(number);
    }
    number.to_string().parse().ok().and_then(serde_json::Number::from_f64).ok_or(number)
}

#[cfg(test)]
mod tests;
