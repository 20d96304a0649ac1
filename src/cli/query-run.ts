import type { SearchReply } from '../app/gateway-reply.ts';
import type { Session } from '../app/session.ts';
import { systemClock } from '../base/clock.ts';
import { asPlimsollError, type ErrorCode, PlimsollError } from '../spec/errors.ts';
import type { SearchMode } from '../spec/retrieval.ts';
import { EXIT } from './exit-code.ts';
import { watchInterrupts } from './interrupt.ts';
import { inSession, type ServerOptions } from './options.ts';
import { Progress } from './progress.ts';
import { type QueryLine, readQueries } from './query-file.ts';
import { openRunOutput } from './run-file.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count, duration } from './units.ts';

export interface SearchOptions extends ServerOptions {
	readonly k: number;
	readonly mode?: SearchMode;
	readonly filter?: object;
	readonly queries?: string;
	readonly format: 'json' | 'trec';
	readonly unit: 'document' | 'chunk';
	readonly out?: string;
}

/** Enough to keep two cores busy, few enough to leave a server room for others. */
const AT_ONCE = 8;
/** This many failures in a row are not the queries' fault. */
const FAILURES_IN_A_ROW_MAX = 20;
const MESSAGES_MAX = 20;

/** Faults of one query; any other failure would meet every query, and ends the run. */
const OWN_FAULTS: ReadonlySet<ErrorCode> = new Set([
	'request_invalid',
	'deadline_exceeded',
	'concurrency_exceeded',
	'retrieval_failed',
	'body_too_large',
]);

type Outcome =
	| { readonly line: number; readonly id: string; readonly found: SearchReply }
	| { readonly line: number; readonly id: string | null; readonly error: PlimsollError };

/**
 * Runs a file of queries, a bounded number at a time, and writes their results in the file's order. A line that is no
 * query and a query that fails are told with their number, and the exit status is then 1.
 */
export async function searchAll(collection: string, options: SearchOptions, terminal: Terminal): Promise<void> {
	const interrupts = watchInterrupts();
	const run = new QueryRun(collection, { options, terminal, signal: interrupts.signal });
	try {
		await inSession(options, terminal, (session) => run.all(session));
	} finally {
		interrupts.stop();
	}
}

class QueryRun {
	readonly #collection: string;
	readonly #options: SearchOptions;
	readonly #terminal: Terminal;
	readonly #signal: AbortSignal;
	readonly #progress: Progress;
	#done = 0;
	#failed = 0;
	#failedInARow = 0;

	constructor(collection: string, around: { options: SearchOptions; terminal: Terminal; signal: AbortSignal }) {
		this.#collection = collection;
		this.#options = around.options;
		this.#terminal = around.terminal;
		this.#signal = around.signal;
		this.#progress = new Progress(around.terminal, systemClock);
	}

	async all(session: Session): Promise<void> {
		const startedAt = systemClock.monotonic();
		const output = await openRunOutput(this.#options.out, this.#terminal);
		try {
			const running: Promise<Outcome>[] = [];
			const take = async () => {
				const next = running.shift();
				if (next) await output.write(this.#lines(await next));
			};
			for await (const line of readQueries(this.#options.queries ?? '-', this.#signal)) {
				running.push(this.#one(session, line));
				if (running.length >= AT_ONCE) await take();
			}
			while (running.length > 0) await take();
			await output.keep();
		} catch (thrown) {
			await output.discard();
			throw thrown;
		} finally {
			this.#progress.clear();
		}
		this.#summary(systemClock.monotonic() - startedAt);
	}

	/** Never rejects: its outcome is looked at when its turn comes. */
	async #one(session: Session, line: QueryLine): Promise<Outcome> {
		if ('wrong' in line) {
			return { line: line.line, id: null, error: new PlimsollError('request_invalid', line.wrong) };
		}
		const { id, query } = line;
		const { k, mode = null, filter } = this.#options;
		try {
			const found = await session.search(this.#collection, { query, k, mode, filter, signal: this.#signal });
			return { line: line.line, id, found };
		} catch (thrown) {
			return { line: line.line, id, error: asPlimsollError(thrown) };
		}
	}

	/** The lines that an outcome adds to the run. Throws what ends the whole run. */
	#lines(outcome: Outcome): string {
		this.#done++;
		this.#progress.update({ label: this.#collection, done: this.#done, total: null, unit: ['query', 'queries'] });
		if ('error' in outcome) return this.#failure(outcome);
		this.#failedInARow = 0;
		return this.#options.format === 'trec'
			? trecLines(outcome.id, outcome.found, this.#options.unit)
			: `${JSON.stringify(ranked(outcome.id, outcome.found))}\n`;
	}

	#failure({ line, id, error }: Extract<Outcome, { error: PlimsollError }>): string {
		if (!OWN_FAULTS.has(error.code)) throw error;
		this.#failed++;
		if (id !== null && ++this.#failedInARow >= FAILURES_IN_A_ROW_MAX) throw error;
		if (this.#failed <= MESSAGES_MAX) {
			this.#progress.clear();
			const which = id === null ? `line ${line}` : `line ${line}, query ${oneLine(id)}`;
			this.#terminal.note(`${this.#terminal.paintNote('yellow', which)}: ${oneLine(error.message)}`);
		}
		if (this.#options.format === 'trec') return '';
		return `${JSON.stringify({ line, id, error: { code: error.code, message: error.message } })}\n`;
	}

	#summary(ms: number): void {
		if (this.#failed > 0) process.exitCode = EXIT.failed;
		const failed = this.#failed === 0 ? '' : `, ${count(this.#failed, 'line')} failed`;
		const rate = ms > 0 ? `, ${Math.round((this.#done / ms) * 1_000)}/s` : '';
		this.#terminal.note(`${count(this.#done, 'query', 'queries')} in ${duration(ms)}${rate}${failed}`);
	}
}

function ranked(id: string, { generation, mode, degraded, hits }: SearchReply) {
	return {
		id,
		generation,
		mode,
		degraded,
		hits: hits.map(({ rank, document, chunk, score }) => ({ rank, document, chunk, score })),
	};
}

/**
 * TREC run format: `qid Q0 docid rank score tag`. Fields are divided by white space, so that white space in an id is
 * percent-encoded.
 */
function trecLines(id: string, { hits }: Pick<SearchReply, 'hits'>, unit: 'document' | 'chunk'): string {
	const seen = new Set<string>();
	let lines = '';
	for (const hit of hits) {
		const name = unit === 'document' ? hit.document : hit.chunk;
		if (seen.has(name)) continue;
		seen.add(name);
		lines += `${oneField(id)} Q0 ${oneField(name)} ${seen.size} ${hit.score} plimsoll\n`;
	}
	return lines;
}

function oneField(text: string): string {
	return text.replace(/\s/gu, (space) => encodeURIComponent(space));
}
