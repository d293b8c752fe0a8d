//! A policy folder: the files that decide, loaded together and checked against each
//! other.
//!
//! | file | what it is | |
//! |---|---|---|
//! | `catalogue.toml` | the kinds of intent, with their schemas in `schemas/` | required |
//! | `table.toml` | the Routing Table | required |
//! | `governance.toml` | who may do what | required |
//! | `identity.toml` | whose claims are believed | required |
//! | `modules.toml` | the modules that carry effects out | required |
//! | `matrix.toml` | the Audience Matrix | as shipped, where missing |
//! | `classifier.toml` | the thresholds of the classes | as shipped |
//! | `envelope.toml` | the Safety Envelope | as shipped |
//! | `modeling.toml` | what counts as drift | as shipped |
//! | `router.toml` | thresholds and times of the router itself | as shipped |
//! | `linkage.toml` | how sessions of one subject compare | sessions are not compared |
//! | `jwks.json` | the keys tokens are signed with | no tokens |
//! | `intake.toml` | how foreign records become requests | the project's own form |
//!
//! Beside them the folder may hold `README.md`, `schemas/` and `programs/` (what
//! modules start). Anything else is refused: a file whose name is mistyped would
//! otherwise quietly not count.
//!
//! ```
//! use prospera::policy::PolicyFolder;
//! // From anywhere files can be read from: here, from nowhere at all.
//! let error = PolicyFolder::read("policy", |_| Ok(None)).unwrap_err();
//! assert!(error.to_string().contains("policy/catalogue.toml"));
//! ```
//!
//! INVARIANT (whole or nothing): a [`PolicyFolder`] exists only when every file in it is
//! sound and no file names what another lacks.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::audience::classifier::Classifier;
use crate::audience::gate::Gate;
use crate::audience::matrix::Matrix;
use crate::digest::{Digest, Domain};
use crate::execution::Registry;
use crate::execution::files::{Journals, Modules, ModulesError, ModulesFile};
use crate::execution::outbox::Outbox;
use crate::files::FileError;
use crate::governance::{DEFAULT_APPROVER, Governor, Policy, TokenMint, kernel_digest};
use crate::id::Name;
use crate::identity::{IdentityPolicy, IdentitySystem, Linkage};
use crate::intent::Catalogue;
use crate::intent::intake::Mapping;
use crate::intent::package::CatalogueEngine;
use crate::json;
use crate::limits::Limits;
use crate::memory::MemorySystem;
use crate::modeling::{BehaviourModel, ModelingConfig};
use crate::pipeline::PathPlanner;
use crate::routing::replay::Version;
use crate::routing::{EngineSet, Pins, PolicyFiles, RoutingTable, Rules};
use crate::safety::{Envelope, SafetySystem};
use crate::value::Value;

pub use kept::kept_version;
pub use settings::RouterSettings;

mod check;
mod classifier;
mod folder;
mod kept;
mod places;
mod settings;
#[cfg(test)]
mod tests;

/// The eight default engines.
pub type DefaultEngines = EngineSet<
    IdentitySystem,
    CatalogueEngine,
    BehaviourModel,
    MemorySystem,
    SafetySystem,
    Governor,
    PathPlanner,
    Registry,
>;

/// Why a policy folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// There is no such folder.
    #[error("expected a policy folder at `{place}`, found {found}")]
    Folder {
        /// Where.
        place: PathBuf,
        /// What is there.
        found: String,
    },
    /// A required file is missing.
    #[error("expected `{place}` ({what}), found no such file")]
    Missing {
        /// Where.
        place: String,
        /// What it would hold.
        what: &'static str,
    },
    /// A file cannot be read.
    #[error("`{place}` cannot be read: {why}")]
    Unreadable {
        /// Where.
        place: String,
        /// Why not.
        why: String,
    },
    /// A file that has no meaning in a policy folder.
    #[error("`{place}` has no meaning in a policy folder{}", nearest(*.meant))]
    Unknown {
        /// Where.
        place: String,
        /// The name it may have been meant to have.
        meant: Option<&'static str>,
    },
    /// A file is not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// Files name what other files lack: every place.
    #[error("{}", lines(.0))]
    Disagree(Vec<FileError>),
    /// The modules cannot be opened.
    #[error(transparent)]
    Modules(#[from] ModulesError),
}

fn nearest(meant: Option<&'static str>) -> String {
    meant.map_or_else(String::new, |name| format!("; nearest: `{name}`"))
}

fn lines(errors: &[FileError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A sound policy folder. Nothing is opened or started yet.
#[derive(Debug)]
pub struct PolicyFolder {
    base: PathBuf,
    catalogue: Catalogue,
    table: RoutingTable,
    governance: Policy,
    identity: IdentityPolicy,
    modules: ModulesFile,
    matrix: Matrix,
    classifier: Classifier,
    envelope: Envelope,
    modeling: BehaviourModel,
    settings: RouterSettings,
    limits: Limits,
    keys: Option<String>,
    linkage: Option<Linkage>,
    intake: Option<Mapping>,
    notices: Vec<FileError>,
    files: PolicyFiles,
}

/// A policy folder opened: everything a router is made of, and what reads its input.
#[derive(Debug)]
pub struct OpenPolicy {
    /// The engines, for [`crate::routing::Router::new`].
    pub engines: DefaultEngines,
    /// The rules, for [`crate::routing::Router::new`].
    pub rules: Rules,
    /// The kinds of intent.
    pub catalogue: Arc<Catalogue>,
    /// Whose claims are believed.
    pub identity: Arc<IdentityPolicy>,
    /// How foreign records become requests.
    pub intake: Option<Mapping>,
    /// The outboxes, for their deliverers.
    pub outboxes: Vec<Arc<Outbox>>,
    /// What stands in `router.toml`.
    pub settings: RouterSettings,
    /// The bounds on what is read: those of the loader, lowered by `router.toml`.
    pub limits: Limits,
}

impl PolicyFolder {
    /// Loads a folder from disk.
    ///
    /// # Errors
    /// [`PolicyError`]: the first file that is missing, unknown or wrong, or all the
    /// places where files disagree.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, PolicyError> {
        Self::load_within(folder, &Limits::DEFAULT)
    }

    /// [`PolicyFolder::load`] under lower bounds: on the files themselves, and on what
    /// is read by whoever uses them ([`OpenPolicy::limits`]).
    ///
    /// # Errors
    /// As [`PolicyFolder::load`].
    pub fn load_within(folder: impl AsRef<Path>, limits: &Limits) -> Result<Self, PolicyError> {
        let folder = folder.as_ref();
        folder::only_known_files(folder)?;
        let shown = folder.display().to_string();
        let most = limits.file_bytes();
        let file = |name: &str| folder::text_of(&folder.join(name), most);
        let mut loaded = Self::read_within(&shown, limits, file)?;
        loaded.base = std::path::absolute(folder)
            .map_err(|error| PolicyError::Unreadable { place: shown, why: error.to_string() })?;
        Ok(loaded)
    }

    /// Reads the files that a log keeps of a policy set.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn of_files(files: &PolicyFiles) -> Result<Self, PolicyError> {
        Self::read("the policy kept in the log", |name| {
            let text = files.get(name).map(|bytes| String::from_utf8(bytes.to_vec()));
            text.transpose().map_err(|error| error.to_string())
        })
    }

    /// Reads a folder through `file`, which gives a file's text by its name, `None` where
    /// there is no such file. `folder` is the folder's name in messages.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn read(
        folder: &str,
        file: impl FnMut(&str) -> Result<Option<String>, String>,
    ) -> Result<Self, PolicyError> {
        Self::read_within(folder, &Limits::DEFAULT, file)
    }

    /// [`PolicyFolder::read`] under lower bounds.
    ///
    /// # Errors
    /// [`PolicyError`].
    #[expect(clippy::too_many_lines, reason = "one paragraph for each file of a folder")]
    pub fn read_within(
        folder: &str,
        limits: &Limits,
        mut file: impl FnMut(&str) -> Result<Option<String>, String>,
    ) -> Result<Self, PolicyError> {
        let mut read = PolicyFiles::default();
        let keeping = |name: &str| {
            let text = file(name)?;
            if let Some(text) = &text {
                read.keep(name, text.as_bytes());
            }
            Ok(text)
        };
        let mut files = folder::Files::new(folder, limits.file_bytes(), keeping);
        let catalogue_text = files.required("catalogue.toml", "the kinds of intent")?;
        let catalogue =
            Catalogue::from_toml(&files.place("catalogue.toml"), &catalogue_text, |schema| {
                files.schema(schema)
            })?;
        let table_text = files.required("table.toml", "the Routing Table")?;
        let table = RoutingTable::from_toml(&files.place("table.toml"), &table_text)?;
        let governance_text = files.required("governance.toml", "who may do what")?;
        let governance = Policy::from_toml(&files.place("governance.toml"), &governance_text)?;
        let identity_text = files.required("identity.toml", "whose claims are believed")?;
        let identity = IdentityPolicy::from_toml(&files.place("identity.toml"), &identity_text)?;
        let modules_text = files.required("modules.toml", "what carries effects out")?;
        let modules = ModulesFile::parse(&files.place("modules.toml"), &modules_text)?;
        let matrix = match files.optional("matrix.toml")? {
            None => Matrix::default(),
            Some(text) => classifier::matrix(&files.place("matrix.toml"), &text)?,
        };
        let classifier = match files.optional("classifier.toml")? {
            None => Classifier::default(),
            Some(text) => classifier::classifier(&files.place("classifier.toml"), &text)?,
        };
        let envelope_text = files.optional("envelope.toml")?;
        let envelope = match &envelope_text {
            None => Envelope::default(),
            Some(text) => Envelope::from_toml(&files.place("envelope.toml"), text)?,
        };
        let modeling_text = files.optional("modeling.toml")?;
        let place = files.place("modeling.toml");
        let modeling = match &modeling_text {
            None => shipped_modeling()?,
            Some(text) => ModelingConfig::from_toml(&place, text)?,
        };
        let modeling = BehaviourModel::new(modeling).map_err(|error| {
            FileError::at(
                &place,
                modeling_text.as_deref().unwrap_or_default(),
                0..0,
                error.to_string(),
            )
        })?;
        let settings = match files.optional("router.toml")? {
            None => RouterSettings::default(),
            Some(text) => RouterSettings::from_toml(&files.place("router.toml"), &text)?,
        };
        let linkage = match files.optional("linkage.toml")? {
            None => None,
            Some(text) => Some(Linkage::from_toml(&files.place("linkage.toml"), &text)?),
        };
        let keys = files.optional("jwks.json")?;
        if let Some(text) = &keys {
            check_keys(&files.place("jwks.json"), text)?;
        }
        let intake = match files.optional("intake.toml")? {
            None => None,
            Some(text) => Some(Mapping::from_toml(&files.place("intake.toml"), &text)?),
        };
        let texts = check::Texts {
            folder,
            catalogue: &catalogue_text,
            table: &table_text,
            governance: &governance_text,
            modules: &modules_text,
            envelope: envelope_text.as_deref().unwrap_or_default(),
            modeling: modeling_text.as_deref().unwrap_or_default(),
        };
        let parts = check::Parts {
            catalogue: &catalogue,
            table: &table,
            governance: &governance,
            modules: &modules,
            envelope: &envelope,
            modeling: modeling.config(),
        };
        let wrong = check::disagreements(&texts, &parts);
        if !wrong.is_empty() {
            return Err(PolicyError::Disagree(wrong));
        }
        let notices = check::notices(&texts, &parts);
        Ok(Self {
            base: PathBuf::new(),
            catalogue,
            table,
            governance,
            identity,
            modules,
            matrix,
            classifier,
            envelope,
            modeling,
            limits: limits.and(settings.limits()),
            settings,
            keys,
            linkage,
            intake,
            notices,
            files: read,
        })
    }

    /// The digests of everything that decides, by name.
    pub fn pins(&self) -> Pins {
        let modeling = self.modeling.digest();
        let mut parts = Vec::from([
            ("catalogue", self.catalogue.digest()),
            ("table", self.table.digest()),
            ("matrix", self.matrix.digest()),
            ("classifier", self.classifier.digest()),
            ("envelope", self.envelope.digest()),
            ("kernel", kernel_digest()),
            ("governance", self.governance.digest()),
            ("identity", self.identity.digest()),
            ("modeling", modeling),
            ("modules", self.modules.digest()),
            ("router", self.settings.digest()),
        ]);
        let text_digest = |text: &String| Domain::Policy.hash(text.as_bytes());
        parts.extend(self.keys.as_ref().map(|text| ("keys", text_digest(text))));
        parts.extend(self.linkage.as_ref().map(|linkage| ("linkage", linkage.digest())));
        parts.extend(self.intake.as_ref().map(|intake| ("intake", intake.digest())));
        let named = |(name, digest): (&str, Digest)| Some((Name::new(name).ok()?, digest));
        Pins::new(parts.into_iter().filter_map(named))
    }

    /// What is allowed and worth a look: kinds that no rule can let pass, for example.
    pub fn notices(&self) -> &[FileError] {
        &self.notices
    }

    /// The kinds of intent.
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The Routing Table.
    pub const fn table(&self) -> &RoutingTable {
        &self.table
    }

    /// Who may do what.
    pub const fn governance(&self) -> &Policy {
        &self.governance
    }

    /// Whose claims are believed.
    pub const fn identity(&self) -> &IdentityPolicy {
        &self.identity
    }

    /// How sessions of one subject compare, where it says so.
    pub const fn linkage(&self) -> Option<&Linkage> {
        self.linkage.as_ref()
    }

    /// The modules, not opened.
    pub const fn modules(&self) -> &ModulesFile {
        &self.modules
    }

    /// The bounds on what is read: those of the loader, lowered by `router.toml`.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The files as they were read: what a pin keeps in the log.
    pub const fn files(&self) -> &PolicyFiles {
        &self.files
    }

    /// The text of the key set, where there is one.
    pub fn keys(&self) -> Option<&str> {
        self.keys.as_deref()
    }

    /// Opens the modules and puts everything together. `secret` keys the mint of Routing
    /// Approval Tokens: 32 bytes from a good source of randomness.
    ///
    /// # Errors
    /// [`PolicyError::Modules`] when a module's journal or program cannot be used.
    pub fn open(
        self,
        journals: Journals<'_>,
        secret: impl Into<Zeroizing<[u8; 32]>>,
    ) -> Result<OpenPolicy, PolicyError> {
        let Modules { registry, outboxes } =
            self.modules.open_with(&self.base, journals, read_output)?;
        self.assemble(registry, outboxes, secret)
    }

    /// Everything that decides, with the modules' contracts and nothing behind them: for a
    /// replay, which carries nothing out and opens nothing.
    ///
    /// # Errors
    /// [`PolicyError::Modules`] when two modules have one name.
    pub fn for_replay(self) -> Result<Version<DefaultEngines>, PolicyError> {
        let registry = self.modules.contracts_only()?;
        let open = self.assemble(registry, Vec::new(), [0; 32])?;
        let OpenPolicy { engines, rules, catalogue, identity, .. } = open;
        Ok(Version { engines, rules, catalogue, identity })
    }

    fn assemble(
        self,
        registry: Registry,
        outboxes: Vec<Arc<Outbox>>,
        secret: impl Into<Zeroizing<[u8; 32]>>,
    ) -> Result<OpenPolicy, PolicyError> {
        let pins = self.pins();
        let identity = Arc::new(self.identity);
        let governor = self.settings.governor().or(self.governance.reviewer()).cloned();
        let governor = match governor {
            Some(governor) => governor,
            None => Name::new(DEFAULT_APPROVER).map_err(|error| PolicyError::Unreadable {
                place: "governance.toml".into(),
                why: error.to_string(),
            })?,
        };
        let rules = Rules {
            catalogue: self.catalogue.digest(),
            table: self.table,
            classifier: self.classifier,
            matrix: self.matrix,
            threshold: self.settings.restriction_threshold(),
            validated_strength: self.settings.validated_strength(),
            gate: Gate::new(self.settings.clearance_millis()),
            mint: TokenMint::new(secret),
            token_millis: self.settings.token_millis(),
            governor,
            decision_millis: self.settings.decision_millis(),
            pins,
            files: self.files,
        };
        let engines = EngineSet {
            identity: match self.linkage {
                None => IdentitySystem::new(Arc::clone(&identity)),
                Some(linkage) => IdentitySystem::new(Arc::clone(&identity)).with_linkage(linkage),
            },
            intent: CatalogueEngine,
            modeling: self.modeling,
            memory: MemorySystem::default(),
            safety: SafetySystem::new(self.envelope),
            governance: Governor::new(self.governance),
            pipeline: PathPlanner,
            execution: registry.within(&self.limits),
        };
        Ok(OpenPolicy {
            engines,
            rules,
            catalogue: Arc::new(self.catalogue),
            identity,
            intake: self.intake,
            outboxes,
            settings: self.settings,
            limits: self.limits,
        })
    }
}

/// What a program gives back is read as strictly as what comes in; lower bounds are
/// held by the registry.
fn read_output(bytes: &[u8]) -> Result<Value, String> {
    json::parse(bytes, &Limits::DEFAULT).map_err(|error| error.to_string())
}

/// What counts as drift where the folder does not say.
fn shipped_modeling() -> Result<ModelingConfig, FileError> {
    ModelingConfig::from_toml("modeling.toml", "version = \"shipped\"\n")
}

#[cfg(feature = "jwt")]
fn check_keys(file: &str, text: &str) -> Result<(), PolicyError> {
    match crate::identity::TokenVerifier::from_jwks(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(FileError::at(file, text, 0..0, error.to_string()).into()),
    }
}

#[cfg(not(feature = "jwt"))]
fn check_keys(file: &str, text: &str) -> Result<(), PolicyError> {
    let read = json::parse(text.as_bytes(), &Limits::DEFAULT);
    read.map(|_| ()).map_err(|error| FileError::at(file, text, 0..0, error.to_string()).into())
}
