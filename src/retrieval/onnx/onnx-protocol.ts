/** What the thread is to load. */
export interface OnnxStart {
	/** `embed`: a vector for each text; `rerank`: a score for each text, read together with the query. */
	readonly task: 'embed' | 'rerank';
	/** A folder, absolute; or a hub id. */
	readonly model: string;
	/** Where models from the hub are kept. */
	readonly cacheDir: string;
	/** The optional package that reads the model. */
	readonly packageName: string;
}

export interface ModelFacts {
	/** Of the bytes of a folder's model; `main` for one of the hub. */
	readonly revision: string;
	readonly dtype: 'fp32' | 'q8';
	/** The longest text that it reads. */
	readonly tokensMax: number;
}

export interface OnnxInput {
	readonly texts: readonly string[];
	/** Of `rerank`; null: each text is read alone. */
	readonly query: string | null;
}

/** A table of numbers, one row for each text. */
export interface OnnxOutput {
	readonly data: Float32Array;
	readonly dims: readonly number[];
}

/** Why a model is not used. */
export interface OnnxRefusal {
	readonly code: 'dependency_missing' | 'configuration_invalid';
	/** Completes "… cannot be used: ". */
	readonly reason: string;
}

export type FromOnnx =
	| { readonly kind: 'ready'; readonly facts: ModelFacts }
	| { readonly kind: 'refused'; readonly refusal: OnnxRefusal }
	| { readonly kind: 'answer'; readonly output: OnnxOutput }
	| { readonly kind: 'failed'; readonly reason: string };
