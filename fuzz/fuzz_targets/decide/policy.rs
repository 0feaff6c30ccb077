//! One rich policy, and the same with a rule more.

use std::sync::{Arc, LazyLock};

use ztl_core::audit::MemorySink;
use ztl_core::policy::Policy;
use ztl_core::{Engine, ObligationKinds};

const BASE: &str = r#"
schema = 1
trust_domain = "prod.example"
trust_domain_aliases = ["old.example"]
relays = ["10.10.255.0/28"]

[zones.production]
trust = 3
networks = ["10.10.0.0/16", "fd00:10::/64"]
[zones.lab]
trust = 1
networks = ["10.10.9.0/24"]
[zones.iot]
networks = ["10.66.0.0/16"]

[workloads.router]
id = "spiffe://prod.example/ns/agents/sa/router"
zone = "production"
labels = { tier = "front" }
ports = [8443]
forwards = ["retriever", "spiffe://old.example/ns/batch/**"]
[workloads.retriever]
id = "spiffe://prod.example/ns/agents/sa/retriever"
labels = { tier = "middle" }
ports = [8443]
[workloads.model-server]
id = "spiffe://prod.example/ns/models/sa/model-server"
zone = "production"
labels = { tier = "data" }
ports = [8443, 9443]
public_ports = [443]
asserted_by = ["edge"]
forwards = "any"

[limits.slow]
requests = 1
per = "1s"

[issuers.corp]
issuer = "https://id.corp.example"

[[permit]]
name = "router-asks"
from = ["router", "spiffe://prod.example/ns/batch/**"]
to = "model-server"
ports = [8443, 9443]
actions = ["POST /v1/models/{model}/infer", "grpc infer.Model/*"]

[[permit]]
name = "careful"
from = ["retriever", "zone:lab"]
to = "model-server"
ports = 8443
actions = ["GET,HEAD /v1/models/{model:int}", "websocket /live", "any"]
[permit.require]
trust_score = 50
#more
token = { issuer = "corp", scopes = ["infer"], claims = { team = "ml" } }
mfa = true
headers = { x-tenant = ["a", "b"] }

[[permit]]
name = "wide"
from = "any"
to = "label:tier=middle"
actions = ["any", "connect"]
[permit.require]
zone_trust = 1

[[permit]]
name = "status"
from = "public"
to = "model-server"
actions = "GET /status/{*rest}"
anonymous = true

[[permit]]
name = "users"
from = "public"
to = "model-server"
actions = "GET /me"
[permit.require]
#more
token = {}

[[permit]]
name = "through-the-router"
from = "router"
subject = ["user:corp/alice", "retriever", "label:tier=data"]
to = "model-server"
ports = 8443
actions = "GET /v1/models/{model}"
[permit.oblige]
limit = "slow"
[[permit]]
name = "acting"
from = "any"
actors = ["issuer:corp", "spiffe://prod.example/ns/**"]
to = "model-server"
ports = 9443
actions = "any"
[permit.oblige]
max_body = "1KiB"

[[forbid]]
name = "not-for-them"
from = "any"
subject = "spiffe://prod.example/ns/batch/**"
actors = ["router", "user:corp/alice"]
to = "model-server"
ports = 9443
actions = "POST /v1/{*rest}"

[[forbid]]
name = "no-deletes"
from = "any"
to = "model-server"
ports = [8443, 9443]
actions = "DELETE /v1/{*rest}"

[[forbid]]
name = "no-things"
from = "zone:iot"
to = ["model-server", "router"]
"#;

const FORBIDS: [&str; 8] = [
    "from = \"retriever\"\nto = \"model-server\"\nports = 9443\n",
    "from = \"any\"\nactors = \"any\"\nto = \"model-server\"\nports = [8443, 9443]\n",
    "from = \"any\"\nto = \"retriever\"\n",
    "from = \"label:tier=front\"\nto = \"model-server\"\nports = 8443\n",
    "from = \"zone:lab\"\nto = \"any\"\nactions = \"any\"\n",
    "from = [\"any\", \"public\"]\nto = \"model-server\"\nactions = [\"grpc infer.Model/Run\", \"GET /v1/models/{m}\"]\n",
    "from = \"spiffe://old.example/ns/batch/**\"\nto = \"model-server\"\nports = 9443\n",
    "from = \"public\"\nto = \"model-server\"\nactions = \"websocket /live\"\n",
];

const SHADOWS: &str = r#"
[[permit]]
name = "shadow-permit"
mode = "shadow"
from = ["any", "public"]
to = "model-server"
ports = "1-65535"
actions = ["any", "connect"]
anonymous = true
[[forbid]]
name = "shadow-forbid"
mode = "shadow"
from = ["any", "public"]
to = "any"
[[forbid]]
name = "off-forbid"
mode = "off"
from = ["any", "public"]
to = "any"
"#;

pub struct World {
    pub base: Policy,
    /// Each with one more forbid.
    pub narrowed: Vec<Policy>,
    /// With rules in shadow and off.
    pub shadowed: Policy,
    /// With one more requirement in some permits.
    pub stricter: Policy,
    pub engine: Engine,
    pub audit: Arc<MemorySink>,
}

pub static WORLD: LazyLock<World> = LazyLock::new(|| {
    let load = |text: &str| Policy::from_toml(text).unwrap_or_else(|error| panic!("{error}"));
    let narrowed = FORBIDS
        .iter()
        .map(|forbid| load(&format!("{BASE}\n[[forbid]]\nname = \"more\"\n{forbid}")))
        .collect();
    let audit = Arc::new(MemorySink::new(1));
    World {
        base: load(BASE),
        narrowed,
        shadowed: load(&format!("{BASE}{SHADOWS}")),
        stricter: load(&BASE.replace("#more", "zone_trust = 2")),
        engine: Engine::new(load(BASE), Arc::clone(&audit))
            .expect("random bits")
            .with_obligations(ObligationKinds::none().with_limit().with_max_body()),
        audit,
    }
});
