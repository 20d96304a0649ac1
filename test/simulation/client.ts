import type { Answer, AnswerSink } from '../../src/runtime/request.ts';
import type { RequestContext } from '../../src/runtime/request-context.ts';
import { PlimsollError } from '../../src/spec/errors.ts';
import type { Dice } from './dice.ts';
import { askOnce } from './keyed-request.ts';
import { type Asked, asking } from './observation.ts';
import { authorizationOf, DEADLINE_MS_MAX, type Replica } from './replica.ts';
import { FEATURES, type TenantPlan } from './scenario.ts';
import type { World } from './world.ts';

/** Official SDKs try three times in all, half a second apart at first. */
const TRIES_MAX = 3;
const BACKOFF_MS = 500;
/** An impatient user looks at nothing for so long, then clicks again. */
const PATIENCE_MS = 700;
const USERS = 6;
/** The most that a request waits for the store of keys, beside its deadline. */
const KEY_STORE_MS = 1_100;

interface ClientParts {
	readonly world: World;
	readonly dice: Dice;
	readonly tenant: TenantPlan;
	/** A process that is up; null: none is. */
	readonly replica: () => Replica | null;
	/** Numbers requests over all clients. */
	readonly nextNumber: () => number;
	readonly upstreams: readonly string[];
}

/** One wish of one user; its client may try more than once for it. */
interface Wish {
	readonly model: string;
	readonly isStream: boolean;
	readonly user: string | null;
	/** The idempotency key that every try for it carries; null: none. */
	readonly key: string | null;
}

/** The people and programs of one tenant. */
export class Client {
	readonly #parts: ClientParts;
	#keys = 0;

	constructor(parts: ClientParts) {
		this.#parts = parts;
	}

	/** A user asks for something. */
	ask(): void {
		const { dice, tenant, upstreams, world } = this.#parts;
		const wish: Wish = {
			model: dice.chance(0.25) ? dice.pick(upstreams) : dice.pick(FEATURES),
			isStream: dice.chance(0.5),
			user: dice.chance(0.7) ? `user${dice.whole(1, USERS)}` : null,
			key: tenant.manner !== 'calm' && dice.chance(0.3) ? `wish ${++this.#keys}` : null,
		};
		void this.#try(wish, 1);
		if (wish.key === null) return;
		// A proxy, a second click, a client that has forgotten: the same key again, at once, soon or much later.
		for (let more = dice.whole(0, 2); more > 0; more--) {
			world.clock.after(dice.chance(0.7) ? dice.between(0, 1_500) : dice.between(0, 40_000), () => this.#try(wish, 1));
		}
	}

	async #try(wish: Wish, tries: number): Promise<void> {
		const { world, dice, tenant, replica: find } = this.#parts;
		const replica = find();
		if (replica === null) return this.#again(wish, tries, dice.between(100, 500));
		const n = this.#parts.nextNumber();
		const enteredAt = world.clock.monotonic();
		const granted = wish.model === 'frugal' ? 2_000 : wish.model.includes('/') ? 6_000 : DEADLINE_MS_MAX;
		// A client may shorten its deadline; it may also try to lengthen it.
		const patienceMs = tenant.manner !== 'calm' && dice.chance(0.1) ? dice.whole(50, 20_000) : null;
		const ownMs = Math.min(granted, patienceMs ?? granted);
		// Who repeats a key waits for the first one; and an answer, for a while, to be on record.
		const dueAt = enteredAt + (wish.key === null ? ownMs : DEADLINE_MS_MAX + KEY_STORE_MS);
		const asked: Asked = { n, tenant: tenant.index, replica: replica.id, model: wish.model, enteredAt, dueAt };
		const context = replica.runtime.open();
		context.patience = { deadlineMs: patienceMs, beginMs: null };
		const what = `${wish.model}${wish.isStream ? ', streamed' : ''}${wish.key === null ? '' : `, ${wish.key}`}`;
		const waitsForNothingElse = wish.model !== 'grounded';
		world.observe({ kind: 'entered', request: asked, what, waitsForNothingElse });
		this.#perhapsLeave(context, tenant.manner === 'impatient' ? PATIENCE_MS : 20_000, wish, asked);
		const streamed = { text: '' };
		const ended = await asking.run(asked, () => this.#request(replica, context, { wish, asked, streamed }));
		const { answer, error } = ended;
		world.observe({ kind: 'ended', request: asked, answer, error, streamed: streamed.text });
		if (error !== null) this.#afterError(wish, tries, error);
	}

	async #request(
		replica: Replica,
		context: RequestContext,
		{ wish, asked, streamed }: { wish: Wish; asked: Asked; streamed: { text: string } },
	): Promise<{ answer: Answer | null; error: PlimsollError | null }> {
		const { tenant, world } = this.#parts;
		try {
			const header = authorizationOf(tenant.index);
			await replica.runtime.admit(context, { kind: 'authorization', header, scope: 'invoke' });
			const content = `What may I carry? secret${tenant.index} r${asked.n} says`;
			const chat = {
				model: wish.model,
				messages: [{ role: 'user', content }],
				variables: {},
				parameters: wish.model.includes('/') ? { max_tokens: 60 } : {},
				user: wish.user,
			};
			if (wish.key !== null) {
				const ask = { asked, tenantId: tenant.id, key: wish.key, chat, isStream: wish.isStream };
				const { body, error } = await askOnce(replica, context, { world, ask });
				streamed.text = body;
				return { answer: null, error };
			}
			const sink = wish.isStream ? this.#sink(replica, context, streamed) : null;
			const answer = await replica.runtime.chat(context, { ...chat, sink });
			return { answer, error: null };
		} catch (thrown) {
			if (thrown instanceof PlimsollError) return { answer: null, error: thrown };
			throw thrown;
		}
	}

	/** Reads what is streamed, some clients slowly. Like the gateway's, it waits no longer than the request runs. */
	#sink({ clock }: Replica, { signal }: RequestContext, streamed: { text: string }): AnswerSink {
		const { dice, tenant } = this.#parts;
		const slowMs = tenant.manner !== 'calm' && dice.chance(0.05) ? dice.between(100, 3_000) : 0;
		return {
			chunk: ({ text }) => {
				streamed.text += text;
				if (slowMs === 0 || signal.aborted) return;
				return new Promise<void>((resolve) => {
					const done = () => {
						cancel();
						signal.removeEventListener('abort', done);
						resolve();
					};
					const cancel = clock.after(slowMs, done);
					signal.addEventListener('abort', done);
				});
			},
		};
	}

	#perhapsLeave(context: RequestContext, patienceMs: number, wish: Wish, { n }: Asked): void {
		const { world, dice, tenant } = this.#parts;
		if (tenant.manner === 'calm') return;
		const afterMs = dice.chance(0.03) ? dice.between(0, 2_000) : dice.lognormal(patienceMs, 0.3);
		if (tenant.manner !== 'impatient' && afterMs > 2_000) return;
		world.clock.after(afterMs, () => {
			if (context.ended) return;
			world.say(`r${n} leaves`, n);
			context.clientLeft();
			if (tenant.manner === 'impatient' && dice.chance(0.6)) void this.#try(wish, TRIES_MAX);
		});
	}

	#afterError(wish: Wish, tries: number, error: PlimsollError): void {
		const { dice, tenant } = this.#parts;
		if (error.code === 'client_closed') return;
		// The gateway tells SDKs with x-should-retry whether to come back; a rude client does not listen.
		const mayRetry = error.retryable && error.retryAfterMs === null;
		if (tenant.manner === 'rude' || (tenant.manner === 'sdk' && mayRetry)) {
			this.#again(wish, tries, dice.between(0, BACKOFF_MS * 2 ** tries));
		}
	}

	#again(wish: Wish, tries: number, afterMs: number): void {
		if (tries >= TRIES_MAX) return;
		this.#parts.world.clock.after(afterMs, () => void this.#try(wish, tries + 1));
	}
}
