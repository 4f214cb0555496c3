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

mod processes {
    use super::super::support::redis::Redis;
    use crate::core::store::Store;
    use crate::core::store::conformance::conformance_of_processes;

    fn setup() -> (Redis, String) {
        let redis = Redis::start();
        let address = redis.address();
        (redis, address)
    }

    fn open(address: &str) -> Box<dyn Store> {
        Box::new(super::super::store(address))
    }

    conformance_of_processes!(setup(), open);
}
