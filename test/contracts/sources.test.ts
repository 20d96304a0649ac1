import { expect, test } from 'vitest';
import { loadProject } from '../../src/app/load-project.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

async function load(source: string) {
	const yaml = VALID_PROJECT['plimsoll.yaml']?.replace('{kind: folder, path: docs}', source) ?? '';
	return loadProject(await projectFolder({ ...VALID_PROJECT, 'plimsoll.yaml': yaml }), { TOKEN: 'Bearer very-secret' });
}

test('a site and what is pushed are sources with safe defaults', async () => {
	const site = await load(
		'{kind: sitemap, urls: ["https://docs.example.com/sitemap.xml"], authorization: {env: TOKEN}}',
	);
	expect(site.value?.config.collections.get('docs')?.sources).toMatchObject([
		{ allow: [], privateAddresses: 'refuse', authorization: 'Bearer very-secret', trustLastmod: false, depthMax: 3 },
	]);
	const near = await load('{kind: sitemap, urls: ["http://10.0.0.7/sitemap.xml"], private_addresses: allow}');
	expect(near.ok).toBe(true);
	const pushed = await load('{kind: push}');
	expect(pushed.value?.config.collections.get('docs')?.sources).toMatchObject([
		{ name: 'manual', kind: 'push', documentBytesMax: 8_388_608, storedBytesMax: 1_073_741_824, batchMs: 1_000 },
	]);
});

test.each([
	['a site without an address', '{kind: sitemap, urls: []}', 'urls'],
	[
		'a site of another scheme',
		'{kind: sitemap, urls: ["ftp://docs.example.com/sitemap.xml"]}',
		'an address such as https://docs.example.com/sitemap.xml',
	],
	['a password in an address', '{kind: sitemap, urls: ["https://me:very-secret@example.com/"]}', 'holds a password'],
	[
		'a secret in the file',
		'{kind: sitemap, urls: ["https://x.test/"], authorization: very-secret}',
		'holds the secret itself',
	],
	[
		'an address in place of a host',
		'{kind: sitemap, urls: ["https://x.test/"], allow: ["https://x.test"]}',
		'a host such as',
	],
	['a site on this machine', '{kind: sitemap, urls: ["http://127.0.0.1:8000/s.xml"]}', 'private_addresses: allow'],
	[
		'one by its name',
		'{kind: sitemap, urls: ["https://x.test/", "http://localhost/"]}',
		'urls[1]: localhost is of this',
	],
	[
		'a site where a cloud keeps secrets',
		'{kind: sitemap, urls: ["http://169.254.169.254/"], private_addresses: allow}',
		'is link-local',
	],
	['a document above what a body holds', '{kind: push, document_bytes_max: 33554433}', 'document_bytes_max'],
	['a key of another kind', '{kind: push, path: docs}', 'path'],
])('%s is refused at its place', async (_, source, message) => {
	const loaded = await load(source);
	const told = loaded.ok ? '' : loaded.problems.map((problem) => formatProblem(problem)).join('\n');
	expect(told).toContain(message);
	expect(told).toMatch(/plimsoll\.yaml:13:/);
	expect(told).not.toContain('very-secret');
});
