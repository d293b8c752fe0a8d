//! Every bound on what comes from outside, in one place.
//!
//! Whatever is read, received or remembered has a bound, so that no input decides how much
//! memory, time or log it takes. What is beyond a bound is refused by name, never cut
//! silently, except where the table says so.
//!
//! | constant | unit | at the bound | why this number |
//! |---|---|---|---|
//! | [`SUBMISSION_BYTES`] * | bytes of JSON | malformed, `intent.limit` | a request is some kilobytes; a megabyte leaves room for a document |
//! | [`VALUE_DEPTH`] * | levels | malformed, `intent.limit`; a value built in code: refused | readers are recursive: 32 fits any stack, and requests have 3 to 6 |
//! | [`VALUE_ITEMS`] * | list items and map entries, all levels | malformed, `intent.limit` | what fills a submission with items of 16 bytes |
//! | [`TEXT_BYTES`] * | bytes | malformed, `intent.limit` | a long mail; four fill a submission |
//! | [`INTENT_ITEMS`] * | arguments; facts read | malformed, `intent.limit` | far beyond any tool's parameters |
//! | [`INTENT_BYTES`] | canonical bytes | malformed, `intent.limit` | half a record: evidence and outcome repeat parts of the intent and must fit into one |
//! | [`COMPARED_BYTES`] | bytes of the user's text gone through for one request's values | further values count as the agent's | a tenth of a second; a request of a kilobyte needs a millionth of it |
//! | [`DETAIL_BYTES`] | bytes of one reason | cut, with `…` | a reason is a sentence or two; 200 names long at most |
//! | [`REASONS`] | reasons of one layer | the rest is left out and counted | with [`DETAIL_BYTES`], half a record for a whole trace |
//! | [`NAME_BYTES`] | bytes | no name | part of the record format: what one reader takes, all must |
//! | [`TOKEN_BYTES`] * | bytes of a JWT or PASETO | refused unread | servers take headers of 8 to 16 KiB |
//! | [`DELEGATION_LINKS`] * | links | refused | each link narrows; nobody can follow more |
//! | [`LEEWAY_MILLIS`] | ms between clocks | as the bound, or refused in a file | RFC 7519 §4.1.4: no more than a few minutes |
//! | [`FILE_BYTES`] * | bytes of one policy file | refused unread | a table of 100,000 rows has 20 MB |
//! | [`SETTING_SECONDS`] | seconds in `router.toml` | refused | a day: no token or decision should outlive it |
//! | [`TABLE_PATTERNS`] | different patterns per kind | table refused | resolving looks once per pattern |
//! | [`TEMPLATE_BRANCHES`] | branches of one template | table refused | the proof compares every pair |
//! | [`RECORD_BYTES`] | bytes of a body or payload | batch refused | the largest submission, once |
//! | [`BATCH_RECORDS`] | records, expectations, payloads | batch refused | a route needs 5; a transaction stays short |
//! | [`OUTPUT_BYTES`] * | bytes of a module's output | outcome unknown, output dropped | what a payload may be |
//! | [`STDERR_BYTES`] | bytes of a program's standard error | the rest is dropped | its first line is shown |
//! | [`PROCESS_MILLIS`] | ms a program may run | refused in its settings | a day: what runs longer is no module |
//! | [`FACT_KEYS`] | keys of one subject | fact refused | some 10 MB at 160 bytes each |
//! | [`FACT_CONTEXTS`] | facts under one key | fact refused | each read looks at all of them |
//! | [`PROFILE_KINDS`] | kinds remembered | the rarest makes room | kinds beyond are noise to the model |
//! | [`PROFILE_PAIRS`] | pairs of kinds remembered | the rarest makes room | 16 successors of each kind |
//! | [`PROFILE_RECENT`] | last kinds in order | the oldest makes room | an afternoon's work |
//! | [`FORGET_AT`] | counts until all are halved | refused in a file | sums of counts stay within 32 bits |
//! | [`SESSION_OUTCOMES`] | outcomes remembered | the oldest makes room | what an agent still refers to |
//! | [`SESSION_SOURCES`] | sources in a session's label | named together as one | each route compares them |
//! | [`PROGRESS_ENTRIES`] | outcomes in a session's progress | the oldest makes room | beyond any template |
//! | [`SEGMENT_RECORDS`] | records of one packed segment | packed into several; refused when read | its index is held in memory |
//! | [`SEGMENT_BLOCK_RECORDS`] | records of one block | as the bound | reading one record unpacks its block |
//! | [`SEGMENT_FRAME_BYTES`] | bytes of a frame, unpacked | refused | a block has a megabyte, and its last route the largest intent, objective and output |
//! | [`DICTIONARY_BYTES`] | bytes of a dictionary | refused | zstd's own default is a tenth |
//! | [`SEGMENT_BLOCK_BYTES`] | bytes of a block's records and payloads | the block closes | as [`SEGMENT_BLOCK_RECORDS`] |
//! | [`SNAPSHOT_BYTES`] | bytes of a snapshot's state | none is written, the one before counts | half a record; usually a hundredth of it |
//! | [`PROFILE_COUNTED`] | sum of counts in a profile that is read | refused | what stays within 32 bits, counted on |
//! | [`MATRIX_STATE_BYTES`] | bytes of a saved state of the integrity matrix | refused unread | some 250 bytes for each of four million streams |
//! | [`MATRIX_OPEN`] | open questions, and unused decisions, of one subject | the oldest is let go; what rests on it is not checked | months of them; some 100 KB |
//! | [`HOLDER_BYTES`] | bytes of the note beside a store | the rest is not read | four short lines, written by whoever holds the store |
//! | [`NOTE_BYTES`] | bytes of a signed note | refused unread | 64 post-quantum signatures of 5 kB |
//! | [`WITNESS_REQUEST_BYTES`] | bytes of what a witness is asked | refused unread | a note, and a proof of 63 hashes |
//! | [`SEALED_BYTES`] | bytes of a record in a published log | the file is torn there | a body, a name and some numbers |
//! | [`NOTE_SIGNATURES`] | signatures on a note | refused | four times what C2SP asks readers to take |
//! | [`KEY_BYTES`] | bytes of a key's text | refused | an ML-DSA-44 key has 1.8 kB |
//! | [`ORIGIN_BYTES`] | bytes of a log's origin | refused | the ML-DSA cosignature has one byte for its length |
//! | [`POLICY_BYTES`] | bytes of a witness policy file | refused unread | all entries with ML-DSA keys |
//! | [`POLICY_ENTRIES`] | logs; witnesses; groups of a witness policy | refused | eight times what C2SP asks readers to take |
//! | [`FIELD_DEPTH`] | levels of a payload's fields | refused | [`VALUE_DEPTH`], and what stands around an argument's value |
//! | [`BUNDLE_BYTES`] | bytes of an evidence bundle, in either form | refused unread | a few records and payloads of [`RECORD_BYTES`] each, in hex |
//! | [`CONFLICT_RECORDS`] | records of one stream that came before a commit | further ones are not looked at | a commit waits milliseconds; a batch has some 5 |
//! | [`LINKAGE_SESSIONS`] | earlier sessions a new one is compared with | model refused | some 10 µs each; a year of weeks fits |
//! | [`LINKAGE_TERMS`] | values of a field whose share a model names | model refused | beyond these a value is as rare as any |
//! | [`LINKAGE_PAIRS`] | pairs of sessions a model is estimated from | further ones are not counted | sums stay within 128 bits |
//! | [`SNAPSHOT_RECORDS`] | records of a stream | a snapshot of its state is due | reading so many takes a millisecond, and a snapshot is a hundredth of them |
//! | [`SHOWN_CHARS`] | characters of a value shown to an approver | cut, and says how much | a screen |
//!
//! [`Limits`] lowers those with a *, for one program or, in `router.toml`, for one policy
//! folder. It never raises one: what was recorded under a lower bound is read under
//! the constants.
//!
//! ```
//! use prospera::limits::{Limits, SUBMISSION_BYTES};
//! let limits = Limits::DEFAULT.with_submission_bytes(4096).with_value_depth(8);
//! assert_eq!((limits.submission_bytes(), limits.value_depth()), (4096, 8));
//! assert_eq!(Limits::DEFAULT.with_submission_bytes(usize::MAX).submission_bytes(), SUBMISSION_BYTES);
//! ```
//!
//! INVARIANT (downwards): no [`Limits`] holds a number above its constant.

/// Longest name (subject, session, kind, rule, module …) in bytes.
pub const NAME_BYTES: usize = 200;
/// Longest note beside a store that says who holds it, in bytes.
pub const HOLDER_BYTES: usize = 1024;
/// Largest submission in bytes.
pub const SUBMISSION_BYTES: usize = 1 << 20;
/// Deepest nesting of a value.
pub const VALUE_DEPTH: usize = 32;
/// Deepest nesting of a payload's fields.
pub const FIELD_DEPTH: usize = VALUE_DEPTH + 4;
/// Most items (list items and map entries) in one value, all levels together.
pub const VALUE_ITEMS: usize = 65_536;
/// Longest text in a value, in bytes.
pub const TEXT_BYTES: usize = 1 << 18;
/// Most arguments of one intent, and most facts it relies on.
pub const INTENT_ITEMS: usize = 4096;
/// Largest intent in canonical bytes, its objective not counted.
pub const INTENT_BYTES: usize = RECORD_BYTES / 2;
/// How many bytes of the user's text are gone through to label one request's values.
pub const COMPARED_BYTES: usize = 64 << 20;
/// Longest detail of a reason, in bytes.
pub const DETAIL_BYTES: usize = 1000;
/// Most reasons that one layer's line in a trace holds.
pub const REASONS: usize = 32;
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
/// Largest leeway between clocks, in milliseconds.
pub const LEEWAY_MILLIS: u64 = 300_000;
/// Longest time that a setting of the router may name, in seconds.
pub const SETTING_SECONDS: u64 = 86_400;
/// Largest output of a module in bytes.
pub const OUTPUT_BYTES: usize = 1 << 20;
/// How much of a program's standard error is kept, in bytes.
pub const STDERR_BYTES: u64 = 512;
/// Longest time limit of a program, in milliseconds: one day.
pub const PROCESS_MILLIS: u64 = 86_400_000;
/// Most different patterns among the rows for one kind, and among those for any kind.
pub const TABLE_PATTERNS: usize = 64;
/// Most branches of one template.
pub const TEMPLATE_BRANCHES: usize = 256;
/// Most kinds held in the profile of one audience.
pub const PROFILE_KINDS: usize = 256;
/// Most pairs of kinds held in the profile of one audience.
pub const PROFILE_PAIRS: usize = 4096;
/// How many of the last kinds a profile holds in order.
pub const PROFILE_RECENT: usize = 16;
/// Largest cap on the sum of all counts of a profile.
pub const FORGET_AT: u32 = 1 << 20;
/// Most keys of one subject's facts, withdrawn ones included.
pub const FACT_KEYS: usize = 65_536;
/// Most facts under one key, one per context.
pub const FACT_CONTEXTS: usize = 64;
/// Most records of one stream that are classified when they came before a commit.
pub const CONFLICT_RECORDS: usize = 64;
/// Most earlier sessions that a new one is compared with.
pub const LINKAGE_SESSIONS: usize = 256;
/// Most values of a field whose share a linkage model names.
pub const LINKAGE_TERMS: usize = 4096;
/// Most pairs of sessions that a linkage model is estimated from.
pub const LINKAGE_PAIRS: u64 = 100_000_000;
/// How many outcomes a session remembers one by one.
pub const SESSION_OUTCOMES: usize = 32;
/// How many sources a session's context label names.
pub const SESSION_SOURCES: usize = 256;
/// Most outcomes kept for one session's progress.
pub const PROGRESS_ENTRIES: usize = 64;
/// Most records of one packed segment.
pub const SEGMENT_RECORDS: usize = 1 << 20;
/// Most records of one block of a segment.
pub const SEGMENT_BLOCK_RECORDS: usize = 1024;
/// Largest frame of a segment, unpacked, in bytes; and its largest index.
pub const SEGMENT_FRAME_BYTES: usize = 8 << 20;
/// Largest dictionary that segments are read with, in bytes.
pub const DICTIONARY_BYTES: usize = 1 << 20;
/// From so many bytes of records and payloads on a block of a segment closes.
pub const SEGMENT_BLOCK_BYTES: usize = 1 << 20;
/// Largest state that a snapshot holds, in bytes.
pub const SNAPSHOT_BYTES: usize = RECORD_BYTES / 2;
/// Largest sum of counts in a profile that is read from bytes.
pub const PROFILE_COUNTED: u32 = 1 << 28;
/// Largest saved state of the integrity matrix, in bytes.
pub const MATRIX_STATE_BYTES: usize = 1 << 30;
/// Most open questions, and most unused decisions, that the integrity matrix remembers of
/// one subject.
pub const MATRIX_OPEN: usize = 1024;
/// Largest signed note in bytes.
pub const NOTE_BYTES: usize = 1 << 19;
/// Longest request to a witness in bytes: a note and a proof.
pub const WITNESS_REQUEST_BYTES: usize = NOTE_BYTES + 4096;
/// More bytes than any record has: what stands before its body is a name and some numbers.
pub const SEALED_BYTES: usize = RECORD_BYTES + NAME_BYTES + 256;
/// Most signatures on one note.
pub const NOTE_SIGNATURES: usize = 64;
/// Longest text of a key that verifies or signs notes, in bytes.
pub const KEY_BYTES: usize = 4096;
/// Longest origin of a log, in bytes.
pub const ORIGIN_BYTES: usize = 255;
/// Largest witness policy file in bytes.
pub const POLICY_BYTES: usize = 1 << 20;
/// Most logs, witnesses and groups in a witness policy, each.
pub const POLICY_ENTRIES: usize = 256;
/// Largest evidence bundle in bytes, in either form.
pub const BUNDLE_BYTES: usize = 64 << 20;
/// After so many records of a stream a snapshot of its state is due.
pub const SNAPSHOT_RECORDS: u64 = 512;
/// Longest value shown to an approver in full, in characters.
pub const SHOWN_CHARS: usize = 2000;

macro_rules! limits {
    ($($(#[$doc:meta])* $field:ident $with:ident $constant:ident;)*) => {
        /// Bounds on input, lowered or left at the constants of this module.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Limits {
            $($field: usize,)*
        }

        impl Limits {
            /// The constants of this module.
            pub const DEFAULT: Self = Self { $($field: $constant,)* };

            $(
                $(#[$doc])*
                pub const fn $field(&self) -> usize {
                    self.$field
                }

                #[doc = concat!("Lowers [`Limits::", stringify!($field), "`]; a higher number changes nothing.")]
                #[must_use]
                pub const fn $with(mut self, most: usize) -> Self {
                    self.$field = min(self.$field, most);
                    self
                }
            )*

            /// The lower of each two bounds.
            #[must_use]
            pub const fn and(self, other: &Self) -> Self {
                Self { $($field: min(self.$field, other.$field),)* }
            }

            /// Every bound by name: what it is now, and its constant.
            pub const fn all(&self) -> [(&'static str, usize, usize); COUNT] {
                [$((stringify!($field), self.$field, $constant),)*]
            }
        }

        const COUNT: usize = [$($constant),*].len();
    };
}

limits! {
    /// Largest submission in bytes.
    submission_bytes with_submission_bytes SUBMISSION_BYTES;
    /// Deepest nesting of a value.
    value_depth with_value_depth VALUE_DEPTH;
    /// Most items in one value.
    value_items with_value_items VALUE_ITEMS;
    /// Longest text in bytes.
    text_bytes with_text_bytes TEXT_BYTES;
    /// Most arguments of one request, and most facts it relies on.
    intent_items with_intent_items INTENT_ITEMS;
    /// Largest signed token in bytes.
    token_bytes with_token_bytes TOKEN_BYTES;
    /// Most links in a delegation chain that a token brings.
    delegation_links with_delegation_links DELEGATION_LINKS;
    /// Largest output of a module in bytes.
    output_bytes with_output_bytes OUTPUT_BYTES;
    /// Largest policy file in bytes.
    file_bytes with_file_bytes FILE_BYTES;
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A whole trace, with what an intent brings along, fits into one record.
    #[test]
    fn evidence_of_the_largest_intent_fits_into_a_record() {
        let line = REASONS * (DETAIL_BYTES + NAME_BYTES + 16);
        let trace = (crate::id::LayerId::ALL.len() + 1) * line;
        assert!(INTENT_BYTES + trace + 32 * NAME_BYTES < RECORD_BYTES, "{trace}");
    }

    #[test]
    fn limits_go_down_and_never_up() {
        let low = Limits::DEFAULT
            .with_submission_bytes(1)
            .with_value_depth(2)
            .with_value_items(3)
            .with_text_bytes(4)
            .with_intent_items(5)
            .with_token_bytes(6)
            .with_delegation_links(7)
            .with_output_bytes(8)
            .with_file_bytes(9);
        let found: alloc::vec::Vec<_> = low.all().iter().map(|(_, now, _)| *now).collect();
        assert_eq!(found, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(low.all().iter().all(|(_, now, most)| now < most));
        let up = low.with_submission_bytes(usize::MAX).with_file_bytes(10);
        assert_eq!(up, low);
        assert_eq!(Limits::DEFAULT.and(&low), low);
        assert_eq!(low.and(&Limits::DEFAULT), low);
        assert_eq!(Limits::default(), Limits::DEFAULT);
    }
}
