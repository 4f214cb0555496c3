//! A session as one request tree sees it.

use super::candidates::{Candidate, Candidates, Reason, Source};
use super::error::SessionError;
use super::id::{Random, SessionId};
use super::record::{Client, Kind, Record};
use super::rules::Rules;
use super::values::{Key, Touched, is_hidden};
use super::wire::{Secrets, Wire};
use crate::core::clock::{Clock, Time};
use crate::core::lock::{Lease, LeaseError, Leases};
use crate::core::store::{Claim, Held, Store, StoreKey};

/// What sessions need of the process they live in.
#[derive(Clone, Copy)]
pub struct Services<'a> {
    /// Where records are kept.
    pub store: &'a dyn Store,
    /// Who may write.
    pub leases: &'a dyn Leases,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Where ids come from.
    pub random: &'a dyn Random,
    /// What signs them.
    pub secrets: &'a Secrets,
}

/// How a session is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A snapshot without a lease.
    Read,
    /// As the place's `SessionLocking` says.
    Write,
}

/// Something that happened in the core and belongs into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A damaged record was moved aside.
    Corrupt(StoreKey),
    /// A record of a newer format was left alone.
    Newer(u16),
    /// The lease was held longer than `SessionLockHold` and another request took it; this one
    /// merged.
    LeaseLost(StoreKey),
    /// The session was not held against other machines any more, or one of them wrote it all the same;
    /// this request merged.
    ClaimLost(StoreKey),
    /// The session was deleted or replaced meanwhile; this request's changes were dropped.
    ChangesDropped(StoreKey),
    /// A request brought an id that was replaced longer ago than `SessionRegenerateGrace`.
    OldId(StoreKey),
    /// A request was refused because the session is held; logged once a minute.
    Refused(LeaseError),
    /// The session was served without its store.
    StoreAbsent(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing has been read, or the last handler has ended.
    Closed,
    Reading,
    Writing,
    /// The store is out of reach and that is to be ignored.
    Absent,
}

/// The session as it is in the store, at the last load or commit.
pub(super) struct Base {
    pub key: StoreKey,
    pub record: Record,
    pub held: Held,
    /// Found through the alias of an old id.
    pub alias: bool,
    /// Its id is signed by an older secret.
    pub stale: bool,
}

/// A session that this request holds.
pub(super) struct Holding {
    pub key: StoreKey,
    /// Against other requests of this machine.
    pub lease: Lease,
    /// Against those of others, where the store is shared with some.
    pub claim: Option<Box<dyn Claim>>,
}

/// What the client calls the session.
#[derive(Clone, Copy, Default)]
pub(super) struct Naming {
    /// The id of the session, or the one reserved for it.
    pub id: Option<SessionId>,
    /// Somebody may know that id: it came with the request, or went out with its answer.
    pub known: bool,
    /// How the client named the session; none if this request made it.
    pub source: Option<Source>,
}

/// A session that this request ended, until the store knows; with what brings it back until then.
pub(super) struct Doomed {
    pub base: Base,
    pub name: Naming,
    pub fresh: bool,
    pub reason: Reason,
    pub previous_visit: Option<Time>,
}

/// One session of one request tree: lazily opened, changed in memory, committed at the points where
/// an answer allows it.
pub struct Session {
    pub(super) rules: Rules,
    pub(super) candidates: Candidates,
    pub(super) client: Client,
    pub(super) phase: Phase,
    /// The ids of the request have been looked for.
    pub(super) searched: bool,
    pub(super) lease: Option<Holding>,
    pub(super) base: Option<Base>,
    /// Few requests end a session: it has no place in the others.
    pub(super) doomed: Option<Box<Doomed>>,
    pub(super) name: Naming,
    /// The session as this request has changed it.
    pub(super) view: Record,
    /// Keys that this request set or removed since the base was read.
    pub(super) touched: Touched,
    pub(super) regenerate: bool,
    /// It could not be had when it was asked for last: nothing in this request waits for it again.
    pub(super) refused: bool,
    /// It ended while its handler had seen it, and nobody has been told.
    pub(super) lost: bool,
    /// This request has changed its user or ended it.
    pub(super) user_is_ours: bool,
    /// Explicit locks that were not given back.
    pub(super) locks: u32,
    /// Its handler let it go, and `view` is what it looked like then.
    pub(super) kept_view: bool,
    pub(super) head_sent: bool,
    /// The client has a cookie of the session, by its request or by an answer of this tree.
    pub(super) has_cookie: bool,
    /// The session was deleted or emptied, and the client has not been told yet.
    pub(super) ended: bool,
    pub(super) fresh: bool,
    pub(super) reason: Reason,
    pub(super) previous_visit: Option<Time>,
    /// It has been told that the client's id was replaced, or nobody is to be told.
    pub(super) told_replaced: bool,
    pub(super) notices: Vec<Notice>,
}

/// A record with nothing in it.
pub(super) fn blank() -> Record {
    Record {
        kind: Kind::Session,
        incarnation: 0,
        scope: [0; 8],
        user: None,
        created: Time::default(),
        accessed: Time::default(),
        deadline: Time::default(),
        timeout: None,
        client: Client::new_const(),
        flags: 0,
        tokens: Vec::new(),
        values: super::values::Values::default(),
    }
}

impl Session {
    /// A session of a request that brought `candidates` from the address `client`; nothing is read.
    pub fn new(rules: Rules, candidates: Candidates, client: Client) -> Session {
        Session {
            reason: candidates.reason(),
            rules,
            candidates,
            client,
            phase: Phase::Closed,
            searched: false,
            lease: None,
            base: None,
            doomed: None,
            name: Naming::default(),
            view: blank(),
            touched: Touched::default(),
            regenerate: false,
            locks: 0,
            kept_view: false,
            head_sent: false,
            has_cookie: false,
            ended: false,
            fresh: true,
            refused: false,
            lost: false,
            user_is_ours: false,
            previous_visit: None,
            told_replaced: false,
            notices: Vec::new(),
        }
    }

    /// The settings it was opened with.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether a well-formed, signed id came; opens nothing.
    pub fn exists(&self) -> bool {
        !self.candidates.ids().is_empty()
    }

    /// Whether it has been opened and the handler that did so has not ended.
    pub fn is_open(&self) -> bool {
        self.phase != Phase::Closed
    }

    /// Whether it is open and writes are refused.
    pub fn is_read_only(&self) -> bool {
        self.phase == Phase::Reading
    }

    /// Whether values have been read, from the store or from this request: answers are then for
    /// one visitor only.
    pub fn was_used(&self) -> bool {
        self.searched
    }

    /// Whether other requests of this session wait for this one.
    pub fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether this request could not have it when it asked for it last.
    pub fn was_refused(&self) -> bool {
        self.refused
    }

    /// Whether its user is what this request made of it: it has logged somebody in or out, or ended it.
    pub fn user_is_ours(&self) -> bool {
        self.user_is_ours
    }

    /// Whether it is made by this request, not found.
    pub fn is_new(&self) -> bool {
        self.fresh
    }

    /// Why it is new.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// When it was made; now, if that is not yet so.
    pub fn created(&self, clock: &dyn Clock) -> Time {
        self.base.as_ref().map_or_else(|| clock.now(), |base| base.record.created)
    }

    /// The visit before this one; now, if this is the first.
    pub fn accessed(&self, clock: &dyn Clock) -> Time {
        self.previous_visit.unwrap_or_else(|| clock.now())
    }

    /// Its idle timeout here.
    pub fn timeout(&self) -> std::time::Duration {
        self.rules.timeout_of(self.view.timeout)
    }

    /// Who is logged in.
    pub fn user(&self) -> Option<&str> {
        self.view.user.as_deref()
    }

    /// The value of `key`.
    pub fn get(&self, key: &Key) -> Option<&[u8]> {
        self.view.values.get(key)
    }

    /// Keys and values, in the order in which they were first set; not those that nobody is shown.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.view.values.iter().filter(|(key, _)| !is_hidden(key))
    }

    /// The id in the form that travels; reserves one if there is none yet, which is kept only if
    /// something is stored.
    pub fn wire_id(&mut self, services: &Services<'_>) -> Result<Wire, SessionError> {
        let id = self.reserve_id(services)?;
        Ok(services.secrets.wire(&id))
    }

    /// From now on no cookie can reach the client.
    pub fn head_is_sent(&mut self) {
        self.head_sent = true;
    }

    /// What happened since the last call and belongs into the log.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    pub(super) fn may_write(&self) -> Result<(), SessionError> {
        match self.phase {
            Phase::Writing => Ok(()),
            Phase::Absent => Err(SessionError::Absent),
            Phase::Closed | Phase::Reading => Err(SessionError::ReadOnly),
        }
    }

    /// The next record gets an id of its own.
    pub(super) fn forget_id(&mut self) {
        self.name = Naming::default();
    }

    pub(super) fn reserve_id(
        &mut self,
        services: &Services<'_>,
    ) -> Result<SessionId, SessionError> {
        match self.name.id {
            Some(id) => Ok(id),
            None => {
                let id = SessionId::generate(services.random).map_err(SessionError::Random)?;
                Ok(*self.name.id.insert(id))
            }
        }
    }

    /// There is no session any more: the next record is another one.
    pub(super) fn start_anew(&mut self, reason: Reason) {
        self.base = None;
        self.forget_id();
        self.fresh = true;
        self.reason = reason;
        self.previous_visit = None;
        self.regenerate = false;
        self.drop_changes();
    }

    pub(super) fn adopt(&mut self, base: Base, by: Option<Candidate>) {
        self.view.clone_from(&base.record);
        self.touched.clear();
        self.previous_visit.get_or_insert(base.record.accessed);
        if let Some(candidate) = by {
            let Candidate { id, source, .. } = candidate;
            self.name = Naming { id: Some(id), known: true, source: Some(source) };
            self.has_cookie |= candidate.source == Source::Cookie;
        }
        self.fresh = false;
        self.lost = false;
        self.reason = Reason::None;
        self.base = Some(base);
    }
}
