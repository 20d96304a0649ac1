import { existsSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { SuggestionsReply } from '../app/canary-reply.ts';
import type { TrafficReason, UnusedReason } from '../spec/canaries.ts';
import { PlimsollError } from '../spec/errors.ts';
import { EXIT } from './exit-code.ts';
import { watchInterrupts } from './interrupt.ts';
import { example, inSession, integerBetween, type ServerOptions, withJson, withServer } from './options.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count, whole } from './units.ts';

interface SuggestOptions extends ServerOptions {
	readonly count: number;
	readonly seed: number;
	readonly out?: string;
	readonly append?: true;
	readonly tenant?: string;
	readonly traffic: boolean;
}

type Suggestion = SuggestionsReply['suggestions'][number];

/** What each reason means to people. */
const UNUSED: Readonly<Record<UnusedReason, string>> = {
	covered: 'have a canary already',
	no_text: 'hold no sentence or heading to make a query of',
	trivial: 'came to a query that only repeats the title',
	repeated: 'came to a query that there is already',
	not_found: 'were not found by their query',
	ambiguous: 'share their title, or all words of the query, with another document that was found',
};

/** The same of questions. */
const UNUSED_QUESTIONS: Readonly<Record<TrafficReason, string>> = {
	disputed: 'were rated down as often as up',
	repeated: 'are asked by a canary already',
	not_found: 'do not find again what answered them',
};

/** plimsoll canary suggest */
export function addCanarySuggest(canary: Command, terminal: Terminal): void {
	const suggest = canary
		.command('suggest')
		.argument('<collection>', 'the collection')
		.description(
			'Proposes canaries from well-rated questions, where the project keeps them, and from the documents of the live index, as lines of canaries.jsonl. Read them before you use them.',
		)
		.option('--count <n>', 'at most this many', integerBetween(1, 200), 20)
		.option('--seed <n>', 'another one draws other documents', integerBetween(0, 2 ** 32 - 1), 0)
		.option('--tenant <name>', 'whose well-rated questions come first (default: your own tenant’s)')
		.option('--no-traffic', 'from documents alone')
		.option('--out <file>', 'where the lines go; a file that is there is left alone (default: standard output)')
		.option('--append', 'adds to the file of --out what it does not hold')
		.action((collection: string, options: SuggestOptions) => suggestInto(collection, options, terminal));
	withJson(withServer(suggest), 'the suggestions as one JSON document');
	example(suggest, 'plimsoll canary suggest docs --count 50 --out suggested.jsonl');
}

async function suggestInto(collection: string, options: SuggestOptions, terminal: Terminal): Promise<void> {
	const { count: wanted, seed, out, append = false, tenant, traffic } = options;
	if (append && out === undefined) {
		throw new PlimsollError('request_invalid', '--append needs --out and the file to add to.', { param: 'append' });
	}
	const known = out === undefined ? NOTHING : await readKnown(out, append);
	const interrupts = watchInterrupts();
	try {
		const whose = traffic ? (tenant === undefined ? {} : { tenant }) : { tenant: null };
		const ask = { count: wanted, seed, signal: interrupts.signal, ...whose };
		const found = await inSession(options, terminal, (session) => session.suggestCanaries(collection, ask));
		const fresh = found.suggestions.filter(
			({ canary }) => !known.ids.has(canary.id) && !known.queries.has(canary.query),
		);
		if (fresh.length === 0) process.exitCode = EXIT.failed;
		const lines = fresh.map(({ canary }) => `${JSON.stringify(canary)}\n`).join('');
		if (out !== undefined && fresh.length > 0) await put(out, known.isUnended ? `\n${lines}` : lines, append);
		if (terminal.json) terminal.record({ ...found, suggestions: fresh, file: fresh.length > 0 ? (out ?? null) : null });
		else {
			if (out === undefined) await terminal.write(lines);
			explain(found, { fresh, wanted, out }, terminal);
		}
	} finally {
		interrupts.stop();
	}
}

/** What a file holds already. */
interface Known {
	readonly ids: ReadonlySet<string>;
	readonly queries: ReadonlySet<string>;
	/** Its last line has no end. */
	readonly isUnended: boolean;
}

const NOTHING: Known = { ids: new Set(), queries: new Set(), isUnended: false };

/** Throws `request_invalid` for a file that is there and may not be added to, or holds something else than canaries. */
async function readKnown(file: string, append: boolean): Promise<Known> {
	if (!existsSync(file)) return NOTHING;
	if (!append) throw isThere(file);
	const text = await readFile(file, 'utf8').catch((cause: unknown) => {
		throw failed(file, cause);
	});
	if (text.trim() === '') return { ...NOTHING, isUnended: text !== '' && !text.endsWith('\n') };
	const { parseCanaries } = await import('../contracts/canary.ts');
	const { value, problems } = parseCanaries({ file, text }, null);
	const [first] = problems;
	if (value === null || first) {
		const place = first?.line ? `, line ${first.line}` : '';
		const message = `${file}${place} ${first?.message ?? 'holds no canaries'}: mend it, or name another file.`;
		throw new PlimsollError('request_invalid', message, { param: 'out' });
	}
	return {
		ids: new Set(value.map(({ id }) => id)),
		queries: new Set(value.map(({ query }) => query)),
		isUnended: !text.endsWith('\n'),
	};
}

async function put(file: string, text: string, append: boolean): Promise<void> {
	try {
		await (append ? appendFile(file, text) : writeFile(file, text, { flag: 'wx' }));
	} catch (cause) {
		throw cause instanceof Error && 'code' in cause && cause.code === 'EEXIST' ? isThere(file) : failed(file, cause);
	}
}

function isThere(file: string): PlimsollError {
	const message = `${file} is there already, and nothing is overwritten: name another file, or add to it with --append.`;
	return new PlimsollError('request_invalid', message, { param: 'out' });
}

function failed(file: string, cause: unknown): PlimsollError {
	const why = cause instanceof Error ? cause.message : String(cause);
	return new PlimsollError('storage_failed', `${file} cannot be used: ${why}.`, { cause });
}

function explain(
	found: SuggestionsReply,
	{ fresh, wanted, out }: { fresh: readonly Suggestion[]; wanted: number; out: string | undefined },
	terminal: Terminal,
): void {
	const { documents, generation, k, unused, suggestions, cut_short: isCutShort } = found;
	terminal.note(
		`${count(fresh.length, 'suggestion')} of ${whole(wanted)}, with ${count(documents, 'document')} of ${oneLine(generation)}; each finds its document among the first ${k} chunks.`,
	);
	for (const [reason, text] of Object.entries(UNUSED) as [UnusedReason, string][]) {
		if ((unused[reason] ?? 0) > 0) terminal.note(`  ${whole(unused[reason] ?? 0)} ${text}`);
	}
	explainTraffic(found, fresh, terminal);
	if (fresh.length < suggestions.length) {
		terminal.note(`  ${whole(suggestions.length - fresh.length)} are in ${oneLine(out ?? '')} already`);
	}
	if (isCutShort) terminal.note('The time was up; ask for fewer.');
	else if (suggestions.length < wanted) terminal.note('Another --seed draws other documents, where there are more.');
	if (fresh.length === 0) return;
	terminal.note(
		'To accept them: read each line, put the query into the words of people who ask, drop what is not worth a canary; then put the lines into canaries.jsonl of a feature, or the file that the collection names under canaries, and run plimsoll check and plimsoll canary.',
	);
}

function explainTraffic({ traffic }: SuggestionsReply, fresh: readonly Suggestion[], terminal: Terminal): void {
	if (traffic === null || traffic.questions === 0) return;
	const tenant = oneLine(traffic.tenant);
	const asked = fresh.filter(({ method }) => method === 'traffic').length;
	terminal.note(
		`  ${whole(asked)} are questions of the tenant ${tenant}; ${whole(traffic.questions)} of its rated ones were looked at`,
	);
	for (const [reason, text] of Object.entries(UNUSED_QUESTIONS) as [TrafficReason, string][]) {
		if ((traffic.unused[reason] ?? 0) > 0) terminal.note(`    ${whole(traffic.unused[reason] ?? 0)} ${text}`);
	}
	if (asked > 0) terminal.note('  People wrote them: take out names and whatever else should not stand in a file.');
}
