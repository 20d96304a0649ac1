import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../src/base/hash.ts';
import { seededRandom } from '../../src/base/random.ts';
import { type EmbeddingSpace, sameSpace } from '../../src/retrieval/embedding/embedding-space.ts';
import { type Fingerprint, fingerprintOf, probeVectors, spaceName } from '../../src/retrieval/embedding/fingerprint.ts';
import { LONG_PROBE, longProbeChars, PROBE_COUNT, probes } from '../../src/retrieval/embedding/probes.ts';
import { unitVector } from '../../src/retrieval/embedding/unit-vector.ts';
import type { EmbeddingIdentity } from '../../src/spec/retrieval.ts';

const IDENTITY: EmbeddingIdentity = {
	provider: 'https://embed.test/v1',
	model: 'm',
	revision: '',
	dimensions: 64,
	normalised: true,
	queryPrefix: 'query: ',
	documentPrefix: '',
	tokensMax: 512,
};

/** Random directions: what one model makes of the probes. */
function vectorsOf(seed: number, dimensions = 64): Float32Array[] {
	const random = seededRandom(seed);
	return Array.from({ length: PROBE_COUNT }, () =>
		unitVector(Array.from({ length: dimensions }, () => random.next() * 2 - 1)),
	);
}

function printed(vectors: readonly (Float32Array | null)[], overrides: Partial<Fingerprint> = {}): Fingerprint {
	const dimensions = vectors.find((vector) => vector !== null)?.length ?? 64;
	const facts = { longChars: longProbeChars(512), dimensions, lengthMin: 1, lengthMax: 1 };
	return { ...fingerprintOf(vectors, facts), ...overrides };
}

function space(fingerprint: Fingerprint | null, identity: Partial<EmbeddingIdentity> = {}): EmbeddingSpace {
	return { identity: { ...IDENTITY, ...identity }, fingerprint };
}

const BUILT = space(printed(vectorsOf(1)));

describe('sameSpace', () => {
	it('finds the same space in vectors that a provider rounds or sums in another order', () => {
		fc.assert(
			fc.property(
				fc.integer(),
				fc.constantFrom(64, 384, 1_536),
				fc.constantFrom(1e-3, 1e-5),
				(seed, dimensions, step) => {
					const exact = vectorsOf(seed, dimensions);
					const rounded = exact.map((vector) => unitVector(vector.map((value) => Math.round(value / step) * step)));
					const identity = { dimensions };
					const verdict = sameSpace(space(printed(exact), identity), space(printed(rounded), identity));
					expect(verdict).toMatchObject({ same: true, measured: true, alias: false });
				},
			),
			{ numRuns: 200 },
		);
	});

	it('finds another space under the same name and dimensions when the weights are others', () => {
		fc.assert(
			fc.property(fc.integer(), fc.integer(), (one, other) => {
				fc.pre(one >>> 0 !== other >>> 0);
				const verdict = sameSpace(space(printed(vectorsOf(one))), space(printed(vectorsOf(other))));
				expect(verdict).toMatchObject({ same: false, difference: 'weights' });
			}),
		);
	});

	it('finds weights that differ by a little on one probe alone', () => {
		const vectors = vectorsOf(1);
		const [first] = vectors;
		const turned = unitVector((first ?? new Float32Array()).map((value, at) => (at === 0 ? value + 0.06 : value)));
		const verdict = sameSpace(BUILT, space(printed([turned, ...vectors.slice(1)])));
		expect(verdict).toMatchObject({ same: false, difference: 'weights' });
		expect(verdict.cosineMin).toBeLessThan(0.999);
		expect(verdict.cosineMin).toBeGreaterThan(0.99);
	});

	it('takes the same vectors under another name for the same space', () => {
		const alias = space(BUILT.fingerprint, { provider: 'https://proxy.test', model: 'alias', revision: '2' });
		expect(sameSpace(BUILT, alias)).toMatchObject({ same: true, measured: true, alias: true });
	});

	it.each<[string, Partial<EmbeddingIdentity>, string]>([
		['dimensions', { dimensions: 32 }, 'dimensions'],
		['scaling', { normalised: false }, 'normalisation'],
		['prefix of queries', { queryPrefix: '' }, 'prefix'],
		['prefix of documents', { documentPrefix: 'passage: ' }, 'prefix'],
		['input type', { queryType: 'search_query' }, 'input_type'],
		['truncation', { tokensMax: 8_192 }, 'truncation'],
	])('never takes another %s for the same space, whatever the vectors are', (_, identity, difference) => {
		expect(sameSpace(BUILT, space(BUILT.fingerprint, identity))).toMatchObject({ same: false, difference });
	});

	it('tells a cut or a refusal of long texts, and another marking of queries, from other weights', () => {
		const own = vectorsOf(1);
		const others = vectorsOf(2);
		const long = own.map((vector, at) => (at === LONG_PROBE ? (others[at] ?? vector) : vector));
		const refused = own.map((vector, at) => (at === LONG_PROBE ? null : vector));
		const queries = own.map((vector, at) =>
			probes(longProbeChars(512))[at]?.kind === 'query' ? (others[at] ?? vector) : vector,
		);
		expect(sameSpace(BUILT, space(printed(long)))).toMatchObject({ same: false, difference: 'truncation' });
		expect(sameSpace(BUILT, space(printed(refused)))).toMatchObject({ same: false, difference: 'truncation' });
		expect(sameSpace(BUILT, space(printed(queries)))).toMatchObject({ same: false, difference: 'prefix' });
		expect(sameSpace(space(printed(refused)), space(printed(refused)))).toMatchObject({ same: true, measured: true });
	});

	it('goes by the names where nothing was measured or other texts were', () => {
		const unmeasured = space(null);
		expect(sameSpace(unmeasured, BUILT)).toMatchObject({ same: true, measured: false });
		expect(sameSpace(unmeasured, space(BUILT.fingerprint, { model: 'n' }))).toMatchObject({
			same: false,
			difference: 'model',
		});
		const older = space(printed(vectorsOf(2), { probes: 9_999 }));
		expect(sameSpace(older, BUILT)).toMatchObject({ same: true, measured: false });
	});
});

describe('a fingerprint', () => {
	it('keeps every bit of its vectors, and names its space by them', () => {
		fc.assert(
			fc.property(fc.integer(), (seed) => {
				const vectors = vectorsOf(seed);
				expect(probeVectors(printed(vectors))).toEqual(vectors);
				expect(spaceName(printed(vectors), IDENTITY)).toBe(
					spaceName(printed(vectors), { ...IDENTITY, model: 'alias' }),
				);
			}),
		);
		expect(spaceName(printed(vectorsOf(1)), IDENTITY)).not.toBe(spaceName(printed(vectorsOf(2)), IDENTITY));
		const marked = { ...IDENTITY, queryType: 'query' };
		expect(spaceName(printed(vectorsOf(1)), marked)).not.toBe(spaceName(printed(vectorsOf(1)), IDENTITY));
	});
});

describe('the probes', () => {
	it('have not changed: stored fingerprints depend on them', () => {
		const texts = probes(longProbeChars(512)).map(({ kind, text }) => `${kind} ${text}`);
		expect(sha256(texts.join('\n'))).toMatchInlineSnapshot(
			`"fd2ea823c5352a105d7bcae447bd4445d3ad669c1f51d6f5bba0afab1677c090"`,
		);
		expect(probes(longProbeChars(8_192))[LONG_PROBE]?.text).toHaveLength(51_200);
	});

	it('end in a text in which every doubling of its length has a subject of its own', () => {
		const text = probes(longProbeChars(8_192))[LONG_PROBE]?.text ?? '';
		const firsts = [0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000].map((at) => text.slice(at, at + 12));
		expect(new Set(firsts).size).toBe(firsts.length);
	});
});
