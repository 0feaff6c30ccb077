//! Whether the issuers that a guard verifies are those that the policy declares.

use thiserror::Error;
use ztl_authz::jwt::Issuer;
use ztl_core::policy::{IssuerDecl, Policy};

/// The policy declares an issuer otherwise than the guard verifies its tokens. Whoever wrote the policy meant tokens of that `iss` for that
/// audience alone, and the guard would take others (T16).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IssuerMismatch {
    /// The name is that of another `iss`.
    #[error(
        "the policy declares the issuer `{name}` as `{declared}`, and the guard verifies tokens of `{verified}` under that name; write the same `issuer` in both",
        name = name.escape_debug(), declared = declared.escape_debug(), verified = verified.escape_debug()
    )]
    Iss {
        /// Its name.
        name: String,
        /// What the policy says.
        declared: String,
        /// What the guard was given.
        verified: String,
    },
    /// Its tokens would be taken for an audience that the policy does not have.
    #[error(
        "the policy declares the audience `{declared}` of the issuer `{name}`, and the guard takes its tokens for `{taken}`; write the same `audience` in both, or none in the policy",
        name = name.escape_debug(), declared = declared.escape_debug(), taken = taken.escape_debug()
    )]
    Audience {
        /// The issuer's name in the policy.
        name: String,
        /// What the policy says.
        declared: String,
        /// What the guard was given.
        taken: String,
    },
}

/// Whether each of these is what the policy declares of its name and of its `iss`. What the policy does not say the guard may choose.
pub(super) fn agree<'a>(
    issuers: impl Iterator<Item = &'a Issuer>,
    policy: &Policy,
) -> Result<(), IssuerMismatch> {
    let declared = &policy.document().issuers;
    for issuer in issuers {
        let of_name = declared.iter().find(|it| *it.name.value == *issuer.name());
        if let Some(other) = of_name.filter(|it| *it.issuer.value != *issuer.iss()) {
            return Err(IssuerMismatch::Iss {
                name: issuer.name().to_owned(),
                declared: other.issuer.value.to_string(),
                verified: issuer.iss().to_owned(),
            });
        }
        // Rules mean an `iss` by whatever name, and one may have several.
        let of_iss = declared
            .iter()
            .filter(|it| *it.issuer.value == *issuer.iss());
        let audiences: Vec<_> = of_iss.filter_map(declares).collect();
        let Some((name, first)) = audiences.first() else {
            continue;
        };
        let unsaid = |one: &&str| !audiences.iter().any(|(_, audience)| audience == one);
        if let Some(taken) = issuer.audiences().find(unsaid) {
            return Err(IssuerMismatch::Audience {
                name: (*name).to_owned(),
                declared: (*first).to_owned(),
                taken: taken.to_owned(),
            });
        }
    }
    Ok(())
}

/// Its name, and the audience that stands there.
fn declares(issuer: &IssuerDecl) -> Option<(&str, &str)> {
    let audience = issuer.audience.as_ref()?;
    Some((&issuer.name.value, &audience.value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ztl_authz::jwt::Jwks;

    const ISS: &str = "https://idp.example";

    fn held(declared: &str, issuer: &Issuer) -> Result<(), IssuerMismatch> {
        let text = format!("schema = 1\ntrust_domain = 'prod.example'\n{declared}");
        let policy = Policy::from_toml(&text).expect("policy");
        agree(core::iter::once(issuer), &policy)
    }

    fn corp(audience: &str) -> Issuer {
        Issuer::access_tokens("corp", ISS, audience, Jwks::none())
    }

    #[test]
    fn t16_only_the_declared_audiences_of_an_iss_are_taken_by_whatever_name_it_is_verified() {
        let one = "[issuers.corp]\nissuer = 'https://idp.example'\naudience = 'api'\n";
        let two = format!("{one}[issuers.more]\nissuer = 'https://idp.example'\naudience = 'b'\n");
        assert_eq!(held(one, &corp("api")), Ok(()));
        assert_eq!(held(&two, &corp("api").with_audience("b")), Ok(()));
        let other = Issuer::access_tokens("own", ISS, "internal", Jwks::none());
        for (declared, issuer, taken) in [
            (one, corp("internal"), "internal"),
            (one, corp("api").with_audience("b"), "b"),
            (one, other, "internal"),
            (&two, corp("b").with_audience("c"), "c"),
        ] {
            let error = held(declared, &issuer).expect_err("two words");
            let name = "corp".to_owned();
            let (declared, taken) = ("api".to_owned(), taken.to_owned());
            let wanted = IssuerMismatch::Audience {
                name,
                declared,
                taken,
            };
            assert_eq!(error, wanted);
        }
    }

    #[test]
    fn t16_a_declared_name_is_that_of_one_iss() {
        let declared = "[issuers.corp]\nissuer = 'https://other.example/\"'\n";
        let error = held(declared, &corp("api")).expect_err("another");
        let said = error.to_string();
        assert!(
            said.contains("as `https://other.example/\\\"`, and"),
            "{said}"
        );
        assert!(said.contains("of `https://idp.example` under"), "{said}");
    }

    #[test]
    fn what_the_policy_does_not_say_the_guard_chooses() {
        let silent = "[issuers.corp]\nissuer = 'https://idp.example'\n";
        let another = "[issuers.b2b]\nissuer = 'https://b2b.example'\naudience = 'b2b'\n";
        let several = corp("api").with_audience("b");
        for declared in ["", silent, another] {
            assert_eq!(held(declared, &several), Ok(()), "{declared}");
        }
    }
}
