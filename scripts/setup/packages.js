import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { npmInstall } from './npm.js';
import { installed } from './stamp.js';

/**
 * Installs what package.json asks for. Never takes development packages away that are already there.
 * @returns {Promise<boolean>} whether the development packages are installed now
 */
export async function installPackages(root, dev) {
	const withDev = dev || hasDevelopmentPackages(root);
	const flags = [
		withDev ? '--include=dev' : '--omit=dev',
		...(lockLacksThisPlatform(root) ? ['--no-package-lock'] : []),
		...optionalPackagesInUse(root),
	];
	await npmInstall(root, flags, installed(root).length > 0);
	return withDev;
}

/** The test runner is one that no production dependency brings along. */
function hasDevelopmentPackages(root) {
	return installed(root).includes('node_modules/vitest');
}

/** Optional packages that the user added stay: npm would otherwise take them for leftovers. */
function optionalPackagesInUse(root) {
	return Object.keys(manifest(root).optionalPackages ?? {}).flatMap((name) => {
		const path = join(root, 'node_modules', name, 'package.json');
		return existsSync(path) ? [`${name}@${JSON.parse(readFileSync(path, 'utf8')).version}`] : [];
	});
}

/**
 * A lockfile holds the prebuilt binaries of those platforms only that the registry knew when it was written, and npm
 * then never installs the others. On such a platform the lockfile is left aside.
 */
function lockLacksThisPlatform(root) {
	const path = join(root, 'package-lock.json');
	if (!existsSync(path)) return false;
	const { packages } = JSON.parse(readFileSync(path, 'utf8'));
	const here = new RegExp(`-${process.platform}-${process.arch}(-|$)`);
	const otherLibc = process.platform === 'linux' ? (usesGlibc() ? /musl/ : /gnu/) : /^$/;
	return Object.values(packages)
		.flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
		.some((name) => here.test(name) && !otherLibc.test(name) && packages[`node_modules/${name}`] === undefined);
}

function usesGlibc() {
	return process.report.getReport().header.glibcVersionRuntime !== undefined;
}

function manifest(root) {
	return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
}
