//! What bindgen made of httpd's headers and of the shim's.
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals, missing_docs, unused)]
#![allow(unsafe_op_in_unsafe_fn, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
