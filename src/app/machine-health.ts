import { statfs } from 'node:fs/promises';
import { formatProblem } from '../spec/problem.ts';
import { environment } from './environment.ts';
import { fail, type HealthLine, ok, warn } from './health-line.ts';
import { loadProject, locateDataDir } from './load-project.ts';
import { machineProblems } from './machine-problems.ts';

const GIB = 2 ** 30;
/** Free space below which ingestions and traces are in danger. */
const FREE_WARN_BYTES = 2 * GIB;
const FREE_FAIL_BYTES = GIB / 4;

/** What this machine's files say of a project: its configuration, what its environment lacks, room on its disk. */
export async function machineHealth(dir: string): Promise<readonly HealthLine[]> {
	return [...(await configuration(dir)), await disk(await locateDataDir(dir, environment()))];
}

async function configuration(dir: string): Promise<readonly HealthLine[]> {
	const loaded = await loadProject(dir, environment());
	const problems = loaded.ok ? await machineProblems(loaded.value) : loaded.problems;
	const lines = problems.map((problem) =>
		fail('configuration', formatProblem(problem), 'Mend it; plimsoll check finds every mistake.'),
	);
	if (!loaded.ok) return lines;
	const off = [...loaded.value.config.upstreams.values()].filter(({ available }) => !available);
	const { releases, notes } = loaded.value;
	const unanswered = [...releases.values()].filter(({ contract: { models } }) =>
		models.route.every((name) => off.some((upstream) => upstream.name === name)),
	);
	return [
		...(lines.length > 0 ? lines : [ok('configuration', 'no mistakes')]),
		...notes.map((note) => warn('configuration', formatProblem(note), 'See whether that is meant.')),
		...off.map(({ name, switchedOnBy }) =>
			warn(`upstream ${name}`, 'is off: a variable is missing', `Set ${switchedOnBy.join(' or ') || 'what it needs'}.`),
		),
		...unanswered.map(({ contract: { feature } }) =>
			fail(`feature ${feature}`, 'every upstream of its route is off', 'Set the variable of one of them.'),
		),
	];
}

async function disk(dataDir: string): Promise<HealthLine> {
	try {
		const { bavail, bsize } = await statfs(dataDir);
		const free = bavail * bsize;
		const message = `${(free / GIB).toFixed(1)} GiB free for the data folder`;
		if (free >= FREE_WARN_BYTES) return ok('disk', message);
		return (free < FREE_FAIL_BYTES ? fail : warn)('disk', message, 'Make room, or move data_dir to a larger disk.');
	} catch (thrown) {
		const { code } = thrown as NodeJS.ErrnoException;
		if (code === 'ENOENT') return warn('data folder', 'there is none yet', 'plimsoll start makes it.');
		return fail('data folder', `cannot be read (${code})`, 'See who owns data_dir, and its rights.');
	}
}
