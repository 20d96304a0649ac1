import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, statSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Random, seededRandom } from '../src/base/random.ts';
import { PHASES } from './ingest/phases.ts';

/**
 * Ingestion without an embedder: documents a second and the peak memory of the process, whole and by phase, as the corpus grows
 * tenfold, what a run costs that finds nothing to do, and one that finds one document changed.
 *
 *   node bench/ingest.ts [--tiny | --large] [documents, 10000] [documents, 100000] …
 *
 * A million documents are a file of 1.6 GB; with --tiny, where each is a sentence, one of 0.1 GB; with --large, where each has
 * 1 to 5 MB, a thousand are one of 3 GB. What 10 GB would take is a straight line through the last two sizes, and said as such.
 */
const isTiny = process.argv.includes('--tiny');
const isLarge = process.argv.includes('--large');
const SIZES = process.argv.slice(2).map(Number).filter(Number.isInteger);
const DEFAULT_SIZES = isLarge ? [10, 100] : [10_000, 100_000];
const FAR_BYTES = 10e9;
const WORDS = Array.from({ length: 20_000 }, (_, n) => `w${((n * 2_654_435_761) >>> 0).toString(36)}`);

function textOf(n: number, random: Random): string {
	if (isTiny) return `Ticket ${n}: lamp ${Math.floor(random.next() * 1_000)} is broken and needs a new switch.`;
	// Of about 500 bytes each.
	const paragraphs = isLarge ? 2_000 + Math.floor(random.next() * 8_000) : 3;
	const paragraph = () =>
		Array.from({ length: 60 }, () => WORDS[Math.floor(random.next() ** 2 * WORDS.length)] ?? '').join(' ');
	return Array.from({ length: paragraphs }, paragraph).join('.\n\n');
}

async function writeCorpus(file: string, documents: number): Promise<void> {
	const random = seededRandom(documents);
	const out = createWriteStream(file);
	for (let n = 0; n < documents; n++) {
		const text = textOf(n, random);
		const line = { id: `doc/${n}`, title: `Document ${n}`, text, lang: n % 3 ? 'en' : 'de', product: `p${n % 50}` };
		if (!out.write(`${JSON.stringify(line)}\n`)) await once(out, 'drain');
	}
	out.end();
	await once(out, 'finish');
}

/** Gives the first document another title, of the same length. */
async function changeOne(file: string): Promise<void> {
	const opened = await open(file, 'r+');
	try {
		const { buffer, bytesRead } = await opened.read({ length: 200 });
		const at = buffer.subarray(0, bytesRead).indexOf('Document 0');
		if (at < 0) throw new Error('the first document is another one');
		await opened.write('Document X', at);
	} finally {
		await opened.close();
	}
}

/** Of a first run. */
interface Measured {
	readonly bytes: number;
	readonly documents: number;
	readonly peakMb: number;
	readonly phaseMb: Readonly<Record<string, number>>;
	readonly seconds: number;
}

async function measure(documents: number): Promise<Measured> {
	const root = await mkdtemp(join(tmpdir(), 'plimsoll-ingest-'));
	try {
		const file = join(root, 'all.jsonl');
		await writeCorpus(file, documents);
		const bytes = statSync(file).size;
		const megabytes = Math.round(bytes / 1e6);
		const measured: Measured[] = [];
		for (const run of ['first', 'unchanged', 'one changed']) {
			if (run === 'one changed') await changeOne(file);
			const script = fileURLToPath(new URL('./ingest/run.ts', import.meta.url));
			const child = spawn(process.execPath, [script, root, file], { stdio: ['ignore', 'pipe', 'inherit'] });
			const parts: Buffer[] = [];
			child.stdout.on('data', (part: Buffer) => parts.push(part));
			await once(child, 'close');
			const { seconds, cpuSeconds, peakMb, phaseMb, report } = JSON.parse(Buffer.concat(parts).toString());
			const [source] = report.sources;
			measured.push({ bytes, documents, peakMb, phaseMb, seconds });
			const phases = PHASES.flatMap((phase) => (phase in phaseMb ? `${phase} ${phaseMb[phase]}` : [])).join(', ');
			console.log(
				`${documents} documents, ${megabytes} MB, ${run} run: ${Math.round(documents / seconds)} documents/s, ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU, peak ${peakMb} MB (${phases}); new ${source.new}, changed ${source.changed}, unchanged ${source.unchanged}, failed ${source.failures}, chunks ${source.chunks}`,
			);
		}
		const [first] = measured;
		if (!first) throw new Error('nothing was measured');
		return first;
	} finally {
		await rm(root, { recursive: true, force: true });
	}
}

/** By how much memory grew at a tenfold corpus, as a part of what it was: in each phase, and in all. */
function growth(small: Measured, large: Measured): string {
	const tenfolds = Math.log10(large.bytes / small.bytes);
	const grown = (before = Number.NaN, after = Number.NaN) =>
		`${before} → ${after} MB (${((after / before) ** (1 / tenfolds)).toFixed(2)} × a tenfold)`;
	const phases = PHASES.map((phase) => `${phase} ${grown(small.phaseMb[phase], large.phaseMb[phase])}`);
	return `peak memory ${grown(small.peakMb, large.peakMb)}: ${phases.join(', ')}`;
}

/** Where memory would be at 10 GB if it went on as between two sizes. */
function extrapolate(small: Measured, large: Measured): string {
	const perByte = (large.peakMb - small.peakMb) / (large.bytes - small.bytes);
	const farMb = Math.round(large.peakMb + perByte * (FAR_BYTES - large.bytes));
	const farDocuments = Math.round((FAR_BYTES / large.bytes) * large.documents);
	const factor = (FAR_BYTES / large.bytes).toFixed(0);
	return `10 GB (${farDocuments} such documents) would take ${farMb} MB if it went on in a straight line, which is ${factor} × beyond what was measured; rate ${(large.documents / large.seconds / (small.documents / small.seconds)).toFixed(2)} × that of the smaller size`;
}

const all: Measured[] = [];
for (const documents of SIZES.length > 0 ? SIZES : DEFAULT_SIZES) all.push(await measure(documents));
const [small, large] = all.slice(-2);
if (small && large) {
	console.log(growth(small, large));
	console.log(extrapolate(small, large));
}
