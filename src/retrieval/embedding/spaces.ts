import { z } from 'zod';
import type { Clock } from '../../base/clock.ts';
import type { Embedder } from '../../spec/embedding.ts';
import type { RecordStore } from '../../spec/records.ts';
import { type EmbeddingSpace, sameSpace } from './embedding-space.ts';
import { fingerprintSchema, spaceName } from './fingerprint.ts';
import { identitySchema } from './identity.ts';
import type { Measurements } from './measurements.ts';

const recordSchema = z.strictObject({ identity: identitySchema, fingerprint: fingerprintSchema });

/** A space with the name under which it is registered. Its fingerprint is the first that was measured, so that nothing drifts. */
export interface NamedSpace extends EmbeddingSpace {
	readonly name: string;
	readonly fingerprint: z.infer<typeof fingerprintSchema>;
}

/** The register of embedding spaces: every index says by name which of them its vectors are in. */
export class EmbeddingSpaces {
	readonly #records: RecordStore;
	readonly #clock: Clock;
	readonly #measurements: Measurements;

	constructor({ records, clock, measurements }: { records: RecordStore; clock: Clock; measurements: Measurements }) {
		this.#records = records;
		this.#clock = clock;
		this.#measurements = measurements;
	}

	/**
	 * Measures what an embedder makes and finds its space, or registers a new one. Whoever writes vectors asks before the
	 * first one, so that a run that is killed finds the space again. Throws what the embedder and the records throw.
	 */
	async register(embedder: Embedder, signal: AbortSignal | null): Promise<NamedSpace> {
		const { fingerprint } = await this.#measurements.measure(embedder);
		signal?.throwIfAborted();
		const measured = { identity: embedder.identity, fingerprint };
		const usedAt = this.#clock.now();
		for (const { name, space, measuredAt } of await this.#records.listSpaces()) {
			const known = recordSchema.safeParse(space);
			if (!known.success || !isMeasuredSame(known.data, measured)) continue;
			await this.#records.putSpace({ name, space, measuredAt, usedAt });
			return { name, ...known.data };
		}
		const name = spaceName(measured.fingerprint, measured.identity);
		await this.#records.putSpace({ name, space: measured, measuredAt: usedAt, usedAt });
		return { name, ...measured };
	}
}

function isMeasuredSame(known: EmbeddingSpace, measured: EmbeddingSpace): boolean {
	const verdict = sameSpace(known, measured);
	return verdict.same && verdict.measured;
}
