import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { nearest } from '../base/nearest.ts';
import type { Problem } from '../spec/problem.ts';
import { fileProblem, readFailure, readSourceFile, type SourceFile } from './source-file.ts';

/** Files of one kind in one feature: a folder with more is a mistake, such as a link to somewhere large. */
const FILES_MAX = 200;

/** What a feature's folder may hold: other names are either harmless droppings or mistakes. */
const FILES = ['contract.yaml', 'canaries.jsonl', 'README.md'];
const FOLDERS = ['prompts', 'schemas', 'golden'];

/** A feature's files as read. */
export interface FeatureFolder {
	readonly name: string;
	/** As shown to users, e.g. `features/ask-docs`. */
	readonly shownAs: string;
	readonly contract: SourceFile | null;
	/** By path within the feature, e.g. `prompts/answer.prompt`. */
	readonly prompts: ReadonlyMap<string, SourceFile>;
	readonly schemas: ReadonlyMap<string, SourceFile>;
	readonly problems: readonly Problem[];
	/** True when the folder holds nothing at all: what is left of a deleted feature. */
	readonly empty: boolean;
}

/** Reads what belongs to a feature and names what does not. Never throws. */
export async function readFeatureFolder(dir: string, name: string, shownAs: string): Promise<FeatureFolder> {
	const problems: Problem[] = [];
	const entries = (await list(dir, shownAs, problems)).filter((entry) => !isDropping(entry));
	const contract = entries.includes('contract.yaml')
		? take(await readSourceFile(join(dir, 'contract.yaml'), `${shownAs}/contract.yaml`, dir), problems)
		: null;
	if (entries.length > 0 && !entries.includes('contract.yaml')) {
		const close = entries.find((entry) => /^contracts?\.(ya?ml|json)$/i.test(entry));
		const hint = close ? `rename ${close} to contract.yaml` : 'every folder of a feature needs one';
		problems.push(fileProblem(`${shownAs}/contract.yaml`, 'does not exist', hint));
	}
	for (const entry of entries) problems.push(...(await strangerProblems(join(dir, entry), entry, shownAs)));
	const read = (folder: string, ending: string) =>
		entries.includes(folder)
			? readKind({ dir, folder, ending, shownAs }, problems)
			: Promise.resolve(new Map<string, SourceFile>());
	return {
		name,
		shownAs,
		contract,
		prompts: await read('prompts', '.prompt'),
		schemas: await read('schemas', '.json'),
		problems,
		empty: entries.length === 0 && problems.length === 0,
	};
}

/** Names in a folder, sorted by code unit so that the order is the same on every machine. Never throws. */
export async function list(dir: string, shownAs: string, problems: Problem[]): Promise<string[]> {
	try {
		return (await readdir(dir)).sort((a, b) => (a < b ? -1 : 1));
	} catch (error) {
		problems.push(fileProblem(shownAs, readFailure(error)));
		return [];
	}
}

/** What editors and operating systems leave behind: never part of a feature, never worth a problem. */
export function isDropping(name: string): boolean {
	return /^\.|~$|^#.*#$|\.(sw[a-p]|bak|orig|rej|tmp|temp)$|\.tmp[.-]|___jb_|^(Thumbs\.db|desktop\.ini|4913)$/i.test(
		name,
	);
}

async function readKind(
	kind: { dir: string; folder: string; ending: string; shownAs: string },
	problems: Problem[],
): Promise<Map<string, SourceFile>> {
	const { dir, folder, ending, shownAs } = kind;
	const files = new Map<string, SourceFile>();
	const names = (await list(join(dir, folder), `${shownAs}/${folder}`, problems)).filter((name) => !isDropping(name));
	if (names.length > FILES_MAX) {
		problems.push(fileProblem(`${shownAs}/${folder}`, `holds ${names.length} files, more than ${FILES_MAX}`));
		return files;
	}
	for (const name of names) {
		const shown = `${shownAs}/${folder}/${name}`;
		if (!name.endsWith(ending)) {
			problems.push(
				fileProblem(shown, `does not belong here: files of ${folder}/ end in ${ending}`, 'rename or move it'),
			);
			continue;
		}
		const file = take(await readSourceFile(join(dir, folder, name), shown, dir), problems);
		if (file) files.set(`${folder}/${name}`, file);
	}
	return files;
}

/** Folders are never ignored in silence; of the other files, those whose name looks like a slip of the pen. */
async function strangerProblems(path: string, entry: string, shownAs: string): Promise<Problem[]> {
	if (FILES.includes(entry) || FOLDERS.includes(entry)) return [];
	const isFolder = await stat(path).then(
		(about) => about.isDirectory(),
		// A dangling link is not a folder; whether its name matters is decided below.
		() => false,
	);
	const close = nearest(entry, [...FOLDERS, ...FILES]) ?? (/^contracts?\./i.test(entry) ? 'contract.yaml' : null);
	if (!isFolder && !close && !/\.(prompt|jsonl)$/.test(entry)) return [];
	const expected = `${FILES.join(', ')}, ${FOLDERS.map((folder) => `${folder}/`).join(', ')}`;
	const hint = close ? `did you mean ${close}?` : /\.prompt$/.test(entry) ? 'move it to prompts/' : 'move it elsewhere';
	return [{ ...fileProblem(`${shownAs}/${entry}`, 'is not part of a feature', hint), expected }];
}

function take<T>(checked: { value: T | null; problems: readonly Problem[] }, problems: Problem[]): T | null {
	problems.push(...checked.problems);
	return checked.value;
}
