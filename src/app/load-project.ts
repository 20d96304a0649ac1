import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { CanarySet } from '../contracts/canary-set.ts';
import { type CompiledFlags, compileFlags, NO_FLAGS } from '../contracts/compile-flags.ts';
import { type CompiledProject, compileProject } from '../contracts/compile-project.ts';
import { compileRelease } from '../contracts/compile-release.ts';
import { type Environment, secretFilesOf } from '../contracts/environment.ts';
import { isDropping, list, readFeatureFolder } from '../contracts/feature-folder.ts';
import { hasSplit } from '../contracts/flag.ts';
import { checkFlagSecret } from '../contracts/flag-checks.ts';
import { frozenMap } from '../contracts/freeze.ts';
import { type PriceList, parsePriceList } from '../contracts/price.ts';
import { PRICES_FILE } from '../contracts/price-schema.ts';
import { FLAGS_FILE, PROJECT_FILE, type Project, type ProjectConfig } from '../contracts/project.ts';
import { checkLimitedFeatures } from '../contracts/project-checks.ts';
import { DATA_DIR, FEATURES_DIR } from '../contracts/project-schema.ts';
import type { Release } from '../contracts/release.ts';
import { isMapping, valueAt } from '../contracts/schema-node.ts';
import { accepted, fileProblem, readSourceFile, refused } from '../contracts/source-file.ts';
import { problemAt } from '../contracts/validation.ts';
import { parseYaml, type YamlDocument } from '../contracts/yaml-document.ts';
import { compilePrompts } from '../prompts/library.ts';
import type { Checked, Problem } from '../spec/problem.ts';
import type { Prompt } from '../spec/prompt.ts';
import { canarySets, type FeatureCanaries, idleCanaries, readFeatureCanaries } from './load-canaries.ts';

/** A deployment with more features than these is several. */
const FEATURES_MAX = 1_000;

/** A project with each feature's prompt, in the version that its contract names. Frozen. */
export interface LoadedProject extends Project {
	/** By feature. */
	readonly prompts: ReadonlyMap<string, Prompt>;
	/** By feature all versions of that prompt, between which a flag may choose. */
	readonly promptVersions: ReadonlyMap<string, readonly Prompt[]>;
	/** By collection: every one has an entry. */
	readonly canaries: ReadonlyMap<string, CanarySet>;
	/** What its files say that cannot be done as they say it, and what is done instead. */
	readonly notes: readonly Problem[];
}

/**
 * Reads and checks every file of a project and reports all problems at once, in the order of the files.
 * @param dir the folder of plimsoll.yaml.
 * @param env the variables that plimsoll.yaml may refer to.
 */
export async function loadProject(dir: string, env: Environment): Promise<Checked<LoadedProject>> {
	const root = resolve(dir);
	const { compiled: project, document, problems } = await readProjectFile(root, env);
	const features = await featureNames(root, project.featuresDir, problems);
	const flags = await readFlags(root, { project, document, features });
	problems.push(...flags.problems);
	const compiled = { ...project, names: project.names && { ...project.names, flags: flags.facts } };
	const releases = new Map<string, Release>();
	const prompts = new Map<string, Prompt>();
	const promptVersions = new Map<string, readonly Prompt[]>();
	const notes: Problem[] = [];
	const checked: FeatureCanaries[] = [];
	for (const name of features) {
		const folder = join(compiled.featuresDir, name);
		const loaded = await loadFeature(folder, name, shown(root, folder), compiled);
		problems.push(...loaded.problems);
		notes.push(...loaded.notes);
		if (loaded.release && loaded.prompt) {
			releases.set(name, loaded.release);
			prompts.set(name, loaded.prompt);
			promptVersions.set(name, loaded.versions);
			checked.push({ contract: loaded.release.contract, canaries: loaded.canaries });
		}
	}
	if (document) problems.push(...checkLimitedFeatures(document, features));
	const canaries = compiled.config && (await canarySets(compiled.config, checked));
	problems.push(...(canaries?.problems ?? []));
	if (problems.length > 0 || !compiled.config || !flags.flags || !canaries) return refused(...problems);
	return accepted(
		Object.freeze({
			config: compiled.config,
			flags: flags.flags,
			releases: frozenMap(releases),
			prompts: frozenMap(prompts),
			promptVersions: frozenMap(promptVersions),
			canaries: canaries.sets,
			notes: Object.freeze(notes),
		}),
	);
}

/** The data folder of a project, absolute: also of one whose files have problems, since its server runs on. */
export async function locateDataDir(dir: string, env: Environment): Promise<string> {
	const { compiled } = await readProjectFile(resolve(dir), env);
	return compiled.dataDir;
}

/** plimsoll.yaml alone, whatever its list of prices says or lacks: for whoever writes that list. */
export async function loadUnpriced(dir: string, env: Environment): Promise<Checked<ProjectConfig>> {
	const { compiled, problems } = await readProjectFile(resolve(dir), env, { withPrices: false });
	return problems.length > 0 || !compiled.config ? refused(...problems) : accepted(compiled.config);
}

async function readProjectFile(
	root: string,
	env: Environment,
	{ withPrices = true } = {},
): Promise<{ compiled: CompiledProject; document: YamlDocument | null; problems: Problem[] }> {
	const source = await readSourceFile(join(root, PROJECT_FILE), PROJECT_FILE);
	if (!source.ok) {
		const problems = await Promise.all(source.problems.map((problem) => withRemedy(root, problem)));
		const dirs = { featuresDir: join(root, FEATURES_DIR), dataDir: join(root, DATA_DIR) };
		const compiled = { config: null, names: null, ...dirs, flagProvider: false, problems };
		return { compiled, document: null, problems };
	}
	const document = parseYaml(source.value);
	const { texts, problems } = await readSecrets(root, document);
	const prices = withPrices ? await readPrices(root, document) : null;
	const from = { dir: root, env, secretFiles: texts, prices: prices && { list: prices.value } };
	const compiled = compileProject(document, from);
	return { compiled, document, problems: [...compiled.problems, ...problems, ...(prices?.problems ?? [])] };
}

/** The list of prices; null where the project has none and names none. */
async function readPrices(root: string, document: YamlDocument): Promise<Checked<PriceList | null>> {
	const named = valueAt(document.value, ['prices', 'file']);
	const name = typeof named === 'string' ? named : PRICES_FILE;
	const source = await readSourceFile(isAbsolute(name) ? name : join(root, name), name);
	if (source.ok) return parsePriceList(source.value);
	const isAbsent = source.problems.some(({ message }) => message === 'does not exist');
	return isAbsent && name === PRICES_FILE ? accepted(null) : source;
}

async function withRemedy(root: string, problem: Problem): Promise<Problem> {
	if (!problem.message.includes('does not exist')) return problem;
	const close = (await list(root, '.', [])).find((name) => /^plimsoll\.(yml|json)$/i.test(name));
	return { ...problem, hint: close ? `rename ${close} to ${PROJECT_FILE}` : 'plimsoll init makes a new project' };
}

/** Flags and what is wrong with them: of flags.yaml, where no provider has them. */
async function readFlags(
	root: string,
	from: { project: CompiledProject; document: YamlDocument | null; features: readonly string[] },
): Promise<CompiledFlags> {
	const { project, document, features } = from;
	const path = join(root, FLAGS_FILE);
	const source = existsSync(path) ? await readSourceFile(path, FLAGS_FILE) : null;
	const compiled = source?.value ? compileFlags(source.value, features) : NO_FLAGS;
	const problems = [...(source?.problems ?? []), ...compiled.problems];
	const { config, flagProvider } = project;
	if (flagProvider && source !== null) {
		const hint = 'remove one of them';
		problems.push(
			fileProblem(FLAGS_FILE, 'is not read, since flags.provider of plimsoll.yaml names another source', hint),
		);
	}
	if (document && config) {
		const draws = flagProvider || [...(compiled.flags?.values() ?? [])].some(hasSplit);
		const { hmacSecret } = config.flags;
		problems.push(
			...checkFlagSecret(document, {
				isShared: config.sharedState.redisUrl !== null,
				draws,
				hasSecret: hmacSecret !== null,
			}),
		);
	}
	return { flags: compiled.flags, facts: flagProvider ? null : compiled.facts, problems };
}

async function readSecrets(root: string, document: YamlDocument) {
	const texts = new Map<string, string | null>();
	const problems: Problem[] = [];
	for (const { name, path } of secretFilesOf(document)) {
		const file = await readSourceFile(isAbsolute(name) ? name : join(root, name), name);
		texts.set(name, file.value?.text ?? null);
		for (const { message } of file.problems) {
			problems.push(problemAt(document, path, { message: `the file ${name} ${message}` }));
		}
		if (file.value?.text.trim() === '')
			problems.push(problemAt(document, path, { message: `the file ${name} is empty` }));
	}
	return { texts, problems };
}

async function featureNames(root: string, dir: string, problems: Problem[]): Promise<string[]> {
	let entries: { name: string; isDirectory(): boolean; isSymbolicLink(): boolean }[];
	try {
		entries = await readdir(dir, { withFileTypes: true });
	} catch (error) {
		// A project may have no features yet; it then serves bare upstreams.
		if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
		await list(dir, shown(root, dir), problems);
		return [];
	}
	const names = entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink()).map((entry) => entry.name);
	const features = names.filter((name) => !isDropping(name)).sort((a, b) => (a < b ? -1 : 1));
	if (features.length <= FEATURES_MAX) return features;
	problems.push(fileProblem(shown(root, dir), `holds ${features.length} features, more than ${FEATURES_MAX}`));
	return [];
}

interface LoadedFeature {
	readonly release: Release | null;
	/** The one that the contract names. */
	readonly prompt: Prompt | null;
	readonly versions: readonly Prompt[];
	readonly canaries: FeatureCanaries['canaries'];
	readonly problems: readonly Problem[];
	readonly notes: readonly Problem[];
}

async function loadFeature(
	dir: string,
	name: string,
	shownAs: string,
	project: CompiledProject,
): Promise<LoadedFeature> {
	const folder = await readFeatureFolder(dir, name, shownAs);
	if (folder.empty) return { release: null, prompt: null, versions: [], canaries: [], problems: [], notes: [] };
	const own = await readFeatureCanaries(dir, name, shownAs);
	const texts = new Map([...folder.prompts.values()].map(({ file, text }) => [file, text]));
	const prompts = compilePrompts(texts);
	const { release, problems, notes } = compileRelease(folder, project, {
		names: prompts.value
			? [...new Set(prompts.value.list().map((prompt) => prompt.name))]
			: promptNames(folder.prompts.keys()),
		// Files that do not compile have problems of their own; that a prompt is missing is known from the names alone.
		has: (prompt, version) =>
			prompts.value ? prompts.value.get(prompt, version) !== null : promptNames(folder.prompts.keys()).includes(prompt),
		variables: (prompt, version) => {
			const found = prompts.value?.get(prompt, version);
			const properties = found?.inputSchema?.properties ?? {};
			return found && isMapping(properties) ? properties : null;
		},
	});
	const named = release?.contract.prompt;
	const prompt = named ? (prompts.value?.get(named.name, named.version) ?? null) : null;
	const versions = (prompts.value?.list() ?? []).filter((one) => one.name === named?.name);
	const { canaries } = own;
	const idle = release ? idleCanaries({ contract: release.contract, canaries }, shownAs) : [];
	const all = [...problems, ...prompts.problems, ...own.problems, ...idle];
	return { release, prompt, versions, canaries, problems: all, notes };
}

function promptNames(paths: Iterable<string>): string[] {
	const names = [...paths].map((path) => path.slice('prompts/'.length).split('.', 1)[0] ?? '');
	return [...new Set(names)].filter((name) => !name.startsWith('_'));
}

function shown(root: string, path: string): string {
	const inside = relative(root, path);
	return inside.startsWith('..') ? path : inside.split(sep).join('/');
}
