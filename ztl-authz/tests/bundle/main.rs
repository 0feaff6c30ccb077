//! Bundles, built in the tests.
#![cfg(test)]

mod archive;
mod contents;
mod signed;
mod support;
