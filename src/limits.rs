//! Every bound on what comes from outside, in one place.
//!
//! [`Limits`] may lower each bound, never raise it above the constant.

/// Longest name (subject, session, kind, rule, module …) in bytes.
pub const NAME_BYTES: usize = 200;
/// Largest submission in bytes.
pub const SUBMISSION_BYTES: usize = 1 << 20;
/// Deepest nesting of a value.
pub const VALUE_DEPTH: usize = 32;
/// Most items (list items and map entries) in one value, all levels together.
pub const VALUE_ITEMS: usize = 65_536;
/// Longest text in a value, in bytes.
pub const TEXT_BYTES: usize = 1 << 18;
/// Largest policy file in bytes.
pub const FILE_BYTES: usize = 64 << 20;
/// Largest body of one record in bytes.
pub const RECORD_BYTES: usize = 1 << 20;
/// Most records in one batch.
pub const BATCH_RECORDS: usize = 4096;
/// Most links in a delegation chain.
pub const DELEGATION_LINKS: usize = 8;
/// Largest signed token in bytes.
pub const TOKEN_BYTES: usize = 16 << 10;
/// Largest output of a module in bytes.
pub const OUTPUT_BYTES: usize = 1 << 20;

/// Bounds on a submission, lowered or left at the constants above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    submission_bytes: usize,
    value_depth: usize,
    value_items: usize,
    text_bytes: usize,
}

impl Limits {
    /// The constants of this module.
    pub const DEFAULT: Self = Self {
        submission_bytes: SUBMISSION_BYTES,
        value_depth: VALUE_DEPTH,
        value_items: VALUE_ITEMS,
        text_bytes: TEXT_BYTES,
    };

    /// Lowers the bound on a submission's bytes; a higher number changes nothing.
    #[must_use]
    pub const fn with_submission_bytes(mut self, bytes: usize) -> Self {
        self.submission_bytes = min(self.submission_bytes, bytes);
        self
    }

    /// Lowers the bound on nesting; a higher number changes nothing.
    #[must_use]
    pub const fn with_value_depth(mut self, depth: usize) -> Self {
        self.value_depth = min(self.value_depth, depth);
        self
    }

    /// Lowers the bound on items; a higher number changes nothing.
    #[must_use]
    pub const fn with_value_items(mut self, items: usize) -> Self {
        self.value_items = min(self.value_items, items);
        self
    }

    /// Lowers the bound on a text's bytes; a higher number changes nothing.
    #[must_use]
    pub const fn with_text_bytes(mut self, bytes: usize) -> Self {
        self.text_bytes = min(self.text_bytes, bytes);
        self
    }

    /// Largest submission in bytes.
    pub const fn submission_bytes(&self) -> usize {
        self.submission_bytes
    }

    /// Deepest nesting of a value.
    pub const fn value_depth(&self) -> usize {
        self.value_depth
    }

    /// Most items in one value.
    pub const fn value_items(&self) -> usize {
        self.value_items
    }

    /// Longest text in bytes.
    pub const fn text_bytes(&self) -> usize {
        self.text_bytes
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}
