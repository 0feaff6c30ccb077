//! What refuses the file: each with its place, and how to mend it.

use super::*;

const PAGE: &str = include_str!("../../../docs/guard-file.md");

const ISSUER: &str = "[[issuers]]\nname = 'a'\nissuer = 'https://a.example'\naudience = 'b'\n";
const FEDERATED: &str = "[[federated]]\ntrust_domain = 'b.example'\nurl = 'https://b.example/'\n";
const BUNDLE_FILE: &str =
    "[[opa_bundles]]\nname = 'a'\nfile = 'a.tar.gz'\nengine = 'rego'\nentrypoint = 'a/b'\n";
const BUNDLE: &str = "[[opa_bundles]]\nname = 'a'\nurl = 'https://b.example/'\nengine = 'rego'\nentrypoint = 'a/b'\nroots = 'roots.pem'\n";
const SIGNALS: &str = "[[signals]]\nnames = 'a'\n";
const CRLS: &str = "[[crl_files]]\ntrust_domain = 'c.example'\nfiles = 'a.crl'\n";
const BEHAVIOUR: &str = "[behaviour]\nwindow = '10m'\nusual = 9\nsignals = { a = 'calm' }\n";

#[tokio::test]
async fn law_1_what_cannot_be_in_force_refuses_the_file_at_its_key() {
    let place = Place::new("refused", "", "").await;
    place.folder.write("short.key", "0f");
    place.folder.write("loud.key", &"AB".repeat(32));
    place.folder.write("odd.token", "zq zq");
    place.folder.write("secret", &"7".repeat(32));
    place.folder.write("empty.pem", "");
    let http = BUNDLE.replace("https://", "http://");
    let http = http.replace("roots = 'roots.pem'\n", "");
    let signed = "keys = [{ algorithm = 'HS256', secret_file = 'secret' }]\n";
    for (base, more, error) in [
        // [[issuers]]
        (ISSUER, "", "missing `jwks_file`"),
        (ISSUER, "", "`discovery = true`, or where the keys are"),
        (ISSUER, "discovery = true", "missing `roots`"),
        (
            ISSUER,
            "discovery = true\nroots = 'none'",
            "`roots` does not take `none`",
        ),
        (
            ISSUER,
            "discovery = true\nroots = 'empty.pem'",
            "`roots` does not take",
        ),
        (
            ISSUER,
            "discovery = true\njwks_url = 'https://c.example'",
            "remove it, or `discovery`",
        ),
        (
            ISSUER,
            "jwks_url = 'http://c.example'",
            "does not begin with `https://`",
        ),
        (
            ISSUER,
            "jwks_url = 'https://me:pw@c.example'",
            "user information",
        ),
        (
            ISSUER,
            "jwks_url = 'https://c.example'\nallow_plain_loopback = true",
            "is for `discovery`",
        ),
        (
            ISSUER,
            "jwks_file = 'a'\nroots = 'roots.pem'",
            "none are fetched",
        ),
        (
            ISSUER,
            "jwks_file = 'a'\nrefresh_every = '1h'",
            "none are fetched",
        ),
        (
            ISSUER,
            "jwks_file = 'a'\ntokens = 'refresh'",
            "write `access`, `id` or `svid`",
        ),
        (
            ISSUER,
            "jwks_file = 'a'\ntokens = 'svid'",
            "as in `spiffe://prod.example`",
        ),
        (
            ISSUER,
            "jwks_file = 'a'\nleeway = '61s'",
            "`leeway` takes a time from 1ms to 60s",
        ),
        (ISSUER, "jwks_file = 'a'\ntyp = []", "empty list"),
        (
            ISSUER,
            "jwks_file = 'a'\nsecret = 'b'",
            "unknown key `secret` in [[issuers]]",
        ),
        (
            ISSUER,
            "discovery = true\nroots = 'roots.pem'\ncool_down = '8d'",
            "`cool_down` takes a time from 1s to 604800s",
        ),
        (
            ISSUER,
            "discovery = true\nroots = 'roots.pem'\naddress = 'idp'",
            "write an address and a port",
        ),
        ("[[issuers]]\n", "jwks_file = 'a'", "missing `audience`"),
        (
            "[[issuers]]\nname = 'a'\nissuer = 'http://127.0.0.1:1'\naudience = 'b'\ndiscovery = true\n",
            "",
            "does not begin with `https://`",
        ),
        (
            "[[issuers]]\nname = 'a'\nissuer = 'http://127.0.0.1:1'\naudience = 'b'\ndiscovery = true\nallow_plain_loopback = true\n",
            "roots = 'roots.pem'",
            "prove no host that is not asked over `https`",
        ),
        // [[federated]]
        (FEDERATED, "", "missing `profile`"),
        (FEDERATED, "profile = 'web'", "write `https_spiffe`"),
        (FEDERATED, "profile = 'https_web'", "missing `roots`"),
        (
            FEDERATED,
            "profile = 'https_web'\nendpoint_id = 'a'",
            "and no workload",
        ),
        (
            FEDERATED,
            "profile = 'https_spiffe'",
            "missing `endpoint_id`",
        ),
        (
            FEDERATED,
            "profile = 'https_spiffe'\nroots = 'roots.pem'",
            "and no roots",
        ),
        (
            FEDERATED,
            "profile = 'https_spiffe'\nendpoint_id = 'https://b.example/'",
            "`endpoint_id` does not take",
        ),
        (
            FEDERATED,
            "profile = 'https_web'\nroots = 'roots.pem'\nrefresh_shortest = '2d'",
            "is longer than",
        ),
        (
            FEDERATED,
            "profile = 'https_web'\nroots = 'roots.pem'\nmax_age = '1d'\nallow_any_age = true",
            "a bundle stays for ever",
        ),
        (
            FEDERATED,
            "profile = 'https_web'\nroots = 'roots.pem'\njwt_svids = { name = 'b' }",
            "missing `audience`",
        ),
        (
            "[[federated]]\ntrust_domain = 'B'\nurl = 'http://b.example/'\nprofile = 'https_web'\nroots = 'roots.pem'\n",
            "",
            "write a trust domain",
        ),
        (
            "[[federated]]\ntrust_domain = 'b.example'\nurl = 'http://b.example/'\nprofile = 'https_web'\nroots = 'roots.pem'\n",
            "",
            "`url` does not take",
        ),
        // [[opa_bundles]]
        (
            BUNDLE,
            "allow_unsigned = true\nfile = 'a.tar.gz'",
            "a bundle is in a `file` or at a `url`",
        ),
        (
            "[[opa_bundles]]\nname = 'a'\nengine = 'rego'\nentrypoint = 'a/b'\nallow_unsigned = true\n",
            "",
            "missing `url`",
        ),
        (BUNDLE_FILE, "", "missing `keys`"),
        (
            BUNDLE_FILE,
            "allow_unsigned = true\nmax_age = '1d'",
            "a bundle in a `file` is not pulled",
        ),
        (
            BUNDLE_FILE,
            "allow_unsigned = true\nroots = 'roots.pem'",
            "a bundle in a `file` is not pulled",
        ),
        (
            BUNDLE_FILE,
            "allow_unsigned = true\nrevision_order = 'any'",
            "`found`, `required`",
        ),
        (BUNDLE, "", "missing `keys`"),
        (BUNDLE, "keys = []", "no bundle is ever taken"),
        (BUNDLE, "keys = [{}]", "missing `algorithm`"),
        (
            BUNDLE,
            "keys = [{ algorithm = 'none', public_key = 'roots.pem' }]",
            "none of ES256",
        ),
        (
            BUNDLE,
            "keys = [{ algorithm = 'ES256' }]",
            "missing `public_key`",
        ),
        (
            BUNDLE,
            "keys = [{ algorithm = 'ES256', public_key = 'roots.pem' }]",
            "one `PUBLIC KEY` section",
        ),
        (
            BUNDLE,
            "keys = [{ algorithm = 'ES256', secret_file = 'secret' }]",
            "takes a public key, no secret",
        ),
        (
            BUNDLE,
            "keys = [{ algorithm = 'HS512', secret_file = 'secret' }]",
            "shorter than 64 bytes",
        ),
        (
            BUNDLE,
            "keys = [{ jwk = 'secret', algorithm = 'ES256' }]",
            "says all of it itself",
        ),
        (BUNDLE, "keys = [{ jwk = 'secret' }]", "is not a JWK"),
        (
            BUNDLE,
            "allow_unsigned = true\nscope = 'a'",
            "that nobody signed",
        ),
        (
            BUNDLE,
            "allow_unsigned = true\nreads = 'everything'",
            "write `token`",
        ),
        (
            BUNDLE,
            "allow_unsigned = true\nmemory = 1048576",
            "cannot be bounded by the interpreter",
        ),
        (
            BUNDLE,
            "allow_unsigned = true\ntimeout = '6s'",
            "`timeout` takes a time",
        ),
        (
            BUNDLE,
            "allow_unsigned = true\nmin_delay = '1h'",
            "is longer than",
        ),
        (
            BUNDLE,
            "allow_unsigned = true\nlong_polling = '11m'",
            "`long_polling` takes a time",
        ),
        (
            BUNDLE,
            "allow_unsigned = true\nrevision_order = 'any'",
            "`found`, `required`",
        ),
        (
            BUNDLE,
            "allow_unsigned = true\nlimits = { bytes = 1 }",
            "[opa_bundles.limits]",
        ),
        (
            BUNDLE,
            "allow_unsigned = true\nlimits = { files = 0 }",
            "an integer from 1",
        ),
        (
            BUNDLE,
            "allow_unsigned = true\nbearer_token_file = 'odd.token'",
            "cannot be sent",
        ),
        (
            &http,
            "allow_unsigned = true",
            "does not begin with `https://`",
        ),
        (
            &http,
            &format!("{signed}bearer_token_file = 'secret'"),
            "sent over `https` only",
        ),
        (
            &BUNDLE.replace("'rego'", "'python'"),
            "allow_unsigned = true",
            "write `rego` or `opa`",
        ),
        // [[signals]] and [behaviour]
        (SIGNALS, "", "missing `file`"),
        (
            SIGNALS,
            "file = 'a'\nurl = 'https://b.example'",
            "none are fetched",
        ),
        (SIGNALS, "url = 'https://b.example'", "missing `roots`"),
        (
            SIGNALS,
            "url = 'http://127.0.0.1:1'",
            "does not begin with `https://`",
        ),
        (
            SIGNALS,
            "url = 'http://b.example'\nallow_plain_loopback = true",
            "does not begin with",
        ),
        (
            SIGNALS,
            "file = 'a'\n[[signals]]\nnames = 'a'\nfile = 'b'",
            "another one has it",
        ),
        (
            SIGNALS,
            "file = 'a'\n[behaviour]\nwindow = '10m'\nusual = 9\nsignals = { a = 'calm' }",
            "does not take the name `a`",
        ),
        (
            BEHAVIOUR,
            "quiet = true",
            "unknown key `quiet` in [behaviour]",
        ),
        (
            &BEHAVIOUR.replace("'10m'", "'7s'"),
            "",
            "`window` takes a time from 8s",
        ),
        (&BEHAVIOUR.replace('9', "0"), "", "an integer from 1"),
        (
            &BEHAVIOUR.replace("'calm'", "'nice'"),
            "",
            "write `denials`, `rate`",
        ),
        // [[crl_files]]
        (CRLS, "files = []", "duplicate key `files`"),
        (CRLS, "allow_unknown_status = 'yes'", "takes true or false"),
        (CRLS, "depth = 'root'", "write `chain` or `leaf`"),
        (CRLS, "[crls]\n'c.example' = 'b.crl'", "another one has it"),
        (
            "[[crl_files]]\ntrust_domain = 'c.example'\n",
            "",
            "missing `files`",
        ),
        // [audit_chain], [audit_masks]
        ("[audit_chain]\n", "", "missing `file`"),
        (
            "[audit_chain]\nfile = 'a'\n",
            "key_file = 'short.key'",
            "at least 32 bytes",
        ),
        (
            "[audit_chain]\nfile = 'a'\n",
            "queue_bytes = 9",
            "an integer from 65536",
        ),
        ("[audit_masks]\n", "peers = 'hash'", "did you mean `peer`?"),
        (
            "[audit_masks]\n",
            "peer = 'show'",
            "write `keep`, `hash` or `drop`",
        ),
        (
            "[audit_masks]\n",
            "key_file = 'short.key'",
            "64 hexadecimal digits in lower case",
        ),
        (
            "[audit_masks]\n",
            "key_file = 'loud.key'",
            "64 hexadecimal digits in lower case",
        ),
        // [browser]
        ("[browser]\n", "script = 'unsafe-inline'", "is no source"),
        ("[browser]\n", "script = '*'", "is no source"),
        (
            "[browser]\n",
            "allow_origins = 'https://a.example/path'",
            "is no origin of a page: write `https://` and a host",
        ),
        // Where pages may take something from, but nothing that asks.
        ("[browser]\n", "allow_origins = 'self'", "is no origin of"),
        (
            "[browser]\n",
            "allow_origins = 'wss://a.example'",
            "is no origin of",
        ),
        ("[browser]\n", "scripts = 'self'", "did you mean `script`?"),
        ("[limits]\n", "remembered_tokens = -1", "an integer from 0"),
    ] {
        let said = place.refused("", &format!("{base}{more}\n")).await;
        assert!(said.contains(error), "{more}\nwanted: {error}\n{said}");
        assert!(said.contains("guard.toml:") && said.contains('^'), "{said}");
        // Nothing else is wrong with it.
        let of_a_key = ["unknown", "did you mean", "limits]"];
        let of_a_key = of_a_key.iter().any(|it| error.contains(it));
        assert!(of_a_key || !said.contains("unknown key"), "{more}\n{said}");
        assert!(!said.contains("zq"), "law 7: {said}");
    }
    let both = place
        .refused("audit = 'a'", "[audit_chain]\nfile = 'b'\n")
        .await;
    assert!(both.contains("records go to one place"), "{both}");
    let twice = format!("{ISSUER}jwks_file = 'a'\n{ISSUER}jwks_file = 'b'\n");
    let twice = place.refused("", &twice).await;
    assert!(twice.contains("another one has it"), "{twice}");
    let stand_in = format!("{ISSUER}discovery = true\n");
    let stand_in = place.refused("web_roots = 'empty.pem'", &stand_in).await;
    assert!(stand_in.contains("cannot stand in for them"), "{stand_in}");
}

#[test]
fn a_key_whose_feature_is_not_built_refuses_the_file_and_says_so() {
    for (text, feature, built) in [
        (
            "shutdown_on_signals = true",
            "signal",
            cfg!(feature = "signal"),
        ),
        ("web_roots = 'a'", "client", cfg!(feature = "client")),
        ("[[issuers]]", "jwt", cfg!(feature = "jwt")),
        (
            "[[issuers]]\njwks_url = 'a'",
            "oidc",
            cfg!(feature = "oidc"),
        ),
        ("[[federated]]", "federation", cfg!(feature = "federation")),
        ("[[opa_bundles]]", "bundle", cfg!(feature = "bundle")),
        (
            "[[opa_bundles]]\nengine = 'rego'",
            "rego",
            cfg!(feature = "rego"),
        ),
        (
            "[[opa_bundles]]\nengine = 'opa'",
            "opa",
            cfg!(feature = "opa"),
        ),
        ("[behaviour]", "trust", cfg!(feature = "trust")),
        ("[[signals]]", "trust", cfg!(feature = "trust")),
        ("[browser]", "browser", cfg!(feature = "browser")),
        (
            "[identity]\nworkload_api = 'env'",
            "workload-api",
            cfg!(feature = "workload-api"),
        ),
    ] {
        let error = GuardBuilder::from_toml(&format!("workload = 'w'\n{text}\n"), "guard.toml");
        let said = error.map_or_else(|error| error.to_string(), |_| "read".to_owned());
        let without = format!("built without the feature `{feature}`");
        assert_eq!(said.contains(&without), !built, "{text}: {said}");
    }
}

#[test]
fn the_page_has_every_key() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guard/file");
    let mut keys = 0;
    for entry in std::fs::read_dir(folder).expect("folder") {
        let text = std::fs::read_to_string(entry.expect("entry").path()).expect("source");
        for (call, rest) in [
            "need(",
            "text(",
            "parsed(",
            "boolean(",
            "each(",
            "duration(",
            "integer(",
            "table(",
            "tables(",
            "entries(",
            "path(",
            "within(",
        ]
        .iter()
        .flat_map(|call| text.split(call).skip(1).map(move |rest| (call, rest)))
        {
            let rest = rest
                .trim_start()
                .trim_start_matches("table, ")
                .trim_start_matches("inner, ");
            let Some(key) = rest.trim_start().strip_prefix('"') else {
                continue;
            };
            let key = key.split('"').next().expect("a key");
            let word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            if key.is_empty() || !key.bytes().all(word) {
                continue;
            }
            keys += 1;
            let there = PAGE.contains(&format!("`{key}`"))
                || PAGE.contains(&format!("[{key}]"))
                || PAGE.contains(&format!("{key} = "));
            assert!(there, "{call}{key}");
        }
    }
    assert!(keys > 100, "{keys}");
}
