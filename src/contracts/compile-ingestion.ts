import { readInstant } from '../base/instant.ts';
import type { RawCollection } from './collection-schema.ts';
import type { DocumentRules, FieldRule, IngestionConfig } from './document-rules.ts';
import { FIELD_CHARS_MAX, type RawDocumentRules } from './document-schema.ts';
import { usdToMicros } from './money.ts';

const DAY_MS = 86_400_000;

/** What documents must be and when a run stops, as the rest of Plimsoll reads it. */
export function ingestionOf({ sources, documents, ingestion }: RawCollection): IngestionConfig {
	const { checks, cost_usd_max: costMax } = ingestion;
	const own = Object.entries(sources).flatMap(([name, source]) =>
		source.documents ? [[name, documentRulesOf(source.documents)] as const] : [],
	);
	return {
		documents: documentRulesOf(documents),
		sources: Object.fromEntries(own),
		misfits: ingestion.misfits,
		checks: {
			documentsDropMax: checks.documents_drop_max,
			chunksDropMax: checks.chunks_drop_max,
			fieldFillDropMax: checks.field_fill_drop_max,
			failedShareMax: checks.failed_share_max,
			quarantinedShareMax: checks.quarantined_share_max,
			shiftMin: checks.shift_min,
			shiftAlpha: checks.shift_alpha,
			documentsMin: checks.documents_min,
		},
		quarantineMax: ingestion.quarantine_documents_max,
		costMicrosMax: costMax === null ? null : (usdToMicros(costMax) ?? 0),
	};
}

function documentRulesOf(raw: RawDocumentRules): DocumentRules {
	return {
		fields: Object.fromEntries(Object.entries(raw.fields).map(([name, field]) => [name, fieldRuleOf(name, field)])),
		languages: raw.language,
		freshness: raw.freshness && { field: raw.freshness.field, ageMsMax: raw.freshness.max_age_days * DAY_MS },
		titleCharsMin: raw.title_chars_min,
		titleCharsMax: raw.title_chars_max,
		textCharsMin: raw.text_chars_min,
		textCharsMax: raw.text_chars_max,
	};
}

function fieldRuleOf(name: string, raw: RawDocumentRules['fields'][string]): FieldRule {
	return {
		type: raw.type,
		from: raw.from ?? name,
		required: raw.required,
		oneOf: ('one_of' in raw ? raw.one_of : null) ?? null,
		pattern: ('pattern' in raw ? raw.pattern : null) ?? null,
		min: 'min' in raw ? boundOf(raw.min) : null,
		max: 'max' in raw ? boundOf(raw.max) : null,
		lengthMax: 'max_length' in raw ? raw.max_length : FIELD_CHARS_MAX,
	};
}

/** The checks of the file have seen to it that a text is an instant. */
function boundOf(bound: string | number | undefined): number | null {
	return typeof bound === 'string' ? readInstant(bound) : (bound ?? null);
}
