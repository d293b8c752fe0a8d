//! A property test of one's own module, in five lines.
//!
//! `strategy::request_of` makes requests of a catalogue's kinds with arguments from your
//! own strategy; `properties::route_is_sound` checks what must hold of every route: its
//! evidence is in the log, and nothing that was not allowed was done.
//!
//! Run it with `cargo run --example property_test --features proptest`; in your own crate
//! the same stands in a `#[test]`, with `prospera = { features = ["proptest"] }` among
//! the development dependencies.

use proptest::prelude::*;
use prospera::execution::{Call, Contract, ContractError, ContractParts, DynModule};
use prospera::execution::{Execution, IdempotencyKey, Output, Reconciled, Registry};
use prospera::intent::schema::{Shape, Shapes};
use prospera::intent::{Catalogue, KindSpec};
use prospera::provenance::Label;
use prospera::testing::world::{Calls, Failure, Recorder, Setup, row, rule};
use prospera::testing::{properties, strategy};
use prospera::value::Value;
use prospera::verdict::{CapabilityTier, Verdict};

/// Your module: it counts letters.
struct Letters(Recorder);

impl DynModule for Letters {
    fn contract(&self) -> Result<Contract, ContractError> {
        self.0.contract()
    }

    fn run(&self, call: &Call<'_>) -> Execution {
        let _noted = self.0.run(call);
        let text = call.arguments().get("text").and_then(|argument| argument.value.as_text());
        let count = text.map_or(0, |text| text.chars().count());
        let value = Value::from(i64::try_from(count).unwrap_or(i64::MAX));
        Execution::Done(Output { value, label: Label::empty() })
    }

    fn reconcile(&self, key: IdempotencyKey) -> Reconciled {
        self.0.reconcile(key)
    }
}

/// One kind, one rule, one row, one module.
fn setup() -> Result<Setup, Failure> {
    let calls = Calls::default();
    let contract = Contract::new(ContractParts {
        id: "letters".parse()?,
        version: "1.0".parse()?,
        required_state: prospera::audience::state::State::Base,
        tier: CapabilityTier::Observe,
        layers: vec![],
        intents: vec!["text.count".parse()?],
    })?;
    let mut registry = Registry::new();
    registry.register(Letters(Recorder::new(contract, calls.clone())))?;
    let kind = KindSpec::new("text.count".parse()?, "work".parse()?)
        .check(Shapes::new().required("text", Shape::Text));
    let catalogue = Catalogue::builder("1".parse()?).kind(kind).build()?;
    let rules = vec![rule("count", Verdict::Allow, "text.count")?];
    Setup::of(catalogue, rules, vec![row("text.count", "letters")?], registry, calls)
}

fn main() -> Result<(), Failure> {
    let catalogue = setup()?.catalogue;
    let arguments = ".{0,20}".prop_map(|text| [("text".into(), Value::Text(text.into()))].into());

    // The five lines.
    proptest!(|(requests in prop::collection::vec(strategy::request_of(&catalogue, arguments), 1..6))| {
        let world = setup().map_err(|error| TestCaseError::fail(error.to_string()))?.build();
        let world = world.map_err(|error| TestCaseError::fail(error.to_string()))?;
        properties::routes_are_sound(&world, requests)?;
    });
    println!("every route was sound");
    Ok(())
}
