//! The keywords of schemas (JSON Schema 2020-12, and OpenAPI 3.1.1 §4.8.24): those that are kept to, and those that are not.

use super::node::Node;

/// What may stand in a schema beside what begins with `x-`.
const KNOWN: [&str; 53] = [
    "$comment",
    "$defs",
    "$ref",
    "$schema",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "default",
    "definitions",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "example",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
    "xml",
];

/// What says something that is not kept to, and what to write instead.
const REFUSED: [(&str, &str); 12] = [
    ("$anchor", POINTER),
    ("$dynamicAnchor", POINTER),
    ("$dynamicRef", POINTER),
    ("$id", POINTER),
    ("$recursiveRef", POINTER),
    ("additionalItems", "write `prefixItems` and `items`"),
    ("contentEncoding", "write `format` or `pattern`"),
    ("contentMediaType", TEXT),
    ("contentSchema", TEXT),
    (
        "dependencies",
        "write `dependentRequired` or `dependentSchemas`",
    ),
    (
        "discriminator",
        "give each schema a `const` of its own for the property",
    ),
    ("nullable", "add `null` to `type`"),
];
const POINTER: &str = "refer by `$ref` and a JSON pointer";
const TEXT: &str = "what stands within a text is not read, so leave it out";

/// Refuses a schema with a keyword that is not kept to: who wrote it meant it, and nothing passes because it is misspelt.
pub(super) fn check(node: &Node<'_>) -> Result<(), String> {
    let map = node.map()?;
    for (keyword, instead) in REFUSED {
        if map.contains_key(keyword) {
            return Err(node.fault(format!("`{keyword}` cannot be kept to: {instead}")));
        }
    }
    node.only(&KNOWN).map(|_| ())
}
