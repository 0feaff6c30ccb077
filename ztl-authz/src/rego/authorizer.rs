//! An authorizer that asks a policy.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ztl_core::authorizer::{Authorizer, AuthorizerError, Facts, Opinion, Reads};

use super::{RegoEngine, answer, input};

/// Asks a policy in Rego. The engine can be replaced while others are asked: each question is answered by one of the two as a
/// whole.
#[derive(Debug)]
pub struct RegoAuthorizer {
    reads: Reads,
    digest: Option<[u8; 32]>,
    // `ArcSwap` points to what has a size of its own.
    engine: ArcSwap<Arc<dyn RegoEngine>>,
}

impl RegoAuthorizer {
    /// Asks this engine, and hands it of the evidence what `reads` names.
    #[must_use]
    pub fn new(engine: Arc<dyn RegoEngine>, reads: Reads) -> Self {
        Self {
            reads,
            digest: None,
            engine: ArcSwap::from_pointee(engine),
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
        self.engine.store(Arc::new(engine));
    }

    /// The engine in force.
    #[must_use]
    pub fn engine(&self) -> Arc<dyn RegoEngine> {
        Arc::clone(&self.engine.load())
    }
}

impl Authorizer for RegoAuthorizer {
    fn reads(&self) -> Reads {
        self.reads
    }

    fn objects(&self, facts: &Facts<'_>) -> Result<bool, AuthorizerError> {
        Ok(!matches!(self.opinion(facts)?, Opinion::Agrees(_)))
    }

    fn opinion(&self, facts: &Facts<'_>) -> Result<Opinion, AuthorizerError> {
        let input = input::document(facts)?;
        let engine = self.engine();
        let answer = engine.evaluate(&input)?;
        Ok(answer::opinion(answer.as_ref())?)
    }

    fn is_heavy(&self) -> bool {
        true
    }

    fn digest(&self) -> Option<[u8; 32]> {
        self.digest
    }
}
