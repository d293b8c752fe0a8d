//! Policies in the log: a folder's files are kept with its pin, and are all a replay needs.

use std::path::{Path, PathBuf};

use prospera::execution::files::Journals;
use prospera::id::{PrincipalId, SessionId, SubjectId};
use prospera::identity::{HostClaims, PrincipalKind, Session, VerifiedClaims};
use prospera::intent::intake::{Channel, native};
use prospera::limits::Limits;
use prospera::policy::{OpenPolicy, PolicyFolder, kept_version};
use prospera::provenance::{Label, Source};
use prospera::risk::Risk;
use prospera::routing::payloads::{PayloadError, verify_payloads};
use prospera::routing::replay::{
    NotReplayable, Replay, Report, VersionError, kept_files, versions,
};
use prospera::routing::{Router, RouterError};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, RecordKind};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::{Batch, Store};
use prospera::time::{Clock, FixedClock, Timestamp};

fn office() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/office/policy")
}

/// The office's policy, in a folder of its own; with a `router.toml`, where one is given.
fn folder(place: &Path, router: Option<&str>) -> PolicyFolder {
    let folder = place.join(if router.is_some() { "other" } else { "first" });
    for part in ["", "programs"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
        for entry in std::fs::read_dir(office().join(part)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let to = folder.join(part).join(entry.file_name());
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    if let Some(text) = router {
        std::fs::write(folder.join("router.toml"), text).unwrap();
    }
    PolicyFolder::load(folder).unwrap()
}

const BEGIN: Timestamp = Timestamp::from_secs(1_767_603_600);

fn opened(folder: PolicyFolder) -> OpenPolicy {
    folder.open(Journals::Volatile, [1; 32]).unwrap()
}

fn session(policy: &OpenPolicy, name: &str, now: Timestamp, governor: bool) -> Session {
    let governs = governor.then(|| policy.rules.governor.clone());
    let scopes = governs.into_iter().chain(["office".parse().unwrap()]).collect();
    let claims = HostClaims {
        principal: name.parse().unwrap(),
        kind: PrincipalKind::Human,
        subject: name.parse().unwrap(),
        session: format!("session-of-{name}-{}", now.as_millis()).parse().unwrap(),
        roles: [].into(),
        scopes,
        delegation: Vec::new(),
        consent: true,
        strength: Risk::MAX,
        issued_at: now,
        expires_at: now.plus_millis(3_600_000),
    };
    Session::open(VerifiedClaims::vouched_by_host(claims), now, &policy.identity).unwrap()
}

/// Routes one line of JSON in a fresh session of a subject.
fn route<S: Store>(store: S, policy: PolicyFolder, who: &str, clock: &FixedClock, adopt: bool) {
    let policy = opened(policy);
    let now = clock.now();
    let session = session(&policy, who, now, false);
    let governor = self::session(&policy, "grace", now, true);
    let OpenPolicy { engines, rules, catalogue, .. } = policy;
    let router = if adopt {
        Router::adopt(engines, rules, store, clock, &governor).unwrap()
    } else {
        Router::new(engines, rules, store, clock, PrincipalId::new("operator").unwrap()).unwrap()
    };
    let (id, subject): (SessionId, SubjectId) = (session.id().clone(), session.subject().clone());
    let mut desk = router.open(session).unwrap();
    for line in [
        r#"{"kind": "calendar.read", "arguments": {"day": "2026-01-05"}}"#,
        r#"{"kind": "no-such-kind", "arguments": {}}"#,
    ] {
        let mut channel = Channel::new(Source::User);
        channel.subject = Some(subject.clone());
        channel.session = Some(id.clone());
        channel.objective = Some(prospera::intent::Objective::new("Look."));
        let submission = match native::read(line.as_bytes(), &channel, &Limits::DEFAULT) {
            Ok(expanded) => expanded.submit(&catalogue, &Label::empty(), None),
            Err(malformed) => malformed.into(),
        };
        let _routed = router.route(&mut desk, submission).unwrap();
    }
    clock.advance_millis(60_000);
}

fn replayed<S: Store + Sync>(store: &S) -> Report {
    Replay::new(store, |pinned| kept_version(store, pinned)).run(|_| {}).unwrap()
}

#[test]
fn a_log_under_two_versions_replays_from_its_own_files() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log.redb");
    let clock = FixedClock::new(BEGIN);
    let first = folder(place.path(), None);
    route(RedbStore::create(&path).unwrap(), first, "alice", &clock, false);
    let other = || folder(place.path(), Some("version = \"1\"\ntoken_seconds = 29\n"));
    {
        let OpenPolicy { engines, rules, .. } = opened(other());
        let store = RedbStore::open(&path).unwrap();
        let refused = Router::new(engines, rules, store, &clock, "op".parse().unwrap());
        assert!(matches!(refused, Err(RouterError::PolicyChanged { .. })));
    }
    route(RedbStore::open(&path).unwrap(), other(), "alice", &clock, true);
    let store = RedbStore::open_read_only(&path).unwrap();
    let report = replayed(&store);
    assert!(report.is_same(), "{report:#?}");
    assert_eq!(report.routes().same, 4);
    assert_eq!(report.kinds[&RecordKind::PolicyPinned].same, 2);

    // What is kept is the folder, byte for byte; what both versions have is kept once.
    let versions = versions(&store, u64::MAX).unwrap();
    let files = kept_files(&store, &versions[0].pinned).unwrap();
    let mut seen = 0;
    for (name, bytes) in files.iter() {
        assert_eq!(std::fs::read(office().join(name)).unwrap(), bytes, "{name}");
        seen += 1;
    }
    assert_eq!(seen, 8);
    let parts = |version: usize| {
        let files = versions[version].pinned.files.iter();
        files.map(|file| (file.name.clone(), file.parts.clone())).collect::<Vec<_>>()
    };
    let both = parts(0).into_iter().filter(|file| parts(1).contains(file)).count();
    assert_eq!((both, parts(1).len()), (seen, seen + 1), "router.toml alone is new");
}

/// The log again without what `keep` leaves out of the kept parts.
fn without_parts(log: &MemoryStore, keep: impl Fn(&str) -> Option<Vec<u8>>) -> MemoryStore {
    let store = MemoryStore::new();
    let named: Vec<_> = versions(log, u64::MAX)
        .unwrap()
        .into_iter()
        .flat_map(|version| version.pinned.files)
        .collect();
    for stored in log.read(0, usize::MAX).unwrap() {
        let record = prospera::ssot::record::Record::decode_sealed(&stored.bytes).unwrap();
        let stream = record.stream().clone();
        let draft =
            Draft::new(stream.clone(), record.kind(), record.source(), record.body().to_vec());
        let head = store.head(&stream).unwrap();
        let mut batch = Batch::new(record.timestamp()).expect(stream, head).append(draft);
        if record.kind() == RecordKind::PolicyPinned {
            for file in &named {
                let bytes = keep(&file.name);
                if let Some(bytes) = bytes {
                    batch.push_payload(file.parts[0], bytes.into());
                }
            }
        }
        store.append(&batch).unwrap();
    }
    store
}

#[test]
fn a_kept_file_that_was_changed_or_is_gone_is_named_with_its_digest() {
    let log = MemoryStore::new();
    let clock = FixedClock::new(BEGIN);
    let place = tempfile::tempdir().unwrap();
    route(&log, folder(place.path(), None), "alice", &clock, false);
    // The folder is gone; what is replayed stands in the log.
    drop(place);
    assert!(replayed(&log).nothing_differs());
    let read = |name: &str| std::fs::read(office().join(name)).unwrap();
    let gone = without_parts(&log, |name| (name != "table.toml").then(|| read(name)));
    let report = replayed(&gone);
    assert!(report.routes().not_replayable > 0 && report.nothing_differs(), "{report:#?}");
    assert!(report.not_replayable.contains_key(&NotReplayable::Policy));
    let pinned = &versions(&gone, u64::MAX).unwrap()[0].pinned;
    let part = pinned.files.iter().find(|file| &*file.name == "table.toml").unwrap().parts[0];
    let error = kept_files(&gone, pinned).unwrap_err();
    assert!(matches!(&error, VersionError::Missing { file, part: missing, .. }
        if &**file == "table.toml" && *missing == part));
    assert!(report.versions[0].contains(&part.to_string()), "{:?}", report.versions);
    // That log has no payload but the files; one part is not there.
    let parts: usize = pinned.files.iter().map(|file| file.parts.len()).sum();
    assert_eq!(verify_payloads(&gone).unwrap().sound, parts as u64 - 1);

    let changed = without_parts(&log, |name| {
        let mut bytes = read(name);
        if name == "table.toml" {
            bytes.push(b'\n');
        }
        Some(bytes)
    });
    let report = replayed(&changed);
    let first = report.first.clone().unwrap();
    assert_eq!(first.kind, RecordKind::PolicyPinned);
    assert!(first.found.contains("`table.toml` was changed"), "{first}");
    let (index, error) = verify_payloads(&changed).unwrap_err();
    assert!(
        matches!(error, PayloadError::Changed { what: "policy file", expected, .. }
        if index == 0 && expected == part),
        "{error}"
    );
}

#[test]
fn a_large_file_is_kept_in_parts() {
    let mut files = prospera::routing::PolicyFiles::default();
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    files.keep("table.toml", &large);
    files.keep("empty.toml", b"");
    let setup = prospera::testing::world::Setup::sample().unwrap();
    let (engines, mut rules, _) = setup.into_parts().unwrap();
    rules.files = files.clone();
    let store = MemoryStore::new();
    let clock = FixedClock::new(BEGIN);
    let router = Router::new(engines, rules, &store, &clock, PrincipalId::new("operator").unwrap());
    drop(router.unwrap());
    let pinned = &versions(&store, u64::MAX).unwrap()[0].pinned;
    assert_eq!(kept_files(&store, pinned).unwrap(), files);
    assert_eq!(pinned.files[1].parts.len(), 3);
}
