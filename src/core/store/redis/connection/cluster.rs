//! The servers of a cluster, each with a share of the 16,384 slots that keys fall into.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use redis::Value;

use super::gate::Gate;
use super::trouble::Trouble;
use super::{Ask, Node, Place, Ways, cause_of, give_up, out_of_reach};
use crate::core::config::redis::Host;
use crate::core::store::StoreError;
use crate::core::store::redis::layout::bytes;

/// Most times a command is sent on to another server.
const HOPS: usize = 5;

/// A cluster.
pub struct Cluster {
    seeds: Vec<Host>,
    place: Place,
    ways: Ways,
    map: RwLock<Arc<Map>>,
    /// Held by who asks for the map; others go on with the one they have. Those that did not answer, the
    /// latest at the end.
    asking: Mutex<Vec<Place>>,
    /// Keeps requests away while no server tells the map.
    gate: Gate,
}

/// Who has which slots.
#[derive(Default)]
struct Map {
    /// The last slot of each run, with the first one and its server.
    runs: BTreeMap<u16, (u16, Arc<Node>)>,
}

impl Map {
    fn node(&self, slot: u16) -> Option<Arc<Node>> {
        let (_, (first, node)) = self.runs.range(slot..).next()?;
        (*first <= slot).then(|| Arc::clone(node))
    }

    fn at(&self, place: &Place) -> Option<Arc<Node>> {
        self.runs.values().find(|(_, node)| node.place == *place).map(|(_, node)| Arc::clone(node))
    }
}

impl Cluster {
    /// The cluster that `seeds` belong to; asks nobody yet.
    pub fn new(seeds: &[Host], ways: Ways) -> Cluster {
        Cluster {
            seeds: seeds.to_vec(),
            place: Place::Cluster,
            ways,
            map: RwLock::default(),
            asking: Mutex::default(),
            gate: Gate::default(),
        }
    }

    /// Asks the server that has `key`, wherever the cluster sends us.
    pub fn ask<A: Ask>(
        &self,
        doing: &'static str,
        key: &[u8],
        what: &A,
    ) -> Result<A::Answer, StoreError> {
        let slot = slot_of(key);
        let mut node = self.node(doing, slot)?;
        let mut hop = 0;
        loop {
            hop += 1;
            let shut = |shut| out_of_reach(doing, &node.place, &shut);
            let pass = node.gate.enter().map_err(shut)?;
            if pass.tries() {
                // Another one may have taken its place meanwhile.
                self.ask_for_map();
                let now = self.node(doing, slot)?;
                if !Arc::ptr_eq(&now, &node) && hop < HOPS {
                    drop(pass);
                    node = now;
                    continue;
                }
            }
            let trouble = match node.ask(what) {
                Ok(answer) => {
                    pass.worked();
                    return Ok(answer);
                }
                Err(trouble) => trouble,
            };
            let next = match &trouble {
                _ if hop == HOPS => None,
                Trouble::Moved(to) => {
                    self.ask_for_map();
                    self.at(to, &node)
                }
                Trouble::Ask(to) => match self.at(to, &node) {
                    Some(there) => {
                        pass.worked();
                        let answer = there.ask_ahead(what);
                        return answer.map_err(|trouble| trouble.told(doing, &there.place));
                    }
                    None => None,
                },
                Trouble::ReadOnly | Trouble::Broken(_) => {
                    self.ask_for_map();
                    self.node(doing, slot).ok().filter(|now| !Arc::ptr_eq(now, &node))
                }
                _ => None,
            };
            let told = give_up(doing, &node.place, pass, trouble);
            node = next.ok_or(told)?;
        }
    }

    /// Every master with its first slot.
    pub fn masters(&self, doing: &'static str) -> Result<Vec<(u16, Arc<Node>)>, StoreError> {
        self.node(doing, 0).or_else(|_| self.node(doing, u16::MAX >> 2))?;
        self.ask_for_map();
        let mut masters: Vec<(u16, Arc<Node>)> = Vec::new();
        for (first, node) in self.map().runs.values() {
            if masters.iter().all(|(_, known)| !Arc::ptr_eq(known, node)) {
                masters.push((*first, Arc::clone(node)));
            }
        }
        Ok(masters)
    }

    fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The server of a slot; the map is asked for if there is none yet.
    fn node(&self, doing: &'static str, slot: u16) -> Result<Arc<Node>, StoreError> {
        if let Some(node) = self.map().node(slot) {
            return Ok(node);
        }
        let shut = |shut| out_of_reach(doing, &self.place, &shut);
        let pass = self.gate.enter().map_err(shut)?;
        let why = match self.ask_for_map() {
            Some(Err(why)) => why,
            Some(Ok(())) | None => match self.map().node(slot) {
                Some(node) => {
                    pass.worked();
                    return Ok(node);
                }
                None => "it is not complete".to_owned(),
            },
        };
        let trouble = Trouble::Broken(io::Error::new(io::ErrorKind::NotConnected, why));
        Err(give_up(doing, &self.place, pass, trouble))
    }

    /// The server at an address that another one named; without a host it is on the same.
    fn at(&self, address: &str, from: &Node) -> Option<Arc<Node>> {
        let (name, port) = address.rsplit_once(':')?;
        let name = match (name, &from.place) {
            ("", Place::Host(host)) => Arc::clone(&host.name),
            _ => Arc::from(name),
        };
        let place = Place::Host(Host { name, port: port.parse().ok()? });
        let known = self.map().at(&place);
        Some(known.unwrap_or_else(|| Arc::new(Node::new(place, &self.ways))))
    }

    /// Asks who has which slots, for as long as there is time: the servers that are known to answer, then
    /// those of the address. Those that did not answer are asked last by who comes next: else the first
    /// ones, if they are dead, hid the others for ever. None if somebody else asks at the moment.
    fn ask_for_map(&self) -> Option<Result<(), String>> {
        let mut silent = self.asking.try_lock().ok()?;
        let old = self.map();
        let end = Instant::now() + self.ways.connect_timeout + self.ways.timeout;
        let mut why = String::from("none of its servers is known");
        let known = old.runs.values().map(|(_, node)| Arc::clone(node));
        let known = known.filter(|node| !node.gate.is_shut());
        let seeds = self.seeds.iter().cloned().map(Place::Host);
        let seeds = seeds.map(|place| Arc::new(Node::new(place, &self.ways)));
        let mut nodes: Vec<_> = known.chain(seeds).collect();
        silent.retain(|place| nodes.iter().any(|node| node.place == *place));
        nodes.sort_by_key(|node| silent.iter().position(|place| *place == node.place));
        let mut asked: Vec<Place> = Vec::new();
        for node in nodes {
            if asked.contains(&node.place) || Instant::now() > end {
                continue;
            }
            asked.push(node.place.clone());
            let mut question = redis::cmd("CLUSTER");
            question.arg("SLOTS");
            let answer = node.ask(&question);
            silent.retain(|place| *place != node.place);
            if answer.is_err() {
                silent.push(node.place.clone());
            }
            match answer {
                Ok(Value::Array(runs)) => {
                    let map = self.read(&runs, &node.place, &old);
                    if !map.runs.is_empty() {
                        *self.map.write().unwrap_or_else(PoisonError::into_inner) = map.into();
                        return Some(Ok(()));
                    }
                    why = format!("{} has no slots", node.place);
                }
                Ok(_) => why = format!("{} says nothing of slots", node.place),
                Err(Trouble::Late) => why = format!("{} did not answer in time", node.place),
                Err(Trouble::Broken(cause)) => why = format!("{}: {cause}", node.place),
                Err(trouble) => why = cause_of(&trouble.told("", &node.place)),
            }
        }
        Some(Err(why))
    }

    /// Reads runs of first slot, last slot, master, replicas. A server that was known keeps its
    /// connections.
    fn read(&self, runs: &[Value], from: &Place, old: &Map) -> Map {
        let mut map = Map::default();
        for run in runs {
            let Value::Array(parts) = run else { continue };
            let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = parts.as_slice()
            else {
                continue;
            };
            let (Ok(first), Ok(last)) = (u16::try_from(*first), u16::try_from(*last)) else {
                continue;
            };
            let [name, Value::Int(port), ..] = master.as_slice() else { continue };
            let Ok(port) = u16::try_from(*port) else { continue };
            let name = bytes(name).map(|name| String::from_utf8_lossy(name).into_owned());
            let name = match (name.filter(|name| !name.is_empty() && name != "?"), from) {
                (Some(name), _) => Arc::from(name),
                (None, Place::Host(host)) => Arc::clone(&host.name),
                (None, _) => continue,
            };
            let place = Place::Host(Host { name, port });
            let known = map.at(&place).or_else(|| old.at(&place));
            let node = known.unwrap_or_else(|| Arc::new(Node::new(place, &self.ways)));
            map.runs.insert(last, (first, node));
        }
        map
    }
}

/// The slot of a key: of what is between its first braces, or of all of it.
pub fn slot_of(key: &[u8]) -> u16 {
    let braced = key.iter().position(|&b| b == b'{').and_then(|open| {
        let inside = key.get(open + 1..)?;
        let close = inside.iter().position(|&b| b == b'}').filter(|&length| length > 0)?;
        inside.get(..close)
    });
    crc16(braced.unwrap_or(key)) % 16_384
}

/// CRC-16 with the polynomial 0x1021, as the specification of Redis' cluster has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fall_into_the_slots_that_the_specification_says() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot_of(b"123456789"), 12_739);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(slot_of(b"foo{}{bar}"), crc16(b"foo{}{bar}") % 16_384);
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
    }
}
