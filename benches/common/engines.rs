//! What one call of each engine is given: a deployment that has routed a few intents, and
//! the next one.

use std::collections::BTreeMap;

use prospera::audience::state::State;
use prospera::governance::{Authority, GovernanceEngine, GovernanceInput, KernelInput, Ruling};
use prospera::id::KindId;
use prospera::identity::{IdentityEngine, IdentityFinding, IdentityInput};
use prospera::intent::package::{IntentEngine, PackageInput, RoutingPackage};
use prospera::intent::{Intent, RoutingComponents, RoutingId};
use prospera::memory::{MemoryEngine, MemoryFinding, MemoryInput};
use prospera::modeling::{ModelingEngine, ModelingFinding, ModelingInput, Observation, Profile};
use prospera::provenance::Label;
use prospera::risk::Risk;
use prospera::safety::{SafetyEngine, SafetyFinding, SafetyInput};
use prospera::testing::world::{BEGIN, DefaultEngines};
use prospera::verdict::{Consensus, Drift, KernelVerdict, SafetyFlags, Verdict};

use super::routes::Routes;

/// A deployment and the intent that its engines are asked about.
pub(crate) struct Engines {
    routes: Routes,
    intent: Intent,
    components: RoutingComponents,
    id: RoutingId,
    profile: Profile,
    history: BTreeMap<KindId, u32>,
    context: Label,
}

impl Engines {
    pub(crate) fn new() -> Self {
        let mut routes = Routes::new();
        for intent in routes.intents(20) {
            routes.route(intent);
        }
        let intent = routes.intents(1).remove(0);
        let kind = intent.kind().id.clone();
        let flags = intent.kind().flags;
        let mut profile = Profile::default();
        for _ in 0..20 {
            let (kind, verdict) = (kind.clone(), Verdict::Allow);
            let seen = Observation { kind, flags, at: BEGIN, verdict };
            routes.world.router.engines().modeling.observe(&mut profile, &seen);
        }
        let components = RoutingComponents {
            intent: intent.hash(),
            objective: intent.objective().hash(),
            snapshot: routes.desk.snapshot().unwrap(),
            flags,
            consensus: Consensus::NONE,
        };
        let history = [(kind, 20)].into();
        let (id, context) = (components.id(), Label::empty());
        Self { routes, intent, components, id, profile, history, context }
    }

    fn engines(&self) -> &DefaultEngines {
        self.routes.world.router.engines()
    }

    fn flags(&self) -> SafetyFlags {
        self.intent.kind().flags
    }

    pub(crate) fn identity(&self) -> Option<IdentityFinding> {
        let session = self.routes.desk.session();
        let scope = Some(&self.intent.kind().scope);
        let input = IdentityInput { session, subject: self.intent.subject(), scope, now: BEGIN };
        self.engines().identity.identify(&input).ok()
    }

    pub(crate) fn intent(&self) -> Option<RoutingPackage> {
        let input = PackageInput {
            intent: &self.intent,
            snapshot: self.components.snapshot,
            consensus: Consensus::NONE,
            catalogue: self.routes.world.catalogue.digest(),
        };
        self.engines().intent.package(&input).ok()
    }

    pub(crate) fn modeling(&self) -> ModelingFinding {
        let (intent, profile) = (&self.intent, &self.profile);
        let input = ModelingInput { intent, flags: self.flags(), profile, now: BEGIN };
        self.engines().modeling.model(&input)
    }

    pub(crate) fn memory(&self) -> Option<MemoryFinding> {
        let facts = self.routes.desk.facts()?;
        let (intent, snapshot) = (&self.intent, self.components.snapshot);
        let input = MemoryInput { intent, facts, snapshot, now: BEGIN };
        self.engines().memory.recall(&input).ok()
    }

    pub(crate) fn safety(&self) -> SafetyFinding {
        self.engines().safety.assess(&SafetyInput {
            intent: &self.intent,
            flags: self.flags(),
            state: State::Base,
            strength: Risk::MAX,
            anomaly: Risk::ZERO,
            drift: Drift::None,
            surprise: Risk::ZERO,
            context: &self.context,
            staleness_millis: 0,
            now: BEGIN,
        })
    }

    fn authority(&self) -> Authority<'_> {
        let session = self.routes.desk.session();
        Authority {
            principal: session.principal(),
            kind: session.kind().name(),
            scopes: session.scopes(),
            delegation: 0,
        }
    }

    pub(crate) fn kernel(&self) -> KernelVerdict {
        self.engines().governance.kernel(&KernelInput {
            state: State::Base,
            flags: self.flags(),
            tier: self.intent.kind().tier,
            authority: self.authority(),
            risk: Risk::ZERO,
            label: self.intent.label(),
            lineage_intact: true,
        })
    }

    pub(crate) fn governance(&self) -> Ruling {
        self.engines().governance.rule(&GovernanceInput {
            intent: &self.intent,
            routing_id: self.id,
            authority: self.authority(),
            state: State::Base,
            class: 'A',
            flags: self.flags(),
            risk: Risk::ZERO,
            drift: Drift::None,
            safety_hold: false,
            context: &self.context,
            history: &self.history,
            approval: None,
            now: BEGIN,
        })
    }
}
