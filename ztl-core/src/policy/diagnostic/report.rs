//! Errors gathered over the passes of a load, so that an author sees more than the first.

use core::ops::Range;
use std::sync::Arc;

use super::excerpt::{Excerpt, push_escaped};
use super::{Diagnostic, LoadError};
use crate::authorizer::ConditionError;
use crate::policy::document::{Span, Spanned};
use crate::policy::limits::{MAX_DIAGNOSTICS, MAX_MESSAGE_CHARS};
use crate::policy::tree::SyntaxError;

/// The errors found so far. Past [`MAX_DIAGNOSTICS`] it only remembers that there may be more.
#[derive(Debug, Default)]
pub(crate) struct Report {
    found: Vec<Found>,
    omitted: bool,
}

#[derive(Debug)]
struct Found {
    span: Option<Span>,
    message: String,
    help: Option<String>,
    /// A text that the span holds, and which of its bytes are meant.
    within: Option<(Arc<str>, Range<usize>)>,
}

impl Report {
    /// Something at this place is wrong.
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.push(Some(span), message.into(), None);
    }

    /// Something at this place is wrong, and this mends it.
    pub(crate) fn error_with_help(
        &mut self,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Some(span), message.into(), Some(help.into()));
    }

    /// A condition is wrong. Where the document writes its text as it is, the error stands at the place within the text, else
    /// at the whole of it.
    pub(crate) fn error_in_text(&mut self, text: &Spanned<Arc<str>>, error: ConditionError) {
        self.push(Some(text.span), error.message, error.help);
        let within = error.at.map(|at| (Arc::clone(&text.value), at));
        if let Some(found) = self.found.last_mut().filter(|_| !self.omitted) {
            found.within = within;
        }
    }

    /// Nothing is wrong so far.
    pub(crate) const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// No more errors are kept, so that a pass over many things may stop before the next of them.
    pub(crate) const fn enough(&mut self) -> bool {
        let full = self.found.len() >= MAX_DIAGNOSTICS;
        self.omitted |= full;
        full
    }

    /// The errors as they are shown to the author of `text`; `source` is its name, mostly a file's.
    pub(crate) fn into_error(mut self, source: Option<&str>, text: &str) -> LoadError {
        if self.found.is_empty() {
            self.push(None, "the document was refused".to_owned(), None);
        }
        let omitted = self.omitted;
        self.found.sort_by_key(|found| found.span);
        LoadError {
            source: source.map(shown),
            diagnostics: self
                .found
                .into_iter()
                .map(|found| found.place(text))
                .collect(),
            omitted,
        }
    }

    fn push(&mut self, span: Option<Span>, message: String, help: Option<String>) {
        if !self.enough() {
            self.found.push(Found {
                span,
                message,
                help,
                within: None,
            });
        }
    }
}

impl From<SyntaxError> for Report {
    fn from(error: SyntaxError) -> Self {
        let mut report = Self::default();
        report.push(error.span, error.message, error.help.map(str::to_owned));
        report
    }
}

impl Found {
    fn place(mut self, text: &str) -> Diagnostic {
        let narrowed = self.span.and_then(|span| self.narrowed(span, text));
        if let (None, Some((inner, at))) = (narrowed, &self.within) {
            // The document writes it in another way: it is told where in the text itself.
            let at = Excerpt::new(inner, span_of(at));
            let place = format!(
                "{} (at {}:{} of its text)",
                self.message, at.line, at.column
            );
            self.message = place;
        }
        let span = narrowed.or(self.span);
        let excerpt = span.map(|span| Excerpt::new(text, span));
        let (line, column) = excerpt
            .as_ref()
            .map_or((1, 1), |excerpt| (excerpt.line, excerpt.column));
        let (source_line, caret_at, caret_width) = excerpt
            .map_or_else(Default::default, |excerpt| {
                (excerpt.shown, excerpt.caret_at, excerpt.caret_width)
            });
        Diagnostic {
            span,
            line,
            column,
            message: shown(&self.message),
            help: self.help.as_deref().map(shown),
            source_line,
            caret_at,
            caret_width,
        }
    }

    /// The part of the span that is meant, where the text stands in it as it is.
    fn narrowed(&self, span: Span, text: &str) -> Option<Span> {
        let (inner, at) = self.within.as_ref()?;
        let start = span.start + text.get(span.start..span.end)?.find(&**inner)?;
        inner.get(at.clone())?;
        Some(Span {
            start: start.checked_add(at.start)?,
            end: start.checked_add(at.end)?,
        })
    }
}

const fn span_of(range: &Range<usize>) -> Span {
    Span {
        start: range.start,
        end: range.end,
    }
}

/// What is wrong with a text that stands by itself.
pub(crate) fn diagnostic(error: &ConditionError, text: &str) -> Diagnostic {
    let found = Found {
        span: error.at.as_ref().map(span_of),
        message: error.message.clone(),
        help: error.help.clone(),
        within: None,
    };
    found.place(text)
}

pub(crate) fn shown(message: &str) -> String {
    let mut shown = String::new();
    for (at, character) in message.chars().enumerate() {
        if at == MAX_MESSAGE_CHARS {
            shown.push('…');
            break;
        }
        push_escaped(character, &mut shown);
    }
    shown
}
