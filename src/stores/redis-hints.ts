import { z } from 'zod';
import type { RedisLink } from './redis-link.ts';
import { redisScript } from './redis-scripts.ts';

/** ARGV: the word, milliseconds. */
const PUT = redisScript(`return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])`);

const DROP = redisScript(`return redis.call('DEL', KEYS[1])`);

/** Reply: the word, or an empty one, and the milliseconds left of each key. */
const READ = redisScript(`
local reply = {}
for i, key in ipairs(KEYS) do
	reply[#reply + 1], reply[#reply + 2] = redis.call('GET', key) or '', redis.call('PTTL', key)
end
return reply
`);

const words = z.array(z.union([z.string(), z.number()]));

/** A word in a key that expires by itself. */
export interface Hint {
	readonly word: string;
	readonly forMs: number;
}

/** What is told of an upstream: what calls found, and what a hand ordered, which no finding touches. */
export interface UpstreamHints {
	readonly found: Hint | null;
	readonly ordered: Hint | null;
}

/** What one replica tells the others about an upstream. Rejects when Redis does not answer. */
export class RedisHints {
	readonly #link: RedisLink;

	/** @param link stays open: others use it too. */
	constructor(link: RedisLink) {
		this.#link = link;
	}

	/** What calls found; null: nothing any more. */
	async find(upstream: string, hint: Hint | null): Promise<void> {
		if (hint === null) await this.#link.run(DROP, [this.#key('found', upstream)], []);
		else await this.#put(this.#key('found', upstream), hint);
	}

	/** What a hand ordered. */
	async order(upstream: string, hint: Hint): Promise<void> {
		await this.#put(this.#key('ordered', upstream), hint);
	}

	/** In the order of the names. */
	async read(upstreams: readonly string[]): Promise<readonly UpstreamHints[]> {
		if (upstreams.length === 0) return [];
		const keys = upstreams.flatMap((upstream) => [this.#key('found', upstream), this.#key('ordered', upstream)]);
		const reply = words.parse(await this.#link.run(READ, keys, []));
		const hint = (at: number): Hint | null => {
			const [word, forMs] = [String(reply[at * 2] ?? ''), Number(reply[at * 2 + 1])];
			return word === '' || !(forMs > 0) ? null : { word, forMs };
		};
		return upstreams.map((_, at) => ({ found: hint(at * 2), ordered: hint(at * 2 + 1) }));
	}

	async #put(key: string, { word, forMs }: Hint): Promise<void> {
		await this.#link.run(PUT, [key], [word, Math.max(1, Math.ceil(forMs))]);
	}

	/** The braces keep all of them in one slot of a cluster, as a script needs it. */
	#key(kind: 'found' | 'ordered', upstream: string): string {
		return `${this.#link.prefix}:{breakers}:${kind}:${upstream}`;
	}
}
