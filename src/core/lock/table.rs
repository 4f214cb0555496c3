//! The lease table.
