import { child, nameOf, type SourceFile, type SyntaxNode } from './source-file.ts';

interface Ownership {
	readonly what: string;
	/** Paths that may. */
	readonly owner: RegExp;
	readonly instead: string;
}

interface OwnedPackage extends Ownership {
	readonly packages: RegExp;
}

interface OwnedName extends Ownership {
	/** `Date.now` for a member, `setTimeout` for a global. */
	readonly names: ReadonlySet<string>;
}

const PACKAGES: readonly OwnedPackage[] = [
	{
		what: 'SQLite',
		packages: /^node:sqlite$/,
		owner: /^src\/stores\//,
		instead: 'ask for a RecordStore',
	},
	{
		what: 'Redis',
		packages: /^(ioredis|redis)$/,
		owner: /^src\/stores\//,
		instead: 'ask for a SharedState',
	},
	{
		what: 'LanceDB',
		packages: /^@lancedb\/|^apache-arrow$/,
		owner: /^src\/index-stores\/lancedb\//,
		instead: 'ask for an IndexStore',
	},
	{
		what: 'PostgreSQL',
		packages: /^pg$/,
		owner: /^src\/(index-stores\/postgres|retrieval)\//,
		instead: 'ask for an IndexStore or a Source',
	},
	{
		what: 'DuckDB',
		packages: /^@duckdb\//,
		owner: /^src\/telemetry\//,
		instead: 'ask for a TraceSink or TraceReader',
	},
	{
		what: 'the metrics client',
		packages: /^prom-client$/,
		owner: /^src\/telemetry\//,
		instead: 'let it be read from the trace, or from how things stand (src/telemetry/standing.ts)',
	},
	{
		what: 'outbound HTTP',
		packages: /^(undici|node:https?|node:http2|axios)$/,
		// The double of a provider is a server; it calls nobody.
		owner: /^src\/(base\/http\.ts$|models\/|mock-upstream\/upstream-double\.ts$)/,
		instead: 'use the HttpClient of src/base/http.ts, which bounds and never redirects',
	},
	{
		what: 'timers',
		packages: /^(node:)?timers(\/promises)?$/,
		owner: /^src\/base\//,
		instead: 'take a Clock',
	},
	{
		what: 'the command line',
		packages: /^commander$/,
		owner: /^src\/cli\//,
		instead: 'take parsed options',
	},
	{
		what: 'the HTTP server',
		packages: /^fastify$/,
		owner: /^src\/gateway\//,
		instead: 'go through the gateway',
	},
];

const NAMES: readonly OwnedName[] = [
	{
		what: 'the environment',
		names: new Set(['process.env']),
		owner: /^src\/app\//,
		instead: 'take the value as an argument; app/ reads it once',
	},
	{
		what: 'the clock',
		names: new Set(['Date.now', 'performance.now', 'process.hrtime', 'new Date()']),
		owner: /^src\/base\//,
		instead: 'take a Clock, so that it runs on virtual time',
	},
	{
		what: 'timers',
		names: new Set(['setTimeout', 'setInterval', 'setImmediate', 'AbortSignal.timeout']),
		owner: /^src\/base\//,
		instead: 'take a Clock or a Deadline, so that it runs on virtual time',
	},
	{
		what: 'randomness',
		names: new Set(['Math.random', 'crypto.randomUUID', 'crypto.getRandomValues', 'randomUUID', 'randomBytes']),
		owner: /^src\/base\//,
		instead: 'take a Random, so that a seed repeats it',
	},
	{
		what: 'outbound HTTP',
		names: new Set(['fetch']),
		owner: /^src\/base\/http\.ts$/,
		instead: 'use the HttpClient of src/base/http.ts',
	},
];

/** Uses in src/ of what another folder owns alone. */
export function foreignUses(files: readonly SourceFile[]): string[] {
	return files
		.filter((file) => file.path.startsWith('src/'))
		.flatMap((file) => [...foreignPackages(file), ...foreignNames(file), ...foreignStatusNumbers(file)]);
}

function foreignPackages(file: SourceFile): string[] {
	return PACKAGES.filter(({ owner }) => !owner.test(file.path)).flatMap((rule) =>
		file.imports
			.filter(({ specifier, typeOnly }) => rule.packages.test(specifier) && !typeOnly)
			.map(({ line, specifier }) => complaint(file, line, specifier, rule)),
	);
}

function foreignNames(file: SourceFile): string[] {
	const declared = new Set(file.nodes.filter((node) => node.type === 'Identifier').map((node) => node.start));
	for (const node of file.nodes) excludeNonUses(node, declared);
	const rules = NAMES.filter(({ owner }) => !owner.test(file.path));
	return file.nodes.flatMap((node) => {
		const used = usedName(node, declared);
		return rules
			.filter(({ names }) => used !== null && names.has(used))
			.map((rule) => complaint(file, file.lineOf(node.start), used ?? '', rule));
	});
}

/** An identifier that only names a member, a property or a parameter is not a use of the global of that name. */
function excludeNonUses(node: SyntaxNode, uses: Set<number>): void {
	const drop = (member: string): void => {
		const named = child(node, member);
		if (named !== null && node.computed !== true) uses.delete(named.start);
	};
	if (node.type === 'MemberExpression') drop('property');
	if (/Property|MethodDefinition|TSMethodSignature|TSPropertySignature/.test(node.type) && node.shorthand !== true)
		drop('key');
}

function usedName(node: SyntaxNode, uses: ReadonlySet<number>): string | null {
	if (node.type === 'MemberExpression') {
		const [object, property] = [nameOf(child(node, 'object')), nameOf(child(node, 'property'))];
		return object === null || property === null ? null : `${object}.${property}`;
	}
	if (node.type === 'NewExpression' && nameOf(child(node, 'callee')) === 'Date') {
		return Array.isArray(node.arguments) && node.arguments.length === 0 ? 'new Date()' : null;
	}
	return node.type === 'Identifier' && uses.has(node.start) ? nameOf(node) : null;
}

/** Where a number is given as a status: `reply.code(404)`, `status: 404`, `statusCode: 404`. */
function foreignStatusNumbers(file: SourceFile): string[] {
	if (/^src\/(gateway|models|base|mock-upstream)\//.test(file.path)) return [];
	const rule = {
		what: 'HTTP status numbers',
		owner: /gateway/,
		instead: 'throw a PlimsollError: its code has a category, and the gateway a status for it',
	};
	return file.nodes.flatMap((node) => {
		const key = node.type === 'Property' ? nameOf(child(node, 'key')) : null;
		const value = child(node, 'value')?.value;
		const isStatus =
			(key === 'status' || key === 'statusCode') && typeof value === 'number' && value >= 400 && value < 600;
		return isStatus ? [complaint(file, file.lineOf(node.start), `status ${value}`, rule)] : [];
	});
}

function complaint(file: SourceFile, line: number, use: string, rule: Ownership): string {
	return `${file.path}:${line} uses ${use}: ${rule.what} has one owner (${rule.owner.source.replaceAll('\\', '')}). Instead ${rule.instead}.`;
}
