//! Builtins of the interpreter, which fail where it would leave them undefined: of something undefined a `not` makes good news (T7).

use regorus::Value;
use regorus::unstable::{BUILTINS, BuiltinFcn, Expr, Ref, Source, Span};

use super::builtins::Fault;

/// What OPA leaves undefined as well, and does not fail: there is none of nothing.
const UNDEFINED: [&str; 2] = ["max", "min"];

/// Whether a builtin may be undefined though it did not fail. What `walk` says are many values, or none.
pub(super) fn may_lack(name: &str) -> bool {
    UNDEFINED.contains(&name) || name == "walk"
}

/// A builtin of the interpreter.
#[derive(Clone)]
pub(super) struct Strict {
    builtin: BuiltinFcn,
    may_lack: bool,
    /// Where it stands, which a builtin wants for its errors: they are told with the place of the call, and without these.
    span: Span,
    places: Vec<Ref<Expr>>,
}

impl Strict {
    /// One by its name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let builtin = *BUILTINS.get(name)?;
        let span = Span {
            source: Source::from_contents(name.to_owned(), String::new()).ok()?,
            line: 1,
            col: 1,
            start: 0,
            end: 0,
        };
        let place = Ref::new(Expr::Null {
            span: span.clone(),
            value: Value::Null,
            eidx: 0,
        });
        Some(Self {
            builtin,
            may_lack: UNDEFINED.contains(&name),
            span,
            places: vec![place; builtin.1.into()],
        })
    }

    /// How many arguments it takes.
    pub(super) const fn arguments(&self) -> u8 {
        self.builtin.1
    }

    pub(super) fn call(&self, given: &[Value]) -> Result<Value, Fault> {
        match self.builtin.0(&self.span, &self.places, given, true) {
            Ok(Value::Undefined) if !self.may_lack => Err(Fault),
            answer => answer.map_err(|_| Fault),
        }
    }
}
