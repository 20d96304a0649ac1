import { conserve } from './ingestion/conserve.ts';
import { isInSpace } from './manifest.ts';
import type { Check } from './verification.ts';

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
const conservation: Check = {
	name: 'conservation',
	overrulable: false,
	async run({ index: { manifest, reader }, run }) {
		if (run) return conserve(run.ledger, reader.documents(), run.terms);
		let stored = 0;
		for await (const _ of reader.documents()) stored++;
		const detail = { stored, manifest: manifest.documents };
		const passed = stored === manifest.documents;
		return { passed, message: `${stored} documents are stored, the manifest says ${manifest.documents}`, detail };
	},
};

/** What every generation is held to, before the checks that are given to it. */
export const BASIC_CHECKS: readonly Check[] = [damage, identity, conservation];
