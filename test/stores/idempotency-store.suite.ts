import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideClaim, type KeyFacts } from '../../src/policy/idempotency.ts';
import type {
	Effect,
	IdempotencyBounds,
	IdempotencyStore,
	KeyClaim,
	KeyHolder,
	StoredResponse,
} from '../../src/spec/idempotency.ts';

const START = Date.UTC(2026, 11, 1);
const LEASE_MS = 15_000;
const KEEP_MS = 3_600_000;
const ROOMY: IdempotencyBounds = { recordsMax: 1_000, bytesMax: 1_000_000 };

export interface StoreSubject {
	/** An empty store, and others on the same records when `replicas` is above one. */
	open(bounds: IdempotencyBounds, replicas: number): Promise<readonly IdempotencyStore[]>;
	/** Histories that the model test tries. */
	readonly runs: number;
}

export function claimOf(requestId: string, change: Partial<KeyClaim> = {}): KeyClaim {
	const now = change.now ?? START;
	return {
		tenantId: 'acme',
		keyHash: 'k1',
		fingerprint: 'body-1',
		requestId,
		now,
		leaseUntil: now + LEASE_MS,
		expiresAt: now + KEEP_MS,
		...change,
	};
}

export function responseOf(body: string): StoredResponse {
	return {
		status: 200,
		headers: { 'content-type': 'text/event-stream', 'x-plimsoll-upstream': 'test/primary' },
		body,
		origin: { feature: 'greet', release: 'f00', degradedReason: null, errorCode: null },
	};
}

const ACT: Effect = { kind: 'upstream', name: 'agent/acts', at: START };
const end = (body: string | null, now = START) => ({
	response: body === null ? null : responseOf(body),
	now,
	expiresAt: now + KEEP_MS,
});

/** What every backend of the port must do. Time is an argument: nothing here waits. */
export function idempotencyStoreSuite(name: string, subject: StoreSubject): void {
	const open = async (bounds = ROOMY) => (await subject.open(bounds, 1))[0] as IdempotencyStore;

	describe(name, () => {
		it('gives a key to the first, and to the next the response as it was, byte for byte', async () => {
			const store = await open();
			const first = claimOf('req_1');
			expect(await store.claim(first)).toEqual({ kind: 'claimed' });
			expect(await store.claim(claimOf('req_2'))).toEqual({ kind: 'running', requestId: 'req_1' });
			const body = 'data: {"t":"é\\u0000😀\u2028"}\n\ndata: [DONE]\n\n';
			expect(await store.complete(first, end(body))).toBe(true);
			const stored = await store.claim(claimOf('req_3'));
			expect(stored).toEqual({ kind: 'stored', requestId: 'req_1', response: responseOf(body) });
			expect(await store.complete(first, end('another'))).toBe(false);
		});

		it('refuses another body under the same key, while it runs and afterwards', async () => {
			const store = await open();
			await store.claim(claimOf('req_1'));
			const other = claimOf('req_2', { fingerprint: 'body-2' });
			expect(await store.claim(other)).toEqual({ kind: 'reused' });
			await store.complete(claimOf('req_1'), end('done'));
			expect(await store.claim(other)).toEqual({ kind: 'reused' });
		});

		it('keeps the keys of tenants apart', async () => {
			const store = await open();
			await store.claim(claimOf('req_1'));
			expect(await store.claim(claimOf('req_2', { tenantId: 'other', fingerprint: 'body-2' }))).toEqual({
				kind: 'claimed',
			});
		});

		it('frees a key whose execution gave no lasting answer', async () => {
			const store = await open();
			await store.claim(claimOf('req_1'));
			expect(await store.release(claimOf('req_1'))).toBe(true);
			expect(await store.claim(claimOf('req_2', { fingerprint: 'body-2' }))).toEqual({ kind: 'claimed' });
		});

		it('lets an abandoned claim be taken over when nothing was done, and takes the key from its first holder', async () => {
			const store = await open();
			const first = claimOf('req_1');
			await store.claim(first);
			const later = START + LEASE_MS;
			expect(await store.claim(claimOf('req_2', { now: later - 1 }))).toEqual({ kind: 'running', requestId: 'req_1' });
			expect(await store.claim(claimOf('req_2', { now: later }))).toEqual({ kind: 'claimed' });
			for (const change of [
				store.renew(first, later + LEASE_MS),
				store.beginEffect(first, ACT),
				store.voidEffect(first, ACT),
				store.complete(first, end('late', later)),
				store.release(first),
			]) {
				expect(await change).toBe(false);
			}
			expect(await store.complete(claimOf('req_2'), end('in time', later))).toBe(true);
		});

		it('keeps a renewed claim, however long it takes', async () => {
			const store = await open();
			await store.claim(claimOf('req_1'));
			expect(await store.renew(claimOf('req_1'), START + 10 * LEASE_MS)).toBe(true);
			const later = claimOf('req_2', { now: START + 9 * LEASE_MS });
			expect(await store.claim(later)).toEqual({ kind: 'running', requestId: 'req_1' });
		});

		it('never gives out again what was abandoned after it had begun to act', async () => {
			const store = await open();
			await store.claim(claimOf('req_1'));
			expect(await store.beginEffect(claimOf('req_1'), ACT)).toBe(true);
			const unknown = { kind: 'unknown', requestId: 'req_1', effects: [ACT] };
			expect(await store.claim(claimOf('req_2', { now: START + LEASE_MS }))).toEqual(unknown);
			// Released by a process that stops, the key is refused at once.
			await store.claim(claimOf('req_3', { keyHash: 'k2' }));
			await store.beginEffect(claimOf('req_3', { keyHash: 'k2' }), ACT);
			await store.release(claimOf('req_3', { keyHash: 'k2' }));
			expect(await store.claim(claimOf('req_4', { keyHash: 'k2' }))).toMatchObject({ kind: 'unknown' });
		});

		it('takes back one effect that did not happen, and no other that looks the same', async () => {
			const store = await open();
			const first = claimOf('req_1');
			await store.claim(first);
			for (let n = 0; n < 2; n++) await store.beginEffect(first, ACT);
			await store.voidEffect(first, ACT);
			const later = { now: START + LEASE_MS };
			expect(await store.claim(claimOf('req_2', later))).toMatchObject({ kind: 'unknown', effects: [ACT] });
			await store.voidEffect(first, ACT);
			expect(await store.claim(claimOf('req_2', later))).toEqual({ kind: 'claimed' });
		});

		it('remembers that it executed what it does not keep', async () => {
			const store = await open();
			await store.claim(claimOf('req_1'));
			await store.complete(claimOf('req_1'), end(null));
			expect(await store.claim(claimOf('req_2'))).toEqual({ kind: 'not_stored', requestId: 'req_1' });
		});

		it('lets the oldest bodies make room, and keeps their keys refused', async () => {
			const store = await open({ recordsMax: 100, bytesMax: 25 });
			for (const [at, keyHash] of ['a', 'b', 'c'].entries()) {
				await store.claim(claimOf(`req_${keyHash}`, { keyHash, now: START + at }));
				await store.complete(claimOf(`req_${keyHash}`, { keyHash }), end('0123456789', START + at));
			}
			const kinds = [];
			for (const keyHash of ['a', 'b', 'c']) kinds.push((await store.claim(claimOf('req_9', { keyHash }))).kind);
			expect(kinds).toEqual(['not_stored', 'stored', 'stored']);
			// One that is larger than all the room is not kept, and pushes out the others only for good reason.
			await store.claim(claimOf('req_d', { keyHash: 'd', now: START + 3 }));
			await store.complete(claimOf('req_d', { keyHash: 'd' }), end('x'.repeat(26), START + 3));
			expect((await store.claim(claimOf('req_9', { keyHash: 'd' }))).kind).toBe('not_stored');
		});

		it('refuses new keys of a tenant that has as many as it may, until some expire', async () => {
			const store = await open({ recordsMax: 2, bytesMax: 1_000 });
			for (const keyHash of ['a', 'b']) {
				await store.claim(claimOf(`req_${keyHash}`, { keyHash }));
				await store.complete(claimOf(`req_${keyHash}`, { keyHash }), end('done'));
			}
			expect(await store.claim(claimOf('req_c', { keyHash: 'c' }))).toEqual({ kind: 'full' });
			expect(await store.claim(claimOf('req_o', { keyHash: 'c', tenantId: 'other' }))).toEqual({ kind: 'claimed' });
			expect(await store.claim(claimOf('req_a2', { keyHash: 'a' }))).toMatchObject({ kind: 'stored' });
			const later = claimOf('req_c', { keyHash: 'c', now: START + KEEP_MS });
			expect(await store.claim(later)).toEqual({ kind: 'claimed' });
		});

		it('forgets a key after its retention', async () => {
			const store = await open();
			await store.claim(claimOf('req_1'));
			await store.complete(claimOf('req_1'), end('done', START + 5));
			const again = (now: number) => store.claim(claimOf('req_2', { fingerprint: 'body-2', now }));
			expect(await again(START + 4 + KEEP_MS)).toEqual({ kind: 'reused' });
			expect(await again(START + 5 + KEEP_MS)).toEqual({ kind: 'claimed' });
		});

		it('gives a key that many ask for at once to one of them, over all replicas', async () => {
			const stores = await subject.open(ROOMY, 4);
			const states = await Promise.all(
				Array.from({ length: 200 }, (_, n) => stores[n % stores.length]?.claim(claimOf(`req_${n}`))),
			);
			expect(states.filter((state) => state?.kind === 'claimed')).toHaveLength(1);
			expect(states.filter((state) => state?.kind === 'running')).toHaveLength(199);
		});

		it('does as the model says, whatever the history', async () => {
			const store = await open();
			let keys = 0;
			await fc.assert(
				fc.asyncProperty(fc.array(act, { minLength: 1, maxLength: 25 }), async (history) => {
					const model = new Model(`history-${keys++}`);
					for (const step of history) expect(await model.apply(store, step), JSON.stringify(step)).toBe(true);
					// No execution began while another that had acted, or still could, held the key.
					expect(model.violations).toEqual([]);
				}),
				{ numRuns: subject.runs },
			);
		});
	});
}

type Act = {
	readonly do: 'claim' | 'renew' | 'begin' | 'void' | 'complete' | 'drop' | 'release';
	readonly who: number;
	readonly body: number;
	readonly passes: number;
};

const act: fc.Arbitrary<Act> = fc.record({
	do: fc.constantFrom('claim', 'claim', 'renew', 'begin', 'void', 'complete', 'drop', 'release'),
	who: fc.nat(3),
	body: fc.nat(1),
	passes: fc.constantFrom(0, 1, LEASE_MS - 1, LEASE_MS, KEEP_MS),
});

/** One key as policy/idempotency has it, next to the store under test. */
class Model {
	readonly violations: string[] = [];
	readonly #keyHash: string;
	#now = START;
	#serial = 0;
	readonly #claims = new Map<number, string>();
	#facts: (KeyFacts & { requestId: string }) | null = null;

	constructor(keyHash: string) {
		this.#keyHash = keyHash;
	}

	async apply(store: IdempotencyStore, step: Act): Promise<boolean> {
		this.#now += step.passes;
		if (step.do === 'claim') return this.#claim(store, step);
		const requestId = this.#claims.get(step.who) ?? 'req_nobody';
		const holder: KeyHolder = { tenantId: 'acme', keyHash: this.#keyHash, requestId };
		const facts = this.#facts;
		const isHeld = facts !== null && facts.phase === 'claimed' && facts.requestId === requestId;
		const said = await this.#change(store, holder, step.do);
		if (isHeld) this.#follow(facts, step.do);
		// A record past its retention may be gone already, or not yet: what a late holder is told then is free.
		const isDecided = facts === null || Math.max(facts.expiresAt, facts.leaseUntil) > this.#now;
		if (!isDecided && !said && isHeld) this.#facts = null;
		return said === isHeld || !isDecided;
	}

	async #claim(store: IdempotencyStore, { who, body }: Act): Promise<boolean> {
		const requestId = `req_${this.#serial++}`;
		const ask = claimOf(requestId, { keyHash: this.#keyHash, fingerprint: `body-${body}`, now: this.#now });
		const expected = decideClaim(this.#facts, ask, true);
		const state = await store.claim(ask);
		const said = state.kind === 'claimed' ? 'claim' : state.kind;
		if (said === 'claim') {
			const facts = this.#facts;
			const hadActed = facts !== null && facts.effects.length > 0 && facts.expiresAt > this.#now;
			if (hadActed) this.violations.push(`${requestId} repeats what ${facts.requestId} did`);
			this.#claims.set(who, requestId);
			this.#facts = { ...ask, phase: 'claimed', effects: [] };
		}
		return said === expected;
	}

	#change(store: IdempotencyStore, holder: KeyHolder, what: Act['do']): Promise<boolean> {
		switch (what) {
			case 'renew':
				return store.renew(holder, this.#now + LEASE_MS);
			case 'begin':
				return store.beginEffect(holder, ACT);
			case 'void':
				return store.voidEffect(holder, ACT);
			case 'release':
				return store.release(holder);
			default:
				return store.complete(holder, end(what === 'complete' ? 'done' : null, this.#now));
		}
	}

	#follow(facts: KeyFacts & { requestId: string }, what: Act['do']): void {
		switch (what) {
			case 'renew':
				this.#facts = { ...facts, leaseUntil: this.#now + LEASE_MS };
				break;
			case 'begin':
				this.#facts = { ...facts, effects: [...facts.effects, ACT] };
				break;
			case 'void':
				this.#facts = { ...facts, effects: facts.effects.slice(1) };
				break;
			case 'release':
				this.#facts = facts.effects.length === 0 ? null : { ...facts, leaseUntil: 0 };
				break;
			default:
				this.#facts = {
					...facts,
					phase: what === 'complete' ? 'stored' : 'not_stored',
					expiresAt: this.#now + KEEP_MS,
				};
		}
	}
}
