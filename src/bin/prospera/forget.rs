//! `prospera forget`: a subject's payloads are erased, by a decision on record.

use std::process::ExitCode;

use prospera::id::{PrincipalId, SubjectId};
use prospera::identity::{Session, TokenVerifier};
use prospera::policy::DefaultEngines;
use prospera::routing::Router;
use prospera::ssot::redb::RedbStore;
use prospera::time::Clock as _;

use crate::approve::vouched;
use crate::args::ForgetArgs;
use crate::failure::Failure;
use crate::out::{Out, note};
use crate::route::OPERATOR;
use crate::route::sessions::read_token;
use crate::store::{CliClock, open_beside, writer};

pub(crate) fn run(args: &ForgetArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let store = writer(&args.store)?;
    let subject: SubjectId = args.subject.parse()?;
    let (opened, keys) = open_beside(&args.store, &args.policy)?;
    let clock = CliClock::at(args.now);
    let (now, policy) = (clock.now(), &opened.identity);
    let claims = match (&args.token, &args.vouched) {
        (Some(file), _) => {
            let Some(keys) = keys else {
                let message = "the policy folder has no `jwks.json` to verify the token with";
                return Err(Failure::new(message));
            };
            let verifier = TokenVerifier::from_jwks(&keys)?.within(&opened.limits);
            verifier.verify(&read_token(file)?, now, policy)?
        }
        (None, Some(who)) => vouched(policy, who, now)?,
        (None, None) => return Err(Failure::new("expected `--token FILE` or `--as WHO`")),
    };
    let governor = Session::open(claims, now, policy)?;
    let operator: PrincipalId = OPERATOR.parse()?;
    let router: Router<DefaultEngines, RedbStore, CliClock> =
        Router::new(opened.engines, opened.rules, store, clock, operator)?;
    let done = router.forget(&governor, &subject, &args.note)?;
    let key = if done.key { " and the subject's key" } else { "" };
    out.line(format!(
        "{subject}: {} payloads{key} erased, by `{}` as `{}`, record {}",
        done.erased,
        done.decision.decider(),
        done.decision.role(),
        done.record.short()
    ))?;
    if !done.shared.is_empty() {
        out.line(format!(
            "{} payloads stay: other subjects' evidence names them, too",
            done.shared.len()
        ))?;
    }
    note(
        "note: freed pages keep their bytes until the file is compacted; backups and the modules' journals are not erased",
    );
    Ok(ExitCode::SUCCESS)
}
