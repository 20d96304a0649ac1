import path from 'node:path';
import type { Clock } from '../base/clock.ts';
import { Deadline } from '../base/deadline.ts';
import type { LocalRerankConfig } from '../contracts/ranking-config.ts';
import { RerankError, type Reranker } from '../spec/reranker.ts';
import type { OnnxOutput } from './onnx/onnx-protocol.ts';
import { batchesByLength, ModelRefused, ONNX_INSTALL, ONNX_PACKAGE, OnnxThread } from './onnx/onnx-thread.ts';

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
				revision = `${facts.revision}-${facts.dtype}`;
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
			// What one batch ends with ends the others too.
			const stop = new AbortController();
			deadline.set(timeoutMs);
			void load();
			try {
				const merged = AbortSignal.any([deadline.signal, stop.signal, ...(signal ? [signal] : [])]);
				const scores = new Array<number>(texts.length);
				await Promise.all(
					batchesByLength(texts).map(async (batch) => {
						const input = { texts: batch.map((at) => (texts[at] ?? '').toWellFormed()), query };
						const output = await thread.run(input, { urgent: true, signal: merged });
						for (const [row, score] of scoresOf(output, batch.length).entries()) scores[batch[row] ?? 0] = score;
					}),
				);
				return scores;
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

function scoresOf({ data, dims }: OnnxOutput, count: number): Float32Array {
	if (dims.length !== 2 || dims[0] !== count || dims[1] !== 1)
		throw new Error(`the model gives ${dims.join(' × ')} numbers for ${count} passages, and not one for each`);
	if (!data.every(Number.isFinite)) throw new Error('a score is not finite');
	return data;
}

function reasonOf(cause: unknown): string {
	const reason = cause instanceof Error ? cause.message : String(cause);
	if (!(cause instanceof ModelRefused) || cause.code !== 'dependency_missing') return reason;
	return `it needs the optional package ${ONNX_PACKAGE}. Install it with: ${ONNX_INSTALL}`;
}
