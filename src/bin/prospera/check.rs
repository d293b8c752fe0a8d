//! `prospera table check` and `prospera policy check`.

use std::path::Path;
use std::process::ExitCode;

use prospera::policy::PolicyFolder;
use prospera::routing::RoutingTable;

use crate::failure::Failure;
use crate::out::Out;

pub(crate) fn table(file: &Path, out: &mut Out) -> Result<ExitCode, Failure> {
    let place = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("expected a Routing Table at `{place}`: {error}")))?;
    let table = RoutingTable::from_toml(&place, &text)?;
    out.line(format!(
        "{place}: version {}, {} rows, no two match the same intent, digest {}",
        table.version(),
        table.rows().len(),
        table.digest()
    ))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn policy(folder: &Path, out: &mut Out) -> Result<ExitCode, Failure> {
    let loaded = PolicyFolder::load(folder)?;
    out.line(format!(
        "{}: sound, {} kinds, {} rows, {} rules, {} modules",
        folder.display(),
        loaded.catalogue().kinds().count(),
        loaded.table().rows().len(),
        loaded.governance().rules().len(),
        loaded.modules().contracts().count()
    ))?;
    let pins = loaded.pins();
    for (name, digest) in pins.parts() {
        out.line(format!("  {:<11} {digest}", name.as_str()))?;
    }
    out.line(format!("  {:<11} {}", "all", pins.digest()))?;
    for notice in loaded.notices() {
        out.line(format!("notice: {notice}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
