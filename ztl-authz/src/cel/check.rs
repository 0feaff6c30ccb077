//! From a tree to a plan: names, fields and types.

use core::ops::Range;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, MapExpr};
use cel::common::types::CelNull;
use cel::common::value::Val;
use ztl_core::authorizer::{ConditionError, Reads, Setting};
use ztl_core::policy::suggest;

use super::condition::CelCondition;
use super::names::{NAMES, Named, named};
use super::parse::Parsed;
use super::place::place;
use super::plan::{Kind, Node};
use super::ty::Ty;

/// Checks what was parsed.
pub(super) fn check(
    parsed: &Parsed,
    source: &str,
    setting: &Setting<'_>,
) -> Result<CelCondition, ConditionError> {
    let mut checker = Checker {
        parsed,
        source,
        setting,
        locals: Vec::new(),
        reads: Reads::nothing(),
    };
    let Typed { node, ty } = checker.value(&parsed.root)?;
    if !ty.could_be(&Ty::Bool) {
        return Err(
            ConditionError::new(format!("a condition is true or false, and this is {ty}"))
                .with_help("compare it with something")
                .at(node.at),
        );
    }
    Ok(CelCondition::new(source, node, checker.reads))
}

/// A node and its type.
pub(super) struct Typed {
    pub(super) node: Node,
    pub(super) ty: Ty,
}

pub(super) struct Checker<'a> {
    parsed: &'a Parsed,
    source: &'a str,
    pub(super) setting: &'a Setting<'a>,
    /// The variables of the loops around, the outermost first.
    pub(super) locals: Vec<(&'a str, Ty)>,
    pub(super) reads: Reads,
}

pub(super) type Checked = Result<Typed, ConditionError>;

impl<'a> Checker<'a> {
    /// Where an expression stands.
    pub(super) fn at(&self, expr: &IdedExpr) -> Range<usize> {
        place(expr, &self.parsed.info, self.source)
    }

    pub(super) fn wrong(&self, expr: &IdedExpr, message: impl Into<String>) -> ConditionError {
        ConditionError::new(message).at(self.at(expr))
    }

    pub(super) fn typed(&self, expr: &IdedExpr, kind: Kind, ty: Ty) -> Typed {
        let at = self.at(expr);
        Typed {
            node: Node { kind, at },
            ty,
        }
    }

    /// An expression that is a value.
    pub(super) fn value(&mut self, expr: &'a IdedExpr) -> Checked {
        let typed = self.any(expr)?;
        if let Ty::Object(object) = typed.ty {
            let name = object.name();
            let help = match object.fields() {
                [] => format!("name one of its fields: `{name}.x` or `{name}[\"x\"]`"),
                fields => format!("name one of its fields: {}", fields.join(", ")),
            };
            let error = self.wrong(expr, format!("`{name}` is an object and no value"));
            return Err(error.with_help(help));
        }
        Ok(typed)
    }

    /// An expression that is true or false.
    pub(super) fn truth(&mut self, expr: &'a IdedExpr, asks: &str) -> Result<Node, ConditionError> {
        let typed = self.value(expr)?;
        if typed.ty.could_be(&Ty::Bool) {
            return Ok(typed.node);
        }
        let message = format!("`{asks}` takes true or false, and this is {}", typed.ty);
        Err(self.wrong(expr, message))
    }

    /// An expression, which may be an object.
    pub(super) fn any(&mut self, expr: &'a IdedExpr) -> Checked {
        match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal),
            Expr::Ident(name) => self.name(expr, name),
            Expr::Select(select) => self.select(expr, select),
            Expr::Call(call) => self.call(expr, call),
            Expr::List(list) => {
                let mut of = None;
                let mut nodes = Vec::with_capacity(list.elements.len());
                for element in &list.elements {
                    let Typed { node, ty } = self.value(element)?;
                    of = Some(of.map_or_else(|| ty.clone(), |of: Ty| of.or(ty.clone())));
                    nodes.push(node);
                }
                let ty = Ty::list(of.unwrap_or(Ty::Dyn));
                Ok(self.typed(expr, Kind::List(nodes), ty))
            }
            Expr::Map(map) => self.map(expr, map),
            Expr::Struct(one) => {
                let name = one.type_name.escape_debug();
                Err(self.wrong(expr, format!("no type `{name}` can be made here")))
            }
            Expr::Comprehension(_) | Expr::Unspecified => {
                Err(self.wrong(expr, "this is no expression"))
            }
        }
    }

    fn literal(&self, expr: &IdedExpr, literal: &LiteralValue) -> Checked {
        let (value, ty): (Box<dyn Val>, Ty) = match literal {
            LiteralValue::Boolean(one) => (one.clone_as_boxed(), Ty::Bool),
            LiteralValue::Double(one) => (one.clone_as_boxed(), Ty::Double),
            LiteralValue::Int(one) => (one.clone_as_boxed(), Ty::Int),
            LiteralValue::Null => (Box::new(CelNull), Ty::Null),
            LiteralValue::String(one) => (one.clone_as_boxed(), Ty::Text),
            LiteralValue::UInt(one) => (one.clone_as_boxed(), Ty::Uint),
            LiteralValue::Bytes(_) => {
                let error = self.wrong(expr, "bytes are nothing that a condition can look at");
                return Err(error.with_help("write a text, without the `b`"));
            }
        };
        Ok(self.typed(expr, Kind::Literal(value), ty))
    }

    fn map(&mut self, expr: &'a IdedExpr, map: &'a MapExpr) -> Checked {
        let mut of: Option<(Ty, Ty)> = None;
        let mut nodes = Vec::with_capacity(map.entries.len());
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err(self.wrong(expr, "this is no map"));
            };
            let (key, value) = (self.value(&entry.key)?, self.value(&entry.value)?);
            if !matches!(key.ty, Ty::Dyn | Ty::Text | Ty::Int | Ty::Uint | Ty::Bool) {
                let message = format!("{} cannot be the key of a map", key.ty);
                return Err(self.wrong(&entry.key, message));
            }
            of = Some(match of {
                None => (key.ty, value.ty),
                Some((keys, values)) => (keys.or(key.ty), values.or(value.ty)),
            });
            nodes.push([key.node, value.node]);
        }
        let (key, value) = of.unwrap_or((Ty::Dyn, Ty::Dyn));
        let ty = Ty::Map(Box::new(key), Box::new(value));
        Ok(self.typed(expr, Kind::Map(nodes), ty))
    }

    fn name(&mut self, expr: &IdedExpr, name: &str) -> Checked {
        let local = self.locals.iter().rposition(|(local, _)| *local == name);
        if let Some((at, (_, ty))) = local.and_then(|at| Some((at, self.locals.get(at)?))) {
            return Ok(self.typed(expr, Kind::Local(at), ty.clone()));
        }
        // A point before a name means the outermost scope, which is where all of these are.
        match named(name.strip_prefix('.').unwrap_or(name)) {
            Some(one) => Ok(self.known(expr, one)),
            None => {
                let locals = self.locals.iter().map(|(name, _)| *name);
                let near = suggest(name, NAMES.into_iter().chain(locals));
                let error = self.wrong(expr, format!("unknown name `{}`", name.escape_debug()));
                Err(error.with_help(match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are: {}", NAMES.join(", ")),
                }))
            }
        }
    }

    pub(super) fn known(&mut self, expr: &IdedExpr, named: Named) -> Typed {
        match named {
            Named::Object(object) => {
                let fact = super::names::Fact::Open(object);
                self.typed(expr, Kind::Fact(fact), Ty::Object(object))
            }
            Named::Fact(fact, ty) => {
                self.reads = self.reads.and(fact.reads());
                self.typed(expr, Kind::Fact(fact), ty)
            }
        }
    }
}
