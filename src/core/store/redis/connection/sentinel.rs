//! The server that sentinels call the master. They are asked again once it fails or is a master no more.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use redis::Value;

use super::gate::Gate;
use super::trouble::Trouble;
use super::{Ask, Node, Place, Ways, cause_of, give_up, out_of_reach};
use crate::core::config::redis::Host;
use crate::core::store::StoreError;
use crate::core::store::redis::layout::bytes;

/// A master by its name.
pub struct Sentinels {
    name: Arc<str>,
    place: Place,
    /// Those that answered last in front, those that failed last at the end.
    hosts: Mutex<Vec<Host>>,
    ways: Ways,
    to_sentinels: Ways,
    gate: Gate,
    master: Mutex<Option<Arc<Node>>>,
}

impl Sentinels {
    /// The master `name`; asks nobody yet.
    pub fn new(hosts: &[Host], name: &Arc<str>, ways: Ways, to_sentinels: Ways) -> Sentinels {
        Sentinels {
            name: Arc::clone(name),
            place: Place::Master(Arc::clone(name)),
            hosts: Mutex::new(hosts.to_vec()),
            ways,
            to_sentinels,
            gate: Gate::default(),
            master: Mutex::default(),
        }
    }

    /// Asks the master. If it turns out to be none, or cannot be reached, the one that the sentinels
    /// name then is asked instead.
    pub fn ask<A: Ask>(&self, doing: &'static str, what: &A) -> Result<A::Answer, StoreError> {
        let shut = |shut| out_of_reach(doing, &self.place, &shut);
        let pass = self.gate.enter().map_err(shut)?;
        let known = if pass.tries() { None } else { self.known().clone() };
        let mut first = known.is_some();
        let mut node = match known.map_or_else(|| self.find(), Ok) {
            Ok(node) => node,
            Err(trouble) => return Err(give_up(doing, &self.place, pass, trouble)),
        };
        loop {
            match node.ask(what) {
                Ok(answer) => {
                    pass.worked();
                    return Ok(answer);
                }
                // Nothing was done, or what was may be done twice.
                Err(Trouble::ReadOnly | Trouble::Broken(_)) if first => first = false,
                Err(trouble) => {
                    if trouble.is_outage() {
                        self.known().take();
                    }
                    return Err(give_up(doing, &node.place, pass, trouble));
                }
            }
            node = match self.find() {
                Ok(node) => node,
                Err(trouble) => return Err(give_up(doing, &self.place, pass, trouble)),
            };
        }
    }

    /// The master.
    pub fn master(&self, doing: &'static str) -> Result<Arc<Node>, StoreError> {
        let pass = self.gate.enter().map_err(|shut| out_of_reach(doing, &self.place, &shut))?;
        let known = self.known().clone();
        match known.map_or_else(|| self.find(), Ok) {
            Ok(node) => Ok(node),
            Err(trouble) => Err(give_up(doing, &self.place, pass, trouble)),
        }
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<Node>>> {
        self.master.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hosts(&self) -> MutexGuard<'_, Vec<Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the sentinels, one after the other, for as long as there is time. Those that do not answer are
    /// asked last by who comes next: else the first ones, if they are dead, hid the others for ever.
    fn find(&self) -> Result<Arc<Node>, Trouble> {
        let mut why = String::from("there is none");
        let hosts = self.hosts().clone();
        let end = Instant::now() + self.ways.connect_timeout + self.ways.timeout;
        for host in hosts {
            let place = Place::Host(host.clone());
            let answer = self.asked(&place);
            let mut hosts = self.hosts();
            if let Some(at) = hosts.iter().position(|known| *known == host) {
                let host = hosts.remove(at);
                let at = if matches!(answer, Ok(Some(_))) { 0 } else { hosts.len() };
                hosts.insert(at, host);
            }
            drop(hosts);
            match answer {
                Ok(Some(master)) => {
                    return Ok(self.use_master(master));
                }
                Ok(None) => why = format!("{place} does not know it"),
                Err(Trouble::Late) => why = format!("{place} did not answer in time"),
                Err(Trouble::Broken(cause)) => why = format!("{place}: {cause}"),
                Err(trouble) => why = cause_of(&trouble.told("", &place)),
            }
            if Instant::now() > end {
                break;
            }
        }
        let text = format!("no sentinel says where it is; the last one asked: {why}");
        Err(Trouble::Broken(io::Error::new(io::ErrorKind::NotConnected, text)))
    }

    fn asked(&self, sentinel: &Place) -> Result<Option<Host>, Trouble> {
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&*self.name);
        let answer = Node::new(sentinel.clone(), &self.to_sentinels).ask(&question)?;
        let Value::Array(parts) = answer else { return Ok(None) };
        let text = |part: &Value| bytes(part).map(|b| String::from_utf8_lossy(b).into_owned());
        let parts: Vec<String> = parts.iter().filter_map(text).collect();
        let [name, port] = parts.as_slice() else { return Ok(None) };
        Ok(port.parse().ok().map(|port| Host { name: Arc::from(name.as_str()), port }))
    }

    /// The same server keeps its connections.
    fn use_master(&self, host: Host) -> Arc<Node> {
        let (mut known, place) = (self.known(), Place::Host(host));
        match &*known {
            Some(node) if node.place == place => Arc::clone(node),
            _ => Arc::clone(known.insert(Arc::new(Node::new(place, &self.ways)))),
        }
    }
}
