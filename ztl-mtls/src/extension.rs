//! The extensions that X509-SVID §4 speaks of, and the mark of a development authority.

use der::asn1::ObjectIdentifier;

use crate::cert::CertError;
use crate::element::{
    BIT_STRING, Bits, Elements, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, context,
    unsigned,
};
use crate::verify::Purpose;

/// Most extensions of a certificate. Those of today have fewer than ten.
pub const MAX_EXTENSIONS: usize = 32;

const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13]; // 2.5.29.19
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f]; // 2.5.29.15
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25]; // 2.5.29.37
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11]; // 2.5.29.17
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e]; // 2.5.29.30
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
const CRL_DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 0x1f]; // 2.5.29.31

pub(crate) const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01]; // 1.3.6.1.5.5.7.3.1
pub(crate) const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02]; // 1.3.6.1.5.5.7.3.2

/// The mark of a development authority (T28): an arc of our own under 2.25 (X.667), 2.25.1662593429.
const DEV_AUTHORITY: &[u8] = &[0x69, 0x86, 0x98, 0xe4, 0xd3, 0x15];
/// The same, in numbers.
#[cfg(feature = "dev-ca")]
pub(crate) const DEV_AUTHORITY_ARCS: &[u64] = &[2, 25, 1_662_593_429];

/// Whether a certificate is an authority's, and the octets of its pathLenConstraint (RFC 5280 §4.2.1.9).
#[derive(Clone, Copy)]
struct BasicConstraints<'a> {
    ca: bool,
    path_len: Option<&'a [u8]>,
}

/// What keys may do, as far as it is asked (RFC 5280 §4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyUsage {
    pub(crate) digital_signature: bool,
    pub(crate) cert_sign: bool,
    pub(crate) crl_sign: bool,
}

/// Which TLS ends an extended key usage names (RFC 5280 §4.2.1.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExtendedKeyUsage {
    pub(crate) server_auth: bool,
    pub(crate) client_auth: bool,
}

/// The names of a subjectAltName (RFC 5280 §4.2.1.6). Other kinds than URIs are counted and read past (rule 16).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names<'a> {
    pub(crate) all: usize,
    pub(crate) uris: usize,
    pub(crate) last_uri: &'a [u8],
}

/// The values of known extensions, read only when asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extensions<'a> {
    basic_constraints: Option<&'a [u8]>,
    key_usage: Option<&'a [u8]>,
    extended_key_usage: Option<&'a [u8]>,
    subject_alt_name: Option<&'a [u8]>,
    name_constraints: Option<&'a [u8]>,
    crl_distribution_points: Option<&'a [u8]>,
    authority_key_id: Option<&'a [u8]>,
    dev_authority: Option<&'a [u8]>,
    unknown_critical: Option<&'a [u8]>,
}

impl ExtendedKeyUsage {
    /// Whether it names this end.
    pub(crate) const fn names(self, end: Purpose) -> bool {
        match end {
            Purpose::Client => self.client_auth,
            Purpose::Server => self.server_auth,
        }
    }
}

impl<'a> Extensions<'a> {
    /// Reads what is within `[3] EXPLICIT SEQUENCE OF Extension`.
    pub(crate) fn read(field: &'a [u8]) -> Result<Self, CertError> {
        let mut found = Self::default();
        let mut others = Others::default();
        let mut list = Elements::of_sequence(field)?;
        let mut count: usize = 0;
        while !list.is_finished() {
            if count == MAX_EXTENSIONS {
                return Err(CertError::TooManyExtensions);
            }
            count = count.saturating_add(1);
            found.take(list.sequence()?, &mut others)?;
        }
        Ok(found)
    }

    fn take(
        &mut self,
        mut extension: Elements<'a>,
        others: &mut Others<'a>,
    ) -> Result<(), CertError> {
        let oid = extension.expect(OBJECT_IDENTIFIER)?;
        let critical = extension.flag()?;
        let value = extension.expect(OCTET_STRING)?;
        extension.finish()?;
        let (slot, name) = match oid {
            BASIC_CONSTRAINTS => (&mut self.basic_constraints, "basicConstraints"),
            KEY_USAGE => (&mut self.key_usage, "keyUsage"),
            EXTENDED_KEY_USAGE => (&mut self.extended_key_usage, "extKeyUsage"),
            SUBJECT_ALT_NAME => (&mut self.subject_alt_name, "subjectAltName"),
            NAME_CONSTRAINTS => (&mut self.name_constraints, "nameConstraints"),
            CRL_DISTRIBUTION_POINTS => (&mut self.crl_distribution_points, "cRLDistributionPoints"),
            AUTHORITY_KEY_IDENTIFIER => {
                // It is of use where lists are compared, and judges nothing: as webpki has it, nobody knows one that is critical.
                if critical {
                    self.unknown_critical.get_or_insert(oid);
                }
                (&mut self.authority_key_id, "authorityKeyIdentifier")
            }
            DEV_AUTHORITY => (&mut self.dev_authority, "devAuthority"),
            _ => {
                if critical {
                    self.unknown_critical.get_or_insert(oid);
                }
                return others.take(oid);
            }
        };
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(CertError::DuplicateExtension(name.into())),
        }
    }

    /// basicConstraints' cA; `None` without the extension (RFC 5280 §4.2.1.9).
    pub(crate) fn is_ca(&self) -> Result<Option<bool>, CertError> {
        Ok(self.basic_constraints()?.map(|constraints| constraints.ca))
    }

    /// basicConstraints' pathLenConstraint; `None` without one (RFC 5280 §4.2.1.9). webpki keeps to those of a chain, and reads
    /// none of a trust anchor.
    pub(crate) fn path_len(&self) -> Result<Option<usize>, CertError> {
        let constraints = self.basic_constraints()?;
        let length = constraints.and_then(|constraints| constraints.path_len);
        Ok(length.map(|octets| match octets {
            [octet] => usize::from(*octet),
            // More than any chain that is read has.
            _ => usize::MAX,
        }))
    }

    fn basic_constraints(&self) -> Result<Option<BasicConstraints<'a>>, CertError> {
        let Some(value) = self.basic_constraints else {
            return Ok(None);
        };
        let mut fields = Elements::of_sequence(value)?;
        let ca = fields.flag()?;
        let path_len = fields.optional(INTEGER)?.map(unsigned).transpose()?;
        fields.finish()?;
        Ok(Some(BasicConstraints { ca, path_len }))
    }

    /// keyUsage; `None` without the extension.
    pub(crate) fn key_usage(&self) -> Result<Option<KeyUsage>, CertError> {
        let Some(value) = self.key_usage else {
            return Ok(None);
        };
        let mut only = Elements::of(value);
        let bits = Bits::read(only.expect(BIT_STRING)?)?;
        only.finish()?;
        Ok(Some(KeyUsage {
            digital_signature: bits.is_set(0),
            cert_sign: bits.is_set(5),
            crl_sign: bits.is_set(6),
        }))
    }

    /// extKeyUsage; `None` without the extension. `anyExtendedKeyUsage` names no end.
    pub(crate) fn extended_key_usage(&self) -> Result<Option<ExtendedKeyUsage>, CertError> {
        let Some(value) = self.extended_key_usage else {
            return Ok(None);
        };
        let mut usage = ExtendedKeyUsage {
            server_auth: false,
            client_auth: false,
        };
        let mut purposes = Elements::of_sequence(value)?;
        while !purposes.is_finished() {
            let purpose = purposes.expect(OBJECT_IDENTIFIER)?;
            usage.server_auth |= purpose == SERVER_AUTH;
            usage.client_auth |= purpose == CLIENT_AUTH;
        }
        Ok(Some(usage))
    }

    /// The subjectAltName, as far as it is an identity; empty without the extension.
    pub(crate) fn names(&self) -> Result<Names<'a>, CertError> {
        let mut found = Names::default();
        let Some(value) = self.subject_alt_name else {
            return Ok(found);
        };
        let mut names = Elements::of_sequence(value)?;
        while !names.is_finished() {
            let name = names.take()?;
            found.all += 1;
            if is_uri_name(name.tag)? {
                found.uris += 1;
                found.last_uri = name.value;
            }
        }
        Ok(found)
    }

    /// Whether nameConstraints speak of URIs. webpki fails those closed; this tells why.
    pub(crate) fn constrains_uris(&self) -> bool {
        self.name_constraints
            .is_some_and(|value| constrains_uris(value).unwrap_or(true))
    }

    /// The value of cRLDistributionPoints (RFC 5280 §4.2.1.13).
    pub(crate) const fn crl_distribution_points(&self) -> Option<&'a [u8]> {
        self.crl_distribution_points
    }

    /// The value of authorityKeyIdentifier (RFC 5280 §4.2.1.1).
    pub(crate) const fn authority_key_id(&self) -> Option<&'a [u8]> {
        self.authority_key_id
    }

    /// Whether this is the certificate of a development authority (T28).
    pub(crate) fn is_dev_authority(&self) -> bool {
        self.dev_authority.is_some()
    }

    /// The first critical extension that nobody here knows, in numbers.
    pub(crate) fn unknown_critical(&self) -> Option<Box<str>> {
        self.unknown_critical.map(in_numbers)
    }
}

/// Which extensions were met that are not read here, in a row on the stack: this is done for each certificate of each peer.
struct Others<'a> {
    oids: [&'a [u8]; MAX_EXTENSIONS],
    count: usize,
}

impl Default for Others<'_> {
    fn default() -> Self {
        Self {
            oids: [&[]; MAX_EXTENSIONS],
            count: 0,
        }
    }
}

impl<'a> Others<'a> {
    /// RFC 5280 §4.2: refuses one that was met before.
    fn take(&mut self, oid: &'a [u8]) -> Result<(), CertError> {
        if self.oids.iter().take(self.count).any(|met| *met == oid) {
            return Err(CertError::DuplicateExtension(in_numbers(oid)));
        }
        let next = self.oids.get_mut(self.count);
        *next.ok_or(CertError::TooManyExtensions)? = oid;
        self.count = self.count.saturating_add(1);
        Ok(())
    }
}

fn in_numbers(oid: &[u8]) -> Box<str> {
    ObjectIdentifier::from_bytes(oid).map_or_else(
        |_| "of a malformed OID".into(),
        |oid| oid.to_string().into(),
    )
}

/// RFC 5280 §4.2.1.6: GeneralName is a choice of context tags 0 to 8; a URI is `[6] IMPLICIT IA5String`.
fn is_uri_name(tag: u8) -> Result<bool, CertError> {
    const URI: u8 = context(6);
    match tag {
        URI => Ok(true),
        // The rest of them, but no [6] around other elements.
        0x80..=0x88 | 0xa0..=0xa5 | 0xa7 | 0xa8 => Ok(false),
        _ => Err(CertError::malformed("subjectAltName holds what is no name")),
    }
}

/// RFC 5280 §4.2.1.10: `SEQUENCE { permitted [0] OPTIONAL, excluded [1] OPTIONAL }` of `SEQUENCE { base GeneralName, .. }`.
fn constrains_uris(value: &[u8]) -> Result<bool, CertError> {
    let mut found = false;
    let mut constraints = Elements::of_sequence(value)?;
    while !constraints.is_finished() {
        let mut subtrees = Elements::of(constraints.take()?.value);
        while !subtrees.is_finished() {
            let base = Elements::of(subtrees.expect(SEQUENCE)?).take()?;
            found |= is_uri_name(base.tag)?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_constraints_in_all_their_encodings() {
        let ca = |der: &[u8]| {
            Extensions {
                basic_constraints: Some(der),
                ..Extensions::default()
            }
            .is_ca()
        };
        assert_eq!(Extensions::default().is_ca(), Ok(None));
        assert_eq!(ca(&[0x30, 0]), Ok(Some(false)));
        assert_eq!(ca(&[0x30, 3, 1, 1, 0]), Ok(Some(false)));
        assert_eq!(ca(&[0x30, 3, 1, 1, 0xff]), Ok(Some(true)));
        assert_eq!(ca(&[0x30, 6, 1, 1, 0xff, 2, 1, 3]), Ok(Some(true)));
        for bad in [
            &[0x30, 3, 1, 1, 1][..],
            &[0x30, 3, 2, 1, 0x80],
            &[0x31, 0],
            &[],
            &[0x30, 0, 0],
        ] {
            assert!(ca(bad).is_err(), "{bad:?}");
        }
        let length = |der: &[u8]| {
            Extensions {
                basic_constraints: Some(der),
                ..Extensions::default()
            }
            .path_len()
        };
        assert_eq!(Extensions::default().path_len(), Ok(None));
        assert_eq!(length(&[0x30, 3, 1, 1, 0xff]), Ok(None));
        for (octets, value) in [
            (&[0][..], 0),
            (&[3], 3),
            (&[0, 0xff], 255),
            (&[1, 0], usize::MAX),
        ] {
            let field = [
                &[1, 1, 0xff, 2, u8::try_from(octets.len()).expect("short")],
                octets,
            ];
            let field = field.concat();
            let der = [&[0x30, u8::try_from(field.len()).expect("short")], &*field].concat();
            assert_eq!(length(&der), Ok(Some(value)), "{octets:?}");
        }
        assert!(length(&[0x30, 6, 1, 1, 0xff, 2, 1, 0x80]).is_err());
    }

    #[test]
    fn key_usage_bits() {
        let usage = |der: &[u8]| {
            Extensions {
                key_usage: Some(der),
                ..Extensions::default()
            }
            .key_usage()
        };
        let of = |digital_signature, cert_sign, crl_sign| KeyUsage {
            digital_signature,
            cert_sign,
            crl_sign,
        };
        assert_eq!(usage(&[3, 2, 7, 0x80]), Ok(Some(of(true, false, false))));
        assert_eq!(usage(&[3, 2, 0, 0x80]), Ok(Some(of(true, false, false))));
        assert_eq!(usage(&[3, 2, 1, 0x06]), Ok(Some(of(false, true, true))));
        assert_eq!(usage(&[3, 1, 0]), Ok(Some(of(false, false, false))));
        assert!(usage(&[3, 2, 9, 0x80]).is_err());
        assert!(usage(&[4, 1, 0x80]).is_err());
    }

    #[test]
    fn extended_key_usage_names_ends() {
        let usage = |der: &[u8]| {
            Extensions {
                extended_key_usage: Some(der),
                ..Extensions::default()
            }
            .extended_key_usage()
        };
        let any = [0x30, 6, 6, 4, 0x55, 0x1d, 0x25, 0];
        assert_eq!(
            usage(&any),
            Ok(Some(ExtendedKeyUsage {
                server_auth: false,
                client_auth: false
            }))
        );
        assert_eq!(
            usage(&[0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1]),
            Ok(Some(ExtendedKeyUsage {
                server_auth: true,
                client_auth: false
            }))
        );
        assert!(usage(&[0x30, 3, 4, 1, 0]).is_err());
    }

    #[test]
    fn rule_16_uris_are_counted_and_other_names_read_past() {
        let names = |der: &'static [u8]| {
            Extensions {
                subject_alt_name: Some(der),
                ..Extensions::default()
            }
            .names()
        };
        let of = |all, uris, last_uri| {
            Ok(Names {
                all,
                uris,
                last_uri,
            })
        };
        let dns_and_uri = &[0x30, 7, 0x82, 1, b'x', 0x86, 2, b'a', b'b'];
        assert_eq!(names(dns_and_uri), of(2, 1, b"ab"));
        assert_eq!(
            names(&[0x30, 6, 0x86, 1, b'a', 0x86, 1, b'b']),
            of(2, 2, b"b")
        );
        assert_eq!(names(&[0x30, 0]), of(0, 0, b""));
        // A constructed [6], [9] and a universal tag are no names.
        for bad in [
            &[0x30, 2, 0xa6, 0][..],
            &[0x30, 2, 0x89, 0],
            &[0x30, 2, 0x16, 0],
            &[0x30, 2, 0x86, 1],
        ] {
            assert!(names(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn uri_constraints_are_seen_and_what_is_unreadable_counts_as_one() {
        let constrains = |der: &[u8]| {
            Extensions {
                name_constraints: Some(der),
                ..Extensions::default()
            }
            .constrains_uris()
        };
        assert!(!constrains(&[0x30, 7, 0xa0, 5, 0x30, 3, 0x82, 1, b'x']));
        assert!(constrains(&[0x30, 7, 0xa1, 5, 0x30, 3, 0x86, 1, b'x']));
        assert!(constrains(&[0x30, 1]));
        assert!(!Extensions::default().constrains_uris());
    }
}
