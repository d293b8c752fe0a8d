//! `prospera identity`: sessions of one subject compared, and the model that says how.

use std::process::ExitCode;

use prospera::id::SubjectId;
use prospera::identity::linkage::estimate::Estimator;
use prospera::identity::{IdentityScore, Linkage, SessionOpened};
use prospera::ssot::record::{RecordKind, StreamId, StreamKind};
use prospera::ssot::store::Store;
use prospera::ssot::verify::replay;

use crate::args::{EstimateArgs, ScoreArgs};
use crate::failure::Failure;
use crate::out::{Out, note, progress};
use crate::records::names_of;
use crate::store::reader;

/// The scores of a subject's sessions: as they were recorded, or under another model.
pub(crate) fn score(args: &ScoreArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let store = reader(&args.store)?;
    let subject: SubjectId = args.subject.parse()?;
    let sessions = sessions(&store, &subject)?;
    if sessions.is_empty() {
        return Err(Failure::new(format!("the log has no session of `{subject}`"))
            .help("`prospera audience STORE` lists the subjects"));
    }
    let model = match &args.model {
        None => None,
        Some(file) => {
            let place = file.display().to_string();
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::new(format!("`{place}` cannot be read: {error}")))?;
            Some(Linkage::from_toml(&place, &text)?)
        }
    };
    let mut low = 0_u64;
    for (place, session) in sessions.iter().enumerate() {
        let found = match &model {
            Some(model) => Some(model.score(session, sessions.iter().take(place))),
            None => recorded(&store, session)?,
        };
        match found {
            Some(found) => {
                low += u64::from(found.standing().is_low());
                out.line(found)?;
            }
            None => out.line(format!(
                "session `{}`: not scored; the policy had no linkage.toml",
                session.claims.session
            ))?,
        }
    }
    out.line(format!("{} sessions of `{subject}`, {low} of them low", sessions.len()))?;
    Ok(ExitCode::SUCCESS)
}

/// A model of all sessions of a log, as the text of a `linkage.toml`.
pub(crate) fn estimate(args: &EstimateArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let store = reader(&args.store)?;
    let subjects = names_of(&store, StreamKind::Subject)?;
    let bar = progress(Some(subjects.len() as u64), "comparing");
    let mut estimator = Estimator::new(args.seed);
    for subject in &subjects {
        for session in sessions(&store, &subject.parse()?)? {
            estimator.session(session);
        }
        estimator.next_subject();
        bar.inc(1);
    }
    bar.finish_and_clear();
    let estimate = estimator.finish(args.version.parse()?).map_err(Failure::new)?;
    out.line(format!(
        "# Estimated from {} pairs of sessions of one subject and {} of different ones ({} of {} subjects), seed {}.",
        estimate.pairs, estimate.chance, estimate.sample, estimate.subjects, args.seed
    ))?;
    out.bytes(estimate.linkage.to_toml().as_bytes())?;
    if !estimate.left_out.is_empty() {
        let names: Vec<_> = estimate.left_out.iter().map(|field| field.name()).collect();
        note(format!("left out, as no subject's sessions differ in it: {}", names.join(", ")));
    }
    if !estimate.pooled.is_empty() {
        let names: Vec<_> = estimate.pooled.iter().map(|field| field.name()).collect();
        note(format!("too few pairs to order the levels of: {}", names.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}

fn sessions(store: &impl Store, subject: &SubjectId) -> Result<Vec<SessionOpened>, Failure> {
    let stream = StreamId::new(StreamKind::Subject, subject.name().clone());
    let mut sessions = Vec::new();
    for record in replay(store, &stream)? {
        let record = record?;
        if record.kind() == RecordKind::SessionOpened {
            sessions.push(record.read()?);
        }
    }
    Ok(sessions)
}

fn recorded(store: &impl Store, session: &SessionOpened) -> Result<Option<IdentityScore>, Failure> {
    let stream = StreamId::new(StreamKind::Session, session.claims.session.name().clone());
    for record in replay(store, &stream)? {
        let record = record?;
        if record.kind() == RecordKind::IdentityScored {
            return Ok(Some(record.read()?));
        }
    }
    Ok(None)
}
