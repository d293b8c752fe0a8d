//! `prospera policy list` and `export`: the policy versions that a log keeps.

use std::path::Path;
use std::process::ExitCode;

use prospera::routing::replay::{Pinned, kept_files, versions};

use crate::failure::Failure;
use crate::out::Out;
use crate::store::reader;

pub(crate) fn list(store: &Path, out: &mut Out) -> Result<ExitCode, Failure> {
    let store = reader(store)?;
    for version in versions(&store, u64::MAX)? {
        let Pinned { index, pinned, .. } = &version;
        let files = match pinned.files.len() {
            0 => "no files kept".to_owned(),
            count => format!("{count} files kept"),
        };
        let (digest, by) = (pinned.pins.digest(), &pinned.by);
        out.line(format!("{digest}  record {index}, by {by}, {files}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn export(
    store: &Path,
    digest: &str,
    folder: &Path,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let store = reader(store)?;
    let versions = versions(&store, u64::MAX)?;
    let named = |version: &&Pinned| version.pinned.pins.digest().to_string().starts_with(digest);
    let mut found = versions.iter().filter(named);
    let Some(version) = found.next() else {
        return Err(Failure::new(format!("the log has no policy version `{digest}`"))
            .help("`prospera policy list STORE` names those it has"));
    };
    let pins = version.pinned.pins.digest();
    if found.any(|other| other.pinned.pins.digest() != pins) {
        return Err(Failure::new(format!("more than one policy version begins with `{digest}`")));
    }
    let files = kept_files(&store, &version.pinned).map_err(Failure::new)?;
    let failed = |place: &Path, error: &std::io::Error| {
        Failure::new(format!("`{}` cannot be written: {error}", place.display()))
    };
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        let place = folder.display();
        return Err(Failure::new(format!(
            "the folder `{place}` is not empty: nothing is overwritten"
        )));
    }
    let mut count = 0_u64;
    for (name, bytes) in files.iter() {
        let inside = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !inside || name.contains('\\') {
            return Err(Failure::new(format!("expected a file inside the folder, found `{name}`")));
        }
        let place = folder.join(name);
        let parent = place.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        std::fs::write(&place, bytes).map_err(|error| failed(&place, &error))?;
        count = count.saturating_add(1);
    }
    out.line(format!("{count} files of policy version {pins} in `{}`", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
