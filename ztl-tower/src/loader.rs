//! What loads policies with all that this build knows.

use ztl_core::policy::Loader;

#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
use {std::sync::Arc, ztl_authz::artefacts::Artefacts};

/// A loader that knows all that the features of this build bring for what a policy may ask: conditions (`when`, feature `cel`), the
/// authorizers of `kind = "rego"` and `"opa"`, and schemas. A document from memory has no folder, so that one which names a file is
/// refused: `loader_with` gives it files.
///
/// ```
/// # #[cfg(feature = "cel")] {
/// use ztl_tower::core::policy::Format;
///
/// let text = r#"
/// schema = 1
/// trust_domain = "prod.example"
/// [workloads]
/// cart = { id = "spiffe://prod.example/cart" }
/// shop = { id = "spiffe://prod.example/shop", ports = 8443 }
/// [[permit]]
/// from = "cart"
/// to = "shop"
/// actions = "GET /v1/items/{id}"
/// require.when = "params.id != '13'"
/// "#;
/// let policy = ztl_tower::loader().load(text, Format::Toml)?;
/// # }
/// # Ok::<_, ztl_tower::core::policy::LoadError>(())
/// ```
#[must_use]
pub fn loader() -> Loader {
    #[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
    return loader_with(no_files());
    #[cfg(not(any(feature = "opa", feature = "rego", feature = "schema")))]
    conditions(Loader::new())
}

/// The same for documents that name these files: policies in Rego and their data, modules, schemas.
#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
#[must_use]
pub fn loader_with(files: Arc<dyn Artefacts>) -> Loader {
    with_files(conditions(Loader::new()), &files)
}

/// No file at all.
#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
pub(crate) fn no_files() -> Arc<dyn Artefacts> {
    Arc::new(std::collections::BTreeMap::<String, Vec<u8>>::new())
}

/// With the languages of `when`.
pub(crate) fn conditions(loader: Loader) -> Loader {
    #[cfg(feature = "cel")]
    let loader = loader.with_conditions(std::sync::Arc::new(ztl_authz::cel::Cel::new()));
    loader
}

/// With what is made of files that a document names.
#[cfg(any(feature = "opa", feature = "rego", feature = "schema"))]
pub(crate) fn with_files(loader: Loader, files: &Arc<dyn Artefacts>) -> Loader {
    #[cfg(feature = "rego")]
    let loader = {
        let kind = ztl_authz::rego::RegoKind::interpreter(Arc::clone(files));
        loader.authorizer_kind("rego", Arc::new(kind))
    };
    #[cfg(feature = "opa")]
    let loader = {
        let kind = ztl_authz::rego::RegoKind::wasm(Arc::clone(files));
        loader.authorizer_kind("opa", Arc::new(kind))
    };
    #[cfg(feature = "schema")]
    let loader = {
        let schemas = ztl_authz::schema::Schemas::new(Arc::clone(files));
        loader.with_schemas(Arc::new(schemas))
    };
    loader
}
