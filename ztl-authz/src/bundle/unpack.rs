//! From the bytes that came to files: a gzip stream (RFC 1952) of a tar archive, both within bounds, and in an archive nothing but
//! files and folders.

use std::collections::HashSet;
use std::io::Read as _;

use flate2::bufread::GzDecoder;
use tar::{Archive, EntryType};

use super::error::BundleError;
use super::limits::Limits;
use super::path;
use ztl_core::url::shown;

/// A file of the archive.
pub(super) struct File {
    pub(super) path: Box<str>,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn unpack(bytes: &[u8], limits: &Limits) -> Result<Vec<File>, BundleError> {
    let archive = inflate(bytes, limits)?;
    let broken = |_: std::io::Error| BundleError::Archive;
    let mut archive = Archive::new(archive.as_slice());
    let (mut files, mut paths, mut count) = (Vec::new(), HashSet::new(), 0_usize);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        count = count.saturating_add(1);
        if count > limits.files {
            let most = limits.files;
            return Err(BundleError::TooManyFiles { most });
        }
        let written = entry.path_bytes().into_owned();
        match entry.header().entry_type() {
            EntryType::Regular => {}
            // A folder holds nothing, and a global header (which `git archive` writes) is about nothing that is read.
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            _ => {
                let path = shown(&String::from_utf8_lossy(&written));
                return Err(BundleError::Kind { path });
            }
        }
        let path = path::normal(&written).map_err(|fault| BundleError::Path {
            path: shown(&String::from_utf8_lossy(&written)),
            fault,
        })?;
        if !paths.insert(path.clone()) {
            let path = shown(&path);
            return Err(BundleError::DuplicateFile { path });
        }
        let mut bytes = Vec::new();
        // Bounded: the whole archive is in memory.
        entry.read_to_end(&mut bytes).map_err(broken)?;
        if u64::try_from(bytes.len()) != Ok(entry.size()) {
            return Err(BundleError::Archive);
        }
        files.push(File { path, bytes });
    }
    Ok(files)
}

fn inflate(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, BundleError> {
    if bytes.len() > limits.compressed_bytes {
        return Err(BundleError::TooLong {
            bytes: bytes.len(),
            most: limits.compressed_bytes,
        });
    }
    let (most, by_ratio) = limits.unpacked(bytes.len());
    let mut archive = Vec::new();
    let stop = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    let mut bounded = GzDecoder::new(bytes).take(stop);
    bounded
        .read_to_end(&mut archive)
        .map_err(|_| BundleError::Gzip)?;
    if archive.len() > most {
        return Err(if by_ratio {
            BundleError::Ratio {
                ratio: limits.ratio,
            }
        } else {
            BundleError::UnpacksTooLong { most }
        });
    }
    // A second stream behind the first would be read by some readers and not by others.
    if !bounded.into_inner().into_inner().is_empty() {
        return Err(BundleError::Trailing);
    }
    Ok(archive)
}
