//! What webpki does not ask of a path that it would accept.

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::VerifiedPath;
use ztl_core::SpiffeId;

use super::error::{Position, ProveError};
use super::path::{Found, Search, Via, is_over};
use super::prover::DevAuthority;
use super::status::{self, Issuer, Status};
use crate::authority::Facts;
use crate::cert::{Cert, CertError};
use crate::key;
use crate::revocation::Named;

impl Search<'_> {
    /// keyCertSign of each issuer (rule 19), keys that are strong enough, the validity of the authority itself and what its own
    /// certificate constrains, that it is no development authority (T28), and that nobody took back the id or a certificate of the path (T25).
    pub(super) fn judge(
        &self,
        path: &VerifiedPath<'_>,
        leaf: &Cert<'_>,
        id: &SpiffeId,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<Found, ProveError> {
        let (index, authority) = self.facts_of(path.anchor())?;
        self.judge_authority(authority)?;
        check_length(authority, path)?;
        let mut found = Found {
            from: authority.not_before,
            not_after: authority.not_after,
            holds_from: authority.not_before,
            holds_until: authority.not_after,
            via: Via::default(),
            authority: index,
        };
        found.narrow(leaf);
        status::check_id(self.revocation, id)?;
        self.check_denied(Position::Leaf, leaf)?;
        // The intermediate that the next of the path issued; the first of it issued the leaf.
        let mut last: Option<Cert<'_>> = None;
        for issuer in path.intermediate_certificates() {
            let place = place_of(&issuer.der(), intermediates)?;
            let der = intermediates.get(place).ok_or_else(unheld)?;
            let cert = Cert::read(der).map_err(malformed)?;
            found.via.push(place);
            found.narrow(&cert);
            let usage = match cert.extensions.key_usage().map_err(malformed)? {
                Some(usage) if usage.cert_sign => usage,
                _ => return Err(ProveError::IssuerNoCertSign),
            };
            self.check_key(Position::Intermediate, cert.spki)?;
            self.check_denied(Position::Intermediate, &cert)?;
            let signer = Issuer {
                spki: cert.spki,
                crl_sign: usage.crl_sign,
            };
            self.check_status(below(leaf, last.as_ref()), signer, &mut found)?;
            last = Some(cert);
        }
        let signer = Issuer {
            spki: &authority.spki,
            crl_sign: authority.crl_sign,
        };
        self.check_status(below(leaf, last.as_ref()), signer, &mut found)?;
        let lists = self.revocation.deny_lists();
        status::check_named(lists, Position::Authority, &authority.named)?;
        Ok(found)
    }

    pub(super) fn check_key(&self, certificate: Position, spki: &[u8]) -> Result<(), ProveError> {
        key::check(spki, self.algorithms).map_err(|error| ProveError::Key { certificate, error })
    }

    pub(super) fn check_denied(
        &self,
        certificate: Position,
        cert: &Cert<'_>,
    ) -> Result<(), ProveError> {
        let lists = self.revocation.deny_lists();
        if status::names_certificates(lists) {
            status::check_named(lists, certificate, &Named::of(cert))?;
        }
        Ok(())
    }

    pub(super) fn check_status(
        &self,
        (certificate, cert): (Position, &Cert<'_>),
        issuer: Issuer<'_>,
        found: &mut Found,
    ) -> Result<(), ProveError> {
        // Never another trust domain's lists (rule 20): whoever may sign them there says nothing here.
        let Some(crls) = self.revocation.crls(self.bundle.trust_domain().as_str()) else {
            return Ok(());
        };
        let status = Status {
            crls,
            algorithms: self.algorithms,
            now: self.now,
        };
        if status.is_asked(certificate) {
            let (from, until) = status.check(certificate, cert, issuer)?;
            found.holds_from = found.holds_from.max(from);
            found.holds_until = found.holds_until.min(until);
        }
        Ok(())
    }

    fn judge_authority(&self, authority: &Facts) -> Result<(), ProveError> {
        if authority.dev_authority && self.dev_authority == DevAuthority::Refuse {
            return Err(ProveError::DevAuthority(self.bundle.trust_domain().clone()));
        }
        self.check_key(Position::Authority, &authority.spki)?;
        let (certificate, now) = (Position::Authority, self.now);
        if now < authority.not_before {
            return Err(ProveError::NotYetValid {
                certificate,
                not_before: authority.not_before,
                now,
            });
        }
        if is_over(authority.not_after, now) {
            return Err(ProveError::Expired {
                certificate,
                not_after: authority.not_after,
                now,
            });
        }
        if authority
            .purposes
            .is_some_and(|purposes| !purposes.names(self.purpose))
        {
            return Err(self.purpose());
        }
        Ok(())
    }

    fn facts_of(&self, anchor: &TrustAnchor<'_>) -> Result<(usize, &Facts), ProveError> {
        self.bundle
            .anchors()
            .iter()
            .zip(self.bundle.facts())
            .enumerate()
            .find_map(|(index, (held, facts))| {
                core::ptr::eq(held, anchor).then_some((index, facts))
            })
            .ok_or_else(|| ProveError::UnknownIssuer(self.bundle.trust_domain().clone()))
    }
}

/// RFC 5280 §4.2.1.9: so many issuers may stand below the authority, those aside that issued themselves.
fn check_length(authority: &Facts, path: &VerifiedPath<'_>) -> Result<(), ProveError> {
    let Some(most) = authority.path_len else {
        return Ok(());
    };
    if path.intermediate_certificates().count() <= most {
        return Ok(());
    }
    let mut count: usize = 0;
    for issuer in path.intermediate_certificates() {
        let der = issuer.der();
        let cert = Cert::read(&der).map_err(malformed)?;
        if cert.issuer != cert.subject {
            count = count.saturating_add(1);
        }
    }
    if count > most {
        return Err(ProveError::PathLength);
    }
    Ok(())
}

/// The certificate that an issuer of the path issued.
fn below<'c, 'a>(leaf: &'c Cert<'a>, last: Option<&'c Cert<'a>>) -> (Position, &'c Cert<'a>) {
    last.map_or((Position::Leaf, leaf), |cert| {
        (Position::Intermediate, cert)
    })
}

/// Where in the chain a certificate of the path stands.
fn place_of(der: &[u8], intermediates: &[CertificateDer<'_>]) -> Result<usize, ProveError> {
    intermediates
        .iter()
        .position(|held| **held == *der)
        .ok_or_else(unheld)
}

fn unheld() -> ProveError {
    ProveError::Path("a path leads over a certificate that was not sent".into())
}

fn malformed(error: CertError) -> ProveError {
    ProveError::Malformed(error.to_string().into())
}
