import * as z from 'zod';
import { documentRules } from './document-schema.ts';
import { BYTES, decimal, integer, MILLISECONDS, SECRET_EXPECTED, text } from './fields.ts';

/** The largest body with documents that is taken. */
export const PUSH_BODY_BYTES_MAX = 33_554_432;

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
const secret = (description: string) =>
	z.string().meta({ description: `${description} Never written here itself.`, 'x-expected': SECRET_EXPECTED });
const name = (description: string) => text(1, 200, { description });
const optionalName = (description: string) => name(description).nullable().default(null);
const documentBytesMax = (what: string) =>
	integer(1, 1_073_741_824, { description: `Larger ${what} are reported as failed and left out.`, 'x-unit': BYTES });
const requestTimeout = integer(100, 600_000, {
	description: 'One request, with its whole answer.',
	'x-unit': MILLISECONDS,
});

const documents = documentRules
	.meta({ description: 'What its documents must be, in place of what the collection says.' })
	.optional();

const folder = z.strictObject({
	kind: z
		.literal('folder')
		.meta({ description: 'A folder of files: Markdown, HTML, text, PDF, Word, CSV and source code.' }),
	path,
	include: globs('Which files, as globs relative to `path`.').default([...INCLUDE_DEFAULT]),
	exclude: globs('Which of them not.').default(['**/node_modules/**', '**/.*', '**/.*/**']),
	file_bytes_max: documentBytesMax('files').default(33_554_432),
	documents,
});

const jsonl = z.strictObject({
	kind: z.literal('jsonl').meta({ description: 'One file with a JSON object on each line.' }),
	path: path.meta({ examples: ['tickets.jsonl'] }),
	id_field: name('Member that identifies the document.').default('id'),
	text_field: name('Member with its text.').default('text'),
	title_field: name('Member with its title; null when there is none.').nullable().default(null),
	line_bytes_max: integer(1, 268_435_456, {
		description: 'Longer lines are reported as failed and left out.',
		'x-unit': BYTES,
	}).default(1_048_576),
	documents,
});

const csv = z.strictObject({
	kind: z
		.literal('csv')
		.meta({ description: 'One CSV file; its first record names the columns, each other one is a document.' }),
	path: path.meta({ examples: ['articles.csv'] }),
	id_column: name('Column that identifies the document.').default('id'),
	text_column: name('Column with its text.').default('text'),
	title_column: optionalName('Column with its title; null when there is none.'),
	delimiter: z
		.string()
		.length(1)
		.meta({ description: 'What parts the cells.', 'x-expected': 'one character' })
		.default(','),
	encoding: name('How its text is encoded.')
		.meta({ examples: ['windows-1252'] })
		.default('utf-8'),
	record_bytes_max: integer(1, 268_435_456, {
		description: 'A longer record is reported as failed and left out.',
		'x-unit': BYTES,
	}).default(1_048_576),
	documents,
});

const postgres = z.strictObject({
	kind: z.literal('postgres').meta({ description: 'A query to PostgreSQL; each row is a document.' }),
	url: text(1, 4_000, {
		description: 'Address of the database, by reference where it holds a password.',
		'x-expected': 'a postgres address such as postgres://reader@db.internal/shop',
		examples: ['postgres://reader@db.internal/shop'],
	}),
	query: text(1, 100_000, {
		description:
			'Read in a read-only transaction. All columns but those for id, text and title become fields; give it an ORDER BY.',
		examples: ['select id, title, body, updated_at from articles order by id'],
	}),
	id_column: name('Column that identifies the document.').default('id'),
	text_column: name('Column with its text.').default('text'),
	title_column: optionalName('Column with its title; null when there is none.'),
	format: z.enum(['text', 'markdown', 'html']).meta({ description: 'How the text is read.' }).default('text'),
	connect_timeout_ms: integer(100, 600_000, { description: 'Opening a connection.', 'x-unit': MILLISECONDS }).default(
		10_000,
	),
	statement_timeout_ms: integer(100, 86_400_000, {
		description: 'One fetch of rows.',
		'x-unit': MILLISECONDS,
	}).default(300_000),
	row_bytes_max: integer(1, 268_435_456, {
		description:
			'A row with more, all columns together, is reported as failed and left out; the server does not send it.',
		'x-unit': BYTES,
	}).default(1_048_576),
	documents,
});

const s3 = z.strictObject({
	kind: z
		.literal('s3')
		.meta({ description: 'Objects in a bucket of S3 or of a store with its API; each is read as a file of its name.' }),
	endpoint: text(1, 2_000, {
		description: 'Address of the store.',
		'x-expected': 'an http or https address such as https://s3.eu-central-1.amazonaws.com',
		examples: ['https://s3.eu-central-1.amazonaws.com'],
	}),
	region: name('Region of the bucket.').default('us-east-1'),
	bucket: text(1, 255, { description: 'Its name.', examples: ['documents'] }),
	prefix: z
		.string()
		.max(1_024)
		.meta({ description: 'Only keys that begin so; ids are the keys without it.' })
		.default(''),
	include: globs('Which keys, as globs without the prefix.').default([...INCLUDE_DEFAULT]),
	exclude: globs('Which of them not.').default(['**/.*', '**/.*/**']),
	access_key_id: text(1, 200, { description: 'Names the credentials.', examples: ['AKIDEXAMPLE'] }),
	secret_access_key: secret('Their secret.').meta({ examples: [{ env: 'DOCUMENTS_SECRET_ACCESS_KEY' }] }),
	session_token: secret('Of temporary credentials.').nullable().default(null),
	object_bytes_max: documentBytesMax('objects').default(33_554_432),
	request_timeout_ms: requestTimeout.default(60_000),
	documents,
});

const webPlace = z
	.string()
	.max(2_000)
	.regex(/^(?:\*\.)?[^\s/@?#:*]+(?::\d{1,5})?(?:\/\S*)?$/)
	.meta({ 'x-expected': 'a host such as docs.example.com or *.example.com, with a glob of paths or without' });

const sitemap = z.strictObject({
	kind: z.literal('sitemap').meta({ description: 'The pages of a web site, as its sitemaps list them.' }),
	urls: z
		.array(z.string().min(1).max(2_000))
		.min(1)
		.max(100)
		.meta({
			description: 'Addresses of sitemaps or of sitemap indexes.',
			examples: [['https://docs.example.com/sitemap.xml']],
		}),
	allow: z
		.array(webPlace)
		.max(256)
		.meta({
			description:
				'The only hosts that are asked, each with the paths below it as a glob where not all are; a port other than the usual one is named. Empty: the hosts of `urls`.',
			examples: [['docs.example.com/guide/**', '*.example.org']],
		})
		.default([]),
	include: globs('Which pages, as globs of their paths without the first slash.').default(['**']),
	exclude: globs('Which of them not.').default([]),
	authorization: secret('The header `authorization`, for the origins of `urls` alone.').nullable().default(null),
	user_agent: text(1, 200, {
		description: 'What the site is told who asks; robots.txt is read for the name before its first slash.',
	}).default('plimsoll'),
	private_addresses: z
		.enum(['refuse', 'allow'])
		.meta({
			description:
				'Whether names may lead into a private network or to this machine, as an intranet needs. Link-local addresses, where clouds keep secrets, are never asked.',
		})
		.default('refuse'),
	trust_lastmod: z
		.boolean()
		.meta({
			description: 'Whether a page whose `lastmod` in the sitemap is the same as last time is not asked for at all.',
		})
		.default(false),
	pages_max: integer(1, 1_000_000, { description: 'A site that lists more cannot be used.' }).default(10_000),
	page_bytes_max: documentBytesMax('pages').default(8_388_608),
	depth_max: integer(0, 10, { description: 'How deep sitemap indexes may be nested.' }).default(3),
	concurrency_max: integer(1, 16, { description: 'Requests at once.' }).default(4),
	requests_per_second: decimal(0.01, 1_000, {
		description: 'The most requests; a `Crawl-delay` of robots.txt asks for fewer, up to one in 30 seconds.',
	}).default(5),
	request_timeout_ms: requestTimeout.default(30_000),
	total_time_ms: integer(1_000, 86_400_000, {
		description: 'Reading the whole site, with the time that its pages take to be written.',
		'x-unit': MILLISECONDS,
	}).default(3_600_000),
	documents,
});

const push = z.strictObject({
	kind: z
		.literal('push')
		.meta({ description: 'Documents that are sent to `/admin/collections/{collection}/documents` and stored here.' }),
	document_bytes_max: integer(1, PUSH_BODY_BYTES_MAX, {
		description: 'Larger documents are refused.',
		'x-unit': BYTES,
	}).default(8_388_608),
	stored_documents_max: integer(1, 100_000_000, {
		description: 'What is new beyond so many stored documents is refused.',
	}).default(1_000_000),
	stored_bytes_max: integer(1, 1_099_511_627_776, {
		description: 'What is beyond so many bytes of stored documents together is refused.',
		'x-unit': BYTES,
	}).default(1_073_741_824),
	batch_ms: integer(0, 600_000, {
		description: 'How long a run waits for further documents after the first one was sent.',
		'x-unit': MILLISECONDS,
	}).default(1_000),
	documents,
});

/** One source of a collection. */
export const source = z
	.discriminatedUnion('kind', [folder, jsonl, csv, postgres, s3, sitemap, push])
	.meta({ description: 'Where documents come from.' });

/** A source as it is written, with its defaults. */
export type RawSource = z.output<typeof source>;
