import { functionCall } from '../../base/function-call.ts';

interface NumberedCall {
	readonly said: number | null;
	readonly id: string;
}

/**
 * Numbers the calls of a stream as clients put them together: by `index` alone, in order of appearance. Endpoints leave
 * it out, begin it at 1, or give several calls the same one, which would run into each other; another id is another call.
 */
export class CallNumbers {
	readonly #calls: NumberedCall[] = [];

	/** The same list where nothing is wrong with it. Arguments that are an object become the text that they stand for. */
	sound(pieces: readonly unknown[]): readonly unknown[] {
		let isSame = true;
		const numbered = pieces.map((piece) => {
			const { index: said, id, args } = functionCall(piece);
			const index = this.#numberOf(said, id);
			const { function: inner } = piece as { function?: { arguments?: unknown } };
			const isText = typeof (inner?.arguments ?? '') === 'string';
			if (said === index && isText) return piece;
			isSame = false;
			const text = isText ? {} : { function: { ...inner, arguments: args } };
			return { ...(piece as object), index, ...text };
		});
		return isSame ? pieces : numbered;
	}

	#numberOf(said: number | null, id: string): number {
		// A piece that names no call goes on with the last one of its number.
		const known = this.#calls.findLastIndex((call) => call.said === said && (id === '' || call.id === id));
		if (known !== -1) return known;
		const last = this.#calls.length - 1;
		if (said === null && id === '' && last >= 0) return last;
		return this.#calls.push({ said, id }) - 1;
	}
}
