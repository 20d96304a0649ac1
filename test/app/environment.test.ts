import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { setDefaults } from '../../src/app/environment.ts';

const NAMES = ['PLIMSOLL_TEST_SET', 'PLIMSOLL_TEST_UNSET'] as const;
afterEach(() => {
	for (const name of NAMES) delete process.env[name];
});

it('what the operator set for an engine stays; what is not set is bounded', () => {
	process.env.PLIMSOLL_TEST_SET = '7';
	setDefaults({ PLIMSOLL_TEST_SET: 1, PLIMSOLL_TEST_UNSET: 2 });
	expect(NAMES.map((name) => process.env[name])).toEqual(['7', '2']);
});

it('LanceDB is not loaded before its settings are made: it reads some of them as it loads', {
	timeout: 60_000,
}, async () => {
	const program = `
		import { createRequire } from 'node:module';
		const { cache } = createRequire(import.meta.url);
		const loaded = () => Object.keys(cache).some((file) => file.includes('@lancedb'));
		await import('./src/app/services.ts');
		const before = loaded();
		await import('./src/index-stores/lancedb/store.ts');
		console.log(JSON.stringify([before, loaded()]));`;
	const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
	expect(JSON.parse(stdout)).toEqual([false, true]);
});
