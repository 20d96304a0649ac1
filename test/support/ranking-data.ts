import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';

/** A document to index. */
export interface RankingDocument {
	readonly id: string;
	readonly title: string;
	readonly text: string;
}

/** A question and the documents that are right for it. */
export interface RankingQuery {
	readonly query: string;
	readonly relevant: ReadonlySet<string>;
}

export interface RankingSet {
	readonly documents: readonly RankingDocument[];
	readonly queries: readonly RankingQuery[];
}

const squadSchema = z.object({
	data: z.array(
		z.object({
			title: z.string(),
			paragraphs: z.array(z.object({ context: z.string(), qas: z.array(z.object({ question: z.string() })) })),
		}),
	),
});

/** 1,216 paragraphs, and 6,078 questions about 646 of them; a question's right document is the paragraph it was asked about. */
export function squadRanking(folder: string): RankingSet {
	const documents: RankingDocument[] = [];
	const queries: RankingQuery[] = [];
	for (const part of ['dev', 'distractors']) {
		const { data } = squadSchema.parse(JSON.parse(readFileSync(`${folder}/${part}-v2.0.json`, 'utf8')));
		for (const { title, paragraphs } of data) {
			paragraphs.forEach(({ context, qas }, index) => {
				const id = `${part}/${title}/${index}`;
				documents.push({ id, title: title.replaceAll('_', ' '), text: context });
				if (part === 'dev') for (const { question } of qas) queries.push({ query: question, relevant: new Set([id]) });
			});
		}
	}
	return { documents, queries };
}

/** 3,204 abstracts as HTML pages with their bibliographic lines, and the 52 judged topics. */
export function cacmRanking(folder: string): { readonly pages: ReadonlyMap<string, string> } & RankingSet {
	const pages = new Map<string, string>();
	for (const [name, bytes] of tarFiles(gunzipSync(readFileSync(`${folder}/cacm.tar.gz`)))) {
		const id = /(CACM-\d+)\.html$/.exec(name)?.[1];
		if (id) pages.set(id, bytes.toString('latin1'));
	}
	const relevant = new Map<string, Set<string>>();
	for (const line of readFileSync(`${folder}/qrels.cacm.txt`, 'utf8').split('\n')) {
		const [topic, , id, grade] = line.trim().split(/\s+/);
		if (!topic || !id || grade === '0') continue;
		relevant.set(topic, (relevant.get(topic) ?? new Set()).add(id));
	}
	const topics = readFileSync(`${folder}/topics.cacm.txt`, 'utf8').matchAll(
		/<DOCNO>\s*(\d+)\s*<\/DOCNO>([\s\S]*?)<\/DOC>/g,
	);
	const queries = [...topics].flatMap(([, topic = '', query = '']) => {
		const right = relevant.get(topic);
		return right ? [{ query: query.trim(), relevant: right }] : [];
	});
	return { pages, documents: [...pages].map(([id, page]) => titleAndAbstract(id, page)), queries };
}

/** The page up to its bibliographic lines, which begin with the issue, e.g. `CACM November, 1964`. */
function titleAndAbstract(id: string, page: string): RankingDocument {
	const text = page.replace(/<[^>]*>/g, '').split(/^CACM [A-Z][a-z]+, ?\d{4}/m)[0] ?? '';
	const [title = '', ...abstract] = text.trim().split(/\n\s*\n/);
	return { id, title: title.replace(/\s+/g, ' '), text: abstract.join('\n\n').trim() || title };
}

function* tarFiles(tar: Buffer): Generator<[string, Buffer]> {
	for (let at = 0; at + 512 <= tar.length; ) {
		const name = tar.toString('latin1', at, at + 100).replace(/\0.*$/s, '');
		const size = Number.parseInt(tar.toString('latin1', at + 124, at + 136), 8) || 0;
		if (name && tar[at + 156] === 0x30) yield [name, tar.subarray(at + 512, at + 512 + size)];
		at += 512 + Math.ceil(size / 512) * 512;
	}
}

export interface RankingFigures {
	readonly hitAt5: number;
	readonly mrrAt10: number;
	readonly map: number;
}

/** Of one query. */
export type QueryFigures = RankingFigures;

/** Hit@5, reciprocal rank within 10 and average precision of one query's ranked document ids. */
export function queryFigures({ relevant }: RankingQuery, ids: readonly string[]): QueryFigures {
	const first = ids.findIndex((id) => relevant.has(id));
	let found = 0;
	let sum = 0;
	ids.forEach((id, at) => {
		if (relevant.has(id)) sum += ++found / (at + 1);
	});
	return {
		hitAt5: first >= 0 && first < 5 ? 1 : 0,
		mrrAt10: first >= 0 && first < 10 ? 1 / (first + 1) : 0,
		map: sum / relevant.size,
	};
}

/** Their means over all queries, one list of ranked document ids for each. */
export function rankingFigures(
	queries: readonly RankingQuery[],
	ranked: readonly (readonly string[])[],
): RankingFigures {
	const all = queries.map((query, at) => queryFigures(query, ranked[at] ?? []));
	const mean = (of: keyof RankingFigures) => all.reduce((sum, figures) => sum + figures[of], 0) / queries.length;
	return { hitAt5: mean('hitAt5'), mrrAt10: mean('mrrAt10'), map: mean('map') };
}
