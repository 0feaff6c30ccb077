//! What vouches for the policy's file beside its owner.

use std::path::PathBuf;

use super::GuardBuilder;

impl GuardBuilder {
    /// Takes the policy's file only where one of the keys in this file signed it: for `policy.toml` the signature stands in
    /// `policy.toml.sig`. Once this is called an unsigned document is refused (T6): at the start with an error, later with the last good
    /// one in force. So is one that names a file, such as a policy in Rego or a schema, which is not signed in the same way. Files of several
    /// keys, and several files, are for the time in which one key follows another; the keys are read once.
    ///
    /// The keys are PEM blocks `PUBLIC KEY`: see [`FileKeys`](ztl_mtls::FileKeys) for their kinds and how OpenSSL signs with them.
    ///
    /// ```
    /// let builder = ztl_tower::Guard::builder("ledger")
    ///     .policy_file("policy.toml")
    ///     .policy_key_file("policy.pub.pem")
    ///     .policy_state_file("/var/lib/ledger/policy.serial");
    /// ```
    pub fn policy_key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.vouching.keys.push(path.into());
        self
    }

    /// Keeps the highest `serial` that was in force in this file, so that an older document is refused after a restart as well, and so is
    /// one without a `serial` where there was one (T6). The service has to be able to write it, and nobody else.
    pub fn policy_state_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.vouching.state = Some(path.into());
        self
    }
}
