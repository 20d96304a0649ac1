import { existsSync } from 'node:fs';
import { join, relative } from 'node:path';
import { CANARY_FILE, type Canary, parseCanaries } from '../contracts/canary.ts';
import type { CanaryGroup, CanarySet } from '../contracts/canary-set.ts';
import { frozenMap } from '../contracts/freeze.ts';
import type { ProjectConfig } from '../contracts/project.ts';
import type { Contract } from '../contracts/release.ts';
import { fileProblem, readSourceFile } from '../contracts/source-file.ts';
import type { Problem } from '../spec/problem.ts';

/** A feature with its canaries. */
export interface FeatureCanaries {
	readonly contract: Contract;
	readonly canaries: readonly Canary[];
}

/** The canaries of a feature's folder; empty where it has none. */
export async function readFeatureCanaries(
	folder: string,
	name: string,
	shownAs: string,
): Promise<{ canaries: readonly Canary[]; problems: readonly Problem[] }> {
	const path = join(folder, CANARY_FILE);
	if (!existsSync(path)) return { canaries: [], problems: [] };
	return parsed(path, { shownAs: `${shownAs}/${CANARY_FILE}`, feature: name, within: folder });
}

/** What each collection is held to: its own canaries, and those of the features that retrieve from it. */
export async function canarySets(
	config: ProjectConfig,
	features: readonly FeatureCanaries[],
): Promise<{ sets: ReadonlyMap<string, CanarySet>; problems: readonly Problem[] }> {
	const problems: Problem[] = [];
	const sets: [string, CanarySet][] = [];
	for (const { name, canaries: path, checks } of config.collections.values()) {
		const own = path === null ? null : await parsed(path, { shownAs: relative(config.dir, path), feature: null });
		problems.push(...(own?.problems ?? []));
		const groups: CanaryGroup[] = [];
		if (own && own.canaries.length > 0) {
			groups.push({ feature: null, k: checks.k, recallMin: checks.recallMin, canaries: own.canaries });
		}
		for (const { contract, canaries } of features) {
			const { feature, retrieval } = contract;
			if (retrieval?.collection !== name || canaries.length === 0) continue;
			groups.push({ feature, k: retrieval.k, recallMin: retrieval.recallAtK ?? checks.recallMin, canaries });
		}
		sets.push([name, { collection: name, checks, groups }]);
	}
	return { sets: frozenMap(sets), problems };
}

/** Files of collections' own canaries. */
export function canaryFiles({ collections }: ProjectConfig): string[] {
	return [...collections.values()].flatMap(({ canaries }) => canaries ?? []);
}

/** Canaries of a feature that retrieves nothing would never be asked. */
export function idleCanaries({ contract, canaries }: FeatureCanaries, shownAs: string): Problem[] {
	if (canaries.length === 0 || contract.retrieval !== null) return [];
	const hint = `remove it, or give contract.yaml a collection under retrieval`;
	return [fileProblem(`${shownAs}/${CANARY_FILE}`, `checks nothing: ${contract.feature} retrieves nothing`, hint)];
}

async function parsed(
	path: string,
	{ shownAs, feature, within = null }: { shownAs: string; feature: string | null; within?: string | null },
): Promise<{ canaries: readonly Canary[]; problems: readonly Problem[] }> {
	const source = await readSourceFile(path, shownAs, within);
	const read = source.ok ? parseCanaries(source.value, feature) : source;
	return { canaries: read.value ?? [], problems: read.problems };
}
