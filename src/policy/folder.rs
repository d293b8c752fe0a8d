//! Reading the files of a folder by name.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use crate::policy::PolicyError;

/// Every file a policy folder may hold.
pub(super) const FILES: [&str; 13] = [
    "catalogue.toml",
    "classifier.toml",
    "envelope.toml",
    "governance.toml",
    "identity.toml",
    "intake.toml",
    "jwks.json",
    "linkage.toml",
    "matrix.toml",
    "modeling.toml",
    "modules.toml",
    "router.toml",
    "table.toml",
];

/// What it may hold beside them.
const BESIDE: [&str; 3] = ["README.md", "programs", "schemas"];

/// Files by name, through a function that gives their text.
pub(super) struct Files<'a, F> {
    folder: &'a str,
    limit: usize,
    file: F,
}

impl<'a, F: FnMut(&str) -> Result<Option<String>, String>> Files<'a, F> {
    /// Files of at most `limit` bytes each.
    pub(super) const fn new(folder: &'a str, limit: usize, file: F) -> Self {
        Self { folder, limit, file }
    }

    /// A file's name in messages.
    pub(super) fn place(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    pub(super) fn required(
        &mut self,
        name: &str,
        what: &'static str,
    ) -> Result<String, PolicyError> {
        let text = self.optional(name)?;
        text.ok_or_else(|| PolicyError::Missing { place: self.place(name), what })
    }

    pub(super) fn optional(&mut self, name: &str) -> Result<Option<String>, PolicyError> {
        let limit = self.limit;
        let read = (self.file)(name).and_then(|text| within(text, limit));
        read.map_err(|why| PolicyError::Unreadable { place: self.place(name), why })
    }

    /// A schema, by the path that stands in the catalogue: inside the folder alone.
    pub(super) fn schema(&mut self, path: &str) -> Result<String, String> {
        let inside = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !inside || path.contains('\\') {
            return Err("expected a path inside the policy folder".to_owned());
        }
        let text = within((self.file)(path)?, self.limit)?;
        text.ok_or_else(|| "no such file".to_owned())
    }
}

fn within(text: Option<String>, limit: usize) -> Result<Option<String>, String> {
    match text {
        Some(text) if text.len() > limit => Err(too_long(limit)),
        text => Ok(text),
    }
}

fn too_long(limit: usize) -> String {
    format!("expected at most {limit} bytes, found more")
}

/// The text of a file of at most `limit` bytes; `None` where there is none. What is
/// longer, or has no end, is read no further than the bound.
pub(super) fn text_of(path: &Path, limit: usize) -> Result<Option<String>, String> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut bytes = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > limit {
        return Err(too_long(limit));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            Err(format!("expected UTF-8, found another byte at offset {at}"))
        }
    }
}

/// Refuses what has no meaning in a policy folder. Names that begin with a dot are an
/// editor's or the system's.
pub(super) fn only_known_files(folder: &Path) -> Result<(), PolicyError> {
    let found = |found: String| PolicyError::Folder { place: folder.to_owned(), found };
    let entries = std::fs::read_dir(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => found("nothing".to_owned()),
        std::io::ErrorKind::NotADirectory => found("a file".to_owned()),
        _ => found(error.to_string()),
    })?;
    let mut names = alloc::collections::BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(|error| found(error.to_string()))?;
        names.insert(entry.file_name().to_string_lossy().into_owned());
    }
    let unknown = names.iter().find(|name| {
        let name = name.as_str();
        !name.starts_with('.') && !FILES.contains(&name) && !BESIDE.contains(&name)
    });
    match unknown {
        None => Ok(()),
        Some(name) => Err(PolicyError::Unknown {
            place: folder.join(name).display().to_string(),
            meant: meant(name),
        }),
    }
}

/// The known name that is nearest, within a third of its length.
fn meant(found: &str) -> Option<&'static str> {
    let distances = FILES.into_iter().chain(BESIDE);
    let near = distances.map(|name| (strsim::damerau_levenshtein(found, name), name));
    near.min().filter(|(far, name)| *far <= name.len() / 3).map(|(_, name)| name)
}
