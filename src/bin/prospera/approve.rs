//! `prospera approve`: a person's answer to a route that asks for one.

use std::process::ExitCode;

use prospera::id::{PrincipalId, SessionId};
use prospera::identity::{IdentityPolicy, PrincipalKind, Session, TokenVerifier, VerifiedClaims};
use prospera::routing::Router;
use prospera::time::{Clock as _, Timestamp};

use crate::args::ApproveArgs;
use crate::failure::Failure;
use crate::out::Out;
use crate::records::find_route;
use crate::route::OPERATOR;
use crate::route::sessions::{host_claims, read_token};
use crate::store::{AnyStore, CliClock, CliRouter, open_beside, writer};

/// A person this host vouches for, with the roles it gives to approvers.
pub(crate) fn vouched(
    policy: &IdentityPolicy,
    who: &str,
    now: Timestamp,
) -> Result<VerifiedClaims, Failure> {
    let Some(host) = policy.host() else {
        return Err(Failure::new("identity.toml has no `[host]` that vouches for anybody")
            .help("`--token FILE` names the approver's signed token"));
    };
    let session: SessionId = format!("approve/{who}/{}", now.as_millis()).parse()?;
    let acts = (who.parse()?, PrincipalKind::Human);
    let names = (session, who.parse()?);
    let mut claims = host_claims(policy, host, names, acts, now);
    claims.roles.clone_from(&host.approvers);
    Ok(VerifiedClaims::vouched_by_host(claims))
}

pub(crate) fn run(args: &ApproveArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let store: AnyStore = Box::new(writer(&args.store)?);
    let found = find_route(&store, &args.route)?;
    let (opened, keys) = open_beside(&args.store, &args.policy)?;
    let clock = CliClock::at(args.now);
    let now = clock.now();
    let policy = &opened.identity;
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
    let approver = Session::open(claims, now, policy)?;
    let operator: PrincipalId = OPERATOR.parse()?;
    let router: CliRouter = Router::new(opened.engines, opened.rules, store, clock, operator)?;
    let session = SessionId::from(found.record.stream().name().clone());
    let decided =
        router.approve(&approver, &session, found.record.digest(), args.grant, &args.note)?;
    let what = if args.grant { "granted" } else { "refused" };
    out.line(format!(
        "route {}: {what} by `{}` as `{}`, record {}",
        found.record.digest().short(),
        decided.decision.decider(),
        decided.decision.role(),
        decided.record.short()
    ))?;
    if args.grant {
        out.line(format!(
            "submit the same intent again before {}: it is good for that one, once",
            decided.decision.expires_at()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
