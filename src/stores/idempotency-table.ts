import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { z } from 'zod';
import { decideClaim, isForgotten } from '../policy/idempotency.ts';
import type { Effect, IdempotencyBounds, KeyClaim, KeyHolder, KeyState, StoredResponse } from '../spec/idempotency.ts';
import { effectLine, readEffects, readResponse, writeHead } from './idempotency-row.ts';

/** What the table can be asked; a batch of them is one transaction, with one write to disk. */
export type Operation =
	| { readonly kind: 'claim'; readonly claim: KeyClaim }
	| { readonly kind: 'renew'; readonly holder: KeyHolder; readonly leaseUntil: number }
	| { readonly kind: 'begin_effect'; readonly holder: KeyHolder; readonly effect: Effect }
	| { readonly kind: 'void_effect'; readonly holder: KeyHolder; readonly effect: Effect }
	| {
			readonly kind: 'complete';
			readonly holder: KeyHolder;
			readonly response: StoredResponse | null;
			readonly expiresAt: number;
	  }
	| { readonly kind: 'release'; readonly holder: KeyHolder }
	| { readonly kind: 'sweep'; readonly now: number; readonly max: number };

export type OperationResult = KeyState | boolean | number;

const row = z.object({
	fingerprint: z.string(),
	requestId: z.string(),
	phase: z.enum(['claimed', 'stored', 'not_stored']),
	leaseUntil: z.int(),
	expiresAt: z.int(),
	effects: z.string().transform(readEffects),
});
const responseRow = z.object({ head: z.string(), body: z.string() });
const keyRow = z.object({ tenantId: z.string(), keyHash: z.string() });
const bytesRow = z.object({ seq: z.int(), keyHash: z.string(), bytes: z.int() });
const usageRow = z.object({ tenantId: z.string(), records: z.int(), bytes: z.int() });

interface Usage {
	records: number;
	bytes: number;
}

/** The records of keys in a SQLite file that only this process uses. */
export class IdempotencyTable {
	readonly #db: DatabaseSync;
	readonly #bounds: IdempotencyBounds;
	readonly #statements = new Map<string, StatementSync>();
	/** By tenant: counting rows at every claim would grow with them. */
	#usage = new Map<string, Usage>();

	/** Every claim that the file holds is of a process that has ended: their leases end with this. */
	constructor(db: DatabaseSync, bounds: IdempotencyBounds) {
		this.#db = db;
		this.#bounds = bounds;
		db.exec("UPDATE idempotency_keys SET lease_until = 0 WHERE phase = 'claimed'");
		this.#count();
	}

	/** Does all of them and writes once, or none of them. */
	batch(operations: readonly Operation[]): OperationResult[] {
		this.#db.exec('BEGIN IMMEDIATE');
		try {
			const results = operations.map((operation) => this.#do(operation));
			this.#db.exec('COMMIT');
			return results;
		} catch (thrown) {
			if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
			this.#count();
			throw thrown;
		}
	}

	close(): void {
		this.#db.close();
	}

	#do(operation: Operation): OperationResult {
		switch (operation.kind) {
			case 'claim':
				return this.#claim(operation.claim);
			case 'renew':
				return this.#change(operation.holder, 'lease_until = ?', operation.leaseUntil);
			case 'begin_effect':
				return this.#change(operation.holder, 'effects = effects || ?', effectLine(operation.effect));
			case 'void_effect':
				return this.#voidEffect(operation.holder, effectLine(operation.effect));
			case 'complete':
				return this.#complete(operation.holder, operation.response, operation.expiresAt);
			case 'release':
				return this.#release(operation.holder);
			case 'sweep':
				return this.#sweep(operation.now, operation.max);
		}
	}

	#claim(claim: KeyClaim): KeyState {
		const { tenantId, keyHash, fingerprint, requestId, now } = claim;
		const found = this.#row(tenantId, keyHash);
		const usage = this.#usageOf(tenantId);
		if (found === null && usage.records >= this.#bounds.recordsMax) this.#sweep(now, SWEEP_FOR_ROOM, tenantId);
		const decision = decideClaim(found, { fingerprint, now }, usage.records < this.#bounds.recordsMax);
		switch (decision) {
			case 'claim':
				if (found !== null) this.#forget(tenantId, keyHash);
				this.#run(
					`INSERT INTO idempotency_keys (tenant_id, key_hash, fingerprint, request_id, phase, lease_until, expires_at, effects)
					VALUES (?, ?, ?, ?, 'claimed', ?, ?, '')`,
					...[tenantId, keyHash, fingerprint, requestId, claim.leaseUntil, claim.expiresAt],
				);
				usage.records++;
				return { kind: 'claimed' };
			case 'stored':
				return this.#stored(tenantId, keyHash, found?.requestId ?? '');
			case 'unknown':
				return { kind: 'unknown', requestId: found?.requestId ?? '', effects: found?.effects ?? [] };
			case 'running':
			case 'not_stored':
				return { kind: decision, requestId: found?.requestId ?? '' };
			default:
				return { kind: decision };
		}
	}

	#stored(tenantId: string, keyHash: string, requestId: string): KeyState {
		const raw = this.#get('SELECT head, body FROM responses WHERE tenant_id = ? AND key_hash = ?', tenantId, keyHash);
		const { head, body } = responseRow.parse(raw);
		return { kind: 'stored', requestId, response: readResponse(head, body) };
	}

	#complete(holder: KeyHolder, response: StoredResponse | null, expiresAt: number): boolean {
		const phase = response === null ? 'not_stored' : 'stored';
		if (!this.#change(holder, 'phase = ?, expires_at = ?', phase, expiresAt)) return false;
		if (response === null) return true;
		const { tenantId, keyHash } = holder;
		const bytes = Buffer.byteLength(response.body);
		this.#run(
			'INSERT INTO responses (tenant_id, key_hash, head, body, bytes) VALUES (?, ?, ?, ?, ?)',
			...[tenantId, keyHash, writeHead(response), response.body, bytes],
		);
		const usage = this.#usageOf(tenantId);
		usage.bytes += bytes;
		while (usage.bytes > this.#bounds.bytesMax) this.#dropOldest(tenantId);
		return true;
	}

	/** The oldest body makes room; its key stays, so that what it stood for is not executed again. */
	#dropOldest(tenantId: string): void {
		const oldest = bytesRow.parse(
			this.#get(
				'SELECT seq, key_hash AS keyHash, bytes FROM responses WHERE tenant_id = ? ORDER BY seq LIMIT 1',
				tenantId,
			),
		);
		this.#run('DELETE FROM responses WHERE seq = ?', oldest.seq);
		this.#run(
			"UPDATE idempotency_keys SET phase = 'not_stored' WHERE tenant_id = ? AND key_hash = ?",
			tenantId,
			oldest.keyHash,
		);
		this.#usageOf(tenantId).bytes -= oldest.bytes;
	}

	/** One entry, also where another reads the same. */
	#voidEffect(holder: KeyHolder, line: string): boolean {
		const without = `substr(effects, 1, instr(effects, ?) - 1) || substr(effects, instr(effects, ?) + length(?))`;
		return this.#change(
			holder,
			`effects = CASE instr(effects, ?) WHEN 0 THEN effects ELSE ${without} END`,
			...[line, line, line, line],
		);
	}

	#release(holder: KeyHolder): boolean {
		if (!this.#change(holder, 'lease_until = 0')) return false;
		if (this.#row(holder.tenantId, holder.keyHash)?.effects.length === 0) {
			this.#forget(holder.tenantId, holder.keyHash);
		}
		return true;
	}

	#sweep(now: number, max: number, tenantId: string | null = null): number {
		const rows = this.#statement(
			`SELECT tenant_id AS tenantId, key_hash AS keyHash FROM idempotency_keys
			WHERE expires_at <= ? AND (? IS NULL OR tenant_id = ?) ORDER BY expires_at LIMIT ?`,
		).all(now, tenantId, tenantId, max);
		let swept = 0;
		for (const { tenantId: tenant, keyHash } of z.array(keyRow).parse(rows)) {
			const found = this.#row(tenant, keyHash);
			if (found === null || !isForgotten(found, now)) continue;
			this.#forget(tenant, keyHash);
			swept++;
		}
		if (tenantId === null)
			for (const [tenant, { records }] of this.#usage) if (records === 0) this.#usage.delete(tenant);
		return swept;
	}

	#forget(tenantId: string, keyHash: string): void {
		const usage = this.#usageOf(tenantId);
		const body = this.#get(
			'SELECT seq, key_hash AS keyHash, bytes FROM responses WHERE tenant_id = ? AND key_hash = ?',
			tenantId,
			keyHash,
		);
		if (body !== undefined) {
			const { seq, bytes } = bytesRow.parse(body);
			this.#run('DELETE FROM responses WHERE seq = ?', seq);
			usage.bytes -= bytes;
		}
		usage.records -= this.#run('DELETE FROM idempotency_keys WHERE tenant_id = ? AND key_hash = ?', tenantId, keyHash);
	}

	#row(tenantId: string, keyHash: string): z.output<typeof row> | null {
		const raw = this.#get(
			`SELECT fingerprint, request_id AS requestId, phase, lease_until AS leaseUntil, expires_at AS expiresAt, effects
			FROM idempotency_keys WHERE tenant_id = ? AND key_hash = ?`,
			tenantId,
			keyHash,
		);
		return raw === undefined ? null : row.parse(raw);
	}

	/** Changes the record, if it is still this holder's. */
	#change({ tenantId, keyHash, requestId }: KeyHolder, assignment: string, ...values: SQLInputValue[]): boolean {
		const sql = `UPDATE idempotency_keys SET ${assignment}
			WHERE tenant_id = ? AND key_hash = ? AND request_id = ? AND phase = 'claimed'`;
		return this.#run(sql, ...values, tenantId, keyHash, requestId) > 0;
	}

	#usageOf(tenantId: string): Usage {
		let usage = this.#usage.get(tenantId);
		if (!usage) {
			usage = { records: 0, bytes: 0 };
			this.#usage.set(tenantId, usage);
		}
		return usage;
	}

	#count(): void {
		const rows = this.#statement(
			`SELECT k.tenant_id AS tenantId, count(*) AS records, coalesce(sum(r.bytes), 0) AS bytes
			FROM idempotency_keys k LEFT JOIN responses r ON r.tenant_id = k.tenant_id AND r.key_hash = k.key_hash
			GROUP BY k.tenant_id`,
		).all();
		this.#usage = new Map(
			z
				.array(usageRow)
				.parse(rows)
				.map(({ tenantId, records, bytes }) => [tenantId, { records, bytes }]),
		);
	}

	#get(sql: string, ...values: SQLInputValue[]): unknown {
		return this.#statement(sql).get(...values);
	}

	#run(sql: string, ...values: SQLInputValue[]): number {
		return Number(this.#statement(sql).run(...values).changes);
	}

	#statement(sql: string): StatementSync {
		let statement = this.#statements.get(sql);
		if (!statement) {
			statement = this.#db.prepare(sql);
			this.#statements.set(sql, statement);
		}
		return statement;
	}
}

/** How many expired records a claim that finds no room removes by itself. */
const SWEEP_FOR_ROOM = 100;
