import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDataFolder, readHolder } from '../../src/stores/data-folder.ts';

describe('data folder', () => {
	let root: string;
	let dir: string;
	const children: ChildProcess[] = [];
	beforeEach(() => {
		root = mkdtempSync(join(tmpdir(), 'plimsoll-folder-'));
		dir = join(root, 'deep', 'data');
	});
	afterEach(async () => {
		for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
		rmSync(root, { recursive: true, force: true });
	});

	/** A child process that holds `dir`. */
	async function holder(): Promise<ChildProcess> {
		const script = fileURLToPath(new URL('./fixtures/hold-data-folder.ts', import.meta.url));
		const child = spawn(process.execPath, [script, dir], { stdio: ['pipe', 'pipe', 'inherit'] });
		children.push(child);
		await once(child.stdout, 'data');
		return child;
	}

	it('is created for its owner only', () => {
		const folder = lockDataFolder(dir);
		expect(folder.dir).toBe(dir);
		expect(statSync(dir).mode & 0o777).toBe(0o700);
		folder.publish({ pid: process.pid, url: 'http://127.0.0.1:1' });
		expect(statSync(join(dir, 'lock.db')).mode & 0o777).toBe(0o600);
		expect(statSync(join(dir, 'holder.json')).mode & 0o777).toBe(0o600);
		folder.release();
	});

	it('that cannot even be looked into is a storage error, also for who only asks who holds it', () => {
		const loop = join(root, 'loop');
		symlinkSync(loop, loop);
		const refusal = expect.objectContaining({ code: 'storage_failed', message: expect.stringContaining(loop) });
		expect(() => readHolder(loop)).toThrow(refusal);
		expect(() => lockDataFolder(loop)).toThrow(refusal);
	});

	it('is refused to a second process, by the name and address of the first', async () => {
		const child = await holder();
		expect(() => lockDataFolder(dir)).toThrow(
			expect.objectContaining({
				code: 'data_folder_locked',
				message: `The Plimsoll process ${child.pid}, listening on http://127.0.0.1:4600, uses the data folder ${dir}. Stop it, or give this one another data_dir.`,
			}),
		);
	});

	it('is refused to a second holder in the same process, and the refusal leaves the first its lock', () => {
		const folder = lockDataFolder(dir);
		expect(() => lockDataFolder(dir)).toThrow(expect.objectContaining({ code: 'data_folder_locked' }));
		expect(() => lockDataFolder(dir)).toThrow(expect.objectContaining({ code: 'data_folder_locked' }));
		expect(readHolder(dir)).toEqual({ pid: process.pid, url: null });
		folder.release();
		lockDataFolder(dir).release();
	});

	it('can be taken at once after kill -9 of its holder, whose address is forgotten', async () => {
		const child = await holder();
		expect(readHolder(dir)).toEqual({ pid: child.pid, url: 'http://127.0.0.1:4600' });
		child.kill('SIGKILL');
		await once(child, 'close');
		expect(existsSync(join(dir, 'holder.json'))).toBe(true);
		expect(readHolder(dir)).toBeNull();
		const folder = lockDataFolder(dir);
		expect(readHolder(dir)).toEqual({ pid: process.pid, url: null });
		folder.release();
	});

	it('has no holder before, and none after, and release is idempotent', async () => {
		expect(readHolder(dir)).toBeNull();
		const folder = lockDataFolder(dir);
		folder.publish({ pid: process.pid, url: 'http://[::1]:4600' });
		expect(readHolder(dir)).toEqual({ pid: process.pid, url: 'http://[::1]:4600' });
		folder.release();
		folder.release();
		expect(readHolder(dir)).toBeNull();
		const child = await holder();
		child.stdin?.end();
		await once(child, 'close');
		expect(child.exitCode).toBe(0);
		expect(readHolder(dir)).toBeNull();
	});

	it('looking at it does not take it', async () => {
		const child = await holder();
		readHolder(dir);
		child.stdin?.end();
		await once(child, 'close');
		readHolder(dir);
		lockDataFolder(dir).release();
	});

	it('still counts as held when the holder’s file is unreadable', () => {
		const folder = lockDataFolder(dir);
		for (const text of ['', '{"pid":', '[]', '{"pid":"7","url":1}']) {
			writeFileSync(join(dir, 'holder.json'), text);
			expect(readHolder(dir)).toEqual({ pid: null, url: null });
		}
		folder.release();
	});

	it('says what is wrong when the path is not a folder or the lock file is something else', () => {
		writeFileSync(join(root, 'file'), 'mine');
		for (const path of [join(root, 'file'), join(root, 'file', 'below')]) {
			expect(() => lockDataFolder(path)).toThrow(
				expect.objectContaining({ code: 'storage_failed', message: expect.stringContaining('not a folder') }),
			);
		}
		expect(readFileSync(join(root, 'file'), 'utf8')).toBe('mine');
		lockDataFolder(dir).release();
		writeFileSync(join(dir, 'lock.db'), 'x'.repeat(5000));
		expect(() => lockDataFolder(dir)).toThrow(expect.objectContaining({ code: 'storage_failed' }));
		expect(() => readHolder(dir)).toThrow(expect.objectContaining({ code: 'storage_failed' }));
	});
});
