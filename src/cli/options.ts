import { type Command, InvalidArgumentError } from 'commander';
import type { Session } from '../app/session.ts';
import { createLog } from './log.ts';
import { findProject, requireProject } from './project-folder.ts';
import type { Terminal } from './terminal.ts';

export interface JsonOption {
	readonly json?: true;
}

export interface ProjectOption extends JsonOption {
	readonly dir?: string;
}

export interface ServerOptions extends ProjectOption {
	readonly url?: string;
	readonly key?: string;
	/** PLIMSOLL_API_KEY belongs to another server. */
	readonly keyIsElsewhere?: boolean;
}

export function withJson(command: Command, what: string): Command {
	return command.option('--json', what);
}

export function withProject(command: Command): Command {
	return command.option('--dir <folder>', 'the project folder (default: the nearest one upwards with plimsoll.yaml)');
}

/** For commands that a running server answers. */
export function withServer(command: Command): Command {
	return withProject(command)
		.option('--url <address>', 'a server elsewhere (default: PLIMSOLL_URL, else the one that runs on this project)')
		.option('--key <key>', 'its key (default: PLIMSOLL_API_KEY, else the project’s development key)');
}

/** Opens a session for one command and closes it, whatever happens. */
export async function inSession<T>(
	options: ServerOptions,
	terminal: Terminal,
	run: (session: Session) => Promise<T>,
): Promise<T> {
	const { hasAddress, openSession } = await import('../app/open-session.ts');
	const url = options.url ?? null;
	const dir = hasAddress(url) ? findProject(options.dir) : requireProject(options.dir);
	const { key = null, keyIsElsewhere = false } = options;
	const session = await openSession({ dir, url, key, keyIsElsewhere, log: await createLog('warn', terminal) });
	try {
		const result = await run(session);
		if (session.isTellingOthers) {
			terminal.note('Redis does not answer: other replicas hear of this change when it does.');
		}
		return result;
	} finally {
		await session.close();
	}
}

/** A parser for an option that takes a JSON object. */
export function jsonObject(text: string): object {
	try {
		const value: unknown = JSON.parse(text);
		if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
	} catch {}
	throw new InvalidArgumentError('Expected a JSON object, such as {"field": "year", "from": 2020}.');
}

/** A parser for an option that takes a whole number. */
export function integerBetween(min: number, max: number): (text: string) => number {
	return (text) => {
		const number = Number(text);
		if (/^\d+$/.test(text) && number >= min && number <= max) return number;
		throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
	};
}

export function example(command: Command, lines: string): Command {
	return command.addHelpText('after', `\nExamples:\n${lines.replace(/^/gm, '  ')}`);
}
