import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Folders of ours that a fresh start keeps: the binary in them may be the one that is running this. */
const KEPT = new Set(['.plimsoll', '.node']);
const UNFINISHED = 'unfinished';

const stampPath = (root) => join(root, 'node_modules', '.plimsoll', 'stamp.json');

/** Whether the packages that a finished set-up left are those that the project asks for now, and all still there. */
export function isUpToDate(root, dev) {
	const stamp = read(stampPath(root));
	if (stamp === null || stamp === UNFINISHED) return false;
	if (stamp.wanted !== wanted(root) || (dev && !stamp.dev)) return false;
	return (
		existsSync(join(root, 'node_modules', '.bin', 'plimsoll')) &&
		stamp.packages.every((folder) => existsSync(join(root, folder, 'package.json')))
	);
}

export function markUnfinished(root) {
	writeFileSync(stampPath(root), JSON.stringify(UNFINISHED));
}

export function markFinished(root, dev) {
	writeFileSync(stampPath(root), JSON.stringify({ wanted: wanted(root), dev, packages: installed(root) }));
}

/** The folders of the packages that npm says it installed. */
export function installed(root) {
	const tree = read(join(root, 'node_modules', '.package-lock.json'));
	return Object.keys(tree?.packages ?? {});
}

/**
 * npm takes a package folder that was half unpacked when it was killed for a whole one, so what an unfinished run left
 * behind cannot be trusted. The npm cache makes the second start a quick one.
 */
export function clearUnfinishedInstall(root) {
	if (read(stampPath(root)) !== UNFINISHED) return false;
	const folder = join(root, 'node_modules');
	if (lstatSync(folder).isSymbolicLink()) return false;
	for (const name of readdirSync(folder)) {
		if (!KEPT.has(name)) rmSync(join(folder, name), { recursive: true, force: true });
	}
	return true;
}

function wanted(root) {
	const manifest = read(join(root, 'package.json'));
	const { dependencies, devDependencies, optionalDependencies, overrides } = manifest;
	return createHash('sha256')
		.update(JSON.stringify([dependencies, devDependencies, optionalDependencies, overrides]))
		.update(existsSync(join(root, 'package-lock.json')) ? readFileSync(join(root, 'package-lock.json')) : '')
		.update(`${process.platform}-${process.arch}`)
		.digest('hex');
}

/** The parsed file, or null when it is missing or was cut off by a kill. */
function read(path) {
	try {
		return JSON.parse(readFileSync(path, 'utf8'));
	} catch {
		return null;
	}
}
