//! `prospera verify bundle`: one file and one public key, no store, no network.

use std::path::Path;
use std::process::ExitCode;

use prospera::bundle::Bundle;
use prospera::ssot::checkpoint::Policy;
use prospera::ssot::note::Verifier;

use super::read;
use crate::args::{Format, VerifyBundleArgs};
use crate::failure::Failure;
use crate::out::Out;

pub(crate) fn run(args: &VerifyBundleArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let trust = trust(args)?;
    let place = args.file.display();
    let bytes = read(&args.file)?;
    let bundle = if Bundle::is_binary(&bytes) {
        Bundle::from_bytes(&bytes).map_err(|error| error.to_string())
    } else {
        match str::from_utf8(&bytes) {
            Ok(text) => Bundle::from_json(text).map_err(|error| error.to_string()),
            Err(_) => Err("expected a bundle, in JSON or binary".to_owned()),
        }
    };
    let verified = bundle.and_then(|bundle| bundle.verify(&trust).map_err(|e| e.to_string()));
    match verified {
        Ok(verified) => {
            match args.format {
                Format::Text => super::page::print(&verified, &place.to_string(), out)?,
                Format::Json => {
                    let json = serde_json::to_string(&verified)
                        .map_err(|error| Failure::new(error.to_string()))?;
                    out.line(json)?;
                }
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            out.line(format!("{place}: NOT verified"))?;
            out.line(error)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// A log's key as a text or in a file, or a policy of witnesses.
fn trust(args: &VerifyBundleArgs) -> Result<Policy, Failure> {
    if let Some(file) = &args.policy {
        return Policy::parse(&read(file)?).map_err(|error| {
            Failure::new(format!("`{}` is no checkpoint policy: {error}", file.display()))
        });
    }
    let Some(key) = &args.key else {
        return Err(Failure::new("expected `--key VKEY` or `--policy FILE`")
            .help("a key is a text of the form NAME+ID+BASE64, or a file that holds one"));
    };
    let text = if Path::new(key).is_file() {
        String::from_utf8_lossy(&read(Path::new(key))?).trim().to_owned()
    } else {
        key.clone()
    };
    let key: Verifier = text.parse().map_err(|error| {
        Failure::new(format!("`{text}` is no verifier key: {error}"))
            .help("a key is a text of the form NAME+ID+BASE64, or a file that holds one")
    })?;
    Ok(Policy::of_log(key))
}
