//! Whatever comes, an answer comes back, and it is no.

use proptest::prelude::*;
use serde_json::json;
use ztl_core::Timestamp;

use crate::support::*;

proptest! {
    #[test]
    fn any_text_is_refused(text in any::<String>(), at in any::<u64>()) {
        let refused = verifier(issuer()).verify(&text, Timestamp::from_unix_millis(at));
        prop_assert!(refused.is_err());
    }

    #[test]
    fn any_three_parts_are_refused(header in ".{0,80}", payload in ".{0,80}", signature in prop::collection::vec(any::<u8>(), 0..80)) {
        let token = format!("{}.{}.{}", b64(header), b64(payload), b64(signature));
        prop_assert!(verify(&token).is_err());
    }

    #[test]
    fn any_signature_under_a_good_header_is_refused(signature in prop::collection::vec(any::<u8>(), 0..130)) {
        let good = token(&json!({}), &json!({}));
        let (signed, _) = good.rsplit_once('.').expect("parts");
        let forged = format!("{signed}.{}", b64(signature));
        prop_assert!(verify(&forged).is_err());
    }

    #[test]
    fn any_signed_payload_is_answered(payload in ".{0,80}") {
        let header = json!({ "alg": "ES256", "kid": "ES256" }).to_string();
        prop_assert!(verify(&sign_texts("ES256", &header, &payload)).is_err());
    }

    #[test]
    fn one_character_changed_is_refused(place in any::<prop::sample::Index>(), by in "[A-Za-z0-9_.=-]") {
        let good = token(&json!({}), &json!({}));
        let place = place.index(good.len());
        let mut changed = good.clone();
        changed.replace_range(place..=place, &by);
        prop_assert_eq!(verify(&changed).is_ok(), changed == good);
    }

    #[test]
    fn a_cut_token_is_refused(len in any::<prop::sample::Index>()) {
        let good = token(&json!({}), &json!({}));
        let cut = good.get(..len.index(good.len())).expect("ascii");
        prop_assert!(verify(cut).is_err());
    }

    #[test]
    fn t15_a_token_that_passes_has_not_expired(exp in NOW - 100..NOW + 100, at in NOW - 100..NOW + 100, nbf in NOW - 100..NOW + 100) {
        let now = Timestamp::from_unix_secs(at);
        let token = token(&json!({}), &json!({ "exp": exp, "nbf": nbf }));
        let taken = verifier(issuer()).verify(&token, now);
        prop_assert_eq!(taken.is_ok(), at < exp && nbf <= at + 30);
        if let Ok(claims) = taken {
            prop_assert!(claims.expires_at() > now);
        }
    }
}
