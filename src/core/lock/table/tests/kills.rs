//! A process is killed before each single store of each operation. Whoever comes next has to find
//! what the living hold, get what the dead held, and lose nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::sim::{SimTable, Waiter, World, key, seconds, wait};
use crate::core::lock::{Lease, LeaseError, Leases, Wait};
use crate::core::store::StoreKey;

const VICTIM: u32 = 2;
const BYSTANDER: u32 = 3;
const DEAD_BEFORE: u32 = 4;
const OVERDUE: u32 = 5;
const RESCUERS: [u32; 2] = [6, 7];

/// What the table looks like before the victim's operation.
struct Scene {
    world: Arc<World>,
    victim: SimTable,
    bystander: SimTable,
    /// Leases of the bystander, live and not overdue.
    kept: Vec<(StoreKey, Lease)>,
    /// Waiters of the bystander.
    waiters: Vec<Waiter>,
    /// A lease of the victim.
    lease: Option<Lease>,
    /// A waiter of the victim.
    waiter: Option<Waiter>,
}

impl Scene {
    fn new(slots: u32, overflow: u32) -> Scene {
        let world = World::new(slots, overflow);
        let (victim, bystander) = (world.process(VICTIM), world.process(BYSTANDER));
        let (kept, waiters) = (Vec::new(), Vec::new());
        Scene { world, victim, bystander, kept, waiters, lease: None, waiter: None }
    }

    fn bystander_holds(mut self, number: u8) -> Scene {
        let lease = self.bystander.acquire(&key(number), &for_ever()).unwrap();
        self.kept.push((key(number), lease));
        self
    }

    fn bystander_waits(mut self, number: u8) -> Scene {
        self.waiters.push(Waiter::new(&self.bystander, &key(number), &wait(seconds(600))));
        self
    }

    fn victim_holds(mut self, number: u8) -> Scene {
        self.lease = Some(self.victim.acquire(&key(number), &wait(seconds(0))).unwrap());
        self
    }

    /// The leases that have an end are near it: confirming one writes.
    fn late(self) -> Scene {
        self.world.advance(seconds(295));
        self
    }

    fn victim_waits(mut self, number: u8) -> Scene {
        self.waiter = Some(Waiter::new(&self.victim, &key(number), &wait(seconds(1))));
        self
    }

    fn dead_holds(self, number: u8) -> Scene {
        self.world.process(DEAD_BEFORE).acquire(&key(number), &for_ever()).unwrap();
        self
    }

    fn dead_waits(self, number: u8) -> Scene {
        Waiter::new(&self.world.process(DEAD_BEFORE), &key(number), &for_ever());
        self
    }

    fn overdue_holds(self, number: u8) -> Scene {
        let table = self.world.process(OVERDUE);
        table.acquire(&key(number), &Wait { hold: Some(seconds(1)), ..wait(seconds(0)) }).unwrap();
        self
    }

    fn frees_inline(mut self) -> Scene {
        let (_, lease) = self.kept.remove(0);
        self.bystander.release(lease);
        self
    }

    fn marked(self) -> Scene {
        self.world.mark_all();
        self
    }

    /// Ends the living's leases and waits: each of them is had.
    fn let_the_living_finish(&mut self) {
        for (key, lease) in self.kept.drain(..) {
            assert_eq!(
                self.world.holder(&key),
                Some((BYSTANDER, lease.token)),
                "a live holder lost"
            );
            assert!(self.bystander.confirm(&lease).unwrap());
            self.bystander.release(lease);
        }
        for _ in 0..20 {
            self.waiters.retain_mut(|waiter| match waiter.look(&self.bystander) {
                None => true,
                Some(lease) => {
                    self.bystander.release(lease.unwrap());
                    false
                }
            });
            if self.waiters.is_empty() {
                return;
            }
            self.world.advance(Duration::from_millis(250));
        }
        panic!("a live waiter was forgotten");
    }

    /// The rescuer gets every key, in few steps.
    fn rescue(&self, pid: u32) {
        let rescuer = self.world.process(pid);
        for number in 0..6 {
            self.world.parks.store(0, Relaxed);
            let lease = rescuer.acquire(&key(number), &wait(seconds(60))).unwrap();
            assert!(self.world.parks.load(Relaxed) <= 4, "{:?} parks", self.world.parks);
            assert_eq!(self.world.holder(&key(number)), Some((pid, lease.token)));
            rescuer.release(lease);
        }
    }
}

fn for_ever() -> Wait {
    Wait { hold: None, ..wait(seconds(600)) }
}

type Act = fn(&mut Scene);
/// A name, what there is before, and what the victim does.
type Scenario = (&'static str, fn() -> Scene, Act);

fn acquires_one(scene: &mut Scene) {
    let outcome = scene.victim.acquire(&key(1), &wait(seconds(1)));
    assert!(matches!(outcome, Ok(_) | Err(LeaseError::TimedOut)), "{outcome:?}");
}

fn tries_one(scene: &mut Scene) {
    let _ = scene.victim.acquire(&key(1), &wait(seconds(0)));
}

fn releases(scene: &mut Scene) {
    let lease = scene.lease.take().unwrap();
    scene.victim.release(lease);
}

fn confirms(scene: &mut Scene) {
    assert!(scene.victim.confirm(scene.lease.as_ref().unwrap()).unwrap());
}

fn looks(scene: &mut Scene) {
    scene.waiter.as_mut().unwrap().look(&scene.victim);
}

fn sweeps(scene: &mut Scene) {
    scene.victim.sweep();
}

/// Slots 1: keys share the slot. The second key of a scene has an entry of the free list.
fn scenarios() -> Vec<Scenario> {
    vec![
        ("takes the slot's own entry", || Scene::new(2, 4), acquires_one),
        ("takes a spare", || Scene::new(1, 4).bystander_holds(0), acquires_one),
        ("waits on a spare", || Scene::new(1, 4).bystander_holds(1), acquires_one),
        (
            "waits on the slot's own entry",
            || Scene::new(1, 4).bystander_holds(0).bystander_holds(1).frees_inline(),
            acquires_one,
        ),
        ("confirms", || Scene::new(1, 4).bystander_holds(0).victim_holds(1).late(), confirms),
        ("releases the slot's own entry", || Scene::new(1, 4).victim_holds(1), releases),
        ("releases a spare", || Scene::new(1, 4).bystander_holds(0).victim_holds(1), releases),
        (
            "releases a spare in the middle of the list",
            || {
                Scene::new(1, 4)
                    .bystander_holds(0)
                    .bystander_holds(2)
                    .victim_holds(1)
                    .bystander_holds(3)
            },
            releases,
        ),
        (
            "hands the slot's own entry over",
            || Scene::new(1, 4).victim_holds(1).bystander_waits(1).bystander_waits(1),
            releases,
        ),
        (
            "hands a spare over",
            || Scene::new(1, 6).bystander_holds(0).victim_holds(1).bystander_waits(1).dead_waits(1),
            releases,
        ),
        (
            "finds the holder dead, being the oldest waiter",
            || Scene::new(1, 6).bystander_holds(0).dead_holds(1).victim_waits(1).bystander_waits(1),
            looks,
        ),
        (
            "finds the holder dead, being the youngest waiter",
            || Scene::new(1, 6).dead_holds(1).dead_waits(1).bystander_waits(1).victim_waits(1),
            looks,
        ),
        ("does not wait for the dead", || Scene::new(1, 6).dead_holds(1).dead_waits(1), tries_one),
        (
            "takes an overdue lease",
            || Scene::new(1, 4).bystander_holds(0).overdue_holds(1),
            acquires_one,
        ),
        (
            "hands an overdue lease to the oldest waiter",
            || Scene::new(1, 6).bystander_holds(0).overdue_holds(1).bystander_waits(1),
            acquires_one,
        ),
        (
            "sweeps",
            || {
                Scene::new(2, 6)
                    .dead_holds(0)
                    .dead_holds(2)
                    .dead_waits(0)
                    .bystander_waits(2)
                    .bystander_holds(3)
            },
            sweeps,
        ),
        (
            "sweeps a full table",
            || Scene::new(1, 3).bystander_holds(0).dead_holds(2).dead_holds(3).dead_holds(4),
            acquires_one,
        ),
        (
            "rebuilds all lists",
            || {
                Scene::new(1, 6)
                    .bystander_holds(0)
                    .bystander_holds(2)
                    .dead_holds(1)
                    .bystander_waits(1)
                    .bystander_waits(2)
                    .marked()
            },
            acquires_one,
        ),
    ]
}

/// Builds a scene and lets the victim act; how many stores it lived for. None if it was not killed.
fn play(build: fn() -> Scene, act: Act, stores: usize) -> (Scene, bool) {
    let mut scene = build();
    scene.world.kill(DEAD_BEFORE);
    scene.world.advance(seconds(1));
    let world = scene.world.clone();
    let killed = world.with_fuse(VICTIM, stores, || act(&mut scene)).is_none();
    world.kill(VICTIM);
    (scene, killed)
}

/// What must be true however the victim ended.
fn aftermath(scene: &mut Scene, last_rescuer: u32) {
    for number in 0..6 {
        let _one_at_most = scene.world.holder(&key(number));
    }
    scene.let_the_living_finish();
    scene.rescue(last_rescuer);
    scene.world.kill(OVERDUE);
    let rescuer = scene.world.process(last_rescuer);
    rescuer.sweep();
    // No entry is lost: all can be leased at once.
    let numbers = 10..10 + scene.world.layout.entries() as u8;
    let leases: Vec<_> =
        numbers.map(|number| rescuer.acquire(&key(number), &wait(seconds(0))).unwrap()).collect();
    leases.into_iter().for_each(|lease| rescuer.release(lease));
    scene.world.assert_empty();
}

#[test]
fn a_kill_before_any_store_loses_nothing() {
    for (name, build, act) in scenarios() {
        let mut stores = 0;
        loop {
            let (mut scene, killed) = play(build, act, stores);
            println!("{name}, {stores} stores");
            aftermath(&mut scene, RESCUERS[0]);
            if !killed {
                break;
            }
            stores += 1;
        }
        assert!(stores > 0, "{name}: no store at all");
    }
}

#[test]
fn a_rescuer_that_is_killed_too_is_rescued() {
    for (name, build, act) in scenarios() {
        for stores in 0.. {
            let (mut killed, mut rescue_stores) = (false, 0);
            loop {
                let (mut scene, first) = play(build, act, stores);
                let world = scene.world.clone();
                let again = world.with_fuse(RESCUERS[0], rescue_stores, || {
                    let rescuer = scene.world.process(RESCUERS[0]);
                    [0, 1].map(|number| rescuer.acquire(&key(number), &wait(seconds(1))).is_ok())
                });
                world.kill(RESCUERS[0]);
                println!("{name}, {stores} stores, then {rescue_stores}");
                aftermath(&mut scene, RESCUERS[1]);
                killed |= first;
                if again.is_some() {
                    break;
                }
                rescue_stores += 1;
            }
            if !killed {
                break;
            }
        }
    }
}
