//! Calls: operators, loops and functions.

use cel::common::ast::{CallExpr, Expr, IdedExpr, operators};
use ztl_core::authorizer::ConditionError;
use ztl_core::policy::suggest;

use super::MAX_LOOPS;
use super::check::{Checked, Checker, Typed};
use super::function;
use super::names::{NAMES, Object};
use super::plan::{Kind, Loop, Operator};
use super::ty::Ty;

impl<'a> Checker<'a> {
    pub(super) fn call(&mut self, expr: &'a IdedExpr, call: &'a CallExpr) -> Checked {
        let name = call.func_name.as_str();
        match (name, call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_AND, None, [left, right]) => {
                let both = [self.truth(left, "&&")?, self.truth(right, "&&")?];
                Ok(self.typed(expr, Kind::And(Box::new(both)), Ty::Bool))
            }
            (operators::LOGICAL_OR, None, [left, right]) => {
                let both = [self.truth(left, "||")?, self.truth(right, "||")?];
                Ok(self.typed(expr, Kind::Or(Box::new(both)), Ty::Bool))
            }
            (operators::LOGICAL_NOT, None, [one]) => {
                let one = self.truth(one, "!")?;
                Ok(self.typed(expr, Kind::Not(Box::new(one)), Ty::Bool))
            }
            (operators::CONDITIONAL, None, [asked, then, other]) => {
                let asked = self.truth(asked, "?")?;
                let (then, other) = (self.value(then)?, self.value(other)?);
                if !then.ty.could_be(&other.ty) {
                    let message = format!(
                        "the two ends of `? :` are {} and {}, and have to be of one type",
                        then.ty, other.ty
                    );
                    return Err(self.wrong(expr, message));
                }
                let ty = then.ty.or(other.ty);
                let kind = Kind::If(Box::new([asked, then.node, other.node]));
                Ok(self.typed(expr, kind, ty))
            }
            (operators::NEGATE, None, [one]) => {
                let Typed { node, ty } = self.value(one)?;
                if !matches!(ty, Ty::Dyn | Ty::Int | Ty::Double) {
                    return Err(self.wrong(expr, format!("{ty} has no negative")));
                }
                Ok(self.typed(expr, Kind::Negate(Box::new(node)), ty))
            }
            (operators::INDEX, None, [of, index]) => self.index(expr, of, index),
            (_, None, [left, right]) if operator(name).is_some() => {
                self.operation(expr, name, left, right)
            }
            (operators::HAS, None, [asked]) => self.has(expr, asked),
            (_, Some(of), [variable, body]) if looped(name).is_some() => {
                self.looped(expr, name, of, variable, body)
            }
            (_, target, args) => self.function(expr, name, target, args),
        }
    }

    fn operation(
        &mut self,
        expr: &'a IdedExpr,
        name: &str,
        left: &'a IdedExpr,
        right: &'a IdedExpr,
    ) -> Checked {
        let Some((operator, sign, takes)) = operator(name) else {
            return Err(self.wrong(expr, "this is no operator"));
        };
        if operator == Operator::In {
            self.refuse_membership(expr, right)?;
        }
        let (a, b) = (self.value(left)?, self.value(right)?);
        let Some(ty) = gives(operator, &a.ty, &b.ty) else {
            let message = format!("`{sign}` cannot be applied to {} and {}", a.ty, b.ty);
            return Err(self.wrong(expr, message).with_help(takes));
        };
        let kind = Kind::Operator(operator, Box::new([a.node, b.node]));
        Ok(self.typed(expr, kind, ty))
    }

    /// `x in object` asks whether a field is there.
    fn refuse_membership(
        &mut self,
        expr: &IdedExpr,
        of: &'a IdedExpr,
    ) -> Result<(), ConditionError> {
        let Ty::Object(object) = self.any(of)?.ty else {
            return Ok(());
        };
        let message = format!("`in` takes a list, and `{}` is an object", object.name());
        let help = match object {
            Object::Params | Object::Request => "ask with `has`",
            _ => "read the field: where it is not there, a permit does not hold and a forbid does",
        };
        Err(self.wrong(expr, message).with_help(help))
    }

    fn looped(
        &mut self,
        expr: &'a IdedExpr,
        name: &str,
        of: &'a IdedExpr,
        variable: &'a IdedExpr,
        body: &'a IdedExpr,
    ) -> Checked {
        let Some(kind) = looped(name) else {
            return Err(self.wrong(expr, "this is no loop"));
        };
        let of_at = self.value(of)?;
        let element = match &of_at.ty {
            Ty::List(of) => (**of).clone(),
            Ty::Dyn => Ty::Dyn,
            ty => {
                let message = format!("`{name}` goes over a list, and this is {ty}");
                return Err(self.wrong(of, message));
            }
        };
        let Expr::Ident(variable_name) = &variable.expr else {
            let error = self.wrong(variable, format!("`{name}` first names its variable"));
            return Err(error.with_help(format!("write it as `list.{name}(x, .. x ..)`")));
        };
        let taken = |one: &str| one == variable_name;
        if NAMES.into_iter().any(taken) || self.locals.iter().any(|(one, _)| taken(one)) {
            let message = format!("the name `{variable_name}` is taken");
            return Err(self.wrong(variable, message).with_help("choose another"));
        }
        if self.locals.len() >= MAX_LOOPS {
            let message = format!("loops stand more than {MAX_LOOPS} deep in each other here");
            return Err(self.wrong(expr, message));
        }
        self.locals.push((variable_name, element.clone()));
        let body = match kind {
            Loop::Map => self.value(body),
            _ => self
                .truth(body, name)
                .map(|node| Typed { node, ty: Ty::Bool }),
        };
        self.locals.pop();
        let body = body?;
        let ty = match kind {
            Loop::All | Loop::Exists | Loop::ExistsOne => Ty::Bool,
            Loop::Filter => Ty::list(element),
            Loop::Map => Ty::list(body.ty),
        };
        let both = Box::new([of_at.node, body.node]);
        Ok(self.typed(expr, Kind::Loop(kind, both), ty))
    }

    fn function(
        &mut self,
        expr: &'a IdedExpr,
        name: &str,
        target: Option<&'a IdedExpr>,
        args: &'a [IdedExpr],
    ) -> Checked {
        if !function::is_known(name) {
            let known = function::names().chain(LOOPS).chain([operators::HAS]);
            let shown = name.escape_debug();
            let error = self.wrong(expr, format!("unknown function `{shown}`"));
            return Err(match suggest(name, known) {
                Some(near) => error.with_help(format!("did you mean `{near}`?")),
                None => error,
            });
        }
        let mut all = Vec::with_capacity(args.len().saturating_add(1));
        for arg in target.into_iter().chain(args) {
            all.push(self.value(arg)?);
        }
        let types: Vec<Ty> = all.iter().map(|one| one.ty.clone()).collect();
        let nodes = all.into_iter().map(|one| one.node).collect();
        let at = self.at(expr);
        let (kind, ty) =
            function::resolve(name, target.is_some(), &types, nodes).map_err(|error| {
                if error.at.is_none() {
                    error.at(at)
                } else {
                    error
                }
            })?;
        Ok(self.typed(expr, kind, ty))
    }
}

const LOOPS: [&str; 6] = ["all", "exists", "exists_one", "existsOne", "filter", "map"];

fn looped(name: &str) -> Option<Loop> {
    Some(match name {
        "all" => Loop::All,
        "exists" => Loop::Exists,
        "exists_one" | "existsOne" => Loop::ExistsOne,
        "filter" => Loop::Filter,
        "map" => Loop::Map,
        _ => return None,
    })
}

/// An operator with its sign, and what it takes.
fn operator(name: &str) -> Option<(Operator, &'static str, &'static str)> {
    const ORDERED: &str = "it takes two numbers, two texts, two times or two durations";
    const EQUAL: &str = "it takes two of one type; numbers are one";
    const NUMBERS: &str = "it takes two numbers of one kind";
    Some(match name {
        operators::ADD => (
            Operator::Add,
            "+",
            "it takes two numbers of one kind, two texts, two lists, or a time and a duration",
        ),
        operators::SUBSTRACT => (
            Operator::Subtract,
            "-",
            "it takes two numbers of one kind, two times, or a time and a duration",
        ),
        operators::MULTIPLY => (Operator::Multiply, "*", NUMBERS),
        operators::DIVIDE => (Operator::Divide, "/", NUMBERS),
        operators::MODULO => (
            Operator::Modulo,
            "%",
            "it takes two whole numbers of one kind",
        ),
        operators::EQUALS => (Operator::Equals, "==", EQUAL),
        operators::NOT_EQUALS => (Operator::Differs, "!=", EQUAL),
        operators::LESS => (Operator::Less, "<", ORDERED),
        operators::LESS_EQUALS => (Operator::LessOrEqual, "<=", ORDERED),
        operators::GREATER => (Operator::Greater, ">", ORDERED),
        operators::GREATER_EQUALS => (Operator::GreaterOrEqual, ">=", ORDERED),
        operators::IN => (
            Operator::In,
            "in",
            "it takes a list at its right, of what could be equal to the left",
        ),
        _ => return None,
    })
}

/// The type of an operation; none where it cannot be done with what is known of the two.
fn gives(operator: Operator, a: &Ty, b: &Ty) -> Option<Ty> {
    let same_number = a.is_number() && a == b;
    let open = |of: &Ty, other: &Ty| *of == Ty::Dyn && may_be_added(other);
    match operator {
        Operator::Equals | Operator::Differs => {
            (a.compares_with(b) || *a == Ty::Null || *b == Ty::Null).then_some(Ty::Bool)
        }
        Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
            (a.compares_with(b) && is_ordered(a) && is_ordered(b)).then_some(Ty::Bool)
        }
        Operator::In => match b {
            Ty::Dyn => Some(Ty::Bool),
            Ty::List(of) | Ty::Map(of, _) if of.compares_with(a) => Some(Ty::Bool),
            _ => None,
        },
        Operator::Modulo => match (a, b) {
            (Ty::Dyn, Ty::Dyn) => Some(Ty::Dyn),
            (Ty::Dyn, other) | (other, Ty::Dyn) if matches!(other, Ty::Int | Ty::Uint) => {
                Some(other.clone())
            }
            _ => (same_number && *a != Ty::Double).then(|| a.clone()),
        },
        Operator::Multiply | Operator::Divide => match (a, b) {
            (Ty::Dyn, Ty::Dyn) => Some(Ty::Dyn),
            (Ty::Dyn, other) | (other, Ty::Dyn) if other.is_number() => Some(other.clone()),
            _ => same_number.then(|| a.clone()),
        },
        Operator::Add => match (a, b) {
            (Ty::Time, Ty::Duration) | (Ty::Duration, Ty::Time) => Some(Ty::Time),
            (Ty::Duration, Ty::Duration) => Some(Ty::Duration),
            (Ty::Text, Ty::Text) => Some(Ty::Text),
            (Ty::List(a), Ty::List(b)) => Some(Ty::list((**a).clone().or((**b).clone()))),
            _ if same_number => Some(a.clone()),
            _ => (open(a, b) || open(b, a)).then_some(Ty::Dyn),
        },
        Operator::Subtract => match (a, b) {
            (Ty::Time, Ty::Time) | (Ty::Duration, Ty::Duration) => Some(Ty::Duration),
            (Ty::Time, Ty::Duration) => Some(Ty::Time),
            _ if same_number => Some(a.clone()),
            _ => ((open(a, b) || open(b, a))
                && ![a, b]
                    .into_iter()
                    .any(|ty| matches!(ty, Ty::Text | Ty::List(_))))
            .then_some(Ty::Dyn),
        },
    }
}

const fn is_ordered(ty: &Ty) -> bool {
    !matches!(ty, Ty::Null | Ty::List(_) | Ty::Map(..) | Ty::Object(_))
}

const fn may_be_added(ty: &Ty) -> bool {
    !matches!(ty, Ty::Null | Ty::Bool | Ty::Map(..) | Ty::Object(_))
}
