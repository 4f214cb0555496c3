//! One server and our connections to it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::{
    Client, Cmd, Connection, ConnectionAddr, IntoConnectionInfo, Pipeline, RedisConnectionInfo,
    RedisError, Value,
};

use super::Ways;
use super::gate::Gate;
use super::trouble::Trouble;
use crate::core::config::redis::Host;
use crate::core::store::redis::scripts::Run;

/// How long a connection that nobody needs is kept.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// What one server is asked.
pub trait Ask {
    /// What is brought back.
    type Answer;
    /// Asks by this connection; `asking` where a cluster says that the key is on its way there. Errors of
    /// the server that belong to one command of several are answers.
    fn by(&self, connection: &mut Connection, asking: bool) -> Result<Self::Answer, RedisError>;
}

/// One command.
impl Ask for Cmd {
    type Answer = Value;

    fn by(&self, connection: &mut Connection, asking: bool) -> Result<Value, RedisError> {
        if asking {
            redis::cmd("ASKING").exec(connection)?;
        }
        self.query(connection)
    }
}

/// Several commands at once, whatever their keys are; each has an answer of its own, which may be an error.
impl Ask for Pipeline {
    type Answer = Vec<Value>;

    /// Gives up at the first answer that does not come: the client's own way waits for each.
    fn by(&self, connection: &mut Connection, _: bool) -> Result<Vec<Value>, RedisError> {
        connection.send_packed_command(&self.get_packed_pipeline())?;
        (0..self.len()).map(|_| connection.recv_response()).collect()
    }
}

/// A script, by its name; whole if the server does not know it.
impl Ask for Run<'_> {
    type Answer = Value;

    fn by(&self, connection: &mut Connection, asking: bool) -> Result<Value, RedisError> {
        match self.by_name().by(connection, asking) {
            Err(error) if matches!(Trouble::of(&error), Trouble::NoScript) => {
                self.whole().by(connection, asking)
            }
            answered => answered,
        }
    }
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the network.
    Host(Host),
    /// On this machine, by the path of its socket.
    Socket(Arc<str>),
    /// Wherever sentinels say that the master of this name is.
    Master(Arc<str>),
    /// Where the servers of a cluster are.
    Cluster,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Host(host) => host.fmt(f),
            Place::Socket(path) => f.write_str(path),
            Place::Master(name) => write!(f, "the master {name}"),
            Place::Cluster => f.write_str("the cluster"),
        }
    }
}

/// A server with the connections to it that are not in use. There are as many as were needed at a time;
/// no lock is held while one is used or made.
pub struct Node {
    /// Where it is, for messages.
    pub place: Place,
    /// Keeps requests away while it does not answer.
    pub gate: Gate,
    client: Result<Client, String>,
    connect_timeout: Duration,
    timeout: Duration,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Node {
    /// A server to which there is no connection yet.
    pub fn new(place: Place, ways: &Ways) -> Node {
        let client = client(&place, ways).map_err(|cause| cause.to_string());
        Node {
            place,
            gate: Gate::default(),
            client,
            connect_timeout: ways.connect_timeout,
            timeout: ways.timeout,
            idle: Mutex::default(),
        }
    }

    /// Asks it. A connection that was closed while nobody used it is replaced, once: what is asked has
    /// to be such that it may be asked twice.
    pub fn ask<A: Ask>(&self, what: &A) -> Result<A::Answer, Trouble> {
        self.ask_with(what, false)
    }

    /// The same for a key that is on its way here, by what another server of the cluster says.
    pub fn ask_ahead<A: Ask>(&self, what: &A) -> Result<A::Answer, Trouble> {
        self.ask_with(what, true)
    }

    fn ask_with<A: Ask>(&self, what: &A, asking: bool) -> Result<A::Answer, Trouble> {
        let ask_by = |connection: &mut Connection| {
            what.by(connection, asking).map_err(|error| Trouble::of(&error))
        };
        if let Some(mut connection) = self.take_idle() {
            match ask_by(&mut connection) {
                Ok(answer) => {
                    self.put_back(connection);
                    return Ok(answer);
                }
                // Most likely the server was restarted: the others are closed too.
                Err(Trouble::Broken(_)) => self.forget(),
                Err(trouble) => return Err(self.after(connection, trouble)),
            }
        }
        let mut connection = self.connect()?;
        match ask_by(&mut connection) {
            Ok(answer) => {
                self.put_back(connection);
                Ok(answer)
            }
            Err(trouble) => Err(self.after(connection, trouble)),
        }
    }

    /// Closes what nobody uses.
    pub fn forget(&self) {
        let closed = std::mem::take(&mut *self.idle());
        drop(closed);
    }

    /// Keeps the connection if the server has answered, so that nothing of an answer can still come.
    fn after(&self, connection: Connection, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::Broken(_) | Trouble::Late => {}
            Trouble::ReadOnly => self.forget(),
            _ => self.put_back(connection),
        }
        trouble
    }

    fn connect(&self) -> Result<Connection, Trouble> {
        let client = self.client.as_ref().map_err(|cause| {
            Trouble::Broken(std::io::Error::new(std::io::ErrorKind::InvalidInput, cause.clone()))
        })?;
        let made =
            client.get_connection_with_timeout(self.connect_timeout).and_then(|connection| {
                connection.set_read_timeout(Some(self.timeout))?;
                connection.set_write_timeout(Some(self.timeout))?;
                Ok(connection)
            });
        made.map_err(|error| Trouble::of(&error))
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle().pop().map(|idle| idle.connection)
    }

    fn put_back(&self, connection: Connection) {
        let now = Instant::now();
        let old = {
            let mut idle = self.idle();
            idle.push(Idle { connection, since: now });
            // The last one used is used next, so that the first of the list rests longest.
            let rests = idle.first().is_some_and(|first| now - first.since > IDLE_MAX);
            rests.then(|| idle.remove(0))
        };
        drop(old);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client(place: &Place, ways: &Ways) -> Result<Client, RedisError> {
    let address = match (place, &ways.tls) {
        (Place::Socket(path), _) => ConnectionAddr::Unix(path.as_ref().into()),
        (Place::Master(_) | Place::Cluster, _) => {
            let why = (redis::ErrorKind::InvalidClientConfig, "nobody has said where it is");
            return Err(why.into());
        }
        (Place::Host(host), None) => ConnectionAddr::Tcp(host.name.to_string(), host.port),
        (Place::Host(host), Some(_)) => ConnectionAddr::TcpTls {
            host: host.name.to_string(),
            port: host.port,
            insecure: false,
            tls_params: None,
        },
    };
    let mut settings =
        RedisConnectionInfo::default().set_db(ways.database.into()).set_skip_set_lib_name();
    if let Some(user) = &ways.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &ways.password {
        settings = settings.set_password(password);
    }
    let info = address.into_connection_info()?.set_redis_settings(settings);
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let info = info.set_tcp_settings(tcp);
    match (place, &ways.tls) {
        // What lies on this machine needs none.
        (Place::Host(_), Some(tls)) => Client::build_with_tls(info, tls.clone()),
        _ => Client::open(info),
    }
}
