//! How a bench measures and prints.
//!
//! A line for people while it runs; at the end one line a row for `tools/bench`:
//!
//! ```text
//! result <row> <value> <unit> <ratio> <against>
//! ```
//!
//! with tabs between, `-` for what a row does not have, and the ratio as a decimal.
//! What is compared is measured in turns, batch by batch, and the least time of each is
//! taken: noise only ever adds.

use std::hint::black_box;
use std::time::Instant;

/// The bytes whose hash is the unit.
pub(crate) const BLOCK: [u8; 256] = [0x5a; 256];

/// The row of the unit.
pub(crate) const UNIT: &str = "hash-256";

/// One hash of 256 bytes.
pub(crate) fn hash() -> blake3::Hash {
    blake3::hash(black_box(&BLOCK))
}

/// Runs so many calls and gives the time of one in picoseconds.
pub(crate) fn batch(calls: u32, mut call: impl FnMut()) -> u128 {
    let start = Instant::now();
    for _ in 0..calls {
        call();
    }
    start.elapsed().as_nanos() * 1000 / u128::from(calls.max(1))
}

/// Hands a value on from call to call, so that nothing moves but what the call moves, and
/// gives the time of one call with the value that came out.
pub(crate) fn handed<T>(calls: u32, mut value: T, call: impl Fn(T) -> T) -> (u128, T) {
    let start = Instant::now();
    for _ in 0..calls {
        value = call(value);
    }
    (start.elapsed().as_nanos() * 1000 / u128::from(calls.max(1)), value)
}

/// The least time of one call in picoseconds, over batches of `calls`.
pub(crate) fn least(batches: u32, calls: u32, mut call: impl FnMut()) -> u128 {
    (0..batches).map(|_| batch(calls, &mut call)).min().unwrap_or(0)
}

/// The least times of several rivals, batch by batch in turns. Each entry runs one batch
/// and gives the time of one call: see [`batch`].
pub(crate) fn rivals(rounds: u32, entries: &mut [&mut dyn FnMut() -> u128]) -> Vec<u128> {
    let mut times = vec![u128::MAX; entries.len()];
    for _ in 0..rounds {
        for (least, entry) in times.iter_mut().zip(entries.iter_mut()) {
            *least = entry().min(*least);
        }
    }
    times
}

/// `value / against` with three decimals.
pub(crate) fn ratio(value: u128, against: u128) -> String {
    let thousandths = value.saturating_mul(1000) / against.max(1);
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

/// The rows of one bench.
pub(crate) struct Report {
    unit: u128,
    lines: Vec<String>,
}

impl Report {
    /// Measures the unit and begins.
    pub(crate) fn begin(title: &str) -> Self {
        let unit = least(200, 1000, || {
            black_box(hash());
        });
        println!("\n{title:<44} {:>14} {:>10}", "least time, ns", "ratio");
        let mut report = Self { unit, lines: Vec::new() };
        report.time(UNIT, "BLAKE3 of 256 bytes", unit);
        report
    }

    /// The time of the unit in picoseconds.
    pub(crate) fn unit(&self) -> u128 {
        self.unit
    }

    /// A time, in hashes of 256 bytes.
    pub(crate) fn time(&mut self, row: &str, text: &str, picos: u128) {
        self.beside(row, text, picos, UNIT, self.unit);
    }

    /// A time beside another one.
    pub(crate) fn beside(
        &mut self,
        row: &str,
        text: &str,
        picos: u128,
        against: &str,
        other: u128,
    ) {
        let ratio = ratio(picos, other);
        println!("{text:<44} {:>10}.{:03} {ratio:>10} × {against}", picos / 1000, picos % 1000);
        self.lines.push(format!("result\t{row}\t{picos}\tps\t{ratio}\t{against}"));
    }

    /// A count, beside another one where there is one.
    pub(crate) fn count(
        &mut self,
        row: &str,
        text: &str,
        count: (u128, &str),
        against: Option<(&str, u128)>,
    ) {
        let (value, unit) = count;
        let (ratio, against) = match against {
            Some((against, other)) => (ratio(value, other), against),
            None => ("-".to_owned(), "-"),
        };
        println!("{text:<44} {value:>14} {unit}");
        self.lines.push(format!("result\t{row}\t{value}\t{unit}\t{ratio}\t{against}"));
    }

    /// Prints the lines for `tools/bench`.
    pub(crate) fn end(self) {
        println!();
        for line in self.lines {
            println!("{line}");
        }
    }
}

/// Whether the bench was only asked for its list, or to try itself.
pub(crate) fn only_tried() -> bool {
    std::env::args().any(|arg| arg == "--test" || arg == "--list")
}
