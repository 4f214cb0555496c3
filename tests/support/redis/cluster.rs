//! A cluster of three masters.

use super::{PATIENCE, Port, Redis, wait_value};

/// Three servers that share the slots.
pub struct RedisCluster {
    nodes: Vec<Redis>,
    _buses: Vec<Port>,
}

impl RedisCluster {
    /// Starts them and waits until they agree.
    #[track_caller]
    pub fn start() -> RedisCluster {
        let (mut nodes, mut buses) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let bus = Port::reserve();
            let number = bus.number().to_string();
            nodes.push(Redis::start_with(&[
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &number,
                "--cluster-node-timeout",
                "2000",
            ]));
            buses.push(bus);
        }
        let ranges = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        for (node, (first, last)) in nodes.iter().zip(ranges) {
            assert_eq!(node.cli(&["CLUSTER", "ADDSLOTSRANGE", first, last]), "OK");
        }
        for (node, bus) in nodes.iter().zip(&buses).skip(1) {
            let (port, bus) = (node.port().to_string(), bus.number().to_string());
            assert_eq!(nodes[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]), "OK");
        }
        let cluster = RedisCluster { nodes, _buses: buses };
        cluster.wait_until_complete();
        cluster
    }

    #[track_caller]
    fn wait_until_complete(&self) {
        wait_value(
            "a complete cluster",
            PATIENCE,
            || self.nodes.iter().map(|node| node.cli(&["CLUSTER", "INFO"])).collect::<Vec<_>>(),
            |states| {
                states.iter().all(|state| {
                    state.contains("cluster_state:ok") && state.contains("cluster_known_nodes:3")
                })
            },
        );
    }

    /// The servers.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Its address for `SessionStore`, by its first server alone.
    pub fn address(&self) -> String {
        format!("redis+cluster://127.0.0.1:{}", self.nodes[0].port())
    }

    /// Gives a slot with all that is in it to another server.
    #[track_caller]
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        let id = |at: usize| self.nodes[at].cli(&["CLUSTER", "MYID"]);
        let (slot, from_id, to_id) = (slot.to_string(), id(from), id(to));
        let (giver, taker) = (&self.nodes[from], &self.nodes[to]);
        assert_eq!(taker.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]), "OK");
        assert_eq!(giver.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]), "OK");
        let port = taker.port().to_string();
        for key in giver.cli(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]).lines() {
            assert_eq!(giver.cli(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]), "OK");
        }
        for node in [taker, giver] {
            assert_eq!(node.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]), "OK");
        }
    }
}
