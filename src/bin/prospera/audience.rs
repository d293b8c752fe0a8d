//! `prospera audience`: states and how they came about.

use std::process::ExitCode;

use prospera::audience::any::AnyAudience;
use prospera::audience::lineage::{
    ConstitutionalCheck, EnvelopeBlock, LineageEvent, TransitionRefused,
};
use prospera::id::SubjectId;
use prospera::ssot::record::{Record, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::Store;
use prospera::ssot::verify::verify_stream;

use crate::args::AudienceArgs;
use crate::failure::Failure;
use crate::out::Out;
use crate::records::names_of;
use crate::store::reader;

pub(crate) fn run(args: &AudienceArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let store = reader(&args.store)?;
    let known = names_of(&store, StreamKind::Subject)?;
    let Some(subject) = &args.subject else {
        for subject in &known {
            let (audience, records) = replay(&store, subject)?;
            out.line(format!(
                "{:<10} {subject}, {} events",
                audience.state().to_string(),
                records.len()
            ))?;
        }
        if known.is_empty() {
            out.line("the log has no audience")?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    if !known.contains(subject) {
        let near = known
            .iter()
            .map(|name| (strsim::damerau_levenshtein(subject, name), name))
            .filter(|(far, name)| *far <= name.len().max(subject.len()) / 3)
            .min();
        let failure = Failure::new(format!("the log has no subject `{subject}`"));
        return Err(match near {
            Some((_, name)) => failure.help(format!("nearest: `{name}`")),
            None => failure.help("without a subject, all of them are listed"),
        });
    }
    let (audience, records) = replay(&store, subject)?;
    out.line(format!("{subject}: {}", audience.state()))?;
    let review = format!("{:?}", audience.review_open()).to_lowercase();
    if review != "none" {
        out.line(format!("  governance review: {review}"))?;
    }
    for record in &records {
        out.line(format!("  {}  {}", record.timestamp(), event(record)?))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn replay(store: &impl Store, subject: &str) -> Result<(AnyAudience, Vec<Record>), Failure> {
    let subject: SubjectId = subject.parse()?;
    let stream = StreamId::new(StreamKind::Audience, subject.name().clone());
    let records = verify_stream(store, &stream)?;
    let audience = AnyAudience::replay(subject, &records).map_err(Failure::new)?;
    Ok((audience, records))
}

fn event(record: &Record) -> Result<String, Failure> {
    Ok(match record.kind() {
        RecordKind::AudienceEvent => {
            let event: LineageEvent = record.read()?;
            event.to_string()
        }
        RecordKind::EnvelopeBlock => {
            let block: EnvelopeBlock = record.read()?;
            format!("the Safety Envelope blocked, risk {}", block.risk)
        }
        RecordKind::TransitionRefused => {
            let refused: TransitionRefused = record.read()?;
            format!("refused: {} → {}", refused.from, refused.to)
        }
        RecordKind::ConstitutionalCheck => {
            let check: ConstitutionalCheck = record.read()?;
            let found = if check.is_violation() { "a violation" } else { "no violation" };
            format!("constitutional check: {found}")
        }
        RecordKind::Snapshot => "a snapshot of its state".to_owned(),
        _ => "another record".to_owned(),
    })
}
