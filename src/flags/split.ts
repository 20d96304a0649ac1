import { createHmac } from 'node:crypto';
import type { FlagSplit } from '../contracts/flag.ts';

/** 2^48: the six bytes of a draw that are used. */
const DRAWS = 281_474_976_710_656;

/**
 * Draws a variant by weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables",
 * 2005): each variant draws a number under a keyed hash, −ln(u) / percent, and the smallest wins. A variant wins as
 * often as its share says; the order of variants does not matter; and a share that grows, while no other does, only
 * takes in others.
 */
export function drawVariant(
	percent: FlagSplit['percent'],
	unit: string,
	key: { readonly secret: string; readonly salt: string },
): string | null {
	let winner: string | null = null;
	let best = Number.POSITIVE_INFINITY;
	for (const [variant, share] of Object.entries(percent)) {
		if (share <= 0) continue;
		const score = -Math.log(uniform(JSON.stringify([key.salt, variant, unit]), key.secret)) / share;
		if (score < best) [winner, best] = [variant, score];
	}
	return winner;
}

/** In (0, 1), the same for the same text and secret on every machine. */
function uniform(text: string, secret: string): number {
	return (createHmac('sha256', secret).update(text).digest().readUIntBE(0, 6) + 0.5) / DRAWS;
}
