import { countTokens } from '../base/tokens.ts';
import { type EmbedderConfig, isHosted } from '../contracts/embedder.ts';
import type { LimitTable } from '../contracts/project.ts';
import type { Contract } from '../contracts/release.ts';
import { createGuards } from '../guards/guards.ts';
import { createPartCheck } from '../guards/part-check.ts';
import { EMBEDDING_TOKENIZER } from '../runtime/embed.ts';
import type { EmbedderTarget, Feature, Snapshot } from '../runtime/feature.ts';
import type { FlagSource } from '../spec/flags.ts';
import type { Model } from '../spec/model.ts';
import { featureFlags } from './feature-flags.ts';
import type { LoadedProject } from './load-project.ts';

/** What requests see of a project: every feature with its prompt, guards and models resolved. */
export function createSnapshot(
	project: LoadedProject,
	models: ReadonlyMap<string, Model>,
	{ limits, flags }: { limits: LimitTable; flags: FlagSource },
): Snapshot {
	const { config } = project;
	// Loading a tokenizer's table takes a tenth of a second, which no request should pay.
	for (const { upstream } of models.values()) countTokens('', upstream.tokenizer);
	if (config.embedders.size > 0) countTokens('', EMBEDDING_TOKENIZER);
	const modelOf = (upstream: string | null) => (upstream === null ? null : (models.get(upstream) ?? null));
	const features = [...project.releases].map(([name, release]): [string, Feature] => {
		const { contract } = release;
		const prompt = project.prompts.get(name);
		if (!prompt) throw new Error(`the project was loaded without the prompt of ${name}`);
		return [
			name,
			{
				release,
				prompt,
				guards: createGuards(contract.guards),
				partCheck: partCheckOf(contract),
				route: contract.models.route.flatMap((upstream) => models.get(upstream) ?? []),
				escalateTo: modelOf(contract.models.escalateTo),
				helper: modelOf(contract.retrieval?.helper ?? null),
				flags: featureFlags(contract, {
					source: flags,
					definitions: project.flags,
					models,
					prompt,
					versions: project.promptVersions.get(name) ?? [],
				}),
			},
		];
	});
	return {
		features: new Map(features),
		upstreams: models,
		switchedOff: new Map(
			[...config.upstreams].flatMap(([name, one]) => (one.available ? [] : [[name, one.switchedOnBy]])),
		),
		embedders: embedderTargets(config.embedders.values()),
		bare: config.bare,
		admission: config.admission,
		limits,
		retries: config.retries,
		breakers: new Map([...models.keys()].map((name) => [name, config.upstreams.get(name)?.breaker ?? null])),
		requestMsMax: Math.max(
			config.bare.deadlineMs,
			...[...project.releases.values()].map(({ contract }) => contract.budget.deadlineMs),
		),
	};
}

function embedderTargets(configs: Iterable<EmbedderConfig>): ReadonlyMap<string, EmbedderTarget> {
	return new Map(
		[...configs].flatMap((config): [string, EmbedderTarget][] => {
			const target = embedderTarget(config);
			return [config.name, ...config.aliases].map((name) => [name, target]);
		}),
	);
}

function embedderTarget(config: EmbedderConfig): EmbedderTarget {
	const { name, family, dimensions } = config;
	const hosted = isHosted(config) ? config : null;
	// A folder's path is the operator's alone.
	const model = hosted?.model ?? name;
	return { name, provider: family, model, dimensions, price: hosted === null ? IN_PROCESS : hosted.price };
}

const IN_PROCESS = Object.freeze({ version: 'in-process', inputMicrosPerMillion: 0 });

function partCheckOf({ guards, stream }: Contract): Feature['partCheck'] {
	return guards.outputSchema === null || stream === 'buffered'
		? null
		: createPartCheck(guards.outputSchema, guards.reading);
}
