import type { EmbedderIndexView, EmbedderView } from '../spec/embedder-desk.ts';
import { pathParameter, type Route } from './route.ts';

/** Embedders, and whether they still make the vectors of the indexes that they search. */
export const EMBEDDER_ROUTES: readonly Route[] = [
	{
		method: 'GET',
		path: '/admin/embedders',
		scope: 'admin',
		traced: false,
		summary:
			'Every embedder with its breaker and its latest measurement, and whether it makes the vectors of the live indexes.',
		body: null,
		handle: async ({ parts }) => ({ embedders: (await parts.operator.embedders.list()).map(embedderRow) }),
	},
	{
		method: 'POST',
		path: '/admin/embedders/{embedder}/check',
		scope: 'admin',
		traced: false,
		summary:
			'Measures an embedder’s fingerprint now, which embeds twelve texts, and compares it with the live indexes.',
		body: null,
		handle: async ({ parts, request }) =>
			embedderRow(await parts.operator.embedders.check(pathParameter(request, 'embedder'))),
	},
];

/** An embedder as clients see it. */
export function embedderRow(view: EmbedderView) {
	const { lastError, measuredAt, lengths } = view;
	return {
		embedder: view.embedder,
		family: view.family,
		model: view.model,
		dimensions: view.dimensions,
		state: view.state,
		wait_ms: view.waitMs,
		last_error: lastError && { ...lastError, at: new Date(lastError.at).toISOString() },
		measured_at: measuredAt === null ? null : new Date(measuredAt).toISOString(),
		problem: view.problem,
		next_check_ms: view.nextMs,
		vector_lengths: lengths,
		indexes: view.indexes.map(indexRow),
	};
}

function indexRow({ rebuild, ...view }: EmbedderIndexView) {
	return {
		collection: view.collection,
		generation: view.generation,
		space: view.space,
		difference: view.difference,
		message: view.message,
		cosine_min: view.cosineMin,
		on_identity_change: view.onIdentityChange,
		rebuild: {
			chunks: rebuild.chunks,
			tokens: rebuild.tokens,
			cost_usd_micros_max: rebuild.costMicros,
			seconds: rebuild.seconds,
		},
	};
}
