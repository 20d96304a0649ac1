import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { npmInstall } from './npm.js';
import { SetupError } from './setup-error.js';

/** The major version of Node that the project runs on. */
export function nodeMajorWanted(root) {
	return Number(pinnedVersion(root).split('.')[0]);
}

/** Whether this process runs on a Node from the checkout's own node_modules, so that the machine's own may be older. */
export function runsOnBundledNode(root) {
	const modules = join(root, 'node_modules') + sep;
	if (process.execPath.startsWith(modules)) return true;
	return existsSync(process.execPath) && realpathSync(process.execPath).startsWith(realOr(modules));
}

/** Whether the pinned Node is in place where npm scripts find it first. */
export function bundledNodeIsReady(root) {
	const link = linkPath(root);
	return existsSync(link) && packageVersion(realpathSync(link)) === pinnedVersion(root);
}

/**
 * Puts the pinned Node under node_modules/.node and links it into node_modules/.bin. The binary comes from the same
 * per-platform package that the `node` package would fetch in its install script, so nothing has to run at install.
 */
export async function placeBundledNode(root) {
	if (bundledNodeIsReady(root)) return;
	const version = pinnedVersion(root);
	if (process.platform === 'win32') {
		throw new SetupError(`this machine has Node ${process.version}. Install Node ${version} from https://nodejs.org.`);
	}
	const name = platformPackage();
	const prefix = join(root, 'node_modules', '.node');
	const binary = join(prefix, 'node_modules', name, 'bin', 'node');
	if (packageVersion(binary) !== version || answerOf(binary) !== `v${version}`) {
		console.error(`Plimsoll: fetching Node ${version} for this checkout (the machine’s own is older) …`);
		rmSync(prefix, { recursive: true, force: true });
		mkdirSync(prefix, { recursive: true });
		await npmInstall(root, ['--prefix', prefix, '--no-package-lock', `${name}@${version}`]);
		const answer = answerOf(binary);
		if (answer !== `v${version}`) {
			throw new SetupError(
				`the Node in ${name} does not run here (${answer}). Install Node ${version} or newer yourself.`,
			);
		}
	}
	const bin = join(root, 'node_modules', '.bin');
	mkdirSync(bin, { recursive: true });
	rmSync(linkPath(root), { force: true });
	symlinkSync(relative(bin, binary), linkPath(root));
}

/** The `node` package leaves a dangling link when its install script does not run; a machine's own Node needs none. */
export function removeDanglingNode(root) {
	if (!existsSync(linkPath(root))) rmSync(linkPath(root), { force: true });
}

/** What the binary says to --version, or why it does not run. */
function answerOf(binary) {
	const { error, stdout, stderr } = spawnSync(binary, ['--version'], { encoding: 'utf8', timeout: 30_000 });
	return error?.message ?? (stdout.trim() || stderr.trim());
}

/** The version of the package that a file `bin/node` belongs to, or null. */
function packageVersion(binary) {
	const path = join(dirname(dirname(binary)), 'package.json');
	return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).version : null;
}

/** As the `node` package names them. */
function platformPackage() {
	const prefix = process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node';
	return `${prefix}-${process.platform}-${process.arch}`;
}

function pinnedVersion(root) {
	return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies.node;
}

const linkPath = (root) => join(root, 'node_modules', '.bin', 'node');

function realOr(path) {
	return existsSync(path) ? realpathSync(path) + sep : path;
}
