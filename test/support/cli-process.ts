import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { systemClock } from '../../src/base/clock.ts';

const CLI = fileURLToPath(new URL('../../bin/plimsoll.js', import.meta.url));
/** A command that has not ended by then hangs: longer than all tests of a file that share one server. */
const COMMAND_MS = 600_000;
const SIGNAL_OF_A_HANG = 'SIGKILL';

interface RunOptions {
	readonly cwd: string;
	readonly input?: string;
	readonly env?: Readonly<Record<string, string>>;
}

export interface Ended {
	readonly code: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

/** Runs the real command line to its end. */
export async function plimsoll(args: readonly string[], options: RunOptions): Promise<Ended> {
	const running = startPlimsoll(args, options);
	running.child.stdin?.end(options.input ?? '');
	return running.ended;
}

/** The one JSON document that a command wrote. */
export function json({ stdout }: Ended): Record<string, unknown> {
	return JSON.parse(stdout);
}

export function jsonLines({ stdout }: Pick<Ended, 'stdout'>): Record<string, unknown>[] {
	return stdout
		.split('\n')
		.filter((line) => line !== '')
		.map((line) => JSON.parse(line));
}

export interface Running {
	readonly child: ChildProcess;
	/** Resolves when the process has ended; it is killed, and the promise fails, when it hangs. */
	readonly ended: Promise<Ended>;
	/** The first match in what was written so far or will be; fails when the process ends before. */
	saw(pattern: RegExp, stream?: 'stdout' | 'stderr'): Promise<RegExpMatchArray>;
	/** Ends the process if it still runs: for cleaning up. */
	kill(): Promise<void>;
}

/** Starts the real command line. Its environment is this one without what would change its answers. */
export function startPlimsoll(args: readonly string[], { cwd, env = {} }: RunOptions): Running {
	const inherited = Object.entries(process.env).filter(
		([name]) => !/^(OPENAI_|PLIMSOLL_|FORCE_COLOR|VITEST)/.test(name),
	);
	const child = spawn(process.execPath, [CLI, ...args], { cwd, env: { ...Object.fromEntries(inherited), ...env } });
	const text = { stdout: '', stderr: '' };
	const watchers = new Set<() => void>();
	for (const name of ['stdout', 'stderr'] as const) {
		child[name].setEncoding('utf8').on('data', (piece: string) => {
			text[name] += piece;
			for (const look of watchers) look();
		});
	}
	let isOver = false;
	const ended = new Promise<Ended>((resolve, reject) => {
		const cancel = systemClock.after(COMMAND_MS, () => {
			child.kill(SIGNAL_OF_A_HANG);
			reject(new Error(`plimsoll ${args.join(' ')} hangs:\n${text.stdout}\n${text.stderr}`));
		});
		child.once('error', reject);
		child.once('close', (code) => {
			isOver = true;
			cancel();
			for (const look of watchers) look();
			resolve({ code, ...text });
		});
	});
	ended.catch(() => {});
	return {
		child,
		ended,
		saw: (pattern, stream = 'stdout') =>
			new Promise((resolve, reject) => {
				const look = () => {
					const match = stripVTControlCharacters(text[stream]).match(pattern);
					if (!match && !isOver) return;
					watchers.delete(look);
					if (match) resolve(match);
					else reject(new Error(`ended without ${pattern}:\n${text.stdout}\n${text.stderr}`));
				};
				watchers.add(look);
				look();
			}),
		kill: async () => {
			if (!isOver) child.kill(SIGNAL_OF_A_HANG);
			await ended.catch(() => {});
		},
	};
}
