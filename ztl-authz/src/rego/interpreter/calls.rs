//! Whom a policy calls: only what may be called, nothing that calls itself, and no chain so long that a stack ends.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{
    Expr, Import, Literal, Module, Query, Ref, Rule, RuleBody, RuleHead, Span, WithModifier,
};

use super::missing::{Missing, is_there};
use super::{InterpreterError, Refused, strict};

/// Longest chain of rules and functions that call one another.
pub const MAX_CHAIN: usize = 48;

/// What comes of something missing, and not in OPA.
const NOT: &str = "and the `not` around it would hold";
const IN: &str = "and an `in` would be false, or true with a key, where it is undefined";
const WITH: &str = "and this `with` would be left out";

/// A rule or a function, by its path.
type Graph = BTreeMap<String, Node>;

#[derive(Default)]
struct Node {
    place: String,
    is_function: bool,
    /// It says something whatever it is asked about: it has a default, is a set, or a value that stands there.
    is_there: bool,
    /// What it calls.
    calls: BTreeSet<String>,
    /// What it could mean by a name.
    names: BTreeSet<String>,
}

/// Checks all modules of a policy. What they call, by name.
pub(super) fn check(modules: &[Ref<Module>]) -> Result<BTreeSet<String>, InterpreterError> {
    let mut called = BTreeSet::new();
    let mut graph = Graph::new();
    for module in modules {
        let package = format!("data.{}", path(&module.package.refr));
        for rule in &module.policy {
            let (refr, is_function) = head(rule);
            let node = graph
                .entry(format!("{package}.{}", path(refr)))
                .or_default();
            node.place = place(rule.span());
            node.is_function |= is_function;
            node.is_there |= is_there(rule);
        }
    }
    let functions: BTreeSet<String> = graph
        .iter()
        .filter(|(_, node)| node.is_function)
        .map(|(name, _)| name.clone())
        .collect();
    let rules: BTreeSet<String> = graph
        .iter()
        .filter(|(_, node)| !node.is_there)
        .map(|(name, _)| name.clone())
        .collect();
    for module in modules {
        let package = format!("data.{}", path(&module.package.refr));
        let imports = module.imports.iter().filter_map(|import| {
            let whole = path(&import.refr);
            (whole.starts_with("data.")).then(|| (alias(import), whole.clone()))
        });
        let imports: BTreeMap<String, String> = imports.collect();
        let aliases: BTreeSet<String> = module.imports.iter().map(alias).collect();
        for rule in &module.policy {
            let (refr, _) = head(rule);
            let mut walk = Walk {
                package: &package,
                imports: &imports,
                functions: &functions,
                rules: &rules,
                aliases: &aliases,
                called: &mut called,
                calls: BTreeSet::new(),
                names: BTreeSet::new(),
            };
            walk.rule(rule)?;
            let Walk { calls, names, .. } = walk;
            if let Some(node) = graph.get_mut(&format!("{package}.{}", path(refr))) {
                node.calls.extend(calls);
                node.names.extend(names);
            }
        }
    }
    chains(&graph)?;
    Ok(called)
}

/// Refuses what calls itself, and what is too long a chain.
fn chains(graph: &Graph) -> Result<(), InterpreterError> {
    let mut lengths = BTreeMap::new();
    for name in graph.keys() {
        length(graph, name, &mut Vec::new(), &mut lengths)?;
    }
    Ok(())
}

fn length<'a>(
    graph: &'a Graph,
    name: &'a str,
    above: &mut Vec<&'a str>,
    lengths: &mut BTreeMap<&'a str, usize>,
) -> Result<usize, InterpreterError> {
    let Some(node) = graph.get(name) else {
        return Ok(0);
    };
    let fault = |message: String| InterpreterError::Source {
        place: node.place.clone(),
        message,
    };
    if let Some(at) = above.iter().position(|one| *one == name) {
        // A name may be that of a variable as well; what is called is a function.
        let mut round = above.iter().skip(at);
        return if round.all(|one| graph.get(*one).is_some_and(|node| node.is_function)) {
            Err(fault(format!("`{name}` calls itself")))
        } else {
            Ok(0)
        };
    }
    if let Some(known) = lengths.get(name) {
        return Ok(*known);
    }
    if above.len() >= MAX_CHAIN {
        return Err(fault(format!(
            "more than {MAX_CHAIN} rules and functions call one another"
        )));
    }
    above.push(name);
    let mut longest = 0;
    for next in node.calls.iter().chain(&node.names) {
        longest = longest.max(length(graph, next, above, lengths)?);
    }
    above.pop();
    let longest = longest.saturating_add(1);
    if longest.saturating_add(above.len()) > MAX_CHAIN {
        return Err(fault(format!(
            "more than {MAX_CHAIN} rules and functions call one another"
        )));
    }
    lengths.insert(name, longest);
    Ok(longest)
}

/// The name that an import gives.
fn alias(import: &Import) -> String {
    let whole = path(&import.refr);
    let last = whole.rsplit('.').next().unwrap_or_default();
    let alias = import.r#as.as_ref().map(Span::text);
    alias.unwrap_or(last).to_owned()
}

const fn head(rule: &Rule) -> (&Ref<Expr>, bool) {
    match rule {
        Rule::Spec { head, .. } => match head {
            RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } => (refr, false),
            RuleHead::Func { refr, .. } => (refr, true),
        },
        Rule::Default { refr, args, .. } => (refr, !args.is_empty()),
    }
}

/// The names that a reference begins with, up to the first part that is no name.
fn path(expr: &Expr) -> String {
    match expr {
        Expr::Var { span, .. } => span.text().to_owned(),
        Expr::RefDot { refr, field, .. } => format!("{}.{}", path(refr), field.0.text()),
        Expr::RefBrack { refr, index, .. } => match &**index {
            Expr::String { span, .. } => format!("{}.{}", path(refr), span.text()),
            _ => path(refr),
        },
        _ => String::new(),
    }
}

/// Where a reference begins.
fn begin(expr: &Expr) -> &Span {
    match expr {
        Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } => begin(refr),
        other => other.span(),
    }
}

fn place(span: &Span) -> String {
    format!("{}:{}:{}", span.source.file(), span.line, span.col)
}

struct Walk<'a> {
    package: &'a str,
    imports: &'a BTreeMap<String, String>,
    functions: &'a BTreeSet<String>,
    /// The rules that may be undefined.
    rules: &'a BTreeSet<String>,
    /// The names that imports give.
    aliases: &'a BTreeSet<String>,
    /// What is called by the name that stands there, be it a function of the policy or a builtin.
    called: &'a mut BTreeSet<String>,
    calls: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl Walk<'_> {
    fn rule(&mut self, rule: &Rule) -> Result<(), InterpreterError> {
        match rule {
            Rule::Default { value, args, .. } => {
                self.all(args)?;
                self.expr(value)
            }
            Rule::Spec { head, bodies, .. } => {
                let assign = match head {
                    RuleHead::Compr { refr, assign, .. } => {
                        self.within(refr)?;
                        assign.as_ref()
                    }
                    RuleHead::Set { refr, key, .. } => {
                        self.within(refr)?;
                        self.all(key)?;
                        None
                    }
                    RuleHead::Func { args, assign, .. } => {
                        self.all(args)?;
                        assign.as_ref()
                    }
                };
                self.all(assign.map(|assign| &assign.value))?;
                for RuleBody { assign, query, .. } in bodies {
                    self.all(assign.as_ref().map(|assign| &assign.value))?;
                    self.query(query)?;
                }
                Ok(())
            }
        }
    }

    /// What stands in brackets in the head of a rule.
    fn within(&mut self, refr: &Expr) -> Result<(), InterpreterError> {
        match refr {
            Expr::RefBrack { refr, index, .. } => {
                self.within(refr)?;
                self.expr(index)
            }
            Expr::RefDot { refr, .. } => self.within(refr),
            _ => Ok(()),
        }
    }

    fn query(&mut self, query: &Query) -> Result<(), InterpreterError> {
        for statement in &query.stmts {
            for with in &statement.with_mods {
                self.expr(&with.r#as)?;
                // Where a function stands for another it is called.
                self.calls.extend(self.function(&path(&with.r#as)));
                self.called.insert(path(&with.r#as));
                if let Some(refused) = Refused::of(&path(&with.r#as))
                    && refused != Refused::Unknown
                {
                    return Err(InterpreterError::Builtin {
                        place: place(begin(&with.r#as)),
                        name: path(&with.r#as),
                        refused,
                    });
                }
            }
            self.overridden(&statement.with_mods)?;
            match &statement.literal {
                Literal::SomeVars { .. } => {}
                Literal::SomeIn {
                    key,
                    value,
                    collection,
                    ..
                } => self.membership(key.as_ref(), value, collection)?,
                // By itself it fails alike, false or undefined.
                Literal::Expr { expr, .. } => match &**expr {
                    Expr::Membership {
                        key,
                        value,
                        collection,
                        ..
                    } => {
                        self.membership(key.as_ref(), value, collection)?;
                        if key.is_some() {
                            self.there(|missing| missing.part(value), IN)?;
                        }
                    }
                    expr => self.expr(expr)?,
                },
                Literal::NotExpr { expr, .. } => {
                    self.there(|missing| missing.behind_not(expr), NOT)?;
                    self.expr(expr)?;
                }
                Literal::Every { domain, query, .. } => {
                    self.expr(domain)?;
                    self.query(query)?;
                }
            }
        }
        Ok(())
    }

    /// Refuses what stands in a `with` before another and may be missing.
    fn overridden(&self, all: &[WithModifier]) -> Result<(), InterpreterError> {
        let (_, before) = all.split_last().unzip();
        for with in before.unwrap_or_default() {
            let name = path(&with.r#as);
            // A function stands for another.
            if self.function(&name).is_none() && Refused::of(&name) == Some(Refused::Unknown) {
                self.there(|missing| missing.part(&with.r#as), WITH)?;
            }
        }
        Ok(())
    }

    /// Refuses what may be missing, where that would be taken otherwise than OPA takes it.
    fn there<'e>(
        &self,
        find: impl FnOnce(&Missing<'_>) -> Option<&'e Expr>,
        where_it_is: &str,
    ) -> Result<(), InterpreterError> {
        let named = |name: &str| {
            let mut readings = self.readings(name).into_iter();
            readings.any(|reading| self.rules.contains(&reading))
        };
        let missing = find(&Missing {
            may_lack: &|name| self.aliases.contains(name) || named(name),
            answers: &|fcn| self.function(&path(fcn)).is_none() && !strict::may_lack(&path(fcn)),
        });
        let Some(missing) = missing else {
            return Ok(());
        };
        Err(InterpreterError::Source {
            place: place(begin(missing)),
            message: format!(
                "this may be missing, {where_it_is}; give it a name before, as in `x := input.addr`, and write that name here"
            ),
        })
    }

    fn all<'b>(
        &mut self,
        exprs: impl IntoIterator<Item = &'b Ref<Expr>>,
    ) -> Result<(), InterpreterError> {
        (exprs.into_iter()).try_for_each(|expr| self.expr(expr))
    }

    /// `key, value in collection`
    fn membership(
        &mut self,
        key: Option<&Ref<Expr>>,
        value: &Expr,
        collection: &Expr,
    ) -> Result<(), InterpreterError> {
        self.all(key)?;
        self.expr(value)?;
        self.expr(collection)
    }

    fn expr(&mut self, expr: &Expr) -> Result<(), InterpreterError> {
        match expr {
            Expr::Call { fcn, params, .. } => {
                self.all(params)?;
                self.call(fcn)
            }
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                self.name(&path(expr));
                self.indices(expr)
            }
            Expr::Array { items, .. } | Expr::Set { items, .. } => self.all(items),
            Expr::Object { fields, .. } => fields.iter().try_for_each(|(_, key, value)| {
                self.expr(key)?;
                self.expr(value)
            }),
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.expr(term)?;
                self.query(query)
            }
            Expr::ObjectCompr {
                key, value, query, ..
            } => {
                self.expr(key)?;
                self.expr(value)?;
                self.query(query)
            }
            Expr::UnaryExpr { expr, .. } => self.expr(expr),
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => {
                self.expr(lhs)?;
                self.expr(rhs)
            }
            Expr::Membership {
                key,
                value,
                collection,
                ..
            } => {
                self.membership(key.as_ref(), value, collection)?;
                self.there(|missing| missing.part(expr), IN)
            }
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. } => Ok(()),
        }
    }

    /// What stands in the brackets of a reference, and what it refers into where that is no name.
    fn indices(&mut self, expr: &Expr) -> Result<(), InterpreterError> {
        match expr {
            Expr::RefDot { refr, .. } => self.indices(refr),
            Expr::RefBrack { refr, index, .. } => {
                self.indices(refr)?;
                self.expr(index)
            }
            Expr::Var { .. } => Ok(()),
            other => self.expr(other),
        }
    }

    fn call(&mut self, fcn: &Expr) -> Result<(), InterpreterError> {
        let name = path(fcn);
        self.called.insert(name.clone());
        if let Some(function) = self.function(&name) {
            self.calls.insert(function);
            return Ok(());
        }
        match Refused::of(&name) {
            None => Ok(()),
            Some(refused) => Err(InterpreterError::Builtin {
                place: place(begin(fcn)),
                name,
                refused,
            }),
        }
    }

    /// The function of the policy that a name means.
    fn function(&self, name: &str) -> Option<String> {
        let readings = self.readings(name);
        let mut functions = readings.into_iter();
        functions.find(|reading| self.functions.contains(reading))
    }

    /// What a name could mean: in this package, from the root, by an import.
    fn readings(&self, name: &str) -> Vec<String> {
        let mut readings = vec![format!("{}.{name}", self.package), name.to_owned()];
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        if let Some(import) = self.imports.get(first) {
            readings.push(match rest {
                "" => import.clone(),
                rest => format!("{import}.{rest}"),
            });
        }
        readings
    }

    /// A rule, or a part of what one says, may be meant.
    fn name(&mut self, name: &str) {
        for reading in self.readings(name) {
            let mut whole = reading.as_str();
            while let Some((shorter, _)) = whole.rsplit_once('.') {
                self.names.insert(whole.to_owned());
                whole = shorter;
            }
        }
    }
}
