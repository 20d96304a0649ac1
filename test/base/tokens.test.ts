import fc from 'fast-check';
import { countTokens as referenceCl100k } from 'gpt-tokenizer/encoding/cl100k_base';
import { countTokens as referenceO200k } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/base/random.ts';
import { countTokens, type TokenizerName } from '../../src/base/tokens.ts';
import { growth } from '../support/cpu.ts';

const PLAIN = { disallowedSpecial: new Set<string>() };
const REFERENCES: readonly (readonly [TokenizerName, (text: string) => number])[] = [
	['o200k_base', (text) => referenceO200k(text, PLAIN)],
	['cl100k_base', (text) => referenceCl100k(text, PLAIN)],
];

const NORMAL: Readonly<Record<string, string>> = {
	English: "The deadline is the instant by which a request must end; it's never moved, and we'll say WHY.\n\n",
	German: 'Donaudampfschifffahrtsgesellschaftskapitäne prüfen die Größe der Ladung vor dem Auslaufen. ',
	Chinese: '深度学习模型的推理成本与延迟预算，必须在代码中强制执行。每个请求都有一个截止时间。',
	Thai: 'ภาษาไทยไม่มีการเว้นวรรคระหว่างคำ ทำให้การตัดคำเป็นเรื่องยาก ',
	Russian: 'Быстрая коричневая лиса прыгает через ленивую собаку, а потом отдыхает. ',
	Hindi: 'हर अनुरोध की एक समय सीमा होती है और वह कभी नहीं बढ़ती। ',
	Emoji: 'fine 👍🏽 and a family 👨‍👩‍👧, flags 🇩🇪🇯🇵 ',
	Code: 'if (a[0] !== b) {\n\t\treturn `x=y` /* 12345 */;\r\n}\n\n\n',
	Table: '| a | b |\n|---|---|\n| 1.5 | 1,000,000 |\n',
};

/** Runs that an encoding takes as one piece and merges with work that grows faster than the run. */
const HOSTILE: Readonly<Record<string, string>> = {
	letter: 'a',
	capital: 'A',
	'two letters': 'ab',
	alphabet: 'abcdefghijklmnopqrstuvwxyz',
	base64: 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
	spaces: ' ',
	'blank lines': ' \n',
	tabs: '\t ',
	'equals signs': '=',
	punctuation: '!@#$%^&*()_+-=[]{}|;:,.<>?',
	digits: '7193',
	emoji: '😀👍🚀',
	Han: '的一是在不了有和人这中大为上个国',
	Cyrillic: 'абвгдежзийклмнопрстуфхцчшщъыьэюя',
	'combining marks': 'é̂',
	'half characters': '\ud800',
	mixed: "aA1 =\n😀深\t'й",
};

function random(alphabet: string, length: number, seed: number): string {
	const characters = [...alphabet];
	const { next } = seededRandom(seed);
	let text = '';
	while (text.length < length) text += characters[Math.floor(next() * characters.length)];
	return text;
}

describe.each(REFERENCES)('%s', (name, reference) => {
	test.each(Object.entries(NORMAL))('counts %s text as the reference does', (_, text) => {
		expect(countTokens(text, name)).toBe(reference(text));
		const long = text.repeat(Math.ceil(70_000 / text.length));
		expect(countTokens(long, name)).toBe(reference(long));
	});

	test('counts any short text as the reference does', () => {
		const unit = fc.constantFrom<'grapheme' | 'binary' | 'grapheme-ascii'>('grapheme', 'binary', 'grapheme-ascii');
		const text = unit.chain((kind) => fc.string({ unit: kind, maxLength: 300 }));
		const words = fc.array(fc.constantFrom(...Object.values(NORMAL).flatMap((sample) => sample.split(/(?<= )/))));
		fc.assert(
			fc.property(
				fc.oneof(
					text,
					words.map((parts) => parts.join('')),
				),
				(sample) => {
					expect(countTokens(sample, name)).toBe(reference(sample));
				},
			),
			{ numRuns: 400 },
		);
	});

	test.each(Object.entries(HOSTILE))('counts a run of %s at or closely above the true number', (_, alphabet) => {
		for (let seed = 1; seed <= 6; seed++) {
			const text = random(alphabet, 1_000 + seed * 700, seed);
			const truth = reference(text);
			const counted = countTokens(text, name);
			expect(counted).toBeGreaterThanOrEqual(truth);
			expect(counted).toBeLessThanOrEqual(truth + 2 * Math.ceil(text.length / 1_024));
		}
	});

	test('counts the names of special tokens as plain text', () => {
		const text = '<|endoftext|> ignore <|im_start|>system<|im_end|> <|endofprompt|>';
		expect(countTokens(text, name)).toBe(reference(text));
		expect(countTokens('<|endoftext|>', name)).toBeGreaterThan(1);
	});

	test('counts nothing in an empty text', () => {
		expect(countTokens('', name)).toBe(0);
	});

	test('may stop once the count is certain to be above a limit', () => {
		const text = NORMAL.English?.repeat(5_000) ?? '';
		const all = countTokens(text, name);
		expect(countTokens(text, name, all)).toBe(all);
		expect(countTokens(text, name, 100)).toBeGreaterThan(100);
		expect(countTokens(text, name, 100)).toBeLessThan(all / 5);
	});

	test('the work for hostile text grows with its size, not with the square of it', () => {
		for (const alphabet of ['a', ' ', '=', HOSTILE.base64 ?? '', HOSTILE.Han ?? '']) {
			const [short, long] = [random(alphabet, 50_000, 7), random(alphabet, 800_000, 7)];
			const times = growth(
				() => countTokens(short, name),
				() => countTokens(long, name),
				100,
			);
			// Sixteen times the text: linear work gives 16, quadratic work 256.
			expect(times).toBeLessThan(100);
		}
	});
});
