//! The process that an engine was made in.
//!
//! A fork copies an engine as it stands: with locks that threads held which are not in the child, so that whoever waits for one waits for
//! ever, and with the key and the count of its decision ids, so that both would give out the same. Nobody tells a library of a fork unless
//! it asks to be called at each, of the whole program; so the kernel is asked to leave a page behind: in the child it is zero.

#[cfg(target_os = "linux")]
use core::ptr::{self, NonNull};
#[cfg(target_os = "linux")]
use core::sync::atomic::{AtomicU32, Ordering};

/// Where something is at home: what a fork takes along is not.
#[derive(Debug)]
pub(crate) struct Home {
    #[cfg(target_os = "linux")]
    page: Option<Page>,
    /// Asked for where there is no such page, which is a system call.
    process: u32,
}

impl Home {
    /// This process.
    pub(crate) fn here() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            page: Page::new(),
            process: std::process::id(),
        }
    }

    /// Whether this is another process.
    #[inline]
    pub(crate) fn is_elsewhere(&self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(page) = &self.page {
            return page.is_wiped();
        }
        self.process != std::process::id()
    }
}

/// Memory of its own that the kernel gives to no child (`MADV_WIPEONFORK`, madvise(2), Linux 4.14), nor to a child's child.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Page(NonNull<AtomicU32>);

// SAFETY: it is an atomic number that lives as long as this.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the pointer is to memory of its own")]
unsafe impl Send for Page {}
// SAFETY: as above.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the pointer is to memory of its own")]
unsafe impl Sync for Page {}

#[cfg(target_os = "linux")]
impl Page {
    /// The kernel takes it for a whole page.
    const LEN: usize = size_of::<AtomicU32>();

    /// None where the kernel has none, or does not know how to wipe it.
    #[expect(unsafe_code, reason = "asks the kernel for memory")]
    fn new() -> Option<Self> {
        let (access, kind) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: memory of its own, wherever there is room.
        let at = unsafe { libc::mmap(ptr::null_mut(), Self::LEN, access, kind, -1, 0) };
        if at == libc::MAP_FAILED {
            return None;
        }
        let page = Self(NonNull::new(at.cast())?);
        // SAFETY: mapped, and nobody else's.
        if unsafe { libc::madvise(at, Self::LEN, libc::MADV_WIPEONFORK) } != 0 {
            return None;
        }
        page.mark().store(1, Ordering::Relaxed);
        Some(page)
    }

    #[inline]
    #[expect(unsafe_code, reason = "follows its pointer")]
    const fn mark(&self) -> &AtomicU32 {
        // SAFETY: mapped until this is dropped, and aligned as a page is.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn is_wiped(&self) -> bool {
        self.mark().load(Ordering::Relaxed) == 0
    }
}

#[cfg(target_os = "linux")]
impl Drop for Page {
    #[expect(unsafe_code, reason = "gives memory back")]
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nobody follows its pointer after this. Where it fails the page stays, which harms nobody.
        let _ = unsafe { libc::munmap(self.0.as_ptr().cast(), Self::LEN) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_here_with_a_page_and_without() {
        let home = Home::here();
        assert!(!home.is_elsewhere());
        #[cfg(target_os = "linux")]
        assert!(home.page.is_some(), "the kernel has no page to wipe");
        let without = |process| Home {
            #[cfg(target_os = "linux")]
            page: None,
            process,
        };
        assert!(!without(std::process::id()).is_elsewhere());
        assert!(without(std::process::id() ^ 1).is_elsewhere());
    }
}
