//! State machines of an application, a task and a transaction: every legal move, with its drawing.

/// Where a task is.
///
/// ```text
/// Created ─▶ Restoring ⇄ Running ⇄ Suspended      any but Closed ─▶ Failed ─▶ Closed
///             │  └───────────┴──────────┴─▶ Closing ─▶ Closed
///             └─▶ Standby ─────────────────────┘
/// ```
/// `Suspended`: the partition is kept but not taken from, until a checkpoint succeeds. `Running` goes back
/// to `Restoring` when its epoch is rolled back. `Standby`: another process has it, and this one a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// Assigned, nothing loaded.
    Created,
    /// State is being rebuilt.
    Restoring,
    /// Processing.
    Running,
    /// Waiting for a checkpoint that fails.
    Suspended,
    /// A copy of another process's task, as of its last pass.
    Standby,
    /// Ending in order.
    Closing,
    /// Ended.
    Closed,
    /// Stopped by an error.
    Failed,
}

impl TaskState {
    /// Is this move one of the drawing?
    pub fn may_become(self, next: TaskState) -> bool {
        use TaskState::{Closed, Closing, Created, Failed, Restoring, Running, Standby, Suspended};
        match self {
            Created => matches!(next, Restoring | Failed),
            Restoring => matches!(next, Running | Standby | Closing | Failed),
            Running => matches!(next, Restoring | Suspended | Closing | Failed),
            Suspended => matches!(next, Running | Closing | Failed),
            Standby => matches!(next, Closing | Failed),
            Closing => matches!(next, Closed | Failed),
            Failed => matches!(next, Closed),
            Closed => false,
        }
    }

    /// Makes the move.
    pub(crate) fn become_next(&mut self, next: TaskState) {
        debug_assert!(self.may_become(next), "task cannot go from {self:?} to {next:?}");
        *self = next;
    }
}

/// Where an application is.
///
/// ```text
/// Created ─▶ Starting ─▶ Running ⇄ Rebalancing       any ─▶ Failed
///                           └───────────┴─▶ Draining ─▶ Stopped
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppState {
    /// Built, not run.
    #[default]
    Created,
    /// Making topics, fencing earlier instances, loading state.
    Starting,
    /// Processing.
    Running,
    /// Partitions have come, and their tasks are being restored.
    Rebalancing,
    /// Committing the last epoch.
    Draining,
    /// Ended in order.
    Stopped,
    /// Ended by an error.
    Failed,
}

impl AppState {
    /// Is this move one of the drawing?
    pub fn may_become(self, next: AppState) -> bool {
        use AppState::{Created, Draining, Failed, Rebalancing, Running, Starting, Stopped};
        match self {
            Created => matches!(next, Starting | Failed),
            Starting => matches!(next, Running | Failed),
            Running => matches!(next, Rebalancing | Draining | Failed),
            Rebalancing => matches!(next, Running | Draining | Failed),
            Draining => matches!(next, Stopped | Failed),
            Stopped | Failed => matches!(next, Failed),
        }
    }
}

/// Where a transaction is.
///
/// ```text
/// Idle ─▶ Open ─▶ Sealing ─▶ Committing ─▶ Idle
///           └────────┴──────────┴─▶ Aborting ─▶ Idle     any ─▶ Broken (only drop)
/// ```
/// A commit that the log refuses with "abort" has not happened, so it too may be aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnState {
    /// None is open.
    Idle,
    /// Records are being sent.
    Open,
    /// Offsets are being sent.
    Sealing,
    /// The end is being asked for.
    Committing,
    /// Being given up.
    Aborting,
    /// Nobody knows, or nothing goes on: the producer is dropped.
    Broken,
}

impl TxnState {
    /// Is this move one of the drawing?
    pub fn may_become(self, next: TxnState) -> bool {
        use TxnState::{Aborting, Broken, Committing, Idle, Open, Sealing};
        match self {
            Idle => matches!(next, Open | Broken),
            Open => matches!(next, Sealing | Aborting | Broken),
            Sealing => matches!(next, Committing | Aborting | Broken),
            Committing => matches!(next, Idle | Aborting | Broken),
            Aborting => matches!(next, Idle | Broken),
            Broken => matches!(next, Broken),
        }
    }

    /// Makes the move.
    pub(crate) fn become_next(&mut self, next: TxnState) {
        debug_assert!(self.may_become(next), "transaction cannot go from {self:?} to {next:?}");
        *self = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arrows of each drawing, written a second time as pairs; every other pair must be refused.
    fn check<S: Copy + PartialEq + std::fmt::Debug>(
        all: &[S],
        arrows: &[(S, S)],
        may: impl Fn(S, S) -> bool,
    ) {
        for &from in all {
            for &to in all {
                assert_eq!(may(from, to), arrows.contains(&(from, to)), "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn a_task_moves_as_drawn() {
        use TaskState::*;
        let arrows = [
            (Created, Restoring),
            (Restoring, Running),
            (Running, Restoring),
            (Running, Suspended),
            (Suspended, Running),
            (Restoring, Closing),
            (Restoring, Standby),
            (Standby, Closing),
            (Standby, Failed),
            (Running, Closing),
            (Suspended, Closing),
            (Closing, Closed),
            (Created, Failed),
            (Restoring, Failed),
            (Running, Failed),
            (Suspended, Failed),
            (Closing, Failed),
            (Failed, Closed),
        ];
        let all = [Created, Restoring, Running, Suspended, Standby, Closing, Closed, Failed];
        check(&all, &arrows, TaskState::may_become);
    }

    #[test]
    fn an_application_moves_as_drawn() {
        use AppState::*;
        let all = [Created, Starting, Running, Rebalancing, Draining, Stopped, Failed];
        let mut arrows = vec![
            (Created, Starting),
            (Starting, Running),
            (Running, Rebalancing),
            (Rebalancing, Running),
            (Running, Draining),
            (Rebalancing, Draining),
            (Draining, Stopped),
        ];
        arrows.extend(all.map(|from| (from, Failed)));
        check(&all, &arrows, AppState::may_become);
    }

    #[test]
    fn a_transaction_moves_as_drawn() {
        use TxnState::*;
        let all = [Idle, Open, Sealing, Committing, Aborting, Broken];
        let mut arrows = vec![
            (Idle, Open),
            (Open, Sealing),
            (Sealing, Committing),
            (Committing, Idle),
            (Open, Aborting),
            (Sealing, Aborting),
            (Committing, Aborting),
            (Aborting, Idle),
        ];
        arrows.extend(all.map(|from| (from, Broken)));
        check(&all, &arrows, TxnState::may_become);
    }
}
