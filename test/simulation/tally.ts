import type { Observation } from './observation.ts';

/** What happened in a run, in numbers. */
export interface Counts {
	requests: number;
	/** By `ok`, `degraded` or the code of the error. */
	readonly outcomes: Record<string, number>;
	attempts: number;
	/** Of them those that were made beside another one. */
	hedges: number;
	/** Faults put in, by kind. */
	readonly faults: Record<string, number>;
}

export function emptyCounts(): Counts {
	return { requests: 0, outcomes: {}, attempts: 0, hedges: 0, faults: {} };
}

export function count(counts: Counts, seen: Observation): void {
	switch (seen.kind) {
		case 'entered':
			counts.requests++;
			return;
		case 'ended':
			add(counts.outcomes, seen.error?.code ?? (seen.answer?.degraded ? 'degraded' : 'ok'));
			return;
		case 'called':
			counts.attempts++;
			return;
		case 'traced':
			counts.hedges += seen.trace.steps
				.flatMap(({ attempts }) => attempts)
				.filter(({ kind }) => kind === 'hedge').length;
			return;
		case 'fault':
			add(counts.faults, seen.what);
			return;
	}
}

export function addCounts(to: Counts, more: Counts): void {
	to.requests += more.requests;
	to.attempts += more.attempts;
	to.hedges += more.hedges;
	for (const [name, number] of Object.entries(more.outcomes)) add(to.outcomes, name, number);
	for (const [name, number] of Object.entries(more.faults)) add(to.faults, name, number);
}

function add(to: Record<string, number>, name: string, number = 1): void {
	to[name] = (to[name] ?? 0) + number;
}
