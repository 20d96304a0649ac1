import type { Alert, Alerts } from '../spec/alerts.ts';
import type { CanaryRun } from '../spec/canaries.ts';

/** What is told of collections and their canaries; no alert holds a query. */
export class CanaryAlerts {
	readonly #alerts: Alerts;

	constructor(alerts: Alerts) {
		this.#alerts = alerts;
	}

	empty(collection: string, severity: Alert['severity']): void {
		const message = `The live index of ${collection} is empty: no search finds anything. Check its sources, then plimsoll ingest ${collection}.`;
		this.#alerts.raise({ key: emptyKey(collection), severity, subject: { collection }, message, detail: {} });
	}

	notEmpty(collection: string): void {
		this.#alerts.resolve(emptyKey(collection));
	}

	failing({ collection, generation, why, queries, recall, unanswered }: CanaryRun): void {
		this.#alerts.raise({
			key: checkKey(collection),
			severity: 'page',
			subject: { collection },
			message: `${collection} fails its known-answer checks: ${why}. plimsoll canary ${collection} shows which; plimsoll ingest ${collection} builds its index anew.`,
			detail: { generation, queries, recall: recall.value, unanswered },
		});
	}

	passing(collection: string): void {
		this.#alerts.resolve(checkKey(collection));
	}

	dropped({ collection, generation, comparison }: CanaryRun): void {
		if (comparison === null) return;
		const { common, lost, gained, recallP, mrrDrop, mrrP, baseline } = comparison;
		this.#alerts.raise({
			key: dropKey(collection),
			severity: 'ticket',
			subject: { collection },
			message: `${collection} finds less than it did: of ${common} known answers ${lost} were lost and ${gained} gained since ${baseline}, more than by chance, twice in a row. plimsoll canary ${collection} shows them; plimsoll canary accept ${collection} says that it is meant.`,
			detail: { generation, common, lost, gained, recall_p: recallP, mrr_drop: mrrDrop, mrr_p: mrrP },
		});
	}

	notDropped(collection: string): void {
		this.#alerts.resolve(dropKey(collection));
	}
}

function emptyKey(collection: string): string {
	return `index_empty:${collection}`;
}

function checkKey(collection: string): string {
	return `known_answers:${collection}`;
}

function dropKey(collection: string): string {
	return `recall_drop:${collection}`;
}
