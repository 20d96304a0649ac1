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

/** An ONNX model that looks each token up in a table: field numbers as in onnx.proto, operator set 13. */
function lookupModel(table: readonly (readonly number[])[], dimensions: number): Buffer {
	const node = message(1, bytes(1, 'table'), bytes(1, 'input_ids'), bytes(2, 'last_hidden_state'), bytes(4, 'Gather'));
	const raw = new Uint8Array(Float32Array.from(table.flat()).buffer);
	const weights = message(
		5,
		integer(1, table.length),
		integer(1, dimensions),
		integer(2, FLOAT),
		bytes(8, 'table'),
		bytes(9, raw),
	);
	const graph = message(
		7,
		node,
		bytes(2, 'tiny'),
		weights,
		value(11, 'input_ids', INT64, ['batch', 'tokens']),
		value(11, 'attention_mask', INT64, ['batch', 'tokens']),
		value(12, 'last_hidden_state', FLOAT, ['batch', 'tokens', dimensions]),
	);
	return Buffer.concat([integer(1, 8), graph, message(8, bytes(1, ''), integer(2, 13))]);
}

/** Writes a sentence transformer whose tokens are whole words and whose vector for each word is given. */
export async function writeTinyModel(
	folder: string,
	words: Readonly<Record<string, readonly number[]>>,
): Promise<void> {
	const dimensions = Object.values(words)[0]?.length ?? 0;
	const vocabulary = ['[PAD]', '[UNK]', ...Object.keys(words)];
	const nothing = Array.from({ length: dimensions }, () => 0);
	const model = lookupModel([nothing, nothing, ...Object.values(words)], dimensions);
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
		'config.json': { model_type: 'bert', architectures: ['BertModel'], hidden_size: dimensions },
		'tokenizer_config.json': {
			tokenizer_class: 'BertTokenizer',
			model_max_length: 8,
			pad_token: '[PAD]',
			unk_token: '[UNK]',
		},
		'tokenizer.json': {
			version: '1.0',
			truncation: null,
			padding: null,
			added_tokens: [special('[PAD]', 0), special('[UNK]', 1)],
			normalizer: { type: 'Lowercase' },
			pre_tokenizer: { type: 'Whitespace' },
			post_processor: null,
			decoder: null,
			model: {
				type: 'WordLevel',
				vocab: Object.fromEntries(vocabulary.map((word, id) => [word, id])),
				unk_token: '[UNK]',
			},
		},
	};
	await mkdir(path.join(folder, 'onnx'), { recursive: true });
	for (const [name, content] of Object.entries(files))
		await writeFile(path.join(folder, name), JSON.stringify(content));
	await writeFile(path.join(folder, 'onnx', 'model.onnx'), model);
}
