//! The claims of a token, as its issuer wrote them.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;

use crate::id::{Name, PrincipalId, SessionId, SubjectId};
use crate::identity::claims::{Claims, ClaimsOrigin, DelegationLink};
use crate::identity::signal::{SignalKind, Signals};
use crate::identity::{IdentityError, IdentityPolicy, PrincipalKind, Scopes};
use crate::risk::Risk;
use crate::time::Timestamp;

/// The claims prospera reads. A claim that occurs twice is an error.
#[derive(Deserialize)]
pub(super) struct Payload {
    iss: Option<String>,
    aud: Option<Audiences>,
    sub: Option<String>,
    exp: Option<u64>,
    nbf: Option<u64>,
    iat: Option<u64>,
    jti: Option<String>,
    session: Option<String>,
    sid: Option<String>,
    subject: Option<String>,
    principal_kind: Option<PrincipalKind>,
    #[serde(default)]
    roles: Vec<String>,
    scope: Option<String>,
    act: Option<Box<Actor>>,
    #[serde(default)]
    consent: bool,
    #[serde(default)]
    amr: Vec<String>,
    acr: Option<String>,
    azp: Option<String>,
    locale: Option<String>,
    cnf: Option<Confirmation>,
}

/// The key that the token is bound to (RFC 7800), by its thumbprint (RFC 9449 §6.1).
#[derive(Deserialize)]
struct Confirmation {
    jkt: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Actor {
    sub: Option<String>,
    scope: Option<String>,
    act: Option<Box<Actor>>,
}

/// How sure it is who acts, from the authentication methods (`amr`, RFC 8176) and
/// the authentication context (`acr`, `OpenID` EAP) that the issuer names. The
/// strongest line that applies counts:
///
/// | says | strength |
/// |---|---|
/// | `acr` is `phrh`, or `amr` has `hwk` or `sc` (a key in hardware, a smart card) | 0.95 |
/// | `acr` is `phr`, or `amr` has `mfa` | 0.9 |
/// | `amr` has two or more of something known (`pwd`, `pin`, `kba`), held (`otp`, `swk`, `sms`, `tel`) and been (`face`, `fpt`, `iris`, `retina`, `vbm`) | 0.9 |
/// | `amr` has `otp` or `swk` | 0.8 |
/// | `amr` has another of these | 0.6 |
/// | nothing known | 0.5 |
pub fn strength(amr: &[impl AsRef<str>], acr: Option<&str>) -> Risk {
    let has = |names: &[&str]| amr.iter().any(|method| names.contains(&method.as_ref()));
    let known = has(&["pwd", "pin", "kba"]);
    let held = has(&["otp", "swk", "sms", "tel"]);
    let been = has(&["face", "fpt", "iris", "retina", "vbm"]);
    let factors = u8::from(known) + u8::from(held) + u8::from(been);
    Risk::saturating(if acr == Some("phrh") || has(&["hwk", "sc"]) {
        950_000
    } else if acr == Some("phr") || has(&["mfa"]) || factors >= 2 {
        900_000
    } else if has(&["otp", "swk"]) {
        800_000
    } else if factors == 1 {
        600_000
    } else {
        500_000
    })
}

fn missing(claim: &'static str, expected: &'static str) -> IdentityError {
    IdentityError::Claim { claim, expected, found: "nothing".into() }
}

fn name(claim: &'static str, text: Option<&str>) -> Result<Name, IdentityError> {
    let text = text.ok_or_else(|| missing(claim, "a name"))?;
    Name::new(text).map_err(|error| IdentityError::Name { claim, error })
}

fn time(claim: &'static str, secs: Option<u64>) -> Result<Timestamp, IdentityError> {
    secs.map(Timestamp::from_secs).ok_or_else(|| missing(claim, "whole seconds since 1970"))
}

fn scopes(claim: &'static str, text: &str) -> Result<Scopes, IdentityError> {
    text.split(' ').filter(|part| !part.is_empty()).map(|part| name(claim, Some(part))).collect()
}

impl Payload {
    /// Checks issuer and audience and makes the rest names and times.
    pub(super) fn into_claims(
        self,
        policy: &IdentityPolicy,
        links: usize,
    ) -> Result<Claims, IdentityError> {
        let issuer = name("iss", self.iss.as_deref())?;
        if issuer != *policy.issuer() {
            return Err(IdentityError::Issuer { expected: policy.issuer().clone(), found: issuer });
        }
        check_audience(self.aud, policy)?;
        let sub = PrincipalId::from(name("sub", self.sub.as_deref())?);
        let roles: BTreeSet<Name> =
            self.roles.iter().map(|role| name("roles", Some(role))).collect::<Result<_, _>>()?;
        let held = scopes("scope", self.scope.as_deref().unwrap_or_default())?;
        let subject = match &self.subject {
            Some(subject) => SubjectId::from(name("subject", Some(subject))?),
            None => SubjectId::from(sub.name().clone()),
        };
        let base = policy.scopes(&roles, &held);
        let (principal, delegation) = chain(sub, base, self.act, links)?;
        let issued_at = time("iat", self.iat)?;
        let signals = signals(&self.amr, self.azp, self.locale, self.cnf);
        Ok(Claims {
            origin: ClaimsOrigin::Token {
                issuer,
                token: self.jti.map(|id| name("jti", Some(&id))).transpose()?,
            },
            principal,
            kind: self
                .principal_kind
                .ok_or_else(|| missing("principal_kind", "`human`, `service` or `agent`"))?,
            subject,
            session: SessionId::from(name("session", self.session.or(self.sid).as_deref())?),
            roles,
            scopes: held,
            delegation,
            consent: self.consent,
            strength: strength(&self.amr, self.acr.as_deref()),
            issued_at,
            valid_from: self.nbf.map_or(issued_at, Timestamp::from_secs),
            expires_at: time("exp", self.exp)?,
            signals,
        })
    }
}

/// What a token says of where its session is opened from. They give nothing, so what is no
/// name counts as not said, instead of making the token worthless.
fn signals(
    amr: &[String],
    azp: Option<String>,
    locale: Option<String>,
    cnf: Option<Confirmation>,
) -> Signals {
    let mut methods: Vec<&str> = amr.iter().map(String::as_str).collect();
    methods.sort_unstable();
    methods.dedup();
    let methods = (!methods.is_empty()).then(|| methods.join("+"));
    let device = cnf.and_then(|cnf| cnf.jkt);
    let said = [
        (SignalKind::Device, device),
        (SignalKind::Channel, azp),
        (SignalKind::Locale, locale),
        (SignalKind::Method, methods),
    ];
    let named = |(kind, value): (_, Option<String>)| Some((kind, Name::new(&value?).ok()?));
    said.into_iter().filter_map(named).collect()
}

fn check_audience(found: Option<Audiences>, policy: &IdentityPolicy) -> Result<(), IdentityError> {
    let audiences = match found {
        None => return Err(missing("aud", "an audience")),
        Some(Audiences::One(one)) => alloc::vec![one],
        Some(Audiences::Many(many)) => many,
    };
    if audiences.iter().any(|audience| audience == policy.audience().as_str()) {
        return Ok(());
    }
    let list: Vec<String> =
        audiences.iter().take(8).map(|audience| format!("`{}`", super::shown(audience))).collect();
    Err(IdentityError::Audience {
        expected: policy.audience().clone(),
        found: if list.is_empty() { "none".into() } else { list.join(", ").into() },
    })
}

/// Who acts, and the chain before it: `sub` first, then the actors from the
/// innermost to the one before the outermost.
fn chain(
    sub: PrincipalId,
    base: Scopes,
    act: Option<Box<Actor>>,
    limit: usize,
) -> Result<(PrincipalId, Vec<DelegationLink>), IdentityError> {
    let mut actors = Vec::new();
    let mut next = act;
    while let Some(actor) = next {
        let actor = *actor;
        actors.push((
            PrincipalId::from(name("act.sub", actor.sub.as_deref())?),
            actor.scope.map(|text| scopes("act.scope", &text)).transpose()?,
        ));
        next = actor.act;
    }
    if actors.len() > limit {
        return Err(IdentityError::DelegationLength { limit, found: actors.len() });
    }
    let (mut holder, mut held) = (sub, base);
    let mut links = Vec::with_capacity(actors.len());
    for (actor, granted) in actors.into_iter().rev() {
        held = granted.unwrap_or(held);
        links.push(DelegationLink { principal: holder, granted: held.clone() });
        holder = actor;
    }
    Ok((holder, links))
}
