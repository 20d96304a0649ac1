import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Passage } from '../src/spec/retrieval.ts';
import { sharedData } from '../test/support/shared-data.ts';

const File = z.object({
	data: z.array(
		z.object({
			title: z.string(),
			paragraphs: z.array(
				z.object({
					context: z.string(),
					qas: z.array(
						z.object({
							question: z.string(),
							is_impossible: z.boolean(),
							answers: z.array(z.object({ text: z.string() })),
						}),
					),
				}),
			),
		}),
	),
});

/** One question about one paragraph. */
export interface SquadCase {
	/** 0-based; the even ones are for fitting, the odd ones for reporting. */
	readonly article: number;
	readonly passage: Passage;
	readonly question: string;
	/** Every accepted answer; empty when the paragraph does not answer. */
	readonly answers: readonly string[];
}

/** SQuAD 2.0's questions with their paragraphs, or null where the data set is absent. */
export function loadSquad(): SquadCase[] | null {
	const folder = sharedData('squad2-dev');
	if (folder === null) return null;
	const { data } = File.parse(JSON.parse(readFileSync(`${folder}/dev-v2.0.json`, 'utf8')));
	return data.flatMap(({ title, paragraphs }, article) =>
		paragraphs.flatMap(({ context, qas }, ordinal) => {
			const passage = passageOf(title, context, ordinal);
			return qas.map(({ question, is_impossible, answers }) => ({
				article,
				passage,
				question,
				answers: is_impossible ? [] : answers.map((answer) => answer.text),
			}));
		}),
	);
}

function passageOf(title: string, text: string, ordinal: number): Passage {
	const id = `${title}#${ordinal}`;
	return {
		chunkId: id,
		documentId: id,
		source: 'squad',
		title: title.replaceAll('_', ' '),
		headingPath: [],
		text,
		start: 0,
		end: text.length,
		ordinal,
		tokens: Math.ceil(text.length / 4),
		fields: {},
	};
}
