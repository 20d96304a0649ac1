import { parentPort, workerData } from 'node:worker_threads';
import { loadModel, messageOf, Refused } from './load-model.ts';
import type { FromOnnx, OnnxStart, ToOnnx } from './onnx-protocol.ts';

const start: OnnxStart = workerData;
const tell = (message: FromOnnx, moved: ArrayBuffer[] = []) => parentPort?.postMessage(message, moved);

try {
	const { facts, run } = await loadModel(start);
	// The other side sends the next input when it has this one's answer.
	let last = Promise.resolve();
	parentPort?.on('message', (input: ToOnnx) => {
		if (input === 'close') void last.then(() => parentPort?.close());
		else
			last = run(input).then(
				(output) => tell({ kind: 'answer', output }, [output.buffer as ArrayBuffer]),
				(cause: unknown) => tell({ kind: 'failed', reason: messageOf(cause) }),
			);
	});
	tell({ kind: 'ready', facts });
} catch (thrown) {
	const refusal =
		thrown instanceof Refused
			? thrown.refusal
			: ({ code: 'configuration_invalid', reason: messageOf(thrown) } as const);
	tell({ kind: 'refused', refusal });
}
