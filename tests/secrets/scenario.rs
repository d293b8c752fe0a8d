//! A whole scenario with secrets that are easy to recognize: no record, payload, journal,
//! message or `Debug` shows one.

use std::path::Path;
use std::sync::Arc;

use prospera::audience::state::State;
use prospera::digest::{Digest, Domain};
use prospera::execution::outbox::Outbox;
use prospera::execution::{Contract, ContractParts, ModuleError, Registry, Version};
use prospera::governance::{
    ApprovalToken, ReplayMemory, SigningKey, TokenMint, Trust, VerifyingKey,
};
use prospera::id::{LayerId, Subsystem};
use prospera::intent::Argument;
use prospera::provenance::{Label, Sensitivity, Source};
use prospera::routing::router::FollowUp;
use prospera::routing::{EngineSet, GovernanceView, Reception, Route, Router, SafetyView, layers};
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::{Batch, Store};
use prospera::verdict::{CapabilityTier, Consensus, Verdict};

use crate::marks::Marks;
use crate::world::{TestEngines, World, fact, malformed, name, operator, records, sid};

/// The secret of the mint: letters, so that it is found raw as well.
const SECRET: [u8; 32] = *b"prospera-marked-mint-secret-0123";
/// A signing key, as it stands in a file. Its digits are its mark.
const SIGNING: &str = "k4.secret.tMv7Q99M4hByfZU-SnEzB_oZu32fhQQUONnhG5QqN3Qeudu7vAR8A_1wYE4AcfCYfhayi3VyJcEfAEFdDiCxog";
const PASSWORD: &str = "hunter2-and-nobody-else-knows";

fn marks() -> Marks {
    let key = *Domain::Token.hash(&SECRET).as_bytes();
    let digits = SIGNING.strip_prefix("k4.secret.").unwrap();
    let mut seed = [0; 64];
    let decoded =
        <ct_codecs::Base64UrlSafeNoPadding as ct_codecs::Decoder>::decode(&mut seed, digits, None);
    let seed = &decoded.unwrap()[..32];
    Marks::default()
        .bytes("the mint's secret", &SECRET)
        .bytes("the mint's key", &key)
        .bytes("the signing key's seed", seed)
        .text("the signing key", &digits[..42])
}

type Walked = (Route<layers::Governance>, ApprovalToken);

/// A token, by the typed path.
fn token<S: Store>(
    world: &World,
    router: &crate::world::TestRouter<S>,
    mint: &TokenMint,
) -> Walked {
    let engines = router.engines();
    let session = world.alice("s-1");
    let facts = prospera::memory::Facts::of(session.subject().clone());
    let reception = Reception {
        session: &session,
        state: State::Verified,
        class: 2,
        snapshot: facts.snapshot(),
        pins: Digest::ZERO,
        standing: Consensus::NONE,
        now: world.now(),
        wait_until: world.now(),
    };
    let (history, context) = (std::collections::BTreeMap::new(), Label::empty());
    let safety = SafetyView { state: State::Verified, context: &context, staleness_millis: 0 };
    let view = GovernanceView {
        session: &session,
        state: State::Verified,
        class: prospera::audience::classifier::Class::B,
        context: &context,
        history: &history,
        approval: None,
        lineage_intact: true,
        ask: false,
        token_millis: 1000,
        nonce: [1; 16],
    };
    let rules = router.rules();
    Route::receive(world.intent("s-1", "note.add"), &reception)
        .identify(&engines.identity, &session)
        .unwrap()
        .package(&engines.intent, rules.catalogue)
        .unwrap()
        .model(&engines.modeling, &prospera::modeling::Profile::default())
        .unwrap()
        .recall(&engines.memory, &facts)
        .unwrap()
        .assess(&engines.safety, &safety)
        .unwrap()
        .govern(&engines.governance, &view, &rules.table, mint)
        .unwrap()
}

fn world_on<S: Store>(world: &World, store: S, outbox: Arc<Outbox>) -> crate::world::TestRouter<S> {
    let TestEngines { identity, intent, modeling, memory, safety, governance, pipeline, .. } =
        world.engines();
    let mut execution = Registry::new();
    execution.register(crate::world::Look(Arc::clone(&world.effects))).unwrap();
    execution.register_shared(outbox).unwrap();
    let engines =
        EngineSet { identity, intent, modeling, memory, safety, governance, pipeline, execution };
    let mut rules = world.rules();
    rules.mint = TokenMint::new(SECRET);
    Router::new(engines, rules, store, world.clock, operator()).unwrap()
}

fn outbox(path: &Path) -> Arc<Outbox> {
    let intents = ["note.add", "note.share", "mail.send", "mail.wait", "leak.all"];
    let contract = Contract::new(ContractParts {
        id: "act".parse().unwrap(),
        version: Version { major: 1, minor: 0 },
        required_state: State::Base,
        tier: CapabilityTier::Act,
        layers: vec![LayerId::Safety],
        intents: intents.iter().map(|kind| kind.parse().unwrap()).collect(),
    });
    Arc::new(Outbox::open(contract.unwrap(), path).unwrap())
}

#[test]
fn no_secret_reaches_a_record_a_payload_a_journal_or_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let (log, journal) = (folder.path().join("log.redb"), folder.path().join("act.journal"));
    let world = World::new();
    let marks = marks();
    let mut said: Vec<String> = Vec::new();
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut password = false;
    {
        let act = outbox(&journal);
        let router = world_on(&world, RedbStore::create(&log).unwrap(), Arc::clone(&act));
        said.push(format!("{router:?} {:?} {:#?}", router.rules(), router.rules().mint));
        let mut desk = router.open(world.alice("s-1")).unwrap();
        router.remember(&mut desk, fact("shop", "north")).unwrap();
        for kind in ["note.add", "note.read", "note.refused", "note.share", "mail.wait"] {
            said.push(format!("{:?}", router.route(&mut desk, world.intent("s-1", kind))));
        }
        said.push(format!("{:?}", router.route(&mut desk, malformed())));
        // An argument that is labelled a secret: asked about, approved, carried out.
        let with_password = || {
            let mut request = world.request("s-1", "mail.send");
            let label = Label::from(Source::User).with_sensitivity(Sensitivity::Secret);
            let argument = Argument { value: PASSWORD.into(), label };
            request.arguments.insert("password".into(), argument);
            world.build(request)
        };
        let asked = router.route(&mut desk, with_password()).unwrap();
        assert_eq!(asked.verdict, Verdict::StepUp);
        let Some(FollowUp::Approval(question)) = &asked.follow_up else { panic!("{asked:?}") };
        said.push(question.question.to_string());
        assert!(question.question.contains("(a secret, not shown)"));
        said.push(format!("{asked:?}"));
        router.approve(&world.governor(), &sid("s-1"), asked.record, true, "").unwrap();
        let sent = router.route(&mut desk, with_password()).unwrap();
        assert_eq!(sent.verdict, Verdict::Allow);
        said.push(format!("{:?} {:?}", sent.evidence, sent.outcome));
        said.push(format!("{:?}", router.route(&mut desk, world.intent("s-1", "leak.all"))));
        said.push(format!("{:?}", router.route(&mut desk, world.intent("s-1", "note.add"))));
        // Errors of every layer below.
        let stranger = world.session("s-1", "mallory", &["work"]);
        for error in [
            router.resume(stranger).map(|_| ()).unwrap_err(),
            router.open(world.alice("s-1")).map(|_| ()).unwrap_err(),
            router.approve(&world.alice("s-1"), &sid("s-1"), asked.record, true, "").unwrap_err(),
        ] {
            said.push(format!("{error} {error:?}"));
        }
        let stream = StreamId::new(StreamKind::Routing, name("s-1"));
        let draft = Draft::new(stream.clone(), RecordKind::Outcome, Subsystem::Memory, vec![1]);
        let batch = Batch::new(world.now()).expect(stream, Head::EMPTY).append(draft);
        said.push(format!("{:?}", router.store().append(&batch)));
        let unknown = ModuleError::Unknown("no line".into());
        said.push(format!("{unknown} {act:?}"));
        for record in records(router.store()) {
            all.push(record.bytes().to_vec());
            said.push(format!("{record:?}"));
            if let Some(payload) = record
                .read::<prospera::routing::EvidenceBlock>()
                .ok()
                .and_then(|block| router.store().payload(&block.intent).unwrap())
            {
                marks.absent("a payload", &payload);
                password |= Marks::default().text("p", PASSWORD).found(&payload);
            }
        }
        let key = SigningKey::from_paserk(SIGNING).unwrap();
        let (route, minted) = token(&world, &router, &router.rules().mint);
        said.push(format!("{route:?} {minted:?} {key:?} {:?}", key.verifying_key()));
    }
    for text in &said {
        marks.absent("what is said", text);
        // The password is the module's to know, and the payload's that can be erased.
        Marks::default().text("the password", PASSWORD).absent("what is said", text);
    }
    for record in &all {
        marks.absent("a record", record);
        Marks::default().text("the password", PASSWORD).absent("a record", record);
    }
    assert!(password, "SECURITY.md says that the payload holds it");
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        marks.absent(&path.display().to_string(), std::fs::read(&path).unwrap());
    }
    assert!(said.len() > 20 && all.len() > 20);
}

/// A token on its way between processes is a secret until it is imported; afterwards, and
/// whatever is wrong with it, nothing repeats it.
#[test]
fn no_token_text_reaches_a_message_or_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    let router = world_on(
        &world,
        RedbStore::create(folder.path().join("log.redb")).unwrap(),
        outbox(&folder.path().join("act.journal")),
    );
    let mut desk = router.open(world.alice("s-1")).unwrap();
    let key = SigningKey::from_paserk(SIGNING).unwrap();
    let (here, there) = (name("gate-a"), name("pipeline-b"));
    let export = || {
        let (_, minted) = token(&world, &router, &router.rules().mint);
        minted.export(&key, &here, &there, world.now()).unwrap()
    };
    let exported = export();
    assert_eq!(format!("{exported:?}"), "PortableToken(hidden)");
    let text = exported.into_string();
    let footer = text.rsplit_once('.').unwrap().0;
    let marks = marks().text("the token", footer.strip_prefix("v4.public.").unwrap());
    let own = Trust::new(here.clone(), there.clone()).with_key(key.verifying_key());
    let other = Trust::new(there.clone(), here.clone()).with_key(key.verifying_key());
    let nobody = Trust::new(here.clone(), there.clone());
    let mut seen = ReplayMemory::new();
    let mint = TokenMint::new(SECRET);
    let mut said = vec![format!("{own:?} {mint:?}")];
    let imported = mint.import(&text, &own, world.now(), &mut seen).unwrap();
    said.push(format!("{imported:?} {seen:?}"));
    let late = world.now().plus_millis(5_000);
    let broken = text.replace("v4.public.", "v4.public.A");
    let tries = [
        (&text, &own, world.now()),
        (&text, &other, world.now()),
        (&text, &nobody, world.now()),
        (&text, &own, late),
        (&broken, &own, world.now()),
    ];
    for (text, trust, now) in tries {
        let error = mint.import(text, trust, now, &mut seen).unwrap_err();
        said.push(format!("{error} {error:?}"));
    }
    for wrong in [SIGNING.replace("tMv7", "tMv8"), SIGNING.replace("secret", "public")] {
        let error = SigningKey::from_paserk(&wrong).unwrap_err();
        said.push(format!("{error} {error:?}"));
        let error = VerifyingKey::from_paserk(&wrong).unwrap_err();
        said.push(format!("{error} {error:?}"));
    }
    let _ = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    for text in &said {
        marks.absent("a message", text);
    }
    for record in records(router.store()) {
        marks.absent("a record", record.bytes());
    }
    assert!(said.len() > 8);
}
