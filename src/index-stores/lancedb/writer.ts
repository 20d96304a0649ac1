import type { Connection, Table } from '@lancedb/lancedb';
import { PlimsollError } from '../../spec/errors.ts';
import type {
	ChunkSummary,
	DocumentRef,
	IndexedDocument,
	IndexRow,
	IndexWriter,
	TableChanges,
	TableShape,
} from '../../spec/index-store.ts';
import { ChangedDocuments } from '../changed-documents.ts';
import { storageFailure } from '../storage-failure.ts';
import { documentsOf, summariesOf } from './documents.ts';
import { buildIndexes, type IndexedFrom } from './indexes.ts';
import { oldestOf } from './oldest-version.ts';
import { documentsPredicates } from './predicate.ts';
import { arrowSchema, toArrow } from './rows.ts';
import { diagnose } from './trouble.ts';

/**
 * LanceDB keeps in memory what each commit of a session made of the list of files, beyond every bound that it is given: a build of
 * a thousand commits held half a gigabyte. Once the lists of a session came to so many files, a writer goes on in the next one.
 */
const LISTED_MAX = 8_192;

interface Given {
	readonly from: IndexedFrom;
	/** What messages call the table. */
	readonly called: string;
	/** Opens a session that nobody else has. */
	readonly connect: () => Promise<Connection>;
}

/** A table in a session of its own. */
interface Opened {
	readonly session: Connection;
	readonly table: Table;
}

/**
 * The newest version of a dataset. Lance merges what two writers add, so that a document could be there twice: whoever sees
 * that a version is not its own takes back what it wrote last and stops.
 */
export class LanceWriter implements IndexWriter {
	readonly #shape: TableShape;
	readonly #given: Given;
	readonly #changed: ChangedDocuments;
	#opened: Opened;
	/** Files of the newest version, at most. */
	#files: number;
	/** Files in all lists that the session has made. */
	#listed = 0;
	/** The one that this writer made or found last. */
	#version: number;

	private constructor(
		opened: Opened,
		{ shape, files, version, given }: { shape: TableShape; files: number; version: number; given: Given },
	) {
		this.#opened = opened;
		this.#shape = shape;
		this.#given = given;
		this.#changed = new ChangedDocuments(version);
		this.#files = files;
		this.#version = version;
	}

	static async open(shape: TableShape, given: Given): Promise<LanceWriter> {
		const name = shape.table;
		return storageFailure(given.called, diagnose, async () =>
			openedIn(await given.connect(), async (session) => {
				const names = await session.tableNames({ startAfter: '', limit: 100_000 });
				const table = names.includes(name)
					? await session.openTable(name)
					: await session.createEmptyTable(name, arrowSchema(shape), { mode: 'create' });
				const { fragmentStats } = await table.stats();
				const found = { files: fragmentStats.numFragments, version: await table.version() };
				return new LanceWriter({ session, table }, { shape, given, ...found });
			}),
		);
	}

	get table(): string {
		return this.#shape.table;
	}

	get changes(): TableChanges {
		return this.#changed.changes;
	}

	documents(): AsyncGenerator<IndexedDocument[]> {
		return this.#read(documentsOf(this.#table));
	}

	summaries(): AsyncGenerator<ChunkSummary[]> {
		return this.#read(summariesOf(this.#table));
	}

	async write(replaced: readonly DocumentRef[], rows: readonly IndexRow[]): Promise<void> {
		await this.remove(replaced);
		if (rows.length === 0) return;
		await this.#assertAlone();
		this.#changed.add(rows);
		await this.#guarded(() => this.#table.add(toArrow(rows, this.#shape)));
		if (!(await this.#isNext())) {
			await this.#delete(rows);
			throw this.#conflict();
		}
	}

	async remove(documents: readonly DocumentRef[]): Promise<void> {
		if (documents.length === 0) return;
		await this.#assertAlone();
		await this.#delete(documents);
	}

	version(): Promise<number> {
		return this.#guarded(() => this.#table.version());
	}

	async seal(keep: readonly number[], { erase } = { erase: false }): Promise<{ version: number; chunks: number }> {
		await this.#assertAlone();
		const sealed = await this.#guarded(async () => {
			const chunks = await this.#table.countRows();
			const cleanupOlderThan = oldestOf(await this.#table.listVersions(), keep);
			await this.#renewSession();
			// First, since it would write every new index once more.
			await this.#table.optimize(cleanupOlderThan ? { cleanupOlderThan, deleteUnverified: erase } : {});
			await this.#renewSession();
			await buildIndexes(this.#table, { chunks, shape: this.#shape, from: this.#given.from });
			return { version: await this.#table.version(), chunks };
		});
		if ((await this.#guarded(() => this.#table.countRows())) !== sealed.chunks) throw this.#conflict();
		this.#version = sealed.version;
		return sealed;
	}

	async rewrite(): Promise<void> {
		await this.#assertAlone();
		this.#changed.addAll();
		await this.#guarded(async () => {
			for (const { name } of await this.#table.listIndices()) await this.#table.dropIndex(name);
			// An update writes whole rows to new files; a deletion alone leaves their bytes where they are.
			if ((await this.#table.countRows()) > 0) await this.#table.update({ valuesSql: { source: 'source' } });
			this.#version = await this.#table.version();
		});
	}

	close(): void {
		this.#opened.table.close();
		this.#opened.session.close();
	}

	get #table(): Table {
		return this.#opened.table;
	}

	async #delete(documents: readonly DocumentRef[]): Promise<void> {
		this.#changed.add(documents);
		for (const those of documentsPredicates(documents)) {
			await this.#guarded(() => this.#table.delete(those));
			if (!(await this.#isNext())) throw this.#conflict();
		}
	}

	/** Throws when another writer made a version since this one's last. */
	async #assertAlone(): Promise<void> {
		this.#listed += ++this.#files;
		if (this.#listed > LISTED_MAX) await this.#guarded(() => this.#renewSession());
		await this.#guarded(() => this.#table.checkoutLatest());
		if ((await this.version()) !== this.#version) throw this.#conflict();
	}

	async #renewSession(): Promise<void> {
		const opened = await openedIn(await this.#given.connect(), async (session) => {
			return { session, table: await session.openTable(this.table) };
		});
		this.close();
		this.#opened = opened;
		this.#listed = 0;
	}

	/** Whether the commit that just happened followed this writer's own version, and makes it the last one. */
	async #isNext(): Promise<boolean> {
		const before = this.#version;
		this.#version = await this.version();
		return this.#version <= before + 1;
	}

	#conflict(): PlimsollError {
		return new PlimsollError(
			'index_conflict',
			`${this.#given.called} was changed by another writer meanwhile; run the ingestion again.`,
		);
	}

	async *#read<T>(batches: AsyncGenerator<T>): AsyncGenerator<T> {
		for (;;) {
			const next = await this.#guarded(() => batches.next());
			if (next.done) return;
			yield next.value;
		}
	}

	#guarded<T>(run: () => Promise<T>): Promise<T> {
		return storageFailure(this.#given.called, diagnose, run);
	}
}

/** Whoever cannot open something in a session leaves none behind. */
async function openedIn<T>(session: Connection, open: (session: Connection) => Promise<T>): Promise<T> {
	try {
		return await open(session);
	} catch (cause) {
		session.close();
		throw cause;
	}
}
