import type { Clock } from '../base/clock.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { PushAdmin } from '../spec/push.ts';
import type { Catalogue } from './catalogue.ts';
import type { CollectionQueue } from './collection-queue.ts';
import type { Housekeeping } from './housekeeping.ts';

/** Between two looks, milliseconds. */
const EVERY_MS = 300_000;
/** After so long every row of a live generation is read again, whichever were read for it. */
const READ_EVERY_MS = 86_400_000;

interface Parts {
	readonly catalogue: Pick<Catalogue, 'status' | 'state' | 'examine'>;
	readonly housekeeping: Pick<Housekeeping, 'isDue' | 'tidy' | 'pruneRuns'>;
	readonly queue: CollectionQueue;
	/** What pushed documents are stored. */
	readonly stored: PushAdmin['stored'];
	readonly clock: Clock;
	readonly warn: (message: string) => void;
}

/**
 * Removes on a schedule what no generation needs any more, and reads what is live. A run keeps what requests may still read, so
 * that after many small ones it is time that makes their versions and files removable, and not the next run. It reads only what
 * it changed, so that a file that changed by itself is found here.
 */
export class Maintenance {
	readonly #parts: Parts;
	readonly #closing = new AbortController();
	#cancel: () => void = () => {};
	#looking: Promise<void> = Promise.resolve();
	/** Sources that were told of. */
	#told = '';

	constructor(parts: Parts) {
		this.#parts = parts;
	}

	start(): void {
		if (this.#closing.signal.aborted) return;
		this.#cancel = this.#parts.clock.after(EVERY_MS, () => {
			void this.look();
			this.start();
		});
	}

	/** Tidies and reads the collections that need it, removes old records, tells what is left over, and resolves when that is done. Never throws. */
	look(): Promise<void> {
		this.#looking = this.#looking.then(async () => {
			const { catalogue, housekeeping } = this.#parts;
			for (const { collection: name } of catalogue.status()) {
				await this.#attempt(() => this.#tidy(name), `what the index of ${name} no longer needs could not be removed`);
				await this.#attempt(() => this.#read(name), `the index of ${name} could not be read`);
			}
			const prune = () => housekeeping.pruneRuns(this.#closing.signal);
			await this.#attempt(prune, 'records of old runs could not be removed');
			await this.#attempt(() => this.#tellLeftOver(), 'what is stored could not be looked at');
		});
		return this.#looking;
	}

	async close(): Promise<void> {
		this.#cancel();
		this.#closing.abort(new PlimsollError('server_draining', 'The server is stopping.'));
		await this.#looking;
	}

	/** What goes wrong is told, and tried again at the next look. */
	async #attempt(run: () => Promise<void>, failure: string): Promise<void> {
		const { signal } = this.#closing;
		try {
			if (!signal.aborted) await run();
		} catch (cause) {
			// Runs that wait tidy up themselves, and a collection that is gone has nothing to look after.
			const code = cause instanceof PlimsollError ? cause.code : null;
			if (signal.aborted || code === 'concurrency_exceeded' || code === 'collection_not_found') return;
			this.#parts.warn(`${failure}: ${cause instanceof Error ? cause.message : String(cause)}`);
		}
	}

	async #tidy(collection: string): Promise<void> {
		const { housekeeping, queue } = this.#parts;
		if (!(await housekeeping.isDue(collection))) return;
		await queue.run(collection, () => housekeeping.tidy(collection), this.#closing.signal);
	}

	/** Beside runs and searches: what is live stays readable for longer than this takes. */
	async #read(collection: string): Promise<void> {
		const { catalogue, clock } = this.#parts;
		const { digest, readAt = null } = catalogue.state(collection).index?.manifest ?? {};
		// Without a digest the engine itself finds what changed.
		if (typeof digest !== 'string' || (readAt !== null && clock.now() - readAt < READ_EVERY_MS)) return;
		await catalogue.examine(collection, { thorough: true, signal: this.#closing.signal });
	}

	/** What the configuration does not name is nobody's to delete but a person's, who may put it back. Told once, and again when it changes. */
	async #tellLeftOver(): Promise<void> {
		const { stored, warn } = this.#parts;
		const left = (await stored()).filter(({ isConfigured }) => !isConfigured);
		const names = left.map(({ collection, source }) => `${source} of ${collection}`).join(', ');
		if (names !== '' && names !== this.#told) {
			warn(`pushed documents are stored that the configuration does not name: ${names}; see plimsoll documents stored`);
		}
		this.#told = names;
	}
}
