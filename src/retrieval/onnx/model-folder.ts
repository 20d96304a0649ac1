import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { sha256OfFiles } from '../../base/hash.ts';
import { parseJson } from '../../base/parse-json.ts';
import type { OnnxStart } from './onnx-protocol.ts';

const PLAIN = 'onnx/model.onnx';
const QUANTISED = 'onnx/model_quantized.onnx';
const READ = ['tokenizer.json', 'tokenizer_config.json', 'config.json'];

const configSchema = z.looseObject({
	architectures: z.array(z.string()).optional(),
	hidden_size: z.number().optional(),
	id2label: z.record(z.string(), z.unknown()).optional(),
});

/**
 * What is wrong with a folder that is to hold an ONNX model, as far as its small files say; null: nothing.
 * @param dimensions of an embedder.
 */
export async function modelFolderProblem(
	folder: string,
	{ task, dimensions }: { task: OnnxStart['task']; dimensions?: number },
): Promise<string | null> {
	if (!existsSync(folder)) return `there is no folder ${folder}`;
	const missing = READ.filter((name) => !existsSync(path.join(folder, name)));
	if (!existsSync(path.join(folder, PLAIN)) && !existsSync(path.join(folder, QUANTISED)))
		missing.push(`${PLAIN} or ${QUANTISED}`);
	if (missing.length > 0) return `${folder} lacks ${missing.join(', ')}`;
	const text = await readFile(path.join(folder, 'config.json'), 'utf8');
	const config = configSchema.safeParse(parseJson(text)).data;
	if (config === undefined) return `the config.json in ${folder} is not a model's`;
	const { architectures = [], hidden_size: hidden, id2label } = config;
	if (task === 'embed') {
		const isOther = dimensions !== undefined && hidden !== undefined && hidden !== dimensions;
		return isOther ? `the model in ${folder} has ${hidden} dimensions, the configuration says ${dimensions}` : null;
	}
	const other = architectures.find((name) => !name.endsWith('ForSequenceClassification'));
	if (other !== undefined) return `the model in ${folder} is a ${other}, and no cross-encoder`;
	const labels = id2label === undefined ? 1 : Object.keys(id2label).length;
	return labels === 1 ? null : `the model in ${folder} gives ${labels} labels; a cross-encoder gives one score`;
}

/**
 * Two exports of a model are two models: their bytes say so. They are read at every load, since dates and sizes of files stay
 * the same when weights are swapped by what keeps dates.
 */
export async function folderFacts(folder: string): Promise<{ bytes: string; dtype: 'fp32' | 'q8' }> {
	const files = ['tokenizer.json', PLAIN, QUANTISED].map((name) => path.join(folder, name)).filter(existsSync);
	const dtype = existsSync(path.join(folder, PLAIN)) ? 'fp32' : 'q8';
	return { bytes: (await sha256OfFiles(files)).slice(0, 12), dtype };
}
