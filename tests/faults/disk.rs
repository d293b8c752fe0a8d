//! Disks that are full or read-only, and a second writer (D-27).
//!
//! What needs a disk of its own runs in a process of its own with its own mounts
//! (`unshare`), which every user may have where the system lets them. Where it does not,
//! the test says that it was skipped. A limit on the size of files (`ulimit -f`) fills the
//! disk for everybody.

#![cfg(unix)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use prospera::intent::Submission;
use prospera::routing::{Outcome, OutcomeStatus, RouterError};
use prospera::ssot::export::{ExportError, export};
use prospera::ssot::ledger::LedgerError;
use prospera::ssot::record::{Record, RecordKind};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::{AppendError, StoreError};
use prospera::ssot::verify::verify;
use prospera::verdict::Verdict;

use crate::house::{House, digests};
use crate::world::{World, records, user};

const JOB: &str = "PROSPERA_FAULTS_JOB";
const PLACE: &str = "PROSPERA_FAULTS_PLACE";

/// Not a test of its own: what the processes of the tests below do.
#[test]
fn child() {
    let (Ok(job), Ok(place)) = (std::env::var(JOB), std::env::var(PLACE)) else { return };
    let place = PathBuf::from(place);
    match job.as_str() {
        "full" => fill_a_small_disk(&place),
        "limited" => drop(fill(&place)),
        "read-only" => use_a_read_only_disk(&place),
        "unwritable" => use_an_unwritable_file(&place),
        "second" => be_the_second(&place),
        other => panic!("no job {other}"),
    }
    say("DONE");
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Runs a job in a process that is started by `how`, which gets this program's name and
/// arguments after its own.
fn run(how: &[&str], job: &str, place: &Path) -> Output {
    let exe = std::env::current_exe().unwrap();
    let arguments = ["disk::child", "--exact", "--nocapture", "--test-threads=1"];
    let (first, rest) = how.split_first().unwrap_or((&"env", &[]));
    Command::new(first)
        .args(rest)
        .arg(&exe)
        .args(arguments)
        .env(JOB, job)
        .env(PLACE, place)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What a job said, once it was done.
#[track_caller]
fn lines(done: &Output) -> Vec<String> {
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    let err = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && out.contains("DONE"), "{out}\n{err}");
    out.lines().map(str::to_owned).collect()
}

/// How to start a process with mounts of its own; `None` where nobody may.
fn own_mounts() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["unshare", "-rm"], &["unshare", "-m"]];
    ways.into_iter().find(|way| {
        let script = "mount -t tmpfs -o size=64k tmpfs /mnt && : > /mnt/x";
        let tried = Command::new(way[0]).args(&way[1..]).args(["sh", "-c", script]).output();
        tried.is_ok_and(|done| done.status.success())
    })
}

fn mount(arguments: &[&str], place: &Path) {
    let done = Command::new("mount").args(arguments).arg(place).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// An intent that fills a disk soon.
fn large(world: &World, number: usize) -> Submission {
    let mut request = world.request("s-1", "note.add");
    let text = format!("{number} {}", "milk ".repeat(16_000));
    request.arguments.insert("text".into(), user(&text));
    world.build(request)
}

/// Routes until the disk is full. Says what was acknowledged, and gives how many effects
/// took place.
fn fill(place: &Path) -> usize {
    let world = World::new();
    let router = world.router(RedbStore::create(place.join("log.redb")).unwrap());
    let mut desk = router.open(world.alice("s-1")).unwrap();
    let mut done = 0;
    let error = loop {
        match router.route(&mut desk, large(&world, done)) {
            Ok(routed) => {
                assert_eq!(routed.verdict, Verdict::Allow, "{:?}", routed.evidence.trace);
                done += 1;
                say(&format!("ACK {}", routed.record));
            }
            Err(error) => break error,
        }
        assert!(done < 2000, "the disk does not fill");
    };
    say(&format!("ERROR {error}"));
    let effects = match error {
        RouterError::EvidenceNotRecorded(LedgerError::Append(
            AppendError::Failed(_) | AppendError::Unknown(_),
        )) => done,
        RouterError::OutcomeNotRecorded {
            source: LedgerError::Append(AppendError::Failed(_) | AppendError::Unknown(_)),
            ..
        } => done + 1,
        other => panic!("expected a failed append, found {other}"),
    };
    assert!(done > 2, "nothing was written before");
    assert_eq!(world.effects.count(), effects, "an effect without its evidence");
    // Still full: refused again, in words, and nothing executed.
    for number in 0..3 {
        let again = router.route(&mut desk, large(&world, 5000 + number));
        assert!(again.is_err(), "{again:?}");
    }
    assert_eq!(world.effects.count(), effects);
    effects
}

/// Once there is room again: everything acknowledged is there, evidence stands for every
/// effect, an open route is settled, and routes go on.
fn recovers(path: &Path, effects: Option<usize>, acknowledged: &BTreeSet<String>) {
    let store = RedbStore::open(path).unwrap();
    verify(&store, |_| {}).unwrap();
    let found: BTreeSet<String> = digests(&store).iter().map(ToString::to_string).collect();
    assert!(acknowledged.is_subset(&found), "an acknowledged record is lost");
    let outcomes = |records: &[Record]| {
        let of = |record: &&Record| record.kind() == RecordKind::Outcome;
        let done = |outcome: &Outcome| outcome.status == OutcomeStatus::Done;
        let read = |record: &Record| record.read::<Outcome>().unwrap();
        records.iter().filter(of).map(read).filter(done).count()
    };
    let kept = outcomes(&records(&store));
    assert!(kept >= acknowledged.len());
    if let Some(effects) = effects {
        assert!(kept == effects || kept + 1 == effects, "{kept} outcomes of {effects} effects");
    }
    let world = World::new();
    let router = world.router(store);
    let mut desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
    let _settled = router.settle(&mut desk).unwrap();
    assert_eq!(world.effects.count(), 0, "settling executes nothing");
    let routed = router.route(&mut desk, large(&world, 9000)).unwrap();
    assert_eq!((routed.verdict, world.effects.count()), (Verdict::Allow, 1));
}

fn acknowledged(lines: &[String]) -> BTreeSet<String> {
    lines.iter().filter_map(|line| line.strip_prefix("ACK ")).map(str::to_owned).collect()
}

fn fill_a_small_disk(place: &Path) {
    mount(&["-t", "tmpfs", "-o", "size=18m", "tmpfs"], place);
    let ballast = place.join("ballast");
    std::fs::write(&ballast, vec![1; 12 << 20]).unwrap();
    let effects = fill(place);
    // Fill what a transaction left free: an export has no room either.
    let mut rest = std::fs::File::create(place.join("rest")).unwrap();
    while rest.write_all(&[1; 512]).is_ok() {}
    let house = House::new();
    let error = export(house.router.store(), &place.join("export")).unwrap_err();
    let ExportError::File { source, place: at } = error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{source}");
    assert!(at.starts_with(place));
    // No new store is made there, and the old one is not harmed by being tried.
    let fresh = RedbStore::create(place.join("fresh.redb")).map(drop);
    assert!(matches!(fresh, Err(StoreError::Backend { .. })), "{fresh:?}");
    if let Err(error) = RedbStore::open(place.join("log.redb")) {
        assert!(!matches!(error, StoreError::Format { .. }), "{error}");
    }
    std::fs::remove_file(ballast).unwrap();
    // The acknowledged records were said before; they are counted by the outcomes here.
    recovers(&place.join("log.redb"), Some(effects), &BTreeSet::new());
}

#[test]
fn a_full_disk() {
    let Some(how) = own_mounts() else {
        println!("skipped: this machine gives no process mounts of its own");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let said = lines(&run(how, "full", folder.path()));
    assert!(acknowledged(&said).len() > 2);
    let error = said.iter().find_map(|line| line.strip_prefix("ERROR ")).unwrap();
    assert!(error.contains("No space left on device"), "{error}");
}

/// The same by a limit that needs no rights: writing beyond it fails like a full disk.
#[test]
fn a_full_disk_by_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\"";
    let said = lines(&run(&["sh", "-c", script], "limited", folder.path()));
    let acknowledged = acknowledged(&said);
    assert!(acknowledged.len() > 2);
    let error = said.iter().find_map(|line| line.strip_prefix("ERROR ")).unwrap();
    assert!(error.contains("File too large"), "{error}");
    recovers(&folder.path().join("log.redb"), None, &acknowledged);
}

/// Standard output that takes nothing: the commands that write to it say so.
#[cfg(feature = "cli")]
#[test]
fn a_full_standard_output() {
    if !Path::new("/dev/full").exists() {
        println!("skipped: this machine has no /dev/full");
        return;
    }
    let house = House::new();
    let path = house.path();
    let House { folder, router, desk, .. } = house;
    let before = digests(router.store());
    drop((router, desk));
    for command in ["verify", "audience"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let arguments: &[&str] = if command == "audience" { &["alice"] } else { &[] };
        let done = Command::new(env!("CARGO_BIN_EXE_prospera"))
            .arg(command)
            .arg(&path)
            .args(arguments)
            .stdout(full)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{command}: {said}");
        assert!(said.contains("standard output cannot be written"), "{command}: {said}");
    }
    assert_eq!(digests(&RedbStore::open_read_only(&path).unwrap()), before);
    drop(folder);
}

/// A closed house in a folder that others may enter.
fn left(folder: &Path) -> Vec<prospera::digest::Digest> {
    let house = House::new();
    let path = house.path();
    let before = digests(house.router.store());
    let House { folder: own, router, desk, .. } = house;
    drop((router, desk));
    std::fs::copy(path, folder.join("log.redb")).unwrap();
    drop(own);
    before
}

/// Nothing can be written to a store that is opened for reading, wherever it lies.
fn routes_nothing(store: RedbStore) {
    let before = digests(&store);
    let world = World::new();
    let router = world.router(store);
    let mut desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
    let error = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap_err();
    let RouterError::EvidenceNotRecorded(LedgerError::Append(AppendError::Refused { reason })) =
        &error
    else {
        panic!("{error}")
    };
    assert_eq!(*reason, "the store was opened read-only");
    assert_eq!(world.effects.count(), 0, "nothing is executed");
    let opened = router.open(world.alice("s-2")).map(drop).unwrap_err();
    assert!(matches!(opened, RouterError::Ledger(LedgerError::Append(_))), "{opened}");
    assert_eq!(digests(router.store()), before);
}

#[test]
fn a_read_only_store() {
    let folder = tempfile::tempdir().unwrap();
    let before = left(folder.path());
    let path = folder.path().join("log.redb");
    routes_nothing(RedbStore::open_read_only(&path).unwrap());
    assert_eq!(digests(&RedbStore::open_read_only(&path).unwrap()), before);
}

fn cannot_write(path: &Path, kind: &str) {
    let place = path.parent().unwrap();
    for refused in [RedbStore::open(path), RedbStore::create(place.join("new.redb"))] {
        let error = refused.map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Backend { .. }), "{error}");
        assert!(error.to_string().contains(kind), "{error}");
    }
}

fn use_a_read_only_disk(place: &Path) {
    let shown = place.display().to_string();
    mount(&["--bind", &shown], place);
    mount(&["-o", "remount,bind,ro"], place);
    let path = place.join("log.redb");
    cannot_write(&path, "Read-only file system");
    let house = House::new();
    let exported = export(house.router.store(), &place.join("export")).unwrap_err();
    assert!(matches!(exported, ExportError::File { .. }), "{exported}");
    routes_nothing(RedbStore::open_read_only(&path).unwrap());
}

#[test]
fn a_store_on_a_read_only_disk() {
    let Some(how) = own_mounts() else {
        println!("skipped: this machine gives no process mounts of its own");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let before = left(folder.path());
    lines(&run(how, "read-only", folder.path()));
    let path = folder.path().join("log.redb");
    assert_eq!(digests(&RedbStore::open_read_only(path).unwrap()), before);
}

fn use_an_unwritable_file(place: &Path) {
    let path = place.join("log.redb");
    cannot_write(&path, "Permission denied");
    routes_nothing(RedbStore::open_read_only(&path).unwrap());
}

/// A file that its user may read and not write. Nothing stops root, so root becomes
/// somebody else first.
#[test]
fn a_store_that_may_not_be_written() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let folder = tempfile::tempdir().unwrap();
    let before = left(folder.path());
    let path = folder.path().join("log.redb");
    let may = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    may(&path, 0o444);
    may(folder.path(), 0o555);
    let root = std::fs::metadata(&path).unwrap().uid() == 0;
    let how: &[&str] = if root {
        &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "HOME=/"]
    } else {
        &["env"]
    };
    let exe = std::env::current_exe().unwrap();
    let tried = Command::new(how[0]).args(&how[1..]).arg("test").arg("-x").arg(exe).status();
    if tried.is_ok_and(|status| status.success()) {
        lines(&run(how, "unwritable", folder.path()));
    } else {
        println!("skipped: nobody else may run this program here");
    }
    may(folder.path(), 0o755);
    may(&path, 0o644);
    assert_eq!(digests(&RedbStore::open_read_only(path).unwrap()), before);
}

fn be_the_second(place: &Path) {
    let path = place.join("log.redb");
    let ways = [RedbStore::open(&path), RedbStore::create(&path), RedbStore::open_read_only(&path)];
    for refused in ways {
        let error = refused.map(drop).unwrap_err();
        let StoreError::InUse { place, .. } = &error else { panic!("{error}") };
        assert_eq!(**place, *path.display().to_string());
    }
}

/// While one process writes, another is told so, for writing and for reading; the first
/// does not notice.
#[test]
fn a_second_writer() {
    let mut house = House::new();
    lines(&run(&[], "second", house.folder.path()));
    // In the same process, too.
    be_the_second(house.folder.path());
    let intent = house.world.numbered("s-1", "note.add", 1);
    house.allows(intent);
    lines(&run(&[], "second", house.folder.path()));
    // A reader keeps writers out as well.
    let path = house.path();
    let House { folder, world, router, desk, acknowledged } = house;
    drop((router, desk));
    let reader = RedbStore::open_read_only(&path).unwrap();
    let error = RedbStore::open(&path).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    drop(reader);
    let router = world.router(RedbStore::open(&path).unwrap());
    let desk = router.resume(world.resumed(router.store(), "s-1")).unwrap();
    House { folder, world, router, desk, acknowledged }.ends_well();
}
