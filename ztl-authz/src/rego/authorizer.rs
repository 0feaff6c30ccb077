//! An authorizer that asks a policy.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ztl_core::authorizer::{Authorizer, AuthorizerError, Facts, Opinion, Reads, Spoken, Version};

use super::{RegoEngine, answer, input};

/// Asks a policy in Rego. The engine can be replaced while others are asked: each question is answered by one of the two as a
/// whole.
#[derive(Debug)]
pub struct RegoAuthorizer {
    reads: Reads,
    digest: Option<[u8; 32]>,
    in_force: ArcSwap<InForce>,
}

/// An engine, and what it was made from where that comes in bundles: replaced as one, so that no question is answered by one and
/// recorded as the other's (T24).
#[derive(Debug)]
struct InForce {
    engine: Arc<dyn RegoEngine>,
    version: Option<Version>,
}

impl RegoAuthorizer {
    /// Asks this engine, and hands it of the evidence what `reads` names.
    #[must_use]
    pub fn new(engine: Arc<dyn RegoEngine>, reads: Reads) -> Self {
        Self {
            reads,
            digest: None,
            in_force: ArcSwap::from_pointee(InForce {
                engine,
                version: None,
            }),
        }
    }

    /// Says what the engine was made from, for the revision of the policy document (T24).
    #[must_use]
    pub fn with_digest(self, digest: [u8; 32]) -> Self {
        Self {
            digest: Some(digest),
            ..self
        }
    }

    /// Puts another engine in force.
    pub fn replace(&self, engine: Arc<dyn RegoEngine>) {
        self.replace_by(engine, None);
    }

    /// Puts another engine in force, which was made from this: records of what it decides name it.
    pub fn replace_by(&self, engine: Arc<dyn RegoEngine>, version: Option<Version>) {
        self.in_force.store(Arc::new(InForce { engine, version }));
    }

    /// The engine in force.
    #[must_use]
    pub fn engine(&self) -> Arc<dyn RegoEngine> {
        Arc::clone(&self.in_force.load().engine)
    }

    /// What it was made from, where somebody said so.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.in_force.load().version.clone()
    }
}

impl Authorizer for RegoAuthorizer {
    /// It is always given the time, and may go by it.
    fn reads(&self) -> Reads {
        self.reads.with_clock()
    }

    fn objects(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(!matches!(self.opinion(facts)?, Opinion::Agrees(_)))
    }

    fn opinion(&self, facts: &Facts<'_>) -> Result<Opinion, AuthorizerError> {
        asked(&*self.engine(), facts)
    }

    fn speaks(&self, facts: &Facts<'_>) -> Spoken {
        let in_force = self.in_force.load_full();
        Spoken::new(asked(&*in_force.engine, facts)).by(in_force.version.clone())
    }

    fn is_heavy(&self) -> bool {
        true
    }

    fn digest(&self) -> Option<[u8; 32]> {
        self.digest
    }
}

fn asked(engine: &dyn RegoEngine, facts: &Facts<'_>) -> Result<Opinion, AuthorizerError> {
    let input = input::document(facts)?;
    let answer = engine.evaluate(&input)?;
    Ok(answer::opinion(answer.as_ref())?)
}
