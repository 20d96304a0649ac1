import { describe, expect, it } from 'vitest';
import { sentencesOf } from '../../src/models/extractive/sentences.ts';

const quotable = (text: string) =>
	sentencesOf(text, 100)
		.filter((sentence) => !sentence.isHeading)
		.map((sentence) => sentence.text);

describe('the sentences of a passage', () => {
	it('end at full stops, not at abbreviations, decimals, initials or versions', () => {
		expect(
			quotable(
				'Dr. Smith paid $3.50, i.e. half. Version 2.0.1 came in Jan. 2020. He met J. R. Hartley! "Really?" Yes. The U.S. Army won.',
			),
		).toEqual([
			'Dr. Smith paid $3.50, i.e. half.',
			'Version 2.0.1 came in Jan. 2020.',
			'He met J. R. Hartley!',
			'"Really?"',
			'Yes.',
			'The U.S. Army won.',
		]);
		expect(quotable('最初の文。次の文！')).toEqual(['最初の文。', '次の文！']);
	});

	it('keep list items apart and wrapped lines together', () => {
		expect(quotable('Two ways:\n\n- the first\n  goes on\n* the second. With more.\n1. numbered')).toEqual([
			'Two ways:',
			'the first goes on',
			'the second.',
			'With more.',
			'numbered',
		]);
	});

	it('take whole table rows with their column names, never half of one', () => {
		const table = '| code | means |\n|---|:--:|\n| a | one. Two. |\n| b \\| c | three |';
		expect(quotable(table)).toEqual(['code: a; means: one. Two.', 'code: b | c; means: three']);
		expect(quotable('code | means\n--- | ---\na | b\n\nAfter.')).toEqual(['code: a; means: b', 'After.']);
		expect(quotable('| left | over |')).toEqual(['left; over']);
	});

	it('never quote headings, but know the ones above', () => {
		const sentences = sentencesOf('# Guide\n## Budgets ##\nA cap.\n\nSetext\n===\nMore.', 100);
		expect(sentences.map(({ text, heading, isHeading }) => [text, heading, isHeading])).toEqual([
			['Guide', '', true],
			['Budgets', 'Guide', true],
			['A cap.', 'Guide Budgets', false],
			['Setext', '', true],
			['More.', 'Setext', false],
		]);
	});

	it('keep code whole and with the sentence that announces it', () => {
		expect(quotable('Run this:\n\n```sh\nnpm start. Or\nnpm test\n```\nDone.')).toEqual([
			'Run this:\n```\nnpm start. Or\nnpm test\n```',
			'Done.',
		]);
	});

	it('show links by their text and nothing that reads as a citation', () => {
		expect(quotable('See [the manual](https://x.y/z "t") and **bold** *words*.[3] Use `messages[0]`.[^a1]')).toEqual([
			'See the manual and bold words.',
			'Use `messages[ 0 ]`.',
		]);
	});

	it('are cut when no reader would call them sentences, and capped in number', () => {
		expect(quotable('word '.repeat(2000)).every((text) => text.length <= 1200)).toBe(true);
		expect(sentencesOf('One. '.repeat(500), 20)).toHaveLength(20);
	});
});
