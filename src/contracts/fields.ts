import * as z from 'zod';

/** Annotations of a field: they become the manual, the editor schema and the text of problems. */
interface About {
	readonly description: string;
	readonly examples?: readonly unknown[];
	readonly 'x-unit'?: string;
	readonly 'x-expected'?: string;
	readonly 'x-default'?: string;
}

export const MILLISECONDS = 'milliseconds';
export const TOKENS = 'tokens';
export const BYTES = 'bytes';
export const SECRET_EXPECTED = '{env: NAME} or {file: path}';

/** An integer in [min, max] with a unit. */
export function integer(min: number, max: number, about: About) {
	return z
		.int()
		.min(min)
		.max(max)
		.meta({ ...about });
}

/** A finite number in [min, max]. */
export function decimal(min: number, max: number, about: About) {
	return z
		.number()
		.min(min)
		.max(max)
		.meta({ ...about });
}

/** A share in (0, 1]. */
export function share(about: About) {
	return z
		.number()
		.gt(0)
		.max(1)
		.meta({ ...about });
}

export function text(min: number, max: number, about: About) {
	return z
		.string()
		.min(min)
		.max(max)
		.meta({ ...about });
}

/** A model that is run in this process; `modelPlace` reads it. */
export function localModel(example: string) {
	return text(1, 1_000, {
		description: 'A folder (starting with ./ or / or ../) or a hub id.',
		examples: [example],
	});
}

/** A name that also works as a folder, a label and a part of a URL. */
export const NAME_PATTERN = /^[a-z][a-z0-9-]{0,63}$/;
export const NAME_EXPECTED = 'a lower-case name of letters, digits and hyphens, starting with a letter';

export const nameKey = z.string().regex(NAME_PATTERN).meta({ 'x-expected': NAME_EXPECTED });

export const upstreamName = z
	.string()
	.regex(/^[a-z0-9][a-z0-9._-]{0,63}\/[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/)
	.meta({ 'x-expected': 'the name of an upstream, such as openai/default' });
