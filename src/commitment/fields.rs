//! A payload's fields, each shown with its salt or withheld.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::{LIST, MAP, Part, Salt, Walk, count, entry, item, leaf, pointer, root};
use crate::digest::{Digest, Domain};
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::limits::FIELD_DEPTH;
use crate::value::Value;

/// A payload, field by field.
///
/// Canonical form: `0` and 32 bytes for what is withheld; `1`, the salt, the value for a
/// leaf; `2`, count, then key and fields of each entry for a map; `3`, count, then the
/// fields of each item for a list.
///
/// INVARIANT (one tree): a leaf is no list or map unless it is an empty one; a map or list
/// is never empty; keys are unique and in order. So one set of fields has one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    /// This field, with all that is in it, is not shown.
    Withheld(Digest),
    /// A value that is shown, and what it was hashed with.
    Leaf(Salt, Value),
    /// Fields by key.
    Map(Vec<(Box<str>, Fields)>),
    /// Fields in order.
    List(Vec<Fields>),
}

/// A path that leads to no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the path of a field, found `{path}`{}", there_is(.known))]
pub struct NoField {
    /// The path.
    pub path: Box<str>,
    /// What there is where the path ends to lead anywhere.
    pub known: Vec<String>,
}

fn there_is(known: &[String]) -> String {
    if known.is_empty() { String::new() } else { format!("; there is {}", known.join(", ")) }
}

impl Fields {
    /// All fields of a value, shown.
    pub fn of(salt: &Salt, value: &Value) -> Self {
        let mut walk = Walk { salt, path: Writer::new(), pad: Writer::new() };
        walk.path.u8(super::OF_PATH);
        build(&mut walk, value)
    }

    /// The commitment that these are fields of.
    pub fn root(&self, part: Part) -> Digest {
        root(part, &self.node(&mut Writer::new()))
    }

    fn node(&self, pad: &mut Writer) -> Digest {
        match self {
            Self::Withheld(digest) => *digest,
            Self::Leaf(salt, value) => leaf(pad, salt, value),
            Self::Map(entries) => {
                let mut out = Domain::Commitment.hasher();
                out.update(&[MAP]).update(&count(entries.len()));
                for (key, fields) in entries {
                    out.update(&count(key.len())).update(key.as_bytes());
                    out.update(fields.node(pad).as_bytes());
                }
                out.finalize()
            }
            Self::List(items) => {
                let mut out = Domain::Commitment.hasher();
                out.update(&[LIST]).update(&count(items.len()));
                for fields in items {
                    out.update(fields.node(pad).as_bytes());
                }
                out.finalize()
            }
        }
    }

    /// Withholds the field at this path: keys of maps and places in lists, `/` between
    /// them, as RFC 6901 writes them. Nothing between the slashes is all of it.
    ///
    /// # Errors
    /// [`NoField`] when there is none, or it stands in one that is withheld.
    pub fn withhold(&mut self, path: &str) -> Result<(), NoField> {
        let field = self.find(path)?;
        *field = Self::Withheld(field.node(&mut Writer::new()));
        Ok(())
    }

    fn find(&mut self, path: &str) -> Result<&mut Self, NoField> {
        let steps = path.split('/').filter(|step| !step.is_empty());
        let mut field = self;
        for step in steps {
            let key = step.replace("~1", "/").replace("~0", "~");
            let known = field.names();
            let below = match field {
                Self::Map(entries) => {
                    entries.iter_mut().find(|(own, _)| **own == *key).map(|(_, below)| below)
                }
                Self::List(items) => key.parse().ok().and_then(|at: usize| items.get_mut(at)),
                Self::Withheld(_) | Self::Leaf(..) => None,
            };
            field = below.ok_or_else(|| NoField { path: path.into(), known })?;
        }
        Ok(field)
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::Map(entries) => {
                entries.iter().map(|(key, _)| pointer(core::slice::from_ref(key))).collect()
            }
            Self::List(items) => (0..items.len()).map(|place| place.to_string()).collect(),
            Self::Withheld(_) | Self::Leaf(..) => Vec::new(),
        }
    }

    /// The field at these keys, where it is shown.
    pub fn get(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |field, step| match field {
            Self::Map(entries) => {
                entries.iter().find(|(key, _)| **key == **step).map(|(_, below)| below)
            }
            _ => None,
        })
    }

    /// The value, where it is a leaf that is shown.
    pub const fn value(&self) -> Option<&Value> {
        match self {
            Self::Leaf(_, value) => Some(value),
            _ => None,
        }
    }

    /// The paths of what is withheld, in order; the empty path is all of it.
    pub fn withheld(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.each(&mut Vec::new(), &mut |path, field| {
            if matches!(field, Self::Withheld(_)) {
                out.push(pointer(path));
            }
        });
        out
    }

    /// Shows every leaf and every field that is withheld, with its path.
    pub fn visit(&self, see: &mut dyn FnMut(&str, &Self)) {
        self.each(&mut Vec::new(), &mut |path, field| see(&pointer(path), field));
    }

    fn each(&self, path: &mut Vec<Box<str>>, see: &mut dyn FnMut(&[Box<str>], &Self)) {
        match self {
            Self::Withheld(_) | Self::Leaf(..) => see(path, self),
            Self::Map(entries) => {
                for (key, below) in entries {
                    path.push(key.clone());
                    below.each(path, see);
                    path.pop();
                }
            }
            Self::List(items) => {
                for (place, below) in items.iter().enumerate() {
                    path.push(place.to_string().into());
                    below.each(path, see);
                    path.pop();
                }
            }
        }
    }
}

fn build(walk: &mut Walk<'_>, value: &Value) -> Fields {
    match value {
        Value::Map(entries) if !entries.is_empty() => {
            let below = entries.iter().map(|(key, value)| {
                let fields = walk.below(|path| entry(path, key), |walk| build(walk, value));
                (key.clone(), fields)
            });
            Fields::Map(below.collect())
        }
        Value::List(items) if !items.is_empty() => {
            let below = items.iter().enumerate().map(|(place, value)| {
                walk.below(|path| item(path, place), |walk| build(walk, value))
            });
            Fields::List(below.collect())
        }
        leaf => Fields::Leaf(walk.leaf_salt(), leaf.clone()),
    }
}

/// Whether a value is a leaf: no list or map, or an empty one.
pub(crate) fn is_leaf(value: &Value) -> bool {
    match value {
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
        _ => true,
    }
}

impl Encode for Fields {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Withheld(digest) => {
                out.u8(0).digest(digest);
            }
            Self::Leaf(salt, value) => {
                out.u8(1).raw(salt.as_bytes()).value(value);
            }
            Self::Map(entries) => {
                out.u8(2).count(entries.len());
                for (key, fields) in entries {
                    out.text(key).value(fields);
                }
            }
            Self::List(items) => {
                out.u8(3).list(items);
            }
        }
    }
}

impl Decode for Fields {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        decode(input, FIELD_DEPTH)
    }
}

fn decode(input: &mut Reader<'_>, depth: usize) -> Result<Fields, DecodeError> {
    let Some(below) = depth.checked_sub(1) else {
        return Err(input.invalid("fields nested less deep"));
    };
    let offset = input.offset();
    match input.u8()? {
        0 => Ok(Fields::Withheld(input.digest()?)),
        1 => {
            let salt = Salt::from_bytes(*input.digest()?.as_bytes());
            let value: Value = input.value()?;
            if is_leaf(&value) {
                Ok(Fields::Leaf(salt, value))
            } else {
                Err(input.invalid("a value that has no fields"))
            }
        }
        2 => {
            let mut entries: Vec<(Box<str>, Fields)> = Vec::new();
            for _ in 0..input.count(5)? {
                let key: Box<str> = input.text()?.into();
                if entries.last().is_some_and(|(last, _)| *last >= key) {
                    return Err(input.invalid("unique keys in ascending order"));
                }
                entries.push((key, decode(input, below)?));
            }
            if entries.is_empty() {
                return Err(input.invalid("a map with a field"));
            }
            Ok(Fields::Map(entries))
        }
        3 => {
            let count = input.count(1)?;
            let items: Vec<_> =
                (0..count).map(|_| decode(input, below)).collect::<Result<_, _>>()?;
            if items.is_empty() {
                return Err(input.invalid("a list with a field"));
            }
            Ok(Fields::List(items))
        }
        other => Err(Reader::bad_tag("a field", other, offset)),
    }
}
