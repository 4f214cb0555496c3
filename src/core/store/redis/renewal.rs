//! The thread of a process that keeps held sessions held, and lets go what was dropped.
//!
//! It is started with the first session that is held, so never before the process was forked, and ends
//! with the store. Should it not get through to Redis, sessions end there by themselves.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use redis::Value;

use super::Shared;
use super::scripts::Run;

/// Most scripts that are sent at once.
const BATCH: usize = 256;
/// How much earlier than Redis we take a session for lost: it counts whole milliseconds.
const MARGIN: Duration = Duration::from_millis(5);
/// For how long sessions that are let go are gathered, so that they go together: another machine that
/// waits for one looks again later than this.
const GATHER: Duration = Duration::from_millis(2);
/// How long the thread stays awake with nothing to renew: waking it costs the next request a call of the
/// system.
const LINGER: Duration = Duration::from_secs(60);

/// How long a session is held.
pub struct Tenure {
    name: Vec<u8>,
    /// The word that tells this holding from every other one.
    pub token: String,
    start: Instant,
    /// Until when it surely is ours, in microseconds since the start.
    until: AtomicU64,
    lost: AtomicBool,
    lease: Duration,
    /// For how long it may be renewed; none: for ever.
    hold: Option<Duration>,
}

impl Tenure {
    /// Held by `token` for `lease` since `sent`, when Redis was asked for it; to be renewed for `hold`.
    pub fn new(
        name: Vec<u8>,
        token: String,
        (sent, lease): (Instant, Duration),
        hold: Option<Duration>,
    ) -> Tenure {
        let until = AtomicU64::new(micros(lease.saturating_sub(MARGIN)));
        Tenure { name, token, start: sent, until, lost: AtomicBool::new(false), lease, hold }
    }

    /// Whether nobody else can have it yet.
    pub fn is_ours(&self) -> bool {
        !self.lost.load(Ordering::Acquire)
            && micros(self.start.elapsed()) < self.until.load(Ordering::Acquire)
    }

    /// For how long it is to be renewed now; none if it is not to be, or not yet.
    fn extension(&self, now: Instant) -> Option<Duration> {
        let age = now.saturating_duration_since(self.start);
        let left = self.until.load(Ordering::Acquire).saturating_sub(micros(age));
        // What was held for the first third is renewed, so that there are two more attempts.
        if left > micros(self.lease) / 3 * 2 {
            return None;
        }
        let rest = self.hold.map_or(self.lease, |hold| hold.saturating_sub(age));
        let extension = rest.min(self.lease);
        // Near the end of the hold there is nothing to be won.
        (micros(extension) > left + micros(self.lease) / 10).then_some(extension)
    }

    fn extended(&self, sent: Instant, by: Duration) {
        let by = by.saturating_sub(MARGIN);
        let end = micros(sent.saturating_duration_since(self.start) + by);
        self.until.store(end, Ordering::Release);
    }
}

fn micros(span: Duration) -> u64 {
    span.as_micros().try_into().unwrap_or(u64::MAX)
}

/// What the thread has to do.
#[derive(Default)]
pub struct Renewal {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    held: HashMap<usize, Arc<Tenure>>,
    dropped: Vec<Arc<Tenure>>,
    /// There is a thread.
    runs: bool,
    /// It sleeps until it is woken.
    sleeps: bool,
    /// It has been told that there is something to let go.
    gathers: bool,
    over: bool,
}

/// What there is to do at the moment.
struct Work {
    dropped: Vec<Arc<Tenure>>,
    due: Vec<Arc<Tenure>>,
}

impl Renewal {
    /// Renews from now on.
    pub fn add(&self, shared: &Arc<Shared>, tenure: &Arc<Tenure>) {
        let mut state = self.state();
        state.held.insert(number(tenure), Arc::clone(tenure));
        self.see_to_it(state, shared, false);
    }

    /// It was let go.
    pub fn forget(&self, tenure: &Arc<Tenure>) {
        self.state().held.remove(&number(tenure));
    }

    /// Lets it go, soon.
    pub fn let_go(&self, shared: &Arc<Shared>, tenure: &Arc<Tenure>) {
        let mut state = self.state();
        state.held.remove(&number(tenure));
        state.dropped.push(Arc::clone(tenure));
        let first = !std::mem::replace(&mut state.gathers, true);
        self.see_to_it(state, shared, first);
    }

    /// There is a thread, and if it is to do something now it does. Without one, what is held ends.
    fn see_to_it(&self, mut state: MutexGuard<'_, State>, shared: &Arc<Shared>, now: bool) {
        if !state.runs {
            let (renewal, weak) = (Arc::clone(&shared.renewal), Arc::downgrade(shared));
            let body = move || work(&renewal, &weak);
            state.runs = (shared.spawn)("session-redis", Box::new(body)).is_ok();
        }
        let wake = now || state.sleeps;
        state.sleeps = false;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// The store is closed.
    pub fn end(&self) {
        self.state().over = true;
        self.wake.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be let go and to be renewed; sleeps until there is something. None at the end.
    fn next(&self, tick: Duration) -> Option<Work> {
        let mut state = self.state();
        let (mut quiet, mut gathered) = (Instant::now(), None);
        loop {
            if state.over {
                return None;
            }
            let now = Instant::now();
            let due = |tenure: &&Arc<Tenure>| tenure.extension(now).is_some();
            let due: Vec<_> = state.held.values().filter(due).take(BATCH).cloned().collect();
            if state.gathers && gathered.is_none_or(|since| now - since < GATHER) {
                let since = *gathered.get_or_insert(now);
                let left = GATHER.saturating_sub(now - since);
                let woken = self.wake.wait_timeout(state, left);
                state = woken.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            if !due.is_empty() || !state.dropped.is_empty() {
                state.gathers = state.dropped.len() > BATCH;
                let from = state.dropped.len().saturating_sub(BATCH);
                return Some(Work { dropped: state.dropped.split_off(from), due });
            }
            if !state.held.is_empty() {
                quiet = now;
            }
            state = if now - quiet < LINGER {
                let woken = self.wake.wait_timeout(state, tick);
                woken.unwrap_or_else(PoisonError::into_inner).0
            } else {
                state.sleeps = true;
                let mut state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.sleeps = false;
                quiet = Instant::now();
                state
            };
        }
    }
}

/// An address is a number that no other one has while it lives.
fn number(tenure: &Arc<Tenure>) -> usize {
    Arc::as_ptr(tenure) as usize
}

fn work(renewal: &Renewal, shared: &Weak<Shared>) {
    let Some(lease) = shared.upgrade().map(|shared| shared.lease) else { return };
    while let Some(Work { dropped, due }) = renewal.next(lease / 6) {
        let Some(shared) = shared.upgrade() else { return };
        shared.let_all_go(&dropped);
        if !shared.renew_all(&due) {
            // Redis is out of reach: what is due stays so until it is lost.
            std::thread::sleep((lease / 12).min(Duration::from_secs(1)));
        }
    }
}

impl Shared {
    fn let_all_go(&self, dropped: &[Arc<Tenure>]) {
        let words: Vec<[&[u8]; 1]> = dropped.iter().map(|t| [t.token.as_bytes()]).collect();
        let runs: Vec<Run<'_>> = dropped
            .iter()
            .zip(&words)
            .map(|(tenure, words)| Run::new(&self.scripts.release, &tenure.name, words))
            .collect();
        // What fails ends by itself.
        let _ = self.connections.ask_each("letting sessions go", &runs);
    }

    /// False if none could be renewed for want of an answer.
    fn renew_all(&self, due: &[Arc<Tenure>]) -> bool {
        let now = Instant::now();
        let due: Vec<(&Arc<Tenure>, Duration)> =
            due.iter().filter_map(|t| Some((t, t.extension(now)?))).collect();
        let millis: Vec<String> = due.iter().map(|(_, by)| by.as_millis().to_string()).collect();
        let words: Vec<[&[u8]; 2]> = due
            .iter()
            .zip(&millis)
            .map(|((t, _), by)| [t.token.as_bytes(), by.as_bytes()])
            .collect();
        let runs: Vec<Run<'_>> = due
            .iter()
            .zip(&words)
            .map(|((tenure, _), words)| Run::new(&self.scripts.renew, &tenure.name, words))
            .collect();
        let answers = self.connections.ask_each("renewing held sessions", &runs);
        let mut answered = due.is_empty();
        for ((tenure, by), answer) in due.iter().zip(answers) {
            match answer {
                Ok(Value::Int(1)) => tenure.extended(now, *by),
                Ok(_) => tenure.lost.store(true, Ordering::Release),
                Err(_) => continue,
            }
            answered = true;
            if tenure.lost.load(Ordering::Acquire) {
                self.renewal.forget(tenure);
            }
        }
        answered
    }
}

/// The thread may hold the last reference: it then ends itself.
impl Drop for Shared {
    fn drop(&mut self) {
        self.renewal.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenure_is_renewed_after_its_first_third_until_its_hold_ends() {
        let (start, lease) = (Instant::now(), Duration::from_secs(30));
        let hold = Some(Duration::from_secs(65));
        let tenure = Tenure::new(Vec::new(), String::new(), (start, lease), hold);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(tenure.is_ours());
        assert_eq!(tenure.extension(at(9)), None);
        for (now, by) in [(11, 30), (22, 30), (40, 25)] {
            let by = Duration::from_secs(by);
            assert_eq!(tenure.extension(at(now)), Some(by), "after {now} s");
            tenure.extended(at(now), by);
            assert_eq!(tenure.extension(at(now)), None);
        }
        // What is left is all that it may have.
        for now in 41..80 {
            assert_eq!(tenure.extension(at(now)), None, "after {now} s");
        }
    }
}
