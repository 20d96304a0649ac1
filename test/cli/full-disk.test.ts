import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { FullDiskAnswers } from './fixtures/serve-on-full-disk.ts';

const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

test.skipIf(!canMount)(
	'a server whose disk is full answers questions, says of a key why it cannot be made, and makes it once there is room (skipped where unshare may not mount)',
	() => {
		const dir = mkdtempSync(join(tmpdir(), 'plimsoll-full-'));
		const script = join(import.meta.dirname, 'fixtures/serve-on-full-disk.ts');
		const mount = 'mount -t tmpfs -o size=64m none "$1" && exec "$2" "$3" "$1"';
		const args = ['-rm', 'bash', '-c', mount, 'bash', dir, process.execPath, script];
		const { full, after }: FullDiskAnswers = JSON.parse(execFileSync('unshare', args, { encoding: 'utf8' }));
		rmSync(dir, { recursive: true });
		expect(full.question).toMatchObject({ status: 200 });
		expect(full.health).toMatchObject({ status: 200 });
		expect(full.key).toMatchObject({
			status: 503,
			body: {
				error: {
					code: 'storage_failed',
					message: expect.stringMatching(/records\.sqlite .*disk is full; free some space/),
				},
			},
		});
		expect(after).toMatchObject({ question: { status: 200 }, key: { status: 201 } });
	},
);
