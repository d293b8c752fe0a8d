//! Policy files: TOML text in, checked values out, errors that point at file, line and field.
//!
//! Rooms describe their file as a type that derives `Deserialize` with
//! `deny_unknown_fields`; [`read_toml`] reads it. Where a rule spans several
//! fields, the field is a [`toml::Spanned`] and [`FileError::at`] points at it.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use core::ops::Range;

use serde::de::DeserializeOwned;

use crate::limits::FILE_BYTES;

/// What is wrong with a policy file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct FileError {
    file: Box<str>,
    line: usize,
    column: usize,
    message: String,
}

impl FileError {
    /// An error at a byte range of `text`.
    pub fn at(file: &str, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let before = text.get(..span.start.min(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Self { file: file.into(), line, column, message: message.into() }
    }

    /// The file's name as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1.
    pub const fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, from 1.
    pub const fn column(&self) -> usize {
        self.column
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Reads a TOML file's text as a `T`.
///
/// # Errors
/// [`FileError`] at the place the text stops being TOML or a `T`, or at the
/// start when the text is longer than [`FILE_BYTES`].
pub fn read_toml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, FileError> {
    if text.len() > FILE_BYTES {
        let message = alloc::format!("expected at most {FILE_BYTES} bytes, found {}", text.len());
        return Err(FileError::at(file, text, 0..0, message));
    }
    toml::from_str(text).map_err(|error| {
        let message = error.message().lines().next().unwrap_or("not TOML").to_owned();
        let field = field_at(text, error.span());
        let message = match field {
            Some(field) => alloc::format!("{message} (in `{field}`)"),
            None => message,
        };
        FileError::at(file, text, error.span().unwrap_or(0..0), message)
    })
}

/// The key that stands before `span` on its line, if one does.
fn field_at(text: &str, span: Option<Range<usize>>) -> Option<&str> {
    let before = text.get(..span?.start)?;
    let line = before.rsplit('\n').next()?;
    let key = line.split('=').next().filter(|_| line.contains('='))?.trim();
    (!key.is_empty() && !key.starts_with('#')).then_some(key)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "read by serde")]
        number: u8,
    }

    #[test]
    fn errors_point_at_line_column_and_field() {
        let error = read_toml::<Sample>("a.toml", "# x\nnumber = \"no\"\n").unwrap_err();
        assert_eq!((error.file(), error.line(), error.column()), ("a.toml", 2, 10));
        assert!(error.message().contains("`number`"), "{error}");
        let error = read_toml::<Sample>("a.toml", "number = 1\nother = 2\n").unwrap_err();
        assert_eq!((error.line(), error.column()), (2, 1));
        assert!(error.message().contains("unknown field `other`"), "{error}");
    }
}
