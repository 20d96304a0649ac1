import { census, documentRef } from './census.ts';
import { isInSpace } from './manifest.ts';
import type { Check, CheckOutcome } from './verification.ts';

/** Documents that a message names. */
const NAMED_MAX = 5;

/** The files hold what the manifest says: every row and every vector is read. */
const damage: Check = {
	name: 'damage',
	overrulable: false,
	async run({ index: { manifest, reader } }) {
		const rows = await reader.readEverything();
		const detail = { rows, chunks: manifest.chunks };
		if (rows === manifest.chunks) return { passed: true, message: `all ${rows} chunks can be read`, detail };
		const message = `${rows} chunks can be read, ${manifest.chunks} were written; run the ingestion again`;
		return { passed: false, message, detail };
	},
};

/** Queries are embedded as the chunks were. */
const identity: Check = {
	name: 'identity',
	overrulable: false,
	async run({ index: { manifest }, embedder, space, config }) {
		const built = manifest.embedding;
		const asked = embedder?.identity ?? null;
		const detail = {
			built,
			configured: asked,
			built_space: manifest.space ?? null,
			configured_space: space?.name ?? null,
		};
		if (isInSpace(manifest, space)) return { passed: true, message: 'built with the configured embedder', detail };
		const name = (of: typeof built) => (of ? `${of.provider} ${of.model}` : 'no embedder');
		const message = `built with ${name(built)}, while the configuration of ${config.name} names ${name(asked)}; configure the one or rebuild with the other`;
		return { passed: false, message, detail };
	},
};

/** What the store holds is what the sources hold: read from the index, document by document, and not from counters. */
const sourceCensus: Check = {
	name: 'census',
	overrulable: true,
	async run({ index: { manifest, reader }, sources }) {
		const stored = await census(reader.documents());
		if (stored.size !== manifest.documents) {
			const detail = { stored: stored.size, manifest: manifest.documents };
			return {
				passed: false,
				message: `${stored.size} documents are stored, the manifest says ${manifest.documents}`,
				detail,
			};
		}
		return sources === null
			? { passed: true, message: `${stored.size} documents, as its manifest says`, detail: { stored: stored.size } }
			: compared(stored, sources);
	},
};

function compared(stored: ReadonlyMap<string, string>, sources: ReadonlyMap<string, string>): CheckOutcome {
	const missing = [...sources.keys()].filter((key) => !stored.has(key));
	const stale = [...sources].filter(([key, hash]) => stored.has(key) && stored.get(key) !== hash).map(([key]) => key);
	const surplus = [...stored.keys()].filter((key) => !sources.has(key));
	const detail = {
		stored: stored.size,
		sources: sources.size,
		missing: missing.length,
		stale: stale.length,
		surplus: surplus.length,
	};
	const wrong = [...missing, ...stale, ...surplus];
	if (wrong.length === 0)
		return { passed: true, message: `${stored.size} documents, each as its source has it`, detail };
	const named = wrong.slice(0, NAMED_MAX).map((key) => documentRef(key).documentId);
	const message = `of ${sources.size} documents of the sources ${missing.length} are missing and ${stale.length} are stored in another version; ${surplus.length} are stored that no source has (${named.join(', ')}); run the ingestion again`;
	return { passed: false, message, detail };
}

/** What every generation is held to, before the checks that are given to it. */
export const BASIC_CHECKS: readonly Check[] = [damage, identity, sourceCensus];
