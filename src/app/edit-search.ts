import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { PlimsollError } from '../spec/errors.ts';

/** What of `search` is written, as plimsoll.yaml has it. */
export type SearchEdit = Readonly<Record<string, string | number>>;

/**
 * Sets keys under `collections.<name>.search` of a project's plimsoll.yaml, in one step; comments and everything else stay as
 * they are. Throws PlimsollError `configuration_invalid` where the file has no such collection or is not valid YAML.
 * @param dir the folder of plimsoll.yaml.
 */
export async function editSearch(dir: string, collection: string, edit: SearchEdit): Promise<void> {
	const file = join(dir, 'plimsoll.yaml');
	const document = parseDocument(await readFile(file, 'utf8'));
	if (document.errors.length > 0) throw invalid(`plimsoll.yaml is not valid YAML: ${document.errors[0]?.message}`);
	if (!document.hasIn(['collections', collection])) {
		throw invalid(`plimsoll.yaml has no collection ${collection}; it may come from elsewhere: write the keys there`);
	}
	const path = ['collections', collection, 'search'];
	if (!document.hasIn(path)) document.setIn(path, document.createNode({}));
	for (const [key, value] of Object.entries(edit)) document.setIn([...path, key], value);
	const temporary = `${file}.${process.pid}.new`;
	try {
		await writeFile(temporary, document.toString({ lineWidth: 0, flowCollectionPadding: false }));
		await rename(temporary, file);
	} catch (cause) {
		await rm(temporary, { force: true });
		throw cause;
	}
}

function invalid(message: string): PlimsollError {
	return new PlimsollError('configuration_invalid', `${message}.`);
}
