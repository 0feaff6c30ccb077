//! Chains that the name of a scenario speaks of, made here: one fault each, or none.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use rustls_pki_types::CertificateDer;
use ztl_mtls::{Purpose, TrustBundle};

use crate::common::{Ca, NOW, domain, prover, uri, valid};

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Good,
    GoodWithIntermediate,
    EmptyChain,
    NoUri,
    ManyUris,
    NoSpiffeId,
    IsAuthority,
    CertSign,
    CrlSign,
    NoDigitalSignature,
    NoKeyUsage,
    NoClientAuth,
    Expired,
    NotYetValid,
    /// A bundle for another trust domain is all that is held.
    OtherDomain,
    /// The bundle of the trust domain has no authority.
    NoAuthority,
    /// Another authority issued it.
    OtherAuthority,
    IntermediateNoAuthority,
    IntermediateNoCertSign,
}

/// The beginnings of words by which a scenario is known, in lower case. The first that are all there say which it is, so the
/// narrower stand above the wider.
const KNOWN: [(&[&str], Scenario); 41] = [
    (&["empty chain"], Scenario::EmptyChain),
    (&["no certificate"], Scenario::EmptyChain),
    (&["empty certificate"], Scenario::EmptyChain),
    (&["no uri"], Scenario::NoUri),
    (&["without uri"], Scenario::NoUri),
    (&["no spiffe id"], Scenario::NoUri),
    (&["more than one uri"], Scenario::ManyUris),
    (&["multiple uri"], Scenario::ManyUris),
    (&["two uri"], Scenario::ManyUris),
    (&["uri", "not a spiffe"], Scenario::NoSpiffeId),
    (&["invalid spiffe id"], Scenario::NoSpiffeId),
    (
        &["intermediate", "not", "ca"],
        Scenario::IntermediateNoAuthority,
    ),
    (
        &["intermediate", "without ca"],
        Scenario::IntermediateNoAuthority,
    ),
    (
        &["signing", "without ca"],
        Scenario::IntermediateNoAuthority,
    ),
    (
        &["intermediate", "no", "keycertsign"],
        Scenario::IntermediateNoCertSign,
    ),
    (
        &["intermediate", "without", "keycertsign"],
        Scenario::IntermediateNoCertSign,
    ),
    (
        &["signing", "without", "keycertsign"],
        Scenario::IntermediateNoCertSign,
    ),
    (&["is ca"], Scenario::IsAuthority),
    (&["is a ca"], Scenario::IsAuthority),
    (&["has ca"], Scenario::IsAuthority),
    (&["ca flag"], Scenario::IsAuthority),
    (&["keycertsign"], Scenario::CertSign),
    (&["certsign"], Scenario::CertSign),
    (&["crlsign"], Scenario::CrlSign),
    (&["no", "digitalsignature"], Scenario::NoDigitalSignature),
    (
        &["without", "digitalsignature"],
        Scenario::NoDigitalSignature,
    ),
    (&["no key usage"], Scenario::NoKeyUsage),
    (&["no keyusage"], Scenario::NoKeyUsage),
    (&["no clientauth"], Scenario::NoClientAuth),
    (&["without clientauth"], Scenario::NoClientAuth),
    (&["not yet valid"], Scenario::NotYetValid),
    (&["expired"], Scenario::Expired),
    (&["another trust domain"], Scenario::OtherDomain),
    (&["no roots"], Scenario::OtherDomain),
    (&["no bundle"], Scenario::OtherDomain),
    (&["empty bundle"], Scenario::NoAuthority),
    (&["another authority"], Scenario::OtherAuthority),
    (&["unknown authority"], Scenario::OtherAuthority),
    (&["intermediate"], Scenario::GoodWithIntermediate),
    (&["success"], Scenario::Good),
    (&["good"], Scenario::Good),
];

const ID: &str = "spiffe://a.test/workload";

impl Scenario {
    /// `None` of a name that says nothing that is known here.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name
            .to_lowercase()
            .replace(|c: char| !c.is_alphanumeric(), " ");
        let name = format!(" {name}");
        let says = |word: &&str| name.contains(&format!(" {word}"));
        let mut known = KNOWN.iter();
        let found = known.find(|(words, _)| words.iter().all(says));
        found.map(|(_, scenario)| *scenario)
    }

    /// Whether the chain proves anybody. Where several chains have the fault, whether one of them does.
    pub(crate) fn proves(self) -> bool {
        let ca = Ca::new("root");
        let bundle = match self {
            Self::OtherDomain => ca.bundle("b.test"),
            Self::NoAuthority => TrustBundle::from_der(domain("a.test"), []).expect("a bundle"),
            Self::OtherAuthority => Ca::new("root").bundle("a.test"),
            _ => ca.bundle("a.test"),
        };
        let prover = prover([bundle]);
        let proves =
            |chain: &[CertificateDer<'static>]| prover.prove(chain, NOW, Purpose::Client).is_ok();
        self.chains(&ca).iter().any(|chain| proves(chain))
    }

    fn chains(self, ca: &Ca) -> Vec<Vec<CertificateDer<'static>>> {
        let changed = |change: &dyn Fn(&mut CertificateParams)| {
            let leaf = ca.leaf(|params| {
                params.subject_alt_names = vec![uri(ID)];
                change(params);
            });
            vec![leaf.der]
        };
        let named = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| uri(name)).collect();
            changed(&|params| params.subject_alt_names.clone_from(&names))
        };
        let used =
            |usages: &[KeyUsagePurpose]| changed(&|params| params.key_usages = usages.to_vec());
        let below = |change: &dyn Fn(&mut CertificateParams)| {
            let middle = ca.intermediate("middle", change);
            vec![middle.leaf_of(ID).der, middle.der.clone()]
        };
        const SIGN: KeyUsagePurpose = KeyUsagePurpose::DigitalSignature;
        match self {
            Self::Good | Self::OtherDomain | Self::NoAuthority | Self::OtherAuthority => {
                vec![named(&[ID])]
            }
            Self::GoodWithIntermediate => vec![below(&|_| {})],
            Self::EmptyChain => vec![Vec::new()],
            Self::NoUri => vec![named(&[])],
            // Even the same one twice.
            Self::ManyUris => vec![named(&[ID, ID]), named(&[ID, "https://a.test/"])],
            Self::NoSpiffeId => vec![
                named(&["https://a.test/workload"]),
                named(&["spiffe://a.test"]),
            ],
            Self::IsAuthority => vec![changed(&|params| {
                params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            })],
            Self::CertSign => vec![used(&[SIGN, KeyUsagePurpose::KeyCertSign])],
            Self::CrlSign => vec![used(&[SIGN, KeyUsagePurpose::CrlSign])],
            Self::NoDigitalSignature => vec![used(&[KeyUsagePurpose::KeyAgreement])],
            Self::NoKeyUsage => vec![used(&[])],
            Self::NoClientAuth => vec![changed(&|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            })],
            Self::Expired => vec![changed(&|params| valid(params, -7200, -3600))],
            Self::NotYetValid => vec![changed(&|params| valid(params, 3600, 7200))],
            Self::IntermediateNoAuthority => {
                vec![below(&|params| params.is_ca = IsCa::ExplicitNoCa)]
            }
            Self::IntermediateNoCertSign => vec![below(&|params| {
                params.key_usages = vec![SIGN, KeyUsagePurpose::CrlSign];
            })],
        }
    }
}

#[test]
fn rules_16_to_20_each_scenario_but_the_good_ones_proves_nobody() {
    for (words, scenario) in KNOWN {
        assert_eq!(
            Scenario::named(&words.join(" .. ")),
            Some(scenario),
            "{words:?}"
        );
        let good = [Scenario::Good, Scenario::GoodWithIntermediate].contains(&scenario);
        assert_eq!(scenario.proves(), good, "{words:?}");
    }
    for name in ["a scenario of another kind", "this case"] {
        assert_eq!(Scenario::named(name), None, "{name}");
    }
}
