import { type Command, Option } from 'commander';
import type { SearchReply } from '../app/gateway-reply.ts';
import { watchInterrupts } from './interrupt.ts';
import { example, inSession, integerBetween, jsonObject, withJson, withServer } from './options.ts';
import { type SearchOptions, searchAll } from './query-run.ts';
import { cut, oneLine, type Terminal } from './terminal.ts';
import { duration } from './units.ts';

export function addSearch(program: Command, terminal: Terminal): void {
	const command = program
		.command('search')
		.argument('<collection>', 'the collection')
		.argument('[query...]', 'the query; leave it out with --queries')
		.summary('search a collection, with one query or a whole set')
		.description(
			'Searches a collection’s live index and shows the best chunks. With --queries it runs a file of queries, eight at a time, and writes their ranked ids and scores.',
		)
		.option('--k <number>', 'how many chunks', integerBetween(1, 1_000), 10)
		.addOption(
			new Option('--mode <mode>', 'which legs search (default: as the collection is configured)').choices([
				'hybrid',
				'lexical',
				'vector',
			]),
		)
		.option('--filter <json>', 'what documents must be, as in the API: {"field": "year", "from": 2020}', jsonObject)
		.option('--queries <file>', 'lines of {"id": …, "query": …}; - for standard input')
		.addOption(
			new Option('--format <format>', 'of the ranked ids: lines of JSON, or a TREC run')
				.choices(['json', 'trec'])
				.default('json'),
		)
		.addOption(
			new Option('--unit <unit>', 'what a TREC run ranks: a document counts once, at its best chunk')
				.choices(['document', 'chunk'])
				.default('document'),
		)
		.option('--out <file>', 'where the ranked ids go, whole or not at all (default: standard output)')
		.action((collection: string, words: string[], options: SearchOptions) => {
			const one = options.queries === undefined;
			if (one && words.length === 0) command.error('error: name a query, or a file of them with --queries');
			if (!one && words.length > 0) command.error('error: give either a query or --queries, not both');
			const onlySets = ['format', 'unit', 'out'].filter((name) => command.getOptionValueSource(name) === 'cli');
			if (one && onlySets.length > 0) command.error(`error: --${onlySets[0]} needs --queries`);
			return one
				? searchOne(collection, words.join(' '), { options, terminal })
				: searchAll(collection, options, terminal);
		});
	withJson(withServer(command), 'hits with scores by leg, positions and text as one JSON document');
	example(
		command,
		'plimsoll search docs "token budget" --k 5\nplimsoll search docs "token budget" --mode lexical --json\nplimsoll search papers --queries topics.jsonl --k 100 --format trec --out run.txt',
	);
}

async function searchOne(
	collection: string,
	query: string,
	{ options, terminal }: { options: SearchOptions; terminal: Terminal },
): Promise<void> {
	const interrupts = watchInterrupts();
	try {
		const { k, mode = null, filter } = options;
		const found = await inSession(options, terminal, (session) =>
			session.search(collection, { query, k, mode, filter, signal: interrupts.signal }),
		);
		if (terminal.json) terminal.record(found);
		else show(found, terminal);
	} finally {
		interrupts.stop();
	}
}

const NO_WORDS =
	'Nothing found: no passage that you may see, and that passes the filter, has a word of the query. English words such as “the” are not searched for.';

function show(found: SearchReply, terminal: Terminal): void {
	const indent = '    ';
	for (const hit of found.hits) {
		const legs = [
			hit.lexical_score !== null && `words ${hit.lexical_score.toFixed(2)}`,
			hit.vector_score !== null && `vector ${hit.vector_score.toFixed(3)}`,
		].filter((leg) => leg !== false);
		const place = [oneLine(hit.document), ...hit.heading_path.map(oneLine)].join(' › ');
		terminal.line(
			`${String(hit.rank).padStart(3)} ${terminal.paint('bold', place)}  ${terminal.paint('dim', `${hit.score.toFixed(4)} (${legs.join(', ')})`)}`,
		);
		terminal.line(`${indent}${cut(oneLine(hit.text), Math.max(40, terminal.columns * 2 - indent.length))}`);
	}
	if (found.hits.length === 0) terminal.note(found.vector_ms === null ? NO_WORDS : 'Nothing found.');
	const took = [
		found.lexical_ms !== null && `words ${duration(found.lexical_ms)}`,
		found.vector_ms !== null && `vectors ${duration(found.vector_ms)}`,
	].filter((leg) => leg !== false);
	terminal.note(terminal.paintNote('dim', `${found.mode}, generation ${found.generation}, ${took.join(', ')}`));
	if (found.degraded !== null) terminal.note(terminal.paintNote('yellow', `degraded: ${oneLine(found.degraded)}`));
}
