//! A desk that routes the same kind of intent again and again.

use std::hint::black_box;

use prospera::digest::Domain;
use prospera::encode::Encode;
use prospera::execution::{
    Call, Contract, ContractError, DynModule, Execution, IdempotencyKey, Output, Reconciled,
    Registry,
};
use prospera::intent::{Intent, Objective, Request};
use prospera::provenance::Label;
use prospera::routing::RoutingTable;
use prospera::ssot::record::{Record, RecordKind};
use prospera::ssot::store::Store;
use prospera::testing::world::{self, Setup, World, WorldDesk};
use prospera::value::Value;

use super::lookup;

/// A module that does nothing: what it would do is not prospera's.
struct Quiet(Contract);

impl DynModule for Quiet {
    fn contract(&self) -> Result<Contract, ContractError> {
        Ok(self.0.clone())
    }

    fn run(&self, _call: &Call<'_>) -> Execution {
        Execution::Done(Output { value: OUTPUT, label: Label::empty() })
    }

    fn reconcile(&self, _key: IdempotencyKey) -> Reconciled {
        Reconciled::Unknown
    }
}

/// What it gives back.
const OUTPUT: Value = Value::Bool(true);

/// How many routes a world is used for.
const ROUTES: u32 = 1000;

/// The sample's deployment, in memory. A fresh world is taken every thousand routes, so
/// that the log does not grow without bound.
pub(crate) struct Routes {
    pub(crate) world: World,
    pub(crate) desk: WorldDesk,
    rows: usize,
    left: u32,
    asked: u64,
}

impl Routes {
    /// Under the sample's own table.
    pub(crate) fn new() -> Self {
        Self::with_rows(0)
    }

    /// The deployment, with modules that do nothing.
    pub(crate) fn setup() -> Setup {
        let mut setup = Setup::sample().unwrap();
        let mut registry = Registry::new();
        for contract in setup.registry.contracts() {
            registry.register(Quiet(contract.clone())).unwrap();
        }
        setup.registry = registry;
        setup
    }

    /// Under a table that has so many rows in all, where that is more than the sample has.
    pub(crate) fn with_rows(rows: usize) -> Self {
        let mut setup = Self::setup();
        let own = setup.table.rows().to_vec();
        let further = rows.saturating_sub(own.len());
        let all = own.into_iter().chain(lookup::rows(further)).collect();
        setup.table = RoutingTable::build("sample-1".parse().unwrap(), all).unwrap();
        let world = setup.build().unwrap();
        let desk = world.open("alice", "s-1").unwrap();
        Self { world, desk, rows, left: ROUTES, asked: 0 }
    }

    /// So many intents, ready to route; from a fresh world where this one is used up.
    pub(crate) fn intents(&mut self, count: u32) -> Vec<Intent> {
        if self.left < count {
            *self = Self::with_rows(self.rows);
        }
        self.left = self.left.saturating_sub(count);
        let first = self.asked;
        self.asked += u64::from(count);
        (first..self.asked).map(|number| self.intent(number)).collect()
    }

    fn intent(&self, number: u64) -> Intent {
        self.world.catalogue.intent(request_of("alice", "s-1", number)).unwrap()
    }

    /// One whole route: eight layers, evidence, effect, outcome.
    pub(crate) fn route(&mut self, intent: Intent) {
        let routed = self.world.router.route(&mut self.desk, intent.into()).unwrap();
        assert!(routed.evidence.opens_route());
    }
}

/// What is asked for the so-manieth time in a session: never the same, so that its intent
/// and its objective are kept each time.
pub(crate) fn request_of(subject: &str, session: &str, number: u64) -> Request {
    let text = format!("Buy bread, {number:06}.");
    let mut request =
        world::request("note.write", &[("name", "today".into()), ("text", text.as_str().into())])
            .unwrap();
    request.subject = subject.parse().unwrap();
    request.session = session.parse().unwrap();
    request.objective = Objective::new(&format!("Write down: {text}"));
    request
}

/// What is asked for.
pub(crate) fn request() -> Request {
    request_of("alice", "s-1", 0)
}

/// The byte strings that one route must hash, to be hashed without the route.
pub(crate) struct Necessary {
    records: Vec<Vec<u8>>,
    routing_id: [u8; 102],
    token: [u8; 91],
    output: Vec<u8>,
    /// Bytes of intent and objective.
    asked: usize,
}

impl Necessary {
    /// The strings of a route of [`request`]: its evidence and its outcome as records, the
    /// parts of its Routing ID, the claims of its Approval Token, its output. The hashes of
    /// intent and objective are the intent's, made before.
    pub(crate) fn new() -> Self {
        let mut routes = Routes::new();
        let mut intents = routes.intents(2);
        let mut asked = 0;
        while let Some(intent) = intents.pop() {
            asked = intent.canonical().len() + intent.objective().text().len();
            routes.route(intent);
        }
        let store = routes.world.router.store();
        let stored = store.read(store.len().unwrap() - 2, 2).unwrap();
        let sealed = |bytes: &[u8]| Record::decode_sealed(bytes).unwrap();
        let kinds: Vec<_> = stored.iter().map(|one| sealed(&one.bytes).kind()).collect();
        assert_eq!(kinds, [RecordKind::EvidenceBlock, RecordKind::Outcome]);
        Self {
            records: stored.iter().map(|one| one.bytes.to_vec()).collect(),
            routing_id: [0x5a; 102],
            token: [0x5a; 91],
            output: OUTPUT.to_canonical(),
            asked,
        }
    }

    /// How many bytes a route makes durable: its evidence with its intent and its objective,
    /// then its outcome with its output.
    pub(crate) fn commits(&self) -> Vec<usize> {
        let payloads = [self.asked, self.output.len()];
        let records = self.records.iter().zip(payloads);
        records.map(|(record, payloads)| record.len() + payloads).collect()
    }

    /// How many bytes that is.
    pub(crate) fn bytes(&self) -> usize {
        let records: usize = self.records.iter().map(Vec::len).sum();
        records + 3 * self.routing_id.len() + 2 * self.token.len() + self.output.len()
    }

    /// Hashes them all, as often as a route must: the Routing ID at Steps 2, 7 and 8 (D-23),
    /// the token's claims when it is issued and when it is redeemed, all else once.
    pub(crate) fn hash(&self) {
        for record in &self.records {
            black_box(Domain::Record.hash(black_box(record)));
        }
        for _ in 0..3 {
            black_box(Domain::RoutingId.hash(black_box(&self.routing_id)));
        }
        for _ in 0..2 {
            black_box(blake3::keyed_hash(black_box(&[7; 32]), black_box(&self.token)));
        }
        black_box(Domain::Output.hash(black_box(&self.output)));
    }
}
