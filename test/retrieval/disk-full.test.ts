import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import type { FullDiskResult } from './fixtures/fill-disk.ts';

const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

it.skipIf(!canMount)(
	'a disk that is full at any step of an ingestion is named with what to do, the old generation serves, and the next run finishes (skipped where unshare may not mount)',
	() => {
		const dir = mkdtempSync(join(tmpdir(), 'plimsoll-full-'));
		const [data, sources] = [join(dir, 'data'), join(dir, 'sources')];
		for (const folder of [data, sources]) mkdirSync(folder);
		const script = fileURLToPath(new URL('./fixtures/fill-disk.ts', import.meta.url));
		const mount = 'mount -t tmpfs -o size=48m none "$1" && exec "$2" "$3" "$1" "$4"';
		const args = ['-rm', 'bash', '-c', mount, 'bash', data, process.execPath, script, sources];
		const results: FullDiskResult[] = JSON.parse(execFileSync('unshare', args, { encoding: 'utf8' }));
		rmSync(dir, { recursive: true });
		expect(results).toHaveLength(4);
		for (const result of results) {
			expect(result).toMatchObject({ served: true, finished: true, alertsAfter: [] });
			expect(result.failed).toMatchObject({ code: 'storage_failed', message: expect.stringContaining(data) });
			expect(result.failed?.message).toMatch(/free some space/);
			expect(result.alerts).toEqual([`ingestion_failed:docs: ${result.failed?.message}`]);
		}
	},
);
