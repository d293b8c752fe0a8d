//! The source tree, held against the inventory of secrets in `SECURITY.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a field's type or name says when it holds a secret.
const SECRET: [&str; 7] = [
    "Zeroizing<",
    "AsymmetricSecretKey",
    "SigningKey",
    "SecretKey",
    "tag: [u8; 32]",
    "secret: [u8",
    "key: [u8",
];

/// What a type with such a field must not be.
const FORBIDDEN: [&str; 9] =
    ["Debug", "Clone", "Copy", "Default", "PartialEq", "Eq", "Hash", "Serialize", "Deserialize"];

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// The code of a file without its comments and its tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    let uncommented = text.lines().map(|line| line.split("//").next().unwrap_or(""));
    uncommented.collect::<Vec<_>>().join("\n")
}

#[derive(Debug)]
struct Holder {
    name: String,
    derives: BTreeSet<String>,
}

/// The structs and enums with a field that holds a secret, and what they derive.
fn holders(code: &str) -> Vec<Holder> {
    let mut out = Vec::new();
    for keyword in ["struct ", "enum "] {
        for (at, _) in code.match_indices(keyword) {
            let own = code[..at].chars().next_back().is_none_or(char::is_whitespace);
            let rest = &code[at + keyword.len()..];
            let name: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            // To the end of the body: the `;` of a tuple, or the closing brace at depth 0.
            let mut depth = 0_i32;
            let mut end = rest.len();
            for (place, c) in rest.char_indices() {
                match c {
                    '{' | '(' => depth += 1,
                    '}' | ')' => depth -= 1,
                    _ => {}
                }
                if depth == 0 && (c == '}' || c == ';') {
                    end = place;
                    break;
                }
            }
            if !own || name.is_empty() || !SECRET.iter().any(|mark| rest[..end].contains(mark)) {
                continue;
            }
            // The attributes that stand before it.
            let before = &code[..at];
            let start = before.rfind(['}', ';']).map_or(0, |place| place + 1);
            let derives = before[start..]
                .match_indices("derive(")
                .flat_map(|(place, _)| {
                    let list = &before[start + place + "derive(".len()..];
                    list[..list.find(')').unwrap_or(0)].split(',')
                })
                .map(|name| name.trim().rsplit("::").next().unwrap_or("").to_owned())
                .collect();
            out.push(Holder { name, derives });
        }
    }
    out
}

/// Comparisons of what is called a tag, a secret or a key with `==` or `!=`.
fn comparisons(code: &str) -> Vec<String> {
    let named = |side: &str| {
        let side = side.trim().trim_end_matches(['(', ')']).trim_end_matches(".as_bytes");
        let side = side.trim_end_matches(['(', ')']);
        let last = side.rsplit(['.', ' ', '(', '&', '*', '!']).next().unwrap_or("");
        matches!(last, "tag" | "tags" | "secret" | "seed" | "signature" | "mac")
    };
    let mut out = Vec::new();
    for line in code.lines() {
        for operator in [" == ", " != "] {
            for (at, _) in line.match_indices(operator) {
                let left = &line[..at];
                let right = &line[at + operator.len()..];
                let right = right.split([')', '{', ',', ';', '&', '|']).next().unwrap_or("");
                if named(left) || named(right) {
                    out.push(line.trim().to_owned());
                }
            }
        }
    }
    out
}

#[test]
fn no_type_that_holds_a_secret_can_be_shown_copied_or_compared() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let inventory = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let (mut found, mut wrong) = (BTreeSet::new(), Vec::new());
    for file in files {
        let code = code(&fs::read_to_string(&file).unwrap());
        let place = file.strip_prefix(root).unwrap().display().to_string();
        for holder in holders(&code) {
            for derived in FORBIDDEN {
                if holder.derives.contains(derived) {
                    wrong.push(format!("{place}: `{}` derives {derived}", holder.name));
                }
            }
            if !inventory.contains(&format!("`{}`", holder.name)) {
                wrong.push(format!("{place}: SECURITY.md does not list `{}`", holder.name));
            }
            found.insert(holder.name);
        }
        for line in comparisons(&code) {
            wrong.push(format!("{place}: `{line}` does not compare in constant time"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for name in ["TokenMint", "ApprovalToken", "PortableToken", "SigningKey", "Bearer", "Signer"] {
        assert!(found.contains(name), "`{name}` was not looked at: {found:?}");
    }
}

#[test]
fn the_search_sees_what_it_must() {
    let bad = "#[derive(Debug, Clone)]\npub struct Mint {\n    key: Zeroizing<[u8; 32]>,\n}";
    let [mint] = &holders(bad)[..] else { panic!("{:?}", holders(bad)) };
    assert_eq!(mint.name, "Mint");
    assert!(mint.derives.contains("Debug") && mint.derives.contains("Clone"));
    let tuple = "#[derive(serde::Serialize)]\nstruct Text(Zeroizing<String>);\nstruct Other;";
    let [text] = &holders(tuple)[..] else { panic!("{:?}", holders(tuple)) };
    assert!(text.derives.contains("Serialize"));
    assert!(holders("#[derive(Debug)]\nstruct A { b: u8 }\nfn f(k: Zeroizing<u8>) {}").is_empty());
    for line in ["if mint.tag() == self.tag {", "a.secret != b", "x == *other.tag.as_bytes()"] {
        assert_eq!(comparisons(line).len(), 1, "{line}");
    }
    assert!(comparisons("if tag.kind == other { a.tags.len() == 3 }").is_empty());
}
