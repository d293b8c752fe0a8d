//! The matrix as data, as text and as a page.

use prospera::digest::Domain;
use prospera::encode::{Decode as _, Encode as _};
use prospera::id::Subsystem;
use prospera::ssot::matrix::{
    Cell, Check, Fault, Inspector, LogOnly, Matrix, Options, PageOptions, Rule, State, TableOptions,
};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{Batch, Store as _};
use prospera::time::Timestamp;

use crate::forge::{Forge, day, made, matrix, stream};

fn broken() -> Matrix {
    let mut forge = Forge::new();
    let place = forge.find(RecordKind::Fact, 1);
    forge.sheet(place).source = Subsystem::Pipeline;
    matrix(&forge.seal())
}

/// The same log gives the same bytes, which read back; any other byte is another matrix.
#[test]
fn a_matrix_has_one_form_and_one_digest() {
    let (one, two) = (matrix(&day()), matrix(&day()));
    let bytes = one.to_canonical();
    assert_eq!(bytes, two.to_canonical());
    assert_eq!(one.digest(), Domain::IntegrityMatrix.hash(&bytes));
    assert_eq!(Matrix::from_canonical(&bytes).unwrap(), one);
    let bad = broken();
    assert_ne!(bad.digest(), one.digest());
    let bytes = bad.to_canonical();
    assert_eq!(Matrix::from_canonical(&bytes).unwrap(), bad);
    for at in 0..bytes.len() {
        assert!(Matrix::from_canonical(&bytes[..at]).is_err(), "cut at {at}");
        let mut other = bytes.clone();
        other[at] ^= 1;
        if let Ok(other) = Matrix::from_canonical(&other) {
            assert_ne!(other.digest(), bad.digest(), "byte {at}");
        }
    }
}

/// A known answer: the form is part of what is signed.
#[test]
fn the_form_of_an_empty_matrix_is_known() {
    let store = MemoryStore::new();
    let mut inspector = Inspector::new(LogOnly);
    inspector.run(&store, &Options::default(), |_| {}).unwrap();
    let empty = inspector.matrix(&store, made()).unwrap();
    let hex: String = empty.to_canonical().iter().map(|byte| format!("{byte:02x}")).collect();
    let root = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let made = "00505c18a3010000060000006120746573740000000000000000";
    assert_eq!(
        hex,
        format!(
            "1900000070726f737065726120696e74656772697479206d6174726978\
             01{made}00000000000000000001{root}0000000000000000000000000000000000"
        )
    );
    assert_eq!(empty.digest().to_string(), DIGEST);
}

const DIGEST: &str = "5a5562fadbdb5ce710d24a04668b15e4d72ed4238b90209ed3229722d2668839";

#[test]
fn json_says_everything() {
    let found = broken();
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["verdict"], "unsound");
    assert_eq!(json["digest"], found.digest().to_string());
    assert_eq!(json["rows"].as_array().unwrap().len(), found.rows().len());
    let memory = json["rows"].as_array().unwrap().iter();
    let memory = memory.clone().find(|row| row["stream"] == "/ssot/memory/alice").unwrap();
    let cell = &memory["cells"]["identity"];
    assert_eq!(cell["state"], "unsound");
    assert_eq!(cell["fault"]["rule"], "identity.source");
    assert_eq!(cell["fault"]["found"], "pipeline");
    assert_eq!(memory["cells"]["snapshot"]["state"], "not-applicable");
    assert_eq!(json["checks"]["identity"]["unsound"], 1);
}

#[test]
fn a_fault_found_by_other_means_is_laid_over() {
    let mut found = matrix(&day());
    let own = stream(StreamKind::Routing, "s-1");
    let fault = Fault::new(Rule::Rederived, (9, 2), "allow", "deny");
    assert!(found.lay_over(&own, Check::Replay, Err(fault.clone())));
    assert!(!found.lay_over(&own, Check::Replay, Err(fault.clone())), "only the first");
    assert!(!found.lay_over(&own, Check::Replay, Ok(3)), "a fault stays");
    assert!(!found.lay_over(&own, Check::Policy, Err(fault.clone())), "of another check");
    let nobody = stream(StreamKind::Routing, "nobody");
    assert!(!found.lay_over(&nobody, Check::Replay, Err(fault.clone())));
    assert!(found.lay_over(&own, Check::Snapshot, Ok(1)));
    assert_eq!(found.row(&own).unwrap().cell(Check::Snapshot), &Cell::Sound { records: 1 });
    assert_eq!(found.row(&own).unwrap().cell(Check::Replay).fault(), Some(&fault));
    assert_eq!(found.verdict(), State::Unsound);
}

#[test]
fn the_table_says_in_words_what_it_colours() {
    let found = broken();
    let text = found.table(&TableOptions::default());
    assert!(text.starts_with("SSOT Integrity Matrix v1.0: UNSOUND\n"), "{text}");
    assert!(!text.contains('\u{1b}'));
    for part in [
        "✗ BAD",
        "/ssot/memory/: 1 unsound",
        "✗  /ssot/memory/alice: record ",
        "identity.source: expected memory as its source, found pipeline",
        "A subsystem asked for a record of a kind that it never writes.",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let colours = found.table(&TableOptions { colour: true, ..TableOptions::default() });
    let mut plain = String::new();
    let mut rest = colours.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed(&plain), squeezed(&text));
    let longest = |width| {
        let text = found.table(&TableOptions { width, ..TableOptions::default() });
        let grid = text.split("\nFirst faults").next().unwrap().to_owned();
        let lines = grid.lines().filter(|line| line.contains("✗ BAD"));
        lines.map(|line| line.chars().count()).max().unwrap()
    };
    assert!(longest(82) <= 82, "{}", longest(82));
}

fn many(streams: usize) -> MemoryStore {
    let store = MemoryStore::new();
    for number in 0..streams {
        let own = StreamId::new(StreamKind::Memory, format!("u-{number:06}").parse().unwrap());
        let draft = Draft::new(own.clone(), RecordKind::Fact, Subsystem::Memory, vec![1]);
        let head = store.head(&own).unwrap();
        store
            .append(&Batch::new(Timestamp::from_millis(1)).expect(own, head).append(draft))
            .unwrap();
    }
    store
}

/// However many streams there are, what is not sound is shown first and nothing is left
/// out without being counted.
#[test]
fn a_hundred_thousand_streams_stay_readable() {
    let store = many(100_000);
    let mut inspector = Inspector::new(LogOnly);
    inspector.run(&store, &Options::default(), |_| {}).unwrap();
    let mut found = inspector.matrix(&store, made()).unwrap();
    for number in [70_000, 99_999] {
        let own = stream(StreamKind::Memory, &format!("u-{number:06}"));
        let fault = Fault::new(Rule::Facts, (number, 0), "a", "b");
        assert!(found.lay_over(&own, Check::Replay, Err(fault)));
    }
    let text = found.table(&TableOptions::default());
    assert!(text.lines().count() < 60, "{}", text.lines().count());
    let first = text.find("u-070000 (1)").unwrap();
    assert!(first < text.find("u-099999 (1)").unwrap());
    assert!(text.find("u-099999 (1)").unwrap() < text.find("u-000000 (1)").unwrap());
    assert!(text.contains("99,988 more not checked streams"), "{text}");
    let page = found.html(&PageOptions::default());
    assert!(page.len() < 400_000, "{}", page.len());
    assert!(page.contains("99,800 more not checked streams"));
    assert!(page.contains("u-070000") && page.contains("u-099999"));
    // What a stream costs to remember, without bodies.
    let saved = inspector.save().len();
    assert!(saved < 160 * 100_000, "{saved}");
}

#[test]
fn the_page_stands_alone_and_escapes_what_a_log_says() {
    let mut forge = Forge::new();
    let hostile = "<script>alert('x')</script>&\"";
    let place = forge.find(RecordKind::Fact, 0);
    let mut sheet = forge.sheets[place].clone();
    sheet.was = None;
    sheet.stream = StreamId::new(StreamKind::Memory, hostile.parse().unwrap());
    forge.sheets.push(sheet);
    let found = matrix(&forge.seal());
    assert_eq!(found.verdict(), State::Unsound, "facts of somebody without a session");
    let page = found.html(&PageOptions { title: hostile, ..PageOptions::default() });
    assert!(!page.contains("<script"), "no script, the log's or ours");
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;"));
    for outside in ["http:", "https:", "url(", "@import", "src="] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
    for text in [
        "<h1>",
        "First faults",
        "identity.no-session",
        "What the checks ask",
        "Tree root",
        "a test",
        "2027-01-15T08:00:00.000Z",
        &found.digest().to_string(),
    ] {
        assert!(page.contains(text), "{text}");
    }
    if let Ok(path) = std::env::var("MATRIX_PAGE") {
        std::fs::write(path, &page).unwrap();
    }
    for check in Check::ALL {
        assert!(page.contains(&format!(">{check}</th>")), "{check}");
    }
    // Each opened tag is closed.
    for tag in ["table", "thead", "tbody", "tr", "th", "td", "div", "dl", "ol", "li", "p", "main"] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}
