import path from 'node:path';
import type { Clock } from '../base/clock.ts';
import { Deadline } from '../base/deadline.ts';
import type { LocalRerankConfig } from '../contracts/ranking-config.ts';
import { RerankError, type Reranker } from '../spec/reranker.ts';
import { ModelRefused, ONNX_INSTALL, ONNX_PACKAGE, OnnxThread } from './onnx/onnx-thread.ts';

export interface LocalRerankerOptions {
	/** Where models from the hub are kept. */
	readonly cacheDir: string;
	readonly clock: Clock;
	/** Hears why the model cannot be used. */
	readonly warn: (message: string) => void;
	/** The optional package, under another name. */
	readonly packageName?: string;
}

/**
 * An ONNX cross-encoder in a thread of this process. A search that comes before the model is loaded waits its time-out, as
 * for an answer.
 */
export function createLocalReranker(
	{ model }: LocalRerankConfig,
	{ clock, warn, ...options }: LocalRerankerOptions,
): Reranker {
	const thread = new OnnxThread({ task: 'rerank', model, ...options }, clock);
	const name = path.isAbsolute(model) ? path.basename(model) : model;
	let revision: string | null = null;
	/** What went wrong was told once; searches say it again. */
	let told: unknown = null;
	const load = () =>
		thread.open().then(
			(facts) => {
				revision = facts.revision;
			},
			(cause: unknown) => {
				if (cause !== told) warn(`the re-ranker ${name} cannot be used: ${reasonOf(cause)}`);
				told = cause;
			},
		);
	return {
		model: name,
		costMicros: null,
		load,
		close: () => thread.close(),
		get revision() {
			return revision;
		},
		async score(query, texts, { timeoutMs, signal }) {
			const late = () => new Error(revision === null ? 'its model is being loaded' : `no order within ${timeoutMs} ms`);
			const deadline = new Deadline(clock, late);
			// What one passage ends with ends the others too.
			const stop = new AbortController();
			deadline.set(timeoutMs);
			void load();
			try {
				const merged = AbortSignal.any([deadline.signal, stop.signal, ...(signal ? [signal] : [])]);
				return await Promise.all(
					texts.map(async (text) => {
						const input = { text: text.toWellFormed(), query };
						const [score = Number.NaN] = await thread.run(input, { urgent: true, signal: merged });
						if (!Number.isFinite(score)) throw new Error('a score is not finite');
						return score;
					}),
				);
			} catch (cause) {
				signal?.throwIfAborted();
				throw new RerankError(reasonOf(cause), { cause });
			} finally {
				stop.abort();
				deadline.dispose();
			}
		},
	};
}

function reasonOf(cause: unknown): string {
	const reason = cause instanceof Error ? cause.message : String(cause);
	if (!(cause instanceof ModelRefused) || cause.code !== 'dependency_missing') return reason;
	return `it needs the optional package ${ONNX_PACKAGE}. Install it with: ${ONNX_INSTALL}`;
}
