import { describe, expect, test } from 'vitest';
import { library, problemsOf, promptFile } from './prompt-file.ts';

const FILE = 'prompts/answer.prompt';

describe('a library', () => {
	test('gives the highest version of a name, or the one that is asked for', () => {
		const prompts = library({
			'features/a/prompts/answer.prompt': promptFile('A {{question}}', '', '1.9.0'),
			'features/a/prompts/answer.next.prompt': promptFile('B {{question}}', '', '1.10.0'),
			'features/a/prompts/answer.v1.8.prompt': promptFile('C {{question}}', '', '1.10.0-rc.1'),
			'features/a/prompts/other.prompt': promptFile('D {{question}}', '', '0.1.0'),
		});
		expect(prompts.get('answer', null)?.version).toBe('1.10.0');
		expect(prompts.get('answer', '1.9.0')?.version).toBe('1.9.0');
		expect(prompts.get('answer', '2.0.0')).toBeNull();
		expect(prompts.get('missing', null)).toBeNull();
		expect(prompts.list().map(({ name, version }) => `${name} ${version}`)).toEqual([
			'answer 1.9.0',
			'answer 1.10.0-rc.1',
			'answer 1.10.0',
			'other 0.1.0',
		]);
	});

	test('knows the owner and the schema of a prompt', () => {
		const head = 'input:\n  schema:\n    product: string, which one\n    tags?(array): string\n';
		const prompt = library({ [FILE]: promptFile('{{product}} {{question}}', head) }).get('answer', null);
		expect(prompt?.owner).toBe('docs team');
		expect(prompt?.inputSchema).toEqual({
			type: 'object',
			properties: {
				product: { type: 'string', description: 'which one' },
				tags: { type: ['array', 'null'], items: { type: 'string' } },
			},
			required: ['product'],
			additionalProperties: false,
		});
		expect(library({ [FILE]: promptFile('{{question}}') }).get('answer', null)?.inputSchema).toBeNull();
	});

	test('reads files with carriage returns and with a byte order mark', () => {
		const text = `\uFEFF${promptFile('{{question}}')}`.replaceAll('\n', '\r\n');
		expect(library({ [FILE]: text }).list()).toHaveLength(1);
	});

	test('keeps the partials of one library from another', () => {
		const one = library({ [FILE]: promptFile('{{> style}} {{question}}'), 'prompts/_style.prompt': 'Be brief.' });
		library({ [FILE]: promptFile('{{> style}} {{question}}'), 'prompts/_style.prompt': 'Be long.' });
		const assembled = one
			.get('answer', null)
			?.assemble(
				{ question: 'Q', history: [], variables: {}, passages: [] },
				{ tokensInMax: 99, tokenizer: 'o200k_base' },
			);
		expect(assembled?.messages).toEqual([{ role: 'user', content: 'Be brief. Q' }]);
	});

	test('takes a changelog that is a list', () => {
		const text =
			'---\nplimsoll.version: 1.1.0\nplimsoll.owner: me\nplimsoll.changelog:\n- 1.1.0: more\n- 1.0.0: first\n---\n{{question}}';
		expect(library({ [FILE]: text }).list()).toHaveLength(1);
	});
});

describe('front matter', () => {
	test.each([
		['nothing at all', '', ['prompts/answer.prompt:1:1: has no front matter']],
		['only a template', 'Hello {{question}}', ['prompts/answer.prompt:1:1: has no front matter']],
		[
			'no closing line',
			'---\nplimsoll.version: 1.0.0\n',
			['prompts/answer.prompt:1:1: the front matter has no closing line ---'],
		],
	])('%s is refused', (_, text, expected) => {
		const found = problemsOf({ [FILE]: text });
		expect(found).toHaveLength(expected.length);
		for (const [index, line] of expected.entries()) expect(found[index]).toContain(line);
	});

	test('what is missing is named, all of it at once', () => {
		const found = problemsOf({ [FILE]: '---\ndescription: a prompt\n---\n{{question}}' });
		expect(found).toHaveLength(3);
		for (const key of ['plimsoll.version', 'plimsoll.owner', 'plimsoll.changelog']) {
			expect(found.find((line) => line.includes(`${key}: is missing`))).toBeDefined();
		}
	});

	test('broken YAML is reported at its place, and the template is not mistaken for the whole file', () => {
		const found = problemsOf({ [FILE]: '---\nplimsoll.version: 1.0.0\nplimsoll.owner: "me\n---\n{{question}}' });
		expect(found.length).toBeGreaterThan(0);
		expect(found[0]).toMatch(/^prompts\/answer\.prompt:[34]:\d+: .*not valid YAML/);
	});

	test('an unknown key is refused at its place with the nearest one', () => {
		const [problem] = problemsOf({ [FILE]: promptFile('{{question}}', 'plimsoll.onwer: x\n') });
		expect(problem).toBe(
			'prompts/answer.prompt:6:1: plimsoll.onwer: is not a key of a prompt file (did you mean plimsoll.owner?)',
		);
	});

	test.each(['model', 'config', 'output', 'tools', 'version', 'variant', 'plimsoll'])(
		'%s, which would have no effect, is refused with the place that has',
		(key) => {
			const found = problemsOf({ [FILE]: promptFile('{{question}}', `${key}: x\n`) });
			expect(found).toHaveLength(1);
			expect(found[0]).toContain(`prompts/answer.prompt:6:1: ${key}: has no effect in a prompt file (`);
		},
	);

	test.each([
		['plimsoll.version: 1.0', 'plimsoll.version: is not a semantic version'],
		['plimsoll.version: v1.0.0', 'plimsoll.version: is not a semantic version'],
		['plimsoll.version: 1.0.0\nplimsoll.changelog:\n  0.9.0: old', 'has no entry for the current version 1.0.0'],
		['plimsoll.version: 1.0.0\nplimsoll.changelog: none', 'is not a changelog'],
		['plimsoll.version: 1.0.0\nplimsoll.changelog:\n  1.0.0:', 'does not say what changed'],
		['plimsoll.version: 1.0.0\nname: other', 'name: is not the name of the file, which is answer'],
		['plimsoll.version: 1.0.0\ninput:\n  schema:\n    question: string', 'question is built in'],
		['plimsoll.version: 1.0.0\ninput:\n  schema:\n    product: strin', 'strin is not a type'],
		['plimsoll.version: 1.0.0\ninput:\n  shema: {}', 'did you mean schema?'],
		[
			'plimsoll.version: 1.0.0\ninput:\n  schema: {a: string}\n  default: {b: x}',
			'is not a declared variable (did you mean a?',
		],
		['plimsoll.version: 1.0.0\ninput:\n  schema: {a: integer}\n  default: {a: x}', 'input.default.a: must be integer'],
		[
			'plimsoll.version: 1.0.0\ninput:\n  schema: {type: object, properties: {a: {type: nosuch}}}',
			'not a valid JSON Schema',
		],
		['plimsoll.version: 1.0.0\nplimsoll.version: 1.0.1', 'this key stands here twice'],
	])('%j is refused', (head, expected) => {
		const found = problemsOf({ [FILE]: `---\nplimsoll.owner: me\n${head}\n---\n{{question}}` });
		expect(found.join('\n')).toContain(expected);
		for (const line of found) expect(line).toMatch(/^prompts\/answer\.prompt:\d+:\d+: /);
	});
});

describe('files', () => {
	test('two files with one version of one name are refused, naming both', () => {
		const found = problemsOf({
			[FILE]: promptFile('{{question}}'),
			'prompts/answer.copy.prompt': promptFile('{{question}}'),
		});
		expect(found).toEqual([
			'prompts/answer.copy.prompt: plimsoll.version: is answer 1.0.0, as prompts/answer.prompt is (give one of them another version)',
		]);
	});

	test('a file whose name is not a prompt’s is refused', () => {
		expect(problemsOf({ 'prompts/Answer One.prompt': promptFile('{{question}}') })[0]).toContain(
			'is not the name of a prompt',
		);
	});

	test('problems of several files come together, in order', () => {
		const found = problemsOf({
			'prompts/b.prompt': promptFile('{{nobody}} {{question}}\n{{other}}'),
			'prompts/a.prompt': promptFile('{{#if question}}'),
			'prompts/_part.prompt': '---\nplimsoll.version: 1.0.0\n---\nText',
		});
		expect(found.map((line) => line.split(': ', 1)[0])).toEqual([
			'prompts/_part.prompt:1:1',
			'prompts/a.prompt:7:17',
			'prompts/b.prompt:7:3',
			'prompts/b.prompt:8:3',
		]);
	});
});

describe('a template', () => {
	const inputs = `input:
  schema:
    product: string
    details?(object):
      size: number
    tags(array): string
    anything: any
`;
	const line = (text: string, partials: Readonly<Record<string, string>> = {}) =>
		problemsOf({ [FILE]: promptFile(text, inputs), ...partials });

	test.each([
		'{{question}}',
		'{{product}}',
		'{{#each passages}}{{number}} {{title}} {{heading}} {{text}} {{@index}} {{../question}}{{/each}}',
		'{{#each passages as |p i|}}{{p.text}} {{i}} {{../question}}{{/each}}',
		'{{#if details}}{{details.size}}{{else if product}}{{product}}{{else}}none{{/if}}',
		'{{#with details}}{{size}} {{@root.question}}{{/with}}',
		'{{#each tags}}{{this}}, {{/each}}{{tags.length}} {{tags.[0]}} {{json tags indent=2}}',
		'{{anything.what.ever}} {{#each anything}}{{x}}{{@key}}{{/each}}',
		'{{#ifEquals product "a"}}x{{else}}y{{/ifEquals}} {{#unless tags}}none{{/unless}} {{lookup tags 0}}',
		'{{role "system"}}S {{history}} {{role "user"}}{{question}}{{! a comment }}',
		'{{#unlessEquals product (lookup tags 0)}}{{question}}{{/unlessEquals}}',
		'{{{question}}} \\{{question}}',
	])('may be %j', (text) => {
		expect(line(text)).toEqual([]);
	});

	test.each([
		['{{questoin}}', '3: nobody passes questoin (did you mean question?)'],
		['{{question}}{{detail.size}}', '15: nobody passes detail.size (did you mean details?)'],
		['{{question}}{{details.weight}}', '15: nobody passes details.weight (the members are size)'],
		['{{question}}{{#each passages}}{{txt}}{{/each}}', '33: nobody passes txt (did you mean text?)'],
		['{{question}}{{#each passages}}{{question}}{{/each}}', '33: nobody passes question'],
		['{{question.length}}', '3: nobody passes question.length'],
		['{{question}}{{@index}}', '15: nobody passes @index (it exists inside {{#each}})'],
		['{{question}}{{../product}}', '15: ../product leads out of the template'],
		['{{question}}{{upper product}}', '13: upper is not a helper that exists'],
		['{{question}}{{jsn tags}}', '13: jsn is not a helper that exists (did you mean json?)'],
		['{{question}}{{media url=product}}', '13: media is not supported (messages are text, and no media is sent)'],
		['{{question}}{{section "code"}}', '13: section is not supported'],
		['{{question}}{{log product}}', '13: log is not supported'],
		['{{question}}{{#tags}}x{{/tags}}', '13: {{#tags}} is not a block that exists (write {{#if tags}}'],
		['{{question}}{{#eahc tags}}x{{/eahc}}', '13: {{#eahc}} is not a block that exists (did you mean {{#each}}?)'],
		['{{question}}{{#each product}}x{{/each}}', '13: product is not a list'],
		['{{question}}{{#if}}x{{/if}}', '13: if takes 1 values'],
		['{{question}}{{role "assistant"}}x', '13: does not name a role (expected {{role "system"}}'],
		['{{question}}{{role product}}x', '13: does not name a role'],
		['{{question}}{{details}}', '13: details is an object, not text (write {{json details}})'],
		['{{question}}{{passages}}', '13: passages is a list, not text (write {{json passages}}, or {{#each}})'],
		['{{question}}{{history}} more', '24: the text after {{history}} would be said by the model'],
		['{{role "user"}}{{history}}{{question}}', '27: the text after {{history}} would be said by the model'],
		['{{question}}{{history}}{{history}}', '24: {{history}} stands in the prompt more than once'],
		['{{question}}<<<dotprompt:role:system>>>', '13: a marker of Dotprompt’s stands in the text'],
		['{{question}}{{> card}}', '13: there is no partial card (add the file prompts/_card.prompt)'],
		['{{question}}{{> (lookup tags 0)}}', '13: the name of a partial must be written out'],
		['{{question}}{{#> card}}x{{/card}}', '13: partial blocks and decorators are not supported'],
		['Just text', '1: uses neither {{question}} nor any input'],
		['{{#each passages}}{{text}}{{/each}}', '1: uses neither {{question}} nor any input'],
		['{{question}}{{#if product}}x{{/each}}', '16: the block {{#if}} is closed by {{/each}} (close it with {{/if}})'],
		['{{question}} {{', '16: the template ends inside a block or a tag'],
		['{{question}} {{}} x', '16: does not parse near'],
		['', '1: the template is empty'],
		['  \n\n ', '1: the template is empty'],
	])('%j is refused at its place', (text, expected) => {
		const found = line(text);
		expect(found[0]).toMatch(/^prompts\/answer\.prompt:\d+:\d+: /);
		expect(found.join('\n')).toContain(expected);
	});

	test('is placed in its file however many blank lines come before it', () => {
		const found = problemsOf({ [FILE]: promptFile('\n\n{{question}}\n  {{nobody}}') });
		expect(found[0]).toContain('prompts/answer.prompt:10:5: nobody passes nobody');
	});

	test('that never closes a block says so at its end', () => {
		expect(line('{{question}}\n{{#if product}}')[0]).toContain('the template ends inside a block or a tag');
	});

	test('reports what is wrong in a partial in the partial’s file, once', () => {
		const found = line('{{question}}{{> card}}{{> card}}', { 'prompts/_card.prompt': 'Card\n{{prodct}}' });
		expect(found).toEqual(['prompts/_card.prompt:2:3: nobody passes prodct (did you mean product?)']);
	});

	test('may pass values to a partial', () => {
		const partials = { 'prompts/_card.prompt': '{{title}}: {{body}} {{@root.product}}' };
		expect(line('{{question}}{{#each passages}}{{> card body=text}}{{/each}}', partials)).toEqual([]);
		expect(line('{{question}}{{> card body=product}}', partials)[0]).toContain('_card.prompt:1:3: nobody passes title');
	});

	test('uses its question also where only a partial does', () => {
		expect(line('{{> ask}}', { 'prompts/_ask.prompt': '{{question}}' })).toEqual([]);
		expect(line('{{> ask tone="mild"}}', { 'prompts/_ask.prompt': '{{tone}} {{question}}' })).toEqual([]);
	});

	test('is refused when partials use each other in a circle', () => {
		const found = line('{{question}}{{> a}}', { 'prompts/_a.prompt': '{{> b}}', 'prompts/_b.prompt': 'x {{> a}}' });
		expect(found).toEqual([
			'prompts/_b.prompt:1:3: the partials use each other in a circle: a → b → a (take one of them out)',
		]);
	});

	test('a broken partial is not reported as missing', () => {
		const found = line('{{question}}{{> a}}', { 'prompts/_a.prompt': '{{#if}' });
		expect(found).toHaveLength(1);
		expect(found[0]).toContain('prompts/_a.prompt:1:');
	});
});
