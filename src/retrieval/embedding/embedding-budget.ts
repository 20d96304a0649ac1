import type { EmbeddingCallReport, EmbeddingRun } from '../../spec/embedding.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type { EmbeddingReport } from '../../spec/retrieval.ts';

/** The money of one ingestion: what is set aside and what is spent never pass the cap together. */
export class EmbeddingBudget implements EmbeddingRun {
	readonly #costMicrosMax: number | null;
	#reserved = 0;
	#spend = { calls: 0, failed: 0, texts: 0, tokens: 0, costMicros: 0, costSource: 'reported' as const };
	#estimated = false;

	/** @param costMicrosMax `ingestion.cost_usd_max` of the collection; null: no cap. */
	constructor(costMicrosMax: number | null) {
		this.#costMicrosMax = costMicrosMax;
	}

	get spend(): EmbeddingReport {
		const costSource = this.#estimated ? 'estimated' : 'reported';
		return { ...this.#spend, costSource, costMicrosMax: this.#costMicrosMax };
	}

	reserve(micros: number): void {
		const { costMicros, texts } = this.#spend;
		const max = this.#costMicrosMax;
		if (max !== null && costMicros + this.#reserved + micros > max) {
			const about = this.#estimated ? 'about ' : '';
			const message =
				`The ingestion stopped before it spent more: the next texts may cost ${usd(micros)}, and ${about}${usd(costMicros)} of ${usd(max)} ` +
				`are spent, on ${texts} texts. What was written is kept. Raise ingestion.cost_usd_max, and the next run goes on from there.`;
			throw new PlimsollError('embedding_budget_exceeded', message);
		}
		this.#reserved += micros;
	}

	giveBack(micros: number): void {
		this.#reserved -= micros;
	}

	spent({ outcome, texts, tokens, costMicros, source }: EmbeddingCallReport): void {
		if (outcome === 'ok') {
			this.#spend.calls++;
			this.#spend.texts += texts;
		} else this.#spend.failed++;
		this.#spend.tokens += tokens;
		this.#spend.costMicros += costMicros;
		if (costMicros > 0 && source === 'estimated') this.#estimated = true;
	}
}

function usd(micros: number): string {
	return `$${(micros / 1_000_000).toFixed(micros < 10_000 ? 6 : 4)}`;
}
