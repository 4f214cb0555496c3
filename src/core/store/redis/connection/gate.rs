//! What keeps requests from a server that does not answer: one of them tries, after a while that grows,
//! and all others fail at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// First while, after a server failed.
const FIRST: Duration = Duration::from_millis(50);
/// Longest while.
const LONGEST: Duration = Duration::from_secs(2);

/// Open while its server answers.
#[derive(Debug, Default)]
pub struct Gate {
    shut: AtomicBool,
    /// [`State::turn`], to be read without its mutex.
    turn: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts failures and recoveries: what a request says of the server is old news if it began before.
    turn: u64,
    /// From when on somebody may try; none while the server answers.
    next: Option<Instant>,
    pause: Duration,
    /// Somebody tries at the moment.
    trying: bool,
    why: String,
}

/// The way through, to be given back with what became of it.
#[derive(Debug)]
pub struct Pass<'a> {
    gate: &'a Gate,
    turn: u64,
    tries: bool,
}

impl Pass<'_> {
    /// Whether the server failed before, and this is to find out if it is back.
    pub fn tries(&self) -> bool {
        self.tries
    }

    /// The server answered.
    pub fn worked(mut self) {
        if std::mem::take(&mut self.tries) {
            let mut state = self.gate.state();
            *state = State { turn: state.turn + 1, ..State::default() };
            self.gate.turn.store(state.turn, Ordering::Release);
            self.gate.shut.store(false, Ordering::Release);
        }
    }

    /// It did not. The while grows only if this was a try: many requests see one failure.
    pub fn failed(mut self, why: &str) {
        let mut state = self.gate.state();
        if std::mem::take(&mut self.tries) {
            state.pause = (state.pause * 2).min(LONGEST);
        } else if state.next.is_none() && state.turn == self.turn {
            state.pause = FIRST;
        } else {
            return;
        }
        state.turn += 1;
        self.gate.turn.store(state.turn, Ordering::Release);
        state.trying = false;
        state.next = Some(Instant::now() + state.pause);
        why.clone_into(&mut state.why);
        self.gate.shut.store(true, Ordering::Release);
    }
}

/// Who tried and found nothing out lets another one try.
impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.tries {
            self.gate.state().trying = false;
        }
    }
}

/// There is no way through.
#[derive(Debug)]
pub struct Shut {
    /// Why the server counts as failed.
    pub why: String,
    /// In how long it is tried again.
    pub left: Duration,
}

impl Gate {
    /// Asks for a way through.
    pub fn enter(&self) -> Result<Pass<'_>, Shut> {
        let turn = self.turn.load(Ordering::Acquire);
        if !self.shut.load(Ordering::Acquire) {
            return Ok(Pass { gate: self, turn, tries: false });
        }
        let mut state = self.state();
        let pass = |tries| Pass { gate: self, turn: state.turn, tries };
        let Some(next) = state.next else { return Ok(pass(false)) };
        let left = next.saturating_duration_since(Instant::now());
        if state.trying || !left.is_zero() {
            return Err(Shut { why: state.why.clone(), left });
        }
        let pass = pass(true);
        state.trying = true;
        Ok(pass)
    }

    /// Whether its server counts as failed.
    pub fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass_when_due(gate: &Gate) -> Pass<'_> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match gate.enter() {
                Ok(pass) => return pass,
                Err(_) => assert!(Instant::now() < deadline, "nobody may try"),
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn after_a_failure_one_tries_and_the_others_fail_at_once() {
        let gate = Gate::default();
        let (first, second) = (gate.enter().unwrap(), gate.enter().unwrap());
        first.failed("refused");
        assert_eq!(gate.enter().unwrap_err().why, "refused");
        second.failed("old news");
        assert_eq!(gate.enter().unwrap_err().why, "refused");
        let trying = pass_when_due(&gate);
        assert!(trying.tries());
        assert!(gate.enter().is_err(), "one at a time");
        trying.worked();
        assert!(!gate.enter().unwrap().tries());
    }

    #[test]
    fn the_pause_grows_with_each_try_and_begins_anew_after_a_success() {
        let gate = Gate::default();
        gate.enter().unwrap().failed("first");
        assert!(gate.enter().unwrap_err().left <= FIRST);
        pass_when_due(&gate).failed("second");
        let left = gate.enter().unwrap_err().left;
        assert!(left > FIRST && left <= FIRST * 2, "{left:?}");
        pass_when_due(&gate).worked();
        gate.enter().unwrap().failed("third");
        assert!(gate.enter().unwrap_err().left <= FIRST);
    }

    #[test]
    fn the_pause_does_not_grow_past_the_longest() {
        let gate = Gate::default();
        gate.enter().unwrap().failed("first");
        let trying = pass_when_due(&gate);
        gate.state().pause = LONGEST - Duration::from_millis(1);
        trying.failed("once more");
        let left = gate.enter().unwrap_err().left;
        assert!(left <= LONGEST && left > LONGEST / 2, "{left:?}");
    }

    #[test]
    fn who_began_before_the_server_failed_says_nothing_of_the_one_that_is_back() {
        let gate = Gate::default();
        let late = gate.enter().unwrap();
        gate.enter().unwrap().failed("gone");
        pass_when_due(&gate).worked();
        late.failed("gone");
        assert!(gate.enter().is_ok());
    }

    #[test]
    fn who_tries_and_finds_nothing_out_lets_another_one_try() {
        let gate = Gate::default();
        gate.enter().unwrap().failed("gone");
        drop(pass_when_due(&gate));
        assert!(gate.enter().unwrap().tries());
    }
}
