//! A router over a store on disk in which something was acknowledged already.

use std::path::PathBuf;
use std::sync::Arc;

use prospera::digest::Digest;
use prospera::intent::intake::{Channel, Expanded, Malformed, Mapping, mcp, native};
use prospera::intent::{Catalogue, Objective, Submission};
use prospera::limits::{DETAIL_BYTES, Limits};
use prospera::provenance::{Label, Source};
use prospera::routing::{EvidenceBlock, Routed};
use prospera::ssot::record::Record;
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::Store;
use prospera::ssot::verify::verify;
use prospera::verdict::{Reason, ReasonCode, Verdict};
use tempfile::TempDir;

use crate::world::{CATALOGUE, TestDesk, TestRouter, World, sid};

/// The forms in which a request arrives. Each text holds `"text": "my notes"` and
/// `"n": 12.5`, for the tests to replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Native,
    Mcp,
    Mapped,
}

const NATIVE: &str = r#"{"kind": "note.add", "subject": "alice", "session": "s-1",
 "request": "r-1", "objective": "keep my notes, 12.5 in all",
 "arguments": {"text": "my notes", "n": 12.5}, "reads": []}"#;

const MCP: &str = r#"{"jsonrpc": "2.0", "id": 7, "method": "tools/call",
 "params": {"name": "note.add", "arguments": {"text": "my notes", "n": 12.5}}}"#;

const MAPPED: &str = r#"{"fn": "note.add", "args": {"text": "my notes", "n": 12.5},
 "goal": "keep my notes, 12.5 in all", "run": "s-1"}"#;

const MAPPING: &str = r#"version = "1"
subject = "alice"
kind = "/fn"
arguments = "/args"
objective = "/goal"
session = ["/run"]
"#;

impl Format {
    pub(crate) const ALL: [Self; 3] = [Self::Native, Self::Mcp, Self::Mapped];

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Native => NATIVE,
            Self::Mcp => MCP,
            Self::Mapped => MAPPED,
        }
    }

    /// How many objects an argument's value stands in.
    pub(crate) const fn above(self) -> usize {
        match self {
            Self::Native | Self::Mapped => 2,
            Self::Mcp => 3,
        }
    }

    /// The text with another value of the argument `text`.
    pub(crate) fn with_text(self, value: &str) -> String {
        self.replaced(r#""text": "my notes""#, &format!(r#""text": {value}"#))
    }

    /// The text with another value of the argument `n`.
    pub(crate) fn with_number(self, value: &str) -> String {
        self.replaced(r#""n": 12.5"#, &format!(r#""n": {value}"#))
    }

    pub(crate) fn replaced(self, from: &str, to: &str) -> String {
        assert!(self.text().contains(from), "{self:?} has no {from}");
        self.text().replacen(from, to, 1)
    }

    /// The text with more fields at its end.
    pub(crate) fn and(self, fields: &str) -> String {
        format!("{}, {fields}}}", self.text().strip_suffix('}').unwrap())
    }

    pub(crate) fn read(self, bytes: &[u8], limits: &Limits) -> Result<Expanded, Malformed> {
        let channel = Channel {
            subject: Some("alice".parse().unwrap()),
            session: Some(sid("s-1")),
            objective: Some(Objective::new("keep my notes, 12.5 in all")),
            ..Channel::new(Source::User)
        };
        match self {
            Self::Native => native::read(bytes, &channel, limits),
            Self::Mcp => mcp::read(bytes, &channel, limits),
            Self::Mapped => {
                let mapping = Mapping::from_toml("intake.toml", MAPPING).unwrap();
                mapping.read(bytes, &channel, limits)
            }
        }
    }
}

pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) world: World,
    pub(crate) router: TestRouter<RedbStore>,
    pub(crate) desk: TestDesk,
    pub(crate) acknowledged: Vec<Digest>,
}

/// The digests of all records.
pub(crate) fn digests<S: Store + ?Sized>(store: &S) -> Vec<Digest> {
    store.read(0, usize::MAX).unwrap().iter().map(|stored| stored.digest).collect()
}

impl House {
    /// Alice's session, in which one effect took place.
    pub(crate) fn new() -> Self {
        Self::of(World::new())
    }

    pub(crate) fn of(world: World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = RedbStore::create(folder.path().join("log.redb")).unwrap();
        let router = world.router(store);
        let mut desk = router.open(world.alice("s-1")).unwrap();
        let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
        assert_eq!((routed.verdict, world.effects.count()), (Verdict::Allow, 1));
        let acknowledged = digests(router.store());
        assert!(acknowledged.len() > 4);
        Self { folder, world, router, desk, acknowledged }
    }

    /// With another catalogue.
    pub(crate) fn with_catalogue(from: &str, to: &str) -> Self {
        assert!(CATALOGUE.contains(from), "{from}");
        let text = CATALOGUE.replacen(from, to, 1);
        let catalogue = Catalogue::from_toml("catalogue.toml", &text, |_| Err(String::new()));
        let mut world = World::new();
        world.catalogue = Arc::new(catalogue.unwrap());
        Self::of(world)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("log.redb")
    }

    /// What arrives as these bytes in this form.
    pub(crate) fn submission(&self, format: Format, bytes: &[u8], limits: &Limits) -> Submission {
        match format.read(bytes, limits) {
            Ok(read) => read.submit(&self.world.catalogue, &Label::empty(), None),
            Err(malformed) => malformed.into(),
        }
    }

    /// Routes bytes that must be refused for a reason of this code; gives its detail.
    #[track_caller]
    pub(crate) fn refuses(&mut self, format: Format, bytes: &[u8], code: ReasonCode) -> String {
        self.refuses_within(format, bytes, &Limits::DEFAULT, code)
    }

    #[track_caller]
    pub(crate) fn refuses_within(
        &mut self,
        format: Format,
        bytes: &[u8],
        limits: &Limits,
        code: ReasonCode,
    ) -> String {
        let submission = self.submission(format, bytes, limits);
        assert!(submission.intent().is_none(), "{format:?}: an intent: {submission:?}");
        assert_eq!(submission.digest(), prospera::intent::intake::digest(bytes));
        self.denies(submission, code).detail.into()
    }

    /// Routes what must be denied for a reason of this code, with evidence on disk and
    /// without an effect.
    #[track_caller]
    pub(crate) fn denies(&mut self, submission: Submission, code: ReasonCode) -> Reason {
        let (digest, before) = (submission.digest(), self.world.effects.count());
        let routed = self.router.route(&mut self.desk, submission).unwrap();
        assert_eq!(routed.verdict, Verdict::Deny, "{:?}", routed.evidence.trace);
        assert!(routed.outcome.is_none() && routed.output.is_none());
        assert_eq!(self.world.effects.count(), before, "something was executed");
        let block = self.kept(&routed);
        assert_eq!((block.verdict, block.intent), (Verdict::Deny, digest));
        let last = block.trace.last().unwrap();
        assert!(last.reasons.iter().all(|reason| reason.detail.len() <= DETAIL_BYTES));
        let found = last.reasons.iter().find(|reason| reason.code == code);
        found.cloned().unwrap_or_else(|| panic!("expected {code:?}, found {:?}", last.reasons))
    }

    /// The evidence as the store has it.
    pub(crate) fn kept(&self, routed: &Routed) -> EvidenceBlock {
        let stored = self.router.store().read(routed.index, 1).unwrap();
        let record = Record::decode_sealed(&stored[0].bytes).unwrap();
        assert_eq!(record.digest(), routed.record);
        record.read().unwrap()
    }

    /// Routes what must be carried out.
    #[track_caller]
    pub(crate) fn allows(&mut self, submission: Submission) {
        let _routed = self.carries_out(submission);
    }

    #[track_caller]
    pub(crate) fn carries_out(&mut self, submission: Submission) -> Routed {
        let before = self.world.effects.count();
        let routed = self.router.route(&mut self.desk, submission).unwrap();
        assert_eq!(routed.verdict, Verdict::Allow, "{:?}", routed.evidence.trace);
        assert_eq!(self.world.effects.count(), before + 1);
        routed
    }

    /// Nothing was lost: the next route is carried out, and a reader of the closed store
    /// finds every record that was acknowledged, sound.
    #[track_caller]
    pub(crate) fn ends_well(mut self) {
        let next = self.world.numbered("s-1", "note.add", 99);
        self.allows(next);
        self.stays_whole();
    }

    /// Every record that was acknowledged is there and verifies.
    #[track_caller]
    pub(crate) fn stays_whole(self) {
        let now = digests(self.router.store());
        let (path, acknowledged) = (self.path(), self.acknowledged);
        drop((self.router, self.desk));
        let store = RedbStore::open_read_only(&path).unwrap();
        verify(&store, |_| {}).unwrap();
        assert_eq!(digests(&store), now);
        assert!(now.starts_with(&acknowledged), "an acknowledged record is lost");
    }
}
