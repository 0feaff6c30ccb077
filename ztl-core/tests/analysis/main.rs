//! Questions about a whole document, checked against trying everything.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod brute;
mod diff;
mod outside;
mod outside_log;
mod parties;
mod reach;
mod universe;
mod witness;
