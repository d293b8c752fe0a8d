//! Facts, version by version, without their values.

use alloc::vec::Vec;

use crate::limits::{FACT_CONTEXTS, FACT_KEYS, VALUE_DEPTH};
use crate::memory::FactRecord;
use crate::routing::audit::memo::{Memo, MemoryMemo};
use crate::ssot::matrix::{Rule, Scene};

/// One write of a fact. What [`Facts::apply`](crate::memory::Facts::apply) takes, this takes.
pub(super) fn fact(fact: &FactRecord, scene: &mut Scene<'_, Memo>) {
    let mut memo = match scene.memo() {
        Some(Memo::Memory(memo)) => core::mem::take(memo),
        _ => MemoryMemo::default(),
    };
    let slot = memo.keys.get(&fact.key);
    let next = slot.map_or(0, |(version, _)| *version).saturating_add(1);
    let contexts = slot.map_or(&[][..], |(_, contexts)| contexts.as_slice());
    if fact.version != next {
        let expected = alloc::format!("version {next} of `{}`", fact.key);
        scene.fault(Rule::Facts, expected, alloc::format!("version {}", fact.version));
    }
    if fact.value.as_ref().is_some_and(|value| value.is_deeper_than(VALUE_DEPTH)) {
        scene.fault(Rule::Facts, alloc::format!("at most {VALUE_DEPTH} levels"), "more");
    }
    if slot.is_none() && memo.keys.len() >= FACT_KEYS {
        scene.fault(Rule::Facts, alloc::format!("at most {FACT_KEYS} keys"), "one more");
    }
    let here = contexts.binary_search(&fact.context);
    if contexts.len() >= FACT_CONTEXTS && fact.value.is_some() && here.is_err() {
        scene.fault(Rule::Facts, alloc::format!("at most {FACT_CONTEXTS} contexts"), "one more");
    }
    if memo.keys.len() < FACT_KEYS || memo.keys.contains_key(&fact.key) {
        let slot = memo.keys.entry(fact.key.clone()).or_insert_with(|| (0, Vec::new()));
        slot.0 = fact.version;
        match (here, &fact.value) {
            (Err(place), Some(_)) if slot.1.len() < FACT_CONTEXTS => {
                slot.1.insert(place, fact.context.clone());
            }
            (Ok(place), None) => drop(slot.1.remove(place)),
            _ => {}
        }
    }
    if let Some(own) = scene.memo() {
        *own = Memo::Memory(memo);
    }
}
