//! Requests that are within every bound of their own, and would not fit into a record.

use std::collections::BTreeMap;

use prospera::execution::markers::{state, tier};
use prospera::execution::{
    Call, ExecutionEngine as _, IdempotencyKey, Module, ModuleError, Output, Reconciled, Registry,
};
use prospera::id::LayerId;
use prospera::intent::{Argument, IntentError, Objective, ReadFact, Submission};
use prospera::limits::{
    DETAIL_BYTES, INTENT_BYTES, INTENT_ITEMS, Limits, OUTPUT_BYTES, REASONS, TEXT_BYTES,
    VALUE_DEPTH,
};
use prospera::memory::FactsError;
use prospera::provenance::{Label, Sensitivity, Source};
use prospera::routing::RouterError;
use prospera::ssot::store::Store as _;
use prospera::value::Value;
use prospera::verdict::ReasonCode::{IntentLimit, IntentMalformed, SensitiveOutflow};

use crate::house::{Format, House};
use crate::world::{fact, name, user};

/// What is found may be as long as whoever sent it likes; the evidence is not.
#[test]
fn an_error_as_long_as_its_input() {
    let mut house = House::new();
    let long = "k".repeat(200_000);
    let deep = format!(r#"{{"{long}": {{"{long}": {{"{long}": 1e999}}}}}}"#);
    let rude = r"\u001b[2J\n\u0007".repeat(1000);
    for format in Format::ALL {
        for bytes in [
            format.and(&format!(r#""{long}": 1, "{long}": 1"#)),
            format.and(&format!(r#""{long}": 1"#)),
            format.with_text(&deep),
            format.and(&format!(r#""{rude}": 1, "{rude}": 1"#)),
            format.and(&format!(r#""{rude}": 1"#)),
        ] {
            let detail = house.refuses(format, bytes.as_bytes(), IntentMalformed);
            assert!(detail.len() <= DETAIL_BYTES, "{}", detail.len());
            assert!(!detail.contains(char::is_control), "{detail}");
        }
    }
    house.ends_well();
}

/// Two bytes of JSON are eighteen in an intent.
#[test]
fn an_intent_larger_than_its_submission() {
    let mut house = House::new();
    let numbers = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
    for format in Format::ALL {
        let fits = format.with_text(&numbers(29_000));
        let read = house.submission(format, fits.as_bytes(), &Limits::DEFAULT);
        let intent = read.intent().expect("an intent");
        assert!(intent.canonical().len() <= INTENT_BYTES);
        for count in [29_200, 60_000] {
            let bytes = format.with_text(&numbers(count));
            let detail = house.refuses(format, bytes.as_bytes(), IntentLimit);
            assert!(detail.starts_with("expected at most 524288 canonical bytes"), "{detail}");
        }
    }
    house.ends_well();
}

#[test]
fn more_arguments_than_any_tool_has() {
    let mut house = House::new();
    let arguments = |count: usize| {
        let list: Vec<_> = (0..count - 1).map(|i| format!(r#""a{i}": 1"#)).collect();
        format!(r#""n": 1, {}"#, list.join(", "))
    };
    for format in Format::ALL {
        let of = |count| format.replaced(r#""text": "my notes", "n": 12.5"#, &arguments(count));
        let most = of(INTENT_ITEMS);
        assert!(house.submission(format, most.as_bytes(), &Limits::DEFAULT).intent().is_some());
        let detail = house.refuses(format, of(INTENT_ITEMS + 1).as_bytes(), IntentLimit);
        assert_eq!(detail, "expected at most 4096 arguments, found 4097");
    }
    house.ends_well();
}

/// Requests that are built in code meet the same bounds as those that are read.
#[test]
fn a_request_built_in_code_beyond_a_bound() {
    let house = House::new();
    let nested = |levels: usize| (1..levels).fold(Value::Null, |v, _| Value::List(vec![v]));
    let argument = |value| Argument { value, label: Label::from(Source::User) };
    let of = |name: &str, value: Value| {
        let mut request = house.world.request("s-1", "note.add");
        request.arguments.insert(name.into(), argument(value));
        house.world.catalogue.intent(request)
    };
    let limit = |result: Result<_, IntentError>| match result.map(drop) {
        Err(IntentError::Limit { what, limit, found }) => (what, limit, found),
        other => panic!("{other:?}"),
    };
    assert!(of("deep", nested(VALUE_DEPTH)).is_ok());
    let deep = limit(of("deep", nested(VALUE_DEPTH + 1)));
    assert_eq!(deep, ("levels of nesting", VALUE_DEPTH, VALUE_DEPTH + 1));
    let mut request = house.world.request("s-1", "note.add");
    request.objective = Objective::new(&"o".repeat(TEXT_BYTES));
    assert!(house.world.catalogue.intent(request.clone()).is_ok());
    request.objective = Objective::new(&"o".repeat(TEXT_BYTES + 1));
    let long = limit(house.world.catalogue.intent(request));
    assert_eq!(long, ("bytes of objective", TEXT_BYTES, TEXT_BYTES + 1));
    let mut request = house.world.request("s-1", "note.add");
    let many = |count: usize| (0..count).map(|i| (format!("a{i}").into(), argument(Value::Null)));
    request.arguments = many(INTENT_ITEMS).collect();
    assert!(house.world.catalogue.intent(request.clone()).is_ok());
    request.arguments = many(INTENT_ITEMS + 1).collect();
    let items = limit(house.world.catalogue.intent(request.clone()));
    assert_eq!(items, ("arguments", INTENT_ITEMS, INTENT_ITEMS + 1));
    request.arguments.clear();
    let read = |i: usize| ReadFact { key: format!("k{i}").parse().unwrap(), version: 1 };
    request.reads = (0..=INTENT_ITEMS).map(read).collect();
    let items = limit(house.world.catalogue.intent(request));
    assert_eq!(items, ("facts read", INTENT_ITEMS, INTENT_ITEMS + 1));
    let base = of("large", Value::from("")).unwrap().canonical().len();
    let text = |length: usize| Value::Text("x".repeat(length).into());
    assert!(of("large", text(INTENT_BYTES - base)).is_ok());
    let large = limit(of("large", text(INTENT_BYTES - base + 1)));
    assert_eq!(large, ("canonical bytes", INTENT_BYTES, INTENT_BYTES + 1));
    house.ends_well();
}

/// A reason for each of four thousand arguments is more than a record holds.
#[test]
fn more_reasons_than_a_record_holds() {
    let from =
        "kind = \"note.share\"\ndescription = \"note.share\"\ntier = \"act\"\nflags = [\"effect\"]";
    let to = from.replace("[\"effect\"]", "[\"effect\", \"external\"]");
    let mut house = House::with_catalogue(from, &to);
    let mut request = house.world.request("s-1", "note.share");
    let long = "x".repeat(90);
    request.arguments = (0..4000)
        .map(|i| {
            let label = Label::from(Source::User).with_sensitivity(Sensitivity::Secret);
            let value = Value::from(i64::from(i));
            (format!("{long}{i}").into(), Argument { value, label })
        })
        .collect::<BTreeMap<_, _>>();
    let reason = house.denies(house.world.build(request), SensitiveOutflow);
    assert!(reason.detail.starts_with("argument `xxx"), "{reason}");
    let routes = house.router.store().read(0, usize::MAX).unwrap();
    let block: prospera::routing::EvidenceBlock =
        prospera::ssot::record::Record::decode_sealed(&routes.last().unwrap().bytes)
            .unwrap()
            .read()
            .unwrap();
    let said = &block.trace.last().unwrap().reasons;
    assert!((REASONS..REASONS + 4).contains(&said.len()), "{}", said.len());
    assert!(said.iter().any(|r| r.detail.ends_with("more reasons")), "{said:?}");
    house.stays_whole();
}

/// A fact beyond a bound is refused before it is recorded: a record that the facts do not
/// take would end every later replay of the subject.
#[test]
fn a_fact_beyond_a_bound() {
    let mut house = House::new();
    for i in 0..64 {
        let context = name(&format!("tenant {i}"));
        house.router.remember(&mut house.desk, fact("iban", "DE1").within(context)).unwrap();
    }
    let length = house.router.store().len().unwrap();
    let error =
        house.router.remember(&mut house.desk, fact("iban", "DE1").within(name("one more")));
    let RouterError::Facts(FactsError::Limit { what, limit: 64, .. }) = error.unwrap_err() else {
        panic!("expected a limit")
    };
    assert_eq!(what, "contexts of one fact");
    let mut deep = fact("deep", "");
    deep.value = Some((0..VALUE_DEPTH).fold(Value::Null, |value, _| Value::List(vec![value])));
    let error = house.router.remember(&mut house.desk, deep).unwrap_err();
    assert!(matches!(error, RouterError::Facts(FactsError::Limit { limit: VALUE_DEPTH, .. })));
    assert_eq!(house.router.store().len().unwrap(), length, "nothing was recorded");
    // Another process reads the subject again.
    house.desk = house.router.resume(house.world.resumed(house.router.store(), "s-1")).unwrap();
    house.ends_well();
}

/// A module whose answers are larger than a record.
struct Loud;

impl Module for Loud {
    const ID: &'static str = "loud";
    const VERSION: &'static str = "1.0";
    const LAYERS: &'static [LayerId] = &[];
    const INTENTS: &'static [&'static str] = &["note.add"];
    type RequiredState = state::Base;
    type Tier = tier::Act;
    type Input<'a> = ();
    type Output = Value;

    fn run(&self, (): (), _: &Call<'_>) -> Result<Value, ModuleError> {
        Ok(loud())
    }

    fn reconcile(&self, _: IdempotencyKey) -> Reconciled {
        Reconciled::Happened(Some(Output { value: loud(), label: Label::empty() }))
    }
}

fn loud() -> Value {
    Value::Text("!".repeat(OUTPUT_BYTES).into())
}

/// Settling must not fail for good because the output that is left cannot be recorded.
#[test]
fn an_output_larger_than_a_record() {
    let mut registry = Registry::new();
    registry.register(Loud).unwrap();
    let key = IdempotencyKey::from_evidence(prospera::digest::Digest::ZERO);
    let answer = registry.reconcile(&"loud".parse().unwrap(), key);
    assert!(matches!(answer, Reconciled::Happened(None)), "{answer:?}");
}

/// A module may say what it likes of its failure.
#[test]
fn a_failure_as_long_as_a_book() {
    let mut house = House::new();
    let told = "no ".repeat(1 << 20);
    *house.world.effects.fail.lock().unwrap() = Some(ModuleError::NoEffect(told));
    let submission: Submission = house.world.numbered("s-1", "note.add", 5);
    let routed = house.carries_out(submission);
    let outcome = routed.outcome.unwrap();
    assert!(outcome.reasons[0].detail.len() <= DETAIL_BYTES);
    assert!(house.desk.open_route().is_none(), "the outcome is recorded");
    *house.world.effects.fail.lock().unwrap() = None;
    let _ = user("x");
    house.ends_well();
}
