import { chmod } from 'node:fs/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { FeatureStats, RequestTrace, TraceFilter } from '../spec/trace.ts';
import { isDamaged, openToWrite, setAside, traceFileError, type WritableTraceFile } from './trace-file.ts';
import { traceLine } from './trace-line.ts';
import { findTrace, recentRequests, type StatsFilter, statsByFeature } from './trace-queries.ts';
import type { RequestSummary } from './trace-schema.ts';

/** What became of a batch. */
export interface WriteReport {
	readonly written: number;
	/** Not traces at all. */
	readonly invalid: number;
	/** Refused by the file. */
	readonly failed: number;
	/** Why the first one was not written; null when all were. */
	readonly reason: string | null;
}

interface ArchiveOptions {
	readonly file: string;
	/** Wall time in milliseconds, for the name of a file that is set aside. */
	now(): number;
	/** What an operator should know; the archive goes on. */
	warn(message: string): void;
}

/**
 * The trace file and everything done to it, for the worker that owns it. Calls of one kind (writes, reads) must not
 * overlap; a write and a read may.
 */
export class TraceArchive {
	readonly #options: ArchiveOptions;
	#open: WritableTraceFile | null = null;
	#reads: Promise<unknown> = Promise.resolve();
	#opening: Promise<WritableTraceFile> | null = null;
	/** What the last failure calls for before the next call. */
	#remedy: 'none' | 'reopen' | 'set aside' = 'none';

	constructor(options: ArchiveOptions) {
		this.#options = options;
	}

	/**
	 * Opens the file, creating it when absent. A damaged file or one of a newer format is set aside: traces are not
	 * worth an outage. Throws PlimsollError `storage_failed` when it is another program's, locked, or cannot be written.
	 */
	async open(): Promise<void> {
		try {
			await this.#file();
		} catch (thrown) {
			throw traceFileError(thrown, this.#options.file);
		}
	}

	/** Writes traces, given as JSON, in one transaction. Never throws: what was not written is in the report. */
	async write(traces: readonly string[]): Promise<WriteReport> {
		const lines: string[] = [];
		let reason: string | null = null;
		for (const trace of traces) {
			try {
				lines.push(traceLine(trace));
			} catch (thrown) {
				reason ??= `not a valid trace: ${messageOf(thrown)}`;
			}
		}
		const invalid = traces.length - lines.length;
		if (lines.length === 0) return { written: 0, invalid, failed: 0, reason };
		try {
			await this.#insert(lines);
			return { written: lines.length, invalid, failed: 0, reason };
		} catch (thrown) {
			return {
				written: 0,
				invalid,
				failed: lines.length,
				reason: traceFileError(thrown, this.#options.file).message,
			};
		}
	}

	/** Removes requests that started before an instant, with their steps and attempts. Returns how many requests. */
	async prune(beforeMs: number): Promise<number> {
		try {
			const { writer } = await this.#file();
			const before = [BigInt(Math.trunc(beforeMs))];
			let removed = 0;
			await this.#transaction(writer, async () => {
				await writer.run('DELETE FROM attempts WHERE request_started_at < $1', before);
				await writer.run('DELETE FROM steps WHERE request_started_at < $1', before);
				removed = (await writer.run('DELETE FROM requests WHERE started_at < $1', before)).rowsChanged;
			});
			// Only a checkpoint gives the blocks of deleted rows back for new ones.
			if (removed > 0) await this.#guarded(() => writer.run('CHECKPOINT'));
			return removed;
		} catch (thrown) {
			throw traceFileError(thrown, this.#options.file);
		}
	}

	find(requestId: string, tenantId: string | null): Promise<RequestTrace | null> {
		return this.#read((reader) => findTrace(reader, requestId, tenantId));
	}

	recent(filter: TraceFilter): Promise<RequestSummary[]> {
		return this.#read((reader) => recentRequests(reader, filter));
	}

	stats(filter: StatsFilter): Promise<FeatureStats[]> {
		return this.#read((reader) => statsByFeature(reader, filter));
	}

	/** Stops the read that is under way; it then fails. */
	interrupt(): void {
		this.#open?.reader.interrupt();
	}

	close(): void {
		this.#open?.close();
		this.#open = null;
	}

	async #file(): Promise<WritableTraceFile> {
		if (this.#open && this.#remedy === 'none') return this.#open;
		this.#opening ??= this.#reopen().finally(() => {
			this.#opening = null;
		});
		return this.#opening;
	}

	async #reopen(): Promise<WritableTraceFile> {
		// A connection must not be closed under a query that runs on it.
		for (let seen: unknown = null; seen !== this.#reads; ) {
			seen = this.#reads;
			await seen;
		}
		this.close();
		if (this.#remedy === 'set aside') this.#setAside(`The trace store ${this.#options.file} is corrupt.`);
		this.#remedy = 'reopen';
		this.#open = await this.#openOrSetAside();
		this.#remedy = 'none';
		// DuckDB creates files by the umask. Its log, which comes and goes, is covered by the folder's 0700.
		await chmod(this.#options.file, 0o600);
		return this.#open;
	}

	async #openOrSetAside(): Promise<WritableTraceFile> {
		try {
			return await openToWrite(this.#options.file);
		} catch (thrown) {
			if (!isDamaged(thrown)) throw thrown;
			this.#setAside(messageOf(thrown));
			return openToWrite(this.#options.file);
		}
	}

	#setAside(why: string): void {
		const { file, now, warn } = this.#options;
		const name = setAside(file, now());
		warn(`${why} It was set aside as ${name} and a new trace store was started; older traces are in that file.`);
	}

	async #insert(lines: readonly string[]): Promise<void> {
		const { writer, batch } = await this.#file();
		try {
			await batch.fill(lines);
			await this.#transaction(writer, () => batch.insert());
		} finally {
			// What is left is overwritten by the next batch, or removed when the file is opened anew.
			await batch.clear().catch((thrown) => this.#options.warn(messageOf(thrown)));
		}
	}

	async #transaction(writer: DuckDBConnection, work: () => Promise<unknown>): Promise<void> {
		await this.#guarded(async () => {
			await writer.run('BEGIN');
			try {
				await work();
			} catch (thrown) {
				await writer.run('ROLLBACK');
				throw thrown;
			}
			await writer.run('COMMIT');
		});
	}

	/** After a fatal error (a full disk in a checkpoint, say) DuckDB refuses everything until the file is opened anew. */
	async #guarded(work: () => Promise<unknown>): Promise<void> {
		try {
			await work();
		} catch (thrown) {
			this.#remedy = isDamaged(traceFileError(thrown, this.#options.file)) ? 'set aside' : 'reopen';
			// The rows are safe in the log; only moving them into the file failed.
			if (/COMMIT succeeded and is durable/.test(messageOf(thrown))) {
				this.#options.warn(traceFileError(thrown, this.#options.file).message);
				return;
			}
			throw thrown;
		}
	}

	async #read<T>(query: (reader: DuckDBConnection) => Promise<T>): Promise<T> {
		try {
			let file = await this.#file();
			while (file !== this.#open) file = await this.#file();
			const result = query(file.reader);
			this.#reads = result.catch(() => undefined);
			return await result;
		} catch (thrown) {
			throw traceFileError(thrown, this.#options.file);
		}
	}
}

function messageOf(thrown: unknown): string {
	return thrown instanceof Error ? thrown.message : String(thrown);
}
