import type { Result } from './simulation.ts';
import { addCounts, type Counts, emptyCounts } from './tally.ts';

/** What all seeds of a run came to. */
export class Summary {
	readonly counts: Counts = emptyCounts();
	readonly violations: Result[] = [];
	seeds = 0;
	events = 0;
	virtualMs = 0;

	add(result: Result): void {
		this.seeds++;
		this.events += result.events;
		this.virtualMs += result.virtualMs;
		addCounts(this.counts, result.counts);
		if (result.violation !== null) this.violations.push(result);
	}

	/** @param seconds how long it took. */
	table(seconds: number): string {
		const { requests, attempts, hedges, outcomes, faults } = this.counts;
		const ended = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
		const rows: [string, string][] = [
			['seeds', number(this.seeds)],
			['requests', number(requests)],
			['attempts at upstreams', `${number(attempts)} (${(attempts / Math.max(1, requests)).toFixed(2)} a request)`],
			['of them hedges', number(hedges)],
			['events', number(this.events)],
			['virtual time', `${number(this.virtualMs / 3_600_000, 1)} h`],
			[
				'wall time',
				`${number(seconds, 1)} s: ${number(requests / seconds)} requests/s, ${number(this.events / seconds)} events/s`,
			],
		];
		return [
			section('run', rows),
			section('how requests ended', [
				...sorted(outcomes, requests),
				['lost with their process', number(requests - ended)],
			]),
			section('faults put in', sorted(faults, null)),
		].join('\n');
	}

	json(seconds: number) {
		const { seeds, events, virtualMs, counts, violations } = this;
		return { seeds, events, virtual_ms: virtualMs, seconds, ...counts, violations };
	}
}

/** A failed seed, for people: what does not hold, what happened before, and how to see it again. */
export function failureText({ seed, violation, trail }: Result, command: string): string {
	if (violation === null) return '';
	return [
		...trail,
		'',
		`Invariant ${violation.invariant} does not hold: ${violation.message}.`,
		`Seed ${seed}, event ${violation.event}. To see it again: ${command}`,
	].join('\n');
}

function section(title: string, rows: readonly (readonly [string, string])[]): string {
	const width = Math.max(...rows.map(([name]) => name.length), 24);
	return [title, ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`), ''].join('\n');
}

function sorted(counts: Readonly<Record<string, number>>, of: number | null): [string, string][] {
	return Object.entries(counts)
		.sort(([, a], [, b]) => b - a)
		.map(([name, count]) => [
			name,
			of === null ? number(count) : `${number(count).padStart(10)}  ${((100 * count) / of).toFixed(1).padStart(5)} %`,
		]);
}

function number(value: number, digits = 0): string {
	return value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });
}
