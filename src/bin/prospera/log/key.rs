//! `prospera log key`: a pair of keys.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use prospera::ssot::checkpoint::Origin;
use prospera::ssot::note::{Algorithm, KeyName, Signer};

use super::create;
use crate::failure::Failure;
use crate::out::Out;

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// The file for the secret key; the public one goes to FILE.pub.
    file: PathBuf,
    /// The log's name, or the witness's: a URL without a scheme, such as
    /// `example.com/office`.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Which shard of the log: the key's name is NAME/shard/N.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "witness")]
    shard: u32,
    /// A key of a witness: its signatures say when, and its name is NAME.
    #[arg(long)]
    witness: bool,
    /// A post-quantum key (ML-DSA-44): its signatures have 2.4 kB and outlast quantum
    /// computers.
    #[arg(long)]
    ml_dsa: bool,
}

pub(super) fn run(args: &KeyArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let name = if args.witness {
        args.name.clone()
    } else {
        Origin::of_shard(&args.name, args.shard).map_err(Failure::new)?.to_string()
    };
    let algorithm = match (args.ml_dsa, args.witness) {
        (true, _) => Algorithm::MlDsa44,
        (false, true) => Algorithm::Cosignature,
        (false, false) => Algorithm::Ed25519,
    };
    let seed = crate::store::secret(None)?;
    let name: KeyName = name.parse().map_err(Failure::new)?;
    let signer = Signer::from_seed(name, algorithm, &seed).map_err(Failure::new)?;
    let public = signer.verifier().map_err(Failure::new)?.to_string();
    create(&args.file, &signer.to_text(), true)?;
    let mut beside = args.file.as_os_str().to_owned();
    beside.push(".pub");
    create(&PathBuf::from(beside), &public, false)?;
    out.line(public)?;
    Ok(ExitCode::SUCCESS)
}
