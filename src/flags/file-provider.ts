import type { EvaluationContext, JsonValue, Provider, ResolutionDetails } from '@openfeature/server-sdk';
import { FlagNotFoundError, OpenFeatureEventEmitter, ProviderEvents, TypeMismatchError } from '@openfeature/server-sdk';
import type { FlagDefinition } from '../contracts/flag.ts';
import { type FlagAttributes, resolveFlag } from './targeting.ts';

/** OpenFeature's provider of flags.yaml: evaluates in process, and takes new definitions while it runs. */
export class FileProvider implements Provider {
	readonly metadata = { name: 'plimsoll flags.yaml' };
	readonly runsOn = 'server';
	readonly events = new OpenFeatureEventEmitter();
	readonly #secret: string;
	#flags: ReadonlyMap<string, FlagDefinition>;

	constructor(flags: ReadonlyMap<string, FlagDefinition>, secret: string) {
		this.#flags = flags;
		this.#secret = secret;
	}

	/** Puts other definitions in force for whatever is evaluated from now on. */
	replace(flags: ReadonlyMap<string, FlagDefinition>): void {
		const changed = [...new Set([...this.#flags.keys(), ...flags.keys()])];
		this.#flags = flags;
		this.events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged: changed });
	}

	async resolveBooleanEvaluation(flag: string, _: boolean, context: EvaluationContext) {
		return this.#resolve(flag, context, (value) => typeof value === 'boolean');
	}

	async resolveStringEvaluation(flag: string, _: string, context: EvaluationContext) {
		return this.#resolve(flag, context, (value) => typeof value === 'string');
	}

	async resolveNumberEvaluation(flag: string, _: number, context: EvaluationContext) {
		return this.#resolve(flag, context, (value) => typeof value === 'number');
	}

	async resolveObjectEvaluation<T extends JsonValue>(flag: string): Promise<ResolutionDetails<T>> {
		throw new TypeMismatchError(`the flag ${flag} is true or false, a text or a number, never an object`);
	}

	#resolve<T>(name: string, context: EvaluationContext, is: (value: unknown) => value is T): ResolutionDetails<T> {
		const flag = this.#flags.get(name);
		if (flag === undefined) throw new FlagNotFoundError(`flags.yaml has no flag ${name}`);
		const { value, variant, reason } = resolveFlag(flag, attributesOf(context), this.#secret);
		if (!is(value)) throw new TypeMismatchError(`the flag ${name} is a ${flag.type}`);
		return { value, variant, reason };
	}
}

/** What rules look at, of what OpenFeature hands over. */
export function attributesOf({ targetingKey = '', ...attributes }: EvaluationContext): FlagAttributes {
	return { userUnit: targetingKey, tenantUnit: String(attributes.tenant), attributes };
}
