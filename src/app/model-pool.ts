import { canonicalJson } from '../base/canonical-json.ts';
import type { Clock } from '../base/clock.ts';
import { sha256 } from '../base/hash.ts';
import type { UpstreamConfig } from '../contracts/project.ts';
import { createModel } from '../models/create-model.ts';
import type { Model } from '../spec/model.ts';

/** How long a replaced model stays open for requests that began with it, milliseconds: above any sane deadline. */
const RETIRE_AFTER_MS = 600_000;

/** The open models, by upstream. A reload keeps those whose settings did not change, with their connections. */
export class ModelPool {
	readonly #clock: Clock;
	readonly #open = new Map<string, { readonly settings: string; readonly model: Model }>();
	readonly #retired = new Set<Model>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** The models of all available upstreams. */
	update(upstreams: ReadonlyMap<string, UpstreamConfig>): ReadonlyMap<string, Model> {
		const wanted = new Map([...upstreams].filter(([, upstream]) => upstream.available));
		for (const [name, { model }] of this.#open) {
			const upstream = wanted.get(name);
			if (upstream && this.#open.get(name)?.settings === settingsOf(upstream)) continue;
			this.#open.delete(name);
			this.#retire(model);
		}
		for (const [name, upstream] of wanted) {
			if (this.#open.has(name)) continue;
			this.#open.set(name, { settings: settingsOf(upstream), model: createModel(upstream, { clock: this.#clock }) });
		}
		return new Map(
			[...wanted.keys()].flatMap((name) => {
				const entry = this.#open.get(name);
				return entry ? [[name, entry.model] as const] : [];
			}),
		);
	}

	async close(): Promise<void> {
		const models = [...this.#retired, ...[...this.#open.values()].map(({ model }) => model)];
		this.#retired.clear();
		this.#open.clear();
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
