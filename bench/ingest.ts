import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../src/base/random.ts';

/**
 * Ingestion without an embedder: documents a second and the peak memory of the process, as the corpus grows tenfold, and
 * what a second run costs that finds nothing to do.
 *
 *   node bench/ingest.ts [documents, 10000] [documents, 100000] …
 *
 * A million documents are a file of 1.6 GB.
 */
const SIZES = process.argv.slice(2).map(Number);
const WORDS = Array.from({ length: 20_000 }, (_, n) => `w${((n * 2_654_435_761) >>> 0).toString(36)}`);

async function writeCorpus(file: string, documents: number): Promise<void> {
	const random = seededRandom(documents);
	const out = createWriteStream(file);
	for (let n = 0; n < documents; n++) {
		const paragraph = () =>
			Array.from({ length: 60 }, () => WORDS[Math.floor(random.next() ** 2 * WORDS.length)] ?? '').join(' ');
		const text = [paragraph(), paragraph(), paragraph()].join('.\n\n');
		const line = { id: `doc/${n}`, title: `Document ${n}`, text, lang: n % 3 ? 'en' : 'de', product: `p${n % 50}` };
		if (!out.write(`${JSON.stringify(line)}\n`)) await once(out, 'drain');
	}
	out.end();
	await once(out, 'finish');
}

async function measure(documents: number): Promise<void> {
	const root = await mkdtemp(join(tmpdir(), 'plimsoll-ingest-'));
	try {
		const file = join(root, 'all.jsonl');
		await writeCorpus(file, documents);
		const megabytes = Math.round(statSync(file).size / 1e6);
		for (const run of ['first', 'unchanged']) {
			const script = fileURLToPath(new URL('./ingest/run.ts', import.meta.url));
			const child = spawn(process.execPath, [script, root, file], { stdio: ['ignore', 'pipe', 'inherit'] });
			const parts: Buffer[] = [];
			child.stdout.on('data', (part: Buffer) => parts.push(part));
			await once(child, 'close');
			const { seconds, peakMb, report } = JSON.parse(Buffer.concat(parts).toString());
			const [source] = report.sources;
			console.log(
				`${documents} documents, ${megabytes} MB, ${run} run: ${Math.round(documents / seconds)} documents/s, ${seconds.toFixed(1)} s, peak ${peakMb} MB; new ${source.new}, unchanged ${source.unchanged}, chunks ${source.chunks}`,
			);
		}
	} finally {
		await rm(root, { recursive: true, force: true });
	}
}

for (const documents of SIZES.length > 0 ? SIZES : [10_000, 100_000]) await measure(documents);
