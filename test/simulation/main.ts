import { parseArgs } from 'node:util';
import { runSeeds } from './seeds.ts';
import { type Run, simulate } from './simulation.ts';
import { failureText, Summary } from './summary.ts';

const HELP = `npm run sim -- [options]

Simulates admission and the runtime around it: real code on a virtual clock, with seeded load, faults, replicas and
clocks that disagree. Checks the invariants after every event.

  --seeds N       seeds 1 to N, on all cores; 100 unless said
  --from N        the first seed; 1 unless said
  --seed N        one seed, with the trail of its last events
  --requests N    how often users ask in each seed; 1000 unless said
  --replicas N    processes in each seed; as the seed says unless said
  --json          the summary as JSON
  --help          this text

Ends with 1 when an invariant does not hold, and says how to see it again; with 2 when an option is wrong.
`;
const PROGRESS_MS = 2_000;

interface Options {
	readonly seed: number | null;
	readonly seeds: number;
	readonly from: number;
	readonly requests: number;
	readonly replicas: number | null;
	readonly json: boolean;
}

const options = readOptions();
if (options !== null)
	process.exitCode = options.seed === null ? await runMany(options) : await runOne(options, options.seed);

function readOptions(): Options | null {
	try {
		const text = { type: 'string' } as const;
		const flag = { type: 'boolean' } as const;
		const { values } = parseArgs({
			options: { seed: text, seeds: text, from: text, requests: text, replicas: text, json: flag, help: flag },
		});
		if (values.help) {
			process.stdout.write(HELP);
			return null;
		}
		return {
			seed: whole('seed', values.seed),
			seeds: whole('seeds', values.seeds) ?? 100,
			from: whole('from', values.from) ?? 1,
			requests: whole('requests', values.requests) ?? 1_000,
			replicas: whole('replicas', values.replicas),
			json: values.json ?? false,
		};
	} catch (error) {
		process.stderr.write(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
		process.exitCode = 2;
		return null;
	}
}

function whole(name: string, value: string | undefined): number | null {
	if (value === undefined) return null;
	const number = Number(value);
	if (!Number.isSafeInteger(number) || number < 1) throw new RangeError(`--${name} must be a whole number above 0.`);
	return number;
}

async function runMany({ seeds, from, requests, replicas, json }: Options): Promise<number> {
	const summary = new Summary();
	const startedMs = performance.now();
	const seconds = () => (performance.now() - startedMs) / 1000;
	const runs = Array.from({ length: seeds }, (_, at): Run => ({ seed: from + at, requests, replicas }));
	const progress = setInterval(() => {
		const rate = Math.round(summary.counts.requests / seconds());
		process.stderr.write(`${summary.seeds} of ${seeds} seeds, ${summary.counts.requests} requests, ${rate} a second\n`);
	}, PROGRESS_MS);
	try {
		await runSeeds(runs, { onResult: (result) => summary.add(result) });
	} finally {
		clearInterval(progress);
	}
	if (json) process.stdout.write(`${JSON.stringify(summary.json(seconds()))}\n`);
	else process.stdout.write(`${summary.table(seconds())}\n`);
	for (const failed of summary.violations)
		process.stderr.write(`${failureText(failed, again(failed, { requests, replicas }))}\n`);
	return summary.violations.length > 0 ? 1 : 0;
}

async function runOne({ requests, replicas, json }: Options, seed: number): Promise<number> {
	const startedMs = performance.now();
	const result = await simulate({ seed, requests, replicas });
	if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
	else if (result.violation !== null)
		process.stdout.write(`${failureText(result, again(result, { requests, replicas }))}\n`);
	else {
		const summary = new Summary();
		summary.add(result);
		const seconds = (performance.now() - startedMs) / 1000;
		process.stdout.write(
			`${result.trail.join('\n')}\n\n${summary.table(seconds)}\nDigest ${result.digest}: the same in every run of this seed.\n`,
		);
	}
	return result.violation === null ? 0 : 1;
}

function again({ seed }: { seed: number }, { requests, replicas }: Pick<Run, 'requests' | 'replicas'>): string {
	const size = `--requests ${requests}${replicas === null ? '' : ` --replicas ${replicas}`}`;
	return `npm run sim -- --seed ${seed} ${size}`;
}
