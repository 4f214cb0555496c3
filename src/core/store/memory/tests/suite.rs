//! What every store has to do.

use super::local;
use crate::core::store::conformance::{self, conformance, conformance_of_lists};

conformance!(((), local(32 << 20)));
conformance!(((), local(32 << 20)); an_update_of_what_was_written_since_is_refused,);
conformance_of_lists!(((), local(32 << 20)));
