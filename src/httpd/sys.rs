//! What bindgen made of httpd's headers and of the shim's.
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals, missing_docs, unused)]
#![allow(unsafe_op_in_unsafe_fn, clippy::all)]
// bindgen writes no SAFETY comments; what it writes is accessors of bit fields.
#![allow(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block)]
#![allow(clippy::missing_safety_doc)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
