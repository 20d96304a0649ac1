import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { patternFault } from '../../../src/contracts/safe-pattern.ts';
import { metaOf } from '../../../src/retrieval/document-meta.ts';
import { fitDocument } from '../../../src/retrieval/ingestion/fit-document.ts';
import { detectLanguage, primaryLanguage } from '../../../src/retrieval/ingestion/language.ts';
import { ingestion } from '../../support/retrieval-fixture.ts';

const NOW = Date.parse('2026-06-01T00:00Z');
const GERMAN =
	'Der Fahrer bremst vor der Kreuzung, weil die Ampel auf Rot gesprungen ist und Kinder auf der Straße spielen.';

function held(stated: unknown, documents: Record<string, unknown>, { text = 'Some text.', title = 'T' } = {}) {
	const chunk = { text, start: 0, end: text.length, headingPath: [], ordinal: 0, tokens: 3, header: '', context: '' };
	return fitDocument({ title, meta: metaOf(stated), chunks: [chunk] }, ingestion({ documents }).documents, NOW);
}

const one = (rule: Record<string, unknown>, value: unknown) => held({ f: value }, { fields: { f: rule } });

describe('a field', () => {
	it.each([
		['text', { type: 'text' }, 'x', 'x'],
		['a number', { type: 'number', min: 0, max: 1 }, 0.5, 0.5],
		['a boolean', { type: 'boolean' }, false, false],
		['an instant', { type: 'time' }, '1601-01-01T00:00:00+00:00', Date.parse('1601-01-01T00:00Z')],
		['labels', { type: 'labels', one_of: ['a', 'b'] }, ['b'], ['b']],
		['a pattern', { type: 'text', pattern: '[A-Z]{2}-\\d+' }, 'AB-12', 'AB-12'],
	])('takes %s', (_, rule, stated, value) => {
		expect(one(rule, stated)).toMatchObject({ misfits: [], fields: { f: value } });
	});

	it.each([
		['text for a number', { type: 'number' }, '5', 'the field f is "5", not a number'],
		['a number for text', { type: 'text' }, 5, 'the field f is 5, not text'],
		['text for labels', { type: 'labels' }, 'a', 'the field f is "a", not a list of texts'],
		['no instant', { type: 'time' }, '2026-02-31', 'the field f is "2026-02-31", not an instant such as'],
		['what is not listed', { type: 'text', one_of: ['a', 'b'] }, 'c', 'the field f is "c", not one of a, b'],
		['half a match', { type: 'text', pattern: '[a-z]+' }, 'ab1', 'the field f is "ab1", which does not match [a-z]+'],
		['too much', { type: 'number', max: 3 }, 4, 'the field f is 4, above max (3)'],
		['too early', { type: 'time', min: '2000-01-01' }, '1999-12-31', 'below min (2000-01-01T00:00:00.000Z)'],
		['too long', { type: 'text', max_length: 2 }, 'abc', 'the field f is 3 long, more than max_length (2)'],
	])('does not take %s, and says why', (_, rule, stated, reason) => {
		expect(one(rule, stated).misfits).toEqual([expect.stringContaining(reason)]);
		expect(one(rule, stated).fields.f ?? null).toBeNull();
	});

	it('is missed when it is required, under the name that documents have for it', () => {
		const documents = { fields: { author: { type: 'text', required: true, from: 'author.name' } } };
		expect(held({ author: { name: 'Ada' } }, documents)).toMatchObject({ misfits: [], fields: { author: 'Ada' } });
		expect(held({ author: 'Ada' }, documents).misfits).toEqual(['the field author (author.name) is missing']);
	});
});

describe('a document', () => {
	it('has every reason named at once', () => {
		const documents = {
			fields: { f: { type: 'text', required: true } },
			language: ['en'],
			text_chars_min: 500,
			title_chars_min: 3,
		};
		expect(held({}, documents, { text: GERMAN }).misfits).toEqual([
			'the field f is missing',
			'its title has 1 characters, fewer than title_chars_min (3)',
			`its text has ${GERMAN.length} characters, fewer than text_chars_min (500)`,
			'its language is de, as detected, not en',
		]);
	});

	it('is fresh or too old by a field, and what has none is not fresh', () => {
		const documents = { freshness: { field: 'updated_at', max_age_days: 30 } };
		expect(held({ updated: '2026-05-20' }, documents).misfits).toEqual([]);
		expect(held({ updated: '1601-01-01' }, documents).misfits).toEqual([
			'updated_at is 1601-01-01, more than 30 days ago',
		]);
		expect(held({}, documents).misfits).toEqual(['it has no updated_at, which says how fresh it is']);
	});

	it('keeps the same reasons and fields whatever it states', () => {
		const documents = { fields: { f: { type: 'labels', pattern: '[a-z]{1,5}' }, n: { type: 'number', min: -5 } } };
		fc.assert(
			fc.property(fc.jsonValue(), fc.string(), (stated, text) => {
				const first = held(stated, documents, { text });
				expect(held(stated, documents, { text })).toEqual(first);
			}),
			{ numRuns: 200, seed: 5 },
		);
	});
});

it('tells the language of a text, and says nothing of a short one', () => {
	expect(detectLanguage(GERMAN)).toBe('de');
	expect(
		detectLanguage('The driver brakes before the crossing because the light has turned red and children play.'),
	).toBe('en');
	expect(detectLanguage('Hallo')).toBeNull();
	expect(['de', 'deu', 'de-at', 'DE_ch', 'pt-br', '??'].map(primaryLanguage)).toEqual([
		'de',
		'de',
		'de',
		'de',
		'pt',
		'??',
	]);
});

it('refuses patterns that could take for ever', () => {
	for (const pattern of ['(a+)+', '(a|aa)*', '(?:x*y)+', '(\\w+)\\1', '(?=a)b', '(?<!a)b', '[', '(a{2,})*']) {
		expect(patternFault(pattern), pattern).not.toBeNull();
	}
	for (const pattern of [
		'[A-Z]{2}-\\d+',
		'(?:ab)+',
		'a|b',
		'(?:v)?\\d+\\.\\d+',
		'[(+*)]+',
		'\\(\\)*',
		'(?<year>\\d{4})',
	]) {
		expect(patternFault(pattern), pattern).toBeNull();
	}
});
