//! What Python passes: texts, headers, times. Read once, bounded, and refused where it is of another type.

use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use ztl_ffi_impl::{ZTL_FORMAT_JSON, ZTL_FORMAT_TOML, ztl_header};

use crate::handle::lent;

/// Most header fields that are read: one more than the C ABI takes, so that it says so.
const MOST_FIELDS: usize = 65_537;
/// Most certificates that are read: one more than are looked at.
const MOST_CERTIFICATES: usize = 17;

/// The bytes of a `str`, as UTF-8, or of a `bytes`.
pub(crate) fn octets<'a>(given: &'a Bound<'_, PyAny>, name: &str) -> PyResult<&'a [u8]> {
    if let Ok(bytes) = given.cast::<PyBytes>() {
        Ok(bytes.as_bytes())
    } else if let Ok(text) = given.cast::<PyString>() {
        Ok(text.to_str()?.as_bytes())
    } else {
        let kind = given.get_type().name()?.to_string();
        Err(PyTypeError::new_err(format!(
            "`{name}` has to be str or bytes, and is {kind}"
        )))
    }
}

/// The same, of what may be `None`.
pub(crate) fn maybe_octets<'a>(
    given: Option<&'a Bound<'_, PyAny>>,
    name: &str,
) -> PyResult<Option<&'a [u8]>> {
    given.map(|given| octets(given, name)).transpose()
}

/// The time that is said, or that of the host's clock.
pub(crate) fn time(now: Option<u64>) -> PyResult<u64> {
    if let Some(now) = now {
        return Ok(now);
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the host: the decision takes the time as an argument"
    )]
    let clock = SystemTime::now();
    clock
        .duration_since(UNIX_EPOCH)
        .map(|since| since.as_secs())
        .map_err(|_| PyValueError::new_err("the clock is before 1970"))
}

/// A format of policy documents.
pub(crate) fn format(name: &str) -> PyResult<u32> {
    match name {
        "toml" => Ok(ZTL_FORMAT_TOML),
        "json" => Ok(ZTL_FORMAT_JSON),
        _ => Err(PyValueError::new_err("`format` has to be 'toml' or 'json'")),
    }
}

/// Certificates, the leaf first.
pub(crate) struct Chain<'py>(Vec<Bound<'py, PyBytes>>);

impl<'py> Chain<'py> {
    pub(crate) fn read(given: &Bound<'py, PyAny>) -> PyResult<Self> {
        if given.is_instance_of::<PyBytes>() || given.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(
                "`chain` has to be a list of certificates in DER, not one",
            ));
        }
        let certificates = given
            .try_iter()?
            .take(MOST_CERTIFICATES)
            .map(|certificate| {
                certificate?.cast_into::<PyBytes>().map_err(|_| {
                    PyTypeError::new_err("a certificate of `chain` has to be bytes, in DER")
                })
            });
        Ok(Self(certificates.collect::<PyResult<_>>()?))
    }

    pub(crate) fn ders(&self) -> Vec<&[u8]> {
        self.0
            .iter()
            .map(|certificate| certificate.as_bytes())
            .collect()
    }
}

/// Header fields, in order.
pub(crate) struct Fields<'py>(Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>);

impl<'py> Fields<'py> {
    pub(crate) fn read(given: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        let Some(given) = given else {
            return Ok(Self(Vec::new()));
        };
        // A mapping knows a field once, and would hide the second.
        let is_plain = given.is_instance_of::<PyList>() || given.is_instance_of::<PyTuple>();
        if !is_plain && given.hasattr("keys")? {
            return Err(PyTypeError::new_err(
                "`headers` has to be pairs of name and value, not a mapping, which knows each name once",
            ));
        }
        let fields = given.try_iter()?.take(MOST_FIELDS);
        let fields = fields.map(|field| field?.extract::<(Bound<'py, PyAny>, Bound<'py, PyAny>)>());
        Ok(Self(fields.collect::<PyResult<_>>()?))
    }

    /// As C takes them, lent by this.
    pub(crate) fn lend(&self) -> PyResult<Vec<ztl_header>> {
        let field = |(name, value): &(Bound<'py, PyAny>, Bound<'py, PyAny>)| {
            Ok(ztl_header {
                name: lent(octets(name, "name of a header")?),
                value: lent(octets(value, "value of a header")?),
            })
        };
        self.0.iter().map(field).collect()
    }
}
