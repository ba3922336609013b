//! The processes of a Redox system: finding them by name, and ending them.

use std::fs;
use std::io;
use std::time::Duration;

use netstack_client::system::{Error, Result};

/// Where the kernel lists them.
const CONTEXTS: &str = "/scheme/sys/context";

/// SIGKILL.
pub const KILL: u32 = 9;
/// SIGTERM.
pub const TERMINATE: u32 = 15;

/// A process, all its threads together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: usize,
    /// The path of its program, or what the kernel calls it.
    pub name: String,
    /// Processor time since its start.
    pub time: Duration,
    /// Memory that nobody else has, in bytes, as exactly as the kernel says it.
    pub memory: u64,
}

impl Process {
    /// The last part of [`name`](Self::name).
    pub fn program(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: u32) -> Result<()> {
        libredox::call::kill(self.pid, signal)
            .map_err(|error| io::Error::from_raw_os_error(error.errno()))
            .map_err(Error::new("send a signal to", &self.name))
    }
}

/// All processes.
pub fn list() -> Result<Vec<Process>> {
    let text = fs::read_to_string(CONTEXTS).map_err(Error::new("read", CONTEXTS))?;
    Ok(parse(&text))
}

/// Those whose program is one of `programs`.
pub fn find(programs: &[&str]) -> Result<Vec<Process>> {
    let mut found = list()?;
    found.retain(|process| programs.contains(&process.program()));
    Ok(found)
}

/// Reads the kernel's table, a line for each thread:
/// `PID EUID EGID STAT CPU AFFINITY TIME PRIVATE SHARED NAME`, the two sizes with their units.
fn parse(table: &str) -> Vec<Process> {
    let mut processes: Vec<Process> = Vec::new();
    for line in table.lines().skip(1) {
        let Some(thread) = parse_line(line) else { continue };
        match processes.iter_mut().find(|process| process.pid == thread.pid) {
            // The kernel's own threads have the same number and different names.
            Some(process) if process.name == thread.name => {
                process.time += thread.time;
                process.memory = process.memory.max(thread.memory);
            }
            _ => processes.push(thread),
        }
    }
    processes
}

fn parse_line(line: &str) -> Option<Process> {
    let mut words = line.split_whitespace();
    let pid = words.next()?.parse().ok()?;
    let name = words.next_back()?.to_owned();
    let mut words = words.rev().skip(2);
    let unit = match words.next()? {
        "B" => 1.0,
        "KB" => 1024.0,
        "MB" => 1024.0 * 1024.0,
        "GB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let memory = words.next()?.parse::<f64>().ok()? * unit;
    let seconds = words.next()?.split(':').try_fold(0.0, |sum, part| {
        part.parse::<f64>().ok().map(|part| sum * 60.0 + part)
    })?;
    Some(Process {
        pid,
        name,
        time: Duration::try_from_secs_f64(seconds).ok()?,
        memory: memory as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
PID   EUID  EGID  STAT  CPU   AFFINITY   TIME        PRIVATE SHARED  NAME
0     0     0     RR    #0    1          00:00:00.00 1.12 KB 0 B     [kmain]
0     0     0     UB    #0    1          00:00:00.08 12.3 MB 4.00 KB [init]
15    0     0     UB    #0    1          00:00:00.06 2.31 MB 132 KB  /usr/lib/drivers/e1000d
15    0     0     UB    #1    1          00:01:01.25 2.00 MB 132 KB  /usr/lib/drivers/e1000d
21    0     0     UR+   #0    1          00:00:00.03 512 B   0 B     /usr/bin/netstack
";

    #[test]
    fn threads_are_one_process() {
        let processes = parse(TABLE);
        assert_eq!(processes.len(), 4);
        let driver = &processes[2];
        assert_eq!((driver.pid, driver.program()), (15, "e1000d"));
        assert_eq!(driver.time, Duration::from_millis(61_310));
        assert_eq!(driver.memory, (2.31 * 1024.0 * 1024.0) as u64);
        assert_eq!((processes[3].program(), processes[3].memory), ("netstack", 512));
    }

    #[test]
    fn other_lines_are_left_out() {
        assert_eq!(parse("PID\n\nx y z\n1 2\n5 0 0 UB #0 1 soon 1 B 0 B x\n"), []);
    }
}
