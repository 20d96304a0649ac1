import { domainToASCII } from 'node:url';
import { fullFormats } from 'ajv-formats/dist/formats.js';

type Format = (typeof fullFormats)[keyof typeof fullFormats];

/** The formats of JSON Schema and OpenAPI that can be checked, each as a check of any value: it holds for what it is not about. */
export const SCHEMA_FORMATS: ReadonlyMap<string, (value: unknown) => boolean> = new Map(
	[...Object.entries(fullFormats), ...Object.entries(international())].map(([name, format]) => [name, checkOf(format)]),
);

/** The formats that allow what is not ASCII, each by what it becomes on the wire. */
function international(): Readonly<Record<string, (text: string) => boolean>> {
	const [uri, reference] = [checkOf(fullFormats.uri), checkOf(fullFormats['uri-reference'])];
	const [email, hostname] = [checkOf(fullFormats.email), checkOf(fullFormats.hostname)];
	const escaped = (text: string) => text.replaceAll(/[^\p{ASCII}\p{Control}\p{White_Space}]/gu, encodeURIComponent);
	return {
		iri: (text) => uri(escaped(text)),
		'iri-reference': (text) => reference(escaped(text)),
		'idn-hostname': (text) => hostname(domainToASCII(text)),
		'idn-email'(text) {
			const [name = '', host = '', ...more] = text.split('@');
			return (
				more.length === 0 &&
				email(`${name.replaceAll(/[^\p{ASCII}\p{Control}\p{White_Space}]/gu, 'x')}@${domainToASCII(host)}`)
			);
		},
	};
}

function checkOf(format: Format): (value: unknown) => boolean {
	const isDefinition = typeof format === 'object' && 'validate' in format;
	const about = (isDefinition && format.type) || 'string';
	const check: unknown = isDefinition ? format.validate : format;
	if (check instanceof RegExp) return (value) => typeof value !== about || check.test(String(value));
	if (typeof check !== 'function') return () => true;
	return (value) => typeof value !== about || check(value) === true;
}
