//! Ring 2 as well: the operating system and C libraries that are not httpd's, wrapped. Knows no session,
//! and nothing of httpd: the command line tool uses it too.

pub mod library;
pub mod lmdb;
pub mod mapping;
pub mod process;
pub mod shared;
pub mod thread;
pub mod user;
