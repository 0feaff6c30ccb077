//! Cedar as its users get most out of it: one policy, the grants of each route in the data, the route found by a router first.

use core::fmt;
use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression,
};
use matchit::Router;

use super::Engine;
use crate::mesh::{Caller, METHODS, Mesh, Pattern, Query, Rule};

const POLICY: &str = "permit(principal, action == Action::\"call\", resource)\n\
    when { resource has grants && principal in resource.grants };";

/// One policy, the mesh as entities, and a router a target.
pub struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    routers: HashMap<String, Router<usize>>,
    types: Types,
}

struct Types {
    workload: EntityTypeName,
    namespace: EntityTypeName,
    route: EntityTypeName,
    call: EntityUid,
}

impl Types {
    fn new() -> Self {
        let name = |name: &str| name.parse::<EntityTypeName>().expect("a type's name");
        Self {
            workload: name("Workload"),
            namespace: name("Namespace"),
            route: name("Route"),
            call: uid(&name("Action"), "call"),
        }
    }
}

fn uid(kind: &EntityTypeName, id: impl AsRef<str>) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn route_id(target: &str, route: usize, method: usize) -> String {
    format!("{target}#{route}#{method}")
}

impl Cedar {
    /// Turns the mesh into entities and routers.
    #[must_use]
    pub fn new(mesh: &Mesh) -> Self {
        let types = Types::new();
        let mut entities = people(mesh, &types);
        let mut routers = HashMap::new();
        for (target, rules) in mesh.by_target() {
            let mut patterns: Vec<&Pattern> = Vec::new();
            for rule in &rules {
                if !patterns.contains(&&rule.path) {
                    patterns.push(&rule.path);
                }
            }
            let mut router = Router::new();
            for (route, pattern) in patterns.into_iter().enumerate() {
                router.insert(pattern.text(), route).expect("a route");
                for method in 0..METHODS.len() {
                    let covering = rules.iter().filter(|rule| {
                        rule.methods & (1 << method) != 0 && rule.path.covers(pattern)
                    });
                    let grants: Vec<_> = covering.map(|rule| grant(mesh, rule, &types)).collect();
                    if !grants.is_empty() {
                        let id = uid(&types.route, route_id(target, route, method));
                        let grants = RestrictedExpression::new_set(grants);
                        let attributes = HashMap::from([("grants".to_owned(), grants)]);
                        let entity = Entity::new(id, attributes, HashSet::new());
                        entities.push(entity.expect("an entity"));
                    }
                }
            }
            routers.insert(target.to_owned(), router);
        }
        Self {
            authorizer: Authorizer::new(),
            policies: POLICY.parse().expect("a policy"),
            entities: Entities::from_entities(entities, None).expect("entities"),
            routers,
            types,
        }
    }
}

/// Workloads and their namespaces.
fn people(mesh: &Mesh, types: &Types) -> Vec<Entity> {
    let mut seen = HashSet::new();
    let mut entities = Vec::new();
    for workload in &mesh.workloads {
        let namespace = uid(&types.namespace, &workload.namespace);
        if seen.insert(&workload.namespace) {
            entities.push(Entity::new_no_attrs(namespace.clone(), HashSet::new()));
        }
        let id = uid(&types.workload, &workload.id);
        entities.push(Entity::new_no_attrs(id, HashSet::from([namespace])));
    }
    entities
}

fn grant(mesh: &Mesh, rule: &Rule, types: &Types) -> RestrictedExpression {
    RestrictedExpression::new_entity_uid(match &rule.caller {
        Caller::One(at) => uid(&types.workload, &mesh.workloads[*at].id),
        Caller::Namespace(namespace) => uid(&types.namespace, namespace),
    })
}

impl Engine for Cedar {
    fn permits(&self, _: usize, query: &Query) -> bool {
        let Some(router) = self.routers.get(&query.target) else {
            return false;
        };
        let Ok(route) = router.at(&query.path) else {
            return false;
        };
        let request = Request::new(
            uid(&self.types.workload, &query.caller),
            self.types.call.clone(),
            uid(
                &self.types.route,
                route_id(&query.target, *route.value, query.method),
            ),
            Context::empty(),
            None,
        );
        let request = request.expect("a request");
        let answer = self
            .authorizer
            .is_authorized(&request, &self.policies, &self.entities);
        answer.decision() == Decision::Allow
    }
}

impl fmt::Debug for Cedar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cedar")
    }
}
