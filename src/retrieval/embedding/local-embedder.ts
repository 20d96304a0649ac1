import path from 'node:path';
import type { Clock } from '../../base/clock.ts';
import type { LocalEmbedderConfig as Config } from '../../contracts/embedder.ts';
import type { Embedder, EmbedOptions } from '../../spec/embedding.ts';
import { PlimsollError } from '../../spec/errors.ts';
import type { OnnxOutput } from '../onnx/onnx-protocol.ts';
import { ModelRefused, ONNX_INSTALL, ONNX_PACKAGE, OnnxThread } from '../onnx/onnx-thread.ts';
import { prefixOf } from './text-prefix.ts';
import { scaled } from './unit-vector.ts';

export interface LocalEmbedderOptions {
	/** Where models from the hub are kept. */
	readonly cacheDir: string;
	readonly clock: Clock;
	/** The optional package, under another name. */
	readonly packageName?: string;
}

/**
 * An ONNX sentence transformer in a thread of this process: mean pooling over the tokens, then unit length. Needs the
 * optional package; throws PlimsollError `dependency_missing` with the command without it, and `configuration_invalid`
 * when the model cannot be loaded or has other dimensions.
 */
export async function createLocalEmbedder(
	config: Config,
	{ clock, ...options }: LocalEmbedderOptions,
): Promise<Embedder> {
	const { model, dimensions, queryPrefix, documentPrefix } = config;
	const thread = new OnnxThread({ task: 'embed', model, ...options }, clock);
	const embed: Embedder['embed'] = async (texts, kind, { signal }) => {
		const prefix = prefixOf(kind, config);
		const vectors: Float32Array[] = [];
		for (const text of texts) {
			const input = { text: (prefix + text).toWellFormed(), query: null };
			vectors.push(checked(config, await thread.run(input, { urgent: kind === 'query', signal })));
		}
		return { ...scaled(vectors), tokens: null, costMicros: 0 };
	};
	try {
		const { revision, tokensMax } = await thread.open();
		// A first text shows at once whether the model is what the configuration says.
		await embed(['plimsoll'], 'query', { signal: null });
		return {
			identity: {
				provider: 'local',
				model: path.isAbsolute(model) ? path.basename(model) : model,
				...{ revision, dimensions, normalised: true, queryPrefix, documentPrefix, tokensMax },
			},
			embed: (texts, kind, ask) => embed(texts, kind, ask).catch((cause) => Promise.reject(failed(config, cause, ask))),
			close: () => thread.close(),
		};
	} catch (cause) {
		await thread.close();
		throw refused(config, cause);
	}
}

function checked(config: Config, vector: OnnxOutput): Float32Array {
	if (vector.length === config.dimensions) return vector;
	const reason = `the model gives ${vector.length} numbers for a text, the configuration says ${config.dimensions} dimensions`;
	throw invalid(config, reason, null);
}

function refused(config: Config, cause: unknown): PlimsollError {
	if (cause instanceof PlimsollError) return cause;
	const reason = messageOf(cause);
	if (!(cause instanceof ModelRefused) || cause.code !== 'dependency_missing') return invalid(config, reason, cause);
	return new PlimsollError(
		'dependency_missing',
		`The embedder ${config.name} needs the optional package ${ONNX_PACKAGE}, which cannot be loaded. Install it with: ${ONNX_INSTALL}`,
		{ internal: reason, cause },
	);
}

function invalid({ name }: Config, reason: string, cause: unknown): PlimsollError {
	return new PlimsollError('configuration_invalid', `The embedder ${name} cannot be used: ${reason}.`, { cause });
}

/** What the caller gave up ends with the reason for that. */
function failed({ name }: Config, cause: unknown, { signal }: EmbedOptions): unknown {
	if (cause instanceof PlimsollError || signal?.aborted) return cause;
	return new PlimsollError('retrieval_failed', `The embedder ${name} failed: ${messageOf(cause)}.`, { cause });
}

function messageOf(cause: unknown): string {
	return cause instanceof Error ? cause.message : String(cause);
}
