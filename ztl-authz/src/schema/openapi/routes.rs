//! The paths of a document, under its servers, and which of them a request means (OpenAPI 3.1.1 §4.8.5, §4.8.8, §4.8.9).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use ztl_core::policy::Template;
use ztl_core::schema::{HeadMisfit, RequestHead};
use ztl_core::{CanonicalPath, Method};

use super::node::Node;
use super::operation::Operation;
use super::sites::Sites;

/// Most paths, counted under each server.
const MAX_PATHS: usize = 4096;
/// Most paths of servers.
const MAX_SERVERS: usize = 16;

const METHODS: [(&str, Method); 7] = [
    ("get", Method::Get),
    ("put", Method::Put),
    ("post", Method::Post),
    ("delete", Method::Delete),
    ("options", Method::Options),
    ("head", Method::Head),
    ("patch", Method::Patch),
];

const KEYS: [&str; 11] = [
    "delete",
    "description",
    "get",
    "head",
    "options",
    "parameters",
    "patch",
    "post",
    "put",
    "summary",
    // No rule permits this method.
    "trace",
];

/// One path and its operations.
pub(super) struct Route {
    template: Template,
    /// Of each segment whether it is a parameter.
    order: Vec<bool>,
    /// The names of the parameters, and which segments they are.
    pub(super) segments: Vec<(usize, String)>,
    operations: Arc<[(Method, Operation)]>,
}

/// All of them, by how many slashes they have; text before parameters.
pub(super) struct Routes(BTreeMap<usize, Vec<Route>>);

impl Routes {
    pub(super) fn new(document: &Node<'_>, sites: &mut Sites) -> Result<Self, String> {
        let root = document.value;
        let servers = servers(document)?;
        let mut routes = Self(BTreeMap::new());
        let mut count = 0;
        let Some(paths) = document.child("paths") else {
            return Err(document.fault("lacks `paths`, so that no request fits"));
        };
        for (path, item) in paths.members()? {
            if path.starts_with("x-") {
                continue;
            }
            count += servers.len();
            if count > MAX_PATHS {
                return Err(paths.fault(format!("there are more than {MAX_PATHS} paths")));
            }
            let at = item.clone();
            let operations = operations(root, path, item, sites)?;
            for server in &servers {
                let route = Route::new(server, path, Arc::clone(&operations));
                routes.add(route.map_err(|what| at.fault(what))?, &at)?;
            }
        }
        for routes in routes.0.values_mut() {
            routes.sort_by(|one, two| one.order.cmp(&two.order));
        }
        Ok(routes)
    }

    fn add(&mut self, route: Route, at: &Node<'_>) -> Result<(), String> {
        let routes = self.0.entry(route.order.len()).or_default();
        if routes.iter().any(|it| it.template == route.template) {
            return Err(at.fault("is the same path as another one"));
        }
        routes.push(route);
        Ok(())
    }

    /// The operation of a request: that of the first path which is its own, whichever methods another one has.
    pub(super) fn find(&self, head: &RequestHead<'_>) -> Result<(&Route, &Operation), HeadMisfit> {
        let slashes = slashes(head.path);
        let mut routes = self.0.get(&slashes).into_iter().flatten();
        let route = routes.find(|route| route.template.matches(head.path));
        let found = route.and_then(|route| {
            let mut all = route.operations.iter();
            let (_, operation) = all.find(|(method, _)| *method == head.method)?;
            Some((route, operation))
        });
        found.ok_or(HeadMisfit::Operation)
    }
}

fn slashes(path: CanonicalPath<'_>) -> usize {
    path.as_str().matches('/').count()
}

impl Route {
    fn new(
        server: &str,
        path: &str,
        operations: Arc<[(Method, Operation)]>,
    ) -> Result<Self, String> {
        let mut pattern = server.to_owned();
        let (mut order, mut segments) = (Vec::new(), Vec::new());
        order.resize(server.matches('/').count(), false);
        for segment in pieces(path)? {
            pattern.push('/');
            match segment {
                Piece::Text(text) => pattern.push_str(text),
                Piece::Name(name) => {
                    // OpenAPI allows names that templates do not have.
                    pattern.push_str(&format!("{{p{}}}", segments.len()));
                    segments.push((order.len(), name.to_owned()));
                }
            }
            order.push(matches!(segment, Piece::Name(_)));
        }
        Ok(Self {
            template: Template::parse(&pattern).map_err(|error| error.to_string())?,
            order,
            segments,
            operations,
        })
    }
}

#[derive(Clone, Copy)]
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn pieces(path: &str) -> Result<Vec<Piece<'_>>, String> {
    let rest = path.strip_prefix('/').ok_or("has to begin with `/`")?;
    let pieces = rest.split('/').map(|piece| {
        let inner = piece.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
        let text = inner.unwrap_or(piece);
        if text.contains(['{', '}']) || inner.is_some_and(str::is_empty) {
            return Err(format!(
                "the segment `{}` is neither all text nor one parameter",
                piece.escape_debug()
            ));
        }
        Ok(match inner {
            Some(name) => Piece::Name(name),
            None => Piece::Text(text),
        })
    });
    pieces.collect()
}

/// The operations of one path.
fn operations(
    root: &Value,
    path: &str,
    item: Node<'_>,
    sites: &mut Sites,
) -> Result<Arc<[(Method, Operation)]>, String> {
    let item = item.resolved(root)?;
    item.only(&KEYS)?;
    let pieces = pieces(path).map_err(|what| item.fault(what))?;
    let mut names = Vec::new();
    for piece in pieces {
        if let Piece::Name(name) = piece {
            if names.contains(&name) {
                return Err(item.fault(format!("has `{{{}}}` twice", name.escape_debug())));
            }
            names.push(name);
        }
    }
    let of_path = item.each("parameters")?;
    let mut operations = Vec::new();
    for (key, method) in METHODS {
        if let Some(node) = item.child(key) {
            let operation = Operation::new(root, &node, &of_path, &names, sites)?;
            operations.push((method, operation));
        }
    }
    Ok(operations.into())
}

/// The paths of the servers, without a slash at the end.
fn servers(document: &Node<'_>) -> Result<Vec<String>, String> {
    let mut paths: Vec<String> = Vec::new();
    for server in document.each("servers")? {
        server.only(&["description", "url", "variables"])?;
        let url = server.text_of("url")?;
        let path = match url.split_once("://") {
            Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
            None => url,
        };
        let plain = path.trim_end_matches('/');
        let is_path = path.starts_with('/') && !path.contains(['{', '}']);
        let is_canonical = CanonicalPath::parse(path).is_ok_and(|it| it.as_str() == path);
        if !is_path || !is_canonical {
            return Err(
                server.fault("the path of `url` has to begin with `/`, and to be written out")
            );
        }
        if !paths.iter().any(|it| it == plain) {
            paths.push(plain.to_owned());
        }
        if paths.len() > MAX_SERVERS {
            return Err(server.fault(format!("there are more than {MAX_SERVERS} servers")));
        }
    }
    if paths.is_empty() {
        paths.push(String::new());
    }
    Ok(paths)
}
