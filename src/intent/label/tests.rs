use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::id::Name;
use crate::intent::schema::{Shape, Shapes};
use crate::provenance::Sensitivity;

fn outside() -> Label {
    Label::from(Source::Outside(Name::new("web").unwrap()))
}

fn made_up() -> Label {
    outside().join(&Source::Agent.into())
}

fn found(text: &str, value: impl Into<Value>) -> Label {
    let read = outside();
    label("x", &value.into(), &Shapes::new(), &LabelContext::new(Some(text), &read))
}

fn number(text: &str) -> Value {
    Value::Number(text.parse().unwrap())
}

#[test]
fn texts_count_as_the_users_when_they_stand_there_as_whole_words() {
    let text = "Please pay the bill 'bill-december-2023.txt' to Bob@Example.com\n and  tell #general \
                about GB29NWBK60 (it's urgent). See www.site.org/a/b. Alice's car, too!";
    for user in [
        "bill-december-2023.txt",
        "bob@example.com",
        "BOB@EXAMPLE.COM",
        "and tell #general",
        "general",
        "#general",
        "GB29NWBK60",
        "www.site.org/a/b",
        "urgent",
        "too",
        "Alice",
        "pay  the\tbill",
    ] {
        assert_eq!(found(text, user), Source::User.into(), "{user}");
    }
    for agent in [
        "example.com",
        "bob",
        "GB29",
        "29",
        "NWBK60",
        "december",
        "site.org",
        "www.site.org/a",
        "/a/b",
        "pa",
        "it",
        "gen",
        "carol",
        "http://www.site.org/a/b",
    ] {
        assert_eq!(found(text, agent), made_up(), "{agent}");
    }
}

#[test]
fn numbers_count_when_they_stand_there_as_numbers() {
    let text =
        "We spent 12.00, then $50 and 1,200.5 (-3 after), 10%; on 2022-03-01 id GB29 v1.2.3.";
    for user in ["12", "50", "1200.50", "-3", "10"] {
        assert_eq!(found(text, number(user)), Source::User.into(), "{user}");
    }
    for agent in ["3", "2022", "29", "1", "200.5", "1.2", "0", "12.01", "-50"] {
        assert_eq!(found(text, number(agent)), made_up(), "{agent}");
    }
    assert_eq!(found("about 7.", number("7")), Source::User.into());
    assert_eq!(found("1,20 or 12,3456", number("120")), made_up());
}

#[test]
fn nothing_is_the_users_without_the_users_text() {
    let read = outside();
    let context = LabelContext::new(None, &read);
    for value in ["general".into(), number("0"), number("12")] {
        assert_eq!(label("x", &value, &Shapes::new(), &context), made_up());
    }
}

#[test]
fn what_carries_no_information_is_the_policys() {
    for value in [
        Value::Null,
        Value::Bool(true),
        "".into(),
        "  ".into(),
        Value::List(vec![]),
        Value::Map([].into()),
    ] {
        assert_eq!(found("x", value), Source::Policy.into());
    }
}

#[test]
fn facts_and_constants_have_their_own_sources() {
    let read = outside();
    let secret = Label::from(Source::User).with_sensitivity(Sensitivity::Secret);
    let facts = |value: &Value| (value.as_text() == Some("hunter2")).then(|| secret.clone());
    let check = Shapes::new().optional("x", Shape::Any).constant("x", "no subject".into());
    let context = LabelContext::new(Some("Send the mail."), &read).with_facts(&facts);
    let of = |name: &str, value: &str| label(name, &value.into(), &check, &context);
    assert_eq!(of("x", "hunter2"), secret.clone().join(&Source::Memory.into()));
    assert_eq!(of("x", "no subject"), Source::Policy.into());
    assert_eq!(of("y", "no subject"), made_up());
    // In the user's words it is the user's, and as secret as before.
    let context = LabelContext::new(Some("Send hunter2 to me."), &read).with_facts(&facts);
    let told = label("x", &"hunter2".into(), &check, &context);
    assert_eq!(told, Label::from(Source::User).with_sensitivity(Sensitivity::Secret));
}

#[test]
fn lists_and_maps_join_their_items() {
    let text = "Invite alice and bob.";
    let list = |items: &[&str]| Value::List(items.iter().map(|item| (*item).into()).collect());
    assert_eq!(found(text, list(&["alice", "bob"])), Source::User.into());
    let mixed = found(text, list(&["alice", "mallory"]));
    assert!(mixed.is_outside() && mixed.has_user());
    let map = |key: &str| Value::Map([(Box::from(key), "alice".into())].into());
    assert!(found(text, map("x-evil")).is_outside(), "a key is information");
    assert_eq!(found(text, map("bob")), Source::User.into());
    #[cfg(feature = "files")]
    {
        let schema = crate::intent::schema::JsonSchema::new(
            r#"{"type": "object", "properties": {"x": {"type": "object", "properties": {"to": {}}}}}"#,
        )
        .unwrap();
        let read = outside();
        let context = LabelContext::new(Some(text), &read);
        assert_eq!(label("x", &map("to"), &schema, &context), Source::User.into());
    }
}

/// A label is pure user only when the value, as it is shown, stands in the text.
fn user_means_it_stands_there(text: &str, value: &str) -> Result<(), TestCaseError> {
    if found(text, value).has_user() {
        prop_assert!(normal(text).contains(&normal(value)));
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_users_values_stand_in_the_users_text(text in "[a-c .@-]{0,20}", value in "[a-c .@-]{0,5}") {
        user_means_it_stands_there(&text, &value)?;
    }

    #[test]
    fn a_word_of_the_text_is_the_users(words in prop::collection::vec("[a-z0-9]{3,6}", 1..6), at: prop::sample::Index) {
        let text: Vec<&str> = words.iter().map(|word| &**word).collect();
        let word = text[at.index(text.len())];
        prop_assert_eq!(found(&text.join(" "), word), Label::from(Source::User));
    }

    #[test]
    fn no_text_panics(text in ".{0,40}", value in ".{0,8}") {
        let _ = found(&text, &*value);
    }
}
