/**
 * Writes every file that is generated from the code: the JSON Schemas for editors and the reference pages.
 * `node scripts/generate.ts` writes them; with `--check` it writes nothing and fails when one is stale.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { contractJsonSchema } from '../src/contracts/contract-schema.ts';
import { flagsJsonSchema } from '../src/contracts/flags-schema.ts';
import { priceListJsonSchema } from '../src/contracts/price-schema.ts';
import { projectJsonSchema } from '../src/contracts/project-schema.ts';
import { scriptJsonSchema } from '../src/mock-upstream/script-schema.ts';
import { editorSchema } from './reference/editor-schema.ts';
import { errorPage } from './reference/error-page.ts';
import { failurePage } from './reference/failure-page.ts';
import { familyPage } from './reference/family-page.ts';
import { indexStorePage } from './reference/index-store-page.ts';
import { metricsPage } from './reference/metrics-page.ts';
import { referencePage } from './reference/reference-page.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Contents of every generated file by its path from the root of the repository. */
export function generatedFiles(): ReadonlyMap<string, string> {
	return new Map([
		['schemas/plimsoll.schema.json', json(editorSchema(projectJsonSchema, { references: true }))],
		['schemas/contract.schema.json', json(editorSchema(contractJsonSchema, { references: false }))],
		['schemas/flags.schema.json', json(editorSchema(flagsJsonSchema, { references: false }))],
		['docs/reference/configuration.md', referencePage(projectJsonSchema, 'plimsoll.yaml')],
		['docs/reference/contract.md', referencePage(contractJsonSchema, 'contract.yaml')],
		['schemas/prices.schema.json', json(editorSchema(priceListJsonSchema, { references: false }))],
		['schemas/mock-upstream.schema.json', json(editorSchema(scriptJsonSchema, { references: false }))],
		['docs/reference/mock-upstream.md', referencePage(scriptJsonSchema, 'faults.yaml')],
		['docs/reference/flags.md', referencePage(flagsJsonSchema, 'flags.yaml')],
		['docs/reference/errors.md', errorPage()],
		['docs/reference/failures.md', failurePage()],
		['docs/reference/model-families.md', familyPage()],
		['docs/reference/index-stores.md', indexStorePage()],
		['docs/reference/metrics.md', metricsPage()],
	]);
}

/** Paths of the generated files whose content on disk is not what the code would write. */
export async function staleFiles(): Promise<readonly string[]> {
	const stale: string[] = [];
	for (const [path, content] of generatedFiles()) {
		const current = await readFile(join(ROOT, path), 'utf8').catch(() => null);
		if (current !== content) stale.push(path);
	}
	return stale;
}

async function main(check: boolean): Promise<void> {
	const stale = await staleFiles();
	if (check) {
		for (const path of stale) console.error(`${path} is stale; run node scripts/generate.ts`);
		if (stale.length > 0) process.exitCode = 1;
		return;
	}
	const files = generatedFiles();
	for (const path of stale) {
		await mkdir(dirname(join(ROOT, path)), { recursive: true });
		await writeFile(join(ROOT, path), files.get(path) ?? '');
		console.log(`wrote ${path}`);
	}
}

function json(value: object): string {
	return `${JSON.stringify(value, null, '\t')}\n`;
}

if (import.meta.main) await main(process.argv.includes('--check'));
