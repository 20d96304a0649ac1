import { expect, test } from 'vitest';
import { parseYaml } from '../../src/contracts/yaml-document.ts';
import { formatProblem } from '../../src/spec/problem.ts';

function problemsOf(text: string): string[] {
	return parseYaml({ file: 'x.yaml', text }).problems.map(formatProblem);
}

test('a value and its key know where they stand', () => {
	const document = parseYaml({ file: 'x.yaml', text: 'a:\n  b:\n    - 1\n    - {c: deep}\n' });
	expect(document.problems).toEqual([]);
	expect(document.valuePlace(['a', 'b', 1, 'c'])).toEqual({ line: 4, column: 11 });
	expect(document.keyPlace(['a', 'b', 1, 'c'])).toEqual({ line: 4, column: 8 });
	expect(document.keyPlace(['a', 'missing'])).toEqual({ line: 1, column: 1 });
	expect(document.valuePlace(['nothing'])).toEqual({ line: 1, column: 1 });
});

test.each([
	['broken syntax', 'a: [1, 2\nb: 3\n', /^x\.yaml:2:1: is not valid YAML: Flow sequence/],
	['a tab as indent', 'a:\n\tb: 1\n', /^x\.yaml:2:1: .*tab/i],
	['a duplicate key', 'a: 1\nb: 2\na: 3\n', /^x\.yaml:3:1: a: this key stands here twice/],
	['a second document', 'a: 1\n---\nb: 2\n', /^x\.yaml:2:1: a second document starts here/],
	['an anchor', 'a: &x [1]\n', /^x\.yaml:1:7: anchor &x is not allowed/],
	['a tag', 'a: !!binary aGk=\n', /^x\.yaml:1:\d+: tag tag:yaml.org,2002:binary|^x\.yaml:1:\d+: tag !!binary/],
	['a list', '- a\n- b\n', /^x\.yaml:1:1: is not a mapping of keys to values/],
	['a scalar', 'hello\n', /^x\.yaml:1:1: is not a mapping/],
	['nothing', '# only a comment\n', /^x\.yaml:1:1: is empty/],
	['infinity', 'a: .inf\n', /^x\.yaml:1:4: Infinity is not a number/],
	['a list as a key', '? [q]\n: 1\n', /^x\.yaml:1:\d+: is not valid YAML/],
])('%s is one problem at its place', (_, text, expected) => {
	const problems = problemsOf(text);
	expect(problems).toHaveLength(1);
	expect(problems[0]).toMatch(expected);
});

test('an alias bomb is refused without being expanded', () => {
	const levels = Array.from({ length: 40 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i}, `.repeat(9)}*l${i}]`);
	const problems = problemsOf(`l0: &l0 [x]\n${levels.join('\n')}\n`);
	expect(problems.length).toBeGreaterThan(40);
	expect(problems.every((problem) => /anchor|aliases/.test(problem))).toBe(true);
});

test('nesting without end is refused', () => {
	expect(problemsOf(`a: ${'['.repeat(20_000)}${']'.repeat(20_000)}\n`)[0]).toMatch(/nested too deep/);
	expect(problemsOf(`a: ${'['.repeat(60)}${']'.repeat(60)}\n`)[0]).toMatch(/nested deeper than 32 levels/);
});

test('keys that JavaScript treats specially are plain keys', () => {
	const { value, problems } = parseYaml({ file: 'x.yaml', text: '__proto__: {a: 1}\nconstructor: 2\n<<: {b: 1}\n' });
	expect(problems).toEqual([]);
	expect(Object.keys(value as object)).toEqual(['__proto__', 'constructor', '<<']);
	expect(Object.getPrototypeOf(value)).toBeNull();
});

test('a file with more keys and slips than sense is read in time that grows with its size', () => {
	const many = Array.from({ length: 60_000 }, (_, i) => `k${i}: ${i}`).join('\n');
	// Comparing every key with every other would take a minute here and run into the test's time-out.
	expect(Object.keys(parseYaml({ file: 'x.yaml', text: many }).value as object)).toHaveLength(60_000);
	expect(problemsOf('"'.repeat(200_000)).length).toBeLessThanOrEqual(100);
});
