//! Standard output: buffered, with colour only for a person at a terminal.

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

/// Standard output.
pub(crate) struct Output {
    to: BufWriter<StdoutLock<'static>>,
    colour: bool,
}

/// The colours that words are marked with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Colour {
    Red,
    Green,
    Yellow,
    Blue,
}

impl Output {
    pub(crate) fn stdout() -> Self {
        let to = io::stdout().lock();
        let colour = to.is_terminal() && !no_colour();
        Self {
            to: BufWriter::with_capacity(1 << 16, to),
            colour,
        }
    }

    /// The word, marked where colour is shown.
    pub(crate) fn mark(&self, word: &str, colour: Colour) -> String {
        let code = match colour {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Blue => 34,
        };
        if self.colour {
            format!("\u{1b}[1;{code}m{word}\u{1b}[0m")
        } else {
            word.to_owned()
        }
    }

    /// Writes out what is still held.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[expect(clippy::disallowed_methods, reason = "colour is no part of a decision")]
fn no_colour() -> bool {
    // https://no-color.org: set and not empty.
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
