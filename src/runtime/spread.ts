import type { EqualUpstreams } from '../contracts/release.ts';
import { orderOf } from '../policy/choice.ts';
import type { Model } from '../spec/model.ts';
import type { GenerationParts } from './generation-plan.ts';

/** A route for one request: equal upstreams change places among themselves, all others keep theirs. */
export function spread(
	route: readonly Model[],
	equals: readonly EqualUpstreams[],
	parts: Pick<GenerationParts, 'breakers' | 'load' | 'random'>,
): readonly Model[] {
	const order = [...route];
	for (const { weights, by } of equals) {
		const places = route.flatMap(({ upstream }, place) => (Object.hasOwn(weights, upstream.name) ? [place] : []));
		const seats = places.map((place) => {
			const name = route[place]?.upstream.name ?? '';
			const isOpen = parts.breakers.waitMs(name) === 0;
			return { weight: weights[name] ?? 1, load: parts.load.of(name), isOpen };
		});
		const drawn = orderOf(seats, by, () => parts.random.next());
		for (const [at, seat] of drawn.entries()) {
			const from = places[seat];
			const to = places[at];
			if (from !== undefined && to !== undefined) order[to] = route[from] as Model;
		}
	}
	return order;
}
