import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { basename, relative } from 'node:path';
import { stringify } from 'yaml';
import type { Environment } from '../contracts/environment.ts';
import { litellmEntries, litellmPrice } from '../contracts/litellm-prices.ts';
import { parsePriceList } from '../contracts/price.ts';
import type { RawPriceList, RawTerms } from '../contracts/price-schema.ts';
import { PRICES_FILE } from '../contracts/price-schema.ts';
import type { ProjectConfig, UpstreamConfig } from '../contracts/project.ts';
import { isMapping } from '../contracts/schema-node.ts';
import { fileProblem, readFailure, readSourceFile } from '../contracts/source-file.ts';
import { UNKNOWN_PRICE } from '../policy/cost.ts';
import { configurationError, PlimsollError } from '../spec/errors.ts';
import type { Price } from '../spec/model.ts';
import { loadUnpriced } from './load-project.ts';

const DAY_MS = 86_400_000;
/** The public list is some two megabytes. */
const LIST_BYTES_MAX = 67_108_864;

/** What one upstream costs, and who says so. */
export interface UpstreamPrice {
	readonly upstream: string;
	readonly model: string;
	/** `assumed`: nobody says, and it is reckoned as dear. */
	readonly from: 'plimsoll.yaml' | 'list' | 'assumed';
	readonly price: Price;
	/** Since its `as_of`; null where nobody says. */
	readonly ageDays: number | null;
	readonly isOld: boolean;
}

/** The prices of a project's upstreams, those that are off left out. */
export function upstreamPrices({ upstreams, prices }: ProjectConfig, nowMs: number): readonly UpstreamPrice[] {
	return [...upstreams.values()]
		.filter(({ available }) => available)
		.map(({ name, model, price, priceFrom }) => {
			const ageDays = price?.asOf ? Math.floor((nowMs - Date.parse(price.asOf)) / DAY_MS) : null;
			return {
				upstream: name,
				model,
				from: priceFrom === null ? 'assumed' : priceFrom === 'list' ? 'list' : 'plimsoll.yaml',
				price: price ?? UNKNOWN_PRICE,
				ageDays,
				isOld: ageDays !== null && ageDays > prices.ageDaysMax,
			};
		});
}

export interface ImportOptions {
	readonly dir: string;
	readonly env: Environment;
	/** Path of the public list. */
	readonly list: string;
	/** YYYY-MM-DD; null: the day on which the list was written. */
	readonly asOf: string | null;
	/** Null: the day. */
	readonly version: string | null;
	/** Also when prices of models that the list lacks are thereby lost. */
	readonly replace: boolean;
	readonly nowMs: number;
}

export interface ImportReport {
	/** Relative to the project. */
	readonly file: string;
	readonly version: string;
	readonly asOf: string;
	readonly priced: readonly { readonly upstream: string; readonly model: string; readonly entry: string }[];
	/** Upstreams whose model the list does not have. */
	readonly missing: readonly { readonly upstream: string; readonly model: string }[];
}

/**
 * Writes the prices of the project's upstreams, as a public list in LiteLLM's format has them, to its own list. Throws
 * `configuration_invalid` for files that cannot be read, `request_invalid` where prices would be lost.
 */
export async function importPrices(options: ImportOptions): Promise<ImportReport> {
	const loaded = await loadUnpriced(options.dir, options.env);
	if (!loaded.ok) throw configurationError(loaded.problems);
	const { list, writtenMs } = await readList(options.list);
	const { upstreams, prices, dir } = loaded.value;
	const wanted = [...upstreams.values()].filter(({ priceFrom }) => priceFrom === null);
	const found = wanted.map((upstream) => ({ upstream, ...find(list, upstream) }));
	const models = Object.fromEntries(
		found.flatMap(({ upstream: { provider, model }, terms }) =>
			terms === null ? [] : [[`${provider}/${model}`, terms] as const],
		),
	);
	const asOf = options.asOf ?? new Date(Math.min(writtenMs, options.nowMs)).toISOString().slice(0, 10);
	const version = options.version ?? asOf;
	const file = relative(dir, prices.file) || PRICES_FILE;
	if (!options.replace) await refuseLoss(prices.file, file, new Set(Object.keys(models)));
	await write(prices.file, { version, as_of: asOf, source: basename(options.list), models });
	const named = ({ name, model }: UpstreamConfig) => ({ upstream: name, model });
	return {
		file,
		version,
		asOf,
		priced: found.flatMap(({ upstream, entry }) => (entry === null ? [] : [{ ...named(upstream), entry }])),
		missing: found.filter(({ entry }) => entry === null).map(({ upstream }) => named(upstream)),
	};
}

function find(
	list: Readonly<Record<string, unknown>>,
	{ provider, model }: UpstreamConfig,
): { entry: string | null; terms: RawTerms | null } {
	for (const entry of litellmEntries(provider, model)) {
		const terms = litellmPrice(list, entry);
		if (terms !== null) return { entry, terms };
	}
	return { entry: null, terms: null };
}

async function readList(path: string): Promise<{ list: Readonly<Record<string, unknown>>; writtenMs: number }> {
	const refuse = (message: string, hint: string | null = null) =>
		configurationError([fileProblem(path, message, hint)]);
	try {
		const about = await stat(path);
		if (!about.isFile()) throw refuse('is not a regular file');
		if (about.size > LIST_BYTES_MAX) throw refuse(`is larger than ${LIST_BYTES_MAX} bytes`);
		const list: unknown = JSON.parse(await readFile(path, 'utf8'));
		const hint = 'LiteLLM publishes one as model_prices_and_context_window.json';
		if (!isMapping(list)) throw refuse('is not a list of prices', hint);
		return { list: { ...list }, writtenMs: about.mtimeMs };
	} catch (error) {
		if (error instanceof PlimsollError) throw error;
		throw refuse(error instanceof SyntaxError ? `is not JSON: ${error.message}` : readFailure(error));
	}
}

/** A price that somebody wrote by hand must not vanish because a public list does not know the model. */
async function refuseLoss(path: string, shownAs: string, kept: ReadonlySet<string>): Promise<void> {
	const source = await readSourceFile(path, shownAs);
	if (!source.ok) return;
	const known = parsePriceList(source.value);
	if (!known.ok) {
		throw new PlimsollError(
			'request_invalid',
			`${shownAs} has mistakes of its own. Correct them, or import with --replace.`,
		);
	}
	const lost = [...known.value.keys()].filter((model) => !kept.has(model));
	if (lost.length === 0) return;
	const names = lost.join(', ');
	throw new PlimsollError(
		'request_invalid',
		`${shownAs} has prices that the import would remove: ${names}. Move them to their upstreams, or import with --replace.`,
	);
}

async function write(path: string, list: RawPriceList): Promise<void> {
	const head = `# yaml-language-server: $schema=node_modules/plimsoll/schemas/prices.schema.json
# Written by plimsoll prices import. US dollars per million tokens.
`;
	const text = head + stringify(list, { lineWidth: 120 });
	// Whole before it has its name: a server that watches must never read half of it.
	const draft = `${path}.${process.pid}.tmp`;
	await writeFile(draft, text);
	await rename(draft, path);
}
