//! How much memory the process may hold, and how it is shared out: to the units' plans, and to what is large by itself.

use std::path::Path;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::engine::clock::{resident_bytes, total_memory_bytes};

/// The memory of the process. What can wait or spill to disk stays within its share; what can't is refused with its size,
/// or ends the run with a word before the system ends it without one.
#[derive(Debug, Default)]
pub struct Memory {
    limit: Option<u64>,
    share: OnceLock<Share>,
    turns: Turns,
    /// Bytes that large records need.
    large: Pool,
    /// Threads that encode images.
    encoders: Pool,
}

/// Something that there is so much of at once.
#[derive(Debug, Default)]
struct Pool {
    taken: Mutex<u64>,
    given_back: Condvar,
}

/// Which company a unit runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// As many as there are.
    Others,
    /// None: all memory of plans is its own.
    Nobody,
}

/// More than ever run at once.
const MOST_UNITS: u32 = 1 << 16;

#[derive(Debug)]
struct Turns(Semaphore);

impl Default for Turns {
    fn default() -> Self {
        Self(Semaphore::new(MOST_UNITS as usize))
    }
}

/// How the memory that the job's models leave is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Units in flight.
    pub parallel: usize,
    /// Bytes that one unit's plan may hold before it spills.
    pub of_unit: u64,
    /// Bytes that a unit's plan may hold that runs by itself.
    pub of_unit_alone: u64,
    /// Bytes for all large records that are worked on at once.
    pub of_large: u64,
    /// Threads that encode images at once.
    pub encoders: usize,
}

/// What runs, if there is memory for it.
pub struct Wanted<'a> {
    /// Units in flight.
    pub parallel: usize,
    /// Bytes of each unit's plan.
    pub of_unit: u64,
    /// Threads that may encode images.
    pub threads: usize,
    /// Bytes that so many threads hold which encode images.
    pub working_bytes: &'a dyn Fn(usize) -> u64,
}

/// What the process may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes that it never holds more than.
    pub limit: u64,
    /// Bytes past which the run ends: what is taken until that is seen, and until it has ended, fits below the limit.
    pub mark: u64,
    /// Threads that take memory.
    threads: usize,
}

/// What a thread takes in a millisecond at most: a new page has to be cleared, and then filled with something.
const TAKEN_IN_A_MILLISECOND: u64 = 1 << 20;
/// How long it may be from the mark to the end of the process, on a machine that has other things to do.
const MILLISECONDS_TO_THE_END: u64 = 16;

impl Bounds {
    /// So many threads below a limit. A tenth of it at most lies behind the mark.
    pub fn new(limit: u64, threads: usize) -> Self {
        let mark = limit - reserve(threads).min(limit / 10);
        Self { limit, mark, threads }
    }

    /// The least limit with this mark.
    fn of_mark(mark: u64, threads: usize) -> u64 {
        (mark + reserve(threads)).min((mark * 10).div_ceil(9))
    }

    /// How long the mark can't be reached, going by what is held; none where it is passed.
    pub fn safe_for(&self, held: u64) -> Option<Duration> {
        let left = self.mark.checked_sub(held)?;
        Some(Duration::from_millis(left / (TAKEN_IN_A_MILLISECOND * self.threads.max(1) as u64)))
    }
}

fn reserve(threads: usize) -> u64 {
    TAKEN_IN_A_MILLISECOND * MILLISECONDS_TO_THE_END * threads as u64
}

/// The least that a plan can sort in.
pub const LEAST_OF_UNIT: u64 = 32 << 20;
/// The least that a large record can be worked on in.
const LEAST_OF_LARGE: u64 = 24 << 20;

impl Memory {
    /// Below a limit; below what the machine allows, less a tenth, if there is none.
    pub fn new(limit: Option<u64>) -> Self {
        let of_machine = || allowed(Path::new("/")).map(|bytes| bytes / 10 * 9);
        Self { limit: limit.or_else(of_machine), ..Self::default() }
    }

    /// What the process is to stay below, with so many threads; unknown on a system that doesn't tell.
    pub fn bounds(&self, threads: usize) -> Option<Bounds> {
        self.limit.map(|limit| Bounds::new(limit, threads))
    }

    /// Shares out what is left, once everything is loaded that stays. An error says how much it would take.
    pub fn share_out(&self, wanted: &Wanted<'_>) -> Result<Share, String> {
        let share = match self.limit.zip(resident_bytes()) {
            Some((limit, resident)) => share(limit, resident, wanted)?,
            None => {
                let Wanted { parallel, of_unit, threads, .. } = *wanted;
                let of_unit_alone = of_unit * parallel as u64;
                Share { parallel, of_unit, of_unit_alone, of_large: u64::MAX, encoders: threads }
            }
        };
        Ok(*self.share.get_or_init(|| share))
    }

    /// What one unit's plan may hold, beside others or alone: its share, or as the job says where nothing was shared out.
    pub fn of_unit(&self, beside: Beside, as_job_says: u64) -> u64 {
        self.share.get().map_or(as_job_says, |share| match beside {
            Beside::Others => share.of_unit,
            Beside::Nobody => share.of_unit_alone,
        })
    }

    /// Waits until a unit may run: beside others, or alone.
    pub async fn turn(&self, beside: Beside) -> Option<SemaphorePermit<'_>> {
        let permits = match beside {
            Beside::Others => 1,
            Beside::Nobody => MOST_UNITS,
        };
        self.turns.0.acquire_many(permits).await.ok()
    }

    /// Waits until a thread may encode images: each holds what one image takes, and keeps it for the next.
    pub fn encoder(&self) -> Room<'_> {
        self.encoders.take(1, self.share.get().map_or(u64::MAX, |share| share.encoders as u64))
    }

    /// Waits until there is room for work that needs so many bytes; what is larger than all of the room has it alone.
    pub fn room(&self, bytes: u64) -> Room<'_> {
        self.large.take(bytes, self.share.get().map_or(u64::MAX, |share| share.of_large))
    }

    /// Bytes of the image files that a unit may read at once: two steps hold two batches of them each, and large records
    /// have the rest of their share.
    pub fn of_files(&self) -> u64 {
        self.share.get().map_or(u64::MAX, |share| share.of_large / 8 / share.parallel.max(1) as u64)
    }

    /// As [`Self::room`] for what is known to need so much: an error says that it will never fit.
    pub fn room_for(&self, bytes: u64) -> Result<Room<'_>, String> {
        match self.share.get() {
            Some(share) if bytes > share.of_large => {
                Err(format!("about {} MB are needed, and {} MB are there", megabytes(bytes), megabytes(share.of_large)))
            }
            _ => Ok(self.room(bytes)),
        }
    }
}

impl Pool {
    /// Waits until so much is left of all; who wants more than all has it alone.
    fn take(&self, amount: u64, all: u64) -> Room<'_> {
        let amount = amount.min(all);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken > 0 && taken.saturating_add(amount) > all {
            taken = self.given_back.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken = taken.saturating_add(amount);
        Room { of: self, amount }
    }
}

/// Room for some work, until it is dropped.
#[derive(Debug)]
pub struct Room<'a> {
    of: &'a Pool,
    amount: u64,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut taken = self.of.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(self.amount);
        self.of.given_back.notify_all();
    }
}

/// Megabytes, for people.
pub fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

/// Two fifths of what is free for plans, a fifth at most for threads that encode, of which one is needed or nothing ends, and
/// for large records what these leave, less a tenth. That is what nobody counts: batches on their way, writers, and memory
/// that was freed and not given back. Plans of pages are large where nothing is encoded, and small where images are.
fn share(limit: u64, resident: u64, wanted: &Wanted<'_>) -> Result<Share, String> {
    let Wanted { parallel, of_unit, threads, working_bytes } = *wanted;
    let free = Bounds::new(limit, threads).mark.saturating_sub(resident);
    let fits = |encoders: &usize| working_bytes(*encoders) <= free / 5;
    let encoders = (1..=threads).rev().find(fits).unwrap_or(1);
    let (of_plans, of_encoders) = (free / 5 * 2, working_bytes(encoders));
    let of_large = (free / 10 * 5).saturating_sub(of_encoders).min(free / 5 * 2);
    if of_plans < LEAST_OF_UNIT || of_large < LEAST_OF_LARGE {
        let of_encoder = working_bytes(1);
        let least = resident + (LEAST_OF_UNIT / 2 * 5).max((of_encoder + LEAST_OF_LARGE) * 2);
        return Err(format!(
            "{} MB are too few: the job's models hold {} MB, and {} MB to encode an image, so that it takes {} MB at least",
            megabytes(limit),
            megabytes(resident),
            megabytes(of_encoder),
            megabytes(Bounds::of_mark(least, threads)),
        ));
    }
    let parallel = parallel.clamp(1, (of_plans / LEAST_OF_UNIT) as usize);
    let of_unit = of_unit.min(of_plans / parallel as u64).max(LEAST_OF_UNIT);
    Ok(Share { parallel, of_unit, of_unit_alone: of_plans.max(of_unit), of_large, encoders })
}

/// What the process may hold: what its cgroup and those around it allow, or what the machine has. `root` is the system's.
fn allowed(root: &Path) -> Option<u64> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let of_groups = groups.lines().flat_map(|line| of_group(root, line));
    of_groups.chain(total_memory_bytes(root)).min()
}

/// The limits of a group and of those around it, by a line of `/proc/self/cgroup`: `0::/path` of version 2, or
/// `4:memory:/path` of version 1. In a container the path may be the host's; then only the outermost is found, its own.
fn of_group(root: &Path, line: &str) -> Vec<u64> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { return Vec::new() };
    let (folder, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return Vec::new(),
    };
    let limit = |group: &Path| -> Option<u64> {
        let group = group.strip_prefix("/").unwrap_or(group);
        std::fs::read_to_string(root.join(folder).join(group).join(file)).ok()?.trim().parse().ok()
    };
    Path::new(path).ancestors().filter_map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    fn allowed_by(files: &[(&str, &str)]) -> Option<u64> {
        allowed(system(files).path())
    }

    #[test]
    fn the_tightest_group_around_the_process_counts() {
        let two = [
            ("proc/self/cgroup", "0::/slice/pod\n"),
            ("sys/fs/cgroup/slice/memory.max", "3000\n"),
            ("sys/fs/cgroup/slice/pod/memory.max", "max\n"),
            ("proc/meminfo", "MemTotal:       1024 kB\n"),
        ];
        assert_eq!(allowed_by(&two), Some(3000));
        let one = [
            ("proc/self/cgroup", "5:cpu:/a\n4:memory,hugetlb:/a/b\n"),
            ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "2000\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(allowed_by(&one), Some(2000));
    }

    #[test]
    fn a_group_named_as_the_host_sees_it_is_found_at_the_root() {
        let files = [("proc/self/cgroup", "0::/host/path\n"), ("sys/fs/cgroup/memory.max", "4000\n")];
        assert_eq!(allowed_by(&files), Some(4000));
    }

    #[test]
    fn without_a_group_the_machine_counts_and_without_either_nothing_is_known() {
        assert_eq!(allowed_by(&[("proc/meminfo", "MemFree: 1 kB\nMemTotal:       1024 kB\n")]), Some(1 << 20));
        assert_eq!(allowed_by(&[]), None);
    }

    #[test]
    fn fewer_units_run_at_once_where_there_is_room_for_fewer() {
        let wanted = wanted(&|_| 0);
        let free = |mibs: u64| share(Bounds::of_mark(mib(mibs + 100), 8), mib(100), &wanted).unwrap();
        let (of_unit, of_all) = (mib(500), mib(4000));
        let of_ten = Share { parallel: 8, of_unit, of_unit_alone: of_all, of_large: of_all, encoders: 8 };
        assert_eq!(free(10_000), of_ten);
        assert_eq!((free(400).parallel, free(400).of_unit), (5, mib(32)));
        assert_eq!(free(80).parallel, 1);
    }

    fn mib(count: u64) -> u64 {
        count << 20
    }

    fn wanted(working_bytes: &dyn Fn(usize) -> u64) -> Wanted<'_> {
        Wanted { parallel: 8, of_unit: mib(512), threads: 8, working_bytes }
    }

    #[test]
    fn fewer_threads_encode_at_once_where_there_is_room_for_fewer_and_one_is_needed() {
        let of_threads = |threads: usize| mib(200) * threads as u64;
        let free = |mibs: u64| share(Bounds::of_mark(mib(mibs + 100), 8), mib(100), &wanted(&of_threads));
        let shares = [10_000, 2000, 500].map(|mibs| free(mibs).map(|share| (share.encoders, share.of_large)));
        assert_eq!(shares, [Ok((8, mib(3400))), Ok((2, mib(600))), Ok((1, mib(50)))]);
        let refused = free(200).unwrap_err();
        let says =
            "350 MB are too few: the job's models hold 105 MB, and 210 MB to encode an image, so that it takes 639 MB";
        assert!(refused.contains(says), "{refused}");
        let memory = Memory::default();
        memory.share.set(free(2000).unwrap()).unwrap();
        let (_first, second) = (memory.encoder(), memory.encoder());
        std::thread::scope(|scope| {
            let third = scope.spawn(|| drop(memory.encoder()));
            assert!(!third.is_finished());
            drop(second);
            third.join().unwrap();
        });
        assert_eq!(*memory.encoders.taken.lock().unwrap(), 1);
    }

    #[test]
    fn what_is_taken_behind_the_mark_fits_below_the_limit() {
        for (threads, limit) in [(1, 1000), (4, 1000), (4, 100), (64, 1000), (64, 100_000)].map(|(t, l)| (t, mib(l))) {
            let bounds = Bounds::new(limit, threads);
            assert!(limit - bounds.mark == mib(16) * threads as u64 || limit - bounds.mark == limit / 10);
            let again = Bounds::new(Bounds::of_mark(bounds.mark, threads), threads);
            assert!(again.mark >= bounds.mark && again.limit <= limit, "{again:?} {bounds:?}");
        }
    }

    #[test]
    fn the_process_is_looked_at_before_it_can_reach_the_mark() {
        let bounds = Bounds::new(mib(1000), 4);
        assert_eq!(bounds.mark, mib(936));
        let safe = [0, 836, 934, 936].map(|held| bounds.safe_for(mib(held)));
        assert_eq!(safe, [234, 25, 0, 0].map(|milliseconds| Some(Duration::from_millis(milliseconds))));
        assert_eq!(bounds.safe_for(mib(937)), None);
    }

    #[test]
    fn what_is_large_waits_for_room_and_what_is_larger_than_all_of_it_is_alone() {
        let memory = Memory::default();
        let share = Share { parallel: 1, of_unit: 1, of_unit_alone: 1, of_large: 100, encoders: 1 };
        memory.share.set(share).unwrap();
        assert_eq!(memory.room_for(101).unwrap_err(), "about 1 MB are needed, and 1 MB are there");
        let first = memory.room(60);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| drop(memory.room(1000)));
            assert!(!second.is_finished());
            drop(first);
            second.join().unwrap();
        });
        assert_eq!(*memory.large.taken.lock().unwrap(), 0);
    }
}
