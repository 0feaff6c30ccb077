//! Policies in Rego with a question each, and the engines that answer it.

use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::path::Path;
use std::time::Duration;

use opa_wasm::{DefaultContext, Policy, Runtime};
use serde_json::{Value, json};
use wasmtime::{Engine, Module, Store};
use ztl_authz::opa::{Limits, WasmModule, WasmPolicy};
use ztl_authz::rego::{Interpreter, RegoEngine};

/// The policies that are asked, and which of their inputs: those that all engines have the builtins for.
const ASKED: [(&str, usize); 2] = [("http_api", 1), ("mesh", 5)];
const POLICIES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../ztl-authz/tests/opa/policies"
);

/// One policy and one question.
#[derive(Debug)]
pub(crate) struct Case {
    /// Its name.
    pub(crate) name: &'static str,
    /// What is asked.
    pub(crate) input: Value,
    source: String,
    entrypoint: String,
    data: Value,
    module: Vec<u8>,
}

/// The cases; `modules` holds a `NAME.wasm` for each, which `opa build -t wasm` made.
pub(crate) fn cases(modules: &Path) -> Vec<Case> {
    let of = |(name, at): (&'static str, usize)| {
        let file = Path::new(POLICIES).join(name);
        let json = |extension: &str| -> Value {
            let text = std::fs::read(file.with_extension(extension)).expect("a document");
            serde_json::from_slice(&text).expect("JSON")
        };
        let source = std::fs::read_to_string(file.with_extension("rego")).expect("a policy");
        let mut lines = source.lines();
        let entrypoint = lines.find_map(|line| line.strip_prefix("# entrypoint: "));
        let module = modules.join(name).with_extension("wasm");
        Case {
            name,
            input: json("inputs.json")[at].clone(),
            entrypoint: entrypoint.expect("an entrypoint").to_owned(),
            source,
            data: json("data.json"),
            module: std::fs::read(module).expect("a module"),
        }
    };
    ASKED.map(of).into()
}

impl Case {
    /// Our host of WebAssembly: two instances, ready beforehand.
    pub(crate) fn host(&self) -> WasmPolicy {
        let limits = Limits::default().with_instances(2);
        let module = WasmModule::compile(&self.module, limits).expect("a module");
        module.policy(&self.entrypoint, &self.data).expect("data")
    }

    /// Our interpreter.
    pub(crate) fn interpreter(&self) -> Interpreter {
        let limit = Duration::from_secs(1);
        let modules = [(self.name, self.source.as_str())];
        let (data, entrypoint) = (self.data.clone(), &self.entrypoint);
        Interpreter::compile(modules, data, entrypoint, limit).expect("compiles")
    }

    /// The interpreter of `regorus` by itself, as its documentation shows it.
    pub(crate) fn regorus(&self) -> impl FnMut(&Value) -> Value + use<> {
        let mut engine = regorus::Engine::new();
        let (name, source) = (self.name.to_owned(), self.source.clone());
        engine.add_policy(name, source).expect("compiles");
        let data = regorus::Value::from(self.data.clone());
        engine.add_data(data).expect("data");
        let rule = format!("data.{}", self.entrypoint.replace('/', "."));
        move |input| {
            engine.set_input(regorus::Value::from(input.clone()));
            let answer = engine.eval_rule(rule.clone()).expect("an answer");
            serde_json::to_value(answer).expect("JSON")
        }
    }

    /// The crate `opa-wasm` as its documentation shows it, its instance kept.
    pub(crate) fn opa_wasm(&self) -> impl FnMut(&Value) -> Value + use<> {
        let engine = Engine::default();
        let module = Module::new(&engine, &self.module).expect("a module");
        let mut store = Store::new(&engine, ());
        let policy: Policy<DefaultContext> = now(async {
            let runtime = Runtime::new(&mut store, &module).await.expect("a policy");
            runtime.with_data(&mut store, &self.data).await
        })
        .expect("data");
        let entrypoint = self.entrypoint.clone();
        move |input| now(policy.evaluate(&mut store, &entrypoint, input)).expect("an answer")
    }

    /// Asks all engines: what they answer has to be the same.
    pub(crate) fn check(&self) {
        let text = self.input.to_string();
        let answer = self.host().evaluate(&text).expect("an answer");
        let answer = answer.expect("it is defined");
        let interpreted = self.interpreter().evaluate(&text).expect("an answer");
        assert_eq!(interpreted.as_ref(), Some(&answer), "{}", self.name);
        assert_eq!(self.regorus()(&self.input), answer, "{}", self.name);
        let theirs = self.opa_wasm()(&self.input);
        assert_eq!(theirs, json!([{ "result": answer }]), "{}", self.name);
    }
}

/// Their futures wait for nothing: each is ready when it is first asked, so that no runtime is measured with them.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("`opa-wasm` waits for something"),
    }
}
