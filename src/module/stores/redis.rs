//! The store in Redis: files are read and Redis is greeted by the parent, connections are the children's.

use std::sync::Arc;

use super::{Child, News, Prepared, Verdict};
use crate::core::config::{RedisAddress, Server};
use crate::core::session::id::SystemRandom;
use crate::core::store::redis::{Instance, Material, Options, RedisStore};
use crate::core::store::{Store, StoreError};
use crate::httpd::log::Level;
use crate::httpd::server as host;
use crate::system::thread;

/// Where Redis is and how it is spoken to.
#[derive(Clone, PartialEq, Eq)]
pub struct Plan {
    address: Arc<RedisAddress>,
}

/// What the parent has read, and what tells this server from others.
struct Ready {
    address: Arc<RedisAddress>,
    material: Material,
    instance: Instance,
}

impl Plan {
    pub fn new(address: Arc<RedisAddress>) -> Plan {
        Plan { address }
    }

    pub fn check(&self, settings: &Server) -> Result<Verdict, String> {
        Material::check(&self.address, host::child_owner(), &host::below_root)?;
        let warnings = super::not_synced(settings, "redis").into_iter().collect();
        Ok(Verdict { warnings, ..Verdict::default() })
    }

    pub fn settings(&self) -> Result<Vec<(&'static str, String)>, String> {
        let address = self.address.written(host::below_root)?.ok_or(
            "the address of SessionStore holds a password, which is told to nobody: name the store by \
             --store, or move the password into a file (password_file)",
        )?;
        Ok(vec![("SessionStore", address)])
    }

    /// A Redis that does not answer keeps no server from starting: each request tries again.
    pub fn prepare(&self) -> Result<(Box<dyn Prepared>, News), String> {
        let material = Material::read(&self.address, host::child_owner(), &host::below_root)?;
        let instance = Instance::new(&SystemRandom)
            .map_err(|cause| format!("asking for randomness: {cause}"))?;
        let ready = Ready { address: Arc::clone(&self.address), material, instance };
        let greeted = ready.store(std::time::Duration::ZERO).and_then(|store| store.greet());
        let news = greeted.err().map(|cause| {
            let text = format!("{cause}; the server starts all the same, and requests try again");
            (Level::Warning, text)
        });
        Ok((Box::new(ready), news.into_iter().collect()))
    }
}

impl Ready {
    fn store(&self, grace: std::time::Duration) -> Result<RedisStore, StoreError> {
        let options = Options { grace, spawn };
        let material = self.material.clone();
        RedisStore::open(&self.address, material, self.instance, options, &SystemRandom)
            .map_err(StoreError::io("asking for randomness"))
    }
}

fn spawn(name: &str, body: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
    thread::start(name, body).map(drop)
}

impl Prepared for Ready {
    fn open(&self, child: &Child) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(self.store(child.grace)?))
    }
}
