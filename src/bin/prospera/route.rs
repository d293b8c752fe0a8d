//! `prospera route`: lines in, verdicts and evidence out.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prospera::audience::lineage::LineageEvent;
use prospera::commitment::Salts;
use prospera::execution::files::Journals;
use prospera::id::PrincipalId;
use prospera::identity::Session;
use prospera::policy::PolicyFolder;
use prospera::routing::Router;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::RecordKind;
use prospera::ssot::redb::publish::{Publisher, Schedule};
use prospera::ssot::store::Store;
use prospera::time::{Clock as _, Timestamp};

use crate::args::{Format, RouteArgs};
use crate::failure::Failure;
use crate::out::{Out, note, progress};
use crate::records::each_record;
use crate::store::{AnyStore, CliRouter, continued, journals_of, secret};

mod control;
mod input;
mod run;
mod scenario;
pub(crate) mod sessions;
mod summary;
mod tally;

pub(crate) use tally::name as verdict_name;

/// Who is recorded to have put the first policy into force.
pub(crate) const OPERATOR: &str = "operator";

/// When `--publish` makes a backup.
const SCHEDULE: Schedule = Schedule::every(Duration::from_secs(60));

pub(crate) fn run(args: &RouteArgs, out: &mut Out) -> Result<ExitCode, Failure> {
    let scenario = scenario::Scenario::of(args)?;
    let folder = PolicyFolder::load(&scenario.policy)?;
    let keys = folder.keys().map(str::to_owned);
    let mut lines = input::Lines::open(&scenario.input, folder.limits().submission_bytes())?;
    let (store, continued, publisher) = match &scenario.store {
        None => (Box::new(MemoryStore::new()) as AnyStore, false, None),
        Some(path) => {
            let (store, continued) = continued(path)?;
            let publish = |folder: &PathBuf| Publisher::start(Arc::clone(&store), folder, SCHEDULE);
            let publisher = args.publish.as_ref().map(publish).transpose()?;
            (Box::new(store) as AnyStore, continued, publisher)
        }
    };
    let before = store.len()?;
    if continued && before > 0 {
        scenario.clock.not_before(last_time(&*store, before)?);
        if args.format == Format::Text {
            note(format!(
                "note: continuing a log of {before} records; `--store FILE` begins another"
            ));
        }
    }
    let journals = scenario.store.as_deref().map(journals_of).transpose()?;
    let journals = journals.as_deref().map_or(Journals::Volatile, Journals::In);
    let opened = folder.open(journals, secret(scenario.seed.as_deref())?)?;
    let sessions = sessions::Sessions::new(
        opened.identity.clone(),
        keys.as_deref(),
        &opened.limits,
        &scenario.base,
    )?;
    let clock = scenario.clock.clone();
    let router: CliRouter = if let Some(who) = &args.adopt {
        let claims = crate::approve::vouched(&opened.identity, who, clock.now())?;
        let governor = Session::open(claims, clock.now(), &opened.identity)?;
        Router::adopt(opened.engines, opened.rules, store, clock, &governor)?
    } else {
        let operator: PrincipalId = OPERATOR.parse()?;
        Router::new(opened.engines, opened.rules, store, clock, operator)?
    };
    let router = if args.salted { salted(router, &scenario)? } else { router };
    let mut run = run::Run {
        router,
        sessions,
        catalogue: opened.catalogue,
        intake: opened.intake,
        settings: opened.settings,
        limits: opened.limits,
        calls_only: args.calls_only,
        input: lines.name().to_owned(),
    };
    let bar = progress(None, "routing");
    let mut tally = tally::Tally::new(args.by);
    let began = Instant::now();
    let limit = args.limit.unwrap_or(u64::MAX);
    while tally.lines() < limit {
        let Some(line) = lines.next()? else { break };
        let done = run.line(&line, &scenario.clock)?;
        if args.format == Format::Json {
            out.line(summary::json_line(&line, &done))?;
        } else if args.verbose {
            out.line(summary::text_line(&line, &done))?;
        }
        tally.take(&run.input, line.number, &done);
        bar.set_position(tally.lines());
        scenario.clock.next_line();
    }
    bar.finish_and_clear();
    let states = run
        .sessions
        .desks
        .values()
        .filter_map(|desk| Some((desk.session().subject().to_string(), desk.state()?)));
    tally.states(states);
    let took = began.elapsed();
    each_record(run.router.store(), before, |record| {
        if record.kind() == RecordKind::AudienceEvent {
            let event: LineageEvent = record.read()?;
            tally.moved(event.from(), event.to());
        }
        Ok(())
    })?;
    let records = run.router.store().len()?;
    if let Some(publisher) = publisher {
        publisher.publish()?;
    }
    // A store that is closed is one file, and has its size.
    drop(run);
    let size = |path: &PathBuf| std::fs::metadata(path).ok().map(|file| file.len());
    let log = summary::Log {
        records,
        before,
        bytes: scenario.store.as_ref().and_then(size),
        place: scenario.store.clone(),
        took,
    };
    match args.format {
        Format::Text => summary::text(&tally, &log, out)?,
        Format::Json => out.line(summary::json(&tally, &log))?,
    }
    Ok(if args.strict && !tally.all_allowed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn salted(router: CliRouter, scenario: &scenario::Scenario) -> Result<CliRouter, Failure> {
    let seed = scenario.seed.as_deref().map(|seed| format!("salts/{seed}"));
    Ok(router.salted(Salts::new(secret(seed.as_deref())?)))
}

/// The time of the last record.
fn last_time(store: &dyn Store, length: u64) -> Result<Timestamp, Failure> {
    let last = store.read(length.saturating_sub(1), 1)?;
    let Some(stored) = last.first() else { return Ok(Timestamp::default()) };
    Ok(prospera::ssot::record::Record::decode_sealed(&stored.bytes)?.timestamp())
}
