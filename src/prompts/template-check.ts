import { nearest } from '../base/nearest.ts';
import { fileProblem } from '../contracts/source-file.ts';
import { formatProblem, type Problem } from '../spec/problem.ts';
import { ANY, itemShape, memberShape, SCALAR, type Shape } from './shape.ts';
import { ROLES, type TemplateSource } from './template.ts';

interface Helper {
	readonly params: number;
	readonly block: boolean;
	readonly hash?: readonly string[];
}

const HELPERS: ReadonlyMap<string, Helper> = new Map<string, Helper>([
	['if', { params: 1, block: true, hash: ['includeZero'] }],
	['unless', { params: 1, block: true, hash: ['includeZero'] }],
	['each', { params: 1, block: true }],
	['with', { params: 1, block: true }],
	['ifEquals', { params: 2, block: true }],
	['unlessEquals', { params: 2, block: true }],
	['lookup', { params: 2, block: false }],
	['json', { params: 1, block: false, hash: ['indent'] }],
	['role', { params: 1, block: false }],
	['history', { params: 0, block: false }],
]);

const REFUSED_HELPERS: ReadonlyMap<string, string> = new Map([
	['media', 'messages are text, and no media is sent'],
	['section', 'messages are text, and no section is filled in later'],
	['log', 'a template prints nothing'],
]);

/** Data that Handlebars sets inside `{{#each}}`. */
const LOOP_DATA = ['index', 'key', 'first', 'last'];

interface Scope {
	/** The root, then the value of each enclosing `each` and `with`. */
	readonly contexts: readonly Shape[];
	readonly blockParams: ReadonlyMap<string, Shape>;
	readonly loop: boolean;
	readonly source: TemplateSource;
	/** Names of the partials that are being expanded. */
	readonly partials: readonly string[];
}

type Call = Pick<hbs.AST.MustacheStatement, 'path' | 'params' | 'hash' | 'loc'>;

/** Reports every variable that nobody passes, unknown helper, unknown or cyclic partial, and misplaced text. */
export function checkTemplate(
	source: TemplateSource,
	root: Shape & { kind: 'object' },
	partials: ReadonlyMap<string, TemplateSource>,
): readonly Problem[] {
	const check = new TemplateCheck(root, partials);
	check.program(source.program, { contexts: [root], blockParams: new Map(), loop: false, source, partials: [] });
	if (check.readsNoInput) {
		check.report(
			source,
			null,
			'uses neither {{question}} nor any input, so that every request would get the same prompt',
			{
				hint: 'write {{question}} where the question belongs',
			},
		);
	}
	return [...new Map(check.problems.map((problem) => [formatProblem(problem), problem])).values()];
}

class TemplateCheck {
	readonly problems: Problem[] = [];
	readsNoInput = true;
	readonly #root: Shape & { kind: 'object' };
	readonly #partials: ReadonlyMap<string, TemplateSource>;
	/** The root, and the same with what a partial was given on top. */
	readonly #roots: Set<Shape>;
	#histories = 0;
	/** True from `{{history}}` to the next `{{role}}`. */
	#afterHistory = false;

	constructor(root: Shape & { kind: 'object' }, partials: ReadonlyMap<string, TemplateSource>) {
		this.#root = root;
		this.#roots = new Set([root]);
		this.#partials = partials;
	}

	program(program: hbs.AST.Program | undefined, scope: Scope): void {
		for (const statement of program?.body ?? []) this.#statement(statement, scope);
	}

	#statement(statement: hbs.AST.Statement, scope: Scope): void {
		switch (statement.type) {
			case 'ContentStatement':
				this.#content(statement as hbs.AST.ContentStatement, scope);
				return;
			case 'MustacheStatement':
				this.#mustache(statement as hbs.AST.MustacheStatement, scope);
				return;
			case 'BlockStatement':
				this.#block(statement as hbs.AST.BlockStatement, scope);
				return;
			case 'PartialStatement':
				this.#partial(statement as hbs.AST.PartialStatement, scope);
				return;
			case 'CommentStatement':
				return;
			default:
				this.report(scope.source, statement.loc, 'partial blocks and decorators are not supported', {
					hint: 'use {{> name}} with a file _name.prompt',
				});
		}
	}

	#content(content: hbs.AST.ContentStatement, scope: Scope): void {
		if (content.value.includes('<<<dotprompt:')) {
			this.report(scope.source, content.loc, 'a marker of Dotprompt’s stands in the text', {
				hint: 'write {{role "system"}} or {{history}} instead',
			});
		}
		if (content.value.trim() !== '') this.#spoken(content.loc, scope);
	}

	#mustache(mustache: hbs.AST.MustacheStatement, scope: Scope): void {
		const name = helperName(mustache);
		if (name === 'role') {
			this.#role(mustache, scope);
			return;
		}
		if (name === 'history') {
			this.#history(mustache, scope);
			return;
		}
		this.#spoken(mustache.loc, scope);
		const shape = this.#value(mustache, scope);
		if (shape?.kind !== 'object' && shape?.kind !== 'list') return;
		const what = shape.kind === 'list' ? 'a list' : 'an object';
		this.report(scope.source, mustache.loc, `${shown(mustache)} is ${what}, not text`, {
			hint: `write {{json ${shown(mustache)}}}${shape.kind === 'list' ? ', or {{#each}}' : ''}`,
		});
	}

	#role(call: Call, scope: Scope): void {
		const [role] = call.params;
		const name = role && 'value' in role ? String(role.value) : null;
		if (role?.type === 'StringLiteral' && ROLES.has(name ?? '') && this.#takes(call, 'role', scope)) {
			this.#afterHistory = false;
			return;
		}
		const hint = name === 'assistant' ? 'Dotprompt calls it model' : null;
		const expected = [...ROLES.keys()].map((known) => `{{role "${known}"}}`).join(', ');
		this.report(scope.source, call.loc, 'does not name a role', { expected, hint });
	}

	#history(call: Call, scope: Scope): void {
		this.#takes(call, 'history', scope);
		if (++this.#histories > 1 || scope.loop) {
			this.report(scope.source, call.loc, '{{history}} stands in the prompt more than once', { hint: 'keep one' });
		}
		this.#afterHistory = true;
	}

	/** Dotprompt gives text after the history to the model, which nobody means. */
	#spoken(loc: hbs.AST.SourceLocation, scope: Scope): void {
		if (!this.#afterHistory) return;
		this.#afterHistory = false;
		this.report(scope.source, loc, 'the text after {{history}} would be said by the model', {
			hint: 'write {{role "user"}} before it',
		});
	}

	#block(block: hbs.AST.BlockStatement, scope: Scope): void {
		const name = block.path.original;
		const helper = HELPERS.get(name);
		if (!helper?.block) {
			this.#unknownBlock(block, scope);
		} else if (this.#takes(block, name, scope)) {
			const [value = null] = block.params.map((param) => this.#value(param, scope));
			const inner = this.#enter(block, name, value ?? ANY, scope);
			this.program(block.program, inner);
			this.program(block.inverse, scope);
			return;
		}
		this.program(block.program, scope);
		this.program(block.inverse, scope);
	}

	#unknownBlock(block: hbs.AST.BlockStatement, scope: Scope): void {
		const name = block.path.original;
		const blocks = [...HELPERS].filter(([, helper]) => helper.block).map(([known]) => known);
		const isVariable = block.params.length === 0 && this.#root.members.has(name);
		const close = nearest(name, blocks);
		const hint = isVariable
			? `write {{#if ${name}}}, {{#each ${name}}} or {{#with ${name}}}`
			: close
				? `did you mean {{#${close}}}?`
				: `the blocks are ${blocks.join(', ')}`;
		this.report(scope.source, block.loc, `{{#${name}}} is not a block that exists`, { hint });
	}

	/** The scope inside a block. */
	#enter(block: hbs.AST.BlockStatement, name: string, value: Shape, scope: Scope): Scope {
		if (name !== 'each' && name !== 'with') return scope;
		const inner = name === 'each' ? itemShape(value) : value;
		if (inner === null) {
			this.report(scope.source, block.loc, `${shown(block.params[0])} is not a list`, {
				hint: 'use {{#if}} or {{#with}}',
			});
		}
		const names = block.program.blockParams ?? [];
		const shapes = name === 'each' ? [inner ?? ANY, SCALAR] : [value];
		const params = names.map((param, index) => [param, shapes[index] ?? ANY] as const);
		return {
			...scope,
			contexts: [...scope.contexts, inner ?? ANY],
			blockParams: new Map([...scope.blockParams, ...params]),
			loop: scope.loop || name === 'each',
		};
	}

	#partial(partial: hbs.AST.PartialStatement, scope: Scope): void {
		const named: hbs.AST.Node & { original?: unknown } = partial.name;
		const name = String(named.original ?? '');
		const known = this.#partials.get(name);
		const context = partial.params[0] ? this.#value(partial.params[0], scope) : scope.contexts.at(-1);
		const pairs = (partial.hash?.pairs ?? []).map(({ key, value }) => [key, this.#value(value, scope) ?? ANY] as const);
		if (partial.name.type === 'SubExpression') {
			this.report(scope.source, partial.loc, 'the name of a partial must be written out', { expected: '{{> name}}' });
		} else if (scope.partials.includes(name)) {
			const circle = [...scope.partials.slice(scope.partials.indexOf(name)), name].join(' → ');
			this.report(scope.source, partial.loc, `the partials use each other in a circle: ${circle}`, {
				hint: 'take one of them out',
			});
		} else if (known) {
			const shape = withMembers(context ?? ANY, pairs);
			if (context && this.#roots.has(context)) this.#roots.add(shape);
			const partials = [...scope.partials, name];
			this.program(known.program, { ...scope, contexts: [shape], blockParams: new Map(), source: known, partials });
		} else {
			const close = nearest(name, [...this.#partials.keys()]);
			const hint = close ? `did you mean {{> ${close}}}?` : `add the file prompts/_${name}.prompt`;
			this.report(scope.source, partial.loc, `there is no partial ${name}`, { hint });
		}
	}

	/** The shape of an expression; null when there is a problem with it. */
	#value(expression: hbs.AST.Expression | Call, scope: Scope): Shape | null {
		if ('params' in expression) {
			const call = expression as Call;
			if (call.params.length > 0 || (call.hash?.pairs.length ?? 0) > 0 || HELPERS.has(helperName(call))) {
				return this.#helper(call, scope);
			}
			return this.#value(call.path, scope);
		}
		if (expression.type === 'PathExpression') return this.#path(expression as hbs.AST.PathExpression, scope);
		return SCALAR;
	}

	#helper(call: Call, scope: Scope): Shape | null {
		const name = helperName(call);
		const helper = HELPERS.get(name);
		if (helper && !helper.block && name !== 'role' && name !== 'history') {
			if (!this.#takes(call, name, scope)) return null;
			const params = call.params.map((param) => this.#value(param, scope));
			if (params.includes(null)) return null;
			return name === 'json' ? SCALAR : ANY;
		}
		const refused = REFUSED_HELPERS.get(name);
		const close = nearest(name, [...HELPERS.keys()]);
		const what = refused ? 'is not supported' : helper ? 'cannot stand here' : 'is not a helper that exists';
		const hint =
			refused ?? (helper?.block ? `write {{#${name} …}}` : close && !helper ? `did you mean ${close}?` : null);
		this.report(scope.source, call.loc, `${name} ${what}`, { hint });
		return null;
	}

	#takes(call: Call, name: string, scope: Scope): boolean {
		const helper = HELPERS.get(name);
		const stranger = call.hash?.pairs.find(({ key }) => !helper?.hash?.includes(key));
		if (call.params.length === helper?.params && !stranger) return true;
		const message = stranger ? `${name} takes no ${stranger.key}=` : `${name} takes ${helper?.params ?? 0} values`;
		this.report(scope.source, call.loc, message, {});
		return false;
	}

	#path(path: hbs.AST.PathExpression, scope: Scope): Shape | null {
		if (path.data) return this.#data(path, scope);
		const [first, ...rest] = path.parts;
		const param = path.depth === 0 && first !== undefined ? scope.blockParams.get(first) : undefined;
		if (param) return this.#members(param, rest, path, scope);
		const context = scope.contexts[scope.contexts.length - 1 - path.depth];
		if (!context) {
			this.report(scope.source, path.loc, `${path.original} leads out of the template`, { hint: 'take one ../ away' });
			return null;
		}
		return this.#members(context, path.parts, path, scope);
	}

	#data(path: hbs.AST.PathExpression, scope: Scope): Shape | null {
		const [name = '', ...rest] = path.parts;
		if (name === 'root') return this.#members(this.#root, rest, path, scope);
		if (scope.loop && LOOP_DATA.includes(name) && rest.length === 0) return SCALAR;
		const hint = LOOP_DATA.includes(name)
			? 'it exists inside {{#each}}'
			: `the names are @root, @${LOOP_DATA.join(', @')}`;
		this.report(scope.source, path.loc, `nobody passes @${name}`, { hint });
		return null;
	}

	#members(shape: Shape, parts: readonly string[], path: hbs.AST.PathExpression, scope: Scope): Shape | null {
		if (this.#roots.has(shape) && parts[0] !== 'passages') this.readsNoInput = false;
		let current = shape;
		for (const part of parts) {
			const next = memberShape(current, part);
			if (next === null) {
				this.#unknownVariable(current, part, path, scope);
				return null;
			}
			current = next;
		}
		return current;
	}

	#unknownVariable(shape: Shape, part: string, path: hbs.AST.PathExpression, scope: Scope): void {
		const known = shape.kind === 'object' ? [...shape.members.keys()] : [];
		const close = nearest(part, known);
		const refused = REFUSED_HELPERS.get(part);
		const hint = refused
			? refused
			: HELPERS.has(part)
				? `${part} is a helper, not a variable`
				: close
					? `did you mean ${close}?`
					: shape === this.#root
						? `declare it under input.schema; the variables are ${known.join(', ')}`
						: known.length > 0
							? `the members are ${known.join(', ')}`
							: null;
		this.report(scope.source, path.loc, `nobody passes ${path.original}`, { hint });
	}

	report(
		source: TemplateSource,
		loc: hbs.AST.SourceLocation | null,
		message: string,
		more: { expected?: string | null; hint?: string | null },
	): void {
		this.problems.push({
			...fileProblem(source.file, message, more.hint ?? null),
			expected: more.expected ?? null,
			line: source.line + (loc?.start.line ?? 1) - 1,
			column: (loc?.start.column ?? 0) + 1,
		});
	}
}

function helperName(call: Call): string {
	return 'original' in call.path ? String(call.path.original) : '';
}

function shown(expression: hbs.AST.Expression | Call | undefined): string {
	if (!expression) return 'it';
	if ('path' in expression) return helperName(expression as Call);
	return 'original' in expression ? String(expression.original) : 'it';
}

function withMembers(shape: Shape, pairs: readonly (readonly [string, Shape])[]): Shape {
	if (pairs.length === 0) return shape;
	const members = shape.kind === 'object' ? shape.members : [];
	const others = shape.kind === 'object' ? shape.others : shape.kind === 'any' ? ANY : null;
	return { kind: 'object', members: new Map([...members, ...pairs]), others };
}
