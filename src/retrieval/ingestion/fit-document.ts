import { readInstant } from '../../base/instant.ts';
import { BUILT_IN_FIELDS, type DocumentRules, type FieldRule } from '../../contracts/document-rules.ts';
import type { StatedValue as Stated } from '../../spec/document.ts';
import type { FieldValue } from '../../spec/retrieval.ts';
import type { ChunkedDocument } from '../readers/read-document.ts';
import { detectLanguage, primaryLanguage } from './language.ts';
import { SKETCH_FIELD, sketchOf } from './sketch.ts';

const DAY_MS = 86_400_000;
/** Reasons that are kept of one document. */
const REASONS_MAX = 20;
const SHOWN_CHARS_MAX = 60;

/** A document's typed fields, and why it does not fit; it fits when there is no reason. */
export interface Fit {
	readonly fields: Readonly<Record<string, FieldValue>>;
	readonly misfits: readonly string[];
}

/**
 * Holds a document against the rules of its source.
 * @param now milliseconds since the epoch: freshness is counted from there.
 */
export function fitDocument(document: ChunkedDocument, rules: DocumentRules, now: number): Fit {
	const { title, meta, chunks } = document;
	const text = chunks.map((chunk) => chunk.text).join('\n');
	const misfits: string[] = [];
	const language = meta.language === null ? detectLanguage(text) : primaryLanguage(meta.language);
	const fields: Record<string, FieldValue> = {
		language,
		content_type: meta.contentType,
		updated_at: meta.updatedAt,
		marks: meta.marks,
		[SKETCH_FIELD]: sketchOf(text),
	};
	for (const [name, rule] of Object.entries(rules.fields)) {
		const stated = meta.fields[rule.from];
		if (stated === undefined) {
			fields[name] ??= null;
			if (rule.required && fields[name] === null) misfits.push(`${nameOf(name, rule)} is missing`);
			continue;
		}
		const read = readField(stated, rule);
		if ('value' in read) fields[name] = read.value;
		else misfits.push(`${nameOf(name, rule)} ${read.reason}`);
	}
	misfits.push(...lengthFaults(title.length, 'title', [rules.titleCharsMin, rules.titleCharsMax]));
	misfits.push(...lengthFaults(text.length, 'text', [rules.textCharsMin, rules.textCharsMax]));
	if (rules.languages && !(language !== null && rules.languages.includes(language))) {
		const what = language === null ? 'unknown' : `${language}, as ${meta.language === null ? 'detected' : 'stated'}`;
		misfits.push(`its language is ${what}, not ${list(rules.languages)}`);
	}
	const stale = staleness((name) => fields[name], rules, now);
	if (stale) misfits.push(stale);
	return { fields, misfits: misfits.slice(0, REASONS_MAX) };
}

/** Why a document is too old; null when it is not. @param field the value of one of its fields. */
export function staleness(
	field: (name: string) => FieldValue | undefined,
	{ freshness }: DocumentRules,
	now: number,
): string | null {
	if (!freshness) return null;
	const at = field(freshness.field);
	if (typeof at !== 'number') return `it has no ${freshness.field}, which says how fresh it is`;
	if (now - at <= freshness.ageMsMax) return null;
	return `${freshness.field} is ${new Date(at).toISOString().slice(0, 10)}, more than ${freshness.ageMsMax / DAY_MS} days ago`;
}

/** The values that every field of a table has where a document says nothing. */
export function withEveryField(
	fields: Readonly<Record<string, FieldValue>>,
	names: Iterable<string>,
): Record<string, FieldValue> {
	return Object.fromEntries([...names].map((name) => [name, fields[name] ?? null]));
}

function nameOf(name: string, { from }: FieldRule): string {
	return from === name || Object.hasOwn(BUILT_IN_FIELDS, name) ? `the field ${name}` : `the field ${name} (${from})`;
}

function readField(stated: Stated, rule: FieldRule): { value: FieldValue } | { reason: string } {
	switch (rule.type) {
		case 'boolean':
			return typeof stated === 'boolean' ? { value: stated } : { reason: `is ${shown(stated)}, not true or false` };
		case 'number':
			if (typeof stated !== 'number') return { reason: `is ${shown(stated)}, not a number` };
			return checked(stated, boundFault(stated, rule, String) ?? oneOfFault(stated, rule));
		case 'time': {
			const at = readInstant(stated);
			if (at === null) return { reason: `is ${shown(stated)}, not an instant such as 2024-01-31T12:00Z` };
			return checked(
				at,
				boundFault(at, rule, (ms) => new Date(ms).toISOString()),
			);
		}
		case 'text':
			if (typeof stated !== 'string') return { reason: `is ${shown(stated)}, not text` };
			return checked(stated, textFault(stated, rule));
		case 'labels': {
			if (typeof stated !== 'object') return { reason: `is ${shown(stated)}, not a list of texts` };
			const labels = stated.filter((label) => typeof label === 'string');
			if (labels.length < stated.length) return { reason: 'is a list with something that is no text' };
			for (const label of labels) {
				const fault = textFault(label, rule);
				if (fault) return { reason: `holds a label that ${fault}` };
			}
			return { value: labels };
		}
	}
}

function checked(value: FieldValue, reason: string | null): { value: FieldValue } | { reason: string } {
	return reason === null ? { value } : { reason };
}

function textFault(text: string, rule: FieldRule): string | null {
	if (text.length > rule.lengthMax) return `is ${text.length} long, more than max_length (${rule.lengthMax})`;
	const fault = oneOfFault(text, rule);
	if (fault || rule.pattern === null || patternOf(rule.pattern).test(text)) return fault;
	return `is ${shown(text)}, which does not match ${rule.pattern}`;
}

function oneOfFault(value: string | number, { oneOf }: FieldRule): string | null {
	return oneOf === null || oneOf.includes(value) ? null : `is ${shown(value)}, not ${list(oneOf.map(String))}`;
}

function boundFault(value: number, { min, max }: FieldRule, show: (value: number) => string): string | null {
	if (min !== null && value < min) return `is ${show(value)}, below min (${show(min)})`;
	return max !== null && value > max ? `is ${show(value)}, above max (${show(max)})` : null;
}

function lengthFaults(chars: number, what: string, [least, most]: readonly [number, number]): string[] {
	if (chars < least) return [`its ${what} has ${chars} characters, fewer than ${what}_chars_min (${least})`];
	return chars > most ? [`its ${what} has ${chars} characters, more than ${what}_chars_max (${most})`] : [];
}

const patterns = new Map<string, RegExp>();

function patternOf(pattern: string): RegExp {
	const known = patterns.get(pattern) ?? new RegExp(`^(?:${pattern})$`, 'u');
	patterns.set(pattern, known);
	return known;
}

function shown(value: Stated): string {
	const text = JSON.stringify(value);
	return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX).toWellFormed()}…` : text;
}

function list(values: readonly string[]): string {
	const some = values.slice(0, 10).join(', ');
	return values.length === 1 ? some : `one of ${some}${values.length > 10 ? ` and ${values.length - 10} more` : ''}`;
}
