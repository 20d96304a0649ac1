import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
	bundledNodeIsReady,
	nodeMajorWanted,
	placeBundledNode,
	removeDanglingNode,
	runsOnBundledNode,
} from './bundled-node.js';
import { linkCommand } from './command-link.js';
import { holdLock } from './lock.js';
import { installPackages } from './packages.js';
import { SetupError } from './setup-error.js';
import { clearUnfinishedInstall, isUpToDate, markFinished, markUnfinished } from './stamp.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** @param {boolean} dev whether the development packages are wanted too */
export async function main(dev) {
	try {
		if (!isReady(dev)) await setUp(dev);
	} catch (error) {
		if (!(error instanceof SetupError)) throw error;
		console.error(`Plimsoll: ${error.message}`);
		process.exitCode = 1;
	}
}

function isReady(dev) {
	return isUpToDate(ROOT, dev) && (machineNodeIsEnough() || bundledNodeIsReady(ROOT));
}

function machineNodeIsEnough() {
	return Number(process.versions.node.split('.')[0]) >= nodeMajorWanted(ROOT) && !runsOnBundledNode(ROOT);
}

async function setUp(dev) {
	mkdirSync(join(ROOT, 'node_modules', '.plimsoll'), { recursive: true });
	const release = await holdLock(join(ROOT, 'node_modules', '.plimsoll', 'lock'), () =>
		console.error('Plimsoll: another set-up of this checkout is running; waiting for it.'),
	);
	try {
		// The one that waited usually finds everything done.
		if (isReady(dev)) return;
		const started = Date.now();
		// Asked before anything is deleted: afterwards the running binary may be gone.
		const needsNode = !machineNodeIsEnough();
		if (!isUpToDate(ROOT, dev)) {
			if (clearUnfinishedInstall(ROOT)) console.error('Plimsoll: an earlier set-up broke off; starting afresh.');
			console.error('Plimsoll: installing packages (about 20 seconds the first time) …');
			markUnfinished(ROOT);
			const installedDev = await installPackages(ROOT, dev);
			if (needsNode) await placeBundledNode(ROOT);
			else removeDanglingNode(ROOT);
			linkCommand(ROOT);
			markFinished(ROOT, installedDev);
		} else {
			await placeBundledNode(ROOT);
		}
		console.error(`Plimsoll: set up in ${((Date.now() - started) / 1000).toFixed(1)} s.`);
	} finally {
		release();
	}
}
