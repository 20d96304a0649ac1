import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A small valid project: one feature over one collection, answered in process. */
export const VALID_PROJECT: Readonly<Record<string, string>> = {
	'plimsoll.yaml': `upstreams:
  local/extractive:
    family: extractive
  openai/default:
    family: openai-compatible
    optional: true
    base_url: {env: OPENAI_BASE_URL, default: https://api.openai.com/v1}
    model: gpt-test
    api_key: {env: OPENAI_API_KEY}
collections:
  docs:
    sources:
      manual: {kind: folder, path: docs}
`,
	'features/ask/contract.yaml': `owner: docs-team
retrieval:
  collection: docs
models:
  route: [openai/default, local/extractive]
`,
	'features/ask/prompts/answer.prompt': `---
plimsoll.version: 1.0.0
plimsoll.owner: docs-team
plimsoll.changelog:
  1.0.0: first
---
{{role "system"}}
Answer from the passages.
{{#each passages}}
[{{number}}] {{text}}
{{/each}}
{{history}}
{{role "user"}}
{{question}}
`,
};

/** A temporary folder with these files, removed when the test ends. */
export async function projectFolder(
	files: Readonly<Record<string, string | Uint8Array>> = VALID_PROJECT,
): Promise<string> {
	const dir = await mkdtemp(join(tmpdir(), 'plimsoll-project-'));
	onTestFinished(() => rm(dir, { recursive: true, force: true }));
	for (const [file, content] of Object.entries(files)) await writeInto(dir, file, content);
	return dir;
}

export async function writeInto(dir: string, file: string, content: string | Uint8Array): Promise<void> {
	await mkdir(dirname(join(dir, file)), { recursive: true });
	await writeFile(join(dir, file), content);
}
