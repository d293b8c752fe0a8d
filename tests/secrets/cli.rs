//! The command line is handed tokens: neither what it prints nor what it writes repeats one.

#[path = "../cli/support.rs"]
#[expect(dead_code, reason = "it belongs to the tests of the command line")]
mod support;

use std::path::Path;

use support::{Place, example};

use crate::marks::Marks;

fn token(name: &str) -> String {
    let path = Path::new(&example("office")).join("tokens").join(name);
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

/// Payload and signature; the header is the same for all tokens of a key.
fn secret_part(token: &str) -> &str {
    token.split_once('.').unwrap().1
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

fn files(folder: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
}

#[test]
fn no_token_reaches_what_is_printed_or_written() {
    let names = ["nora.jwt", "tomas.jwt", "intern.jwt", "lost-phone.jwt", "books.jwt"];
    let marks = names
        .iter()
        .fold(Marks::default(), |marks, name| marks.text(name, secret_part(&token(name))));
    let place = Place::new();
    copy(Path::new(&example("office")), &place.path("o"));
    let nora = token("nora.jwt");
    let cut = &nora[..nora.len() - 7];
    let mut lines = std::fs::read_to_string(place.path("o/intents.jsonl")).unwrap();
    // A token in a line, and in every wrong place somebody may put one.
    for line in [
        format!(r#"{{"session": {{"token": "{nora}"}}}}"#),
        format!(r#"{{"session": {{"token": "{cut}"}}}}"#),
        format!(r#"{{"session": {{"token": ["{nora}"]}}}}"#),
        format!(r#"{{"session": {{"token_file": "{nora}"}}}}"#),
        format!(r#"{{"session": {{"kind": "{nora}"}}}}"#),
        format!(r#"{{"session": {{"consent": "{nora}"}}}}"#),
        format!(r#"{{"session": {{"id": "{nora}", "subject": "nora"}}}}"#),
        format!(r#"{{"session": {{"{nora}": 1}}}}"#),
        format!(r#"{{"user": {{"session": "monday/nora", "token": "{nora}"}}}}"#),
    ] {
        lines.push_str(&line);
        lines.push('\n');
    }
    std::fs::write(place.path("o/intents.jsonl"), &lines).unwrap();
    let mut said = Vec::new();
    let mut run = |args: &[&str]| {
        let run = place.run(args);
        said.push((args.join(" "), format!("{}\n{}", run.out, run.err)));
    };
    for format in ["json", "text"] {
        let store = format!("{format}.redb");
        run(&["route", "o", "--store", &store, "--format", format, "--verbose"]);
        run(&["verify", &store]);
        run(&["show", &store, "r-07"]);
        run(&["audience", &store, "nora"]);
        for token in ["o/tokens/tomas.jwt", "o/tokens/nora.jwt", &nora] {
            let args = ["approve", &store, "r-07", "--policy", "o/policy", "--grant"];
            run(&[&args[..], &["--now", "1767607200000", "--token", token]].concat());
        }
    }
    assert!(said.iter().any(|(_, text)| text.contains("allow")), "{said:?}");
    for (command, text) in &said {
        marks.absent(command, text);
    }
    let mut written = Vec::new();
    files(&place.path("."), &mut written);
    let own = |path: &Path| path.extension().is_some_and(|e| e == "jwt" || e == "jsonl");
    let mut searched = 0;
    for path in written.iter().filter(|path| !own(path)) {
        marks.absent(&path.display().to_string(), std::fs::read(path).unwrap());
        searched += 1;
    }
    assert!(searched > 5, "the stores and journals: {written:?}");
}
