import type { Clock } from '../base/clock.ts';
import { cut, oneLine, type Terminal } from './terminal.ts';
import { count, duration, whole } from './units.ts';

/** How far something is. */
export interface ProgressState {
	/** What it is about, e.g. `docs · manual · write`. */
	readonly label: string;
	readonly done: number;
	/** Null: not known yet. */
	readonly total: number | null;
	/** Of what, one and many: `['document', 'documents']`. */
	readonly unit: readonly [string, string];
	/** Stands at the end; may change with every report. */
	readonly note?: string;
}

const REDRAW_MS = 100;
/** How often a log that nobody watches gets a line. */
const LINE_MS = 5_000;
const BAR = 24;

/** Shows progress on stderr: a bar that is drawn over in a terminal, a line now and then elsewhere, nothing with --json. */
export class Progress {
	readonly #terminal: Terminal;
	readonly #clock: Clock;
	#label: string | null = null;
	#startedAt = 0;
	#shownAt = Number.NEGATIVE_INFINITY;
	#drawn = false;

	constructor(terminal: Terminal, clock: Clock) {
		this.#terminal = terminal;
		this.#clock = clock;
	}

	update(state: ProgressState): void {
		if (this.#terminal.json) return;
		const now = this.#clock.monotonic();
		const isNew = state.label !== this.#label;
		if (isNew) {
			this.#label = state.label;
			this.#startedAt = now;
		}
		const { watched } = this.#terminal;
		if (!isNew && now - this.#shownAt < (watched ? REDRAW_MS : LINE_MS)) return;
		this.#shownAt = now;
		const text = progressText(state, now - this.#startedAt, watched);
		if (watched) this.#terminal.redraw(cut(text, this.#terminal.columns - 1));
		else this.#terminal.note(text);
		this.#drawn = watched;
	}

	/** Takes the bar away, so that other lines can be written. */
	clear(): void {
		if (this.#drawn) this.#terminal.redraw('');
		this.#drawn = false;
	}
}

/** One line: label, bar where the total is known, counts, rate and the time that is left. @param ms since it began. */
function progressText({ label, done, total, unit, note = '' }: ProgressState, ms: number, bar: boolean): string {
	const perSecond = ms >= 500 ? (done / ms) * 1_000 : null;
	const rate =
		perSecond === null || done === 0 ? null : `${perSecond >= 10 ? whole(perSecond) : perSecond.toFixed(1)}/s`;
	const name = oneLine(label);
	if (total === null || total === 0) {
		return [name, count(done, ...unit), rate, note || null].filter((part) => part !== null).join('  ');
	}
	const share = Math.min(1, done / total);
	const filled = Math.round(share * BAR);
	const left =
		perSecond !== null && done > 0 && done < total ? `${duration(((total - done) / perSecond) * 1_000)} left` : null;
	return [
		name,
		bar ? `${'█'.repeat(filled)}${'░'.repeat(BAR - filled)}` : null,
		`${whole(done)} of ${count(total, ...unit)}`,
		`${Math.floor(share * 100)} %`,
		rate,
		left,
		note || null,
	]
		.filter((part) => part !== null)
		.join('  ');
}
