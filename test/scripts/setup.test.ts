import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const SCRIPTS = fileURLToPath(new URL('../../scripts', import.meta.url));
const NPM = fileURLToPath(new URL('./npm-double/npm-cli.js', import.meta.url));

let root: string;

beforeEach(() => {
	root = mkdtempSync(join(tmpdir(), 'plimsoll set-up '));
	cpSync(SCRIPTS, join(root, 'scripts'), { recursive: true });
	mkdirSync(join(root, 'bin'));
	writeFileSync(join(root, 'bin/plimsoll.js'), '');
	write('package.json', {
		type: 'module',
		dependencies: { fastify: '1.0.0' },
		devDependencies: { node: '24.0.0', vitest: '1.0.0' },
	});
	lockfile(`binding-${process.platform}-${process.arch}`);
});

afterEach(() => rmSync(root, { recursive: true, force: true, maxRetries: 3 }));

function write(path: string, content: unknown): void {
	writeFileSync(join(root, path), JSON.stringify(content));
}

/** A lockfile that was written where only `binding` was to be had. */
function lockfile(binding: string): void {
	const wanted = ['binding-linux-x64', 'binding-darwin-arm64', `binding-${process.platform}-${process.arch}`];
	const optionalDependencies = Object.fromEntries(wanted.map((name) => [name, '1.0.0']));
	write('package-lock.json', {
		packages: { '': {}, 'node_modules/a': { optionalDependencies }, [`node_modules/${binding}`]: {} },
	});
}

function start(args: readonly string[] = [], env: Record<string, string> = {}): ChildProcess {
	return spawn(process.execPath, [join(root, 'scripts/setup.js'), ...args], {
		env: { ...process.env, npm_execpath: NPM, ...env },
		stdio: ['ignore', 'ignore', 'pipe'],
	});
}

async function setUp(args: readonly string[] = [], env: Record<string, string> = {}) {
	const child = start(args, env);
	let output = '';
	child.stderr?.on('data', (chunk) => {
		output += chunk;
	});
	const [code] = await once(child, 'close');
	return { code, output };
}

/** How npm install was called so far. */
function calls(): string[] {
	const log = join(root, 'calls.log');
	return existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : [];
}

const has = (path: string) => existsSync(join(root, 'node_modules', path));

describe('the set-up', () => {
	test('installs what production needs, links the command, and has nothing to do the second time', async () => {
		expect(await setUp()).toMatchObject({ code: 0 });
		expect(calls()).toEqual([expect.stringContaining('--omit=dev')]);
		expect(has('fastify') && has('.bin/plimsoll')).toBe(true);
		expect(await setUp()).toEqual({ code: 0, output: '' });
		expect(calls()).toHaveLength(1);
	});

	test('adds development packages for the tests and never takes them away again', async () => {
		await setUp();
		await setUp(['--dev'], { NODE_ENV: 'production' });
		expect(calls()[1]).toContain('--include=dev');
		expect(await setUp()).toEqual({ code: 0, output: '' });
		rmSync(join(root, 'node_modules/fastify'), { recursive: true });
		await setUp();
		expect(calls()[2]).toContain('--include=dev');
	});

	test('notices a package that is gone and a dependency that is new', async () => {
		await setUp();
		rmSync(join(root, 'node_modules/fastify'), { recursive: true });
		await setUp();
		expect(has('fastify')).toBe(true);
		write('package.json', {
			type: 'module',
			dependencies: { fastify: '1.0.0', zod: '1.0.0' },
			devDependencies: { node: '24.0.0' },
		});
		await setUp();
		expect(has('zod')).toBe(true);
	});

	test('starts afresh after it was killed, since half-unpacked packages look like whole ones', async () => {
		const child = start([], { NPM_DOUBLE: 'hangs' });
		const installing = join(root, 'calls.log');
		await expect.poll(() => existsSync(installing)).toBe(true);
		child.kill('SIGKILL');
		await once(child, 'close');
		mkdirSync(join(root, 'node_modules/half'));
		const { code, output } = await setUp();
		expect({ code, half: has('half'), whole: has('fastify') }).toEqual({ code: 0, half: false, whole: true });
		expect(output).toContain('an earlier set-up broke off');
	});

	test('runs once when it is asked for twice at a time', async () => {
		const both = await Promise.all([setUp(), setUp()]);
		expect(both.map(({ code }) => code)).toEqual([0, 0]);
		expect(calls()).toHaveLength(1);
	});

	test('leaves the lockfile aside on a platform that it lacks', async () => {
		await setUp();
		lockfile('binding-of-another-platform');
		await setUp();
		expect(calls().map((call) => call.includes('--no-package-lock'))).toEqual([false, true]);
	});

	test('shows the end of what npm said, what to do, and where the whole is', async () => {
		const { code, output } = await setUp([], { NPM_DOUBLE: 'fails' });
		expect(code).toBe(1);
		expect(output).toContain('npm error the disk is full');
		expect(output).toContain('about 1 GB');
		expect(readFileSync(join(root, 'node_modules/.plimsoll/npm.log'), 'utf8')).toContain('ENOSPC');
	});

	test('keeps optional packages that the user has added', async () => {
		write('package.json', {
			type: 'module',
			dependencies: {},
			devDependencies: { node: '24.0.0' },
			optionalPackages: { extra: '2.0.0' },
		});
		mkdirSync(join(root, 'node_modules/extra'), { recursive: true });
		write('node_modules/extra/package.json', { version: '2.3.4' });
		await setUp();
		expect(calls()[0]).toContain('extra@2.3.4');
	});
});
