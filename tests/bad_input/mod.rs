//! What visitors, other programs and administrators get wrong: answered clearly, and nothing is lost.

mod directories;
mod files;
mod ids;
mod limits;
mod logs;
mod records;

use std::hash::{DefaultHasher, Hasher};

use crate::support::{Server, Store, stored};

/// Everything that the store holds. Of files also their names, kinds, modes and times: nothing is written,
/// not even the same again.
fn listing(server: &Server) -> Vec<String> {
    match Store::current() {
        Store::File => files::listing(server),
        _ => {
            let mut hash = DefaultHasher::new();
            hash.write(&stored::state(server));
            vec![format!("all that is stored: {:x}", hash.finish())]
        }
    }
}
