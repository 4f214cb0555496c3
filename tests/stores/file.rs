//! What is true of files alone.

use super::disk::full_disk_ends_by_itself;

#[test]
fn a_full_disk_is_an_outage_that_ends_by_itself() {
    full_disk_ends_by_itself("SessionStore file", |builder| builder.start());
}
