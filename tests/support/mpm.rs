//! httpd's ways of sharing work among processes and threads, and a configuration that is valid for
//! each.

/// A multi-processing module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mpm {
    /// One process for each connection.
    Prefork,
    /// Threads, one for each connection.
    Worker,
    /// Threads; idle and writing connections are parked.
    Event,
}

/// How many processes and threads there are.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Processes at start.
    pub start: u32,
    /// Requests served at once, at most.
    pub workers: u32,
    /// Threads of a process, if the MPM has them.
    pub threads: u32,
}

impl Mpm {
    /// All of them.
    pub const ALL: [Mpm; 3] = [Mpm::Prefork, Mpm::Worker, Mpm::Event];

    /// As in `mpm_NAME_module`.
    pub fn name(self) -> &'static str {
        match self {
            Mpm::Prefork => "prefork",
            Mpm::Worker => "worker",
            Mpm::Event => "event",
        }
    }

    /// Threads of a process that has started completely: with threads there are a main and a
    /// listening one beside those that serve.
    pub fn threads(self, size: Size) -> usize {
        match self {
            Mpm::Prefork => 1,
            Mpm::Worker | Mpm::Event => size.threads as usize + 2,
        }
    }

    /// Directives for `size`. Processes are never ended for being idle: tests count them. There are
    /// more slots than processes, since those of two generations live side by side after a graceful
    /// restart.
    pub fn directives(self, size: Size) -> String {
        let Size { start, workers, threads } = size;
        if self == Mpm::Prefork {
            return format!(
                "StartServers {start}\nMinSpareServers 1\nMaxSpareServers {workers}\n\
                 ServerLimit {}\nMaxRequestWorkers {workers}\n",
                workers * 2
            );
        }
        let processes = workers.div_ceil(threads).max(start);
        let most = processes * threads;
        format!(
            "StartServers {start}\nThreadsPerChild {threads}\nThreadLimit {threads}\n\
             MinSpareThreads 1\nMaxSpareThreads {most}\n\
             ServerLimit {}\nMaxRequestWorkers {most}\n",
            processes * 3
        )
    }
}
