import { ONNX_PACKAGE } from '../../src/retrieval/onnx/onnx-thread.ts';

/** Whether models can run in this process. */
export const ONNX_INSTALLED = await import(ONNX_PACKAGE).then(
	() => true,
	() => false,
);
export const ONNX_NEEDED = `needs the optional package ${ONNX_PACKAGE}`;
