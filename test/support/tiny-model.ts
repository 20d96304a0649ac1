import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Protocol Buffers, as much as an ONNX file needs: https://protobuf.dev/programming-guides/encoding/ */
function varint(value: number): Buffer {
	const bytes: number[] = [];
	let rest = value;
	do {
		bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
		rest = Math.floor(rest / 128);
	} while (rest > 0);
	return Buffer.from(bytes);
}

function integer(field: number, value: number): Buffer {
	return Buffer.concat([varint(field << 3), varint(value)]);
}

function bytes(field: number, value: Uint8Array | string): Buffer {
	const data = Buffer.from(value);
	return Buffer.concat([varint((field << 3) | 2), varint(data.length), data]);
}

function message(field: number, ...parts: readonly Buffer[]): Buffer {
	return bytes(field, Buffer.concat(parts));
}

const FLOAT = 1;
const INT64 = 7;

/** A ValueInfoProto: a tensor's name, element type and dimensions, named ones free. */
function value(field: number, name: string, type: number, dimensions: readonly (string | number)[]): Buffer {
	const shape = dimensions.map((size) => message(1, typeof size === 'string' ? bytes(2, size) : integer(1, size)));
	return message(field, bytes(1, name), message(2, message(1, integer(1, type), message(2, ...shape))));
}

/** A NodeProto. `to` is the attribute of Cast. */
function node(operator: string, inputs: readonly string[], output: string, to?: number): Buffer {
	const attributes = to === undefined ? [] : [message(5, bytes(1, 'to'), integer(3, to), integer(20, 2))];
	return message(1, ...inputs.map((name) => bytes(1, name)), bytes(2, output), bytes(4, operator), ...attributes);
}

/** A TensorProto of the graph. */
function constant(name: string, type: number, dimensions: readonly number[], raw: ArrayBufferLike): Buffer {
	const sizes = dimensions.map((size) => integer(1, size));
	return message(5, ...sizes, integer(2, type), bytes(8, name), bytes(9, new Uint8Array(raw)));
}

/** A ModelProto: field numbers as in onnx.proto, operator set 13. */
function modelOf(...graph: readonly Buffer[]): Buffer {
	return Buffer.concat([
		integer(1, 8),
		message(7, bytes(2, 'tiny'), ...graph),
		message(8, bytes(1, ''), integer(2, 13)),
	]);
}

const TOKENS = ['batch', 'tokens'] as const;

/** Looks each token up in a table. */
function lookupModel(table: readonly (readonly number[])[], dimensions: number): Buffer {
	return modelOf(
		node('Gather', ['table', 'input_ids'], 'last_hidden_state'),
		constant('table', FLOAT, [table.length, dimensions], Float32Array.from(table.flat()).buffer),
		value(11, 'input_ids', INT64, TOKENS),
		value(11, 'attention_mask', INT64, TOKENS),
		value(12, 'last_hidden_state', FLOAT, [...TOKENS, dimensions]),
	);
}

/** The sum of the first text's weights times that of the second's. */
function pairModel(weights: readonly number[]): Buffer {
	return modelOf(
		node('Gather', ['weights', 'input_ids'], 'all'),
		node('Cast', ['attention_mask'], 'mask', FLOAT),
		node('Mul', ['all', 'mask'], 'real'),
		node('Cast', ['token_type_ids'], 'type', FLOAT),
		node('Mul', ['real', 'type'], 'second'),
		node('ReduceSum', ['real', 'axis'], 'of_both'),
		node('ReduceSum', ['second', 'axis'], 'of_second'),
		node('Sub', ['of_both', 'of_second'], 'of_first'),
		node('Mul', ['of_first', 'of_second'], 'logits'),
		constant('weights', FLOAT, [weights.length], Float32Array.from(weights).buffer),
		constant('axis', INT64, [1], BigInt64Array.of(1n).buffer),
		...['input_ids', 'attention_mask', 'token_type_ids'].map((name) => value(11, name, INT64, TOKENS)),
		value(12, 'logits', FLOAT, ['batch', 1]),
	);
}

/** Writes a sentence transformer whose tokens are whole words and whose vector for each word is given. */
export async function writeTinyModel(
	folder: string,
	words: Readonly<Record<string, readonly number[]>>,
): Promise<void> {
	const dimensions = Object.values(words)[0]?.length ?? 0;
	const nothing = Array.from({ length: dimensions }, () => 0);
	await write(folder, {
		special: ['[PAD]', '[UNK]'],
		words: Object.keys(words),
		tokensMax: 8,
		pairs: null,
		config: { architectures: ['BertModel'], hidden_size: dimensions },
		model: lookupModel([nothing, nothing, ...Object.values(words)], dimensions),
	});
}

/** Writes a cross-encoder whose tokens are whole words: the sum of the query's weights times the sum of the passage's. */
export async function writeTinyCrossEncoder(
	folder: string,
	words: Readonly<Record<string, number>>,
	{ tokensMax = 16 }: { tokensMax?: number } = {},
): Promise<void> {
	const mark = (id: string, type_id: number) => ({ SpecialToken: { id, type_id } });
	const text = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
	await write(folder, {
		special: ['[PAD]', '[UNK]', '[CLS]', '[SEP]'],
		words: Object.keys(words),
		tokensMax,
		pairs: {
			type: 'TemplateProcessing',
			single: [mark('[CLS]', 0), text('A', 0), mark('[SEP]', 0)],
			pair: [mark('[CLS]', 0), text('A', 0), mark('[SEP]', 0), text('B', 1), mark('[SEP]', 1)],
			special_tokens: Object.fromEntries(
				[2, 3]
					.map((id) => [id === 2 ? '[CLS]' : '[SEP]', id] as const)
					.map(([token, id]) => [token, { id: token, ids: [id], tokens: [token] }]),
			),
		},
		config: { architectures: ['BertForSequenceClassification'], id2label: { 0: 'LABEL_0' } },
		model: pairModel([0, 0, 0, 0, ...Object.values(words)]),
	});
}

async function write(
	folder: string,
	of: {
		special: readonly string[];
		words: readonly string[];
		tokensMax: number;
		/** How two texts become one. */
		pairs: object | null;
		config: object;
		model: Buffer;
	},
): Promise<void> {
	const special = (content: string, id: number) => ({
		id,
		content,
		single_word: false,
		lstrip: false,
		rstrip: false,
		normalized: false,
		special: true,
	});
	const files = {
		'config.json': { model_type: 'bert', ...of.config },
		'tokenizer_config.json': {
			tokenizer_class: 'BertTokenizer',
			model_max_length: of.tokensMax,
			pad_token: '[PAD]',
			unk_token: '[UNK]',
			...(of.pairs && { cls_token: '[CLS]', sep_token: '[SEP]' }),
		},
		'tokenizer.json': {
			version: '1.0',
			truncation: null,
			padding: null,
			added_tokens: of.special.map(special),
			normalizer: { type: 'Lowercase' },
			pre_tokenizer: { type: 'Whitespace' },
			post_processor: of.pairs,
			decoder: null,
			model: {
				type: 'WordLevel',
				vocab: Object.fromEntries([...of.special, ...of.words].map((word, id) => [word, id])),
				unk_token: '[UNK]',
			},
		},
	};
	await mkdir(path.join(folder, 'onnx'), { recursive: true });
	for (const [name, content] of Object.entries(files))
		await writeFile(path.join(folder, name), JSON.stringify(content));
	await writeFile(path.join(folder, 'onnx', 'model.onnx'), of.model);
}
