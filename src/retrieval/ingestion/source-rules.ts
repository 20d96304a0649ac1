import { type DocumentRules, type IngestionConfig, rulesOf } from '../../contracts/document-rules.ts';
import { takenFields } from './document-identity.ts';
import { rulesHash } from './quarantine-log.ts';

interface Known {
	readonly rules: DocumentRules;
	readonly hash: string;
	/** See `contentHash`. */
	readonly taken: string | null;
}

/** The rules of each source of a run, with what is made of them once and used for every document. */
export class SourceRules {
	readonly #config: IngestionConfig;
	readonly #known = new Map<string, Known>();

	constructor(config: IngestionConfig) {
		this.#config = config;
	}

	of(source: string): Known {
		const known = this.#known.get(source);
		if (known) return known;
		const rules = rulesOf(this.#config, source);
		const made = { rules, hash: rulesHash(rules), taken: takenFields(rules) };
		this.#known.set(source, made);
		return made;
	}
}
