import { describe, expect, test } from 'vitest';
import {
	brokenLinks,
	commandLine,
	machineTraces,
	routePaths,
	unknownCommands,
	unknownRoutes,
	unknownScripts,
} from './documents.ts';
import { brokenLayers, importCycles } from './layers.ts';
import { foreignUses } from './owners.ts';
import { deadFiles, unusedExports } from './reach.ts';
import { crowdedSignatures, idleExceptions, looseEnds, misplacedTests, overlong } from './shape.ts';
import { sourceFile } from './source-file.ts';

const page = (text: string) => [{ path: 'docs/page.md', text }];

describe('the layer table', () => {
	test.each([
		['upwards', 'src/spec/a.ts', "import { b } from '../runtime/b.ts';"],
		['to a stranger', 'src/models/a.ts', "import type { B } from '../guards/b.ts';"],
		['out of src/', 'src/app/a.ts', "import { b } from '../../bench/b.ts';"],
		['upwards by passing on', 'src/base/a.ts', "export { b } from '../spec/b.ts';"],
		['upwards at run time', 'src/base/a.ts', "await import('../cli/b.ts');"],
		['upwards in a type', 'src/base/a.ts', "export type A = import('../cli/b.ts').B;"],
		['from a folder that it lacks', 'src/junk/a.ts', ''],
	])('refuses an import %s', (_, path, text) => {
		expect(brokenLayers([sourceFile(path, text)])).toHaveLength(1);
	});

	test('ignores imports in comments and strings, and downward ones', () => {
		const text = "// import '../cli/b.ts'\nimport { c } from '../base/c.ts';\nexport const s = `import '../cli/b.ts'`;";
		expect(brokenLayers([sourceFile('src/spec/a.ts', text)])).toEqual([]);
	});

	test('refuses a cycle, also of types, and names its files', () => {
		const cycle = importCycles([
			sourceFile('src/base/a.ts', "import { b } from './b.ts';"),
			sourceFile('src/base/b.ts', "import type { C } from './c.ts';"),
			sourceFile('src/base/c.ts', "import { a } from './a.ts';"),
		]);
		expect(cycle).toEqual([expect.stringContaining('src/base/a.ts → src/base/b.ts → src/base/c.ts → src/base/a.ts')]);
	});
});

describe('single owners', () => {
	test.each([
		['process.env', 'const home = process.env.HOME;'],
		['Date.now', 'const now = Date.now();'],
		['new Date()', 'const now = new Date();'],
		['performance.now', 'const now = performance.now();'],
		['setTimeout', 'setTimeout(() => {}, 1);'],
		['setTimeout as a value', 'const later = setTimeout;'],
		['AbortSignal.timeout', 'const signal = AbortSignal.timeout(1);'],
		['Math.random', 'const dice = Math.random();'],
		['randomUUID', "import { randomUUID } from 'node:crypto';"],
		['fetch', "await fetch('http://example.com');"],
		['undici', "import { request } from 'undici';"],
		['node:http', "import { request } from 'node:http';"],
		['node:sqlite', "import { DatabaseSync } from 'node:sqlite';"],
		['@lancedb', "import { connect } from '@lancedb/lancedb';"],
		['@duckdb', "import { DuckDBInstance } from '@duckdb/node-api';"],
		['node:timers', "import { setTimeout as delay } from 'node:timers/promises';"],
		['a status number', 'const reply = { status: 429 };'],
	])('refuse %s to others', (_, text) => {
		expect(foreignUses([sourceFile('src/runtime/a.ts', text)]).length).toBeGreaterThan(0);
	});

	test('let their owners, and members that only share a name', () => {
		const text = 'client.fetch(); const clock = { setTimeout: 1 }; const then = new Date(0);';
		const files = [sourceFile('src/base/a.ts', 'Date.now(); setTimeout(f, 1);'), sourceFile('src/runtime/a.ts', text)];
		expect(foreignUses(files)).toEqual([]);
	});
});

describe('reach', () => {
	const entry = sourceFile('src/index.ts', "export { a } from './base/a.ts';");

	test('finds a file that no entry and no worker reaches', () => {
		const files = [
			entry,
			sourceFile('src/base/a.ts', "export const a = new Worker(new URL('./the-worker.ts', import.meta.url));"),
			sourceFile('src/base/the-worker.ts', ''),
			sourceFile('src/base/dead.ts', ''),
		];
		expect(deadFiles(files)).toEqual([expect.stringContaining('src/base/dead.ts')]);
	});

	test('finds an export that nobody uses, and one that only a test uses', () => {
		const files = [
			entry,
			sourceFile('src/base/a.ts', 'export const a = 1;\nexport const unused = a;\nexport const tested = a;'),
			sourceFile('test/base/a.test.ts', "import { tested } from '../../src/base/a.ts';"),
		];
		expect(unusedExports(files).map((it) => it.split(' ')[2])).toEqual(['unused,', 'tested,']);
	});

	test('lets a test look into what its own file uses, and types stand by the signatures that need them', () => {
		const inner = 'export interface Options {}\nexport function part() {}\nexport const a = (o: Options) => part();';
		const files = [
			entry,
			sourceFile('src/base/a.ts', inner),
			sourceFile('test/base/a.test.ts', "import { part } from '../../src/base/a.ts';"),
		];
		expect(unusedExports(files)).toEqual([]);
	});
});

describe('shape', () => {
	test('finds a file and a function that are too long, and an exception that is idle', () => {
		const body = Array.from({ length: 100 }, (_, i) => `\tvoid ${i};`).join('\n');
		const long = sourceFile('src/base/a.ts', `export function long() {\n${body}\n}`);
		const longer = sourceFile('src/base/b.ts', '\n'.repeat(401));
		expect(overlong([long, longer])).toHaveLength(2);
		expect(overlong([long], new Map([['src/base/a.ts#long', 'a table']]))).toEqual([]);
		expect(idleExceptions([long], new Map([['src/base/a.ts#gone', 'a table']]))).toEqual(['src/base/a.ts#gone']);
	});

	test('finds a crowded signature', () => {
		expect(crowdedSignatures([sourceFile('src/base/a.ts', 'export const f = (a, b, c, d, e) => a;')])).toHaveLength(1);
	});

	test.each([
		['any', 'src/base/a.ts', 'export const a: any = 1;'],
		['a cast through unknown', 'src/base/a.ts', 'export const a = 1 as unknown as string;'],
		['an open end', 'src/base/a.ts', `// ${'TO'}${'DO'}: later`],
		['a name that says nothing', 'src/base/utils.ts', ''],
		['a name in camel case', 'src/base/badName.ts', ''],
	])('finds %s', (_, path, text) => {
		expect(looseEnds([sourceFile(path, text)])).toHaveLength(1);
	});

	test('finds a test without its folder in src/', () => {
		expect(misplacedTests(['test/nowhere/a.test.ts', 'test/base/b.test.ts'])).toHaveLength(1);
	});
});

describe('documents', () => {
	test('finds links to missing files and headings, not those in code blocks', () => {
		const text = '# Here\n[a](gone.md) [b](#here) [c](#gone) [d](https://example.com)\n```\n[e](gone.md)\n```\n';
		expect(brokenLinks(page(text), (path) => path === 'docs/page.md')).toHaveLength(2);
	});

	const cli = commandLine([
		sourceFile('src/cli/main.ts', "program.command('ask <feature>').option('--json', 'as JSON');"),
	]);

	test('finds commands and options that do not exist', () => {
		const text =
			'Run `plimsoll ask x --json`, `plimsoll fly` and\n```sh\nnpx plimsoll ask x --loudly | less --quiet\n```\n';
		expect(cli === null ? null : unknownCommands(page(text), cli)).toEqual([
			'docs/page.md mentions "plimsoll ask … --loudly", which is no option.',
			'docs/page.md mentions "plimsoll fly", which is no command.',
		]);
	});

	test('finds scripts that do not exist', () => {
		expect(unknownScripts(page('`npm run build` and `npm run fly`'), new Set(['build']))).toHaveLength(1);
	});

	test('finds HTTP paths that are not served', () => {
		const routes = routePaths([
			sourceFile('src/gateway/a.ts', "export const r = [{ path: '/v1/features/{f}/invoke' }];"),
		]);
		const text = '`POST /v1/features/ask-docs/invoke`, curl 127.0.0.1:4600/v1/fly.';
		expect(unknownRoutes(page(text), routes)).toEqual([expect.stringContaining('/v1/fly')]);
	});

	test('finds places of one machine and registry hosts', () => {
		const host = ['registry', 'npmjs', 'org'].join('.');
		expect(machineTraces(page(`/${'home'}/ann/x and https://${host}/y`))).toHaveLength(2);
	});
});
