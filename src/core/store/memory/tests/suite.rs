//! What every store has to do.

use super::local;
use crate::core::store::conformance::{self, conformance, conformance_of_lists};

conformance!(((), local(32 << 20)));
conformance_of_lists!(((), local(32 << 20)));
