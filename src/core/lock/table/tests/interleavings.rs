//! The steps of two or three processes in many orders, chosen by a scheduler. Every access to a
//! shared word, every mutex and every sleep is a point where another may go on.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use shuttle::sync::{Arc, Condvar, Mutex};
use shuttle::{check_pct, check_random, thread};

use super::sim::{key, seconds};
use crate::core::clock::{Clock, ManualClock, Monotonic, Time};
use crate::core::lock::host::{Owner, Owners, Parking, Words};
use crate::core::lock::table::layout::State;
use crate::core::lock::table::{CONFIRMED, Layout, Table};
use crate::core::lock::{LeaseError, Leases, MutexError, SlotMutexes, Wait};

/// How a sleep ends.
#[derive(Clone, Copy, PartialEq)]
enum Sleep {
    /// Only by being woken: a lost wake-up is a deadlock, which the scheduler reports.
    UntilWoken,
    /// By being woken, or at any moment with the whole time gone.
    UntilWokenOrOver,
    /// After its time.
    Over,
}

struct Machine {
    layout: Layout,
    sleep: Sleep,
    clock: ManualClock,
    words: Vec<AtomicU64>,
    mutexes: Vec<(Mutex<bool>, Condvar)>,
    parked: (Mutex<()>, Condvar),
    // Plain mutexes: held for one statement, and no point to switch at.
    dead: StdMutex<BTreeSet<u32>>,
    inside: [AtomicU32; 2],
}

#[derive(Clone)]
struct Process {
    machine: Arc<Machine>,
    pid: u32,
    /// Stores left to live.
    life: Arc<StdMutex<Option<usize>>>,
    mutex: Arc<StdMutex<Option<u32>>>,
}

type SharedTable = Table<Process, Process, Process, Process>;

struct Killed;

impl Machine {
    fn new(slots: u32, sleep: Sleep) -> Arc<Machine> {
        let layout = Layout::new(slots, 4).unwrap();
        let machine = Arc::new(Machine {
            layout,
            sleep,
            clock: ManualClock::new(Time::from_secs(1000)),
            words: (0..layout.words()).map(|_| AtomicU64::new(0)).collect(),
            mutexes: (0..=slots).map(|_| (Mutex::new(false), Condvar::new())).collect(),
            parked: (Mutex::new(()), Condvar::new()),
            dead: StdMutex::default(),
            inside: [AtomicU32::new(0), AtomicU32::new(0)],
        });
        let process = Process::new(&machine, 1);
        let [words, owners, clock, mutexes] = [(); 4].map(|()| process.clone());
        Table::create(layout, words, owners, clock, mutexes);
        machine
    }

    fn assert_empty(self: &Arc<Machine>) {
        let table = Process::new(self, 99).table();
        table.sweep();
        // Both kinds of list are in use again, and so repaired.
        let wait = Wait { timeout: seconds(0), ..wait(None) };
        let numbers = 0..self.layout.entries() as u8;
        let leases: Vec<_> =
            numbers.map(|number| table.acquire(&key(number), &wait).unwrap()).collect();
        leases.into_iter().for_each(|lease| table.release(lease));
        for entry in 0..self.layout.entries() {
            assert_eq!(table.cells.meta(entry).state, State::Free);
        }
        assert_eq!(table.statistics().waiting, 0);
    }
}

impl Process {
    fn new(machine: &Arc<Machine>, pid: u32) -> Process {
        let (life, mutex) = (Arc::default(), Arc::default());
        Process { machine: machine.clone(), pid, life, mutex }
    }

    fn table(&self) -> SharedTable {
        let [words, owners, clock, mutexes] = [(); 4].map(|()| self.clone());
        Table::open(self.machine.layout, words, owners, clock, mutexes).unwrap()
    }

    fn burn(&self) {
        match &mut *self.life.lock().unwrap() {
            Some(0) => {}
            Some(left) => {
                *left -= 1;
                return;
            }
            None => return,
        }
        resume_unwind(Box::new(Killed));
    }

    /// Runs `work`, killed after `stores`: then its mutex is free, as a robust one is.
    fn until_killed(&self, stores: usize, work: impl FnOnce()) {
        *self.life.lock().unwrap() = Some(stores);
        if let Err(cause) = catch_unwind(AssertUnwindSafe(work))
            && !cause.is::<Killed>()
        {
            resume_unwind(cause);
        }
        self.machine.dead.lock().unwrap().insert(self.pid);
        if let Some(index) = self.mutex.lock().unwrap().take() {
            self.give_back(index);
        }
    }

    fn give_back(&self, index: u32) {
        let (taken, given_back) = &self.machine.mutexes[index as usize];
        *taken.lock().unwrap() = false;
        given_back.notify_one();
    }

    /// Enters what the lease of the key guards; nobody alive may be there.
    fn enter(&self, number: u8) {
        let before = self.machine.inside[usize::from(number)].swap(self.pid, Ordering::SeqCst);
        let dead = self.machine.dead.lock().unwrap().contains(&before);
        assert!(before == 0 || dead, "{before} and {} hold one key", self.pid);
    }

    fn exit(&self, number: u8) {
        let before = self.machine.inside[usize::from(number)].swap(0, Ordering::SeqCst);
        assert_eq!(before, self.pid);
    }
}

impl Words for Process {
    fn load(&self, index: usize) -> u64 {
        self.machine.words[index].load(Ordering::Acquire)
    }

    fn store(&self, index: usize, value: u64) {
        self.burn();
        self.machine.words[index].store(value, Ordering::Release);
    }

    fn add(&self, index: usize, value: u64) {
        self.burn();
        self.machine.words[index].fetch_add(value, Ordering::Relaxed);
    }
}

impl Parking for Process {
    fn park(&self, word: usize, expected: u32, timeout: Duration) {
        let early = match self.machine.sleep {
            Sleep::UntilWoken => false,
            Sleep::UntilWokenOrOver => thread_rng().gen_bool(0.5),
            Sleep::Over => true,
        };
        if early {
            self.machine.clock.advance(timeout);
            thread::yield_now();
            return;
        }
        let (parked, woken) = &self.machine.parked;
        let mut parked = parked.lock().unwrap();
        while self.load(word) as u32 == expected {
            parked = woken.wait(parked).unwrap();
        }
    }

    fn unpark(&self, _word: usize) {
        drop(self.machine.parked.0.lock().unwrap());
        self.machine.parked.1.notify_all();
    }
}

impl Owners for Process {
    fn me(&self) -> Owner {
        Owner { pid: self.pid, start: 7 }
    }

    fn alive(&self, owner: Owner) -> bool {
        !self.machine.dead.lock().unwrap().contains(&owner.pid)
    }
}

impl Clock for Process {
    fn now(&self) -> Time {
        self.machine.clock.now()
    }

    fn monotonic(&self) -> Monotonic {
        self.machine.clock.monotonic()
    }
}

impl SlotMutexes for Process {
    fn count(&self) -> u32 {
        self.machine.layout.slots()
    }

    fn lock(&self, index: u32) -> Result<(), MutexError> {
        let (taken, given_back) = &self.machine.mutexes[index as usize];
        let mut taken = taken.lock().unwrap();
        while *taken {
            taken = given_back.wait(taken).unwrap();
        }
        *taken = true;
        let before = self.mutex.lock().unwrap().replace(index);
        assert_eq!(before, None, "a second mutex");
        Ok(())
    }

    fn unlock(&self, index: u32) {
        // The dead give nothing back; see `until_killed`.
        if !std::thread::panicking() {
            assert_eq!(self.mutex.lock().unwrap().take(), Some(index));
            self.give_back(index);
        }
    }
}

fn wait(hold: Option<Duration>) -> Wait {
    Wait { timeout: seconds(100_000), hold, waiters: 9, waiters_in_all: 9 }
}

fn run(machine: &Arc<Machine>, work: impl Fn(Process) + Send + Sync + 'static, processes: u32) {
    let work = Arc::new(work);
    let threads: Vec<_> = (0..processes)
        .map(|number| {
            let (work, process) = (work.clone(), Process::new(machine, number + 2));
            thread::spawn(move || work(process))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Three processes take one of `keys` keys twice each; nobody dies and nobody is in a hurry.
fn takes_turns(slots: u32, keys: u8) {
    let machine = Machine::new(slots, Sleep::UntilWoken);
    let work = move |process: Process| {
        let table = process.table();
        for _ in 0..2 {
            let number = thread_rng().gen_range(0..keys);
            let lease = table.acquire(&key(number), &wait(Some(seconds(300)))).unwrap();
            process.enter(number);
            assert!(table.confirm(&lease).unwrap());
            process.exit(number);
            table.release(lease);
        }
    };
    run(&machine, work, 3);
    machine.assert_empty();
}

#[test]
fn one_holder_at_a_time_and_every_wake_up_arrives() {
    check_random(|| takes_turns(1, 1), 300);
    check_pct(|| takes_turns(1, 1), 150, 4);
}

#[test]
fn two_keys_share_a_slot_or_have_one_each() {
    check_random(|| takes_turns(1, 2), 200);
    check_random(|| takes_turns(2, 2), 200);
}

/// Waits end by hand-over and by time, at the same moment too.
fn runs_out_of_time(slots: u32) {
    let machine = Machine::new(slots, Sleep::UntilWokenOrOver);
    let work = |process: Process| {
        let table = process.table();
        for _ in 0..2 {
            let number = thread_rng().gen_range(0..2);
            let hurry = Wait { timeout: Duration::from_millis(300), ..wait(None) };
            match table.acquire(&key(number), &hurry) {
                Ok(lease) => {
                    process.enter(number);
                    process.exit(number);
                    table.release(lease);
                }
                Err(cause) => assert_eq!(cause, LeaseError::TimedOut),
            }
        }
    };
    run(&machine, work, 3);
    machine.assert_empty();
}

#[test]
fn a_wait_that_ends_leaves_nothing_behind() {
    check_random(|| runs_out_of_time(1), 300);
    check_pct(|| runs_out_of_time(2), 150, 4);
}

/// One process is killed somewhere; the others get what they want nevertheless.
fn outlives_a_kill(slots: u32) {
    let machine = Machine::new(slots, Sleep::Over);
    let work = |process: Process| {
        let table = process.table();
        let turns = || {
            for _ in 0..2 {
                let number = thread_rng().gen_range(0..2);
                let lease = table.acquire(&key(number), &wait(None)).unwrap();
                process.enter(number);
                assert!(table.confirm(&lease).unwrap());
                process.exit(number);
                table.release(lease);
            }
        };
        match process.pid {
            2 => process.until_killed(thread_rng().gen_range(0..60), turns),
            _ => turns(),
        }
    };
    run(&machine, work, 3);
    machine.assert_empty();
}

#[test]
fn a_kill_anywhere_costs_the_others_nothing() {
    check_random(|| outlives_a_kill(1), 400);
    check_random(|| outlives_a_kill(2), 200);
}

/// Leases are held too long: who confirms one is the only one who does. Each moves the clock by less than
/// `step` milliseconds three times; so do the sleeps of those that wait.
fn holds_too_long(hold: Duration, step: u64) {
    let machine = Machine::new(1, Sleep::Over);
    let work = move |process: Process| {
        let table = process.table();
        let lease = table.acquire(&key(0), &wait(Some(hold))).unwrap();
        for _ in 0..3 {
            process.machine.clock.advance(Duration::from_millis(thread_rng().gen_range(0..step)));
            thread::yield_now();
        }
        if table.confirm(&lease).unwrap() {
            process.enter(0);
            process.exit(0);
        }
        table.release(lease);
    };
    run(&machine, work, 3);
    machine.assert_empty();
}

#[test]
fn a_confirmed_lease_is_the_only_one() {
    check_random(|| holds_too_long(Duration::from_millis(100), 60), 300);
    // With more than it is safe for left, a lease is confirmed without the mutex.
    check_random(|| holds_too_long(CONFIRMED + Duration::from_secs(3), 1600), 300);
}
