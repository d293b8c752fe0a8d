//! Audience Matrix v1.2: class × capability tier → decision.
//!
//! The matrix is total (every cell is given), version-locked (`1.2` and nothing
//! else), digested, and monotone. With the feature `files` it is read from TOML;
//! [`SHIPPED_TOML`] is the default, and a commented start for one's own.
//!
//! ```
//! use prospera::audience::classifier::Class;
//! use prospera::audience::matrix::{Matrix, MatrixDecision};
//! use prospera::verdict::CapabilityTier;
//! let matrix = Matrix::default();
//! assert_eq!(matrix.decide(Class::C, CapabilityTier::Commit), MatrixDecision::Block);
//! ```
//!
//! INVARIANT (monotone): a worse class or a higher tier never has a looser cell.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::audience::classifier::Class;
use crate::digest::{Digest, Domain};
use crate::encode::{Encode, Writer, byte_enum};
use crate::verdict::CapabilityTier;

/// The version this module implements.
pub const MATRIX_VERSION: &str = "1.2";

/// The shipped matrix as a file.
pub const SHIPPED_TOML: &str = include_str!("../../assets/matrix.toml");

/// The decision of a cell, in ascending order of restriction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatrixDecision {
    /// As asked.
    Allow,
    /// In Protected Mode only.
    Limit,
    /// After a person agreed.
    StepUp,
    /// Never (ASM2-7.3: escalates the audience).
    Block,
}

impl MatrixDecision {
    /// The decision's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Limit => "limit",
            Self::StepUp => "step-up",
            Self::Block => "block",
        }
    }
}

impl fmt::Display for MatrixDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

byte_enum!(MatrixDecision, "a matrix decision", { Allow = 0, Limit = 1, StepUp = 2, Block = 3, });

/// The tiers in ascending order.
const TIERS: [CapabilityTier; 4] = [
    CapabilityTier::Observe,
    CapabilityTier::Act,
    CapabilityTier::Commit,
    CapabilityTier::Privileged,
];

/// The place of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// The row.
    pub class: Class,
    /// The column.
    pub tier: CapabilityTier,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tier = match self.tier {
            CapabilityTier::Observe => "observe",
            CapabilityTier::Act => "act",
            CapabilityTier::Commit => "commit",
            CapabilityTier::Privileged => "privileged",
        };
        write!(f, "class.{}.{tier}", self.class)
    }
}

/// What makes no matrix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// The file is not TOML, or has a field or value that does not belong.
    #[error("line {line}, column {column}: {what}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// The file is longer than [`crate::limits::FILE_BYTES`].
    #[error("expected a file of at most {expected} bytes, found {found}")]
    TooLong {
        /// The bound.
        expected: usize,
        /// The length.
        found: usize,
    },
    /// The matrix is of another version.
    #[error(
        "line {line}, column {column}: expected matrix version {MATRIX_VERSION}, found `{found}`"
    )]
    Version {
        /// Line, from 1; 0 when it does not come from a file.
        line: usize,
        /// Column, from 1; 0 when it does not come from a file.
        column: usize,
        /// The version found.
        found: String,
    },
    /// A cell is not given.
    #[error("expected a decision in cell `{cell}`, found none")]
    Missing {
        /// The cell.
        cell: Cell,
    },
    /// A cell is looser than one of a better class or a lower tier.
    #[error(
        "cell `{looser}` decides {looser_decision}, but `{stricter}` of a {relation} decides {stricter_decision}"
    )]
    Order {
        /// The cell that is too loose.
        looser: Cell,
        /// Its decision.
        looser_decision: MatrixDecision,
        /// The cell that it must not be looser than.
        stricter: Cell,
        /// Its decision.
        stricter_decision: MatrixDecision,
        /// `better class` or `lower tier`.
        relation: &'static str,
    },
}

/// The matrix: twelve decisions and their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    cells: [[MatrixDecision; 4]; 3],
    digest: Digest,
}

impl Matrix {
    /// The shipped cells, one row per class, one column per tier.
    pub const SHIPPED: [[MatrixDecision; 4]; 3] = {
        use MatrixDecision::{Allow, Block, Limit, StepUp};
        [[Allow, Allow, Allow, Allow], [Allow, Allow, StepUp, Block], [Limit, StepUp, Block, Block]]
    };

    /// The matrix of these cells: rows A, B, C; columns observe, act, commit, privileged.
    ///
    /// # Errors
    /// [`MatrixError::Order`] when the cells are not monotone.
    pub fn new(cells: [[MatrixDecision; 4]; 3]) -> Result<Self, MatrixError> {
        let matrix = Self::checked(cells);
        for (class, tier) in Class::ALL.into_iter().flat_map(|c| TIERS.map(|t| (c, t))) {
            let here = Cell { class, tier };
            let neighbours = [
                (class_before(class).map(|class| Cell { class, tier }), "better class"),
                (tier_before(tier).map(|tier| Cell { class, tier }), "lower tier"),
            ];
            for (neighbour, relation) in neighbours {
                let Some(stricter) = neighbour else { continue };
                let (looser_decision, stricter_decision) = (matrix.at(here), matrix.at(stricter));
                if looser_decision < stricter_decision {
                    return Err(MatrixError::Order {
                        looser: here,
                        looser_decision,
                        stricter,
                        stricter_decision,
                        relation,
                    });
                }
            }
        }
        Ok(matrix)
    }

    fn checked(cells: [[MatrixDecision; 4]; 3]) -> Self {
        let mut matrix = Self { cells, digest: Digest::ZERO };
        matrix.digest = Domain::Matrix.hash(&matrix.to_canonical());
        matrix
    }

    /// The decision of a cell.
    pub const fn decide(&self, class: Class, tier: CapabilityTier) -> MatrixDecision {
        let [a, b, c] = &self.cells;
        let [observe, act, commit, privileged] = match class {
            Class::A => a,
            Class::B => b,
            Class::C => c,
        };
        match tier {
            CapabilityTier::Observe => *observe,
            CapabilityTier::Act => *act,
            CapabilityTier::Commit => *commit,
            CapabilityTier::Privileged => *privileged,
        }
    }

    const fn at(&self, cell: Cell) -> MatrixDecision {
        self.decide(cell.class, cell.tier)
    }

    /// The digest of version and cells.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The verdict of a cell for the gate.
    pub const fn verdict(&self, class: Class, tier: CapabilityTier) -> MatrixVerdict {
        MatrixVerdict { class, tier, decision: self.decide(class, tier), digest: self.digest }
    }
}

impl Default for Matrix {
    fn default() -> Self {
        Self::checked(Self::SHIPPED)
    }
}

impl Encode for Matrix {
    fn encode(&self, out: &mut Writer) {
        out.text(MATRIX_VERSION);
        for decision in self.cells.iter().flatten() {
            out.value(decision);
        }
    }
}

const fn class_before(class: Class) -> Option<Class> {
    match class {
        Class::A => None,
        Class::B => Some(Class::A),
        Class::C => Some(Class::B),
    }
}

const fn tier_before(tier: CapabilityTier) -> Option<CapabilityTier> {
    match tier {
        CapabilityTier::Observe => None,
        CapabilityTier::Act => Some(CapabilityTier::Observe),
        CapabilityTier::Commit => Some(CapabilityTier::Act),
        CapabilityTier::Privileged => Some(CapabilityTier::Commit),
    }
}

/// The matrix's verdict for the gate (D-4); minted by [`Matrix::verdict`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatrixVerdict {
    class: Class,
    tier: CapabilityTier,
    decision: MatrixDecision,
    digest: Digest,
}

impl MatrixVerdict {
    /// The row.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The column.
    pub const fn tier(&self) -> CapabilityTier {
        self.tier
    }

    /// What the cell decides.
    pub const fn decision(&self) -> MatrixDecision {
        self.decision
    }

    /// The matrix's digest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

#[cfg(feature = "files")]
mod file;

#[cfg(test)]
mod tests;
