import { canonicalJson } from '../base/canonical-json.ts';
import type { RecordStore } from '../spec/records.ts';
import { HASH_CHARS } from './generation-hash.ts';
import { compareStatistics } from './ingestion/compare-statistics.ts';
import { parseStatistics } from './ingestion/statistics.ts';
import { readChanges, readWhole } from './live-index.ts';
import { isInSpace } from './manifest.ts';
import type { Check } from './verification.ts';

/** The name of the check. */
export const DAMAGE = 'damage';

/** The files hold what the manifest says: every row and every vector is read that was not read for the generation before. */
const damage: Check = {
	name: DAMAGE,
	overrulable: false,
	async run({ index, base, signal }) {
		const { chunks } = index.manifest;
		try {
			if (base) {
				const digest = await readChanges(index, base, signal);
				const before = base.index.manifest.generation;
				const message = `what changed since ${before} can be read, in ${base.documents.length} documents, and ${chunks} chunks are left with it`;
				return { passed: true, message, detail: { chunks, digest, since: before } };
			}
			const digest = await readWhole(index, signal);
			return { passed: true, message: `all ${chunks} chunks can be read`, detail: { chunks, digest } };
		} catch (thrown) {
			const reason = thrown instanceof Error ? thrown.message : String(thrown);
			return { passed: false, message: `${reason}; run the ingestion again`, detail: { chunks, reason } };
		}
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
	async run({ census }) {
		return (await census()).conservation;
	},
};

/** What is in it is much like what is live: a field that emptied or another mix of languages is more often a fault than a wish. */
const statistics: Check = {
	name: 'statistics',
	overrulable: true,
	async run({ index, config, census, live, run }) {
		const before = parseStatistics(live?.statistics);
		if (!live || !before) return null;
		const now = parseStatistics((await census()).statistics);
		if (!now) return null;
		const sameCut = canonicalJson(live.index.manifest.chunker) === canonicalJson(index.manifest.chunker);
		const declared = new Set(config.sources.flatMap(({ kind, name }) => (kind === 'push' ? [name] : [])));
		const shifts = compareStatistics(before, now, { checks: config.ingestion.checks, sameCut, declared });
		const detail = { shifts: shifts.map(({ source, what, message }) => ({ source, what, message })) };
		if (shifts.length === 0) return { passed: true, message: 'much like what is live', detail };
		const found = shifts.map(({ source, message }) => `${source}: ${message}`).join('; ');
		if (run?.accept) return { passed: true, message: `accepted: ${found}`, detail };
		return { passed: false, message: `${found}; where this is right, ingest with --accept`, detail };
	},
};

/** What somebody rolled back does not come back by itself, because the sources still say it. */
export function rolledBackCheck(records: RecordStore): Check {
	return {
		name: 'rolled_back',
		overrulable: true,
		async run({ index: { manifest } }) {
			const moves = await records.generations.moves(manifest.collection, 1_000);
			const ends = `-${manifest.hash?.slice(0, HASH_CHARS)}`;
			const last = moves.find(
				({ to, from, kind }) => to.endsWith(ends) || (kind === 'rollback' && from?.endsWith(ends)),
			);
			// What was built anew in the place of a damaged one has its content, too.
			if (!last || last.to.endsWith(ends)) return null;
			const { from, actor, why } = last;
			const detail = { rolled_back: from, actor, why };
			const message = `${from} had the same content, and ${actor} rolled it back (${why}); change the sources, or promote it by hand`;
			return { passed: false, message, detail };
		},
	};
}

/** What every generation is held to, before the checks that are given to it. */
export const BASIC_CHECKS: readonly Check[] = [damage, identity, conservation, statistics];
