//! Fields and indices: those of the environment are known, those of evidence are not.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, SelectExpr};
use ztl_core::authorizer::ConditionError;
use ztl_core::policy::{Effect, suggest};

use super::check::{Checked, Checker, Typed};
use super::names::Object;
use super::plan::{Kind, Node};
use super::ty::Ty;

impl<'a> Checker<'a> {
    pub(super) fn select(&mut self, expr: &'a IdedExpr, select: &'a SelectExpr) -> Checked {
        let of = self.any(&select.operand)?;
        self.field(expr, of, &select.field)
    }

    /// A field of something, by its name.
    pub(super) fn field(&mut self, expr: &IdedExpr, of: Typed, field: &str) -> Checked {
        match of.ty {
            Ty::Object(object) => self.object_field(expr, of, object, field),
            Ty::Dyn => {
                let kind = Kind::Field(Box::new(of.node), field.into());
                Ok(self.typed(expr, kind, Ty::Dyn))
            }
            Ty::Map(ref key, ref value) if key.could_be(&Ty::Text) => {
                let ty = (**value).clone();
                let kind = Kind::Field(Box::new(of.node), field.into());
                Ok(self.typed(expr, kind, ty))
            }
            ty => {
                let field = field.escape_debug();
                Err(self.wrong(expr, format!("{ty} has no field `{field}`")))
            }
        }
    }

    fn object_field(&mut self, expr: &IdedExpr, of: Typed, object: Object, field: &str) -> Checked {
        if let Some(named) = object.field(field) {
            return Ok(self.known(expr, named));
        }
        let Some(ty) = object.holds() else {
            let near = suggest(field, object.fields().iter().copied());
            let name = object.name();
            let error = self.wrong(
                expr,
                format!("`{name}` has no field `{}`", field.escape_debug()),
            );
            return Err(error.with_help(match near {
                Some(near) => format!("did you mean `{name}.{near}`?"),
                None => format!("there are: {}", object.fields().join(", ")),
            }));
        };
        if object == Object::Params {
            self.check_param(expr, field)?;
        }
        self.reads = self.reads.and(object.reads());
        let kind = Kind::Field(Box::new(of.node), field.into());
        Ok(self.typed(expr, kind, ty))
    }

    /// A parameter that no path of the rule has is never there.
    fn check_param(&self, expr: &IdedExpr, name: &str) -> Result<(), ConditionError> {
        let params = &self.setting.params;
        if params.contains(&name) {
            return Ok(());
        }
        let message = format!(
            "no path of the rule has a parameter `{}`",
            name.escape_debug()
        );
        let help = match suggest(name, params.iter().copied()) {
            Some(near) => format!("did you mean `params.{near}`?"),
            None if params.is_empty() => "its `actions` have none".to_owned(),
            None => format!("there are: {}", params.join(", ")),
        };
        Err(self.wrong(expr, message).with_help(help))
    }

    /// `of[index]`
    pub(super) fn index(
        &mut self,
        expr: &'a IdedExpr,
        of: &'a IdedExpr,
        index: &'a IdedExpr,
    ) -> Checked {
        let of = self.any(of)?;
        if let (Expr::Literal(LiteralValue::String(name)), Ty::Object(_)) = (&index.expr, &of.ty) {
            return self.field(expr, of, name.inner());
        }
        let at = self.value(index)?;
        let (wanted, ty) = match &of.ty {
            Ty::Dyn => return Ok(self.indexed(expr, of, at, Ty::Dyn)),
            Ty::List(of) => (Ty::Int, (**of).clone()),
            Ty::Map(key, value) => ((**key).clone(), (**value).clone()),
            Ty::Object(object) => match object.holds() {
                Some(ty) => {
                    self.reads = self.reads.and(object.reads());
                    (Ty::Text, ty)
                }
                None => {
                    let message = format!("`{}` has fields, and no index", object.name());
                    return Err(self.wrong(expr, message));
                }
            },
            ty => return Err(self.wrong(expr, format!("{ty} has no index"))),
        };
        if !wanted.compares_with(&at.ty) {
            let message = format!("the index is {}, and it has to be {wanted}", at.ty);
            return Err(self.wrong(index, message));
        }
        Ok(self.indexed(expr, of, at, ty))
    }

    fn indexed(&self, expr: &IdedExpr, of: Typed, at: Typed, ty: Ty) -> Typed {
        self.typed(expr, Kind::Index(Box::new([of.node, at.node])), ty)
    }

    /// `has(of.field)`: in a permit not of evidence (T7).
    pub(super) fn has(&mut self, expr: &'a IdedExpr, asked: &'a IdedExpr) -> Checked {
        let Expr::Select(select) = &asked.expr else {
            let error = self.wrong(asked, "`has` asks for a field");
            return Err(error.with_help("write it as `has(of.field)`"));
        };
        let of = self.any(&select.operand)?;
        let object = match of.ty {
            Ty::Object(object) => Some(object),
            Ty::Dyn => None,
            ty => {
                let message = format!("{ty} has no fields that could be asked for");
                return Err(self.wrong(asked, message));
            }
        };
        if self.setting.effect == Effect::Permit && !object.is_some_and(Object::may_lack) {
            let error = self.wrong(expr, "in a permit `has` cannot be asked of evidence");
            return Err(error.with_help(
                "leave it out: where what is read is not there the permit does not hold; ask for its absence in a forbid",
            ));
        }
        // The field has to be one that could be there, and what it reads is read.
        let field = self.any(asked)?;
        // An object reads nothing by itself: asking for it would be true or false of everyone, and a forbid would never fire (T7).
        if let Ty::Object(object) = field.ty {
            let message = format!("`{}` is an object and no evidence", object.name());
            let help = format!("ask for one of its fields: `has({}.x)`", object.name());
            return Err(self.wrong(asked, message).with_help(help));
        }
        match (object, field.node.kind) {
            (_, Kind::Field(of, name)) => Ok(self.typed(expr, Kind::Has(of, name), Ty::Bool)),
            (Some(object), kind @ Kind::Fact(_)) if object.holds().is_none() => {
                let node = Node {
                    kind,
                    at: field.node.at,
                };
                Ok(self.typed(expr, Kind::Has(Box::new(node), "".into()), Ty::Bool))
            }
            _ => Err(self.wrong(asked, "this cannot be asked for")),
        }
    }
}
