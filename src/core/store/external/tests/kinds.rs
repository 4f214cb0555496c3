//! Whatever a backend can do by itself, the store does the same.

use super::backend::{ALL, PLAIN, store};
use crate::core::store::external::Facts;

mod that_compares {
    use super::*;
    use crate::core::store::conformance::{self, conformance, conformance_of_lists};

    conformance!(store(ALL));
    conformance!(store(ALL); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(store(ALL));
}

mod that_compares_and_keeps_no_times {
    use super::*;
    use crate::core::store::conformance::{self, conformance, conformance_of_lists};

    const KIND: Facts = Facts { touches: false, finds_users: false, ..ALL };
    conformance!(store(KIND));
    conformance!(store(KIND); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(store(KIND));
}

mod that_keeps_bytes_alone {
    use super::*;
    use crate::core::store::conformance::{self, conformance, conformance_of_lists};

    conformance!(store(PLAIN));
    conformance!(store(PLAIN); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(store(PLAIN));
}

mod that_keeps_bytes_and_times {
    use super::*;
    use crate::core::store::conformance::{self, conformance, conformance_of_lists};

    const KIND: Facts = Facts { touches: true, ..PLAIN };
    conformance!(store(KIND));
    conformance!(store(KIND); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(store(KIND));
}

mod that_is_serial {
    use super::*;
    use crate::core::store::conformance::{self, conformance, conformance_of_lists};

    const KIND: Facts = Facts { serial: true, ..PLAIN };
    conformance!(store(KIND));
    conformance!(store(KIND); an_update_of_what_was_written_since_is_refused,);
    conformance_of_lists!(store(KIND));
}
