import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	truncateSync,
	writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RECORD_SCHEMA } from '../../src/stores/record-schema.ts';
import { openSqliteRecords } from '../../src/stores/sqlite.ts';
import { openSqliteFile } from '../../src/stores/sqlite-file.ts';
import { generation, key, move, recordStoreSuite, run } from './record-store.suite.ts';
import { runRecordsSuite } from './run-records.suite.ts';

recordStoreSuite('SQLite in memory', async () => openSqliteRecords(':memory:'));
runRecordsSuite('SQLite in memory', async () => openSqliteRecords(':memory:'));

describe('record store in a file', () => {
	let dir: string;
	let file: string;
	beforeEach(() => {
		dir = mkdtempSync(join(tmpdir(), 'plimsoll-records-'));
		file = join(dir, 'data', 'records.db');
	});
	afterEach(() => rmSync(dir, { recursive: true, force: true }));

	recordStoreSuite('a SQLite file', async () => openSqliteRecords(file));
	runRecordsSuite('a SQLite file', async () => openSqliteRecords(file));

	it('keeps everything over a restart', async () => {
		const first = openSqliteRecords(file);
		await first.putKey(key());
		await first.generations.put(generation());
		await first.generations.move(move());
		await first.putRun(run());
		await first.close();
		const second = openSqliteRecords(file);
		expect(await second.listKeys()).toEqual([key()]);
		expect(await second.generations.live()).toEqual([generation({ state: 'live', promotedAt: 5 })]);
		expect(await second.listRuns(null, 10)).toEqual([run()]);
		await second.close();
	});

	it('shows one process what another one wrote', async () => {
		const server = openSqliteRecords(file);
		const command = openSqliteRecords(file);
		await command.putKey(key());
		expect(await server.listKeys()).toEqual([key()]);
		await server.revokeKey('k1', 5);
		expect((await command.listKeys())[0]?.revokedAt).toBe(5);
		await server.close();
		await command.close();
	});

	it('is made whole before it has its name, and what a killed creation left is no hindrance', async () => {
		mkdirSync(join(dir, 'data'));
		writeFileSync(`${file}.new-${process.pid}`, '');
		const store = openSqliteRecords(file);
		expect(statSync(file).size).toBeGreaterThan(0);
		await store.putKey(key());
		await store.close();
		expect(readdirSync(join(dir, 'data'))).toEqual(['records.db']);
	});

	it('is readable by its owner only, with its folder', async () => {
		const store = openSqliteRecords(file);
		await store.putKey(key());
		expect(statSync(join(dir, 'data')).mode & 0o777).toBe(0o700);
		for (const name of ['records.db', 'records.db-wal', 'records.db-shm']) {
			expect(statSync(join(dir, 'data', name)).mode & 0o777).toBe(0o600);
		}
		await store.close();
	});

	it('loses no record to kill -9', async () => {
		const script = fileURLToPath(new URL('./fixtures/put-keys-forever.ts', import.meta.url));
		const child = spawn(process.execPath, [script, file], { stdio: ['ignore', 'pipe', 'inherit'] });
		let said = '';
		await new Promise<void>((resolve) => {
			child.stdout.on('data', (bytes) => {
				said += bytes;
				if (said.includes('k200\n')) child.kill('SIGKILL');
			});
			child.on('close', () => resolve());
		});
		expect(child.signalCode).toBe('SIGKILL');
		const promised = said.slice(0, said.lastIndexOf('\n')).split('\n');
		const store = openSqliteRecords(file);
		const kept = new Set((await store.listKeys()).map(({ id }) => id));
		expect(promised.length).toBeGreaterThan(200);
		expect(promised.filter((id) => !kept.has(id))).toEqual([]);
		await store.close();
	});

	describe('refuses with storage_failed that names the file and the cause:', () => {
		const open = () => openSqliteRecords(file);
		const refusal = (cause: string) =>
			expect.objectContaining({
				code: 'storage_failed',
				message: expect.toSatisfy((text: string) => text.includes(file) && text.includes(cause)),
			});

		beforeEach(() => mkdirSync(join(dir, 'data')));

		it('a file that is not a database', () => {
			writeFileSync(file, 'these are not the bytes you are looking for'.repeat(100));
			expect(open).toThrow(refusal('is not a SQLite database'));
			expect(readFileSync(file, 'utf8')).toMatch(/^these are not/);
		});

		it('a database with broken pages', async () => {
			const store = openSqliteRecords(file);
			for (let n = 0; n < 500; n++) await store.putKey(key({ id: `key-${n}`, createdAt: n }));
			await store.close();
			const bytes = readFileSync(file);
			bytes.fill(0xff, 4096 * 3, 4096 * 6);
			writeFileSync(file, bytes);
			expect(open).toThrow(refusal('is corrupt'));
		});

		it('a database cut short', async () => {
			const store = openSqliteRecords(file);
			for (let n = 0; n < 500; n++) await store.putKey(key({ id: `key-${n}`, createdAt: n }));
			await store.close();
			truncateSync(file, 4096 * 3);
			expect(open).toThrow(refusal('is corrupt'));
		});

		it('a file that was emptied, which stays as it is', async () => {
			await openSqliteRecords(file).close();
			truncateSync(file, 0);
			expect(open).toThrow(refusal('is empty: what it held is lost. Restore it from a backup, or remove it'));
			expect(statSync(file).size).toBe(0);
		});

		it('a database of another program, which stays as it is', () => {
			const foreign = new DatabaseSync(file);
			foreign.exec('CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)');
			foreign.close();
			expect(open).toThrow(refusal('database of another program'));
			const after = new DatabaseSync(file);
			expect(after.prepare('SELECT a FROM theirs').all()).toEqual([{ a: 1 }]);
			after.close();
		});

		it('a format of a newer release', async () => {
			await openSqliteRecords(file).close();
			const newer = new DatabaseSync(file);
			newer.exec('PRAGMA user_version = 99');
			newer.close();
			expect(open).toThrow(refusal('format 99, written by a newer Plimsoll'));
		});

		it('a folder in the file’s place', () => {
			mkdirSync(file);
			expect(open).toThrow(refusal('is a folder'));
		});

		it('a file in the folder’s place', () => {
			rmSync(join(dir, 'data'), { recursive: true });
			writeFileSync(join(dir, 'data'), '');
			expect(open).toThrow(refusal('is not a folder'));
		});

		it('a database that another process keeps locked', async () => {
			const store = openSqliteRecords(file);
			const other = new DatabaseSync(file);
			other.exec('BEGIN IMMEDIATE');
			await expect(store.putKey(key())).rejects.toEqual(refusal('is locked by another process'));
			other.exec('ROLLBACK');
			other.close();
			await store.putKey(key());
			await store.close();
		});

		it('a row that no release wrote', async () => {
			const store = openSqliteRecords(file);
			await store.putKey(key());
			const other = new DatabaseSync(file);
			other.exec('UPDATE keys SET scopes = \'["everything"]\'');
			other.close();
			await expect(store.listKeys()).rejects.toEqual(refusal('not valid'));
			await store.close();
		});
	});

	const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
	it.skipIf(!canMount)('says that the disk is full, and works again when there is room (needs unshare)', () => {
		mkdirSync(join(dir, 'data'));
		const script = fileURLToPath(new URL('./fixtures/fill-disk.ts', import.meta.url));
		const mount = 'mount -t tmpfs -o size=2m none "$1" && exec "$2" "$3" "$1"';
		const args = ['-rm', 'bash', '-c', mount, 'bash', join(dir, 'data'), process.execPath, script];
		const { errors, ids } = JSON.parse(execFileSync('unshare', args, { encoding: 'utf8' }));
		const full = { code: 'storage_failed', message: expect.stringMatching(/disk is full/) };
		expect(errors).toEqual([full, full]);
		expect(ids).toEqual(['after', 'before']);
	});

	it('takes an old file to the newest format, each step once', () => {
		const schema = { title: 'store', applicationId: 7, migrations: ['CREATE TABLE a (x INTEGER) STRICT'] };
		const old = openSqliteFile(file, schema);
		old.exec('INSERT INTO a VALUES (1)');
		old.close();
		const grown = { ...schema, migrations: [...schema.migrations, 'ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 2'] };
		for (let opening = 0; opening < 2; opening++) {
			const db = openSqliteFile(file, grown);
			expect(db.prepare('SELECT x, y FROM a').all()).toEqual([{ x: 1, y: 2 }]);
			db.close();
		}
	});

	it('takes the keys and live indexes of the first release along: keys for every feature, without an end, never used', async () => {
		const db = openSqliteFile(file, { ...RECORD_SCHEMA, migrations: RECORD_SCHEMA.migrations.slice(0, 1) });
		const { id, tenantId, name, scopes, secretHash, createdAt } = key();
		db.prepare('INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, NULL)').run(
			...[id, tenantId, name, JSON.stringify(scopes), secretHash, createdAt],
		);
		const manifest = { sequence: 7, table: 'docs-t', createdByRun: 'run_1' };
		const insert = db.prepare('INSERT INTO index_pointers VALUES (?, ?, 5, 12, 340, ?)');
		insert.run('docs', 'docs-g7-3fa9c2', JSON.stringify(manifest));
		insert.run('odd', 'odd-g1', 'null');
		db.close();
		const store = openSqliteRecords(file);
		expect(await store.listKeys()).toEqual([key()]);
		expect(await store.listAudit(10)).toEqual([]);
		expect(await store.listAllowances(0)).toEqual([]);
		const old = { promotedAt: 5, createdAt: 5, verifiedAt: null, verification: null, statistics: null };
		expect(await store.generations.live()).toEqual([
			generation({ ...old, sequence: 7, generation: 'docs-g7-3fa9c2', state: 'live', manifest }),
			generation({
				...old,
				collection: 'odd',
				generation: 'odd-g1',
				state: 'live',
				table: '',
				runId: '',
				manifest: null,
			}),
		]);
		expect(await store.generations.moves('docs', 10)).toMatchObject([{ from: null, to: 'docs-g7-3fa9c2' }]);
		await store.close();
	});

	it('leaves a file at its old format when a step fails', () => {
		const schema = { title: 'store', applicationId: 7, migrations: ['CREATE TABLE a (x INTEGER) STRICT'] };
		openSqliteFile(file, schema).close();
		const broken = { ...schema, migrations: [...schema.migrations, 'CREATE TABLE b (x INTEGER); nonsense'] };
		expect(() => openSqliteFile(file, broken)).toThrow(expect.objectContaining({ code: 'storage_failed' }));
		const db = openSqliteFile(file, schema);
		expect(db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'b'").get()).toEqual({ n: 0 });
		db.close();
	});
});
