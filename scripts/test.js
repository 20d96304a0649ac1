// `npm test [filter …]`: style, types, tests, in this order; arguments go to Vitest. See CONTRIBUTING.md.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const passedOn = process.argv.slice(2);

const checks = [
	['style', '@biomejs/biome/bin/biome', ['check', '.']],
	['types', 'typescript/bin/tsc', ['--noEmit']],
];
const tests = ['vitest/vitest.mjs', ['run', '--reporter=default', '--reporter=./scripts/test-report.js', ...passedOn]];

// All of them run, so that one command shows everything that is wrong. The report of the tests ends with what failed before.
const failed = passedOn.length > 0 ? [] : checks.filter(([, script, args]) => !run(script, args)).map(([name]) => name);
const testsPass = run(...tests, { PLIMSOLL_TEST_FAILED_BEFORE: failed.join(' and ') });
if (failed.length > 0 || !testsPass) process.exitCode = 1;

function run(script, args, env = {}) {
	const path = fileURLToPath(new URL(`../node_modules/${script}`, import.meta.url));
	const { status, error } = spawnSync(process.execPath, [path, ...args], {
		cwd: root,
		stdio: 'inherit',
		env: { ...process.env, ...env },
	});
	if (error !== undefined) console.error(`cannot run ${script}: ${error.message}`);
	return status === 0;
}
