//! What `/proc` says of a process: for tests that look for leaks and for left-over processes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// What a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holdings {
    /// Open file descriptors.
    pub descriptors: usize,
    /// Mappings of memory.
    pub mappings: usize,
    /// Those of them that are shared and writable.
    pub shared: usize,
    /// Threads.
    pub threads: usize,
}

/// What the process `pid` holds; none if it is gone or not ours to look at.
pub fn holdings(pid: u32) -> Option<Holdings> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let shared = |line: &&str| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw-s"));
    Some(Holdings {
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count(),
        mappings: maps.lines().count(),
        shared: maps.lines().filter(shared).count(),
        threads: fs::read_dir(format!("/proc/{pid}/task")).ok()?.count(),
    })
}

/// CPU time the process `pid` has used, its own and its ended children's; none if it is gone.
pub fn cpu(pid: u32) -> Option<Duration> {
    let fields = stat(pid)?;
    let ticks: u64 = fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum();
    // SAFETY: sysconf takes a number and returns one.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Some(Duration::from_millis(ticks * 1000 / u64::try_from(per_second).ok()?))
}

/// Whether the process `pid` runs; a zombie does not.
pub fn runs(pid: u32) -> bool {
    stat(pid).and_then(|fields| fields.first().cloned()).is_some_and(|state| state != "Z")
}

/// The processes whose parent is `pid`, zombies left out.
pub fn children(pid: u32) -> Vec<u32> {
    let parent = pid.to_string();
    processes(|fields| fields.get(1) == Some(&parent))
}

/// The processes of the group `leader`, zombies left out.
pub fn group(leader: u32) -> Vec<u32> {
    let group = leader.to_string();
    processes(|fields| fields.get(2) == Some(&group))
}

/// Whether the process `pid` holds a socket that listens on TCP `port`.
pub fn listens(pid: u32, port: u16) -> bool {
    let sockets: Vec<u64> =
        ["tcp", "tcp6"].iter().flat_map(|kind| listening(pid, kind, port)).collect();
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors
        .flatten()
        .filter_map(|descriptor| fs::metadata(descriptor.path()).ok())
        .any(|facts| sockets.contains(&facts.ino()))
}

/// Whether the process `pid` has a file open whose path ends in `name`.
pub fn has_open(pid: u32, name: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let files = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    files.into_iter().any(|file| file.ends_with(name))
}

/// Sets of System V semaphores on this machine; those of other servers count too.
pub fn semaphore_sets() -> usize {
    let table = fs::read_to_string("/proc/sysvipc/sem").unwrap_or_default();
    table.lines().skip(1).count()
}

/// Inodes of the sockets that listen on `port` in the network of `pid`: rows of state 0A.
fn listening(pid: u32, kind: &str, port: u16) -> Vec<u64> {
    let table = fs::read_to_string(format!("/proc/{pid}/net/{kind}")).unwrap_or_default();
    let port = format!(":{port:04X}");
    let inode = |row: &str| {
        // Most of thousands of rows are other ports'; taking them apart takes its time.
        if !row.contains(&port) {
            return None;
        }
        let fields: Vec<&str> = row.split_whitespace().collect();
        let ours = fields.get(1)?.ends_with(&port) && *fields.get(3)? == "0A";
        if ours { fields.get(9)?.parse().ok() } else { None }
    };
    table.lines().skip(1).filter_map(inode).collect()
}

fn processes(pick: impl Fn(&[String]) -> bool) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("reading /proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let picked = |pid: &u32| {
        stat(*pid)
            .is_some_and(|fields| fields.first().is_some_and(|state| state != "Z") && pick(&fields))
    };
    pids.filter(picked).collect()
}

/// The fields of `/proc/PID/stat` behind the command: state, parent, group, …
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind) = text.rsplit_once(')')?;
    Some(behind.split_whitespace().map(str::to_owned).collect())
}
