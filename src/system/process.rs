//! Processes: who this one is, and whether another one still lives.

use std::fs;

/// The start time of a process in clock ticks since boot; none if it is gone or a zombie.
///
/// `kill(pid, 0)` would not do: it succeeds for a child that was killed and that its parent has not
/// reaped yet, for up to a second here, and for a stranger that got the number since.
pub fn start_of(pid: u32) -> Option<u64> {
    start_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Whether process information is to be had at all: without it nobody is declared dead.
pub fn can_tell() -> bool {
    start_of(std::process::id()).is_some()
}

/// Reads a line of `/proc/PID/stat`: the name may hold anything, so fields count from its last `)`.
fn start_in(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    match *fields.first()? {
        "Z" | "X" | "x" => None,
        _ => fields.get(19)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_started_once() {
        assert!(can_tell());
        assert_eq!(start_of(std::process::id()), start_of(std::process::id()));
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        // Nobody has waited for it: it becomes a zombie as soon as it ends.
        while start_of(child.id()).is_some() {
            assert!(std::time::Instant::now() < deadline, "`true` did not end");
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_move_the_fields() {
        let rest = "S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 777 0 0";
        assert_eq!(start_in(&format!("42 (a) b (c)) {rest}")), Some(777));
        assert_eq!(start_in(&format!("42 (a) {}", rest.replacen('S', "Z", 1))), None);
        assert_eq!(start_in("nonsense"), None);
    }
}
