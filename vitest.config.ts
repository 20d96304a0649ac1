import { defineConfig } from 'vitest/config';

export default defineConfig({
	test: {
		include: ['test/**/*.test.ts'],
		// Processes, not threads: native parts (LanceDB, DuckDB) and worker threads of our own live in them.
		pool: 'forks',
		// Vitest leaves one core idle by default, which on a small machine is half of it.
		maxWorkers: '100%',
		testTimeout: 20_000,
		hookTimeout: 30_000,
		teardownTimeout: 10_000,
		// A real feature folder must not leak into a test through the developer's shell.
		unstubEnvs: true,
	},
});
