import type { Command } from 'commander';
import type { Terminal } from './terminal.ts';
import { addTune } from './tune.ts';

/** `plimsoll index`: what concerns the index of one collection. */
export function addIndex(program: Command, terminal: Terminal): void {
	const index = program.command('index').summary('look after the index of a collection');
	addTune(index, terminal);
}
