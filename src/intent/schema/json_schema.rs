//! JSON Schema (draft 2020-12 unless `$schema` names another) for arguments.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{Draft, ValidationError, Validator};

use super::{ArgumentCheck, Violation, short, shown};
use crate::encode::Writer;
use crate::intent::Argument;
use crate::json::{self, JsonError};
use crate::limits::Limits;
use crate::value::{Decimal, Value};

/// A text that is no usable JSON Schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// Not strict JSON.
    #[error("expected a JSON Schema: {0}")]
    Json(#[from] JsonError),
    /// A number the validator cannot hold exactly.
    #[error("expected numbers of at most 15 digits in a JSON Schema, found `{found}`")]
    Number {
        /// The number.
        found: Decimal,
    },
    /// JSON, but not a schema; or it refers to something outside itself.
    #[error("expected a JSON Schema that stands alone, found at `{path}`: {found}")]
    Schema {
        /// Where, as a JSON pointer.
        path: Box<str>,
        /// What is wrong.
        found: Box<str>,
    },
    /// Arguments are named; a schema that does not ask for an object cannot describe them.
    #[error("expected a JSON Schema of type `object`, found another")]
    NotObject,
}

/// A compiled JSON Schema.
///
/// References reach inside the schema only: nothing is fetched from a network or
/// read from a file. Numbers that the validator would have to round are refused,
/// in the schema and in arguments alike.
pub struct JsonSchema {
    schema: Value,
    validator: Validator,
    constants: BTreeMap<Box<str>, BTreeSet<Value>>,
    keys: BTreeSet<Box<str>>,
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JsonSchema({})", self.schema)
    }
}

impl JsonSchema {
    /// Compiles the text of a schema.
    ///
    /// # Errors
    /// [`SchemaError`].
    pub fn new(text: &str) -> Result<Self, SchemaError> {
        let schema = json::parse(text.as_bytes(), &Limits::DEFAULT)?;
        if json::at(&schema, "/type").and_then(Value::as_text) != Some("object") {
            return Err(SchemaError::NotObject);
        }
        let given = json::to_serde(&schema).map_err(|found| SchemaError::Number { found })?;
        let validator = jsonschema::options()
            .with_draft(draft(&schema))
            .should_validate_formats(true)
            .offline()
            .build(&given)
            .map_err(|error| SchemaError::Schema {
                path: error.instance_path().to_string().into(),
                found: short(&error.to_string()).into(),
            })?;
        let mut keys = BTreeSet::new();
        collect_keys(&schema, &mut keys);
        Ok(Self { constants: constants(&schema), keys, validator, schema })
    }

    /// The schema.
    pub const fn schema(&self) -> &Value {
        &self.schema
    }
}

fn draft(schema: &Value) -> Draft {
    let named = json::at(schema, "/$schema").and_then(Value::as_text).unwrap_or_default();
    match named.trim_end_matches('#') {
        "http://json-schema.org/draft-04/schema" => Draft::Draft4,
        "http://json-schema.org/draft-06/schema" => Draft::Draft6,
        "http://json-schema.org/draft-07/schema" => Draft::Draft7,
        "https://json-schema.org/draft/2019-09/schema" => Draft::Draft201909,
        _ => Draft::Draft202012,
    }
}

/// Per argument its default, its `const`, and the only member of its `enum`.
fn constants(schema: &Value) -> BTreeMap<Box<str>, BTreeSet<Value>> {
    let mut all = BTreeMap::new();
    let Some(Value::Map(properties)) = json::at(schema, "/properties") else { return all };
    for (name, property) in properties {
        let mut values = BTreeSet::new();
        values.extend(json::at(property, "/default").cloned());
        values.extend(json::at(property, "/const").cloned());
        if let Some(Value::List(options)) = json::at(property, "/enum")
            && let [only] = &**options
        {
            values.insert(only.clone());
        }
        if !values.is_empty() {
            all.insert(name.clone(), values);
        }
    }
    all
}

/// Every name under a `properties` anywhere in the schema.
fn collect_keys(schema: &Value, keys: &mut BTreeSet<Box<str>>) {
    match schema {
        Value::Map(entries) => {
            if let Some(Value::Map(properties)) = entries.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            for value in entries.values() {
                collect_keys(value, keys);
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}

impl ArgumentCheck for JsonSchema {
    fn check(&self, arguments: &BTreeMap<Box<str>, Argument>) -> Result<(), Violation> {
        let mut given = serde_json::Map::new();
        for (name, argument) in arguments {
            let value = json::to_serde(&argument.value).map_err(|number| Violation {
                path: super::pointer(name),
                expected: format!(
                    "numbers of 64 bits, or of at most {} digits with a fraction",
                    json::SCHEMA_DIGITS
                )
                .into(),
                found: format!("`{number}`").into(),
            })?;
            given.insert((**name).to_owned(), value);
        }
        let given = serde_json::Value::Object(given);
        self.validator.validate(&given).map_err(|error| violation(&error, arguments))
    }

    /// The text `json-schema` and the schema as a value.
    fn encode(&self, out: &mut Writer) {
        out.text("json-schema").value(&self.schema);
    }

    fn is_constant(&self, argument: &str, value: &Value) -> bool {
        self.constants.get(argument).is_some_and(|values| values.contains(value))
    }

    fn names_key(&self, key: &str) -> bool {
        self.keys.contains(key)
    }
}

fn violation(error: &ValidationError<'_>, arguments: &BTreeMap<Box<str>, Argument>) -> Violation {
    let path: Box<str> = error.instance_path().to_string().into();
    let found = found_at(&path, arguments);
    let (expected, found): (String, Box<str>) = match error.kind() {
        Kind::Required { property } => (
            format!("argument `{}`", property.as_str().map(short).unwrap_or_default()),
            "none".into(),
        ),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().take(5).map(|name| short(name)).collect();
            ("no further argument".into(), format!("`{}`", names.join("`, `")).into())
        }
        Kind::Type { .. } => (listed(error, "a value of type "), found),
        Kind::Enum { options } => (format!("one of {}", short(&options.to_string())), found),
        Kind::Constant { expected_value } => (short(&expected_value.to_string()), found),
        Kind::Maximum { limit } => (format!("at most {limit}"), found),
        Kind::Minimum { limit } => (format!("at least {limit}"), found),
        Kind::ExclusiveMaximum { limit } => (format!("less than {limit}"), found),
        Kind::ExclusiveMinimum { limit } => (format!("more than {limit}"), found),
        Kind::MaxLength { limit } => (format!("at most {limit} characters"), found),
        Kind::MinLength { limit } => (format!("at least {limit} characters"), found),
        Kind::MaxItems { limit } => (format!("at most {limit} items"), found),
        Kind::MinItems { limit } => (format!("at least {limit} items"), found),
        Kind::Pattern { pattern } => (format!("a text like `{}`", short(pattern)), found),
        Kind::Format { format } => (format!("a text of format `{format}`"), found),
        _ => (listed(error, "what the schema says of "), found),
    };
    Violation { path, expected: expected.into(), found }
}

/// What the schema says where the error arose: its `type`, or the keyword.
fn listed(error: &ValidationError<'_>, before: &str) -> String {
    match error.kind() {
        Kind::Type { kind } => match kind {
            jsonschema::error::TypeKind::Single(one) => format!("{before}`{one}`"),
            jsonschema::error::TypeKind::Multiple(_) => format!("{before}the schema's types"),
        },
        kind => format!("{before}`{}`", kind.keyword()),
    }
}

fn found_at(path: &str, arguments: &BTreeMap<Box<str>, Argument>) -> Box<str> {
    let Some(rest) = path.strip_prefix('/') else { return "these arguments".into() };
    let (name, rest) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    let argument = arguments.get(name.as_str()).map(|argument| &argument.value);
    argument.and_then(|value| json::at(value, rest)).map_or_else(|| "nothing".into(), shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provenance::{Label, Source};

    const SEND: &str = r#"{"type": "object", "properties": {
        "to": {"type": "string", "pattern": "^[A-Z]{2}"},
        "amount": {"type": "number", "exclusiveMinimum": 0, "maximum": 98.7},
        "note": {"type": ["string", "null"], "default": "no note"},
        "mode": {"enum": ["fast"]},
        "extra": {"type": "object", "properties": {"copies": {"type": "integer"}}}
      }, "required": ["to", "amount"], "additionalProperties": false}"#;

    fn check(text: &str) -> Result<(), Violation> {
        let Value::Map(entries) = json::parse(text.as_bytes(), &Limits::DEFAULT).unwrap() else {
            panic!("expected an object")
        };
        let label = Label::from(Source::User);
        let arguments = entries
            .into_iter()
            .map(|(name, value)| (name, Argument { value, label: label.clone() }))
            .collect();
        JsonSchema::new(SEND).unwrap().check(&arguments)
    }

    #[test]
    fn violations_say_where_what_was_expected_and_found() {
        assert_eq!(check(r#"{"to": "DE1", "amount": 98.70}"#), Ok(()));
        for (text, path, expected, found) in [
            (r#"{"to": "DE1"}"#, "", "argument `amount`", "none"),
            (r#"{"to": 7, "amount": 1}"#, "/to", "a value of type `string`", "number `7`"),
            (r#"{"to": "de1", "amount": 1}"#, "/to", "a text like `^[A-Z]{2}`", "text `de1`"),
            (r#"{"to": "DE", "amount": 98.71}"#, "/amount", "at most 98.7", "number `98.71`"),
            (r#"{"to": "DE", "amount": 0}"#, "/amount", "more than 0", "number `0`"),
            (r#"{"to": "DE", "amount": 1, "x": 1}"#, "", "no further argument", "`x`"),
            (
                r#"{"to": "DE", "amount": 1, "extra": {"copies": 0.5}}"#,
                "/extra/copies",
                "a value of type `integer`",
                "number `0.5`",
            ),
        ] {
            let error = check(text).unwrap_err();
            assert_eq!((&*error.path, &*error.expected, &*error.found), (path, expected, found));
        }
    }

    #[test]
    fn numbers_that_would_be_rounded_are_refused() {
        // As a double this is 98.7, which the maximum allows.
        let error = check(r#"{"to": "DE", "amount": 98.70000000000000000001}"#).unwrap_err();
        assert_eq!(&*error.path, "/amount");
        assert!(error.expected.contains("15 digits"), "{error:?}");
    }

    #[test]
    fn schemas_reach_for_nothing_outside() {
        for text in [
            r#"{"type": "object", "$ref": "https://example.org/schema.json"}"#,
            r#"{"type": "object", "$ref": "file:///etc/hostname"}"#,
            r#"{"type": "object", "properties": {"a": {"type": "strung"}}}"#,
            r#"{"type": "object", "properties": {"a": {"pattern": "("}}}"#,
        ] {
            let error = JsonSchema::new(text).unwrap_err();
            assert!(matches!(error, SchemaError::Schema { .. }), "{text}: {error}");
        }
        assert_eq!(JsonSchema::new("{}").unwrap_err(), SchemaError::NotObject);
        assert!(matches!(JsonSchema::new("{"), Err(SchemaError::Json(_))));
        let inside = r##"{"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}},
            "$defs": {"n": {"type": "integer"}}}"##;
        assert!(JsonSchema::new(inside).is_ok());
    }

    #[test]
    fn constants_are_defaults_and_only_choices() {
        let schema = JsonSchema::new(SEND).unwrap();
        assert!(schema.is_constant("note", &"no note".into()));
        assert!(schema.is_constant("mode", &"fast".into()));
        assert!(!schema.is_constant("to", &"fast".into()));
        assert!(schema.names_key("copies") && !schema.names_key("copy"));
    }
}
