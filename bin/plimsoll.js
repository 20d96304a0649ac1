#!/usr/bin/env node
// Starts the command line on Node 24 or newer, also when an older Node was asked to run it.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;
const inCheckout = existsSync(new URL('../src/cli/main.ts', import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) {
	await import(inCheckout ? '../src/cli/main.ts' : '../lib/cli/main.js');
} else {
	// Of the checkout, or of the project that installed the package.
	const candidates = ['../node_modules/.bin/node', '../../.bin/node'].map((it) =>
		fileURLToPath(new URL(it, import.meta.url)),
	);
	const node = candidates.find((path) => existsSync(path));
	if (node === undefined) explain();
	else runWith(node);
}

function runWith(node) {
	const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
	const relay = (signal) => child.kill(signal);
	process.on('SIGTERM', relay);
	process.on('SIGHUP', relay);
	// A terminal sends Ctrl-C to both processes; passed on, it would count as a second one.
	process.on('SIGINT', process.stdin.isTTY ? () => {} : relay);
	child.on('error', (error) => {
		console.error(`plimsoll: cannot run ${node}: ${error.message}`);
		process.exitCode = 1;
	});
	child.on('exit', (code, signal) => {
		if (signal === null) {
			process.exitCode = code;
		} else {
			for (const name of ['SIGTERM', 'SIGHUP', 'SIGINT']) process.removeAllListeners(name);
			process.kill(process.pid, signal);
		}
	});
}

function explain() {
	console.error(`plimsoll: needs Node ${NODE_MAJOR_MIN} or newer; this is ${process.version}.`);
	console.error(
		inCheckout
			? 'In a checkout, "npm start" fetches the right one; or run "node scripts/setup.js" once.'
			: 'Install it from https://nodejs.org, or add it to your project: npm install --save-dev --save-exact node@24',
	);
	process.exitCode = 1;
}
