import { PROJECT_FILE } from '../contracts/project.ts';
import { missingPackage } from '../models/ai-sdk/packages.ts';
import type { Problem } from '../spec/problem.ts';
import type { LoadedProject } from './load-project.ts';

/** Packages that the families of upstreams need and that are not installed: the project is right, the machine is not ready. */
export function missingPackages({ config }: Pick<LoadedProject, 'config'>): readonly Problem[] {
	return [...config.upstreams.values()].flatMap((upstream) => {
		if (!upstream.available || upstream.family === 'openai-compatible' || upstream.family === 'extractive') return [];
		const missing = missingPackage(upstream);
		if (missing === null) return [];
		return {
			...{ file: PROJECT_FILE, line: null, column: null, field: `upstreams.${upstream.name}.family` },
			message: `the package ${missing.name} is not installed`,
			expected: null,
			hint: missing.command,
		};
	});
}
