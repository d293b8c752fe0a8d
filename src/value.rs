//! Values: what an intent's arguments, facts and outputs are made of.
//!
//! JSON's shapes with exact numbers: a [`Decimal`] is an integer and a power of
//! ten, never a float, so the same text has the same bytes everywhere and
//! comparisons are exact.
//!
//! ```
//! use prospera::value::{Decimal, Value};
//! let a: Decimal = "98.70".parse()?;
//! let b: Decimal = "98.7".parse()?;
//! assert_eq!(a, b);
//! assert!(a < "98.71".parse()?);
//! assert_eq!(Value::from(a).to_string(), "98.7");
//! # Ok::<(), prospera::value::DecimalError>(())
//! ```

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::limits::VALUE_DEPTH;

/// A value of JSON's shape with exact numbers and ordered, unique keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// An exact number.
    Number(Decimal),
    /// A text.
    Text(Box<str>),
    /// Values in order.
    List(Vec<Value>),
    /// Values by key; keys are unique and ordered by their bytes.
    Map(BTreeMap<Box<str>, Value>),
}

impl Value {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub const fn as_number(&self) -> Option<Decimal> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether it has more than `most` levels; one that is no list or map has one.
    pub fn is_deeper_than(&self, most: usize) -> bool {
        let Some(below) = most.checked_sub(1) else { return true };
        match self {
            Self::List(items) => items.iter().any(|item| item.is_deeper_than(below)),
            Self::Map(entries) => entries.values().any(|value| value.is_deeper_than(below)),
            _ => false,
        }
    }

    /// The name of the shape, for messages.
    pub const fn shape(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "text",
            Self::List(_) => "list",
            Self::Map(_) => "map",
        }
    }
}

impl From<Decimal> for Value {
    fn from(number: Decimal) -> Self {
        Self::Number(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Decimal::from(number))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl fmt::Display for Value {
    /// JSON without white space.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => json_text(text, f),
            Self::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { "," })?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { "," })?;
                    json_text(key, f)?;
                    f.write_str(":")?;
                    value.fmt(f)?;
                }
                f.write_str("}")
            }
        }
    }
}

fn json_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if u32::from(c) < 0x20 => write!(f, "\\u{:04x}", u32::from(c))?,
            c => fmt::Write::write_char(f, c)?,
        }
    }
    f.write_str("\"")
}

impl Encode for Value {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Null => {
                out.u8(0);
            }
            Self::Bool(value) => {
                out.u8(1).bool(*value);
            }
            Self::Number(number) => {
                out.u8(2).value(number);
            }
            Self::Text(text) => {
                out.u8(3).text(text);
            }
            Self::List(items) => {
                out.u8(4).list(items);
            }
            Self::Map(entries) => {
                out.u8(5).count(entries.len());
                for (key, value) in entries {
                    out.text(key).value(value);
                }
            }
        }
    }
}

impl Decode for Value {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        decode_value(input, VALUE_DEPTH)
    }
}

fn decode_value(input: &mut Reader<'_>, depth: usize) -> Result<Value, DecodeError> {
    let offset = input.offset();
    let Some(below) = depth.checked_sub(1) else {
        return Err(input.invalid("a value nested at most 32 deep"));
    };
    Ok(match input.u8()? {
        0 => Value::Null,
        1 => Value::Bool(input.bool()?),
        2 => Value::Number(input.value()?),
        3 => Value::Text(input.text()?.into()),
        4 => {
            let count = input.count(1)?;
            Value::List((0..count).map(|_| decode_value(input, below)).collect::<Result<_, _>>()?)
        }
        5 => {
            let count = input.count(5)?;
            let mut entries = BTreeMap::new();
            for _ in 0..count {
                let key: Box<str> = input.text()?.into();
                if entries.last_key_value().is_some_and(|(last, _)| *last >= key) {
                    return Err(input.invalid("unique keys in ascending order"));
                }
                entries.insert(key, decode_value(input, below)?);
            }
            Value::Map(entries)
        }
        other => return Err(Reader::bad_tag("a value", other, offset)),
    })
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

/// An exact decimal number: `mantissa × 10^-scale`.
///
/// At most 38 digits, at most 28 of them behind the point. INVARIANT (normal
/// form): a mantissa that ends in 0 has scale 0, so equal numbers have equal parts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i128,
    scale: u8,
}

/// A text that is no number prospera can hold exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecimalError {
    /// Not a JSON number.
    #[error("expected a decimal number, found `{found}`")]
    Syntax {
        /// The text.
        found: String,
    },
    /// Too large, or too many digits.
    #[error(
        "expected a number of at most 38 digits, {MAX_SCALE} of them behind the point, found `{found}`"
    )]
    Range {
        /// The text.
        found: String,
    },
}

/// Most digits behind the point.
pub const MAX_SCALE: u8 = 28;
const MAX_MANTISSA: i128 = 10_i128.pow(38) - 1;

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self { mantissa: 0, scale: 0 };

    /// `mantissa × 10^-scale`, brought to normal form; `None` out of range.
    pub const fn new(mantissa: i128, scale: u8) -> Option<Self> {
        let (mut mantissa, mut scale) = (mantissa, scale);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        if scale > MAX_SCALE || mantissa > MAX_MANTISSA || mantissa < -MAX_MANTISSA {
            return None;
        }
        Some(Self { mantissa, scale })
    }

    /// The digits without the point.
    pub const fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// How many digits stand behind the point.
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// The number as an integer, if it is one that fits.
    pub fn as_i64(self) -> Option<i64> {
        if self.scale == 0 { i64::try_from(self.mantissa).ok() } else { None }
    }

    const fn unit(scale: u8) -> i128 {
        10_i128.pow(if scale > MAX_SCALE { MAX_SCALE as u32 } else { scale as u32 })
    }

    /// Integer part and fraction in units of 10^-28, both with the number's sign.
    const fn parts(self) -> (i128, i128) {
        let unit = Self::unit(self.scale);
        (self.mantissa / unit, (self.mantissa % unit) * Self::unit(MAX_SCALE - self.scale))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self { mantissa: number.into(), scale: 0 }
    }
}

impl From<u64> for Decimal {
    fn from(number: u64) -> Self {
        Self { mantissa: number.into(), scale: 0 }
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads a JSON number (RFC 8259 §6), exponent included.
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let syntax = || DecimalError::Syntax { found: text.chars().take(64).collect() };
        let range = || DecimalError::Range { found: text.chars().take(64).collect() };
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (number, exponent) = match digits.split_once(['e', 'E']) {
            Some((number, exponent)) => {
                let plain = exponent.strip_prefix('+').unwrap_or(exponent);
                let bare = plain.strip_prefix('-').unwrap_or(plain);
                if bare.is_empty()
                    || !bare.bytes().all(|b| b.is_ascii_digit())
                    || (exponent.starts_with('+') && plain.starts_with('-'))
                {
                    return Err(syntax());
                }
                (number, plain.parse::<i32>().map_err(|_| range())?)
            }
            None => (digits, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let well_formed = !whole.is_empty()
            && (whole.len() == 1 || !whole.starts_with('0'))
            && (number.contains('.') != fraction.is_empty())
            && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
        if !well_formed {
            return Err(syntax());
        }
        let mut mantissa: i128 = 0;
        let mut zeros = 0_i32;
        let mut scale = 0_i32;
        for (i, byte) in whole.bytes().chain(fraction.bytes()).enumerate() {
            let behind = i >= whole.len();
            if byte == b'0' {
                zeros = zeros.saturating_add(1);
            } else {
                for _ in 0..if mantissa == 0 { 0 } else { zeros } {
                    mantissa = mantissa.checked_mul(10).ok_or_else(range)?;
                }
                zeros = 0;
                mantissa = mantissa
                    .checked_mul(10)
                    .and_then(|m| m.checked_add(i128::from(byte - b'0')))
                    .ok_or_else(range)?;
            }
            scale = scale.saturating_add(i32::from(behind));
        }
        if mantissa == 0 {
            return Ok(Self::ZERO);
        }
        // Trailing zeros were not multiplied in: they lower the scale instead.
        let scale = scale.saturating_sub(zeros).saturating_sub(exponent);
        let mut scaled = if negative { -mantissa } else { mantissa };
        if scale < 0 {
            if scale < -38 {
                return Err(range());
            }
            for _ in scale..0 {
                scaled = scaled.checked_mul(10).ok_or_else(range)?;
            }
            return Self::new(scaled, 0).ok_or_else(range);
        }
        let scale = u8::try_from(scale).map_err(|_| range())?;
        Self::new(scaled, scale).ok_or_else(range)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = Self::unit(self.scale).unsigned_abs();
        let magnitude = self.mantissa.unsigned_abs();
        let sign = if self.mantissa < 0 { "-" } else { "" };
        write!(f, "{sign}{}", magnitude / unit)?;
        if self.scale > 0 {
            write!(f, ".{:0width$}", magnitude % unit, width = usize::from(self.scale))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Encode for Decimal {
    fn encode(&self, out: &mut Writer) {
        out.i128(self.mantissa).u8(self.scale);
    }
}

impl Decode for Decimal {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (mantissa, scale) = (input.i128()?, input.u8()?);
        match Self::new(mantissa, scale) {
            Some(number) if number.scale == scale => Ok(number),
            _ => Err(input.invalid("a decimal in normal form")),
        }
    }
}

impl Serialize for Decimal {
    /// An integer where it is one that fits, otherwise its exact text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_i64() {
            Some(number) => serializer.serialize_i64(number),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    /// Reads an integer or a text such as `"98.70"`; a float is refused, because
    /// it may already have lost digits.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Exact;
        impl serde::de::Visitor<'_> for Exact {
            type Value = Decimal;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer, or a decimal number in quotes")
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Decimal, E> {
                Ok(number.into())
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Decimal, E> {
                Ok(number.into())
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Exact)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn numbers_are_exact() {
        for (text, shown) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("98.70", "98.7"),
            ("1e3", "1000"),
            ("1.5E-2", "0.015"),
            ("120", "120"),
            ("1.20e1", "12"),
            ("1000000000000000000000000000000", "1000000000000000000000000000000"),
            ("-12.000000000000000000000000000001e2", "-1200.0000000000000000000000000001"),
        ] {
            assert_eq!(text.parse::<Decimal>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "01", "1.", ".5", "+1", "1e", "1e+-3", "0x1", "NaN", "1 ", "--1"] {
            assert!(matches!(text.parse::<Decimal>(), Err(DecimalError::Syntax { .. })), "{text}");
        }
        for text in
            ["1e39", "1e400", "1e-29", "1e99999999999", "123456789012345678901234567890123456789"]
        {
            assert!(matches!(text.parse::<Decimal>(), Err(DecimalError::Range { .. })), "{text}");
        }
    }

    #[test]
    fn order_is_that_of_the_numbers() {
        let sorted = ["-2", "-1.5", "-1", "-0.1", "0", "0.0001", "1", "1.01", "1.1", "2e10"];
        for pair in sorted.windows(2) {
            assert!(pair[0].parse::<Decimal>().unwrap() < pair[1].parse::<Decimal>().unwrap());
        }
    }

    #[test]
    fn values_come_back_from_their_bytes() {
        let mut entries = BTreeMap::new();
        entries.insert("k".into(), Value::List(alloc::vec![Value::Null, 3.into(), true.into()]));
        entries.insert("t".into(), "x\n\"y\"".into());
        let value = Value::Map(entries);
        assert_eq!(Value::from_canonical(&value.to_canonical()), Ok(value.clone()));
        assert_eq!(value.to_string(), r#"{"k":[null,3,true],"t":"x\n\"y\""}"#);
    }
}
