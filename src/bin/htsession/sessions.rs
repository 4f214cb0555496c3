//! Records as they are shown: what they are, whose, since when.

use std::io::Stderr;

use mod_session_store::core::clock::{Clock, SystemClock, Time};
use mod_session_store::core::session::record::{Kind, Record, scope_mark};
use mod_session_store::core::store::{Entry, Position, Store, StoreError, StoreKey};
use serde::Serialize;

use crate::arguments::Filter;
use crate::failure::Failure;
use crate::output::plain;
use crate::progress::Progress;
use crate::time;

/// Digits of a hash that are shown in a list: enough to be the only one.
const DIGITS: usize = 16;

/// What lies under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A session.
    Live,
    /// A session whose time is over and that was not removed yet.
    Ended,
    /// The way from an old id to a session.
    Alias,
    /// Written by a newer release.
    Newer,
    /// Unreadable.
    Damaged,
}

impl State {
    /// Of what was found, at `now`.
    pub fn of(found: &Result<Record, StoreError>, now: Time) -> State {
        match found {
            Err(StoreError::Newer(_)) => State::Newer,
            Err(_) => State::Damaged,
            Ok(record) => match record.kind {
                Kind::Session if record.deadline >= now => State::Live,
                Kind::Alias { until, .. } if until >= now => State::Alias,
                Kind::Session | Kind::Alias { .. } => State::Ended,
            },
        }
    }

    fn word(self) -> &'static str {
        match self {
            State::Live => "live",
            State::Ended => "ended",
            State::Alias => "alias",
            State::Newer => "newer",
            State::Damaged => "damaged",
        }
    }
}

/// A line of a list.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The store key in hexadecimal digits.
    pub hash: String,
    /// What lies there.
    pub state: State,
    /// Bytes it takes in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
    /// What is known if it can be read.
    #[serde(flatten)]
    pub facts: Option<Facts>,
}

/// What a record says of its session. Times are seconds since 1970.
#[derive(Debug, Serialize)]
pub struct Facts {
    /// Who is logged in.
    pub user: Option<String>,
    /// The name of the scope, where it is known, and what the record has of it.
    pub scope: Option<String>,
    pub scope_mark: String,
    /// When it was made.
    pub created: u64,
    /// When it was visited last.
    pub accessed: u64,
    /// When it ends if nobody comes again.
    pub ends: u64,
    /// Its own idle time, in seconds.
    pub timeout: Option<u32>,
    /// Where it was made from.
    pub client: String,
    /// How many keys it has.
    pub keys: usize,
    /// Bytes of keys, values and user.
    pub bytes: usize,
    /// Open form tokens.
    pub form_tokens: usize,
    #[serde(skip)]
    times: [Time; 3],
}

/// The head of a list.
pub fn heading() -> String {
    format!(
        "{:<DIGITS$}  {:<7}  {:<19}  {:<19}  {:>4}  {:>7}  {:<15}  USER",
        "SESSION", "STATE", "VISITED", "ENDS", "KEYS", "BYTES", "CLIENT"
    )
}

impl Row {
    /// Of what lies under `key`; `scopes` are the names that are known.
    pub fn new(
        key: &StoreKey,
        found: &Result<Record, StoreError>,
        stored: Option<u64>,
        scopes: &[String],
        now: Time,
    ) -> Row {
        let facts = found.as_ref().ok().map(|record| Facts::of(record, scopes));
        Row { hash: key.hex(), state: State::of(found, now), stored_bytes: stored, facts }
    }

    /// The line.
    pub fn line(&self) -> String {
        let start = format!("{}  {:<7}", &self.hash[..DIGITS], self.state.word());
        let Some(facts) = &self.facts else { return start };
        let [_, accessed, ends] = facts.times.map(time::show);
        format!(
            "{start}  {accessed}  {ends}  {:>4}  {:>7}  {:<15}  {}",
            facts.keys,
            facts.bytes,
            plain(&facts.client),
            facts.user.as_deref().map_or_else(|| "-".to_owned(), plain)
        )
    }

    /// Everything, a fact on each line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines =
            vec![("session", self.hash.clone()), ("state", self.state.word().to_owned())];
        if let Some(facts) = &self.facts {
            let [created, accessed, ends] = facts.times.map(time::show);
            let or_none =
                |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), plain);
            lines.extend([
                ("user", or_none(&facts.user)),
                ("scope", or_none(&facts.scope)),
                ("client", plain(&facts.client)),
                ("made", created),
                ("visited", accessed),
                ("ends", ends),
                (
                    "timeout",
                    facts.timeout.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s")),
                ),
                ("form tokens", facts.form_tokens.to_string()),
                ("keys", facts.keys.to_string()),
                ("bytes", facts.bytes.to_string()),
            ]);
        }
        lines.into_iter().map(|(name, value)| format!("{name:<12} {value}")).collect()
    }
}

impl Facts {
    fn of(record: &Record, scopes: &[String]) -> Facts {
        let named = scopes.iter().find(|name| scope_mark(name) == record.scope);
        Facts {
            user: record.user.clone(),
            scope: named.cloned(),
            scope_mark: record.scope.iter().map(|byte| format!("{byte:02x}")).collect(),
            created: record.created.secs(),
            accessed: record.accessed.secs(),
            ends: record.deadline.secs(),
            timeout: record.timeout,
            client: record.client.to_string(),
            keys: record.values.len(),
            bytes: record.bytes(),
            form_tokens: record.tokens.len(),
            times: [record.created, record.accessed, record.deadline],
        }
    }
}

impl Filter {
    /// Whether there is nothing that it keeps back.
    pub fn is_open(&self) -> bool {
        self.user.is_none() && self.scope.is_none()
    }

    /// Whether a record is one of those that are wanted.
    pub fn lets(&self, record: &Record) -> bool {
        let user = self.user.as_ref().is_none_or(|user| record.user.as_ref() == Some(user));
        user && self.scope.as_ref().is_none_or(|scope| scope_mark(scope) == record.scope)
    }
}

/// Now.
pub fn now() -> Time {
    SystemClock.now()
}

/// Shows every record of a store to `see` until it fails; what it fails with is returned.
pub fn walk(
    store: &dyn Store,
    see: impl FnMut(Entry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    walk_with(Progress::new(), store, see)
}

/// The same for a `see` that prints.
pub fn walk_printing(
    store: &dyn Store,
    see: impl FnMut(Entry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    walk_with(Progress::beside_rows(), store, see)
}

fn walk_with(
    mut progress: Progress<Stderr>,
    store: &dyn Store,
    mut see: impl FnMut(Entry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut outcome = Ok(());
    let mut look = |entry: Entry| {
        progress.step();
        outcome = see(entry);
        outcome.is_ok()
    };
    store.scan(&Position::default(), &mut look)?;
    outcome
}

#[cfg(test)]
mod tests {

    use mod_session_store::core::session::record::Client;
    use mod_session_store::core::session::values::Values;

    use super::*;

    fn record(user: Option<&str>) -> Record {
        Record {
            kind: Kind::Session,
            incarnation: 1,
            scope: scope_mark("shop"),
            user: user.map(str::to_owned),
            created: Time::from_secs(10),
            accessed: Time::from_secs(20),
            deadline: Time::from_secs(30),
            timeout: None,
            client: Client::from("192.0.2.1").unwrap(),
            flags: 0,
            tokens: Vec::new(),
            values: Values::default(),
        }
    }

    fn row(found: &Result<Record, StoreError>) -> Row {
        let key = StoreKey::from_bytes([0xab; 32]);
        Row::new(&key, found, Some(7), &["shop".to_owned()], Time::from_secs(25))
    }

    #[test]
    fn the_columns_of_a_line_stand_below_their_heads() {
        let (head, line) = (heading(), row(&Ok(record(Some("ann")))).line());
        for (name, value) in [
            ("STATE", "live"),
            ("VISITED", "1970-01-01 00:00:20"),
            ("ENDS", "1970-01-01 00:00:30"),
            ("CLIENT", "192.0.2.1"),
            ("USER", "ann"),
        ] {
            assert_eq!(head.find(name), line.find(value), "{name}\n{head}\n{line}");
        }
    }

    #[test]
    fn a_user_cannot_write_to_the_terminal() {
        let row = row(&Ok(record(Some("\u{1b}]0;x\u{7}\nroot"))));
        let text = row.line() + &row.lines().join("");
        assert!(!text.contains(char::is_control), "{text:?}");
    }

    #[test]
    fn what_is_no_session_says_what_it_is() {
        let state = |found, secs| State::of(&found, Time::from_secs(secs));
        assert_eq!(state(Ok(record(None)), 30), State::Live);
        assert_eq!(state(Ok(record(None)), 31), State::Ended);
        let alias = Kind::Alias { target: [0; 32], until: Time::from_secs(25) };
        assert_eq!(state(Ok(Record { kind: alias, ..record(None) }), 25), State::Alias);
        assert_eq!(state(Ok(Record { kind: alias, ..record(None) }), 26), State::Ended);
        assert_eq!(state(Err(StoreError::Newer(2)), 0), State::Newer);
        assert_eq!(state(Err(StoreError::Corrupt), 0), State::Damaged);
    }

    #[test]
    fn a_filter_compares_user_and_scope() {
        let with = |user: Option<&str>, scope: Option<&str>| Filter {
            user: user.map(str::to_owned),
            scope: scope.map(str::to_owned),
        };
        let ann = record(Some("ann"));
        for (user, scope, fits) in [
            (None, None, true),
            (Some("ann"), Some("shop"), true),
            (Some("bob"), None, false),
            (None, Some("other"), false),
        ] {
            assert_eq!(with(user, scope).lets(&ann), fits, "{user:?} {scope:?}");
        }
        assert!(!with(Some(""), None).lets(&record(None)));
    }

    #[test]
    fn json_has_the_name_of_a_scope_that_is_known() {
        let json = serde_json::to_value(row(&Ok(record(None)))).unwrap();
        assert_eq!(json["scope"], "shop");
        assert_eq!(json["state"], "live");
        assert_eq!(json["ends"], 30);
        assert_eq!(json["hash"].as_str().unwrap().len(), 64);
        let damaged = serde_json::to_value(row(&Err(StoreError::Corrupt))).unwrap();
        assert_eq!(damaged["state"], "damaged");
        assert!(damaged.get("user").is_none());
    }
}
