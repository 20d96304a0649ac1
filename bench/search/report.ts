import type { Figures } from './measure.ts';

interface Cell {
	readonly mode: string;
	readonly filtered: boolean;
	readonly clients: number;
	readonly figures: Figures;
}

export interface SystemResult {
	readonly name: string;
	readonly cells: readonly Cell[];
}

export interface SizeResult {
	readonly chunks: number;
	readonly writeSeconds: number;
	readonly sealSeconds: number;
	readonly peakMegabytes: number;
	/** Shares of the exact ten nearest. */
	readonly recall: { readonly all: number; readonly filtered: number };
	readonly systems: readonly SystemResult[];
}

/** The results as Markdown, with ratios to the first system and what was aimed at. */
export function report(machine: string, sizes: readonly SizeResult[]): string {
	const lines = [
		'# bench:search',
		'',
		`${machine}. Milliseconds; k = 10, 100 candidates from each leg; a filter passes 5 %.`,
		'',
	];
	for (const size of sizes) lines.push(...ofSize(size), '');
	const [small, large] = [sizes.at(0), sizes.at(-1)];
	if (small !== undefined && large !== undefined && small !== large) lines.push(growth(small, large), '');
	return `${lines.join('\n')}`;
}

function ofSize(size: SizeResult): string[] {
	const { chunks, writeSeconds, sealSeconds, peakMegabytes, recall, systems } = size;
	const per = Math.round(chunks / (writeSeconds + sealSeconds));
	const lines = [
		`## ${chunks.toLocaleString('en-US')} chunks`,
		'',
		`Built in ${Math.round(writeSeconds)} s of writing and ${Math.round(sealSeconds)} s of indexing (${per} chunks/s), ${Math.round(peakMegabytes)} MB at most.`,
		`Recall@10 of approximate against exact search: ${percent(recall.all)}, with the filter ${percent(recall.filtered)}.`,
		'',
		'| system | search | clients | p50 | p99 | searches/s | event loop p99 | CPU of one search | × Plimsoll’s p50 | × fewer searches/s |',
		'|---|---|---|---|---|---|---|---|---|---|',
	];
	const own = systems[0]?.cells ?? [];
	for (const { name, cells } of systems) {
		cells.forEach((cell, at) => {
			lines.push(row(name, cell, own[at]));
		});
	}
	return [...lines, '', ...aims(size)];
}

function row(name: string, { mode, filtered, clients, figures }: Cell, own: Cell | undefined): string {
	const { p50, p99, searchesPerSecond, loopP99, cpu } = figures;
	const ratios =
		own === undefined || own.figures === figures
			? ['', '']
			: [(p50 / own.figures.p50).toFixed(1), (own.figures.searchesPerSecond / searchesPerSecond).toFixed(1)];
	const what = filtered ? `${mode}, filtered` : mode;
	const numbers = [p50.toFixed(2), p99.toFixed(2), searchesPerSecond.toFixed(0), loopP99.toFixed(1), cpu.toFixed(2)];
	return `| ${[name, what, clients, ...numbers, ...ratios].join(' | ')} |`;
}

/** What issue and design ask for, beside what was measured. */
function aims({ chunks, systems }: SizeResult): string[] {
	const find = (system: SystemResult | undefined, clients: number) =>
		system?.cells.find((cell) => cell.mode === 'hybrid' && !cell.filtered && cell.clients === clients)?.figures;
	const own = systems[0];
	const alone = find(own, 1);
	const loop = Math.max(...(own?.cells ?? []).map(({ figures }) => figures.loopP99));
	const lines = [`* event loop p99 below 10 ms: ${loop.toFixed(1)} ms at worst`];
	if (chunks <= 100_000 && alone) lines.push(`* hybrid p99 below 10 ms for one client: ${alone.p99.toFixed(2)} ms`);
	for (const rival of systems.slice(1)) {
		const ratio = (find(own, 32)?.searchesPerSecond ?? 0) / (find(rival, 32)?.searchesPerSecond ?? Number.NaN);
		lines.push(`* at least 10 × the hybrid throughput of ${rival.name}: ${ratio.toFixed(1)} ×`);
	}
	return lines;
}

function growth(small: SizeResult, large: SizeResult): string {
	const times = large.chunks / small.chunks;
	const parts = ['lexical', 'vector', 'hybrid'].map((mode) => {
		const p50 = (size: SizeResult) =>
			size.systems[0]?.cells.find((cell) => cell.mode === mode && !cell.filtered && cell.clients === 1)?.figures.p50 ??
			Number.NaN;
		return `${mode} × ${(p50(large) / p50(small)).toFixed(1)}`;
	});
	return `From ${small.chunks.toLocaleString('en-US')} to ${large.chunks.toLocaleString('en-US')} chunks (× ${times}) p50 grows: ${parts.join(', ')}.`;
}

function percent(share: number): string {
	return `${(share * 100).toFixed(1)} %`;
}
