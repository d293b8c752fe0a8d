//! Record linkage, number by number: against vectors made with 50 digits
//! (`tests/vectors/linkage.py`), and against Splink 5 and a naive estimation on the same
//! data, where the reference data is at hand.
//!
//! Tolerances. Everything is computed in units of 10^-15 and 2^-48 bit. A probability is held
//! to 10^-12 of the vectors. Splink stops when nothing changes by more than 10^-9, so it may
//! be off by as much from where the estimation ends; it is held to 10^-10, as the other
//! implementation was found to be equal to 3 · 10^-11. A weight is held to 10^-6 bit: a
//! probability of 0.0001, the smallest here, that is off by 10^-12 moves it by 10^-8 bit.
//!
//! Requirements: PLAN-8.3, D-40, D-41.
#![expect(
    clippy::unwrap_used,
    clippy::similar_names,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "the reference numbers are floats, and a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use prospera::fixed::{Probability, Weight};
use prospera::identity::linkage::em::{
    EmError, NOTHING, Patterns, Settings, fit, weight_of, weights,
};
use serde_json::Value;

const VECTORS: &str = include_str!("vectors/linkage.json");

fn number(value: &Value) -> f64 {
    value.as_str().map_or_else(|| value.as_f64().unwrap(), |text| text.parse().unwrap())
}

fn share(p: Probability) -> f64 {
    p.units() as f64 / 1e15
}

fn bits(weight: Weight) -> f64 {
    weight.raw() as f64 / 2_f64.powi(48)
}

#[track_caller]
fn near(found: f64, expected: f64, within: f64) {
    assert!((found - expected).abs() <= within, "found {found}, expected {expected}");
}

/// No smoothing: as the reference does it.
fn plain() -> Settings {
    Settings { smoothing: Probability::ZERO, ..Settings::default() }
}

fn counts_to_u(totals: &[Vec<u64>]) -> Vec<Vec<Probability>> {
    let of = |totals: &Vec<u64>| {
        let whole: u64 = totals.iter().sum();
        totals.iter().map(|n| Probability::from_parts((*n).into(), whole.into())).collect()
    };
    totals.iter().map(of).collect()
}

#[test]
fn the_estimation_equals_one_with_fifty_digits() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let totals: Vec<Vec<u64>> = serde_json::from_value(vectors["totals"].clone()).unwrap();
    let all = counts_to_u(&totals);
    for block in ["same phone", "same name"] {
        let expected = &vectors[block];
        let fields: Vec<usize> = serde_json::from_value(expected["fields"].clone()).unwrap();
        let u: Vec<_> = fields.iter().map(|field| all[*field].clone()).collect();
        let mut patterns = Patterns::new(u.iter().map(Vec::len).collect());
        for pattern in expected["patterns"].as_array().unwrap() {
            let levels: Vec<u8> = serde_json::from_value(pattern[0].clone()).unwrap();
            assert!(patterns.add(&levels, pattern[1].as_u64().unwrap()));
        }
        let found = fit(&patterns, &u, &plain()).unwrap();
        assert_eq!(u64::from(found.rounds), expected["rounds"].as_u64().unwrap(), "{block}");
        assert!(found.settled);
        near(share(found.prior), number(&expected["share"]), 1e-12);
        let weights = weights(&found.m, &u);
        for (place, of_field) in found.m.iter().enumerate() {
            assert_eq!(of_field.iter().map(|m| m.units()).sum::<u64>(), Probability::ONE.units());
            for (level, m) in of_field.iter().enumerate() {
                near(share(*m), number(&expected["m"][place][level]), 1e-12);
                let weight = bits(weights[place][level]);
                near(weight, number(&expected["bits"][place][level]), 1e-6);
            }
        }
    }
}

/// The folder of reference numbers, where it stands beside the project.
fn reference() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["../shared/data/reference", "../../shared/data/reference"];
    let found = places.iter().map(|place| here.join(place)).find(|place| place.is_dir());
    if found.is_none() {
        eprintln!("skipped: the reference data is not beside the project");
    }
    found
}

fn json(folder: &Path, name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

/// One record of each line; quotes may stand around a field.
fn csv(text: &str) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    for c in text.chars() {
        let row = rows.last_mut().unwrap();
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(String::new()),
            '\n' if !quoted => rows.push(vec![String::new()]),
            '\r' => {}
            c => row.last_mut().unwrap().push(c),
        }
    }
    rows.retain(|row| row.len() > 1);
    rows
}

fn jaro_winkler(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let reach = (a.len().max(b.len()) / 2).saturating_sub(1);
    let (mut hit_a, mut hit_b) = (vec![false; a.len()], vec![false; b.len()]);
    for (i, c) in a.iter().enumerate() {
        let window = i.saturating_sub(reach)..b.len().min(i + reach + 1);
        if let Some(j) = window.into_iter().find(|j| !hit_b[*j] && b[*j] == *c) {
            (hit_a[i], hit_b[j]) = (true, true);
        }
    }
    let x: Vec<char> = a.iter().zip(&hit_a).filter(|(_, hit)| **hit).map(|(c, _)| *c).collect();
    let y: Vec<char> = b.iter().zip(&hit_b).filter(|(_, hit)| **hit).map(|(c, _)| *c).collect();
    if x.is_empty() {
        return 0.0;
    }
    let swaps = x.iter().zip(&y).filter(|(p, q)| p != q).count() / 2;
    let common = x.len() as f64;
    let agreeing = common / a.len() as f64 + common / b.len() as f64;
    let jaro = (agreeing + (common - swaps as f64) / common) / 3.0;
    if jaro <= 0.7 {
        return jaro;
    }
    let prefix = a.iter().zip(&b).take(4).take_while(|(p, q)| p == q).count();
    (prefix as f64 * 0.1).mul_add(1.0 - jaro, jaro)
}

/// Identifier, then name, address, city and phone.
type Restaurant = (String, [String; 4]);

fn restaurants(folder: &Path, name: &str) -> Vec<Restaurant> {
    let rows = csv(&std::fs::read_to_string(folder.join("data").join(name)).unwrap());
    let column = |wanted: &str| rows[0].iter().position(|name| name == wanted).unwrap();
    let (id, name, addr) = (column("id"), column("name"), column("addr"));
    let (city, phone) = (column("city"), column("phone"));
    let words = |text: &String| {
        let plain: String = (text.to_lowercase().chars())
            .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { ' ' })
            .collect();
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let digits = |text: &String| text.chars().filter(char::is_ascii_digit).take(10).collect();
    let read = |row: &Vec<String>| {
        let fields = [words(&row[name]), words(&row[addr]), words(&row[city]), digits(&row[phone])];
        (row[id].clone(), fields)
    };
    rows[1..].iter().map(read).collect()
}

const THRESHOLDS: [&[f64]; 4] = [&[0.92, 0.8], &[0.85], &[], &[]];

fn level(a: &str, b: &str, thresholds: &[f64]) -> u8 {
    if a == b {
        return 0;
    }
    let similarity = if thresholds.is_empty() { 0.0 } else { jaro_winkler(a, b) };
    let reached = thresholds.iter().position(|threshold| similarity >= *threshold);
    u8::try_from(reached.unwrap_or(thresholds.len()) + 1).unwrap()
}

/// Splink 5 on 176,423 pairs of real restaurants: the same `u`, the same `m`, the same
/// matches at three thresholds.
#[test]
fn the_numbers_are_those_of_splink() {
    let Some(folder) = reference() else { return };
    let (splink, own) = (json(&folder, "g4b_splink.json"), json(&folder, "g4c_own_vs_splink.json"));
    for spot in json(&folder, "g4_linkage.json")["jaro_winkler"].as_array().unwrap() {
        let found = jaro_winkler(spot[0].as_str().unwrap(), spot[1].as_str().unwrap());
        near(found, number(&spot[3]), 1e-12);
    }
    let (ours, theirs) = (restaurants(&folder, "fodors.csv"), restaurants(&folder, "zagats.csv"));
    let mut pairs = Vec::new();
    let mut all = Patterns::new(vec![4, 3, 2, 2]);
    let mut blocks = [Patterns::new(vec![4, 3, 2]), Patterns::new(vec![3, 2, 2])];
    for (a, of_a) in &ours {
        for (b, of_b) in &theirs {
            let pattern: Vec<u8> =
                (0..4).map(|f| level(&of_a[f], &of_b[f], THRESHOLDS[f])).collect();
            assert!(all.add(&pattern, 1));
            if pattern[3] == 0 {
                assert!(blocks[0].add(&pattern[..3], 1));
            }
            if pattern[0] == 0 {
                assert!(blocks[1].add(&pattern[1..], 1));
            }
            pairs.push((a, b, pattern));
        }
    }
    assert_eq!(pairs.len(), 176_423);
    let u = all.shares(Probability::ZERO);
    let phone = fit(&blocks[0], &u[..3], &plain()).unwrap();
    let name = fit(&blocks[1], &u[1..], &plain()).unwrap();
    assert_eq!(u64::from(phone.rounds), own["block_phone"]["iters"].as_u64().unwrap());
    assert_eq!(u64::from(name.rounds), own["block_name"]["iters"].as_u64().unwrap());
    near(share(phone.prior), number(&own["block_phone"]["lam"]), 1e-12);
    near(share(name.prior), number(&own["block_name"]["lam"]), 1e-12);
    // Splink takes the mean of what two trainings found for one field.
    let mean = |a: &[Probability], b: &[Probability]| -> Vec<Probability> {
        let mean = |(a, b): (&Probability, &Probability)| a.units().midpoint(b.units());
        a.iter().zip(b).map(|pair| Probability::new(mean(pair)).unwrap()).collect()
    };
    let m = vec![
        phone.m[0].clone(),
        mean(&phone.m[1], &name.m[0]),
        mean(&phone.m[2], &name.m[1]),
        name.m[2].clone(),
    ];
    let weights = weights(&m, &u);
    for (field, comparison) in splink["comparisons"].as_array().unwrap().iter().enumerate() {
        let levels: Vec<&Value> = (comparison["levels"].as_array().unwrap().iter())
            .filter(|level| !level["m_probability"].is_null())
            .collect();
        assert_eq!(levels.len(), m[field].len());
        for (place, level) in levels.iter().enumerate() {
            let expected = (number(&level["m_probability"]), number(&level["u_probability"]));
            near(share(m[field][place]), expected.0, 1e-10);
            near(share(u[field][place]), expected.1, 1e-15);
            near(bits(weights[field][place]), (expected.0 / expected.1).log2(), 1e-6);
        }
    }
    let truth: BTreeSet<(String, String)> =
        csv(&std::fs::read_to_string(folder.join("data/matches_fodors_zagats.csv")).unwrap())
            .into_iter()
            .map(|row| (row[0].clone(), row[1].clone()))
            .collect();
    let odds = Weight::odds(Probability::from_parts(112, 176_423));
    for (threshold, label) in [(50, "p>=0.5"), (90, "p>=0.9"), (99, "p>=0.99")] {
        let least = Probability::from_parts(threshold, 100);
        let found: Vec<_> = (pairs.iter())
            .filter(|(.., p)| Probability::of_odds(odds + weight_of(p, &weights)) >= least)
            .collect();
        let right = |(a, b, _): &&&(&String, &String, Vec<u8>)| {
            truth.contains(&((*a).clone(), (*b).clone()))
        };
        assert_eq!(found.len() as u64, own[label]["pred"].as_u64().unwrap(), "{label}");
        let right = found.iter().filter(right).count() as u64;
        assert_eq!(right, own[label]["tp"].as_u64().unwrap(), "{label}");
    }
}

/// Expectation maximisation that learns `u` too, from all pairs: as one finds it in textbooks.
/// In floats, on the reference's own patterns, level 0 the worst.
fn naive(patterns: &[(Vec<Option<usize>>, f64)]) -> (f64, Vec<Vec<f64>>) {
    let levels = [4, 3, 2, 2];
    let mut share = 1e-3;
    let spread = |levels: usize, best: usize| -> Vec<f64> {
        let other = 0.1 / (levels - 1) as f64;
        (0..levels).map(|level| if level == best { 0.9 } else { other }).collect()
    };
    let mut m: Vec<Vec<f64>> = levels.iter().map(|n| spread(*n, n - 1)).collect();
    let mut u: Vec<Vec<f64>> = levels.iter().map(|n| spread(*n, 0)).collect();
    let mut last = f64::MIN;
    for _ in 0..500 {
        let density = |of: &[Vec<f64>], pattern: &[Option<usize>]| -> f64 {
            let known = pattern.iter().enumerate().filter_map(|(f, level)| Some((f, (*level)?)));
            known.map(|(field, level)| of[field][level]).product()
        };
        let (mut likelihood, mut matched, mut all) = (0.0, 0.0, 0.0);
        let mut sums = levels.map(|n| vec![(0.0, 0.0); n]);
        for (pattern, count) in patterns {
            let (one, two) = (share * density(&m, pattern), (1.0 - share) * density(&u, pattern));
            let w = one / (one + two);
            likelihood += count * (one + two).ln();
            matched += count * w;
            all += count;
            for (field, level) in pattern.iter().enumerate() {
                let Some(level) = level else { continue };
                sums[field][*level].0 += count * w;
                sums[field][*level].1 += count * (1.0 - w);
            }
        }
        share = matched / all;
        let normal = |sums: Vec<f64>| -> Vec<f64> {
            let least = 1e-6 * sums.iter().sum::<f64>();
            let raised: Vec<f64> = sums.iter().map(|sum| sum.max(least)).collect();
            let whole: f64 = raised.iter().sum();
            raised.iter().map(|sum| sum / whole).collect()
        };
        m = sums.iter().map(|of| normal(of.iter().map(|s| s.0).collect())).collect();
        u = sums.iter().map(|of| normal(of.iter().map(|s| s.1).collect())).collect();
        if (likelihood - last).abs() < 1e-10 * likelihood.abs() {
            break;
        }
        last = likelihood;
    }
    (share, m)
}

/// What the naive estimation finds are not the matches, five times as many as there are. The
/// same pairs are refused here: most of them match nothing, so whatever the smaller class is,
/// nobody asked for it.
#[test]
fn the_naive_estimation_fails_and_is_refused() {
    let Some(folder) = reference() else { return };
    let text = std::fs::read_to_string(folder.join("data/fz_patterns.csv")).unwrap();
    let mut patterns = Vec::new();
    let mut pairs = Patterns::new(vec![4, 3, 2, 2]);
    let best = [3, 2, 1, 1];
    for row in csv(&text) {
        let row: Vec<i64> = row.iter().map(|number| number.parse().unwrap()).collect();
        let of = |level: &i64| usize::try_from(*level).ok();
        let levels: Vec<Option<usize>> = row[..4].iter().map(of).collect();
        let flip = |(level, best): (&Option<usize>, usize)| {
            level.map_or(NOTHING, |level| u8::try_from(best - level).unwrap())
        };
        let flipped: Vec<u8> = levels.iter().zip(best).map(flip).collect();
        assert!(pairs.add(&flipped, u64::try_from(row[4]).unwrap()));
        patterns.push((levels, row[4] as f64));
    }
    let golden = &json(&folder, "g4_linkage.json");
    let (found, m) = naive(&patterns);
    near(found, number(&golden["em"]["lam"]), 1e-9);
    for (field, name) in ["name", "addr", "city", "type"].iter().enumerate() {
        for (level, m) in m[field].iter().enumerate() {
            near(*m, number(&golden["em"]["m"][name][level]), 1e-7);
        }
    }
    let there_are = number(&golden["n_true"]) / number(&golden["n_pairs"]);
    assert!(found > 5.0 * there_are, "{found} against {there_are}");
    assert!(number(&golden["metrics_p>=0.5"]["precision"]) < 0.21);
    let u = pairs.shares(Probability::ZERO);
    let refused = fit(&pairs, &u, &plain());
    assert!(matches!(refused, Err(EmError::Minority { .. })), "{refused:?}");
}

/// The same, on the counts alone: of all pairs of those restaurants, agreement in name, address,
/// city and kitchen.
#[test]
fn a_minority_of_matches_is_refused() {
    let counts = [161_360, 4389, 9426, 276, 445, 7, 399, 16, 21, 3, 1, 1, 25, 8, 37, 9];
    let mut pairs = Patterns::new(vec![2; 4]);
    for (agreement, count) in (0_u8..).zip(counts) {
        let pattern = [3, 2, 1, 0].map(|bit| 1 - (agreement >> bit & 1));
        assert!(pairs.add(&pattern, count));
    }
    assert_eq!(pairs.pairs(), 176_423);
    let refused = fit(&pairs, &pairs.shares(Probability::ZERO), &plain());
    let Err(EmError::Minority { found }) = refused else { panic!("{refused:?}") };
    assert!(found < Probability::from_parts(1, 100), "{found}");
}

/// The same numbers whatever the order in which pairs are counted (D-41).
#[test]
fn d_41_the_order_of_pairs_does_not_matter() {
    let of = |order: &[(u8, u8, u64)]| {
        let mut patterns = Patterns::new(vec![2, 2]);
        for (a, b, times) in order {
            assert!(patterns.add(&[*a, *b], *times));
        }
        let half = vec![Probability::from_parts(1, 2); 2];
        fit(&patterns, &[half.clone(), half], &Settings::default()).unwrap()
    };
    let pairs = [(0, 0, 90), (0, 1, 9), (1, 0, 8), (1, 1, 1), (0, 255, 7)];
    let mut back = pairs;
    back.reverse();
    assert_eq!(of(&pairs), of(&back));
    let grouped: BTreeMap<_, _> = pairs.iter().map(|(a, b, n)| ((*a, *b), *n)).collect();
    let grouped: Vec<_> = grouped.into_iter().map(|((a, b), n)| (a, b, n)).collect();
    assert_eq!(of(&grouped), of(&pairs));
}
