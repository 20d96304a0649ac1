import { expect, onTestFinished, test } from 'vitest';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { LoadedFlags } from '../../src/contracts/project.ts';
import type { FlagSource } from '../../src/spec/flags.ts';
import { flagClient, flagSubject, loadedFlags } from '../support/flag-fixture.ts';
import { projectFolder } from '../support/project-folder.ts';

const SPLIT = `
flags:
  route: {variants: {fast: default, careful: careful}, default_variant: fast, rules: [{split: {percent: {fast: 50, careful: 50}}}]}
  open: {variants: {on: true, off: false}, default_variant: on}
`;

async function started(project: LoadedFlags, clock?: VirtualClock) {
	const { client, warnings } = flagClient(clock);
	onTestFinished(() => client.close());
	(await client.prepare(project)).put();
	return { client, warnings };
}

/** A provider in a project's folder, written for one test. */
async function providerOf(body: string) {
	const dir = await projectFolder({ 'provider.mjs': body });
	return { dir, provider: { module: './provider.mjs', exportName: 'Test', options: null } };
}

const methods = (resolve: string) => `
	resolveBooleanEvaluation(flag, fallback) { ${resolve} }
	resolveStringEvaluation(flag, fallback) { ${resolve} }
	resolveNumberEvaluation(flag, fallback) { ${resolve} }
	resolveObjectEvaluation(flag, fallback) { ${resolve} }`;

const routeFor = async (source: FlagSource, user: string) =>
	(await source.evaluate([{ flag: 'route', fallback: 'default' }], flagSubject({ user }), 1_000))[0]?.variant;

test('flags of flags.yaml are evaluated with variant and reason', async () => {
	const { client } = await started(loadedFlags({ flags: SPLIT }));
	const asks = [
		{ flag: 'open', fallback: true },
		{ flag: 'route', fallback: 'default' },
	];
	const [open, route] = await client.evaluate(asks, flagSubject(), 1_000);
	expect(open).toEqual({ flag: 'open', value: true, variant: 'on', reason: 'DEFAULT', error: null });
	expect(route).toMatchObject({ reason: 'SPLIT', error: null });
});

test('two replicas with one secret give every user the same, whatever the secrets of their hashes are', async () => {
	const [one, other] = [await started(loadedFlags({ flags: SPLIT })), await started(loadedFlags({ flags: SPLIT }))];
	const apart = await started(loadedFlags({ flags: SPLIT, hmacSecret: 't'.repeat(32) }));
	let moved = 0;
	for (let n = 0; n < 200; n++) {
		const [asks, user] = [[{ flag: 'route', fallback: 'default' }], `user-${n}`];
		const first = await one.client.evaluate(asks, flagSubject({ user, userHash: 'v1:a' }), 1_000);
		expect(await other.client.evaluate(asks, flagSubject({ user, userHash: 'v2:b' }), 1_000)).toEqual(first);
		if ((await routeFor(apart.client, user)) !== first[0]?.variant) moved++;
	}
	expect(moved).toBeGreaterThan(50);
});

test('users of one name in different tenants draw apart', async () => {
	const { client } = await started(loadedFlags({ flags: SPLIT }));
	const drawn = new Set<string | null | undefined>();
	for (let n = 0; n < 50; n++) {
		const subject = flagSubject({ tenantId: `tenant-${n}` });
		drawn.add((await client.evaluate([{ flag: 'route', fallback: 'x' }], subject, 1_000))[0]?.variant);
	}
	expect(drawn.size).toBe(2);
});

test('a request without a user counts by its tenant', async () => {
	const { client } = await started(loadedFlags({ flags: SPLIT }));
	const anonymous = flagSubject({ user: null, userHash: null });
	const asks = [{ flag: 'route', fallback: 'default' }];
	const first = await client.evaluate(asks, { ...anonymous, keyId: 'k1' }, 1_000);
	expect(await client.evaluate(asks, { ...anonymous, keyId: 'k2', feature: 'other' }, 1_000)).toEqual(first);
});

test('an unknown flag and a flag of another type give the fallback and say why', async () => {
	const { client } = await started(loadedFlags({ flags: SPLIT }));
	const asks = [
		{ flag: 'absent', fallback: 'here' },
		{ flag: 'open', fallback: 7 },
	];
	expect(await client.evaluate(asks, flagSubject(), 1_000)).toEqual([
		{ flag: 'absent', value: 'here', variant: null, reason: 'ERROR', error: expect.stringContaining('FLAG_NOT_FOUND') },
		{ flag: 'open', value: 7, variant: null, reason: 'ERROR', error: expect.stringContaining('TYPE_MISMATCH') },
	]);
});

test('new definitions hold for the next evaluation, by the same provider', async () => {
	const { client } = await started(loadedFlags({ flags: SPLIT }));
	const asks = [{ flag: 'open', fallback: true }];
	const next = await client.prepare(
		loadedFlags({ flags: SPLIT.replace('default_variant: on', 'default_variant: off') }),
	);
	expect((await client.evaluate(asks, flagSubject(), 1_000))[0]?.variant).toBe('on');
	next.put();
	expect((await client.evaluate(asks, flagSubject(), 1_000))[0]?.variant).toBe('off');
});

test('a provider of a package works by its name, with its options', async () => {
	const options = { open: { variants: { on: true, off: false }, defaultVariant: 'off', disabled: false } };
	const provider = { module: '@openfeature/server-sdk', exportName: 'InMemoryProvider', options };
	const { client } = await started(loadedFlags({ provider }));
	expect(await client.evaluate([{ flag: 'open', fallback: true }], flagSubject(), 1_000)).toEqual([
		{ flag: 'open', value: false, variant: 'off', reason: 'STATIC', error: null },
	]);
});

test('another maker’s provider works too', async () => {
	process.env.ANSWER_ROUTE = 'careful';
	onTestFinished(() => {
		delete process.env.ANSWER_ROUTE;
	});
	const provider = { module: '@openfeature/env-var-provider', exportName: 'EnvVarProvider', options: {} };
	const { client } = await started(loadedFlags({ provider }));
	const asks = [
		{ flag: 'answer-route', fallback: 'default' },
		{ flag: 'not-set', fallback: 'default' },
	];
	expect(await client.evaluate(asks, flagSubject(), 1_000)).toMatchObject([
		{ value: 'careful', error: null },
		{ value: 'default', reason: 'ERROR', error: expect.stringContaining('FLAG_NOT_FOUND') },
	]);
});

test('a provider learns a keyed hash and never the user', async () => {
	const { dir, provider } = await providerOf(`export class Test {
		metadata = { name: 'echo' };
		resolveStringEvaluation(flag, fallback, context) { return Promise.resolve({ value: JSON.stringify(context) }); }
		resolveBooleanEvaluation() {} resolveNumberEvaluation() {} resolveObjectEvaluation() {}
	}`);
	const { client } = await started(loadedFlags({ dir, provider }));
	const [seen] = await client.evaluate(
		[{ flag: 'any', fallback: '' }],
		flagSubject({ user: 'ada@example.org' }),
		1_000,
	);
	expect(seen?.value).not.toContain('ada@example.org');
	expect(JSON.parse(String(seen?.value))).toEqual({
		targetingKey: expect.stringMatching(/^[0-9a-f]{32}$/),
		tenant: 'acme',
		feature: 'greet',
		caller: 'key',
		key: 'k1',
		key_name: 'web-shop',
		user_hash: 'v1:ada',
	});
});

test('a provider that throws, at once or later, costs its flags and nothing else', async () => {
	for (const failure of ['throw new Error("broken")', 'return Promise.reject(new Error("broken"))']) {
		const { dir, provider } = await providerOf(`export class Test { metadata = { name: 'bad' }; ${methods(failure)} }`);
		const { client } = await started(loadedFlags({ dir, provider }));
		expect(await client.evaluate([{ flag: 'open', fallback: true }], flagSubject(), 1_000)).toEqual([
			{ flag: 'open', value: true, variant: null, reason: 'ERROR', error: expect.stringContaining('broken') },
		]);
	}
});

test('a provider that hangs is waited for no longer than the time-out, or than what is left of the deadline', async () => {
	const clock = new VirtualClock();
	const hang = `export class Test { metadata = { name: 'hung' }; ${methods('return new Promise(() => {});')} }`;
	const { dir, provider } = await providerOf(hang);
	const { client } = await started(loadedFlags({ dir, provider }), clock);
	for (const [msMax, waited] of [
		[1_000, 50],
		[20, 20],
	] as const) {
		let settled = false;
		const asked = client.evaluate([{ flag: 'open', fallback: true }], flagSubject(), msMax).finally(() => {
			settled = true;
		});
		await clock.advance(waited - 1);
		expect(settled).toBe(false);
		await clock.advance(1);
		expect(await asked).toMatchObject([
			{ value: true, reason: 'ERROR', error: expect.stringContaining(`${waited} ms`) },
		]);
	}
	expect(clock.pending).toBe(0);
});

test('what a hung provider leaves unanswered is bounded, and no burden of the provider that takes its place', async () => {
	const clock = new VirtualClock();
	const body = `let calls = 0; export class Test { metadata = { name: 'hung' };
		${methods('calls++; return new Promise(() => {});')} get calls() { return calls; } }
		export const count = () => calls;`;
	const { dir, provider } = await providerOf(body);
	const { client } = await started(loadedFlags({ dir, provider }), clock);
	const ask = () => client.evaluate([{ flag: 'open', fallback: true }], flagSubject(), 1_000);
	const many = Promise.all(Array.from({ length: 1_500 }, ask));
	await clock.advance(50);
	expect((await many).every(([result]) => result?.value === true)).toBe(true);
	const { count } = await import(`${dir}/provider.mjs`);
	expect(count()).toBe(1_000);
	expect(await ask()).toMatchObject([{ error: 'the provider does not answer' }]);
	const { dir: other, provider: lively } = await providerOf(
		`export class Test { metadata = { name: 'lively' };
		${methods('return Promise.resolve({ value: false, variant: "off" });')} }`,
	);
	(await client.prepare(loadedFlags({ dir: other, provider: lively }))).put();
	expect(await ask()).toMatchObject([{ value: false, error: null }]);
});

test('a provider that is not ready in time does not hold up the start, and works once it is', async () => {
	const clock = new VirtualClock();
	const { dir, provider } = await providerOf(`let ready; export const begin = () => ready();
		export class Test { metadata = { name: 'slow' };
		initialize() { return new Promise((resolve) => { ready = resolve; }); }
		${methods('return Promise.resolve({ value: false, variant: "off" });')} }`);
	const { client, warnings } = flagClient(clock);
	onTestFinished(() => client.close());
	const preparing = client.prepare(loadedFlags({ dir, provider }));
	let isPrepared = false;
	preparing.then(() => {
		isPrepared = true;
	});
	await expect.poll(() => clock.pending, { timeout: 20_000 }).toBe(1);
	await clock.advance(1_999);
	expect(isPrepared).toBe(false);
	await clock.advance(1);
	(await preparing).put();
	expect(warnings).toEqual([expect.stringContaining('slow is not ready after 2000 ms')]);
	const ask = () => client.evaluate([{ flag: 'open', fallback: true }], flagSubject(), 1_000);
	expect(await ask()).toMatchObject([{ value: true, reason: 'ERROR', error: expect.stringContaining('NOT_READY') }]);
	const { begin } = await import(`${dir}/provider.mjs`);
	begin();
	await clock.advance(0);
	expect(await ask()).toMatchObject([{ value: false, variant: 'off' }]);
});

test('a provider that gives way to another one is closed', async () => {
	const { dir, provider } = await providerOf(`let closed = 0; export const count = () => closed;
		export class Test { metadata = { name: 'first' }; onClose() { closed++; return Promise.resolve(); }
		${methods('return Promise.resolve({ value: fallback });')} }`);
	const { client } = await started(loadedFlags({ dir, provider }));
	const { count } = await import(`${dir}/provider.mjs`);
	(await client.prepare(loadedFlags({ dir, provider }))).put();
	expect(count()).toBe(0);
	(await client.prepare(loadedFlags({ flags: SPLIT }))).put();
	await expect.poll(count, { timeout: 20_000 }).toBe(1);
	expect(await routeFor(client, 'ada')).toBeTruthy();
});

test('what cannot be loaded is refused with what to do, and the last provider serves on', async () => {
	const { client } = await started(loadedFlags({ flags: SPLIT }));
	const dir = await projectFolder({ 'broken.mjs': 'export const Test = {', 'empty.mjs': 'export const Test = {};' });
	const refused = (module: string, exportName = 'Test') =>
		client.prepare(loadedFlags({ dir, provider: { module, exportName, options: null } })).then(
			() => null,
			(error: unknown) => error,
		);
	expect(await refused('@nobody/has-this')).toMatchObject({
		code: 'dependency_missing',
		message: expect.stringContaining('npm install @nobody/has-this'),
	});
	expect(await refused('./absent.mjs')).toMatchObject({ code: 'dependency_missing' });
	expect(await refused('./broken.mjs')).toMatchObject({ code: 'configuration_invalid' });
	expect(await refused('./empty.mjs')).toMatchObject({
		message: expect.stringContaining('makes no OpenFeature provider'),
	});
	expect(await refused('@openfeature/server-sdk', 'Nothing')).toMatchObject({
		message: expect.stringContaining('exports no Nothing'),
	});
	expect(await routeFor(client, 'ada')).toBeTruthy();
});
