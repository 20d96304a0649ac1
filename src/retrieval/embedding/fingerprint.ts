import { z } from 'zod';
import { canonicalJson } from '../../base/canonical-json.ts';
import { sha256Of } from '../../base/hash.ts';
import type { EmbeddingIdentity } from '../../spec/retrieval.ts';
import { PROBE_COUNT, PROBE_REVISION } from './probes.ts';

/** What an embedder made of the probes: measured, whatever its name says. Small enough to stand in a manifest. */
export const fingerprintSchema = z.strictObject({
	/** Of the texts. */
	probes: z.int().min(1),
	/** Length of the last text. */
	longChars: z.int().min(1),
	dimensions: z.int().min(1),
	/** Unit vectors in the order of the probes, each as base64 of little-endian float32; null: the text was refused. */
	vectors: z.array(z.base64().nullable()).length(PROBE_COUNT),
	/** The shortest and the longest vector as the provider sent them, before they were scaled. */
	lengthMin: z.number().min(0),
	lengthMax: z.number().min(0),
});

export type Fingerprint = z.infer<typeof fingerprintSchema>;

/** @param vectors one for each probe, in order, of unit length; null: the provider refused the text. */
export function fingerprintOf(
	vectors: readonly (Float32Array | null)[],
	facts: { longChars: number; dimensions: number; lengthMin: number; lengthMax: number },
): Fingerprint {
	if (vectors.length !== PROBE_COUNT) throw new RangeError(`${vectors.length} vectors for ${PROBE_COUNT} probes`);
	return { probes: PROBE_REVISION, ...facts, vectors: vectors.map((vector) => vector && encode(vector)) };
}

/** The vectors of the probes; null where the text was refused. */
export function probeVectors({ vectors }: Fingerprint): (Float32Array | null)[] {
	return vectors.map((text) => (text === null ? null : decode(text)));
}

/** A name for the space that was measured first in these very numbers, with this way to use it. */
export function spaceName({ dimensions, vectors }: Fingerprint, identity: EmbeddingIdentity): string {
	// The names of provider, model and revision are no part of it: the same vectors may come under others.
	const { provider: _, model: __, revision: ___, ...use } = identity;
	return `space-${sha256Of([canonicalJson(use), String(dimensions), ...vectors.map(String)]).slice(0, 12)}`;
}

function encode(vector: Float32Array): string {
	const bytes = Buffer.alloc(vector.length * 4);
	for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4);
	return bytes.toString('base64');
}

function decode(text: string): Float32Array {
	const bytes = Buffer.from(text, 'base64');
	return Float32Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => bytes.readFloatLE(at * 4));
}
