//! Export: the logical folders of the log as real files (D-29).
//!
//! One file per stream under the stream's own path, for example
//! `ssot/intent/routing/SESSION.jsonl`. Each line is one record, in the order of the
//! stream, as a JSON object:
//!
//! | field | value |
//! |---|---|
//! | `index`, `sequence` | places in the global log and in the stream |
//! | `timestamp` | RFC 3339, UTC |
//! | `kind`, `source` | the record's kind and the subsystem it comes from |
//! | `digest`, `previous` | 64 hex digits each |
//! | `record` | the canonical bytes in hex: BLAKE3 of them in the record domain is `digest` |
//!
//! An export for readers who may not be shown everything ([`export_for`]) has the same
//! lines. Of a record whose class is above them, `record` is left out and `withheld` names
//! the class instead: place, time, kind and links are still there, so that the chain can
//! be followed from line to line.
//!
//! A stream's name becomes a file name byte by byte: letters, digits, `-`, `_`, `@` and
//! inner dots stand for themselves, everything else is written `%XX`.
//!
//! INVARIANT (verified): a stream is written only as far as it verifies; the first
//! record that does not is an error.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::ssot::class::{ClassRules, Disclosure, StateClass};
use crate::ssot::record::{Record, StreamId};
use crate::ssot::store::Store;
use crate::ssot::verify::{VerifyError, replay};
use crate::value::{Decimal, Value};

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The folder has files already: nothing is overwritten.
    #[error("expected an empty folder or none at `{place}`, found files")]
    NotEmpty {
        /// The folder.
        place: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write `{place}`: {source}")]
    File {
        /// The file or folder.
        place: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The log does not verify, or cannot be read.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// How many files, one per stream.
    pub streams: u64,
    /// How many records.
    pub records: u64,
    /// How many of them without their bytes.
    pub withheld: u64,
}

/// Most streams listed at a time.
const PAGE: usize = 256;

/// Writes every stream of the log under `folder`, withholding nothing.
///
/// # Errors
/// [`ExportError`]; what was written until then stays.
pub fn export<S: Store + ?Sized>(store: &S, folder: &Path) -> Result<Exported, ExportError> {
    export_for(store, folder, &ClassRules::DEFAULT, Disclosure::ALL)
}

/// Writes every stream of the log under `folder`, for readers who may be shown so much.
///
/// # Errors
/// [`ExportError`]; what was written until then stays.
pub fn export_for<S: Store + ?Sized>(
    store: &S,
    folder: &Path,
    rules: &ClassRules,
    shown: Disclosure,
) -> Result<Exported, ExportError> {
    let failed = |place: &Path| {
        let place = place.to_path_buf();
        move |source| ExportError::File { place, source }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    if fs::read_dir(folder).map_err(failed(folder))?.next().is_some() {
        return Err(ExportError::NotEmpty { place: folder.to_path_buf() });
    }
    let mut done = Exported::default();
    let mut after: Option<StreamId> = None;
    loop {
        let page = store.streams(after.as_ref(), PAGE).map_err(VerifyError::from)?;
        let Some((last, _)) = page.last() else { return Ok(done) };
        after = Some(last.clone());
        for (stream, _) in &page {
            let place = folder.join(file_of(stream));
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent).map_err(failed(parent))?;
            }
            let mut out = BufWriter::new(File::create_new(&place).map_err(failed(&place))?);
            for record in replay(store, stream)? {
                let record = record?;
                let whole = shown.shows(rules, record.kind());
                writeln!(out, "{}", line(&record, whole)).map_err(failed(&place))?;
                done.records = done.records.saturating_add(1);
                done.withheld = done.withheld.saturating_add(u64::from(!whole));
            }
            out.flush().map_err(failed(&place))?;
            done.streams = done.streams.saturating_add(1);
        }
    }
}

/// The file of a stream, below the folder of an export.
pub fn file_of(stream: &StreamId) -> PathBuf {
    let mut name = String::new();
    for (at, byte) in stream.name().as_str().bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'@')
            || (byte == b'.' && at > 0);
        if plain {
            name.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(name, "%{byte:02X}");
        }
    }
    let folder = stream.kind().path().trim_start_matches('/');
    Path::new(folder).join(format!("{name}.jsonl"))
}

fn line(record: &Record, whole: bool) -> Value {
    let text = |value: String| Value::Text(value.into());
    let (field, shown) = if whole {
        let mut bytes = String::with_capacity(2 * record.bytes().len());
        for byte in record.bytes() {
            let _ = write!(bytes, "{byte:02x}");
        }
        ("record", bytes)
    } else {
        ("withheld", StateClass::of(record.kind()).name().into())
    };
    Value::Map(BTreeMap::from([
        ("index".into(), Value::Number(Decimal::from(record.index()))),
        ("sequence".into(), Value::Number(Decimal::from(record.sequence()))),
        ("timestamp".into(), text(format!("{}", record.timestamp()))),
        ("kind".into(), Value::from(record.kind().name())),
        ("source".into(), Value::from(record.source().name())),
        ("digest".into(), text(format!("{}", record.digest()))),
        ("previous".into(), text(format!("{}", record.previous()))),
        (field.into(), text(shown)),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Subsystem;
    use crate::ssot::memory::MemoryStore;
    use crate::ssot::record::{Draft, Head, RecordKind, StreamKind};
    use crate::ssot::store::Batch;
    use crate::time::Timestamp;

    fn stream(name: &str) -> StreamId {
        StreamId::new(StreamKind::Routing, name.parse().unwrap())
    }

    #[test]
    fn d_29_the_logical_folder_becomes_real_files() {
        let store = MemoryStore::new();
        for name in ["s-1", "../a b"] {
            let draft =
                Draft::new(stream(name), RecordKind::Outcome, Subsystem::Execution, Vec::from([7]));
            let batch = Batch::new(Timestamp::from_millis(5)).expect(stream(name), Head::EMPTY);
            store.append(&batch.append(draft.clone()).append(draft)).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        assert_eq!(export(&store, &out).unwrap(), Exported { streams: 2, records: 4, withheld: 0 });
        let path = out.join("ssot/intent/routing/s-1.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        let first = text.lines().next().unwrap();
        let record = store.read_stream(&stream("s-1"), 0, 1).unwrap();
        let mut hex = String::new();
        for byte in &*record[0].bytes {
            write!(hex, "{byte:02x}").unwrap();
        }
        assert!(first.contains(&format!(r#""record":"{hex}""#)), "{first}");
        assert!(first.contains(r#""kind":"outcome""#) && first.contains(r#""sequence":0"#));
        assert!(out.join("ssot/intent/routing/%2E.%2Fa%20b.jsonl").is_file(), "no way up");
        let again = export(&store, &out).unwrap_err();
        assert!(matches!(again, ExportError::NotEmpty { .. }));

        let out = folder.path().join("for-auditors");
        let shown = Disclosure::up_to(crate::provenance::Sensitivity::Internal);
        let done = export_for(&store, &out, &ClassRules::DEFAULT, shown).unwrap();
        assert_eq!(done.withheld, 4);
        let text = fs::read_to_string(out.join("ssot/intent/routing/s-1.jsonl")).unwrap();
        assert!(!text.contains(&hex) && !text.contains("record\""), "{text}");
        assert!(text.contains(r#""withheld":"execution""#), "{text}");
        let last = store.read_stream(&stream("s-1"), 1, 1).unwrap();
        assert!(text.contains(&last[0].digest.to_string()), "the chain can be followed");
    }
}
