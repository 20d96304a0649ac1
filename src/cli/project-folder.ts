import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PROJECT_FILE } from '../contracts/project.ts';
import { PlimsollError } from '../spec/errors.ts';

/** The project that a command is about: the folder asked for, else the nearest one upwards. Null when there is none. */
export function findProject(asked: string | undefined): string | null {
	if (asked !== undefined) return resolve(asked);
	for (let dir = process.cwd(); ; dir = dirname(dir)) {
		if (existsSync(join(dir, PROJECT_FILE))) return dir;
		if (dir === dirname(dir)) return null;
	}
}

/** The same for commands that cannot do without one. Throws `project_not_found`. */
export function requireProject(asked: string | undefined): string {
	const dir = findProject(asked);
	if (dir !== null) return dir;
	throw new PlimsollError(
		'project_not_found',
		`There is no ${PROJECT_FILE} in ${process.cwd()} or any folder above it.`,
	);
}
