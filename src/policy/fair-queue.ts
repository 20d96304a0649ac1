import type { Priority } from '../spec/priority.ts';

/** While both wait, one place of so many goes to batch work: it never delays more than that, and never starves. */
export const BATCH_EVERY = 10;

/** What something that wants to wait says of itself. */
export interface QueueAsk<T> {
	readonly item: T;
	/** Whose it is: shares are held between flows. */
	readonly flow: string;
	/** The flow's share against the others'. */
	readonly weight: number;
	/** How much of what is shared it is expected to use, in any unit that is the same for all. */
	readonly cost: () => number;
	readonly priority: Priority;
}

/** A place in the queue. */
export interface Queued<T> extends QueueAsk<T> {
	/** How many of the same flow and priority stood in front when it joined. */
	readonly ahead: number;
	/** Order of arrival, over all flows. */
	readonly seq: number;
}

export interface QueueBounds {
	readonly perFlowMax: number;
	readonly max: number;
}

export type Joined<T> =
	| { readonly queued: Queued<T>; readonly evicted: Queued<T> | null }
	| { readonly queued: null; readonly full: 'flow' | 'all' };

/** What may be taken now. */
export interface Offer<T> {
	/** False: what the item needs besides its turn is not free. */
	readonly isEligible: (item: T) => boolean;
	/** Whether so much is free that batch work may go although it is not its turn. */
	readonly hasSpare: boolean;
}

interface Flow<T> {
	weight: number;
	/** Virtual time at which its first item may start. */
	start: number;
	readonly items: Queued<T>[];
}

/**
 * A bounded queue with fair shares between weighted flows: start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996),
 * one virtual clock for each priority. Knows no time and no waiting: whoever owns it says when something is free.
 *
 * When all is full, a newcomer takes the place of the newest item of the flow that has most in the queue for its weight
 * (McKenney's stochastic fairness queueing drops from the longest queue for the same reason): floods displace themselves.
 */
export class FairQueue<T> {
	readonly #levels: Readonly<Record<Priority, Level<T>>> = { interactive: new Level(), batch: new Level() };
	#seq = 0;
	/** Interactive items that went since the last batch one, while batch waited. */
	#row = 0;

	get size(): number {
		return this.#levels.interactive.size + this.#levels.batch.size;
	}

	sizeOf(priority: Priority): number {
		return this.#levels[priority].size;
	}

	/** How many of a flow wait, of one priority. */
	waiting(flow: string, priority: Priority): number {
		return this.#levels[priority].waiting(flow);
	}

	/** The part of what becomes free that a flow gets while it waits beside those that wait now, in (0, 1]. */
	shareOf(flow: string, weight: number, priority: Priority): number {
		return weight / (weight + this.#levels[priority].weightOfOthers(flow));
	}

	/** Flows that wait, with how many. */
	counts(): ReadonlyMap<string, Readonly<Record<Priority, number>>> {
		const names = new Set([...this.#levels.interactive.flows(), ...this.#levels.batch.flows()]);
		return new Map(
			[...names].map((flow) => [
				flow,
				{ interactive: this.waiting(flow, 'interactive'), batch: this.waiting(flow, 'batch') },
			]),
		);
	}

	join(ask: QueueAsk<T>, bounds: QueueBounds): Joined<T> {
		const { flow, priority } = ask;
		const own = this.waiting(flow, 'interactive') + this.waiting(flow, 'batch');
		let evicted: Queued<T> | null = null;
		if (own >= bounds.perFlowMax) {
			// A flow's own batch work makes room for its interactive work.
			if (priority === 'interactive') evicted = this.#levels.batch.takeNewest(flow);
			if (evicted === null) return { queued: null, full: 'flow' };
		} else if (this.size >= bounds.max) {
			evicted = this.#evictFor(ask);
			if (evicted === null) return { queued: null, full: 'all' };
		}
		const queued = { ...ask, ahead: this.waiting(flow, priority), seq: this.#seq++ };
		this.#levels[priority].add(queued);
		return { queued, evicted };
	}

	/** Takes out what goes next; null when nothing may. */
	next({ isEligible, hasSpare }: Offer<T>): Queued<T> | null {
		const { interactive, batch } = this.#levels;
		const isBatchDue = this.#row >= BATCH_EVERY - 1;
		const first = isBatchDue ? (batch.take(isEligible) ?? interactive.take(isEligible)) : interactive.take(isEligible);
		if (first !== null) {
			if (first.priority === 'batch') this.#row = 0;
			else this.passed();
			return first;
		}
		const spare = hasSpare ? batch.take(isEligible) : null;
		if (spare !== null) this.#row = 0;
		return spare;
	}

	/** An interactive item went by without queueing: what waits for it counts that as its own. */
	passed(): void {
		if (this.#levels.batch.size > 0) this.#row = Math.min(this.#row + 1, BATCH_EVERY - 1);
	}

	/** Puts what `next` took back to where it stood: what it needs besides its turn was not free after all. */
	putBack(queued: Queued<T>): void {
		this.#levels[queued.priority].putBack(queued);
		this.#row = queued.priority === 'batch' ? BATCH_EVERY - 1 : Math.max(0, this.#row - 1);
	}

	/** False when it is not in the queue any more. */
	remove(queued: Queued<T>): boolean {
		return this.#levels[queued.priority].remove(queued);
	}

	/** Takes everything out, oldest first. */
	drain(): readonly Queued<T>[] {
		return [...this.#levels.interactive.clear(), ...this.#levels.batch.clear()].sort((a, b) => a.seq - b.seq);
	}

	#evictFor({ flow, weight, priority }: QueueAsk<T>): Queued<T> | null {
		const { interactive, batch } = this.#levels;
		if (priority === 'interactive' && batch.size > 0) return batch.takeNewest(batch.fullest().flow);
		const level = this.#levels[priority];
		const { flow: fullest, load } = level.fullest();
		if (level.size === 0 || load <= (level.waiting(flow) + 1) / weight) return null;
		return (priority === 'interactive' ? interactive : batch).takeNewest(fullest);
	}
}

/** The flows of one priority. */
class Level<T> {
	readonly #flows = new Map<string, Flow<T>>();
	#now = 0;
	#size = 0;

	get size(): number {
		return this.#size;
	}

	waiting(flow: string): number {
		return this.#flows.get(flow)?.items.length ?? 0;
	}

	weightOfOthers(flow: string): number {
		let sum = 0;
		for (const [name, { items, weight }] of this.#flows) if (name !== flow && items.length > 0) sum += weight;
		return sum;
	}

	flows(): string[] {
		return [...this.#flows].filter(([, { items }]) => items.length > 0).map(([name]) => name);
	}

	/** The flow with most items for its weight. */
	fullest(): { readonly flow: string; readonly load: number } {
		let worst = { flow: '', load: 0 };
		for (const [flow, { items, weight }] of this.#flows) {
			const load = items.length / weight;
			if (load > worst.load) worst = { flow, load };
		}
		return worst;
	}

	add(queued: Queued<T>): void {
		const flow = this.#flows.get(queued.flow) ?? { weight: queued.weight, start: 0, items: [] };
		this.#flows.set(queued.flow, flow);
		flow.weight = queued.weight;
		if (flow.items.length === 0) flow.start = Math.max(flow.start, this.#now);
		flow.items.push(queued);
		this.#size++;
	}

	/** The first item that may go of the flow whose virtual start is earliest; of several the one that came first. */
	take(isEligible: (item: T) => boolean): Queued<T> | null {
		let best: { readonly flow: Flow<T>; readonly at: number; readonly start: number } | null = null;
		for (const flow of this.#flows.values()) {
			// A flow that could not go for a while saves nothing up meanwhile.
			const start = Math.max(flow.start, this.#now);
			if (best !== null && start > best.start) continue;
			const at = flow.items.findIndex(({ item }) => isEligible(item));
			if (at === -1) continue;
			if (best === null || start < best.start || seqOf(flow, at) < seqOf(best.flow, best.at))
				best = { flow, at, start };
		}
		if (best === null) return null;
		const [taken] = best.flow.items.splice(best.at, 1) as [Queued<T>];
		this.#now = best.start;
		best.flow.start = best.start + taken.cost() / best.flow.weight;
		this.#shrink();
		return taken;
	}

	putBack(queued: Queued<T>): void {
		const flow = this.#flows.get(queued.flow) ?? { weight: queued.weight, start: this.#now, items: [] };
		this.#flows.set(queued.flow, flow);
		flow.start = Math.max(this.#now, flow.start - queued.cost() / flow.weight);
		const at = flow.items.findIndex(({ seq }) => seq > queued.seq);
		flow.items.splice(at === -1 ? flow.items.length : at, 0, queued);
		this.#size++;
	}

	remove(queued: Queued<T>): boolean {
		const items = this.#flows.get(queued.flow)?.items ?? [];
		const at = items.indexOf(queued);
		if (at === -1) return false;
		items.splice(at, 1);
		this.#shrink();
		return true;
	}

	takeNewest(name: string): Queued<T> | null {
		const newest = this.#flows.get(name)?.items.pop() ?? null;
		if (newest !== null) this.#shrink();
		return newest;
	}

	clear(): readonly Queued<T>[] {
		const all = [...this.#flows.values()].flatMap(({ items }) => items.splice(0));
		this.#size = 0;
		this.#forget();
		return all;
	}

	#shrink(): void {
		this.#size--;
		this.#forget();
	}

	/** A flow without items is remembered for as long as what it had of late counts against it. */
	#forget(): void {
		if (this.#size === 0) {
			this.#flows.clear();
			this.#now = 0;
			return;
		}
		for (const [name, { items, start }] of this.#flows) {
			if (items.length === 0 && start <= this.#now) this.#flows.delete(name);
		}
	}
}

function seqOf<T>({ items }: Flow<T>, at: number): number {
	return items[at]?.seq ?? Number.POSITIVE_INFINITY;
}
