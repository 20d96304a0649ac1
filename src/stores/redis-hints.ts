import { z } from 'zod';
import type { RedisLink } from './redis-link.ts';
import { redisScript } from './redis-scripts.ts';

/** ARGV: the word, milliseconds. What a hand wrote is overwritten by a hand only. */
const PUT = redisScript(`
if ARGV[1] ~= 'hand' and redis.call('GET', KEYS[1]) == 'hand' then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`);

/** ARGV: 'hand' deletes also what a hand wrote. */
const DROP = redisScript(`
if ARGV[1] ~= 'hand' and redis.call('GET', KEYS[1]) == 'hand' then return 0 end
return redis.call('DEL', KEYS[1])
`);

/** Reply: the word, or an empty one, and the milliseconds left of each key. */
const READ = redisScript(`
local reply = {}
for i, key in ipairs(KEYS) do
	reply[#reply + 1], reply[#reply + 2] = redis.call('GET', key) or '', redis.call('PTTL', key)
end
return reply
`);

const words = z.array(z.union([z.string(), z.number()]));

/** What one replica tells the others about an upstream: a word in a key that expires by itself. Rejects when Redis does not answer. */
export class RedisHints {
	readonly #link: RedisLink;

	/** @param link stays open: others use it too. */
	constructor(link: RedisLink) {
		this.#link = link;
	}

	async put(upstream: string, word: string, forMs: number): Promise<void> {
		await this.#link.run(PUT, [this.#key(upstream)], [word, Math.max(1, Math.ceil(forMs))]);
	}

	async drop(upstream: string, byHand: boolean): Promise<void> {
		await this.#link.run(DROP, [this.#key(upstream)], [byHand ? 'hand' : '']);
	}

	/** In the order of the names; null where nothing is told. */
	async read(upstreams: readonly string[]): Promise<readonly ({ word: string; forMs: number } | null)[]> {
		if (upstreams.length === 0) return [];
		const keys = upstreams.map((upstream) => this.#key(upstream));
		const reply = words.parse(await this.#link.run(READ, keys, []));
		return upstreams.map((_, at) => {
			const [word, forMs] = [String(reply[at * 2] ?? ''), Number(reply[at * 2 + 1])];
			return word === '' || !(forMs > 0) ? null : { word, forMs };
		});
	}

	/** The braces keep all of them in one slot of a cluster, as a script needs it. */
	#key(upstream: string): string {
		return `${this.#link.prefix}:{breakers}:${upstream}`;
	}
}
