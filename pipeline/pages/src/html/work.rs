//! How much work a page may take, in steps rather than seconds: so every run refuses the same pages.

use std::cell::Cell;

use crate::html::tree::Limits;

/// Steps that any page may take, so that small ones need not be measured by their size.
const FREE: u64 = 1 << 16;

/// The steps that a page has left. One step is a bounded piece of work that may be done more than once for the same bytes:
/// an open element looked at, an attribute compared, a node copied, a byte written.
#[derive(Debug)]
pub struct Work {
    budget: u64,
    left: Cell<u64>,
}

impl Work {
    /// What a page of so many bytes may take.
    pub fn of_page(bytes: usize, limits: &Limits) -> Self {
        let by_size = u64::from(limits.work_per_byte).saturating_mul(bytes as u64).saturating_add(FREE);
        let budget = by_size.min(limits.work);
        Self { budget, left: Cell::new(budget) }
    }

    /// Takes some steps away.
    #[inline]
    pub fn spend(&self, steps: usize) {
        self.left.set(self.left.get().saturating_sub(steps as u64));
    }

    /// Whether nothing is left: whoever sees it stops, and the page is refused.
    #[inline]
    pub fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    /// The steps taken so far.
    pub fn spent(&self) -> u64 {
        self.budget - self.left.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(bytes: usize, work_per_byte: u32, work: u64) -> u64 {
        Work::of_page(bytes, &Limits { work_per_byte, work, ..Limits::default() }).budget
    }

    #[test]
    fn a_page_may_take_steps_by_its_size_up_to_a_limit() {
        assert_eq!(budget(0, 10, u64::MAX), FREE);
        assert_eq!(budget(1000, 10, u64::MAX), FREE + 10_000);
        assert_eq!(budget(1000, 10, 500), 500);
        assert_eq!(budget(usize::MAX, u32::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn what_is_spent_beyond_the_budget_is_the_budget() {
        let work = Work::of_page(0, &Limits::default());
        work.spend(3);
        assert_eq!((work.spent(), work.is_spent()), (3, false));
        work.spend(usize::MAX);
        assert_eq!((work.spent(), work.is_spent()), (FREE, true));
    }
}
