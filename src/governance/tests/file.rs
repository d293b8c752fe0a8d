//! `governance.toml`.

use alloc::string::String;

use super::*;

const SAMPLE: &str = include_str!("../testdata/governance.toml");

#[test]
fn irm_4_6_2_the_documented_file_loads() {
    let policy = Policy::from_toml("governance.toml", SAMPLE).unwrap();
    assert_eq!(policy.rules().len(), 7);
    assert_eq!(policy.reviewer().map(Name::as_str), Some("security"));
    let kinds = ["note.read", "mail.read", "payment.send", "mail.send"];
    let unknown = policy.unknown_kinds(kinds);
    assert_eq!(unknown.len(), 1, "{unknown:?}");
    assert_eq!(unknown[0].kind.as_str(), "web.read");
    assert!(unknown[0].never_matches);
    let again = Policy::from_toml("other.toml", SAMPLE).unwrap();
    assert_eq!(policy.digest(), again.digest());
    assert_eq!(
        alloc::format!("{}", policy.digest()),
        "c5e5df0bf7b22d6052f9b3718479c7887ce6f612d9fc552b868f45a2e5b2f11c"
    );
}

#[test]
fn faults_point_at_their_place() {
    let rule = |rest: &str| {
        alloc::format!("version = \"1\"\n[[rule]]\nid = \"r\"\nkinds = \"any\"\n{rest}\n")
    };
    for (text, line, column, says) in [
        ("version = \"\"\n".into(), 1, 11, "a version that is a name"),
        ("rules = 1\n".into(), 1, 1, "unknown field `rules`"),
        (rule("effect = \"permit\""), 5, 10, "unknown variant `permit`"),
        (rule("effect = \"modify\""), 3, 6, "`read_only` to modify"),
        (rule("effect = \"step-up\""), 3, 6, "`approver` and `timeout_seconds`"),
        (rule("effect = \"allow\"\nrisk_below = 2000000"), 6, 14, "1000000"),
        (rule("effect = \"allow\"\nhours = { from = \"8\", until = \"09:00\" }"), 6, 18, "HH:MM"),
        (
            rule("effect = \"deny\"\narguments.a = { sources = [\"user\"] }"),
            6,
            15,
            "rule `r`, argument `a`: expected `sources_any`",
        ),
        (
            rule("effect = \"allow\"\narguments.a = { sources_any = [\"user\"] }"),
            6,
            15,
            "would pass unseen",
        ),
        (rule("effect = \"allow\"\narguments.a = { at_most = 1.5 }"), 6, 27, "in quotes"),
        (rule("effect = \"allow\"\narguments.a = { }"), 6, 15, "at least one condition"),
        (
            rule("effect = \"deny\"\n[[rule]]\nid = \"r\"\nkinds = \"any\"\neffect = \"deny\""),
            7,
            6,
            "expected one rule `r`, found two",
        ),
        ("version = \"1\"\n[[rule]]\nid = \"r\"\neffect = \"deny\"\n".into(), 2, 1, "`kinds`"),
        (
            "version = \"1\"\n[[rule]]\nid = \"r\"\neffect = \"deny\"\nkinds = []\n".into(),
            3,
            6,
            "list of at least one kind",
        ),
    ] {
        let text: String = text;
        let error = Policy::from_toml("g.toml", &text).unwrap_err();
        assert!(error.message().contains(says), "{error}\n{text}");
        assert_eq!((error.line(), error.column()), (line, column), "{error}\n{text}");
    }
}

#[test]
fn several_roles_need_an_order() {
    let rule = |id: &str, role: &str| {
        alloc::format!(
            "[[rule]]\nid = \"{id}\"\neffect = \"step-up\"\nkinds = \"any\"\napprover = \"{role}\"\ntimeout_seconds = 1\n"
        )
    };
    let rules = alloc::format!("version = \"1\"\n{}{}", rule("a", "x"), rule("b", "y"));
    let error = Policy::from_toml("g.toml", &rules).unwrap_err();
    assert!(error.message().contains("strongest first"), "{error}");
    let ordered = alloc::format!("approvers = [\"y\", \"x\"]\n{rules}");
    assert!(Policy::from_toml("g.toml", &ordered).is_ok());
}
