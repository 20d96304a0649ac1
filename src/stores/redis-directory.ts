import { z } from 'zod';
import type { Exchange, SharedDirectory } from '../spec/shared-directory.ts';
import type { RedisLink } from './redis-link.ts';
import { redisScript } from './redis-scripts.ts';

/** KEYS: directory, revision. Reply: the revision, then names and texts in turn. */
const LIST = redisScript(`return { redis.call('GET', KEYS[2]) or '0', redis.call('HGETALL', KEYS[1]) }`);

/** KEYS: directory, revision. */
const REVISION = redisScript(`return redis.call('GET', KEYS[2]) or '0'`);

/** KEYS: directory, revision. ARGV: name, expected (empty: nothing), next, channel. Reply: 1 when stored, what stands there. */
const EXCHANGE = redisScript(`
local current = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if current ~= ARGV[2] then return { 0, current } end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('INCR', KEYS[2])
redis.call('PUBLISH', ARGV[4], ARGV[3])
return { 1, '' }
`);

const listReply = z.tuple([z.string(), z.array(z.string())]);
const exchangeReply = z.tuple([z.number(), z.string()]);

/** The shared directory in Redis 7 or Valkey: one hash, and a channel that tells of its changes. */
export class RedisDirectory implements SharedDirectory {
	readonly #link: RedisLink;
	readonly #keys: readonly string[];
	readonly #channel: string;

	/** @param link stays open: others use it too. */
	constructor(link: RedisLink) {
		this.#link = link;
		// The braces keep the two in one slot, as for the counters.
		this.#channel = `{${link.prefix}}:directory`;
		this.#keys = [this.#channel, `${this.#channel}:revision`];
	}

	async list(): ReturnType<SharedDirectory['list']> {
		const [revision, texts] = listReply.parse(await this.#link.run(LIST, this.#keys, []));
		const entries = new Map<string, string>();
		for (let at = 0; at + 1 < texts.length; at += 2) entries.set(texts[at] as string, texts[at + 1] as string);
		return { revision, entries };
	}

	async revision(): Promise<string> {
		return z.string().parse(await this.#link.run(REVISION, this.#keys, []));
	}

	async exchange(name: string, expected: string | null, next: string): Promise<Exchange> {
		const values = [name, expected ?? '', next, this.#channel];
		const [stored, current] = exchangeReply.parse(await this.#link.run(EXCHANGE, this.#keys, values));
		return stored === 1 ? { stored: true } : { stored: false, current: current === '' ? null : current };
	}

	listen(on: Parameters<SharedDirectory['listen']>[0]): void {
		this.#link.listen(this.#channel, on);
	}
}
