/** Who waits for whom: `batch` work takes what `interactive` work leaves, and a small share of its own. */
export const PRIORITIES = ['interactive', 'batch'] as const;
export type Priority = (typeof PRIORITIES)[number];
