import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { canonicalJson } from '../base/canonical-json.ts';
import { sha256 } from '../base/hash.ts';
import { countTokens } from '../base/tokens.ts';
import { isMapping } from '../contracts/schema-node.ts';
import { PlimsollError } from '../spec/errors.ts';
import type { AssembledPrompt, Prompt, PromptBudget, PromptInput } from '../spec/prompt.ts';
import type { Passage } from '../spec/retrieval.ts';
import { BudgetFitter } from './budget-fit.ts';
import type { FrontMatter } from './front-matter.ts';
import { messageTokens, REPLY_TOKENS } from './message-tokens.ts';
import type { Render, Section } from './template.ts';

/** What templates see of a passage. */
interface PassageView {
	/** 1-based: the number that citations use. */
	readonly number: number;
	readonly title: string;
	readonly heading: string;
	readonly text: string;
}

type Values = Readonly<Record<string, unknown>>;

export function createPrompt(name: string, head: FrontMatter & { version: string }, render: Render): Prompt {
	return new CompiledPrompt(name, head, render);
}

class CompiledPrompt implements Prompt {
	readonly name: string;
	readonly version: string;
	readonly owner: string;
	readonly inputSchema: Readonly<Record<string, unknown>> | null;
	readonly #render: Render;
	readonly #defaults: Values;
	readonly #declared: readonly string[];
	readonly #required: ReadonlySet<string>;
	readonly #validate: ValidateFunction | null;
	readonly #fitter = new BudgetFitter();

	constructor(name: string, head: FrontMatter & { version: string }, render: Render) {
		this.name = name;
		this.version = head.version;
		this.owner = head.owner;
		this.inputSchema = head.inputSchema;
		this.#render = render;
		this.#defaults = head.defaults;
		const { properties, required } = head.inputSchema ?? {};
		this.#declared = Object.keys(isMapping(properties) ? properties : {});
		this.#required = new Set(Array.isArray(required) ? required.map(String) : []);
		this.#validate =
			head.inputSchema && new Ajv2020({ strict: false, validateFormats: false }).compile(head.inputSchema);
	}

	assemble(input: PromptInput, budget: PromptBudget): AssembledPrompt {
		const variables = this.#variables(input.variables);
		const views = input.passages.map(viewPassage);
		const render = (passages: number): readonly Section[] =>
			instructed(
				this.#sections({ ...variables, question: input.question, passages: views.slice(0, passages) }),
				budget.instruction ?? null,
			);
		const fit = this.#fitter.fit(input, budget, render);
		if (!fit) throw this.#overBudget(render(0), { question: input.question, ...variables }, budget);
		if (fit.messages.length === 0) {
			throw new PlimsollError('request_invalid', `The prompt ${this.name} is empty: the question holds no text.`);
		}
		return {
			messages: fit.messages,
			tokensIn: fit.tokens,
			hash: sha256(canonicalJson(fit.messages)),
			passages: input.passages.slice(0, fit.passages),
			trimmedPassages: input.passages.length - fit.passages,
			trimmedTurns: fit.trimmedTurns,
		};
	}

	/** Only what the prompt declares, so that no variable can stand in for the question or the passages. */
	#variables(given: Values): Values {
		const variables: Record<string, unknown> = {};
		for (const name of this.#declared) {
			const value = Object.hasOwn(given, name) ? given[name] : this.#defaults[name];
			if (value !== undefined) variables[name] = value;
			else if (this.#required.has(name)) {
				throw new PlimsollError('request_invalid', `The prompt ${this.name} needs the variable ${name}.`, {
					param: name,
				});
			}
		}
		if (this.#validate && !this.#validate(variables)) throw this.#misfit(this.#validate.errors?.[0]);
		return variables;
	}

	/** Names the variable and its place inside, never its value. */
	#misfit({ instancePath = '', message = 'it does not' }: Partial<ErrorObject> = {}): PlimsollError {
		const [, param = '', ...inside] = instancePath.split('/');
		const what = param === '' ? 'The input' : `The variable ${param}`;
		const where = inside.length > 0 ? ` at /${inside.join('/').slice(0, 100)}` : '';
		const text = `${what} of the prompt ${this.name} does not fit its schema${where}: ${message}.`;
		return new PlimsollError('request_invalid', text, param ? { param } : {});
	}

	#sections(values: Values): readonly Section[] {
		try {
			return this.#render(values);
		} catch (error) {
			throw new PlimsollError(
				'request_invalid',
				`The prompt ${this.name} could not be rendered with these variables.`,
				{
					internal: error instanceof Error ? error.message : String(error),
					cause: error,
				},
			);
		}
	}

	#overBudget(sections: readonly Section[], parts: Values, budget: PromptBudget): PlimsollError {
		const { tokenizer, tokensInMax } = budget;
		let total = REPLY_TOKENS;
		for (const section of sections) {
			if (section !== 'history') total += messageTokens({ role: section.role, content: section.text }, tokenizer);
		}
		const counted = Object.entries(parts).map(([name, value]) => {
			const text = typeof value === 'string' ? value : canonicalJson(value);
			return {
				what: name === 'question' ? 'the question' : `the variable ${name}`,
				tokens: countTokens(text, tokenizer),
			};
		});
		const own = Math.max(0, total - counted.reduce((sum, part) => sum + part.tokens, 0));
		const largest = [...counted, { what: 'the text of the prompt itself', tokens: own }].reduce((a, b) =>
			b.tokens > a.tokens ? b : a,
		);
		return new PlimsollError(
			'budget_tokens_in_exceeded',
			`The prompt counts ${total} tokens without any passage or earlier turn, and the budget is ${tokensInMax}. ` +
				`Its largest part is ${largest.what} with ${largest.tokens} tokens.`,
		);
	}
}

/** At the end of the system part, or as the system part where a prompt has none. */
function instructed(sections: readonly Section[], instruction: string | null): readonly Section[] {
	if (instruction === null) return sections;
	const at = sections.findIndex((section) => section !== 'history' && section.role === 'system');
	if (at === -1) return [{ role: 'system', text: instruction }, ...sections];
	return sections.map((section, index) =>
		index === at && section !== 'history'
			? { ...section, text: `${section.text.trimEnd()}\n\n${instruction}` }
			: section,
	);
}

function viewPassage({ title, headingPath, text }: Passage, index: number): PassageView {
	return { number: index + 1, title, heading: headingPath.join(' › '), text };
}
