//! What a piece of work costs: CPU time of the thread that does it, and time on the wall.

use std::ops::AddAssign;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use cpu_time::ThreadTime;

/// Time that some work took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// On a CPU; where the system doesn't tell, on the wall.
    pub cpu_seconds: f64,
    /// On the wall, added up over all threads.
    pub seconds: f64,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, more: Self) {
        self.cpu_seconds += more.cpu_seconds;
        self.seconds += more.seconds;
    }
}

/// Times work that begins and ends on one thread.
pub struct Stopwatch {
    cpu: Option<ThreadTime>,
    wall: Instant,
}

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: ThreadTime::try_now().ok() }
    }

    /// What was spent since the start.
    pub fn spent(&self) -> Spent {
        let cpu = self.cpu.and_then(|start| start.try_elapsed().ok());
        let seconds = self.wall.elapsed().as_secs_f64();
        Spent { cpu_seconds: cpu.map_or(seconds, |cpu| cpu.as_secs_f64()), seconds }
    }
}

/// Adds up what was spent in many places.
#[derive(Debug, Default)]
pub struct Meter(Mutex<Spent>);

impl Meter {
    /// Adds some.
    pub fn add(&self, spent: Spent) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += spent;
    }

    /// The sum so far.
    pub fn sum(&self) -> Spent {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Awaits a future and charges what its polls cost, on whichever threads: work that it waits for is not in it.
pub async fn metered<T>(meter: &Meter, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        let watch = Stopwatch::start();
        let polled = future.as_mut().poll(context);
        meter.add(watch.spent());
        polled
    })
    .await
}

/// Seconds since 1970, for records that people compare with their own clocks.
pub fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The most memory that this process has held so far, where Linux says so.
pub fn peak_memory_bytes() -> Option<u64> {
    bytes_of(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// The memory that this process holds, where Linux says so.
pub fn resident_bytes() -> Option<u64> {
    bytes_of(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// The memory that the machine has, where Linux says so.
pub fn total_memory_bytes(root: &Path) -> Option<u64> {
    bytes_of(&std::fs::read_to_string(root.join("proc/meminfo")).ok()?, "MemTotal:")
}

/// A size by its name in the text of a `/proc/*/status` or `/proc/meminfo`.
fn bytes_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

/// CPU time of all processes that this one has started and waited for, where Linux says so.
pub fn children_cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    children_of(&stat)
}

/// User and system time of waited-for children in the text of a `/proc/*/stat`; Linux counts it in hundredths there.
fn children_of(stat: &str) -> Option<f64> {
    // The second field is the program's name in brackets, with whatever it is made of.
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: Result<Vec<f64>, _> = fields.split_whitespace().skip(13).take(2).map(str::parse).collect();
    ticks.ok().filter(|ticks| ticks.len() == 2).map(|ticks| ticks.iter().sum::<f64>() / 100.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn waiting_costs_no_cpu_time() {
        let watch = Stopwatch::start();
        std::thread::sleep(Duration::from_millis(50));
        let spent = watch.spent();
        assert!(spent.seconds >= 0.05 && spent.cpu_seconds < spent.seconds / 2.0, "{spent:?}");
    }

    #[test]
    fn a_meter_charges_polls_and_not_what_they_wait_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let meter = Meter::default();
        runtime.block_on(metered(&meter, async { tokio::time::sleep(Duration::from_millis(50)).await }));
        assert!(meter.sum().seconds < 0.04, "{:?}", meter.sum());
    }

    #[test]
    fn the_peak_is_read_in_bytes() {
        assert_eq!(bytes_of("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t    300 kB\n", "VmHWM:"), Some(300 << 10));
        assert_eq!(bytes_of("Name:\tx\n", "VmHWM:"), None);
    }

    #[test]
    fn the_time_of_children_is_read_behind_a_strange_name() {
        assert_eq!(children_of("7 (a) b c) R 1 2 3 4 5 6 7 8 9 10 11 12 250 50 20 0"), Some(3.0));
        assert_eq!(children_of("7 (a) R 1"), None);
    }
}
