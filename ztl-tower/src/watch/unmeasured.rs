//! Without the feature `metrics`: nothing is measured.

use ztl_core::audit::Sink;

use crate::guard::Guard;

pub(crate) fn counted(_: &str, sink: Box<dyn Sink>) -> Box<dyn Sink> {
    sink
}

pub(crate) const fn reloaded(_: &Guard, _: &'static str, _: &'static str) {}

pub(crate) const fn fetched(_: &Guard, _: &'static str, _: &str, _: &'static str) {}

pub(crate) const fn counts_reloads(_: &Guard, _: &'static str, _: &[&'static str]) {}

pub(crate) const fn counts_fetches(_: &Guard, _: &'static str, _: &str, _: &[&'static str]) {}

pub(crate) const fn counts_ends(_: &Guard) {}

pub(crate) struct Handshake;

impl Handshake {
    pub(crate) const fn begin(_: &Guard, _: &'static str) -> Self {
        Self
    }

    pub(crate) const fn is(&mut self, _: &'static str) {}

    pub(crate) const fn end(self) {}
}

pub(crate) const fn ended(_: &Guard, _: &'static str, _: &'static str) {}

pub(crate) const fn judgement_turned_away(_: &Guard) {}

pub(crate) const fn body_turned_away(_: &Guard) {}

pub(crate) const fn open(_: &Guard) {}
