//! Builtins that a policy is not given, and what to do without them.

use super::ModuleError;
use super::readers::bounded;

/// Why this builtin is not given.
pub(super) fn refused(name: &str) -> ModuleError {
    ModuleError::Builtin {
        name: bounded(name),
        mend: mend(name).to_owned(),
    }
}

fn mend(name: &str) -> &'static str {
    match name {
        "opa.runtime" => {
            "it hands the environment of the process to a policy; put what the policy needs into its data document"
        }
        "http.send" | "net.lookup_ip_addr" => {
            "a policy asks nobody while it decides; put what it needs into its data document, or into signals or the context \
             that the service gives"
        }
        "rand.intn" | "uuid.rfc4122" => {
            "the same question has the same answer, so there is no chance in a decision; take it out of the policy"
        }
        "crypto.md5" | "crypto.sha1" | "crypto.hmac.md5" | "crypto.hmac.sha1" => {
            "MD5 and SHA-1 can be forged; use `crypto.sha256` or `crypto.hmac.sha256`"
        }
        _ if name.starts_with("io.jwt.") => {
            "tokens are verified before a policy is asked; read `input.claims`, and name the token in the rule's `token`"
        }
        _ if name.starts_with("crypto.x509.") || name == "crypto.parse_private_keys" => {
            "certificates are verified before a policy is asked; read `input.attributes.source`"
        }
        "print" | "internal.print" => {
            "nothing is printed while a decision is made; build without `--debug`, or take it out"
        }
        _ => {
            "it is not given to policies here; docs/opa.md lists those that are: write the rule with them, or compute it into \
             the data document"
        }
    }
}
