import type { Command } from 'commander';
import type { EmbedderReply } from '../app/embedder-reply.ts';
import { EXIT } from './exit-code.ts';
import { day } from './key-time.ts';
import { example, inSession, type ServerOptions, withJson, withServer } from './options.ts';
import { showTable } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { duration, whole } from './units.ts';

/** plimsoll embedders */
export function addEmbedders(program: Command, terminal: Terminal): void {
	const embedders = program
		.command('embedders')
		.summary('show embedders, and whether they still fit their indexes')
		.description(
			'Shows the embedders of a project, and whether they make the vectors that the live indexes hold, whatever their names are.',
		);
	const list = embedders
		.command('list', { isDefault: true })
		.description('Shows each embedder’s breaker, its latest measurement, and how it fits the indexes that it searches.')
		.action((options: ServerOptions) => listEmbedders(options, terminal));
	withJson(withServer(list), 'the embedders with their indexes as one JSON document');
	example(list, 'plimsoll embedders list');
	const check = embedders
		.command('check')
		.argument('[embedder]', 'its name; left out: all of them')
		.description(
			'Measures embedders now, which embeds twelve texts with each, and compares. Ends with exit code 1 when one makes other vectors than an index holds, or could not be measured.',
		)
		.action((name: string | undefined, options: ServerOptions) => checkEmbedders(name, options, terminal));
	withJson(withServer(check), 'the embedders with their indexes as one JSON document');
	example(check, 'plimsoll embedders check');
	example(embedders, 'plimsoll embedders\nplimsoll embedders check openai');
}

async function listEmbedders(options: ServerOptions, terminal: Terminal): Promise<void> {
	show(await inSession(options, terminal, (session) => session.embedders()), terminal);
}

async function checkEmbedders(name: string | undefined, options: ServerOptions, terminal: Terminal): Promise<void> {
	const checked = await inSession(options, terminal, async (session) => {
		const names = name === undefined ? (await session.embedders()).map(({ embedder }) => embedder) : [name];
		const replies: EmbedderReply[] = [];
		for (const one of names) {
			if (!terminal.json) terminal.note(`measuring ${oneLine(one)}`);
			replies.push(await session.checkEmbedder(one));
		}
		return replies;
	});
	show(checked, terminal);
	const isWrong = checked.some(
		({ problem, indexes }) => problem !== null || indexes.some(({ space }) => space === 'other'),
	);
	if (isWrong) process.exitCode = EXIT.failed;
}

function show(embedders: readonly EmbedderReply[], terminal: Terminal): void {
	if (terminal.json) {
		terminal.record({ embedders });
		return;
	}
	if (embedders.length === 0) {
		terminal.note('No embedder is configured. They stand under embedders in plimsoll.yaml.');
		return;
	}
	const rows = embedders.flatMap((one) =>
		one.indexes.length === 0 ? [row(one, null, terminal)] : one.indexes.map((index) => row(one, index, terminal)),
	);
	showTable(COLUMNS, rows, terminal);
	for (const { embedder, problem, indexes } of embedders) {
		if (problem !== null) terminal.line(`${oneLine(embedder)} could not be measured: ${oneLine(problem)}`);
		for (const { collection, space, difference, message, rebuild, on_identity_change: policy } of indexes) {
			if (space !== 'other') continue;
			const searches = policy === 'refuse' ? 'refused' : 'answered by words alone, marked degraded';
			terminal.line(
				`${oneLine(collection)}: another ${difference} (${oneLine(message ?? '')}). Its searches are ${searches}.`,
			);
			terminal.line(
				`plimsoll ingest ${oneLine(collection)} embeds its ${whole(rebuild.chunks)} chunks anew: about ${whole(rebuild.tokens)} tokens, at most $${(rebuild.cost_usd_micros_max / 1_000_000).toFixed(4)}${rebuild.seconds === null ? '' : `, about ${duration(rebuild.seconds * 1_000)}`}.`,
			);
		}
	}
}

function row(one: EmbedderReply, index: EmbedderReply['indexes'][number] | null, terminal: Terminal): string[] {
	return [
		oneLine(one.embedder),
		oneLine(`${one.family} ${one.model}`),
		whole(one.dimensions),
		one.state,
		one.measured_at === null ? '' : day(one.measured_at),
		one.next_check_ms === null ? '' : duration(one.next_check_ms),
		index === null ? '' : oneLine(index.collection),
		index === null ? '' : spaceWord(index.space, terminal),
		index?.cosine_min == null ? '' : index.cosine_min.toFixed(4),
	];
}

function spaceWord(space: EmbedderReply['indexes'][number]['space'], terminal: Terminal): string {
	if (space === 'other') return terminal.paint('red', 'other vectors');
	if (space === 'unknown') return 'not compared';
	return terminal.paint('green', space === 'alias' ? 'the same, renamed' : 'the same');
}

const COLUMNS = [
	{ title: 'embedder' },
	{ title: 'model' },
	{ title: 'dimensions', right: true },
	{ title: 'breaker' },
	{ title: 'measured (UTC)' },
	{ title: 'again in', right: true },
	{ title: 'collection' },
	{ title: 'vectors' },
	{ title: 'lowest cosine', right: true },
];
