import type { JsonWebKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { createHttpClient } from '../../src/base/http.ts';
import { Keyring } from '../../src/identity/keyring.ts';
import { TokenVerifier } from '../../src/identity/token-verifier.ts';
import { MemoryState } from '../../src/stores/memory-state.ts';
import { issuerConfig, sign, signingPair } from '../support/issuer-double.ts';
import { KEY, keyRecord } from '../support/runtime-fixture.ts';

const EPOCH = Date.UTC(2026, 11, 1);
const HOUR_MS = 3_600_000;

/** A wall clock that somebody sets, forth and back; what is measured goes on. */
class SetClock implements Clock {
	wall = EPOCH;
	#monotonic = 0;
	now = () => this.wall;
	monotonic = () => this.#monotonic++;
	after = () => () => {};
}

const jumps = fc.array(fc.integer({ min: -400 * 24, max: 400 * 24 }), { minLength: 1, maxLength: 20 });

describe('a wall clock that jumps', () => {
	test('lets a key in exactly while the clock says so, and a revoked one never', () => {
		fc.assert(
			fc.property(jumps, fc.boolean(), (hours, isRevoked) => {
				const clock = new SetClock();
				const ring = new Keyring(clock);
				const expiresAt = EPOCH + HOUR_MS;
				ring.replace([keyRecord({ expiresAt, revokedAt: isRevoked ? EPOCH : null })]);
				for (const hour of hours) {
					clock.wall = EPOCH + hour * HOUR_MS;
					let isIn = true;
					try {
						ring.identify(KEY);
					} catch {
						isIn = false;
					}
					expect(isIn).toBe(!isRevoked && clock.wall < expiresAt);
				}
			}),
		);
	});

	test('lets a token in neither before it was issued nor after it ended, though it was seen before', async () => {
		const pair = await signingPair('one');
		const http = createHttpClient({ connectionsMax: 2, connectMs: 1_000 });
		onTestFinished(() => http.close());
		const clock = new SetClock();
		const keys = { kind: 'file' as const, set: { keys: [pair.jwk as JsonWebKey] } };
		const verifier = new TokenVerifier({ clock, http, warn: () => {} }, [issuerConfig({ keys })]);
		const token = await sign(pair, EPOCH / 1_000);
		for (const seconds of [10, 3_600, 20, -3_600, 30, 1_000_000, -1_000_000, 40, 700, 50]) {
			clock.wall = EPOCH + seconds * 1_000;
			const isIn = await (async () => verifier.authenticate(token))().then(
				() => true,
				() => false,
			);
			// Ten minutes, and half a minute of skew on both ends.
			expect(isIn, `${seconds} s`).toBe(seconds > -31 && seconds < 630);
		}
	});

	test('never lets more pass than a limit at one time, and the state goes on', async () => {
		await fc.assert(
			fc.asyncProperty(jumps, async (hours) => {
				const state = new MemoryState();
				for (const hour of hours) {
					const now = EPOCH + hour * HOUR_MS;
					const claims = (
						['requests_per_minute', 'concurrent_requests', 'cost_usd_per_day', 'cost_usd_per_month'] as const
					).map((limit) => ({ scope: 'tenant', limit, max: 3, amount: 1 }));
					for (let n = 0; n < 4; n++) {
						const reservation = await state.reserve({ tenantId: 'acme', claims, now, expiresAt: now + 1_000 });
						if (reservation.granted && n % 2 === 0) await state.settle(reservation.ticket, [1, 0, 1, 1], now);
						for (const { settled, reserved } of await state.usage('acme', claims, now)) {
							expect(settled).toBeGreaterThanOrEqual(0);
							expect(reserved).toBeGreaterThanOrEqual(0);
							expect(settled + reserved).toBeLessThanOrEqual(3);
						}
					}
				}
			}),
		);
	});
});
