//! casbin: one line a rule and method, tried in turn.

use core::fmt;
use std::collections::HashSet;

use casbin::prelude::{CoreApi, DefaultModel, Enforcer, MemoryAdapter, MgmtApi};

use super::Engine;
use crate::mesh::{Caller, Mesh, Pattern, Query, spiffe_id};

const MODEL: &str = "
[request_definition]
r = sub, obj, path, act

[policy_definition]
p = sub, obj, path, act

[policy_effect]
e = some(where (p.eft == allow))

[matchers]
m = r.obj == p.obj && r.act == p.act && keyMatch(r.sub, p.sub) && keyMatch2(r.path, p.path)
";

/// The enforcer with the mesh as its policy.
pub struct Casbin {
    enforcer: Enforcer,
}

impl Casbin {
    /// Adds a line for each rule and method.
    #[must_use]
    pub fn new(mesh: &Mesh) -> Self {
        let mut seen = HashSet::new();
        let mut lines = Vec::new();
        for rule in &mesh.rules {
            let caller = match &rule.caller {
                Caller::One(at) => mesh.workloads[*at].id.clone(),
                Caller::Namespace(namespace) => spiffe_id(namespace, "*"),
            };
            let path = match &rule.path {
                Pattern::Exact(path) => path.clone(),
                Pattern::Below(base) => format!("{base}/*"),
                Pattern::Template(text) => text.replace('{', ":").replace('}', ""),
            };
            let target = &mesh.workloads[rule.target].name;
            for method in rule.method_names() {
                let line = [&caller, target, &path, method].map(str::to_owned).to_vec();
                if seen.insert(line.clone()) {
                    lines.push(line);
                }
            }
        }
        let runtime = crate::wire::runtime();
        let enforcer = runtime.block_on(async {
            let model = DefaultModel::from_str(MODEL).await.expect("a model");
            let enforcer = Enforcer::new(model, MemoryAdapter::default()).await;
            let mut enforcer = enforcer.expect("an enforcer");
            assert!(enforcer.add_policies(lines).await.expect("lines"));
            enforcer
        });
        Self { enforcer }
    }
}

impl Engine for Casbin {
    fn permits(&self, _: usize, query: &Query) -> bool {
        let (caller, target) = (query.caller.as_str(), query.target.as_str());
        let asked = (caller, target, query.path.as_str(), query.method_name());
        self.enforcer.enforce(asked).expect("an answer")
    }
}

impl fmt::Debug for Casbin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Casbin")
    }
}
