import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Feedback, FeedbackQuery } from '../../src/spec/feedback.ts';
import type { GenerationRecord, PointerChange } from '../../src/spec/generations.ts';
import { type AuditEntry, type KeyRecord, type RecordStore, type RunRecord, SCOPES } from '../../src/spec/records.ts';
import { NO_SETTINGS, type SettingsRecord } from '../../src/spec/tenants.ts';

const HOSTILE = [
	"x'; DROP TABLE keys; --",
	'" OR 1=1 --',
	'%',
	'_',
	'\u0000',
	'line\nbreak',
	'名前 🙂 é',
	'',
	'?1',
	'$id',
];

export function key(fields: Partial<KeyRecord> = {}): KeyRecord {
	return {
		id: 'k1',
		tenantId: 'acme',
		name: 'ci',
		scopes: ['invoke', 'read'],
		secretHash: 'ab'.repeat(32),
		createdAt: 1_750_000_000_000,
		revokedAt: null,
		features: null,
		expiresAt: null,
		lastUsedAt: null,
		...fields,
	};
}

export function auditEntry(fields: Partial<AuditEntry> = {}): AuditEntry {
	return {
		at: 1_750_000_000_000,
		actor: 'key:k0',
		action: 'key_created',
		subject: 'k1',
		tenantId: 'acme',
		detail: { name: 'ci', expires_at: null },
		...fields,
	};
}

function tenant(fields: Partial<Extract<SettingsRecord, { kind: 'tenant' }>> = {}): SettingsRecord {
	return {
		kind: 'tenant',
		name: 'acme',
		settings: NO_SETTINGS,
		version: 1,
		changedAt: 1_750_000_000_000,
		changedBy: 'key:k0',
		...fields,
	};
}

const ALL_RATINGS: FeedbackQuery = { tenantId: null, requestId: null, feature: null, rating: null, limit: 100 };

export function rating(fields: Partial<Feedback> = {}): Feedback {
	return {
		tenantId: 'acme',
		requestId: 'req_1',
		rater: 'v1:a',
		at: 1,
		score: 1,
		label: null,
		passages: [],
		comment: null,
		question: null,
		correctedAnswer: null,
		feature: 'ask',
		collection: 'docs',
		generation: 'docs-g1',
		chunks: ['chk_1', 'chk_2'],
		...fields,
	};
}

export function generation(fields: Partial<GenerationRecord> = {}): GenerationRecord {
	return {
		collection: 'docs',
		sequence: 1,
		generation: 'docs-g1-3fa9c2d1',
		state: 'verifying',
		table: 'docs-t',
		runId: 'run_1',
		manifest: { fusion: { kind: 'convex', weight: 0.3 }, list: [1, null, 'a'] },
		documents: 12,
		chunks: 340,
		statistics: { tokens: [1, 2] },
		verification: {
			at: 3,
			passed: true,
			checks: [{ check: 'census', passed: true, overrulable: true, message: '12 documents', detail: { stored: 12 } }],
		},
		reason: null,
		createdAt: 1,
		verifiedAt: 3,
		promotedAt: null,
		retiredAt: null,
		removedAt: null,
		...fields,
	};
}

export function move(fields: Partial<PointerChange> = {}): PointerChange {
	return {
		kind: 'promotion',
		collection: 'docs',
		sequence: 1,
		from: null,
		at: 5,
		actor: 'process',
		why: 'run run_1',
		entry: null,
		...fields,
	};
}

export function run(fields: Partial<RunRecord> = {}): RunRecord {
	return {
		id: 'run_1',
		collection: 'docs',
		startedAt: 1_750_000_000_000,
		endedAt: 1_750_000_004_000,
		outcome: 'succeeded',
		report: {
			runId: 'run_1',
			collection: 'docs',
			generation: 'gen_1',
			promoted: true,
			refused: null,
			sources: [
				{
					source: 'manual',
					seen: 4,
					new: 3,
					changed: 0,
					unchanged: 0,
					deleted: 0,
					quarantined: 0,
					failures: 1,
					repeated: 0,
					unreachable: 0,
					kept: 0,
					failed: [{ document: 'broken.pdf', reason: 'not a PDF' }],
					misfits: [],
					chunks: 9,
					tokens: 1_200,
					seconds: 0.42,
				},
			],
		},
		error: null,
		...fields,
	};
}

/** What every backend of RecordStore must do. `open` returns an empty store. */
export function recordStoreSuite(backend: string, open: () => Promise<RecordStore>): void {
	describe(`record store on ${backend}`, () => {
		let store: RecordStore;
		beforeEach(async () => {
			store = await open();
		});
		afterEach(async () => store.close());

		it('returns what was put, exactly', async () => {
			await store.putKey(key());
			await store.generations.put(generation());
			await store.putRun(run());
			expect(await store.listKeys()).toEqual([key()]);
			expect(await store.generations.list('docs', 10)).toEqual([generation()]);
			expect(await store.listRuns(null, 10)).toEqual([run()]);
		});

		it('starts empty', async () => {
			expect(await store.listKeys()).toEqual([]);
			expect(await store.generations.list(null, 10)).toEqual([]);
			expect(await store.generations.live()).toEqual([]);
			expect(await store.listRuns(null, 10)).toEqual([]);
		});

		it('lists keys oldest first, revoked ones too', async () => {
			await store.putKey(key({ id: 'b', createdAt: 2 }));
			await store.putKey(key({ id: 'c', createdAt: 3 }));
			await store.putKey(key({ id: 'a', createdAt: 1 }));
			await store.revokeKey('c', 9);
			expect((await store.listKeys()).map(({ id, revokedAt }) => [id, revokedAt])).toEqual([
				['a', null],
				['b', null],
				['c', 9],
			]);
		});

		it('writes settings as the next version of what is stored, or not at all', async () => {
			expect(await store.putSettings(tenant(), [auditEntry({ action: 'tenant_changed' })])).toBe(true);
			expect(await store.listSettings()).toEqual([tenant()]);
			for (const version of [1, 3]) {
				const changed = tenant({ version, settings: { ...NO_SETTINGS, suspended: true } });
				expect(await store.putSettings(changed, [auditEntry({ action: 'tenant_suspended' })])).toBe(false);
			}
			expect(await store.listSettings()).toEqual([tenant()]);
			expect((await store.listAudit(10)).map(({ action }) => action)).toEqual(['tenant_changed']);
			const next = tenant({
				version: 2,
				settings: { ...NO_SETTINGS, limits: { cost_usd_per_day: 0.1, tokens_per_minute: null } },
			});
			expect(await store.putSettings(next, [])).toBe(true);
			expect(await store.listSettings()).toEqual([next]);
		});

		it('revokes a tenant’s keys together with the tenant, and no other’s', async () => {
			await store.putKey(key({ id: 'a' }));
			await store.putKey(key({ id: 'b', tenantId: 'other' }));
			await store.putKey(key({ id: 'c', revokedAt: 5 }));
			await store.putSettings(tenant({ settings: null, changedAt: 9 }), []);
			const keys = await store.listKeys();
			expect(keys.map(({ id, revokedAt }) => [id, revokedAt]).sort()).toEqual([
				['a', 9],
				['b', null],
				['c', 5],
			]);
			const organisation = { ...tenant(), kind: 'organisation' as const, name: 'acme', settings: null };
			await store.putSettings(organisation, []);
			expect((await store.listSettings()).map(({ kind, settings }) => [kind, settings])).toEqual([
				['organisation', null],
				['tenant', null],
			]);
		});

		it('revokes a key once: the first time counts and keeps its instant', async () => {
			await store.putKey(key());
			expect(await store.revokeKey('k1', 100)).toBe(true);
			expect(await store.revokeKey('k1', 200)).toBe(false);
			expect(await store.revokeKey('nobody', 100)).toBe(false);
			expect((await store.listKeys())[0]?.revokedAt).toBe(100);
		});

		it('rotates a key: the new one is there, the old one ends after the overlap, and the log says so', async () => {
			await store.putKey(key());
			const entry = auditEntry({ action: 'key_rotated' });
			const replacement = key({ id: 'k2', createdAt: key().createdAt + 1 });
			expect(await store.rotateKey({ id: 'k1', at: 5, expiresAt: 105, replacement, entry })).toBe(true);
			expect(await store.listKeys()).toEqual([key({ expiresAt: 105 }), replacement]);
			expect(await store.listAudit(10)).toEqual([entry]);
		});

		it('never lengthens a life by rotation, and rotates no key that is revoked, expired or unknown', async () => {
			await store.putKey(key({ expiresAt: 50 }));
			await store.putKey(key({ id: 'gone' }));
			await store.revokeKey('gone', 3);
			const rotate = (id: string, at: number) =>
				store.rotateKey({ id, at, expiresAt: at + 100, replacement: key({ id: `${id}+` }), entry: auditEntry() });
			expect(await rotate('k1', 5)).toBe(true);
			expect((await store.listKeys()).find(({ id }) => id === 'k1')?.expiresAt).toBe(50);
			expect(await rotate('k1', 50)).toBe(false);
			expect(await rotate('gone', 5)).toBe(false);
			expect(await rotate('nobody', 5)).toBe(false);
			expect((await store.listKeys()).map(({ id }) => id).sort()).toEqual(['gone', 'k1', 'k1+']);
			expect(await store.listAudit(10)).toHaveLength(1);
		});

		it('moves last-used times forward only, and minds no key that is gone', async () => {
			await store.putKey(key());
			await store.touchKeys([
				{ id: 'k1', at: 20 },
				{ id: 'nobody', at: 1 },
			]);
			await store.touchKeys([{ id: 'k1', at: 10 }]);
			expect((await store.listKeys()).map(({ lastUsedAt }) => lastUsedAt)).toEqual([20]);
		});

		it('logs changes newest first, none for a change that was refused, and forgets what is older than 400 days', async () => {
			const day = 86_400_000;
			await store.putAudit(auditEntry({ at: 0, subject: 'old' }));
			await store.putKey(key(), auditEntry({ at: 300 * day, subject: 'made' }));
			await store.revokeKey('k1', 1, auditEntry({ at: 301 * day, subject: 'revoked' }));
			await store.revokeKey('k1', 2, auditEntry({ at: 302 * day, subject: 'again' }));
			const subjects = async (limit: number) => (await store.listAudit(limit)).map(({ subject }) => subject);
			expect(await subjects(10)).toEqual(['revoked', 'made', 'old']);
			expect(await subjects(1)).toEqual(['revoked']);
			expect(await subjects(0)).toEqual([]);
			await store.putAudit(auditEntry({ at: 401 * day, subject: 'new' }));
			expect(await subjects(10)).toEqual(['new', 'revoked', 'made']);
		});

		it('moves a collection’s pointer, keeps what moved and why, and leaves the others', async () => {
			const { generations } = store;
			const second = generation({ sequence: 2, generation: 'docs-g2-00000000' });
			for (const record of [generation(), second, generation({ collection: 'other' })]) await generations.put(record);
			expect(await generations.move(move({ collection: 'other' }))).toBe(true);
			expect(await generations.move(move())).toBe(true);
			const why = 'line\nbreak \u0000 名前';
			const entry = auditEntry({ action: 'generation_promoted', subject: 'docs' });
			const change = move({
				kind: 'overrule',
				sequence: 2,
				from: 'docs-g1-3fa9c2d1',
				at: 7,
				actor: 'key:k',
				why,
				entry,
			});
			expect(await generations.move(change)).toBe(true);
			expect(await generations.list('docs', 10)).toEqual([
				{ ...second, state: 'live', promotedAt: 7 },
				generation({ state: 'retired', promotedAt: 5, retiredAt: 7 }),
			]);
			expect((await generations.live()).map(({ generation: name }) => name)).toEqual([
				'docs-g2-00000000',
				'docs-g1-3fa9c2d1',
			]);
			expect(await generations.moves('docs', 10)).toEqual([
				{
					at: 7,
					collection: 'docs',
					kind: 'overrule',
					from: 'docs-g1-3fa9c2d1',
					to: 'docs-g2-00000000',
					actor: 'key:k',
					why,
				},
				{
					at: 5,
					collection: 'docs',
					kind: 'promotion',
					from: null,
					to: 'docs-g1-3fa9c2d1',
					actor: 'process',
					why: 'run run_1',
				},
			]);
			expect(await store.listAudit(10)).toEqual([entry]);
		});

		it('amends a generation with what was learned, and leaves whatever else it has become since', async () => {
			const { generations } = store;
			const record = generation();
			await generations.put(record);
			await generations.move(move({ at: 7 }));
			const verification = { at: 9, passed: true, checks: [] };
			await generations.amend(record, { verification, verifiedAt: 9 });
			const verified = { state: 'live', promotedAt: 7, verification, verifiedAt: 9 };
			expect(await generations.live()).toEqual([{ ...record, ...verified }]);
			await generations.amend(record, { manifest: { read: 'anew' } });
			await generations.amend({ ...record, sequence: 2 }, { manifest: { read: 'of none' } });
			expect(await generations.list('docs', 10)).toEqual([{ ...record, ...verified, manifest: { read: 'anew' } }]);
		});

		it('moves no pointer from where it is not, or to what is not sealed or is removed', async () => {
			const { generations } = store;
			const records = [
				generation(),
				generation({ sequence: 2, generation: 'building', state: 'building' }),
				generation({ sequence: 3, generation: 'removed', state: 'retired', removedAt: 9 }),
			];
			for (const record of records) await generations.put(record);
			expect(await generations.move(move({ from: 'docs-g0' }))).toBe(false);
			for (const sequence of [2, 3, 4]) expect(await generations.move(move({ sequence }))).toBe(false);
			expect(await generations.list('docs', 10)).toEqual(records.toReversed());
			expect(await generations.moves('docs', 10)).toEqual([]);
		});

		it('lets no second generation be live, and keeps all when it refuses one', async () => {
			const { generations } = store;
			await generations.put(generation());
			await generations.move(move());
			const second = generation({ sequence: 2, generation: 'second', state: 'live' });
			await expect(generations.put(second)).rejects.toMatchObject({ code: 'storage_failed' });
			expect(await generations.list('docs', 10)).toMatchObject([{ state: 'live', sequence: 1 }]);
		});

		it('goes on with a build that broke off on the same table, and gives each other one the next number', async () => {
			const { generations } = store;
			const begin = (table: string, runId: string) => generations.begin({ collection: 'docs', table, runId, at: 4 });
			const first = await begin('t1', 'r1');
			expect(first).toMatchObject({
				sequence: 1,
				state: 'building',
				generation: 'docs-g1',
				manifest: null,
				createdAt: 4,
			});
			await generations.put({ ...first, state: 'failed', reason: 'killed' });
			expect(await begin('t2', 'r2')).toMatchObject({ sequence: 2 });
			expect(await begin('t1', 'r3')).toEqual({ ...first, runId: 'r3' });
			await generations.put(generation({ sequence: 1, state: 'refused' }));
			expect(await begin('t1', 'r4')).toMatchObject({ sequence: 3 });
			await generations.discard('docs', 3);
			expect((await generations.list('docs', 10)).map(({ sequence }) => sequence)).toEqual([2, 1]);
			expect(await generations.find('docs', 'docs-g2')).toMatchObject({ runId: 'r2' });
			expect(await generations.find('docs', 'docs-g9')).toBeNull();
		});

		it('lists embedding spaces by their last use, and forgets the oldest of very many', async () => {
			const space = (name: string, usedAt: number) => ({ name, space: { of: name }, measuredAt: 1, usedAt });
			for (let at = 1; at <= 257; at++) await store.putSpace(space(`s${at}`, at));
			await store.putSpace(space('s2', 999));
			const names = (await store.listSpaces()).map(({ name }) => name);
			expect(names).toHaveLength(256);
			expect(names.slice(0, 2)).toEqual(['s2', 's257']);
			expect(names).not.toContain('s1');
			expect((await store.listSpaces())[0]).toEqual(space('s2', 999));
		});

		it('keeps the newest rating of each rater, and removes them by tenant, request and rater', async () => {
			const texts = { comment: 'good', question: 'What is it?', correctedAnswer: 'That.' };
			await store.feedback.put([rating({ score: 0, ...texts }), rating({ rater: 'v1:b', score: 0.5 })]);
			await store.feedback.put([rating({ score: 0.9, label: 'late', passages: ['chk_1'], at: 5 })]);
			const newest = rating({ score: 0.9, label: 'late', passages: ['chk_1'], at: 5 });
			// Replaced whole: what is not said again is gone.
			expect(await store.feedback.list(ALL_RATINGS)).toEqual([newest, rating({ rater: 'v1:b', score: 0.5 })]);
			await store.feedback.put([rating({ tenantId: 'beta' }), rating({ requestId: 'req_2', feature: null })]);
			const ids = async (query: Partial<FeedbackQuery>) =>
				(await store.feedback.list({ ...ALL_RATINGS, ...query })).map(
					(one) => `${one.tenantId} ${one.requestId} ${one.rater}`,
				);
			expect(await ids({ tenantId: 'beta' })).toEqual(['beta req_1 v1:a']);
			expect(await ids({ rating: 'neutral' })).toEqual(['acme req_1 v1:b']);
			expect(await ids({ feature: 'ask', limit: 1 })).toEqual(['beta req_1 v1:a']);
			expect(await ids({ requestId: 'req_2' })).toEqual(['acme req_2 v1:a']);
			expect(await store.feedback.remove({ tenantId: 'acme', requestId: 'req_1', rater: 'v1:a' })).toBe(1);
			expect(await store.feedback.remove({ tenantId: 'acme', requestId: null, rater: 'v1:a' })).toBe(1);
			expect(await ids({})).toEqual(['beta req_1 v1:a', 'acme req_1 v1:b']);
		});

		it('lists the questions of one tenant about one collection', async () => {
			await store.feedback.put([
				rating({ requestId: 'r1', question: 'One?' }),
				rating({ requestId: 'r2' }),
				rating({ requestId: 'r3', question: 'Three?', collection: 'wiki' }),
				rating({ requestId: 'r4', question: 'Four?', tenantId: 'beta' }),
				rating({ requestId: 'r5', question: 'Five?' }),
			]);
			const ask = { tenantId: 'acme', collection: 'docs', limit: 10 };
			expect((await store.feedback.questions(ask)).map(({ question }) => question)).toEqual(['Five?', 'One?']);
		});

		it('forgets texts before ratings, ratings by age and by number of each tenant, and all of a tenant that is gone', async () => {
			const at = (ms: number) => rating({ requestId: `r${ms}`, at: ms, comment: 'c', question: 'q' });
			await store.feedback.put([at(1), at(2), at(3), rating({ tenantId: 'beta', at: 9 })]);
			const prune = (before: number, textsBefore: number, rowsPerTenantMax: number) =>
				store.feedback.prune({ before, textsBefore, rowsPerTenantMax });
			const left = async () => (await store.feedback.list(ALL_RATINGS)).map(({ at: ms, comment }) => [ms, comment]);
			expect(await prune(2, 3, 10)).toBe(1);
			expect(await left()).toEqual([
				[9, null],
				[3, 'c'],
				[2, null],
			]);
			expect(await prune(0, 0, 1)).toBe(1);
			expect(await left()).toEqual([
				[9, null],
				[3, 'c'],
			]);
			await store.putSettings(tenant(), []);
			expect(await left()).toHaveLength(2);
			await store.putSettings(tenant({ version: 2, settings: null }), []);
			expect(await left()).toEqual([[9, null]]);
		});

		it('counts all generations of a collection as removed, none of them live, and leaves those of others', async () => {
			const { generations } = store;
			const of = (sequence: number, fields: Partial<GenerationRecord> = {}) =>
				generation({ sequence, generation: `docs-g${sequence}`, ...fields });
			const other = generation({ collection: 'wiki' });
			for (const one of [of(1), of(2), of(3, { state: 'refused' }), of(4, { state: 'failed' }), other]) {
				await generations.put(one);
			}
			await generations.move(move({ sequence: 1, from: null, at: 5 }));
			await generations.move(move({ sequence: 2, from: 'docs-g1', at: 6 }));
			await generations.move(move({ collection: 'wiki', from: null, at: 6 }));
			await generations.retireAll('docs', 9);
			const all = await generations.list('docs', 10);
			expect(all.map(({ sequence, state, retiredAt, removedAt }) => [sequence, state, retiredAt, removedAt])).toEqual([
				[3, 'refused', null, 9],
				[2, 'retired', 9, 9],
				[1, 'retired', 6, 9],
			]);
			expect((await generations.live()).map(({ collection }) => collection)).toEqual(['wiki']);
			expect(await generations.move(move({ sequence: 1, from: null, at: 10 }))).toBe(false);
			expect((await generations.begin({ collection: 'docs', table: 'docs-t', runId: 'r', at: 11 })).sequence).toBe(4);
		});

		it('finds pushed documents by any ids, and counts what their source holds', async () => {
			const place = { collection: 'docs', source: 'sent' };
			const ids = HOSTILE.filter((id) => !id.includes('\0'));
			const meta = { fields: {}, language: null, updatedAt: null, contentType: null, url: null, marks: [] };
			const body = Buffer.from('oak');
			const of = (id: string, hash: string) => {
				return { ...place, id, format: 'text', title: null, meta, tenant: null, hash, pushedAt: 1, body };
			};
			const limits = { documentsMax: ids.length, bytesMax: 1_000, tenant: null };
			const put = async (hash: string, all: readonly string[]) =>
				store.pushed.put(
					place,
					all.map((id) => of(id, hash)),
					limits,
				);
			expect(new Set(await put('one', ids))).toEqual(new Set(['new']));
			expect(await put('two', [...ids.slice(0, 1), 'more'])).toEqual(['changed', 'full']);
			const found = async (all: readonly string[]) => (await store.pushed.find(place, all)).map(({ id }) => id).sort();
			expect(await found([...ids, 'nothing'])).toEqual([...ids].sort());
			for (const id of ids) expect(await found([id])).toEqual([id]);
			expect([await found([]), await found(["' OR ''='"])]).toEqual([[], []]);
			expect(await store.pushed.total(place)).toEqual({ documents: ids.length, bytes: ids.length * 3 });
			const page = { ...place, tenant: null, limit: 3 };
			const first = await store.pushed.versions({ ...page, after: null });
			const next = await store.pushed.versions({ ...page, after: first.at(-1)?.id ?? null });
			const entries = await store.pushed.list({ ...page, after: null, limit: 6 });
			expect([...first, ...next]).toEqual(entries.map(({ id, hash }) => ({ id, hash })));
			const gone = ids.slice(0, 2);
			expect(await store.pushed.remove(place, [...gone, ...gone], null)).toEqual([true, true, false, false]);
			expect(await store.pushed.total(place)).toEqual({ documents: ids.length - 2, bytes: (ids.length - 2) * 3 });
			expect(await store.pushed.mark('docs')).toMatchObject({ sequence: ids.length + 2, ingested: 0, purging: false });
			expect(await store.pushed.purge(place, null)).toBe(ids.length - 2);
			expect(await store.pushed.total(place)).toEqual({ documents: 0, bytes: 0 });
			expect(await store.pushed.mark('docs')).toMatchObject({ purging: true });
		});

		it('treats hostile text as text', async () => {
			for (const [index, text] of HOSTILE.entries()) {
				await store.putKey(key({ id: `${index}${text}`, name: text, tenantId: text, createdAt: index }));
				await store.putRun(run({ id: `${index}${text}`, collection: text, error: text }));
			}
			expect((await store.listKeys()).map(({ name }) => name)).toEqual(HOSTILE);
			for (const text of HOSTILE) expect((await store.listRuns(text, 100)).map((r) => r.error)).toEqual([text]);
			expect(await store.revokeKey("' OR ''='", 1)).toBe(false);
			expect((await store.listKeys()).every(({ revokedAt }) => revokedAt === null)).toBe(true);
		});

		it('round-trips any key', async () => {
			const text = fc.string({ unit: 'binary' });
			const keys = fc.record({
				id: text,
				tenantId: text,
				name: text,
				scopes: fc.uniqueArray(fc.constantFrom(...SCOPES)),
				secretHash: text,
				createdAt: fc.maxSafeNat(),
				revokedAt: fc.option(fc.maxSafeNat()),
				features: fc.option(fc.array(text)),
				expiresAt: fc.option(fc.maxSafeNat()),
				lastUsedAt: fc.option(fc.maxSafeNat()),
			});
			await fc.assert(
				fc.asyncProperty(keys, async (record) => {
					await store.putKey(record);
					expect((await store.listKeys()).find(({ id }) => id === record.id)).toEqual(record);
				}),
				{ numRuns: 50 },
			);
		});

		it('refuses work after close with storage_failed, and closes twice without complaint', async () => {
			await store.close();
			await store.close();
			await expect(store.listKeys()).rejects.toMatchObject({ code: 'storage_failed' });
			await expect(store.putKey(key())).rejects.toMatchObject({ code: 'storage_failed' });
		});
	});
}
