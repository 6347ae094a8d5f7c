//! The count of steps that one decision may take.

use crate::Reason;

/// Most steps of one decision. A step is about one comparison, so the worst admissible token and call stay around a
/// millisecond, and a few where every step goes into shell words, which cost six times what they are charged. A clock would
/// answer differently under load (law L6).
pub const MAX_STEPS: u32 = 100_000;

/// Steps that are left. They are taken before the work that they stand for is done.
#[derive(Debug)]
pub(crate) struct Steps(u32);

impl Steps {
    /// All that one decision may take.
    pub(crate) fn of_one_decision() -> Self {
        Self(MAX_STEPS)
    }

    /// Takes some.
    ///
    /// # Errors
    /// `COST_BOUND` when fewer are left; the decision ends there.
    pub(crate) fn take(&mut self, count: usize) -> Result<(), Reason> {
        let left = u32::try_from(count).ok().and_then(|count| self.0.checked_sub(count));
        self.0 = left.ok_or(Reason::CostBound)?;
        Ok(())
    }
}
