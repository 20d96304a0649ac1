import type { Embedded, Embedder, EmbedOptions } from '../../spec/embedding.ts';
import { PlimsollError } from '../../spec/errors.ts';
import { UpstreamError } from '../../spec/model.ts';
import { type Fingerprint, fingerprintOf } from './fingerprint.ts';
import { LONG_PROBE, longProbeChars, probes } from './probes.ts';

/** Embeds the probes. A refusal of the long one is a part of the result; throws what the embedder throws for any other failure. */
export async function measure(embedder: Embedder, options: EmbedOptions): Promise<Fingerprint> {
	const { dimensions, tokensMax } = embedder.identity;
	const longChars = longProbeChars(tokensMax);
	const all = probes(longChars).map((probe, index) => ({ ...probe, index }));
	const short = all.filter(({ index }) => index !== LONG_PROBE);
	const vectors = new Array<Float32Array | null>(all.length).fill(null);
	let lengthMin = Number.POSITIVE_INFINITY;
	let lengthMax = 0;
	const place = (group: readonly { index: number }[], embedded: Embedded) => {
		for (const [at, { index }] of group.entries()) vectors[index] = embedded.vectors[at] ?? null;
		lengthMin = Math.min(lengthMin, embedded.lengthMin);
		lengthMax = Math.max(lengthMax, embedded.lengthMax);
	};
	for (const kind of ['document', 'query'] as const) {
		const group = short.filter((probe) => probe.kind === kind);
		const texts = group.map(({ text }) => text);
		place(group, await embedder.embed(texts, kind, options));
	}
	const [long] = all.slice(LONG_PROBE);
	if (long) {
		const embedded = await embedder.embed([long.text], long.kind, options).catch((thrown: unknown) => {
			if (isTooLong(thrown)) return null;
			throw thrown;
		});
		if (embedded) place([long], embedded);
	}
	return fingerprintOf(vectors, { longChars, dimensions, lengthMin, lengthMax });
}

/** Providers say that a text is too long in words of their own, and some only that the request is bad. */
function isTooLong(thrown: unknown): boolean {
	const cause = thrown instanceof PlimsollError ? thrown.cause : null;
	return cause instanceof UpstreamError && (cause.kind === 'context_length' || cause.kind === 'bad_request');
}
