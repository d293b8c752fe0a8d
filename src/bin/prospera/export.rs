//! `prospera export`: the log's streams as files.

use std::path::Path;
use std::process::ExitCode;

use prospera::provenance::Sensitivity;
use prospera::ssot::class::{ClassRules, Disclosure};
use prospera::ssot::export::export_for;

use crate::args::UpTo;
use crate::failure::Failure;
use crate::out::Out;
use crate::store::reader;

pub(crate) fn run(
    store: &Path,
    folder: &Path,
    up_to: Option<UpTo>,
    out: &mut Out,
) -> Result<ExitCode, Failure> {
    let shown = up_to.map_or(Disclosure::ALL, |most| {
        Disclosure::up_to(match most {
            UpTo::Public => Sensitivity::Public,
            UpTo::Internal => Sensitivity::Internal,
            UpTo::Personal => Sensitivity::Personal,
        })
    });
    let done = export_for(&reader(store)?, folder, &ClassRules::DEFAULT, shown)
        .map_err(|error| Failure::new(error.to_string()))?;
    let place = folder.display();
    let withheld = match done.withheld {
        0 => String::new(),
        withheld => format!(", {withheld} of them without their bytes"),
    };
    out.line(format!("{place}: {} records in {} files{withheld}", done.records, done.streams))?;
    Ok(ExitCode::SUCCESS)
}
