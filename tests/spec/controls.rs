//! Tests of the check itself: each of its complaints is provoked, and what is right passes.

use std::path::Path;

use super::citations::{PREFIXES, scan};
use super::sources::{Source, is_scanned};
use super::{Spec, Status, cells, read_this_crate};

const HEAD: &str = "# Requirements\n\n| id | requirement | status | implemented | tested |\n|---|---|---|---|---|\n";

/// A specification with the given rows and one more for each prefix.
fn spec(rows: &str) -> String {
    let end = if rows.is_empty() { "" } else { "\n" };
    format!(
        "{HEAD}{rows}{end}| ASM2-9.1 | a | planned | — | — |\n| IRM-9.1 | b | planned | — | — |\n\
         | PLAN-9.1 | c | planned | — | — |\n| D-90 | d | planned | — | — |\n"
    )
}

fn sources(files: &[(&str, &str)]) -> Vec<Source> {
    files
        .iter()
        .map(|(path, text)| Source { path: (*path).to_owned(), text: (*text).to_owned() })
        .collect()
}

fn check(rows: &str, files: &[(&str, &str)]) -> Vec<String> {
    Spec::parse(&spec(rows)).check(&sources(files))
}

fn scanned(line: &str) -> Vec<String> {
    scan(line).iter().map(ToString::to_string).collect()
}

fn one(problems: &[String], expected: &str) {
    assert!(
        problems.len() == 1 && problems.iter().all(|problem| problem == expected),
        "{problems:#?}"
    );
}

#[test]
fn ids_are_found_wherever_comments_put_them() {
    assert_eq!(
        scanned("/// ASM2-5.7, (IRM-3.1.4); see `PLAN-4.6.2`/D-27."),
        ["ASM2-5.7", "IRM-3.1.4", "PLAN-4.6.2", "D-27"]
    );
    assert_eq!(scanned("(* D-1 *)"), ["D-1"]);
    assert_eq!(
        scanned("§D-1's \"ASM2-4.\" ASM2-4.x IRM-4.1-like"),
        ["D-1", "ASM2-4", "ASM2-4", "IRM-4.1"]
    );
}

#[test]
fn lookalikes_are_no_ids() {
    for line in [
        "MD-5",
        "ED-25",
        "3D-1",
        "x-D-1",
        "_D-1",
        "D-1a",
        "D-1_2",
        "D-",
        "D--1",
        "d-1",
        "ASM2",
        "ASM-2",
        "XIRM-4.1",
        "D-99999999999",
        "éD-1",
    ] {
        assert_eq!(scanned(line), [""; 0], "{line}");
    }
}

#[test]
fn ranges_are_read_as_one_citation() {
    assert_eq!(scanned("ASM2-4.1..ASM2-4.9 and D-1..D-10"), ["ASM2-4.1..ASM2-4.9", "D-1..D-10"]);
    assert_eq!(scanned("D-1..=D-3, D-1..10, D-1...D-3"), ["D-1", "D-3", "D-1", "D-1", "D-3"]);
    assert_eq!(scan("D-1..D-3").len(), 1);
}

#[test]
fn a_range_counts_for_its_ends_and_what_lies_between() {
    let rows = "| D-1 | a | planned | — | — |\n| D-2 | b | done | `src/a.rs` | `tests/a.rs` |\n| D-3 | c | done | `src/a.rs` | `tests/a.rs` |";
    let files = [("src/a.rs", "// D-1..D-3"), ("tests/a.rs", "// D-1..D-3")];
    assert_eq!(check(rows, &files), [""; 0]);
    let short = [("src/a.rs", "// D-1..D-3"), ("tests/a.rs", "// D-1..D-2")];
    assert!(
        check(rows, &short)
            .iter()
            .any(|problem| problem.contains("`D-3` is done, but no test cites it"))
    );
}

#[test]
fn a_range_whose_ends_do_not_belong_together_is_reported() {
    let rows = "| D-1 | a | planned | — | — |\n| D-3 | c | planned | — | — |";
    for range in ["D-3..D-1", "D-1..D-1", "D-1..ASM2-9.1"] {
        let text = format!("\n// {range}");
        one(
            &check(rows, &[("src/a.rs", &text)]),
            &format!(
                "src/a.rs:2: `{range}` is no range: the ends must differ in their last number only, and rise"
            ),
        );
    }
}

#[test]
fn a_range_with_an_unknown_end_is_reported() {
    let problems = check("| D-1 | a | planned | — | — |", &[("src/a.rs", "// D-1..D-3")]);
    one(&problems, "src/a.rs:1: cites `D-3`, which SPEC.md does not list");
}

#[test]
fn done_and_cited_on_both_sides_passes() {
    let rows = "| D-1 | a | done | `src/a.rs` | `src/a.rs` |";
    assert_eq!(
        check(rows, &[("src/a.rs", "// D-1\n#[cfg(test)]\nmod tests {\n    // D-1\n}\n")]),
        [""; 0]
    );
    let rows = "| D-1 | a | done | `src/a.rs` | `proofs/a.v` |";
    assert_eq!(check(rows, &[("src/a.rs", "// D-1"), ("proofs/a.v", "(* D-1 *)")]), [""; 0]);
}

#[test]
fn done_without_code_is_reported() {
    let rows = "| D-1 | a | done | — | `tests/a.rs` |";
    one(
        &check(rows, &[("tests/a.rs", "// D-1")]),
        "SPEC.md:5: `D-1` is done, but no code under src/ cites it",
    );
    let only_a_test =
        [("src/a.rs", "#[cfg(test)]\nmod tests {\n    // D-1\n}\n"), ("tests/a.rs", "// D-1")];
    one(&check(rows, &only_a_test), "SPEC.md:5: `D-1` is done, but no code under src/ cites it");
}

#[test]
fn done_without_a_test_is_reported() {
    let rows = "| D-1 | a | done | `src/a.rs` | — |";
    let files = [("src/a.rs", "// D-1"), ("benches/a.rs", "// D-1"), ("examples/a.rs", "// D-1")];
    one(&check(rows, &files), "SPEC.md:5: `D-1` is done, but no test cites it");
}

#[test]
fn done_with_empty_columns_is_reported() {
    let problems =
        check("| D-1 | a | done | — | — |", &[("src/a.rs", "// D-1"), ("tests/a.rs", "// D-1")]);
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems.iter().all(|problem| problem.contains("names no file")), "{problems:#?}");
}

#[test]
fn a_column_that_names_a_file_without_the_citation_is_reported() {
    let rows = "| D-1 | a | done | `src/a.rs`, `src/b.rs` | `tests/a.rs` |";
    let files = [("src/a.rs", "// D-1"), ("src/b.rs", "// D-90"), ("tests/a.rs", "// D-1")];
    let expected = "SPEC.md:5: `D-1` names `src/b.rs` in its column `implemented`, which does not cite it there (set PROSPERA_SPEC_FILL=1 to fill it in anew)";
    one(&check(rows, &files), expected);
}

#[test]
fn an_unknown_id_is_reported_wherever_it_is_cited() {
    for path in
        ["src/a.rs", "tests/ui/a.rs", "fuzz/a.rs", "proofs/a.v", "benches/a.rs", "examples/a.toml"]
    {
        let problems = check("", &[(path, "\n\n# ASM2-5.99")]);
        one(&problems, &format!("{path}:3: cites `ASM2-5.99`, which SPEC.md does not list"));
    }
}

#[test]
fn a_section_may_be_cited_and_is_no_evidence() {
    assert_eq!(
        check("| D-1 | a | planned | — | — |", &[("src/a.rs", "// ASM2-9, IRM-9")]),
        [""; 0]
    );
    let section = [("src/a.rs", "// ASM2-5"), ("tests/a.rs", "// ASM2-5")];
    assert_eq!(check("| ASM2-5.1 | a | done | — | — |", &section).len(), 2);
    one(
        &check("", &[("src/a.rs", "// ASM2-5")]),
        "src/a.rs:1: cites `ASM2-5`, which SPEC.md does not list",
    );
    one(
        &check("| ASM2-50.1 | a | planned | — | — |", &[("src/a.rs", "// ASM2-5")]),
        "src/a.rs:1: cites `ASM2-5`, which SPEC.md does not list",
    );
}

#[test]
fn malformed_tables_are_reported() {
    for (rows, expected) in [
        (
            "| D-1 | a | planned | — | — |\n| D-1 | b | planned | — | — |",
            "SPEC.md:6: `D-1` is listed twice, first in line 5",
        ),
        (
            "| D-1 | a | finished | — | — |",
            "SPEC.md:5: `D-1` has the unknown status `finished`, expected `done`, `partial`, `planned` or `n/a`",
        ),
        ("| D-1 | a | planned | — |", "SPEC.md:5: a row needs 5 columns, found 4"),
        ("| X-1 | a | planned | — | — |", "SPEC.md:5: `X-1` is no id"),
        ("| D-1 |  | planned | — | — |", "SPEC.md:5: `D-1` states no requirement"),
        (
            "| D-1 | a | partial | — | — |",
            "SPEC.md:5: `D-1` is partial and does not say after `missing:` what is missing",
        ),
        (
            "| D-1 | a | partial | missing: | — |",
            "SPEC.md:5: `D-1` is partial and does not say after `missing:` what is missing",
        ),
        (
            "| D-1 | a | n/a | — | — |",
            "SPEC.md:5: `D-1` is n/a and does not say after `reason:` why",
        ),
    ] {
        one(&check(rows, &[]), expected);
    }
    let rows = "| D-1 | a | done | `src/a.rs`; missing: half | `tests/a.rs` |";
    let files = [("src/a.rs", "// D-1"), ("tests/a.rs", "// D-1")];
    one(
        &check(rows, &files),
        "SPEC.md:5: `D-1` is done and yet says after `missing:` that something is missing",
    );
}

#[test]
fn lost_tables_are_reported() {
    assert_eq!(Spec::parse("").check(&[]).len(), PREFIXES.len());
    let misspelt = format!("{}\n| id | rule |\n|---|---|\n| D-1 | a |\n", spec(""));
    one(
        &Spec::parse(&misspelt).check(&[]),
        "SPEC.md:12: `D-1` stands in a table without the header `id | requirement | status | implemented | tested`",
    );
}

#[test]
fn escaped_bars_belong_to_their_cell() {
    assert_eq!(cells("| a \\| b | c |"), Some(vec!["a \\| b".to_owned(), "c".to_owned()]));
    assert_eq!(cells("a | b"), None);
}

#[test]
fn code_after_a_test_item_is_code() {
    let numbers = |path: &str, text: &str| {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        source.test_lines().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(numbers("src/a.rs", "a\n#[cfg(test)]\nmod tests {\n}\nb"), [2, 3, 4, 5]);
    assert_eq!(numbers("src/a.rs", "a\n#[cfg(test)]\nmod tests;\nb"), [2, 3]);
    assert_eq!(numbers("src/a.rs", "#[cfg(test)] use b;\nb"), [1]);
    assert_eq!(
        numbers(
            "src/a.rs",
            "    #[cfg(test)]\n    #[must_use]\n    fn f(\n    ) -> B {\n        {}\n    }\nb"
        ),
        [1, 2, 3, 4, 5, 6]
    );
    assert_eq!(
        numbers("src/a.rs", "#[cfg(all(test, feature = \"cli\"))]\nmod tests {\n}"),
        [1, 2, 3]
    );
    assert_eq!(numbers("src/a.rs", "// on #[cfg(test)]\na"), [0; 0]);
    assert_eq!(numbers("src/a.rs", "#![cfg(test)]\na"), [1, 2]);
    assert_eq!(numbers("src/a/tests.rs", "a\nb"), [1, 2]);
}

#[test]
fn only_sources_are_scanned() {
    for path in [
        "src/a.rs",
        "proofs/coq/a.v",
        "examples/a/table.toml",
        "tests/specimen.rs",
        "proofs/README.md",
        "tests/ui/a.rs",
    ] {
        assert!(is_scanned(path), "{path}");
    }
    for path in [
        "tests/spec.rs",
        "tests/spec/citations.rs",
        "tests/ui/a.stderr",
        "fuzz/README.md",
        "src/a",
        "examples/a.json",
    ] {
        assert!(!is_scanned(path), "{path}");
    }
}

#[test]
fn filling_in_keeps_everything_but_the_columns() {
    let text = spec(
        "| D-1 | a \\| b | done | — | `tests/gone.rs` |\n| D-2 | c | partial | missing: the rest | — |\n\
         | D-3 | d | n/a | reason: history | — |",
    );
    let files = sources(&[
        ("src/e.rs", "// D-1"),
        ("src/a.rs", "// D-1..D-3"),
        ("src/b.rs", "// D-1"),
        ("src/c.rs", "// D-1, D-2"),
        ("tests/a.rs", "// D-1..D-3"),
    ]);
    let filled = Spec::parse(&text).fill(&text, &files);
    let expected = text
        .replace(
            "| done | — | `tests/gone.rs` |",
            "| done | `src/b.rs`, `src/c.rs`, `src/e.rs`, … | `tests/a.rs` |",
        )
        .replace(
            "| missing: the rest | — |",
            "| `src/c.rs`, `src/a.rs`; missing: the rest | `tests/a.rs` |",
        );
    assert_eq!(filled, expected);
    assert_eq!(Spec::parse(&filled).fill(&filled, &files), filled);
    assert_eq!(Spec::parse(&filled).check(&files), [""; 0]);
}

#[test]
fn the_real_tables_and_sources_are_read() {
    let (text, sources) =
        read_this_crate(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_or_default();
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"));
    assert!(Spec::parse(&text).rows.len() > 300);
    let citing = Source { path: "src/planted.rs".to_owned(), text: "// ASM2-99.1".to_owned() };
    let problems = Spec::parse(&text).check(&[citing]);
    assert!(
        problems.iter().any(|problem| problem.starts_with("src/planted.rs:1: cites `ASM2-99.1`"))
    );
    let mut claimed = Spec::parse(&text);
    claimed.rows.iter_mut().take(1).for_each(|row| row.status = Status::Done);
    assert!(
        claimed.check(&[]).iter().any(|problem| problem.contains("is done, but no test cites it"))
    );
}
