//! The session as notes of a request, written by handlers in Lua and in C.

mod lua;
mod meaning;
mod place;
