import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

describe('the published package', () => {
	let folder: string;
	const run = (...args: string[]) =>
		execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8', timeout: 300_000 });

	beforeAll(() => {
		folder = mkdtempSync(join(tmpdir(), 'plimsoll-package-'));
		run(join(ROOT, 'scripts/build.js'), join(folder, 'package'));
		symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
	});

	afterAll(() => rmSync(folder, { recursive: true, force: true }));

	test('runs the command line from JavaScript', () => {
		const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
		expect(run('package/bin/plimsoll.js', '--version').trim()).toBe(version);
	});

	test('makes a project that passes its own check', () => {
		run('package/bin/plimsoll.js', 'init', 'project');
		expect(JSON.parse(run('package/bin/plimsoll.js', 'check', '--dir', 'project', '--json'))).toMatchObject({
			ok: true,
		});
	});

	test('gives the library and its types', () => {
		expect(
			run(
				'--input-type=module',
				'-e',
				"console.log(Object.keys(await import('./package/lib/index.js')).sort().join())",
			).trim(),
		).toBe('ERRORS,PlimsollError,createRuntime');
		expect(readFileSync(join(folder, 'package/lib/index.d.ts'), 'utf8')).toContain('createRuntime');
	});

	test('carries nothing that only the checkout needs', () => {
		const manifest = JSON.parse(readFileSync(join(folder, 'package/package.json'), 'utf8'));
		for (const name of ['private', 'scripts', 'devDependencies', 'overrides', 'allowScripts'])
			expect(manifest).not.toHaveProperty(name);
	});
});
