//! Rego on regorus's register machine: the data are keyed by target, caller and method, so that only the last step iterates.

use core::cell::RefCell;
use core::fmt;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Rc, Value};
use serde_json::json;

use super::Engine;
use crate::mesh::{Caller, Mesh, Pattern, Query, Rule, namespace_of};

const RULE: &str = "data.mesh.allow";
const POLICY: &str = r#"
package mesh

import rego.v1

default allow := false

allow if fits(data.grants[input.target].callers[input.caller][input.method])

allow if fits(data.grants[input.target].namespaces[input.namespace][input.method])

fits(grant) if grant.exact[input.path]

fits(grant) if {
	some base in grant.below
	startswith(input.path, base)
	input.path != base
}

fits(grant) if {
	some template in grant.templates
	template.count == count(input.segments)
	not differs(template)
}

differs(template) if {
	some literal in template.literals
	input.segments[literal[0]] != literal[1]
}

differs(template) if {
	some place in template.parameters
	input.segments[place] == ""
}
"#;

/// The compiled policy with the mesh as its data.
pub struct Rego {
    machine: RefCell<RegoVM>,
}

impl Rego {
    /// Compiles the policy and loads the mesh as data.
    #[must_use]
    pub fn new(mesh: &Mesh) -> Self {
        let mut engine = regorus::Engine::new();
        engine
            .add_policy("mesh.rego".to_owned(), POLICY.to_owned())
            .expect("a policy");
        let data = Value::from_json_str(&data(mesh).to_string()).expect("data");
        engine.add_data(data).expect("data");
        let entry: Rc<str> = RULE.into();
        let compiled = engine.compile_with_entrypoint(&entry).expect("compiled");
        let program = Compiler::compile_from_policy(&compiled, &[RULE]).expect("a program");
        let mut machine = RegoVM::new();
        machine.load_program(program);
        machine.set_data(engine.get_data()).expect("data");
        Self {
            machine: RefCell::new(machine),
        }
    }
}

impl Engine for Rego {
    fn permits(&self, _: usize, query: &Query) -> bool {
        let mut machine = self.machine.borrow_mut();
        machine.set_input(input(query));
        machine.execute().expect("an answer") == Value::Bool(true)
    }
}

impl fmt::Debug for Rego {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rego")
    }
}

fn input(query: &Query) -> Value {
    let segments: Vec<Value> = query.path.split('/').skip(1).map(Value::from).collect();
    let mut input = Value::new_object();
    let fields = input.as_object_mut().expect("an object");
    for (name, value) in [
        ("caller", Value::from(query.caller.as_str())),
        (
            "namespace",
            Value::from(namespace_of(&query.caller).unwrap_or("")),
        ),
        ("target", Value::from(query.target.as_str())),
        ("method", Value::from(query.method_name())),
        ("path", Value::from(query.path.as_str())),
        ("segments", Value::from(segments)),
    ] {
        fields.insert(Value::from(name), value);
    }
    input
}

fn data(mesh: &Mesh) -> serde_json::Value {
    let mut targets = serde_json::Map::new();
    for (name, rules) in mesh.by_target() {
        let mut target = json!({ "callers": {}, "namespaces": {} });
        for rule in rules {
            let (kind, caller) = match &rule.caller {
                Caller::One(at) => ("callers", &mesh.workloads[*at].id),
                Caller::Namespace(namespace) => ("namespaces", namespace),
            };
            for method in rule.method_names() {
                let grant = &mut target[kind][caller][method];
                if grant.is_null() {
                    *grant = json!({ "exact": {}, "below": [], "templates": [] });
                }
                add(grant, rule);
            }
        }
        targets.insert(name.to_owned(), target);
    }
    json!({ "grants": targets })
}

fn add(grant: &mut serde_json::Value, rule: &Rule) {
    let mut push = |list: &str, value| grant[list].as_array_mut().expect("a list").push(value);
    match &rule.path {
        Pattern::Exact(path) => grant["exact"][path] = json!(true),
        Pattern::Below(base) => push("below", json!(format!("{base}/"))),
        Pattern::Template(text) => {
            let parts: Vec<&str> = text.split('/').skip(1).collect();
            let (mut literals, mut parameters) = (Vec::new(), Vec::new());
            for (at, part) in parts.iter().enumerate() {
                if part.starts_with('{') {
                    parameters.push(at);
                } else {
                    literals.push(json!([at, part]));
                }
            }
            let template =
                json!({ "count": parts.len(), "literals": literals, "parameters": parameters });
            push("templates", template);
        }
    }
}
