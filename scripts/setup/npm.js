import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { SetupError } from './setup-error.js';

const LIMIT_MS = 15 * 60_000;
const REACH_LIMIT_MS = 30_000;
const OUTPUT_CHARS_MAX = 1_000_000;
const LINES_SHOWN = 30;

/** Flags that make one npm behave like another, whatever the user's own settings are. No package's scripts run. */
const SAME_EVERYWHERE = [
	'--global=false',
	'--no-save',
	'--ignore-scripts',
	'--include=optional',
	'--install-strategy=hoisted',
	'--engine-strict=false',
	'--dry-run=false',
	'--prefer-offline',
	'--fetch-retry-mintimeout=1000',
	'--fetch-retry-maxtimeout=10000',
	'--no-audit',
	'--no-fund',
	'--no-progress',
	'--no-update-notifier',
	'--loglevel=error',
];

/**
 * Runs `npm install` quietly; a failure shows the end of its output and says where the whole of it is.
 * @param {boolean} mayBeThere whether everything may be installed already, so that the network need not be asked
 */
export async function npmInstall(root, flags, mayBeThere = false) {
	const args = ['install', ...SAME_EVERYWHERE, ...cacheFlags(root), ...flags];
	if (mayBeThere && (await run(root, [...args, '--offline'])).code === 0) return;
	// Without a network npm retries each of some hundred packages for minutes; its cache may still hold them all.
	const reachable = await registryAnswers(root);
	const { code, output } = await run(root, reachable ? args : [...args, '--offline']);
	rmSync(privateCache(root), { recursive: true, force: true });
	if (code === 0) return;
	const log = join(root, 'node_modules', '.plimsoll', 'npm.log');
	writeFileSync(log, output);
	const shown = output.trimEnd().split('\n').slice(-LINES_SHOWN).join('\n  ');
	throw new SetupError(`npm install failed (${code}).\n  ${shown}\n${advice(output)}The whole output is in ${log}.`);
}

async function registryAnswers(root) {
	const args = [
		'view',
		'node',
		'name',
		'--prefer-online',
		'--fetch-retries=1',
		...SAME_EVERYWHERE,
		...cacheFlags(root),
	];
	return (await run(root, args, REACH_LIMIT_MS)).code === 0;
}

function run(root, args, limitMs = LIMIT_MS) {
	const [command, first] = npmCommand();
	return new Promise((resolve, reject) => {
		const child = spawn(command, [...first, ...args], {
			cwd: root,
			stdio: ['ignore', 'pipe', 'pipe'],
			shell: process.platform === 'win32' && first.length === 0,
			timeout: limitMs,
		});
		let output = '';
		const keep = (chunk) => {
			output = (output + chunk).slice(-OUTPUT_CHARS_MAX);
		};
		child.stdout.on('data', keep);
		child.stderr.on('data', keep);
		child.on('error', (error) => reject(new SetupError(`cannot run npm: ${error.message}. Is npm installed?`)));
		child.on('close', (code, signal) => resolve({ code: code ?? signal, output }));
	});
}

/** The npm that runs this script, else the one on the path. */
function npmCommand() {
	const cli = process.env.npm_execpath;
	const isNpm = cli !== undefined && basename(cli) === 'npm-cli.js' && existsSync(cli);
	// The running binary may be the bundled one, and that is replaced by an install: then the path decides.
	return isNpm ? [existsSync(process.execPath) ? process.execPath : 'node', [cli]] : ['npm', []];
}

/** npm keeps its cache in the home folder; without a writable one it would litter the checkout or fail. */
function cacheFlags(root) {
	if (process.env.npm_config_cache !== undefined) return [];
	try {
		if (process.env.HOME === '') throw new Error('empty HOME');
		accessSync(homedir(), constants.W_OK);
		return [];
	} catch {
		return [`--cache=${privateCache(root)}`];
	}
}

const privateCache = (root) => join(root, 'node_modules', '.plimsoll', 'npm-cache');

function advice(output) {
	if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED/.test(output)) {
		return 'The package registry cannot be reached: check the network, the proxy and "npm config get registry".\n';
	}
	if (/ENOSPC/.test(output)) return 'The disk is full: the set-up needs about 1 GB.\n';
	if (/EACCES|EPERM|EROFS/.test(output)) return 'The checkout is not writable for this user.\n';
	if (/ETARGET|E404/.test(output)) return 'The package registry lacks a package or version that Plimsoll needs.\n';
	return '';
}
