import { canonicalJson } from '../base/canonical-json.ts';
import type { Clock } from '../base/clock.ts';
import { sha256 } from '../base/hash.ts';
import type { UpstreamConfig } from '../contracts/project.ts';
import { createModel } from '../models/create-model.ts';
import type { Model } from '../spec/model.ts';

/** How long a replaced model stays open for requests that began with it, milliseconds: above the longest deadline. */
const RETIRE_AFTER_MS = 660_000;

interface OpenModel {
	readonly settings: string;
	readonly model: Model;
}

/** The open models, by upstream. A reload keeps those whose settings did not change, with their connections. */
export class ModelPool {
	readonly #clock: Clock;
	readonly #retired = new Set<Model>();
	#open: ReadonlyMap<string, OpenModel> = new Map();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** The models of all available upstreams. Throws what `createModel` throws, and then changes nothing. */
	update(upstreams: ReadonlyMap<string, UpstreamConfig>): ReadonlyMap<string, Model> {
		const next = new Map<string, OpenModel>();
		for (const [name, upstream] of upstreams) {
			if (!upstream.available) continue;
			const settings = settingsOf(upstream);
			const known = this.#open.get(name);
			const kept = known?.settings === settings ? known : null;
			next.set(name, kept ?? { settings, model: createModel(upstream, { clock: this.#clock }) });
		}
		for (const [name, known] of this.#open) if (next.get(name) !== known) this.#retire(known.model);
		this.#open = next;
		return new Map([...next].map(([name, { model }]) => [name, model]));
	}

	async close(): Promise<void> {
		const models = [...this.#retired, ...[...this.#open.values()].map(({ model }) => model)];
		this.#retired.clear();
		this.#open = new Map();
		await Promise.all(models.map((model) => model.close()));
	}

	#retire(model: Model): void {
		this.#retired.add(model);
		this.#clock.after(RETIRE_AFTER_MS, () => {
			if (this.#retired.delete(model)) void model.close();
		});
	}
}

/** Hashed, because the settings hold the upstream's key. */
function settingsOf(upstream: UpstreamConfig): string {
	return sha256(canonicalJson(upstream));
}
