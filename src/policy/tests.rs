//! A folder read from memory: the starter's files, changed one at a time.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};

use super::*;

const STARTER: [(&str, &str); 6] = [
    ("catalogue.toml", include_str!("../../assets/starter/policy/catalogue.toml")),
    ("table.toml", include_str!("../../assets/starter/policy/table.toml")),
    ("governance.toml", include_str!("../../assets/starter/policy/governance.toml")),
    ("identity.toml", include_str!("../../assets/starter/policy/identity.toml")),
    ("modules.toml", include_str!("../../assets/starter/policy/modules.toml")),
    ("router.toml", include_str!("../../assets/starter/policy/router.toml")),
];

fn read(changes: &[(&str, &str)]) -> Result<PolicyFolder, PolicyError> {
    let mut files: BTreeMap<&str, &str> = STARTER.into();
    files.extend(changes.iter().copied());
    PolicyFolder::read("p", |name| Ok(files.get(name).map(ToString::to_string)))
}

fn changed(file: &str, from: &str, to: &str) -> String {
    let (_, text) = STARTER.iter().find(|(name, _)| *name == file).unwrap();
    assert!(text.contains(from), "{file} has no `{from}`");
    text.replacen(from, to, 1)
}

fn refused(file: &str, text: &str) -> String {
    read(&[(file, text)]).unwrap_err().to_string()
}

#[test]
fn every_part_is_pinned_and_every_change_changes_its_pin_alone() {
    let pins = read(&[]).unwrap().pins();
    let names: Vec<_> = pins.parts().map(|(name, _)| name.to_string()).collect();
    let expected = [
        "catalogue",
        "classifier",
        "envelope",
        "governance",
        "identity",
        "kernel",
        "matrix",
        "modeling",
        "modules",
        "router",
        "table",
    ];
    assert_eq!(names, expected);
    for (file, pin, from, to) in [
        ("table.toml", "table", "version = \"1\"", "version = \"2\""),
        ("governance.toml", "governance", "= 900", "= 901"),
        ("identity.toml", "identity", "strength = 700000", "strength = 600000"),
        ("identity.toml", "identity", "approvers = [\"manager\"]", "approvers = []"),
        ("modules.toml", "modules", "mail.journal", "post.journal"),
        ("router.toml", "router", "objectives = \"user\"", "objectives = \"agent\""),
    ] {
        let text = changed(file, from, to);
        let other = read(&[(file, &text)]).unwrap().pins();
        let found: Vec<_> = pins.changed(&other).iter().map(ToString::to_string).collect();
        assert_eq!(found, [pin], "{file}");
    }
    for (file, text, pin) in [
        (
            "matrix.toml",
            "version = \"1.2\"\n[class]\nA = { observe = \"allow\", act = \"allow\", commit = \"allow\", privileged = \"block\" }\nB = { observe = \"allow\", act = \"allow\", commit = \"block\", privileged = \"block\" }\nC = { observe = \"block\", act = \"block\", commit = \"block\", privileged = \"block\" }\n",
            "matrix",
        ),
        ("envelope.toml", "version = \"2.0\"\nunknown = 400000\n", "envelope"),
        ("modeling.toml", "version = \"mine\"\n", "modeling"),
        (
            "intake.toml",
            "version = \"1\"\nsubject = \"a\"\nkind = \"/k\"\narguments = \"/a\"\nobjective = \"/o\"\nsession = [\"/s\"]\n",
            "intake",
        ),
    ] {
        let other = read(&[(file, text)]).unwrap().pins();
        let found: Vec<_> = pins.changed(&other).iter().map(ToString::to_string).collect();
        assert_eq!(found, [pin], "{file}");
    }
}

#[test]
fn comments_and_order_change_no_pin() {
    let pins = read(&[]).unwrap().pins();
    for (file, text) in STARTER {
        let commented = alloc::format!("# another word\n{text}\n# and another\n");
        assert_eq!(read(&[(file, &commented)]).unwrap().pins(), pins, "{file}");
    }
}

#[test]
fn each_required_file_is_asked_for_by_name() {
    for (missing, _) in &STARTER[..5] {
        let files: BTreeMap<&str, &str> = STARTER.into();
        let error = PolicyFolder::read("p", |name| {
            Ok(files.get(name).filter(|_| name != *missing).map(ToString::to_string))
        });
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(&alloc::format!("expected `p/{missing}` (")), "{error}");
    }
    let error = PolicyFolder::read("p", |_| Err("the disk is gone".into())).unwrap_err();
    assert_eq!(error.to_string(), "`p/catalogue.toml` cannot be read: the disk is gone");
}

#[test]
fn a_schema_is_read_from_inside_the_folder_alone() {
    for (path, expected) in [
        ("../secret.json", "expected a path inside the policy folder"),
        ("/etc/passwd", "expected a path inside the policy folder"),
        ("schemas/../../x.json", "expected a path inside the policy folder"),
        ("schemas/none.json", "no such file"),
    ] {
        let text = alloc::format!(
            "version = \"1\"\n[[kind]]\nkind = \"k\"\ndescription = \"\"\ntier = \"act\"\nflags = []\nscope = \"s\"\nschema = \"{path}\"\n"
        );
        let error = refused("catalogue.toml", &text);
        assert!(error.starts_with("p/catalogue.toml:8:10: "), "{error}");
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn kinds_that_do_not_exist_are_found_wherever_they_are_named() {
    for (file, text, expected) in [
        (
            "envelope.toml",
            "version = \"2.0\"\n[[forbidden]]\nid = \"f\"\nkinds = [\"mail.send\", \"mail.snd\"]\n".to_string(),
            "p/envelope.toml:4:23: rule `f`: no intent kind `mail.snd` in the catalogue; nearest: `mail.send`",
        ),
        (
            "modeling.toml",
            "version = \"1\"\n[[requires-before]]\nkind = \"mail.send\"\nany-of = [\"note.reed\"]\n".to_string(),
            "p/modeling.toml:4:11: no intent kind `note.reed` in the catalogue; nearest: `note.read`",
        ),
        (
            "modeling.toml",
            "version = \"1\"\n[[preference]]\nid = \"p\"\nstrength = \"hard\"\nkinds = [\"x\"]\nunwanted = true\n".to_string(),
            "p/modeling.toml:5:10: preference `p`: no intent kind `x` in the catalogue",
        ),
        (
            "modules.toml",
            changed("modules.toml", "[\"note.read\"]", "[\"note.read\", \"note.reads\"]"),
            "p/modules.toml:11:25: module `notes`: no intent kind `note.reads` in the catalogue; nearest: `note.read`",
        ),
        (
            "governance.toml",
            changed("governance.toml", "kinds = [\"mail.send\"]", "kinds = [\"mail.send\"]\nafter = [\"mail.sedn\"]"),
            "p/governance.toml:16:10: rule `mail-where-the-user-said`: no intent kind `mail.sedn` in the catalogue; nearest: `mail.send`",
        ),
    ] {
        assert_eq!(refused(file, &text), expected, "{file}");
    }
}

#[test]
fn a_kind_that_no_rule_lets_pass_is_a_notice() {
    let text = changed("governance.toml", "effect = \"allow\"", "effect = \"deny\"");
    let folder = read(&[("governance.toml", &text)]).unwrap();
    let notices: Vec<_> = folder.notices().iter().map(ToString::to_string).collect();
    let expected = "p/catalogue.toml:5:8: no rule lets kind `note.read` pass: it is always denied";
    assert_eq!(notices, [expected]);
}

#[test]
fn a_folder_opens_into_a_router_that_keeps_no_files() {
    use crate::routing::Router;
    use crate::ssot::memory::MemoryStore;
    use crate::time::{FixedClock, Timestamp};

    let opened = read(&[]).unwrap().open(Journals::Volatile, [7; 32]).unwrap();
    assert_eq!(opened.rules.governor.as_str(), "manager");
    assert_eq!(opened.outboxes.len(), 2);
    let clock = FixedClock::new(Timestamp::from_secs(1));
    let operator = "operator".parse().unwrap();
    Router::new(opened.engines, opened.rules, MemoryStore::new(), clock, operator).unwrap();
}
