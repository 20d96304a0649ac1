import { relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { configurationError } from '../spec/errors.ts';
import { example, type JsonOption, withJson } from './options.ts';
import type { Terminal } from './terminal.ts';
import { count } from './units.ts';

export function addInit(program: Command, terminal: Terminal): void {
	const command = program
		.command('init')
		.argument('[folder]', 'where to write it', '.')
		.summary('write a small new project that works at once')
		.description(
			'Writes a small complete project: plimsoll.yaml, one feature with its contract and prompt, and two pages of documents. Files that exist are never touched.',
		)
		.action((folder: string, _options: JsonOption) => init(folder, terminal));
	withJson(command, 'the folder and its files as one JSON document');
	example(command, 'plimsoll init my-project\nplimsoll init            # in the current folder');
}

async function init(folder: string, terminal: Terminal): Promise<void> {
	const { createProject } = await import('../app/new-project.ts');
	const dir = resolve(folder);
	const created = await createProject(dir);
	if (!created.ok) throw configurationError(created.problems);
	if (terminal.json) {
		terminal.record({ dir, files: created.value });
		return;
	}
	const shown = relative(process.cwd(), dir);
	terminal.line(`Wrote ${count(created.value.length, 'file')} to ${shown === '' ? 'this folder' : shown}:`);
	for (const file of created.value) terminal.line(`  ${file}`);
	terminal.line();
	terminal.line('Next:');
	// Through npx and from this folder: what just ran is found again, wherever it is installed.
	const at =
		shown === '' ? '' : ` --dir ${/^[\w./-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", String.raw`'\''`)}'`}`;
	terminal.line(`  npx plimsoll check${at}`);
	terminal.line(`  npx plimsoll start${at}`);
}
