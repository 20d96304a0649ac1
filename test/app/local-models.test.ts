import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createRuntime } from '../../src/app/create-runtime.ts';
import { ONNX_INSTALLED, ONNX_NEEDED } from '../support/onnx-package.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';
import { writeTinyCrossEncoder, writeTinyModel } from '../support/tiny-model.ts';

test.skipIf(!ONNX_INSTALLED)(
	`an embedder and a re-ranker in this process serve a feature, and its trace names the bytes that ordered its passages (${ONNX_NEEDED})`,
	async () => {
		const dir = await projectFolder({
			'plimsoll.yaml': `upstreams:
  local/extractive: {family: extractive}
embedders:
  tiny: {family: local, model: ./models/embedder, dimensions: 8}
collections:
  docs:
    embedder: tiny
    search:
      vector_weight: 0.5
      timeout_ms: 60000
      rerank: {format: local, model: ./models/reranker, timeout_ms: 60000}
    sources:
      manual: {kind: folder, path: docs}
`,
			'docs/one.md': 'The mark is painted on the hull amidships.\n',
			'docs/two.md': 'The mark of the hull is a line, the line, the plimsoll line.\n',
			'docs/three.md': 'The mast carries sails.\n',
			'features/ask/contract.yaml':
				'owner: tests\nbudget: {deadline_ms: 240000}\nretrieval: {collection: docs, k: 2}\nmodels: {route: [local/extractive]}\n',
			'features/ask/prompts/answer.prompt': VALID_PROJECT['features/ask/prompts/answer.prompt'] ?? '',
		});
		await writeTinyModel(join(dir, 'models/embedder'), {
			hull: [1, 0, 0, 0, 0, 0, 0, 0],
			mast: [0, 1, 0, 0, 0, 0, 0, 0],
		});
		await writeTinyCrossEncoder(join(dir, 'models/reranker'), { mark: 1, line: 5 }, { tokensMax: 64 });
		const runtime = await createRuntime({ dir, env: {} });
		onTestFinished(() => runtime.close());
		expect(await runtime.ingest('docs')).toMatchObject({ promoted: true });
		const answer = await runtime.ask('ask', { question: 'Where is the mark on the hull?' });
		await expect.poll(() => runtime.trace(answer.requestId), { timeout: 30_000 }).not.toBeNull();
		const trace = await runtime.trace(answer.requestId);
		const step = trace?.steps.find(({ stage }) => stage === 'retrieve');
		expect(answer.degraded).toBeNull();
		expect(step?.detail).toMatchObject({ mode: 'hybrid' });
		expect(step?.attempts).toMatchObject([
			{ upstream: 'rerank/reranker', model_name: expect.stringMatching(/^reranker@[0-9a-f]{12}-fp32$/), outcome: 'ok' },
		]);
		const { hits } = await runtime.search('docs', 'Where is the mark on the hull?', { k: 2 });
		expect(hits.map(({ documentId, rerankScore }) => [documentId, rerankScore])).toEqual([
			['two.md', 16],
			['one.md', 1],
		]);
	},
);
