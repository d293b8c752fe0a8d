//! A decision: the ten rules of the office example, asked about fifteen requests.
//!
//! Ours is [`Governor`]'s `rule`, which answers with the rule that decided, its reasons
//! and what follows (who is asked until when, what is taken away), and checks the kernel's
//! rules first. Cedar answers allow or deny and names the policies that decided, from which
//! the five answers are read; it would also resolve entity hierarchies, which these rules
//! have no use for. Regorus answers with the value of one entry point; Rego can compute
//! whatever JSON one likes. Both are given what they decide on as values made before.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;

use cedar_policy::{
    Authorizer, Context, Decision as Answer, Entities, EntityUid, PolicyId, PolicySet, Request,
    RestrictedExpression,
};
use prospera::audience::state::State;
use prospera::digest::Digest;
use prospera::governance::{
    Authority, Decision, GovernanceEngine, GovernanceInput, Governor, Policy,
};
use prospera::id::{KindId, Name, PrincipalId, SnapshotId};
use prospera::intent::schema::{Shape, Shapes};
use prospera::intent::{
    Argument, Catalogue, Intent, KindSpec, Objective, Request as Asked, RoutingComponents,
    RoutingId,
};
use prospera::provenance::{Label, Source};
use prospera::risk::Risk;
use prospera::time::Timestamp;
use prospera::value::{Decimal, Value};
use prospera::verdict::{CapabilityTier, Consensus, Drift, SafetyFlags, Verdict};
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{CompiledPolicy, Engine};

use crate::common::report::{Report, batch, rivals};

/// One request, as every engine is asked it.
#[derive(Clone)]
struct Ask {
    kind: &'static str,
    state: State,
    /// Arguments with the sources of each.
    sources: Vec<(&'static str, Vec<&'static str>)>,
    cents: i64,
    context_outside: bool,
    paid: u32,
    minute: u64,
    expected: Verdict,
}

fn ask(kind: &'static str, expected: Verdict) -> Ask {
    Ask {
        kind,
        state: State::Verified,
        sources: Vec::new(),
        cents: 0,
        context_outside: false,
        paid: 1,
        minute: 600,
        expected,
    }
}

impl Ask {
    fn with(mut self, argument: &'static str, sources: &[&'static str]) -> Self {
        self.sources.push((argument, sources.to_vec()));
        self
    }

    fn pay(cents: i64, to: &[&'static str], invoice: bool, expected: Verdict) -> Self {
        let mut ask = ask("payment.send", expected).with("to", to);
        if invoice {
            ask = ask.with("invoice", &["user"]);
        }
        ask.cents = cents;
        ask
    }

    fn sources(&self, argument: &str) -> Option<&[&'static str]> {
        let found = self.sources.iter().find(|(name, _)| *name == argument);
        found.map(|(_, sources)| sources.as_slice())
    }
}

/// The questions: every rule matches in one and fails to match in another.
fn asks() -> Vec<Ask> {
    use Verdict::{Allow, Defer, Deny, Modify, StepUp};
    let mail = |to: &[&'static str], expected| ask("mail.send", expected).with("to", to);
    let after_mail = |ask: Ask| Ask { context_outside: true, ..ask };
    vec![
        ask("calendar.read", Allow),
        ask("mail.read", Allow),
        ask("calendar.add", Allow),
        ask("records.erase", Deny),
        mail(&["user"], Allow),
        mail(&["agent"], Deny),
        after_mail(mail(&["user", "memory"], Modify).with("bcc", &["agent"])),
        after_mail(mail(&["outside"], Deny)),
        Ask::pay(120_000, &["memory"], true, Allow),
        Ask { state: State::Base, ..Ask::pay(120_000, &["memory"], true, Deny) },
        Ask { minute: 1300, ..Ask::pay(8_000, &["user"], true, Deny) },
        Ask { paid: 5, ..Ask::pay(8_000, &["user"], true, Deny) },
        Ask::pay(240_000, &["user"], true, StepUp),
        Ask::pay(45_000, &["user"], false, Defer),
        Ask::pay(30_000, &["outside"], true, Deny),
        ask("password.set", Allow).with("password", &["user"]),
        ask("password.set", Deny).with("password", &["agent"]),
    ]
}

/// The request that is also measured alone: a payment that is let pass.
const PAYMENT: usize = 8;

// --- Ours ------------------------------------------------------------------------------

struct Ours {
    governor: Governor,
    asked: Vec<Prepared>,
    scopes: std::collections::BTreeSet<Name>,
    principal: PrincipalId,
}

struct Prepared {
    intent: Intent,
    routing_id: RoutingId,
    context: Label,
    history: BTreeMap<KindId, u32>,
    state: State,
    now: Timestamp,
}

fn source(name: &str) -> Source {
    match name {
        "user" => Source::User,
        "memory" => Source::Memory,
        "agent" => Source::Agent,
        _ => Source::Outside("mail".parse().unwrap()),
    }
}

fn label(sources: &[&'static str]) -> Label {
    let labels = sources.iter().map(|name| Label::from(source(name)));
    labels.fold(Label::empty(), |label, other| label.join(&other))
}

fn catalogue() -> Catalogue {
    let kind = |id: &str, flags: SafetyFlags, shapes: Shapes| {
        KindSpec::new(id.parse().unwrap(), "office".parse().unwrap())
            .tier(CapabilityTier::Act)
            .flags(flags)
            .check(shapes)
    };
    let text = |shapes: Shapes, name: &str| shapes.required(name, Shape::Text);
    let effect = SafetyFlags::EFFECT;
    let sent = effect.union(SafetyFlags::EXTERNAL);
    Catalogue::builder("2026-01".parse().unwrap())
        .kind(kind("calendar.read", SafetyFlags::NONE, Shapes::new()))
        .kind(kind("mail.read", SafetyFlags::NONE, Shapes::new()))
        .kind(kind("calendar.add", effect, Shapes::new()))
        .kind(kind("records.erase", effect, Shapes::new()))
        .kind(kind("mail.send", sent, text(Shapes::new(), "to").optional("bcc", Shape::Text)))
        .kind(kind(
            "payment.send",
            sent.union(SafetyFlags::FINANCIAL),
            text(Shapes::new(), "to")
                .required("amount", Shape::Number)
                .optional("invoice", Shape::Text),
        ))
        .kind(kind("password.set", effect, text(Shapes::new(), "password")))
        .build()
        .unwrap()
}

impl Ours {
    fn new(asks: &[Ask]) -> Self {
        let text = include_str!("../../../examples/office/policy/governance.toml");
        let policy = Policy::from_toml("governance.toml", text).unwrap();
        let catalogue = catalogue();
        Self {
            governor: Governor::new(policy),
            asked: asks.iter().map(|ask| Prepared::new(ask, &catalogue)).collect(),
            scopes: ["office".parse().unwrap()].into(),
            principal: "nora".parse().unwrap(),
        }
    }

    fn input<'a>(&'a self, asked: &'a Prepared) -> GovernanceInput<'a> {
        GovernanceInput {
            intent: &asked.intent,
            routing_id: asked.routing_id,
            authority: Authority {
                principal: &self.principal,
                kind: "human",
                scopes: &self.scopes,
                delegation: 0,
            },
            state: asked.state,
            class: 'A',
            flags: asked.intent.kind().flags,
            risk: Risk::ZERO,
            drift: Drift::None,
            safety_hold: false,
            context: &asked.context,
            history: &asked.history,
            approval: None,
            now: asked.now,
        }
    }

    fn decide(&self, input: &GovernanceInput<'_>) -> Verdict {
        match black_box(self.governor.rule(black_box(input))).decision {
            Decision::Allow => Verdict::Allow,
            Decision::Modify(_) => Verdict::Modify,
            Decision::StepUp(_) => Verdict::StepUp,
            Decision::Defer { .. } => Verdict::Defer,
            Decision::Deny => Verdict::Deny,
        }
    }
}

impl Prepared {
    fn new(ask: &Ask, catalogue: &Catalogue) -> Self {
        let mut arguments: BTreeMap<Box<str>, Argument> = BTreeMap::new();
        for (name, sources) in &ask.sources {
            let argument = Argument { value: "x".into(), label: label(sources) };
            arguments.insert((*name).into(), argument);
        }
        if ask.kind == "payment.send" {
            let amount = Decimal::new(ask.cents.into(), 2).unwrap();
            let argument = Argument { value: Value::from(amount), label: Source::User.into() };
            arguments.insert("amount".into(), argument);
        }
        let intent = catalogue
            .intent(Asked {
                kind: ask.kind.into(),
                subject: "nora".parse().unwrap(),
                session: "s-1".parse().unwrap(),
                request: None,
                objective: Objective::new("Do what I asked for."),
                arguments,
                reads: Vec::new(),
                snapshot: None,
            })
            .unwrap();
        let components = RoutingComponents {
            intent: intent.hash(),
            objective: intent.objective().hash(),
            snapshot: SnapshotId::new(Digest::ZERO),
            flags: intent.kind().flags,
            consensus: Consensus::NONE,
        };
        let context = if ask.context_outside { label(&["outside"]) } else { Label::empty() };
        Self {
            routing_id: components.id(),
            intent,
            context,
            history: [("payment.send".parse().unwrap(), ask.paid)].into(),
            state: ask.state,
            now: Timestamp::from_secs(1_767_571_200).plus_millis(ask.minute * 60_000),
        }
    }
}

// --- Cedar -----------------------------------------------------------------------------

struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    advice: HashMap<PolicyId, Verdict>,
    asked: Vec<Request>,
}

impl Cedar {
    fn new(asks: &[Ask]) -> Self {
        let policies: PolicySet = include_str!("../policies/office.cedar").parse().unwrap();
        // A policy's id in the answer is its place in the file; its advice stands beside it.
        let advice = policies.policies().filter_map(|policy| {
            let advice = match policy.annotation("advice")? {
                "modify" => Verdict::Modify,
                "step-up" => Verdict::StepUp,
                "defer" => Verdict::Defer,
                other => panic!("no such advice: {other}"),
            };
            Some((policy.id().clone(), advice))
        });
        Self {
            advice: advice.collect(),
            authorizer: Authorizer::new(),
            entities: Entities::empty(),
            asked: asks.iter().map(cedar_request).collect(),
            policies,
        }
    }

    fn decide(&self, request: &Request) -> Verdict {
        let (policies, entities) = (&self.policies, &self.entities);
        let answer =
            black_box(self.authorizer.is_authorized(black_box(request), policies, entities));
        let decided = answer.diagnostics().reason();
        let advice = decided.map(|id| self.advice.get(id).copied());
        match answer.decision() {
            Answer::Allow => advice.flatten().max().unwrap_or(Verdict::Allow),
            Answer::Deny => {
                advice.map(|a| a.unwrap_or(Verdict::Deny)).max().unwrap_or(Verdict::Deny)
            }
        }
    }
}

fn cedar_request(ask: &Ask) -> Request {
    let uid = |kind: &str, id: &str| -> EntityUid { format!("{kind}::\"{id}\"").parse().unwrap() };
    let list = |sources: &[&'static str]| {
        RestrictedExpression::new_set(
            sources.iter().map(|name| RestrictedExpression::new_string((*name).into())),
        )
    };
    let long = |number: i64| RestrictedExpression::new_long(number);
    let mut pairs = vec![
        ("state".to_owned(), RestrictedExpression::new_string(ask.state.name().into())),
        ("cents".to_owned(), long(ask.cents)),
        ("paid".to_owned(), long(ask.paid.into())),
        ("minute".to_owned(), long(ask.minute.try_into().unwrap())),
        ("context_outside".to_owned(), RestrictedExpression::new_bool(ask.context_outside)),
    ];
    let sources = ask.sources.iter().map(|(name, s)| (format!("{name}_sources"), list(s)));
    pairs.extend(sources);
    Request::new(
        uid("User", "nora"),
        uid("Action", ask.kind),
        uid("Firm", "office"),
        Context::from_pairs(pairs).unwrap(),
        None,
    )
    .unwrap()
}

// --- Rego ------------------------------------------------------------------------------

struct Rego {
    interpreted: CompiledPolicy,
    machine: RegoVM,
    asked: Vec<regorus::Value>,
}

impl Rego {
    fn new(asks: &[Ask]) -> Self {
        const ENTRY: &str = "data.office.verdict";
        let mut engine = Engine::new();
        let text = include_str!("../policies/office.rego");
        engine.add_policy("office.rego".to_owned(), text.to_owned()).unwrap();
        let interpreted = engine.compile_with_entrypoint(&ENTRY.into()).unwrap();
        let program = Compiler::compile_from_policy(&interpreted, &[ENTRY]).unwrap();
        let mut machine = RegoVM::new();
        machine.load_program(program);
        Self { interpreted, machine, asked: asks.iter().map(rego_input).collect() }
    }

    fn interpret(&self, input: &regorus::Value) -> Verdict {
        rego_verdict(&self.interpreted.eval_with_input(black_box(input).clone()).unwrap())
    }

    fn run(&mut self, index: usize) -> Verdict {
        self.machine.set_input(black_box(&self.asked[index]).clone());
        rego_verdict(&self.machine.execute().unwrap())
    }
}

fn rego_verdict(value: &regorus::Value) -> Verdict {
    match &**black_box(value).as_string().unwrap() {
        "allow" => Verdict::Allow,
        "modify" => Verdict::Modify,
        "step-up" => Verdict::StepUp,
        "defer" => Verdict::Defer,
        "deny" => Verdict::Deny,
        other => panic!("no such answer: {other}"),
    }
}

fn rego_input(ask: &Ask) -> regorus::Value {
    let mut input = serde_json::json!({
        "kind": ask.kind,
        "state": ask.state.name(),
        "cents": ask.cents,
        "paid": ask.paid,
        "minute": ask.minute,
        "context_outside": ask.context_outside,
    });
    for (name, _) in &ask.sources {
        input[format!("{name}_sources")] = serde_json::json!(ask.sources(name));
    }
    regorus::Value::from_json_str(&input.to_string()).unwrap()
}

// --- The same answers, then the measure ------------------------------------------------

fn same_answers(asks: &[Ask], ours: &Ours, cedar: &Cedar, rego: &mut Rego) {
    for (index, ask) in asks.iter().enumerate() {
        let what = format!("request {index}, {}", ask.kind);
        let expected = ask.expected;
        assert_eq!(ours.decide(&ours.input(&ours.asked[index])), expected, "prospera, {what}");
        assert_eq!(cedar.decide(&cedar.asked[index]), expected, "cedar-policy, {what}");
        assert_eq!(rego.interpret(&rego.asked[index]), expected, "regorus, {what}");
        assert_eq!(rego.run(index), expected, "regorus as a machine, {what}");
    }
}

pub(crate) fn measure(report: &mut Report) {
    let asks = asks();
    let (ours, cedar, mut rego) = (Ours::new(&asks), Cedar::new(&asks), Rego::new(&asks));
    same_answers(&asks, &ours, &cedar, &mut rego);
    let interpreted = Rego::new(&asks);
    let inputs: Vec<_> = ours.asked.iter().map(|asked| ours.input(asked)).collect();

    let every = asks.len();
    let calls = u32::try_from(every * 20).unwrap();
    let times = rivals(
        60,
        &mut [
            &mut || {
                let mut turn = 0;
                batch(calls, || {
                    turn = (turn + 1) % every;
                    black_box(ours.decide(&inputs[turn]));
                })
            },
            &mut || {
                let mut turn = 0;
                batch(calls, || {
                    turn = (turn + 1) % every;
                    black_box(cedar.decide(&cedar.asked[turn]));
                })
            },
            &mut || {
                let mut turn = 0;
                batch(calls, || {
                    turn = (turn + 1) % every;
                    black_box(interpreted.interpret(&interpreted.asked[turn]));
                })
            },
            &mut || {
                let mut turn = 0;
                batch(calls, || {
                    turn = (turn + 1) % every;
                    black_box(rego.run(turn));
                })
            },
        ],
    );
    report.time("prospera-rule", "prospera, a decision", times[0]);
    report.beside("cedar", "cedar-policy, a decision", times[1], "prospera-rule", times[0]);
    report.beside("regorus", "regorus, a decision", times[2], "prospera-rule", times[0]);
    report.beside("regorus-vm", "  compiled for its machine", times[3], "prospera-rule", times[0]);

    let times = rivals(
        60,
        &mut [
            &mut || {
                batch(200, || {
                    black_box(ours.decide(&inputs[PAYMENT]));
                })
            },
            &mut || {
                batch(200, || {
                    black_box(cedar.decide(&cedar.asked[PAYMENT]));
                })
            },
            &mut || {
                batch(200, || {
                    black_box(rego.run(PAYMENT));
                })
            },
        ],
    );
    report.time("prospera-rule-payment", "prospera, one payment let pass", times[0]);
    let against = ("prospera-rule-payment", times[0]);
    report.beside("cedar-payment", "  cedar-policy", times[1], against.0, against.1);
    report.beside("regorus-vm-payment", "  regorus", times[2], against.0, against.1);
}

#[test]
fn every_engine_gives_the_same_answers() {
    let asks = asks();
    let mut rego = Rego::new(&asks);
    same_answers(&asks, &Ours::new(&asks), &Cedar::new(&asks), &mut rego);
}
