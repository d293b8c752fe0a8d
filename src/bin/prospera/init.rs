//! `prospera init`: a commented starter folder that routes out of the box.

use std::path::Path;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::out::Out;

/// Every file of the starter folder.
const FILES: [(&str, &str); 10] = [
    ("scenario.toml", include_str!("../../../assets/starter/scenario.toml")),
    ("intents.jsonl", include_str!("../../../assets/starter/intents.jsonl")),
    ("policy/README.md", include_str!("../../../assets/starter/policy/README.md")),
    ("policy/catalogue.toml", include_str!("../../../assets/starter/policy/catalogue.toml")),
    ("policy/table.toml", include_str!("../../../assets/starter/policy/table.toml")),
    ("policy/governance.toml", include_str!("../../../assets/starter/policy/governance.toml")),
    ("policy/identity.toml", include_str!("../../../assets/starter/policy/identity.toml")),
    ("policy/modules.toml", include_str!("../../../assets/starter/policy/modules.toml")),
    ("policy/router.toml", include_str!("../../../assets/starter/policy/router.toml")),
    ("policy/matrix.toml", prospera::audience::matrix::SHIPPED_TOML),
];

pub(crate) fn run(folder: &Path, out: &mut Out) -> Result<ExitCode, Failure> {
    let place = folder.display();
    match std::fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(Failure::new(format!(
                    "expected an empty folder or none at `{place}`, found files: nothing is overwritten"
                )));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::new(format!("`{place}` cannot be used: {error}"))),
    }
    for (name, text) in FILES {
        let path = folder.join(name);
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| {
            Failure::new(format!("`{}` cannot be written: {error}", path.display()))
        })?;
        out.line(path.display())?;
    }
    out.line("")?;
    out.line(format!("Route its intents:     prospera route {place}"))?;
    out.line(format!("Check what you change: prospera policy check {place}/policy"))?;
    Ok(ExitCode::SUCCESS)
}
