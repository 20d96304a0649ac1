import { type Command, InvalidArgumentError } from 'commander';
import type { UpstreamPrice } from '../app/prices.ts';
import { configurationError } from '../spec/errors.ts';
import type { Rates } from '../spec/model.ts';
import { example, type ProjectOption, withJson, withProject } from './options.ts';
import { requireProject } from './project-folder.ts';
import { showTable } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count, whole } from './units.ts';

interface ImportOptions extends ProjectOption {
	readonly asOf?: string;
	readonly name?: string;
	readonly replace?: true;
}

/** plimsoll prices */
export function addPrices(program: Command, terminal: Terminal): void {
	const prices = program
		.command('prices')
		.summary('show what upstreams cost, or import a public price list')
		.description('Shows and imports the prices that costs are reckoned by.');
	const list = prices
		.command('list', { isDefault: true })
		.description(
			'Shows what each upstream costs in US dollars per million tokens, who says so and since when, and warns of prices that are old or assumed.',
		)
		.action((options: ProjectOption) => listPrices(options, terminal));
	withJson(withProject(list), 'the prices in micro-dollars as one JSON document');
	example(list, 'plimsoll prices\nplimsoll prices list --json');
	const take = prices
		.command('import')
		.argument('<file>', 'a public list in LiteLLM’s format (model_prices_and_context_window.json)')
		.description(
			'Writes the prices of the project’s upstreams, as the list has them, to the project’s prices.yaml. Upstreams with a price of their own keep it.',
		)
		.option('--as-of <day>', 'the day of the list (default: that on which its file was written)', dayOf)
		.option('--name <version>', 'the version that traces carry (default: the day)')
		.option('--replace', 'also when prices of models that the list lacks are lost')
		.action((file: string, options: ImportOptions) => takePrices(file, options, terminal));
	withJson(withProject(take), 'what was written as one JSON document');
	example(
		take,
		'plimsoll prices import model_prices_and_context_window.json\nplimsoll prices import list.json --as-of 2026-11-01',
	);
	example(prices, 'plimsoll prices\nplimsoll prices import model_prices_and_context_window.json');
}

function dayOf(text: string): string {
	const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text) && new Date(text).toJSON()?.startsWith(text);
	if (isDay) return text;
	throw new InvalidArgumentError('It must be a day such as 2026-11-01.');
}

async function listPrices({ dir }: ProjectOption, terminal: Terminal): Promise<void> {
	const root = requireProject(dir);
	const [{ loadProject }, { environment }, { upstreamPrices }, { systemClock }] = await Promise.all([
		import('../app/load-project.ts'),
		import('../app/environment.ts'),
		import('../app/prices.ts'),
		import('../base/clock.ts'),
	]);
	const loaded = await loadProject(root, environment());
	if (!loaded.ok) throw configurationError(loaded.problems);
	const { config } = loaded.value;
	const prices = upstreamPrices(config, systemClock.now());
	if (terminal.json) {
		terminal.record({
			age_days_max: config.prices.ageDaysMax,
			unknown: config.prices.unknown,
			prices: prices.map(record),
		});
		return;
	}
	showTable(
		COLUMNS,
		prices.flatMap((price) => rows(price, terminal)),
		terminal,
	);
	warn(prices, config.prices.ageDaysMax, terminal);
}

const COLUMNS = [
	{ title: 'upstream' },
	{ title: 'model' },
	{ title: 'version' },
	{ title: 'age', right: true },
	{ title: 'input', right: true },
	{ title: 'cached', right: true },
	{ title: 'cache write', right: true },
	{ title: 'output', right: true },
	{ title: 'reasoning', right: true },
	{ title: 'from' },
];

/** One row for the usual rates, and one for each tier and the batch rates. */
function rows({ upstream, model, from, price, ageDays, isOld }: UpstreamPrice, terminal: Terminal): string[][] {
	const money = (rates: Rates) =>
		[
			rates.inputMicrosPerMillion,
			rates.cachedInputMicrosPerMillion,
			rates.cacheWriteMicrosPerMillion,
			rates.outputMicrosPerMillion,
			rates.reasoningMicrosPerMillion,
		].map((micros) => `$${micros / 1_000_000}`);
	const age = ageDays === null ? '-' : `${whole(ageDays)} d`;
	const isFree = price.inputMicrosPerMillion === 0;
	const source = from === 'assumed' ? terminal.paint('yellow', 'assumed') : isFree ? 'free' : from;
	const painted = isOld ? terminal.paint('yellow', age) : age;
	return [
		[oneLine(upstream), oneLine(model), oneLine(price.version), painted, ...money(price), source],
		...price.tiers.map((tier) => ['', `above ${whole(tier.tokensInAbove)} tokens in`, '', '', ...money(tier), '']),
		...(price.batch === null ? [] : [['', 'batch', '', '', ...money(price.batch), '']]),
	];
}

function warn(prices: readonly UpstreamPrice[], daysMax: number, terminal: Terminal): void {
	const say = (text: string) => terminal.note(terminal.paintNote('yellow', text));
	const named = (some: readonly UpstreamPrice[]) => some.map(({ upstream }) => upstream).join(', ');
	const old = prices.filter(({ isOld }) => isOld);
	if (old.length > 0) {
		say(
			`${named(old)}: older than ${count(daysMax, 'day')}. Look the price up, or import a newer list: plimsoll prices import <file>`,
		);
	}
	const assumed = prices.filter(({ from }) => from === 'assumed');
	if (assumed.length > 0) {
		say(
			`${named(assumed)}: no price is known, so that a high one is assumed and costs are estimates: plimsoll prices import <file>`,
		);
	}
}

function record({ upstream, model, from, price, ageDays, isOld }: UpstreamPrice) {
	const rates = (of: Rates) => ({
		input_micros_per_million: of.inputMicrosPerMillion,
		cached_input_micros_per_million: of.cachedInputMicrosPerMillion,
		cache_write_micros_per_million: of.cacheWriteMicrosPerMillion,
		output_micros_per_million: of.outputMicrosPerMillion,
		reasoning_micros_per_million: of.reasoningMicrosPerMillion,
	});
	return {
		upstream,
		model,
		from,
		version: price.version,
		as_of: price.asOf,
		age_days: ageDays,
		old: isOld,
		...rates(price),
		tiers: price.tiers.map((tier) => ({ tokens_in_above: tier.tokensInAbove, ...rates(tier) })),
		batch: price.batch && rates(price.batch),
	};
}

async function takePrices(
	file: string,
	{ dir, asOf, name, replace }: ImportOptions,
	terminal: Terminal,
): Promise<void> {
	const root = requireProject(dir);
	const [{ environment }, { importPrices }, { systemClock }] = await Promise.all([
		import('../app/environment.ts'),
		import('../app/prices.ts'),
		import('../base/clock.ts'),
	]);
	const report = await importPrices({
		dir: root,
		env: environment(),
		list: file,
		asOf: asOf ?? null,
		version: name ?? null,
		replace: replace === true,
		nowMs: systemClock.now(),
	});
	if (terminal.json) {
		const { asOf: as_of, ...rest } = report;
		terminal.record({ ...rest, as_of });
		return;
	}
	terminal.line(
		`Wrote ${report.file}: ${count(report.priced.length, 'price')}, version ${report.version}, as of ${report.asOf}`,
	);
	for (const { upstream, entry } of report.priced) terminal.line(`  ${oneLine(upstream)}  as ${oneLine(entry)}`);
	for (const { upstream, model } of report.missing) {
		terminal.note(terminal.paintNote('yellow', `${oneLine(upstream)}: the list has no price of ${oneLine(model)}`));
	}
}
