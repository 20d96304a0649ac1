import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { FailureAction } from '../../src/contracts/release.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { Hit, SearchRequest } from '../../src/spec/retrieval.ts';
import { feature, hit, KEY, type Retrieval, retrieverOf, runtimeOf } from '../support/runtime-fixture.ts';
import { type Behaviour, ScriptedModel } from '../support/scripted-model.ts';

const HELLO: Behaviour = { kind: 'answer', afterMs: 50, text: 'Hello to you.' };
const FOUND = [hit(1, 'one'), hit(2, 'two')];

interface Set {
	readonly retrieval?: Partial<Retrieval>;
	readonly end?: FailureAction;
	readonly helper?: readonly Behaviour[];
	readonly costMicrosMax?: number;
	readonly variables?: Readonly<Record<string, unknown>>;
	readonly search: (request: SearchRequest) => Promise<readonly Hit[]> | readonly Hit[];
}

/** One question to a feature that needs two passages. */
async function ask({ retrieval, end, helper: script, costMicrosMax, variables = {}, search }: Set) {
	const clock = new VirtualClock();
	const model = new ScriptedModel(clock, [HELLO]);
	const helper = script && new ScriptedModel(clock, script, { name: 'test/helper' });
	const searches: SearchRequest[] = [];
	const strict = feature(
		{
			retrieval: { hitsMin: 2, ...retrieval },
			onFailure: end ? { empty_retrieval: end } : {},
			...(costMicrosMax === undefined ? {} : { budget: { costMicrosMax } }),
		},
		{ route: [model], ...(helper && { helper }) },
	);
	const { runtime, traces } = runtimeOf(clock, [strict], {
		retriever: retrieverOf([], async (request) => {
			searches.push(request);
			const hits = await search(request);
			const { mode } = request;
			const how = { mode: mode ?? 'hybrid', answered: mode ?? 'hybrid', lexicalMs: 1, vectorMs: 1, degraded: null };
			return { collection: 'docs', generation: 'docs-g1', hits, ...how };
		}),
	});
	const context = runtime.open();
	await runtime.admit(context, { kind: 'authorization', header: `Bearer ${KEY}`, scope: 'invoke' });
	const messages = [{ role: 'user', content: 'Where is the mark?' }];
	const running = runtime.chat(context, {
		model: 'greet',
		messages,
		variables,
		parameters: {},
		sink: null,
		user: null,
	});
	const ended = running.then(
		(answer) => ({ answer, error: null }),
		(error: PlimsollError) => ({ answer: null, error }),
	);
	await clock.advance(20_000);
	const { answer, error } = await ended;
	const step = traces.last.steps.find(({ stage }) => stage === 'retrieve');
	return { answer, error, searches, step, trace: traces.last, model, helper };
}

describe('what is tried when too little is found', () => {
	it('nothing where the first search found enough', async () => {
		const { answer, searches, trace, step } = await ask({
			retrieval: { floor: ['widen_k', 'lexical', 'rewrite'] },
			search: () => FOUND,
		});
		expect(answer?.degraded).toBeNull();
		expect(searches).toHaveLength(1);
		expect(trace.outcome).toBe('ok');
		expect(step?.detail).not.toHaveProperty('floor');
	});

	it('widen_k asks for four times as many and compares every vector', async () => {
		const { answer, searches, step, trace } = await ask({
			retrieval: { floor: ['widen_k'] },
			search: ({ widened }) => (widened ? FOUND : []),
		});
		expect(searches.map(({ k, widened = false }) => ({ k, widened }))).toEqual([
			{ k: 5, widened: false },
			{ k: 20, widened: true },
		]);
		expect(answer).toMatchObject({ text: 'Hello to you.', degraded: 'empty_retrieval: widen_k' });
		expect(step?.detail).toMatchObject({ floor: 'widen_k: 2', floor_action: 'widen_k', used: 2 });
		expect(trace).toMatchObject({ outcome: 'degraded', retrieval_doc_ids: ['chunk-1', 'chunk-2'] });
	});

	it('lexical holds BM25’s scores to a floor of their own', async () => {
		const scored = [1, 2, 3].map((rank) => ({ ...hit(rank, 'x'), score: 10 - rank }));
		const { searches, step } = await ask({
			retrieval: { floor: ['lexical'], scoreMin: 100, lexicalScoreMin: 8 },
			search: () => scored,
		});
		expect(searches.map(({ mode }) => mode)).toEqual([null, 'lexical']);
		expect(step?.detail).toMatchObject({ floor: 'lexical: 2', floor_action: 'lexical', used: 2 });
	});

	it('rewrite searches for a helper’s query; its attempt and cost are in the trace, and the answer keeps its own attempts', async () => {
		const { answer, searches, step, trace, model, helper } = await ask({
			retrieval: { floor: ['rewrite'] },
			helper: [{ kind: 'answer', afterMs: 20, text: '"load line mark"\nbecause' }],
			search: ({ query }) => (query === 'load line mark' ? FOUND : []),
		});
		expect(searches.map(({ query }) => query)).toEqual(['Where is the mark?', 'load line mark']);
		expect(answer).toMatchObject({ upstream: 'test/primary', degraded: 'empty_retrieval: rewrite' });
		expect(helper?.calls).toBe(1);
		expect(step?.attempts).toMatchObject([{ upstream: 'test/helper', outcome: 'ok', tokens_in: 20, tokens_out: 5 }]);
		// The prompt still has the user's question.
		expect(JSON.stringify(model.requests[0]?.messages)).toContain('Where is the mark?');
		const attempts = trace.steps.flatMap((one) => one.attempts);
		expect(trace.cost_usd_micros).toBe(attempts.reduce((sum, one) => sum + one.cost_usd_micros, 0));
		expect(trace).toMatchObject({ upstream: 'test/primary', retries: 0 });
	});

	it('a rewrite that fails, repeats the question or costs too much is said, and the next way is tried', async () => {
		const refused: Behaviour = { kind: 'fail', afterMs: 10, failure: 'server_error' };
		const failing = { retrieval: { floor: ['rewrite', 'lexical'] as const }, search: lexicalOnly };
		const failed = await ask({ ...failing, helper: [refused] });
		expect(failed.step?.detail.floor).toBe('rewrite: upstream_unavailable, lexical: 2');
		expect(failed.helper?.calls).toBe(1);
		const same = await ask({ ...failing, helper: [{ ...HELLO, text: 'Where is the mark?' }] });
		expect(same.step?.detail.floor).toBe('rewrite: it gave no other query, lexical: 2');
		const dear = await ask({ ...failing, helper: [HELLO], costMicrosMax: 1_000 });
		expect(dear.step?.detail.floor).toBe('rewrite: budget_cost_exceeded, lexical: 2');
		expect(dear.helper?.calls).toBe(0);
		const nobody = await ask(failing);
		expect(nobody.step?.detail.floor).toBe('rewrite: its upstream is switched off, lexical: 2');
	});

	it('a helper’s content filter ends the request: what was refused is not routed around', async () => {
		const { error, trace } = await ask({
			retrieval: { floor: ['rewrite', 'lexical'] },
			helper: [{ kind: 'fail', afterMs: 10, failure: 'content_filter' }],
			search: lexicalOnly,
		});
		expect(error?.code).toBe('upstream_content_filtered');
		expect(trace.outcome).toBe('refused');
	});

	it('the most that any way found is used, and the list’s end follows when it is too little', async () => {
		const { answer, step, model } = await ask({
			retrieval: { floor: ['widen_k', 'lexical'] },
			end: { action: 'degrade' },
			search: ({ widened }) => (widened ? [hit(1, 'alone')] : []),
		});
		expect(answer?.degraded).toBe('empty_retrieval: degrade');
		expect(step?.detail).toMatchObject({ floor: 'widen_k: 1, lexical: 0', floor_action: 'degrade', used: 1 });
		expect(JSON.stringify(model.requests[0]?.messages)).toContain('alone');
	});

	it.each(['ask_back', 'abstain', 'fall_back'] as const)(
		'%s answers with its text and asks no upstream',
		async (action) => {
			const { answer, model, trace } = await ask({ end: { action, answer: 'Which ship?' }, search: () => [] });
			expect(answer).toMatchObject({ text: 'Which ship?', upstream: null, degraded: `empty_retrieval: ${action}` });
			expect(model.calls).toBe(0);
			expect(trace).toMatchObject({ outcome: 'degraded', cost_usd_micros: 0 });
		},
	);

	it('a search that fails is one that found nothing, unless no way finds anything', async () => {
		const broken = async () => {
			throw new PlimsollError('retrieval_failed', 'The search in docs failed.');
		};
		const search = (request: SearchRequest) => (request.mode === 'lexical' ? FOUND : broken());
		const saved = await ask({ retrieval: { floor: ['lexical'] }, search });
		expect(saved.answer?.degraded).toBe('empty_retrieval: lexical');
		const lost = await ask({ retrieval: { floor: ['widen_k', 'lexical'] }, search: broken });
		expect(lost.error?.code).toBe('retrieval_failed');
	});

	it('all ways together keep to retrieval’s share of the deadline', async () => {
		const { error, trace, step } = await ask({
			retrieval: { floor: ['widen_k', 'lexical'] },
			search: () => new Promise(() => {}),
		});
		expect(error?.code).toBe('retrieval_failed');
		expect(trace.latency_ms).toBe(3_000);
		expect(step?.detail.floor).toBe('widen_k: no time left, lexical: no time left');
	});
});

describe('a contract’s filters', () => {
	const filters = [
		{ field: 'product', equal: { input: 'product', optional: false } },
		{ field: 'year', from: { input: 'since', optional: true } },
	];

	it('take their values from the request, and stand in every search', async () => {
		const { searches } = await ask({
			retrieval: { filters, floor: ['widen_k'] },
			variables: { product: 'ship' },
			search: ({ widened }) => (widened ? FOUND : []),
		});
		const where = { all: [{ field: 'product', equal: 'ship' }] };
		expect(searches.map((one) => one.where)).toEqual([where, where]);
		expect(searches[0]?.caller).toMatchObject({ tenantId: 'acme', groups: [] });
	});

	it('refuse a request without a variable that they need', async () => {
		const { error, searches } = await ask({ retrieval: { filters }, search: () => FOUND });
		expect(error).toMatchObject({ code: 'request_invalid', param: 'input.product' });
		expect(searches).toEqual([]);
	});
});

describe('what becomes of passages above the cap', () => {
	const LONG = [1, 2, 3, 4].map((rank) => ({ ...hit(rank, `passage ${rank}`), tokens: 40 }));
	const retrieval = { tokensMax: 100, overTokensMax: 'summarise' as const };

	it('they are cut by rank, and the cut is counted', async () => {
		const { step, answer } = await ask({ retrieval: { tokensMax: 100 }, search: () => LONG });
		expect(answer?.degraded).toBeNull();
		expect(step?.detail).toMatchObject({ tokens_found: 160, tokens: 80, cut: 2, used: 2 });
	});

	it('they are summarised by the helper, each under its own id', async () => {
		const { step, trace, model, helper } = await ask({
			retrieval,
			helper: [{ ...HELLO, text: '[1] It is painted amidships.\n[3] Draught is 7 m.' }],
			search: () => LONG,
		});
		expect(helper?.requests[0]?.parameters).toEqual({ max_tokens: 40 });
		const asked = JSON.stringify(helper?.requests[0]?.messages);
		expect(asked).toContain('passage 2');
		expect(asked).not.toContain('passage 1');
		expect(trace.retrieval_doc_ids).toEqual(['chunk-1', 'chunk-2', 'chunk-4']);
		expect(step?.detail).toMatchObject({ summarised: 2, cut: 1, used: 3 });
		const prompt = JSON.stringify(model.requests[0]?.messages);
		expect(prompt).toContain('passage 1');
		expect(prompt).toContain('It is painted amidships.');
		expect(prompt).not.toContain('passage 2');
		expect(Number(step?.detail.tokens)).toBeLessThanOrEqual(100);
	});

	it('where the helper fails or says nothing they are cut, and the answer says so', async () => {
		for (const script of [
			{ kind: 'fail', afterMs: 1, failure: 'server_error' } as const,
			{ ...HELLO, text: 'Well.' },
		]) {
			const { step, answer } = await ask({ retrieval, helper: [script], search: () => LONG });
			expect(answer?.degraded).toBe('retrieval_cap: cut');
			expect(step?.detail).toMatchObject({ used: 2, cut: 2, summary: expect.stringContaining('none: ') });
		}
	});

	it('what the cap leaves is held to the floor as well', async () => {
		const { error } = await ask({ retrieval: { tokensMax: 50 }, search: () => LONG });
		expect(error?.code).toBe('retrieval_empty');
	});
});

function lexicalOnly({ mode }: SearchRequest): readonly Hit[] {
	return mode === 'lexical' ? FOUND : [];
}
