import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { loadProject } from '../../src/app/load-project.ts';
import { formatProblem } from '../../src/spec/problem.ts';
import { flatPrice } from '../support/prices.ts';
import { projectFolder, VALID_PROJECT } from '../support/project-folder.ts';

const FULL = `server:
  port: 4600
upstreams:
  openai/default:
    family: openai-compatible
    base_url: https://example.test/v1/
    model: m
    api_key: {env: KEY}
    price:
      version: v1
      input_usd_per_million: 0.15
      output_usd_per_million: 0.6
  local/extractive:
    family: extractive
embedders:
  small:
    family: builtin
collections:
  docs:
    embedder: small
    sources:
      manual: {kind: folder, path: docs}
    search:
      vector_weight: 0.3
`;
const SECRET = 'sk-very-secret-value';

async function load(text: string, env: Record<string, string> = { KEY: SECRET }) {
	return loadProject(await projectFolder({ 'plimsoll.yaml': text }), env);
}

async function problemsOf(text: string, env?: Record<string, string>): Promise<string[]> {
	return (await load(text, env)).problems.map(formatProblem);
}

test('the file that the cases below break is valid', async () => {
	expect(await problemsOf(FULL)).toEqual([]);
});

test.each([
	['a port out of range', 'port: 4600', 'port: 70000', ':2:9: server.port: found 70000', 'an integer from 0 to 65535'],
	[
		'an unknown family',
		'family: extractive',
		'family: extractiv',
		':14:13: upstreams.local/extractive.family',
		'did you mean extractive?',
	],
	[
		'a key of another family',
		'family: extractive',
		'family: extractive\n    base_url: http://x',
		':15:5: upstreams.local/extractive.base_url: unknown key',
		'',
	],
	[
		'an upstream without a slash',
		'local/extractive:',
		'extractive:',
		':13:3: upstreams.extractive: is not a valid name',
		'such as openai/default',
	],
	['a collection with a capital', '  docs:', '  Docs:', ':19:3: collections.Docs: is not a valid name', 'lower-case'],
	[
		'an address that is none',
		'https://example.test/v1/',
		'example.test',
		':6:15: upstreams.openai/default.base_url',
		'http or https',
	],
	[
		'an address with a password',
		'https://example',
		'https://u:pw@example',
		':6:15: upstreams.openai/default.base_url: holds a user name or password',
		'api_key',
	],
	[
		'a negative price',
		'0.15',
		'-0.15',
		':11:30: upstreams.openai/default.price.input_usd_per_million: found -0.15',
		'US dollars per million tokens',
	],
	[
		'a price finer than a micro-dollar',
		'0.15',
		'0.00000015',
		':11:30: upstreams.openai/default.price.input_usd_per_million: is finer',
		'',
	],
	[
		'an embedder that nobody has',
		'embedder: small',
		'embedder: smal',
		':20:15: collections.docs.embedder: there is no embedder smal',
		'did you mean small?',
	],
	[
		'vectors without an embedder',
		'embedder: small',
		'embedder: null',
		':24:22: collections.docs.search.vector_weight: 0.3 gives weight',
		'',
	],
	[
		'an access field that no document declares',
		'    embedder: small',
		'    embedder: small\n    documents: {fields: {tenant_name: {type: text}, readers: {type: labels}}}\n    access: {tenant_field: tenant_nam}',
		':22:28: collections.docs.access.tenant_field: there is no field of type text tenant_nam',
		'did you mean tenant_name?',
	],
	[
		'an access field of another type',
		'    embedder: small',
		'    embedder: small\n    documents: {fields: {readers: {type: text}}}\n    access: {acl_field: readers}',
		':22:25: collections.docs.access.acl_field: there is no field of type labels readers',
		'readers is text',
	],
	[
		'a partition by a field that only another collection could have',
		'    embedder: small',
		'    embedder: small\n    partition: {by: product}',
		':21:21: collections.docs.partition.by: there is no field product',
		'declare it under documents.fields',
	],
	[
		'one field of two types',
		'manual: {kind: folder, path: docs}',
		'manual: {kind: folder, path: docs, documents: {fields: {year: {type: number}}}}\n    documents: {fields: {year: {type: text}}}',
		':22:76: collections.docs.sources.manual.documents.fields.year.type: year is number here and text in documents',
		'',
	],
	[
		'freshness by a field that is no time',
		'    embedder: small',
		'    embedder: small\n    documents: {freshness: {field: updated, max_age_days: 3}}',
		':21:36: collections.docs.documents.freshness.field: there is no field of type time updated',
		'one of updated_at',
	],
	['a source of no kind', 'kind: folder, ', '', ':22:7: collections.docs.sources.manual.kind: is missing', ''],
	[
		'no source',
		'      manual: {kind: folder, path: docs}\n',
		'      {}\n',
		':22:7: collections.docs.sources: names no source',
		'',
	],
	[
		'optional without a variable',
		'family: openai-compatible\n    base_url: https://example.test/v1/\n    model: m\n    api_key: {env: KEY}',
		'family: openai-compatible\n    base_url: https://example.test/v1/\n    model: m\n    optional: true',
		':8:15: upstreams.openai/default.optional: an optional upstream must refer',
		'',
	],
	[
		'a word for true',
		'model: m',
		'model: m\n    optional: yes',
		':8:15: upstreams.openai/default.optional: found the text "yes"',
		'write true',
	],
	[
		'a mistyped reference',
		'{env: KEY}',
		'{env: KEY, defualt: x}',
		':8:25: upstreams.openai/default.api_key.defualt: unknown key of a reference',
		'',
	],
	[
		'a variable name with a dash',
		'{env: KEY}',
		'{env: MY-KEY}',
		':8:20: upstreams.openai/default.api_key.env: found',
		'environment variable',
	],
	[
		'a secret file that is not there',
		'{env: KEY}',
		'{file: key.txt}',
		':8:14: upstreams.openai/default.api_key: the file key.txt does not exist',
		'',
	],
	[
		'a variable that is not set',
		'{env: KEY}',
		'{env: OTHER}',
		':8:14: upstreams.openai/default.api_key: the environment variable OTHER is not set',
		'set it',
	],
	[
		'chunks shorter than their least',
		'embedder: small',
		'embedder: small\n    chunker: {tokens_max: 32}',
		':21:27: collections.docs.chunker.tokens_max: tokens_min (64) is not below',
		'',
	],
	[
		'an answer longer than the context',
		'model: m',
		'model: m\n    context_tokens_max: 1000\n    tokens_out_max: 1000',
		':9:21: upstreams.openai/default.tokens_out_max: 1000 leaves no room',
		'',
	],
])('%s is named with its place', async (_, from, to, place, help) => {
	expect(FULL).toContain(from);
	const problems = await problemsOf(FULL.replace(from, to));
	const named = problems.filter((problem) => problem.startsWith(`plimsoll.yaml${place}`));
	expect(named, problems.join('\n')).toHaveLength(1);
	expect(named[0]).toContain(help);
});

test.each([
	['a literal key', `api_key: ${SECRET}`, {}],
	['a default key', `api_key: {env: KEY, default: ${SECRET}}`, {}],
	['a key with a line break', 'api_key: {env: KEY}', { KEY: `${SECRET}\nx` }],
	['a model that is too long', `api_key: {env: KEY}\n    connections_max: {env: MAX}`, { KEY: SECRET, MAX: SECRET }],
])('%s is refused and never shown', async (_, field, env: Record<string, string>) => {
	const problems = await problemsOf(FULL.replace('api_key: {env: KEY}', field), env);
	expect(problems).toHaveLength(1);
	expect(problems[0]).not.toContain('very-secret');
});

test('a literal key is told where it belongs', async () => {
	expect(await problemsOf(FULL.replace('{env: KEY}', SECRET))).toEqual([
		'plimsoll.yaml:8:14: upstreams.openai/default.api_key: holds the secret itself (expected {env: NAME} or {file: path}; take it out of the file, and out of git)',
	]);
});

test('variables become numbers and booleans where the schema wants them, and stay text elsewhere', async () => {
	const text = FULL.replace('port: 4600', 'port: {env: PORT}').replace(
		'model: m',
		'model: {env: MODEL}\n    optional: {env: OPT}',
	);
	const { value, problems } = await load(text, { KEY: SECRET, PORT: '8080', MODEL: '123', OPT: 'true' });
	expect(problems).toEqual([]);
	expect(value?.config.server.port).toBe(8080);
	expect(value?.config.upstreams.get('openai/default')).toMatchObject({
		model: '123',
		available: true,
		apiKey: SECRET,
	});
	expect(await problemsOf(text, { KEY: SECRET, PORT: 'http', MODEL: 'm', OPT: 'true' })).toEqual([
		expect.stringContaining('server.port: found the environment variable PORT (expected an integer'),
	]);
});

test('an empty variable counts as unset, and an inherited name is no variable', async () => {
	expect(await problemsOf(FULL, { KEY: '' })).toEqual([expect.stringContaining('KEY is not set')]);
	const text = FULL.replace('{env: KEY}', '{env: toString}');
	expect(await problemsOf(text, {})).toEqual([expect.stringContaining('toString is not set')]);
});

test('a key can come from a file, without its line break', async () => {
	const dir = await projectFolder({
		'plimsoll.yaml': FULL.replace('{env: KEY}', '{file: secrets/key}'),
		'secrets/key': `${SECRET}\n`,
	});
	const { value } = await loadProject(dir, {});
	expect(value?.config.upstreams.get('openai/default')?.apiKey).toBe(SECRET);
});

test('prices are integers of micro-dollars, and cached input costs as input unless it says otherwise', async () => {
	const { value } = await load(FULL);
	expect(value?.config.upstreams.get('openai/default')?.price).toEqual(flatPrice('v1', 150_000, 600_000));
});

test('an optional upstream is available exactly when a variable of its key or address is set', async () => {
	const optional = `upstreams:
  a/b:
    family: openai-compatible
    optional: true
    base_url: {env: URL}
    model: {env: MODEL, default: m}
    api_key: {env: KEY}
`;
	const state = async (env: Record<string, string>) => {
		const { value, problems } = await load(optional, env);
		const upstream = value?.config.upstreams.get('a/b');
		return upstream ? [upstream.available, upstream.baseUrl, upstream.apiKey] : problems.map(formatProblem);
	};
	expect(await state({})).toEqual([false, null, null]);
	expect(await state({ MODEL: 'only-a-name' })).toEqual([false, null, null]);
	expect(await state({ URL: 'http://127.0.0.1:11434/v1' })).toEqual([true, 'http://127.0.0.1:11434/v1', null]);
	expect(await state({ URL: 'http://h/v1', KEY: 'k' })).toEqual([true, 'http://h/v1', 'k']);
	expect(await state({ KEY: 'k' })).toEqual([expect.stringContaining('the environment variable URL is not set')]);
});

test('vectors weigh in by default only where an embedder is named that measured better than words alone', async () => {
	const weightOf = async (embedder: string) => {
		const { value } = await load(`upstreams:
  local/extractive: {family: extractive}
embedders:
  words: {family: builtin}
  small: {family: local, model: Xenova/all-MiniLM-L6-v2, dimensions: 384}
collections:
  docs: {sources: {manual: {kind: folder, path: docs}}${embedder}}
`);
		return value?.config.collections.get('docs')?.search.vectorWeight;
	};
	expect(await weightOf('')).toBe(0);
	expect(await weightOf(', embedder: words')).toBe(0);
	expect(await weightOf(', embedder: small')).toBe(0.3);
});

test('an alias of an embedder that something else is called by is refused, and so is a price that is none', async () => {
	const hosted = (rest: string) => `upstreams:
  local/extractive: {family: extractive}
embedders:
  words: {family: builtin, aliases: [wide]}
  hosted: {family: openai-compatible, base_url: http://h/v1, model: m, dimensions: 64, ${rest}}
`;
	expect(
		await problemsOf(hosted('aliases: [text-embedding-3-small], price: {version: v, input_usd_per_million: 0.02}')),
	).toEqual([]);
	expect(await problemsOf(hosted('price: {free: true}'))).toEqual([]);
	for (const [alias, whose] of [
		['words', 'an embedder'],
		['wide', 'an alias of the embedder words'],
		['local/extractive', 'an upstream'],
	]) {
		const [problem] = await problemsOf(hosted(`aliases: [${alias}]`));
		expect(problem).toContain(`embedders.hosted.aliases[0]: ${alias} is the name of ${whose} already`);
	}
	for (const price of [
		'{version: v}',
		'{input_usd_per_million: 1}',
		'{version: v, free: true, input_usd_per_million: 1}',
	]) {
		const [problem] = await problemsOf(hosted(`price: ${price}`));
		expect(problem).toContain('needs version and input_usd_per_million, or free: true alone');
	}
	const [zero] = await problemsOf(hosted('price: {version: v, input_usd_per_million: 0}'));
	expect(zero).toContain('embedders.hosted.price.input_usd_per_million');
});

test('what of an embedder cannot change an answer leaves a release as it is', async () => {
	const releaseOf = async (settings: string) => {
		const files = { ...VALID_PROJECT };
		files['plimsoll.yaml'] =
			`${VALID_PROJECT['plimsoll.yaml']?.replace('  docs:\n', '  docs:\n    embedder: hosted\n')}embedders:
  hosted: {family: openai-compatible, base_url: http://h/v1, model: m, dimensions: 64, ${settings}}
`;
		const { value, problems } = await loadProject(await projectFolder(files), {});
		expect(problems).toEqual([]);
		return value?.releases.get('ask')?.hash;
	};
	const hash = await releaseOf('batch_max: 64');
	expect(await releaseOf('aliases: [other], price: {version: v, free: true}')).toBe(hash);
	expect(await releaseOf('query_prefix: "q: "')).not.toBe(hash);
});

test('an unknown key anywhere is refused at its line', async () => {
	const document = parseDocument(FULL);
	const mappings: readonly (readonly string[])[] = [
		[],
		['server'],
		['upstreams', 'openai/default'],
		['upstreams', 'openai/default', 'price'],
		['upstreams', 'local/extractive'],
		['embedders', 'small'],
		['collections', 'docs'],
		['collections', 'docs', 'search'],
		['collections', 'docs', 'sources', 'manual'],
	];
	await fc.assert(
		fc.asyncProperty(fc.constantFrom(...mappings), fc.stringMatching(/^[a-z_]{3,20}$/), async (path, suffix) => {
			const key = `x${suffix}`;
			const copy = document.clone();
			copy.setIn([...path, key], 1);
			const text = copy.toString();
			const { problems } = await load(text);
			const line = text.split('\n').findIndex((written) => new RegExp(`\\b${key}: 1`).test(written)) + 1;
			const found = problems.filter((problem) => problem.field === [...path, key].join('.'));
			expect(found.map((problem) => [problem.line, problem.message])).toEqual([[line, 'unknown key']]);
		}),
		{ numRuns: 40 },
	);
});

test('absurd limits are refused where they stand, and costs are exact', async () => {
	const limits = (text: string) => problemsOf(`limits: {${text}}\n`);
	for (const bad of [
		'requests_per_minute: -1',
		'requests_per_minute: 1.5',
		'tokens_per_minute: .nan',
		'concurrent_requests: 1e300',
		'cost_usd_per_day: -0.01',
		'cost_usd_per_day: 0.0000001',
		'cost_usd_per_month: "12"',
	]) {
		expect(await limits(bad), bad).toHaveLength(1);
	}
	const { value } = await load(`limits: {requests_per_minute: 10, cost_usd_per_day: 0.1}
organisations:
  globex: {limits: {cost_usd_per_day: 99}}
tenants:
  acme:
    organisation: globex
    limits: {requests_per_minute: null, cost_usd_per_month: 12.5}
    each_user: {concurrent_requests: 0}
`);
	expect(value?.config.limits).toEqual({
		standard: {
			organisation: null,
			suspended: false,
			tenant: [
				{ limit: 'requests_per_minute', max: 10 },
				{ limit: 'cost_usd_per_day', max: 100_000 },
			],
			keys: {},
			features: {},
			eachUser: [],
			weight: 1,
			batchKeys: [],
		},
		tenants: {
			acme: {
				organisation: 'globex',
				suspended: false,
				tenant: [
					{ limit: 'cost_usd_per_day', max: 100_000 },
					{ limit: 'cost_usd_per_month', max: 12_500_000 },
				],
				keys: {},
				features: {},
				eachUser: [{ limit: 'concurrent_requests', max: 0 }],
				weight: 1,
				batchKeys: [],
			},
		},
		organisations: { globex: [{ limit: 'cost_usd_per_day', max: 99_000_000 }] },
	});
	expect(value?.config.declared.lines).toEqual({
		organisations: { globex: { entry: 3, fields: { 'limits.cost_usd_per_day': 3 } } },
		tenants: {
			acme: {
				entry: 5,
				fields: {
					organisation: 6,
					'limits.requests_per_minute': 7,
					'limits.cost_usd_per_month': 7,
					'each_user.concurrent_requests': 8,
				},
			},
		},
	});
});

test('a tenant of an organisation that does not exist is refused: nothing would hold it', async () => {
	expect(await problemsOf('organisations:\n  globex: {}\ntenants:\n  acme:\n    organisation: globax\n')).toEqual([
		expect.stringMatching(/^plimsoll\.yaml:5:\d+: tenants\.acme\.organisation: there is no organisation globax/),
	]);
});

test('limits of a feature that does not exist are refused: they would hold nothing back', async () => {
	const problems = await problemsOf('tenants:\n  acme:\n    features:\n      ask-dogs: {requests_per_minute: 1}\n');
	expect(problems).toEqual([
		expect.stringMatching(/^plimsoll\.yaml:4:\d+: tenants\.acme\.features\.ask-dogs: there is no feature ask-dogs/),
	]);
});

test('bounds of admission that exclude each other are refused where they stand', async () => {
	const text = `server:
  concurrent_requests_max: 10
  body_bytes_max: 2097152
  buffered_bytes_max: 3000000
admission:
  adaptive_limit: {concurrent_requests_min: 11}
`;
	const problems = await problemsOf(text);
	expect(problems).toHaveLength(2);
	expect(problems[0]).toContain(':4:23: server.buffered_bytes_max: 3000000 is too little');
	expect(problems[1]).toContain('admission.adaptive_limit.concurrent_requests_min: 11 is above what may run at all');
	// A default that is above a small server's places gives way to them.
	const { value } = await load('server: {concurrent_requests_max: 10}');
	expect(value?.config.admission).toMatchObject({ concurrentRequestsMax: 10, adaptiveMin: 10 });
	const off = await load('admission: {adaptive_limit: {enabled: false}, queue: {requests_max: 8}}');
	expect(off.value?.config.admission).toMatchObject({ adaptiveMin: null, queuedPerTenantMax: 8, queuedMax: 8 });
});

test('weights and batch keys of tenants are compiled, and absurd weights refused', async () => {
	const { value } = await load('tenants: {acme: {weight: 4, batch_keys: [nightly]}, other: {}}');
	expect(value?.config.limits.tenants).toMatchObject({
		acme: { weight: 4, batchKeys: ['nightly'] },
		other: { weight: 1, batchKeys: [] },
	});
	for (const bad of ['0', '-1', '.nan', '1.5', '1e9']) {
		expect(await problemsOf(`tenants:\n  acme:\n    weight: ${bad}\n`), bad).not.toEqual([]);
	}
});
