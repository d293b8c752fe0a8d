//! The matrix as a TOML file.

use alloc::borrow::ToOwned as _;

use toml::Spanned;

use super::{
    CapabilityTier, Cell, Class, Deserialize, MATRIX_VERSION, Matrix, MatrixDecision, MatrixError,
    String, TIERS,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<String>,
    class: Rows,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    #[serde(rename = "A", default)]
    a: Row,
    #[serde(rename = "B", default)]
    b: Row,
    #[serde(rename = "C", default)]
    c: Row,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Row {
    observe: Option<MatrixDecision>,
    act: Option<MatrixDecision>,
    commit: Option<MatrixDecision>,
    privileged: Option<MatrixDecision>,
}

impl Row {
    fn cells(&self, class: Class) -> Result<[MatrixDecision; 4], MatrixError> {
        let cell = |tier: CapabilityTier, found: Option<MatrixDecision>| {
            found.ok_or(MatrixError::Missing { cell: Cell { class, tier } })
        };
        let [observe, act, commit, privileged] = TIERS;
        Ok([
            cell(observe, self.observe)?,
            cell(act, self.act)?,
            cell(commit, self.commit)?,
            cell(privileged, self.privileged)?,
        ])
    }
}

impl Matrix {
    /// Reads a matrix from TOML.
    ///
    /// # Errors
    /// [`MatrixError`]: bad syntax, an unknown field or decision (with line and
    /// column), another version, a missing cell, or cells that are not monotone.
    pub fn from_toml(text: &str) -> Result<Self, MatrixError> {
        if text.len() > crate::limits::FILE_BYTES {
            return Err(MatrixError::TooLong {
                expected: crate::limits::FILE_BYTES,
                found: text.len(),
            });
        }
        let file: File = toml::from_str(text).map_err(|error| {
            let (line, column) = position(text, error.span().map_or(0, |span| span.start));
            MatrixError::Syntax { line, column, what: error.message().to_owned() }
        })?;
        if file.version.get_ref() != MATRIX_VERSION {
            let (line, column) = position(text, file.version.span().start);
            let found = file.version.get_ref().clone();
            return Err(MatrixError::Version { line, column, found });
        }
        let Rows { a, b, c } = &file.class;
        Self::new([a.cells(Class::A)?, b.cells(Class::B)?, c.cells(Class::C)?])
    }
}

/// Line and column, from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    (line, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}
