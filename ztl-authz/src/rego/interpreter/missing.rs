//! What may be missing, where the interpreter makes something of it that OPA leaves undefined.
//!
//! - Behind a `not`: OPA evaluates what a call or a comparison is given before the `not`, and where some of it is missing, what is
//!   around the `not` is undefined. To the interpreter the `not` holds there, and what is missing would be good news (T7). What OPA
//!   takes as it stands, a reference by itself or one that is compared with `==`, is taken here.
//! - In an `in`, which the interpreter calls false: good news where somebody asks for `false`. With a key, nothing is in nothing.
//! - In a `with` before another one, which the interpreter leaves out.
//!
//! So it has to have a name before.

use regorus::unstable::{AssignOp, BoolOp, Expr, Ref, Rule, RuleHead};

/// What the names of an expression are.
pub(super) struct Missing<'a> {
    /// Whether a name is that of a rule or of an import, and so of something that may be missing.
    pub(super) may_lack: &'a dyn Fn(&str) -> bool,
    /// Whether what is called always answers, or fails.
    pub(super) answers: &'a dyn Fn(&Expr) -> bool,
}

impl Missing<'_> {
    /// The first part of an expression behind `not` that may be missing, where that would be taken for good news.
    pub(super) fn behind_not<'a>(&self, expr: &'a Expr) -> Option<&'a Expr> {
        match expr {
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.within(expr),
            Expr::BoolExpr {
                op: BoolOp::Eq,
                lhs,
                rhs,
                ..
            }
            | Expr::AssignExpr {
                op: AssignOp::Eq,
                lhs,
                rhs,
                ..
            } => [lhs, rhs].into_iter().find_map(|side| match &**side {
                side @ (Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. }) => {
                    self.within(side)
                }
                side => self.part(side),
            }),
            // Of the function itself it is asked whether it holds.
            Expr::Call { params, .. } => params.iter().find_map(|param| self.part(param)),
            other => self.part(other),
        }
    }

    /// What stands in the brackets of a reference.
    fn within<'a>(&self, expr: &'a Expr) -> Option<&'a Expr> {
        match expr {
            Expr::RefDot { refr, .. } => self.within(refr),
            Expr::RefBrack { refr, index, .. } => self.within(refr).or_else(|| self.part(index)),
            Expr::Call { .. } => self.part(expr),
            _ => None,
        }
    }

    /// The first part of an expression that may be missing.
    pub(super) fn part<'a>(&self, expr: &'a Expr) -> Option<&'a Expr> {
        let all = |all: &'a [Ref<Expr>]| all.iter().find_map(|one| self.part(one));
        match expr {
            Expr::RefDot { .. } | Expr::RefBrack { .. } => Some(expr),
            Expr::Var { span, .. } => (self.may_lack)(span.text()).then_some(expr),
            Expr::Array { items, .. } | Expr::Set { items, .. } => all(items),
            Expr::Object { fields, .. } => (fields.iter())
                .find_map(|(_, key, value)| self.part(key).or_else(|| self.part(value))),
            Expr::Call { fcn, params, .. } if (self.answers)(fcn) => all(params),
            Expr::Call { .. } => Some(expr),
            Expr::UnaryExpr { expr, .. } => self.part(expr),
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => self.part(lhs).or_else(|| self.part(rhs)),
            Expr::Membership {
                key,
                value,
                collection,
                ..
            } => (key.iter().chain([value, collection])).find_map(|one| self.part(one)),
            Expr::ArrayCompr { .. }
            | Expr::SetCompr { .. }
            | Expr::ObjectCompr { .. }
            | Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => None,
        }
    }
}

/// Whether a rule says something whatever it is asked about.
pub(super) fn is_there(rule: &Rule) -> bool {
    match rule {
        Rule::Default { .. } => true,
        Rule::Spec { head, bodies, .. } => match head {
            RuleHead::Set { .. } => true,
            RuleHead::Compr { refr, assign, .. } => {
                let plain = matches!(&**refr, Expr::Var { .. });
                let value = assign.as_ref().map(|assign| &*assign.value);
                plain && bodies.is_empty() && value.is_some_and(is_literal)
            }
            RuleHead::Func { .. } => false,
        },
    }
}

/// Whether an expression is a value as it stands.
fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            items.iter().all(|item| is_literal(item))
        }
        Expr::Object { fields, .. } => {
            (fields.iter()).all(|(_, key, value)| is_literal(key) && is_literal(value))
        }
        Expr::String { .. }
        | Expr::RawString { .. }
        | Expr::Number { .. }
        | Expr::Bool { .. }
        | Expr::Null { .. } => true,
        _ => false,
    }
}
