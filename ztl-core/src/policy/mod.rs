//! The policy: its document, what it means, and the decision.

mod document;
mod pattern;

pub use document::{
    Document, Effect, ExternalDecl, IssuerDecl, Mfa, Mode, NeverDecl, PortRange, Principal,
    Require, RuleDecl, Span, Spanned, Target, TestDecl, TokenRequire, WorkloadDecl, ZoneDecl,
};
pub use pattern::{ActionPattern, PatternError, Template};
