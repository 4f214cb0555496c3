//! Random sequences of what processes do, against the rules written down a second time, without a
//! shared word.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::sim::{SimTable, Waiter, World, key};
use crate::core::clock::{Clock, Monotonic};
use crate::core::lock::table::CONFIRMED;
use crate::core::lock::table::sweep::SWEEP_EVERY;
use crate::core::lock::table::wait::Step;
use crate::core::lock::{Lease, LeaseError, Leases, Wait};

const KEYS: usize = 3;
const PIDS: u32 = 4;
const FAREWELL: u32 = 99;

#[derive(Debug, Clone)]
enum Op {
    Begin {
        pid: u32,
        key: usize,
        timeout: u64,
        hold: Option<u64>,
    },
    /// The number picks one of those that may.
    Look(usize),
    Release(usize),
    Confirm(usize),
    Kill(u32),
    Advance(u64),
    Sweep,
}

fn op() -> impl Strategy<Value = Op> {
    let hold = prop_oneof![Just(None), (1..3000u64).prop_map(Some)];
    let timeout = prop_oneof![Just(0), 1..2000u64];
    prop_oneof![
        6 => (0..PIDS, 0..KEYS, timeout, hold)
            .prop_map(|(pid, key, timeout, hold)| Op::Begin { pid, key, timeout, hold }),
        6 => any::<usize>().prop_map(Op::Look),
        4 => any::<usize>().prop_map(Op::Release),
        2 => any::<usize>().prop_map(Op::Confirm),
        1 => (0..PIDS).prop_map(Op::Kill),
        4 => (1..1500u64).prop_map(Op::Advance),
        1 => Just(Op::Sweep),
    ]
}

#[derive(Debug, Clone)]
struct Claim {
    id: usize,
    pid: u32,
    hold: Option<u64>,
    until: Option<Monotonic>,
}

#[derive(Debug, Default)]
struct Queue {
    holder: Option<Claim>,
    waiting: Vec<Claim>,
}

#[derive(Debug, PartialEq)]
enum Fate {
    Held,
    Waiting,
    Refused(LeaseError),
}

#[derive(Default)]
struct Model {
    queues: [Queue; KEYS],
    dead: BTreeSet<u32>,
    swept: Option<Monotonic>,
    now: Monotonic,
}

impl Model {
    fn settle(&mut self, key: usize) {
        let now = self.now;
        let queue = &mut self.queues[key];
        queue.holder.take_if(|holder| holder.until.is_some_and(|until| now >= until));
        if queue.holder.is_none() && !queue.waiting.is_empty() {
            let mut heir = queue.waiting.remove(0);
            heir.until = heir.hold.map(|hold| now.after(Duration::from_millis(hold)));
            queue.holder = Some(heir);
        }
    }

    /// Those of the key that are dead, among the holder and the waiters before `id`.
    fn dead_before(&self, key: usize, id: usize) -> BTreeSet<u32> {
        let queue = &self.queues[key];
        let older = queue.waiting.iter().take_while(|claim| claim.id != id);
        let pids = queue.holder.iter().chain(older).map(|claim| claim.pid);
        pids.filter(|pid| self.dead.contains(pid)).collect()
    }

    fn bury(&mut self, key: usize, dead: &BTreeSet<u32>) {
        let queue = &mut self.queues[key];
        queue.holder.take_if(|holder| dead.contains(&holder.pid));
        queue.waiting.retain(|claim| !dead.contains(&claim.pid));
        self.settle(key);
    }

    fn sweep(&mut self) {
        let dead = self.dead.clone();
        for key in 0..KEYS {
            let queue = &self.queues[key];
            if queue.holder.iter().chain(&queue.waiting).any(|claim| dead.contains(&claim.pid)) {
                self.bury(key, &dead);
            }
        }
    }

    fn begin(&mut self, key: usize, mut claim: Claim, late: bool, wait: &Wait) -> Fate {
        loop {
            self.settle(key);
            if self.queues[key].holder.is_none() {
                let now = self.now;
                claim.until = claim.hold.map(|hold| now.after(Duration::from_millis(hold)));
                self.queues[key].holder = Some(claim);
                return Fate::Held;
            }
            if late {
                let dead = self.dead_before(key, usize::MAX);
                if dead.is_empty() {
                    return Fate::Refused(LeaseError::TimedOut);
                }
                self.bury(key, &dead);
                continue;
            }
            let in_all: usize = self.queues.iter().map(|queue| queue.waiting.len()).sum();
            let here = self.queues[key].waiting.len();
            if here < wait.waiters as usize && in_all < wait.waiters_in_all as usize {
                self.queues[key].waiting.push(claim);
                return Fate::Waiting;
            }
            if self.swept.is_some_and(|at| self.now.since(at) < SWEEP_EVERY) {
                return Fate::Refused(LeaseError::TooManyWaiters);
            }
            self.swept = Some(self.now);
            self.sweep();
        }
    }

    fn holds(&self, key: usize, id: usize) -> bool {
        self.queues[key].holder.as_ref().is_some_and(|holder| holder.id == id)
    }

    fn waits(&self, key: usize, id: usize) -> bool {
        self.queues[key].waiting.iter().any(|claim| claim.id == id)
    }

    fn look(&mut self, key: usize, claim: Claim, late: bool, wait: &Wait) -> Fate {
        let id = claim.id;
        if self.holds(key, id) {
            return Fate::Held;
        }
        self.settle(key);
        if self.waits(key, id) {
            let dead = self.dead_before(key, id);
            if dead.is_empty() && !late {
                return Fate::Waiting;
            }
            self.bury(key, &dead);
            if self.waits(key, id) && late {
                self.queues[key].waiting.retain(|claim| claim.id != id);
                return Fate::Refused(LeaseError::TimedOut);
            }
        }
        if self.holds(key, id) {
            Fate::Held
        } else if self.waits(key, id) {
            Fate::Waiting
        } else {
            self.begin(key, claim, late, wait)
        }
    }

    fn release(&mut self, key: usize, id: usize) {
        if self.holds(key, id) {
            self.queues[key].holder = None;
            self.settle(key);
        }
    }

    fn confirm(&mut self, key: usize, id: usize) -> bool {
        let safe = self.now.after(CONFIRMED);
        let holds = self.holds(key, id);
        if let Some(until) = self.queues[key].holder.as_mut().and_then(|h| h.until.as_mut())
            && holds
        {
            *until = (*until).max(safe);
        }
        holds
    }
}

/// A request that runs.
struct Request {
    claim: Claim,
    key: usize,
    deadline: Monotonic,
    wait: Wait,
    at: At,
}

enum At {
    Holding(Lease),
    Waiting(Waiter),
}

struct Run {
    world: std::sync::Arc<World>,
    tables: Vec<SimTable>,
    model: Model,
    requests: Vec<Request>,
    made: usize,
}

impl Run {
    fn new(slots: u32) -> Run {
        let world = World::new(slots, 128);
        let tables = (0..PIDS).map(|pid| world.process(pid + 1)).collect();
        let model = Model { now: world.clock.monotonic(), ..Model::default() };
        Run { world, tables, model, requests: Vec::new(), made: 0 }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Begin { pid, .. } if self.model.dead.contains(&pid) => {}
            Op::Begin { pid, key, timeout, hold } => self.begin(pid, key, timeout, hold),
            Op::Look(number) => {
                if let Some(request) = self.pick(number, |at| matches!(at, At::Waiting(_))) {
                    self.look(request);
                }
            }
            Op::Release(number) => {
                if let Some(request) = self.pick(number, |at| matches!(at, At::Holding(_))) {
                    self.release(request);
                }
            }
            Op::Confirm(number) => {
                if let Some(request) = self.pick(number, |at| matches!(at, At::Holding(_))) {
                    self.confirm(request);
                }
            }
            Op::Kill(pid) => {
                self.world.kill(pid + 1);
                self.model.dead.insert(pid);
                self.requests.retain(|request| request.claim.pid != pid);
            }
            Op::Advance(millis) => {
                self.world.advance(Duration::from_millis(millis));
                self.model.now = self.world.clock.monotonic();
            }
            Op::Sweep => {
                self.world.process(FAREWELL).sweep();
                self.model.sweep();
            }
        }
        self.compare();
    }

    fn pick(&mut self, number: usize, may: fn(&At) -> bool) -> Option<Request> {
        let able: Vec<usize> =
            (0..self.requests.len()).filter(|&at| may(&self.requests[at].at)).collect();
        let chosen = *able.get(number.checked_rem(able.len())?)?;
        Some(self.requests.remove(chosen))
    }

    fn begin(&mut self, pid: u32, number: usize, timeout: u64, hold: Option<u64>) {
        self.made += 1;
        let timeout = Duration::from_millis(timeout);
        let deadline = self.model.now.after(timeout);
        let hold_time = hold.map(Duration::from_millis);
        let wait = Wait { timeout, hold: hold_time, waiters: 4, waiters_in_all: 6 };
        let claim = Claim { id: self.made, pid, hold, until: None };
        let fate = self.model.begin(number, claim.clone(), timeout.is_zero(), &wait);
        let table = &self.tables[pid as usize];
        let want = table.want(&key(number as u8), &wait);
        let (real, at) = match table.begin(&want) {
            Ok(Step::Held(lease)) => (Fate::Held, Some(At::Holding(lease))),
            Ok(Step::Waiting(place)) => {
                (Fate::Waiting, Some(At::Waiting(Waiter { want, place: Some(place) })))
            }
            Err(cause) => (Fate::Refused(cause), None),
        };
        assert_eq!(real, fate);
        self.requests.extend(at.map(|at| Request { claim, key: number, deadline, wait, at }));
    }

    fn look(&mut self, mut request: Request) {
        let late = self.model.now >= request.deadline;
        let fate = self.model.look(request.key, request.claim.clone(), late, &request.wait);
        let At::Waiting(waiter) = &mut request.at else { unreachable!() };
        let real = match waiter.look(&self.tables[request.claim.pid as usize]) {
            None => Fate::Waiting,
            Some(Ok(lease)) => {
                request.at = At::Holding(lease);
                Fate::Held
            }
            Some(Err(cause)) => Fate::Refused(cause),
        };
        assert_eq!(real, fate);
        if !matches!(real, Fate::Refused(_)) {
            self.requests.push(request);
        }
    }

    fn release(&mut self, request: Request) {
        self.model.release(request.key, request.claim.id);
        let At::Holding(lease) = request.at else { unreachable!() };
        self.tables[request.claim.pid as usize].release(lease);
    }

    fn confirm(&mut self, request: Request) {
        let expected = self.model.confirm(request.key, request.claim.id);
        let At::Holding(lease) = &request.at else { unreachable!() };
        let confirmed = self.tables[request.claim.pid as usize].confirm(lease).unwrap();
        assert_eq!(confirmed, expected);
        self.requests.push(request);
    }

    fn compare(&self) {
        self.world.assert_whole();
        let mut waiting = 0;
        for (number, queue) in self.model.queues.iter().enumerate() {
            let real = self.world.holder(&key(number as u8)).map(|(pid, _)| pid - 1);
            assert_eq!(real, queue.holder.as_ref().map(|holder| holder.pid));
            waiting += queue.waiting.len() as u64;
        }
        assert_eq!(self.tables[0].statistics().waiting, waiting);
    }

    /// Everybody alive comes to an end, the dead are swept, and nothing is left.
    fn finish(mut self) {
        for _ in 0..1000 {
            let Some(request) = self.requests.pop() else { break };
            match request.at {
                At::Holding(_) => self.release(request),
                At::Waiting(_) => {
                    self.step(Op::Advance(100));
                    self.look(request);
                }
            }
        }
        assert!(self.requests.is_empty(), "somebody waits for ever");
        self.step(Op::Sweep);
        self.world.assert_empty();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(300)
    })]

    #[test]
    fn any_sequence_ends_as_the_rules_say(
        slots in 1..4u32,
        ops in prop::collection::vec(op(), 1..80),
    ) {
        let mut run = Run::new(slots);
        ops.into_iter().for_each(|op| run.step(op));
        run.finish();
    }
}
