//! What a record shows of a field: its value, a keyed hash of it, or nothing (T30).

use core::fmt;
use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// How a field is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mask {
    /// As it is. Of headers and claims only values that the policy itself names; others are hashed.
    #[default]
    Keep,
    /// As `{"hash":"…"}`: equal values have equal hashes under one key, and nothing else can be told from them.
    Hash,
    /// Not at all.
    Drop,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A field that may be masked. What proves a decision may not: id, time, verdict, stage, reason, rule, revision.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Field { $($(#[$doc])* $name,)* }

        impl Field {
            /// Every field there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name, as a configuration spells it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }

        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[expect(non_snake_case, reason = "a place a field, by the name of its variant")]
        struct Modes { $($name: Mask,)* }

        impl Modes {
            const fn get(&self, field: Field) -> Mask {
                match field { $(Field::$name => self.$name,)* }
            }

            const fn set(&mut self, field: Field, mask: Mask) {
                match field { $(Field::$name => self.$name = mask,)* }
            }
        }
    };
}

fields! {
    /// `peer`: the SPIFFE ID of the other end, and `forwarded`: one that it passes on
    Peer = "peer",
    /// `host`: the host outside the mesh that was called
    Host = "host",
    /// `asserted_by`: who asserted the peer
    AssertedBy = "asserted_by",
    /// `issuer`: who issued the caller's token, and who names its actors
    Issuer = "issuer",
    /// `subject`: whom it speaks of, and its actors
    Subject = "subject",
    /// `addr`: where the connection arrived from, also where denials are counted by prefix
    Addr = "addr",
    /// `zone`: the zone of that place
    Zone = "zone",
    /// `path`: the path of a request; its method stays
    Path = "path",
    /// `trust_score`: the score that a rule read
    TrustScore = "trust_score",
    /// `headers`: the header fields that a rule read
    Headers = "headers",
    /// `claims`: the claims that a rule read
    Claims = "claims",
}

/// A masking that cannot be: the configuration is refused (law 1).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MaskError {
    /// No such field.
    #[error(
        "a record has no field `{0}` that can be masked; there are: peer, host, asserted_by, issuer, subject, addr, zone, path, trust_score, headers, claims"
    )]
    UnknownField(String),
    /// No such mode.
    #[error("`{mode}` is no way to mask `{field}`; it can be keep, hash or drop")]
    UnknownMode {
        /// The field.
        field: String,
        /// What stood there.
        mode: String,
    },
    /// The same field twice.
    #[error("the field `{0}` is masked twice; say it once")]
    Twice(&'static str),
    /// The key has another length.
    #[error("a hash key has 32 bytes, this one has {0}")]
    KeyLength(usize),
    /// The key is not written as one is.
    #[error(
        "a hash key is 32 bytes, as 64 hexadecimal digits in lower case; `openssl rand -hex 32` makes one"
    )]
    KeyDigits,
}

/// The key of masked values: drawn once a process, or given so that several processes, or runs, hash alike. Not shown.
#[derive(Clone, Copy)]
pub struct HashKey([u8; 32]);

impl HashKey {
    /// A key of 32 secret bytes.
    ///
    /// # Errors
    /// [`MaskError::KeyLength`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MaskError> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| MaskError::KeyLength(bytes.len()))
    }

    /// From 64 hexadecimal digits in lower case, as they stand in a key file. White space around them does not count. The error says
    /// nothing of what stood there.
    ///
    /// ```
    /// use ztl_core::audit::HashKey;
    ///
    /// assert!(HashKey::from_hex(&"0f".repeat(32)).is_ok());
    /// assert!(HashKey::from_hex("0f").is_err());
    /// ```
    ///
    /// # Errors
    /// [`MaskError::KeyDigits`].
    pub fn from_hex(text: &str) -> Result<Self, MaskError> {
        let bytes = crate::hex::parse(text.trim_ascii().as_bytes());
        let bytes = bytes.ok_or(MaskError::KeyDigits)?;
        Self::from_bytes(&bytes).map_err(|_| MaskError::KeyDigits)
    }

    /// The key of this process. `None` where the operating system gives no random numbers.
    fn of_process() -> Option<Self> {
        static KEY: OnceLock<Option<HashKey>> = OnceLock::new();
        *KEY.get_or_init(|| {
            let mut key = [0; 32];
            getrandom::fill(&mut key).ok().map(|()| Self(key))
        })
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}

/// Which fields a sink shows, and how. The default keeps all that a record may hold.
///
/// ```
/// use ztl_core::audit::{Field, Mask, Masks};
///
/// let masks = Masks::from_names([("addr", "hash"), ("subject", "drop")])?;
/// assert_eq!(masks.get(Field::Addr), Mask::Hash);
/// assert_eq!(masks.get(Field::Peer), Mask::Keep);
/// assert!(Masks::from_names([("adr", "hash")]).is_err());
/// # Ok::<(), ztl_core::audit::MaskError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Masks {
    modes: Modes,
    key: Option<HashKey>,
}

impl Masks {
    /// All is kept.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// From a configuration: pairs of a field's name and `keep`, `hash` or `drop`.
    ///
    /// # Errors
    /// [`MaskError`] for a name that is none, so that a slip of the pen shows nothing.
    pub fn from_names<'a>(
        names: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, MaskError> {
        let mut masks = Self::default();
        let mut named = Vec::new();
        for (name, mode) in names {
            let field = Field::ALL
                .iter()
                .copied()
                .find(|field| field.as_str() == name)
                .ok_or_else(|| MaskError::UnknownField(name.to_owned()))?;
            let mask = match mode {
                "keep" => Mask::Keep,
                "hash" => Mask::Hash,
                "drop" => Mask::Drop,
                _ => {
                    return Err(MaskError::UnknownMode {
                        field: name.to_owned(),
                        mode: mode.to_owned(),
                    });
                }
            };
            if named.contains(&field) {
                return Err(MaskError::Twice(field.as_str()));
            }
            named.push(field);
            masks = masks.with(field, mask);
        }
        Ok(masks)
    }

    /// Shows a field so.
    #[must_use]
    pub const fn with(mut self, field: Field, mask: Mask) -> Self {
        self.modes.set(field, mask);
        self
    }

    /// Hashes with this key. Without one it is drawn once a process.
    #[must_use]
    pub const fn with_key(mut self, key: HashKey) -> Self {
        self.key = Some(key);
        self
    }

    /// How a field is shown.
    #[must_use]
    pub const fn get(&self, field: Field) -> Mask {
        self.modes.get(field)
    }

    /// Writes `{"hash":"…"}` of a value: the first half of an HMAC-SHA-256 over the field's name, a byte 0xff and the value.
    pub(super) fn hashed(&self, out: &mut String, field: Field, value: &[u8]) {
        let key = self.key.or_else(HashKey::of_process);
        let Some(Ok(mut mac)) = key.map(|key| Hmac::<Sha256>::new_from_slice(&key.0)) else {
            // Without a key a hash would show what it should hide.
            out.push_str("{\"hash\":null}");
            return;
        };
        mac.update(field.as_str().as_bytes());
        mac.update(&[0xff]);
        mac.update(value);
        let mac = mac.finalize().into_bytes();
        out.push_str("{\"hash\":\"");
        crate::hex::push(mac.get(..16).unwrap_or_default(), out);
        out.push_str("\"}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t30_a_masking_that_names_no_field_is_refused() {
        let error = |pairs: &[(&'static str, &'static str)]| {
            Masks::from_names(pairs.iter().copied())
                .expect_err("refused")
                .to_string()
        };
        for field in Field::ALL {
            assert!(error(&[("adress", "hash")]).contains(field.as_str()));
        }
        assert!(error(&[("revision", "drop")]).contains("`revision`"));
        assert!(error(&[("addr", "hide")]).contains("`hide`"));
        assert!(error(&[("addr", "hash"), ("addr", "keep")]).contains("twice"));
        assert!(HashKey::from_bytes(b"short").is_err());
    }

    #[test]
    fn t30_a_key_in_digits_is_the_key_in_bytes_and_no_other_text_is_one() {
        let digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let bytes: Vec<u8> = (0..32).collect();
        let hash = |key: HashKey| {
            let mut out = String::new();
            Masks::none()
                .with_key(key)
                .hashed(&mut out, Field::Addr, b"x");
            out
        };
        let of_bytes = HashKey::from_bytes(&bytes).expect("key");
        for text in [digits.to_owned(), format!(" {digits}\n")] {
            let of_hex = HashKey::from_hex(&text).expect("key");
            assert_eq!(hash(of_hex), hash(of_bytes), "{text}");
        }
        for text in [
            String::new(),
            digits.replace("1f", ""),
            digits.replace("1f", "1"),
            format!("{digits}00"),
            digits.to_uppercase(),
            digits.replace("0f1", "0 1"),
            digits.replace("1f", "1g"),
            digits.replacen("00", "+1", 1),
            digits.replace("00", "é"),
        ] {
            let error = HashKey::from_hex(&text).expect_err(&text);
            assert_eq!(error, MaskError::KeyDigits, "{text}");
            assert!(text.is_empty() || !error.to_string().contains(&text));
        }
    }

    #[test]
    fn t30_equal_values_hash_alike_under_one_key_and_field_only() {
        let hash = |key: &[u8; 32], field, value: &[u8]| {
            let mut out = String::new();
            let key = HashKey::from_bytes(key).expect("key");
            Masks::none().with_key(key).hashed(&mut out, field, value);
            out
        };
        let one = hash(&[1; 32], Field::Addr, b"10.0.0.1");
        assert_eq!(one, hash(&[1; 32], Field::Addr, b"10.0.0.1"));
        assert_ne!(one, hash(&[2; 32], Field::Addr, b"10.0.0.1"));
        assert_ne!(one, hash(&[1; 32], Field::Path, b"10.0.0.1"));
        assert_ne!(one, hash(&[1; 32], Field::Addr, b"10.0.0.2"));
        let (mut this, mut again) = (String::new(), String::new());
        Masks::none().hashed(&mut this, Field::Addr, b"x");
        Masks::none().hashed(&mut again, Field::Addr, b"x");
        assert_eq!(this, again);
    }
}
