//! Conditions (`when`) in the [Common Expression Language](https://cel.dev).
//!
//! A condition is compiled once, when the policy is loaded, and never from anything that a request holds. It can only object:
//! what it says narrows a rule that matches already (law 4).
//!
//! 1. Its names are known and its types fit, or the policy is refused, with the place in the text and how to mend it.
//! 2. Its source, its nesting, its parts and the work that it may do are bounded: [`MAX_SOURCE_BYTES`], [`MAX_BRACKETS`],
//!    [`MAX_DEPTH`], [`MAX_NODES`], [`MAX_LOOPS`], [`MAX_STEPS`] (rule 15).
//! 3. An error is an error: a permit does not permit and a forbid forbids, and the record says which part of the condition
//!    failed (rule 7). Unlike in CEL at large, neither `||` nor `&&` nor `exists` swallows one: what a condition comes to read
//!    has to be there (T7).
//! 4. Whether it may take long is told by its text: what goes over a list, and what is like that, is judged where no other request
//!    waits (T34).
//! 5. In a permit `has()` may not be asked of evidence, and in no rule is an object of the token, the posture or the context
//!    looked at as a whole: absence is never read as good news (T7).
//!
//! [docs/conditions.md](https://github.com/ztl-rs/ztl/blob/main/docs/conditions.md) lists what a condition can name and call.
//!
//! Parser, numbers, times and conversions are those of the `cel` crate. That crate checks no types and bounds no work, so the
//! walk over the expression is this module's.
//!
//! ```
//! use std::sync::Arc;
//! use ztl_authz::cel::Cel;
//! use ztl_core::policy::{Format, Loader};
//!
//! let loader = Loader::new().with_conditions(Arc::new(Cel::new()));
//! let policy = |when: &str| {
//!     let text = format!(r#"
//!         schema = 1
//!         trust_domain = "prod.example"
//!         [workloads.router]
//!         id = "spiffe://prod.example/router"
//!         [workloads.models]
//!         id = "spiffe://prod.example/models"
//!         ports = [8443]
//!         [[permit]]
//!         name = "router-infers"
//!         from = "router"
//!         to = "models"
//!         actions = "POST /v1/models/{{model}}/infer"
//!         require.when = '{when}'
//!     "#);
//!     loader.load(&text, Format::Toml)
//! };
//! assert!(policy("params.model in token.claims.models").is_ok());
//!
//! let error = policy("parms.model in token.claims.models").unwrap_err().to_string();
//! assert!(error.contains("14:25: unknown name `parms`"));
//! assert!(error.contains("did you mean `params`?"));
//! ```

mod call;
mod check;
mod condition;
mod facts;
mod field;
mod function;
mod heavy;
mod lists;
mod names;
mod native;
mod operand;
mod operator;
mod parse;
mod pattern;
mod place;
mod plan;
mod sought;
mod ty;
mod value;
mod walk;

use std::sync::Arc;

#[cfg(doc)]
use ztl_core::authorizer::Facts;
use ztl_core::authorizer::{Condition, ConditionCompiler, ConditionError, Setting};

pub use condition::CelCondition;

/// Longest source of a condition, in bytes.
pub const MAX_SOURCE_BYTES: usize = 4096;
/// Most opening brackets in a source, wherever they stand: the parser descends into each.
pub const MAX_BRACKETS: usize = 64;
/// How deep an expression may nest.
pub const MAX_DEPTH: usize = 32;
/// Most parts of an expression.
pub const MAX_NODES: usize = 512;
/// How deep `all`, `exists`, `filter` and `map` may stand within each other.
pub const MAX_LOOPS: usize = 2;
/// Most steps of one evaluation: a part that is looked at is one, and so is each element of a list and each 64 bytes of text
/// that are compared, copied or put together. Fewer where a decision may ask many conditions ([`Facts::steps`], T34).
pub const MAX_STEPS: u32 = 10_000;
/// Longest pattern of `matches`, in bytes.
pub const MAX_PATTERN_BYTES: usize = 256;

/// The language: compiles the conditions of a policy. Cheap to clone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cel {
    _private: (),
}

impl Cel {
    /// The language, with what a condition of ztl can name.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }

    /// Compiles a condition that stands in such a rule.
    ///
    /// ```
    /// use ztl_authz::cel::Cel;
    /// use ztl_core::{authorizer::Setting, policy::Effect};
    ///
    /// let source = "zone == 'office' && trust_score + '1' > 70";
    /// let error = Cel::new().condition(source, &Setting::new(Effect::Permit, [])).unwrap_err();
    /// assert_eq!(error.in_text(source).to_string(), "\
    /// 1:21: `+` cannot be applied to int and string
    ///   |
    /// 1 | zone == 'office' && trust_score + '1' > 70
    ///   |                     ^^^^^^^^^^^^^^^^^
    ///   = help: it takes two numbers of one kind, two texts, two lists, or a time and a duration");
    /// ```
    ///
    /// # Errors
    /// [`ConditionError`] where it is no expression, is beyond a bound, names what is not there, or is not true or false.
    pub fn condition(
        &self,
        source: &str,
        setting: &Setting<'_>,
    ) -> Result<CelCondition, ConditionError> {
        let parsed = parse::parse(source)?;
        check::check(&parsed, source, setting)
    }
}

impl ConditionCompiler for Cel {
    fn compile(
        &self,
        source: &str,
        setting: &Setting<'_>,
    ) -> Result<Arc<dyn Condition>, ConditionError> {
        Ok(Arc::new(self.condition(source, setting)?))
    }
}
