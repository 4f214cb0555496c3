//! The suite of all stores, on one server and on a cluster.

mod one {
    use super::super::fresh;
    use crate::core::store::conformance::{self, conformance, conformance_of_lists};

    conformance!(fresh());
    conformance_of_lists!(fresh());
}

mod cluster {
    use super::super::cluster;
    use crate::core::store::conformance::{self, conformance, conformance_of_lists};

    conformance!(cluster());
    conformance_of_lists!(cluster());
}
