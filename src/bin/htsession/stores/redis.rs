//! Records in Redis, which keeps order among all who use it: everything is done, whoever else is there.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mod_session_store::core::config::{RedisAddress, Servers};
use mod_session_store::core::session::id::SystemRandom;
use mod_session_store::core::store::dir::Owner;
use mod_session_store::core::store::redis::{Instance, Material, Options, RedisStore};

use super::{Access, Kind, Made, Opened};
use crate::failure::Failure;
use crate::located::Located;

/// Nobody's user and group: whoever may not read a password is not known.
const NOBODY: (u32, u32) = (u32::MAX, u32::MAX);

/// An address, and what the files that it names hold: only root may be able to read them.
pub struct Redis {
    address: Arc<RedisAddress>,
    material: Material,
    grace: Duration,
    told: Option<Owner>,
}

impl Redis {
    pub fn new(address: Arc<RedisAddress>, located: &Located) -> Result<Redis, Failure> {
        if address.shows_password() {
            eprintln!(
                "htsession: a password on a command line is seen by other users of this machine: \
                 ?password_file=PATH keeps it apart"
            );
        }
        let server = located.owner.map_or(NOBODY, |owner| (owner.uid, owner.gid));
        let material = Material::read(&address, server, &absolute).map_err(Failure::store)?;
        Ok(Redis { address, material, grace: located.grace(), told: located.owner })
    }
}

fn absolute(path: &str) -> Result<String, String> {
    let path = std::path::absolute(path).map_err(|cause| format!("a path: {cause}"))?;
    Ok(path.display().to_string())
}

/// Sessions are not held here, so that nothing has to be renewed.
fn no_threads(_: &str, _: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

impl Kind for Redis {
    fn owner(&self) -> Result<Option<Owner>, Failure> {
        // The data is nobody's here. Who talks to the network had better not be root.
        Ok(self.told)
    }

    fn place(&self) -> String {
        // Who asks, how, and for how long makes no other store of it.
        let RedisAddress { servers, database, prefix, .. } = &*self.address;
        let mut servers = servers.clone();
        if let Servers::Sentinels(hosts, _) | Servers::Cluster(hosts) = &mut servers {
            hosts.sort();
        }
        format!("redis:{servers:?} {database} {prefix}")
    }

    fn make(&self, _: Option<Owner>) -> Result<Made, Failure> {
        let text = "Redis answers, and needs nothing made".to_owned();
        Ok(Made { made: false, text })
    }

    fn open(&self, _: Access) -> Result<Opened, Failure> {
        let failed = |cause: io::Error| Failure::store(format!("asking for randomness: {cause}"));
        let instance = Instance::new(&SystemRandom).map_err(failed)?;
        let options = Options { grace: self.grace, spawn: no_threads };
        let material = self.material.clone();
        let store = RedisStore::open(&self.address, material, instance, options, &SystemRandom);
        let store = store.map_err(failed)?;
        store.greet()?;
        Ok(Opened { store: Box::new(store), _lock: None })
    }

    fn in_use(&self) -> Option<String> {
        None
    }
}
