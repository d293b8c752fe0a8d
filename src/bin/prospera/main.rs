//! `prospera`: the command line, a thin face over the library.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;

mod approve;
mod args;
mod audience;
mod backup;
mod bundle;
mod check;
mod compact;
mod export;
mod failure;
mod forget;
mod identity;
mod init;
mod kept;
mod log;
mod matrix;
mod out;
mod records;
mod replay;
mod route;
mod segment;
mod settle;
mod show;
mod store;
mod verify;
mod whatif;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    let mut out = out::Out::stdout();
    let result = arguments.run(&mut out).and_then(|code| out.finish().map(|()| code));
    match result {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
