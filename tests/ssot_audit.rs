//! An auditor in another process: a service writes without a pause, the auditor reads,
//! verifies and exports what the service publishes, and is told who holds the log itself.
//!
//! `PROSPERA_AUDITS` sets how often.

#![cfg(feature = "redb")]
#![expect(clippy::unwrap_used, reason = "the helpers of tests, too, may end a test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prospera::digest::Digest;
use prospera::id::Subsystem;
use prospera::ssot::export::export;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::publish::{Publisher, Schedule, newest, open_newest, request};
use prospera::ssot::redb::{Options, RedbStore};
use prospera::ssot::store::{Batch, Store as _, StoreError};
use prospera::ssot::verify::verify;
use prospera::time::Timestamp;

const SERVICE: &str = "PROSPERA_AUDIT_TEST_SERVICE";
const WRITERS: u64 = 3;

fn stream(name: &str) -> StreamId {
    StreamId::new(StreamKind::Routing, name.parse().unwrap())
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // The auditor may have gone: then nobody is left to be told.
    let _gone = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Not a test of its own: the service.
#[test]
fn service() {
    let Ok(folder) = std::env::var(SERVICE) else { return };
    let folder = Path::new(&folder);
    let options = Options::new().journal_bytes(200_000);
    let store = Arc::new(RedbStore::create_with(folder.join("log.redb"), &options).unwrap());
    let soon = Schedule::ON_REQUEST.at_most_every(Duration::from_millis(50)).keep(2);
    let _publisher = Publisher::start(Arc::clone(&store), folder.join("public"), soon).unwrap();
    say("READY");
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = &store;
            scope.spawn(move || {
                let mut heads = vec![Head::EMPTY; 7];
                for number in 0.. {
                    let of = number % heads.len();
                    let id = stream(&format!("w{writer} {of}"));
                    let body = vec![1; number % 400];
                    let draft = Draft::new(id.clone(), RecordKind::Fact, Subsystem::Memory, body);
                    let batch =
                        Batch::new(Timestamp::default()).expect(id, heads[of]).append(draft);
                    let record = store.append(&batch).unwrap().records.remove(0);
                    heads[of] = record.head();
                    say(&format!("ACK {} {}", record.index(), record.digest()));
                }
            });
        }
    });
}

/// A service, and what it says.
struct Service {
    child: Child,
    acknowledged: Arc<Mutex<Vec<(u64, String)>>>,
    count: Arc<AtomicU64>,
}

impl Service {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["service", "--exact", "--nocapture", "--test-threads=1"])
            .env(SERVICE, folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("READY") {
            line.clear();
            assert_ne!(out.read_line(&mut line).unwrap(), 0, "the service ended by itself");
        }
        let (acknowledged, count) = (Arc::new(Mutex::new(Vec::new())), Arc::default());
        let (told, counted) = (Arc::clone(&acknowledged), Arc::clone(&count));
        std::thread::spawn(move || {
            for line in out.lines() {
                let line = line.unwrap();
                let Some((_, said)) = line.split_once("ACK ") else { continue };
                let (index, digest) = said.split_once(' ').unwrap();
                let known = (index.parse().unwrap(), digest.to_owned());
                told.lock().unwrap().push(known);
                AtomicU64::fetch_add(&counted, 1, Ordering::SeqCst);
            }
        });
        Self { child, acknowledged, count }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn an_auditor_reads_verifies_and_exports_while_the_service_writes() {
    let audits = std::env::var("PROSPERA_AUDITS").map_or(4, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (path, public) = (folder.path().join("log.redb"), folder.path().join("public"));
    let service = Service::start(folder.path());
    let mut before: Vec<Digest> = Vec::new();
    for audit in 0..audits {
        std::thread::sleep(Duration::from_millis(100));
        // The log itself is held, and by whom is no secret.
        let Err(StoreError::InUse { holder, .. }) = RedbStore::open_read_only(&path) else {
            panic!("the service does not hold its log");
        };
        let process = format!("process {},", service.child.id());
        assert!(holder.as_ref().is_some_and(|holder| holder.contains(&process)), "{holder:?}");

        let known = service.acknowledged.lock().unwrap().clone();
        assert!(request(&public).unwrap().wait(Duration::from_secs(60)).unwrap());
        let (published, log) = open_newest(&public).unwrap().unwrap();
        let began = service.count();
        let report = verify(&log, |_| {}).unwrap();
        let out = folder.path().join(format!("export-{audit}"));
        let exported = export(&log, &out).unwrap();
        let went_on = service.count() - began;

        assert_eq!((report.records, exported.records), (published.records, published.records));
        assert_eq!(exported.streams, report.streams);
        let records = usize::try_from(report.records).unwrap();
        let all: Vec<_> =
            log.read(0, records).unwrap().into_iter().map(|stored| stored.digest).collect();
        assert_eq!(all.last().copied(), report.last);
        // Each audit's log goes on where the one before it ended.
        assert_eq!(before, all[..before.len()]);
        // Whatever the service had acknowledged when it was asked is there.
        for (index, digest) in &known {
            let found = all.get(usize::try_from(*index).unwrap()).map(ToString::to_string);
            assert_eq!(found.as_ref(), Some(digest), "record {index}");
        }
        assert!(!known.is_empty() && all.len() > before.len(), "the service stood still");
        assert!(went_on > 0, "nothing was written while the log was verified");
        println!("audit {audit}: {records} records, {went_on} acknowledged meanwhile");
        by_the_command_line(&published.path, &public, records);
        before = all;
    }
    // Old ones are not kept for ever.
    let kept = std::fs::read_dir(&public).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_str().unwrap().starts_with("log-")
    });
    assert!(kept.count() <= 3);
    // The service is killed: what it published last is as good as ever, and so is its log.
    drop(service);
    let last = newest(&public).unwrap().unwrap();
    let backup = RedbStore::open_read_only(&last.path).unwrap();
    assert_eq!(verify(&backup, |_| {}).unwrap().records, last.records);
    let store = Arc::new(RedbStore::open(&path).unwrap());
    assert!(verify(&store, |_| {}).unwrap().records >= last.records);
    drop(backup);
    let publisher = Publisher::start(Arc::clone(&store), &public, Schedule::ON_REQUEST).unwrap();
    assert_eq!(publisher.publish().unwrap().records, store.len().unwrap());
}

#[cfg(not(feature = "cli"))]
fn by_the_command_line(_: &Path, _: &Path, _: usize) {}

/// The same with the built program: a third process.
#[cfg(feature = "cli")]
fn by_the_command_line(published: &Path, public: &Path, records: usize) {
    let run = |arguments: &[&std::ffi::OsStr]| {
        let done = Command::new(env!("CARGO_BIN_EXE_prospera")).args(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (done.status.code(), text(done.stdout), text(done.stderr))
    };
    // The folder stands for the newest in it.
    for place in [published, public] {
        let (code, out, err) = run(&["verify".as_ref(), place.as_ref()]);
        assert_eq!(code, Some(0), "{out}{err}");
        assert!(out.contains(&format!("sound, {records} records")), "{out}");
    }
    let live = public.with_file_name("log.redb");
    let (code, _, err) = run(&["verify".as_ref(), live.as_ref()]);
    assert_eq!(code, Some(2));
    assert!(err.contains("is in use by `ssot_audit") && err.contains("process "), "{err}");
}
