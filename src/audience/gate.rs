//! The gate: four verdicts in, one clearance out (D-4).
//!
//! An advance needs all four components of ASM2-4.10..ASM2-4.13 to agree. What each
//! must say depends on the state to be entered:
//!
//! | entering | envelope | class | matrix | kernel |
//! |---|---|---|---|---|
//! | BASE | allow or limit | any (C leads on to RESTRICTED, D-7) | `observe`: allow or limit | no violation |
//! | VERIFIED | allow or limit | A or B | `act`: allow or limit | no violation |
//! | PRIVILEGED | allow | A or B | `privileged`: allow | constitutional clearance |
//!
//! Restrictive moves never pass here: an envelope that blocks must not be able to block
//! the downgrade it demands.
//!
//! INVARIANT (clearance): a [`Clearance`] is minted by [`Gate::clear`] alone, bound to
//! subject, edge (by type), head, snapshot and the four digests; a verb consumes it,
//! and from `expires` on none accepts it.
//!
//! Requirements: ASM2-2.2, ASM2-2.3, ASM2-10.1, ASM2-10.3..ASM2-10.5.

use core::fmt;
use core::marker::PhantomData;

use alloc::vec::Vec;

use crate::audience::classifier::{Class, ClassVerdict};
use crate::audience::evidence::{At, EvidenceError};
use crate::audience::lineage::Cleared;
use crate::audience::matrix::{Cell, MatrixDecision, MatrixVerdict};
use crate::audience::state::State;
use crate::audience::states::AudienceState;
use crate::audience::table::entry_tier;
use crate::audience::typed::{AdvanceTo, Audience};
use crate::digest::Digest;
use crate::id::SubjectId;
use crate::time::Timestamp;
use crate::verdict::{EnvelopeDecision, EnvelopeVerdict, KernelDecision, KernelVerdict};

/// The four verdicts, as far as they were given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdicts<'a> {
    /// Safety Envelope v2.0.
    pub envelope: Option<&'a EnvelopeVerdict>,
    /// Classifier v1.2.
    pub class: Option<&'a ClassVerdict>,
    /// Audience Matrix v1.2, for the tier of [`entry_tier`].
    pub matrix: Option<&'a MatrixVerdict>,
    /// Kernel Rules v1.2.
    pub kernel: Option<&'a KernelVerdict>,
}

/// A verdict that does not clear, by component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The envelope's verdict, or none was given.
    Envelope(Option<EnvelopeDecision>),
    /// The class, or none was given.
    Class(Option<Class>),
    /// The matrix's decision, or none was given.
    Matrix(Option<MatrixDecision>),
    /// The matrix was asked for another cell than the one that decides.
    MatrixCell {
        /// The cell that decides.
        expected: Cell,
        /// The cell that was asked.
        found: Cell,
    },
    /// The kernel's verdict, or none was given.
    Kernel(Option<KernelDecision>),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn found(f: &mut fmt::Formatter<'_>, component: &str, word: Option<&str>) -> fmt::Result {
            match word {
                Some(word) => write!(f, "{component} says {word}"),
                None => write!(f, "{component} was not asked"),
            }
        }
        match self {
            Self::Envelope(decision) => {
                let word = decision.map(|d| match d {
                    EnvelopeDecision::Allow => "allow",
                    EnvelopeDecision::Limit => "limit",
                    EnvelopeDecision::Hold => "hold",
                    EnvelopeDecision::Block => "block",
                });
                found(f, "Safety Envelope v2.0", word)
            }
            Self::Class(class) => found(f, "Classifier v1.2", class.map(Class::name)),
            Self::Matrix(decision) => {
                found(f, "Audience Matrix v1.2", decision.map(MatrixDecision::name))
            }
            Self::MatrixCell { expected, found } => {
                write!(f, "Audience Matrix v1.2 was asked `{found}`, and `{expected}` decides")
            }
            Self::Kernel(decision) => {
                let word = decision.map(|d| match d {
                    KernelDecision::ConstitutionalClearance => "constitutional clearance",
                    KernelDecision::Clear => "clear, without constitutional clearance",
                    KernelDecision::Violation(_) => "violation",
                });
                found(f, "Kernel Rules v1.2", word)
            }
        }
    }
}

/// The gate did not clear: every verdict that is missing, in the order of D-4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCleared {
    from: State,
    to: State,
    missing: Vec<Missing>,
}

impl NotCleared {
    /// The verdicts that do not clear.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The state to be left.
    pub const fn from(&self) -> State {
        self.from
    }

    /// The state to be entered.
    pub const fn to(&self) -> State {
        self.to
    }
}

impl fmt::Display for NotCleared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {} is not cleared: ", self.from, self.to)?;
        for (i, missing) in self.missing.iter().enumerate() {
            write!(f, "{}{missing}", if i == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl core::error::Error for NotCleared {}

/// The gate: how long its clearances hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    validity_millis: u64,
}

impl Gate {
    /// A gate whose clearances hold for this many milliseconds.
    pub const fn new(validity_millis: u64) -> Self {
        Self { validity_millis }
    }

    /// Clears `F → T` for this audience, now.
    ///
    /// # Errors
    /// [`NotCleared`] names every verdict that was not given or does not clear.
    pub fn clear<F, T>(
        &self,
        audience: &Audience<F>,
        verdicts: Verdicts<'_>,
        at: &At,
    ) -> Result<Clearance<F, T>, NotCleared>
    where
        F: AdvanceTo<T>,
        T: AudienceState,
    {
        match judge(T::STATE, verdicts) {
            Ok((class, [envelope, classifier, matrix, kernel])) => Ok(Clearance {
                subject: audience.subject().clone(),
                head: audience.head().digest(),
                cleared: Cleared {
                    class,
                    envelope,
                    classifier,
                    matrix,
                    kernel,
                    snapshot: at.snapshot,
                },
                expires: at.now.plus_millis(self.validity_millis),
                edge: PhantomData,
            }),
            Err(missing) => Err(NotCleared { from: F::STATE, to: T::STATE, missing }),
        }
    }
}

/// The class and the four digests if all verdicts clear an advance into `to`.
fn judge(to: State, verdicts: Verdicts<'_>) -> Result<(Class, [Digest; 4]), Vec<Missing>> {
    let mut missing = Vec::new();
    let privileged = to == State::Privileged;

    let envelope = verdicts.envelope.filter(|v| {
        v.decision() == EnvelopeDecision::Allow
            || !privileged && v.decision() == EnvelopeDecision::Limit
    });
    if envelope.is_none() {
        missing.push(Missing::Envelope(verdicts.envelope.map(EnvelopeVerdict::decision)));
    }

    let class = verdicts.class.filter(|v| to == State::Base || v.class() != Class::C);
    if class.is_none() {
        missing.push(Missing::Class(verdicts.class.map(ClassVerdict::class)));
    }

    let matrix = verdicts.matrix.filter(|v| {
        v.decision() == MatrixDecision::Allow
            || !privileged && v.decision() == MatrixDecision::Limit
    });
    if matrix.is_none() {
        missing.push(Missing::Matrix(verdicts.matrix.map(MatrixVerdict::decision)));
    }
    if let (Some(class), Some(asked)) = (verdicts.class, verdicts.matrix) {
        let expected = Cell { class: class.class(), tier: entry_tier(to) };
        let found = Cell { class: asked.class(), tier: asked.tier() };
        if expected != found {
            missing.push(Missing::MatrixCell { expected, found });
        }
    }

    let kernel = verdicts.kernel.filter(|v| match v.decision() {
        KernelDecision::ConstitutionalClearance => true,
        KernelDecision::Clear => !privileged,
        KernelDecision::Violation(_) => false,
    });
    if kernel.is_none() {
        missing.push(Missing::Kernel(verdicts.kernel.map(KernelVerdict::decision)));
    }

    match (envelope, class, matrix, kernel) {
        (Some(e), Some(c), Some(m), Some(k)) if missing.is_empty() => {
            Ok((c.class(), [e.digest(), c.digest(), m.digest(), k.digest()]))
        }
        _ => Err(missing),
    }
}

/// The permission to take one advance once (D-4).
#[must_use = "a clearance that is not handed to a verb opens nothing"]
pub struct Clearance<F: AudienceState, T: AudienceState> {
    subject: SubjectId,
    head: Digest,
    cleared: Cleared,
    expires: Timestamp,
    edge: PhantomData<fn() -> (F, T)>,
}

impl<F: AudienceState, T: AudienceState> Clearance<F, T> {
    /// The subject it was issued for.
    pub const fn subject(&self) -> &SubjectId {
        &self.subject
    }

    /// The class it was issued on.
    pub const fn class(&self) -> Class {
        self.cleared.class
    }

    /// The first moment at which it no longer holds.
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    pub(in crate::audience) fn spend(
        self,
        subject: &SubjectId,
        head: Digest,
        at: &At,
    ) -> Result<Cleared, EvidenceError> {
        if self.subject != *subject {
            return Err(EvidenceError::Subject { expected: subject.clone(), found: self.subject });
        }
        if self.head != head {
            return Err(EvidenceError::Head { expected: head, found: self.head });
        }
        if self.cleared.snapshot != at.snapshot {
            return Err(EvidenceError::Snapshot {
                expected: at.snapshot,
                found: self.cleared.snapshot,
            });
        }
        if at.now >= self.expires {
            return Err(EvidenceError::Expired { expired: self.expires, now: at.now });
        }
        Ok(self.cleared)
    }
}

impl<F: AudienceState, T: AudienceState> fmt::Debug for Clearance<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clearance")
            .field("from", &F::STATE)
            .field("to", &T::STATE)
            .field("subject", &self.subject)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
