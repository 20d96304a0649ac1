import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
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
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { openToWrite } from '../../src/telemetry/trace-file.ts';
import type { WorkerStart } from '../../src/telemetry/trace-protocol.ts';
import { openTraceReader } from '../../src/telemetry/trace-reader.ts';
import { openTraceStore, type TraceStore, type TraceStoreOptions } from '../../src/telemetry/trace-store.ts';
import { startTraceWorker } from '../../src/telemetry/trace-worker-link.ts';
import { sampleTrace } from './sample-trace.ts';

const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}.ts`, import.meta.url));

describe('trace store in trouble', () => {
	let dir: string;
	let file: string;
	let clock: VirtualClock;
	let warnings: string[];
	let store: TraceStore | null;
	let child: ChildProcess | null;
	const open = async (options: Partial<TraceStoreOptions> = {}): Promise<TraceStore> => {
		const warn = (message: string) => warnings.push(message);
		store = await openTraceStore({ file, clock, retentionDays: 36_500, warn, ...options });
		return store;
	};
	const all = { tenantId: null, feature: null };

	beforeEach(() => {
		dir = mkdtempSync(join(tmpdir(), 'plimsoll-traces-'));
		file = join(dir, 'traces.duckdb');
		clock = new VirtualClock();
		warnings = [];
		store = null;
		child = null;
	});
	afterEach(async () => {
		if (child?.exitCode === null) child.kill('SIGKILL');
		await store?.close();
		rmSync(dir, { recursive: true, force: true });
	});

	/** A process that records and flushes for ever, and what it says about that. */
	async function recorder() {
		const started = spawn(process.execPath, [fixture('record-forever'), file], {
			stdio: ['ignore', 'pipe', 'inherit'],
		});
		child = started;
		let text = '';
		started.stdout.on('data', (bytes) => {
			text += bytes;
		});
		const said = (what: 'recorded' | 'flushed') =>
			text
				.slice(0, text.lastIndexOf('\n'))
				.split('\n')
				.filter((line) => line.startsWith(what))
				.map((line) => line.slice(what.length + 1));
		return {
			process: started,
			recorded: () => said('recorded'),
			/** The ids that a flush has promised to be on disk. */
			flushed: () => said('recorded').slice(0, Number(said('flushed').at(-1) ?? 0)),
			async untilFlushed(count: number) {
				while (Number(said('flushed').at(-1) ?? 0) < count) await once(started.stdout, 'data');
			},
		};
	}

	async function stored(): Promise<Set<string>> {
		const reader = await openTraceReader(file);
		const rows = await reader.recent({ ...all, limit: 1_000_000 });
		await reader.close();
		return new Set(rows.map(({ request_id }) => request_id));
	}

	it('loses nothing to kill -9 that a flush had promised, and starts again on the same file without a word', async () => {
		const running = await recorder();
		await running.untilFlushed(100);
		running.process.kill('SIGKILL');
		await once(running.process, 'close');
		const kept = await stored();
		expect(running.flushed().length).toBeGreaterThanOrEqual(100);
		expect(running.flushed().filter((id) => !kept.has(id))).toEqual([]);
		await open();
		expect(warnings).toEqual([]);
	});

	it('loses nothing to a clean stop in the middle of the work', async () => {
		const running = await recorder();
		await running.untilFlushed(50);
		running.process.kill('SIGTERM');
		await once(running.process, 'close');
		expect(running.process.exitCode).toBe(0);
		const kept = await stored();
		// The fixture goes on recording while it closes; what came after that is refused and counted there.
		const recorded = running.recorded();
		const lastKept = recorded.findLastIndex((id) => kept.has(id));
		expect(recorded.slice(0, lastKept + 1).filter((id) => !kept.has(id))).toEqual([]);
		expect(lastKept).toBeGreaterThanOrEqual(49);
	});

	it('is refused while another process has the file, naming it', async () => {
		const running = await recorder();
		await running.untilFlushed(1);
		const refusal = {
			code: 'storage_failed',
			message: expect.stringMatching(/traces\.duckdb is in use by another process/),
		};
		await expect(open()).rejects.toMatchObject(refusal);
		await expect(openTraceReader(file)).rejects.toMatchObject(refusal);
		expect(readdirSync(dir).filter((name) => name.includes('unusable'))).toEqual([]);
		// What the other one writes with is not touched either.
		const { length } = running.flushed();
		await running.untilFlushed(length + 10);
	});

	/** Starts real workers and remembers the last one. A worker is ended only while it is idle: see the link. */
	function remembered() {
		let last: Worker | null = null;
		return {
			startWorker: (start: WorkerStart) => {
				last = startTraceWorker(start);
				return last;
			},
			async lose() {
				if (last) await Promise.all([once(last, 'exit'), last.terminate()]);
			},
		};
	}

	it('writes a trace within 250 ms, without being asked', async () => {
		let worker: Worker | null = null;
		const opened = await open({
			startWorker: (start) => {
				worker = startTraceWorker(start);
				return worker;
			},
		});
		opened.record(sampleTrace());
		const written = new Promise((resolve) => {
			worker?.on('message', ({ answer }) => {
				if (answer?.kind === 'write') resolve(answer.value);
			});
		});
		await clock.advance(250);
		expect(await written).toMatchObject({ written: 1 });
	});

	it('writes through a file of its own, for its user alone, in a folder of any name', async () => {
		const odd = join(dir, `tenant_id=x '";--%[a]*{b} \\ 名前`);
		file = join(odd, 'traces.duckdb');
		const batch = `${file}.batch`;
		mkdirSync(odd);
		writeFileSync(batch, 'left by a crash', { mode: 0o644 });
		const opened = await open();
		opened.record(sampleTrace());
		expect(await opened.find(sampleTrace().request_id, 'acme')).toEqual(sampleTrace());
		expect(statSync(batch)).toMatchObject({ size: 0, mode: 0o100600 });
	});

	it('lets no statement reach another file', async () => {
		writeFileSync(join(dir, 'other.json'), '{"a":1}');
		const opened = await openToWrite(file);
		for (const sql of [`FROM '${dir}/other.json'`, `COPY requests TO '${dir}/out.csv'`, `ATTACH '${dir}/b.db'`]) {
			await expect(opened.writer.run(sql)).rejects.toThrow(/disabled by configuration/);
			await expect(opened.reader.run(sql)).rejects.toThrow(/disabled by configuration/);
		}
		opened.close();
	});

	/** A worker that opens nothing and answers each question with `reaction`, a statement. */
	function faultyWorker(reaction: string): Worker {
		const source = `const { parentPort } = require('node:worker_threads');
			parentPort.on('message', ({ kind, id, question }) => { ${reaction} });
			parentPort.postMessage({ kind: 'opened' });`;
		return new Worker(source, { eval: true });
	}

	it('starts another worker when one is lost and writes what waited in the buffer', async () => {
		const { startWorker, lose } = remembered();
		const opened = await open({ startWorker });
		for (let loss = 1; loss <= 3; loss++) {
			opened.record(sampleTrace({ request_id: `before-${loss}` }));
			await opened.flush();
			await lose();
			await expect(opened.find('before-1', null)).rejects.toMatchObject({ code: 'storage_failed' });
			opened.record(sampleTrace({ request_id: `during-${loss}` }));
			await clock.advance(0);
			await opened.flush();
			expect(await opened.find(`during-${loss}`, null)).not.toBeNull();
		}
		expect((await opened.stats({ ...all, sinceMs: 0 }))[0]?.requests).toBe(6);
		expect(opened.dropped).toBe(0);
		expect(warnings.filter((text) => text.startsWith('The trace worker was lost'))).toHaveLength(3);
	});

	it('counts what a worker took with it, and goes on with another one', async () => {
		let starts = 0;
		const opened = await open({
			startWorker: (start) =>
				starts++ === 0
					? faultyWorker("if (question.kind === 'write') throw new Error('out of luck')")
					: startTraceWorker(start),
		});
		for (let n = 0; n < 700; n++) opened.record(sampleTrace({ request_id: `r${n}` }));
		const question = opened.find('r0', null).catch((error) => error);
		while (opened.dropped === 0) await new Promise((resolve) => setImmediate(resolve));
		await clock.advance(0);
		opened.record(sampleTrace({ request_id: 'next' }));
		await opened.flush();
		expect(await question).toMatchObject({ code: 'storage_failed' });
		const [stats] = await opened.stats({ ...all, sinceMs: 0 });
		expect((stats?.requests ?? 0) + opened.dropped).toBe(701);
		expect(opened.droppedBy.worker_lost).toBe(opened.dropped);
		expect(warnings.join('\n')).toMatch(/lost: out of luck/);
	});

	it('waits a bounded time for a worker that is stuck, and counts what it sat on', async () => {
		const opened = await open({ startWorker: () => faultyWorker('') });
		for (let n = 0; n < 5_000; n++) opened.record(sampleTrace({ request_id: `r${n}` }));
		const found = opened.find('r0', null).catch((error) => error);
		await clock.advance(60_000);
		expect(await found).toMatchObject({ code: 'storage_failed' });
		expect(opened.droppedBy.worker_lost).toBeGreaterThan(0);
		const closed = opened.close();
		for (let minute = 0; minute < 5; minute++) await clock.advance(60_000);
		await closed;
		expect(opened.dropped).toBe(5_000);
	});

	it('closes without a worker, counting what it could not write', async () => {
		const { startWorker, lose } = remembered();
		const opened = await open({ startWorker });
		opened.record(sampleTrace());
		await opened.flush();
		await lose();
		for (let n = 0; n < 5; n++) opened.record(sampleTrace({ request_id: `r${n}` }));
		await opened.close();
		expect(opened.droppedBy.closed).toBe(5);
		expect(warnings.at(-1)).toMatch(/^5 traces were dropped, 5 since the start/);
	});

	it('waits longer and longer between restarts that fail', async () => {
		let starts = 0;
		let good = true;
		const workers: Worker[] = [];
		const opened = await open({
			startWorker: (start) => {
				starts++;
				const worker = startTraceWorker(good ? start : { ...start, file: join(dir, 'no', '\u0000') });
				workers.push(worker);
				return worker;
			},
		});
		opened.record(sampleTrace({ request_id: 'first' }));
		await opened.flush();
		const exit = () => once(workers.at(-1) as Worker, 'exit');
		good = false;
		await Promise.all([exit(), workers[0]?.terminate()]);
		for (const [delay, expected] of [
			[0, 2],
			[1_000, 3],
			[2_000, 4],
			[4_000, 5],
		] as const) {
			await clock.advance(delay - 1);
			expect(starts).toBe(expected - 1);
			await clock.advance(1);
			expect(starts).toBe(expected);
			await exit();
		}
		good = true;
		await clock.advance(8_000);
		opened.record(sampleTrace());
		await opened.flush();
		expect(await opened.find(sampleTrace().request_id, null)).not.toBeNull();
	});

	describe('sets a file that it cannot use aside, says so, and starts a new one:', () => {
		async function expectSetAside(why: RegExp, before: Buffer): Promise<void> {
			const opened = await open();
			opened.record(sampleTrace());
			expect(await opened.find(sampleTrace().request_id, null)).toEqual(sampleTrace());
			expect(warnings).toHaveLength(1);
			expect(warnings[0]).toMatch(why);
			const name = readdirSync(dir).find((entry) => /^traces\.duckdb\.unusable-\d{8}T\d{6}Z$/.test(entry));
			expect(name).toBeDefined();
			expect(warnings[0]).toContain(name);
			expect(readFileSync(join(dir, name ?? '')).equals(before)).toBe(true);
		}

		async function fill(): Promise<void> {
			const opened = await open();
			for (let n = 0; n < 5_000; n++) opened.record(sampleTrace({ request_id: `${n}${Math.sin(n)}`, started_at: n }));
			await opened.close();
		}

		it('garbage', async () => {
			const garbage = Buffer.from('not a database at all. '.repeat(1_000));
			writeFileSync(file, garbage);
			await expect(openTraceReader(file)).rejects.toMatchObject({
				code: 'storage_failed',
				message: expect.stringMatching(/is corrupt\. The next plimsoll start sets it aside/),
			});
			await expectSetAside(/is corrupt.*set aside/, garbage);
		});

		it('an empty file', async () => {
			writeFileSync(file, '');
			await expectSetAside(/is corrupt.*set aside/, Buffer.alloc(0));
		});

		it('a file cut short', async () => {
			await fill();
			truncateSync(file, 20_000);
			await expectSetAside(/is corrupt.*set aside/, readFileSync(file));
		});

		it('a file with broken headers', async () => {
			await fill();
			const bytes = readFileSync(file);
			bytes.fill(0xff, 4_096, 12_288);
			writeFileSync(file, bytes);
			await expectSetAside(/is corrupt.*set aside/, bytes);
		});

		it('a format of a newer release', async () => {
			await fill();
			const instance = await DuckDBInstance.create(file);
			const connection = await instance.connect();
			await connection.run('UPDATE plimsoll_format SET format = 99');
			connection.closeSync();
			instance.closeSync();
			await expectSetAside(/format 99, written by a newer Plimsoll.*set aside/s, readFileSync(file));
		});

		it('twice in the same second, under two names', async () => {
			for (let n = 0; n < 2; n++) {
				writeFileSync(file, `garbage ${n}`.repeat(1_000));
				await (await open()).close();
			}
			expect(readdirSync(dir).filter((name) => name.includes('unusable'))).toHaveLength(2);
		});
	});

	it('leaves a database of another program alone and refuses to start on it', async () => {
		const instance = await DuckDBInstance.create(file);
		const connection = await instance.connect();
		await connection.run('CREATE TABLE theirs (a INTEGER)');
		connection.closeSync();
		instance.closeSync();
		const before = readFileSync(file);
		await expect(open()).rejects.toMatchObject({
			code: 'storage_failed',
			message: expect.stringContaining('DuckDB database of another program'),
		});
		await expect(openTraceReader(file)).rejects.toMatchObject({ code: 'storage_failed' });
		expect(readFileSync(file).equals(before)).toBe(true);
		expect(readdirSync(dir)).toEqual(['traces.duckdb']);
	});

	it('says what is wrong when the path cannot be used, and when there is nothing to read', async () => {
		mkdirSync(file);
		await expect(open()).rejects.toMatchObject({ code: 'storage_failed', message: expect.stringContaining(file) });
		rmSync(file, { recursive: true });
		await expect(openTraceReader(file)).rejects.toMatchObject({
			code: 'storage_failed',
			message: expect.stringContaining('does not exist'),
		});
		expect(readdirSync(dir)).toEqual([]);
	});

	const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
	it.skipIf(!canMount)('drops and counts on a full disk, and records again when there is room (needs unshare)', () => {
		const mount = `mount -t tmpfs -o size=32m none "$1" && exec "$2" "$3" "$1"`;
		const args = ['-rm', 'bash', '-c', mount, 'bash', dir, process.execPath, fixture('fill-disk')];
		const result = JSON.parse(execFileSync('unshare', args, { encoding: 'utf8' }));
		expect(result.droppedWhileFull).toBeGreaterThan(0);
		expect(result.droppedAfter).toBe(result.droppedWhileFull);
		expect(result.found).toEqual({ first: result.first, last: result.last });
		expect(result.kept + result.droppedAfter).toBe(result.recorded);
		expect(result.by.write_failed).toBe(result.droppedAfter);
		expect(result.warnings.join('\n')).toMatch(/disk is full/);
	});
});
