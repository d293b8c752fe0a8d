//! Reading the files of a folder by name.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString as _};
use std::path::Path;

use crate::policy::PolicyError;

/// Every file a policy folder may hold.
pub(super) const FILES: [&str; 12] = [
    "catalogue.toml",
    "classifier.toml",
    "envelope.toml",
    "governance.toml",
    "identity.toml",
    "intake.toml",
    "jwks.json",
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
    file: F,
}

impl<'a, F: FnMut(&str) -> Result<Option<String>, String>> Files<'a, F> {
    pub(super) const fn new(folder: &'a str, file: F) -> Self {
        Self { folder, file }
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
        let read = (self.file)(name);
        read.map_err(|why| PolicyError::Unreadable { place: self.place(name), why })
    }

    /// A schema, by the path that stands in the catalogue: inside the folder alone.
    pub(super) fn schema(&mut self, path: &str) -> Result<String, String> {
        let inside = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !inside || path.contains('\\') {
            return Err("expected a path inside the policy folder".to_owned());
        }
        (self.file)(path)?.ok_or_else(|| "no such file".to_owned())
    }
}

/// The text of a file; `None` where there is none.
pub(super) fn text_of(path: &Path) -> Result<Option<String>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
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
