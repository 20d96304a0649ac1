import path from 'node:path';
import { z } from 'zod';
import { folderFacts, modelFolderProblem } from './model-folder.ts';
import type { ModelFacts, OnnxInput, OnnxOutput, OnnxRefusal, OnnxStart } from './onnx-protocol.ts';

const TOKENS_DEFAULT = 512;
/** A query takes at most this share of what a cross-encoder reads: the rest is the passage's. */
const QUERY_SHARE = 0.5;
/** Its threads sleep while they wait: spinning takes half as much CPU again, from requests. */
const SESSION = { extra: { session: { intra_op: { allow_spinning: '0' } } } };

const member = z.custom<object>(
	(value) => (typeof value === 'object' && value !== null) || typeof value === 'function',
);
const callable = z.custom<(...given: unknown[]) => Promise<unknown>>((value) => typeof value === 'function');
const loader = z.custom<{ from_pretrained(model: string, options: object): Promise<unknown> }>(
	(value) => typeof value === 'function' && typeof Reflect.get(value, 'from_pretrained') === 'function',
);
/** What we use of the optional package, checked when it is loaded. */
const packageSchema = z.object({
	env: z.custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null),
	pipeline: callable,
	AutoTokenizer: loader,
	AutoModelForSequenceClassification: loader,
	Tensor: z.custom<new (type: string, data: BigInt64Array, dims: readonly number[]) => unknown>(
		(value) => typeof value === 'function',
	),
});
type Package = z.infer<typeof packageSchema>;

const tensorSchema = z.object({
	data: z.custom<ArrayLike<number>>((value) => ArrayBuffer.isView(value)),
	dims: z.array(z.number()),
});
const encodedSchema = z.object({
	input_ids: z.array(z.number()),
	token_type_ids: z.array(z.number()).optional(),
});

export interface LoadedModel {
	readonly facts: ModelFacts;
	/** Throws Error for what the model cannot take. */
	run(input: OnnxInput): Promise<OnnxOutput>;
}

/** Why a model is not used. */
export class Refused extends Error {
	readonly refusal: OnnxRefusal;

	constructor(code: OnnxRefusal['code'], reason: string) {
		super(reason);
		this.refusal = { code, reason };
	}
}

/** Loads a model and runs it once. Throws Refused. */
export async function loadModel({ task, model, cacheDir, packageName }: OnnxStart): Promise<LoadedModel> {
	const isFolder = path.isAbsolute(model);
	const problem = isFolder ? await modelFolderProblem(model, { task }) : null;
	if (problem !== null) throw new Refused('configuration_invalid', problem);
	const library = packageSchema.parse(
		await import(packageName).catch((cause: unknown) => {
			throw new Refused('dependency_missing', messageOf(cause));
		}),
	);
	// A folder is read from disk and nowhere else: the package would ask the hub for a file that is not there.
	library.env.allowRemoteModels = !isFolder;
	library.env.localModelPath = isFolder ? path.dirname(model) : cacheDir;
	library.env.cacheDir = cacheDir;
	const { bytes, dtype } = isFolder ? await folderFacts(model) : { bytes: 'main', dtype: 'fp32' };
	const place = isFolder ? path.basename(model) : model;
	try {
		const open = task === 'embed' ? openEmbedder : openCrossEncoder;
		const { tokensMax, run } = await open(library, place, dtype);
		await run({ text: 'plimsoll', query: task === 'rerank' ? 'plimsoll' : null });
		return { facts: { revision: `${bytes}-${dtype}`, tokensMax }, run };
	} catch (cause) {
		throw new Refused('configuration_invalid', messageOf(cause));
	}
}

type Opened = Pick<LoadedModel, 'run'> & Pick<ModelFacts, 'tokensMax'>;

/** Mean pooling over the tokens (Reimers and Gurevych, "Sentence-BERT", 2019). */
async function openEmbedder({ pipeline }: Package, place: string, dtype: string): Promise<Opened> {
	const extract = callable.parse(await pipeline('feature-extraction', place, { dtype, session_options: SESSION }));
	return {
		tokensMax: tokensMaxOf(Reflect.get(extract, 'tokenizer')),
		run: async ({ text }) => rowOf(await extract(text, { pooling: 'mean', normalize: false })),
	};
}

/** Query and passage are read together, and the one logit is the score (Nogueira and Cho, "Passage re-ranking with BERT", 2019). */
async function openCrossEncoder(library: Package, place: string, dtype: string): Promise<Opened> {
	const tokenizer = callable.parse(await library.AutoTokenizer.from_pretrained(place, {}));
	const classify = callable.parse(
		await library.AutoModelForSequenceClassification.from_pretrained(place, { dtype, session_options: SESSION }),
	);
	const tokensMax = tokensMaxOf(tokenizer);
	const encode = async (text: string, pair: string | null) =>
		encodedSchema.parse(
			await tokenizer(text, { text_pair: pair, padding: false, truncation: false, return_tensor: false }),
		);
	const cutQuery = async (query: string) => {
		const room = (tokensMax * QUERY_SHARE) / (await encode(query, null)).input_ids.length;
		return room >= 1 ? query : query.slice(0, Math.max(1, Math.floor(query.length * room))).toWellFormed();
	};
	/** A query comes with many passages, one after the other. */
	let last = { query: '', cut: '' };
	const run = async ({ text, query }: OnnxInput) => {
		if (query !== null && query !== last.query) last = { query, cut: await cutQuery(query) };
		const { input_ids: ids, token_type_ids: types } = await encode(last.cut, text);
		const row = cutRow(ids, tokensMax);
		const tensor = (cells: readonly number[]) =>
			new library.Tensor('int64', BigInt64Array.from(cells, BigInt), [1, cells.length]);
		const answer = await classify({
			input_ids: tensor(row),
			attention_mask: tensor(row.map(() => 1)),
			...(types && { token_type_ids: tensor(types.slice(0, row.length)) }),
		});
		const score = rowOf(z.object({ logits: z.unknown() }).parse(answer).logits);
		if (score.length !== 1)
			throw new Error(`it gives ${score.length} numbers for a passage; a cross-encoder gives one score`);
		return score;
	};
	return { tokensMax, run };
}

/** A passage that is too long loses its end, but not the mark that closes it. */
function cutRow(row: readonly number[], tokensMax: number): readonly number[] {
	return row.length <= tokensMax ? row : [...row.slice(0, tokensMax - 1), row.at(-1) ?? 0];
}

function tokensMaxOf(tokenizer: unknown): number {
	const limit: unknown = Reflect.get(member.parse(tokenizer), 'model_max_length');
	// A tokenizer without a limit says 1e30.
	return typeof limit === 'number' && limit < 1e6 ? limit : TOKENS_DEFAULT;
}

/** The one row of a tensor. */
function rowOf(tensor: unknown): OnnxOutput {
	const { data, dims } = tensorSchema.parse(tensor);
	if (dims.length !== 2 || dims[0] !== 1) throw new Error(`it gives ${dims.join(' × ')} numbers for one text`);
	return Float32Array.from(data);
}

export function messageOf(cause: unknown): string {
	return cause instanceof Error ? cause.message : String(cause);
}
