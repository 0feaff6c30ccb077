//! Operation Objects (OpenAPI 3.1.1 §4.8.10): what they ask of a request.

use std::collections::BTreeSet;

use serde_json::Value;
use ztl_core::schema::{BodySchema, HeadMisfit, ParameterPlace, RequestHead, WantedBody};

use super::given::Given;
use super::media::{Content, Wants};
use super::node::Node;
use super::parameter::Parameter;
use super::shape;
use super::sites::{Site, Sites};
use crate::schema::Compiled;

/// Most parameters of an operation.
const MAX_PARAMETERS: usize = 256;
/// Most media types of a body.
const MAX_CONTENTS: usize = 64;

const KEYS: [&str; 11] = [
    "callbacks",
    "deprecated",
    "description",
    "externalDocs",
    "operationId",
    "parameters",
    "requestBody",
    "responses",
    "security",
    "summary",
    "tags",
];

/// One of them.
pub(super) struct Operation {
    parameters: Vec<Parameter>,
    contents: Vec<Content>,
    requires_body: bool,
}

impl Operation {
    /// The operation of a path with parameters of these names, which has some parameters for all of its operations.
    pub(super) fn new(
        root: &Value,
        node: &Node<'_>,
        of_path: &[Node<'_>],
        names: &[&str],
        sites: &mut Sites,
    ) -> Result<Self, String> {
        node.only(&KEYS)?;
        let mut this = Self {
            parameters: Vec::new(),
            contents: Vec::new(),
            requires_body: false,
        };
        // What the operation says of a parameter replaces what its path says.
        for here in [node.each("parameters")?, of_path.to_vec()] {
            let mut seen = BTreeSet::new();
            for parameter in here {
                this.parameter(root, parameter, &mut seen, sites)?;
            }
        }
        this.one_name_each(node)?;
        for name in names {
            if !this.has(ParameterPlace::Path, name) {
                let message = format!("lacks the path's parameter `{}`", name.escape_debug());
                return Err(node.fault(message));
            }
        }
        if let Some(name) = this
            .named(ParameterPlace::Path)
            .find(|it| !names.contains(it))
        {
            let message = format!("the path has no `{{{}}}`", name.escape_debug());
            return Err(node.fault(message));
        }
        if let Some(body) = node.child("requestBody") {
            this.body(root, body, sites)?;
        }
        Ok(this)
    }

    fn parameter(
        &mut self,
        root: &Value,
        node: Node<'_>,
        seen: &mut BTreeSet<(ParameterPlace, String)>,
        sites: &mut Sites,
    ) -> Result<(), String> {
        let node = node.resolved(root)?;
        let Some(parameter) = Parameter::new(root, &node, sites)? else {
            return Ok(());
        };
        if !seen.insert((parameter.place, parameter.name.clone())) {
            return Err(node.fault("there are two parameters of this name and place"));
        }
        if self.has(parameter.place, &parameter.name) {
            return Ok(());
        }
        if self.parameters.len() == MAX_PARAMETERS {
            return Err(node.fault(format!("there are more than {MAX_PARAMETERS} parameters")));
        }
        self.parameters.push(parameter);
        Ok(())
    }

    fn body(&mut self, root: &Value, node: Node<'_>, sites: &mut Sites) -> Result<(), String> {
        let node = node.resolved(root)?;
        node.only(&["content", "description", "required"])?;
        self.requires_body = node.flag("required")?;
        let content = node.child("content");
        let content = content.ok_or_else(|| node.fault("lacks `content`"))?;
        for (key, media) in content.members()? {
            if self.contents.len() == MAX_CONTENTS {
                let message = format!("there are more than {MAX_CONTENTS} media types");
                return Err(content.fault(message));
            }
            let new = Content::new(root, key, &media, sites)?;
            // Only one of them would be asked.
            if self.contents.iter().any(|it| it.is_same_type(&new)) {
                return Err(media.fault("is the same media type as another one"));
            }
            self.contents.push(new);
        }
        self.contents.sort_by_key(Content::width);
        Ok(())
    }

    /// The names of its parameters of a place.
    pub(super) fn named(&self, place: ParameterPlace) -> impl Iterator<Item = &str> {
        let here = self.parameters.iter().filter(move |it| it.place == place);
        here.map(|it| it.name.as_str())
    }

    fn has(&self, place: ParameterPlace, name: &str) -> bool {
        self.named(place).any(|it| it == name)
    }

    /// Whether a query may have this name.
    pub(super) fn asks_query(&self, name: &str) -> bool {
        let mut here = self.of_query();
        here.any(|it| it.shape.names(&it.name, name))
    }

    fn of_query(&self) -> impl Iterator<Item = &Parameter> {
        let all = self.parameters.iter();
        all.filter(|it| it.place == ParameterPlace::Query)
    }

    /// Refuses a query in which one name could mean two things.
    fn one_name_each(&self, node: &Node<'_>) -> Result<(), String> {
        let all = self.of_query().map(|it| (&*it.name, &it.shape));
        shape::one_name_each(all).map_err(|name| {
            let name = name.escape_debug();
            node.fault(format!(
                "two parameters of the query have the name `{name}`"
            ))
        })
    }

    /// Looks at all of a request but its body.
    pub(super) fn head<'a>(
        &'a self,
        segments: &[(usize, String)],
        head: &RequestHead<'_>,
        schemas: &'a [Compiled],
    ) -> Result<WantedBody<'a>, HeadMisfit> {
        let given = Given::new(self, segments, head)?;
        for parameter in &self.parameters {
            let Some((site, value)) = parameter.read(&given)? else {
                continue;
            };
            let schema = schemas.get(site.0);
            if !schema.is_some_and(|it| it.validator.is_valid(&value)) {
                return Err(parameter.unfit(&given));
            }
        }
        let required = self.requires_body;
        let Some(content) = Content::of(&self.contents, head) else {
            return Ok(WantedBody::Nothing { required });
        };
        let of = |site: Site| schemas.get(site.0).map(|it| -> &dyn BodySchema { it });
        let wanted = match &content.wants {
            Wants::Bytes => Some(WantedBody::Bytes { required }),
            Wants::Json(site) => of(*site).map(|schema| WantedBody::Json { schema, required }),
            Wants::Form(form, site) => of(*site).map(|schema| WantedBody::Form {
                form,
                schema,
                required,
            }),
        };
        Ok(wanted.unwrap_or(WantedBody::Nothing { required }))
    }
}
