//! ztl
