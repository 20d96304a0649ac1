import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkOutputSchema } from '../../src/contracts/output-schema.ts';
import { compileOutputSchema } from '../../src/guards/output-schema.ts';
import { NO_SHARED_DATA, sharedData } from '../support/shared-data.ts';

interface Group {
	readonly description: string;
	readonly schema: unknown;
	readonly tests: readonly { readonly description: string; readonly data: unknown; readonly valid: boolean }[];
}

const folder = sharedData('json-schema-test-suite');
const dir = `${folder}/tests/draft2020-12`;

/** Every required test through the check of files and the guard, both as the product configures them. */
function runSuite() {
	const found = { passed: 0, refused: [] as string[], failed: [] as string[] };
	for (const file of readdirSync(dir).filter((name) => name.endsWith('.json'))) {
		for (const { description, schema, tests } of JSON.parse(readFileSync(`${dir}/${file}`, 'utf8')) as Group[]) {
			const name = `${file} › ${description}`;
			// A contract's schema is an object; `true` and `false` are what they are in an allOf.
			const asked = typeof schema === 'object' ? schema : { allOf: [schema] };
			const text = JSON.stringify(asked);
			const { problems } = checkOutputSchema({ file: name, bytes: Buffer.from(text), text });
			// Unknown keywords are refused as typing errors; the suite has them on purpose, and the guard passes over them.
			const grave = problems.filter(
				({ message }) => !/strict mode: (?:unknown keyword|.*without|.*ignored)/.test(message),
			);
			if (grave.length > 0) {
				found.refused.push(`${name}: ${grave[0]?.message}`);
				continue;
			}
			const check = compileOutputSchema(asked as Record<string, unknown>);
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
		test('every required test passes whose schema is not refused by name, but that formats are held to', () => {
			const { passed, refused, failed } = runSuite();
			expect({ passed, refused, failed }).toMatchSnapshot();
		});
	},
);
