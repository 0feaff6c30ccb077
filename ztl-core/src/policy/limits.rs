//! The bounds of a policy document. Past any of them the document is refused; nothing is cut off in silence.

/// Longest document, in bytes. Refused before it is parsed.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024 * 1024;
/// Most separators and texts in a document: what a parser's memory grows with.
pub(crate) const MAX_PIECES: usize = 16_000_000;
/// Most tables and lists around a value, the document itself among them.
pub(crate) const MAX_DEPTH: usize = 32;
/// Most parts of a dotted key or a table header in TOML: `a.b.c` has three.
pub(crate) const MAX_KEY_PARTS: usize = 8;

/// Most errors that one load reports.
pub(crate) const MAX_DIAGNOSTICS: usize = 20;
/// Most characters of one error's message, and of its help.
pub(crate) const MAX_MESSAGE_CHARS: usize = 600;
/// Most columns of the document's own text that an error shows.
pub(crate) const MAX_SHOWN_COLUMNS: usize = 130;

/// Longest text value, in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 4096;
/// Longest name, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 64;
/// Longest key or value of a label, in bytes.
pub(crate) const MAX_LABEL_BYTES: usize = 128;
/// Longest name of a header field or a claim, in bytes.
pub(crate) const MAX_FIELD_BYTES: usize = 256;
/// Longest issuer or audience, in bytes.
pub(crate) const MAX_ISSUER_BYTES: usize = 2048;
/// Longest host name, in bytes (RFC 1035 §2.3.4, in its text form).
pub(crate) const MAX_HOST_BYTES: usize = 253;

/// How many steps the conditions about one target may take together in one decision (T34).
pub(crate) const MAX_STEPS: u32 = 100_000;
/// How many each of them may take at the least, however many there are.
pub(crate) const LEAST_STEPS: u32 = 100;
/// How many conditions that are told at once may be asked about one action where it arrives; more take long together (T34).
pub(crate) const MOST_AT_ONCE: u32 = 8;

/// Most `[[permit]]` and `[[forbid]]` together.
pub(crate) const MAX_RULES: usize = 200_000;
/// Most pairs of a caller and a target that all rules speak of: what a policy's memory grows with.
pub(crate) const MAX_MEETINGS: usize = 4_000_000;
/// Most callers that assertions are tried with: every workload without a zone, and everyone who is not declared, at every place.
pub(crate) const MAX_CALLERS: usize = 1_000_000;
/// Most of them over all assertions together.
pub(crate) const MAX_TRIED: usize = 1_000_000_000;
/// Most calls that transitive assertions are tried with, each of one caller from one place at one port, and pairs of those who could.
pub(crate) const MAX_HOPS_TRIED: usize = 8_000_000;
/// Most `[[never]]`.
pub(crate) const MAX_NEVERS: usize = 10_000;
/// Most `[[test]]`.
pub(crate) const MAX_TESTS: usize = 100_000;
/// Most `[workloads.NAME]`.
pub(crate) const MAX_WORKLOADS: usize = 65_000;
/// Most `[zones.NAME]`.
pub(crate) const MAX_ZONES: usize = 1_000;
/// Most `[external.NAME]`.
pub(crate) const MAX_EXTERNALS: usize = 1_000;
/// Most `[issuers.NAME]`.
pub(crate) const MAX_ISSUERS: usize = 256;
/// Most `[limits.NAME]`.
pub(crate) const MAX_LIMITS: usize = 1_000;
/// Most schemas that permits name.
pub(crate) const MAX_SCHEMAS: usize = 256;
/// Most `[authorizers.NAME]`.
pub(crate) const MAX_AUTHORIZERS: usize = 256;
/// Most `[trust.signals.NAME]`.
pub(crate) const MAX_SIGNALS: usize = 64;
/// Most bytes that `max_body` can allow.
pub(crate) const MAX_BODY_BYTES: u64 = 1 << 40;
/// Most actors that a token can name in each other.
pub(crate) const MAX_ACTORS: usize = 8;
/// Most tables in each other under `claims`.
pub(crate) const MAX_CLAIM_DEPTH: usize = 8;
/// Most entries of a list or table of values, such as `from`, `actions` or `labels`.
pub(crate) const MAX_ENTRIES: usize = 256;
/// Most networks of one zone, and most relays.
pub(crate) const MAX_NETWORKS: usize = 4_096;
