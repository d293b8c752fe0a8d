//! Where in a TOML file a text stands, for errors that only cross-checks can find.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::files::FileError;

/// One text of a file: a string value, or a key.
struct Place {
    /// The keys that lead to it, joined with `.`; places in lists are left out.
    path: String,
    text: String,
    /// The `id` or `kind` of the entry of a list of tables it stands in.
    owner: Option<String>,
    span: Range<usize>,
}

/// All texts of a file.
pub(super) struct Places<'a> {
    file: String,
    text: &'a str,
    found: Vec<Place>,
}

impl<'a> Places<'a> {
    /// Of a file that was read before; one that is no TOML has none.
    pub(super) fn of(file: String, text: &'a str) -> Self {
        let mut places = Vec::new();
        if let Ok(table) = DeTable::parse(text) {
            walk_table(table.get_ref(), "", None, &mut places);
        }
        Self { file, text, found: places }
    }

    /// An error at the text `wanted` under `path`, in the entry of `owner` where one is
    /// given; at the entry, or at the file's start, when it is not found.
    pub(super) fn error(
        &self,
        owner: Option<&str>,
        path: &str,
        wanted: &str,
        message: String,
    ) -> FileError {
        let mine = |place: &&Place| owner.is_none() || place.owner.as_deref() == owner;
        let under = |place: &&Place| {
            place.path == path
                || place.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'))
        };
        let exact = self.found.iter().filter(mine).filter(under).find(|p| p.text == wanted);
        let entry = || self.found.iter().find(|place| Some(&*place.text) == owner);
        let span = exact.or_else(entry).map_or(0..0, |place| place.span.clone());
        FileError::at(&self.file, self.text, span, message)
    }
}

fn walk_table(table: &DeTable<'_>, path: &str, owner: Option<&str>, out: &mut Vec<Place>) {
    for (key, value) in table {
        let path = if path.is_empty() {
            key.get_ref().as_ref().to_owned()
        } else {
            format!("{path}.{}", key.get_ref())
        };
        out.push(Place {
            path: path.clone(),
            text: key.get_ref().as_ref().to_owned(),
            owner: owner.map(str::to_owned),
            span: key.span(),
        });
        walk(value.get_ref(), value.span(), &path, owner, out);
    }
}

fn walk(
    value: &DeValue<'_>,
    span: Range<usize>,
    path: &str,
    owner: Option<&str>,
    out: &mut Vec<Place>,
) {
    match value {
        DeValue::String(text) => out.push(Place {
            path: path.to_owned(),
            text: text.as_ref().to_owned(),
            owner: owner.map(str::to_owned),
            span,
        }),
        DeValue::Array(items) => {
            for item in items {
                let named = match item.get_ref() {
                    DeValue::Table(table) => name_of(table),
                    _ => None,
                };
                let owner = named.as_deref().or(owner);
                walk(item.get_ref(), item.span(), path, owner, out);
            }
        }
        DeValue::Table(table) => walk_table(table, path, owner, out),
        _ => {}
    }
}

/// The name an entry of a list of tables goes by.
fn name_of(table: &DeTable<'_>) -> Option<String> {
    ["id", "kind"].into_iter().find_map(|field| match table.get(field)?.get_ref() {
        DeValue::String(text) => Some(text.as_ref().to_owned()),
        _ => None,
    })
}
