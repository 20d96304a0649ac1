import { isAbsolute } from 'node:path';
import { PROJECT_FILE } from '../contracts/project.ts';
import { isInstalled, missingPackage } from '../models/ai-sdk/packages.ts';
import { modelFolderProblem } from '../retrieval/onnx/model-folder.ts';
import { ONNX_INSTALL, ONNX_PACKAGE } from '../retrieval/onnx/onnx-thread.ts';
import type { Problem } from '../spec/problem.ts';
import type { LoadedProject } from './load-project.ts';

type Project = Pick<LoadedProject, 'config'>;

/** What a project needs of this machine and does not find: the project is right, the machine is not ready. */
export async function machineProblems(project: Project): Promise<readonly Problem[]> {
	return [...missingPackages(project), ...(await localModels(project))];
}

/** Packages that the families of upstreams need. */
function missingPackages({ config }: Project): readonly Problem[] {
	return [...config.upstreams.values()].flatMap((upstream) => {
		if (!upstream.available || upstream.family === 'openai-compatible' || upstream.family === 'extractive') return [];
		const missing = missingPackage(upstream);
		if (missing === null) return [];
		return notInstalled(`upstreams.${upstream.name}.family`, missing.name, missing.command);
	});
}

/** Models that run in this process: their package, and their folders as far as small files tell. */
async function localModels({ config }: Project): Promise<readonly Problem[]> {
	const embedders = [...config.embedders.values()].flatMap((embedder) =>
		embedder.family === 'local'
			? { field: `embedders.${embedder.name}`, ...embedder, task: 'embed' as const, kind: 'family' }
			: [],
	);
	const rerankers = [...config.collections.values()].flatMap(({ name, search: { rerank } }) =>
		rerank?.format === 'local'
			? { field: `collections.${name}.search.rerank`, model: rerank.model, task: 'rerank' as const, kind: 'format' }
			: [],
	);
	const used = [...embedders, ...rerankers];
	const problems = await Promise.all(
		used.map(async ({ field, model, ...ask }) => {
			const message = isAbsolute(model) ? await modelFolderProblem(model, ask) : null;
			return message === null ? [] : problem(`${field}.model`, message, 'export one to ONNX, or name another folder');
		}),
	);
	const [first] = used;
	const isMissing = first !== undefined && !isInstalled(ONNX_PACKAGE);
	return [
		...(isMissing ? [notInstalled(`${first.field}.${first.kind}`, ONNX_PACKAGE, ONNX_INSTALL)] : []),
		...problems.flat(),
	];
}

function notInstalled(field: string, name: string, command: string): Problem {
	return problem(field, `the package ${name} is not installed`, command);
}

function problem(field: string, message: string, hint: string): Problem {
	return { file: PROJECT_FILE, line: null, column: null, field, message, expected: null, hint };
}
