//! `[zones.NAME]`, `[external.NAME]`, `[issuers.NAME]` and `[authorizers.NAME]`.

use super::table::{Place, Reader};
use super::{host, name, network, port, value};
use crate::authority::HTTPS_PORT;
use crate::policy::diagnostic::Report;
use crate::policy::document::{AuthorizerDecl, ExternalDecl, IssuerDecl, Span, Spanned, ZoneDecl};
use crate::policy::limits::{
    MAX_AUTHORIZERS, MAX_ENTRIES, MAX_EXTERNALS, MAX_ISSUERS, MAX_NETWORKS, MAX_ZONES,
};
use crate::policy::tree::Node;

/// `[zones.NAME]`
pub(super) fn zones(root: &mut Reader<'_, '_>) -> Vec<ZoneDecl> {
    read_all(root, "zones", MAX_ZONES, |name, table, _| {
        let help = "write the networks that it stands for, as in `networks = [\"10.10.0.0/16\"]`";
        let _ = table.required("networks", help);
        let networks = table.each("networks", MAX_NETWORKS, network::network);
        let trust = table.integer("trust", 0..=255);
        Some(ZoneDecl {
            name: name?,
            trust: trust.map_or(Some(0), |trust| u8::try_from(trust.value).ok())?,
            networks,
        })
    })
}

/// `[external.NAME]`
pub(super) fn externals(root: &mut Reader<'_, '_>) -> Vec<ExternalDecl> {
    read_all(root, "external", MAX_EXTERNALS, |name, table, header| {
        let help = "write the host names that it stands for, as in `hosts = [\"api.example.org\"]`";
        let _ = table.required("hosts", help);
        let hosts = table.each("hosts", MAX_ENTRIES, host::external);
        let mut ports = table.each("ports", MAX_ENTRIES, port::port);
        port::refuse_doubles("ports", &ports, table.report);
        if ports.is_empty() {
            ports.push(Spanned::new(HTTPS_PORT, header));
        }
        let networks = table.each("networks", MAX_NETWORKS, network::network);
        Some(ExternalDecl {
            name: name?,
            hosts,
            ports,
            networks,
        })
    })
}

/// `[issuers.NAME]`
pub(super) fn issuers(root: &mut Reader<'_, '_>) -> Vec<IssuerDecl> {
    read_all(root, "issuers", MAX_ISSUERS, |name, table, _| {
        let help = "write the exact `iss` of its tokens, mostly an `https://` URL";
        let _ = table.required("issuer", help);
        let issuer = table.one("issuer", value::issuer);
        let audience = table.one("audience", value::issuer);
        let jwks_file = table.one("jwks_file", value::issuer);
        Some(IssuerDecl {
            name: name?,
            issuer: issuer?,
            audience,
            jwks_file,
        })
    })
}

/// `[authorizers.NAME]`: what its kind is told is that kind's own to check.
pub(super) fn authorizers(root: &mut Reader<'_, '_>) -> Vec<AuthorizerDecl> {
    read_all(root, "authorizers", MAX_AUTHORIZERS, |name, table, _| {
        let _ = table.required("kind", "write which registered kind of authorizer it is");
        let kind = table.one("kind", name::name);
        let settings = table.rest();
        Some(AuthorizerDecl {
            name: name?,
            kind: kind?,
            settings,
            made_from: None,
        })
    })
}

/// Reads every `[section.NAME]`. The name is `None` where it is none, so that the rest is looked at all the same.
pub(super) fn read_all<'a, T>(
    root: &mut Reader<'a, '_>,
    section: &'static str,
    max: usize,
    mut read: impl FnMut(Option<Spanned<std::sync::Arc<str>>>, &mut Reader<'a, '_>, Span) -> Option<T>,
) -> Vec<T> {
    let mut declared = Vec::new();
    for (key, node) in root.named(section, max) {
        if root.report.enough() {
            break;
        }
        declared.extend(read_one(section, key, node, root.report, &mut read));
    }
    declared
}

fn read_one<'a, T>(
    section: &'static str,
    key: &'a Spanned<String>,
    node: &'a Node,
    report: &mut Report,
    read: &mut impl FnMut(Option<Spanned<std::sync::Arc<str>>>, &mut Reader<'a, '_>, Span) -> Option<T>,
) -> Option<T> {
    let name = name::checked(&key.value, key.span, report);
    let mut table = Reader::open(node, Place::Named(section, &key.value), report)?;
    let declared = read(name, &mut table, key.span);
    table.finish(|_| None);
    declared
}
