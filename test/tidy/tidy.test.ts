import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FAILURE_POLICIES } from '../../src/contracts/release.ts';
import { STAGES } from '../../src/spec/trace.ts';
import {
	brokenLinks,
	commandLine,
	document,
	machineTraces,
	routePaths,
	unknownCommands,
	unknownRoutes,
	unknownScripts,
} from './documents.ts';
import { brokenLayers, importCycles } from './layers.ts';
import { foreignUses } from './owners.ts';
import { deadFiles, unusedExports } from './reach.ts';
import { crowdedSignatures, idleExceptions, looseEnds, misplacedTests, overlong } from './shape.ts';
import { codeBase, filesBelow, ROOT } from './source-file.ts';

const files = codeBase();
const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean);
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const pages = [...rootPages(), ...filesBelow('docs').filter((path) => path.endsWith('.md'))].map(document);

function rootPages(): string[] {
	return ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'];
}

describe('the code base keeps its own rules', () => {
	test('a folder imports only from folders below it', () => {
		expect(brokenLayers(files)).toEqual([]);
	});

	test('no import cycles', () => {
		expect(importCycles(files)).toEqual([]);
	});

	test('environment, clock, timers, randomness, databases, HTTP and status numbers each have one owner', () => {
		expect(foreignUses(files)).toEqual([]);
	});

	test('every file of src/ is reached', () => {
		expect(deadFiles(files)).toEqual([]);
	});

	test('every export of src/ is used', () => {
		expect(unusedExports(files)).toEqual([]);
	});

	test('files and functions are short, and no exception outlives its need', () => {
		expect([...overlong(files), ...idleExceptions(files)]).toEqual([]);
	});

	test('at most three positional parameters', () => {
		expect(crowdedSignatures(files)).toEqual([]);
	});

	test('no any, no loose ends, names that say something', () => {
		expect(looseEnds(files)).toEqual([]);
	});

	test('tests mirror src/', () => {
		expect(misplacedTests(files.map(({ path }) => path))).toEqual([]);
	});

	test('the public exports of the library are these', () => {
		const index = files.find(({ path }) => path === 'src/index.ts');
		expect(index?.exports.map(({ name }) => name).sort()).toMatchInlineSnapshot(`
			[
			  "Answer",
			  "AskOptions",
			  "AttemptTrace",
			  "Citation",
			  "ERRORS",
			  "ErrorCode",
			  "Hit",
			  "InProcessRuntime",
			  "IngestReport",
			  "Passage",
			  "PlimsollError",
			  "Problem",
			  "RateOptions",
			  "RateReceipt",
			  "Rating",
			  "RequestTrace",
			  "RuntimeOptions",
			  "SearchMode",
			  "SearchResult",
			  "StepTrace",
			  "Usage",
			  "createRuntime",
			]
		`);
	});
});

describe('the documents keep pace with the code', () => {
	test('links lead somewhere', () => {
		expect(brokenLinks(pages)).toEqual([]);
	});

	test('commands and options that they mention exist', () => {
		const cli = commandLine(files);
		expect(cli === null ? [] : unknownCommands(pages, cli)).toEqual([]);
	});

	test('npm scripts that they mention exist', () => {
		expect(unknownScripts(pages, new Set(Object.keys(manifest.scripts)))).toEqual([]);
	});

	test('HTTP paths that they mention are served', () => {
		expect(unknownRoutes(pages, routePaths(files))).toEqual([]);
	});

	test('the failure policies in the manual are those of the code, with the default first', () => {
		const rows = Object.entries(FAILURE_POLICIES).map(([situation, actions]) => ({
			situation: `| \`${situation}\` |`,
			actions: `| ${actions.map((action) => `\`${action}\``).join(', ')} |`,
		}));
		const lines = document('docs/concepts/failure-policies.md').text.split('\n');
		for (const { situation, actions } of rows) {
			expect(lines.find((line) => line.startsWith(situation))).toMatch(new RegExp(`${RegExp.escape(actions)}$`));
		}
	});

	test('the stages in the manual are those of the code, in their order', () => {
		expect(document('docs/concepts/life-of-a-request.md').text).toContain(STAGES.join(' → '));
	});

	test('the changelog has the current version', () => {
		expect(document('CHANGELOG.md').text).toContain(`## ${manifest.version}`);
	});

	test('no tracked file names a place of one machine or a package registry', () => {
		const texts = tracked.filter((path) => !/\.(pdf|onnx|png|bin)$/.test(path) && !path.startsWith('test/tidy/'));
		expect(machineTraces(texts.map(document))).toEqual([]);
	});
});
