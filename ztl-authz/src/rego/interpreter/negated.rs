//! What stands behind a `not`.
//!
//! OPA evaluates what a call or a comparison is given before the `not`: where some of it is missing, what is around the `not` is
//! undefined. To the interpreter the `not` holds there, and what is missing would be good news (T7). So it has to have a name
//! before. What OPA takes as it stands, a reference by itself or one that is compared with `==`, is taken here.

use regorus::unstable::{AssignOp, BoolOp, Expr, Ref};

/// What the names around a `not` are.
pub(super) struct Negated<'a> {
    /// Whether a name is that of a rule or of an import, and so of something that may be missing.
    pub(super) may_lack: &'a dyn Fn(&str) -> bool,
    /// Whether what is called always answers, or fails.
    pub(super) answers: &'a dyn Fn(&Expr) -> bool,
}

impl Negated<'_> {
    /// The first part of an expression behind `not` that may be missing, where that would be taken for good news.
    pub(super) fn missing<'a>(&self, expr: &'a Expr) -> Option<&'a Expr> {
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

    fn part<'a>(&self, expr: &'a Expr) -> Option<&'a Expr> {
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
