//! What an export writes: closed before anything else, written last.

use crate::boundary::Fault;
use crate::decision::ztl_decision;

/// A place that the caller gave for an answer: NULL, or good for writing.
pub(crate) struct Out<T> {
    at: *mut T,
    name: &'static str,
}

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<T> {}

/// What may be written to an [`Out`].
pub(crate) trait Output: Sized {
    /// The value that says no.
    fn closed() -> Self;

    /// Writes the value that says no. Fields that the caller sets in advance keep their value.
    ///
    /// # Safety
    /// `at` may be written; it need not be aligned.
    #[expect(unsafe_code, reason = "writes where C says")]
    unsafe fn close(at: *mut Self) {
        // SAFETY: as promised to this function.
        unsafe { at.write_unaligned(Self::closed()) }
    }

    /// What a denial writes, where it writes anything but [`closed`](Self::closed).
    fn denied(_decision: &ztl_decision) -> Option<Self> {
        None
    }

    /// Checks what the caller set in advance.
    ///
    /// # Safety
    /// `at` may be read and is aligned.
    #[expect(unsafe_code, reason = "reads where C says")]
    unsafe fn check(_at: *mut Self, _name: &str) -> Result<(), Fault> {
        Ok(())
    }
}

impl<H> Output for *mut H {
    fn closed() -> Self {
        core::ptr::null_mut()
    }
}

impl<H> Output for *const H {
    fn closed() -> Self {
        core::ptr::null()
    }
}

impl Output for [u8; 16] {
    fn closed() -> Self {
        [0; 16]
    }
}

impl Output for usize {
    fn closed() -> Self {
        0
    }
}

impl Output for u32 {
    fn closed() -> Self {
        0
    }
}

impl Output for u64 {
    fn closed() -> Self {
        0
    }
}

#[expect(unsafe_code, reason = "writes where C says")]
impl<T: Output> Out<T> {
    /// # Safety
    /// `at` is NULL or may be read and written until the export returns.
    pub(crate) unsafe fn new(at: *mut T, name: &'static str) -> Self {
        Self { at, name }
    }

    pub(crate) fn is_given(self) -> bool {
        !self.at.is_null()
    }

    pub(crate) fn close(self) {
        if self.is_given() {
            // SAFETY: not NULL, so it may be written.
            unsafe { T::close(self.at) }
        }
    }

    pub(crate) fn check(self) -> Result<(), Fault> {
        if !self.is_given() {
            return Err(Fault::arg(format!(
                "`{}` is NULL; it has to take the answer",
                self.name
            )));
        }
        if !self.at.is_aligned() {
            return Err(Fault::arg(format!("`{}` is not aligned", self.name)));
        }
        // SAFETY: not NULL and aligned, so it may be read.
        unsafe { T::check(self.at, self.name) }
    }

    pub(crate) fn write(self, value: T) {
        if self.is_given() {
            // SAFETY: not NULL, so it may be written.
            unsafe { self.at.write_unaligned(value) }
        }
    }
}

/// All outputs of an export.
pub(crate) trait Outputs: Copy {
    /// What a success writes.
    type Values;

    /// Makes every output say no.
    fn close(self);

    /// Whether every output can take its answer.
    fn check(self) -> Result<(), Fault>;

    /// Writes the answer.
    fn write(self, values: Self::Values);

    /// Writes the decision of a denial where there is a place for it; every other output stays closed.
    fn write_denial(self, decision: &ztl_decision);
}

impl Outputs for () {
    type Values = ();

    fn close(self) {}

    fn check(self) -> Result<(), Fault> {
        Ok(())
    }

    fn write(self, (): ()) {}

    fn write_denial(self, _: &ztl_decision) {}
}

impl<A: Output> Outputs for (Out<A>,) {
    type Values = A;

    fn close(self) {
        self.0.close();
    }

    fn check(self) -> Result<(), Fault> {
        self.0.check()
    }

    fn write(self, value: A) {
        self.0.write(value);
    }

    fn write_denial(self, decision: &ztl_decision) {
        if let Some(denied) = A::denied(decision) {
            self.0.write(denied);
        }
    }
}

impl<A: Output, B: Output> Outputs for (Out<A>, Out<B>) {
    type Values = (A, B);

    fn close(self) {
        self.0.close();
        self.1.close();
    }

    fn check(self) -> Result<(), Fault> {
        self.0.check()?;
        self.1.check()
    }

    fn write(self, (a, b): (A, B)) {
        self.0.write(a);
        self.1.write(b);
    }

    fn write_denial(self, decision: &ztl_decision) {
        (self.0,).write_denial(decision);
        (self.1,).write_denial(decision);
    }
}
