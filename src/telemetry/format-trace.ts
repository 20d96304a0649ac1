import { stripVTControlCharacters, styleText } from 'node:util';
import type { AttemptTrace, RequestTrace, StepTrace } from '../spec/trace.ts';

interface TraceFormat {
	readonly colour: boolean;
	/** Columns of the terminal; at least 60 are used. */
	readonly width: number;
	/** The feature's promised p95 latency: drawn as a line through the bars, and the total is judged by it. */
	readonly objectiveMs?: number | null;
}

type Style = Parameters<typeof styleText>[0];
type Paint = (style: Style, text: string) => string;

const LABEL = 9;
const TIME = 9;
/** What a step's line has beside its bar and before its notes: mark, label, time and the spaces between. */
const GUTTER = 2 + LABEL + 1 + TIME + 2 + 2;
const OUTCOME_STYLES: Readonly<Record<RequestTrace['outcome'], Style>> = {
	ok: 'green',
	degraded: 'yellow',
	refused: 'yellow',
	failed: 'red',
	cancelled: 'gray',
};

/**
 * A trace for people: what came out, at what price, from which prompt and documents, and where the time went. Every
 * value is stripped of control characters, since parts of it come from clients and providers.
 */
export function formatTrace(trace: RequestTrace, { colour, width, objectiveMs = null }: TraceFormat): string {
	const paint: Paint = (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text);
	const page: Page = { paint, width: Math.max(60, width) };
	const sections = [
		header(trace, objectiveMs, page),
		facts(trace, page),
		timeline(trace, objectiveMs, page),
		documents(trace, page),
		verdicts(trace, page),
	];
	return `${sections
		.filter((lines) => lines.length > 0)
		.map((lines) => lines.join('\n'))
		.join('\n\n')}\n`;
}

interface Page {
	readonly paint: Paint;
	readonly width: number;
}

function header(trace: RequestTrace, objectiveMs: number | null, { paint }: Page): string[] {
	const outcome = paint('bold', paint(OUTCOME_STYLES[trace.outcome], trace.outcome));
	const reason = trace.error_code ?? trace.degraded_reason;
	const late = objectiveMs !== null && trace.latency_ms > objectiveMs;
	const latency = paint(late ? 'red' : 'bold', ms(trace.latency_ms));
	const promise = objectiveMs === null ? '' : `, ${paint('dim', `${ms(objectiveMs)} promised at p95`)}`;
	return [
		`${paint('bold', clean(trace.request_id))}  ${outcome}${reason ? ` ${clean(reason)}` : ''}  ${latency}${promise}`,
		paint('dim', `${new Date(trace.started_at).toISOString()}`),
	];
}

function facts(trace: RequestTrace, page: Page): string[] {
	const inputs = [
		trace.tokens_cached > 0 && `${whole(trace.tokens_cached)} cached`,
		trace.tokens_cache_written > 0 && `${whole(trace.tokens_cache_written)} written to the cache`,
	].filter(Boolean);
	const cached = inputs.length > 0 ? ` (${inputs.join(', ')})` : '';
	const thought = trace.tokens_reasoning > 0 ? ` (${whole(trace.tokens_reasoning)} thought)` : '';
	const price = [trace.cost_source, trace.price_version && `prices ${trace.price_version}`].filter(Boolean).join(', ');
	const prompt = trace.prompt_name && `${trace.prompt_name}@${trace.prompt_version ?? '?'}`;
	const index = trace.retrieval_generation && `${trace.retrieval_collection ?? '?'} at ${trace.retrieval_generation}`;
	const who = [trace.tenant_id && `tenant ${trace.tenant_id}`, trace.key_id && `key ${trace.key_id}`];
	const model = [
		trace.model_name ?? trace.upstream,
		trace.upstream && `via ${trace.upstream}`,
		trace.provider_fingerprint,
	];
	const sent = [
		trace.streamed ? 'streamed' : 'whole',
		trace.time_to_first_token_ms !== null && `first token after ${ms(trace.time_to_first_token_ms)}`,
		trace.finish_reason && `ended by ${trace.finish_reason}`,
		trace.retries > 0 && `${whole(trace.retries)} ${trace.retries === 1 ? 'retry' : 'retries'}`,
		trace.escalated_from && `escalated from ${trace.escalated_from}`,
	];
	const rows: [string, string | null][] = [
		['feature', join([trace.feature, trace.release && `release ${trace.release}`, trace.variant])],
		[
			'caller',
			join([
				...who,
				trace.client_retries > 0 && `sent again, ${whole(trace.client_retries)}×`,
				trace.user_id_hash && `user ${trace.user_id_hash.slice(0, 16)}`,
			]),
		],
		['flags', join(Object.entries(trace.flags).map(([flag, variant]) => `${flag} ${variant ?? 'error'}`))],
		['model', join(model)],
		['tokens', `${whole(trace.tokens_in)} in${cached}, ${whole(trace.tokens_out)} out${thought}`],
		['cost', `${dollars(trace.cost_usd_micros)}${price ? ` (${price})` : ''}`],
		['prompt', join([prompt, trace.prompt_hash && `sha256 ${trace.prompt_hash.slice(0, 16)}`])],
		['index', index],
		// A request that reached no upstream has no answer to speak of.
		['answer', trace.upstream && join(sent)],
		['degraded', trace.degraded ? (trace.degraded_reason ?? 'yes') : null],
	];
	return rows.flatMap(([name, value]) => (value ? labelled(name, value, page) : []));
}

function labelled(name: string, value: string, { paint, width }: Page): string[] {
	return [`${paint('dim', name.padEnd(LABEL))} ${cut(clean(value), width - LABEL - 1)}`];
}

function timeline(trace: RequestTrace, objectiveMs: number | null, page: Page): string[] {
	const { paint, width } = page;
	const bar = Math.min(40, Math.max(16, Math.floor(width / 4)));
	const end = Math.max(
		trace.latency_ms,
		objectiveMs ?? 0,
		...trace.steps.map(({ started_ms, latency_ms }) => started_ms + latency_ms),
		0.001,
	);
	const scale: Scale = { bar, end, objectiveMs };
	const title = `${'step'.padEnd(LABEL)} ${'took'.padStart(TIME)}  0 ${'·'.repeat(Math.max(0, bar - ms(end).length - 3))} ${ms(end)}`;
	const lines = trace.steps.flatMap((step) => stepLines(step, scale, page));
	return lines.length === 0 ? [] : [paint('dim', `  ${title}`), ...lines];
}

interface Scale {
	readonly bar: number;
	/** The instant at the right end of the bars. */
	readonly end: number;
	readonly objectiveMs: number | null;
}

function stepLines(step: StepTrace, scale: Scale, page: Page): string[] {
	const { paint, width } = page;
	const left = GUTTER + scale.bar;
	const failed = step.outcome === 'failed';
	const mark = failed ? paint('red', '✗') : paint('green', '✓');
	const bar = paint(failed ? 'red' : 'cyan', span(step, scale));
	const head = `${mark} ${clean(step.stage).padEnd(LABEL)} ${paint('bold', ms(step.latency_ms).padStart(TIME))}  ${bar}`;
	const notes = Object.entries(step.detail).map(([name, value]) => note(name, value));
	if (step.error_code !== null) notes.unshift(step.error_code);
	const wrapped = wrap(notes.map(clean), width - left);
	return [
		`${head}  ${wrapped[0] ?? ''}`.trimEnd(),
		...wrapped.slice(1).map((line) => `${' '.repeat(left)}${line}`),
		...step.attempts.flatMap((attempt) => attemptLines(attempt, step, scale, page)),
	];
}

function attemptLines(attempt: AttemptTrace, step: StepTrace, scale: Scale, { paint, width }: Page): string[] {
	const last = attempt === step.attempts.at(-1);
	const ok = attempt.outcome === 'ok';
	const left = GUTTER + scale.bar;
	const label = `${last ? '└' : '├'} try ${attempt.seq + 1}`;
	const facts = [
		attempt.outcome,
		attempt.upstream,
		attempt.model_name !== null && attempt.model_name !== attempt.upstream && attempt.model_name,
		attempt.time_to_first_token_ms !== null && `first token ${ms(attempt.time_to_first_token_ms)}`,
		`${whole(attempt.tokens_in)} in, ${whole(attempt.tokens_out)} out`,
		dollars(attempt.cost_usd_micros),
		attempt.provider_response_id,
	].filter((fact) => typeof fact === 'string');
	const wrapped = wrap([...facts.map(clean), ...(attempt.error === null ? [] : [clean(attempt.error)])], width - left);
	const bar = paint(ok ? 'dim' : 'red', span(attempt, scale));
	const head = `  ${paint('dim', label.padEnd(LABEL))} ${ms(attempt.latency_ms).padStart(TIME)}  ${bar}`;
	return [`${head}  ${wrapped[0] ?? ''}`.trimEnd(), ...wrapped.slice(1).map((line) => `${' '.repeat(left)}${line}`)];
}

/** When something ran, in eighths of a column, with the promise drawn where it stands. */
function span(
	{ started_ms, latency_ms }: { started_ms: number; latency_ms: number },
	{ bar, end, objectiveMs }: Scale,
): string {
	const from = Math.min(bar - 1, Math.max(0, Math.floor((started_ms / end) * bar)));
	const to = Math.min(bar, Math.max(from + 1, Math.round(((started_ms + latency_ms) / end) * bar)));
	const cells: string[] = Array.from({ length: bar }, (_, at) => (at >= from && at < to ? '█' : ' '));
	// A moment shorter than half a column is a tick and not a block.
	if (latency_ms < end / bar / 2) cells[from] = '▏';
	const promise = objectiveMs === null ? -1 : Math.min(bar - 1, Math.floor((objectiveMs / end) * bar));
	if (cells[promise] === ' ') cells[promise] = '│';
	return cells.join('');
}

function documents(trace: RequestTrace, { paint, width }: Page): string[] {
	return trace.retrieval_doc_ids.map((id, index) => {
		const score = trace.retrieval_scores[index];
		const name = index === 0 ? 'passages' : '';
		const rank = `[${index + 1}]`.padStart(4);
		const mark = score === undefined ? '' : score.toFixed(4).padStart(8);
		return `${paint('dim', name.padEnd(LABEL))} ${paint('dim', rank)} ${mark}  ${cut(clean(id), width - LABEL - 17)}`;
	});
}

function verdicts(trace: RequestTrace, { paint, width }: Page): string[] {
	return trace.guard_verdicts.map(({ guard, verdict, reason, repaired }, index) => {
		const name = paint('dim', (index === 0 ? 'guards' : '').padEnd(LABEL));
		const mark = verdict === 'pass' ? paint('green', 'pass') : paint('red', 'fail');
		return `${name} ${mark}  ${cut(clean(`${guard}${reason === null ? '' : `: ${reason}`}${repaired === undefined ? '' : `: repaired (${repaired})`}`), width - LABEL - 7)}`;
	});
}

function note(name: string, value: string | number | boolean | null): string {
	const timed = name.endsWith('_ms') ? name.slice(0, -3) : name;
	if (value === null) return `${timed} none`;
	if (timed !== name && typeof value === 'number') return `${timed} ${ms(value)}`;
	return `${name} ${typeof value === 'number' && Number.isInteger(value) ? whole(value) : value}`;
}

/** Facts separated by dots, on as many lines as they need; one that is too long for a line is cut. */
function wrap(facts: readonly string[], width: number): string[] {
	const room = Math.max(16, width);
	const lines: string[] = [];
	for (const fact of facts) {
		const line = lines.at(-1);
		if (line !== undefined && line.length + 3 + fact.length <= room) lines[lines.length - 1] = `${line} · ${fact}`;
		else lines.push(cut(fact, room));
	}
	return lines;
}

function join(parts: readonly (string | null | false | undefined)[]): string {
	return parts.filter(Boolean).join(' · ');
}

function cut(text: string, width: number): string {
	return text.length <= width ? text : `${text.slice(0, Math.max(1, width - 1)).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** Text that cannot move the cursor, recolour the terminal, break the line or reverse its reading direction. */
function clean(text: string): string {
	return stripVTControlCharacters(text).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
}

function ms(value: number): string {
	if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
	if (value >= 100) return `${whole(Math.round(value))} ms`;
	if (value >= 1) return `${value.toFixed(1)} ms`;
	return `${(value * 1000).toFixed(0)} µs`;
}

function whole(value: number): string {
	return value.toLocaleString('en-US');
}

/** Micro-dollars are kept exact: a cheap request costs some of them, and "$0.00" would be a lie. */
function dollars(micros: number): string {
	if (micros === 0) return '$0';
	return `$${(micros / 1e6).toFixed(6).replace(/(\.\d\d\d*?)0+$/, '$1')}`;
}
