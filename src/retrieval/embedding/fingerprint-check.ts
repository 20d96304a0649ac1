import type { Check } from '../verification.ts';
import { sameSpace } from './embedding-space.ts';
import type { Measurements } from './measurements.ts';

/** Of a measurement that is good enough where nothing was embedded since. */
const FRESH_MS = 60_000;

/** The name of the check. */
export const FINGERPRINT = 'fingerprint';

/** At the end of a build its embedder still makes the vectors that it made at the beginning. */
export function fingerprintCheck(measurements: Measurements): Check {
	return {
		name: FINGERPRINT,
		overrulable: false,
		async run({ index: { manifest }, embedder, run }) {
			const { embedding, fingerprint = null } = manifest;
			if (embedder === null || embedding === null || !fingerprint) return null;
			// What was measured at the beginning says nothing of what was embedded since, however short the run was.
			const hasEmbedded = run?.terms.some(({ written }) => written > 0) ?? false;
			const measured = await (hasEmbedded ? measurements.measure(embedder) : measurements.recent(embedder, FRESH_MS));
			const now = { identity: embedder.identity, fingerprint: measured.fingerprint };
			const verdict = sameSpace({ identity: embedding, fingerprint }, now);
			const detail = { cosine_min: verdict.cosineMin, measured_at: measured.at, space: manifest.space ?? null };
			if (verdict.same) return { passed: true, message: 'the embedder makes the same vectors of the probes', detail };
			const message = `the embedder makes other vectors than those that were written (${verdict.difference}: ${verdict.message}); ingest again`;
			return { passed: false, message, detail: { ...detail, difference: verdict.difference } };
		},
	};
}
