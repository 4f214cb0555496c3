//! Any sequence of what requests do, against a model of a session: a map, a user and a number for
//! the id.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::world::{BROKEN, Browser, LAST, MORE, World, key};
use crate::core::config::Locking;
use crate::core::session::record::Kind;
use crate::core::session::{Session, SessionError};

const KEYS: [&str; 3] = ["a", "b", "c"];
const USERS: [Option<&str>; 3] = [None, Some("ann"), Some("bob")];

#[derive(Debug, Clone, Copy)]
enum Op {
    Set(usize, u8),
    Unset(usize),
    User(usize),
    Save,
    Revert,
    Reload,
    Delete,
    Invalidate,
    Regenerate,
    /// The session is let go and taken again, as around an internal redirect.
    Redirect,
}

#[derive(Clone, Default, PartialEq, Debug)]
struct Content {
    values: BTreeMap<&'static str, u8>,
    user: Option<&'static str>,
}

impl Content {
    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.user.is_none()
    }
}

/// What there is to be seen of one session from outside.
#[derive(Clone, Default)]
struct Model {
    /// What is stored, and under the id of which number.
    stored: Option<(Content, u32)>,
    view: Content,
    /// The stored session is to be ended; what is set then is another one.
    ended: bool,
    /// The number of the id the session has or gets; none: the next one.
    id: Option<u32>,
    regenerate: bool,
    /// The number of the id in the client's cookie.
    cookie: Option<u32>,
    ids: u32,
    /// Nobody else can be filling a session that is emptied.
    leased: bool,
}

impl Model {
    fn exists(&self) -> bool {
        (self.stored.is_some() && !self.ended) || !self.view.is_empty()
    }

    fn next_id(&mut self) -> u32 {
        self.ids += 1;
        self.ids
    }

    fn undo(&mut self) {
        self.ended = false;
        self.regenerate = false;
        self.view = self.stored.clone().map(|(content, _)| content).unwrap_or_default();
        if let Some((_, id)) = self.stored {
            self.id = Some(id);
        }
    }

    /// Whether it can be done.
    fn act(&mut self, op: Op) -> bool {
        match op {
            Op::Set(at, value) => drop(self.view.values.insert(KEYS[at], value)),
            Op::Unset(at) => drop(self.view.values.remove(KEYS[at])),
            Op::User(at) => self.view.user = USERS[at],
            Op::Save | Op::Redirect => self.commit(),
            Op::Revert | Op::Reload => self.undo(),
            Op::Delete | Op::Invalidate | Op::Regenerate if !self.exists() && !self.ended => {
                return false;
            }
            Op::Regenerate if self.stored.is_some() && !self.ended => self.regenerate = true,
            Op::Regenerate if self.view.is_empty() => return false,
            Op::Regenerate => self.id = None,
            Op::Delete | Op::Invalidate => {
                self.ended |= self.stored.is_some();
                self.view = Content::default();
                self.regenerate = false;
                self.id = self.id.filter(|_| matches!(op, Op::Delete));
            }
        }
        true
    }

    fn commit(&mut self) {
        let before = self.stored.take().filter(|_| !std::mem::take(&mut self.ended));
        let regenerate = std::mem::take(&mut self.regenerate);
        let kept_empty = before.is_some() && !self.leased;
        if self.view.is_empty() && !kept_empty {
            self.cookie = None;
            return;
        }
        let new_id = match &before {
            Some((content, _)) => regenerate || content.user != self.view.user,
            // Nobody logs in under an id that was known before.
            None => self.view.user.is_some() || self.id.is_none(),
        };
        let id = match self.id {
            Some(id) if !new_id => id,
            _ => self.next_id(),
        };
        self.id = Some(id);
        self.cookie = Some(id);
        self.stored = Some((self.view.clone(), id));
    }

    fn end_request(&mut self, fails: bool) {
        if fails {
            let (ended, id) = (self.ended, self.id);
            self.undo();
            if ended {
                self.ended = true;
                self.id = id;
                self.view = Content::default();
            }
        }
        self.commit();
        // Only the cookie lasts.
        self.id = self.cookie;
    }
}

fn act(session: &mut Session, browser: &mut Browser, op: Op) -> Result<(), SessionError> {
    let world = browser.world.clone();
    let services = world.services();
    match op {
        Op::Set(at, value) => session.set(&key(KEYS[at]), &[value]),
        Op::Unset(at) => session.unset(&key(KEYS[at])).map(drop),
        Op::User(at) => session.set_user(USERS[at]),
        Op::Save => session.save(&services).map(|cookie| browser.take(&cookie)),
        Op::Revert => session.revert(),
        Op::Reload => session.reload(&services),
        Op::Delete => session.delete(),
        Op::Invalidate => session.invalidate(),
        Op::Regenerate => session.regenerate(),
        Op::Redirect => {
            browser.take(&session.commit(&services, MORE)?);
            session.release(&services);
            session.open(&services, crate::core::session::Access::Write)
        }
    }
}

fn content(session: &Session) -> Content {
    let known = |name: &str| KEYS.into_iter().find(|key| *key == name).unwrap();
    Content {
        values: session.iter().map(|(key, value)| (known(key), value[0])).collect(),
        user: session.user().map(|name| USERS.into_iter().flatten().find(|u| *u == name).unwrap()),
    }
}

/// Every id the client ever had is dead, but for the one it has and for aliases to that.
fn check_ids(browser: &Browser, ever: &BTreeSet<String>) {
    let world = &browser.world;
    let live = browser.id.as_deref().map(|id| world.key_of(id));
    let mut sessions = 0;
    for id in ever {
        let at = world.key_of(id);
        let Some(record) = world.store.record(&at) else { continue };
        match record.kind {
            Kind::Session => {
                assert_eq!(Some(at), live, "an id that the client does not have finds a session");
                sessions += 1;
            }
            Kind::Alias { .. } => assert_ne!(Some(at), live),
        }
    }
    assert_eq!(sessions, usize::from(live.is_some()));
}

fn run(locking: Locking, requests: Vec<(Vec<Op>, bool)>) {
    let world = World::new();
    let leased = locking == Locking::Request;
    let (mut browser, mut model) = (world.browser(&[]), Model { leased, ..Model::default() });
    browser.rules.locking = locking;
    let mut ever = BTreeSet::new();
    let mut numbers: BTreeMap<u32, String> = BTreeMap::new();
    for (ops, fails) in requests {
        let mut session = browser.open();
        model.undo();
        assert_eq!(content(&session), model.view);
        for op in ops {
            let done = act(&mut session, &mut browser, op).is_ok();
            assert_eq!(done, model.act(op), "{op:?}");
            assert_eq!(content(&session), model.view, "{op:?}");
            ever.extend(browser.id.clone());
        }
        browser.finish(&mut session, if fails { BROKEN } else { LAST }).unwrap();
        model.end_request(fails);
        ever.extend(browser.id.clone());
        assert_eq!(world.held(), 0);
        assert_eq!(browser.id.is_some(), model.cookie.is_some());
        assert_eq!(content(&browser.look()), model.view);
        if let (Some(number), Some(id)) = (model.cookie, browser.id.clone()) {
            assert_eq!(numbers.entry(number).or_insert_with(|| id.clone()), &id);
        }
        check_ids(&browser, &ever);
    }
    assert_eq!(numbers.values().collect::<BTreeSet<_>>().len(), numbers.len());
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..3usize, 0..3u8).prop_map(|(at, value)| Op::Set(at, value)),
        3 => (0..3usize).prop_map(Op::Unset),
        2 => (0..3usize).prop_map(Op::User),
        1 => Just(Op::Save),
        1 => Just(Op::Revert),
        1 => Just(Op::Reload),
        1 => Just(Op::Delete),
        1 => Just(Op::Invalidate),
        1 => Just(Op::Regenerate),
        1 => Just(Op::Redirect),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn requests_do_what_the_model_says(
        requests in proptest::collection::vec(
            (proptest::collection::vec(op(), 0..8), proptest::bool::weighted(0.1)),
            1..6,
        ),
        locking in prop::sample::select(&[Locking::Request, Locking::Commit, Locking::Off][..]),
    ) {
        run(locking, requests);
    }
}
