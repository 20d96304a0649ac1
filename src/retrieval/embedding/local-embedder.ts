import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { sha256Of } from '../../base/hash.ts';
import type { LocalEmbedderConfig as Config } from '../../contracts/embedder.ts';
import type { Embedder } from '../../spec/embedding.ts';
import { PlimsollError } from '../../spec/errors.ts';
import { prefixOf } from './text-prefix.ts';
import { scaled } from './unit-vector.ts';

const PACKAGE = '@huggingface/transformers';
/** Its native part comes inside the package; the scripts would only fetch GPU libraries. */
const INSTALL = `npm install --save-prod --ignore-scripts ${PACKAGE}@4.3.1`;
/** Texts that go through the network at once; more costs memory and gains no speed on a CPU. */
const BATCH_MAX = 16;
const TOKENS_DEFAULT = 512;

type Extractor = (texts: readonly string[], options: { pooling: 'mean'; normalize: boolean }) => Promise<unknown>;

/** What we use of the optional package, checked when it is loaded. */
const packageSchema = z.object({
	env: z.custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null),
	pipeline: z.custom<(task: string, model: string, options: Record<string, unknown>) => Promise<unknown>>(
		(value) => typeof value === 'function',
	),
});
const extractorSchema = z.custom<Extractor>((value) => typeof value === 'function');
const tensorSchema = z.object({
	data: z.custom<ArrayLike<number>>((value) => ArrayBuffer.isView(value)),
	dims: z.array(z.number()),
});

/** The package keeps its paths in one global object: models are loaded one after the other. */
let lastLoad: Promise<unknown> = Promise.resolve();

export interface LocalEmbedderOptions {
	/** Where models from the hub are kept. */
	readonly cacheDir: string;
	/** How the optional package is loaded. */
	readonly load?: (name: string) => Promise<unknown>;
}

/**
 * An ONNX sentence transformer in this process: mean pooling over the tokens, then unit length (Reimers and Gurevych,
 * "Sentence-BERT", 2019). Needs the optional package; throws PlimsollError `dependency_missing` with the command without it,
 * and `configuration_invalid` when the model cannot be loaded or has other dimensions.
 */
export function createLocalEmbedder(config: Config, options: LocalEmbedderOptions): Promise<Embedder> {
	const loading = lastLoad.then(() => loadEmbedder(config, options));
	lastLoad = loading.catch(() => null);
	return loading;
}

async function loadEmbedder(
	config: Config,
	{ cacheDir, load = importPackage }: LocalEmbedderOptions,
): Promise<Embedder> {
	const { env, pipeline } = packageSchema.parse(await loadPackage(config, load));
	const isFolder = path.isAbsolute(config.model);
	const dtype = isFolder && !existsSync(path.join(config.model, 'onnx/model.onnx')) ? 'q8' : 'fp32';
	env.cacheDir = cacheDir;
	// A folder is read from disk and nowhere else: the package would ask the hub for a file that is not there.
	env.allowRemoteModels = !isFolder;
	env.localModelPath = isFolder ? path.dirname(config.model) : cacheDir;
	const revision = isFolder ? await folderRevision(config) : 'main';
	const loaded = await pipeline('feature-extraction', isFolder ? path.basename(config.model) : config.model, {
		dtype,
	}).catch((cause: unknown) => {
		throw invalid(config, cause instanceof Error ? cause.message : String(cause), cause);
	});
	const extract = extractorSchema.parse(loaded);
	const limit = read(read(loaded, 'tokenizer'), 'model_max_length');
	// A tokenizer without a limit says 1e30.
	const tokensMax = typeof limit === 'number' && limit < 1e6 ? limit : TOKENS_DEFAULT;
	const embedder: Embedder = {
		identity: {
			provider: 'local',
			model: isFolder ? path.basename(config.model) : config.model,
			revision: `${revision}-${dtype}`,
			dimensions: config.dimensions,
			normalised: true,
			queryPrefix: config.queryPrefix,
			documentPrefix: config.documentPrefix,
			tokensMax,
		},
		async embed(texts, kind, { signal }) {
			const prefix = prefixOf(kind, config);
			const vectors: ArrayLike<number>[] = [];
			for (let start = 0; start < texts.length; start += BATCH_MAX) {
				signal?.throwIfAborted();
				const batch = texts.slice(start, start + BATCH_MAX).map((text) => (prefix + text).toWellFormed());
				vectors.push(...rows(config, batch.length, await extract(batch, { pooling: 'mean', normalize: false })));
			}
			return { ...scaled(vectors), tokens: null, costMicros: 0 };
		},
		async close() {
			const dispose = read(loaded, 'dispose');
			if (typeof dispose === 'function') await dispose.call(loaded);
		},
	};
	// A first text shows at once whether the model is what the configuration says.
	await embedder.embed(['plimsoll'], 'query', { signal: null });
	return embedder;
}

/** A member of what the package returned: its objects are functions with members. */
function read(target: unknown, member: string): unknown {
	return (typeof target === 'object' && target !== null) || typeof target === 'function'
		? Reflect.get(target, member)
		: undefined;
}

function importPackage(name: string): Promise<unknown> {
	return import(name);
}

async function loadPackage(config: Config, load: (name: string) => Promise<unknown>): Promise<unknown> {
	try {
		return await load(PACKAGE);
	} catch (cause) {
		throw new PlimsollError(
			'dependency_missing',
			`The embedder ${config.name} needs the optional package ${PACKAGE}, which cannot be loaded. Install it with: ${INSTALL}`,
			{ internal: cause instanceof Error ? cause.message : String(cause), cause },
		);
	}
}

/** Two exports of a model are two models: their bytes say so. */
async function folderRevision(config: Config): Promise<string> {
	const parts: Uint8Array[] = [];
	for (const name of ['tokenizer.json', 'onnx/model.onnx', 'onnx/model_quantized.onnx']) {
		const file = path.join(config.model, name);
		if (existsSync(file)) parts.push(await readFile(file));
	}
	if (parts.length < 2)
		throw invalid(
			config,
			`${config.model} must hold tokenizer.json and onnx/model.onnx (or onnx/model_quantized.onnx)`,
			null,
		);
	return sha256Of(parts).slice(0, 12);
}

function rows(config: Config, count: number, output: unknown): ArrayLike<number>[] {
	const { data, dims } = tensorSchema.parse(output);
	const [found, dimensions] = dims;
	if (dims.length !== 2 || found !== count || dimensions !== config.dimensions) {
		throw invalid(
			config,
			`the model gives ${dims.join(' × ')} numbers for ${count} texts, the configuration says ${config.dimensions} dimensions`,
			null,
		);
	}
	return Array.from({ length: count }, (_, index) =>
		Array.prototype.slice.call(data, index * dimensions, (index + 1) * dimensions),
	);
}

function invalid(config: Config, reason: string, cause: unknown): PlimsollError {
	return new PlimsollError('configuration_invalid', `The embedder ${config.name} cannot be used: ${reason}.`, {
		cause,
	});
}
