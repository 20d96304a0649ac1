import * as z from 'zod';
import { documentRules } from './document-schema.ts';
import { BYTES, integer, text } from './fields.ts';

const path = text(1, 4_000, {
	description: 'Relative to plimsoll.yaml, or absolute.',
	examples: ['docs'],
	'x-expected': 'a path',
});
const GLOBS_OF_OLD = ['**/*.md', '**/*.markdown', '**/*.html', '**/*.htm', '**/*.txt', '**/*.pdf'];
const INCLUDE_DEFAULT = [...GLOBS_OF_OLD, '**/*.docx', '**/*.csv'];

/** The globs of a folder as a release's hash knows them: the default counts as what it was when releases began. */
export function hashedGlobs(include: readonly string[]): readonly string[] {
	return include.join('\n') === INCLUDE_DEFAULT.join('\n') ? GLOBS_OF_OLD : include;
}

const globs = (description: string) => z.array(z.string().min(1).max(1_000)).max(256).meta({ description });

const documents = documentRules
	.meta({ description: 'What its documents must be, in place of what the collection says.' })
	.optional();

/** One source of a collection. */
export const source = z
	.discriminatedUnion('kind', [
		z.strictObject({
			kind: z
				.literal('folder')
				.meta({ description: 'A folder of files: Markdown, HTML, text, PDF, Word, CSV and source code.' }),
			path,
			include: globs('Which files, as globs relative to `path`.').default([...INCLUDE_DEFAULT]),
			exclude: globs('Which of them not.').default(['**/node_modules/**', '**/.*', '**/.*/**']),
			file_bytes_max: integer(1, 1_073_741_824, {
				description: 'Larger files are reported as failed and left out.',
				'x-unit': BYTES,
			}).default(33_554_432),
			documents,
		}),
		z.strictObject({
			kind: z.literal('jsonl').meta({ description: 'One file with a JSON object on each line.' }),
			path: path.meta({ examples: ['tickets.jsonl'] }),
			id_field: text(1, 200, { description: 'Member that identifies the document.' }).default('id'),
			text_field: text(1, 200, { description: 'Member with its text.' }).default('text'),
			title_field: text(1, 200, { description: 'Member with its title; null when there is none.' })
				.nullable()
				.default(null),
			line_bytes_max: integer(1, 268_435_456, {
				description: 'Longer lines are reported as failed and left out.',
				'x-unit': BYTES,
			}).default(1_048_576),
			documents,
		}),
	])
	.meta({ description: 'Where documents come from.' });
