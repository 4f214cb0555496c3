//! How commands reach the server that has their key.
//!
//! Nothing is connected before it is asked for something. Each command has its timeouts, and so has each
//! connection; one on which an answer may still come is never used again. A server that does not answer
//! is left alone for a while, see [`gate`].

mod cluster;
mod gate;
mod node;
mod sentinel;
#[cfg(test)]
mod tests;
mod trouble;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::{ClientTlsConfig, Cmd, Pipeline, TlsCertificates, Value};

use self::cluster::Cluster;
#[cfg(test)]
pub use self::cluster::slot_of;
use self::gate::{Pass, Shut};
pub use self::node::{Ask, Node, Place};
use self::sentinel::Sentinels;
use self::trouble::Trouble;
use super::scripts::Run;
use crate::core::config::redis::{RedisAddress, Servers};
use crate::core::store::StoreError;

/// What the files say that an address names, and the password if the address says it itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Material {
    /// The password of the servers.
    pub password: Option<String>,
    /// That of the sentinels.
    pub sentinel_password: Option<String>,
    /// Certificates of trusted authorities, in PEM.
    pub ca: Option<Vec<u8>>,
    /// Our certificate and its key, in PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// Shows nothing of it.
impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material(…)")
    }
}

/// How a connection is made.
#[derive(Clone)]
pub struct Ways {
    tls: Option<TlsCertificates>,
    user: Option<Arc<str>>,
    password: Option<String>,
    database: u32,
    connect_timeout: Duration,
    timeout: Duration,
}

/// The way to the servers of an address.
pub struct Connections {
    route: Route,
}

enum Route {
    One(Arc<Node>),
    Sentinels(Sentinels),
    Cluster(Cluster),
}

impl Connections {
    /// The way to `address`; connects to nothing.
    pub fn new(address: &RedisAddress, material: Material) -> Connections {
        let tls = address.tls.as_ref().map(|_| TlsCertificates {
            client_tls: material
                .identity
                .map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key }),
            root_cert: material.ca,
        });
        let ways = Ways {
            tls,
            user: address.user.clone(),
            password: material.password,
            database: address.database,
            connect_timeout: address.connect_timeout,
            timeout: address.timeout,
        };
        let route = match &address.servers {
            Servers::One(host) => Route::One(Node::new(Place::Host(host.clone()), &ways).into()),
            Servers::Socket(path) => {
                Route::One(Node::new(Place::Socket(path.clone()), &ways).into())
            }
            Servers::Sentinels(hosts, name) => {
                let to_sentinels = Ways {
                    user: None,
                    password: material.sentinel_password,
                    database: 0,
                    ..ways.clone()
                };
                Route::Sentinels(Sentinels::new(hosts, name, ways, to_sentinels))
            }
            Servers::Cluster(hosts) => Route::Cluster(Cluster::new(hosts, ways)),
        };
        Connections { route }
    }

    /// Asks the server that has `key`. `doing` says what for, as "reading a record". What is asked may
    /// reach a server twice.
    pub fn ask<A: Ask>(
        &self,
        doing: &'static str,
        key: &[u8],
        what: &A,
    ) -> Result<A::Answer, StoreError> {
        match &self.route {
            Route::One(node) => ask_node(doing, node, what),
            Route::Sentinels(sentinels) => sentinels.ask(doing, what),
            Route::Cluster(cluster) => cluster.ask(doing, key, what),
        }
    }

    /// Runs several scripts, each on its key; the answers in order.
    pub fn ask_each(
        &self,
        doing: &'static str,
        runs: &[Run<'_>],
    ) -> Vec<Result<Value, StoreError>> {
        match self.together(doing, runs.len(), runs.iter().map(Run::by_name)) {
            Some(answers) => answers.into_iter().map(Ok).collect(),
            // One that the server does not know, say: asked alone it is brought along.
            None => runs.iter().map(|run| self.ask(doing, run.key(), run)).collect(),
        }
    }

    /// Looks a field up under each of the names; the answers in order. A name that something else lies
    /// under has no fields.
    pub fn look_up(
        &self,
        doing: &'static str,
        names: &[Vec<u8>],
        field: &str,
    ) -> Result<Vec<Value>, StoreError> {
        let question = |name: &Vec<u8>| {
            let mut question = redis::cmd("HGET");
            question.arg(name).arg(field);
            question
        };
        if let Some(answers) = self.together(doing, names.len(), names.iter().map(question)) {
            return Ok(answers);
        }
        let alone = names.iter().map(|name| match self.ask(doing, name, &question(name)) {
            Err(StoreError::Corrupt) => Ok(Value::Nil),
            answer => answer,
        });
        alone.collect()
    }

    /// The answers to several commands at once; none where they have to be asked one by one: the servers
    /// of a cluster have some of the keys each, and errors concern some of the commands only.
    fn together(
        &self,
        doing: &'static str,
        count: usize,
        commands: impl Iterator<Item = Cmd>,
    ) -> Option<Vec<Value>> {
        if count < 2 || matches!(self.route, Route::Cluster(_)) {
            return None;
        }
        let mut together = Pipeline::with_capacity(count);
        for command in commands {
            together.add_command(command);
        }
        match self.ask(doing, b"", &together) {
            Ok(answers) if answers.iter().any(is_error) => None,
            answers => answers.ok(),
        }
    }

    /// Every server that has keys, each with a number that it keeps as long as it has the same ones, in
    /// the order of these.
    pub fn servers(&self, doing: &'static str) -> Result<Vec<(u16, Arc<Node>)>, StoreError> {
        match &self.route {
            Route::One(node) => Ok(vec![(0, Arc::clone(node))]),
            Route::Sentinels(sentinels) => Ok(vec![(0, sentinels.master(doing)?)]),
            Route::Cluster(cluster) => cluster.masters(doing),
        }
    }
}

fn is_error(value: &Value) -> bool {
    matches!(value, Value::ServerError(_))
}

/// Asks one server, whatever keys it has.
pub fn ask_node<A: Ask>(
    doing: &'static str,
    node: &Node,
    what: &A,
) -> Result<A::Answer, StoreError> {
    let pass = node.gate.enter().map_err(|shut| out_of_reach(doing, &node.place, &shut))?;
    match node.ask(what) {
        Ok(answer) => {
            pass.worked();
            Ok(answer)
        }
        Err(trouble) => Err(give_up(doing, &node.place, pass, trouble)),
    }
}

/// Gives the pass back as `trouble` deserves.
fn give_up(doing: &'static str, place: &Place, pass: Pass<'_>, trouble: Trouble) -> StoreError {
    let outage = trouble.is_outage();
    let told = trouble.told(doing, place);
    if outage {
        pass.failed(&cause_of(&told));
    } else {
        pass.worked();
    }
    told
}

fn cause_of(error: &StoreError) -> String {
    match error {
        StoreError::Io { cause, .. } => cause.to_string(),
        other => other.to_string(),
    }
}

/// A server that failed a moment ago was not asked.
fn out_of_reach(doing: &'static str, place: &dyn fmt::Display, shut: &Shut) -> StoreError {
    let text = format!(
        "{place} failed a moment ago and is asked again in {} ms ({})",
        shut.left.as_millis(),
        shut.why
    );
    StoreError::Io { doing, cause: io::Error::new(io::ErrorKind::NotConnected, text) }
}
