//! Errors point at the field; the digest is that of the content.

use super::*;

const OUTBOX: &str = r#"version = "1.0"
[[module]]
id = "mail"
type = "outbox"
version = "1.0"
tier = "commit"
required_state = "BASE"
intents = ["mail.send"]
journal = "mail.journal"
"#;

const PROCESS: &str = r#"version = "1.0"
[[module]]
id = "report"
type = "process"
version = "1.0"
tier = "act"
required_state = "BASE"
intents = ["report.build"]
program = "/bin/true"
folder = "/"
time_limit_ms = 1000
journal = "report.journal"
"#;

fn wrong(base: &str, from: &str, to: &str) -> String {
    assert!(base.contains(from), "{from}");
    ModulesFile::parse("m.toml", &base.replacen(from, to, 1)).unwrap_err().to_string()
}

/// Each error names file, line, column and field.
#[test]
fn errors_point_at_the_field() {
    let cases = [
        (
            OUTBOX,
            "version = \"1.0\"",
            "version = \"2.0\"",
            "m.toml:1:11: expected version `1.0`, found `2.0` (in `version`)",
        ),
        (
            OUTBOX,
            "version = \"1.0\"\ntier",
            "version = \"1\"\ntier",
            "m.toml:5:11: expected a version such as `1.0`, found `1` (in `version`)",
        ),
        (
            OUTBOX,
            "\"BASE\"",
            "\"HOLD\"",
            "m.toml:7:18: expected a required state other than HOLD and ESCALATED, found HOLD (in `required_state`)",
        ),
        (
            OUTBOX,
            "[\"mail.send\"]",
            "[]",
            "m.toml:8:11: expected at least one intent kind, found none (in `intents`)",
        ),
        (
            OUTBOX,
            "[\"mail.send\"]",
            "[\"a\", \"a\"]",
            "m.toml:8:11: intent kind `a` stands twice (in `intents`)",
        ),
        (
            OUTBOX,
            "journal = \"mail.journal\"",
            "",
            "m.toml:2:1: expected `journal` in a module of type outbox",
        ),
        (
            OUTBOX,
            "journal =",
            "reconciles = true\njournal =",
            "m.toml:9:14: `reconciles` has no meaning in a module of type outbox",
        ),
        (
            PROCESS,
            "time_limit_ms = 1000",
            "time_limit_ms = 0",
            "m.toml:11:17: expected 1 to 86400000 milliseconds, found 0 (in `time_limit_ms`)",
        ),
        (
            PROCESS,
            "journal =",
            "output_bytes = 1048577\njournal =",
            "m.toml:12:16: expected 1 to 1048576 bytes, found 1048577 (in `output_bytes`)",
        ),
        (
            PROCESS,
            "journal =",
            "no_effect_exit = [3, 0]\njournal =",
            "m.toml:12:18: exit code 0 means done (in `no_effect_exit`)",
        ),
        (
            PROCESS,
            "journal = \"report.journal\"",
            "",
            "m.toml:2:1: expected `journal` in a module of type process with a tier above observe",
        ),
        (
            PROCESS,
            "program = \"/bin/true\"\n",
            "",
            "m.toml:2:1: expected `program` in a module of type process",
        ),
    ];
    for (base, from, to, message) in cases {
        assert_eq!(wrong(base, from, to), message);
    }
    let unknown = wrong(OUTBOX, "journal =", "shell = true\njournal =");
    assert!(unknown.starts_with("m.toml:9:1: unknown field `shell`"), "{unknown}");
    let layer = wrong(OUTBOX, "intents =", "layers = [\"safety\", \"memory\"]\nintents =");
    assert!(layer.contains("in routing order") && layer.contains("(in `layers`)"), "{layer}");
    let row = OUTBOX.split_once('\n').unwrap().1;
    let twice = ModulesFile::parse("m.toml", &alloc::format!("{OUTBOX}{row}")).unwrap_err();
    assert_eq!(twice.to_string(), "m.toml:11:6: module `mail` stands twice (in `id`)");
    let other = row.replace("\"mail\"", "\"post\"");
    let shared = ModulesFile::parse("m.toml", &alloc::format!("{OUTBOX}{other}")).unwrap_err();
    assert!(shared.message().starts_with("another module has this journal"), "{shared}");
}

#[test]
fn the_digest_is_that_of_the_content() {
    let digest = |text: &str| ModulesFile::parse("m.toml", text).unwrap().digest();
    let row = PROCESS.split_once('\n').unwrap().1;
    let outbox = OUTBOX.split_once('\n').unwrap().1;
    let both = alloc::format!("{OUTBOX}{row}");
    let turned = alloc::format!("# a comment\n{PROCESS}{outbox}");
    assert_eq!(digest(&both), digest(&turned));
    for (from, to) in [("\"act\"", "\"commit\""), ("/bin/true", "/bin/false"), ("1000", "1001")] {
        assert_ne!(digest(PROCESS), digest(&PROCESS.replace(from, to)), "{from}");
    }
}

#[test]
fn configured_modules_are_registered() {
    let folder = tempfile::tempdir().unwrap();
    let row = PROCESS.split_once('\n').unwrap().1;
    let text = alloc::format!("{OUTBOX}{row}");
    let file = ModulesFile::parse("m.toml", &text).unwrap();
    let parse = |_: &[u8]| Ok(Value::Null);
    let opened = file.open(folder.path(), parse).unwrap();
    let names: Vec<_> = opened.registry.contracts().iter().map(|c| c.id().to_string()).collect();
    assert_eq!(names, ["mail", "report"]);
    assert_eq!(opened.outboxes.len(), 1);
    assert!(folder.path().join("mail.journal").exists());
    let second = file.open(folder.path(), parse).unwrap_err();
    assert!(second.to_string().contains("in use by another writer"), "{second}");
}
