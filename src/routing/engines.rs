//! The eight engines of a router, as one bundle.

use crate::execution::ExecutionEngine;
use crate::governance::GovernanceEngine;
use crate::identity::IdentityEngine;
use crate::intent::IntentEngine;
use crate::memory::MemoryEngine;
use crate::modeling::ModelingEngine;
use crate::pipeline::PipelineEngine;
use crate::safety::SafetyEngine;

/// Eight engines, one per layer. Implemented by [`EngineSet`]; implement it
/// yourself to keep your engines in a type of your own.
pub trait Engines {
    /// Step 1.
    type Identity: IdentityEngine;
    /// Step 2.
    type Intent: IntentEngine;
    /// Step 3.
    type Modeling: ModelingEngine;
    /// Step 4.
    type Memory: MemoryEngine;
    /// Step 5.
    type Safety: SafetyEngine;
    /// Step 6.
    type Governance: GovernanceEngine;
    /// Step 7.
    type Pipeline: PipelineEngine;
    /// Step 8.
    type Execution: ExecutionEngine;

    /// The engine of Step 1.
    fn identity(&self) -> &Self::Identity;
    /// The engine of Step 2.
    fn intent(&self) -> &Self::Intent;
    /// The engine of Step 3.
    fn modeling(&self) -> &Self::Modeling;
    /// The engine of Step 4.
    fn memory(&self) -> &Self::Memory;
    /// The engine of Step 5.
    fn safety(&self) -> &Self::Safety;
    /// The engine of Step 6.
    fn governance(&self) -> &Self::Governance;
    /// The engine of Step 7.
    fn pipeline(&self) -> &Self::Pipeline;
    /// The engine of Step 8.
    fn execution(&self) -> &Self::Execution;
}

/// Eight engines side by side. Any one can be replaced by your own.
#[derive(Debug, Clone)]
pub struct EngineSet<Id, In, Mo, Me, Sa, Go, Pi, Ex> {
    /// Step 1.
    pub identity: Id,
    /// Step 2.
    pub intent: In,
    /// Step 3.
    pub modeling: Mo,
    /// Step 4.
    pub memory: Me,
    /// Step 5.
    pub safety: Sa,
    /// Step 6.
    pub governance: Go,
    /// Step 7.
    pub pipeline: Pi,
    /// Step 8.
    pub execution: Ex,
}

impl<Id, In, Mo, Me, Sa, Go, Pi, Ex> Engines for EngineSet<Id, In, Mo, Me, Sa, Go, Pi, Ex>
where
    Id: IdentityEngine,
    In: IntentEngine,
    Mo: ModelingEngine,
    Me: MemoryEngine,
    Sa: SafetyEngine,
    Go: GovernanceEngine,
    Pi: PipelineEngine,
    Ex: ExecutionEngine,
{
    type Identity = Id;
    type Intent = In;
    type Modeling = Mo;
    type Memory = Me;
    type Safety = Sa;
    type Governance = Go;
    type Pipeline = Pi;
    type Execution = Ex;

    fn identity(&self) -> &Id {
        &self.identity
    }
    fn intent(&self) -> &In {
        &self.intent
    }
    fn modeling(&self) -> &Mo {
        &self.modeling
    }
    fn memory(&self) -> &Me {
        &self.memory
    }
    fn safety(&self) -> &Sa {
        &self.safety
    }
    fn governance(&self) -> &Go {
        &self.governance
    }
    fn pipeline(&self) -> &Pi {
        &self.pipeline
    }
    fn execution(&self) -> &Ex {
        &self.execution
    }
}
