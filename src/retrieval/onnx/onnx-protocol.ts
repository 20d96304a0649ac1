/** What the thread is to load. */
export interface OnnxStart {
	/** `embed`: a text’s vector; `rerank`: its score, read together with the query. */
	readonly task: 'embed' | 'rerank';
	/** A folder, absolute; or a hub id. */
	readonly model: string;
	/** Where models from the hub are kept. */
	readonly cacheDir: string;
	/** The optional package that reads the model. */
	readonly packageName: string;
}

export interface ModelFacts {
	/** Of the bytes of a folder's model, or `main` for one of the hub; and its numbers, `fp32` or `q8`. */
	readonly revision: string;
	/** The longest text that it reads. */
	readonly tokensMax: number;
}

/**
 * One text at a time: on a CPU a batch gains nothing, and what a quantised model makes of a text would depend on the company that
 * it comes in, since the scale of its activations is of the whole batch (cosines of 0.993, measured with all-MiniLM-L6-v2).
 */
export interface OnnxInput {
	readonly text: string;
	/** Of `rerank`; null: the text is read alone. */
	readonly query: string | null;
}

/** The vector, or the score alone. */
export type OnnxOutput = Float32Array;

/** Why a model is not used. */
export interface OnnxRefusal {
	readonly code: 'dependency_missing' | 'configuration_invalid';
	/** Completes "… cannot be used: ". */
	readonly reason: string;
}

/** `close` ends the thread when it has answered. */
export type ToOnnx = OnnxInput | 'close';

export type FromOnnx =
	| { readonly kind: 'ready'; readonly facts: ModelFacts }
	| { readonly kind: 'refused'; readonly refusal: OnnxRefusal }
	| { readonly kind: 'answer'; readonly output: OnnxOutput }
	| { readonly kind: 'failed'; readonly reason: string };
