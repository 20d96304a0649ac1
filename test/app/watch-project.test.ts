import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type LoadedProject, loadProject } from '../../src/app/load-project.ts';
import { watchProject } from '../../src/app/watch-project.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { Problem } from '../../src/spec/problem.ts';
import { projectFolder, VALID_PROJECT, writeInto } from '../support/project-folder.ts';

type Report = { loaded: LoadedProject } | { refused: readonly Problem[] };

/** Watches a project and hands out its reports one by one, each awaited as an event. */
async function watching(dir: string) {
	const { value: current } = await loadProject(dir, {});
	if (!current) throw new Error('the project must be valid at first');
	const reports: Report[] = [];
	let wake: (() => void) | null = null;
	const tell = (report: Report) => {
		reports.push(report);
		wake?.();
	};
	const watcher = watchProject(
		dir,
		{},
		{
			clock: systemClock,
			current,
			onLoaded: (loaded) => tell({ loaded }),
			onRefused: (refused) => tell({ refused }),
		},
	);
	onTestFinished(() => watcher.close());
	const next = async (): Promise<Report> => {
		while (reports.length === 0) await new Promise<void>((resolve) => (wake = resolve));
		return reports.shift() as Report;
	};
	/** Reports in between may show a half-made change; the state that they settle on is what counts. */
	const until = async (reached: (report: Report) => boolean): Promise<Report> => {
		for (;;) {
			const report = await next();
			if (reached(report)) return report;
		}
	};
	return {
		watcher,
		reports,
		loaded: (check: (project: LoadedProject) => boolean) =>
			until((report) => 'loaded' in report && check(report.loaded)),
		refused: (text: RegExp) => until((report) => 'refused' in report && text.test(JSON.stringify(report.refused))),
	};
}

const CONTRACT = 'features/ask/contract.yaml';
const owner = (project: LoadedProject) => project.releases.get('ask')?.contract.owner;

test('an edit is loaded, a broken one is refused with its problems, and its repair is loaded again', async () => {
	const dir = await projectFolder();
	const { loaded, refused } = await watching(dir);
	const text = VALID_PROJECT[CONTRACT] ?? '';
	await writeFile(join(dir, CONTRACT), text.replace('docs-team', 'second'));
	await loaded((project) => owner(project) === 'second');
	await writeFile(join(dir, CONTRACT), text.replace('owner', 'ownr'));
	await refused(/unknown key/);
	await writeFile(join(dir, CONTRACT), text.replace('docs-team', 'second'));
	await loaded((project) => owner(project) === 'second');
});

test('an editor that saves by rename is seen, again and again', async () => {
	const dir = await projectFolder();
	const { loaded } = await watching(dir);
	for (const name of ['first', 'second', 'third']) {
		const temporary = join(dir, 'features/ask/.contract.yaml.new');
		await writeFile(temporary, (VALID_PROJECT[CONTRACT] ?? '').replace('docs-team', name));
		await rename(temporary, join(dir, CONTRACT));
		await loaded((project) => owner(project) === name);
	}
});

test('plimsoll.yaml may go and come back', async () => {
	const dir = await projectFolder();
	const { loaded, refused } = await watching(dir);
	await rm(join(dir, 'plimsoll.yaml'));
	await refused(/does not exist/);
	await writeFile(join(dir, 'plimsoll.yaml'), `${VALID_PROJECT['plimsoll.yaml']}server: {port: 4700}\n`);
	await loaded((project) => project.config.server.port === 4700);
});

test('a new feature appears and a deleted one goes', async () => {
	const dir = await projectFolder();
	const { loaded } = await watching(dir);
	for (const [file, content] of Object.entries(VALID_PROJECT)) {
		if (file.startsWith('features/ask/')) await writeInto(dir, file.replace('/ask/', '/tell/'), content);
	}
	await loaded((project) => project.releases.has('tell'));
	await rm(join(dir, 'features/ask'), { recursive: true });
	await loaded((project) => !project.releases.has('ask') && project.releases.has('tell'));
});

test('a features folder that vanishes is refused, and loaded again when it is back', async () => {
	const dir = await projectFolder();
	const { loaded, refused } = await watching(dir);
	await rename(join(dir, 'features'), join(dir, 'elsewhere'));
	await refused(/does not exist, and features of it are served/);
	await rename(join(dir, 'elsewhere'), join(dir, 'features'));
	await loaded((project) => project.releases.has('ask'));
});

test('features may move to another folder, which is watched from then on', async () => {
	const dir = await projectFolder();
	const { loaded } = await watching(dir);
	for (const [file, content] of Object.entries(VALID_PROJECT)) {
		if (file.startsWith('features/')) await writeInto(dir, file.replace('features/', 'ai/'), content);
	}
	await writeFile(join(dir, 'plimsoll.yaml'), `features_dir: ai\n${VALID_PROJECT['plimsoll.yaml']}`);
	await loaded((project) => project.config.featuresDir.endsWith('ai'));
	await writeFile(join(dir, 'ai/ask/contract.yaml'), (VALID_PROJECT[CONTRACT] ?? '').replace('docs-team', 'moved'));
	await loaded((project) => owner(project) === 'moved');
});

test('an edit between the caller’s load and the watch is not lost', async () => {
	const dir = await projectFolder();
	const { value: current } = await loadProject(dir, {});
	await writeFile(join(dir, CONTRACT), (VALID_PROJECT[CONTRACT] ?? '').replace('docs-team', 'early'));
	const seen = await new Promise<LoadedProject>((resolve, reject) => {
		const watcher = watchProject(
			dir,
			{},
			{
				clock: systemClock,
				...(current ? { current } : {}),
				onLoaded: resolve,
				onRefused: reject,
			},
		);
		onTestFinished(() => watcher.close());
	});
	expect(owner(seen)).toBe('early');
});

test('a project that could not be put to work is told as a problem', async () => {
	const dir = await projectFolder();
	const problems = await new Promise<readonly Problem[]>((resolve) => {
		const watcher = watchProject(
			dir,
			{},
			{
				clock: systemClock,
				onLoaded: () => Promise.reject(new Error('no room')),
				onRefused: resolve,
			},
		);
		onTestFinished(() => watcher.close());
	});
	expect(problems[0]?.message).toBe('could not be put to work: no room');
});

test('nothing is told after the watch was closed', async () => {
	const dir = await projectFolder();
	const { watcher, reports } = await watching(dir);
	await writeFile(join(dir, CONTRACT), 'broken: [');
	await watcher.close();
	expect(reports).toEqual([]);
});
