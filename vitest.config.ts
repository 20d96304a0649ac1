import { defineConfig } from 'vitest/config';

export default defineConfig({
	test: {
		include: ['test/**/*.test.ts'],
		// Processes, not threads: native parts (LanceDB, DuckDB) and worker threads of our own live in them.
		pool: 'forks',
		// Vitest leaves one core idle by default, which on a small machine is half of it.
		maxWorkers: '100%',
		// Bounds for what hangs, not for what is slow: a busy machine may take many times as long as a quiet one.
		testTimeout: 120_000,
		hookTimeout: 120_000,
		expect: { poll: { timeout: 30_000, interval: 20 } },
		teardownTimeout: 10_000,
		// A real feature folder must not leak into a test through the developer's shell.
		unstubEnvs: true,
	},
});
