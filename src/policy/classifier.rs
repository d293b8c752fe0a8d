//! `classifier.toml` and `matrix.toml`: errors with file, line and column.
//!
//! ```toml
//! version = "1.2"
//!
//! [a]                            # every criterion must be met
//! min-identity-strength = 900000
//! min-consent = "explicit"       # withdrawn, none, implied or explicit
//! min-good-outcomes = 20
//! max-bad-share = 20000
//! min-age-days = 30
//! max-risk = 200000
//!
//! [b]
//! min-identity-strength = 500000
//! min-consent = "implied"
//! min-good-outcomes = 0
//! max-bad-share = 100000
//! min-age-days = 0
//! max-risk = 600000
//! ```

use alloc::string::ToString as _;

use crate::audience::classifier::{Classifier, Thresholds};
use crate::audience::matrix::{Matrix, MatrixError};
use crate::files::{FileError, read_toml};

pub(super) fn classifier(file: &str, text: &str) -> Result<Classifier, FileError> {
    let thresholds: Thresholds = read_toml(file, text)?;
    Classifier::new(&thresholds).map_err(|error| FileError::at(file, text, 0..0, error.to_string()))
}

pub(super) fn matrix(file: &str, text: &str) -> Result<Matrix, FileError> {
    Matrix::from_toml(text).map_err(|error| {
        let (start, message) = match &error {
            MatrixError::Syntax { line, column, what } => {
                (offset(text, *line, *column), what.lines().next().unwrap_or_default().to_string())
            }
            MatrixError::Version { line, column, found } => {
                let message = alloc::format!("expected version `1.2`, found `{found}`");
                (offset(text, *line, *column), message)
            }
            other => (0, other.to_string()),
        };
        FileError::at(file, text, start..start, message)
    })
}

/// The byte offset of a line and column, both from 1.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let rest = text.get(before..).unwrap_or_default();
    let within = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
    before.saturating_add(within)
}
