import { isObject, type Json } from '../exchange/json.ts';
import { AnswerShapeError, parseObject } from '../openai-compatible/answer.ts';

/** The embeddings of an OpenAI answer in the order of the texts, whatever order the endpoint chose. Throws AnswerShapeError. */
export function rowsByIndex(data: readonly unknown[], count: number): readonly unknown[] {
	assertCount(data.length, count);
	const rows = new Array<unknown>(count);
	const taken = new Set<number>();
	for (const [place, one] of data.entries()) {
		const { index, embedding } = isObject(one) ? one : { index: null, embedding: null };
		if (typeof index !== 'number' || !Number.isInteger(index)) {
			throw new AnswerShapeError(`data[${place}] does not say the index of its text`);
		}
		if (index < 0 || index >= count || taken.has(index)) {
			throw new AnswerShapeError(`the index ${index} is out of range or comes twice`);
		}
		taken.add(index);
		rows[index] = embedding;
	}
	return rows;
}

/** Throws AnswerShapeError unless there is one embedding for each text. */
export function assertCount(found: number, count: number): void {
	if (found === count) return;
	throw new AnswerShapeError(`${found} embeddings for ${count} texts`);
}

/** A provider's count of tokens; null for anything else. */
export function providerTokens(value: unknown): number | null {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** Python's servers write numbers that are none as they are, which is no JSON. */
const NOT_NUMBERS = /([[,:]\s*)-?(?:NaN|Infinity)(?=\s*[,\]}])/g;

/**
 * The JSON object of an answer, where numbers that are none stand as null, so that the text that has one can be named.
 * Throws AnswerShapeError.
 */
export function parseNumbers(raw: string): Json {
	try {
		return parseObject(raw.includes('NaN') || raw.includes('Infinity') ? raw.replace(NOT_NUMBERS, '$1null') : raw);
	} catch (cause) {
		// What stands there instead is for the operator: clients of a search are told this message.
		throw new AnswerShapeError('it is not a JSON object', { cause });
	}
}
