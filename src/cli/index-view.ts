import { Document, isScalar, visit } from 'yaml';
import type { DiffReply, GenerationReply, GenerationsReply, MoveReply, VerificationReply } from '../app/index-reply.ts';
import { showTable } from './table.ts';
import { cut, oneLine, type Terminal } from './terminal.ts';
import { count, whole } from './units.ts';

/** Moves that are shown; --json lists all. */
const MOVES_SHOWN = 10;
/** Documents that each list of a comparison shows. */
const DOCUMENTS_SHOWN = 10;
const VALUE_CHARS_MAX = 60;
/** Longer ones, such as the vectors of a fingerprint, are cut; --json has all. */
const LINE_CHARS_MAX = 240;

const KIND = { promotion: 'promoted', overrule: 'promoted by hand', rollback: 'rolled back' } as const;

export function showGenerations({ generations, moves }: GenerationsReply, terminal: Terminal): void {
	if (generations.length === 0) {
		terminal.note('There are no generations yet; plimsoll ingest builds one.');
		return;
	}
	const rows = generations.map(
		({ generation, state, removed_at, documents, chunks, created_at, promoted_at, reason }) => [
			oneLine(generation),
			stateOf(state, removed_at, terminal),
			whole(documents),
			whole(chunks),
			minute(created_at),
			minute(promoted_at),
			cut(oneLine(reason ?? ''), VALUE_CHARS_MAX),
		],
	);
	showTable(COLUMNS, rows, terminal);
	if (moves.length === 0) return;
	terminal.line();
	for (const move of moves.slice(0, MOVES_SHOWN)) terminal.line(describeMove(move));
	const more = moves.length - MOVES_SHOWN;
	if (more > 0) terminal.note(`and ${count(more, 'earlier move')}; --json lists all`);
}

const COLUMNS = [
	{ title: 'generation' },
	{ title: 'state' },
	{ title: 'documents', right: true },
	{ title: 'chunks', right: true },
	{ title: 'built' },
	{ title: 'live since' },
	{ title: 'why not' },
];

function stateOf(state: GenerationReply['state'], removedAt: string | null, terminal: Terminal): string {
	if (state === 'live') return terminal.paint('green', state);
	if (state === 'refused' || state === 'failed') return terminal.paint('red', state);
	return removedAt === null ? state : `${state}, removed`;
}

function describeMove({ at, kind, from, to, actor, why }: MoveReply): string {
	const places = from === null ? oneLine(to) : `${oneLine(from)} → ${oneLine(to)}`;
	return `${minute(at)}  ${KIND[kind]}  ${places}  by ${oneLine(actor)}: ${oneLine(why)}`;
}

/** `2026-11-29 08:40`, UTC. */
function minute(instant: string | null): string {
	return instant === null ? '' : instant.slice(0, 16).replace('T', ' ');
}

export function showGeneration(generation: GenerationReply, terminal: Terminal): void {
	const { manifest, statistics, verification, reason, documents, chunks } = generation;
	terminal.line(
		`${terminal.paint('bold', oneLine(generation.generation))}  ${stateOf(generation.state, generation.removed_at, terminal)}`,
	);
	terminal.line(`${count(documents, 'document')} in ${count(chunks, 'chunk')}, table ${oneLine(generation.table)}`);
	terminal.line(`built ${minute(generation.created_at)} by run ${oneLine(generation.run)}`);
	if (reason !== null) terminal.line(terminal.paint('yellow', oneLine(reason)));
	for (const [title, value] of [
		['manifest', manifest],
		['statistics', statistics],
	] as const) {
		if (value === null) continue;
		terminal.line(`\n${terminal.paint('dim', title)}`);
		for (const line of readable(value)) terminal.line(`  ${cut(oneIndented(line), LINE_CHARS_MAX)}`);
	}
	if (verification) {
		terminal.line();
		showVerification(verification, terminal);
	}
}

/** A value as lines of YAML, with each list of plain values on a line of its own. */
function readable(value: unknown): string[] {
	const document = new Document(value);
	visit(document, {
		Seq: (_, list) => {
			list.flow = list.items.every(isScalar);
		},
	});
	return document.toString({ lineWidth: 0, blockQuote: false, flowCollectionPadding: false }).trimEnd().split('\n');
}

/** Keeps what stands before the text. */
function oneIndented(line: string): string {
	const [indent = ''] = /^ */.exec(line) ?? [];
	return indent + oneLine(line);
}

export function showVerification({ at, passed, checks }: VerificationReply, terminal: Terminal): void {
	const verdict = passed ? terminal.paint('green', 'all checks passed') : terminal.paint('red', 'a check failed');
	terminal.line(`${verdict}, ${minute(at)}`);
	for (const { check, passed: isGood, message } of checks) {
		const mark = isGood ? terminal.paint('green', 'passed') : terminal.paint('red', 'failed');
		terminal.line(`  ${mark}  ${oneLine(check)}: ${oneLine(message)}`);
	}
}

/** Shows a comparison, unless JSON was asked for. Returns whether the two differ. */
export function showDiff({ left, right, documents, settings }: DiffReply, terminal: Terminal): boolean {
	const lists =
		documents === null
			? []
			: (['added', 'removed', 'changed'] as const).map((name) => [name, documents[name]] as const);
	const differs = settings.length > 0 || lists.some(([, list]) => list.count > 0);
	if (terminal.json) return differs;
	terminal.line(`${terminal.paint('bold', `${oneLine(left)} → ${oneLine(right)}`)}`);
	if (documents === null) terminal.note('the rows of one of them are gone, so that documents cannot be compared');
	else terminal.line(`${count(documents.same, 'document')} the same`);
	for (const [name, { count: number, some }] of lists) {
		if (number === 0) continue;
		terminal.line(`${count(number, 'document')} ${name}`);
		for (const { source, document } of some.slice(0, DOCUMENTS_SHOWN)) {
			terminal.line(`  ${oneLine(source)}: ${oneLine(document)}`);
		}
		if (number > DOCUMENTS_SHOWN) terminal.note(`  and ${whole(number - DOCUMENTS_SHOWN)} more`);
	}
	const rows = settings.map((one) => [oneLine(one.path), shown(one.left), shown(one.right)]);
	if (rows.length > 0)
		showTable([{ title: 'what' }, { title: oneLine(left) }, { title: oneLine(right) }], rows, terminal);
	if (!differs) terminal.line('They are the same.');
	return differs;
}

function shown(value: unknown): string {
	return cut(oneLine(value === undefined ? '' : JSON.stringify(value)), VALUE_CHARS_MAX);
}
