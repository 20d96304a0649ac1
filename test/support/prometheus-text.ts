/** A strict reader of Prometheus' text format 0.0.4, after its documentation: whatever is not as written there throws. */
export interface Family {
	readonly type: string;
	readonly help: string;
	readonly samples: readonly Sample[];
}

interface Sample {
	readonly name: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly value: number;
}

const HELP = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/;
const TYPE = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary)$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/;
const NUMBER = /^(?:[+-]Inf|NaN|Nan|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;

export class MetricsPage {
	readonly families = new Map<string, Family>();

	constructor(text: string) {
		if (!text.endsWith('\n')) throw new Error('the last line has no end');
		let name = '';
		let samples: Sample[] = [];
		const series = new Set<string>();
		let help: RegExpExecArray | null = null;
		for (const line of text.slice(0, -1).split('\n')) {
			if (line === '') continue;
			if (line.startsWith('# HELP')) help = matched(HELP, line);
			else if (line.startsWith('# TYPE')) {
				const [, typed = '', type = ''] = matched(TYPE, line);
				if (help?.[1] !== typed) throw new Error(`${typed} has no help before its type`);
				if (this.families.has(typed)) throw new Error(`${typed} stands in two places`);
				name = typed;
				samples = [];
				this.families.set(name, { type, help: help[2] ?? '', samples });
			} else {
				const sample = readSample(line);
				requireMember(sample, name, this.families.get(name)?.type ?? '');
				const id = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
				if (series.has(id)) throw new Error(`${id} has two values`);
				series.add(id);
				samples.push(sample);
			}
		}
		for (const [family, { type, samples: all }] of this.families)
			if (type === 'histogram') requireHistogram(family, all);
	}

	/** The sum of all series of a metric that have these labels; 0 when there is none. */
	sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
		return this.series(name, labels).reduce((sum, { value }) => sum + value, 0);
	}

	series(name: string, labels: Readonly<Record<string, string>> = {}): readonly Sample[] {
		const family = this.families.get(name) ?? this.families.get(name.replace(/_(bucket|sum|count)$/, ''));
		const has = (sample: Sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value);
		return (family?.samples ?? []).filter((sample) => sample.name === name && has(sample));
	}

	/** As `histogram_quantile` of PromQL: by straight lines within a bucket. */
	quantile(name: string, q: number): number {
		const buckets = this.series(`${name}_bucket`);
		const rank = q * (buckets.at(-1)?.value ?? 0);
		const at = buckets.findIndex(({ value }) => value >= rank);
		const [below, here] = [buckets[at - 1], buckets[at]];
		const [from, to] = [Number(below?.labels.le ?? 0), Number(here?.labels.le)];
		const [start, end] = [below?.value ?? 0, here?.value ?? 0];
		return from + ((to - from) * (rank - start)) / (end - start);
	}
}

function readSample(line: string): Sample {
	const [, name = '', inner = '', value = ''] = matched(SAMPLE, line);
	matched(NUMBER, value);
	const labels: Record<string, string> = {};
	for (let rest = inner; rest !== ''; ) {
		const [whole, label = '', escaped = ''] = matched(LABEL, rest);
		if (label in labels) throw new Error(`${line} says ${label} twice`);
		labels[label] = escaped.replace(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one));
		rest = rest.slice(whole.length);
	}
	return { name, labels, value: Number(value.replace('Inf', 'Infinity')) };
}

function requireMember({ name }: Sample, family: string, type: string): void {
	const parts = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
	if (!parts.some((part) => name === family + part)) throw new Error(`${name} stands under ${family}`);
}

function requireHistogram(family: string, samples: readonly Sample[]): void {
	let last = { le: Number.NEGATIVE_INFINITY, value: 0 };
	for (const { name, labels, value } of samples) {
		if (name === `${family}_bucket`) {
			const le = Number(labels.le?.replace('Inf', 'Infinity'));
			if (!(le > last.le && value >= last.value)) throw new Error(`${family} goes back at ${labels.le}`);
			last = { le, value };
		} else if (name === `${family}_count`) {
			if (last.le !== Number.POSITIVE_INFINITY || last.value !== value) throw new Error(`${family} does not add up`);
			last = { le: Number.NEGATIVE_INFINITY, value: 0 };
		}
	}
}

function matched(pattern: RegExp, text: string): RegExpExecArray {
	const match = pattern.exec(text);
	if (match === null) throw new Error(`${JSON.stringify(text)} is not in the format`);
	return match;
}
