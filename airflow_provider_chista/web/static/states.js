// The states of windows in the order of their way, with what they mean. The server decides which one a window has.

export const STATES = [
  ["differs", "Differs", "The newest comparison found differences. Nothing is purged until a new proof."],
  ["rejected", "Rejected", "The proof was rejected, or nobody answered. The rows stay at the source."],
  ["reading", "Being compared", "A comparison was begun and has not come to its end."],
  ["checked", "Checked", "A check found the rows equal. It is no proof; nothing can be purged by it."],
  ["empty", "No rows", "The newest proof found no row in this window at the source."],
  ["verified", "Verified", "Every row is in the archive with the same hash. The rows are still at the source."],
  ["approved", "Approved", "Proven, and somebody approved the purge, which has not begun."],
  ["purging", "Purging", "The purge was begun and has not come to its end. Run it again to go on."],
  ["purged_in_part", "Purged in part", "The purge came to its end and skipped rows; the entries say why."],
  ["purged", "Purged", "All proven rows are deleted at the source. The seal is still to come."],
  ["sealed_in_part", "Sealed in part", "Purged and sealed; skipped rows are still at the source."],
  ["sealed", "Sealed", "All proven rows are deleted at the source, and each delete came back. The window is closed."],
].map(([name, label, meaning]) => ({ name, label, meaning }));

export const STATE = Object.fromEntries(STATES.map((state) => [state.name, state]));

/** States that somebody has to look at. */
export const TROUBLE = new Set(["differs", "purging"]);
