//! Time as the session rules see it.
//!
//! Wall time decides about the life of sessions and is written into records; monotonic time decides
//! about waiting and holding and is the same clock in every process of a machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Wall time: microseconds since 1970-01-01 UTC, the unit of `apr_time_t`.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Time(pub u64);

impl Time {
    /// The time `seconds` after 1970-01-01 UTC.
    pub const fn from_secs(seconds: u64) -> Time {
        Time(seconds.saturating_mul(1_000_000))
    }

    /// Whole seconds since 1970-01-01 UTC.
    pub const fn secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// This time and `span` later; stays at the end of time instead of wrapping.
    pub fn after(self, span: Duration) -> Time {
        Time(self.0.saturating_add(micros(span)))
    }

    /// How long `earlier` is before this time; zero if it is not (clocks are set back).
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Monotonic time in microseconds since an arbitrary start that all processes of a machine share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// This instant and `span` later.
    pub fn after(self, span: Duration) -> Monotonic {
        Monotonic(self.0.saturating_add(micros(span)))
    }

    /// How long `earlier` is before this instant; zero if it is not.
    pub fn since(self, earlier: Monotonic) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// Where time comes from.
pub trait Clock: Send + Sync {
    /// The wall time now.
    fn now(&self) -> Time;
    /// The monotonic time now.
    fn monotonic(&self) -> Monotonic;
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        read(rustix::time::ClockId::Realtime, Time)
    }

    fn monotonic(&self) -> Monotonic {
        read(rustix::time::ClockId::Monotonic, Monotonic)
    }
}

fn read<T>(clock: rustix::time::ClockId, make: fn(u64) -> T) -> T {
    let at = rustix::time::clock_gettime(clock);
    let seconds = u64::try_from(at.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(at.tv_nsec).unwrap_or(0);
    make(seconds.saturating_mul(1_000_000).saturating_add(nanos / 1_000))
}

/// A clock that moves only when told to: for tests. Both times advance together.
#[derive(Debug)]
pub struct ManualClock {
    at: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn new(start: Time) -> ManualClock {
        ManualClock { at: AtomicU64::new(start.0) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        self.at.fetch_add(micros(span), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time(self.at.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic(self.at.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_neither_wrap_nor_go_below_zero() {
        assert_eq!(Time(u64::MAX).after(Duration::from_secs(1)), Time(u64::MAX));
        assert_eq!(Time(1).since(Time(5)), Duration::ZERO);
        assert_eq!(Time::from_secs(u64::MAX), Time(u64::MAX));
    }

    #[test]
    fn the_system_clock_agrees_with_std() {
        let std = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let ours = SystemClock.now();
        assert!(ours.since(Time(std.as_micros() as u64)) < Duration::from_secs(5));
        assert!(SystemClock.monotonic() <= SystemClock.monotonic());
    }
}
