//! The header fields of a request, as rules read them.

use core::fmt;

/// The header fields of a request, for rules that require some. Implemented by whoever holds them, so that none is copied.
pub trait Headers {
    /// Calls `each` with every value of the field `name` (lower case) in order; a field sent twice has two values. For a field that is
    /// the same by another spelling ([`is_same_field`]) it calls it with an empty value, which no rule names: what the service would
    /// read there, nobody knows.
    fn for_each(&self, name: &str, each: &mut dyn FnMut(&[u8]));
}

/// Whether a field that was sent is the one that a rule or a server names: without regard to case (RFC 9110 §5.1), and with `_` for `-`,
/// since whoever reads fields as CGI names them (RFC 3875 §4.1.18), as WSGI does, takes one for the other (rule 43, T19).
///
/// ```
/// use ztl_core::is_same_field;
///
/// assert!(is_same_field(b"X_Env", "x-env"));
/// assert!(!is_same_field(b"x-envy", "x-env"));
/// ```
#[must_use]
pub fn is_same_field(sent: &[u8], named: &str) -> bool {
    let plain = |byte: &u8| match byte {
        b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    sent.len() == named.len()
        && sent
            .iter()
            .map(plain)
            .eq(named.as_bytes().iter().map(plain))
}

/// Header fields as pairs of a lower-case name and a value.
#[derive(Clone, Copy, Default)]
pub struct HeaderPairs<'a>(pub &'a [(&'a str, &'a [u8])]);

impl Headers for HeaderPairs<'_> {
    fn for_each(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for (key, value) in self.0 {
            if *key == name {
                each(value);
            } else if is_same_field(key.as_bytes(), name) {
                each(&[]);
            }
        }
    }
}

impl fmt::Debug for HeaderPairs<'_> {
    /// Names only: a value may be a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}
