import type { Random } from '../../src/base/random.ts';

export type Damage =
	| 'split'
	| 'truncated'
	| 'reset'
	| 'corrupted'
	| 'event_lost'
	| 'event_twice'
	| 'events_swapped'
	| 'noise';
const DAMAGES: readonly Damage[] = [
	'split',
	'truncated',
	'reset',
	'corrupted',
	'event_lost',
	'event_twice',
	'events_swapped',
	'noise',
];

export interface DamagedStream {
	readonly damage: Damage;
	readonly bytes: Buffer;
	/** The same bytes as they arrive. */
	readonly pieces: readonly Buffer[];
}

/** One way in which a stream comes to harm on its way, drawn at random; a split does it none. */
export function damaged(bytes: Buffer, random: Random): DamagedStream {
	const below = (limit: number) => Math.floor(random.next() * limit);
	const damage = DAMAGES[below(DAMAGES.length)] ?? 'split';
	const bad = harm(bytes, damage, below);
	const places = Array.from({ length: below(6) }, () => below(bad.length + 1)).sort((a, b) => a - b);
	const ends = [...places, bad.length];
	return { damage, bytes: bad, pieces: ends.map((end, index) => bad.subarray(places[index - 1] ?? 0, end)) };
}

function harm(bytes: Buffer, damage: Damage, below: (limit: number) => number): Buffer {
	switch (damage) {
		case 'truncated':
		case 'reset':
			return bytes.subarray(0, below(bytes.length));
		case 'corrupted': {
			const bad = Buffer.from(bytes);
			for (let hits = 1 + below(4); hits > 0; hits--) bad[below(bad.length)] = below(256);
			return bad;
		}
		case 'noise': {
			const at = below(bytes.length);
			const noise = Buffer.from(Array.from({ length: 1 + below(40) }, () => below(256)));
			return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
		}
		case 'event_lost':
		case 'event_twice':
		case 'events_swapped': {
			const events = bytes.toString().split(/(?<=\n\n)/);
			const at = below(events.length);
			const [event = '', next = ''] = events.slice(at, at + 2);
			if (damage === 'event_lost') events.splice(at, 1);
			else if (damage === 'event_twice') events.splice(at, 0, event);
			else events.splice(at, 2, next, event);
			return Buffer.from(events.join(''));
		}
		default:
			return bytes;
	}
}
