import { type ChildProcess, fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Result, Run } from './simulation.ts';

const CHILD = fileURLToPath(new URL('./seeds-child.ts', import.meta.url));

/** Runs seeds on every core, and hands each result over as it comes. Stops at the first violation. */
export async function runSeeds(
	runs: Iterable<Run>,
	options: { readonly processes?: number; readonly onResult: (result: Result) => void },
): Promise<void> {
	const left = runs[Symbol.iterator]();
	let isStopped = false;
	const next = () => (isStopped ? undefined : (left.next().value as Run | undefined));
	const worker = () => {
		const { promise, resolve, reject } = Promise.withResolvers<void>();
		const child = fork(CHILD, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
		child.on('error', reject);
		child.on('exit', (code) =>
			code === 0 ? resolve() : reject(new Error(`a process of the simulation ended with ${code}`)),
		);
		child.on('message', (result: Result) => {
			options.onResult(result);
			if (result.violation !== null) isStopped = true;
			handOut(child, next());
		});
		handOut(child, next());
		return promise;
	};
	await Promise.all(Array.from({ length: options.processes ?? availableParallelism() }, worker));
}

function handOut(child: ChildProcess, run: Run | undefined): void {
	if (run === undefined) child.disconnect();
	else child.send(run);
}
