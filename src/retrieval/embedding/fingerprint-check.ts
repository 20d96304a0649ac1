import type { Check } from '../verification.ts';
import { sameSpace } from './embedding-space.ts';
import type { Measurements } from './measurements.ts';

/** A build that took no longer has measured its embedder itself. */
const FRESH_MS = 60_000;

/** At the end of a build its embedder still makes the vectors that it made at the beginning. */
export function fingerprintCheck(measurements: Measurements): Check {
	return {
		name: 'fingerprint',
		overrulable: false,
		async run({ index: { manifest }, embedder }) {
			const { embedding, fingerprint = null } = manifest;
			if (embedder === null || embedding === null || !fingerprint) return null;
			const measured = await measurements.recent(embedder, FRESH_MS);
			const now = { identity: embedder.identity, fingerprint: measured.fingerprint };
			const verdict = sameSpace({ identity: embedding, fingerprint }, now);
			const detail = { cosine_min: verdict.cosineMin, measured_at: measured.at, space: manifest.space ?? null };
			if (verdict.same) return { passed: true, message: 'the embedder makes the same vectors of the probes', detail };
			const message = `the embedder makes other vectors than those that were written (${verdict.difference}: ${verdict.message}); ingest again`;
			return { passed: false, message, detail: { ...detail, difference: verdict.difference } };
		},
	};
}
