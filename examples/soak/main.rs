//! A soak: a million routes, of which a random tenth is hostile.
//!
//! ```text
//! tools/soak                          a million routes on a store in target/soak
//! tools/soak --routes 3000            fewer
//! tools/soak --seed 7 --folder DIR    other traffic, another folder
//! tools/soak --memory                 logs in memory, each verified and dropped
//! ```
//!
//! It ends with an error when anything that was denied was executed, anything was executed
//! without evidence or twice, a log does not verify, or memory does not stay flat.

use std::path::PathBuf;
use std::process::ExitCode;

mod hostile;
mod run;
mod worker;
mod world;

fn main() -> ExitCode {
    match arguments().and_then(|plan| run::soak(&plan, |line| println!("{line}"))) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<run::Plan, run::Failure> {
    let mut plan = run::Plan {
        routes: 1_000_000,
        seed: 1,
        threads: 64,
        place: run::Place::Folder(PathBuf::from("target/soak")),
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("expected a value after `{arg}`"));
        match &*arg {
            "--routes" => plan.routes = value()?.parse()?,
            "--seed" => plan.seed = value()?.parse()?,
            "--threads" => plan.threads = value()?.parse()?,
            "--folder" => plan.place = run::Place::Folder(value()?.into()),
            "--memory" => plan.place = run::Place::Memory { chapter: 50_000 },
            _ => {
                return Err(format!(
                    "expected --routes, --seed, --threads, --folder or --memory, found `{arg}`"
                )
                .into());
            }
        }
    }
    Ok(plan)
}
