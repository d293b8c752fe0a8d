//! `prospera settle`: an effect whose outcome is unknown is asked for, never repeated.

use std::process::ExitCode;

use prospera::id::{PrincipalId, SessionId};
use prospera::routing::{OutcomeStatus, Router};
use prospera::time::Clock as _;

use crate::args::SettleArgs;
use crate::failure::Failure;
use crate::out::Out;
use crate::route::OPERATOR;
use crate::route::sessions::resume;
use crate::store::{AnyStore, CliClock, CliRouter, open_beside, writer};

pub(crate) fn run(args: &SettleArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let session: SessionId = args.session.parse()?;
    let store: AnyStore = Box::new(writer(&args.store)?);
    let (opened, _) = open_beside(&args.store, &args.policy)?;
    let clock = CliClock::at(args.now);
    let now = clock.now();
    let operator: PrincipalId = OPERATOR.parse()?;
    let router: CliRouter = Router::new(opened.engines, opened.rules, store, clock, operator)?;
    let mut desk = resume(&router, &opened.identity, &session, now)?;
    match router.settle(&mut desk)? {
        None => out.line(format!("session `{session}`: nothing is open"))?,
        Some(outcome) => {
            let what = match outcome.status {
                OutcomeStatus::Done => "it took place",
                OutcomeStatus::Failed => "it did not take place",
                OutcomeStatus::Unknown => "the module cannot tell",
            };
            out.line(format!("session `{session}`: route {}: {what}", outcome.evidence.short()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
