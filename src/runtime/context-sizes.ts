import type { Clock } from '../base/clock.ts';
import { ContextGrowth } from '../policy/context-growth.ts';
import type { Alerts } from '../spec/alerts.ts';

/** How often a feature's sizes are looked at: often enough for the same hour. */
const LOOK_EVERY_MS = 30_000;

/** Watches how much each feature retrieves, before it is cut, and raises an alert when the average has doubled. */
export class ContextSizes {
	readonly #clock: Clock;
	readonly #alerts: Alerts;
	readonly #features = new Map<string, { growth: ContextGrowth; lookedAt: number; open: boolean }>();

	constructor({ clock, alerts }: { clock: Clock; alerts: Alerts }) {
		this.#clock = clock;
		this.#alerts = alerts;
	}

	note(feature: string, tokens: number): void {
		const now = this.#clock.monotonic();
		let entry = this.#features.get(feature);
		if (!entry) {
			entry = { growth: new ContextGrowth(), lookedAt: now, open: false };
			this.#features.set(feature, entry);
		}
		entry.growth.note(tokens, now);
		if (now - entry.lookedAt < LOOK_EVERY_MS) return;
		entry.lookedAt = now;
		const judged = entry.growth.judge(now);
		const key = `context_growth:${feature}`;
		if (judged?.verdict === 'grown') {
			entry.open = true;
			const { recentMean, baseMean, recentCount } = judged.growth;
			const [recent, base] = [Math.round(recentMean), Math.round(baseMean)];
			this.#alerts.raise({
				key,
				severity: 'ticket',
				subject: { feature },
				message: `${feature} retrieves ${recent} tokens a request, ${(recentMean / baseMean).toFixed(1)} × as many as the ${base} of the day before. Look at what changed in its collection: plimsoll index diff.`,
				detail: { tokens_mean: recent, tokens_mean_before: base, requests: recentCount },
			});
		} else if (judged?.verdict === 'calm' && entry.open) {
			entry.open = false;
			this.#alerts.resolve(key);
		}
	}

	/** Features that are no longer there are forgotten. */
	keep(features: ReadonlyMap<string, unknown>): void {
		for (const feature of this.#features.keys()) {
			if (!features.has(feature)) this.#features.delete(feature);
		}
	}
}
