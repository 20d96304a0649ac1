import { CAPABILITIES, type Capabilities } from './index-store-capabilities.ts';
import { cell, GENERATED } from './page.ts';

/** docs/reference/index-stores.md: where the engines of indexes differ. */
export function indexStorePage(): string {
	const engines = Object.entries<Capabilities>(CAPABILITIES);
	const row = (title: string, of: (engine: Capabilities) => string) =>
		`| ${[title, ...engines.map(([, engine]) => cell(of(engine)))].join(' | ')} |`;
	const lines = [
		'# Index stores',
		'',
		GENERATED,
		'',
		'An index store holds the generations of collections (`index_store` in `plimsoll.yaml`). All pass one suite of tests:',
		'whole batches or nothing, also after `kill -9`; readers that stay on their version; filters inside both legs; any Unicode;',
		'the same order for equal scores; scores that agree with the formulas; two writers of which one is refused; damage that is',
		'told from a lost connection. [Choosing one](../operations/index-stores.md) says when to take which.',
		'',
		`| | ${engines.map(([name]) => name).join(' | ')} |`,
		`|---|${engines.map(() => '---|').join('')}`,
		row('needs', ({ needs }) => needs),
		row('a batch is committed by', ({ commit }) => commit),
		row('readers stay on their version by', ({ pinned }) => pinned),
		row('full text', ({ textIndex }) => textIndex),
		row('a BM25 score is off by at most', ({ lexicalError }) => `${(lexicalError * 100).toLocaleString('en-US')} %`),
		row('vectors', ({ vectorIndex }) => vectorIndex),
		row(
			'vector search is approximate from',
			({ approximateFrom }) => `${approximateFrom.toLocaleString('en-US')} chunks`,
		),
		row('a damaged table', ({ keepsSetAside }) => (keepsSetAside ? 'is kept under another name' : 'is removed')),
	];
	return `${lines.join('\n')}\n`;
}
