import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkOutputSchema } from '../../src/contracts/output-schema.ts';
import type { SchemaReading } from '../../src/contracts/release.ts';
import { compileOutputSchema } from '../../src/guards/output-schema.ts';
import { NO_SHARED_DATA, sharedData } from '../support/shared-data.ts';

interface Group {
	readonly description: string;
	readonly schema: unknown;
	readonly tests: readonly { readonly description: string; readonly data: unknown; readonly valid: boolean }[];
}

const folder = sharedData('json-schema-test-suite');
const dir = `${folder}/tests/draft2020-12`;

/** Documents that the suite's schemas refer to, under the addresses that it gives them; those of other drafts are left out. */
function remotes(): Map<string, unknown> {
	const files = readdirSync(`${folder}/remotes`, { recursive: true, encoding: 'utf8' }).filter(
		(file) => file.endsWith('.json') && !/^(?:draft(?!2020-12)|v1)/.test(file),
	);
	return new Map(
		files.map((file) => [
			`http://localhost:1234/${file}`,
			JSON.parse(readFileSync(`${folder}/remotes/${file}`, 'utf8')),
		]),
	);
}

/** Every required test through the check of files and the guard, both as the product configures them. */
function runSuite(formats: SchemaReading['formats']) {
	const documents = remotes();
	const found = { passed: 0, refused: [] as string[], failed: [] as string[] };
	for (const file of readdirSync(dir).filter((name) => name.endsWith('.json'))) {
		for (const { description, schema, tests } of JSON.parse(readFileSync(`${dir}/${file}`, 'utf8')) as Group[]) {
			const name = `${file} › ${description}`;
			// A contract's schema is an object; `true` and `false` are what they are in an allOf.
			const text = JSON.stringify(typeof schema === 'object' ? schema : { allOf: [schema] });
			const source = { file: name, bytes: Buffer.from(text), text };
			const { value, problems } = checkOutputSchema(source, { path: 'schemas/output.json', documents, formats });
			if (value === null) {
				found.refused.push(`${name}: ${problems[0]?.message}`);
				continue;
			}
			const check = compileOutputSchema(value.schema, value.reading);
			for (const one of tests) {
				if ((check(JSON.stringify(one.data)) === null) === one.valid) found.passed++;
				else found.failed.push(`${name} › ${one.description}`);
			}
		}
	}
	return found;
}

describe.skipIf(folder === null)(
	`the JSON-Schema-Test-Suite, draft 2020-12${folder === null ? `: ${NO_SHARED_DATA}` : ''}`,
	() => {
		test('every required test passes where formats are annotations, as the draft has it', () => {
			expect(runSuite('annotation')).toEqual({ passed: 1_299, refused: [], failed: [] });
		});

		test('by default the same pass, but those that say a format asserts nothing', () => {
			const { passed, refused, failed } = runSuite('assertion');
			expect(refused).toEqual([]);
			expect(failed.filter((name) => !/^format\.json › .* is only an annotation by default$/.test(name))).toEqual([]);
			expect(passed + failed.length).toBe(1_299);
			expect(failed).toHaveLength(18);
		});
	},
);
