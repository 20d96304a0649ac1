import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { PlimsollError } from '../spec/errors.ts';

const ERRORS_SHOWN = 3;
const POINTER_CHARS_MAX = 120;

/**
 * Compiles a JSON Schema (2020-12) into a check of answers: null when the answer is JSON that satisfies it, else why not. The
 * reason names places of the answer by JSON pointer and holds no other text of it.
 * Throws PlimsollError `configuration_invalid` when the schema cannot be compiled.
 */
export function compileOutputSchema(schema: Readonly<Record<string, unknown>>): (answer: string) => string | null {
	const validate = compile(schema);
	return (answer) => {
		let value: unknown;
		try {
			value = JSON.parse(answer.trim());
		} catch {
			// The parser's own message quotes the answer.
			return 'the answer is not JSON';
		}
		try {
			return validate(value) ? null : describeErrors(validate.errors ?? []);
		} catch (error) {
			return `the answer could not be checked: ${error instanceof RangeError ? 'it is nested too deeply' : 'the schema failed on it'}`;
		}
	};
}

function compile(schema: Readonly<Record<string, unknown>>) {
	// One error ends the check: a hostile answer could otherwise hold a hundred thousand of them.
	// Members are the answer's own: no answer has a `toString` or a `constructor` by itself.
	const ajv = new Ajv2020({ strict: false, allErrors: false, logger: false, ownProperties: true });
	formats.default(ajv);
	try {
		return ajv.compile<unknown>(schema);
	} catch (error) {
		const reason = error instanceof Error ? error.message : String(error);
		throw new PlimsollError(
			'configuration_invalid',
			`guards.output_schema is not a valid JSON Schema (2020-12): ${reason}`,
			{
				cause: error,
			},
		);
	}
}

/** @param within JSON pointer of the value that was judged. */
export function describeErrors(errors: readonly ErrorObject[], within = ''): string {
	const shown = errors.slice(0, ERRORS_SHOWN).map(({ instancePath, message }) => {
		const place = within + instancePath;
		const pointer = place.length > POINTER_CHARS_MAX ? `${place.slice(0, POINTER_CHARS_MAX)}…` : place || 'the whole';
		return `${pointer} ${message ?? 'does not fit'}`;
	});
	return `the answer does not satisfy the schema: ${shown.join('; ')}`;
}
