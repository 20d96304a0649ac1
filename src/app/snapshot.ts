import { countTokens } from '../base/tokens.ts';
import type { LimitTable } from '../contracts/project.ts';
import { createGuards } from '../guards/guards.ts';
import type { Feature, Snapshot } from '../runtime/feature.ts';
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
				route: contract.models.route.flatMap((upstream) => models.get(upstream) ?? []),
				escalateTo: contract.models.escalateTo === null ? null : (models.get(contract.models.escalateTo) ?? null),
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
